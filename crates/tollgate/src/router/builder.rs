//! The typed builder: a missing part does not compile.

use std::sync::{Arc, Mutex};

use thiserror::Error;
use tollgate_core::{
    Budgets, CostRatios, Fit, FitError, History, Horizon, Ledger, LedgerError, ModelId, Models,
    Policy, PolicyError, Prices, ProblemError, Ranking, RunSetup, Seed,
};
use tollgate_policies::BudgetSplit;
use tracing::debug_span;

use super::changes::{Past, Priced};
use super::labels::Scored;
use super::versions::Versions;
use super::{Router, Run, Version};

/// A part that has not been given yet.
#[derive(Clone, Copy, Debug)]
pub struct Missing;

/// A part that has been given.
#[derive(Clone, Debug)]
pub struct Set<T>(T);

/// Collects the parts of a [`Router`]: `H`istory, `E`stimator, `P`olicy and `B`udget are
/// each [`Missing`] or [`Set`], and [`build`](RouterBuilder::build) exists only when all
/// four are set.
#[derive(Clone, Debug)]
pub struct RouterBuilder<H, E, P, B> {
    history: H,
    estimator: E,
    policy: P,
    budget: B,
    seed: Seed,
    declines: bool,
}

impl RouterBuilder<Missing, Missing, Missing, Missing> {
    pub(super) fn new() -> Self {
        Self {
            history: Missing,
            estimator: Missing,
            policy: Missing,
            budget: Missing,
            seed: Seed(0),
            declines: false,
        }
    }
}

impl<H, E, P, B> RouterBuilder<H, E, P, B> {
    /// The labelled prompts to learn from; they also say which models there are.
    pub fn history(self, history: History) -> RouterBuilder<Set<History>, E, P, B> {
        let Self { history: _, estimator, policy, budget, seed, declines } = self;
        RouterBuilder { history: Set(history), estimator, policy, budget, seed, declines }
    }

    /// The recipe of the estimates.
    pub fn estimator(
        self,
        recipe: impl Fit + 'static,
    ) -> RouterBuilder<H, Set<Arc<dyn Fit>>, P, B> {
        self.estimator_arc(Arc::new(recipe))
    }

    /// The recipe of the estimates, as the registry makes it.
    pub fn estimator_arc(self, recipe: Arc<dyn Fit>) -> RouterBuilder<H, Set<Arc<dyn Fit>>, P, B> {
        let Self { history, estimator: _, policy, budget, seed, declines } = self;
        RouterBuilder { history, estimator: Set(recipe), policy, budget, seed, declines }
    }

    /// The policy; a dual-price policy brings its own solver.
    pub fn policy(
        self,
        policy: impl Policy + 'static,
    ) -> RouterBuilder<H, E, Set<Arc<dyn Policy>>, B> {
        self.policy_arc(Arc::new(policy))
    }

    /// The policy, as the registry makes it.
    pub fn policy_arc(
        self,
        policy: Arc<dyn Policy>,
    ) -> RouterBuilder<H, E, Set<Arc<dyn Policy>>, B> {
        let Self { history, estimator, policy: _, budget, seed, declines } = self;
        RouterBuilder { history, estimator, policy: Set(policy), budget, seed, declines }
    }

    /// What may be spent.
    pub fn budget(self, budget: Budget) -> RouterBuilder<H, E, P, Set<Budget>> {
        let Self { history, estimator, policy, budget: _, seed, declines } = self;
        RouterBuilder { history, estimator, policy, budget: Set(budget), seed, declines }
    }

    /// The seed of everything random. Default 0.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed: Seed(seed), ..self }
    }

    /// Lets the policy decline prompts that are not worth their price. Default: while
    /// some model is affordable, every prompt is served.
    #[must_use]
    pub fn allow_declining(self) -> Self {
        Self { declines: true, ..self }
    }
}

impl RouterBuilder<Set<History>, Set<Arc<dyn Fit>>, Set<Arc<dyn Policy>>, Set<Budget>> {
    /// Fits the estimator, opens the accounts and starts the price source.
    ///
    /// # Errors
    /// [`BuildError`] says which part refuses which.
    pub fn build(self) -> Result<Router, BuildError> {
        let Self { history, estimator, policy, budget, seed, declines } = self;
        let (history, recipe, policy, budget) = (history.0, estimator.0, policy.0, budget.0);
        let models = history.models();
        let budgets = budget.resolve(models, seed)?;
        let span = debug_span!("fit", recipe = recipe.name(), prompts = history.len());
        let (fitted, held_out) = span.in_scope(|| -> Result<_, FitError> {
            if !policy.needs_history() {
                return Ok((recipe.fit(&history, seed)?, None));
            }
            let (fitted, held_out) = recipe.fit_and_hold_out(&history, seed)?;
            Ok((fitted, Some(held_out.with_scores(Arc::clone(history.quality())))))
        })?;
        let setup = RunSetup {
            models,
            budgets: &budgets,
            horizon: budget.horizon,
            history: held_out.as_ref(),
            so_far: None,
            seed,
        };
        let adapted = policy.adapt(&setup)?.unwrap_or_else(|| Arc::clone(&policy));
        let pricer = adapted.pricer(&setup)?;
        let run = Run {
            arrivals: 0,
            time: 0.0,
            horizon: budget.horizon,
            prices: Arc::new(Prices::unset()),
            ratios: Arc::new(CostRatios::new(models.len())),
            pricer,
            ranking: Ranking::default(),
            remaining: Vec::new(),
            remaining_estimated: Vec::new(),
            cheapest: Vec::with_capacity(models.len()),
        };
        let version = Version {
            models: models.clone(),
            estimator: Arc::from(fitted),
            policy: adapted,
            ledger: Ledger::open(budgets)?,
            as_expected: Arc::new(CostRatios::new(models.len())),
        };
        let priced = held_out.map(|estimates| {
            let (embeddings, dim) = (Arc::clone(history.embeddings()), history.dim());
            let input_tokens = history.input_tokens().cloned();
            Priced { embeddings, dim, input_tokens, estimates }
        });
        Ok(Router {
            versions: Versions::new(version, run),
            seed,
            declines,
            past: Mutex::new(Past { policy, history: priced }),
            scored: Mutex::new(Scored::of(&history)),
            buffers: Mutex::new(Vec::new()),
        })
    }
}

