//! The model with the most room.
//!
//! # Method
//! Each query goes to the model with the largest free share of its places: over the concurrent
//! rows that touch it ([`Budgets::concurrent`]) the least of `remaining / capacity`, or, where
//! no such row does, over all rows that touch it. Only models whose estimate fits what is left
//! are looked at, and ties go to the model whose name sorts first. Neither quality nor cost
//! matters, beyond that it can be paid for.
//!
//! # Departures from the papers
//! The balance-aware baseline of ECCOS looks at the number of requests of each model. A share
//! says the same where models have the same number of slots, and does not overload a small one
//! where they have not.
//!
//! # References
//! Mei et al. (2025), ECCOS (later OmniRouter), arXiv:2502.20576, baseline "balance-aware".
//!
//! [`Budgets::concurrent`]: tollgate_core::Budgets::concurrent

use tollgate_core::{Arrival, BudgetView, Explanation, Policy, PolicyError, Prices, Ranking};

use crate::fitting::rank_what_fits;

/// Sends each query to the model with the largest free share of its places.
#[derive(Clone, Copy, Debug, Default)]
pub struct Balance;

impl Policy for Balance {
    fn name(&self) -> String {
        "balance".to_owned()
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        _prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        let models = 0..arrival.estimates.quality.len();
        let room = |model: usize| free_share(budgets, arrival.group, model);
        rank_what_fits(arrival, budgets, models, room, out);
        Ok(())
    }

    fn explain(&self, _arrival: &Arrival<'_>, _prices: &Prices, _model: usize) -> Explanation {
        // What is left is not known any more when somebody asks.
        Explanation::leaf("the room it had", 0.0)
    }
}

/// The least free share of what a model's answers take, in `[0, 1]`; 1 where they take nothing.
fn free_share(budgets: &BudgetView<'_>, group: u32, model: usize) -> f64 {
    let (rows, holds) = (budgets.budgets.rows(), budgets.budgets.holds());
    let touching = || budgets.budgets.touching(group, model).iter().map(|&row| row as usize);
    let concurrent = touching().any(|row| holds[row].is_some());
    let share = |row: usize| match rows[row].capacity {
        capacity if capacity > 0.0 => budgets.remaining[row] / capacity,
        // A row of nothing has no room.
        _ => 0.0,
    };
    let counted = touching().filter(|&row| holds[row].is_some() == concurrent);
    counted.map(share).fold(1.0, f64::min)
}

#[cfg(test)]
mod tests;
