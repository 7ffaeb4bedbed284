//! The dual function in scaled units: what every solver of this crate evaluates.
//!
//! [`layout`] lays the options out for passes, [`passes`] sends every query to the
//! option with its best score, [`oracle`] scales rows and objective to numbers near 1
//! and turns prices into a value and a slope; [`ending`] is how every solve ends.

pub(crate) mod ending;
pub(crate) mod layout;
pub(crate) mod oracle;
pub(crate) mod passes;

pub(crate) use ending::{EXCESS, own_prices, refutation, rounding};
pub(crate) use layout::Layout;
pub(crate) use oracle::{Column, Oracle, Phase, ScaledRow, Sides, around, bound_of, scale};
