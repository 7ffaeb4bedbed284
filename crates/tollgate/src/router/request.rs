//! What a router is asked, and what it answers.

use thiserror::Error;
use tollgate_core::{
    Decision, EstimateError, Estimates, ModelId, Models, MoneyError, Outcome, PicoUsd, PolicyError,
    Reservation,
};

use super::Version;
use super::sync::Arc;
use super::versions::InForce;

/// Standard errors above the expected cost that are reserved where a request brings
/// no bound of its own.
const RESERVED_ERRORS: f64 = 3.0;

/// One prompt to be routed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub(super) embedding: &'a [f32],
    pub(super) time: f64,
    pub(super) group: u32,
    pub(super) input_tokens: Option<f64>,
    bounds: Option<(&'a Models, &'a [f64])>,
    latency: Option<(&'a Models, &'a [f64])>,
}

impl<'a> Request<'a> {
    /// A prompt by its embedding, of the history's dimension.
    pub fn new(embedding: &'a [f32]) -> Self {
        let (input_tokens, bounds, latency) = (None, None, None);
        Self { embedding, time: 0.0, group: 0, input_tokens, bounds, latency }
    }

    /// When it came in, in seconds since the start of the run, never before an earlier one.
    /// Default 0, which is all that a router without deadlines and windows needs.
    #[must_use]
    pub fn at(mut self, seconds: f64) -> Self {
        self.time = seconds;
        self
    }

    /// The query group (a tenant) it belongs to. Default 0.
    #[must_use]
    pub fn group(mut self, group: u32) -> Self {
        self.group = group;
        self
    }

    /// An upper bound of the cost on each of some models, in USD (maximum tokens times price),
    /// shape `(models.len(),)`: what is reserved, so that the real cost cannot pass it.
    /// Default, also for a model that is not among them: the expected cost and three standard
    /// errors.
    ///
    /// Bounds bring the models that they are for, since those of the router may be others by
    /// the time it decides.
    #[must_use]
    pub fn bounds(mut self, models: &'a Models, bounds: &'a [f64]) -> Self {
        self.bounds = Some((models, bounds));
        self
    }

    /// How many tokens the prompt has, finite and `>= 0`: for estimators that price lengths.
    /// Default: not known, and they take their history's mean.
    #[must_use]
    pub fn input_tokens(mut self, tokens: f64) -> Self {
        self.input_tokens = Some(tokens);
        self
    }

    /// Seconds until the answer of each of some models is expected to be complete, its wait for
    /// a slot included; shape `(models.len(),)`, finite and `>= 0`. Read by policies that have
    /// a price on time. Default: nobody measures, and time costs nothing.
    ///
    /// They bring their models, as [`bounds`](Self::bounds) do; a model that has joined since
    /// is expected to take as long as the mean of those that were measured.
    #[must_use]
    pub fn latency(mut self, models: &'a Models, seconds: &'a [f64]) -> Self {
        self.latency = Some((models, seconds));
        self
    }

    pub(super) fn check(&self, n_groups: usize) -> Result<(), RouteError> {
        if self.group as usize >= n_groups {
            return Err(RouteError::Group { group: self.group, n_groups });
        }
        let in_range = |&x: &f64| x >= 0.0 && x.is_finite();
        if let Some(got) = self.input_tokens.filter(|tokens| !in_range(tokens)) {
            return Err(EstimateError::InputTokens { got }.into());
        }
        if let Some((models, seconds)) = self.latency {
            if seconds.len() != models.len() {
                return Err(RouteError::Latencies { got: seconds.len(), n_models: models.len() });
            }
            if let Some(index) = seconds.iter().position(|seconds| !in_range(seconds)) {
                let (model, got) = (models.id(index).clone(), seconds[index]);
                return Err(RouteError::Latency { model, got });
            }
        }
        let Some((models, bounds)) = self.bounds else { return Ok(()) };
        if bounds.len() != models.len() {
            return Err(RouteError::Bounds { got: bounds.len(), n_models: models.len() });
        }
        bounds.iter().try_for_each(|&bound| PicoUsd::from_usd(bound).map(drop))?;
        Ok(())
    }

    /// Seconds of each of `models`, in their order; `buffer` holds them where those that were
    /// measured are others.
    pub(super) fn seconds<'b>(
        &'b self,
        models: &Models,
        buffer: &'b mut Vec<f64>,
    ) -> Option<&'b [f64]> {
        let (of, seconds) = self.latency?;
        if of == models {
            return Some(seconds);
        }
        let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
        let own = |model: &ModelId| of.index_of(model.as_str()).map_or(mean, |at| seconds[at]);
        buffer.clear();
        buffer.extend(models.iter().map(own));
        Some(buffer)
    }

    /// What is reserved for an answer of one of `models`, in USD.
    pub(super) fn bound(&self, models: &Models, estimates: &Estimates<'_>, model: usize) -> f64 {
        let own = self.bounds.and_then(|(of, bounds)| {
            let index =
                if of == models { Some(model) } else { of.index_of(models.id(model).as_str()) };
            index.map(|index| bounds[index])
        });
        own.unwrap_or(estimates.cost[model] + RESERVED_ERRORS * estimates.cost_se[model])
    }
}

/// A decision, with the money that is held for it.
#[derive(Debug)]
pub struct Routed {
    /// What was decided; [`Router::explain`](super::Router::explain) says why. Models are
    /// indices into [`models`](Self::models).
    pub decision: Decision,
    /// What is held for the chosen model; `None` when nothing was chosen. Dropping it
    /// gives the money back.
    pub reservation: Option<Reservation>,
    /// What was in force.
    pub(super) prices: Arc<tollgate_core::Prices>,
    pub(super) ratios: Arc<tollgate_core::CostRatios>,
    pub(super) version: InForce<Version>,
}

impl Routed {
    /// The models among which it was decided.
    pub fn models(&self) -> &Models {
        &self.version.models
    }

    /// The chosen model; `None` when nothing was chosen.
    pub fn model(&self) -> Option<&ModelId> {
        match self.decision.outcome {
            Outcome::Served(model) | Outcome::Lost(model) => Some(self.models().id(model)),
            Outcome::Declined | Outcome::Unaffordable => None,
        }
    }
}

/// A request that could not be decided.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RouteError {
    /// An embedding that the estimator refuses.
    #[error(transparent)]
    Estimate(#[from] EstimateError),
    /// A price problem that broke down.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A bound or a real cost that is not an amount of money.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// A group that the budgets do not know.
    #[error("query group {group} is unknown, the budgets have {n_groups}")]
    Group {
        /// The group.
        group: u32,
        /// How many there are.
        n_groups: usize,
    },
    /// Latencies that do not fit their models.
    #[error("{got} latencies for {n_models} models")]
    Latencies {
        /// How many latencies.
        got: usize,
        /// How many models.
        n_models: usize,
    },
    /// A latency out of range.
    #[error("latency of model `{model}` must be finite and >= 0 s, got {got}")]
    Latency {
        /// The model.
        model: ModelId,
        /// The value.
        got: f64,
    },
    /// Bounds that do not fit their models.
    #[error("{got} cost bounds for {n_models} models")]
    Bounds {
        /// How many bounds.
        got: usize,
        /// How many models.
        n_models: usize,
    },
}

#[cfg(test)]
#[path = "request/tests.rs"]
mod tests;
