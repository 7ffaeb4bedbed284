//! Prices from the history, solved again on what is left: tollgate's own.
//!
//! # Problem
//! The history says what traffic looks like: its held-out estimates `(d^, g^)` are as
//! noisy as the estimates of the traffic to come. At arrival `t` of `N`, with budgets
//! `R_r` left, the best guess at the rest of the run is the history, scaled:
//!
//! ```text
//! max  sum_{j in history} sum_i d^_ij x_ij
//! s.t. sum over row r of g^_ij x_ij <= R_r |history| / (N - t),   sum_i x_ij <= 1      (1)
//! ```
//!
//! # Method
//! Prices of (1) before the first arrival, so nothing is spent on exploration, and
//! again every [`every`](HistoryPricesConfig::every) arrivals with the budgets that are
//! really left. The history does not change, so a re-solve starts from the last one's
//! warm state.
//!
//! # Departures from the papers
//! PORT learns prices from a prefix of the stream, which costs the prefix and fails
//! when the prefix is unlike the rest; its history is used for estimates only.
//! Re-solving with the remaining budget follows the online linear programming
//! literature, with a history in place of the arrivals seen so far.
//!
//! # References
//! Li and Ye (2022), Online linear programming: dual convergence, new algorithms, and
//! regret bounds. Agrawal, Wang and Ye (2014), A dynamic near-optimal algorithm for
//! online linear programming.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    Budgets, Choice, Horizon, Meter, ParamError, PolicyError, PriceUpdate, Pricer, Prices, Problem,
    Progress, RunSetup, Solution, SolveOptions, SolveRequest, Solver, WarmState,
};

use super::{PriceSource, one_group};

/// Knobs of [`HistoryPrices`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryPricesConfig {
    /// Arrivals from one solve to the next; 0 solves once. Default 100.
    pub every: u64,
    /// The relative gap of each solve, `>= 0`. Default 1e-6: prices are applied to
    /// estimates that are good to a few per cent.
    pub gap: f64,
}

impl Default for HistoryPricesConfig {
    fn default() -> Self {
        Self { every: 100, gap: 1e-6 }
    }
}

impl HistoryPricesConfig {
    /// Checks the knobs.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self, solver: Arc<dyn Solver>) -> Result<HistoryPrices, ParamError> {
        let Self { every, gap } = self;
        if !(gap >= 0.0 && gap.is_finite()) {
            return Err(ParamError { field: "gap", rule: "finite and >= 0", got: gap });
        }
        Ok(HistoryPrices { every, gap, solver })
    }
}

/// Prices from the history, re-solved on what is left.
#[derive(Clone, Debug)]
pub struct HistoryPrices {
    every: u64,
    gap: f64,
    solver: Arc<dyn Solver>,
}

impl PriceSource for HistoryPrices {
    fn name(&self) -> String {
        format!("history(every={})", self.every)
    }

    fn needs_history(&self) -> bool {
        true
    }

    fn start(&self, setup: &RunSetup<'_>) -> Result<Box<dyn Pricer>, PolicyError> {
        let needs = |what| PolicyError::Needs { policy: self.name(), what };
        one_group(setup, &|| self.name())?;
        let history = setup.history.ok_or_else(|| needs("held-out estimates of the history"))?;
        let problem = Problem::builder(history.n_queries(), history.n_models(), Choice::AtMostOne)
            .table(Meter::Quality, Arc::clone(history.quality()))
            .table(Meter::Cost, Arc::clone(history.cost()))
            .objective(Meter::Quality, 1.0)
            .rows(setup.budgets.rows().iter().cloned())
            .build()?;
        Ok(Box::new(HistoryPricer {
            source: self.clone(),
            budgets: setup.budgets.clone(),
            horizon: setup.horizon,
            problem,
            warm: None,
        }))
    }
}

#[derive(Debug)]
struct HistoryPricer {
    source: HistoryPrices,
    budgets: Budgets,
    horizon: Horizon,
    /// (1) with the capacities of the last solve.
    problem: Problem,
    warm: Option<WarmState>,
}

impl HistoryPricer {
    fn is_due(&self, arrival: u64) -> bool {
        match self.source.every {
            0 => arrival == 0,
            every => arrival.is_multiple_of(every),
        }
    }
}

impl Pricer for HistoryPricer {
    fn before(&mut self, progress: &Progress<'_>) -> Result<PriceUpdate, PolicyError> {
        let seen = progress.arrival.index;
        if !self.is_due(seen) {
            return Ok(PriceUpdate::Keep);
        }
        let rest = self.horizon.rest(seen, progress.arrival.time);
        let scale = self.problem.total_weight() / rest;
        let capacities = progress.budgets.remaining.iter().map(|left| left * scale);
        self.problem = self.problem.with_rows(self.budgets.rows_with(capacities))?;
        Ok(PriceUpdate::Solve(Box::new(SolveRequest {
            solver: Arc::clone(&self.source.solver),
            problem: self.problem.clone(),
            options: SolveOptions {
                gap: self.source.gap,
                primal: false,
                ..SolveOptions::default()
            },
            warm: self.warm.take(),
        })))
    }

    fn install(&mut self, solution: Solution) -> Prices {
        self.warm = solution.warm;
        Prices::of(&self.problem, solution.prices, solution.dual_bound)
    }

    fn announce(&mut self, horizon: Horizon) {
        self.horizon = horizon;
    }
}

#[cfg(test)]
mod tests;
