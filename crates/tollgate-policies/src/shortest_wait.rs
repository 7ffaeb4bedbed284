//! The model whose answer is expected soonest.
//!
//! # Method
//! Each query goes to the model with the least expected latency
//! ([`Arrival::latency`]: wait and service), of those whose estimate fits what is left. Where
//! nobody measures latency, the least expected cost stands in for it: for one model a longer
//! answer costs more, and the cheapest answer is likely to be a short one. Ties go to the model
//! whose name sorts first. Quality does not matter.
//!
//! # Departures from the paper
//! S3 predicts how many tokens an answer will have, and packs answers into batches of one
//! model's accelerator by that prediction, so that its memory is used well; what overflows is
//! preempted. Here the prediction picks among models, as in the baseline of that name in
//! ECCOS and OmniRouter, and batching is the business of whoever serves the model.
//!
//! # References
//! Jin, Wu, Brooks and Wei (2023), S3: Increasing GPU utilization during generative inference
//! for higher throughput, arXiv:2306.06000. Mei et al. (2025), arXiv:2502.20576,
//! baseline "S3".

use tollgate_core::{Arrival, BudgetView, Explanation, Policy, PolicyError, Prices, Ranking};

use crate::fitting::rank_what_fits;

/// Sends each query to the model whose answer is expected soonest.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShortestWait;

impl Policy for ShortestWait {
    fn name(&self) -> String {
        "shortest-wait".to_owned()
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        _prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        let models = 0..arrival.estimates.quality.len();
        rank_what_fits(arrival, budgets, models, |model| 0.0 - length(arrival, model).1, out);
        Ok(())
    }

    fn explain(&self, arrival: &Arrival<'_>, _prices: &Prices, model: usize) -> Explanation {
        let (what, length) = length(arrival, model);
        Explanation::node("sooner is better", 0.0 - length, vec![Explanation::leaf(what, length)])
    }
}

/// What tells how long an answer takes, and what it reads.
fn length(arrival: &Arrival<'_>, model: usize) -> (&'static str, f64) {
    match arrival.latency {
        Some(seconds) => ("expected latency, s", seconds[model]),
        None => ("expected cost, USD", arrival.estimates.cost[model]),
    }
}

#[cfg(test)]
mod tests;
