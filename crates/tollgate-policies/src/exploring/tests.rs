use tollgate_core::{Budgets, Seed};

use super::*;
use crate::testing::Left;
use crate::{Greedy, GreedyBy};

/// Three models; the second is the best, and the third is what the test says of it.
fn arrival(index: u64, of_third: [f64; 2], columns: &mut [[f64; 3]; 3]) -> Arrival<'_> {
    let [quality, quality_se, cost] = columns;
    *quality = [0.4, 0.6, of_third[0]];
    *quality_se = [0.05, 0.05, of_third[1]];
    *cost = [1.0; 3];
    let estimates = Estimates { quality, quality_se, cost, cost_se: &[0.0; 3] };
    let (group, latency) = (0, None);
    Arrival { index, time: 0.0, group, estimates, latency, must_serve: false, seed: Seed(3) }
}

fn policy(share: f64) -> Exploring {
    let config = ExploringConfig { share, ..ExploringConfig::default() };
    config.build(Arc::new(Greedy::new(GreedyBy::Quality))).unwrap()
}

/// Of 2,000 arrivals, how many go to the third model.
fn explored(policy: &Exploring, of_third: [f64; 2], usd: f64) -> usize {
    let left = Left::of(Budgets::pooled(usd, 3).unwrap());
    let mut out = Ranking::default();
    let mut picked = |index| {
        let mut columns = [[0.0; 3]; 3];
        let arrival = arrival(index, of_third, &mut columns);
        policy.rank(&arrival, &Prices::unset(), &left.view(), &mut out).unwrap();
        let best = out.best().unwrap();
        assert!(out.entries().iter().all(|entry| entry.score <= best.score), "best first");
        best.model
    };
    (0..2_000).filter(|&index| picked(index) == 2).count()
}

/// At 0.5 with an error of 0.2, what is known of it is worth 0.25 / 0.04 = 6 labels; of the
/// others 96. At 0.09 it is 31, more than a fourth of that.
#[test]
fn what_is_known_the_least_has_its_share_until_it_is_known() {
    let got = explored(&policy(0.1), [0.5, 0.2], 9.0);
    assert!((150..250).contains(&got), "{got} of 2,000 for a share of a tenth");
    assert_eq!(explored(&policy(0.1), [0.5, 0.09], 9.0), 0);
    assert_eq!(explored(&policy(1.0), [0.5, 0.2], 9.0), 2_000);
}

/// A model that is nearly always right has small errors, and is not therefore well known: at
/// 0.99 an error of 0.05 is that of 8 labels.
#[test]
fn sure_models_are_not_known_models() {
    let got = explored(&policy(0.5), [0.99, 0.05], 9.0);
    // The inner policy asks it for everything else as well.
    assert_eq!(got, 2_000);
    let mut columns = [[0.0; 3]; 3];
    let arrival = arrival(0, [0.99, 0.05], &mut columns);
    assert_eq!(policy(0.5).least_known(&arrival.estimates), Some(2));
}

#[test]
fn exploration_is_paid_from_what_is_left() {
    assert_eq!(explored(&policy(1.0), [0.5, 0.2], 0.5), 0);
}

#[test]
fn one_model_alone_is_not_explored() {
    let estimates =
        Estimates { quality: &[0.5], quality_se: &[0.4], cost: &[1.0], cost_se: &[0.0] };
    assert_eq!(policy(1.0).least_known(&estimates), None);
}

#[test]
fn explains_itself() {
    let mut columns = [[0.0; 3]; 3];
    let arrival = arrival(0, [0.5, 0.2], &mut columns);
    let why = policy(1.0).explain(&arrival, &Prices::unset(), 2).to_string();
    insta::assert_snapshot!(why.trim(), @"explored, being known the least: standard error of its score = 0.2");
    assert_eq!(policy(1.0).name(), "explore(greedy-perf)");
}

#[test]
fn refusals() {
    let message = |share, times| {
        let config = ExploringConfig { share, times };
        config.build(Arc::new(Greedy::new(GreedyBy::Quality))).unwrap_err().to_string()
    };
    insta::assert_snapshot!(message(0.0, 2.0), @"`share` must be in (0, 1], got 0");
    insta::assert_snapshot!(message(0.5, 1.0), @"`times` must be finite and > 1, got 1");
}
