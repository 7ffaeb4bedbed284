use std::sync::Arc;

use proptest::prelude::*;
use tollgate_core::{
    Choice, Meter, Problem, Row, Scope, Seed, Sense, Solution, SolveOptions, Solver,
};
use tollgate_testkit::instances::{routing, split_budgets};
use tollgate_testkit::problems::problems;

use super::*;
use crate::CuttingPlane;

fn solved(problem: &Problem) -> Solution {
    CuttingPlane::default().solve(problem, &SolveOptions::default(), None).unwrap()
}

/// Three queries must be served, 0.5 or 0.9 for 1 or 3 USD, with a mean quality of 0.7 at
/// the least cost: the program splits one query, one answer more than two upgrades cost.
#[test]
fn a_floor_is_met_by_whole_queries() {
    let problem = Problem::builder(3, 2, Choice::ExactlyOne)
        .table(Meter::Quality, Arc::from([0.5, 0.9, 0.5, 0.9, 0.5, 0.9]))
        .table(Meter::Cost, Arc::from([1.0, 3.0, 1.0, 3.5, 1.0, 4.0]))
        .objective(Meter::Cost, -1.0)
        .rows([Row::at_least(Meter::Quality, Scope::all(), 2.1)])
        .build()
        .unwrap();
    let solution = solved(&problem);
    // 0.6 are missing: the first upgrade, and half of the second.
    assert!((solution.primal_value + 3.0 + 2.0 + 1.25).abs() < 1e-9);
    let rounded = round(&problem, &solution).unwrap();
    assert!(rounded.feasible);
    assert_eq!(rounded.assignment, [Some(1), Some(1), Some(0)]);
    assert!((rounded.loss - 1.25).abs() < 1e-9);
}

/// No whole answer uses exactly 1.5 units: said, not claimed.
#[test]
fn what_cannot_be_had_is_not_claimed() {
    let problem = Problem::builder(2, 1, Choice::AtMostOne)
        .objective(Meter::One, 1.0)
        .rows([
            Row::at_least(Meter::One, Scope::all(), 1.5),
            Row::at_most(Meter::One, Scope::all(), 1.5),
        ])
        .build()
        .unwrap();
    let rounded = round(&problem, &solved(&problem)).unwrap();
    assert!(!rounded.feasible);
}

/// Floors and capacities at size: whole, feasible, and close.
#[test]
fn floors_and_capacities() {
    for seed in 0..5 {
        let base = routing(600, 6, Seed(seed));
        let quality: f64 = 0.55 * 600.0;
        let mut rows = vec![Row::at_least(Meter::Quality, Scope::all(), quality)];
        rows.extend((0..6).map(|model| Row::at_most(Meter::One, Scope::model(model), 220.0)));
        let problem = Problem::builder(600, 6, Choice::ExactlyOne)
            .table(Meter::Quality, Arc::clone(base.table(Meter::Quality).unwrap()))
            .table(Meter::Cost, Arc::clone(base.table(Meter::Cost).unwrap()))
            .objective(Meter::Cost, -1.0)
            .rows(rows)
            .build()
            .unwrap();
        let solution = solved(&problem);
        let rounded = round(&problem, &solution).unwrap();
        assert!(rounded.feasible, "{:?}", rounded.feasibility);
        assert!(rounded.loss <= 0.02 * solution.primal_value.abs(), "{}", rounded.loss);
    }
}

/// With budgets alone the loss is at most the worth of `K` queries.
#[test]
fn the_loss_is_a_few_queries() {
    for seed in 0..5 {
        let base = routing(1500, 7, Seed(seed));
        let problem = base.with_rows(split_budgets(&base, 1.0)).unwrap();
        let rounded = round(&problem, &solved(&problem)).unwrap();
        assert!(rounded.feasible);
        assert!(rounded.loss <= 7.0 * 1.0 && rounded.loss >= -1e-9, "{}", rounded.loss);
    }
}

proptest! {
    /// Whatever comes out is what it says; with `<=` rows and declining it is always
    /// feasible and within `K` times the largest value.
    #[test]
    fn says_what_is_so(problem in problems()) {
        let solution = solved(&problem);
        let Some(rounded) = round(&problem, &solution) else { return Ok(()) };
        let answer = rounded.assignment.iter().copied().collect();
        let check = problem.check(&answer);
        prop_assert_eq!(&check, &rounded.feasibility);
        let simple = problem.choice() == Choice::AtMostOne
            && problem.rows().iter().all(|row| row.sense == Sense::AtMost && row.penalty.is_none());
        let positive = Meter::TABLED
            .iter()
            .filter_map(|meter| problem.table(*meter))
            .all(|table| table.iter().all(|reading| *reading >= 0.0));
        if simple && positive {
            let most = (0..problem.n_queries())
                .flat_map(|query| (0..problem.n_models()).map(move |model| (query, model)))
                .map(|(query, model)| problem.weight(query) * problem.value(query, model))
                .fold(0.0, f64::max);
            prop_assert!(rounded.feasible);
            let few = problem.rows().len() as f64 * most;
            prop_assert!(rounded.loss <= few + 1e-9 * most.max(1.0), "{} > {}", rounded.loss, few);
        }
    }
}
