//! From shares to one model a query, for every kind of row: the core's
//! [`round`](tollgate_core::round), tested here on what solvers answer.

pub use tollgate_core::{Rounded, round};

#[cfg(test)]
#[path = "rounding/tests.rs"]
mod tests;
