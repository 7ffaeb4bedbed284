use super::*;
use crate::testing::{Left, arrival, rank};

const MODELS: usize = 11;

fn pick(index: u64) -> usize {
    let left = Left::per_model(&[0.0; MODELS]);
    let arrival = arrival(index, &[0.0; MODELS], &[1.0; MODELS]);
    let (entries, unaffordable) = rank(&Random, &arrival, &Prices::unset(), &left);
    assert!(!unaffordable, "it does not look at budgets");
    let [(model, score)] = entries[..] else { panic!("one pick, got {entries:?}") };
    assert!(score.abs() < f64::MIN_POSITIVE);
    model
}

/// Pearson's statistic over 11,000 picks, against the 99.9 % quantile of chi-squared with
/// 10 degrees of freedom: one seed in a thousand would fail, and this one does not.
#[test]
fn picks_are_uniform() {
    let mut counts = [0.0_f64; MODELS];
    (0..11_000).for_each(|index| counts[pick(index)] += 1.0);
    let statistic: f64 = counts.iter().map(|count| (count - 1_000.0).powi(2) / 1_000.0).sum();
    assert!(statistic < 29.588, "{statistic}: {counts:?}");
}

#[test]
fn picks_are_stable() {
    let picks: Vec<usize> = (0..16).map(pick).collect();
    assert_eq!(picks, [8, 9, 4, 1, 8, 7, 7, 10, 4, 9, 4, 5, 10, 5, 10, 8]);
}

#[test]
fn conforms() {
    tollgate_testkit::policy_conformance::check(&Random);
}
