//! Batches: the best of each batch for everything that is left.
//!
//! # Problem
//! Arrivals are collected in batches. Each batch is assigned as if it were the last:
//! the linear program (1) of the core over the batch, with the whole estimated
//! remainder of every budget as capacity.
//!
//! # Departures from the paper
//! The published baseline solves a binary program by branch and bound; here the
//! linear program is solved exactly, rounded and repaired. At most one query a row
//! is fractional at a vertex, so little is lost.
//!
//! # References
//! Wu and Silwal (2025), PORT, baseline `BatchSplit` (batches of 256).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    Arrival, BudgetView, Choice, Meter, ParamError, Policy, PolicyError, Prices, Problem, Ranking,
    SolveOptions, Solver, round_and_repair,
};

/// Knobs of [`BatchSplit`]. Unchecked until [`build`](Self::build).
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
    /// Checks the knobs.
    ///
    /// # Errors
    /// [`ParamError`] when `batch` is 0.
    pub fn build(self, solver: Arc<dyn Solver>) -> Result<BatchSplit, ParamError> {
        let Self { batch } = self;
        if batch == 0 {
            return Err(ParamError { field: "batch", rule: ">= 1", got: 0.0 });
        }
        Ok(BatchSplit { batch, solver })
    }
}

/// Assigns each batch as if it were the last.
#[derive(Clone, Debug)]
pub struct BatchSplit {
    batch: usize,
    solver: Arc<dyn Solver>,
}

impl Policy for BatchSplit {
    fn name(&self) -> String {
        "batch-split".to_owned()
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
        let problem = problem_of(arrivals, budgets)?;
        let solution = self.solver.solve(&problem, &SolveOptions::default(), None)?;
        // The all-declined answer is always feasible here, so a primal always exists.
        let assignment = solution
            .primal
            .map_or_else(|| vec![None; arrivals.len()], |p| round_and_repair(&problem, &p));
        for (query, (ranking, pick)) in out.iter_mut().zip(assignment).enumerate() {
            ranking.clear();
            match pick {
                Some(model) => ranking.push(model as usize, problem.value(query, model as usize)),
                None => ranking.set_unaffordable(),
            }
        }
        Ok(())
    }
}

fn problem_of(arrivals: &[Arrival<'_>], budgets: &BudgetView<'_>) -> Result<Problem, PolicyError> {
    let column = |meter| -> Arc<[f64]> {
        arrivals
            .iter()
            .flat_map(|arrival| arrival.estimates.meter(meter).unwrap_or_default())
            .copied()
            .collect()
    };
    let rows = budgets.budgets.rows_with(budgets.remaining_estimated.iter().copied());
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
