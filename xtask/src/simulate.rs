//! Policies under load: streams in simulated time, by arrival process.
//!
//! Every model has one to three slots and a speed, drawn from the seed. How long its answers
//! are is read off their costs: by its list price, where the stream's folder has a `models.csv`
//! with a column `usd_per_mtok_out`, and otherwise so that they have 200 tokens on average.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, FromArgMatches as _};
use tollgate::Spec;
use tollgate::core::{EstimateTable, Purpose, Seed};
use tollgate::data::Table;
use tollgate::registry;
use tollgate_lab::simulator::{
    ArrivalsConfig, Lengths, LoadMetrics, Overflow, Service, ServiceConfig, Simulation, Speed,
};
use tollgate_lab::{BudgetLayout, Composition, Options, Scenario, Stream, mean_interval};

use crate::omnirouter::frontier;

/// What is simulated.
#[derive(Args, Clone, Debug)]
pub(crate) struct SimulateOptions {
    /// Folder of folders, each with queries.parquet and embeddings.npy; without it the
    /// embedded stream.
    #[arg(long, env = "TOLLGATE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Streams in that folder, separated by commas.
    #[arg(long, value_delimiter = ',', default_values_t = ["zeroeval".to_owned()])]
    streams: Vec<String>,
    /// Seeds: numbers and ranges such as 100..119.
    #[arg(long, default_value = "42,1,2,3,4", value_name = "LIST")]
    seeds: String,
    /// Queries of a run [default: half of the table].
    #[arg(long, value_name = "N")]
    queries: Option<usize>,
    /// The pooled budget, in multiples of what the cheapest model costs.
    #[arg(long, default_value_t = 4.0, value_name = "X")]
    budget: f64,
    /// Arrivals, as a share of what all slots together could answer.
    #[arg(long, default_value_t = 0.6, value_name = "F")]
    load: f64,
    /// How many queries may wait for each model; 0 turns away what finds no slot.
    #[arg(long, default_value_t = 8, value_name = "N")]
    queue: u32,
    /// Tell nobody how long a place is held, so that places have no price.
    #[arg(long)]
    unpriced: bool,
    /// The estimator of all policies.
    #[arg(long, default_value = "auto", value_name = "SPEC")]
    estimator: String,
    /// A policy. Repeat for more [default: the baselines, and tollgate at some prices on time].
    #[arg(long = "policy", value_name = "SPEC")]
    policies: Vec<String>,
    /// Draw quality and cost against the slowest answers as the price on time moves, too.
    #[arg(long)]
    frontier: bool,
    /// Fail when a baseline answers a larger share of all queries well than tollgate does.
    #[arg(long)]
    check: bool,
    /// Where figures go.
    #[arg(long, default_value = "target/simulate", value_name = "DIR")]
    out: PathBuf,
}

/// Who is compared.
const POLICIES: [&str; 11] = [
    "random",
    "round-robin",
    "balance",
    "shortest-wait",
    "greedy-perf",
    "greedy-density",
    "threshold",
    "tollgate",
    "tollgate:per_second=0.003",
    "tollgate:per_second=0.01",
    "tollgate:per_second=0.03",
];

/// The names of the arrival processes, in the order of [`Setting::processes`].
pub(crate) const PROCESSES: [&str; 3] = ["poisson", "bursty", "diurnal"];

pub(crate) fn run(options: &SimulateOptions) -> Result<()> {
    let policies = options.compositions()?;
    if options.check && !policies.iter().any(|policy| policy.label == OURS) {
        bail!("--check needs `{OURS}` among the policies");
    }
    let mut missed = Vec::new();
    for name in &options.names() {
        let start = Instant::now();
        let settings = settings(options, name)?;
        for (index, process) in PROCESSES.into_iter().enumerate() {
            let mut text = headline(name, process, &settings, index);
            let mut rates = Vec::new();
            for policy in &policies {
                let (line, rate) = line(policy, &settings, index)?;
                text += &line;
                rates.push((policy.label.as_str(), rate));
            }
            println!("{text}");
            missed.extend(
                above(&rates).into_iter().map(|label| format!("{name}, {process}: {label}")),
            );
        }
        if options.frontier {
            frontier::run(name, &settings, &options.out)?;
        }
        println!("[{name}: {:.0} s]\n", start.elapsed().as_secs_f64());
    }
    if options.check && !missed.is_empty() {
        bail!("above tollgate in the share of queries answered well: {}", missed.join("; "));
    }
    Ok(())
}

/// The policies that are not tollgate's and have a higher rate than the default.
fn above<'a>(rates: &[(&'a str, f64)]) -> Vec<&'a str> {
    let ours = rates.iter().find(|(label, _)| *label == OURS).map(|(_, rate)| *rate);
    let higher = |(label, rate): &&(&str, f64)| {
        !label.starts_with(OURS) && ours.is_some_and(|ours| *rate > ours)
    };
    rates.iter().filter(higher).map(|(label, _)| *label).collect()
}

/// The default policy; those with a price on time begin with its name.
const OURS: &str = "tollgate";

