//! Checking an answer without trusting the solver that gave it, and asking why.
//!
//! [`dual_bound`] of *any* prices bounds every answer from above, and
//! [`Problem::check`](tollgate_core::Problem::check) of *any* answer says what it is
//! worth and which row it breaks. Where the two meet, both are optimal; neither
//! function shares code with the solvers. [`certify`] puts them side by side.
//!
//! A claim that a problem has no answer is checked likewise: [`refutes`] leaves the
//! objective out, and the dual function of the proof's prices is negative, although the
//! value of any answer would be 0.
//!
//! * [`explain`]: why a query goes where it goes at some prices, and how far each price
//!   is from sending it elsewhere.
//! * [`capacity_ranges`]: how far each capacity may move before the prices do.
//! * [`flip`]: the change of a capacity that sends a query elsewhere.

mod flip;
mod ranges;
mod why;

pub use flip::{Flip, flip};
pub use ranges::{CapacityRange, capacity_ranges};
pub use why::{Offer, PriceFlip, Why, explain};

pub use tollgate_core::{Feasibility, dual_bound};
use tollgate_core::{Gap, Primal, Problem, Solution};

/// What prices and an answer prove together: see [`certify`].
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// `D(p)`: no answer is worth more, in the unit of the objective.
    pub dual_bound: f64,
    /// What the answer is worth and uses, and what it breaks.
    pub feasibility: Feasibility,
    /// The relative gap between the two. Below 0 only where the answer breaks a row.
    pub gap: Gap,
}

impl Certificate {
    /// Whether the answer breaks no hard row by more than `tolerance` times the row's
    /// capacity (or 1, where that is smaller), and no choice by more than `tolerance`.
    ///
    /// # Panics
    /// When `problem` has fewer rows than the problem certified.
    pub fn keeps_rows(&self, problem: &Problem, tolerance: f64) -> bool {
        let Feasibility { choice_violation, used, .. } = &self.feasibility;
        let kept = |(row, used): (&tollgate_core::Row, &f64)| {
            let excess = row.sense.sign() * (used - row.capacity);
            row.penalty.is_some() || excess <= tolerance * row.capacity.abs().max(1.0)
        };
        *choice_violation <= tolerance && problem.rows().iter().zip(used).all(kept)
    }
}

/// The bound of any prices beside the worth of any answer, in two passes over the options.
///
/// ```
/// use std::sync::Arc;
/// use tollgate_core::{Choice, Meter, Primal, Problem, Row, Scope};
/// use tollgate_solvers::certificate::certify;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let problem = Problem::builder(2, 1, Choice::AtMostOne)
///     .table(Meter::Quality, Arc::from([0.9, 0.4]))
///     .objective(Meter::Quality, 1.0)
///     .rows([Row::at_most(Meter::One, Scope::all(), 1.0)])
///     .build()?;
/// // At a price of 0.4 a query the second is worth nothing; the first is served.
/// let answer: Primal = [Some(0), None].into_iter().collect();
/// let certificate = certify(&problem, &[0.4], &answer);
/// assert!(certificate.gap.abs() < 1e-15 && certificate.keeps_rows(&problem, 0.0));
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// When `prices` or `primal` have another shape than the problem.
pub fn certify(problem: &Problem, prices: &[f64], primal: &Primal) -> Certificate {
    let dual_bound = dual_bound(problem, prices);
    let feasibility = problem.check(primal);
    let gap = Solution::relative_gap(dual_bound, feasibility.value);
    Certificate { dual_bound, feasibility, gap }
}

/// Whether these prices of these hard rows prove that no answer keeps them all.
///
/// # Panics
/// When a row is not one of the problem's.
pub fn refutes(problem: &Problem, rows: &[usize], proof: &[f64]) -> bool {
    let mut prices = vec![0.0; problem.rows().len()];
    for (&row, &price) in rows.iter().zip(proof) {
        if problem.rows()[row].penalty.is_some() {
            return false;
        }
        prices[row] = price;
    }
    dual_bound(&problem.without_objective(), &prices) < 0.0
}
