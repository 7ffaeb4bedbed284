//! What a run came to, in the words of the PORT paper.

use serde::Serialize;

/// The outcome of one replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// Sum of the true scores of the served queries.
    pub performance: f64,
    /// Sum of their true costs, in USD.
    pub cost: f64,
    /// How many queries were served: the paper's Throughput.
    pub served: u64,
    /// How many were declined: no model worth its price, or the drop arm.
    pub declined: u64,
    /// How many were lost: the picked model's true cost did not fit.
    pub lost: u64,
    /// How many had nothing affordable worth trying.
    pub unaffordable: u64,
}

impl Metrics {
    /// Performance per USD; `None` where nothing was spent.
    pub fn ppc(&self) -> Option<f64> {
        (self.cost > 0.0).then(|| self.performance / self.cost)
    }
}

/// Where the time of one replay went. Kept apart from results, which must be
/// byte-identical from run to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Timings {
    /// Arrivals replayed.
    pub arrivals: u64,
    /// Microseconds to fit the estimator and estimate all arrivals, in batches.
    pub estimate_us: f64,
    /// Microseconds to rank, reserve and settle all arrivals.
    pub route_us: f64,
    /// Microseconds in the solver.
    pub solve_us: f64,
    /// How often prices were solved for.
    pub solves: u64,
    /// Solves that ended in another status than optimal.
    pub unfinished_solves: u64,
}
