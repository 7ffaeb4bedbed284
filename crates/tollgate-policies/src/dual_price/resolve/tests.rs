use tollgate_core::{Choice, EstimateTable, Meter};

use super::*;
use crate::dual_price::Outlook;
use crate::testing::{Left, Oracle, arrival, models};

const QUALITY: [f64; 4] = [0.75, 0.5, 0.25, 1.0];
const COST: [f64; 4] = [0.5, 0.25, 1.0, 2.0];

/// Two prompts, two models.
fn history() -> EstimateTable {
    let mut history = EstimateTable::zeros(2, 2);
    history.fill(|out| {
        out.quality.copy_from_slice(&QUALITY);
        out.cost.copy_from_slice(&COST);
    });
    history
}

/// On the history alone.
fn history_every() -> ResolveConfig {
    ResolveConfig { outlook: Outlook::History, ..ResolveConfig::default() }
}

/// Plays the arrivals through a pricer of eight, with `left` USD left of 4 and 8 each
/// time; answers which of them were priced.
fn play(
    config: ResolveConfig,
    solver: &Arc<Oracle>,
    left: [f64; 2],
    arrivals: impl IntoIterator<Item = u64>,
) -> Vec<u64> {
    let source = config.build(Arc::clone(solver) as Arc<_>).unwrap();
    let (models, history) = (models(2), history());
    let mut budgets = Left::per_model(&[4.0, 8.0]);
    let setup =
        RunSetup { history: Some(&history), ..budgets.setup(&models, Horizon::Arrivals(8)) };
    let mut pricer = source.start(&setup).unwrap();
    budgets.remaining = left.to_vec();
    let mut priced = Vec::new();
    for index in arrivals {
        let arrival = arrival(index, &[1.0; 2], &[1.0; 2]);
        let view = budgets.view();
        match pricer
            .before(&Progress {
                arrival: &arrival,
                budgets: &view,
                cost_ratios: &[1.0; 32][..arrival.estimates.cost.len()],
            })
            .unwrap()
        {
            PriceUpdate::Keep => {}
            PriceUpdate::Install(_) => panic!("nothing to install"),
            PriceUpdate::Solve(request) => {
                let prices = pricer.install(request.run().unwrap());
                assert_eq!(prices.rows(), [0.25, 0.5]);
                priced.push(index);
            }
        }
    }
    priced
}

fn capacities(solver: &Oracle) -> Vec<Vec<f64>> {
    let rows = |problem: &Problem| problem.rows().iter().map(|row| row.capacity).collect();
    solver.asked().iter().map(|(problem, ..)| rows(problem)).collect()
}

