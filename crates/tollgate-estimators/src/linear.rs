//! Models that are linear in a few numbers of a prompt: what [`Factors`](crate::Factors) and
//! [`RandomSlopes`](crate::RandomSlopes) share.
//!
//! They differ in the numbers, and in what is thought of a model's coefficients before its
//! labels are known. Equation numbers are those of `factors.rs`, where (3) to (5) say how labels
//! change what is thought.

mod gaussian;
mod known;
pub(crate) mod left_out;
mod lore;
mod table;
mod target;

pub(crate) use self::gaussian::{Gaussian, Gram, Prior};
pub(crate) use self::known::{Coefficients, Linear};
pub(crate) use self::lore::LinearLore;
pub(crate) use self::table::Tables;
pub(crate) use self::target::{Basis, Covariances, Raw, Target};
