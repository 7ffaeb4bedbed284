use std::fmt::Write;

use tollgate_core::{Choice, Meter, Problem, Row, Scope, Seed, SolveOptions, Solver, Status};
use tollgate_testkit::instances::{repeated, routing, split_budgets, tenants, two_by_two};
use tollgate_testkit::solver_conformance as conformance;

use super::search::{End, Search};
use super::*;
use crate::dual::{Phase, Sides, bound_of};

fn solve(problem: &Problem) -> Solution {
    let solver = CuttingPlane::default();
    let solution = solver.solve(problem, &SolveOptions::default(), None).unwrap();
    conformance::keeps_its_word(problem, &solution);
    solution
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9, "{a} is not {b}");
}

/// 3 USD serve both cheaply (1.1 for 2) and half of query 0's upgrade (0.2 for 1), so the
/// next dollar buys 0.2: that is the price.
#[test]
fn a_budget_on_paper() {
    let budget = vec![Row::at_most(Meter::Cost, Scope::all(), 3.0)];
    let solution = solve(&two_by_two(Choice::AtMostOne, budget));
    close(solution.primal_value, 1.3);
    close(solution.dual_bound, 1.3);
    close(solution.prices[0], 0.2);
    let primal = solution.primal.unwrap();
    assert_eq!(primal.n_fractional(), 1);
    let shares: Vec<f64> = primal.of(0).iter().map(|&(_, share)| share).collect();
    close(shares[0], 0.5);
    close(shares[1], 0.5);
    assert_eq!(primal.of(1), [(0, 1.0)]);
}

