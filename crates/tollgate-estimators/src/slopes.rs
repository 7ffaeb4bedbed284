//! Random slopes: what a model's own labels say of it, drawn toward what is common to all.
//!
//! # Problem
//!
//! [`Factors`](crate::Factors) ask how a new model resembles those that are known, and a model
//! that resembles none is not learned however many labels it has. A regression of its own on a
//! few hundred labels asks nothing of others, and what it finds is mostly noise unless it is
//! drawn to something. How much, the models of the history can say: they have been new, too.
//!
//! # Method
//!
//! ```text
//! z(x) = V' (W' p(x) - mean),   V = the first 64 principal axes over the history's prompts  (1)
//! q_h(x) = b_h . [1, z(x)]                                                                  (2)
//! b_h ~ N(b_0, diag(s^2, t^2, ..., t^2)),   t^2 = v / lambda                                (3)
//! ```
//!
//! with the kernels `p` and `W` of [`KernelRidge`](crate::KernelRidge) at 128 landmarks. In (3) one
//! slope is as likely as any other, so the labels alone say along which axes a model differs from
//! the mean model `b_0`: ridge regression of the difference. The posterior and its noise are (4) of
//! [`Factors`](crate::Factors), standard errors (5) without the covariances of different axes,
//! which are small over prompts drawn like the history's, whose principal axes they are.
//!
//! `b_0` is the regression of all models of the history together, each with a level of its own,
//! `s^2` the variance of those levels with one more that is as far off as is thought possible, and
//! `v` the mean variance of a model's labels.
//!
//! **Penalties.** There are two, and that is the point: what is common to all models is known from
//! all of their labels, and hardly needs one; what a model has of its own is known from a few
//! hundred, and needs much. One for both is a compromise that serves neither. They are those of
//! nine powers of the root of ten with the least squared errors of models that are left out, in
//! six parts, and known from half of their labels, of `labels` at most: first the common one, for
//! models without slopes of their own, then `lambda` on top of it.
//!
//! **Costs** are the same of their logarithms, with penalties of their own; the rest is as with
//! [`Factors`](crate::Factors).
//!
//! **Which prompts to label**: those with which the labelled ones are like the history, along the
//! axes and in how hard they are ([`Labelling::Likeness`](crate::Labelling::Likeness)).
//!
//! A new model costs `O(64^2)` for each label and `O(64^3)`, and a query `O(128 (d + 64) + 64 M)`. A
//! longer history is learned from anew, but for the penalties, which stay.
//!
//! # References
//!
//! Laird and Ware, "Random-effects models for longitudinal data", 1982, doi:10.2307/2529876: (3).
//! Schölkopf, Smola and Müller, "Nonlinear component analysis as a kernel eigenvalue problem",
//! 1998, doi:10.1162/089976698300017467: (1). Duan, "Smearing estimate", 1983,
//! doi:10.1080/01621459.1983.10478017.

mod lore;
mod prior;

use serde::{Deserialize, Serialize};
use tollgate_core::{EstimateTable, Estimator, Fit, FitError, History, ParamError, Seed};

use self::lore::Recipe;
pub(crate) use self::lore::SlopeLore;
use crate::pool::{Lore, Pool};

/// Knobs of [`RandomSlopes`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomSlopesConfig {
    /// Landmarks of the kernels, `>= 1`; all prompts where there are no more. Default 128.
    pub landmarks: usize,
    /// `lambda` of (3), of scores and of log costs, `> 0`. Default: none given, chosen.
    pub penalty: Option<f64>,
    /// How many labels a new model is expected to come with, `>= 1`: what the penalties are
    /// chosen for. Default 400.
    pub labels: usize,
}

impl Default for RandomSlopesConfig {
    fn default() -> Self {
        Self { landmarks: 128, penalty: None, labels: 400 }
    }
}

impl RandomSlopesConfig {
    /// Sets the number of landmarks.
    #[must_use]
    pub fn landmarks(mut self, landmarks: usize) -> Self {
        self.landmarks = landmarks;
        self
    }

    /// Sets the penalty.
    #[must_use]
    pub fn penalty(mut self, penalty: f64) -> Self {
        self.penalty = Some(penalty);
        self
    }

    /// Sets how many labels a new model is expected to come with.
    #[must_use]
    pub fn labels(mut self, labels: usize) -> Self {
        self.labels = labels;
        self
    }

    /// The recipe.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self) -> Result<RandomSlopes, ParamError> {
        let Self { landmarks, penalty, labels } = self;
        if landmarks == 0 {
            return Err(ParamError { field: "landmarks", rule: ">= 1", got: 0.0 });
        }
        if let Some(got) = penalty.filter(|lambda| !(*lambda > 0.0 && lambda.is_finite())) {
            return Err(ParamError { field: "penalty", rule: "finite and > 0", got });
        }
        if labels == 0 {
            return Err(ParamError { field: "labels", rule: ">= 1", got: 0.0 });
        }
        Ok(RandomSlopes { landmarks, penalty, labels })
    }
}

/// The prompts of a history, those that are like it first.
pub(crate) fn order(history: &History, seed: Seed) -> Result<Vec<usize>, FitError> {
    Ok(RandomSlopes::default().learn(history, seed, None)?.worth_labelling().to_vec())
}

/// The recipe of random slopes; its estimators are pools.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomSlopes {
    landmarks: usize,
    penalty: Option<f64>,
    labels: usize,
}

impl Default for RandomSlopes {
    fn default() -> Self {
        RandomSlopesConfig::default().build().expect("the defaults are in range")
    }
}

impl RandomSlopes {
    fn pool(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(Pool<SlopeLore>, EstimateTable), FitError> {
        Pool::fit_and_hold_out(history, seed, |part, seed, known| self.learn(part, seed, known))
    }

    /// What is common to all; by the penalties of `known` where they have been chosen.
    pub(crate) fn learn(
        &self,
        history: &History,
        seed: Seed,
        known: Option<&SlopeLore>,
    ) -> Result<SlopeLore, FitError> {
        let Self { landmarks, penalty, labels } = *self;
        let recipe = Recipe { landmarks, penalty, labels };
        SlopeLore::learn(history, recipe, known.map(SlopeLore::penalties), seed)
    }
}

impl Fit for RandomSlopes {
    fn name(&self) -> String {
        let standard = RandomSlopesConfig::default();
        let penalty = self.penalty.map(|penalty| format!("penalty={penalty}"));
        let labels = (self.labels != standard.labels).then(|| format!("labels={}", self.labels));
        let landmarks =
            (self.landmarks != standard.landmarks).then(|| format!("landmarks={}", self.landmarks));
        let knobs: Vec<String> = [landmarks, penalty, labels].into_iter().flatten().collect();
        if knobs.is_empty() {
            "random-slopes".to_owned()
        } else {
            format!("random-slopes({})", knobs.join(","))
        }
    }

    crate::fitting::fit_through!(pool);
}

#[cfg(test)]
#[path = "slopes/tests.rs"]
mod tests;
