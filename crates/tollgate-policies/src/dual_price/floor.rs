//! Prices that hold a floor under the mean score of a stream, at the least cost.
//!
//! # Problem
//! Problem (1) of the [floor's page](crate::FloorConfig) while the queries of the window come
//! one by one: what is still to come is unknown, and what has been achieved is luck in part.
//!
//! # Method
//! An [`Outlook`] stands for the rest. At arrival 0, 1, 2, 4, 8, and so on, and then every so
//! many, prices of
//!
//! ```text
//! min  sum_j w_j sum_i c^_ij x_ij
//! s.t. sum_j w_j sum_i q^_ij x_ij >= W t,   the budgets,   sum_i x_ij = 1             (1)
//! ```
//!
//! are solved for again, with the target `t` that the account of the window asks of the rest,
//! as [`Errors`] of the last prices on the history correct it. Scores that are told enter the
//! account, so the price on quality follows what has really been achieved.
//!
//! As long as no score has been told, `t` has a margin for all that is not known. From the first
//! one on it follows a *course*: who will hear how things go need not keep everything in reserve
//! from the start, and who is behind near the best that models can do cannot catch up, so how
//! much to keep, and when, is a problem of its own. Of scores that are told for a sample only,
//! the others still need their margin.
//!
//! All rows of (1) are soft, at a penalty far above what quality costs anywhere: where the floor
//! is out of reach, the best that can be had is what the prices lead to, and where budgets are
//! short the guard keeps them.
//!
//! Where the pool of models changes, the price source that goes on takes the account over, and
//! learns a course of its own; answers under way then are taken to score the floor. A floor that
//! is given as a share of the way is looked up again, on the new pool's history.
//!
//! *Time.* A second of expected latency may have a price in USD. It is one more meter in the
//! scores of an arrival, beside what quality is worth and what the answer costs, and where it
//! sends queries to other models the account of the window takes note.
//!
//! # Departures from the paper
//! OmniRouter solves for each window with its queries known. Neither margin nor feedback are in
//! the paper.
//!
//! # References
//! Mei et al. (2025), OmniRouter, arXiv:2502.20576. Li and Ye (2022) for re-solving on what is
//! left.

use std::sync::Arc;

use tollgate_core::{
    Budgets, Choice, Feedback, Horizon, Meter, PolicyError, PriceUpdate, Pricer, Prices, Problem,
    Progress, Row, RunSetup, Scope, ScoreAccount, Solution, SolveOptions, SolveRequest, Solver,
    WarmState,
};

use super::outlook::{Ahead, Outlook};
use super::{PriceSource, pace, sample, ties};
use crate::floor::{Account, Course, Errors, Floor, Plan, Rehearsal};
use crate::setup::history;

/// Prices that hold a floor.
#[derive(Clone, Debug)]
pub struct FloorPrices {
    floor: Floor,
    solver: Arc<dyn Solver>,
}

impl FloorPrices {
    pub(crate) fn new(floor: Floor, solver: Arc<dyn Solver>) -> Self {
        Self { floor, solver }
    }
}

/// Arrivals that the outlook remembers.
const REMEMBERED: usize = 4_000;
/// What a unit of a row is worth, in units of the dearest answer of the history: far above what
/// a unit of quality costs where it can be had.
const PENALTY: f64 = 1e4;

impl PriceSource for FloorPrices {
    fn name(&self) -> String {
        self.floor.label()
    }

    fn needs_history(&self) -> bool {
        true
    }

