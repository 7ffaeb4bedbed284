//! Logarithms of costs, ready for averaging.

use std::sync::Arc;

use crate::labels::{Labels, Means, column, shrunk};

/// The prior of the variance of log costs: that of a log-normal distribution whose standard
/// deviation equals its mean.
pub(crate) const LOG_PRIOR: f64 = std::f64::consts::LN_2;

/// Logarithms of costs, for the models that never were free.
#[derive(Clone, Debug)]
pub(crate) struct LogCosts {
    /// Row-major `(n_rows, n_models)`, NaN for a gap and for models that were free once.
    pub(crate) table: Arc<[f64]>,
    /// Variance of each model's log costs, shrunk.
    pub(crate) variance: Vec<f64>,
    pub(crate) means: Means,
    /// The lowest and the highest of each model.
    range: Vec<(f64, f64)>,
    free: Vec<bool>,
}

impl LogCosts {
    pub(crate) fn new(labels: &Labels) -> Self {
        let n_models = labels.models.len();
        let free: Vec<bool> = (0..n_models)
            .map(|model| column(&labels.cost, n_models, model).any(|cost| cost == 0.0))
            .collect();
        let log =
            |(at, cost): (usize, &f64)| if free[at % n_models] { f64::NAN } else { cost.ln() };
        let table: Arc<[f64]> = labels.cost.iter().enumerate().map(log).collect();
        let means = Means::new(&table, n_models);
        let of = |model| column(&table, n_models, model);
        let variance = (0..n_models)
            .map(|model| {
                let squares = of(model).map(|log| (log - means.mean(model)).powi(2)).sum();
                shrunk(squares, means.count(model), LOG_PRIOR)
            })
            .collect();
        let range = (0..n_models)
            .map(|model| {
                let highest = of(model).fold(f64::NEG_INFINITY, f64::max);
                (of(model).fold(f64::INFINITY, f64::min), highest)
            })
            .collect();
        Self { table, variance, means, range, free }
    }

    /// Whether an answer of the model has cost nothing, so that it has no logarithm.
    pub(crate) fn was_free(&self, model: usize) -> bool {
        self.free[model]
    }

    /// Keeps what was extrapolated within a factor of two of the costs that there are.
    pub(crate) fn within_range(&self, model: usize, log: f64) -> f64 {
        let (lowest, highest) = self.range[model];
        log.clamp(lowest - std::f64::consts::LN_2, highest + std::f64::consts::LN_2)
    }
}
