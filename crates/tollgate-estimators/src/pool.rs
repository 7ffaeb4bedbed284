//! Pools of models that come and go: what the recipes of such pools share.
//!
//! # Problem
//!
//! A recipe learns something of *prompts* from the models of a history: clusters, a map,
//! factors. A model, of the history or a later one, is what its own labels say in those
//! terms. So a pool has two layers that change at different times: what was learned of
//! prompts ([`Lore`]), which only a longer history changes, and what is known of each model,
//! which its own labels change and nobody else's.
//!
//! # Method
//!
//! What is known of a model is a function of the lore, of its prior and of the set of its
//! labels alone. So the order in which models and labels come does not matter, a model
//! that came and went leaves no trace, and the next version shares the lore and all models
//! but one with this one. What all models together need for a query is laid out anew for
//! each version, in the order of their names.
//!
//! *Held out* are folds: every fifth prompt is estimated by a pool that has learned nothing
//! from it but what the recipe chose for itself (how many clusters, which penalty). A model
//! that has no label outside of the fold is one that is known by the mean of its own costs.
//!
//! Standard errors of scores and costs are multiplied by a factor each that makes them right
//! over bins of held-out prompts (as in [`Auto`](crate::Auto)), but never by less than 1:
//! the factors come from models of many labels, and a model of few is no better known for it.
//!
//! # Growth
//!
//! [`grow`](Estimator::grow) takes a longer history of the models that the pool was *fitted*
//! on. Those that are still there learn from its new prompts, those that were added keep
//! their labels and are known anew in terms of the longer history, and those that were
//! removed stay away, as do the labels of a model of the history that was removed and added
//! again under its name.

mod answers;
mod folds;
mod lanes;

use std::fmt;
use std::sync::Arc;

use tollgate_core::{
    EstimateError, EstimateTable, EstimatesMut, Estimator, FitError, History, Label, ModelId,
    ModelPool, Models, PoolError, Prior, Queries, Query, Scratch, Seed, check_known, check_labels,
    check_new_model, check_removal,
};

pub(crate) use self::answers::{Answers, At};
pub(crate) use self::folds::select;
pub(crate) use self::lanes::Lanes;
use crate::index::check_grown;
use crate::labels::check_models;
use crate::vector::{check_queries, checked_norm, direction_into};
use crate::{blocks, calibration};

/// Queries a block.
const BLOCK: usize = 32;

/// What was learned of prompts, and how a model is known by it.
pub(crate) trait Lore: fmt::Debug + Send + Sync + Sized + 'static {
    /// What is known of one model.
    type Known: fmt::Debug + Send + Sync;
    /// What is known of all, laid out for queries.
    type Tables: fmt::Debug + Send + Sync;

    /// A model by its labels; by its prior alone where there are none.
    fn know(&self, answers: &Answers, prior: Prior) -> Self::Known;

    /// All models in the order of their indices.
    fn tabulate(&self, known: &[&Self::Known]) -> Self::Tables;

    /// Overwrites every slice of `out`, standard errors not yet set right, for a prompt of
    /// this direction.
    fn estimate(
        &self,
        tables: &Self::Tables,
        direction: &[f32],
        scratch: &mut Scratch,
        out: &mut EstimatesMut<'_>,
    );

    /// The same choices, learned on a longer history.
    fn grow(&self, history: &History) -> Result<Self, FitError>;

    /// The prompts of the history in the order in which they are worth labelling.
    fn worth_labelling(&self) -> &[usize];

    /// What the recipe chose for itself, and why.
    fn choice(&self) -> Option<&str>;
}

/// One model.
#[derive(Debug)]
struct Member<K> {
    answers: Answers,
    prior: Prior,
    /// Whether it has been here since the fit, so that longer histories have labels of it.
    fitted: bool,
    known: K,
}

/// A fitted pool.
#[derive(Debug)]
pub(crate) struct Pool<L: Lore> {
    lore: Arc<L>,
    /// Of the history, row-major `(n_rows, dim)`.
    embeddings: Arc<[f32]>,
    /// Of the prompts, where the history knows.
    input_tokens: Option<Arc<[f64]>>,
    dim: usize,
    /// The models of the history.
    fitted: Models,
    models: Models,
    /// By model index.
    members: Vec<Arc<Member<L::Known>>>,
    tables: L::Tables,
    /// Of the standard errors of scores and of costs.
    factors: [f64; 2],
}

