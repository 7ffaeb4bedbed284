//! Exact prices and a vertex, by the simplex method.
//!
//! # Problem
//! Problem (1) of [`tollgate_core`] in scaled units, `N` queries, `K` rows,
//!
//! ```text
//! max sum_j w_j sum_i v_ij x_ij   s.t. sum_j w_j sum_i a^r_ij x_ij <= b_r             (1)
//! ```
//!
//! and one option, or at most one, a query; and its dual function, convex and piecewise
//! linear,
//!
//! ```text
//! D(p) = sum_r p_r b_r + sum_j w_j max_i ( v_ij - sum_r p_r a^r_ij ),  0 <= p_r <= penalty_r  (2)
//! ```
//!
//! # Method
//! The dual simplex method with generalized upper bounds (Dantzig and Van Slyke, 1967).
//! Of the `N + K` constraints of (1) only `K` are in the basis: every query has a *key*,
//! an option that is best at the prices, and a *direction* for each other option, share
//! that moves from the key to it. `K` things are basic: directions of options as good as
//! their key, what a row spares where its price is 0, by how much a soft row is exceeded
//! where its price is the penalty. Each is a condition on the prices that holds with
//! equality; together they are a vertex of (2), and the basis is a `K x K` matrix `B`
//! whose inverse is kept.
//!
//! ```text
//! levels x_B = B^-1 (b - what the keys use),     prices p = (worth of the basis) B^-1      (3)
//! ```
//!
//! Where all levels are feasible (no share below 0, no key below 0, no row exceeded) the
//! vertex is the minimum of (2), and `x_B` an answer of (1) as valuable, in which at most
//! `K` queries are split. Else:
//!
//! 1. *Leaving* is what falls short by most against the length of its row of `B^-1`, the
//!    direction in which (2) falls most steeply (Forrest and Goldfarb, 1992; the lengths
//!    are computed). If it is a key, it trades places with a direction of its query.
//! 2. The prices follow that row. Wherever a query meets a better option, it changes its
//!    key and the fall of (2) becomes less steep; the walk goes on until it would rise
//!    (a *long step*: Fourer, 1994). The option that turns it, or a price that reaches 0
//!    or a penalty, is *entering*.
//! 3. A rank-one update of `B^-1`, and from scratch every so often.
//!
//! So dual feasibility always holds, any vertex may be the start, there is no first
//! phase, and each pivot gets down to the exact minimum on its line, past hundreds of
//! breakpoints. That is what makes the rest cheap:
//!
//! * **The start.** The optimal vertex of every eighth query (whose start is that of every
//!   eighth of those) is a vertex of the whole, a few pivots from its minimum. So is that
//!   of an earlier solve, under any capacities. Where only prices are known, each stays
//!   *held* until its row is met.
//! * **The field.** In a box around the start most queries keep their choice, and of the
//!   options of the others few can ever be best. A full pass finds those, and rays are
//!   followed among them, eight queries abreast. A side of the box is a bound for the time
//!   being: a price that meets it stays there until nothing else is left to do, and then
//!   the box is moved: not far where looks at the field cost more than another pass, since
//!   but for the prices in the way its middle is now better than a guess. The field is kept
//!   for the next solve.
//! * **Copies.** Queries with the same readings are solved as one; the answer is handed
//!   to them one option after the other, so that no more are split.
//!
//! A pivot costs `O(options in the field + K^2)`. Where many prices meet in one point the
//! method may stand still; after `O(K)` such pivots it starts anew from its prices with
//! values lowered by pseudo-random `1e-12` of the mean, so that no two are tied
//! (Charnes, 1952), which also ends cycles.
//!
//! A row that cannot be kept makes (2) fall forever. When it looks so, the same method
//! runs *without objective*, prices up to 1: minus the minimum is the least total
//! violation, its prices are the proof.
//!
//! # Departures
//! Dantzig and Van Slyke walk over feasible answers. Here prices are good early and rows
//! are broken until the end, so the walk is the dual one, and its leaving rule can afford
//! exact steepest edges because `K` is small. A query that has basic directions does not
//! change its key in a long step, since that would lose more than one tie.
//!
//! [`Solution::iterations`] counts pivots, those on samples included; [`Solution::passes`]
//! counts options looked at, against those of the problem.
//!
//! # References
//! * G. B. Dantzig, R. M. Van Slyke (1967), "Generalized upper bounding techniques",
//!   doi:10.1016/S0022-0000(67)80015-8.
//! * C. E. Lemke (1954), "The dual method of solving the linear programming problem",
//!   doi:10.1002/nav.3800010107.
//! * J. J. Forrest, D. Goldfarb (1992), "Steepest-edge simplex algorithms for linear
//!   programming", doi:10.1007/BF01581089.
//! * R. Fourer (1994), "Notes on the dual simplex method", unpublished (long steps).
//! * A. Charnes (1952), "Optimality and degeneracy in linear programming",
//!   doi:10.2307/1907845.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    ParamError, Problem, Solution, SolveError, SolveOptions, Solver, Status, WarmState,
};

