//! Exact prices by stabilized cutting planes.
//!
//! # Problem
//! The least value of the dual function of problem (1) of [`tollgate_core`],
//!
//! ```text
//! min D(p)   over 0 <= p_r <= penalty_r,                                          (1)
//! D(p) = max over assignments x of   v(x) + sum_r p_r (b_r - a_r(x))              (2)
//! ```
//!
//! in scaled units: `v(x)` is what an assignment of all queries is worth, `a_r(x)` what
//! it uses of row `r`. `D` is convex and piecewise linear, a piece an assignment.
//!
//! # Method
//! One pass over the options, every query to its best one, evaluates (2) at some prices
//! and yields the assignment that is best there: a *cut* of `D` (Kelley, 1960), and at
//! the same time a *column* of the Dantzig-Wolfe reformulation of the primal (1960),
//!
//! ```text
//! max sum_k v(x_k) share_k   s.t. sum_k a_r(x_k) share_k <= b_r,  sum_k share_k = 1   (3)
//! ```
//!
//! The linear program (3) over the columns known so far is tiny; its value bounds the
//! optimum from below, its duals are the next prices. Where `D` and (3) meet, both are
//! optimal. There are finitely many assignments, so they do meet; that they meet soon
//! takes three things:
//!
//! * **Smoothing.** `D` is evaluated between the best prices so far and those of (3)
//!   (Wentges, 1997), as much between as the slope of `D` there advises (Pessoa et
//!   al., 2018). When that adds nothing, the step is repeated closer to (3).
//! * **A box** around good prices, which (3) may not leave. The first good prices come
//!   from every eighth query, whose own come from every eighth of those; or from an
//!   earlier solve. As the gap falls the box is drawn closer around the prices asked for
//!   lately. If it is in the way in the end, it is widened and the loop goes on; `D` is
//!   convex, so a minimum inside the box is the minimum.
//! * **Folding.** Most queries choose the same all over the box. They are folded into
//!   constants, and a pass looks at the rest only. Nothing is approximated by that.
//!
//! A pass costs `O(N M meters)`, the linear program `O(columns K)` a pivot. The answer is
//! the mixture in (3), moved to a vertex: at most `K` queries are split.
//!
//! The box also keeps (3) solvable when no mixture keeps every hard row: what exceeds a
//! row is charged at the box's upper side. While something does at a price far above the
//! natural one, the same loop is run *without objective* for the least total violation.
//! If that is positive, its prices prove that there is no answer.
//!
//! # Departures
//! Wentges smooths the prices of an unrestricted master; here the master is restricted
//! to the box as well, for the sake of folding. A pass over folded queries counts in
//! [`Solution::passes`] for the share of queries that it looks at, and so do the samples;
//! [`Solution::iterations`] counts the evaluations on the problem itself, without those
//! on samples.
//!
//! # References
//! * J. E. Kelley (1960), "The cutting-plane method for solving convex programs",
//!   doi:10.1137/0108053.
//! * G. B. Dantzig, P. Wolfe (1960), "Decomposition principle for linear programs",
//!   doi:10.1287/opre.8.1.101.
//! * P. Wentges (1997), "Weighted Dantzig-Wolfe decomposition for linear mixed-integer
//!   programming", doi:10.1016/S0969-6016(97)00001-4.
//! * A. Pessoa, R. Sadykov, E. Uchoa, F. Vanderbeck (2018), "Automation and combination
//!   of linear-programming based stabilization techniques in column generation",
//!   doi:10.1287/ijoc.2017.0784.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    Meter, ParamError, Problem, Solution, SolveError, SolveOptions, Solver, WarmState,
};

pub(crate) mod master;
mod run;
mod search;
mod vertex;

use crate::Warm;
use crate::dual::{self, Column, Layout, Oracle};
use run::Run;

const NAME: &str = "cutting-plane";

