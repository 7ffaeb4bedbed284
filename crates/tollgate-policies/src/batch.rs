//! Batches: the best of each batch for everything that is left, or for what is due.
//!
//! # Problem
//! Arrivals are collected in batches, and each batch is assigned by the linear program (1)
//! of the core over the batch. As published, each batch is assigned as if it were the last:
//! the capacities are the whole estimated remainders of the budgets, and early batches
//! spend what later ones would have needed.
//!
//! Paced, a batch of `b` after `t` of `N` arrivals has as capacity of a budget `B`, of
//! which `R` is left by estimates,
//!
//! ```text
//! min(R, b B / N + s)         where s = R - B (N - t) / N >= 0
//! R b / (N - t)               where s < 0                                        (2)
//! ```
//!
//! Its own share of the budget, and all that earlier batches have left of theirs, `s`; what
//! they have overdrawn is spread over all the batches to come. The last batch may use all
//! of `R`, and so may whatever comes after the horizon.
//!
//! # Departures from the paper
//! The published baseline solves a binary program by branch and bound; here the
//! linear program is solved exactly, rounded and repaired. At most one query a row
//! is fractional at a vertex, so little is lost. Pacing is ours.
//!
//! # References
//! Wu and Silwal (2025), PORT, baseline `BatchSplit` (batches of 256).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    Arrival, BudgetView, Choice, Hold, Meter, ParamError, Policy, PolicyError, Prices, Problem,
    Ranking, Row, RunSetup, SolveOptions, Solver, round_and_repair,
};

use crate::fitting::rank_assigned;
use crate::setup::horizon;

/// Knobs of [`BatchSplit`]. Unchecked until [`build`](Self::build) or
/// [`build_paced`](Self::build_paced).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchSplitConfig {
    /// Arrivals that are decided together, `>= 1`. Default 256.
    pub batch: usize,
}

impl Default for BatchSplitConfig {
    fn default() -> Self {
        Self { batch: 256 }
    }
}

impl BatchSplitConfig {
    /// Each batch for everything that is left, as published.
    ///
    /// # Errors
    /// [`ParamError`] when `batch` is 0.
    pub fn build(self, solver: Arc<dyn Solver>) -> Result<BatchSplit, ParamError> {
        self.check(solver, Pace::Everything)
    }

    /// Each batch for what is due: equation (2).
    ///
    /// # Errors
    /// [`ParamError`] when `batch` is 0.
    pub fn build_paced(self, solver: Arc<dyn Solver>) -> Result<BatchSplit, ParamError> {
        self.check(solver, Pace::Due { horizon: None })
    }

    fn check(self, solver: Arc<dyn Solver>, pace: Pace) -> Result<BatchSplit, ParamError> {
        let Self { batch } = self;
        if batch == 0 {
            return Err(ParamError { field: "batch", rule: ">= 1", got: 0.0 });
        }
        Ok(BatchSplit { batch, pace, solver })
    }
}

/// How much of the remainder a batch may use.
#[derive(Clone, Copy, Debug)]
enum Pace {
    Everything,
    Due {
        /// Known once it is adapted to a run.
        horizon: Option<u64>,
    },
}

/// Assigns each batch as if it were the last, or to what is due.
#[derive(Clone, Debug)]
pub struct BatchSplit {
    batch: usize,
    pace: Pace,
    solver: Arc<dyn Solver>,
}

impl BatchSplit {
    /// The capacity of each budget for a batch.
    fn capacities(
        &self,
        arrivals: &[Arrival<'_>],
        budgets: &BudgetView<'_>,
    ) -> Result<Vec<f64>, PolicyError> {
        let left = budgets.remaining_estimated;
        let horizon = match self.pace {
            Pace::Everything => return Ok(left.to_vec()),
            Pace::Due { horizon } => {
                horizon.ok_or_else(|| PolicyError::not_adapted(self.name()))?
            }
        };
        let seen = arrivals.first().map_or(0, |arrival| arrival.index);
        let (batch, rest) = (arrivals.len() as f64, horizon.saturating_sub(seen) as f64);
        let rows = left.iter().zip(budgets.budgets.rows()).zip(budgets.budgets.holds());
        let capacity = |((&left, row), hold): ((&f64, &Row), &Option<Hold>)| match hold {
            // Free places are there to be taken.
            Some(_) => left,
            None => due(left, row.capacity, batch, rest, horizon),
        };
        Ok(rows.map(capacity).collect())
    }
}

/// Equation (2), with `rest = N - t`.
fn due(left: f64, capacity: f64, batch: f64, rest: f64, horizon: u64) -> f64 {
    if batch >= rest {
        return left;
    }
    let each = capacity / horizon as f64;
    let saved = left - each * rest;
    if saved >= 0.0 { left.min(batch * each + saved) } else { left * batch / rest }
}

impl Policy for BatchSplit {
    fn name(&self) -> String {
        match self.pace {
            Pace::Everything => "batch-split".to_owned(),
            Pace::Due { .. } => "batch-paced".to_owned(),
        }
    }

    fn adapt(&self, setup: &RunSetup<'_>) -> Result<Option<Arc<dyn Policy>>, PolicyError> {
        if matches!(self.pace, Pace::Everything) {
            return Ok(None);
        }
        let horizon = Some(horizon(setup, || self.name())?);
        Ok(Some(Arc::new(Self { pace: Pace::Due { horizon }, ..self.clone() })))
    }

    fn batch_size(&self) -> usize {
        self.batch
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        self.rank_batch(std::slice::from_ref(arrival), prices, budgets, std::slice::from_mut(out))
    }

    fn rank_batch(
        &self,
        arrivals: &[Arrival<'_>],
        _prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut [Ranking],
    ) -> Result<(), PolicyError> {
        let problem = problem_of(arrivals, budgets, self.capacities(arrivals, budgets)?)?;
        let solution = self.solver.solve(&problem, &SolveOptions::default(), None)?;
        // The all-declined answer is always feasible here, so a primal always exists.
        let assignment = solution
            .primal
            .map_or_else(|| vec![None; arrivals.len()], |p| round_and_repair(&problem, &p));
        rank_assigned(&problem, &assignment, out);
        Ok(())
    }
}

fn problem_of(
    arrivals: &[Arrival<'_>],
    budgets: &BudgetView<'_>,
    capacities: Vec<f64>,
) -> Result<Problem, PolicyError> {
    let column = |meter| -> Arc<[f64]> {
        arrivals
            .iter()
            .flat_map(|arrival| arrival.estimates.meter(meter).unwrap_or_default())
            .copied()
            .collect()
    };
    let rows = budgets.budgets.rows_with(capacities);
    Ok(Problem::builder(arrivals.len(), budgets.budgets.n_models(), Choice::AtMostOne)
        .table(Meter::Quality, column(Meter::Quality))
        .table(Meter::Cost, column(Meter::Cost))
        .objective(Meter::Quality, 1.0)
        .groups(arrivals.iter().map(|arrival| arrival.group).collect())
        .rows(rows)
        .build()?)
}

#[cfg(test)]
mod tests;
