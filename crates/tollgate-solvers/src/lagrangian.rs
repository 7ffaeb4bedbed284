//! OmniRouter's multiplier loop: as published, and repaired.
//!
//! # Problem
//! The cheapest answers with a floor under the mean quality and a capacity for every
//! model, everybody served (equations (8) to (11) of the paper):
//!
//! ```text
//! min sum_ij c_ij x_ij   s.t.  sum_ij a_ij x_ij / N >= alpha,   sum_j x_ij <= L_i  (1)
//! ```
//!
//! which is problem (1) of [`tollgate_core`] with objective minus cost, a `>=` row with
//! capacity `alpha N`, and a `<=` row a model. Everything below holds for any rows.
//!
//! # Method
//! *Published.* Every query goes where it is cheapest after the multipliers, equation
//! (25), and every multiplier follows what its row lacks with a step of fixed length,
//! equations (22) and (23):
//!
//! ```text
//! i(j) = argmin_i  c_ij - l1 a_ij / N + l2_i                                      (25)
//! l1   = max(0, l1 + s1 (alpha - mean quality))                                   (22)
//! l2_i = max(0, l2_i + s2 (queries at i - L_i))                                   (23)
//! ```
//!
//! The answer is the last assignment; whether it keeps the rows is luck.
//!
//! *Repaired.* The same loop, with what it lacks:
//!
//! * rows and objective are scaled to numbers near 1, so that one length of step fits
//!   multipliers of 4 and of 3e-4;
//! * steps are Polyak's, or fall with the root of the number of iterations;
//! * multipliers and assignments are averaged over the later part of the loop;
//! * a feasible fractional answer is mixed from what was visited, with the bound beside
//!   it, and a problem without answer is proved to be one: see the page of the recovery;
//! * on demand, that answer is rounded to whole queries.
//!
//! # Departures
//! Published: the paper names neither the lengths of the steps nor a limit nor a rule to
//! stop. The defaults, 0.05 for both, 300 iterations, and an end when multipliers move by
//! less than 1e-4 (of `L_i` for capacities), are those of a third party's
//! re-implementation: a guess, not the paper's. The multiplier of a soft row stops at its
//! penalty. A row is a floor if it is `>=`, and then measured by the mean over queries; a
//! `<=` row is measured by its sum.
//!
//! # References
//! * K. Mei et al. (2025), "OmniRouter: Budget and performance controllable multi-LLM
//!   routing", SIGKDD Explorations 27(2):107-116, arXiv:2502.20576, equations (22) to
//!   (25).
//! * T. Larsson, M. Patriksson, A.-B. Stromberg (1999), "Ergodic, primal convergence in
//!   dual subgradient schemes for convex programming", doi:10.1007/s101070050090.

use serde::{Deserialize, Serialize};
use tollgate_core::{
    ParamError, Primal, Problem, Sense, Solution, SolveError, SolveOptions, Solver, Status,
    WarmState,
};

use crate::recovery::{self, Halt, Level, Look, Mean, Method, Recovery};
use crate::subgradient::Schedule;

mod published;

/// Knobs of [`Lagrangian`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LagrangianConfig {
    /// Whether the loop is the repaired one. Default `true`.
    pub repaired: bool,
    /// `s1`, the step of `>=` rows, `> 0`: published, in multiplier per mean of the row's
    /// meter; repaired, in scaled units. Default `1.0`, published `0.05`.
    pub floor_step: f64,
    /// `s2`, the step of `<=` rows, `> 0`: published, in multiplier per unit of the row;
    /// repaired, in scaled units; of Polyak's steps only the ratio to `s1` matters.
    /// Default `1.0`, published `0.05`.
    pub capacity_step: f64,
    /// Repaired: how steps go on from there. Default [`Schedule::Polyak`].
    pub schedule: Schedule,
    /// Published: at most this many iterations. Default `300`.
    pub iterations: u64,
    /// Published: ends when no multiplier moves by more than this, `<=` rows by more than
    /// this times their capacity, `>= 0`. Default `1e-4`.
    pub tolerance: f64,
    /// Repaired: whether a check also asks for the dual function at the prices of the
    /// mixture. Default `true`.
    pub polish: bool,
    /// Repaired: whether the answer is rounded to whole queries. Default `false`.
    pub integer: bool,
}