/// Knobs of [`CuttingPlane`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CuttingPlaneConfig {
    /// The first weight of the best prices so far against the master's, in `[0, 1)`; it
    /// adapts. 0 starts as Kelley's own method. Default `0.5`.
    pub smoothing: f64,
    /// The highest price of a hard row before it is asked whether the row can be kept at
    /// all, in units of its natural price (objective per usage when every query goes
    /// anywhere), `>= 1`. Default `64`.
    pub ceiling: f64,
    /// Whether the answer is moved to a vertex, which splits at most one query a row.
    /// Default `true`.
    pub vertex: bool,
}

impl Default for CuttingPlaneConfig {
    fn default() -> Self {
        Self { smoothing: 0.5, ceiling: 64.0, vertex: true }
    }
}

impl CuttingPlaneConfig {
    /// Sets [`smoothing`](Self::smoothing).
    #[must_use]
    pub fn smoothing(mut self, smoothing: f64) -> Self {
        self.smoothing = smoothing;
        self
    }

    /// Sets [`ceiling`](Self::ceiling).
    #[must_use]
    pub fn ceiling(mut self, ceiling: f64) -> Self {
        self.ceiling = ceiling;
        self
    }

    /// Sets [`vertex`](Self::vertex).
    #[must_use]
    pub fn vertex(mut self, vertex: bool) -> Self {
        self.vertex = vertex;
        self
    }

    /// Checks the knobs.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self) -> Result<CuttingPlane, ParamError> {
        let Self { smoothing, ceiling, vertex } = self;
        if !(0.0..1.0).contains(&smoothing) {
            return Err(ParamError { field: "smoothing", rule: "in [0, 1)", got: smoothing });
        }
        if !(ceiling >= 1.0 && ceiling.is_finite()) {
            return Err(ParamError { field: "ceiling", rule: "finite and >= 1", got: ceiling });
        }
        Ok(CuttingPlane { smoothing, ceiling, vertex })
    }
}

/// The exact solver: see the module's source for the method.
///
/// One thread, and the same bits on every machine. A gap that arithmetic can't close is
/// reported as [`LimitReached`](tollgate_core::Status::LimitReached).
#[derive(Clone, Debug, PartialEq)]
pub struct CuttingPlane {
    smoothing: f64,
    ceiling: f64,
    vertex: bool,
}

impl Default for CuttingPlane {
    fn default() -> Self {
        CuttingPlaneConfig::default().build().expect("the defaults are in range")
    }
}

/// What the next solve may use again, beside the prices.
#[derive(Debug)]
struct Known {
    layout: Arc<Layout>,
    objective: [u64; Meter::ALL.len()],
    /// They hold whatever the capacities and penalties of the rows.
    columns: Vec<Column>,
}

impl Solver for CuttingPlane {
    fn name(&self) -> &'static str {
        NAME
    }

    fn solve(
        &self,
        problem: &Problem,
        options: &SolveOptions,
        warm: Option<&WarmState>,
    ) -> Result<Solution, SolveError> {
        let warm = warm.and_then(Warm::in_state);
        let layout = match warm.and_then(Warm::own::<Known>) {
            Some(known) if known.layout.fits(problem) => Arc::clone(&known.layout),
            _ => Arc::new(Layout::new(problem)),
        };
        let (rows, unit) = dual::scale(problem, &layout);
        let mut oracle = Oracle::new(problem, &layout, &rows, unit);
        let mut run = Run { solver: self, problem, options, iterations: 0 };
        let start = run.start(&mut oracle, &layout, warm);
        let found = run.solve(&mut oracle, start);
        run.finish(found, &mut oracle, &layout)
    }
}

/// The objective's weights, to be compared bit for bit.
fn objective_bits(problem: &Problem) -> [u64; Meter::ALL.len()] {
    Meter::ALL.map(|meter| problem.objective(meter).to_bits())
}

#[cfg(test)]
#[path = "cutting_plane/tests.rs"]
mod tests;
