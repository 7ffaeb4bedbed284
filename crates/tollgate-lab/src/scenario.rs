//! One run's instance: a stream in arrival order, its history and its budgets.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate::core::{
    Budgets, EstimateTable, Estimator, Fit, History, Meter, ModelId, Models, Purpose, Queries, Row,
    Scope, Scratch, Seed,
};
use tollgate::data::order::{by_key, shuffled};
use tollgate::data::{Split, Table};
use tollgate::estimators::KnnConfig;
use tollgate::policies::BudgetSplit;
use tracing::{Span, debug_span};

use crate::{LabError, Order, Stream};

/// How an experiment cuts a table into runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many rows are the stream; `None` is half of them, rounded down.
    pub queries: Option<usize>,
    /// One run a seed.
    pub seeds: Vec<Seed>,
    /// Given splits by seed, in place of seeded ones.
    pub splits: Option<BTreeMap<u64, Split>>,
    /// Total budget, as a multiple of what the cheapest model costs on the stream.
    pub budget: f64,
    /// How the total is laid out.
    pub layout: BudgetLayout,
    /// Which part of the table is used.
    pub subset: Subset,
    /// The arrival order.
    pub order: Order,
}

impl Default for Options {
    /// Five seeds, half of the rows, the cheapest model's cost, the weighted split.
    fn default() -> Self {
        Self {
            queries: None,
            seeds: [42, 1, 2, 3, 4].map(Seed).to_vec(),
            splits: None,
            budget: 1.0,
            layout: BudgetLayout::Split(BudgetSplit::Weighted),
            subset: Subset::default(),
            order: Order::Split,
        }
    }
}

/// How a total budget becomes rows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BudgetLayout {
    /// A budget for each model.
    Split(BudgetSplit),
    /// One budget for all.
    Pooled,
    /// One budget for all, and of each model no more than twice its share of it.
    Layered(BudgetSplit),
}

impl std::fmt::Display for BudgetLayout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Split(split) => split.fmt(f),
            Self::Pooled => f.write_str("pooled"),
            Self::Layered(split) => write!(f, "layered {split}"),
        }
    }
}

/// Which part of a table is used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subset {
    /// Only these models.
    pub models: Option<Vec<String>>,
    /// A random share of the models, another for each seed; at least two of them.
    pub model_fraction: Option<f64>,
    /// Only the rows of this task.
    pub task: Option<String>,
}

/// A stream in arrival order with its truth, its history, its budgets and the
/// estimates of five exact neighbors.
#[derive(Clone, Debug)]
pub struct Scenario {
    stream: Stream,
    /// Rows of the table, in arrival order.
    rows: Vec<usize>,
    history: History,
    prompts: Prompts,
    knn5: EstimateTable,
}

impl Scenario {
    /// Cuts `table` (already narrowed to its task and models) for one seed.
    ///
    /// # Errors
    /// [`LabError`] when the options do not fit the table, or a row of the stream
    /// lacks a label.
    pub fn prepare(table: &Table, options: &Options, seed: Seed) -> Result<Self, LabError> {
        let halved = options
            .subset
            .model_fraction
            .map(|fraction| random_models(table, fraction, seed))
            .transpose()?;
        let table = halved.as_ref().unwrap_or(table);
        let split = split(table, options, seed)?;
        table.require_complete(&split.stream)?;
        let history = table.history(&split.history)?;
        let (rows, knn5) = arrange(table, &history, split.stream, options.order, seed)?;
        let true_quality = pick(table.quality(), table.models().len(), &rows);
        let true_cost = pick(table.cost(), table.models().len(), &rows);
        let budgets = budgets(table, &true_cost, options, seed)?;
        let (quality, cost) = (true_quality.into(), true_cost.into());
        let stream = Stream::new(table.models().clone(), quality, cost, budgets, seed)?;
        let prompts = Prompts::of(table, &rows);
        Ok(Self { stream, rows, history, prompts, knn5 })
    }

    /// What is replayed.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// How many arrivals.
    #[expect(clippy::len_without_is_empty, reason = "a split has at least one arrival")]
    pub fn len(&self) -> usize {
        self.stream.len()
    }

    /// The models.
    pub fn models(&self) -> &Models {
        self.stream.models()
    }

    /// The seed of the run.
    pub fn seed(&self) -> Seed {
        self.stream.seed()
    }

