//! A run that goes on with another pool of models: what every price source makes of it.

use tollgate_core::{Budgets, EstimateTable, Horizon, PriceUpdate, Progress, SoFar};

use super::*;
use crate::testing::{Left, Oracle, arrival, models};

/// 60 arrivals of a run of 100 have come, at a price of 0.2 USD each.
const CAME: u64 = 60;
const PRICE: f64 = 0.2;

/// The arrivals from [`CAME`] on at which `source` solves, until the end; until the first of
/// them, and between, the price in force has to stay what it was.
fn solves(source: &dyn PriceSource, until: u64) -> Vec<u64> {
    let models = models(2);
    let left = Left::of(Budgets::pooled(8.0, 2).unwrap());
    let mut history = EstimateTable::zeros(4, 2);
    history.fill(|out| {
        out.quality.copy_from_slice(&[0.5, 0.7, 0.4, 0.9, 0.3, 0.6, 0.2, 0.8]);
        out.cost.fill(1.0);
    });
    let prices = [PRICE];
    let so_far = Some(SoFar { arrivals: CAME, time: 0.0, prices: &prices, scores: None });
    let history = source.needs_history().then_some(&history);
    let setup = RunSetup { history, so_far, ..left.setup(&models, Horizon::Arrivals(100)) };
    let mut pricer = source.start(&setup).unwrap();
    let (quality, cost) = ([0.5, 0.6], [1.0, 1.0]);
    let mut solves = Vec::new();
    for index in CAME..until {
        let arrival = arrival(index, &quality, &cost);
        let view = left.view();
        let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] };
        match pricer.before(&progress).unwrap() {
            PriceUpdate::Keep => {}
            PriceUpdate::Install(prices) => {
                // Steered ones move with what is spent, and nothing is: down, from where they
                // were.
                let price = prices.rows()[0];
                assert!(price <= PRICE + 1e-12, "{}: {price}", source.name());
                if index == CAME {
                    assert!((price - PRICE).abs() < 1e-12, "{}: {price}", source.name());
                }
            }
            PriceUpdate::Solve(request) => {
                solves.push(index);
                pricer.install(request.run().unwrap());
            }
        }
    }
    solves
}

/// A prefix is a share of what is left of the run: a tenth of 40.
#[test]
fn a_prefix_is_learned_again() {
    let config = PrefixPricesConfig { eps: 0.1, ..PrefixPricesConfig::default() };
    let source = config.build(Oracle::priced(&[0.1])).unwrap();
    assert_eq!(solves(&source, 100), [CAME + 4]);
}

/// After a tenth of the 40 that are left, and at twice as many.
#[test]
fn doubling_begins_anew() {
    let source = GeometricConfig { eps: 0.1 }.build(Oracle::priced(&[0.1])).unwrap();
    assert_eq!(solves(&source, 100), [CAME + 4, CAME + 8, CAME + 16, CAME + 32]);
}

#[test]
fn descent_goes_on_from_where_it_was() {
    let source = DescentConfig::default().build(Oracle::priced(&[0.1])).unwrap();
    assert_eq!(solves(&source, 100), [0_u64; 0]);
}

/// With a history at once, without one when a hundred have come.
#[test]
fn resolving_begins_anew() {
    let source = ResolveConfig::default().build(Oracle::priced(&[0.1])).unwrap();
    assert_eq!(solves(&source, 100), [CAME]);
    let config = ResolveConfig { outlook: Outlook::Arrivals, ..ResolveConfig::default() };
    let source = config.build(Oracle::priced(&[0.1])).unwrap();
    assert_eq!(solves(&source, 400), [CAME + 100, CAME + 200, CAME + 300]);
}
