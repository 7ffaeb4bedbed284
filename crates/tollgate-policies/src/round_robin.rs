//! Each model in its turn.
//!
//! # Method
//! Arrival `t` goes to model `t mod M`, or to the next in the cycle whose estimate fits
//! what is left. Whose turn it is depends on the arrival's index alone, so a model that is
//! passed over is not owed another turn, and nothing has to be remembered.

use tollgate_core::{Arrival, BudgetView, Explanation, Policy, PolicyError, Prices, Ranking};

use crate::fitting::rank_what_fits;

/// Sends each query to the next model that can be paid for.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

impl Policy for RoundRobin {
    fn name(&self) -> String {
        "round-robin".to_owned()
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        _prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        let n_models = arrival.estimates.quality.len();
        let first = usize::try_from(arrival.index % n_models as u64).unwrap_or(0);
        let cycle = (first..n_models).chain(0..first);
        // Of equal scores the one named first is the best.
        rank_what_fits(arrival, budgets, cycle, |_| 0.0, out);
        Ok(())
    }

    fn explain(&self, _arrival: &Arrival<'_>, _prices: &Prices, _model: usize) -> Explanation {
        Explanation::leaf("its turn", 0.0)
    }
}

#[cfg(test)]
mod tests;
