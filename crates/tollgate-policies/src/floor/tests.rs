use std::sync::Arc;

use tollgate_core::{Choice, EstimateTable, Meter, Problem, Row, Scope};

use super::*;
use crate::testing::table;

fn refused(config: FloorConfig) -> String {
    config.build().unwrap_err().to_string()
}

#[test]
fn knobs_out_of_range_are_named() {
    let plain = FloorConfig::default;
    insta::assert_snapshot!(refused(FloorConfig { floor: Some(1.5), ..plain() }), @"`floor` must be in [0, 1], got 1.5");
    insta::assert_snapshot!(refused(FloorConfig { reach: Some(f64::NAN), ..plain() }), @"`reach` must be in [0, 1], got NaN");
    let both = FloorConfig { floor: Some(0.5), reach: Some(0.5), ..plain() };
    insta::assert_snapshot!(refused(both), @"`reach` must be left out where `floor` is given, got 0.5");
    insta::assert_snapshot!(refused(FloorConfig { confidence: 1.0, ..plain() }), @"`confidence` must be in [0.5, 1), got 1");
    insta::assert_snapshot!(refused(FloorConfig { every: 0, ..plain() }), @"`every` must be >= 1, got 0");
    insta::assert_snapshot!(refused(FloorConfig { gap: -1.0, ..plain() }), @"`gap` must be finite and >= 0, got -1");
    insta::assert_snapshot!(refused(FloorConfig { per_second: f64::INFINITY, ..plain() }), @"`per_second` must be finite and >= 0, got inf");
}

/// Four prompts; model 0 costs 1 and is expected to score .5, model 1 costs 3 and is expected
/// to score .9, .8, .7, .6. Scores as in the second list, one of them unknown.
pub(super) fn history() -> EstimateTable {
    let quality = [[0.5, 0.9], [0.5, 0.8], [0.5, 0.7], [0.5, 0.6]];
    let scores = [1.0, 1.0, 0.0, f64::NAN, 0.0, 0.5, 1.0, 0.0];
    table(&quality, &[[1.0, 3.0]; 4]).with_scores(Arc::from(scores))
}

pub(super) fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} and {b}");
}

/// The best are expected to score .75 on average; known are 1 - .9, .5 - .7 and 0 - .6, of mean
/// -.7/3.
#[test]
fn errors_are_those_of_what_is_chosen() {
    let best = Rehearsal::new(history()).of_best();
    close(best.expected, 0.75);
    close(best.bias, -0.7 / 3.0);
    let off = [0.1_f64, -0.2, -0.6].map(|d| (d + 0.7 / 3.0).powi(2));
    close(best.deviation, (off.iter().sum::<f64>() / 2.0).sqrt());
    close(best.known, 3.0);
    close(best.of_mean(6.0), best.deviation * (1.0_f64 / 6.0 + 1.0 / 3.0).sqrt());
}

/// At 10 USD a point of quality model 1 gains 4, 3, 2 and 1 for 2 USD more: it is chosen on the
/// first two, and on the third as on the fourth ties and losses go to model 0.
#[test]
fn prices_choose_as_a_policy_would() {
    let problem = Problem::builder(1, 2, Choice::ExactlyOne)
        .table(Meter::Quality, Arc::from([0.5, 0.5]))
        .table(Meter::Cost, Arc::from([1.0, 3.0]))
        .objective(Meter::Cost, -1.0)
        .rows([Row::at_least(Meter::Quality, Scope::all(), 0.5)])
        .build()
        .unwrap();
    let errors = Rehearsal::new(history()).at(&problem.coefficients(&[10.0]));
    close(errors.expected, (0.9 + 0.8 + 0.5 + 0.5) / 4.0);
    // Known: 1 - .9, 0 - .5, 1 - .5.
    close(errors.bias, 0.1 / 3.0);
    close(errors.known, 3.0);
}

/// The cheapest model scores .5 on average; the best expected lead to .75 - .7/3.
#[test]
fn a_reach_is_a_share_of_the_way() {
    let rehearsal = Rehearsal::new(history());
    let (least, best) = rehearsal.range();
    close(least, 0.5);
    close(best, 0.75 - 0.7 / 3.0);
    let floor = FloorConfig { reach: Some(0.25), ..FloorConfig::default() }.build().unwrap();
    close(floor.alpha(&rehearsal), least + 0.25 * (best - least));
    let floor = FloorConfig { floor: Some(0.7), ..FloorConfig::default() }.build().unwrap();
    close(floor.alpha(&rehearsal), 0.7);
}

/// The best score .75 - .7/3 on the history; 1.64485 deviations of the mean of 6 more are kept.
#[test]
fn a_promise_is_the_best_less_the_margin() {
    let rehearsal = Rehearsal::new(history());
    let best = rehearsal.of_best();
    let floor = FloorConfig::default().build().unwrap();
    let promised = floor.promise(&rehearsal, 6);
    let expected = 0.75 - 0.7 / 3.0 - 1.644_853_6 * best.of_mean(6.0);
    assert!((promised - expected).abs() < 1e-6, "{promised}");
}

/// Nobody knows scores: estimates are taken at their word, and scores are coins.
#[test]
fn without_scores_a_score_is_a_coin() {
    let quality = [[0.5, 0.9], [0.5, 0.8]];
    let best = Rehearsal::new(table(&quality, &[[1.0, 3.0]; 2])).of_best();
    close(best.bias, 0.0);
    close(best.deviation, f64::midpoint(0.9 * 0.1, 0.8 * 0.2).sqrt());
    close(best.known, 2.0);
}

/// Errors that are coins are nearly normal in the mean of hundreds.
#[test]
fn the_bootstrap_finds_the_normal_quantile() {
    let n = 600;
    let quality = vec![[0.5]; n];
    let scores: Vec<f64> = (0..n).map(|at| f64::from(u8::from(at % 2 == 0))).collect();
    let history = table(&quality, &vec![[1.0]; n]).with_scores(scores.into());
    let rehearsal = Rehearsal::new(history);
    let of = |margin| {
        let floor = FloorConfig { margin, ..FloorConfig::default() }.build().unwrap();
        floor.quantile(&rehearsal, 600)
    };
    assert!((of(Margin::Normal) - 1.6449).abs() < 1e-3);
    assert!((of(Margin::Bootstrap) - 1.645).abs() < 0.25, "{}", of(Margin::Bootstrap));
    close(of(Margin::None), 0.0);
}

#[test]
fn a_batch_keeps_what_policies_promise() {
    let config = FloorConfig { window: 4, ..FloorConfig::default() };
    let policy = config.build_batch(crate::testing::Oracle::priced(&[])).unwrap();
    tollgate_testkit::policy_conformance::check(&policy);
    insta::assert_snapshot!(tollgate_core::Policy::name(&policy), @"floor-batch(reach=0.8)");
}
