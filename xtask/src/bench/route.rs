//! The whole decision on one thread: an embedding comes in, a reservation goes out.
//!
//! 26,000 prompts of history in 384 dimensions, eleven models with a budget each, prices
//! from the history that are solved for anew every 100 arrivals. A decision's time is the
//! least of some rounds over the same queries, the median and the 99th percentile are over
//! queries. Decisions that solve first have a column of their own.
//!
//! With `--compare` the decision of the published reference stands beside ours, restated in
//! Python on the same history and queries, in turns with them.

mod published;
mod watch;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use clap::Args;
use tollgate::core::{Fit, History, Models, Purpose, Seed};
use tollgate::policies::ResolveConfig;
use tollgate::{Budget, Request, Router, Spec, presets, registry};

use self::published::Published;
use self::watch::{Clock, WatchedPolicy, WatchedRecipe};
use super::points::{Clusters, DIM};
use super::{memory, quantile};

const N_MODELS: usize = 11;

/// Arrivals from one solve to the next.
const EVERY: u64 = 100;

/// Rounds over the queries.
const ROUNDS: usize = 5;

/// How far a median may be beyond its bar before a check fails: other programs run too.
const SLACK: f64 = 2.0;

/// Which decisions to time.
#[derive(Args, Debug)]
pub(crate) struct RouteOptions {
    /// An estimator, with parameters; repeat for more.
    #[arg(
        long = "estimator",
        value_name = "SPEC",
        default_values = ["ridge", "knn:k=5,index=hnsw", "knn:k=40,index=hnsw", "knn:k=40", "auto"]
    )]
    estimators: Vec<Spec>,
    /// Prompts of history.
    #[arg(long, default_value_t = 26_000)]
    rows: usize,
    /// Queries in a round.
    #[arg(long, default_value_t = 2_000)]
    queries: usize,
    /// Beside the published reference, through Python.
    #[arg(long)]
    compare: bool,
    /// Fail when a decision allocates, or a median is more than 25 % beyond its bar.
    #[arg(long)]
    check: bool,
}

impl RouteOptions {
    pub(super) fn quick(compare: bool) -> Self {
        let estimators = ["ridge", "knn:k=5,index=hnsw"];
        let estimators = estimators.iter().filter_map(|spec| spec.parse().ok()).collect();
        Self { estimators, rows: 26_000, queries: 1_000, compare, check: true }
    }
}

/// Microseconds of every query, the least of the rounds; infinite where every round of it
/// had to solve.
#[derive(Debug)]
struct Times {
    whole: Vec<f64>,
    estimate: Vec<f64>,
    rank: Vec<f64>,
    rest: Vec<f64>,
    settle: Vec<f64>,
    /// Whole decisions that solved, one entry each.
    solving: Vec<f64>,
    /// Requests for memory in all decisions that did not solve.
    allocations: usize,
    declined: usize,
    /// What the estimator picked for itself.
    choice: Option<String>,
}

pub(super) fn run(options: &RouteOptions) -> Result<()> {
    let RouteOptions { estimators, rows, queries, compare, check } = options;
    ensure!(*rows > 0 && *queries > 0, "--rows and --queries must be >= 1");
    let world = World::new(*rows, *queries)?;
    let mut published = if *compare { Published::start(&world)? } else { None };
    println!(
        "{rows} x {DIM}, {N_MODELS} models, one thread, least of {ROUNDS} rounds of {queries} \
         decisions; microseconds\n\n\
         {:<24} {:>8} {:>8} {:>10} {:>7} {:>9} {:>8} {:>12} {:>12}",
        "estimator",
        "p50",
        "p99",
        "estimate",
        "rank",
        "the rest",
        "settle",
        "with a solve",
        "allocations"
    );
    let (mut broken, mut medians) = (Vec::new(), Vec::new());
    for spec in estimators {
        let recipe = match registry::estimator(spec) {
            Ok(recipe) => recipe,
            Err(error) => {
                println!("{:<24} not measured: {error}", spec.to_string());
                broken.push(format!("{spec}: not measured: {error}"));
                continue;
            }
        };
        let times = world.time(recipe)?;
        let p50 = quantile(&times.whole, 0.5);
        println!("{}", show(spec, &times));
        medians.push((spec.to_string(), p50));
        if let Some(published) = &mut published {
            // As many rounds as ours, spread over the run.
            for _ in 0..ROUNDS.div_ceil(estimators.len()) {
                published.turn()?;
            }
        }
        if let Some(choice) = &times.choice {
            println!("{:<24} picked: {choice}", "");
        }
        if let Some(most) = bar(spec) {
            let verdict = if p50 <= most { "OK" } else { "BELOW" };
            println!("{:<24} promised: a median of at most {most} us  {verdict}", "");
            if p50 > SLACK * most {
                broken.push(format!("{spec}: a median of {p50:.1} us, promised {most}"));
            }
        }
        if times.allocations > 0 {
            broken.push(format!("{spec}: {} allocations, promised 0", times.allocations));
        }
    }
    if let Some(published) = &published {
        published.report(&medians);
    }
    if *check && !broken.is_empty() {
        bail!("promises are broken:\n{}", broken.join("\n"));
    }
    Ok(())
}

