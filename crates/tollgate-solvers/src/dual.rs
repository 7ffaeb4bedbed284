//! The dual function in scaled units: what every solver of this crate evaluates.
//!
//! [`layout`] lays the options out for passes, [`passes`] sends every query to the
//! option with its best score, [`oracle`] scales rows and objective to numbers near 1
//! and turns prices into a value and a slope.

pub(crate) mod layout;
pub(crate) mod oracle;
pub(crate) mod passes;

pub(crate) use layout::Layout;
pub(crate) use oracle::{Column, Oracle, Phase, ScaledRow, Sides, bound_of, scale};