    fn start(&self, setup: &RunSetup<'_>) -> Result<Box<dyn Pricer>, PolicyError> {
        let name = || self.name();
        let history = history(setup, name)?;
        let rehearsal = Rehearsal::new(history.clone());
        let dearest = history.cost().iter().copied().fold(0.0, f64::max);
        let window = self.floor.config().window;
        let queries = match (window, setup.horizon) {
            (0, Horizon::Arrivals(all)) => all,
            (0, _) => history.n_queries() as u64,
            (window, _) => window,
        };
        let scores = setup.so_far.and_then(|so_far| so_far.scores);
        let queries = usize::try_from(queries).unwrap_or(usize::MAX);
        let alpha = self.floor.alpha(&rehearsal);
        // Costs that are all 0 need no penalty to be kept.
        let penalty = PENALTY * if dearest > 0.0 { dearest } else { 1.0 };
        let rows = softened(pace::rows_at_start(setup, rehearsal.n_prompts() as f64), penalty);
        let asked = (queries as f64, alpha);
        Ok(Box::new(Steering {
            alpha,
            z: self.floor.quantile(&rehearsal, queries),
            course: self.floor.course(&rehearsal, asked, &rows, &*self.solver)?,
            errors: rehearsal.of_best(),
            rehearsal,
            penalty,
            outlook: Outlook::Rest.start(setup, REMEMBERED, &name)?,
            floor: self.floor.clone(),
            solver: Arc::clone(&self.solver),
            budgets: setup.budgets.clone(),
            horizon: setup.horizon,
            first: setup.arrivals(),
            next: 0,
            window: scores.map(|scores| self.floor.window_of(scores.since)),
            account: scores.map(Account::resume).unwrap_or_default(),
            target: 0.0,
            problem: None,
            warm: None,
        }))
    }
}

/// The prices of the budgets' rows, with the last row's for a weight of quality in the
/// objective: (1) without its floor, where a unit of quality is worth the floor's price. What a
/// second costs is for scores at arrival: how long a query to come will wait nobody knows.
fn weighed(problem: &Problem, mut prices: Vec<f64>, dual_bound: f64, per_second: f64) -> Prices {
    let (Some(worth), Some((floor, budgets))) = (prices.pop(), problem.rows().split_last()) else {
        return Prices::unset();
    };
    // Not `-0`, which would be another number in explanations.
    let time = if per_second > 0.0 { -per_second } else { 0.0 };
    let objective = [(Meter::Cost, -1.0), (Meter::Quality, worth), (Meter::Latency, time)];
    match problem.restated(&objective, problem.choice()).with_rows(budgets.to_vec()) {
        Ok(weighed) => Prices::of(&weighed, prices, dual_bound + worth * floor.capacity),
        // Its rows are those of a problem that was built.
        Err(_) => Prices::unset(),
    }
}

/// Rows of budgets that may be broken, each at what a unit of its own meter costs.
fn softened(rows: Vec<Row>, penalty: f64) -> Vec<Row> {
    let soft = rows.into_iter().map(|row| {
        // Money beyond a budget is worth so many times itself.
        let of_row = if row.meter == Meter::Cost { PENALTY } else { penalty };
        row.soft(of_row)
    });
    soft.collect()
}

/// The run state of [`FloorPrices`].
#[derive(Debug)]
struct Steering {
    floor: Floor,
    alpha: f64,
    z: f64,
    /// For when scores are told. Computed beforehand, since nobody who asks for a model is to wait
    /// for it.
    course: Option<Course>,
    rehearsal: Rehearsal,
    /// Of the last prices, on the history.
    errors: Errors,
    penalty: f64,
    solver: Arc<dyn Solver>,
    outlook: Box<dyn Ahead>,
    budgets: Budgets,
    horizon: Horizon,
    /// The arrival that this pool of models began with.
    first: u64,
    /// The arrival that the next solve is due at.
    next: u64,
    /// The window that the account is of.
    window: Option<u64>,
    account: Account,
    /// The mean expectation that (1) asked for at the last solve.
    target: f64,
    /// (1) of the last solve.
    problem: Option<Problem>,
    warm: Option<WarmState>,
}

impl Steering {
    /// Begins another account where a window begins.
    fn turn_page(&mut self, arrival: u64) {
        let window = self.floor.window_of(arrival);
        if self.window != Some(window) {
            self.window = Some(window);
            self.account.begin(arrival);
            self.next = arrival;
        }
    }

