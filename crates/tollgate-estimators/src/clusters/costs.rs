//! Costs by clusters: effects of logarithms.

use super::effects::{Effects, Labelled};
use crate::labels::{Labels, shrunk};
use crate::log_costs::{LOG_PRIOR, LogCosts};

/// What was learned of the clusters' costs.
#[derive(Clone, Debug)]
pub(super) struct Costs {
    /// Of log costs.
    effects: Effects,
    /// How much larger the mean cost is than what the mean logarithm stands for.
    smear: f64,
    /// `ln` of the mean over prompts of `exp(d_k)`.
    level: f64,
}

impl Costs {
    /// `of_row` is the cluster of each prompt, `sizes` how many prompts each cluster has.
    pub(super) fn learn(labels: &Labels, of_row: &[usize], sizes: &[f64]) -> Self {
        let n_models = labels.models.len();
        let logs = LogCosts::new(labels);
        let models: Vec<Vec<Labelled>> = (0..n_models)
            .filter(|&model| !logs.was_free(model))
            .map(|model| column(&logs.table, n_models, model, of_row))
            .collect();
        let effects = Effects::learn(&models, sizes, LOG_PRIOR);
        let smears = models.iter().map(|labels| {
            let values = effects.know(labels, effects.mean);
            let sum: f64 = labels.iter().map(|&(at, log)| (log - values[at].0).exp()).sum();
            sum / labels.len() as f64
        });
        // With one more that is log-normal with the prior's variance, as elsewhere.
        let n = models.len() as f64;
        let smear = (smears.sum::<f64>() + (0.5 * LOG_PRIOR).exp()) / (n + 1.0);
        let total: f64 = sizes.iter().sum();
        let parts = effects.clusters.iter().zip(sizes).map(|(part, size)| part.exp() * size);
        let level = (parts.sum::<f64>() / total).ln();
        Self { effects, smear, level }
    }

    /// The expected cost in each cluster and its standard error, from the costs of some
    /// prompts by their clusters; `prior` is what is thought of the model before.
    pub(super) fn know(&self, labels: &[Labelled], prior: Option<f64>) -> Vec<(f64, f64)> {
        let n_clusters = self.effects.clusters.len();
        if labels.iter().any(|label| label.1 == 0.0) || (labels.is_empty() && prior == Some(0.0)) {
            return vec![free(labels, prior); n_clusters];
        }
        let mean = match prior {
            Some(cost) if cost > 0.0 => cost.ln() - self.smear.ln() - self.level,
            _ => self.effects.mean,
        };
        let logs: Vec<Labelled> = labels.iter().map(|&(at, cost)| (at, cost.ln())).collect();
        let values = self.effects.know(&logs, mean);
        // What is seen of the model's own smear, and one model's of the history.
        let own: f64 = logs.iter().map(|&(at, log)| (log - values[at].0).exp()).sum();
        let smear = (own + self.smear) / (logs.len() as f64 + 1.0);
        let cost = |&(log, variance): &(f64, f64)| {
            let cost = smear * log.exp();
            (cost, cost * variance.sqrt())
        };
        values.iter().map(cost).collect()
    }
}

/// The mean cost of a model whose answers are free now and then, and its standard error.
fn free(labels: &[Labelled], prior: Option<f64>) -> (f64, f64) {
    let costs = || labels.iter().map(|label| label.1).chain(prior);
    let n = costs().count() as f64;
    let mean = costs().sum::<f64>() / n;
    let squares = costs().map(|cost| (cost - mean).powi(2)).sum();
    (mean, (shrunk(squares, n, mean * mean) / n).sqrt())
}

/// The labels of a model by the clusters of their prompts, gaps left out.
pub(super) fn column(
    table: &[f64],
    n_models: usize,
    model: usize,
    of_row: &[usize],
) -> Vec<Labelled> {
    let labels = table.iter().skip(model).step_by(n_models).zip(of_row);
    labels.filter(|(label, _)| !label.is_nan()).map(|(&label, &at)| (at, label)).collect()
}
