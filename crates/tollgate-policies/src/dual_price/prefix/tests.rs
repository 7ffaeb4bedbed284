use tollgate_core::{BudgetView, Models};

use super::*;
use crate::testing::{Left, Oracle, arrival, models};

const QUALITY: [f64; 2] = [0.75, 0.5];
const COST: [f64; 2] = [0.5, 0.25];

fn config() -> PrefixPricesConfig {
    PrefixPricesConfig { eps: 0.25, alpha: 0.5, ..PrefixPricesConfig::default() }
}

fn start(config: PrefixPricesConfig, solver: &Arc<Oracle>, horizon: u64) -> Box<dyn Pricer> {
    let source = config.build(Arc::clone(solver) as Arc<_>).unwrap();
    let (models, left) = (models(2), Left::per_model(&[4.0, 8.0]));
    source.start(&left.setup(&models, Horizon::Arrivals(horizon))).unwrap()
}

/// Shows arrival `index` to the pricer, its quality scaled by `index`.
fn show(pricer: &mut dyn Pricer, index: u64) -> PriceUpdate {
    let left = Left::per_model(&[4.0, 8.0]);
    let quality = QUALITY.map(|quality| quality * index as f64);
    let arrival = arrival(index, &quality, &COST);
    let budgets: BudgetView<'_> = left.view();
    pricer
        .before(&Progress {
            arrival: &arrival,
            budgets: &budgets,
            cost_ratios: &[1.0; 32][..arrival.estimates.cost.len()],
        })
        .unwrap()
}

/// 0.25 of 9 arrivals is 2.25: the first three are learned from.
#[test]
fn the_prefix_is_rounded_up_and_priced_once() {
    let solver = Oracle::priced(&[0.125, 0.5]);
    let mut pricer = start(config(), &solver, 9);
    for index in 0..3 {
        assert!(matches!(show(pricer.as_mut(), index), PriceUpdate::Keep), "arrival {index}");
    }
    let PriceUpdate::Solve(request) = show(pricer.as_mut(), 3) else { panic!("not due") };
    let prices = pricer.install(request.run().unwrap());
    assert_eq!(prices.rows(), [0.125, 0.5]);
    for index in 4..9 {
        assert!(matches!(show(pricer.as_mut(), index), PriceUpdate::Keep), "arrival {index}");
    }

    let (problem, ..) = &solver.asked()[0];
    assert_eq!(problem.n_queries(), 3);
    let sample = [0.0, 0.0, 0.75, 0.5, 1.5, 1.0];
    assert_eq!(problem.table(Meter::Quality).unwrap()[..], sample);
    assert_eq!(problem.table(Meter::Cost).unwrap()[..], [0.5, 0.25, 0.5, 0.25, 0.5, 0.25]);
    let capacities: Vec<f64> = problem.rows().iter().map(|row| row.capacity).collect();
    assert_eq!(capacities, [1.0, 2.0], "eps of the budgets");
    assert_eq!(problem.choice(), Choice::AtMostOne);
    assert!(problem.rows().iter().all(|row| row.penalty.is_none()));
    // D(p) on the sample, alpha 0.5: tolls 1 x 0.125 + 2 x 0.5, gains of the queries
    // 0, max(0.375 - 0.0625, 0.25 - 0.125), max(0.75 - 0.0625, 0.5 - 0.125).
    let bound = 1.125 + 0.3125 + 0.6875;
    assert!((prices.dual_bound().unwrap() - bound).abs() < 1e-12, "{prices:?}");
}

#[test]
fn as_published_there_is_a_box_no_hinge_and_single_precision() {
    let published = PrefixObjective::Published;
    let config = PrefixPricesConfig { alpha: 1e-4, objective: published, ..config() };
    let solver = Oracle::priced(&[0.5, 0.5]);
    let mut pricer = start(config, &solver, 4);
    show(pricer.as_mut(), 0);
    let PriceUpdate::Solve(request) = show(pricer.as_mut(), 1) else { panic!("not due") };
    let problem = &request.problem;
    assert_eq!(problem.choice(), Choice::ExactlyOne);
    assert!(problem.rows().iter().all(|row| row.penalty == Some(1.0)));
    let alpha = problem.objective(Meter::Quality);
    assert!((alpha - f64::from(1e-4_f32)).abs() < f64::MIN_POSITIVE, "{alpha}");
    assert!((alpha - 1e-4).abs() > f64::MIN_POSITIVE, "{alpha}");
    // No hinge: the query that is worth nothing pays the cheaper toll, 0.25 x 0.5.
    let bound = dual_bound(problem, &[0.5, 0.5]);
    assert!((bound - (0.5 + 1.0 - 0.125)).abs() < 1e-12, "{bound}");
}

