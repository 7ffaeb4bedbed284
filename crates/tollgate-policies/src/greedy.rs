//! Greedy baselines: one pick, no fallback, no decline.
//!
//! # References
//! Wu and Silwal (2025), PORT, baselines Greedy-Perf, Greedy-Cost and their exact
//! twins KNN-Perf, KNN-Cost. "Cost" does not mean cheapest: it is the model with
//! the largest remaining budget, where every pick is charged at its estimate, lost
//! picks included.

use serde::{Deserialize, Serialize};
use tollgate_core::{Arrival, BudgetView, Policy, PolicyError, Prices, Ranking};

/// What a [`Greedy`] policy is greedy for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GreedyBy {
    /// The highest expected score: Greedy-Perf.
    Quality,
    /// The largest estimated remaining budget: Greedy-Cost.
    Budget,
}

/// Picks the best model by one measure, affordable or not.
#[derive(Clone, Copy, Debug)]
pub struct Greedy {
    by: GreedyBy,
}

impl Greedy {
    /// Greedy for `by`.
    pub fn new(by: GreedyBy) -> Self {
        Self { by }
    }
}

impl Policy for Greedy {
    fn name(&self) -> String {
        match self.by {
            GreedyBy::Quality => "greedy-perf".to_owned(),
            GreedyBy::Budget => "greedy-cost".to_owned(),
        }
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        _prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        out.clear();
        let measure = |model: usize| match self.by {
            GreedyBy::Quality => arrival.estimates.quality[model],
            GreedyBy::Budget => budgets.least_estimated(arrival.group, model),
        };
        let mut best = (0, f64::NEG_INFINITY);
        for model in 0..arrival.estimates.quality.len() {
            let score = measure(model);
            if score > best.1 {
                best = (model, score);
            }
        }
        out.push(best.0, best.1);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
