use proptest::prelude::*;
use tollgate_core::Budgets;

use super::*;
use crate::testing::{Left, arrival, models, rank, table};

fn given(tau: f64) -> Threshold {
    ThresholdConfig { tau: Some(tau), ..ThresholdConfig::default() }.build().unwrap()
}

fn within_budget(tau: f64) -> Threshold {
    Threshold { within_budget: true, ..given(tau) }
}

const QUALITY: [f64; 4] = [0.5, 0.75, 0.25, 0.75];
const COST: [f64; 4] = [1.0, 4.0, 0.25, 3.0];

fn ranked(policy: &Threshold, left: &Left) -> (Vec<usize>, bool) {
    let arrival = arrival(0, &QUALITY, &COST);
    let (entries, unaffordable) = rank(policy, &arrival, &Prices::unset(), left);
    (entries.into_iter().map(|(model, _)| model).collect(), unaffordable)
}

#[test]
fn the_cheapest_that_passes_or_else_the_best() {
    let gone = Left::per_model(&[0.0; 4]);
    let best = |tau| ranked(&given(tau), &gone).0;
    assert_eq!([0.0, 0.25, 0.26, 0.5, 0.51, 0.75].map(best), [[2], [2], [0], [0], [3], [3]]);
    assert_eq!(best(0.8), [1], "none passes, the best is taken; ties by index, not by cost");
}

#[test]
fn within_budget_the_others_do_not_count() {
    let left = Left::per_model(&[0.5, 9.0, 9.0, 9.0]);
    assert_eq!(ranked(&within_budget(0.5), &left), (vec![3, 1, 2], false));
    assert_eq!(ranked(&within_budget(0.8), &left), (vec![1, 3, 2], false));
    let only_the_worst = Left::per_model(&[0.5, 0.0, 9.0, 0.0]);
    assert_eq!(ranked(&within_budget(0.5), &only_the_worst), (vec![2], false));
    assert_eq!(ranked(&within_budget(0.5), &Left::per_model(&[0.0; 4])), (vec![], true));
}

/// Two queries, two models that cost 1 and 3. The first query steps up behind 0.25, the
/// second behind 0.5, each for 2 more; 2 is the least for both, 4 with one step, 6 with two.
fn two() -> EstimateTable {
    table(&[[0.25, 0.5], [0.5, 0.75]], &[[1.0, 3.0], [1.0, 3.0]])
}

#[test]
fn calibrated_to_a_spend_by_hand() {
    let models = models(2);
    let tau = |config: ThresholdConfig, budgets: Budgets, horizon| {
        let left = Left::of(budgets);
        let history = two();
        let setup = RunSetup { history: Some(&history), ..left.setup(&models, Some(horizon)) };
        config.build().unwrap().adapt(&setup).unwrap().unwrap().name()
    };
    let pooled = |usd| tau(ThresholdConfig::default(), Budgets::pooled(usd, 2).unwrap(), 20);
    // Twenty arrivals are ten times the history.
    assert_eq!(pooled(60.0), "threshold(tau=1)");
    assert_eq!(pooled(59.0), "threshold(tau=0.5)");
    assert_eq!(pooled(40.0), "threshold(tau=0.5)");
    assert_eq!(pooled(39.0), "threshold(tau=0.25)");
    assert_eq!(pooled(20.0), "threshold(tau=0.25)");
    assert_eq!(pooled(19.0), "threshold(tau=0)", "too little for anything");
    let spend = ThresholdConfig { spend: Some(40.0), ..ThresholdConfig::default() };
    assert_eq!(tau(spend, Budgets::pooled(1.0, 2).unwrap(), 20), "threshold(tau=0.5)");
    let apart = Budgets::per_model(&[30.0, 10.0]).unwrap();
    assert_eq!(tau(ThresholdConfig::default(), apart, 20), "threshold(tau=0.5)", "together 40");
}

#[test]
fn calibrated_to_a_share_by_hand() {
    let tau = |share| tau_for_share(&two(), share).to_string();
    assert_eq!([0.0, 0.49, 0.5, 0.99, 1.0].map(tau), ["0.25", "0.25", "0.5", "0.5", "1"]);
}

/// Scores and costs on grids whose sums are exact, so that ties and equalities abound.
fn histories() -> impl Strategy<Value = EstimateTable> {
    let cell = (0_u32..=4, 0_u32..=6);
    let rows = prop::collection::vec([cell.clone(), cell.clone(), cell], 1..12);
    rows.prop_map(|rows| {
        let quality = |&(q, _): &(u32, u32)| f64::from(q) / 4.0;
        let cost = |&(_, c): &(u32, u32)| f64::from(c) / 8.0;
        let qualities: Vec<[f64; 3]> = rows.iter().map(|r| r.each_ref().map(quality)).collect();
        let costs: Vec<[f64; 3]> = rows.iter().map(|r| r.each_ref().map(cost)).collect();
        table(&qualities, &costs)
    })
}