impl Default for LagrangianConfig {
    fn default() -> Self {
        Self::repaired()
    }
}

impl LagrangianConfig {
    /// The loop of the paper.
    #[must_use]
    pub fn published() -> Self {
        Self { repaired: false, floor_step: 0.05, capacity_step: 0.05, ..Self::repaired() }
    }

    /// The loop with what it lacks.
    #[must_use]
    pub fn repaired() -> Self {
        Self {
            repaired: true,
            floor_step: 1.0,
            capacity_step: 1.0,
            schedule: Schedule::Polyak,
            iterations: 300,
            tolerance: 1e-4,
            polish: true,
            integer: false,
        }
    }

    /// Sets [`floor_step`](Self::floor_step).
    #[must_use]
    pub fn floor_step(mut self, floor_step: f64) -> Self {
        self.floor_step = floor_step;
        self
    }

    /// Sets [`capacity_step`](Self::capacity_step).
    #[must_use]
    pub fn capacity_step(mut self, capacity_step: f64) -> Self {
        self.capacity_step = capacity_step;
        self
    }

    /// Sets [`schedule`](Self::schedule).
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Sets [`iterations`](Self::iterations).
    #[must_use]
    pub fn iterations(mut self, iterations: u64) -> Self {
        self.iterations = iterations;
        self
    }

    /// Sets [`tolerance`](Self::tolerance).
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Sets [`polish`](Self::polish).
    #[must_use]
    pub fn polish(mut self, polish: bool) -> Self {
        self.polish = polish;
        self
    }

    /// Sets [`integer`](Self::integer).
    #[must_use]
    pub fn integer(mut self, integer: bool) -> Self {
        self.integer = integer;
        self
    }

    /// Checks the knobs.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self) -> Result<Lagrangian, ParamError> {
        let Self { floor_step, capacity_step, tolerance, .. } = self;
        for (field, got) in [("floor_step", floor_step), ("capacity_step", capacity_step)] {
            if !(got > 0.0 && got.is_finite()) {
                return Err(ParamError { field, rule: "finite and > 0", got });
            }
        }
        if !(tolerance >= 0.0 && tolerance.is_finite()) {
            let rule = "finite and >= 0";
            return Err(ParamError { field: "tolerance", rule, got: tolerance });
        }
        if self.iterations == 0 {
            return Err(ParamError { field: "iterations", rule: "at least 1", got: 0.0 });
        }
        Ok(Lagrangian { config: self })
    }
}

/// OmniRouter's multiplier loop: see the module's source for the method.
///
/// One thread, and the same bits on every machine. An iteration is one evaluation of the
/// dual function. The published loop promises no gap and finds no problem infeasible; its
/// answer is missing where its last assignment breaks a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Lagrangian {
    config: LagrangianConfig,
}

impl Default for Lagrangian {
    fn default() -> Self {
        LagrangianConfig::repaired().build().expect("the defaults are in range")
    }
}

impl Solver for Lagrangian {
    fn name(&self) -> &'static str {
        if self.config.repaired { Self::NAME } else { published::NAME }
    }

    fn solve(
        &self,
        problem: &Problem,
        options: &SolveOptions,
        warm: Option<&WarmState>,
    ) -> Result<Solution, SolveError> {
        if !self.config.repaired {
            return published::solve(&self.config, problem, options, warm);
        }
        let solution = recovery::solve(self, problem, options, warm)?;
        Ok(if self.config.integer { rounded(problem, options, solution) } else { solution })
    }
}

impl Method for Lagrangian {
    const NAME: &'static str = "lagrangian";

    fn polish(&self) -> bool {
        self.config.polish
    }

