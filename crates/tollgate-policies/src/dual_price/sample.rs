//! Estimates collected as they come: what price problems are made of.

use std::collections::VecDeque;
use std::sync::Arc;

use tollgate_core::{
    Arrival, Budgets, Choice, Estimates, Meter, Prices, Problem, ProblemBuilder, ProblemError,
};

/// Arrivals, the oldest first, with costs as the estimator said them.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    quality: VecDeque<f64>,
    cost: VecDeque<f64>,
    groups: VecDeque<u32>,
    n_models: usize,
    /// The oldest make room beyond so many.
    most: usize,
}

impl Sample {
    pub(super) fn new(n_models: usize, most: usize) -> Self {
        let (quality, cost, groups) = <(VecDeque<f64>, VecDeque<f64>, VecDeque<u32>)>::default();
        Self { quality, cost, groups, n_models, most }
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Adds an arrival, whose costs have been multiplied by `cost_ratios`.
    pub(super) fn push(&mut self, arrival: &Arrival<'_>, cost_ratios: &[f64]) {
        if self.most == 0 {
            return;
        }
        if self.len() == self.most {
            self.quality.drain(..self.n_models);
            self.cost.drain(..self.n_models);
            self.groups.pop_front();
        }
        let Estimates { quality, cost, .. } = arrival.estimates;
        self.quality.extend(quality);
        self.cost.extend(cost.iter().zip(cost_ratios).map(|(cost, ratio)| cost / ratio));
        self.groups.push_back(arrival.group);
    }

    /// Scores of the latest `n` arrivals, the oldest first, row-major.
    pub(super) fn quality(&self, n: usize) -> impl Iterator<Item = f64> {
        self.quality.range(self.quality.len() - n * self.n_models..).copied()
    }

    /// Costs in USD of the latest `n` arrivals, as the estimator said them.
    pub(super) fn cost(&self, n: usize) -> impl Iterator<Item = f64> {
        self.cost.range(self.cost.len() - n * self.n_models..).copied()
    }

    /// Groups of the latest `n` arrivals.
    pub(super) fn groups(&self, n: usize) -> impl Iterator<Item = u32> {
        self.groups.range(self.groups.len() - n..).copied()
    }
}

/// A price problem's queries: scores, costs as they will really be, and groups, with rows to
/// be added.
pub(super) fn problem(
    budgets: &Budgets,
    quality: Arc<[f64]>,
    cost: Arc<[f64]>,
    groups: Option<Arc<[u32]>>,
) -> Result<Problem, ProblemError> {
    let n_models = budgets.n_models();
    let builder = Problem::builder(quality.len() / n_models, n_models, Choice::AtMostOne);
    let builder = with_tokens(builder, budgets, &cost)
        .table(Meter::Quality, quality)
        .table(Meter::Cost, cost)
        .objective(Meter::Quality, 1.0);
    let builder = match groups {
        Some(groups) => builder.groups(groups),
        None => builder,
    };
    builder.n_groups(budgets.n_groups()).build()
}

/// Tokens by the models' rates, where there are rates.
pub(super) fn with_tokens(
    builder: ProblemBuilder,
    budgets: &Budgets,
    cost: &[f64],
) -> ProblemBuilder {
    let Some(rates) = budgets.tokens_per_usd() else { return builder };
    let tokens = cost.chunks_exact(rates.len()).flat_map(|row| row.iter().zip(rates.iter()));
    builder.table(Meter::Tokens, tokens.map(|(cost, rate)| cost * rate).collect())
}

/// Prices as they are charged: tokens by the cost they stand for.
pub(super) fn charged(prices: Prices, budgets: &Budgets) -> Prices {
    match budgets.tokens_per_usd() {
        Some(rates) => prices.tokens_by_cost(rates),
        None => prices,
    }
}

/// Costs of a table multiplied by a ratio for each model.
pub(super) fn corrected(cost: &[f64], ratios: &[f64]) -> Arc<[f64]> {
    let rows = cost.chunks_exact(ratios.len());
    rows.flat_map(|row| row.iter().zip(ratios)).map(|(cost, ratio)| cost * ratio).collect()
}
