//! Any model, uniformly: the floor under every comparison.

use tollgate_core::{Arrival, BudgetView, Policy, PolicyError, Prices, Ranking};

/// Sends each query to a uniformly random model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Policy for Random {
    fn name(&self) -> String {
        "random".to_owned()
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        _prices: &Prices,
        _budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        out.clear();
        out.push(arrival.rng().below(arrival.estimates.quality.len()), 0.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
