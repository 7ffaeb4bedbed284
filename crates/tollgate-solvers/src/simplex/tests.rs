use std::fmt::Write;

use tollgate_core::{Choice, Meter, Row, Scope, Seed};
use tollgate_testkit::instances::{nudged, repeated, routing, split_budgets, tenants, two_by_two};
use tollgate_testkit::solver_conformance as conformance;

use super::*;

fn solve(problem: &Problem) -> Solution {
    let solution = Simplex::default().solve(problem, &SolveOptions::default(), None).unwrap();
    conformance::keeps_its_word(problem, &solution);
    solution
}

fn resolve(problem: &Problem, warm: &Solution) -> Solution {
    let options = SolveOptions::default();
    let solution = Simplex::default().solve(problem, &options, warm.warm.as_ref()).unwrap();
    conformance::keeps_its_word(problem, &solution);
    assert_eq!(solution.status, Status::Optimal);
    solution
}

fn budgeted(n_queries: usize, n_models: usize, seed: u64) -> Problem {
    let problem = routing(n_queries, n_models, Seed(seed));
    let rows = split_budgets(&problem, 1.0);
    problem.with_rows(rows).unwrap()
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9, "{a} is not {b}");
}

/// 3 USD serve both cheaply (1.1 for 2) and half of query 0's upgrade (0.2 for 1), so the
/// next dollar buys 0.2: that is the price.
///
/// At a price of 0 both queries choose the dear model, 1.6 for 6 USD, which is 3 too much:
/// three quarters of the row's own scale, as both queries use 4 USD on a mean model.
/// Along the price, query 1 turns cheap at 0.1/2 (the fall of `D` goes from 3 to 1) and
/// query 0 at 0.4/2: there it would rise by 1. `D` is 1.6 at 0, and 3 * 0.2 + 0.3 + 0.4 =
/// 1.3 at 0.2; the level of query 0's cheap option is 1/2. One pivot.
#[test]
fn a_trace_on_paper() {
    let budget = vec![Row::at_most(Meter::Cost, Scope::all(), 3.0)];
    let problem = two_by_two(Choice::AtMostOne, budget);
    let laid = Laid::new(&problem, true);
    let (rows, unit) = dual::scale(&problem, &laid.layout);
    let program = Program::new(&problem, &laid.layout, &rows, unit, Phase::Objective);
    let options = SolveOptions::default();
    let knobs = Simplex::default().knobs;
    let mut effort = Effort::default();
    let mut search = Search { program: &program, knobs, options: &options, effort };
    let start = search.sampled(&laid.layout);
    let mut walk = walk::Walk::new(&program, &laid.layout, start, 1, &mut effort);
    let mut oracle = Oracle::new(&problem, &laid.layout, &rows, unit);
    let mut trace = String::new();
    for pivots in 0.. {
        let one_more = SolveOptions { max_iterations: pivots, ..options.clone() };
        let end = walk.run(&one_more, &mut effort);
        let price = walk.prices[0] * rows[0].price_unit;
        let bound = oracle.bound(&walk.prices);
        let (basis, level) = (&walk.saved()[0], walk.levels[0]);
        writeln!(trace, "{pivots}: price {price:.6}, bound {bound:.6}, {basis:?} at {level:.6}")
            .unwrap();
        if end != End::Limit {
            assert_eq!(end, End::Optimal);
            break;
        }
    }
    insta::assert_snapshot!(trace, @"
    0: price 0.000000, bound 1.600000, Spare(0) at -0.750000
    1: price 0.200000, bound 1.300000, Share { ordinal: 0, key: 1, option: 0 } at 0.500000
    ");
    let solution = solve(&problem);
    close(solution.primal_value, 1.3);
    close(solution.dual_bound, 1.3);
    close(solution.prices[0], 0.2);
    let primal = solution.primal.unwrap();
    assert_eq!(primal.n_fractional(), 1);
    close(primal.of(0)[0].1, 0.5);
    assert_eq!(primal.of(1), [(0, 1.0)]);
    assert_eq!(solution.iterations, 1);
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
    conformance::check(&Simplex::default());
}

/// Without merging, inverting after every pivot, breaking ties loudly.
#[test]
fn conforms_whatever_the_knobs() {
    let knobs = SimplexConfig::default().merge(false).refactor(1).perturbation(1e-11);
    conformance::check(&knobs.build().unwrap());
}

#[test]
fn agrees_with_the_textbook() {
    conformance::small_problems(&Simplex::default(), 10_000);
}

/// Large enough for samples and boxes; by weak duality the certificate is a proof.
#[test]
fn a_vertex_splits_at_most_a_query_a_row() {
    let problem = routing(3000, 8, Seed(11));
    let mut rows = split_budgets(&problem, 1.5);
    rows.push(Row::at_most(Meter::Cost, Scope::all(), 0.5));
    let problem = problem.with_rows(rows).unwrap();
    let solution = solve(&problem);
    assert_eq!(solution.status, Status::Optimal);
    assert!(solution.gap <= 1e-12, "{}", solution.gap);
    assert!(solution.primal.unwrap().n_fractional() <= problem.rows().len());
}

/// As many models as are ever budgeted apart.
#[test]
fn forty_budgets() {
    let problem = budgeted(2000, 40, 12);
    let solution = solve(&problem);
    assert_eq!(solution.status, Status::Optimal);
    assert!(solution.gap <= 1e-12, "{}", solution.gap);
    assert!(solution.primal.unwrap().n_fractional() <= 40);
}

/// A dozen queries, copied.
fn copies(n_queries: usize, weights: Option<Arc<[f64]>>) -> Problem {
    let mut problem = repeated(&routing(12, 4, Seed(13)), n_queries);
    if let Some(weights) = weights {
        problem = problem.with_weights(weights).unwrap();
    }
    let rows = split_budgets(&problem, 1.0);
    problem.with_rows(rows).unwrap()
}

/// Thousands of queries tie at the right prices. Solved as twelve, or apart, they are
/// worth the same, and the answer of the twelve splits no more of the thousands.
#[test]
fn heavy_ties() {
    let odd: Arc<[f64]> = (0..3000_u16).map(|query| 0.25 * f64::from(query % 7)).collect();
    for weights in [None, Some(odd)] {
        let problem = copies(3000, weights);
        let merged = solve(&problem);
        let apart = SimplexConfig::default().merge(false).build().unwrap();
        let apart = apart.solve(&problem, &SolveOptions::default(), None).unwrap();
        conformance::keeps_its_word(&problem, &apart);
        assert_eq!(apart.status, Status::Optimal);
        assert!((merged.primal_value - apart.primal_value).abs() <= 2e-9 * apart.primal_value);
        for solution in [&merged, &apart] {
            assert!(solution.primal.as_ref().unwrap().n_fractional() <= 4);
        }
        assert!(merged.passes <= 3, "{} passes", merged.passes);
        let next = nudged(&problem);
        let warm = resolve(&next, &merged);
        let fresh = solve(&next).primal_value;
        assert!((warm.primal_value - fresh).abs() <= 2e-9 * fresh);
    }
}

/// Few copies, or none, are not worth a search for them.
#[test]
fn merging_only_where_it_pays() {
    let laid = |problem: &Problem| Laid::new(problem, true);
    assert_eq!(laid(&copies(3000, None)).distinct().n_queries(), 12);
    assert!(laid(&budgeted(3000, 4, 13)).merged.is_none());
    assert!(laid(&copies(24, None)).merged.is_none());
}

/// All cost the same, and qualities are multiples of 0.2: every query ties with hundreds,
/// and none equals another.
#[test]
fn ties_without_copies() {
    let base = routing(1500, 6, Seed(14));
    let cost: Arc<[f64]> = (0..1500 * 6).map(|at| f64::from(1 + at % 6)).collect();
    let problem = Problem::builder(1500, 6, Choice::AtMostOne)
        .table(Meter::Quality, Arc::clone(base.table(Meter::Quality).unwrap()))
        .table(Meter::Cost, cost)
        .objective(Meter::Quality, 1.0)
        .build()
        .unwrap();
    let rows = split_budgets(&problem, 1.0);
    let problem = problem.with_rows(rows).unwrap();
    let solution = solve(&problem);
    assert_eq!(solution.status, Status::Optimal);
    assert!(solution.primal.unwrap().n_fractional() <= 6);
}

/// Nothing may be spent, and where everybody must be served that is a contradiction.
#[test]
fn no_budget() {
    for (choice, fits) in [(Choice::AtMostOne, true), (Choice::ExactlyOne, false)] {
        let solution =
            solve(&two_by_two(choice, vec![Row::at_most(Meter::Cost, Scope::all(), 0.0)]));
        assert_eq!(solution.status == Status::Optimal, fits, "{}", solution.status);
    }
    let problem = routing(2000, 5, Seed(15));
    let rows = (0..5).map(|model| Row::at_most(Meter::Cost, Scope::model(model), 0.0));
    let solution = solve(&problem.with_rows(rows.collect()).unwrap());
    assert_eq!(solution.status, Status::Optimal);
    close(solution.primal_value, 0.0);
}

/// Without rows the best option of each query is the answer.
#[test]
fn no_rows() {
    let solution = solve(&two_by_two(Choice::AtMostOne, Vec::new()));
    close(solution.primal_value, 1.6);
    assert_eq!((solution.iterations, solution.prices.len()), (0, 0));
}

/// Large, with samples, and impossible: half a million answers of 2,000 queries.
#[test]
fn a_large_contradiction() {
    let problem = routing(2000, 5, Seed(16));
    let mut rows = split_budgets(&problem, 1.0);
    rows.push(Row::at_least(Meter::One, Scope::all(), 500_000.0));
    let solution = solve(&problem.with_rows(rows).unwrap());
    assert!(matches!(solution.status, Status::Infeasible { .. }), "{}", solution.status);
}

/// Costs of 1e-9 USD beside 1e6, in one row and in several.
#[test]
fn scales_apart() {
    let base = routing(600, 4, Seed(17));
    let unit = |at: usize| 1e-9 * 1e5_f64.powi(i32::try_from(at % 4).unwrap());
    let cost = base.table(Meter::Cost).unwrap().iter().enumerate();
    let problem = Problem::builder(600, 4, Choice::AtMostOne)
        .table(Meter::Quality, Arc::clone(base.table(Meter::Quality).unwrap()))
        .table(Meter::Cost, cost.map(|(at, cost)| unit(at) * cost).collect())
        .objective(Meter::Quality, 1e4)
        .build()
        .unwrap();
    let mut rows = split_budgets(&problem, 50.0);
    rows.push(Row::at_most(Meter::Cost, Scope::all(), 1.0));
    let solution = solve(&problem.with_rows(rows).unwrap());
    assert_eq!(solution.status, Status::Optimal);
}

/// Tenants with budgets of their own beside a pooled one, weights, and a budget of 0.
#[test]
fn layers_of_tenants() {
    let solution = solve(&tenants(100, 0.0002, Seed(18)));
    assert_eq!(solution.status, Status::Optimal);
    let served = solution.primal.unwrap();
    // Tenant 0 has no budget; a query of weight 0 costs nothing and may go anywhere.
    let of_tenant_0 = (0..2000).filter(|query| query * 7 % 100 == 0 && query % 3 != 0);
    assert!(of_tenant_0.into_iter().all(|query| served.of(query).is_empty()));
}

/// The vertex is kept: nothing to do for the same budgets, little for others, for other
/// weights, and for other queries, where the prices alone are of use.
#[test]
fn warm_is_cheaper() {
    let problem = budgeted(4000, 6, 19);
    let cold = solve(&problem);
    let again = resolve(&problem, &cold);
    assert_eq!(again.iterations, 0);
    assert_eq!(again.prices, cold.prices);
    let next = nudged(&problem);
    let warm = resolve(&next, &cold);
    let fresh = solve(&next);
    assert!((warm.primal_value - fresh.primal_value).abs() <= 2e-9 * fresh.primal_value);
    assert!(warm.passes <= 4, "{} passes", warm.passes);
    assert!(2 * warm.iterations < fresh.iterations, "{} pivots", warm.iterations);
    let weights = (0..4000).map(|query| 1.0 + 0.1 * f64::from(query % 2)).collect();
    let weighted = problem.with_weights(weights).unwrap();
    let (warm, fresh) = (resolve(&weighted, &cold), solve(&weighted));
    assert!((warm.primal_value - fresh.primal_value).abs() <= 2e-9 * fresh.primal_value);
    assert!(warm.iterations < fresh.iterations, "{} pivots", warm.iterations);
    let others = budgeted(3900, 6, 20);
    let (warm, fresh) = (resolve(&others, &cold), solve(&others));
    assert!((warm.primal_value - fresh.primal_value).abs() <= 2e-9 * fresh.primal_value);
    assert!(warm.iterations < fresh.iterations, "{} pivots", warm.iterations);
}

#[test]
fn refusals() {
    let refused = |config: SimplexConfig| config.build().unwrap_err().to_string();
    let config = SimplexConfig::default;
    insta::assert_snapshot!(refused(config().refactor(0)), @"`refactor` must be >= 1, got 0");
    insta::assert_snapshot!(refused(config().perturbation(0.0)), @"`perturbation` must be in (0, 1e-6], got 0");
    insta::assert_snapshot!(refused(config().perturbation(f64::NAN)), @"`perturbation` must be in (0, 1e-6], got NaN");
    insta::assert_snapshot!(refused(config().perturbation(1e-5)), @"`perturbation` must be in (0, 1e-6], got 0.00001");
}

/// Readings near the end of the numbers are refused with the number, not looped over.
#[test]
fn overflow_is_an_error() {
    let problem = |rows: Vec<Row>| {
        Problem::builder(4, 2, Choice::ExactlyOne)
            .table(Meter::Quality, Arc::from([1e308; 8]))
            .table(Meter::Cost, Arc::from([1e300, 1e-300, 1e300, 0.0, 1e300, 1.0, 2.0, 1e300]))
            .objective(Meter::Quality, 1.0)
            .rows(rows)
            .build()
            .unwrap()
    };
    let rows = vec![Row::at_most(Meter::One, Scope::all(), 9.0)];
    let error = Simplex::default().solve(&problem(rows), &SolveOptions::default(), None);
    insta::assert_snapshot!(error.unwrap_err(), @"simplex: a price or its bound is inf at iteration 0");
    let rows = vec![
        Row::at_most(Meter::Cost, Scope::all(), 1e300),
        Row::at_least(Meter::Quality, Scope::model(0), 1e308),
    ];
    let error = Simplex::default().solve(&problem(rows), &SolveOptions::default(), None);
    insta::assert_snapshot!(error.unwrap_err(), @"simplex: a price or its bound is inf at iteration 0");
}
