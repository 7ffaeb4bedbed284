//! What hindsight comes to on the instance by hand.

use tollgate::core::{Problem, Solution, SolveError, SolveOptions, Solver, Status, WarmState};
use tollgate::solvers::CuttingPlane;
use tollgate_lab::{Metrics, Oracle, lp_bound, realize};

use crate::hand::{near, pooled};

/// 3 USD, `a` for 1 and `b` for 2. Per USD, query 0 is worth 0.45 on `b`, query 1 is worth
/// 0.4 on `a`, and 0.1 more for another; query 2 is worth 0.3 on `b`. So 0 to `b`, 1 to `a`:
/// 1.3, without a fraction.
#[test]
fn the_optimum_worked_by_hand() {
    let result =
        Oracle::Optimum.run(pooled().stream(), pooled().knn5(), &CuttingPlane::default()).unwrap();
    let Metrics { performance, cost, served, declined, lost, .. } = result.metrics;
    assert!(near(performance, 1.3) && near(cost, 3.0), "{result:?}");
    assert_eq!((served, declined, lost), (2, 1, 0));
    assert!(near(result.lp_bound, 1.3), "{result:?}");
    assert!(near(lp_bound(pooled().stream(), &CuttingPlane::default()).unwrap(), 1.3));
}

/// It expects of every query what the one prompt of the history says: 0.5 of `a` and 0.6
/// of `b`. So all go to `a`, for 1.5 as it thinks and 0.4 + 0.4 + 0.1 in truth.
#[test]
fn the_approximate_optimum_worked_by_hand() {
    let result = Oracle::ApproximateOptimum
        .run(pooled().stream(), pooled().knn5(), &CuttingPlane::default())
        .unwrap();
    let Metrics { performance, cost, served, .. } = result.metrics;
    assert!(near(performance, 0.9) && near(cost, 3.0), "{result:?}");
    assert_eq!(served, 3);
    assert!(near(result.lp_bound, 1.5), "{result:?}");
}

#[test]
fn an_assignment_is_executed_in_order_of_arrival() {
    let metrics = realize(pooled().stream(), &vec![Some(1), Some(1), Some(0)]).unwrap();
    assert!(near(metrics.performance, 0.9 + 0.1) && near(metrics.cost, 3.0), "{metrics:?}");
    assert_eq!((metrics.served, metrics.lost, metrics.declined), (2, 1, 0));
    let metrics = realize(pooled().stream(), &vec![None, None, Some(1)]).unwrap();
    assert_eq!((metrics.served, metrics.declined), (1, 2));
}

/// Gives up.
#[derive(Debug)]
struct Impatient(CuttingPlane);

impl Solver for Impatient {
    fn name(&self) -> &'static str {
        "impatient"
    }

    fn solve(
        &self,
        problem: &Problem,
        options: &SolveOptions,
        warm: Option<&WarmState>,
    ) -> Result<Solution, SolveError> {
        let solution = self.0.solve(problem, options, warm)?;
        Ok(Solution { status: Status::LimitReached, ..solution })
    }
}

#[test]
fn an_oracle_that_does_not_finish_is_no_oracle() {
    let error = Oracle::Optimum
        .run(pooled().stream(), pooled().knn5(), &Impatient(CuttingPlane::default()))
        .unwrap_err();
    insta::assert_snapshot!(error, @"the program over the stream ended as: limit reached");
}
