//! Rows in any order.

use tollgate_core::{Purpose, Seed};

/// The numbers below `n` in any order: another one for every `stream` of a fit.
pub(crate) fn shuffled(n: usize, seed: Seed, stream: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    seed.stream(Purpose::Fit, stream).shuffle(&mut order);
    order
}
