//! What is chosen by leave-one-out: how strongly to shrink, and whether costs are averaged
//! in dollars or in their logarithms.

use super::average::Pull;
use super::{CostDomain, Shrinkage};
use crate::labels::{Labels, Means};
use crate::log_costs::LogCosts;

/// The share of a model's mean cost that a relative error is measured against, at least:
/// keeps a nearly free answer from counting without bound.
const RELATIVE_FLOOR: f64 = 1e-3;

/// Strengths that are tried, in labels.
const STRENGTHS: [f64; 11] = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// What stays as it was chosen when the history grows.
#[derive(Clone, Debug)]
pub(super) struct Choices {
    pub(super) quality: Pull,
    /// Of costs in USD.
    pub(super) cost: Pull,
    /// Of log costs, and the smearing factor of each model; `None` where costs are averaged
    /// in USD.
    pub(super) log_cost: Option<(Pull, Vec<f64>)>,
}

impl Choices {
    /// Plain means.
    pub(super) fn plain() -> Self {
        Self { quality: Pull::none(), cost: Pull::none(), log_cost: None }
    }
}

/// Means of neighbors for every row of the history, the row itself left out; row-major
/// `(n_rows, n_models)`, NaN where there is no other label.
#[derive(Debug)]
pub(super) struct LeftOut {
    pub(super) quality: Vec<f64>,
    /// The effective number of neighbors.
    pub(super) effective: Vec<f64>,
    pub(super) cost: Vec<f64>,
    pub(super) log_cost: Vec<f64>,
}

/// One column of labels, with the means of neighbors to compare it with.
struct Column<'a> {
    labels: &'a [f64],
    left_out: &'a [f64],
    effective: &'a [f64],
    means: &'a Means,
    n_models: usize,
}

impl Column<'_> {
    /// The cells of a model that have a label and others to predict it from.
    fn cells(&self, model: usize) -> impl Iterator<Item = usize> {
        (model..self.labels.len())
            .step_by(self.n_models)
            .filter(|&at| !self.labels[at].is_nan() && !self.left_out[at].is_nan())
    }

    /// Equation (3), the row of the cell left out.
    fn drawn(&self, at: usize, strength: f64) -> f64 {
        let mean = self.left_out[at];
        let share = strength / (self.effective[at] + strength);
        mean + share * (self.means.without(at % self.n_models, self.labels[at]) - mean)
    }

    /// Equation (4): `t_i^2` for each model, from the covariance of a label with the mean of
    /// its neighbors, neither of which shares the other's noise.
    fn spread(&self, variance: &[f64]) -> Vec<f64> {
        (0..self.n_models)
            .map(|model| {
                let mean = self.means.mean(model);
                let products = |at| (self.labels[at] - mean) * (self.left_out[at] - mean);
                let sum: f64 = self.cells(model).map(products).sum();
                let count = self.cells(model).count();
                // One label tells nothing about how much models differ between prompts.
                let between = if count == 0 { f64::INFINITY } else { sum / count as f64 };
                between.clamp(0.0, variance[model]) + variance[model] / self.means.count(model)
            })
            .collect()
    }
}