#[test]
fn given_prices_are_installed_with_their_bound_and_nothing_is_solved() {
    let solver = Oracle::priced(&[9.0, 9.0]);
    let config = PrefixPricesConfig { prices: Some(vec![0.125, 0.5]), ..config() };
    let mut pricer = start(config, &solver, 4);
    show(pricer.as_mut(), 0);
    let PriceUpdate::Install(prices) = show(pricer.as_mut(), 1) else { panic!("not due") };
    assert_eq!(prices.rows(), [0.125, 0.5]);
    // Tolls 0.125 + 1, and a query that is worth nothing.
    assert!((prices.dual_bound().unwrap() - 1.125).abs() < 1e-12, "{prices:?}");
    assert!(matches!(show(pricer.as_mut(), 2), PriceUpdate::Keep));
    assert!(solver.asked().is_empty());
}

#[test]
fn a_sample_can_be_priced_outside_a_run() {
    let source = config().build(Oracle::priced(&[])).unwrap();
    let mut sample = EstimateTable::zeros(1, 2);
    sample.fill(|out| {
        out.quality.copy_from_slice(&QUALITY);
        out.cost.copy_from_slice(&COST);
    });
    let left = Left::per_model(&[4.0, 8.0]);
    let problem = source.problem_on(&sample, &left.budgets).unwrap();
    // At no price: the best quality, weighed by alpha.
    assert!((dual_bound(&problem, &[0.0, 0.0]) - 0.375).abs() < 1e-12);
}

fn refused(change: impl Fn(&mut PrefixPricesConfig)) -> String {
    let mut config = PrefixPricesConfig::default();
    change(&mut config);
    config.build(Oracle::priced(&[])).unwrap_err().to_string()
}

#[test]
fn knobs_out_of_range_are_refused() {
    insta::assert_snapshot!(refused(|c| c.eps = f64::NAN), @"`eps` must be in (0, 1], got NaN");
    insta::assert_snapshot!(refused(|c| c.eps = 0.0), @"`eps` must be in (0, 1], got 0");
    insta::assert_snapshot!(refused(|c| c.eps = -0.5), @"`eps` must be in (0, 1], got -0.5");
    insta::assert_snapshot!(refused(|c| c.eps = 1.0 + f64::EPSILON), @"`eps` must be in (0, 1], got 1.0000000000000002");
    insta::assert_snapshot!(refused(|c| c.alpha = f64::NAN), @"`alpha` must be finite and > 0, got NaN");
    insta::assert_snapshot!(refused(|c| c.alpha = 0.0), @"`alpha` must be finite and > 0, got 0");
    insta::assert_snapshot!(refused(|c| c.alpha = -1.0), @"`alpha` must be finite and > 0, got -1");
    insta::assert_snapshot!(refused(|c| c.alpha = f64::INFINITY), @"`alpha` must be finite and > 0, got inf");
    insta::assert_snapshot!(refused(|c| c.prices = Some(vec![0.0, -1.0])), @"`prices` must be finite and >= 0, got -1");
    insta::assert_snapshot!(refused(|c| c.prices = Some(vec![f64::NAN])), @"`prices` must be finite and >= 0, got NaN");
    insta::assert_snapshot!(refused(|c| c.prices = Some(vec![f64::INFINITY])), @"`prices` must be finite and >= 0, got inf");
    let all = PrefixPricesConfig { eps: 1.0, prices: Some(vec![0.0]), ..Default::default() };
    assert!(all.build(Oracle::priced(&[])).is_ok(), "the ends of the ranges");
}

fn unstarted(config: PrefixPricesConfig, budgets: Budgets, horizon: Horizon) -> String {
    let source = config.build(Oracle::priced(&[])).unwrap();
    let models: Models = models(budgets.n_models());
    let left = Left::of(budgets);
    source.start(&left.setup(&models, horizon)).unwrap_err().to_string()
}

#[test]
fn what_it_needs_it_names() {
    let pooled = || Budgets::pooled(1.0, 2).unwrap();
    insta::assert_snapshot!(unstarted(config(), pooled(), Horizon::Unknown), @"policy `prefix(eps=0.25, alpha=0.5)` needs the number of arrivals in advance");
    let two = PrefixPricesConfig { prices: Some(vec![0.0; 2]), ..config() };
    insta::assert_snapshot!(unstarted(two, pooled(), Horizon::Arrivals(9)), @"policy `prefix(eps=0.25, alpha=0.5)` needs one given price for each budget");
}
