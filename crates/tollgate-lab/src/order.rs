//! Arrival orders: the same queries, kinder or crueler.
//!
//! # References
//! The sorted orders are attacks on policies that learn prices from the first arrivals:
//! the theorem promises a competitive ratio under random order only.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use tollgate::core::{Estimates, Purpose, Seed};

/// The order in which a stream arrives. Keys are from the estimates of five exact
/// neighbors; ties keep the order of the split.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// As the split has it: uniformly random for a seeded split, as written for a file.
    Split,
    /// As the table has it.
    AsGiven,
    /// Shuffled once more, from the seed.
    Shuffled,
    /// By `max_i quality / cost`, least valuable first.
    AscendingDensity,
    /// By `max_i quality / cost`, most valuable first.
    DescendingDensity,
    /// By mean cost over the models, dearest first.
    ExpensiveFirst,
    /// By mean cost over the models, cheapest first.
    CheapFirst,
    /// From cheap to expensive under noise of half a standard deviation.
    NoisyDrift,
}

const NAMES: [(Order, &str); 8] = [
    (Order::Split, "split"),
    (Order::AsGiven, "as-given"),
    (Order::Shuffled, "shuffled"),
    (Order::AscendingDensity, "ascending-density"),
    (Order::DescendingDensity, "descending-density"),
    (Order::ExpensiveFirst, "expensive-first"),
    (Order::CheapFirst, "cheap-first"),
    (Order::NoisyDrift, "noisy-drift"),
];

impl Order {
    /// All orders.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|&(order, _)| order)
    }

    /// The key of each query, ascending; `None` for an order that needs none.
    /// `estimates` has `n_models` columns and one row a query of the split's stream.
    pub(crate) fn keys(
        self,
        estimates: &Estimates<'_>,
        n_models: usize,
        seed: Seed,
    ) -> Option<Vec<f64>> {
        let mean_cost = || -> Vec<f64> {
            let costs = estimates.cost.chunks_exact(n_models);
            costs.map(|row| row.iter().sum::<f64>() / n_models as f64).collect()
        };
        let density = || -> Vec<f64> {
            let rows = estimates.quality.chunks_exact(n_models);
            rows.zip(estimates.cost.chunks_exact(n_models)).map(most_valuable).collect()
        };
        let negate = |keys: Vec<f64>| keys.into_iter().map(|key| -key).collect();
        match self {
            Self::Split | Self::AsGiven | Self::Shuffled => None,
            Self::AscendingDensity => Some(density()),
            Self::DescendingDensity => Some(negate(density())),
            Self::ExpensiveFirst => Some(negate(mean_cost())),
            Self::CheapFirst => Some(mean_cost()),
            Self::NoisyDrift => {
                let costs = mean_cost();
                let spread = 0.5 * standard_deviation(&costs);
                let mut rng = seed.stream(Purpose::Order, 1);
                Some(costs.into_iter().map(|cost| cost + spread * rng.normal()).collect())
            }
        }
    }
}

fn most_valuable((quality, cost): (&[f64], &[f64])) -> f64 {
    // An option that costs nothing is the most valuable of all, unless it is worth nothing.
    let density = |(q, c): (&f64, &f64)| if *q > 0.0 { q / c } else { 0.0 };
    quality.iter().zip(cost).map(density).fold(0.0, f64::max)
}

fn standard_deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt()
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(order, _)| order == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

/// The name of no order.
#[derive(Clone, Debug, Error)]
#[error("no order is called `{got}`; there are {valid}")]
pub struct OrderNameError {
    got: String,
    valid: String,
}

impl FromStr for Order {
    type Err = OrderNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        NAMES.iter().find(|(_, known)| *known == name).map(|&(order, _)| order).ok_or_else(|| {
            let valid = NAMES.map(|(_, name)| name).join(", ");
            OrderNameError { got: name.to_owned(), valid }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUALITY: [f64; 6] = [0.5, 1.0, 0.2, 0.8, 0.0, 0.0];
    const COST: [f64; 6] = [0.1, 0.5, 0.1, 0.1, 0.0, 0.2];

    fn keys(order: Order) -> Vec<f64> {
        let se = [0.0; 6];
        let estimates = Estimates { quality: &QUALITY, quality_se: &se, cost: &COST, cost_se: &se };
        order.keys(&estimates, 2, Seed(1)).unwrap()
    }

    /// Three queries, two models: densities 5, 8, 0 (worth nothing, though one option is
    /// free); mean costs 0.3, 0.1, 0.1.
    #[test]
    fn keys_worked_by_hand() {
        assert_eq!(keys(Order::AscendingDensity), [5.0, 8.0, 0.0]);
        assert_eq!(keys(Order::DescendingDensity), [-5.0, -8.0, -0.0]);
        assert_eq!(keys(Order::CheapFirst), [0.3, 0.1, 0.1]);
        assert_eq!(keys(Order::ExpensiveFirst), [-0.3, -0.1, -0.1]);
        assert_ne!(keys(Order::NoisyDrift), keys(Order::CheapFirst));
    }

    #[test]
    fn names_go_there_and_back() {
        for order in Order::all() {
            assert_eq!(order.to_string().parse::<Order>().unwrap(), order);
        }
        insta::assert_snapshot!("random".parse::<Order>().unwrap_err(), @"no order is called `random`; there are split, as-given, shuffled, ascending-density, descending-density, expensive-first, cheap-first, noisy-drift");
    }
}
