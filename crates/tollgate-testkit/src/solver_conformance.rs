//! What every [`Solver`] promises, checked on problems of every kind.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tollgate_core::{
    Choice, Gap, Meter, Problem, Row, Scope, Seed, Sense, Solution, SolveOptions, Solver, Status,
    WarmState, dual_bound,
};

use crate::dense_lp::{self, Answer};
use crate::instances::{routing, split_budgets};
use crate::problems::problems;

/// The gap that an exact solver reaches.
const EXACT: Gap = 1e-9;

/// Runs the whole suite.
///
/// # Panics
/// When the solver breaks a promise, with the problem that shows it.
pub fn check(solver: &dyn Solver) {
    small_problems(solver, 400);
    suite(solver, EXACT);
}

/// Runs the whole suite on a solver that reaches a gap of its own, `> 0`: the status must
/// be right, and everything else within that gap. Also on one thread and on two.
///
/// # Panics
/// When the solver breaks a promise, with the problem that shows it.
pub fn check_iterative(solver: &dyn Solver, gap: Gap) {
    small_problems_to(solver, 400, gap);
    suite(solver, gap);
    threads(solver, gap);
}

fn suite(solver: &dyn Solver, gap: Gap) {
    a_larger_problem(solver, gap);
    limits(solver);
    empty_problems(solver, gap);
    strange_warm_state(solver, gap);
}

/// Random small problems against the textbook.
///
/// # Panics
/// When an answer is wrong.
pub fn small_problems(solver: &dyn Solver, cases: u32) {
    small_problems_to(solver, cases, EXACT);
}

/// Random small problems against the textbook, to a gap that the solver reaches.
///
/// # Panics
/// When an answer is wrong.
pub fn small_problems_to(solver: &dyn Solver, cases: u32, gap: Gap) {
    on_small_problems(0, cases, |problem| within(solver, problem, gap));
}

/// What any solver promises whether it reaches its gap or not, on random small problems:
/// [`keeps_its_word`], and the same again the next time.
///
/// # Panics
/// When an answer does not keep a promise.
pub fn words_of_small_problems(solver: &dyn Solver, cases: u32) {
    on_small_problems(0, cases, |problem| {
        let options = SolveOptions::default();
        let solution = solver.solve(problem, &options, None).expect("the arithmetic holds");
        keeps_its_word(problem, &solution);
        same(&solution, &solver.solve(problem, &options, None).expect("as before"));
        let warm = solver.solve(problem, &options, solution.warm.as_ref()).expect("as before");
        keeps_its_word(problem, &warm);
    });
}

/// Runs a check of one's own on random small problems, the same ones for the same seed.
///
/// # Panics
/// When the check does, with the smallest problem that makes it.
pub fn on_small_problems(seed: u8, cases: u32, check: impl Fn(&Problem)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&problems(), |problem| {
        check(&problem);
        Ok(())
    });
    assert_eq!(outcome.map_err(|error| error.to_string()), Ok(()));
}

/// Status, value, bound, answer and prices of one small problem, twice over.
///
/// # Panics
/// When one of them is wrong.
pub fn against_the_textbook(solver: &dyn Solver, problem: &Problem) {
    within(solver, problem, EXACT);
}

/// The same with a gap that the solver reaches.
fn within(solver: &dyn Solver, problem: &Problem, gap: Gap) {
    let options = asking(gap);
    let solution = solver.solve(problem, &options, None).expect("the arithmetic holds");
    agrees(problem, &dense_lp::solve(problem), &solution, gap);
    let again = solver.solve(problem, &options, None).expect("as before");
    same(&solution, &again);
    let warm = solver.solve(problem, &options, solution.warm.as_ref()).expect("as before");
    keeps_its_word_to(problem, &warm, gap);
    assert_eq!(
        std::mem::discriminant(&solution.status),
        std::mem::discriminant(&warm.status),
        "a warm start changes the status"
    );
    if solution.status == Status::Optimal {
        let error = (warm.primal_value - solution.primal_value).abs();
        assert!(error <= 2.0 * gap * magnitude(problem));
    }
}

/// A solution to this gap keeps its word, and is what the textbook says.
///
/// # Panics
/// When it is not.
pub fn agrees(problem: &Problem, textbook: &Answer, solution: &Solution, gap: Gap) {
    keeps_its_word_to(problem, solution, gap);
    let scale = magnitude(problem);
    match (textbook, &solution.status) {
        (Answer::Optimal(value), Status::Optimal) => {
            let error = (solution.primal_value - value).abs();
            assert!(error <= gap * scale, "value {}, not {value}", solution.primal_value);
            // However loose the gap: a bound is a bound, and no answer beats the best.
            assert!(solution.dual_bound >= value - 1e-9 * scale, "a bound below the optimum");
            assert!(solution.primal_value <= value + 1e-9 * scale, "better than the best");
        }
        (Answer::Infeasible, Status::Infeasible { .. }) => {}
        (expected, got) => unreachable!("{got:?}, but the textbook says {expected:?}"),
    }
}

