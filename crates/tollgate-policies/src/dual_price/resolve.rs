//! Prices solved again on what is left: tollgate's own.
//!
//! # Problem
//! At arrival `t` the rest of the run is unknown, and an [`Outlook`] of queries `j` with
//! weights `w_j` stands for it. With `left_r` of budget `r` to last for `rest_r` arrivals:
//!
//! ```text
//! max  sum_j w_j sum_i d^_ij x_ij
//! s.t. sum over row r of w_j g^_ij x_ij <= W left_r / rest_r,   sum_i x_ij <= 1,   W = sum_j w_j   (1)
//! ```
//!
//! # Method
//! Prices of (1), again at every arrival that its [`Schedule`] names, with the budgets that
//! are really left, from the last solve's warm state. Where a budget comes anew by the window,
//! also when a window opens and after every tenth of one. With a history there are prices before
//! the first arrival, so nothing is spent on exploration; without one the first arrivals are
//! routed at random, as the papers do.
//!
//! # Departures from the papers
//! PORT learns prices from a prefix of the stream, which costs the prefix and fails
//! when the prefix is unlike the rest; its history is used for estimates only. Re-solving with
//! the remaining budget follows the online linear programming literature, where the outlook is
//! the arrivals seen so far.
//!
//! # References
//! Li and Ye (2022), Online linear programming: dual convergence, new algorithms, and
//! regret bounds. Agrawal, Wang and Ye (2014), A dynamic near-optimal algorithm for
//! online linear programming. Chen, Li and Ye (2024) for regret that does not grow with N.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    Budgets, Horizon, Meter, ParamError, PolicyError, PriceUpdate, Pricer, Prices, Problem,
    Progress, RunSetup, Solution, SolveOptions, SolveRequest, Solver, WarmState,
};

use super::outlook::{Ahead, Outlook};
use super::{PriceSource, pace, sample, ties};

/// When prices are solved for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Before the first arrival that there is an outlook for, and never again.
    Once,
    /// Every so many arrivals.
    Every,
    /// When the arrivals have grown by a quarter, or a third of the rest has gone by: often at
    /// both ends, where prices move.
    Adaptive,
}

/// Knobs of [`Resolve`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResolveConfig {
    /// What stands for the rest of the run. Default `rest`.
    pub outlook: Outlook,
    /// When prices are solved for. Default `every`.
    pub schedule: Schedule,
    /// Arrivals from one solve to the next, under the schedule `every`; 0 solves once.
    /// Default 100.
    pub every: u64,
    /// How many arrivals are remembered, `>= 1`. Default 4,000.
    pub window: usize,
    /// The relative gap of each solve, `>= 0`. Default 1e-6: prices are applied to
    /// estimates that are good to a few per cent.
    pub gap: f64,
    /// What a second until the answer is complete costs, in quality per second, `>= 0`: the
    /// weight of latency in the objective. It shifts scores at arrival, where the arrival says
    /// how long each model will take; the price problem reads 0. Default 0.
    pub per_second: f64,
}

impl Default for ResolveConfig {
    fn default() -> Self {
        let (outlook, schedule) = (Outlook::Rest, Schedule::Every);
        Self { outlook, schedule, every: 100, window: 4_000, gap: 1e-6, per_second: 0.0 }
    }
}

impl ResolveConfig {
    /// Checks the knobs.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self, solver: Arc<dyn Solver>) -> Result<Resolve, ParamError> {
        if !(self.gap >= 0.0 && self.gap.is_finite()) {
            return Err(ParamError { field: "gap", rule: "finite and >= 0", got: self.gap });
        }
        if !(self.per_second >= 0.0 && self.per_second.is_finite()) {
            let (field, rule) = ("per_second", "finite and >= 0");
            return Err(ParamError { field, rule, got: self.per_second });
        }
        if self.window == 0 {
            return Err(ParamError { field: "window", rule: ">= 1", got: 0.0 });
        }
        Ok(Resolve { config: self, solver })
    }
}

/// Prices solved again on what is left.
#[derive(Clone, Debug)]
pub struct Resolve {
    config: ResolveConfig,
    solver: Arc<dyn Solver>,
}

impl PriceSource for Resolve {
    fn name(&self) -> String {
        let ResolveConfig { outlook, schedule, every, .. } = &self.config;
        match schedule {
            Schedule::Once => format!("{outlook}(once)"),
            Schedule::Every => format!("{outlook}(every={every})"),
            Schedule::Adaptive => format!("{outlook}(adaptive)"),
        }
    }

    fn needs_history(&self) -> bool {
        self.config.outlook.needs_history()
    }

    fn start(&self, setup: &RunSetup<'_>) -> Result<Box<dyn Pricer>, PolicyError> {
        Ok(Box::new(self.resolver(setup)?))
    }
}

