//! Factors of prompts, and what models are on them. Equation numbers are those of [`super`].

use std::sync::Arc;

use tollgate_core::{EstimatesMut, FitError, History, Prior, Scratch, Seed};

use super::gaussian::{Gaussian, Gram};
use super::left_out::LeftOut;
use super::target::{Surfaces, Target};
use crate::labelling;
use crate::labels::{Labels, QUALITY_PRIOR, shrunk};
use crate::log_costs::{LOG_PRIOR, LogCosts};
use crate::pool::{Answers, Lanes, Lore, anonymous};
use crate::regression::{Directions, Features, Lines, RegressionEstimator};

/// What was learned of prompts.
#[derive(Debug)]
pub(crate) struct FactorLore {
    /// How many factors scores and log costs have, at most.
    ranks: [usize; 2],
    quality: Target,
    /// Of log costs.
    cost: Target,
    /// How much larger the mean cost is than what the mean logarithm stands for.
    smear: f64,
    /// `ln` of the mean over prompts of `exp` of the average model's log cost.
    level: f64,
    order: Vec<usize>,
    labels: usize,
    seed: Seed,
    choice: Option<String>,
}

/// What is known of one model.
#[derive(Debug)]
pub(crate) struct Coefficients {
    quality: Gaussian,
    cost: Cost,
}

/// What is known of a model's costs.
#[derive(Debug)]
enum Cost {
    /// The logarithm is linear in the factors.
    Log { line: Gaussian, smear: f64 },
    /// A model that was free once: the mean, and its standard error.
    Mean(f64, f64),
}

impl FactorLore {
    /// How many factors scores and log costs have.
    pub(super) fn ranks(&self) -> [usize; 2] {
        self.ranks
    }

    /// From a history. Where no ranks are given they are chosen for models of `labels` labels.
    pub(super) fn learn(
        history: &History,
        ranks: Option<[usize; 2]>,
        labels: usize,
        seed: Seed,
    ) -> Result<Self, FitError> {
        let other = |source| FitError::Other { recipe: "factors".to_owned(), source };
        let history = anonymous(history);
        let logs = LogCosts::new(&Labels::new(&history)).table;
        let lines = both_lines(&history, &logs)?;
        let scores = surfaces(&lines[0], history.quality(), QUALITY_PRIOR);
        let costs = surfaces(&lines[1], &logs, LOG_PRIOR);
        let left_out = |surfaces| LeftOut::new(surfaces, labels, seed).map_err(other);
        let left_out = [left_out(scores)?, left_out(costs)?];
        let (ranks, choice) = if let Some(ranks) = ranks {
            (ranks, None)
        } else {
            let ranks = left_out.each_ref().map(LeftOut::rank);
            let why = format!("{} factors of scores and {} of costs", ranks[0], ranks[1]);
            (ranks, Some(format!("{why}, for the squared errors of models left out")))
        };
        let learn = |surfaces, at: usize| {
            let unexplained = left_out[at].unexplained(ranks[at]);
            Target::learn(surfaces, history.dim(), ranks[at], unexplained).map_err(other)
        };
        let (quality, cost) = (learn(scores, 0)?, learn(costs, 1)?);
        let order = {
            let covariance = &quality.prior.gaussian.covariance;
            labelling::by_leverage(&quality.rows, quality.len(), (covariance, quality.noise), seed)
        };
        let smear = smear(&cost, costs);
        let average = &cost.prior.gaussian.mean;
        let n = history.len() as f64;
        let level = (cost.values(&cost.rows, average).map(f64::exp).sum::<f64>() / n).ln();
        Ok(Self { ranks, quality, cost, smear, level, order, labels, seed, choice })
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
        let mut mean = self.cost.prior.gaussian.mean.clone();
        if let Some(cost) = prior.filter(|&cost| cost > 0.0) {
            mean[0] += cost.ln() - self.smear.ln() - self.level;
        }
        let features = self.cost.features(answers.iter().map(|answer| answer.at));
        let gram = Gram::of(&features, self.cost.len(), costs().map(f64::ln));
        let line = self.cost.prior.posterior(&gram, &mean);
        let values = self.cost.values(&features, &line.mean);
        let own: f64 = values.zip(costs()).map(|(value, cost)| (cost.ln() - value).exp()).sum();
        Cost::Log { line, smear: (own + self.smear) / (n + 1.0) }
    }
}

fn surfaces<'a>(lines: &'a Lines, labels: &'a [f64], prior: f64) -> Surfaces<'a> {
    let Lines { weights, intercepts, held_out } = lines;
    Surfaces { n_models: intercepts.len(), held_out, weights, intercepts, labels, prior }
}

/// Lines of scores and of log costs.
fn both_lines(history: &History, logs: &[f64]) -> Result<[Lines; 2], FitError> {
    // A history takes no cost below 0, and a line does not mind where 0 is.
    let lowest = logs.iter().copied().filter(|log| !log.is_nan()).fold(f64::INFINITY, f64::min);
    let lowest = if lowest.is_finite() { lowest } else { 0.0 };
    let cost = logs.iter().zip(history.cost().iter()).map(|(log, cost)| match cost.is_nan() {
        true => f64::NAN,
        false if log.is_nan() => 0.0,
        false => log - lowest,
    });
    let raised = history.with_cost(cost.collect()).expect("the labels are those of a history");
    let features: Arc<dyn Features> = Arc::new(Directions { dim: history.dim() });
    let mut lines = RegressionEstimator::lines("factors", &raised, &features)?;
    let [_, costs] = &mut lines;
    costs.intercepts.iter_mut().chain(&mut costs.held_out).for_each(|log| *log += lowest);
    Ok(lines)
}