impl<L: Lore> Pool<L> {
    /// All models of a history, standard errors as the lore has them.
    pub(crate) fn new(lore: L, history: &History) -> Self {
        let members = (0..history.models().len())
            .map(|model| {
                let mut answers = Answers::default();
                answers.add_rows(history, model, 0);
                let prior = Prior::default();
                let known = lore.know(&answers, prior);
                Arc::new(Member { answers, prior, fitted: true, known })
            })
            .collect();
        let dim = history.dim();
        Self::assemble(Arc::new(lore), history, history.models().clone(), members, [1.0; 2], dim)
    }

    fn assemble(
        lore: Arc<L>,
        history: &History,
        models: Models,
        members: Vec<Arc<Member<L::Known>>>,
        factors: [f64; 2],
        dim: usize,
    ) -> Self {
        Self {
            tables: tabulate(lore.as_ref(), &members),
            lore,
            embeddings: Arc::clone(history.embeddings()),
            input_tokens: history.input_tokens().cloned(),
            dim,
            fitted: history.models().clone(),
            models,
            members,
            factors,
        }
    }

    /// The pool of a history and its held-out estimates: `learn` is called for the history,
    /// and then for parts of it with what was learned there of the whole.
    pub(crate) fn fit_and_hold_out(
        history: &History,
        seed: Seed,
        learn: impl Fn(&History, Seed, Option<&L>) -> Result<L, FitError> + Sync,
    ) -> Result<(Self, EstimateTable), FitError> {
        let mut pool = Self::new(learn(history, seed, None)?, history);
        let part = |part: &History| learn(part, seed, Some(&pool.lore));
        let mut held_out = folds::held_out(history, &part)?;
        pool.factors = calibration::factors(&held_out, history).map(|factor| factor.max(1.0));
        held_out.fill(|mut out| pool.scale(&mut out));
        Ok((pool, held_out))
    }

    fn scale(&self, out: &mut EstimatesMut<'_>) {
        let [quality, cost] = self.factors;
        out.quality_se.iter_mut().for_each(|se| *se *= quality);
        out.cost_se.iter_mut().for_each(|se| *se *= cost);
    }

    /// The same lore and other models.
    fn next(&self, models: Models, members: Vec<Arc<Member<L::Known>>>) -> Box<dyn Estimator> {
        Box::new(Self {
            tables: tabulate(self.lore.as_ref(), &members),
            lore: Arc::clone(&self.lore),
            embeddings: Arc::clone(&self.embeddings),
            input_tokens: self.input_tokens.clone(),
            dim: self.dim,
            fitted: self.fitted.clone(),
            models,
            members,
            factors: self.factors,
        })
    }

    fn member(&self, answers: Answers, prior: Prior, fitted: bool) -> Arc<Member<L::Known>> {
        let known = self.lore.know(&answers, prior);
        Arc::new(Member { answers, prior, fitted, known })
    }
}

fn tabulate<L: Lore>(lore: &L, members: &[Arc<Member<L::Known>>]) -> L::Tables {
    let known: Vec<&L::Known> = members.iter().map(|member| &member.known).collect();
    lore.tabulate(&known)
}

/// Names that are known to be neither empty nor repeated.
pub(crate) fn named<'a>(ids: impl Iterator<Item = &'a ModelId>) -> Models {
    Models::new(ids.map(ModelId::as_str)).expect("the names have been checked")
}

