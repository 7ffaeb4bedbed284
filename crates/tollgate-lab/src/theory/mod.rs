//! The theory laboratory: how much a policy loses for want of foresight, and whether that is
//! as the theorems of online linear programming say.
//!
//! # Problem
//! The competitive ratio of a policy `A` on an instance `I`, a fixed multiset of queries with
//! budgets, is the mean over uniformly random orders `s`
//!
//! ```text
//! CR(A, I) = E_s [ Performance of A on s(I) ] / LP(I)                            (1)
//! ```
//!
//! `LP(I)` is the value of the linear program over the whole instance, bounded from above by
//! its dual at any prices, which costs one pass. A vertex of it splits at most `M` queries,
//! so rounding it loses at most `M max d_ij`: the program stands for the best assignment.
//!
//! Three ratios are kept apart, since three things can be lost ([`Ratios`]): for want of
//! foresight, against the program on the estimates where answers are as estimated; against
//! the approximate optimum, the papers' RP; and against the program on the truth, to which
//! what estimates are wrong by is added.
//!
//! # Method
//! [`plan`] says what is measured, [`measure`] replays it, [`checks`] holds the rows against
//! the theory. Instances come from [`TheoremRegime`] (A: the assumptions of the theorems),
//! [`Neighbors`] (B: estimates from five draws) and [`plan::Trap`]; recorded streams are
//! replayed beside them. Every run is checked for its budgets by sums of its own and against
//! its dual bound: a run that breaks either is an error, not a row.
//!
//! # References
//! Devanur and Hayes (2009), The adwords problem. Agrawal, Wang and Ye (2014), A dynamic
//! near-optimal algorithm for online linear programming. Li, Sun and Ye (2020), Simple and
//! fast algorithm for binary integer and online linear programming. Balseiro, Lu and Mirrokni
//! (2023), The best of many worlds: dual mirror descent for online allocation problems. Li
//! and Ye (2022), Online linear programming: dual convergence, new algorithms, and regret
//! bounds.

mod alpha;
pub mod checks;
mod instance;
mod lineup;
mod measure;
pub mod plan;
mod recorded;
pub mod report;
mod slope;
mod theorem;
mod world;

pub use alpha::{ALPHAS, Invariance, alphas};
pub use instance::{Bounds, Instance, Ratios};
pub use lineup::{Absent, Line, composed, labels, lineup};
pub use measure::{Case, Make, Row, measure, shuffles};
pub use recorded::recorded;
pub use slope::{Slope, power};
pub use theorem::TheoremRegime;
pub use world::{Neighbors, World};