/// The mean over models of how much larger their costs are than `exp` of their lines, with one
/// more whose log costs are as spread as is thought possible.
fn smear(target: &Target, costs: Surfaces<'_>) -> f64 {
    let (mut sum, mut n) = ((0.5 * LOG_PRIOR).exp(), 1.0);
    for model in 0..costs.n_models {
        let labels = || costs.labels.iter().skip(model).step_by(costs.n_models);
        let rows = target.rows.chunks_exact(target.len()).zip(labels());
        let own: Vec<(&[f64], f64)> =
            rows.filter(|row| !row.1.is_nan()).map(|(row, &log)| (row, log)).collect();
        if own.is_empty() {
            continue;
        }
        let features: Vec<f64> = own.iter().flat_map(|own| own.0).copied().collect();
        let gram = Gram::of(&features, target.len(), own.iter().map(|own| own.1));
        let line = target.prior.posterior(&gram, &target.prior.gaussian.mean);
        let values = target.values(&features, &line.mean).zip(&own);
        sum += values.map(|(value, own)| (own.1 - value).exp()).sum::<f64>() / own.len() as f64;
        n += 1.0;
    }
    sum / n
}

impl Lore for FactorLore {
    type Known = Coefficients;
    type Tables = Tables;

    fn know(&self, answers: &Answers, prior: Prior) -> Coefficients {
        let target = &self.quality;
        let mean = match prior.quality {
            Some(quality) => target.prior.mean_where(quality),
            None => target.prior.gaussian.mean.clone(),
        };
        let features = target.features(answers.iter().map(|answer| answer.at));
        let scores = answers.iter().map(|answer| answer.quality);
        let gram = Gram::of(&features, target.len(), scores);
        let quality = target.prior.posterior(&gram, &mean);
        Coefficients { quality, cost: self.know_cost(answers, prior.cost) }
    }

    fn tabulate(&self, known: &[&Coefficients]) -> Tables {
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
            quality: LineTable::new(&scores, self.quality.len()),
            cost: LineTable::new(&costs, self.cost.len()),
            ends: ends.collect(),
        }
    }

    fn estimate(
        &self,
        tables: &Tables,
        direction: &[f32],
        scratch: &mut Scratch,
        out: &mut EstimatesMut<'_>,
    ) {
        tables.quality.estimate(&self.quality, direction, scratch.child(0), |model, mean, se| {
            out.quality[model] = mean.clamp(0.0, 1.0);
            out.quality_se[model] = se.min(0.5);
        });
        tables.cost.estimate(&self.cost, direction, scratch.child(0), |model, log, se| {
            (out.cost[model], out.cost_se[model]) = match tables.ends[model] {
                End::Log(smear) => {
                    let cost = smear * log.exp();
                    (cost, cost * se)
                }
                End::Mean(mean, se) => (mean, se),
            };
        });
    }

    fn grow(&self, history: &History) -> Result<Self, FitError> {
        let grown = Self::learn(history, Some(self.ranks), self.labels, self.seed)?;
        Ok(Self { choice: self.choice.clone(), ..grown })
    }

    fn worth_labelling(&self) -> &[usize] {
        &self.order
    }

    fn choice(&self) -> Option<&str> {
        self.choice.as_deref()
    }
}

/// All models, laid out for queries.
#[derive(Debug)]
pub(crate) struct Tables {
    quality: LineTable,
    cost: LineTable,
    ends: Vec<End>,
}

/// How a cost comes of its line.
#[derive(Clone, Copy, Debug)]
enum End {
    Log(f64),
    Mean(f64, f64),
}

/// Coefficients and their covariances, one lane a model; zeros where there is no line.
#[derive(Debug)]
struct LineTable {
    n_models: usize,
    coefficients: Lanes,
    /// One row for each pair of features, the first of which is not after the second.
    covariances: Lanes,
}

/// Pairs of `len` features, the first not after the second.
fn pairs(len: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..len).flat_map(move |a| (a..len).map(move |b| (a, b)))
}

impl LineTable {
    fn new(models: &[Option<&Gaussian>], len: usize) -> Self {
        let n_models = models.len();
        let coefficients =
            Lanes::new(len, n_models, |at, model| models[model].map_or(0.0, |own| own.mean[at]));
        let pairs: Vec<(usize, usize)> = pairs(len).collect();
        let covariances = Lanes::new(pairs.len(), n_models, |pair, model| {
            models[model].map_or(0.0, |own| own.covariance[pairs[pair]])
        });
        Self { n_models, coefficients, covariances }
    }

    /// Calls `write` for every model with (1) and the root of (5).
    fn estimate(
        &self,
        target: &Target,
        direction: &[f32],
        scratch: &mut Scratch,
        mut write: impl FnMut(usize, f64, f64),
    ) {
        let len = target.len();
        let n_pairs = len * (len + 1) / 2;
        let width = self.coefficients.width();
        scratch.floats.resize((len + n_pairs + 2 * width).div_ceil(2), 0.0);
        let floats: &mut [f32] = bytemuck::cast_slice_mut(&mut scratch.floats);
        let (features, floats) = floats.split_at_mut(len);
        let (squares, floats) = floats.split_at_mut(n_pairs);
        let (means, floats) = floats.split_at_mut(width);
        let variances = &mut floats[..width];
        target.features_into(direction, features);
        for (square, (a, b)) in squares.iter_mut().zip(pairs(len)) {
            let twice = if a == b { 1.0 } else { 2.0 };
            *square = twice * features[a] * features[b];
        }
        self.coefficients.sum(features, means);
        self.covariances.sum(squares, variances);
        for model in 0..self.n_models {
            let se = (f64::from(variances[model].max(0.0)) + target.unexplained).sqrt();
            write(model, f64::from(means[model]), se);
        }
    }
}
