//! Another pool of models, or more that is known of it, while prompts are routed.
//!
//! # Method
//! The next version is prepared while the one before serves: the estimator's next snapshot, the
//! budgets with the newcomer's row and without those of models that go, accounts that stay where
//! their rows stay, the policy adapted anew, and a price source that starts from where the run
//! stands: with what is left of the budgets, and the history's estimates with a column for the
//! newcomer. Then it is put in force in one step ([`versions`](super::versions)), with prices
//! and cost ratios under their new indices. Prices of rows that stay hold until the price
//! source has its first; a newcomer's own row starts at the mean of its like.

use thiserror::Error;
use tollgate_core::{
    Budgets, CostRatios, EstimateError, EstimateTable, Estimator, FitError, History, Horizon,
    Label, Ledger, LedgerError, Meter, ModelId, ModelPool, Models, Policy, PolicyError, PoolError,
    Pricer, Prices, Prior, ProblemError, Queries, Row, RunSetup, Scope, ScoreAccount, Scratch,
    SoFar, Turnover,
};

use super::sync::Arc;
use super::versions::Change;
use super::{Router, Run, Version, lock};

/// What the next version is made from.
#[derive(Debug)]
pub(super) struct Past {
    /// As it was given, before it adapted to a run.
    pub(super) policy: Arc<dyn Policy>,
    /// Prompts of the history with their held-out estimates, where prices come from them.
    pub(super) history: Option<Priced>,
}

/// Prompts that prices are solved on.
#[derive(Debug)]
pub(super) struct Priced {
    /// Row-major `(n, dim)`.
    pub(super) embeddings: Arc<[f32]>,
    pub(super) dim: usize,
    /// Shape `(n,)`, where the history knows.
    pub(super) input_tokens: Option<Arc<[f64]>>,
    pub(super) estimates: EstimateTable,
}

/// A model that joins the pool of a router.
#[derive(Clone, Debug)]
pub struct NewModel<'a> {
    model: ModelId,
    prior: Prior,
    labels: &'a [Label<'a>],
    budget: Option<f64>,
    tokens_per_usd: Option<f64>,
}

impl<'a> NewModel<'a> {
    /// A model by its name, of which nothing is known yet: it needs labels or a prior cost.
    pub fn new(model: impl AsRef<str>) -> Self {
        let model = ModelId::new(model);
        Self { model, prior: Prior::default(), labels: &[], budget: None, tokens_per_usd: None }
    }

    /// What its answers were worth and what they cost.
    #[must_use]
    pub fn labels(self, labels: &'a [Label<'a>]) -> Self {
        Self { labels, ..self }
    }

    /// The score in `[0, 1]` that is expected of it before any label.
    #[must_use]
    pub fn prior_quality(self, quality: f64) -> Self {
        Self { prior: Prior { quality: Some(quality), ..self.prior }, ..self }
    }

    /// The cost of an answer in USD that is expected of it before any label.
    #[must_use]
    pub fn prior_cost(self, usd: f64) -> Self {
        Self { prior: Prior { cost: Some(usd), ..self.prior }, ..self }
    }

    /// A budget in USD of its own, beside those that cover all models. Needed where there are
    /// none of these: a model without any budget would spend without end.
    #[must_use]
    pub fn budget(self, usd: f64) -> Self {
        Self { budget: Some(usd), ..self }
    }

    /// Its tokens per USD, from its price list. Needed where a budget counts tokens.
    #[must_use]
    pub fn tokens_per_usd(self, rate: f64) -> Self {
        Self { tokens_per_usd: Some(rate), ..self }
    }
}

