//! What a decision costs once the estimates are there: look at the accounts, rank, reserve,
//! settle. Eleven models with a budget each, prices solved once.
//!
//! Goal: a million decisions a second on one thread, and no allocation in any of them.

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use tollgate::core::{
    Amounts, Arrival, BudgetView, Budgets, Choice, EstimateTable, Ledger, Meter, PicoUsd, Policy,
    Prices, Problem, Purpose, Ranking, Seed, SolveOptions, Solver,
};
use tollgate::policies::Guard;
use tollgate::presets;
use tollgate::solvers::CuttingPlane;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const N_MODELS: usize = 11;
/// Distinct arrivals, gone through over and over.
const ARRIVALS: usize = 4_096;
const GUARDS: [Guard; 2] = [Guard::NextBestOrDecline, Guard::None];

fn main() {
    divan::main();
}

/// Scores and costs of models that get better and dearer.
fn estimates() -> EstimateTable {
    let mut rng = Seed(1).stream(Purpose::Synthesis, 0);
    let mut table = EstimateTable::zeros(ARRIVALS, N_MODELS);
    table.fill(|out| {
        for at in 0..ARRIVALS * N_MODELS {
            let strength = (at % N_MODELS) as f64 / N_MODELS as f64;
            out.quality[at] = (0.3 + 0.4 * strength + 0.3 * rng.uniform()).min(1.0);
            out.cost[at] = 5e-5 * 50_f64.powf(strength) * (0.5 + rng.uniform());
        }
    });
    table
}

/// Budgets a hundred thousand times what the prices were solved for: they are as scarce,
/// and do not run out while being timed.
struct World {
    estimates: EstimateTable,
    ledger: Ledger,
    prices: Prices,
}

fn world() -> World {
    let estimates = estimates();
    let cheapest: f64 = (0..ARRIVALS).map(|query| estimates.row(query).cost[0]).sum();
    let budget = 2.0 * cheapest / N_MODELS as f64;
    let budgets = Budgets::per_model(&[budget; N_MODELS]).expect("a sum of costs is finite");
    let problem = Problem::builder(ARRIVALS, N_MODELS, Choice::AtMostOne)
        .table(Meter::Quality, Arc::clone(estimates.quality()))
        .table(Meter::Cost, Arc::clone(estimates.cost()))
        .objective(Meter::Quality, 1.0)
        .rows(budgets.rows().iter().cloned())
        .build()
        .expect("the tables are made to fit");
    let solution = CuttingPlane::default().solve(&problem, &SolveOptions::default(), None);
    let solution = solution.expect("a small problem of ordinary numbers");
    let prices = Prices::of(&problem, solution.prices, solution.dual_bound);
    let lasting = Budgets::per_model(&[1e5 * budget; N_MODELS]).expect("finite");
    let ledger = Ledger::open(lasting).expect("thousands of dollars fit an account");
    World { estimates, ledger, prices }
}

/// One round is [`ARRIVALS`] decisions.
#[divan::bench(args = GUARDS, sample_count = 100)]
fn decide(bencher: Bencher<'_, '_>, guard: Guard) {
    let World { estimates, ledger, prices } = world();
    let policy = presets::tollgate().guard(guard);
    let mut ranking = Ranking::default();
    let (mut remaining, mut remaining_estimated) = (Vec::new(), Vec::new());
    let mut round = || {
        let mut served = 0;
        for index in 0..ARRIVALS {
            ledger.remaining_into(&mut remaining, &mut remaining_estimated);
            let budgets = BudgetView {
                budgets: ledger.budgets(),
                remaining: &remaining,
                remaining_estimated: &remaining_estimated,
            };
            let arrival = Arrival {
                index: index as u64,
                time: 0.0,
                group: 0,
                estimates: estimates.row(index),
                latency: None,
                must_serve: false,
                seed: Seed(1),
            };
            policy.rank(&arrival, &prices, &budgets, &mut ranking).expect("it solves nothing");
            for entry in ranking.entries() {
                let cost = PicoUsd::from_usd(arrival.estimates.cost[entry.model]);
                let amounts = Amounts::cost(cost.expect("a cost is an amount of money"));
                let Some(held) = ledger.reserve(0, entry.model, amounts) else { continue };
                ledger.expect(0, entry.model, amounts);
                held.settle(amounts);
                served += 1;
                break;
            }
        }
        served
    };
    // The buffers grow in the first round, which also says that there is something to time.
    let served = round();
    assert!(served > ARRIVALS / 2, "most arrivals are declined: {served} of {ARRIVALS} served");
    bencher.counter(ItemsCount::new(ARRIVALS)).bench_local(round);
}