mod answer;
mod field;
mod gather;
mod merge;
mod program;
mod start;
mod walk;

use crate::dual::{self, Layout, Oracle, Phase, ScaledRow, bound_of};
use crate::warm::{WARM_ERROR, Warm};
use field::Field;
use merge::Merged;
use program::Program;
use start::{Found, Search, around};
use walk::{Effort, End, Saved, Start};

/// The same of a row that nobody knows, against a tenth of its natural price.
const UNKNOWN: f64 = 20.0;
/// How wrong prices are expected to be after a fall that looked endless.
const LOST: f64 = 4.0;
const NAME: &str = "simplex";

/// Knobs of [`Simplex`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimplexConfig {
    /// Whether queries with the same readings are solved as one, where there seem to be
    /// many of them. Default `true`.
    pub merge: bool,
    /// Pivots between two inversions of the basis from scratch, `>= 1`. Default `64`.
    pub refactor: u32,
    /// By how much values are changed to break ties once they hold up the method, relative
    /// to the mean value of a query, in `(0, 1e-6]`. Default `1e-12`.
    pub perturbation: f64,
}

impl Default for SimplexConfig {
    fn default() -> Self {
        Self { merge: true, refactor: 64, perturbation: 1e-12 }
    }
}

impl SimplexConfig {
    /// Sets [`merge`](Self::merge).
    #[must_use]
    pub fn merge(mut self, merge: bool) -> Self {
        self.merge = merge;
        self
    }

    /// Sets [`refactor`](Self::refactor).
    #[must_use]
    pub fn refactor(mut self, refactor: u32) -> Self {
        self.refactor = refactor;
        self
    }

    /// Sets [`perturbation`](Self::perturbation).
    #[must_use]
    pub fn perturbation(mut self, perturbation: f64) -> Self {
        self.perturbation = perturbation;
        self
    }

    /// Checks the knobs.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self) -> Result<Simplex, ParamError> {
        let Self { merge, refactor, perturbation } = self;
        if refactor == 0 {
            return Err(ParamError { field: "refactor", rule: ">= 1", got: 0.0 });
        }
        if !(perturbation > 0.0 && perturbation <= 1e-6) {
            let rule = "in (0, 1e-6]";
            return Err(ParamError { field: "perturbation", rule, got: perturbation });
        }
        Ok(Simplex { merge, knobs: Knobs { refactor, perturbation } })
    }
}

/// The exact solver: see the module's source for the method.
///
/// One thread, and the same bits on every machine. Before its end it has prices and a
/// bound, but no answer: a solve that is stopped has no [`Solution::primal`].
#[derive(Clone, Debug, PartialEq)]
pub struct Simplex {
    merge: bool,
    knobs: Knobs,
}

/// What a walk is told.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Knobs {
    refactor: u32,
    perturbation: f64,
}

impl Default for Simplex {
    fn default() -> Self {
        SimplexConfig::default().build().expect("the defaults are in range")
    }
}

