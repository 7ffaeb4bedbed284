//! A floor held by planning every window at once.
//!
//! # Method
//! The arrivals of a window are ranked together by [`Floor::plan`], within what is left of the
//! budgets. Where the floor cannot be met the plan is the best mean score that the budgets
//! allow, and where those cannot take all queries, as many as they can: the others are
//! declined, for want of budget.
//!
//! # Departures from the paper
//! See the floor's page. OmniRouter's batch setting has all test queries in one window; here a
//! window is [`FloorConfig::window`](super::FloorConfig::window) arrivals, 2,000 where none is
//! given, or what remains of the stream.

use std::sync::Arc;

use tollgate_core::{
    Arrival, BudgetView, EstimateTable, Policy, PolicyError, Prices, Ranking, RunSetup, Solver,
};

use super::{Floor, Rehearsal};
use crate::fitting::rank_assigned;
use crate::setup::history;

/// Arrivals of a window where none is given.
const WINDOW: u64 = 2_000;

/// Plans windows of arrivals.
#[derive(Clone, Debug)]
pub struct FloorBatch {
    floor: Floor,
    solver: Arc<dyn Solver>,
    /// Known once it is adapted to a run.
    rehearsal: Option<Arc<Rehearsal>>,
}

impl FloorBatch {
    pub(super) fn new(floor: Floor, solver: Arc<dyn Solver>) -> Self {
        Self { floor, solver, rehearsal: None }
    }
}

impl Policy for FloorBatch {
    fn name(&self) -> String {
        format!("floor-batch({})", self.floor.label())
    }

    fn needs_history(&self) -> bool {
        true
    }

    fn corrects_costs(&self) -> bool {
        true
    }

    fn adapt(&self, setup: &RunSetup<'_>) -> Result<Option<Arc<dyn Policy>>, PolicyError> {
        let rehearsal = Rehearsal::new(history(setup, || self.name())?.clone());
        let rehearsal = Some(Arc::new(rehearsal));
        Ok(Some(Arc::new(Self { rehearsal, ..self.clone() })))
    }

    fn batch_size(&self) -> usize {
        let window = self.floor.config().window;
        usize::try_from(if window == 0 { WINDOW } else { window }).unwrap_or(usize::MAX)
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        self.rank_batch(std::slice::from_ref(arrival), prices, budgets, std::slice::from_mut(out))
    }

    fn rank_batch(
        &self,
        arrivals: &[Arrival<'_>],
        _prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut [Ranking],
    ) -> Result<(), PolicyError> {
        let Some(rehearsal) = &self.rehearsal else {
            return Err(PolicyError::not_adapted(self.name()));
        };
        let queries = table(arrivals, budgets.budgets.n_models());
        let rows = budgets.budgets.rows_with(budgets.remaining.iter().copied());
        let plan = self.floor.plan(&queries, rehearsal, &rows, &*self.solver)?;
        rank_assigned(&plan.problem, &plan.assignment, out);
        Ok(())
    }
}

fn table(arrivals: &[Arrival<'_>], n_models: usize) -> EstimateTable {
    let mut table = EstimateTable::zeros(arrivals.len(), n_models);
    table.fill(|mut out| {
        for (index, arrival) in arrivals.iter().enumerate() {
            let row = out.rows(n_models, index, index + 1);
            row.quality.copy_from_slice(arrival.estimates.quality);
            row.cost.copy_from_slice(arrival.estimates.cost);
        }
    });
    table
}
