//! Factors of prompts, and what models are on them. Equation numbers are those of [`super`].

use std::sync::Arc;

use tollgate_core::{FitError, History, Seed};

use super::left_out::LeftOut;
use super::target::{self, Surfaces};
use crate::labelling;
use crate::labels::{Labels, QUALITY_PRIOR};
use crate::linear::{Linear, LinearLore, Target};
use crate::log_costs::{LOG_PRIOR, LogCosts};
use crate::pool::anonymous;
use crate::regression::{Directions, Features, Lines, RegressionEstimator};

/// What was learned of prompts.
#[derive(Debug)]
pub(crate) struct FactorLore {
    /// How many factors scores and log costs have, at most.
    ranks: [usize; 2],
    linear: Linear,
    order: Vec<usize>,
    labels: usize,
    seed: Seed,
    choice: Option<String>,
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
            target::learn(surfaces, history.dim(), ranks[at], unexplained).map_err(other)
        };
        let ((quality, noise), (cost, _)) = (learn(scores, 0)?, learn(costs, 1)?);
        let order = {
            let Target { basis, prior, .. } = &quality;
            labelling::by_leverage(
                &basis.rows,
                basis.len(),
                (&prior.gaussian.covariance, noise),
                seed,
            )
        };
        let linear = Linear::new(quality, cost, &logs, history.models().len());
        Ok(Self { ranks, linear, order, labels, seed, choice })
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

impl LinearLore for FactorLore {
    fn linear(&self) -> &Linear {
        &self.linear
    }

    fn longer(&self, history: &History) -> Result<Self, FitError> {
        let grown = Self::learn(history, Some(self.ranks), self.labels, self.seed)?;
        Ok(Self { choice: self.choice.clone(), ..grown })
    }

    fn order(&self) -> &[usize] {
        &self.order
    }

    fn chosen(&self) -> Option<&str> {
        self.choice.as_deref()
    }
}