/// What may be spent, before the models are known.
#[derive(Clone, Debug)]
pub struct Budget {
    kind: Kind,
    horizon: Horizon,
}

#[derive(Clone, Debug)]
enum Kind {
    Pooled(f64),
    PerModel(Vec<(ModelId, f64)>),
    Split { total: f64, split: BudgetSplit, quality: Vec<f64>, cost: Vec<f64> },
    Rows(Budgets),
}

impl Budget {
    /// One budget in USD for all models together.
    pub fn pooled(usd: f64) -> Self {
        Self { kind: Kind::Pooled(usd), horizon: Horizon::Unknown }
    }

    /// A budget in USD for each model by name; every model of the history needs one.
    pub fn per_model<S: AsRef<str>>(budgets: impl IntoIterator<Item = (S, f64)>) -> Self {
        let budgets = budgets.into_iter().map(|(name, usd)| (ModelId::new(name), usd)).collect();
        Self { kind: Kind::PerModel(budgets), horizon: Horizon::Unknown }
    }

    /// A total in USD, divided by a rule from the models' mean scores and costs, each
    /// of shape `(n_models,)` in the order of the models.
    pub fn split(usd: f64, split: BudgetSplit, quality: Vec<f64>, cost: Vec<f64>) -> Self {
        Self { kind: Kind::Split { total: usd, split, quality, cost }, horizon: Horizon::Unknown }
    }

    /// Any rows: pooled, per model and per tenant together.
    pub fn rows(budgets: Budgets) -> Self {
        Self { kind: Kind::Rows(budgets), horizon: Horizon::Unknown }
    }

    /// How many prompts it must last for. Without this and without a
    /// [`deadline`](Self::deadline) nobody knows: see [`Horizon::Unknown`].
    #[must_use]
    pub fn horizon(self, arrivals: u64) -> Self {
        Self { horizon: Horizon::Arrivals(arrivals), ..self }
    }

    /// Until when it must last, in seconds since the start, and how many prompts are
    /// expected until then before any has been seen. Requests must bring their
    /// [`time`](super::Request::at).
    #[must_use]
    pub fn deadline(self, seconds: f64, expected: f64) -> Self {
        Self { horizon: Horizon::Deadline { at: seconds, expected }, ..self }
    }

    fn resolve(&self, models: &Models, seed: Seed) -> Result<Budgets, BuildError> {
        let budgets = match &self.kind {
            Kind::Pooled(usd) => Budgets::pooled(*usd, models.len())?,
            Kind::PerModel(budgets) => Budgets::per_model(&by_index(budgets, models)?)?,
            Kind::Split { total, split, quality, cost } => {
                let expected = models.len();
                for got in [quality.len(), cost.len()] {
                    if got != expected {
                        return Err(BuildError::Models { expected, got });
                    }
                }
                let shares = split.shares(quality, cost, seed);
                Budgets::per_model(&shares.iter().map(|share| share * total).collect::<Vec<_>>())?
            }
            Kind::Rows(budgets) => budgets.clone(),
        };
        if budgets.n_models() != models.len() {
            return Err(BuildError::Models { expected: models.len(), got: budgets.n_models() });
        }
        Ok(budgets)
    }
}

fn by_index(budgets: &[(ModelId, f64)], models: &Models) -> Result<Vec<f64>, BuildError> {
    let mut by_index = vec![None; models.len()];
    for (model, usd) in budgets {
        let index = models.index_of(model.as_str());
        let index = index.ok_or_else(|| BuildError::UnknownModel { model: model.clone() })?;
        if by_index[index].replace(*usd).is_some() {
            return Err(BuildError::TwoBudgets { model: model.clone() });
        }
    }
    let named = by_index.into_iter().zip(models.iter());
    named
        .map(|(usd, model)| usd.ok_or_else(|| BuildError::NoBudget { model: model.clone() }))
        .collect()
}

/// Parts that do not fit each other.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The estimator can't be fitted to the history.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The policy's price source can't start.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A budget out of range.
    #[error(transparent)]
    Budget(#[from] ProblemError),
    /// A budget too large for an account.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A budget for a model that the history does not know.
    #[error("there is a budget for model `{model}`, which is not in the history")]
    UnknownModel {
        /// The model.
        model: ModelId,
    },
    /// A model with more than one budget.
    #[error("model `{model}` has two budgets")]
    TwoBudgets {
        /// The model.
        model: ModelId,
    },
    /// A model without a budget.
    #[error("model `{model}` has no budget; give it 0 to leave it out")]
    NoBudget {
        /// The model.
        model: ModelId,
    },
    /// Budgets for another number of models.
    #[error("the budget speaks of {got} models, the history of {expected}")]
    Models {
        /// In the history.
        expected: usize,
        /// In the budget.
        got: usize,
    },
}