/// A change that was refused; everything stays as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The estimator refuses the model or a label.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The policy can't go on with the models there would be.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A budget or a token rate out of range.
    #[error(transparent)]
    Budget(#[from] ProblemError),
    /// A budget too large for an account.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The estimator refuses a prompt of the history.
    #[error(transparent)]
    Estimate(#[from] EstimateError),
    /// A model that no budget covers.
    #[error("model `{model}` would have no budget: none covers all models, and it brings none")]
    NoBudget {
        /// The model.
        model: ModelId,
    },
    /// A budget counts tokens, and nobody says how many the model's answers have.
    #[error("model `{model}` needs its tokens per USD, since a budget counts tokens")]
    NoTokenRate {
        /// The model.
        model: ModelId,
    },
}

impl Router {
    /// Adds a model while prompts are routed, known by labels on whatever prompts, by a prior,
    /// or by both. Requests that have begun end by the version that they began with, or are
    /// estimated again; those that come later see the model.
    ///
    /// With a policy whose prices come from history they are solved anew at the next arrival,
    /// the model among the others. Without one, prices stay until the price source has learned
    /// the new ones.
    ///
    /// # Errors
    /// [`ChangeError`] says what is refused; nothing has changed then.
    pub fn add_model(&self, new: &NewModel<'_>) -> Result<(), ChangeError> {
        let change = self.versions.change();
        let now = change.current();
        let next = pool(&*now.estimator)?.add_model(&new.model, new.prior, new.labels)?;
        self.turn_over(change, Arc::from(next), Some(new))?;
        lock(&self.scored).known(&new.model, new.labels.len());
        Ok(())
    }

    /// Removes a model while prompts are routed. Its own budgets go with it; what is held for
    /// answers that it still owes is settled as ever.
    ///
    /// # Errors
    /// As [`add_model`](Self::add_model).
    pub fn remove_model(&self, model: &ModelId) -> Result<(), ChangeError> {
        let change = self.versions.change();
        let next = pool(&*change.current().estimator)?.remove_model(model)?;
        self.turn_over(change, Arc::from(next), None)?;
        lock(&self.scored).forget(model);
        Ok(())
    }

    /// Adds labels of a model: what is known of it counts from the next request on. A policy
    /// whose prices come from history prices the model anew.
    ///
    /// # Errors
    /// As [`add_model`](Self::add_model).
    pub fn update_labels(&self, model: &ModelId, labels: &[Label<'_>]) -> Result<(), ChangeError> {
        let change = self.versions.change();
        let next = pool(&*change.current().estimator)?.update_labels(model, labels)?;
        self.refine(change, Arc::from(next), std::slice::from_ref(model))
    }

    /// Makes the estimator's next version from a history that begins with the one this
    /// router was built on, or learned from last. Requests go on by the version before
    /// until it is done; those that have begun end by the version that they began with.
    /// Prices stay as they are.
    ///
    /// # Errors
    /// As [`Estimator::grow`]; the version in force then stays.
    pub fn learn(&self, history: &History) -> Result<(), FitError> {
        let change = self.versions.change();
        let now = change.current();
        let estimator = Arc::from(now.estimator.grow(history)?);
        change.refine(Version { estimator, ..Version::clone(&now) }, |_| {});
        Ok(())
    }

    /// Puts `estimator` in force, which knows more of some of the models than the one before;
    /// prices that come from history are started anew where some are to be `repriced`.
    pub(super) fn refine(
        &self,
        change: Change<'_, Version, Run>,
        estimator: Arc<dyn Estimator>,
        repriced: &[ModelId],
    ) -> Result<(), ChangeError> {
        let now = change.current();
        let mut past = lock(&self.past);
        let mut next = Version { estimator, ..Version::clone(&now) };
        if repriced.is_empty() || past.history.is_none() {
            change.refine(next, |_| {});
            return Ok(());
        }
        // Whoever is known better is estimated as a newcomer is.
        let turnover = Turnover::new(&now.models, &now.models).renewing(&now.models, repriced);
        let history = past.after(&turnover, &*next.estimator)?;
        let stand = self.stand();
        let prices = stand.prices.rows();
        let (policy, pricer) =
            self.restart(&past.policy, &next, history.as_ref(), &stand, prices)?;
        next.policy = policy;
        past.history = history;
        change.refine(next, |run| run.pricer = pricer);
        Ok(())
    }

    /// Puts an estimator of another pool in force, which `newcomer` has joined.
    fn turn_over(
        &self,
        change: Change<'_, Version, Run>,
        estimator: Arc<dyn Estimator>,
        newcomer: Option<&NewModel<'_>>,
    ) -> Result<(), ChangeError> {
        let now = change.current();
        let models = estimator.models().clone();
        let turnover = Turnover::new(&now.models, &models);
        let (budgets, kept) = budgets(&now, &models, &turnover, newcomer)?;
        let ledger = now.ledger.with_budgets(budgets, &kept)?;
        let mut past = lock(&self.past);
        let history = past.after(&turnover, &*estimator)?;
        let as_expected = Arc::new(CostRatios::new(models.len()));
        let policy = Arc::clone(&past.policy);
        let mut next = Version { models, estimator, policy, ledger, as_expected };
        let (before, after) = (now.ledger.budgets(), next.ledger.budgets().clone());
        let carried = |prices: &Prices| prices.after(before, &after, &kept);
        let stand = self.stand();
        let prices = carried(&stand.prices);
        let (policy, pricer) =
            self.restart(&past.policy, &next, history.as_ref(), &stand, prices.rows())?;
        next.policy = policy;
        past.history = history;
        change.replace(next, |run| {
            run.prices = Arc::new(carried(&run.prices));
            run.ratios = Arc::new(run.ratios.after(&turnover));
            run.pricer = pricer;
        });
        Ok(())
    }

    /// Where the run stands: a few arrivals may come before a change that is being prepared.
    fn stand(&self) -> Stand {
        self.versions.with_any_state(|run| Stand {
            arrivals: run.arrivals,
            time: run.time,
            horizon: run.horizon,
            prices: Arc::clone(&run.prices),
            scores: run.pricer.as_ref().and_then(|pricer| pricer.scores()),
        })
    }

    /// The policy and the price source of a run that goes on by another version.
    fn restart(
        &self,
        policy: &Arc<dyn Policy>,
        next: &Version,
        history: Option<&Priced>,
        stand: &Stand,
        prices: &[f64],
    ) -> Result<Restarted, PolicyError> {
        let budgets = left(&next.ledger);
        let setup = RunSetup {
            models: &next.models,
            budgets: &budgets,
            horizon: stand.horizon,
            history: history.map(|history| &history.estimates),
            so_far: Some(SoFar {
                arrivals: stand.arrivals,
                time: stand.time,
                prices,
                scores: stand.scores,
            }),
            seed: self.seed,
        };
        let policy = policy.adapt(&setup)?.unwrap_or_else(|| Arc::clone(policy));
        let pricer = policy.pricer(&setup)?;
        Ok((policy, pricer))
    }
}

/// The policy and the price source of a run that goes on.
type Restarted = (Arc<dyn Policy>, Option<Box<dyn Pricer>>);

/// Where a run stands.
struct Stand {
    arrivals: u64,
    time: f64,
    horizon: Horizon,
    prices: Arc<Prices>,
    scores: Option<ScoreAccount>,
}

impl Past {
    /// The history's estimates after a change: those of newcomers by `estimator`, which may
    /// have seen some of their labels on these very prompts; the others' stay held out.
    fn after(
        &self,
        turnover: &Turnover,
        estimator: &dyn Estimator,
    ) -> Result<Option<Priced>, EstimateError> {
        let Some(priced) = &self.history else { return Ok(None) };
        let Priced { embeddings, dim, input_tokens, estimates } = priced;
        let queries = Queries::new(embeddings, *dim).input_tokens(input_tokens.as_deref());
        let mut fresh = EstimateTable::zeros(queries.len(), turnover.n_models());
        fresh.fill(|out| estimator.estimate_batch(queries, &mut Scratch::default(), out))?;
        let estimates = estimates.after(turnover, &fresh);
        let (embeddings, input_tokens) = (Arc::clone(embeddings), input_tokens.clone());
        Ok(Some(Priced { embeddings, dim: *dim, input_tokens, estimates }))
    }
}

/// The estimator in force as a pool.
pub(super) fn pool(estimator: &dyn Estimator) -> Result<&dyn ModelPool, PoolError> {
    estimator.pool().ok_or(PoolError::Fixed)
}

/// The budgets after a change, and which row each of them goes on from.
fn budgets(
    now: &Version,
    models: &Models,
    turnover: &Turnover,
    newcomer: Option<&NewModel<'_>>,
) -> Result<(Budgets, Vec<Option<usize>>), ChangeError> {
    let before = now.ledger.budgets();
    let Some(new) = newcomer else { return Ok(before.after(turnover, Vec::new(), 0.0)?) };
    let model = || new.model.clone();
    let counted = before.tokens_per_usd().is_some();
    let rate = match new.tokens_per_usd {
        None if counted => return Err(ChangeError::NoTokenRate { model: model() }),
        rate => rate.unwrap_or(0.0),
    };
    let index = models.index_of(new.model.as_str());
    let index = index.ok_or_else(|| PoolError::Unknown { model: model() })?;
    let own = new.budget.map(|usd| Row::at_most(Meter::Cost, Scope::model(index), usd));
    let (after, kept) = before.after(turnover, own.into_iter().collect(), rate)?;
    let groups = u32::try_from(after.n_groups()).unwrap_or(u32::MAX);
    if (0..groups).any(|group| after.touching(group, index).is_empty()) {
        return Err(ChangeError::NoBudget { model: model() });
    }
    Ok((after, kept))
}

/// The budgets with what is left of them in place of what there was; those by the window, and
/// those of what is in flight, as they are.
fn left(ledger: &Ledger) -> Budgets {
    let (mut remaining, mut estimated) = (Vec::new(), Vec::new());
    ledger.remaining_into(&mut remaining, &mut estimated);
    let budgets = ledger.budgets();
    let rows = budgets.rows().iter().zip(budgets.refills()).zip(budgets.holds()).zip(remaining);
    budgets.with_capacities(rows.map(|(((row, refill), hold), left)| {
        if refill.is_some() || hold.is_some() { row.capacity } else { left }
    }))
}

#[cfg(test)]
mod tests;
