//! Problems small enough to be solved by hand, for the tests of all iterative methods.

use std::fmt::Write;
use std::sync::Arc;

use tollgate_core::{Choice, Meter, Problem, Row, Scope, Seed, SolveOptions, Solver, Status};
pub(crate) use tollgate_testkit::instances::two_by_two;
use tollgate_testkit::instances::{routing, split_budgets};
use tollgate_testkit::solver_conformance as conformance;

/// The first with a budget of 3 USD. Both cheaply are worth 1.1 for 2, half of query 0's
/// upgrade 0.2 for 1: the optimum is 1.3, and the price 0.2. `D` is 1.6 at 0 with slope
/// -3, 1.5 - p (usage 4) around 0.1, 1.1 + p (usage 2) around 0.3, and 1.3 at 0.2.
pub(crate) fn budget() -> Problem {
    two_by_two(Choice::AtMostOne, vec![Row::at_most(Meter::Cost, Scope::all(), 3.0)])
}

/// The same options as OmniRouter has them: least cost, a mean quality of 0.65 at least,
/// one query at most on the dear model. The cheap answers have 1.1 in all for 2 USD, and
/// query 0 sells the 0.2 that are missing for 1 USD: 3 USD, at 5 USD a unit of quality.
pub(crate) fn floor() -> Problem {
    Problem::builder(2, 2, Choice::ExactlyOne)
        .table(Meter::Quality, Arc::from([0.5, 0.9, 0.6, 0.7]))
        .table(Meter::Cost, Arc::from([1.0, 3.0, 1.0, 3.0]))
        .objective(Meter::Cost, -1.0)
        .rows([
            Row::at_least(Meter::Quality, Scope::all(), 1.3),
            Row::at_most(Meter::One, Scope::model(1), 1.0),
        ])
        .build()
        .unwrap()
}

/// What a solver knows after 0, 1, 2, ... iterations: its best price, bound and value.
pub(crate) fn trace(solver: &dyn Solver, problem: &Problem, iterations: u64) -> String {
    let mut lines = String::new();
    for max_iterations in 0..=iterations {
        let options = SolveOptions { max_iterations, ..SolveOptions::default() };
        let solution = solver.solve(problem, &options, None).unwrap();
        let (price, bound, value) =
            (solution.prices[0], solution.dual_bound, solution.primal_value);
        writeln!(lines, "{max_iterations}: {price:.5} {bound:.5} {value:.5}").unwrap();
    }
    lines
}

/// The problems above, and others that ask for an edge, to the gap.
pub(crate) fn check(solver: &dyn Solver, gap: f64) {
    let options = SolveOptions { gap, ..SolveOptions::default() };
    let solve = |problem: &Problem| {
        let solution = solver.solve(problem, &options, None).unwrap();
        conformance::keeps_its_word_to(problem, &solution, gap);
        solution
    };
    let found = solve(&budget());
    assert_eq!(found.status, Status::Optimal);
    assert!(found.primal_value <= 1.3 + 1e-12 && found.primal_value >= 1.3 * (1.0 - gap));
    let found = solve(&floor());
    assert_eq!(found.status, Status::Optimal);
    assert!(found.primal_value <= -3.0 + 1e-12 && found.primal_value >= -3.0 / (1.0 - gap));
    // 2.5 answers of two queries: half an answer short, a quarter of the row's own scale.
    let rows = vec![
        Row::at_most(Meter::Cost, Scope::all(), 9.0),
        Row::at_least(Meter::One, Scope::model(1), 2.5),
    ];
    let found = solve(&two_by_two(Choice::AtMostOne, rows));
    let Status::Infeasible { rows, violation, .. } = found.status else {
        panic!("{}", found.status);
    };
    assert!(rows.contains(&1) && (violation - 0.25).abs() <= 0.25 * gap + 1e-12, "{violation}");
    assert!(found.primal.is_none());
    // A soft row whose price runs into its penalty of 0.1: query 0 upgrades, at 0.2 off.
    let soft = vec![Row::at_most(Meter::Cost, Scope::all(), 2.0).soft(0.1)];
    let found = solve(&two_by_two(Choice::AtMostOne, soft));
    assert!((found.primal_value - 1.3).abs() <= 1.3 * gap + 1e-12, "{}", found.primal_value);
    // A price of 3e4 beside one of 0.2.
    let rows = vec![
        Row::at_most(Meter::Cost, Scope::all(), 3.0),
        Row::at_most(Meter::One, Scope::model(1), 1e-5),
    ];
    let found = solve(&two_by_two(Choice::AtMostOne, rows));
    assert!((found.primal_value - 1.1).abs() <= 1.1 * gap + 1e-5, "{}", found.primal_value);
}

/// Numbers near the end of the numbers end in a status or in a breakdown.
pub(crate) fn ends_on_huge_numbers(solver: &dyn Solver) {
    for huge in [1e150, 1e300, 1e308] {
        for sign in [1.0, -1.0] {
            for capacity in [0.0, 1.0, huge] {
                let problem = Problem::builder(4, 2, Choice::ExactlyOne)
                    .table(
                        Meter::Quality,
                        Arc::from([huge, 1.0, 0.0, sign * huge, 1.0, 2.0, 3.0, -huge]),
                    )
                    .table(Meter::Cost, Arc::from([1.0, 1e-300, huge, 2.0, 0.0, 0.0, 1.0, 5.0]))
                    .objective(Meter::Quality, sign)
                    .rows([
                        Row::at_most(Meter::Cost, Scope::all(), capacity),
                        Row::at_least(Meter::Quality, Scope::model(1), sign * capacity).soft(huge),
                    ])
                    .build()
                    .unwrap();
                let options = SolveOptions { max_iterations: 500, ..SolveOptions::default() };
                if let Ok(solution) = solver.solve(&problem, &options, None) {
                    assert!(solution.dual_bound.is_finite());
                    assert!(solution.iterations <= 500);
                }
            }
        }
    }
}

/// A problem too large for luck, by the bare method.
pub(crate) fn reaches(solver: &dyn Solver, gap: f64) {
    let problem = routing(1500, 5, Seed(37));
    let problem = problem.with_rows(split_budgets(&problem, 1.0)).unwrap();
    let options = SolveOptions { gap, ..SolveOptions::default() };
    let solution = solver.solve(&problem, &options, None).unwrap();
    conformance::keeps_its_word_to(&problem, &solution, gap);
    assert_eq!(solution.status, Status::Optimal, "a gap of {}", solution.gap);
}
