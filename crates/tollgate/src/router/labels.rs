//! Answers that somebody has scored, as labels of the models that gave them.
//!
//! # Method
//! Scores come one at a time, and a version of an estimator for each would copy its tables for
//! each. They are collected, and every [`TOGETHER`] of them make a version. Prices from history
//! are started anew only when what is known of a model has doubled since they were last: a
//! model that has just come is priced after 16 scores, after 32, after 64, and one of the
//! history hardly ever.

use std::collections::BTreeMap;

use tollgate_core::{
    EstimateError, Estimator, History, Label, ModelId, PoolError, Prompt, check_known, check_labels,
};

use super::changes::{ChangeError, pool};
use super::sync::Arc;
use super::{Request, Router, lock};

/// Scores that make a version.
const TOGETHER: usize = 16;

/// Scores that no version has learned from yet.
#[derive(Debug, Default)]
pub(super) struct Scored {
    waiting: Vec<Answer>,
    known: BTreeMap<ModelId, Known>,
}

#[derive(Debug)]
struct Answer {
    model: ModelId,
    embedding: Vec<f32>,
    quality: f64,
    cost: f64,
}

impl Answer {
    fn label(&self) -> Label<'_> {
        let Self { embedding, quality, cost, .. } = self;
        Label { prompt: Prompt::Embedding(embedding), quality: *quality, cost: *cost }
    }
}

/// Labels of a model.
#[derive(Clone, Copy, Debug)]
struct Known {
    now: usize,
    /// How many there were when prices were last started.
    priced: usize,
}

impl Scored {
    /// What the labels of a history say of its models.
    pub(super) fn of(history: &History) -> Self {
        let models = history.models();
        let labels = |model: usize| {
            let column = history.quality().iter().skip(model).step_by(models.len());
            column.filter(|score| !score.is_nan()).count()
        };
        let mut scored = Self::default();
        for (index, model) in models.iter().enumerate() {
            scored.known(model, labels(index));
        }
        scored
    }

    /// A model is known by so many labels.
    pub(super) fn known(&mut self, model: &ModelId, labels: usize) {
        self.known.insert(model.clone(), Known { now: labels, priced: labels });
    }

    pub(super) fn forget(&mut self, model: &ModelId) {
        self.known.remove(model);
    }

    /// Counts labels of a model; whether it has to be priced anew.
    fn count(&mut self, model: &ModelId, labels: usize) -> bool {
        let Some(known) = self.known.get_mut(model) else { return false };
        known.now += labels;
        let doubled = known.now >= 2 * known.priced.max(1);
        if doubled {
            known.priced = known.now;
        }
        doubled
    }
}

impl Router {
    /// Says how good the answer of `model` to `request` was, and what it cost in USD: a label
    /// of the model. Some scores together make the estimator's next version; see
    /// [`learn_scores`](Self::learn_scores).
    ///
    /// # Errors
    /// [`ChangeError`] when the estimator takes no labels while it serves, the model is not in
    /// the pool, or a number is out of range; nothing is remembered then.
    pub fn score(
        &self,
        request: &Request<'_>,
        model: &ModelId,
        quality: f64,
        cost: f64,
    ) -> Result<(), ChangeError> {
        let estimator = self.estimator();
        pool(&*estimator)?;
        check_known(estimator.models(), model)?;
        let label = Label { prompt: Prompt::Embedding(request.embedding), quality, cost };
        check_labels(0, model, &[label])?;
        check_embedding(&*estimator, model, request.embedding)?;
        let (model, embedding) = (model.clone(), request.embedding.to_vec());
        let waiting = {
            let mut scored = lock(&self.scored);
            scored.waiting.push(Answer { model, embedding, quality, cost });
            scored.waiting.len()
        };
        if waiting < TOGETHER { Ok(()) } else { self.learn_scores() }
    }

    /// Learns from all scores that wait: before a quiet time, say. Those of models that have
    /// gone are forgotten.
    ///
    /// # Errors
    /// As [`score`](Self::score), which leaves little that can go wrong; the scores are lost
    /// then.
    pub fn learn_scores(&self) -> Result<(), ChangeError> {
        let change = self.versions.change();
        let mut estimator = Arc::clone(&change.current().estimator);
        let mut repriced = Vec::new();
        for (model, answers) in self.take_scores() {
            if estimator.models().index_of(model.as_str()).is_none() {
                continue;
            }
            let labels: Vec<Label<'_>> = answers.iter().map(Answer::label).collect();
            estimator = Arc::from(pool(&*estimator)?.update_labels(&model, &labels)?);
            if lock(&self.scored).count(&model, labels.len()) {
                repriced.push(model);
            }
        }
        self.refine(change, estimator, &repriced)
    }

    /// What waits, by model, in the order in which it came.
    fn take_scores(&self) -> BTreeMap<ModelId, Vec<Answer>> {
        let mut by_model = BTreeMap::<ModelId, Vec<Answer>>::new();
        for answer in std::mem::take(&mut lock(&self.scored).waiting) {
            by_model.entry(answer.model.clone()).or_default().push(answer);
        }
        by_model
    }
}

fn check_embedding(
    estimator: &dyn Estimator,
    model: &ModelId,
    embedding: &[f32],
) -> Result<(), PoolError> {
    let refuse = |why| Err(PoolError::Embedding { model: model.clone(), label: 0, why });
    let (expected, got) = (estimator.dim(), embedding.len());
    if expected != got {
        return refuse(EstimateError::Dimension { expected, got });
    }
    if let Some((at, &got)) = embedding.iter().enumerate().find(|(_, x)| !x.is_finite()) {
        return refuse(EstimateError::NotFinite { at, got });
    }
    if embedding.iter().all(|x| *x == 0.0) {
        return refuse(EstimateError::ZeroVector);
    }
    Ok(())
}