#[test]
fn prices_are_due_at_the_start_and_every_so_often() {
    let priced = |every| {
        let solver = Oracle::priced(&[0.25, 0.5]);
        let config = ResolveConfig { every, ..history_every() };
        play(config, &solver, [4.0, 8.0], 0..8)
    };
    assert_eq!(priced(3), [0, 3, 6]);
    assert_eq!(priced(1), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(priced(100), [0]);
    assert_eq!(priced(0), [0]);
}

/// The history of 2 stands for the 8, then 4, then 1 arrivals that are left; beyond the
/// announced 8 there is always one more.
#[test]
fn capacities_are_scaled_to_the_history() {
    let solver = Oracle::priced(&[0.25, 0.5]);
    let config = ResolveConfig { every: 1, ..history_every() };
    play(config.clone(), &solver, [2.0, 6.0], [0, 4, 7, 8, 1_000]);
    let whole_rest = vec![4.0, 12.0];
    let expected = [vec![0.5, 1.5], vec![1.0, 3.0], whole_rest.clone(), whole_rest.clone()];
    assert_eq!(capacities(&solver)[..4], expected);
    assert_eq!(capacities(&solver)[4], whole_rest);

    let overdrawn = Oracle::priced(&[0.25, 0.5]);
    play(config, &overdrawn, [-1.0, 6.0], [0]);
    assert_eq!(capacities(&overdrawn), [[0.0, 1.5]], "nothing is less than nothing");
}

#[test]
fn the_history_is_what_is_solved_on_from_the_last_warm_state() {
    let solver = Oracle::priced(&[0.25, 0.5]);
    let config = ResolveConfig { every: 4, gap: 0.125, ..history_every() };
    play(config, &solver, [4.0, 8.0], 0..8);
    let asked = solver.asked();
    let warm: Vec<bool> = asked.iter().map(|(_, _, warm)| *warm).collect();
    assert_eq!(warm, [false, true]);
    for (problem, options, _) in &asked {
        assert_eq!(problem.table(Meter::Quality).unwrap()[..], QUALITY);
        assert_eq!(problem.table(Meter::Cost).unwrap()[..], COST);
        assert_eq!(problem.choice(), Choice::AtMostOne);
        assert!((options.gap - 0.125).abs() < f64::MIN_POSITIVE);
    }
}

fn refused(gap: f64) -> String {
    let config = ResolveConfig { gap, ..history_every() };
    config.build(Oracle::priced(&[])).unwrap_err().to_string()
}

#[test]
fn knobs_out_of_range_are_refused() {
    insta::assert_snapshot!(refused(f64::NAN), @"`gap` must be finite and >= 0, got NaN");
    insta::assert_snapshot!(refused(-1e-9), @"`gap` must be finite and >= 0, got -0.000000001");
    insta::assert_snapshot!(refused(f64::INFINITY), @"`gap` must be finite and >= 0, got inf");
    let exact = ResolveConfig { gap: 0.0, ..history_every() };
    assert!(exact.build(Oracle::priced(&[])).is_ok(), "0 asks for the exact prices");
}

/// The price problem itself reads no latency: with a price on time its rows, and so its prices,
/// are those without one; the coefficients carry the weight.
#[test]
fn a_price_on_time_is_in_the_objective() {
    for (per_second, weight) in [(0.0, 0.0), (0.25, -0.25)] {
        let solver = Oracle::priced(&[0.25, 0.5]);
        let config = ResolveConfig { per_second, ..history_every() };
        play(config, &solver, [2.0, 4.0], [0]);
        let asked = solver.asked();
        let (problem, ..) = &asked[0];
        assert_eq!(problem.objective(Meter::Latency).to_bits(), f64::to_bits(weight));
        assert!(problem.table(Meter::Latency).is_none());
        let coefficients = problem.coefficients(&[0.25, 0.5]);
        assert_eq!(coefficients.of(0, Meter::Latency).get(1).to_bits(), f64::to_bits(weight));
        assert_eq!(problem.value(0, 0).to_bits(), QUALITY[0].to_bits());
    }
    let refused = |per_second| {
        let config = ResolveConfig { per_second, ..history_every() };
        config.build(Oracle::priced(&[])).unwrap_err().to_string()
    };
    insta::assert_snapshot!(refused(-0.5), @"`per_second` must be finite and >= 0, got -0.5");
    insta::assert_snapshot!(refused(f64::NAN), @"`per_second` must be finite and >= 0, got NaN");
}

fn unstarted(budgets: Budgets, horizon: Horizon, with_history: bool) -> String {
    let source = history_every().build(Oracle::priced(&[])).unwrap();
    assert!(source.needs_history());
    let (models, history) = (models(2), history());
    let left = Left::of(budgets);
    let history = with_history.then_some(&history);
    let setup = RunSetup { history, ..left.setup(&models, horizon) };
    let error = source.start(&setup).unwrap_err();
    match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[test]
fn what_it_needs_it_names() {
    let pooled = || Budgets::pooled(1.0, 2).unwrap();
    insta::assert_snapshot!(unstarted(pooled(), Horizon::Arrivals(8), false), @"policy `history(every=100)` needs held-out estimates of the history");
}

/// Ten arrivals without prices, then when the arrivals have grown by a quarter, but never more
/// than a third of what is left.
#[test]
fn an_adaptive_schedule_is_dense_at_both_ends() {
    let config = ResolveConfig {
        outlook: Outlook::Arrivals,
        schedule: Schedule::Adaptive,
        ..ResolveConfig::default()
    };
    let solver = Oracle::priced(&[0.25, 0.5]);
    let source = config.build(Arc::clone(&solver) as Arc<_>).unwrap();
    assert!(!source.needs_history());
    let (models, budgets) = (models(2), Left::per_model(&[4.0, 8.0]));
    let mut pricer = source.start(&budgets.setup(&models, Horizon::Arrivals(30))).unwrap();
    let mut priced = Vec::new();
    for index in 0..30 {
        let arrival = arrival(index, &[1.0; 2], &[1.0; 2]);
        let view = budgets.view();
        let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] };
        if let PriceUpdate::Solve(request) = pricer.before(&progress).unwrap() {
            assert_eq!(request.problem.n_queries() as u64, index, "all arrivals so far");
            pricer.install(request.run().unwrap());
            priced.push(index);
        }
    }
    assert_eq!(priced, [10, 12, 15, 18, 22, 24, 26, 27, 28, 29]);
}

/// Told at arrival 1 that there will be 100 in all and not 8, it solves at the next one, on
/// the history of 2 for the 98 that are left.
#[test]
fn an_announcement_is_priced_at_once() {
    let solver = Oracle::priced(&[0.25, 0.5]);
    let source = history_every().build(Arc::clone(&solver) as Arc<_>).unwrap();
    let (models, history) = (models(2), history());
    let budgets = Left::per_model(&[4.0, 8.0]);
    let setup =
        RunSetup { history: Some(&history), ..budgets.setup(&models, Horizon::Arrivals(8)) };
    let mut pricer = source.start(&setup).unwrap();
    for index in 0..4 {
        let arrival = arrival(index, &[1.0; 2], &[1.0; 2]);
        let view = budgets.view();
        let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] };
        if let PriceUpdate::Solve(request) = pricer.before(&progress).unwrap() {
            pricer.install(request.run().unwrap());
        }
        if index == 1 {
            pricer.announce(Horizon::Arrivals(100));
        }
    }
    let scaled = [[4.0 / 98.0 * 2.0, 8.0 / 98.0 * 2.0]];
    assert_eq!(capacities(&solver), [[1.0, 2.0], scaled[0]]);
}

/// Costs that turn out a fifth higher are a fifth higher in the history as well.
#[test]
fn the_history_costs_what_answers_cost() {
    let solver = Oracle::priced(&[0.25, 0.5]);
    let source = history_every().build(Arc::clone(&solver) as Arc<_>).unwrap();
    let (models, history) = (models(2), history());
    let budgets = Left::per_model(&[4.0, 8.0]);
    let setup =
        RunSetup { history: Some(&history), ..budgets.setup(&models, Horizon::Arrivals(8)) };
    let mut pricer = source.start(&setup).unwrap();
    let arrival = arrival(0, &[1.0; 2], &[1.0; 2]);
    let view = budgets.view();
    let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.2, 1.0] };
    let PriceUpdate::Solve(request) = pricer.before(&progress).unwrap() else {
        panic!("prices are due")
    };
    let expected = [COST[0] * 1.2, COST[1], COST[2] * 1.2, COST[3]];
    assert_eq!(request.problem.table(Meter::Cost).unwrap()[..], expected);
}
