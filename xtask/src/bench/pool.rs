//! What a change of the pool costs those who are routing: two threads route at full speed while
//! a third adds a model from its labels and removes it again, with pauses as long as the changes.
//!
//! A decision belongs to a change if one was being made when it began or when it ended, and to
//! the quiet otherwise, so both are measured in one run, turn about. Decisions that solve for
//! prices are among them in either case.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use tollgate::core::{Label, ModelId, Prompt, Purpose, Seed};
use tollgate::{Budget, NewModel, Request, Router, Spec, presets, registry};

use super::points::DIM;
use super::quantile;
use super::route::World;

/// Threads that route.
const ROUTING: usize = 2;
/// The model that comes and goes.
const NEWCOMER: &str = "newcomer";
/// How many times as long a 99th percentile may be while the pool changes.
const BAR: f64 = 2.0;

/// How the pool changes.
#[derive(Args, Debug)]
pub(crate) struct PoolOptions {
    /// The estimators, with parameters; each has to be a pool.
    #[arg(long = "estimator", value_name = "SPEC", default_values = ["clusters", "ensemble"])]
    estimators: Vec<Spec>,
    /// Prompts of history.
    #[arg(long, default_value_t = 10_000)]
    rows: usize,
    /// Labels of the model that comes.
    #[arg(long, default_value_t = 400)]
    labels: usize,
    /// How many times it comes and goes.
    #[arg(long, default_value_t = 60)]
    changes: usize,
    /// Fail when a 99th percentile is more than twice as long while the pool changes.
    #[arg(long)]
    check: bool,
}

impl PoolOptions {
    pub(super) fn quick() -> Self {
        let estimators = ["clusters", "ensemble"];
        let estimators = estimators.iter().filter_map(|spec| spec.parse().ok()).collect();
        Self { estimators, rows: 5_000, labels: 400, changes: 40, check: true }
    }
}

/// Microseconds of decisions.
#[derive(Debug, Default)]
struct Latencies {
    quiet: Vec<f64>,
    changing: Vec<f64>,
}

pub(super) fn run(options: &PoolOptions) -> Result<()> {
    let PoolOptions { estimators, rows, labels, changes, check } = options;
    ensure!(*rows > 0 && *labels > 0 && *changes > 0, "--rows, --labels, --changes must be >= 1");
    let world = World::new(*rows, 1_000)?;
    println!(
        "{rows} x {DIM} history, {ROUTING} threads route, {changes} times a model comes with \
         {labels} labels and goes; microseconds\n\n\
         {:<12} {:>9} {:>10} {:>10} {:>10} {:>10} {:>9} {:>12} {:>12}",
        "estimator",
        "decisions",
        "quiet p50",
        "quiet p99",
        "change p50",
        "change p99",
        "p99 ratio",
        "add, median",
        "go, median"
    );
    let mut broken = Vec::new();
    for spec in estimators {
        let ratio = measure(&world, spec, *labels, *changes)?;
        if ratio >= BAR {
            broken
                .push(format!("{spec}: 99th percentile {ratio:.2} times as long, promised {BAR}"));
        }
    }
    ensure!(!check || broken.is_empty(), "promises are broken:\n{}", broken.join("\n"));
    Ok(())
}

