//! Exact prices of constrained resources, each with its certificate.
//!
//! # The problem
//!
//! Problem (1) of [`tollgate_core`]: queries go to models, rows limit what they use in
//! all. Its dual function
//!
//! ```text
//! D(p) = sum_r s_r p_r b_r
//!      + sum_j w_j [0 or] max_i ( v_ij - sum_{r covers (j,i)} s_r p_r m^r_ij )
//! ```
//!
//! is convex and piecewise linear; its least value over prices `p >= 0` is the optimum
//! of the problem, and the prices there are what a dual-price policy charges.
//!
//! # What is here
//!
//! * [`Auto`]: the solver to take unless there is a reason for another one.
//! * [`CuttingPlane`]: prices and a fractional answer that meet to nine digits, for
//!   every instance of the problem, and a proof where it has no answer.
//! * [`Simplex`]: the same to the last digit, with an answer at a vertex, and the better
//!   choice for many rows, heavy ties, or a problem that was solved before.
//! * Iterative methods, each to the gap that it is asked for, with a feasible fractional
//!   answer, its bound, and a proof where there is no answer: [`Subgradient`] (Polyak's or
//!   diminishing steps, run by argmin), [`PrimalDual`] (restarted primal-dual hybrid
//!   gradient, in parallel), [`SmoothedLbfgs`] (L-BFGS on a softmax), and [`Lagrangian`],
//!   OmniRouter's multiplier loop as published and repaired.
//! * [`Window`]: queries in and out, budgets and models that change, solved again from
//!   where it was.
//! * [`certificate`]: how to check an answer without trusting the solver.
//!
//! ```
//! use std::sync::Arc;
//! use tollgate_core::{Choice, Meter, Problem, Row, Scope, SolveOptions, Solver};
//! use tollgate_solvers::Auto;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Two queries, two models; the second model is better and dear.
//! let problem = Problem::builder(2, 2, Choice::AtMostOne)
//!     .table(Meter::Quality, Arc::from([0.5, 0.9, 0.6, 0.7]))
//!     .table(Meter::Cost, Arc::from([1.0, 3.0, 1.0, 3.0]))
//!     .objective(Meter::Quality, 1.0)
//!     .rows([Row::at_most(Meter::Cost, Scope::all(), 4.0)])
//!     .build()?;
//! let solution = Auto::default().solve(&problem, &SolveOptions::default(), None)?;
//! assert!((solution.primal_value - 1.5).abs() < 1e-12);
//! assert!((solution.dual_bound - 1.5).abs() < 1e-9);
//! # Ok(())
//! # }
//! ```
//!
//! # Useful for
//! Few rows, many queries: budgets, floors and capacities by the dozen, queries by the
//! million.
//!
//! # Not useful for
//! Problems with as many rows as queries, and integer programs: the fractional answer
//! splits as many queries as there are rows at most, and [`round`]
//! undoes that at the price of exactness.

mod auto;
pub mod certificate;
mod cutting_plane;
mod dense;
mod dual;
mod lagrangian;
mod operator;
mod primal_dual;
mod recovery;
mod rounding;
mod simplex;
mod smoothed_lbfgs;
mod subgradient;
mod warm;
mod window;

use std::sync::Arc;

pub use auto::Auto;
pub use cutting_plane::{CuttingPlane, CuttingPlaneConfig};
pub use lagrangian::{Lagrangian, LagrangianConfig};
pub use primal_dual::{PrimalDual, PrimalDualConfig};
pub use rounding::{Rounded, round};
pub use simplex::{Simplex, SimplexConfig};
pub use smoothed_lbfgs::{SmoothedLbfgs, SmoothedLbfgsConfig};
pub use subgradient::{Schedule, Subgradient, SubgradientConfig, SubgradientState};
use tollgate_core::Solver;
pub use warm::Warm;
pub use window::{Incoming, Window, WindowError};

/// Every solver with its defaults, in the order of this page.
pub fn all() -> Vec<Arc<dyn Solver>> {
    vec![
        Arc::new(Auto::default()),
        Arc::new(CuttingPlane::default()),
        Arc::new(Simplex::default()),
        Arc::new(Subgradient::default()),
        Arc::new(PrimalDual::default()),
        Arc::new(SmoothedLbfgs::default()),
        Arc::new(Lagrangian::default()),
    ]
}
