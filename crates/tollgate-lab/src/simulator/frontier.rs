//! Quality, cost and the slowest answers as the price on time moves.

use std::sync::Arc;

use serde::Serialize;
use tollgate::core::Policy;

use super::{LoadMetrics, Simulation};
use crate::LabError;

/// One price on time, and what it comes to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FrontierPoint {
    /// The price, in quality per second.
    pub per_second: f64,
    /// The mean score over all arrivals, what was not answered counting 0.
    pub quality: f64,
    /// The true cost of all answers, in USD.
    pub cost: f64,
    /// The 99th percentile of the latency, in seconds.
    pub p99: f64,
    /// Everything else.
    pub metrics: LoadMetrics,
}

/// Simulates the same traffic for each price on time; `policy` makes the policy of a price.
///
/// # Errors
/// [`LabError`] as [`Simulation::run`], and whatever `policy` refuses.
pub fn frontier(
    simulation: &Simulation<'_>,
    per_second: &[f64],
    policy: impl Fn(f64) -> Result<Arc<dyn Policy>, LabError>,
) -> Result<Vec<FrontierPoint>, LabError> {
    let point = |&per_second: &f64| {
        let metrics = simulation.run(policy(per_second)?.as_ref())?.metrics;
        let (quality, cost, p99) = (metrics.success_rate(), metrics.cost, metrics.latency.p99);
        Ok(FrontierPoint { per_second, quality, cost, p99, metrics })
    };
    per_second.iter().map(point).collect()
}