fn asking(gap: Gap) -> SolveOptions {
    SolveOptions { gap, ..SolveOptions::default() }
}

/// What any solution says about itself must be so; *optimal* is said of a gap of 1e-9.
///
/// # Panics
/// When it is not.
pub fn keeps_its_word(problem: &Problem, solution: &Solution) {
    keeps_its_word_to(problem, solution, EXACT);
}

/// What any solution says about itself must be so; *optimal* is said of `asked`.
///
/// # Panics
/// When it is not.
pub fn keeps_its_word_to(problem: &Problem, solution: &Solution, asked: Gap) {
    let scale = magnitude(problem);
    assert_eq!(solution.prices.len(), problem.rows().len(), "one price a row");
    for (row, &price) in problem.rows().iter().zip(&solution.prices) {
        let most = row.penalty.unwrap_or(f64::MAX);
        assert!(price >= 0.0 && price <= most, "price {price} outside [0, {most}]");
    }
    let toll = |(price, row): (&f64, &Row)| price * (row.capacity.abs() + usage(problem, row));
    let tolls: f64 = solution.prices.iter().zip(problem.rows()).map(toll).sum();
    let bound = dual_bound(problem, &solution.prices);
    let error = (bound - solution.dual_bound).abs();
    assert!(error <= 1e-12 * (scale + tolls), "bound {} is {bound}", solution.dual_bound);
    match &solution.primal {
        Some(primal) => {
            let check = problem.check(primal);
            let error = (check.value - solution.primal_value).abs();
            assert!(error <= 1e-12 * scale, "value {} is {}", solution.primal_value, check.value);
            assert!(check.choice_violation <= 1e-9, "{check:?}");
            for (row, used) in problem.rows().iter().zip(&check.used) {
                let excess = row.sense.sign() * (used - row.capacity);
                let size = row.capacity.abs().max(usage(problem, row));
                assert!(row.penalty.is_some() || excess <= 1e-9 * size, "{row:?} has {used}");
            }
        }
        None => assert!(solution.primal_value < f64::MIN, "a value without an answer"),
    }
    match &solution.status {
        Status::Optimal => {
            let gap = solution.dual_bound - solution.primal_value;
            let size = solution.dual_bound.abs().max(solution.primal_value.abs());
            assert!(gap <= asked * size + 1e-12 * scale, "optimal with a gap of {gap}");
        }
        Status::Infeasible { rows, proof, violation } => {
            assert!(*violation > 0.0 && rows.len() == proof.len(), "{:?}", solution.status);
            let bound = dual_bound(&problem.without_objective(), &spread(problem, rows, proof));
            assert!(bound < 0.0, "the proof proves {bound}");
        }
        _ => {}
    }
}

/// Too large for the textbook: there the certificate is the proof.
fn a_larger_problem(solver: &dyn Solver, gap: Gap) {
    let options = asking(gap);
    let problem = routing(700, 6, Seed(3));
    let mut rows = split_budgets(&problem, 1.0);
    rows.push(Row::at_least(Meter::One, Scope::model(0), 40.0));
    let problem = problem.with_rows(rows.clone()).expect("as the instance's");
    let cold = solver.solve(&problem, &options, None).expect("the arithmetic holds");
    assert_eq!(cold.status, Status::Optimal);
    keeps_its_word_to(&problem, &cold, gap);
    for (at, row) in rows.iter_mut().enumerate() {
        row.capacity *= if at % 2 == 0 { 1.01 } else { 0.99 };
    }
    let changed = problem.with_rows(rows).expect("as before");
    let fresh = solver.solve(&changed, &options, None).expect("as before");
    let warm = solver.solve(&changed, &options, cold.warm.as_ref()).expect("as before");
    keeps_its_word_to(&changed, &warm, gap);
    assert_eq!(warm.status, Status::Optimal);
    assert!((warm.primal_value - fresh.primal_value).abs() <= 2.0 * gap * fresh.primal_value);
}

fn limits(solver: &dyn Solver) {
    let problem = routing(300, 5, Seed(4));
    let problem = problem.with_rows(split_budgets(&problem, 1.0)).expect("as the instance's");
    let few = SolveOptions { max_iterations: 2, ..SolveOptions::default() };
    let solution = solver.solve(&problem, &few, None).expect("the arithmetic holds");
    assert_eq!(solution.status, Status::LimitReached);
    assert!(solution.iterations <= 2, "{} iterations", solution.iterations);
    keeps_its_word(&problem, &solution);
    let raised = Some(Arc::new(AtomicBool::new(true)));
    let cancel = SolveOptions { cancel: raised, ..SolveOptions::default() };
    let solution = solver.solve(&problem, &cancel, None).expect("as before");
    assert_eq!(solution.status, Status::Cancelled);
    keeps_its_word(&problem, &solution);
}

