//! The least cost at which the mean quality of a window keeps a promised floor.
//!
//! # Problem
//! `N` queries of a window are all to be served, model `i` can take `L_i` of them, and their
//! mean score is to be at least `alpha`. With `q` the scores and `c` the costs in USD:
//!
//! ```text
//! min  sum_ij c_ij x_ij
//! s.t. (1/N) sum_ij q_ij x_ij >= alpha,   sum_j x_ij <= L_i,   sum_i x_ij = 1       (1)
//! ```
//!
//! This is problem (1) of the core with the objective minus cost, one row on quality, and the
//! rows of the budgets; any solver solves it, and its dual bound is a bound on the cost.
//!
//! # Method
//! Scores are not known, only expected, and options that have been chosen for their
//! expectations score less than expected: the winner's curse. A program that holds `alpha` on
//! the estimates therefore misses it more often than not. On the history it is known by how
//! much: for any prices, with `d` the score less the expectation of what these prices choose
//! there (held out), its mean `b` and its deviation `s`, the mean score of `N` queries that are
//! expected to score `t` on average is about normal with
//!
//! ```text
//! mean  t + b,    variance  s^2 (1 / N + 1 / n)                                    (2)
//! ```
//!
//! the second part for the `n` prompts that `b` itself was measured on. So the program is asked
//! for the *target*
//!
//! ```text
//! t = alpha - b + z s sqrt(1 / N + 1 / n)                                          (3)
//! ```
//!
//! `b` and `s` depend on the prices and the prices on `t`, a fixed point that a few solves find.
//! `z` is the lower end of the interval of the stated confidence ([`FloorConfig::confidence`]),
//! so that a promise for 90 % of the windows is meant to be kept in 95 %. [`Margin::Bootstrap`]
//! takes it from resampled `d` instead of the normal distribution.
//!
//! * A batch is planned at once: [`Floor::plan`], which also says what cannot be met, and
//!   [`FloorBatch`], the policy made of it.
//! * A stream is steered: [`FloorPrices`](crate::FloorPrices) holds (3) on what is still to
//!   come, less what has been achieved. Where scores are told it follows the cheapest course
//!   instead of holding a margin: what is missed now can be made up for later.
//!
//! # Departures from the paper
//! OmniRouter's floor is on the estimates as they are, its multipliers come from a fixed number
//! of steps, and nothing is said of a floor that cannot be met. Here the program is solved
//! exactly, the floor has a margin, and what cannot be met is an answer.
//!
//! # References
//! Mei et al. (2025), OmniRouter, arXiv:2502.20576: problem (1). Smith and Winkler (2006), The
//! optimizer's curse, doi:10.1287/mnsc.1050.0451: why chosen options disappoint.

mod account;
mod batch;
mod course;
mod margin;
mod plan;
mod steps;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};
use tollgate_core::{ParamError, PolicyError, Row, Solver};

pub use self::batch::FloorBatch;
pub use self::margin::{Errors, Margin, Rehearsal};
pub use self::plan::{FloorPlan, FloorStatus};

pub(crate) use self::account::{Account, Plan};
pub(crate) use self::course::Course;

/// Knobs of a floor. Unchecked until [`build`](Self::build), [`build_batch`](Self::build_batch)
/// or [`build_prices`](Self::build_prices). At most one of `floor` and `reach` is given.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FloorConfig {
    /// The floor `alpha` under the mean score, in `[0, 1]`.
    pub floor: Option<f64>,
    /// The floor as a share of the way from the mean score of the cheapest model to that of
    /// the models expected to score highest, both on the history, in `[0, 1]`. Default 0.8.
    pub reach: Option<f64>,
    /// In what share of the windows the floor is to be met, in `[0.5, 1)`. Default 0.9.
    pub confidence: f64,
    /// Where the margin comes from. Default `normal`.
    pub margin: Margin,
    /// Arrivals that the floor is a mean over; 0, the default, is the whole run.
    pub window: u64,
    /// Arrivals from one solve to the next, `>= 1`. Default 25.
    pub every: u64,
    /// The relative gap of each solve, `>= 0`. Default 1e-6.
    pub gap: f64,
    /// What a second of expected latency costs, in USD, `>= 0`, in a stream where somebody
    /// measures latency. Default 0.
    pub per_second: f64,
}

impl Default for FloorConfig {
    fn default() -> Self {
        Self {
            floor: None,
            reach: None,
            confidence: 0.9,
            margin: Margin::Normal,
            window: 0,
            every: 25,
            gap: 1e-6,
            per_second: 0.0,
        }
    }
}

/// The floor's risk is that of one end of an interval.
const ENDS: f64 = 2.0;

