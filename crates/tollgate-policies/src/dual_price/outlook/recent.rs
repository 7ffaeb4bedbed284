//! The rest of the run looks like the latest arrivals, alone or beside the history.

use std::sync::Arc;

use tollgate_core::{Budgets, EstimateTable, PolicyError, Problem, Progress};

use super::{Ahead, dealt, has_copies};
use crate::dual_price::sample::{Sample, corrected, problem};

#[derive(Debug)]
pub(super) struct RecentOutlook {
    history: Option<EstimateTable>,
    budgets: Budgets,
    sample: Sample,
    has_copies: bool,
}

impl RecentOutlook {
    pub(super) fn new(history: Option<&EstimateTable>, budgets: Budgets, window: usize) -> Self {
        let sample = Sample::new(budgets.n_models(), window);
        Self { history: history.cloned(), budgets, sample, has_copies: false }
    }
}

impl Ahead for RecentOutlook {
    fn problem(
        &mut self,
        progress: &Progress<'_>,
        _rest: f64,
    ) -> Result<Option<Problem>, PolicyError> {
        let n = self.sample.len();
        let history = self.history.as_ref();
        if n == 0 && history.is_none() {
            return Ok(None);
        }
        let old = |column: fn(&EstimateTable) -> &Arc<[f64]>| {
            history.into_iter().flat_map(move |table| column(table).iter().copied())
        };
        let quality: Arc<[f64]> =
            old(EstimateTable::quality).chain(self.sample.quality(n)).collect();
        let cost: Vec<f64> = old(EstimateTable::cost).chain(self.sample.cost(n)).collect();
        let n_groups = self.budgets.n_groups();
        let dealt = history.and_then(|table| dealt(table.n_queries(), n_groups));
        let groups = dealt.unwrap_or_default().into_iter().chain(self.sample.groups(n));
        let groups = (n_groups > 1).then(|| groups.collect());
        self.has_copies = has_copies(&quality, &cost, self.budgets.n_models());
        let cost = corrected(&cost, progress.cost_ratios);
        Ok(Some(problem(&self.budgets, quality, cost, groups)?))
    }

    fn see(&mut self, progress: &Progress<'_>) {
        self.sample.push(progress.arrival, progress.cost_ratios);
    }

    fn has_ties(&self) -> bool {
        self.has_copies
    }
}
