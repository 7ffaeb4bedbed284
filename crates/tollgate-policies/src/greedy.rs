//! Greedy baselines: the best model by one measure, no decline.
//!
//! # Method
//! By quality, by quality per USD, or by what is left of the budget; affordable or not as
//! published, or the best whose estimate fits what is left
//! ([`within_budget`](Greedy::within_budget)).
//!
//! Quality per USD of an answer that costs nothing is taken at the least positive cost that
//! a float can have: among free answers the better one wins, and any free answer that is
//! worth something wins over every other. A free answer that is worth nothing has 0.
//!
//! # References
//! Wu and Silwal (2025), PORT, baselines Greedy-Perf, Greedy-Cost and their exact
//! twins KNN-Perf, KNN-Cost. "Cost" does not mean cheapest: it is the model with
//! the largest remaining budget, where every pick is charged at its estimate, lost
//! picks included. Dantzig (1957), Discrete-variable extremum problems,
//! doi:10.1287/opre.5.2.266: density, as in a knapsack.

use serde::{Deserialize, Serialize};
use tollgate_core::{Arrival, BudgetView, Explanation, Policy, PolicyError, Prices, Ranking};

use crate::fitting::rank_what_fits;

/// What a [`Greedy`] policy is greedy for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GreedyBy {
    /// The highest expected score: Greedy-Perf.
    Quality,
    /// The largest estimated remaining budget: Greedy-Cost.
    Budget,
    /// The highest expected score per expected USD.
    Density,
}

/// Picks the best model by one measure, affordable or not unless told otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Greedy {
    by: GreedyBy,
    within_budget: bool,
}

impl Greedy {
    /// Greedy for `by`, affordable or not.
    pub fn new(by: GreedyBy) -> Self {
        Self { by, within_budget: false }
    }

    /// Ranks only models whose estimate fits what is left.
    #[must_use]
    pub fn within_budget(self) -> Self {
        Self { within_budget: true, ..self }
    }
}

impl Policy for Greedy {
    fn name(&self) -> String {
        let by = match self.by {
            GreedyBy::Quality => "greedy-perf",
            GreedyBy::Budget => "greedy-cost",
            GreedyBy::Density => "greedy-density",
        };
        format!("{by}{}", if self.within_budget { "(within budget)" } else { "" })
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        _prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        let models = 0..arrival.estimates.quality.len();
        let measure = |model: usize| match self.by {
            GreedyBy::Quality => arrival.estimates.quality[model],
            GreedyBy::Budget => budgets.least_estimated(arrival.group, model),
            GreedyBy::Density => density(arrival, model),
        };
        if self.within_budget {
            rank_what_fits(arrival, budgets, models, measure, out);
            return Ok(());
        }
        out.clear();
        let mut best = (0, f64::NEG_INFINITY);
        for model in models {
            let score = measure(model);
            if score > best.1 {
                best = (model, score);
            }
        }
        out.push(best.0, best.1);
        Ok(())
    }

    fn explain(&self, arrival: &Arrival<'_>, _prices: &Prices, model: usize) -> Explanation {
        let quality = arrival.estimates.quality[model];
        if self.by != GreedyBy::Density {
            return Explanation::leaf("quality", quality);
        }
        let terms = vec![
            Explanation::leaf("expected quality", quality),
            Explanation::leaf("expected cost, USD", arrival.estimates.cost[model]),
        ];
        Explanation::node("quality per USD", density(arrival, model), terms)
    }
}

/// Finite for every score up to 1.
fn density(arrival: &Arrival<'_>, model: usize) -> f64 {
    arrival.estimates.quality[model] / arrival.estimates.cost[model].max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests;