/// The way to the best mean that is asked for where nothing is.
const REACH: f64 = 0.8;

impl FloorConfig {
    /// Checks the knobs.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range, or the second one that is given.
    pub fn build(self) -> Result<Floor, ParamError> {
        let Self { floor, reach, confidence, every, gap, per_second, .. } = self;
        for (field, got) in [("floor", floor), ("reach", reach)] {
            if let Some(got) = got.filter(|got| !(0.0..=1.0).contains(got)) {
                return Err(ParamError { field, rule: "in [0, 1]", got });
            }
        }
        if let (Some(_), Some(got)) = (floor, reach) {
            let rule = "left out where `floor` is given";
            return Err(ParamError { field: "reach", rule, got });
        }
        if !(0.5..1.0).contains(&confidence) {
            let (field, rule) = ("confidence", "in [0.5, 1)");
            return Err(ParamError { field, rule, got: confidence });
        }
        if every == 0 {
            return Err(ParamError { field: "every", rule: ">= 1", got: 0.0 });
        }
        for (field, got) in [("gap", gap), ("per_second", per_second)] {
            if !(got >= 0.0 && got.is_finite()) {
                return Err(ParamError { field, rule: "finite and >= 0", got });
            }
        }
        Ok(Floor { config: self })
    }

    /// As a policy that plans every window at once: its arrivals are ranked together.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_batch(self, solver: Arc<dyn Solver>) -> Result<FloorBatch, ParamError> {
        Ok(FloorBatch::new(self.build()?, solver))
    }

    /// As a price source that steers a stream.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_prices(
        self,
        solver: Arc<dyn Solver>,
    ) -> Result<crate::dual_price::FloorPrices, ParamError> {
        Ok(crate::dual_price::FloorPrices::new(self.build()?, solver))
    }
}

/// A floor under the mean score of a window.
#[derive(Clone, Debug)]
pub struct Floor {
    config: FloorConfig,
}

impl Floor {
    /// The knobs.
    pub(crate) fn config(&self) -> &FloorConfig {
        &self.config
    }

    /// What it is called in the name of a policy.
    pub(crate) fn label(&self) -> String {
        let FloorConfig { floor, reach, .. } = self.config;
        match floor {
            Some(floor) => format!("floor={floor}"),
            None => format!("reach={}", reach.unwrap_or(REACH)),
        }
    }

    /// The floor under the mean score, which is looked up on the history where it is given as
    /// a share of the way.
    pub fn alpha(&self, rehearsal: &Rehearsal) -> f64 {
        let FloorConfig { floor, reach, .. } = self.config;
        floor.unwrap_or_else(|| {
            let (least, best) = rehearsal.range();
            least + reach.unwrap_or(REACH) * (best - least)
        })
    }

    /// The ordinal of the window that an arrival is in.
    pub(crate) fn window_of(&self, arrival: u64) -> u64 {
        arrival.checked_div(self.config.window).unwrap_or(0)
    }

    /// The highest floor that can be promised for `queries` more with this confidence, where
    /// nobody is short of capacity: what the options of highest expectation really score on the
    /// history, less the margin. A floor above it is a matter of luck, whoever routes by these
    /// estimates.
    pub fn promise(&self, rehearsal: &Rehearsal, queries: usize) -> f64 {
        let best = rehearsal.of_best();
        let z = self.quantile(rehearsal, queries);
        best.expected + best.bias - z * best.of_mean(queries as f64)
    }

    /// The course to `alpha` of a window of `queries` whose scores are told, within rows over as
    /// many queries as the history has. `None` where no margin is asked for, or there is nothing
    /// to choose.
    pub(crate) fn course(
        &self,
        rehearsal: &Rehearsal,
        (queries, alpha): (f64, f64),
        rows: &[Row],
        solver: &dyn Solver,
    ) -> Result<Option<Course>, PolicyError> {
        if self.config.margin == Margin::None {
            return Ok(None);
        }
        let risk = (1.0 - self.config.confidence) / ENDS;
        let known = rehearsal.of_best().known;
        Ok(Course::new(&rehearsal.steps(rows, solver)?, known, queries, alpha, risk))
    }

    /// How many standard deviations of (2) the target keeps from the floor.
    pub(crate) fn quantile(&self, rehearsal: &Rehearsal, queries: usize) -> f64 {
        let level = 1.0 - (1.0 - self.config.confidence) / ENDS;
        match self.config.margin {
            Margin::None => 0.0,
            Margin::Normal => Normal::standard().inverse_cdf(level),
            Margin::Bootstrap => rehearsal.bootstrap(level, queries),
        }
    }
}

#[cfg(test)]
mod tests;
