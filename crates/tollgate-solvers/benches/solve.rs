//! Time to a certified gap of 1e-9, on one thread.

use divan::{Bencher, black_box};
use tollgate_core::{Meter, Problem, Row, Scope, Seed, SolveOptions, Solver};
use tollgate_solvers::CuttingPlane;
use tollgate_testkit::instances::{nudged, routing, split_budgets};

const SIZES: [(usize, usize); 4] = [(1_200, 2), (10_000, 11), (11_000, 18), (100_000, 11)];

fn main() {
    divan::main();
}

fn split((n_queries, n_models): (usize, usize)) -> Problem {
    let problem = routing(n_queries, n_models, Seed(42));
    problem.with_rows(split_budgets(&problem, 1.0)).expect("an instance")
}

fn pooled((n_queries, n_models): (usize, usize)) -> Problem {
    let problem = routing(n_queries, n_models, Seed(42));
    let budget = split_budgets(&problem, 2.0).iter().map(|row| row.capacity).sum();
    problem.with_rows(vec![Row::at_most(Meter::Cost, Scope::all(), budget)]).expect("an instance")
}

#[divan::bench(args = SIZES)]
fn cold_split_budgets(bencher: Bencher<'_, '_>, size: (usize, usize)) {
    let (problem, options) = (split(size), SolveOptions::default());
    bencher.bench_local(|| CuttingPlane::default().solve(black_box(&problem), &options, None));
}

#[divan::bench(args = SIZES)]
fn cold_pooled_budget(bencher: Bencher<'_, '_>, size: (usize, usize)) {
    let (problem, options) = (pooled(size), SolveOptions::default());
    bencher.bench_local(|| CuttingPlane::default().solve(black_box(&problem), &options, None));
}

#[divan::bench(args = SIZES)]
fn warm_split_budgets(bencher: Bencher<'_, '_>, size: (usize, usize)) {
    let (problem, options) = (split(size), SolveOptions::default());
    let solver = CuttingPlane::default();
    let warm = solver.solve(&problem, &options, None).expect("solvable").warm;
    let next = nudged(&problem);
    bencher.bench_local(|| solver.solve(black_box(&next), &options, warm.as_ref()));
}
