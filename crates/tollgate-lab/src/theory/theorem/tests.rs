use super::*;

#[test]
fn longer_runs_begin_with_the_queries_of_shorter_ones() {
    let (short, long) = (TheoremRegime::of(20).instance(), TheoremRegime::of(80).instance());
    assert_eq!(short.quality, long.quality[..100].into());
    assert_eq!(short.cost, long.cost[..100].into());
    assert_ne!(short.cost, short.history.cost().clone(), "the history is of other queries");
    assert!((long.k() / short.k() - 4.0).abs() < 0.2, "k grows with N");
}

/// (1) to (3): bids within half of their base, scores in `[0.05, 1]`, budgets by the tilt.
#[test]
fn draws_are_in_range() {
    for n_models in [2, 5, 11] {
        let base = base(n_models);
        assert!(base.windows(2).all(|pair| pair[0] < pair[1]), "{base:?}");
        let instance = TheoremRegime { n_models, ..TheoremRegime::of(200) }.instance();
        for (at, (quality, cost)) in instance.quality.iter().zip(instance.cost.iter()).enumerate() {
            let base = base[at % n_models];
            assert!((0.5 * base..1.5 * base).contains(cost), "option {at}: {cost}");
            assert!((0.05..=1.0).contains(quality), "option {at}: {quality}");
        }
    }
    // 0.35 * 200 * 0.55 / 5 = 7.7, and 1.2, 1.1, 1, 0.9, 0.8 times that.
    let budgets = TheoremRegime::of(200).instance().budgets;
    for (budget, tilt) in budgets.iter().zip([1.2, 1.1, 1.0, 0.9, 0.8]) {
        assert!((budget - 7.7 * tilt).abs() < 1e-9, "{budgets:?}");
    }
}

#[test]
fn values_are_stable() {
    let instance = TheoremRegime::of(2).instance();
    let shown: Vec<String> = instance.quality[..3].iter().map(|x| format!("{x:.6}")).collect();
    insta::assert_snapshot!(shown.join(" "), @"0.331423 0.404216 0.355397");
}
