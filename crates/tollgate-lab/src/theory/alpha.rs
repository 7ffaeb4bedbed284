//! Whether the unit of value matters.
//!
//! PORT's code weighs quality by `alpha` against prices that it keeps in `[0, 1]`. Without
//! the box the dual is homogeneous: `alpha` times the values gives `alpha` times the prices
//! and the same decisions, so `alpha` is a unit and no knob. A box makes a knob of it.

use tollgate::core::{Outcome, Seed};

use super::{Neighbors, World, composed};
use crate::LabError;

/// What [`alphas`] tries.
pub const ALPHAS: [f64; 5] = [1e-6, 1e-4, 1e-2, 1.0, 64.0];

/// Performance for each of [`ALPHAS`], and the share of the arrivals that are decided
/// otherwise than with the first of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Invariance {
    /// Performance.
    pub performance: Vec<f64>,
    /// The largest share of arrivals that another `alpha` decides otherwise.
    pub differs: f64,
}

/// Runs `port` or `port-reference` on generator B with each of [`ALPHAS`].
///
/// # Errors
/// [`LabError`] of the first run that fails.
pub fn alphas(policy: &str, n: usize) -> Result<Invariance, LabError> {
    let setting = Neighbors::of(&World::fixture(), Seed(5));
    let instance = Neighbors { n, ..setting }.instance();
    let mut performance = Vec::new();
    let mut first: Vec<Outcome> = Vec::new();
    let mut differs = 0.0_f64;
    for alpha in ALPHAS {
        let policy = composed(&format!("{policy}:alpha={alpha}"))?.policy;
        let run = instance.replay(policy.as_ref(), Seed(5))?;
        performance.push(run.metrics.performance);
        if first.is_empty() {
            first = run.outcomes;
            continue;
        }
        let others = first.iter().zip(&run.outcomes).filter(|(a, b)| a != b).count();
        differs = differs.max(others as f64 / n as f64);
    }
    Ok(Invariance { performance, differs })
}
