//! What a regression is linear in.

use std::fmt;

use faer::Mat;
use tollgate_core::{FitError, History, Queries};

use crate::vector::inverse_norms;

/// Turns an embedding into features.
pub(crate) trait Features: fmt::Debug + Send + Sync {
    /// The dimension of the embeddings.
    fn dim(&self) -> usize;

    /// How many features there are.
    fn len(&self) -> usize;

    /// Overwrites `out`, of shape `(len,)`, with the features of the embedding's direction.
    fn map(&self, embedding: &[f32], inverse_norm: f64, out: &mut [f64]);

    /// `W`, `(len, rank)`: the penalty is on `b` where the prediction is `p' W b`. `None` is
    /// the identity.
    fn whitening(&self) -> Option<&Mat<f64>>;
}

/// The direction of the embedding itself.
#[derive(Debug)]
pub(crate) struct Directions {
    pub(crate) dim: usize,
}

impl Features for Directions {
    fn dim(&self) -> usize {
        self.dim
    }

    fn len(&self) -> usize {
        self.dim
    }

    fn map(&self, embedding: &[f32], inverse_norm: f64, out: &mut [f64]) {
        for (out, &x) in out.iter_mut().zip(embedding) {
            *out = f64::from(x) * inverse_norm;
        }
    }

    fn whitening(&self) -> Option<&Mat<f64>> {
        None
    }
}

/// The prompts of a history by their features, computed whenever they are asked for.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    pub(super) features: &'a dyn Features,
    queries: Queries<'a>,
    inverse_norms: Vec<f64>,
}

impl<'a> Rows<'a> {
    /// # Errors
    /// [`FitError::ZeroVector`] names the first prompt whose embedding has no direction.
    pub(super) fn new(history: &'a History, features: &'a dyn Features) -> Result<Self, FitError> {
        let inverse_norms = inverse_norms(history)?;
        Ok(Self { features, queries: history.queries(), inverse_norms })
    }

    /// `p(x_r)` for one row.
    pub(super) fn map(&self, row: usize, out: &mut [f64]) {
        let embedding = self.queries.query(row).embedding;
        self.features.map(embedding, self.inverse_norms[row], out);
    }

    /// `p(x_r) - m` for some rows, row-major `(rows.len(), len)`.
    pub(super) fn centered(&self, rows: &[usize], mean: &[f64]) -> Vec<f64> {
        let mut centered = vec![0.0; rows.len() * mean.len()];
        for (&row, out) in rows.iter().zip(centered.chunks_exact_mut(mean.len())) {
            self.map(row, out);
            out.iter_mut().zip(mean).for_each(|(x, mean)| *x -= mean);
        }
        centered
    }
}