/// What is promised of the median, in microseconds.
fn bar(spec: &Spec) -> Option<f64> {
    match (spec.name.as_str(), spec.params.get("index").map(String::as_str)) {
        ("ridge", None) => Some(15.0),
        ("knn", Some("hnsw")) => Some(45.0),
        _ => None,
    }
}

fn show(spec: &Spec, times: &Times) -> String {
    let median = |values: &[f64]| quantile(values, 0.5);
    format!(
        "{:<24} {:>8.2} {:>8.2} {:>10.2} {:>7.2} {:>9.2} {:>8.2} {:>12.0} {:>12}{}",
        spec.to_string(),
        median(&times.whole),
        quantile(&times.whole, 0.99),
        median(&times.estimate),
        median(&times.rank),
        median(&times.rest),
        median(&times.settle),
        median(&times.solving),
        times.allocations,
        if times.declined > 0 { format!("  ({} declined)", times.declined) } else { String::new() },
    )
}

/// A history with labels, and prompts like it.
pub(super) struct World {
    pub(super) history: History,
    /// Row-major `(n_queries, DIM)`.
    pub(super) queries: Vec<f32>,
    n_queries: usize,
    /// What the cheapest model costs on an average prompt, in USD.
    cheapest: f64,
}

impl World {
    /// Better models are dearer; each has clusters that it is good at.
    pub(super) fn new(n_rows: usize, n_queries: usize) -> Result<Self> {
        let Clusters { mut embeddings, labels } = Clusters::draw(n_rows + n_queries);
        let queries = embeddings.split_off(n_rows * DIM);
        let bent = |cluster: usize, model: usize| {
            let address = (cluster * N_MODELS + model) as u64;
            Seed(2).stream(Purpose::Synthesis, address).uniform()
        };
        let mut rng = Seed(3).stream(Purpose::Synthesis, 0);
        let (mut quality, mut cost) = (Vec::new(), Vec::new());
        for &cluster in &labels[..n_rows] {
            for model in 0..N_MODELS {
                let strength = model as f64 / N_MODELS as f64;
                let chance = 0.2 + 0.4 * strength + 0.4 * bent(cluster, model);
                quality.push(if rng.uniform() < chance { 1.0 } else { 0.0 });
                cost.push(5e-5 * 50_f64.powf(strength) * (0.5 + rng.uniform()));
            }
        }
        let cheapest = cost.iter().step_by(N_MODELS).sum::<f64>() / n_rows as f64;
        let models = Models::new((0..N_MODELS).map(|model| format!("model-{model:02}")))?;
        let history = History::new(models, DIM, embeddings, quality, cost)?;
        Ok(Self { history, queries, n_queries, cheapest })
    }

    fn router(&self, recipe: Arc<dyn Fit>, clock: &Arc<Clock>) -> Result<Router> {
        // A round to grow the buffers, and those that are timed.
        let horizon = ((1 + ROUNDS) * self.n_queries) as u64;
        // The cheapest model alone could serve everything: scarce, and never exhausted.
        let each = self.cheapest * horizon as f64;
        let names = self.history.models().iter().map(|model| (model.as_str().to_owned(), each));
        let config = ResolveConfig { every: EVERY, ..ResolveConfig::default() };
        let policy = presets::tollgate_with(config, presets::default_solver())?;
        Ok(Router::builder()
            .history(self.history.clone())
            .estimator(WatchedRecipe::new(recipe, clock))
            .policy(WatchedPolicy::new(policy, clock))
            .budget(Budget::per_model(names.collect::<Vec<_>>()).horizon(horizon))
            .build()?)
    }

    fn time(&self, recipe: Arc<dyn Fit>) -> Result<Times> {
        let clock = Arc::new(Clock::default());
        let router = self.router(recipe, &clock)?;
        let unknown = || vec![f64::INFINITY; self.n_queries];
        let mut times = Times {
            whole: unknown(),
            estimate: unknown(),
            rank: unknown(),
            rest: unknown(),
            settle: unknown(),
            solving: Vec::new(),
            allocations: 0,
            declined: 0,
            choice: router.estimator().choice().map(str::to_owned),
        };
        for round in 0..=ROUNDS {
            for (at, embedding) in self.queries.chunks_exact(DIM).enumerate() {
                let request = Request::new(embedding);
                let before = memory::requests();
                let start = Instant::now();
                let routed = router.route(&request)?;
                let whole = start.elapsed().as_secs_f64() * 1e6;
                let allocations = memory::requests() - before;
                let (estimate, rank, solved) = clock.take();
                let mut settle = f64::INFINITY;
                match routed.reservation {
                    None => times.declined += 1,
                    Some(held) => {
                        let cost = held.bound().cost.to_usd() / 2.0;
                        let start = Instant::now();
                        router.settle(held, cost)?;
                        settle = start.elapsed().as_secs_f64() * 1e6;
                    }
                }
                if round == 0 {
                    times.declined = 0;
                } else if solved {
                    times.solving.push(whole);
                } else {
                    times.allocations += allocations;
                    let least = |all: &mut [f64], value: f64| all[at] = all[at].min(value);
                    least(&mut times.whole, whole);
                    least(&mut times.estimate, estimate);
                    least(&mut times.rank, rank);
                    least(&mut times.rest, whole - estimate - rank);
                    least(&mut times.settle, settle);
                }
            }
        }
        Ok(times)
    }
}
