//! A pool of models that changes while it runs: the estimator's side of it.
//!
//! # Problem
//! New models appear weekly, and fitting an estimator anew for each takes a labelled history
//! that nobody has. What is learned of *prompts* from the models of the history holds for a
//! model that comes later, so a few hundred labels of it, or a guess, have to be enough.
//!
//! # Method
//! A [`ModelPool`] is an [`Estimator`] that makes its own next version: with one model more,
//! one fewer, or with more labels of one. Versions are snapshots like those of
//! [`Estimator::grow`]: they share what is the same, and readers of this one never block.
//!
//! # References
//! Jitkrittum et al. (2025), Universal Model Routing for Efficient LLM Inference,
//! arXiv:2502.08773.

use std::fmt;

use thiserror::Error;

use crate::{Estimator, FitError, ModelId, Models, Queries};

/// A prompt that a model has been labelled on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prompt<'a> {
    /// By its number among [`ModelPool::representatives`].
    Representative(usize),
    /// Any other, by its embedding, shape `(dim,)`.
    Embedding(&'a [f32]),
}

/// What a model's answer to one prompt was worth, and what it cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label<'a> {
    /// The prompt. Of two labels of a model on the same representative prompt the later one
    /// counts; those on other prompts all do.
    pub prompt: Prompt<'a>,
    /// The score, in `[0, 1]`.
    pub quality: f64,
    /// The cost in USD, `>= 0`.
    pub cost: f64,
}

/// What is thought of a model before its first label, and drawn away from with each.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prior {
    /// The expected score, in `[0, 1]`. By default the mean of the models that the estimator
    /// was fitted on.
    pub quality: Option<f64>,
    /// The expected cost of an answer in USD, `>= 0`, from a price list say. May be left out
    /// where there are labels.
    pub cost: Option<f64>,
}

/// An estimator whose models come and go.
pub trait ModelPool: fmt::Debug + Send + Sync {
    /// The prompts that a new model may be labelled on by number.
    fn representatives(&self) -> Queries<'_>;

    /// Which `n` of the [`representatives`](Self::representatives) to label a new model on,
    /// the most telling first, so that fewer are the beginning of more: all of them where
    /// there are no more than `n`.
    fn worth_labelling(&self, n: usize) -> Vec<usize>;