    /// The rows of the table, in arrival order.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// The history.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The budgets.
    pub fn budgets(&self) -> &Budgets {
        self.stream.budgets()
    }

    /// The true score and cost (USD) of an option.
    pub fn truth(&self, arrival: usize, model: usize) -> (f64, f64) {
        self.stream.truth(arrival, model)
    }

    /// True scores, row-major `(len, n_models)`.
    pub fn true_quality(&self) -> &Arc<[f64]> {
        self.stream.true_quality()
    }

    /// True costs in USD, row-major `(len, n_models)`.
    pub fn true_cost(&self) -> &Arc<[f64]> {
        self.stream.true_cost()
    }

    /// The means of five exact neighbors: what RP is defined on.
    pub fn knn5(&self) -> &EstimateTable {
        &self.knn5
    }

    /// Fits a recipe to the history and estimates every arrival.
    ///
    /// # Errors
    /// [`LabError`] where the recipe refuses the history or a query.
    pub fn estimate(&self, recipe: &dyn Fit) -> Result<EstimateTable, LabError> {
        self.estimate_with(self.fit(recipe)?.as_ref())
    }

    /// The same, with the held-out estimates of the history.
    ///
    /// # Errors
    /// As [`estimate`](Self::estimate).
    pub fn estimate_and_hold_out(
        &self,
        recipe: &dyn Fit,
    ) -> Result<(EstimateTable, EstimateTable), LabError> {
        let (fitted, held_out) = self.fit_and_hold_out(recipe)?;
        Ok((self.estimate_with(fitted.as_ref())?, held_out))
    }

    /// A recipe fitted to the history.
    pub(crate) fn fit(&self, recipe: &dyn Fit) -> Result<Box<dyn Estimator>, LabError> {
        Ok(self.fit_span(recipe).in_scope(|| recipe.fit(&self.history, self.seed()))?)
    }

    /// The same, with the held-out estimates of the history.
    pub(crate) fn fit_and_hold_out(
        &self,
        recipe: &dyn Fit,
    ) -> Result<(Box<dyn Estimator>, EstimateTable), LabError> {
        let fit = || recipe.fit_and_hold_out(&self.history, self.seed());
        let (fitted, held_out) = self.fit_span(recipe).in_scope(fit)?;
        Ok((fitted, held_out.with_scores(Arc::clone(self.history.quality()))))
    }

    fn fit_span(&self, recipe: &dyn Fit) -> Span {
        debug_span!("fit", recipe = recipe.name(), prompts = self.history.len())
    }

    /// What a fitted estimator says of every arrival.
    pub(crate) fn estimate_with(&self, fitted: &dyn Estimator) -> Result<EstimateTable, LabError> {
        estimate_all(fitted, self.prompts.queries())
    }
}

/// The prompts of some rows of a table.
#[derive(Clone, Debug)]
pub(crate) struct Prompts {
    embeddings: Vec<f32>,
    dim: usize,
    /// Where the table knows.
    input_tokens: Option<Vec<f64>>,
}

impl Prompts {
    pub(crate) fn of(table: &Table, rows: &[usize]) -> Self {
        let queries = table.queries();
        let embeddings = rows.iter().flat_map(|&row| queries.query(row).embedding).copied();
        let tokens = table.input_tokens();
        let input_tokens = tokens.map(|tokens| rows.iter().map(|&row| tokens[row]).collect());
        Self { embeddings: embeddings.collect(), dim: table.dim(), input_tokens }
    }

    pub(crate) fn queries(&self) -> Queries<'_> {
        Queries::new(&self.embeddings, self.dim).input_tokens(self.input_tokens.as_deref())
    }
}

/// Estimates of every prompt.
pub(crate) fn estimate_all(
    fitted: &dyn Estimator,
    queries: Queries<'_>,
) -> Result<EstimateTable, LabError> {
    let mut estimates = EstimateTable::zeros(queries.len(), fitted.models().len());
    estimates.fill(|out| fitted.estimate_batch(queries, &mut Scratch::default(), out))?;
    Ok(estimates)
}

/// Narrows a table to the task and models of a subset.
pub(crate) fn narrow(table: &Table, subset: &Subset) -> Result<Table, LabError> {
    let mut table = table.clone();
    if let Some(task) = &subset.task {
        table = table.select_task(task)?;
    }
    if let Some(models) = &subset.models {
        let names: Vec<&str> = models.iter().map(String::as_str).collect();
        table = table.select_models(&names)?;
    }
    Ok(table)
}

