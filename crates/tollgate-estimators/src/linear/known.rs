//! What models are on prompts: scores, and logarithms of costs.

use std::sync::Arc;

use tollgate_core::{EstimatesMut, Prior, Scratch};

use super::gaussian::{Gaussian, Gram};
use super::table::{End, LineTable, Tables};
use super::target::Target;
use crate::exp::exp_each;
use crate::labels::shrunk;
use crate::log_costs::LOG_PRIOR;
use crate::pool::Answers;

/// A log cost that is as good as infinite, and has an exponential.
const MOST_LOG: f64 = 700.0;

/// What was learned of prompts, of scores and of log costs.
#[derive(Debug)]
pub(crate) struct Linear {
    pub(crate) quality: Target,
    pub(crate) cost: Target,
    /// How much larger the mean cost is than what the mean logarithm stands for.
    smear: f64,
    /// `ln` of the mean over prompts of `exp` of the average model's log cost.
    level: f64,
}

/// What is known of one model.
#[derive(Debug)]
pub(crate) struct Coefficients {
    pub(super) quality: Gaussian,
    pub(super) cost: Cost,
}

/// What is known of a model's costs.
#[derive(Debug)]
pub(super) enum Cost {
    /// The logarithm is linear.
    Log { line: Gaussian, smear: f64 },
    /// A model that was free once: the mean, and its standard error.
    Mean(f64, f64),
}

impl Linear {
    /// Of a history whose log costs are `logs`, row-major with NaN for a gap.
    pub(crate) fn new(quality: Target, cost: Target, logs: &[f64], n_models: usize) -> Self {
        let smear = smear(&cost, logs, n_models);
        let average = &cost.prior.gaussian.mean;
        let values = cost.basis.values(&cost.basis.rows, average);
        let (sum, n) = values.fold((0.0, 0.0), |(sum, n), log| (sum + log.exp(), n + 1.0));
        let level = (sum / n).ln();
        Self { quality, cost, smear, level }
    }

    /// A model by its labels, around its prior.
    pub(crate) fn know(&self, answers: &Answers, prior: Prior) -> Coefficients {
        let Target { basis, prior: others, .. } = &self.quality;
        let mean = match prior.quality {
            Some(quality) => others.mean_where(quality),
            None => others.gaussian.mean.clone(),
        };
        let features = basis.features(answers.iter().map(|answer| answer.at));
        let scores = answers.iter().map(|answer| answer.quality);
        let gram = Gram::of(&features, basis.len(), scores);
        let quality = others.posterior(&gram, &mean);
        Coefficients { quality, cost: self.know_cost(answers, prior.cost) }
    }

    fn know_cost(&self, answers: &Answers, prior: Option<f64>) -> Cost {
        let costs = || answers.iter().map(|answer| answer.cost);
        let n = costs().count() as f64;
        if costs().any(|cost| cost == 0.0) || (n == 0.0 && prior == Some(0.0)) {
            let all = || costs().chain(prior);
            let n = all().count() as f64;
            let mean = all().sum::<f64>() / n;
            let squares = all().map(|cost| (cost - mean).powi(2)).sum();
            return Cost::Mean(mean, (shrunk(squares, n, mean * mean) / n).sqrt());
        }
        let Target { basis, prior: others, .. } = &self.cost;
        let mut mean = others.gaussian.mean.clone();
        if let Some(cost) = prior.filter(|&cost| cost > 0.0) {
            mean[0] += cost.ln() - self.smear.ln() - self.level;
        }
        let features = basis.features(answers.iter().map(|answer| answer.at));
        let gram = Gram::of(&features, basis.len(), costs().map(f64::ln));
        let line = others.posterior(&gram, &mean);
        let values = basis.values(&features, &line.mean);
        let own: f64 = values.zip(costs()).map(|(value, cost)| (cost.ln() - value).exp()).sum();
        Cost::Log { line, smear: (own + self.smear) / (n + 1.0) }
    }

