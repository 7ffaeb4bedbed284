//! The labels of a history, ready for averaging.

use std::sync::Arc;

use tollgate_core::{FitError, History, Models};

use crate::index::RowSets;

/// The greatest variance that a score in `[0, 1]` can have.
pub(crate) const QUALITY_PRIOR: f64 = 0.25;

/// Scores and costs, and which models are labelled on the same prompts.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    pub(crate) models: Models,
    pub(crate) n_rows: usize,
    /// Row-major `(n_rows, n_models)`, NaN for a gap.
    pub(crate) quality: Arc<[f64]>,
    /// Row-major `(n_rows, n_models)`, NaN for a gap.
    pub(crate) cost: Arc<[f64]>,
    /// One set of rows for each list of `members`.
    pub(crate) sets: RowSets,
    /// The models labelled on exactly the rows of a set, ascending. Every model is in
    /// one of the lists; a history without gaps has one list.
    pub(crate) members: Vec<Vec<usize>>,
    /// Means of each model's scores, and of its costs in USD.
    pub(crate) quality_means: Means,
    pub(crate) cost_means: Means,
    /// Variance of each model's score, shrunk: see [`shrunk`].
    pub(crate) quality_variance: Vec<f64>,
    /// Variance of each model's cost, shrunk, in USD^2.
    pub(crate) cost_variance: Vec<f64>,
}

impl Labels {
    pub(crate) fn new(history: &History) -> Self {
        let (n_rows, n_models) = (history.len(), history.models().len());
        let (quality, cost) = (history.quality().clone(), history.cost().clone());
        let mut masks: Vec<Box<[bool]>> = Vec::new();
        let mut members: Vec<Vec<usize>> = Vec::new();
        for model in 0..n_models {
            let mask: Box<[bool]> =
                (0..n_rows).map(|row| !quality[row * n_models + model].is_nan()).collect();
            if let Some(set) = masks.iter().position(|other| *other == mask) {
                members[set].push(model);
            } else {
                masks.push(mask);
                members.push(vec![model]);
            }
        }
        let variance = |table: &[f64], prior: &dyn Fn(f64) -> f64| -> Vec<f64> {
            (0..n_models)
                .map(|model| {
                    let labels = || column(table, n_models, model);
                    let n = labels().count() as f64;
                    let mean = labels().sum::<f64>() / n;
                    let squares = labels().map(|label| (label - mean).powi(2)).sum();
                    shrunk(squares, n, prior(mean))
                })
                .collect()
        };
        Self {
            models: history.models().clone(),
            n_rows,
            quality_means: Means::new(&quality, n_models),
            cost_means: Means::new(&cost, n_models),
            quality_variance: variance(&quality, &|_| QUALITY_PRIOR),
            cost_variance: variance(&cost, &|mean| mean * mean),
            quality,
            cost,
            sets: RowSets::new(masks),
            members,
        }
    }
}

impl Labels {
    /// The rows of a set from `first` on, ascending.
    pub(crate) fn rows_of(&self, set: usize, first: usize) -> Vec<usize> {
        (first..self.n_rows).filter(|&row| self.sets.contains(set, row)).collect()
    }
}

/// Sums of each model's labels, to take means with or without one of them.
#[derive(Clone, Debug)]
pub(crate) struct Means {
    sums: Vec<f64>,
    counts: Vec<f64>,
}

impl Means {
    /// Of a table that is row-major `(n_rows, n_models)`, NaN for a gap.
    pub(crate) fn new(table: &[f64], n_models: usize) -> Self {
        let sum =
            |model| column(table, n_models, model).fold((0.0, 0.0), |(s, n), y| (s + y, n + 1.0));
        let (sums, counts) = (0..n_models).map(sum).unzip();
        Self { sums, counts }
    }

    /// The mean label; NaN for a model that has none.
    pub(crate) fn mean(&self, model: usize) -> f64 {
        self.sums[model] / self.counts[model]
    }

    /// The mean of the other labels; of all where `label` is a gap. NaN where there is none.
    pub(crate) fn without(&self, model: usize, label: f64) -> f64 {
        if label.is_nan() {
            return self.mean(model);
        }
        (self.sums[model] - label) / (self.counts[model] - 1.0)
    }

    /// How many labels.
    pub(crate) fn count(&self, model: usize) -> f64 {
        self.counts[model]
    }
}

/// The lowest label of each model, and the lowest of its others.
#[derive(Clone, Debug)]
pub(crate) struct Lowest(Vec<[f64; 2]>);

impl Lowest {
    /// Of a table that is row-major `(n_rows, n_models)`, NaN for a gap.
    pub(crate) fn new(table: &[f64], n_models: usize) -> Self {
        let two = |model| {
            column(table, n_models, model).fold([f64::INFINITY; 2], |[first, second], label| {
                [first.min(label), second.min(first.max(label))]
            })
        };
        Self((0..n_models).map(two).collect())
    }

    /// The lowest of the labels other than `label`, of which there is at least one; of all
    /// where `label` is a gap.
    pub(crate) fn without(&self, model: usize, label: f64) -> f64 {
        let [first, second] = self.0[model];
        if label <= first { second } else { first }
    }
}

/// Refuses a history of other models than those fitted.
pub(crate) fn check_models(models: &Models, history: &History) -> Result<(), FitError> {
    if history.models() == models {
        return Ok(());
    }
    let what = "the list of models";
    Err(FitError::Grown { what, expected: models.len(), got: history.models().len() })
}

/// The variance behind `n` values whose squared deviations sum to `squares`, with `prior`
/// counted as one deviation more: a few equal labels do not prove that all are equal.
///
/// The divisor is `n` where the usual one is `n - 1`, for the deviation added. What is
/// assumed of a model without any spread of its own is the most that is possible for a
/// score, and a standard deviation as large as the mean for a cost.
pub(crate) fn shrunk(squares: f64, n: f64, prior: f64) -> f64 {
    (squares + prior) / n
}

/// The labels of one model, gaps left out.
pub(crate) fn column(table: &[f64], n_models: usize, model: usize) -> impl Iterator<Item = f64> {
    table.iter().skip(model).step_by(n_models).copied().filter(|label| !label.is_nan())
}