fn random_models(table: &Table, fraction: f64, seed: Seed) -> Result<Table, LabError> {
    if !(fraction > 0.0 && fraction <= 1.0) {
        return Err(LabError::Option { name: "model-fraction", rule: "in (0, 1]", got: fraction });
    }
    let mut names: Vec<&str> = table.models().iter().map(ModelId::as_str).collect();
    seed.stream(Purpose::ModelSubset, 0).shuffle(&mut names);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count"
    )]
    let keep = (fraction * names.len() as f64).round() as usize;
    names.truncate(keep.max(2));
    Ok(table.select_models(&names)?)
}

fn split(table: &Table, options: &Options, seed: Seed) -> Result<Split, LabError> {
    let Some(splits) = &options.splits else {
        let queries = options.queries.unwrap_or(table.len() / 2);
        return Ok(Split::random(table.len(), queries, seed)?);
    };
    let mut split = splits.get(&seed.0).cloned().ok_or(LabError::NoSplit { seed: seed.0 })?;
    if let Some(queries) = options.queries {
        if queries == 0 || queries > split.stream.len() {
            let rule = ">= 1 and at most the stream of the splits file";
            return Err(LabError::Option { name: "queries", rule, got: queries as f64 });
        }
        split.stream.truncate(queries);
    }
    Ok(split)
}

/// The stream's rows in arrival order, with the estimates of five neighbors.
fn arrange(
    table: &Table,
    history: &History,
    stream: Vec<usize>,
    order: Order,
    seed: Seed,
) -> Result<(Vec<usize>, EstimateTable), LabError> {
    let stream = match order {
        Order::AsGiven => {
            let mut rows = stream;
            rows.sort_unstable();
            rows
        }
        Order::Shuffled => shuffled(&stream, seed),
        _ => stream,
    };
    let recipe = KnnConfig::default().build()?;
    let fitted = recipe.fit(history, seed)?;
    let estimate =
        |rows: &[usize]| estimate_all(fitted.as_ref(), Prompts::of(table, rows).queries());
    let estimates = estimate(&stream)?;
    match order.keys(&estimates.view(), table.models().len(), seed) {
        None => Ok((stream, estimates)),
        Some(keys) => {
            let rows = by_key(&stream, &keys)?;
            let estimates = estimate(&rows)?;
            Ok((rows, estimates))
        }
    }
}

pub(crate) fn budgets(
    table: &Table,
    true_cost: &[f64],
    options: &Options,
    seed: Seed,
) -> Result<Budgets, LabError> {
    let multiple = options.budget;
    if !(multiple >= 0.0 && multiple.is_finite()) {
        return Err(LabError::Option { name: "budget", rule: "finite and >= 0", got: multiple });
    }
    let n_models = table.models().len();
    let cheapest = (0..n_models)
        .map(|model| true_cost.iter().skip(model).step_by(n_models).sum::<f64>())
        .fold(f64::INFINITY, f64::min);
    let total = multiple * cheapest;
    match options.layout {
        BudgetLayout::Pooled => Ok(Budgets::pooled(total, n_models)?),
        BudgetLayout::Split(split) => {
            let shares = shares(table, split, seed);
            Ok(Budgets::per_model(&shares.iter().map(|share| share * total).collect::<Vec<_>>())?)
        }
        BudgetLayout::Layered(split) => {
            let shares = shares(table, split, seed);
            let own = shares.iter().enumerate();
            let own = own.map(|(model, share)| {
                Row::at_most(Meter::Cost, Scope::model(model), LAYER * share * total)
            });
            let pool = Row::at_most(Meter::Cost, Scope::all(), total);
            Ok(Budgets::new(std::iter::once(pool).chain(own).collect(), n_models, 1)?)
        }
    }
}

/// How many times its share of a pool a model may spend under a layered budget.
const LAYER: f64 = 2.0;

fn shares(table: &Table, split: BudgetSplit, seed: Seed) -> Vec<f64> {
    let means = table.means();
    split.shares(&means.quality, &means.cost, seed)
}

fn pick(values: &[f64], n_models: usize, rows: &[usize]) -> Vec<f64> {
    let rows = rows.iter().flat_map(|&row| &values[row * n_models..(row + 1) * n_models]);
    rows.copied().collect()
}
