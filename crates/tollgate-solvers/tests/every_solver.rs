//! All solvers side by side: what none may do, and where they must agree.

use std::sync::Arc;

use tollgate_core::{
    Choice, Meter, Problem, Row, Scope, Seed, Solution, SolveOptions, Solver, Status,
};
use tollgate_solvers::{Auto, CuttingPlane, Simplex, round};
use tollgate_testkit::instances::{routing, split_budgets};
use tollgate_testkit::solver_conformance::{agrees, keeps_its_word, magnitude, on_small_problems};
use tollgate_testkit::{dense_lp, enumeration, wild};

/// Those that reach the last digit.
fn exact() -> [Arc<dyn Solver>; 3] {
    [Arc::new(Auto::default()), Arc::new(CuttingPlane::default()), Arc::new(Simplex::default())]
}

/// Those that reach the gap that they are asked for.
fn iterative() -> Vec<Arc<dyn Solver>> {
    let of_a_gap = |solver: &Arc<dyn Solver>| !exact().iter().any(|e| e.name() == solver.name());
    tollgate_solvers::all().into_iter().filter(of_a_gap).collect()
}

fn solve(solver: &dyn Solver, problem: &Problem, options: &SolveOptions) -> Solution {
    solver.solve(problem, options, None).expect("the arithmetic holds")
}

#[test]
fn survive_awkward_numbers() {
    let solvers = tollgate_solvers::all();
    let accepted = (0..).filter_map(|round| wild::drawn(Seed(100), round).ok());
    for problem in accepted.take(3000) {
        for solver in &solvers {
            wild::survives(solver.as_ref(), &problem);
        }
    }
}

/// A master that cycles at every iteration, and a ray on which the same change comes again
/// and again.
#[test]
fn survive_what_once_made_them_loop() {
    for (seed, round) in [(3, 171_782), (0, 80_908)] {
        let problem = wild::drawn(Seed(seed), round).unwrap();
        for solver in tollgate_solvers::all() {
            wild::survives(solver.as_ref(), &problem);
        }
    }
}

/// Also when they start from what another one left.
#[test]
fn exact_ones_agree_with_the_textbook() {
    on_small_problems(1, 2000, |problem| {
        let textbook = dense_lp::solve(problem);
        let options = SolveOptions::default();
        let found = exact().map(|solver| {
            let solution = solve(solver.as_ref(), problem, &options);
            agrees(problem, &textbook, &solution, 1e-9);
            solution
        });
        for solver in exact() {
            for left in &found {
                let warm = solver.solve(problem, &options, left.warm.as_ref()).unwrap();
                agrees(problem, &textbook, &warm, 1e-9);
            }
        }
    });
}

/// Forty copies of each of eleven queries, in three groups with budgets of their own and
/// not a multiple of eight each.
#[test]
fn exact_ones_agree_on_copies() {
    let base = routing(11, 4, Seed(5));
    let repeat = |meter| -> Arc<[f64]> { base.table(meter).unwrap().repeat(40).into() };
    let problem = Problem::builder(440, 4, Choice::AtMostOne)
        .table(Meter::Quality, repeat(Meter::Quality))
        .table(Meter::Cost, repeat(Meter::Cost))
        .objective(Meter::Quality, 1.0)
        .groups((0..440).map(|query| query % 11 % 3).collect())
        .weights((0..440).map(|query| 1.0 + f64::from(query % 2)).collect())
        .rows((0..3).map(|group| Row::at_most(Meter::Cost, Scope::group(group), 0.02)))
        .build()
        .unwrap();
    let values = exact().map(|solver| {
        let solution = solve(solver.as_ref(), &problem, &SolveOptions::default());
        keeps_its_word(&problem, &solution);
        assert_eq!(solution.status, Status::Optimal);
        solution.primal_value
    });
    let most = values.iter().copied().fold(0.0, f64::max);
    assert!(values.iter().all(|value| most - value <= 1e-9 * most), "{values:?}");
}

/// At a gap of a hundredth.
#[test]
fn iterative_ones_agree_with_the_textbook() {
    let options = SolveOptions { gap: 1e-2, ..SolveOptions::default() };
    on_small_problems(2, 400, |problem| {
        let textbook = dense_lp::solve(problem);
        for solver in iterative() {
            agrees(problem, &textbook, &solve(solver.as_ref(), problem, &options), 1e-2);
        }
    });
}

/// A vertex splits at most a query a row, and leaving those out costs their worth.
#[test]
fn whole_answers_lose_a_query_a_row() {
    for (seed, fraction) in (0..).zip([0.3, 1.0, 3.0, 10.0]) {
        for (n_queries, n_models) in [(20, 5), (300, 3), (1500, 11)] {
            let base = routing(n_queries, n_models, Seed(seed));
            let problem = base.with_rows(split_budgets(&base, fraction)).unwrap();
            let largest = base.table(Meter::Quality).unwrap().iter().copied().fold(0.0, f64::max);
            for solver in exact() {
                let solution = solve(solver.as_ref(), &problem, &SolveOptions::default());
                assert_eq!(solution.status, Status::Optimal);
                let rounded = round(&problem, &solution).unwrap();
                let most = n_models as f64 * largest;
                let (name, loss) = (solver.name(), rounded.loss);
                assert!(rounded.feasible, "{name}: {:?}", rounded.feasibility);
                assert!(loss <= most * (1.0 + 1e-9), "{name}: {loss} of {most}");
            }
        }
    }
}

/// However early it is stopped, a bound is above every whole answer, and where there is a
/// whole answer nobody says that there is none.
#[test]
fn no_whole_answer_is_above_a_bound() {
    let solvers = tollgate_solvers::all();
    on_small_problems(3, 2000, |problem| {
        if problem.n_queries() > 6 {
            return;
        }
        let Some(best) = enumeration::best(problem) else { return };
        for solver in &solvers {
            for max_iterations in [0, 1, 5, 200] {
                let options = SolveOptions { max_iterations, ..SolveOptions::default() };
                let solution = solve(solver.as_ref(), problem, &options);
                let (name, bound) = (solver.name(), solution.dual_bound);
                assert!(bound >= best - 1e-9 * magnitude(problem), "{name}: {bound} < {best}");
                let infeasible = matches!(solution.status, Status::Infeasible { .. });
                assert!(!infeasible, "{name}: {}", solution.status);
            }
        }
    });
}