/// The queries, as they are solved.
#[derive(Debug)]
struct Laid {
    layout: Layout,
    merged: Option<Merged>,
}

impl Laid {
    fn new(problem: &Problem, merge: bool) -> Self {
        let layout = Layout::new(problem);
        let merged = if merge { Merged::new(&layout) } else { None };
        Self { layout, merged }
    }

    /// The distinct queries.
    fn distinct(&self) -> &Layout {
        self.merged.as_ref().map_or(&self.layout, |merged| &merged.layout)
    }
}

/// What the next solve may use again, beside the prices.
#[derive(Debug)]
struct Known {
    laid: Arc<Laid>,
    merge: bool,
    basis: Vec<Saved>,
    keys: Vec<u32>,
    /// Where the solve ended; good for programs that share fields with this one.
    field: Option<(Program, Field)>,
}

impl Solver for Simplex {
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
        let laid = match warm.and_then(Warm::own::<Known>) {
            Some(known) if known.merge == self.merge && known.laid.layout.fits(problem) => {
                Arc::clone(&known.laid)
            }
            _ => Arc::new(Laid::new(problem, self.merge)),
        };
        let (rows, unit) = dual::scale(problem, &laid.layout);
        let oracle = Oracle::new(problem, laid.distinct(), &rows, unit);
        let mut run = Run {
            solver: self,
            problem,
            options,
            laid: &laid,
            rows: &rows,
            unit,
            oracle,
            effort: Effort::default(),
        };
        let (status, found, program) = run.solve(warm);
        run.finish(status, found, program)
    }
}

/// One solve.
#[derive(Debug)]
struct Run<'r> {
    solver: &'r Simplex,
    problem: &'r Problem,
    options: &'r SolveOptions,
    laid: &'r Arc<Laid>,
    rows: &'r [ScaledRow],
    unit: f64,
    oracle: Oracle<'r>,
    effort: Effort,
}