fn empty_problems(solver: &dyn Solver, gap: Gap) {
    for choice in [Choice::AtMostOne, Choice::ExactlyOne] {
        for n_queries in [0, 2] {
            for sense in [Sense::AtMost, Sense::AtLeast] {
                for capacity in [0.0, 2.0, 5.0] {
                    let problem = Problem::builder(n_queries, 1, choice)
                        .objective(Meter::One, 1.0)
                        .rows([Row { sense, ..Row::at_most(Meter::One, Scope::all(), capacity) }])
                        .build()
                        .expect("nothing to refuse");
                    within(solver, &problem, gap);
                }
                let problem = Problem::builder(n_queries, 1, choice).build().expect("as before");
                within(solver, &problem, gap);
            }
        }
    }
}

fn strange_warm_state(solver: &dyn Solver, gap: Gap) {
    let problem = routing(50, 3, Seed(5));
    let problem = problem.with_rows(split_budgets(&problem, 1.0)).expect("as the instance's");
    let options = asking(gap);
    let cold = solver.solve(&problem, &options, None).expect("the arithmetic holds");
    let stranger = WarmState::new("another solver's");
    same(&cold, &solver.solve(&problem, &options, Some(&stranger)).expect("as before"));
    let other = routing(20, 2, Seed(6));
    let other = other.with_rows(split_budgets(&other, 1.0)).expect("as the instance's");
    let warm = solver.solve(&other, &options, cold.warm.as_ref()).expect("as before");
    assert_eq!(warm.status, Status::Optimal);
    keeps_its_word_to(&other, &warm, gap);
}

/// The same bits on one thread and on two; large enough for several chunks of work.
fn threads(solver: &dyn Solver, gap: Gap) {
    let problem = routing(2500, 5, Seed(7));
    let mut rows = split_budgets(&problem, 1.0);
    rows.push(Row::at_least(Meter::One, Scope::model(0), 200.0));
    let problem = problem.with_rows(rows).expect("as the instance's");
    let on = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build();
        let solve = || solver.solve(&problem, &asking(gap), None).expect("the arithmetic holds");
        pool.expect("threads to be had").install(solve)
    };
    let one = on(1);
    assert_eq!(one.status, Status::Optimal);
    same(&one, &on(2));
}

/// The same answer, bit for bit.
fn same(a: &Solution, b: &Solution) {
    let bits = |prices: &[f64]| prices.iter().map(|price| price.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&a.prices), bits(&b.prices));
    assert_eq!(a.primal_value.to_bits(), b.primal_value.to_bits());
    assert_eq!(a.primal, b.primal);
    assert_eq!((&a.status, a.iterations, a.passes), (&b.status, b.iterations, b.passes));
}

/// What the objective would come to if nothing cancelled, soft rows' penalties included.
pub fn magnitude(problem: &Problem) -> f64 {
    let most = |query: usize| {
        let of_meter = |model: usize| {
            let terms = Meter::ALL.map(|meter| {
                (problem.objective(meter) * problem.reading(meter, query, model)).abs()
            });
            terms.iter().sum::<f64>()
        };
        problem.weight(query) * (0..problem.n_models()).map(of_meter).fold(0.0, f64::max)
    };
    let values: f64 = (0..problem.n_queries()).map(most).sum();
    let penalties = problem
        .rows()
        .iter()
        .map(|row| row.penalty.unwrap_or(0.0) * (row.capacity.abs() + usage(problem, row)));
    values + penalties.sum::<f64>()
}

/// What a row would use if nothing cancelled.
fn usage(problem: &Problem, row: &Row) -> f64 {
    let most = |query: usize| {
        let covered =
            (0..problem.n_models()).filter(|&m| row.scope.covers(problem.group(query), m));
        let readings = covered.map(|model| problem.reading(row.meter, query, model).abs());
        problem.weight(query) * readings.fold(0.0, f64::max)
    };
    (0..problem.n_queries()).map(most).sum()
}

/// The prices of some rows, 0 for the others.
fn spread(problem: &Problem, rows: &[usize], prices: &[f64]) -> Vec<f64> {
    let mut all = vec![0.0; problem.rows().len()];
    for (&row, &price) in rows.iter().zip(prices) {
        assert!(problem.rows()[row].penalty.is_none(), "a soft row can always be kept");
        all[row] = price;
    }
    all
}