    /// All models in the order of their indices.
    pub(crate) fn tabulate(&self, known: &[&Coefficients]) -> Tables {
        let scores: Vec<Option<&Gaussian>> = known.iter().map(|own| Some(&own.quality)).collect();
        let costs: Vec<Option<&Gaussian>> = known
            .iter()
            .map(|own| match &own.cost {
                Cost::Log { line, .. } => Some(line),
                Cost::Mean(..) => None,
            })
            .collect();
        let ends = known.iter().map(|own| match own.cost {
            Cost::Log { smear, .. } => End::Log(smear),
            Cost::Mean(mean, se) => End::Mean(mean, se),
        });
        Tables {
            quality: LineTable::new(&scores, &self.quality),
            cost: LineTable::new(&costs, &self.cost),
            ends: ends.collect(),
        }
    }

    /// Overwrites every slice of `out` for a prompt of this direction.
    pub(crate) fn estimate(
        &self,
        tables: &Tables,
        direction: &[f32],
        scratch: &mut Scratch,
        out: &mut EstimatesMut<'_>,
    ) {
        let (quality, cost) = (&*self.quality.basis, &*self.cost.basis);
        let room = quality.room().max(cost.room());
        let len = quality.len().max(cost.len());
        let mut floats = std::mem::take(&mut scratch.floats);
        floats.resize(room + len.div_ceil(2), 0.0);
        let (room, numbers) = floats.split_at_mut(room);
        let numbers: &mut [f32] = bytemuck::cast_slice_mut(numbers);
        quality.features_into(direction, room, &mut numbers[..quality.len()]);
        let of_scores = &numbers[..quality.len()];
        tables.quality.estimate(&self.quality, of_scores, scratch.child(0), |model, mean, se| {
            out.quality[model] = mean.clamp(0.0, 1.0);
            out.quality_se[model] = se.min(0.5);
        });
        if !Arc::ptr_eq(&self.quality.basis, &self.cost.basis) {
            cost.features_into(direction, room, &mut numbers[..cost.len()]);
        }
        let of_costs = &numbers[..cost.len()];
        tables.cost.estimate(&self.cost, of_costs, scratch.child(0), |model, log, se| {
            (out.cost[model], out.cost_se[model]) = (log.min(MOST_LOG), se);
        });
        exp_each(out.cost);
        for ((cost, cost_se), end) in out.cost.iter_mut().zip(&mut *out.cost_se).zip(&tables.ends) {
            (*cost, *cost_se) = match *end {
                End::Log(smear) => (smear * *cost, smear * *cost * *cost_se),
                End::Mean(mean, se) => (mean, se),
            };
        }
        scratch.floats = floats;
    }
}

/// The mean over models of how much larger their costs are than `exp` of their lines, with one
/// more whose log costs are as spread as is thought possible.
fn smear(target: &Target, logs: &[f64], n_models: usize) -> f64 {
    let Target { basis, prior, .. } = target;
    let (mut sum, mut n) = ((0.5 * LOG_PRIOR).exp(), 1.0);
    for model in 0..n_models {
        let labels = || logs.iter().skip(model).step_by(n_models);
        let rows = basis.rows.chunks_exact(basis.len()).zip(labels());
        let own: Vec<(&[f64], f64)> =
            rows.filter(|row| !row.1.is_nan()).map(|(row, &log)| (row, log)).collect();
        if own.is_empty() {
            continue;
        }
        let features: Vec<f64> = own.iter().flat_map(|own| own.0).copied().collect();
        let gram = Gram::of(&features, basis.len(), own.iter().map(|own| own.1));
        let line = prior.posterior(&gram, &prior.gaussian.mean);
        let values = basis.values(&features, &line.mean).zip(&own);
        sum += values.map(|(value, own)| (own.1 - value).exp()).sum::<f64>() / own.len() as f64;
        n += 1.0;
    }
    sum / n
}
