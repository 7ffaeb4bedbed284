//! What can be wrong with an input. Limits, infeasibility and declined queries are
//! values, not errors.

use thiserror::Error;

use crate::{Meter, ModelId, PriceListError};

/// A plug-in's own cause.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A parameter out of range.
#[derive(Debug, Error)]
#[error("`{field}` must be {rule}, got {got}")]
pub struct ParamError {
    /// The parameter.
    pub field: &'static str,
    /// Its range.
    pub rule: &'static str,
    /// The value refused.
    pub got: f64,
}

/// A refused list of models.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelsError {
    /// No models.
    #[error("there are no models")]
    Empty,
    /// An empty name.
    #[error("a model has an empty name")]
    Unnamed,
    /// A repeated name.
    #[error("model `{model}` is named twice")]
    Duplicate {
        /// The name.
        model: ModelId,
    },
}

/// A refused amount of money.
#[derive(Debug, Error)]
#[error("an amount of money must be in [0, 18.4 million] USD, got {usd}")]
pub struct MoneyError {
    /// The amount.
    pub usd: f64,
}

/// A refused history.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// No prompts.
    #[error("the history is empty")]
    Empty,
    /// Tables that do not fit each other.
    #[error("{what} of the history has {got} values, expected {expected}")]
    Length {
        /// Which table.
        what: &'static str,
        /// The length that fits.
        expected: usize,
        /// Its length.
        got: usize,
    },
    /// An embedding that is not finite.
    #[error("embedding of history prompt {query} has a value that is not finite: {got}")]
    Embedding {
        /// The prompt.
        query: usize,
        /// The value.
        got: f32,
    },
    /// A score out of range.
    #[error("score of model `{model}` on history prompt {query} must be in [0, 1], got {got}")]
    Quality {
        /// The prompt.
        query: usize,
        /// The model.
        model: ModelId,
        /// The value.
        got: f64,
    },
    /// A cost out of range.
    #[error("cost of model `{model}` on history prompt {query} must be finite and >= 0, got {got}")]
    Cost {
        /// The prompt.
        query: usize,
        /// The model.
        model: ModelId,
        /// The value.
        got: f64,
    },
    /// A number of tokens out of range.
    #[error("tokens of history prompt {query} must be finite and >= 0, got {got}")]
    InputTokens {
        /// The prompt.
        query: usize,
        /// The value.
        got: f64,
    },
    /// A model that nothing is known about.
    #[error("model `{model}` has no label in the history")]
    Unlabelled {
        /// The model.
        model: ModelId,
    },
}

/// A refused problem.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// No models.
    #[error("the problem has no models")]
    NoModels,
    /// A table that does not fit.
    #[error("{what} has {got} entries, expected {expected}")]
    Length {
        /// Which table.
        what: &'static str,
        /// The length that fits.
        expected: usize,
        /// Its length.
        got: usize,
    },
    /// A meter without readings.
    #[error("meter {meter:?} is used but has no table")]
    NoTable {
        /// The meter.
        meter: Meter,
    },
    /// A reading that is not finite.
    #[error("meter {meter:?} of query {query}, model {model} must be finite, got {got}")]
    Reading {
        /// The meter.
        meter: Meter,
        /// The query.
        query: usize,
        /// The model.
        model: usize,
        /// The value.
        got: f64,
    },
    /// An objective weight that is not finite.
    #[error("the objective's weight of meter {meter:?} must be finite, got {got}")]
    Objective {
        /// The meter.
        meter: Meter,
        /// The value.
        got: f64,
    },
    /// A query weight out of range.
    #[error("the weight of query {query} must be finite and >= 0, got {got}")]
    Weight {
        /// The query.
        query: usize,
        /// The value.
        got: f64,
    },
    /// A capacity out of range.
    #[error("the capacity of row {row} must be finite, and >= 0 in a budget, got {got}")]
    Capacity {
        /// The row.
        row: usize,
        /// The value.
        got: f64,
    },
    /// A penalty out of range.
    #[error("the penalty of row {row} must be finite and >= 0, got {got}")]
    Penalty {
        /// The row.
        row: usize,
        /// The value.
        got: f64,
    },
    /// A row about a model that is not there.
    #[error("row {row} is about model {model}, there are {n_models}")]
    RowModel {
        /// The row.
        row: usize,
        /// The model.
        model: usize,
        /// How many there are.
        n_models: usize,
    },
    /// A row about a query group that is not there.
    #[error("row {row} is about query group {group}, there are {n_groups}")]
    RowGroup {
        /// The row.
        row: usize,
        /// The group.
        group: u32,
        /// How many there are.
        n_groups: usize,
    },
    /// A row that is not there.
    #[error("there is no row {row}, there are {n_rows}")]
    NoRow {
        /// The row.
        row: usize,
        /// How many there are.
        n_rows: usize,
    },
    /// A window without a length.
    #[error("the windows of row {row} must be finite and > 0 seconds long, got {got}")]
    Window {
        /// The row.
        row: usize,
        /// The length.
        got: f64,
    },
    /// A token rate out of range.
    #[error("the tokens per USD of model {model} must be finite and >= 0, got {got}")]
    TokenRate {
        /// The model.
        model: usize,
        /// The rate.
        got: f64,
    },
    /// A row that counts something else than queries, so that nothing of it comes back.
    #[error("row {row} is on {meter:?}: only rows on queries can be concurrent")]
    NotACount {
        /// The row.
        row: usize,
        /// What it is on.
        meter: Meter,
    },
    /// A row of which everything comes back, and that is to come anew as well.
    #[error("row {row} is concurrent: it can't come anew by the window")]
    ConcurrentWindow {
        /// The row.
        row: usize,
    },
    /// A time held that is no length of time.
    #[error("row {row} must be held for finite and > 0 seconds, got {got}")]
    Hold {
        /// The row.
        row: usize,
        /// The time.
        got: f64,
    },
    /// A row that can't be a budget.
    #[error("row {row} is not a budget: budgets are `<=` rows on cost, tokens or queries")]
    NotABudget {
        /// The row.
        row: usize,
    },
}