    /// This version with one model more, known by `labels` and a prior.
    ///
    /// # Errors
    /// [`PoolError`] names what is wrong with the model, the prior or the first label that
    /// is refused.
    fn add_model(
        &self,
        model: &ModelId,
        prior: Prior,
        labels: &[Label<'_>],
    ) -> Result<Box<dyn Estimator>, PoolError>;

    /// This version without one of its models.
    ///
    /// # Errors
    /// [`PoolError`] when there is no such model, or no other.
    fn remove_model(&self, model: &ModelId) -> Result<Box<dyn Estimator>, PoolError>;

    /// This version with more labels of one of its models.
    ///
    /// # Errors
    /// [`PoolError`] when there is no such model, or names the first label that is refused.
    fn update_labels(
        &self,
        model: &ModelId,
        labels: &[Label<'_>],
    ) -> Result<Box<dyn Estimator>, PoolError>;
}

/// A change of the pool that was refused; the version in force stays as it is.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PoolError {
    /// An estimator that takes its models from the history alone.
    #[error("the estimator takes its models from the history alone: none may come or go")]
    Fixed,
    /// A model without a name.
    #[error("a model has an empty name")]
    Unnamed,
    /// A model that is added twice.
    #[error("model `{model}` is in the pool already")]
    Known {
        /// The model.
        model: ModelId,
    },
    /// A model that is not there.
    #[error("model `{model}` is not in the pool")]
    Unknown {
        /// The model.
        model: ModelId,
    },
    /// Without this one there would be none.
    #[error("model `{model}` is the last of the pool and can't be removed")]
    Last {
        /// The model.
        model: ModelId,
    },
    /// A model whose cost nobody knows.
    #[error("model `{model}` needs a label or a prior cost: nothing says what its answers cost")]
    NoCost {
        /// The model.
        model: ModelId,
    },
    /// A prior out of range.
    #[error("prior {what} of model `{model}` must be {rule}, got {got}")]
    Prior {
        /// The model.
        model: ModelId,
        /// Which number.
        what: &'static str,
        /// Its range.
        rule: &'static str,
        /// The value.
        got: f64,
    },
    /// A representative prompt that does not exist.
    #[error("label {label} of model `{model}` is of representative prompt {got}, there are {n}")]
    Prompt {
        /// The model.
        model: ModelId,
        /// Which of the labels, from 0.
        label: usize,
        /// The number of the prompt.
        got: usize,
        /// How many there are.
        n: usize,
    },
    /// An embedding that has another dimension, no direction, or a value that is not finite.
    #[error("label {label} of model `{model}` has an embedding that is refused: {why}")]
    Embedding {
        /// The model.
        model: ModelId,
        /// Which of the labels, from 0.
        label: usize,
        /// What is wrong with it.
        why: crate::EstimateError,
    },
    /// A score or a cost out of range.
    #[error("{what} of label {label} of model `{model}` must be {rule}, got {got}")]
    Label {
        /// The model.
        model: ModelId,
        /// Which of the labels, from 0.
        label: usize,
        /// Score or cost.
        what: &'static str,
        /// Its range.
        rule: &'static str,
        /// The value.
        got: f64,
    },
    /// An estimator that could not be fitted with the model.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// Checks what every pool refuses, before anything is changed: the model's name, the prior,
/// and the numbers of the labels. What is left to the estimator are embeddings.
///
/// # Errors
/// [`PoolError`] names the first value out of range.
pub fn check_new_model(
    models: &Models,
    n_representatives: usize,
    model: &ModelId,
    prior: Prior,
    labels: &[Label<'_>],
) -> Result<(), PoolError> {
    if model.as_str().is_empty() {
        return Err(PoolError::Unnamed);
    }
    if models.index_of(model.as_str()).is_some() {
        return Err(PoolError::Known { model: model.clone() });
    }
    check_prior(model, prior)?;
    if prior.cost.is_none() && labels.is_empty() {
        return Err(PoolError::NoCost { model: model.clone() });
    }
    check_labels(n_representatives, model, labels)
}

/// Checks that a model can be removed, and answers its index.
///
/// # Errors
/// [`PoolError`] when there is no such model, or no other.
pub fn check_removal(models: &Models, model: &ModelId) -> Result<usize, PoolError> {
    let index = check_known(models, model)?;
    if models.len() == 1 {
        return Err(PoolError::Last { model: model.clone() });
    }
    Ok(index)
}

/// The index of a model that has to be there.
///
/// # Errors
/// [`PoolError::Unknown`].
pub fn check_known(models: &Models, model: &ModelId) -> Result<usize, PoolError> {
    models.index_of(model.as_str()).ok_or_else(|| PoolError::Unknown { model: model.clone() })
}

/// Checks the numbers of labels, and those of their prompts.
///
/// # Errors
/// [`PoolError`] names the first value out of range.
pub fn check_labels(
    n_representatives: usize,
    model: &ModelId,
    labels: &[Label<'_>],
) -> Result<(), PoolError> {
    for (label, &Label { prompt, quality, cost }) in labels.iter().enumerate() {
        if let Prompt::Representative(got) = prompt
            && got >= n_representatives
        {
            let (model, n) = (model.clone(), n_representatives);
            return Err(PoolError::Prompt { model, label, got, n });
        }
        let refuse = |what, rule, got| {
            Err(PoolError::Label { model: model.clone(), label, what, rule, got })
        };
        // Written so that NaN fails.
        if !(0.0..=1.0).contains(&quality) {
            return refuse("score", "in [0, 1]", quality);
        }
        if !(cost >= 0.0 && cost.is_finite()) {
            return refuse("cost", "finite and >= 0", cost);
        }
    }
    Ok(())
}

fn check_prior(model: &ModelId, prior: Prior) -> Result<(), PoolError> {
    let refuse = |what, rule, got| Err(PoolError::Prior { model: model.clone(), what, rule, got });
    match prior {
        Prior { quality: Some(got), .. } if !(0.0..=1.0).contains(&got) => {
            refuse("score", "in [0, 1]", got)
        }
        Prior { cost: Some(got), .. } if !(got >= 0.0 && got.is_finite()) => {
            refuse("cost", "finite and >= 0", got)
        }
        Prior { .. } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models() -> Models {
        Models::new(["a", "b"]).unwrap()
    }

    fn label(prompt: usize, quality: f64, cost: f64) -> Label<'static> {
        Label { prompt: Prompt::Representative(prompt), quality, cost }
    }

    #[test]
    fn refusals() {
        let message = |name: &str, prior: Prior, labels: &[Label<'_>]| {
            let model = ModelId::new(name);
            check_new_model(&models(), 3, &model, prior, labels).unwrap_err().to_string()
        };
        let none = Prior::default();
        let quality = |quality| Prior { quality: Some(quality), ..none };
        let cost = |cost| Prior { cost: Some(cost), ..none };
        insta::assert_snapshot!(message("", none, &[]), @"a model has an empty name");
        insta::assert_snapshot!(message("a", none, &[]), @"model `a` is in the pool already");
        insta::assert_snapshot!(
            message("c", none, &[]),
            @"model `c` needs a label or a prior cost: nothing says what its answers cost"
        );
        insta::assert_snapshot!(
            message("c", quality(f64::NAN), &[]),
            @"prior score of model `c` must be in [0, 1], got NaN"
        );
        insta::assert_snapshot!(
            message("c", cost(-1.0), &[]),
            @"prior cost of model `c` must be finite and >= 0, got -1"
        );
        insta::assert_snapshot!(
            message("c", none, &[label(2, 1.0, 0.1), label(3, 1.0, 0.1)]),
            @"label 1 of model `c` is of representative prompt 3, there are 3"
        );
        insta::assert_snapshot!(
            message("c", none, &[label(0, 1.1, 0.1)]),
            @"score of label 0 of model `c` must be in [0, 1], got 1.1"
        );
        insta::assert_snapshot!(
            message("c", none, &[label(0, 1.0, f64::INFINITY)]),
            @"cost of label 0 of model `c` must be finite and >= 0, got inf"
        );
        check_new_model(&models(), 3, &ModelId::new("c"), cost(0.1), &[]).unwrap();
        check_new_model(&models(), 3, &ModelId::new("c"), none, &[label(2, 0.0, 0.0)]).unwrap();
    }

    #[test]
    fn removals() {
        let message = |models: &Models, name: &str| {
            check_removal(models, &ModelId::new(name)).unwrap_err().to_string()
        };
        assert_eq!(check_removal(&models(), &ModelId::new("b")).unwrap(), 1);
        insta::assert_snapshot!(message(&models(), "c"), @"model `c` is not in the pool");
        insta::assert_snapshot!(
            message(&Models::new(["a"]).unwrap(), "a"),
            @"model `a` is the last of the pool and can't be removed"
        );
    }
}
