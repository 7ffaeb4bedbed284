//! Budgets of every kind, alone and together: windows, tenants, tokens, requests, layers. On
//! none of them is more spent than there is, and the default policy paces each of them.

use std::sync::Arc;

use tollgate::core::{Budgets, EstimateTable, Horizon, Meter, Outcome, Refill, Row, Scope, Seed};
use tollgate::data::Table;
use tollgate::registry::{self, Composition};
use tollgate_lab::{Options, Replay, Scenario, Stream, replay};
use tollgate_tests::compositions;

const ARRIVALS: usize = 800;

/// A scenario of the embedded stream, with estimates of ridge, which are quickly made.
struct World {
    scenario: Scenario,
    estimates: EstimateTable,
    history: EstimateTable,
}

impl World {
    fn new() -> Self {
        let rows: Vec<usize> = (0..2 * ARRIVALS).collect();
        let table = Table::embedded().select_rows(&rows).unwrap();
        let scenario = Scenario::prepare(&table, &Options::default(), Seed(3)).unwrap();
        let recipe = registry::estimator(&"ridge".parse().unwrap()).unwrap();
        let (estimates, history) = scenario.estimate_and_hold_out(recipe.as_ref()).unwrap();
        Self { scenario, estimates, history }
    }

    /// What the cheapest model costs on all arrivals, in USD.
    fn money(&self) -> f64 {
        let n = self.scenario.models().len();
        let of = |model: usize| self.scenario.true_cost().iter().skip(model).step_by(n).sum();
        (0..n).map(of).fold(f64::INFINITY, f64::min)
    }

    fn stream(&self, budgets: Budgets) -> Stream {
        self.scenario.stream().clone().with_budgets(budgets).unwrap()
    }

    fn pooled(&self, usd: f64) -> Budgets {
        Budgets::pooled(usd, self.scenario.models().len()).unwrap()
    }

    fn run(&self, stream: &Stream, policy: &str) -> Replay {
        let Composition { policy, .. } = &compositions(&[policy])[0];
        replay(stream, policy.as_ref(), &self.estimates, Some(&self.history)).unwrap()
    }

    fn performance(&self, stream: &Stream, policy: &str) -> f64 {
        let run = self.run(stream, policy);
        for account in run.ledger.accounts() {
            assert!(
                account.spent <= account.limit && account.overrun == 0,
                "{policy}: {account:?}"
            );
        }
        run.metrics.performance
    }
}

/// One arrival a minute, and a day of 80 minutes: ten days.
fn minutes() -> Arc<[f64]> {
    (0..ARRIVALS).map(|minute| 60.0 * minute as f64).collect()
}

const DAY: f64 = 80.0 * 60.0;

/// The same money by the day as for the whole run: no day spends more than its own, and since
/// every day is like the others little is lost by it. A policy that knew nothing of windows and
/// spent each day's money on whoever comes first is far below.
#[test]
fn a_budget_by_the_day() {
    let world = World::new();
    let day = Refill { every: DAY, carry_over: false };
    let daily = world.pooled(world.money() / 10.0).refilled(0, day).unwrap();
    let stream = world.stream(daily).with_times(minutes()).unwrap();
    let whole = world.performance(&world.stream(world.pooled(world.money())), "tollgate");
    let run = world.run(&stream, "tollgate");
    let mut spent = [0.0; 10];
    for (arrival, outcome) in run.outcomes.iter().enumerate() {
        if let Outcome::Served(model) = outcome {
            spent[arrival / 80] += stream.truth(arrival, *model).1;
        }
    }
    let limit = world.money() / 10.0 + 1e-11;
    assert!(spent.iter().all(|spent| *spent <= limit), "{spent:?} of {limit} a day");
    let (ours, greedy) = (run.metrics.performance, world.performance(&stream, "greedy-cost"));
    println!("by the day {ours:.0}, for the run {whole:.0}, greedy by the day {greedy:.0}");
    assert!(ours >= 0.92 * whole, "{ours} by the day, {whole} for the run");
    assert!(ours > 1.2 * greedy, "{ours} and {greedy}");
}

/// What a day leaves is there on the next: as good as a budget for the run, or nearly.
#[test]
fn a_budget_by_the_day_with_carry_over() {
    let world = World::new();
    let day = |carry_over| Refill { every: DAY, carry_over };
    let of = |refill| {
        let daily = world.pooled(world.money() / 10.0).refilled(0, refill).unwrap();
        world.stream(daily).with_times(minutes()).unwrap()
    };
    let carried = world.performance(&of(day(true)), "tollgate");
    let lapsing = world.performance(&of(day(false)), "tollgate");
    let whole = world.performance(&world.stream(world.pooled(world.money())), "tollgate");
    println!("carried over {carried:.0}, lapsing {lapsing:.0}, for the run {whole:.0}");
    assert!(carried >= 0.95 * whole, "{carried} of {whole}");
}

