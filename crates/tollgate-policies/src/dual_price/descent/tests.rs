use tollgate_core::{Meter, Scope};

use super::*;
use crate::testing::{Left, Oracle, arrival, models};

/// Prices after each arrival of a run of four, with what is left of the budgets before each.
fn play(config: DescentConfig, budgets: Budgets, left: &[&[f64]], groups: &[u32]) -> Vec<Vec<f64>> {
    let source = config.build(Oracle::priced(&[])).unwrap();
    let models = models(budgets.n_models());
    let mut of = Left::of(budgets);
    let mut pricer = source.start(&of.setup(&models, Horizon::Arrivals(4))).unwrap();
    let (quality, cost) = ([0.5, 0.5], [2.0, 2.0]);
    let mut prices = Vec::new();
    for (index, (left, &group)) in left.iter().zip(groups).enumerate() {
        of.remaining = left.to_vec();
        let arrival = tollgate_core::Arrival { group, ..arrival(index as u64, &quality, &cost) };
        let view = of.view();
        let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] };
        let PriceUpdate::Install(installed) = pricer.before(&progress).unwrap() else {
            panic!("steered at every arrival")
        };
        prices.push(installed.rows().to_vec());
    }
    prices
}

fn close(got: &[Vec<f64>], expected: &[&[f64]]) {
    let pairs = got.iter().flatten().zip(expected.iter().copied().flatten());
    assert!(pairs.clone().count() == got.len() * got[0].len(), "{got:?}");
    assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-12), "{got:?} and {expected:?}");
}

/// 4 USD for 4 arrivals, 1 each; a typical use is 2 USD, so the first price is .15 a dollar.
/// A step is 1/2: after 2 USD are spent `u` rises by 1/2 x (2 - 1) / 2 = .25, after nothing it
/// falls by as much.
#[test]
fn prices_follow_what_is_spent() {
    let budgets = || Budgets::pooled(4.0, 2).unwrap();
    let left: [&[f64]; 3] = [&[4.0], &[2.0], &[2.0]];
    let prices = play(DescentConfig::default(), budgets(), &left, &[0; 3]);
    close(&prices, &[&[0.15], &[0.275], &[0.15]]);
    // Toward the rate of what is left: 2/3 once 2 are left for 3, 1 once 2 are left for 2.
    let config = DescentConfig { target: Target::Remaining, ..DescentConfig::default() };
    let prices = play(config, budgets(), &left, &[0; 3]);
    let up = 0.3 + 0.25 * (2.0 - 2.0 / 3.0);
    close(&prices, &[&[0.15], &[up / 2.0], &[(up - 0.25) / 2.0]]);
    // By factors: e^(1/2 (2 - 1)), and back.
    let config = DescentConfig { mirror: Mirror::Entropic, ..DescentConfig::default() };
    let prices = play(config, budgets(), &left, &[0; 3]);
    close(&prices, &[&[0.15], &[0.15 * 0.5_f64.exp()], &[0.15]]);
}

/// 4 USD for 4 arrivals, 1 each. Before the second, 2 are left, and there turn out to be 9 in
/// all, 8 of them to come: a rate of 1/4, and steps of 1/3. `u` rises from .3 by 1/3 x
/// (2 - 1/4) / 2, and the price is half of it.
#[test]
fn news_of_the_horizon_sets_another_rate() {
    let source = DescentConfig::default().build(Oracle::priced(&[])).unwrap();
    let models = models(2);
    let mut of = Left::of(Budgets::pooled(4.0, 2).unwrap());
    let mut pricer = source.start(&of.setup(&models, Horizon::Arrivals(4))).unwrap();
    let (quality, cost) = ([0.5, 0.5], [2.0, 2.0]);
    let mut last = Vec::new();
    for (index, left) in [4.0, 2.0].into_iter().enumerate() {
        of.remaining = vec![left];
        if index == 1 {
            pricer.announce(Horizon::Arrivals(9));
        }
        let arrival = arrival(index as u64, &quality, &cost);
        let view = of.view();
        let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] };
        let PriceUpdate::Install(installed) = pricer.before(&progress).unwrap() else {
            panic!("steered at every arrival")
        };
        last = installed.rows().to_vec();
    }
    close(&[last], &[&[f64::midpoint(0.3, (2.0 - 0.25) / 2.0 / 3.0)]]);
}

/// A tenant's row moves at its own arrivals: group 1 comes second and third, and nothing is
/// spent, so its price falls once for the second when the third comes.
#[test]
fn a_tenants_price_moves_at_its_own_arrivals() {
    let row = Row::at_most(Meter::Cost, Scope::group(1), 4.0);
    let budgets = Budgets::new(vec![row], 2, 2).unwrap();
    let prices = play(DescentConfig::default(), budgets, &[&[4.0][..]; 3], &[0, 1, 1]);
    // Before its first arrival nobody knows what it uses: .3 for a use of 1. Its rate is the
    // run's, 1, times 2 arrivals for 1 of its own.
    close(&prices, &[&[0.3], &[0.15], &[0.0]]);
}

#[test]
fn an_exhausted_budget_is_priced_up_by_factors() {
    let config = DescentConfig { mirror: Mirror::Entropic, ..DescentConfig::default() };
    let prices = play(config, Budgets::pooled(0.0, 2).unwrap(), &[&[0.0][..]; 3], &[0; 3]);
    close(&prices, &[&[0.15], &[0.15 * 1.0_f64.exp()], &[0.15 * 2.0_f64.exp()]]);
}

#[test]
fn refusals() {
    let refused = |eta| {
        let config = DescentConfig { eta, ..DescentConfig::default() };
        config.build(Oracle::priced(&[])).unwrap_err()
    };
    insta::assert_snapshot!(refused(0.0), @"`eta` must be finite and > 0, got 0");
    insta::assert_snapshot!(refused(f64::NAN), @"`eta` must be finite and > 0, got NaN");
    let source = DescentConfig::hybrid().build(Oracle::priced(&[])).unwrap();
    assert!(source.needs_history());
    let (models, left) = (models(2), Left::per_model(&[1.0; 2]));
    let error = source.start(&left.setup(&models, Horizon::Unknown)).unwrap_err();
    insta::assert_snapshot!(error, @"policy `rest(every=500)` needs held-out estimates of the history");
}
