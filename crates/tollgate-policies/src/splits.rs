//! How a total budget is divided among models.
//!
//! # References
//! Wu and Silwal (2025), PORT: the six splits of the paper's experiments, as its
//! published code computes them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use tollgate_core::{Purpose, Seed};

/// A rule that divides a total budget among models, from their mean score and cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BudgetSplit {
    /// Proportional to `sqrt(quality / cost)`.
    Weighted,
    /// Proportional to `sqrt(1 / cost)`.
    Cost,
    /// Proportional to `quality`.
    Perf,
    /// Equal shares.
    Uniform,
    /// Proportional to a draw from `[5, 30]` for each model.
    Random,
    /// The `h` models with the lowest `sqrt(quality / cost)` share 80 %.
    Extreme(usize),
}

impl BudgetSplit {
    /// The share of each model, summing to 1; `quality` and `cost` are means by
    /// model, of equal length, `cost` above 0.
    ///
    /// `Extreme(h)` with `h` at least the number of models is `Uniform`. Should every
    /// weight be 0 (no model ever scored), the shares are equal.
    pub fn shares(self, quality: &[f64], cost: &[f64], seed: Seed) -> Vec<f64> {
        let density = |model: usize| (quality[model] / cost[model]).sqrt();
        let n_models = quality.len();
        let weights: Vec<f64> = match self {
            Self::Weighted => (0..n_models).map(density).collect(),
            Self::Cost => cost.iter().map(|cost| (1.0 / cost).sqrt()).collect(),
            Self::Perf => quality.to_vec(),
            Self::Uniform => vec![1.0; n_models],
            Self::Random => {
                let mut rng = seed.stream(Purpose::BudgetSplit, 0);
                (0..n_models).map(|_| 5.0 + 25.0 * rng.uniform()).collect()
            }
            Self::Extreme(h) if h >= n_models => vec![1.0; n_models],
            Self::Extreme(h) => extreme(h, &(0..n_models).map(density).collect::<Vec<_>>()),
        };
        let total: f64 = weights.iter().sum();
        if total > 0.0 && total.is_finite() {
            weights.iter().map(|weight| weight / total).collect()
        } else {
            vec![1.0 / n_models as f64; n_models]
        }
    }
}

/// 50 to each of the `h` lowest, `12.5 h / (M - h)` to each of the others.
fn extreme(h: usize, densities: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..densities.len()).collect();
    order.sort_by(|&a, &b| densities[a].total_cmp(&densities[b]));
    let mut weights = vec![12.5 * h as f64 / (densities.len() - h) as f64; densities.len()];
    for &model in &order[..h] {
        weights[model] = 50.0;
    }
    weights
}

impl fmt::Display for BudgetSplit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weighted => f.write_str("weighted"),
            Self::Cost => f.write_str("cost"),
            Self::Perf => f.write_str("perf"),
            Self::Uniform => f.write_str("uniform"),
            Self::Random => f.write_str("random"),
            Self::Extreme(h) => write!(f, "extreme:{h}"),
        }
    }
}

/// The name of no split.
#[derive(Clone, Debug, Error)]
#[error(
    "no budget split is called `{got}`; there are weighted, cost, perf, uniform, random and \
     extreme:h with h >= 1"
)]
pub struct SplitNameError {
    /// The name.
    pub got: String,
}

impl FromStr for BudgetSplit {
    type Err = SplitNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let refuse = || SplitNameError { got: name.to_owned() };
        match name {
            "weighted" => Ok(Self::Weighted),
            "cost" => Ok(Self::Cost),
            "perf" => Ok(Self::Perf),
            "uniform" => Ok(Self::Uniform),
            "random" => Ok(Self::Random),
            _ => {
                let h = name.strip_prefix("extreme:").ok_or_else(refuse)?;
                let h = h.parse().ok().filter(|&h: &usize| h >= 1).ok_or_else(refuse)?;
                Ok(Self::Extreme(h))
            }
        }
    }
}

#[cfg(test)]
mod tests;