/// A ledger that could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A capacity beyond 64 bits.
    #[error("the capacity of row {row} is beyond what an account can hold: {capacity}")]
    Limit {
        /// The row.
        row: usize,
        /// Its capacity.
        capacity: f64,
    },
}

/// An estimator that could not be fitted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FitError {
    /// A parameter out of range.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// A history too small for the recipe.
    #[error("the history has {got} prompts, {recipe} needs at least {needed}")]
    TooFew {
        /// The recipe.
        recipe: String,
        /// What it needs.
        needed: usize,
        /// What there is.
        got: usize,
    },
    /// A prompt whose embedding has length 0 and so no direction.
    #[error("the embedding of history prompt {query} is the zero vector")]
    ZeroVector {
        /// The prompt.
        query: usize,
    },
    /// A longer history of another dimension or with other models.
    #[error("{what} of the longer history is {got}, of the one fitted {expected}")]
    Grown {
        /// What does not fit.
        what: &'static str,
        /// What was fitted.
        expected: usize,
        /// What was given.
        got: usize,
    },
    /// A history that does not say how long its prompts are.
    #[error(
        "{recipe} prices lengths, and the history does not say how many tokens its prompts have"
    )]
    NoInputTokens {
        /// The recipe.
        recipe: String,
    },
    /// A price list that lacks a model of the history.
    #[error(transparent)]
    PriceList(#[from] PriceListError),
    /// The plug-in's own cause.
    #[error("{recipe} could not be fitted")]
    Other {
        /// The recipe.
        recipe: String,
        /// The cause.
        source: BoxError,
    },
}

/// A query that an estimator refuses.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EstimateError {
    /// Another dimension than the history's.
    #[error("the embedding has {got} dimensions, the history {expected}")]
    Dimension {
        /// The history's.
        expected: usize,
        /// The query's.
        got: usize,
    },
    /// A value that is not finite.
    #[error("the embedding has a value that is not finite at dimension {at}: {got}")]
    NotFinite {
        /// Where.
        at: usize,
        /// The value.
        got: f32,
    },
    /// An embedding without a direction.
    #[error("the embedding is the zero vector")]
    ZeroVector,
    /// A number of tokens out of range.
    #[error("tokens of the prompt must be finite and >= 0, got {got}")]
    InputTokens {
        /// The value.
        got: f64,
    },
}

/// A solve that broke down.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SolveError {
    /// Arithmetic that left the numbers.
    #[error("{solver}: {what} is {got} at iteration {iteration}")]
    Breakdown {
        /// The solver.
        solver: &'static str,
        /// What left the numbers.
        what: &'static str,
        /// What it came to.
        got: f64,
        /// When.
        iteration: u64,
    },
    /// The plug-in's own cause.
    #[error("{solver} broke down")]
    Other {
        /// The solver.
        solver: String,
        /// The cause.
        source: BoxError,
    },
}

/// A policy that could not start or go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A parameter out of range.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// Something the price source needs and the run does not have.
    #[error("policy `{policy}` needs {what}")]
    Needs {
        /// The policy.
        policy: String,
        /// What is missing.
        what: &'static str,
    },
    /// A model that the run does not have.
    #[error("policy `{policy}` names model `{model}`; there are {valid}")]
    UnknownModel {
        /// The policy.
        policy: String,
        /// The model.
        model: ModelId,
        /// The names there are.
        valid: String,
    },
    /// A problem that could not be put together.
    #[error("the price problem is refused")]
    Problem(#[from] ProblemError),
    /// A solve that broke down.
    #[error("the price problem could not be solved")]
    Solve(#[from] SolveError),
}

impl PolicyError {
    /// What a policy answers that is asked to rank before
    /// [`adapt`](crate::Policy::adapt) has taught it what it needs.
    pub fn not_adapted(policy: String) -> Self {
        Self::Needs { policy, what: "to be adapted to a run before it ranks" }
    }
}
