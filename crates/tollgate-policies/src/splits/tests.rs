use super::*;

const QUALITY: [f64; 4] = [0.4, 0.9, 0.1, 0.64];
const COST: [f64; 4] = [0.1, 0.4, 0.4, 0.01];

fn shares(split: BudgetSplit) -> Vec<f64> {
    split.shares(&QUALITY, &COST, Seed(42))
}

fn check(split: BudgetSplit, weights: [f64; 4]) {
    let total: f64 = weights.iter().sum();
    for (share, weight) in shares(split).iter().zip(weights) {
        assert!((share - weight / total).abs() < 1e-12, "{split}: {share} is not {weight}");
    }
}

/// Densities quality / cost are 4, 2.25, 0.25 and 64.
#[test]
fn worked_by_hand() {
    check(BudgetSplit::Weighted, [2.0, 1.5, 0.5, 8.0]);
    check(BudgetSplit::Cost, [10.0_f64.sqrt(), 2.5_f64.sqrt(), 2.5_f64.sqrt(), 10.0]);
    check(BudgetSplit::Perf, QUALITY);
    check(BudgetSplit::Uniform, [1.0; 4]);
    // The lowest model gets 50 of 62.5, the other three 12.5 / 3 each.
    check(BudgetSplit::Extreme(1), [12.5 / 3.0, 12.5 / 3.0, 50.0, 12.5 / 3.0]);
    check(BudgetSplit::Extreme(3), [50.0, 50.0, 50.0, 37.5]);
    check(BudgetSplit::Extreme(4), [1.0; 4]);
}

#[test]
fn the_lowest_h_of_extreme_share_80_per_cent() {
    let split = shares(BudgetSplit::Extreme(2));
    assert!((split[1] + split[2] - 0.8).abs() < 1e-12);
}

#[test]
fn random_is_the_seeds_own_and_bounded() {
    let first = BudgetSplit::Random.shares(&QUALITY, &COST, Seed(1));
    assert_eq!(first, BudgetSplit::Random.shares(&QUALITY, &COST, Seed(1)));
    assert_ne!(first, BudgetSplit::Random.shares(&QUALITY, &COST, Seed(2)));
    let ratio =
        first.iter().fold(0.0_f64, |m, s| m.max(*s)) / first.iter().fold(1.0_f64, |m, s| m.min(*s));
    assert!((1.0..=6.0).contains(&ratio), "{ratio}");
}

#[test]
fn names_go_there_and_back() {
    for name in ["weighted", "cost", "perf", "uniform", "random", "extreme:3"] {
        assert_eq!(name.parse::<BudgetSplit>().unwrap().to_string(), name);
    }
    for name in ["", "Weighted", "extreme", "extreme:0", "extreme:x"] {
        assert!(name.parse::<BudgetSplit>().is_err(), "{name}");
    }
    insta::assert_snapshot!("even".parse::<BudgetSplit>().unwrap_err(), @"no budget split is called `even`; there are weighted, cost, perf, uniform, random and extreme:h with h >= 1");
}

#[test]
fn nothing_ever_scored_is_shared_equally() {
    assert_eq!(BudgetSplit::Perf.shares(&[0.0; 2], &[1.0; 2], Seed(0)), [0.5, 0.5]);
}
