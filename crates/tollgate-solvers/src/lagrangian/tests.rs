use std::fmt::Write;

use tollgate_core::Seed;
use tollgate_testkit::instances::{routing, split_budgets};
use tollgate_testkit::solver_conformance as conformance;

use super::published::Multipliers;
use super::*;
use crate::recovery::on_paper;

#[test]
fn conforms() {
    conformance::check_iterative(&Lagrangian::default(), 1e-3);
}

#[test]
fn conforms_with_diminishing_steps() {
    let solver = LagrangianConfig::repaired().schedule(Schedule::Diminishing).build().unwrap();
    conformance::check_iterative(&solver, 1e-3);
}

#[test]
fn on_paper() {
    on_paper::check(&Lagrangian::default(), 1e-3);
    on_paper::ends_on_huge_numbers(&Lagrangian::default());
    on_paper::ends_on_huge_numbers(&LagrangianConfig::published().build().unwrap());
}

/// Without the prices of the mixture.
#[test]
fn bare_steps_reach_their_gap() {
    let bare = LagrangianConfig::repaired().polish(false);
    on_paper::reaches(&bare.clone().build().unwrap(), 1e-4);
    on_paper::reaches(&bare.schedule(Schedule::Diminishing).build().unwrap(), 1e-2);
}

#[test]
fn the_published_loop_keeps_its_word() {
    let published = LagrangianConfig::published().build().unwrap();
    assert_eq!(published.name(), "lagrangian-published");
    conformance::words_of_small_problems(&published, 400);
}

/// Equations (22), (23) and (25) on the floor of 0.65, with steps of 60 and 0.5. Without
/// multipliers both go to the cheap model: mean 0.55, so `l1` rises by 6. Query 0 changes
/// when `l1 0.4 / 2 > 2`, at 10; so not at 6, but at 12. Then the mean is 0.75, and `l1`
/// falls by 6, to where both are cheap: it goes on like that for ever. One query on the
/// dear model is just its capacity, so `l2` stays 0.
#[test]
fn a_trace_of_the_published_loop() {
    let config = LagrangianConfig::published().floor_step(60.0).capacity_step(0.5);
    let problem = on_paper::floor();
    let mut multipliers = Multipliers::new(&config, &problem, vec![0.0; 2]);
    let mut lines = String::new();
    for _ in 0..6 {
        let prices = multipliers.prices.clone();
        let dear = [0.4 * prices[0] - prices[1] > 2.0, 0.1 * prices[0] - prices[1] > 2.0];
        let quality = if dear[0] { 0.9 } else { 0.5 } + if dear[1] { 0.7 } else { 0.6 };
        let count = f64::from(u8::from(dear[0]) + u8::from(dear[1]));
        let moved = multipliers.step(&[quality, count]);
        let (l1, l2) = (2.0 * prices[0], prices[1]);
        writeln!(lines, "{l1:.3} {l2:.3} quality {quality:.1} {moved}").unwrap();
    }
    insta::assert_snapshot!(lines, @"
    0.000 0.000 quality 1.1 true
    6.000 0.000 quality 1.1 true
    12.000 0.000 quality 1.5 true
    6.000 0.000 quality 1.1 true
    12.000 0.000 quality 1.5 true
    6.000 0.000 quality 1.1 true
    ");
}

/// Which of the two assignments above comes last depends on the number of iterations
/// alone: after an even one, the cheap one, which breaks the floor.
#[test]
fn the_last_iterate_is_luck() {
    let problem = on_paper::floor();
    let last = |iterations: u64| {
        let config = LagrangianConfig::published().floor_step(60.0).capacity_step(0.5);
        let solver = config.iterations(iterations).build().unwrap();
        solver.solve(&problem, &SolveOptions::default(), None).unwrap()
    };
    let even = last(300);
    assert!(even.primal.is_none() && even.gap.is_infinite());
    let odd = last(299);
    // 4 USD where 3 are enough, for a fractional answer.
    assert!((odd.primal_value + 4.0).abs() < 1e-12, "{}", odd.primal_value);
    assert_eq!(odd.status, Status::LimitReached);
}

/// Steps of `1 / sqrt(k)` in the scaled price, whose unit is 1.35 / 4: 0, 0.3375, 0.0989,
/// 0.2937, ...; of the prices so far the one with the best bound, its bound, and the best
/// mixture of what was visited, worth 1.3 as soon as there is an assignment on either side
/// of 0.2. Some of the iterations are those of the mean, from the third on.
#[test]
fn a_trace_of_the_repaired_loop() {
    let config = LagrangianConfig::repaired().schedule(Schedule::Diminishing);
    let solver = config.polish(false).build().unwrap();
    insta::assert_snapshot!(on_paper::trace(&solver, &on_paper::budget(), 8), @"
    0: 0.00000 1.60000 0.80000
    1: 0.00000 1.60000 0.80000
    2: 0.33750 1.43750 1.22500
    3: 0.09885 1.40115 1.30000
    4: 0.29371 1.39371 1.30000
    5: 0.18644 1.31356 1.30000
    6: 0.18644 1.31356 1.30000
    7: 0.18644 1.31356 1.30000
    8: 0.19622 1.30378 1.30000
    ");
}

/// The mixture splits many queries; little is lost when each goes to one model.
#[test]
fn rounded_answers_are_whole() {
    let problem = routing(600, 4, Seed(41));
    let problem = problem.with_rows(split_budgets(&problem, 1.0)).unwrap();
    let options = SolveOptions { gap: 1e-2, ..SolveOptions::default() };
    let config = LagrangianConfig::repaired();
    let split = config.clone().build().unwrap().solve(&problem, &options, None).unwrap();
    let whole = config.integer(true).build().unwrap().solve(&problem, &options, None).unwrap();
    conformance::keeps_its_word_to(&problem, &whole, 1e-2);
    assert!(split.primal.unwrap().n_fractional() > 0);
    assert_eq!(whole.primal.unwrap().n_fractional(), 0);
    assert!(whole.primal_value > 0.9 * split.primal_value, "{}", whole.primal_value);
}

/// A floor between the two whole answers: none of them is reported.
#[test]
fn what_cannot_be_rounded_is_left_out() {
    let solver = LagrangianConfig::repaired().integer(true).build().unwrap();
    let options = SolveOptions { gap: 1e-3, ..SolveOptions::default() };
    let problem = on_paper::floor();
    let solution = solver.solve(&problem, &options, None).unwrap();
    conformance::keeps_its_word_to(&problem, &solution, 1e-3);
    assert_eq!(solution.status, Status::LimitReached);
}

#[test]
fn refusals() {
    let refused = |config: LagrangianConfig| config.build().unwrap_err().to_string();
    let config = LagrangianConfig::published;
    insta::assert_snapshot!(refused(config().floor_step(f64::NAN)), @"`floor_step` must be finite and > 0, got NaN");
    insta::assert_snapshot!(refused(config().capacity_step(0.0)), @"`capacity_step` must be finite and > 0, got 0");
    insta::assert_snapshot!(refused(config().tolerance(-1.0)), @"`tolerance` must be finite and >= 0, got -1");
    insta::assert_snapshot!(refused(config().iterations(0)), @"`iterations` must be at least 1, got 0");
}
