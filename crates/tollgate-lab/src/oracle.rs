//! What hindsight allows.
//!
//! # Problem
//! Two oracles see the whole stream at once: the *approximate optimum* knows the
//! estimates (always those of five exact neighbors) of every query, the *optimum* the
//! truth. Both solve the linear program (1) of the core over the stream, send each
//! query to its largest share, and are then executed in arrival order with true costs.
//! They are realized values, not bounds: the bounds are the programs' own values.
//!
//! # References
//! Wu and Silwal (2025), PORT, Approximate Optimum and Optimum; RP is Performance over
//! that of the approximate optimum, and may pass 100 %.

use std::sync::Arc;

use tollgate::core::{
    Assignment, Choice, EstimateTable, Ledger, Meter, Problem, Solution, SolveOptions, Solver,
    Status,
};

use crate::{LabError, Metrics, Stream};

/// Which future an oracle sees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Oracle {
    /// The estimates of every query: RP is measured against this one.
    ApproximateOptimum,
    /// The true scores and costs of every query.
    Optimum,
}

impl Oracle {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::ApproximateOptimum => "approximate-optimum",
            Self::Optimum => "optimum",
        }
    }
}

/// What an oracle came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OracleResult {
    /// Its answer, executed.
    pub metrics: Metrics,
    /// The dual bound of its program: no answer to it is worth more.
    pub lp_bound: f64,
}

impl Oracle {
    /// Solves and executes. `estimates` has one row an arrival: what the approximate optimum
    /// sees.
    ///
    /// # Errors
    /// [`LabError`] where the solve breaks down or does not reach its gap.
    pub fn run(
        self,
        stream: &Stream,
        estimates: &EstimateTable,
        solver: &dyn Solver,
    ) -> Result<OracleResult, LabError> {
        let solution = match self {
            Self::ApproximateOptimum => {
                solve(stream, estimates.quality(), estimates.cost(), solver)?
            }
            Self::Optimum => solve(stream, stream.true_quality(), stream.true_cost(), solver)?,
        };
        let lp_bound = solution.dual_bound;
        let primal = solution
            .primal
            .ok_or(LabError::Oracle { oracle: self.name(), status: solution.status })?;
        Ok(OracleResult { metrics: realize(stream, &primal.round())?, lp_bound })
    }
}

/// The value of the linear program on the truth: no policy's Performance is above it.
///
/// # Errors
/// As [`Oracle::run`].
pub fn lp_bound(stream: &Stream, solver: &dyn Solver) -> Result<f64, LabError> {
    Ok(solve(stream, stream.true_quality(), stream.true_cost(), solver)?.dual_bound)
}

fn solve(
    stream: &Stream,
    quality: &Arc<[f64]>,
    cost: &Arc<[f64]>,
    solver: &dyn Solver,
) -> Result<Solution, LabError> {
    let problem = Problem::builder(stream.len(), stream.models().len(), Choice::AtMostOne)
        .table(Meter::Quality, Arc::clone(quality))
        .table(Meter::Cost, Arc::clone(cost))
        .objective(Meter::Quality, 1.0)
        .groups((0..stream.len()).map(|arrival| stream.group(arrival)).collect())
        .rows(stream.budgets().rows().iter().cloned())
        .build()?;
    let solution = solver.solve(&problem, &SolveOptions::default(), None)?;
    match solution.status {
        Status::Optimal => Ok(solution),
        status => Err(LabError::Oracle { oracle: "the program over the stream", status }),
    }
}

/// Executes an assignment in arrival order with true costs: what does not fit is lost.
///
/// # Errors
/// [`LabError`] when a true cost is not an amount of money.
pub fn realize(stream: &Stream, assignment: &Assignment) -> Result<Metrics, LabError> {
    let ledger = Ledger::open(stream.budgets().clone())?;
    let mut metrics = Metrics::default();
    for (index, pick) in assignment.iter().enumerate() {
        let Some(model) = pick.map(|model| model as usize) else {
            metrics.declined += 1;
            continue;
        };
        let (quality, cost) = stream.truth(index, model);
        let real = ledger.amounts(model, cost)?;
        match ledger.reserve(stream.group(index), model, real) {
            None => metrics.lost += 1,
            Some(reservation) => {
                reservation.settle(real);
                metrics.served += 1;
                metrics.performance += quality;
                metrics.cost += cost;
            }
        }
    }
    Ok(metrics)
}
