//! The rest of the run looks like the history.

use std::sync::Arc;

use tollgate_core::{Budgets, EstimateTable, PolicyError, Problem, Progress};

use super::{Ahead, Shares, dealt, has_copies};
use crate::dual_price::sample::{corrected, problem};

/// By how much a cost ratio must have moved, relative, before the costs of the history are
/// written anew: re-solves of the very same queries are far cheaper.
const MOVED: f64 = 0.01;

/// The history's own estimates with the costs they have by now, and who they are dealt to.
#[derive(Debug)]
pub(super) struct Corrected {
    history: EstimateTable,
    budgets: Budgets,
    groups: Option<Arc<[u32]>>,
    ratios: Vec<f64>,
    problem: Problem,
    has_copies: bool,
}

impl Corrected {
    pub(super) fn new(history: &EstimateTable, budgets: Budgets) -> Result<Self, PolicyError> {
        let groups = dealt(history.n_queries(), budgets.n_groups()).map(Arc::from);
        let (quality, cost) = (Arc::clone(history.quality()), Arc::clone(history.cost()));
        let has_copies = has_copies(&quality, &cost, history.n_models());
        let problem = problem(&budgets, quality, cost, groups.clone())?;
        let ratios = vec![1.0; history.n_models()];
        Ok(Self { history: history.clone(), budgets, groups, ratios, problem, has_copies })
    }

    /// The history as a problem without rows and weights.
    pub(super) fn problem(&mut self, ratios: &[f64]) -> Result<&Problem, PolicyError> {
        let moved = |(new, old): (&f64, &f64)| (new / old - 1.0).abs() > MOVED;
        if ratios.iter().zip(&self.ratios).any(moved) {
            let quality = Arc::clone(self.history.quality());
            let cost = corrected(self.history.cost(), ratios);
            self.problem = problem(&self.budgets, quality, cost, self.groups.clone())?;
            ratios.clone_into(&mut self.ratios);
        }
        Ok(&self.problem)
    }

    pub(super) fn groups(&self) -> Option<&Arc<[u32]>> {
        self.groups.as_ref()
    }

    pub(super) fn history(&self) -> &EstimateTable {
        &self.history
    }

    pub(super) fn has_copies(&self) -> bool {
        self.has_copies
    }
}

#[derive(Debug)]
pub(super) struct HistoryOutlook {
    history: Corrected,
    shares: Shares,
}

impl HistoryOutlook {
    pub(super) fn new(history: &EstimateTable, budgets: Budgets) -> Result<Self, PolicyError> {
        let shares = Shares::new(budgets.n_groups());
        Ok(Self { history: Corrected::new(history, budgets)?, shares })
    }
}

impl Ahead for HistoryOutlook {
    fn problem(
        &mut self,
        progress: &Progress<'_>,
        _rest: f64,
    ) -> Result<Option<Problem>, PolicyError> {
        let problem = self.history.problem(progress.cost_ratios)?.clone();
        let Some(groups) = self.history.groups() else { return Ok(Some(problem)) };
        let weights = groups.iter().map(|&group| self.shares.of(group)).collect();
        Ok(Some(problem.with_weights(weights)?))
    }

    fn see(&mut self, progress: &Progress<'_>) {
        self.shares.see(progress.arrival.group);
    }

    fn has_ties(&self) -> bool {
        self.history.has_copies()
    }
}