/// Four tenants, the first with half of the traffic and a tenth of the money: it is held to
/// that, beside a pool and a budget for each model, with one price for each of 16 rows.
#[test]
fn tenants_beside_a_pool_and_models() {
    let world = World::new();
    let (money, n) = (world.money(), world.scenario.models().len());
    let mut rows = vec![Row::at_most(Meter::Cost, Scope::all(), money)];
    rows.extend((0..n).map(|m| Row::at_most(Meter::Cost, Scope::model(m), money / 3.0)));
    let shares = [0.1, 0.4, 0.4, 0.4];
    rows.extend(
        (0..)
            .zip(shares)
            .map(|(g, share)| Row::at_most(Meter::Cost, Scope::group(g), share * money)),
    );
    let groups: Arc<[u32]> = (0..ARRIVALS as u64)
        .map(|arrival| if arrival % 2 == 0 { 0 } else { 1 + (arrival / 2 % 3) as u32 })
        .collect();
    let stream = world.stream(Budgets::new(rows, n, 4).unwrap()).with_groups(groups).unwrap();
    let run = world.run(&stream, "tollgate");
    assert_eq!(run.prices.rows().len(), 1 + n + 4);
    let first = 1 + n;
    assert!(
        run.prices.rows()[first] > run.prices.rows()[first + 1],
        "the poor tenant pays more: {:?}",
        &run.prices.rows()[first..]
    );
    let ours = world.performance(&stream, "tollgate");
    for baseline in ["greedy-cost", "greedy-perf", "batch-split", "port"] {
        let theirs = world.performance(&stream, baseline);
        println!("tollgate {ours:.0}, {baseline} {theirs:.0}");
        assert!(ours > theirs, "{baseline}: {theirs} and {ours}");
    }
}

/// 200 requests in all, and tokens for half of the money: both bind, neither is passed.
#[test]
fn requests_and_tokens_beside_money() {
    let world = World::new();
    let (money, n) = (world.money(), world.scenario.models().len());
    let per_usd = 1e6;
    let rows = vec![
        Row::at_most(Meter::Cost, Scope::all(), 3.0 * money),
        Row::at_most(Meter::Tokens, Scope::all(), 2.0 * money * per_usd),
        Row::at_most(Meter::One, Scope::all(), 200.0),
    ];
    let budgets = Budgets::new(rows, n, 1).unwrap();
    let budgets = budgets.with_tokens_per_usd(vec![per_usd; n].into()).unwrap();
    let stream = world.stream(budgets);
    let run = world.run(&stream, "tollgate");
    let [usd, tokens, requests] = run.ledger.accounts()[..] else { panic!("three accounts") };
    assert!(requests.spent <= 200 && requests.spent > 150, "{requests:?}");
    assert!(tokens.spent <= tokens.limit && usd.spent <= usd.limit);
    let (ours, greedy) = (run.metrics.performance, world.performance(&stream, "greedy-perf"));
    println!("tollgate {ours:.0}, greedy-perf {greedy:.0} of 200 requests");
    assert!(ours > greedy, "{ours} and {greedy}");
}

/// Nobody says how long the run is: the rate is paced, and more than half of what a policy
/// makes of it that knows is left. With a deadline in place of a number little is lost.
#[test]
fn horizons_that_are_not_a_number() {
    let world = World::new();
    let pooled = || world.stream(world.pooled(world.money()));
    let known = world.performance(&pooled(), "tollgate");
    let unknown = world.performance(&pooled().announced(Horizon::Unknown), "tollgate");
    let end = 60.0 * ARRIVALS as f64;
    // A third too many are expected at first.
    let deadline = Horizon::Deadline { at: end, expected: 4.0 / 3.0 * ARRIVALS as f64 };
    let timed = pooled().with_times(minutes()).unwrap().announced(deadline);
    let timed = world.performance(&timed, "tollgate");
    println!("known {known:.0}, by a deadline {timed:.0}, unknown {unknown:.0}");
    assert!(timed >= 0.97 * known, "{timed} of {known}");
    assert!(unknown >= 0.5 * known, "{unknown} of {known}");
}
