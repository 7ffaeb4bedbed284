//! Decisions per second, estimates given: rank, reserve, settle, and whatever the price source
//! does at each arrival, without its solves.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tollgate::core::{
    Budgets, EstimateTable, Meter, Models, Policy, Purpose, Row, Scope, Seed, StreamRng,
};
use tollgate::data::Table;
use tollgate::{Spec, registry};
use tollgate_lab::{Options, Scenario, Stream, replay};

/// The fastest of some replays counts.
const REPLAYS: usize = 20;
/// Models and tenants of the large case, and how many arrivals it has.
const MODELS: usize = 64;
const TENANTS: u32 = 100;
const ARRIVALS: usize = 4_000;

/// What is asked of the small case and of the large one, in decisions per second; 0 asks
/// for nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bars {
    pub(super) small: f64,
    pub(super) large: f64,
}

/// Who is timed. Solves are no part of a decision, and are not counted; the caches that they
/// leave cold for the arrivals behind them are seen in the last two.
const CONTENDERS: [(&str, Judged); 5] = [
    ("tollgate:every=0", Judged::Always),
    ("history", Judged::Always),
    ("descent", Judged::Small),
    ("tollgate", Judged::Never),
    ("history-resolve", Judged::Never),
];

/// Against which bars a contender is held: prices that move at every arrival are promised for
/// the small case.
#[derive(Clone, Copy, Debug)]
enum Judged {
    Always,
    Small,
    Never,
}

struct Case {
    stream: Stream,
    estimates: EstimateTable,
    history: EstimateTable,
}

pub(super) fn run(bars: Bars) -> Result<()> {
    let mut slow = Vec::new();
    let small = embedded()?;
    let large = tenants()?;
    for (case, what, bar) in [
        (&small, "11 models, a budget each", bars.small),
        (&large, "64 models, a budget each, a pool and 100 tenants", bars.large),
    ] {
        for (name, judged) in CONTENDERS {
            let composition = registry::compose(&name.parse::<Spec>()?, None, None)?;
            let nanos = fastest(case, composition.policy.as_ref())?;
            let per_second = 1e9 / nanos;
            println!(
                "{name:16} {per_second:.2e} decisions per second, {nanos:4.0} ns each, {what}"
            );
            let judged = match judged {
                Judged::Always => true,
                Judged::Small => case.stream.models().len() < MODELS,
                Judged::Never => false,
            };
            if judged && per_second < bar {
                slow.push(format!("{name}: fewer than {bar:e} a second with {what}"));
            }
        }
    }
    ensure!(slow.is_empty(), "{}", slow.join("; "));
    Ok(())
}

/// Nanoseconds a decision.
fn fastest(case: &Case, policy: &dyn Policy) -> Result<f64> {
    let mut fastest = f64::INFINITY;
    for _ in 0..REPLAYS {
        let run = replay(&case.stream, policy, &case.estimates, Some(&case.history))?;
        fastest = fastest.min(1e3 * run.timings.route_us / case.stream.len() as f64);
    }
    Ok(fastest)
}

fn embedded() -> Result<Case> {
    let scenario = Scenario::prepare(&Table::embedded(), &Options::default(), Seed(42))?;
    let composition = registry::compose(&Spec::named("tollgate"), None, None)?;
    let recipe = composition.estimator.context("the default policy has an estimator")?;
    let (estimates, history) = scenario.estimate_and_hold_out(recipe.as_ref())?;
    Ok(Case { stream: scenario.stream().clone(), estimates, history })
}

/// Models that get better and dearer, tenants that all ask the same; each budget is a third of
/// what serving everything in equal parts would take.
fn tenants() -> Result<Case> {
    let mut rng = Seed(7).stream(Purpose::Synthesis, 0);
    let [estimates, history] = [ARRIVALS, ARRIVALS].map(|n| table(n, &mut rng));
    let mean = estimates.cost().iter().sum::<f64>() / estimates.cost().len() as f64;
    let all = mean * ARRIVALS as f64 / 3.0;
    let mut rows = vec![Row::at_most(Meter::Cost, Scope::all(), all)];
    let each = |scope, of| Row::at_most(Meter::Cost, scope, all / f64::from(of));
    rows.extend((0..MODELS).map(|model| each(Scope::model(model), 32)));
    rows.extend((0..TENANTS).map(|tenant| each(Scope::group(tenant), 80)));
    let models = Models::new((0..MODELS).map(|model| format!("m{model:02}")))?;
    let budgets = Budgets::new(rows, MODELS, TENANTS as usize)?;
    let (quality, cost) = (Arc::clone(estimates.quality()), Arc::clone(estimates.cost()));
    let stream = Stream::new(models, quality, cost, budgets, Seed(7))?;
    let groups =
        (0..ARRIVALS).map(|_| u32::try_from(rng.below(TENANTS as usize))).collect::<Result<_, _>>();
    Ok(Case { stream: stream.with_groups(groups?)?, estimates, history })
}

fn table(n: usize, rng: &mut StreamRng) -> EstimateTable {
    let mut table = EstimateTable::zeros(n, MODELS);
    table.fill(|out| {
        for at in 0..n * MODELS {
            let strength = (at % MODELS) as f64 / MODELS as f64;
            out.quality[at] = (0.3 + 0.4 * strength + 0.3 * rng.uniform()).min(1.0);
            out.cost[at] = 5e-5 * 50_f64.powf(strength) * (0.5 + rng.uniform());
        }
    });
    table
}