/// What (1) spends on the history, and how many queries it sends beyond their cheapest
/// model, by asking the policy itself.
fn spends(history: &EstimateTable, tau: f64) -> (f64, usize) {
    let left = Left::per_model(&[0.0; 3]);
    let pick = |query: usize, tau| {
        let row = history.row(query);
        let arrival = arrival(0, row.quality, row.cost);
        rank(&given(tau), &arrival, &Prices::unset(), &left).0[0].0
    };
    let all = 0..history.n_queries();
    let spent = all.clone().map(|query| history.row(query).cost[pick(query, tau)]).sum();
    (spent, all.filter(|&query| pick(query, tau) != pick(query, 0.0)).count())
}

proptest! {
    #[test]
    fn more_is_never_cheaper(history in histories()) {
        let taus: Vec<f64> = (0..=16_u32).map(|t| f64::from(t) / 16.0).collect();
        for pair in taus.windows(2) {
            let (low, high) = (spends(&history, pair[0]), spends(&history, pair[1]));
            prop_assert!(low.0 <= high.0 && low.1 <= high.1, "{low:?} {high:?} at {pair:?}");
        }
    }

    #[test]
    fn the_threshold_fits_and_the_next_does_not(history in histories(), eighths in 0_u32..80) {
        let limit = f64::from(eighths) / 8.0;
        let n = history.n_queries();
        let tau = tau_for_spend(&history, limit / n as f64);
        // Division and multiplication by n may lose the last bit.
        let slack = 1e-9;
        let too_poor = spends(&history, 0.0).0 > limit + slack;
        prop_assert!(spends(&history, tau).0 <= limit + slack || (too_poor && tau <= 0.0));
        prop_assert!(tau >= 1.0 || spends(&history, tau.next_up()).0 > limit - slack || too_poor);

        let share = limit / 10.0;
        if share <= 1.0 {
            let tau = tau_for_share(&history, share);
            let limit = share * n as f64 + 1e-6;
            prop_assert!(spends(&history, tau).1 as f64 <= limit);
            prop_assert!(tau >= 1.0 || spends(&history, tau.next_up()).1 as f64 > limit - 2e-6);
        }
    }
}

#[test]
fn it_says_what_passes() {
    let arrival = arrival(0, &QUALITY, &COST);
    let explain = |tau, model| given(tau).explain(&arrival, &Prices::unset(), model).to_string();
    insta::assert_snapshot!(explain(0.5, 3), @r"
    passes, 2 - cost / (1 + cost) = 1.25
      expected quality = 0.75
      threshold = 0.5
      expected cost, USD = 3
    ");
    insta::assert_snapshot!(explain(0.8, 1), @r"
    falls short = 0.75
      expected quality = 0.75
      threshold = 0.8
      expected cost, USD = 4
    ");
}

#[test]
fn refusals() {
    let refuse = |tau, spend, share| {
        let config = ThresholdConfig { tau, spend, share, within_budget: false };
        config.build().unwrap_err().to_string()
    };
    insta::assert_snapshot!(refuse(Some(f64::NAN), None, None), @"`tau` must be in [0, 1], got NaN");
    insta::assert_snapshot!(refuse(Some(1.5), None, None), @"`tau` must be in [0, 1], got 1.5");
    insta::assert_snapshot!(refuse(None, Some(-1.0), None), @"`spend` must be finite and >= 0, got -1");
    insta::assert_snapshot!(refuse(None, Some(f64::INFINITY), None), @"`spend` must be finite and >= 0, got inf");
    insta::assert_snapshot!(refuse(None, None, Some(-0.5)), @"`share` must be in [0, 1], got -0.5");
    insta::assert_snapshot!(refuse(Some(0.5), None, Some(0.25)), @"`share` must be left out where another of `tau`, `spend` and `share` is given, got 0.25");
    let left = Left::per_model(&[1.0; 2]);
    let models = models(2);
    let adapt = |history, horizon| {
        let setup = RunSetup { history, ..left.setup(&models, horizon) };
        let policy = ThresholdConfig::default().build().unwrap();
        policy.adapt(&setup).map(drop).unwrap_err().to_string()
    };
    insta::assert_snapshot!(adapt(None, Some(1)), @"policy `threshold` needs held-out estimates of the history");
    insta::assert_snapshot!(adapt(Some(&two()), None), @"policy `threshold` needs the number of arrivals in advance");
    let early = ThresholdConfig { share: Some(0.5), ..ThresholdConfig::default() };
    let early = early.build().unwrap();
    let arrival = arrival(0, &[0.5; 2], &[1.0; 2]);
    let error = early.rank(&arrival, &Prices::unset(), &left.view(), &mut Ranking::default());
    insta::assert_snapshot!(error.unwrap_err(), @"policy `threshold(share=0.5)` needs to be adapted to a run before it ranks");
}

#[test]
fn conforms() {
    let default = ThresholdConfig::default();
    let share = ThresholdConfig { share: Some(0.25), ..default.clone() };
    for config in [default, share] {
        tollgate_testkit::policy_conformance::check(&config.clone().build().unwrap());
        let falling_back = ThresholdConfig { within_budget: true, ..config }.build().unwrap();
        tollgate_testkit::policy_conformance::check_falling_back(&falling_back);
    }
    tollgate_testkit::policy_conformance::check(&given(0.5));
}