/// Chooses by least squared error on the labels that were left out.
pub(super) fn choose(
    shrinkage: Shrinkage,
    domain: CostDomain,
    labels: &Labels,
    logs: Option<&LogCosts>,
    left_out: &LeftOut,
) -> Choices {
    let n_models = labels.models.len();
    let strengths: &[f64] = match &shrinkage {
        Shrinkage::None => &[0.0],
        Shrinkage::Auto => &STRENGTHS,
        Shrinkage::Labels(strength) => std::slice::from_ref(strength),
    };
    let effective = &left_out.effective;
    let quality = Column {
        labels: &labels.quality,
        left_out: &left_out.quality,
        effective,
        means: &labels.quality_means,
        n_models,
    };
    let cost = Column {
        labels: &labels.cost,
        left_out: &left_out.cost,
        effective,
        means: &labels.cost_means,
        n_models,
    };
    let pull = |column: &Column<'_>, strength: f64, variance: &[f64]| Pull {
        strength,
        spread: if strength == 0.0 { Vec::new() } else { column.spread(variance) },
    };
    let quality_strength = least(strengths, |strength| quality_error(&quality, strength)).0;
    let scale = |at: usize| {
        let log = left_out.log_cost[at].exp();
        let both = if log.is_nan() { left_out.cost[at] } else { 0.5 * (left_out.cost[at] + log) };
        both.max(RELATIVE_FLOOR * labels.cost_means.mean(at % n_models))
    };
    let usd = least(strengths, |strength| {
        cost_error(&cost, 0..n_models, scale, |at| cost.drawn(at, strength))
    });
    let in_usd = |strength| Choices {
        quality: pull(&quality, quality_strength, &labels.quality_variance),
        cost: pull(&cost, strength, &labels.cost_variance),
        log_cost: None,
    };
    let Some(logs) = logs else { return in_usd(usd.0) };
    let log_cost = Column {
        labels: &logs.table,
        left_out: &left_out.log_cost,
        effective,
        means: &logs.means,
        n_models,
    };
    let log = least(strengths, |strength| {
        let smear = smear(&log_cost, strength);
        let (free, never): (Vec<usize>, Vec<usize>) =
            (0..n_models).partition(|&model| logs.was_free(model));
        cost_error(&cost, free, scale, |at| cost.drawn(at, strength))
            + cost_error(&cost, never, scale, |at| {
                smear[at % n_models] * log_cost.drawn(at, strength).exp()
            })
    });
    if domain == CostDomain::Auto && usd.1 <= log.1 {
        return in_usd(usd.0);
    }
    let pull = pull(&log_cost, log.0, &logs.variance);
    Choices { log_cost: Some((pull, smear(&log_cost, log.0))), ..in_usd(log.0) }
}

/// The strength of least error, the first of equals, and the error.
fn least(strengths: &[f64], error: impl Fn(f64) -> f64) -> (f64, f64) {
    let errors = strengths.iter().map(|&strength| (strength, error(strength)));
    errors.min_by(|a, b| a.1.total_cmp(&b.1)).expect("there is at least one strength")
}

/// Squared error over the spread of the labels, summed over models.
fn quality_error(column: &Column<'_>, strength: f64) -> f64 {
    let ratio = |model| {
        let mean = column.means.mean(model);
        let (mut error, mut spread) = (0.0, 0.0);
        for at in column.cells(model) {
            error += (column.drawn(at, strength) - column.labels[at]).powi(2);
            spread += (column.labels[at] - mean).powi(2);
        }
        if spread > 0.0 { error / spread } else { 0.0 }
    };
    (0..column.n_models).map(ratio).sum()
}

/// Squared error in units of `scale`, which is the same for all that are compared, summed
/// over cells.
fn cost_error(
    column: &Column<'_>,
    models: impl IntoIterator<Item = usize>,
    scale: impl Fn(usize) -> f64,
    predict: impl Fn(usize) -> f64,
) -> f64 {
    let relative = |at: usize| {
        let error = predict(at) - column.labels[at];
        if error == 0.0 { 0.0 } else { (error / scale(at)).powi(2) }
    };
    models.into_iter().flat_map(|model| column.cells(model)).map(relative).sum()
}

/// Equation (9): the mean of `exp` of what the logarithms were off by; 1 for a model that
/// tells nothing.
fn smear(column: &Column<'_>, strength: f64) -> Vec<f64> {
    (0..column.n_models)
        .map(|model| {
            let (mut sum, mut count) = (0.0, 0.0);
            for at in column.cells(model) {
                sum += (column.labels[at] - column.drawn(at, strength)).exp();
                count += 1.0;
            }
            if count > 0.0 { sum / count } else { 1.0 }
        })
        .collect()
}
