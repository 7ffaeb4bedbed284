use tollgate_core::{Budgets, Meter, Row, Scope};

use super::*;
use crate::testing::{Left, arrival, rank};

fn best(by: GreedyBy, quality: &[f64], left: &Left) -> (usize, f64) {
    let cost = vec![1.0; quality.len()];
    let arrival = arrival(0, quality, &cost);
    let (entries, unaffordable) = rank(&Greedy::new(by), &arrival, &Prices::unset(), left);
    assert!(!unaffordable && entries.len() == 1, "one pick, affordable or not: {entries:?}");
    entries[0]
}

#[test]
fn the_highest_score_wins_affordable_or_not() {
    let gone = Left::per_model(&[0.0; 3]);
    assert_eq!(best(GreedyBy::Quality, &[0.25, 0.75, 0.5], &gone), (1, 0.75));
    assert_eq!(best(GreedyBy::Quality, &[0.0; 3], &gone), (0, 0.0));
}

#[test]
fn the_largest_estimated_remainder_wins() {
    let mut left = Left::per_model(&[4.0, 4.0, 4.0]);
    left.remaining_estimated = vec![-2.0, -0.5, -1.0];
    // What is really left, 4 each, is not what it looks at.
    assert_eq!(best(GreedyBy::Budget, &[1.0, 0.0, 0.0], &left), (1, -0.5));
}

#[test]
fn the_tightest_of_a_models_rows_counts() {
    // Models 0 and 1 have 4 and 3 of their own; the pool of 2 binds both, model 2 has 1.
    let rows = vec![
        Row::at_most(Meter::Cost, Scope::model(0), 4.0),
        Row::at_most(Meter::Cost, Scope::model(1), 3.0),
        Row::at_most(Meter::Cost, Scope::model(2), 1.0),
        Row::at_most(Meter::Cost, Scope::all(), 2.0),
    ];
    let left = Left::of(Budgets::new(rows, 3, 1).unwrap());
    assert_eq!(best(GreedyBy::Budget, &[0.0; 3], &left), (0, 2.0));
}

#[test]
fn ties_go_to_the_lower_index() {
    let left = Left::per_model(&[1.0, 2.0, 2.0]);
    assert_eq!(best(GreedyBy::Quality, &[0.5, 0.75, 0.75], &left), (1, 0.75));
    assert_eq!(best(GreedyBy::Budget, &[0.5, 0.75, 0.75], &left), (1, 2.0));
}

/// 0.9 / 3 = 0.3, 0.5 / 1 = 0.5, 0.2 / 0.5 = 0.4.
#[test]
fn the_most_for_the_money() {
    let by = Greedy::new(GreedyBy::Density);
    let gone = Left::per_model(&[0.0; 3]);
    let best = |quality: &[f64], cost: &[f64]| {
        let arrival = arrival(0, quality, cost);
        rank(&by, &arrival, &Prices::unset(), &gone).0
    };
    assert_eq!(best(&[0.9, 0.5, 0.2], &[3.0, 1.0, 0.5]), [(1, 0.5)]);
    assert_eq!(best(&[0.0, 0.0, 0.0], &[3.0, 1.0, 0.5]), [(0, 0.0)]);
}

#[test]
fn a_free_answer_is_the_best_there_is_if_it_is_worth_anything() {
    let by = Greedy::new(GreedyBy::Density);
    let gone = Left::per_model(&[0.0; 3]);
    let best = |quality: &[f64], cost: &[f64]| {
        let arrival = arrival(0, quality, cost);
        let [(model, score)] = rank(&by, &arrival, &Prices::unset(), &gone).0[..] else {
            panic!("one pick")
        };
        assert!(score.is_finite(), "{score}");
        model
    };
    assert_eq!(best(&[1.0, 0.01, 0.02], &[1e-9, 0.0, 0.0]), 2, "of two free ones the better");
    assert_eq!(best(&[0.1, 0.0, 0.0], &[1e6, 0.0, 0.0]), 0, "free and worthless");
    assert_eq!(best(&[1.0, 1.0, 1.0], &[0.0, 0.0, 0.0]), 0);
}

#[test]
fn within_budget_the_best_that_fits() {
    let left = Left::per_model(&[0.5, 1.0, 1.0]);
    let policy = Greedy::new(GreedyBy::Quality).within_budget();
    assert_eq!(policy.name(), "greedy-perf(within budget)");
    let picks = |cost: &[f64]| {
        let arrival = arrival(0, &[0.75, 0.25, 0.5], cost);
        rank(&policy, &arrival, &Prices::unset(), &left)
    };
    assert_eq!(picks(&[1.0; 3]), (vec![(2, 0.5), (1, 0.25)], false));
    assert_eq!(picks(&[0.5; 3]), (vec![(0, 0.75), (2, 0.5), (1, 0.25)], false));
    assert_eq!(picks(&[2.0; 3]), (vec![], true));
}

#[test]
fn it_says_how_dense() {
    let arrival = arrival(0, &[0.75, 0.25], &[0.5, 0.0]);
    let explain = |by| Greedy::new(by).explain(&arrival, &Prices::unset(), 0).to_string();
    assert_eq!(explain(GreedyBy::Quality), "quality = 0.75\n");
    insta::assert_snapshot!(explain(GreedyBy::Density), @r"
    quality per USD = 1.5
      expected quality = 0.75
      expected cost, USD = 0.5
    ");
}

#[test]
fn conforms() {
    for by in [GreedyBy::Quality, GreedyBy::Budget, GreedyBy::Density] {
        tollgate_testkit::policy_conformance::check(&Greedy::new(by));
        let falling_back = Greedy::new(by).within_budget();
        tollgate_testkit::policy_conformance::check_falling_back(&falling_back);
    }
}