impl SimulateOptions {
    /// The embedded stream, checked.
    pub(crate) fn quick() -> Result<Self> {
        let command = Self::augment_args(clap::Command::new("simulate").no_binary_name(true));
        let given = command.try_get_matches_from(["--check"])?;
        Ok(Self { data: None, ..Self::from_arg_matches(&given)? })
    }

    fn names(&self) -> Vec<String> {
        if self.data.is_none() { vec!["embedded".to_owned()] } else { self.streams.clone() }
    }

    fn compositions(&self) -> Result<Vec<Composition>> {
        let all = POLICIES.map(str::to_owned);
        let named = if self.policies.is_empty() { &all[..] } else { &self.policies };
        let compose = |name: &String| Ok(registry::compose(&name.parse::<Spec>()?, None, None)?);
        named.iter().map(compose).collect()
    }
}

/// One seed of a stream: what comes, what is expected of it, and who answers.
pub(crate) struct Setting {
    scenario: Scenario,
    estimates: EstimateTable,
    history: EstimateTable,
    lengths: Lengths,
    service: Service,
    /// Arrivals a second.
    rate: f64,
}

/// A setting for each seed.
pub(crate) fn settings(options: &SimulateOptions, stream: &str) -> Result<Vec<Setting>> {
    let (table, prices) = match &options.data {
        None => (Table::embedded(), None),
        Some(root) => {
            let folder = root.join(stream);
            let table = Table::load(&folder).with_context(|| stream.to_owned())?;
            (table, list_prices(&folder.join("models.csv"))?)
        }
    };
    let seeds = tollgate_cli::parse_seeds(&options.seeds)?;
    seeds.into_iter().map(|seed| Setting::new(options, &table, prices.as_deref(), seed)).collect()
}

impl Setting {
    fn new(
        options: &SimulateOptions,
        table: &Table,
        prices: Option<&[(String, f64)]>,
        seed: Seed,
    ) -> Result<Self> {
        let lab = Options {
            queries: options.queries,
            budget: options.budget,
            layout: BudgetLayout::Pooled,
            ..Options::default()
        };
        let scenario = Scenario::prepare(table, &lab, seed)?;
        let recipe = registry::estimator(&options.estimator.parse()?)?;
        let (estimates, history) = scenario.estimate_and_hold_out(recipe.as_ref())?;
        let rates = tokens_per_usd(&scenario, &history, prices);
        let stream = scenario.stream();
        let lengths = Lengths::from_costs(stream, &estimates, Some(&history), &rates)?;
        let n_models = scenario.models().len();
        let slots = |model| {
            // Beside the speeds, which are drawn from the streams of the models' numbers.
            let mut rng = seed.stream(Purpose::Service, u64::MAX - model as u64);
            1 + u32::try_from(rng.below(3)).unwrap_or(0)
        };
        let overflow = match options.queue {
            0 => Overflow::Reject,
            limit => Overflow::Queue { limit },
        };
        let speeds = Speed::drawn(n_models, seed);
        let slots = (0..n_models).map(slots).collect();
        let service = ServiceConfig { speeds, slots, overflow }.build()?;
        let usual = lengths.usual().unwrap_or_default().iter().enumerate();
        let capacity: f64 = usual
            .map(|(model, &tokens)| {
                f64::from(service.slots(model)) / service.seconds(model, tokens)
            })
            .sum();
        if !(options.load > 0.0 && options.load.is_finite()) {
            bail!("--load must be finite and > 0, got {}", options.load);
        }
        let rate = options.load * capacity;
        let lengths = if options.unpriced {
            Lengths::from_costs(stream, &estimates, None, &rates)?
        } else {
            lengths
        };
        Ok(Self { scenario, estimates, history, lengths, service, rate })
    }

    /// Poisson; bursts of three times the rate in a fifth of the time, four of them a run; and
    /// four days that swing by four fifths.
    fn processes(&self) -> [ArrivalsConfig; 3] {
        let (rate, quarter) = (self.rate, self.scenario.len() as f64 / self.rate / 4.0);
        let (calm_seconds, burst_seconds) = (0.8 * quarter, 0.2 * quarter);
        [
            ArrivalsConfig::Poisson { rate },
            ArrivalsConfig::Bursty {
                calm: 0.5 * rate,
                burst: 3.0 * rate,
                calm_seconds,
                burst_seconds,
            },
            ArrivalsConfig::Diurnal { rate, swing: 0.8, period: quarter },
        ]
    }

    /// The stream with the times of one of the processes.
    pub(crate) fn stream(&self, process: usize) -> Result<Stream> {
        let arrivals = self.processes()[process].build()?;
        let times = arrivals.times(self.scenario.len(), self.scenario.seed());
        Ok(self.scenario.stream().clone().with_times(times)?)
    }

    /// What is simulated of a stream.
    pub(crate) fn simulation<'a>(&'a self, stream: &'a Stream) -> Simulation<'a> {
        Simulation {
            stream,
            service: &self.service,
            lengths: &self.lengths,
            estimates: &self.estimates,
            history: Some(&self.history),
            must_serve: false,
        }
    }
}

