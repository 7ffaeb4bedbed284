//! The solver's side of the contract: a problem in, certified prices out.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Primal, Problem, SolveError};

/// Solves problem (1). Never knows what a budget is for.
pub trait Solver: fmt::Debug + Send + Sync {
    /// The name in reports and in the registry.
    fn name(&self) -> &str;

    /// Limits, stalls and infeasibility are a [`Status`] inside the [`Solution`],
    /// which carries a dual bound whatever the status.
    ///
    /// The answer depends on the problem, the options and the warm state alone;
    /// a warm state of another problem or solver may be passed and is then ignored.
    ///
    /// # Errors
    /// [`SolveError`] only where the arithmetic broke down, with the number that shows it.
    fn solve(
        &self,
        problem: &Problem,
        options: &SolveOptions,
        warm: Option<&WarmState>,
    ) -> Result<Solution, SolveError>;
}

/// A relative gap: `(dual - primal) / max(|dual|, |primal|)`, 0 where both are 0.
pub type Gap = f64;

/// When to stop.
#[derive(Clone, Debug)]
pub struct SolveOptions {
    /// The relative gap to reach, `>= 0`. Default `1e-9`.
    pub gap: Gap,
    /// At most this many iterations. Default `10_000`.
    pub max_iterations: u64,
    /// Raised by another thread to stop early.
    pub cancel: Option<Arc<AtomicBool>>,
    /// Whether an answer for every query is wanted, and not only prices with what they
    /// prove. A solver that saves time by it leaves [`Solution::primal`] empty; its value
    /// and the gap are still there. Default `true`.
    pub primal: bool,
}

impl Default for SolveOptions {
    fn default() -> Self {
        Self { gap: 1e-9, max_iterations: 10_000, cancel: None, primal: true }
    }
}

impl SolveOptions {
    /// Whether somebody has raised the cancel flag.
    pub fn cancelled(&self) -> bool {
        self.cancel.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

/// How a solve ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Status {
    /// The gap was reached.
    Optimal,
    /// The iteration limit came first; bound and primal are valid, the gap is not reached.
    LimitReached,
    /// Cancelled; bound and primal are valid, the gap is not reached.
    Cancelled,
    /// No answer keeps every hard row.
    Infeasible {
        /// The rows that cannot be kept together.
        rows: Vec<usize>,
        /// Prices of those rows that prove it: at these prices, with the objective
        /// left out, the dual function is negative.
        proof: Vec<f64>,
        /// The least total violation, each row in units of its own scale.
        violation: f64,
    },
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Optimal => f.write_str("optimal"),
            Self::LimitReached => f.write_str("limit reached"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Infeasible { rows, violation, .. } => {
                write!(f, "infeasible: rows {rows:?}, by {violation:e}")
            }
        }
    }
}

/// What a solver found.
#[derive(Clone, Debug)]
pub struct Solution {
    /// How it ended.
    pub status: Status,
    /// One price a row, `>= 0`, in objective per unit of the row's meter.
    pub prices: Vec<f64>,
    /// `D(prices)`: no answer is worth more.
    pub dual_bound: f64,
    /// What the best answer known is worth, whether it is in [`primal`](Self::primal) or was
    /// not wanted; `-inf` where none is known.
    pub primal_value: f64,
    /// A feasible fractional answer, where the solver has one and it was wanted.
    pub primal: Option<Primal>,
    /// The relative gap reached.
    pub gap: Gap,
    /// Iterations, in the solver's own unit.
    pub iterations: u64,
    /// Full passes over the options: the unit that solvers share.
    pub passes: u64,
    /// Pass it to the next solve of a similar problem.
    pub warm: Option<WarmState>,
}

impl Solution {
    /// The relative gap between a bound and a value; infinite where there is no answer
    /// (`-inf`).
    pub fn relative_gap(dual_bound: f64, primal_value: f64) -> Gap {
        if primal_value == f64::NEG_INFINITY {
            return f64::INFINITY;
        }
        let scale = dual_bound.abs().max(primal_value.abs());
        if scale == 0.0 { 0.0 } else { (dual_bound - primal_value) / scale }
    }
}

/// What a solver wants to remember; opaque to everybody else.
#[derive(Clone)]
pub struct WarmState(Arc<dyn Any + Send + Sync>);

impl WarmState {
    /// Wraps a solver's own state.
    pub fn new<T: Any + Send + Sync>(state: T) -> Self {
        Self(Arc::new(state))
    }

    /// The state, if it is of type `T`.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for WarmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WarmState(..)")
    }
}