impl<L: Lore> Estimator for Pool<L> {
    fn models(&self) -> &Models {
        &self.models
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn choice(&self) -> Option<&str> {
        self.lore.choice()
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError> {
        check_models(&self.fitted, history)?;
        let n_rows = self.representatives().len();
        check_grown(history, n_rows, self.dim)?;
        let lore = self.lore.grow(history)?;
        let grown = |(id, member): (&ModelId, &Arc<Member<L::Known>>)| {
            let mut answers = member.answers.clone();
            if let Some(model) = history.models().index_of(id.as_str())
                && member.fitted
            {
                answers.add_rows(history, model, n_rows);
            }
            let known = lore.know(&answers, member.prior);
            Arc::new(Member { answers, prior: member.prior, fitted: member.fitted, known })
        };
        let members = self.models.iter().zip(&self.members).map(grown).collect();
        let (lore, models) = (Arc::new(lore), self.models.clone());
        Ok(Box::new(Self::assemble(lore, history, models, members, self.factors, self.dim)))
    }

    fn pool(&self) -> Option<&dyn ModelPool> {
        Some(self)
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        let norm = checked_norm(query.embedding, self.dim)?;
        let mut floats = std::mem::take(&mut scratch.floats);
        floats.resize(self.dim.div_ceil(2), 0.0);
        let direction = &mut bytemuck::cast_slice_mut(&mut floats)[..self.dim];
        direction_into(query.embedding, norm, direction);
        self.lore.estimate(&self.tables, direction, scratch.child(0), &mut out);
        scratch.floats = floats;
        self.scale(&mut out);
        Ok(())
    }

    fn estimate_batch(
        &self,
        queries: Queries<'_>,
        _scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        check_queries(queries, self.dim)?;
        let n_models = self.models.len();
        blocks::for_each(queries, BLOCK, &mut out, |_, queries, scratch, mut out| {
            (0..queries.len()).try_for_each(|index| {
                let row = out.rows(n_models, index, index + 1);
                self.estimate_into(queries.query(index), scratch, row)
            })
        })
    }
}

impl<L: Lore> ModelPool for Pool<L> {
    fn representatives(&self) -> Queries<'_> {
        Queries::new(&self.embeddings, self.dim).input_tokens(self.input_tokens.as_deref())
    }

    fn worth_labelling(&self, n: usize) -> Vec<usize> {
        self.lore.worth_labelling().iter().copied().take(n).collect()
    }

    fn add_model(
        &self,
        model: &ModelId,
        prior: Prior,
        labels: &[Label<'_>],
    ) -> Result<Box<dyn Estimator>, PoolError> {
        check_new_model(&self.models, self.representatives().len(), model, prior, labels)?;
        let answers = Answers::default().with(model, self.dim, labels)?;
        let models = named(self.models.iter().chain([model]));
        let at = models.index_of(model.as_str()).expect("it has just been added");
        let mut members = self.members.clone();
        members.insert(at, self.member(answers, prior, false));
        Ok(self.next(models, members))
    }

    fn remove_model(&self, model: &ModelId) -> Result<Box<dyn Estimator>, PoolError> {
        let at = check_removal(&self.models, model)?;
        let mut members = self.members.clone();
        members.remove(at);
        let models = named(self.models.iter().filter(|&id| id != model));
        Ok(self.next(models, members))
    }

    fn update_labels(
        &self,
        model: &ModelId,
        labels: &[Label<'_>],
    ) -> Result<Box<dyn Estimator>, PoolError> {
        let at = check_known(&self.models, model)?;
        check_labels(self.representatives().len(), model, labels)?;
        let Member { answers, prior, fitted, .. } = &*self.members[at];
        let answers = answers.with(model, self.dim, labels)?;
        let mut members = self.members.clone();
        members[at] = self.member(answers, *prior, *fitted);
        Ok(self.next(self.models.clone(), members))
    }
}

/// A history whose models have no names: they are in the order of their labels, so that
/// what is learned from all of them together is the same, to the last bit, whatever they
/// are called.
pub(crate) fn anonymous(history: &History) -> History {
    let n_models = history.models().len();
    let column = |model: usize| {
        let bits = |table: &[f64]| -> Vec<u64> {
            table.iter().skip(model).step_by(n_models).map(|label| label.to_bits()).collect()
        };
        (bits(history.quality()), bits(history.cost()))
    };
    let mut order: Vec<usize> = (0..n_models).collect();
    order.sort_by_cached_key(|&model| column(model));
    let columns = |table: &[f64]| -> Vec<f64> {
        let row = |row: &[f64]| order.iter().map(|&model| row[model]).collect::<Vec<_>>();
        table.chunks_exact(n_models).flat_map(row).collect()
    };
    let names = Models::new((0..n_models).map(|rank| format!("{rank:09}")));
    let anonymous = History::new(
        names.expect("numbers differ"),
        history.dim(),
        history.embeddings().to_vec(),
        columns(history.quality()),
        columns(history.cost()),
    )
    .expect("the labels are those of a history");
    with_tokens(anonymous, history.input_tokens().map(|tokens| tokens.to_vec()))
}

/// A history with the tokens of its prompts, where another one that has them knew.
pub(crate) fn with_tokens(history: History, tokens: Option<Vec<f64>>) -> History {
    match tokens {
        Some(tokens) => history.with_input_tokens(tokens).expect("the tokens are of a history"),
        None => history,
    }
}