/// Output tokens a USD of each model.
fn tokens_per_usd(
    scenario: &Scenario,
    history: &EstimateTable,
    prices: Option<&[(String, f64)]>,
) -> Vec<f64> {
    let n_models = scenario.models().len();
    let rate = |(model, id): (usize, &tollgate::core::ModelId)| {
        let listed = prices.and_then(|prices| prices.iter().find(|(name, _)| name == id.as_str()));
        if let Some((_, price)) = listed {
            return 1e6 / price;
        }
        let costs = history.cost().iter().skip(model).step_by(n_models);
        let mean = costs.sum::<f64>() / history.n_queries() as f64;
        if mean > 0.0 { USUAL_TOKENS / mean } else { 0.0 }
    };
    scenario.models().iter().enumerate().map(rate).collect()
}

/// Tokens of an answer where nobody knows.
const USUAL_TOKENS: f64 = 200.0;

/// Models and their prices, USD per million output tokens; `None` where there is no such file.
fn list_prices(file: &Path) -> Result<Option<Vec<(String, f64)>>> {
    let Ok(text) = std::fs::read_to_string(file) else { return Ok(None) };
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |name: &str| head.iter().position(|title| *title == name);
    let (Some(model), Some(price)) = (column("model"), column("usd_per_mtok_out")) else {
        bail!("{} has no columns `model` and `usd_per_mtok_out`", file.display());
    };
    let prices = lines.filter_map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let usd: f64 = cells.get(price)?.parse().ok()?;
        (usd > 0.0).then(|| Some(((*cells.get(model)?).to_owned(), usd)))?
    });
    Ok(Some(prices.collect()))
}

fn headline(name: &str, process: &str, settings: &[Setting], index: usize) -> String {
    let mean = |of: &dyn Fn(&Setting) -> f64| {
        settings.iter().map(of).sum::<f64>() / settings.len().max(1) as f64
    };
    let rate = mean(&|setting| setting.rate);
    let queries = settings.first().map_or(0, |setting| setting.scenario.len());
    let models = settings.first().map_or(0, |setting| setting.scenario.models().len());
    let shape = settings.first().map(|setting| setting.processes()[index]);
    let dispersed = match shape {
        Some(ArrivalsConfig::Bursty { .. }) => {
            ", half of it between bursts and three times in them"
        }
        Some(ArrivalsConfig::Diurnal { .. }) => ", four fifths more by day and less by night",
        _ => "",
    };
    format!(
        "{name}, {process}: {queries} queries on {models} models, {rate:.1} a second{dispersed}, \
         {} seeds\n\n| policy | success rate | answered | score of answers | cost, USD | p50, s | \
         p99, s | wait, s | busiest model | rejected |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        settings.len(),
    )
}

/// One policy: the means over the seeds, and what 95 % says of the success rate, which is
/// answered beside it.
fn line(policy: &Composition, settings: &[Setting], process: usize) -> Result<(String, f64)> {
    let mut runs: Vec<LoadMetrics> = Vec::new();
    for setting in settings {
        let stream = setting.stream(process)?;
        runs.push(setting.simulation(&stream).run(policy.policy.as_ref())?.metrics);
    }
    let mean = |of: &dyn Fn(&LoadMetrics) -> f64| {
        runs.iter().map(of).sum::<f64>() / runs.len().max(1) as f64
    };
    let rates: Vec<f64> = runs.iter().map(LoadMetrics::success_rate).collect();
    let success = mean_interval(&rates);
    let busiest = |run: &LoadMetrics| run.utilization.iter().copied().fold(0.0, f64::max);
    let mut text = format!("| {} | {:.3}", policy.label, mean(&LoadMetrics::success_rate));
    if let Some(half) = success.and_then(|interval| interval.half_width) {
        let _ = write!(text, " ± {half:.3}");
    }
    let _ = writeln!(
        text,
        " | {:.1} % | {:.3} | {:.4} | {:.2} | {:.2} | {:.2} | {:.0} % | {:.1} % |",
        100.0 * mean(&LoadMetrics::served_share),
        mean(&LoadMetrics::mean_quality),
        mean(&|run| run.cost),
        mean(&|run| run.latency.p50),
        mean(&|run| run.latency.p99),
        mean(&|run| run.wait.mean),
        100.0 * mean(&busiest),
        100.0 * mean(&|run| run.rejected as f64 / run.arrivals.max(1) as f64),
    );
    Ok((text, mean(&LoadMetrics::success_rate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Policies with a price on time are not rivals, and whoever is level is not above.
    #[test]
    fn whoever_is_above_is_named() {
        let rates = [("random", 0.2), ("threshold", 0.6), ("balance", 0.5), (OURS, 0.5)];
        assert_eq!(above(&rates), ["threshold"]);
        assert_eq!(above(&[("tollgate:per_second=1", 0.9), (OURS, 0.5)]), [""; 0]);
    }

    #[test]
    fn the_full_tier_simulates_the_embedded_stream() {
        let options = SimulateOptions::quick().unwrap();
        assert!(options.check && options.data.is_none());
        assert_eq!(options.names(), ["embedded"]);
    }
}
