//! How long answers are, in output tokens: really, and as expected.

use std::sync::Arc;

use tollgate::core::EstimateTable;

use super::same;
use crate::{LabError, Stream};

/// Output tokens of every option, row-major `(arrivals, models)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Lengths {
    real: Arc<[f64]>,
    expected: Arc<[f64]>,
    usual: Option<Arc<[f64]>>,
}

impl Lengths {
    /// From tables of what answers really have and of what they are expected to have, both
    /// row-major `(arrivals, models)`.
    ///
    /// # Errors
    /// [`LabError`] where the tables differ in size, or a length is negative or not finite.
    pub fn new(real: Arc<[f64]>, expected: Arc<[f64]>) -> Result<Self, LabError> {
        same("expected lengths", real.len(), expected.len())?;
        for table in [&real, &expected] {
            if let Some(&got) = table.iter().find(|tokens| !(**tokens >= 0.0 && tokens.is_finite()))
            {
                return Err(LabError::Option { name: "tokens", rule: "finite and >= 0", got });
            }
        }
        Ok(Self { real, expected, usual: None })
    }

    /// From costs, by each model's output tokens per USD: what an answer costs says how long
    /// it is where a prompt's own tokens cost little beside it. What is usual is the mean over
    /// the history, where there is one.
    ///
    /// # Errors
    /// [`LabError`] where the parts are of other shapes.
    pub fn from_costs(
        stream: &Stream,
        estimates: &EstimateTable,
        history: Option<&EstimateTable>,
        tokens_per_usd: &[f64],
    ) -> Result<Self, LabError> {
        same("tokens per USD", stream.models().len(), tokens_per_usd.len())?;
        let tokens = |cost: &[f64]| -> Arc<[f64]> {
            let rates = tokens_per_usd.iter().cycle();
            cost.iter().zip(rates).map(|(cost, rate)| cost.max(0.0) * rate).collect()
        };
        let lengths = Self::new(tokens(stream.true_cost()), tokens(estimates.cost()))?;
        let Some(history) = history else { return Ok(lengths) };
        let n = history.n_queries() as f64;
        let column = |model: usize| history.cost().iter().skip(model).step_by(tokens_per_usd.len());
        let mean = |(model, rate): (usize, &f64)| column(model).sum::<f64>() / n * rate;
        lengths.with_usual(tokens_per_usd.iter().enumerate().map(mean).collect())
    }

    /// With the tokens that answers of each model usually have, shape `(n_models,)`: without
    /// them nobody can tell beforehand how long a place is held.
    ///
    /// # Errors
    /// [`LabError`] where a length is negative or not finite.
    pub fn with_usual(mut self, tokens: Arc<[f64]>) -> Result<Self, LabError> {
        if let Some(&got) = tokens.iter().find(|tokens| !(**tokens >= 0.0 && tokens.is_finite())) {
            return Err(LabError::Option { name: "tokens", rule: "finite and >= 0", got });
        }
        self.usual = Some(tokens);
        Ok(self)
    }

    /// How many options there are.
    pub(super) fn len(&self) -> usize {
        self.real.len()
    }

    /// Tokens of the answer number `option`, row-major.
    pub(super) fn real(&self, option: usize) -> f64 {
        self.real[option]
    }

    /// Tokens that it is expected to have.
    pub(super) fn expected(&self, option: usize) -> f64 {
        self.expected[option]
    }

    /// Tokens that answers of each model usually have, where somebody knows.
    pub fn usual(&self) -> Option<&[f64]> {
        self.usual.as_deref()
    }
}