/// The same budget, iteration by iteration: the price asked for, `D` there, and the value
/// of the master then.
///
/// 0. At 0 both go to the dear model: 1.6 for 6 USD. The master may take half of that and
///    serve nobody otherwise: 0.8, at 0.8 / 3 a USD.
/// 1. Half-way there, at 0.4 / 3, query 1 goes to the cheap model: 1.5 for 4 USD, so
///    `D = 1.5 - p`. Three quarters of that are worth 1.125, at 0.375 a USD. `D` falls
///    towards the master's price: the weight of the best price goes from 0.5 to 0.4.
/// 2. `0.4 * 0.4 / 3 + 0.6 * 0.375`: both go to the cheap model, 1.1 for 2 USD, so
///    `D = 1.1 + p`, no better bound. Half of this and half of the last are worth 1.3, at
///    0.2 a USD. `D` rises: 0.46.
/// 3. `0.46 * 0.4 / 3 + 0.54 * 0.2`: a better bound, but the column of step 1. A miss.
/// 4. The master's own price, where bound and value meet.
#[test]
fn a_trace() {
    let budget = vec![Row::at_most(Meter::Cost, Scope::all(), 3.0)];
    let problem = two_by_two(Choice::AtMostOne, budget);
    let layout = Layout::new(&problem);
    let (rows, unit) = dual::scale(&problem, &layout);
    let mut lines = String::new();
    for max_iterations in 0..=5 {
        let mut oracle = Oracle::new(&problem, &layout, &rows, unit);
        let nobody = Column { origin: None, value: 0.0, usage: vec![0.0] };
        let sides = Sides { floors: vec![0.0], ceilings: vec![64.0] };
        let mut search =
            Search::new(&mut oracle, Phase::Objective, &[0.0], sides, vec![nobody], 0.5);
        let options = SolveOptions { max_iterations, ..SolveOptions::default() };
        let mut iterations = 0;
        let end = search.run(options.gap, &options, &mut iterations);
        assert_eq!(end == End::Met, max_iterations >= 4, "{end:?}");
        if iterations < max_iterations {
            continue;
        }
        let asked = search.recent.last().unwrap_or(&search.center).clone();
        let value = search.master.value() * unit;
        let column = search.oracle.evaluate(&asked, Phase::Objective);
        let bound = bound_of(search.oracle, &column, &asked, Phase::Objective) * unit;
        let price = asked[0] * rows[0].price_unit;
        writeln!(lines, "{iterations}: {price:.5} {bound:.5} {value:.5}").unwrap();
    }
    insta::assert_snapshot!(lines, @"
    0: 0.00000 1.60000 0.80000
    1: 0.13333 1.36667 1.12500
    2: 0.27833 1.37833 1.30000
    3: 0.16933 1.33067 1.30000
    4: 0.20000 1.30000 1.30000
    ");
}

/// At least 2.5 answers of the two best, which are worth 0.9 and 0.7, can't be had: two
/// are the most, half an answer short.
#[test]
fn an_impossible_floor_on_paper() {
    let floor = vec![
        Row::at_most(Meter::Cost, Scope::all(), 9.0),
        Row::at_least(Meter::One, Scope::model(1), 2.5),
    ];
    let solution = solve(&two_by_two(Choice::AtMostOne, floor));
    let Status::Infeasible { rows, proof, violation } = solution.status else {
        panic!("{}", solution.status);
    };
    assert_eq!(rows, [1]);
    // The row's own scale is its two queries: half an answer is a quarter of that.
    close(violation, 0.25);
    close(proof[0], 0.5);
    assert!(solution.primal.is_none());
}

/// Cheapest answers with a mean quality of 0.65 at least, everybody served: the cheap
/// ones have 1.1 in all for 2 USD, 0.2 are missing, and query 0 sells 0.4 for 2 USD.
#[test]
fn a_quality_floor_on_paper() {
    let rows = vec![Row::at_least(Meter::Quality, Scope::all(), 1.3)];
    let problem = Problem::builder(2, 2, Choice::ExactlyOne)
        .table(Meter::Quality, Arc::from([0.5, 0.9, 0.6, 0.7]))
        .table(Meter::Cost, Arc::from([1.0, 3.0, 1.0, 3.0]))
        .objective(Meter::Cost, -1.0)
        .rows(rows)
        .build()
        .unwrap();
    let solution = solve(&problem);
    close(solution.primal_value, -3.0);
    close(solution.prices[0], 5.0);
}

/// PORT's published objective on one query, prices boxed in [0, 1]: at `p = 0` the slope
/// is `0.5 - 3 < 0`, the scores meet at `1e-4 (0.9 - 0.5) = 2 p`, and beyond it the slope
/// is `0.5 - 1 < 0`, so the price runs into its box.
#[test]
fn the_box_of_a_soft_row_on_paper() {
    let problem = Problem::builder(1, 2, Choice::ExactlyOne)
        .table(Meter::Quality, Arc::from([0.5, 0.9]))
        .table(Meter::Cost, Arc::from([1.0, 3.0]))
        .objective(Meter::Quality, 1e-4)
        .rows([Row::at_most(Meter::Cost, Scope::all(), 0.5).soft(1.0)])
        .build()
        .unwrap();
    let solution = solve(&problem);
    close(solution.prices[0], 1.0);
    close(solution.dual_bound, 0.5 + 0.5e-4 - 1.0);
    assert_eq!(solution.status, Status::Optimal);
}

#[test]
fn conforms() {
    conformance::check(&CuttingPlane::default());
}

#[test]
fn conforms_without_help() {
    let plain = CuttingPlaneConfig::default().smoothing(0.0).ceiling(1.0).vertex(false);
    conformance::check(&plain.build().unwrap());
}

#[test]
fn agrees_with_the_textbook() {
    conformance::small_problems(&CuttingPlane::default(), 5000);
}

/// Large enough for samples, boxes and folds; by weak duality the certificate is a proof.
#[test]
fn a_vertex_splits_at_most_a_query_a_row() {
    let problem = routing(3000, 8, Seed(11));
    let mut rows = split_budgets(&problem, 1.5);
    rows.push(Row::at_most(Meter::Cost, Scope::all(), 0.5));
    let problem = problem.with_rows(rows).unwrap();
    let solution = solve(&problem);
    assert_eq!(solution.status, Status::Optimal);
    assert!(solution.gap <= 1e-9);
    assert!(solution.primal.unwrap().n_fractional() <= problem.rows().len());
    let loose = CuttingPlaneConfig::default().vertex(false).build().unwrap();
    let mixture = loose.solve(&problem, &SolveOptions::default(), None).unwrap();
    assert!(solution.primal_value >= mixture.primal_value - 1e-9);
}

/// Only a few distinct prompts, so that thousands of queries tie at the right prices.
#[test]
fn heavy_ties() {
    let problem = repeated(&routing(12, 4, Seed(13)), 3000);
    let problem = problem.with_rows(split_budgets(&problem, 1.0)).unwrap();
    let solution = solve(&problem);
    assert_eq!(solution.status, Status::Optimal);
    assert!(solution.primal.unwrap().n_fractional() <= 4);
}

/// Tenants with budgets of their own beside a pooled one, weights, and a budget of 0.
#[test]
fn layers_of_tenants() {
    let solution = solve(&tenants(20, 0.001, Seed(17)));
    assert_eq!(solution.status, Status::Optimal);
    let served = solution.primal.unwrap();
    // Tenant 0 has no budget; a query of weight 0 costs nothing and may go anywhere.
    let of_tenant_0 = (0..2000).filter(|query| query * 7 % 20 == 0 && query % 3 != 0);
    assert!(of_tenant_0.into_iter().all(|query| served.of(query).is_empty()));
}

/// A re-solve under slightly other budgets needs less work than the first solve.
#[test]
fn warm_is_cheaper() {
    let problem = routing(4000, 6, Seed(19));
    let rows = split_budgets(&problem, 1.0);
    let problem = problem.with_rows(rows.clone()).unwrap();
    let cold = solve(&problem);
    let rows = rows.into_iter().map(|row| Row { capacity: 0.99 * row.capacity, ..row });
    let next = problem.with_rows(rows.collect()).unwrap();
    let fresh = solve(&next);
    let options = SolveOptions::default();
    let warm = CuttingPlane::default().solve(&next, &options, cold.warm.as_ref()).unwrap();
    conformance::keeps_its_word(&next, &warm);
    assert!((warm.primal_value - fresh.primal_value).abs() <= 2e-9 * fresh.primal_value);
    assert!(2 * warm.passes < fresh.passes, "{} passes, not {}", warm.passes, fresh.passes);
}

#[test]
fn refusals() {
    let refused = |config: CuttingPlaneConfig| config.build().unwrap_err().to_string();
    let config = CuttingPlaneConfig::default;
    insta::assert_snapshot!(refused(config().smoothing(1.0)), @"`smoothing` must be in [0, 1), got 1");
    insta::assert_snapshot!(refused(config().smoothing(f64::NAN)), @"`smoothing` must be in [0, 1), got NaN");
    insta::assert_snapshot!(refused(config().ceiling(0.5)), @"`ceiling` must be finite and >= 1, got 0.5");
    insta::assert_snapshot!(refused(config().ceiling(f64::INFINITY)), @"`ceiling` must be finite and >= 1, got inf");
}

/// Readings near the end of the numbers are refused with the number, not looped over.
#[test]
fn overflow_is_an_error() {
    let problem = Problem::builder(4, 1, Choice::ExactlyOne)
        .table(Meter::Quality, Arc::from([1e308; 4]))
        .objective(Meter::Quality, 1.0)
        .rows([Row::at_most(Meter::One, Scope::all(), 9.0)])
        .build()
        .unwrap();
    let error = CuttingPlane::default().solve(&problem, &SolveOptions::default(), None);
    insta::assert_snapshot!(
        error.unwrap_err(),
        @"cutting-plane: a price or its bound is inf at iteration 0"
    );
}
