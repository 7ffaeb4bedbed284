//! Factors: what sets models apart on prompts, learned from some models and fitted to others.
//!
//! # Problem
//!
//! A few hundred labels are too few to learn from what a new model is on all prompts, and
//! enough to tell which of the models that are known it resembles. With `m` models of the
//! history and `f_i(x)` what is predicted of model `i` from the embedding, the factors of a
//! prompt and what a model `h`, of the history or a later one, is on it:
//!
//! ```text
//! z(x) = V' (f(x) - f_mean) / sqrt(m),   V = principal axes of f over the history   (1)
//! q_h(x) = b_h . [1, z(x)]                                                          (2)
//! ```
//!
//! `f_i` is the ridge regression of [`Ridge`](crate::Ridge), so (1) is linear in the embedding: at
//! most sixteen inner products. A factor is kept within what the history's prompts have.
//!
//! # Method
//!
//! **Factors.** What (1) is taken over are *held-out* predictions, the exact leave-one-out of
//! the regression: those of the fit itself would follow the labels' noise, of which a fresh
//! prompt has none. In units of `sqrt(m)` the coefficients of the models that factors were
//! made of have a mean square of about 1, whatever their number.
//!
//! **Coefficients** of a model are normal around those of the others, and its labels have a
//! noise of its own:
//!
//! ```text
//! b_h ~ N(b_0, S),   y_r = b_h . f_r + noise of variance v_h,   f = [1, z]           (3)
//! P = (F'F / v_h + S^-1)^-1,   b_h = P (F'y / v_h + S^-1 b_0)                        (4)
//! se_h(x)^2 = f(x)' P f(x) + w^2                                                     (5)
//! ```
//!
//! `b_0` and `S` are the most likely ones for the models of the history (expectation and
//! maximization, twenty rounds), with one model more that is as far off as is thought
//! possible, so that one or two models do not pass for all there are. `v_h` is from what (4)
//! leaves, again with one deviation more. A model without labels is `b_0`; a prior score is
//! a first coefficient that is known, and the others follow as they do among the models.
//! Labels of the history with gaps are used where they are.
//!
//! **How many factors**: every model of the history is left out once, in six parts; its
//! labels on at most `labels` prompts are fitted by factors and prior of the others, and what
//! counts are the squared errors of its other labels. (3) makes factors too many do little
//! harm, and most of an error is how hard a prompt is for all models, which routing does not
//! turn on; so the least error decides, however near the others come. A history of one model
//! has one factor.
//!
//! `w^2` is what factors leave: where those models are left out, the part of the errors that
//! goes with what the model's own regression on all of its labels says beyond the factors, less
//! what (4) knows to be uncertain. Of a single model it is half of its surface's variance. It is
//! what can be told, and so on the low side: with many labels of a new model and few prompts to
//! learn factors from, three in four estimates are within 1.645 standard errors, not nine in ten.
//!
//! **Costs** are (1) to (5) of their logarithms, with factors of their own, and
//! `c = s exp(b . f)`, where `s` is the mean of what the exponential leaves of the model's
//! costs, with the history's counted as one more. A model that was free once has the mean of
//! its costs. A prior cost is what is expected of a prompt of the history.
//!
//! **Which prompts to label**: of those that are left, the one whose (5) is largest, given
//! those before (D-optimal, greedily), from the prior on: a thousand in that order, then any.
//!
//! A new model costs `O(r^2)` for each label and `O(r^3)`; a query `O(r d + r^2 M)`, in single
//! precision with one lane a model.
//!
//! A longer history is learned from anew, but for the numbers of factors, which stay.
//!
//! # Limits
//!
//! What sets a model apart from all others and from every mix of them is not learned however
//! many labels it has; for the models of a history that does not change, [`Auto`](crate::Auto)
//! is better.
//!
//! # References
//!
//! Jitkrittum et al. (2025), Universal Model Routing for Efficient LLM Inference,
//! arXiv:2502.08773: models by their labels on a few prompts, by clusters. Lindley and Smith,
//! "Bayes estimates for the linear model", 1972: (3), (4). Dempster, Laird and Rubin, "Maximum
//! likelihood from incomplete data via the EM algorithm", 1977. Fedorov, Theory of Optimal
//! Experiments, 1972: D-optimal designs. Duan, "Smearing estimate", 1983,
//! doi:10.1080/01621459.1983.10478017.

mod left_out;
mod lore;
mod target;

use serde::{Deserialize, Serialize};
use tollgate_core::{EstimateTable, Estimator, Fit, FitError, History, ParamError, Seed};

pub(crate) use self::lore::FactorLore;
use crate::pool::{Lore, Pool};

/// Knobs of [`Factors`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FactorsConfig {
    /// Factors, of scores and of costs, at most 16; fewer where there are fewer models.
    /// Default: none given, chosen by the squared errors of models left out.
    pub factors: Option<usize>,
    /// How many labels a new model is expected to come with, `>= 1`: what the numbers of
    /// factors are chosen for. Default 400.
    pub labels: usize,
}

impl Default for FactorsConfig {
    fn default() -> Self {
        Self { factors: None, labels: 400 }
    }
}

impl FactorsConfig {
    /// Sets the number of factors.
    #[must_use]
    pub fn factors(mut self, factors: usize) -> Self {
        self.factors = Some(factors);
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
    pub fn build(self) -> Result<Factors, ParamError> {
        let Self { factors, labels } = self;
        if let Some(factors) = factors.filter(|&factors| factors > target::MOST) {
            let got = factors as f64;
            return Err(ParamError { field: "factors", rule: "at most 16", got });
        }
        if labels == 0 {
            return Err(ParamError { field: "labels", rule: ">= 1", got: 0.0 });
        }
        Ok(Factors { factors, labels })
    }
}

/// The prompts of a history by what they tell of factors.
pub(crate) fn order(history: &History, seed: Seed) -> Result<Vec<usize>, FitError> {
    let FactorsConfig { labels, .. } = FactorsConfig::default();
    Ok(FactorLore::learn(history, None, labels, seed)?.worth_labelling().to_vec())
}

/// The recipe of factors; its estimators are pools.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    factors: Option<usize>,
    labels: usize,
}

impl Default for Factors {
    fn default() -> Self {
        FactorsConfig::default().build().expect("the defaults are in range")
    }
}

impl Factors {
    fn pool(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(Pool<FactorLore>, EstimateTable), FitError> {
        Pool::fit_and_hold_out(history, seed, |part, seed, known| self.learn(part, seed, known))
    }

    /// What factors there are; those of `known` where they have been chosen.
    pub(crate) fn learn(
        &self,
        history: &History,
        seed: Seed,
        known: Option<&FactorLore>,
    ) -> Result<FactorLore, FitError> {
        let given = self.factors.map(|factors| [factors; 2]);
        let ranks = known.map(FactorLore::ranks).or(given);
        FactorLore::learn(history, ranks, self.labels, seed)
    }
}

impl Fit for Factors {
    fn name(&self) -> String {
        let standard = FactorsConfig::default();
        let factors = self.factors.map(|factors| format!("factors={factors}"));
        let labels = (self.labels != standard.labels).then(|| format!("labels={}", self.labels));
        let knobs: Vec<String> = [factors, labels].into_iter().flatten().collect();
        if knobs.is_empty() {
            "factors".to_owned()
        } else {
            format!("factors({})", knobs.join(","))
        }
    }

    crate::fitting::fit_through!(pool);
}

#[cfg(test)]
#[path = "factors/tests.rs"]
mod tests;
