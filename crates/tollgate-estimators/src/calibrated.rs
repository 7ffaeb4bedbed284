//! Standard errors set right on held-out estimates.
//!
//! # Problem
//!
//! What a policy wants to know of an estimate is by how much the estimates of like prompts err
//! together: that is what remains when a window of them is added up. The standard error of a
//! trained head is another thing. It is about one prompt, along all of its directions; what the
//! head does not know of hundreds of them is of either sign for prompts that point to either
//! side, and averages out over a few hundred. (Means of neighbors do so less: the highest of
//! them are high by luck, all together.) Blends add to it: they take the errors of their parts
//! as one, where those of neighbors and of heads are partly independent.
//!
//! # Method
//!
//! The recipe is asked for held-out estimates of the history, and its standard errors, of these
//! and of all others, are multiplied by the factor `t` of the page of [`coverage`], one for scores
//! and one for costs, that makes them right in the mean square over bins of at least 200 like
//! prompts. What all estimates err by together, because the history as a whole was lucky, is not
//! seen by leaving one label out; new prompts are covered a little less often for it.
//!
//! Estimates themselves stay as they are. In a history in which no model has 200 labels there is
//! nothing to tell from, and `t = 1`. The factors stay when the history grows.
//!
//! [`coverage`]: crate::coverage
//!
//! # References
//!
//! Kuleshov, Fenner and Ermon, "Accurate uncertainties for deep learning using calibrated
//! regression", 2018, arXiv:1807.00263: errors set right on data that were kept out.

use std::sync::Arc;

use tollgate_core::{
    EstimateError, EstimateTable, EstimatesMut, Estimator, Fit, FitError, History, Models, Queries,
    Query, Scratch, Seed,
};

use crate::calibration;

/// A recipe with its standard errors set right.
#[derive(Clone, Debug)]
pub(crate) struct Calibrated {
    recipe: Arc<dyn Fit>,
}

impl Calibrated {
    pub(crate) fn new(recipe: Arc<dyn Fit>) -> Self {
        Self { recipe }
    }
}

impl Fit for Calibrated {
    fn name(&self) -> String {
        format!("calibrated({})", self.recipe.name())
    }

    fn fit(&self, history: &History, seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
        Ok(self.fit_and_hold_out(history, seed)?.0)
    }

    fn held_out(&self, history: &History, seed: Seed) -> Result<EstimateTable, FitError> {
        let mut held_out = self.recipe.held_out(history, seed)?;
        let factors = calibration::factors(&held_out, history);
        held_out.fill(|mut out| scale(factors, &mut out));
        Ok(held_out)
    }

    fn fit_and_hold_out(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(Box<dyn Estimator>, EstimateTable), FitError> {
        let (inner, mut held_out) = self.recipe.fit_and_hold_out(history, seed)?;
        let factors = calibration::factors(&held_out, history);
        held_out.fill(|mut out| scale(factors, &mut out));
        Ok((Box::new(CalibratedEstimator { inner, factors, choice: None }), held_out))
    }
}

/// Multiplies standard errors by factors for scores and for costs.
pub(crate) fn scale([quality, cost]: [f64; 2], out: &mut EstimatesMut<'_>) {
    out.quality_se.iter_mut().for_each(|se| *se *= quality);
    out.cost_se.iter_mut().for_each(|se| *se *= cost);
}

/// An estimator with its standard errors set right.
#[derive(Debug)]
pub(crate) struct CalibratedEstimator {
    pub(crate) inner: Box<dyn Estimator>,
    /// Of the standard errors of scores and of costs.
    pub(crate) factors: [f64; 2],
    /// What was chosen and why, where there is more to say than the inner one does.
    pub(crate) choice: Option<String>,
}

impl Estimator for CalibratedEstimator {
    fn models(&self) -> &Models {
        self.inner.models()
    }

    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn choice(&self) -> Option<&str> {
        self.choice.as_deref().or_else(|| self.inner.choice())
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError> {
        let inner = self.inner.grow(history)?;
        Ok(Box::new(Self { inner, factors: self.factors, choice: self.choice.clone() }))
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        self.inner.estimate_into(query, scratch, out.reborrow())?;
        scale(self.factors, &mut out);
        Ok(())
    }

    fn estimate_batch(
        &self,
        queries: Queries<'_>,
        scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        self.inner.estimate_batch(queries, scratch, out.reborrow())?;
        scale(self.factors, &mut out);
        Ok(())
    }
}

#[cfg(test)]
#[path = "calibrated/tests.rs"]
mod tests;