    /// How many arrivals of the window are still to come, this one included.
    fn rest(&self, progress: &Progress<'_>) -> f64 {
        let arrival = progress.arrival;
        let rest = self.horizon.rest(arrival.index, arrival.time);
        match self.floor.config().window {
            0 => rest,
            length => rest.min((length - arrival.index % length) as f64),
        }
    }

    /// The mean that the rest is asked to be expected to score.
    fn target(&self, rest: f64) -> f64 {
        let Self { account, alpha, z, errors, .. } = self;
        match &self.course {
            Some(course) if account.is_steered() => {
                account.target_on(course, (*alpha, *z), errors, rest)
            }
            _ => account.target(*alpha, *z, errors, rest),
        }
    }

    /// Arrivals to the next solve, at most: where scores are told, an eighth of what is left, as
    /// courses have it.
    fn patience(&self, rest: f64) -> u64 {
        if !self.account.is_steered() {
            return u64::MAX;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let eighth = (rest / 8.0) as u64;
        eighth.max(1)
    }

    /// The rows of (1) over queries of this weight in all.
    fn rows(&mut self, progress: &Progress<'_>, rest: f64, weight: f64) -> Vec<Row> {
        let target = self.target(rest).clamp(0.0, 1.0);
        let floor = Row::at_least(Meter::Quality, Scope::all(), target * weight);
        self.target = target;
        let mut rows = softened(pace::rows(self.horizon, progress, weight), self.penalty);
        rows.push(floor.soft(self.penalty));
        rows
    }

    fn due(&mut self, progress: &Progress<'_>) -> Result<Option<SolveRequest>, PolicyError> {
        let seen = progress.arrival.index;
        self.turn_page(seen);
        if seen < self.next {
            return Ok(None);
        }
        let rest = self.rest(progress);
        let Some(queries) = self.outlook.problem(progress, rest)? else { return Ok(None) };
        let rows = self.rows(progress, rest, queries.total_weight());
        let queries = queries.restated(&[(Meter::Cost, -1.0)], Choice::ExactlyOne);
        let problem = queries.with_rows(rows)?;
        let since = seen.saturating_sub(self.first).max(1);
        let patience = self.patience(rest);
        self.next = seen + since.min(self.floor.config().every).min(patience);
        self.problem = Some(problem.clone());
        let (gap, primal) = (self.floor.config().gap, self.outlook.has_ties());
        let options = SolveOptions { gap, primal, ..SolveOptions::default() };
        let solver = Arc::clone(&self.solver);
        Ok(Some(SolveRequest { solver, problem, options, warm: self.warm.take() }))
    }
}

impl Pricer for Steering {
    fn before(&mut self, progress: &Progress<'_>) -> Result<PriceUpdate, PolicyError> {
        let due = self.due(progress)?;
        self.outlook.see(progress);
        let arrival = progress.arrival;
        let plan = Plan { target: self.target, bias: self.errors.bias };
        self.account.arrive(arrival.index, arrival.estimates.quality, plan);
        Ok(due.map_or(PriceUpdate::Keep, |request| PriceUpdate::Solve(Box::new(request))))
    }

    fn install(&mut self, solution: Solution) -> Prices {
        let Some(problem) = &self.problem else { return Prices::unset() };
        let shares =
            solution.primal.as_ref().map(|primal| ties::shares(problem, &solution.prices, primal));
        let per_second = self.floor.config().per_second;
        let prices = weighed(problem, solution.prices, solution.dual_bound, per_second);
        let prices = sample::charged(prices, &self.budgets);
        if let Some(coefficients) = prices.coefficients() {
            self.errors = self.rehearsal.at(coefficients);
        }
        self.warm = solution.warm;
        match shares {
            Some(shares) => prices.with_tie_shares(shares),
            None => prices,
        }
    }

    fn announce(&mut self, horizon: Horizon) {
        self.horizon = horizon;
        self.next = 0;
    }

    fn observe(&mut self, feedback: &Feedback) {
        self.account.answer(feedback.arrival, feedback.model, feedback.quality);
    }

    fn scores(&self) -> Option<ScoreAccount> {
        Some(self.account.scores())
    }
}

#[cfg(test)]
mod tests;
