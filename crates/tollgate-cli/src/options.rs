//! The options of a replay.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use tollgate::Spec;
use tollgate::core::Seed;
use tollgate::data::{Split, Table, read_price_list};
use tollgate::policies::BudgetSplit;
use tollgate::registry::{self, Composition};
use tollgate_lab::{BudgetLayout, Options, Oracle, Order, Subset};

/// What to replay, through what, and how to print it.
#[derive(Args, Clone, Debug)]
pub struct ReplayOptions {
    /// Folder with queries.parquet (or queries.csv) and embeddings.npy; without it the
    /// embedded synthetic stream.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// How many rows are the stream; the others are history [default: half].
    #[arg(long, value_name = "N")]
    pub queries: Option<usize>,
    /// Seeds, one run each: numbers and ranges such as 100..119.
    #[arg(long, default_value = "42,1,2,3,4", value_name = "LIST")]
    pub seeds: String,
    /// CSV with columns seed, position, index: the stream of each seed in arrival order.
    #[arg(long, value_name = "FILE")]
    pub splits: Option<PathBuf>,
    /// Total budget, as a multiple of what the cheapest model costs on the stream.
    #[arg(long, default_value_t = 1.0, value_name = "X", allow_negative_numbers = true)]
    pub budget: f64,
    /// How the total is split over models: weighted, cost, perf, uniform, random, extreme:h.
    #[arg(long, default_value = "weighted", value_name = "SPLIT")]
    pub split: BudgetSplit,
    /// One budget for all models in place of one for each.
    #[arg(long, conflicts_with = "split")]
    pub pooled: bool,
    /// One budget for all models, and of each no more than twice its share by --split.
    #[arg(long, conflicts_with = "pooled")]
    pub layered: bool,
    /// Only these models, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    pub models: Option<Vec<String>>,
    /// A random share of the models, another for each seed.
    #[arg(long, conflicts_with = "models", value_name = "F")]
    pub model_fraction: Option<f64>,
    /// Only the rows whose `eval_name` this is.
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,
    /// Arrival order: split, as-given, shuffled, ascending-density, descending-density,
    /// expensive-first, cheap-first, noisy-drift.
    #[arg(long, default_value = "split", value_name = "NAME")]
    pub order: Order,
    /// Policy, with parameters: NAME[:key=value,...]. Repeat for more [default: all].
    #[arg(long = "policy", value_name = "SPEC")]
    pub policies: Vec<Spec>,
    /// Estimator in place of the policies' own, where they don't pin it. Repeat for more.
    #[arg(long = "estimator", value_name = "SPEC")]
    pub estimators: Vec<Spec>,
    /// What tokens cost, a CSV file (`model`, `usd_per_mtok_in`, `usd_per_mtok_out`): eccos-r,
    /// eccos-t and hybrid-predictor then estimate costs through lengths of answers.
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Solver in place of the policies' own. Repeat for more.
    #[arg(long = "solver", value_name = "SPEC")]
    pub solvers: Vec<Spec>,
    /// The policy that differences are taken to.
    #[arg(long, default_value = "port-reference", value_name = "NAME")]
    pub baseline: String,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where results.csv, results.json and timings.csv are written.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Worker threads; results do not depend on it [default: all cores].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One line a policy and seed.
    Csv,
    /// Everything.
    Json,
}

impl ReplayOptions {
    pub(crate) fn table(&self) -> Result<Table> {
        Ok(match &self.data {
            Some(dir) => Table::load(dir)?,
            None => Table::embedded(),
        })
    }

    /// The data folder's own name.
    pub(crate) fn stream_name(&self) -> String {
        let folder = self.data.as_deref().and_then(Path::file_name);
        folder.map_or_else(|| "embedded".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    pub(crate) fn lab_options(&self, table: &Table) -> Result<Options> {
        let splits = match &self.splits {
            Some(path) => Some(Split::read_file(path, table.len())?),
            None => None,
        };
        let layout = match (self.pooled, self.layered) {
            (true, _) => BudgetLayout::Pooled,
            (false, true) => BudgetLayout::Layered(self.split),
            (false, false) => BudgetLayout::Split(self.split),
        };
        Ok(Options {
            queries: self.queries,
            seeds: parse_seeds(&self.seeds)?,
            splits,
            budget: self.budget,
            layout,
            subset: Subset {
                models: self.models.clone(),
                model_fraction: self.model_fraction,
                task: self.task.clone(),
            },
            order: self.order,
        })
    }

    /// A baseline that is not in the table gives dashes; one that can't be is an error.
    pub(crate) fn check_baseline(&self) -> Result<()> {
        let name = self.baseline.parse::<Spec>()?.name;
        let oracles = [Oracle::ApproximateOptimum, Oracle::Optimum];
        if oracles.iter().all(|oracle| oracle.name() != name) {
            registry::preset(&name)?;
        }
        Ok(())
    }

    /// The product of policies, estimators and solvers; a policy that pins its estimator,
    /// or solves nothing, appears once whatever the other lists say.
    pub(crate) fn compositions(&self) -> Result<Vec<Composition>> {
        let all: Vec<Spec> =
            registry::POLICIES.iter().map(|preset| Spec::named(preset.name)).collect();
        let policies = if self.policies.is_empty() { &all } else { &self.policies };
        // A name that nothing answers to is an error even where no policy would use it.
        let prices = self.prices.as_ref().map(read_price_list).transpose()?;
        let prices = prices.as_ref();
        let checked = |spec: &Spec| registry::estimator_with(spec, prices).map(drop);
        self.estimators.iter().try_for_each(checked)?;
        self.solvers.iter().try_for_each(|spec| registry::solver(spec).map(drop))?;
        let mut compositions = Vec::new();
        for policy in policies {
            let preset = registry::preset(&policy.name)?;
            for estimator in choices(&self.estimators, preset.takes_estimator()) {
                for solver in choices(&self.solvers, preset.uses_solver()) {
                    compositions.push(registry::compose_with(policy, estimator, solver, prices)?);
                }
            }
        }
        Ok(compositions)
    }
}

/// The given ones where they apply, else the preset's own.
fn choices(given: &[Spec], applies: bool) -> Vec<Option<&Spec>> {
    if given.is_empty() || !applies { vec![None] } else { given.iter().map(Some).collect() }
}

/// In one range: a slip of the keyboard should not fill the memory.
const MOST_SEEDS: u64 = 1_000_000;

/// Seeds as they are written in options: numbers and ranges such as `100..119`, separated by
/// commas.
///
/// # Errors
/// Where something else is written.
pub fn parse_seeds(list: &str) -> Result<Vec<Seed>> {
    let number = |text: &str| -> Result<u64> {
        text.trim().parse().with_context(|| format!("`{text}` in --seeds is not a number"))
    };
    let mut seeds = Vec::new();
    for item in list.split(',') {
        match item.split_once("..") {
            None => seeds.push(Seed(number(item)?)),
            Some((from, to)) => {
                let (from, to) = (number(from)?, number(to)?);
                if from > to {
                    bail!("`{item}` in --seeds is an empty range");
                }
                if to - from >= MOST_SEEDS {
                    bail!("`{item}` in --seeds is more than {MOST_SEEDS} seeds");
                }
                seeds.extend((from..=to).map(Seed));
            }
        }
    }
    let mut sorted = seeds.clone();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("seed {} is given twice in --seeds", pair[0].0);
    }
    Ok(seeds)
}

#[cfg(test)]
mod tests;
