//! The estimator's side of the contract: a history in, estimates out.

use std::fmt;

use crate::{
    EstimateError, EstimateTable, EstimatesMut, FitError, History, ModelPool, Models, Queries,
    Query, Seed,
};

/// A fitted, immutable snapshot that estimates quality and cost of every model.
///
/// Growth and new models make the next snapshot; readers of this one never block.
pub trait Estimator: fmt::Debug + Send + Sync {
    /// The models it estimates, in index order.
    fn models(&self) -> &Models;

    /// The dimension of the embeddings it takes.
    fn dim(&self) -> usize;

    /// What it chose for itself when it was fitted, and why, in a line; `None` where there
    /// was nothing to choose.
    fn choice(&self) -> Option<&str> {
        None
    }

    /// The next version: as this one, from a history that begins with the prompts this one
    /// was fitted on and has more after them. What was learned from the old prompts is not
    /// learned again, and choices made on them (penalties, weights) stay. This version
    /// stays as it is, for those who still read it.
    ///
    /// # Errors
    /// [`FitError`] for a history that is shorter, or of another dimension or other models,
    /// and as [`Fit::fit`].
    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError>;

    /// This estimator as one whose models come and go; `None` where they are the history's for
    /// good.
    fn pool(&self) -> Option<&dyn ModelPool> {
        None
    }

    /// Overwrites every slice of `out`, each of shape `(n_models,)`.
    ///
    /// Allocates nothing once `scratch` has grown to its size. Equal, bit for bit,
    /// to the same row of a batch.
    ///
    /// # Errors
    /// [`EstimateError`] when the embedding has another dimension or a value that
    /// is not finite.
    fn estimate_into(
        &self,
        query: Query<'_>,
        scratch: &mut Scratch,
        out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError>;

    /// Overwrites every slice of `out`, row-major `(queries.len(), n_models)`.
    ///
    /// # Errors
    /// As [`estimate_into`](Self::estimate_into), for the first query that is refused.
    fn estimate_batch(
        &self,
        queries: Queries<'_>,
        scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        let n_models = self.models().len();
        for index in 0..queries.len() {
            let row = out.rows(n_models, index, index + 1);
            self.estimate_into(queries.query(index), scratch, row)?;
        }
        Ok(())
    }
}

/// The recipe of an estimator, before it meets data.
pub trait Fit: fmt::Debug + Send + Sync {
    /// The name in reports and in the registry, parameters included.
    fn name(&self) -> String;

    /// Learns from a history.
    ///
    /// # Errors
    /// [`FitError`] when the history is too small for the recipe, or the
    /// arithmetic breaks down on it.
    fn fit(&self, history: &History, seed: Seed) -> Result<Box<dyn Estimator>, FitError>;

    /// Estimates every prompt of the history as if its own labels were not known:
    /// leave-one-out, or by folds. Prices from history are solved on these, since
    /// on the labels themselves a solver would reward luck.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    fn held_out(&self, history: &History, seed: Seed) -> Result<EstimateTable, FitError>;

    /// Both at once, for recipes that need the held-out estimates to fit.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    fn fit_and_hold_out(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(Box<dyn Estimator>, EstimateTable), FitError> {
        Ok((self.fit(history, seed)?, self.held_out(history, seed)?))
    }
}

/// Reusable buffers of an estimator; grow on first use, hold no answers.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// Floats.
    pub floats: Vec<f64>,
    /// Scored rows.
    pub scored: Vec<(f64, u32)>,
    /// Buffers of the estimators inside an estimator.
    pub children: Vec<Self>,
}

impl Scratch {
    /// The buffers of inner estimator number `index`.
    pub fn child(&mut self, index: usize) -> &mut Self {
        if self.children.len() <= index {
            self.children.resize_with(index + 1, Self::default);
        }
        &mut self.children[index]
    }
}
