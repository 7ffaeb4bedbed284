//! Checking an answer without trusting the solver that gave it.
//!
//! [`dual_bound`] of *any* prices bounds every answer from above, and
//! [`Problem::check`](tollgate_core::Problem::check) of *any* answer says what it is
//! worth and which row it breaks. Where the two meet, both are optimal; neither
//! function shares code with the solvers.
//!
//! A claim that a problem has no answer is checked likewise: leave the objective out,
//! and [`dual_bound`] of the proof's prices is negative, although the value of any
//! answer would be 0.

pub use tollgate_core::{Feasibility, dual_bound};
