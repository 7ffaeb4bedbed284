use std::sync::Arc;

use tollgate_core::{Meter, Row, Scope, Seed};
use tollgate_testkit::instances::{routing, split_budgets};

use super::*;
use crate::dual::{Oracle, scale};

/// Two models, scores 0.5 and 0.9 at temperature `t`, by hand.
#[test]
fn one_softmax_on_paper() {
    let problem = Problem::builder(1, 2, Choice::ExactlyOne)
        .table(Meter::Quality, Arc::from([0.5, 0.9]))
        .objective(Meter::Quality, 1.0)
        .rows([Row::at_most(Meter::One, Scope::model(1), 1.0)])
        .build()
        .unwrap();
    let layout = Layout::new(&problem);
    let (rows, unit) = scale(&problem, &layout);
    assert!((unit - 0.7).abs() < 1e-15, "the mean value");
    let operator = Operator::new(&problem, &layout, &rows, unit);
    let got = operator.softmax(&[0.0], Phase::Objective, 0.4 / 0.7);
    // In units of 0.7 the scores differ by one temperature: shares 1 to e.
    let share = 1.0_f64.exp() / (1.0 + 1.0_f64.exp());
    assert!((got.usage[0] - share).abs() < 1e-15);
    assert!((got.value * 0.7 - (0.5 + 0.4 * share)).abs() < 1e-15);
    assert!((got.gains * 0.7 - (0.5 + 0.4 * (1.0 + 1.0_f64.exp()).ln())).abs() < 1e-15);
}

/// As the temperature falls the smoothed value sinks on the dual function, from above
/// and by no more than `temperature log(n_models + 1)` a query; with groups, on one
/// thread or three.
#[test]
fn smoothing_is_bounded() {
    let problem = routing(3000, 5, Seed(31));
    let mut rows = split_budgets(&problem, 1.0);
    rows.push(Row::at_most(Meter::Cost, Scope::group(2), 0.02));
    let problem = Problem::builder(3000, 5, Choice::AtMostOne)
        .table(Meter::Quality, Arc::clone(problem.table(Meter::Quality).unwrap()))
        .table(Meter::Cost, Arc::clone(problem.table(Meter::Cost).unwrap()))
        .objective(Meter::Quality, 1.0)
        .groups((0..3000).map(|query| query % 4).collect())
        .rows(rows)
        .build()
        .unwrap();
    let layout = Layout::new(&problem);
    let (rows, unit) = scale(&problem, &layout);
    let operator = Operator::new(&problem, &layout, &rows, unit);
    let mut oracle = Oracle::new(&problem, &layout, &rows, unit);
    let prices = vec![0.8; 6];
    let exact = oracle.evaluate(&prices, Phase::Objective);
    let gains = exact.score(&prices, Phase::Objective);
    for temperature in [1.0, 0.1, 1e-3, 1e-6] {
        let got = operator.softmax(&prices, Phase::Objective, temperature / 3000.0);
        let excess = got.gains - gains;
        assert!((-1e-12..=temperature * 6.0_f64.ln()).contains(&excess), "{excess}");
        for n_threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            let again =
                pool.install(|| operator.softmax(&prices, Phase::Objective, temperature / 3000.0));
            assert_eq!(again.gains.to_bits(), got.gains.to_bits());
            assert_eq!(again.usage, got.usage);
        }
    }
}