impl Run<'_> {
    /// The minimum of the dual function, or a proof that it has none.
    fn solve(&mut self, warm: Option<&Warm>) -> (Status, Found, Program) {
        let program = self.program(Phase::Objective);
        let start = warm.and_then(|warm| self.start(&program, warm));
        let found = self.minimize(&program, start, false);
        let (status, found) = match found.end {
            End::Endless => self.endless(&program, found),
            end => (status_of(end), found),
        };
        (status, found, program)
    }

    fn program(&self, phase: Phase) -> Program {
        Program::new(self.problem, &self.laid.layout, self.rows, self.unit, phase)
    }

    fn minimize(&mut self, program: &Program, start: Option<Start>, feasible: bool) -> Found {
        let layout = self.laid.distinct();
        let (knobs, options, effort) = (self.solver.knobs, self.options, self.effort);
        let mut search = Search { program, knobs, options, effort };
        let start = start.unwrap_or_else(|| search.sampled(layout));
        let found = search.minimize(layout, start, feasible);
        self.effort = search.effort;
        found
    }

    /// What an earlier solve left, as far as it belongs to rows of this problem. A row that
    /// nobody knows starts at no price, and may have any.
    fn start(&self, program: &Program, warm: &Warm) -> Option<Start> {
        let known = warm.prices_for_most(self.problem.rows())?;
        let prices: Vec<f64> = known
            .iter()
            .zip(self.rows)
            .map(|(price, row)| price.unwrap_or(0.0) / row.price_unit)
            .collect();
        if !prices.iter().all(|price| price.is_finite()) {
            return None;
        }
        let n_queries = self.laid.distinct().n_queries();
        let own = warm.own::<Known>().filter(|own| Arc::ptr_eq(&own.laid, self.laid));
        let same_rows = warm.has_rows(self.problem.rows());
        let (basis, keys) = match own {
            Some(own) if same_rows => (own.basis.clone(), own.keys.clone()),
            Some(own) => (Vec::new(), own.keys.clone()),
            None => (Vec::new(), vec![field::NONE; n_queries]),
        };
        let errors: Vec<f64> =
            known.iter().map(|price| if price.is_some() { WARM_ERROR } else { UNKNOWN }).collect();
        let sides = Some(around(program, &prices, &errors));
        let field = own.and_then(|own| own.field.as_ref());
        let field = field.filter(|(of, _)| same_rows && of.shares_fields(program));
        let field = field.map(|(_, field)| field.clone());
        Some(Start { prices, basis, sides, keys, noise: 0.0, field })
    }

    /// The dual function seems to fall forever. Leaves the objective out to see: the least
    /// of what is left is minus the least total violation.
    fn endless(&mut self, program: &Program, lost: Found) -> (Status, Found) {
        let rows_alone = self.program(Phase::Feasibility);
        let proof = self.minimize(&rows_alone, None, true);
        let phase = Phase::Feasibility;
        let column = self.oracle.evaluate(&proof.prices, phase);
        let bound = bound_of(&self.oracle, &column, &proof.prices, phase);
        if let Some(refuted) = dual::refutation(self.rows, &proof.prices, bound) {
            return (refuted, lost);
        }
        if proof.end != End::Optimal {
            return (status_of(proof.end), lost);
        }
        let sides = Some(around(program, &lost.prices, &vec![LOST; lost.prices.len()]));
        let Found { prices, keys, .. } = lost;
        let start = Start { prices, basis: Vec::new(), sides, keys, noise: 0.0, field: None };
        let found = self.minimize(program, Some(start), true);
        (status_of(found.end), found)
    }

    /// The answer, in the problem's own units.
    fn finish(
        mut self,
        status: Status,
        found: Found,
        program: Program,
    ) -> Result<Solution, SolveError> {
        let optimal = status == Status::Optimal;
        let worth = found.worth.filter(|_| optimal && !self.options.primal);
        let dual_bound = if let Some([bound, _]) = worth {
            bound * self.unit
        } else {
            self.effort.options += walk::options_of(self.laid.distinct());
            self.oracle.bound(&found.prices)
        };
        let prices = dual::own_prices(
            self.problem,
            self.rows,
            (&found.prices, dual_bound),
            (NAME, self.effort.pivots),
        )?;
        let (distinct, merged) = (self.laid.distinct(), self.laid.merged.as_ref());
        let primal = (optimal && worth.is_none())
            .then(|| answer::primal(self.problem, distinct, merged, &found));
        let primal_value = match (&primal, worth) {
            (Some(primal), _) => self.problem.check(primal).value,
            (None, Some([_, value])) => value * self.unit,
            (None, None) => f64::NEG_INFINITY,
        };
        let met = self.met(&found.prices, dual_bound, primal_value);
        let status = if optimal && !met { Status::LimitReached } else { status };
        let passes = self.effort.options / walk::options_of(&self.laid.layout).max(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let passes = passes.ceil() as u64;
        let known = Known {
            laid: Arc::clone(self.laid),
            merge: self.solver.merge,
            basis: found.basis,
            keys: found.keys,
            // Values with noise in them are not those of the problem.
            field: found.worth.filter(|_| optimal).map(|_| (program, found.field)),
        };
        let warm = Warm::state(self.problem.rows().to_vec(), prices.clone(), known);
        Ok(Solution {
            status,
            prices,
            dual_bound,
            primal_value,
            primal,
            gap: Solution::relative_gap(dual_bound, primal_value),
            iterations: self.effort.pivots,
            passes,
            warm: Some(warm),
        })
    }

    /// Whether bound and value meet, but for rounding.
    fn met(&self, prices: &[f64], dual_bound: f64, primal_value: f64) -> bool {
        let size = dual_bound.abs().max(primal_value.abs());
        let rounding = dual::rounding(self.rows, prices) * self.unit;
        dual_bound - primal_value <= self.options.gap * size + rounding
    }
}

fn status_of(end: End) -> Status {
    match end {
        End::Optimal => Status::Optimal,
        End::Cancelled => Status::Cancelled,
        End::Limit | End::Stalled | End::Endless => Status::LimitReached,
    }
}

#[cfg(test)]
#[path = "simplex/tests.rs"]
mod tests;
