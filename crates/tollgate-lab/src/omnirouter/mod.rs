//! The cheapest mix that keeps a floor under the mean score: `OmniRouter`'s problem on recorded
//! streams, with what it takes to keep the promise.
//!
//! # Protocol
//! A table is cut in two: one half is the history, the other a window of `N` queries that are
//! all to be served, model `i` by at most `L` of them where capacities are asked for. The floors
//! are at given shares of the way from the mean score of each query's cheapest model to that of
//! its best one, as they are expected on the history and scored there. A [`Window`] is one cut,
//! [`compare`] runs every method at every floor in many of them.
//!
//! *Compliance*: in how many windows is the realized mean score at least the floor, and at what
//! cost? Beside it stands the *hindsight rule*: the same estimates and the one target, chosen
//! afterwards, at which the floor is just met.
//!
//! *Equal quality*: routers by a threshold, or a mixture, are given the knob that meets the
//! floor in hindsight, and so are the prices; their costs are compared window by window
//! ([`Rival`]).
//!
//! # What a window can know
//! The mean of `N` scores of deviation `s` is known beforehand to no more than
//! `s sqrt(1/N + 1/n)`, whoever routes. Where scores are told while the window runs less is
//! needed, since luck can be followed; close to the best that models can do there is nothing to
//! follow with, and the floor is missed in a share of the windows that no router can help
//! ([`Line::possible`] says in how many it could be met at all).
//!
//! # References
//! Mei et al. (2025), OmniRouter, arXiv:2502.20576.

mod bars;
mod comparison;
mod method;
pub mod report;
mod rival;
mod window;

pub use bars::{bars, floors};
pub use comparison::{Comparison, Line, Share, Versus, compare};
pub use method::Method;
pub use rival::Rival;
pub use window::{Capacity, Outcome, Window};

use tollgate::core::{PriceList, Seed};

/// Where the way from the cheapest ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
pub enum Top {
    /// At the best mean score on the history.
    Best,
    /// At the best less the margin: [`Floor::promise`](tollgate::policies::Floor::promise).
    Promised,
}

impl std::fmt::Display for Top {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Best => "the best on the history",
            Self::Promised => "the highest that can be promised",
        })
    }
}

/// How a comparison is cut.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// The estimator's name, as the registry knows it.
    pub predictor: String,
    /// What tokens cost, for predictors that estimate costs through lengths.
    pub prices: Option<PriceList>,
    /// How much each model can take.
    pub capacity: Capacity,
    /// The floors, as shares of the way from the cheapest to the best.
    pub reaches: Vec<f64>,
    /// Whether the way ends at the best on the history, or at the highest floor that can be
    /// promised there with the confidence asked for.
    pub top: Top,
    /// In what share of the windows a floor is to be met.
    pub confidence: f64,
    /// One window each.
    pub seeds: Vec<Seed>,
}

impl Protocol {
    /// The floors of the tables.
    pub const REACHES: [f64; 5] = [0.2, 0.4, 0.6, 0.8, 0.95];

    /// Without capacities, at the floors of the tables, for nine windows in ten.
    pub fn new(predictor: impl Into<String>, seeds: Vec<Seed>) -> Self {
        Self {
            predictor: predictor.into(),
            prices: None,
            capacity: Capacity::Unlimited,
            reaches: Self::REACHES.to_vec(),
            top: Top::Best,
            confidence: 0.9,
            seeds,
        }
    }
}

#[cfg(test)]
mod tests;