impl Resolve {
    /// The arrival that the first solve is due at, or the first after it that there is an
    /// outlook for.
    fn first_solve(&self, setup: &RunSetup<'_>) -> u64 {
        let priced = setup.so_far.is_some_and(|so_far| !so_far.prices.is_empty());
        if priced && !self.needs_history() { setup.arrivals() + AFRESH } else { 0 }
    }

    pub(super) fn resolver(&self, setup: &RunSetup<'_>) -> Result<Resolver, PolicyError> {
        let ResolveConfig { outlook, window, .. } = self.config;
        Ok(Resolver {
            outlook: outlook.start(setup, window, &|| self.name())?,
            source: self.clone(),
            budgets: setup.budgets.clone(),
            horizon: setup.horizon,
            first: setup.arrivals(),
            next: Some(self.first_solve(setup)),
            window: None,
            problem: None,
            warm: None,
        })
    }
}

/// Arrivals between the change of a pool and the next solve, where prices are learned from
/// arrivals alone: until then those in force stay.
const AFRESH: u64 = 100;

/// Arrivals that an adaptive schedule waits for at first, where nothing else is known.
const FIRST: u64 = 10;

/// The run state of [`Resolve`].
#[derive(Debug)]
pub(super) struct Resolver {
    source: Resolve,
    budgets: Budgets,
    outlook: Box<dyn Ahead>,
    horizon: Horizon,
    /// The arrival that this pool of models began with.
    first: u64,
    /// The arrival that the next solve is due at.
    next: Option<u64>,
    /// The shortest window that was open at the last solve.
    window: Option<u64>,
    /// (1) of the last solve.
    problem: Option<Problem>,
    warm: Option<WarmState>,
}

impl Resolver {
    /// The solve that is due at this arrival, if one is.
    fn due(&mut self, progress: &Progress<'_>) -> Result<Option<SolveRequest>, PolicyError> {
        let seen = progress.arrival.index;
        let window = pace::window(progress);
        let opened = window.is_some_and(|(now, _)| self.window.is_some_and(|then| then != now));
        if !opened && self.next.is_none_or(|next| seen < next) {
            return Ok(None);
        }
        let rest = self.horizon.rest(seen, progress.arrival.time);
        let config = &self.source.config;
        if config.schedule == Schedule::Adaptive && !self.source.needs_history() && seen < FIRST {
            return Ok(None);
        }
        let Some(queries) = self.outlook.problem(progress, rest)? else { return Ok(None) };
        let rows = pace::rows(self.horizon, progress, queries.total_weight());
        let mut problem = queries.with_rows(rows)?;
        if config.per_second > 0.0 {
            problem = problem.with_objective(Meter::Latency, -config.per_second)?;
        }
        self.next = match config.schedule {
            Schedule::Once => None,
            Schedule::Every => (config.every > 0).then(|| seen + config.every),
            Schedule::Adaptive => Some(adaptive(seen, seen.saturating_sub(self.first), rest)),
        };
        if let Some((now, arrivals)) = window {
            let tenth = after(seen, arrivals / 10.0);
            self.next = self.next.map(|next| next.min(tenth));
            self.window = Some(now);
        }
        self.problem = Some(problem.clone());
        let primal = self.outlook.has_ties();
        let options = SolveOptions { gap: config.gap, primal, ..SolveOptions::default() };
        let solver = Arc::clone(&self.source.solver);
        Ok(Some(SolveRequest { solver, problem, options, warm: self.warm.take() }))
    }
}

/// The arrival that is so many on, at least one.
fn after(seen: u64, arrivals: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count, cut at the ends of its range"
    )]
    let arrivals = arrivals as u64;
    seen + arrivals.max(1)
}

/// The arrival at which those that are `known` have grown by a quarter, or a third of the rest
/// is gone.
fn adaptive(seen: u64, known: u64, rest: f64) -> u64 {
    after(seen, (known as f64 / 4.0).min(rest / 3.0))
}

impl Pricer for Resolver {
    fn before(&mut self, progress: &Progress<'_>) -> Result<PriceUpdate, PolicyError> {
        let due = self.due(progress)?;
        self.outlook.see(progress);
        Ok(due.map_or(PriceUpdate::Keep, |request| PriceUpdate::Solve(Box::new(request))))
    }

    fn install(&mut self, solution: Solution) -> Prices {
        let Some(problem) = &self.problem else { return Prices::unset() };
        let shares =
            solution.primal.as_ref().map(|primal| ties::shares(problem, &solution.prices, primal));
        let prices = Prices::of(problem, solution.prices, solution.dual_bound);
        let prices = sample::charged(prices, &self.budgets);
        self.warm = solution.warm;
        match shares {
            Some(shares) => prices.with_tie_shares(shares),
            None => prices,
        }
    }

    fn announce(&mut self, horizon: Horizon) {
        self.horizon = horizon;
        // What was priced for another end is priced anew at the next arrival.
        self.next = self.next.map(|_| 0);
    }
}

#[cfg(test)]
mod tests;