    fn descend(&self, recovery: &mut Recovery<'_, '_>, start: &[f64]) -> Halt {
        let rows = self.steps(recovery);
        match self.walk(recovery, start, &rows) {
            Ok(()) => recovery.settle(),
            Err(halt) => halt,
        }
    }
}

impl Lagrangian {
    /// Of each row, in scaled units: longer where prices are naturally high.
    fn steps(&self, recovery: &Recovery<'_, '_>) -> Vec<f64> {
        let rows = recovery.problem.rows().iter().zip(recovery.oracle.rows);
        let step = |sense: Sense| match sense {
            Sense::AtLeast => self.config.floor_step,
            Sense::AtMost => self.config.capacity_step,
        };
        rows.map(|(row, scaled)| step(row.sense) * scaled.natural_price).collect()
    }

    /// (22) and (23), until nothing moves any more.
    fn walk(
        &self,
        recovery: &mut Recovery<'_, '_>,
        start: &[f64],
        steps: &[f64],
    ) -> Result<(), Halt> {
        let caps = recovery.caps();
        let (mut mean, mut level) = (Mean::default(), Level::new(start.len()));
        let mut prices = start.to_vec();
        let mut look = recovery.look(&prices)?;
        for age in 1.. {
            let rate = match self.config.schedule {
                Schedule::Diminishing => 1.0 / (f64::from(age).sqrt() * largest(&look)),
                Schedule::Polyak => {
                    let target = level.target(recovery.best(), recovery.value());
                    (look.bound - target) / square(&look, steps)
                }
            };
            let next = advance(&prices, &look, steps, &caps, rate);
            if next == prices {
                return Ok(());
            }
            let moves = next.iter().zip(&prices).map(|(a, b)| (a - b).powi(2));
            level.walked(moves.sum::<f64>().sqrt());
            prices = next;
            look = recovery.look(&prices)?;
            mean.add(recovery, rate, &prices, &look);
            if recovery.due() {
                mean.offer(recovery)?;
                recovery.check()?;
            }
        }
        Ok(())
    }
}

/// The square of the slope in the norm that the steps make.
fn square(look: &Look, steps: &[f64]) -> f64 {
    look.slope.iter().zip(steps).map(|(left, step)| step * left * left).sum()
}

/// What the row furthest from its capacity is away.
fn largest(look: &Look) -> f64 {
    look.slope.iter().fold(0.0, |most, left| most.max(left.abs()))
}

fn advance(prices: &[f64], look: &Look, steps: &[f64], caps: &[f64], rate: f64) -> Vec<f64> {
    let rate = if rate.is_finite() { rate } else { 0.0 };
    let parts = prices.iter().zip(&look.slope).zip(steps.iter().zip(caps));
    parts
        .map(|((price, left), (step, cap))| (price - rate * step * left).max(0.0).min(*cap))
        .collect()
}

/// The same with whole queries, repaired. Without an answer where a row stays broken.
fn rounded(problem: &Problem, options: &SolveOptions, mut solution: Solution) -> Solution {
    let Some(rounded) = crate::round(problem, &solution) else { return solution };
    let (primal, value) = judged(problem, rounded.assignment.into_iter().collect());
    solution.gap = Solution::relative_gap(solution.dual_bound, value);
    (solution.primal, solution.primal_value) = (primal, value);
    if solution.status == Status::Optimal && solution.gap > options.gap {
        solution.status = Status::LimitReached;
    }
    solution
}

/// An answer and its value, if it keeps every hard row and serves whom it must.
fn judged(problem: &Problem, primal: Primal) -> (Option<Primal>, f64) {
    let check = problem.check(&primal);
    let kept = check.worst_row.is_none_or(|row| {
        let size = problem.rows()[row].capacity.abs().max(check.used[row].abs());
        check.violation <= 1e-12 * size
    });
    if kept && check.choice_violation <= 0.0 {
        (Some(primal), check.value)
    } else {
        (None, f64::NEG_INFINITY)
    }
}

#[cfg(test)]
#[path = "lagrangian/tests.rs"]
mod tests;