fn measure(world: &World, spec: &Spec, labels: usize, changes: usize) -> Result<f64> {
    let router = Router::builder()
        .history(world.history.clone())
        .estimator_arc(registry::estimator(spec)?)
        .policy(presets::tollgate())
        .budget(Budget::pooled(1e6))
        .build()?;
    let labels = newcomers_labels(world, labels);
    let new = NewModel::new(NEWCOMER).labels(&labels);
    // Odd while a change is being made.
    let (phase, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let (mut adds, mut removals) = (Vec::new(), Vec::new());
    let routed = thread::scope(|scope| -> Result<Vec<Latencies>> {
        let routing: Vec<_> = (0..ROUTING)
            .map(|thread| {
                scope.spawn({
                    let (router, phase, done) = (&router, &phase, &done);
                    move || route(world, router, thread, phase, done)
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(200));
        let change = |times: &mut Vec<f64>, make: &dyn Fn() -> Result<()>| -> Result<()> {
            phase.fetch_add(1, Ordering::SeqCst);
            let start = Instant::now();
            let made = make();
            let took = start.elapsed();
            phase.fetch_add(1, Ordering::SeqCst);
            times.push(took.as_secs_f64() * 1e6);
            thread::sleep(took);
            made
        };
        let mut made = Ok(());
        for _ in 0..changes {
            made = change(&mut adds, &|| Ok(router.add_model(&new)?)).and_then(|()| {
                change(&mut removals, &|| Ok(router.remove_model(&ModelId::new(NEWCOMER))?))
            });
            if made.is_err() {
                break;
            }
        }
        done.store(true, Ordering::SeqCst);
        let joined = routing
            .into_iter()
            .map(|thread| thread.join().ok().context("a routing thread panicked").flatten());
        let joined = joined.collect();
        made.and(joined)
    })?;
    let all = |of: fn(&Latencies) -> &[f64]| routed.iter().flat_map(of).copied().collect();
    let (quiet, changing): (Vec<f64>, Vec<f64>) =
        (all(|latencies| &latencies.quiet), all(|latencies| &latencies.changing));
    let last = router.route(&Request::new(&world.queries[..DIM]))?.decision.arrival;
    let decisions = quiet.len() + changing.len();
    ensure!(last == decisions as u64, "{decisions} decisions were made, {last} counted");
    let ratio = quantile(&changing, 0.99) / quantile(&quiet, 0.99);
    println!(
        "{:<12} {decisions:>9} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {ratio:>9.2} {:>12.0} {:>12.0}",
        spec.to_string(),
        quantile(&quiet, 0.5),
        quantile(&quiet, 0.99),
        quantile(&changing, 0.5),
        quantile(&changing, 0.99),
        quantile(&adds, 0.5),
        quantile(&removals, 0.5),
    );
    Ok(ratio)
}

/// Routes until it is told to stop.
fn route(
    world: &World,
    router: &Router,
    thread: usize,
    phase: &AtomicU64,
    done: &AtomicBool,
) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    let prompts = world.queries.chunks_exact(DIM).cycle().skip(thread * 500);
    for embedding in prompts {
        if done.load(Ordering::SeqCst) {
            break;
        }
        let before = phase.load(Ordering::SeqCst);
        let start = Instant::now();
        let routed = router.route(&Request::new(embedding))?;
        let took = start.elapsed().as_secs_f64() * 1e6;
        let after = phase.load(Ordering::SeqCst);
        // Every decision is by one pool: its model is among its own models.
        let model = routed.model().context("money is plenty")?;
        ensure!(routed.models().index_of(model.as_str()).is_some(), "{model} is of another pool");
        let cost = routed.reservation.as_ref().map_or(0.0, |held| held.bound().cost.to_usd() / 2.0);
        if let Some(held) = routed.reservation {
            router.settle(held, cost)?;
        }
        let quiet = before == after && before.is_multiple_of(2);
        (if quiet { &mut latencies.quiet } else { &mut latencies.changing }).push(took);
    }
    Ok(latencies)
}

/// Labels of a model that is right on two prompts of three, wherever they are.
fn newcomers_labels(world: &World, n: usize) -> Vec<Label<'_>> {
    let mut rng = Seed(4).stream(Purpose::Synthesis, 0);
    let rows = world.history.embeddings().chunks_exact(DIM).take(n);
    let label = |embedding| {
        let quality = f64::from(u8::from(rng.uniform() < 2.0 / 3.0));
        Label { prompt: Prompt::Embedding(embedding), quality, cost: 2e-4 }
    };
    rows.map(label).collect()
}
