//! Traffic in time: when queries come, how long answers take, and who is busy.
//!
//! # Problem
//! A replay answers every query at once. In service an answer takes seconds, a model answers
//! so many queries at a time, and what comes while all its slots are taken waits or is turned
//! away. Whether a policy is good depends on that.
//!
//! # Method
//! A discrete-event simulation. Queries of a [`Stream`] come when an arrival process says
//! ([`Arrivals`]); a model has slots and a speed ([`Service`]), and an answer takes
//!
//! ```text
//! seconds = time to first token + output tokens / tokens per second                    (1)
//! ```
//!
//! At each arrival the policy is told what is expected of each model, its latency included:
//! the wait, from what is in the slots and the queue, plus (1) on the tokens that are expected.
//! Its ranking is walked from the best down to a model that has a place. The place is a row of
//! the budgets that comes back with the answer ([`Budgets::concurrent`]), so a policy sees
//! places free up like any other budget, and prices may charge for them.
//!
//! Of events at the same moment answers come before arrivals, and answers in the order in which
//! they began. Everything random is drawn from the stream's seed.
//!
//! # How it differs from replay
//! What a query is expected to consume is reserved while it waits and is answered, and the real
//! consumption is settled when the answer is there: what does not fit then is booked as overrun.
//! A replay checks the true cost beforehand, and loses what does not fit. Scores and costs reach
//! the policy and its prices with the answer, not before. Every arrival is decided alone: a
//! policy of batches has batches of one.
//!
//! # References
//! Law (2015), Simulation Modeling and Analysis, 5th edition, chapter 1: the next-event method.
//! Little (1961), doi:10.1287/opre.9.3.383, which every finished run obeys exactly.

mod arrivals;
mod events;
mod frontier;
mod lengths;
mod metrics;
mod run;
mod service;
mod station;

use tollgate::core::{
    Budgets, EstimateTable, Hold, Ledger, Meter, Policy, Prices, Row, Scope, Turnover,
};

use crate::{LabError, Stream, Timings};

pub use arrivals::{Arrivals, ArrivalsConfig};
pub use events::{Answer, Event, Fate, What};
pub use frontier::{FrontierPoint, frontier};
pub use lengths::Lengths;
pub use metrics::{LoadMetrics, Spread};
pub use service::{Overflow, Service, ServiceConfig, Speed};

/// What is simulated: a stream with its times, and who serves it.
#[derive(Clone, Copy, Debug)]
pub struct Simulation<'a> {
    /// The arrivals, their times, their truth, and the budgets beside places.
    pub stream: &'a Stream,
    /// Slots, speeds, and what happens when all slots are taken.
    pub service: &'a Service,
    /// Output tokens of every option.
    pub lengths: &'a Lengths,
    /// What is expected of each arrival, in arrival order.
    pub estimates: &'a EstimateTable,
    /// Held-out estimates of the history, where the policy needs them.
    pub history: Option<&'a EstimateTable>,
    /// Whether declining is not allowed.
    pub must_serve: bool,
}

/// What one simulation came to.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// The sums.
    pub metrics: LoadMetrics,
    /// What became of each arrival, in arrival order.
    pub fates: Vec<Fate>,
    /// Everything that happened, in order.
    pub events: Vec<Event>,
    /// Where the time of the computer went.
    pub timings: Timings,
    /// The prices at the end.
    pub prices: Prices,
    /// The ledger at the end.
    pub ledger: Ledger,
}

impl Simulation<'_> {
    /// Lets the stream run through a policy until the last answer is there.
    ///
    /// # Errors
    /// [`LabError`] where the parts do not fit each other, the policy can't start, or a solve
    /// breaks down.
    pub fn run(&self, policy: &dyn Policy) -> Result<Simulated, LabError> {
        self.check()?;
        run::run(self, policy)
    }

    /// The stream's budgets, and after them a row of places for each model in turn.
    ///
    /// A model with `s` slots and a queue of `q` has `s + q` places. When all are taken a place
    /// is held for `(s + q) / s` answers' time: its turn in the queue, and its own.
    ///
    /// # Errors
    /// [`LabError`] where the service is for another number of models.
    pub fn budgets(&self) -> Result<Budgets, LabError> {
        let (stream, service) = (self.stream, self.service);
        let models = stream.models();
        same("models of the service", models.len(), service.n_models())?;
        let places = (0..models.len()).map(|model| {
            Row::at_most(Meter::One, Scope::model(model), f64::from(service.places(model)))
        });
        let nothing_changes = Turnover::new(models, models);
        let (mut budgets, _) = stream.budgets().after(&nothing_changes, places.collect(), 0.0)?;
        for model in 0..models.len() {
            let crowd = f64::from(service.places(model)) / f64::from(service.slots(model));
            let usual = self.lengths.usual().map(|tokens| service.seconds(model, tokens[model]));
            let seconds = usual.map(|seconds| crowd * seconds).filter(|seconds| *seconds > 0.0);
            budgets = budgets.concurrent(self.first_place() + model, Hold { seconds })?;
        }
        Ok(budgets)
    }

    /// The row of the first model's places.
    fn first_place(&self) -> usize {
        self.stream.budgets().rows().len()
    }

    fn check(&self) -> Result<(), LabError> {
        let (arrivals, models) = (self.stream.len(), self.stream.models().len());
        same("estimated arrivals", arrivals, self.estimates.n_queries())?;
        same("models of the estimates", models, self.estimates.n_models())?;
        same("lengths", arrivals * models, self.lengths.len())
    }
}

fn same(what: &'static str, expected: usize, got: usize) -> Result<(), LabError> {
    if expected == got { Ok(()) } else { Err(LabError::Shape { what, expected, got }) }
}

#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod tests;
