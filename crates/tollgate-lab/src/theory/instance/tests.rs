use tollgate::presets;

use super::*;
use crate::theory::{TheoremRegime, composed};

/// Two queries, two models, exact estimates; both models can pay for one query of 1 USD.
fn by_hand() -> Instance {
    let (quality, cost) = ([0.9, 0.2, 0.8, 0.6], [1.0; 4]);
    Instance {
        models: numbered(2),
        quality: quality.into(),
        cost: cost.into(),
        estimates: table(2, &quality, &cost),
        history: table(2, &quality, &cost),
        budgets: vec![1.0, 1.0],
        announced: None,
        told: None,
    }
}

/// Greedy sends both to the first model, which can pay for one: 0.9 of 0.9 + 0.6.
#[test]
fn ratios_worked_by_hand() {
    let (instance, greedy) = (by_hand(), composed("greedy-perf").unwrap());
    let bounds = instance.bounds(presets::default_solver().as_ref()).unwrap();
    assert!((bounds.truth - 1.5).abs() < 1e-9 && (bounds.approximate - 1.5).abs() < 1e-9);
    let ratios = instance.ratios(greedy.policy.as_ref(), &bounds, Seed(1)).unwrap();
    assert!((ratios.truth - 0.6).abs() < 1e-9, "{ratios:?}");
    assert_eq!((ratios.metrics.served, ratios.metrics.lost), (1, 1));
    let reversed = instance.rearranged(&[1, 0]);
    let ratios = reversed.ratios(greedy.policy.as_ref(), &bounds, Seed(1)).unwrap();
    assert!((ratios.truth - 0.8 / 1.5).abs() < 1e-9, "{ratios:?}");
}

#[test]
fn dearer_bids_divide_the_capacity_ratio() {
    let instance = TheoremRegime::of(50).instance();
    let coarser = instance.coarser(4.0);
    assert!((instance.k() / coarser.k() - 4.0).abs() < 1e-9);
    assert_eq!(instance.budgets, coarser.budgets);
    let misjudged = instance.misjudged(0.8);
    assert_eq!(misjudged.cost, instance.cost);
    assert!((misjudged.estimates.cost()[7] / instance.cost[7] - 0.8).abs() < 1e-12);
    assert!((misjudged.history.cost()[7] / instance.history.cost()[7] - 0.8).abs() < 1e-12);
}

/// The audit adds up by itself: it finds a run that was charged less than it cost.
#[test]
fn an_overspent_budget_is_found() {
    let instance = by_hand();
    let policy = composed("greedy-perf").unwrap().policy;
    let run = instance.replay(policy.as_ref(), Seed(1)).unwrap();
    let mut cheated = Instance { budgets: vec![0.5, 1.0], ..instance };
    insta::assert_snapshot!(cheated.audit(&run).unwrap_err(), @"1 USD spent on model `model-00`, of a budget of 0.5");
    cheated.budgets[0] = 1.0;
    cheated.audit(&run).unwrap();
    insta::assert_snapshot!(below(1.1, 1.0).unwrap_err(), @"a run is worth 1.1, above its dual bound of 1");
}
