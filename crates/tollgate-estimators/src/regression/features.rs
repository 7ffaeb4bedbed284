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

    /// As [`map`](Self::map) up to rounding, for some embeddings; `embeddings` is row-major
    /// `(inverse_norms.len(), dim)`, `out` row-major with `len` columns.
    fn map_block(&self, embeddings: &[f32], inverse_norms: &[f64], out: &mut [f64]) {
        let rows = embeddings.chunks_exact(self.dim()).zip(inverse_norms);
        for ((embedding, &inverse_norm), out) in rows.zip(out.chunks_exact_mut(self.len())) {
            self.map(embedding, inverse_norm, out);
        }
    }

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

    /// `p(x_r)` for some rows, row-major `(rows.len(), len)`.
    pub(super) fn map(&self, rows: &[usize], out: &mut [f64]) {
        let embeddings: Vec<f32> =
            rows.iter().flat_map(|&row| self.queries.query(row).embedding).copied().collect();
        let inverse_norms: Vec<f64> = rows.iter().map(|&row| self.inverse_norms[row]).collect();
        self.features.map_block(&embeddings, &inverse_norms, out);
    }

    /// `p(x_r) - m` for some rows, row-major `(rows.len(), len)`.
    pub(super) fn centered(&self, rows: &[usize], mean: &[f64]) -> Vec<f64> {
        let mut centered = vec![0.0; rows.len() * mean.len()];
        self.map(rows, &mut centered);
        for out in centered.chunks_exact_mut(mean.len()) {
            out.iter_mut().zip(mean).for_each(|(x, mean)| *x -= mean);
        }
        centered
    }
}
