//! The principal axes of a set's prompts: the coordinates in which heads are trained.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use rayon::prelude::*;
use tollgate_core::{BoxError, FitError, History, Queries};

use crate::vector::{dot_f64, inverse_norms};

/// Eigenvalues below this share of the largest are rounding errors of 0.
const RANK_TOLERANCE: f64 = 1e-12;

/// Prompts a matrix product.
const BLOCK: usize = 1024;

/// The prompts of a history, lengths divided out.
#[derive(Debug)]
pub(super) struct Directions<'a> {
    queries: Queries<'a>,
    inverse_norms: Vec<f64>,
}

impl<'a> Directions<'a> {
    pub(super) fn new(history: &'a History) -> Result<Self, FitError> {
        Ok(Self { queries: history.queries(), inverse_norms: inverse_norms(history)? })
    }

    /// `z_r` for some rows, row-major `(rows.len(), dim)`.
    fn centered(&self, rows: &[usize], mean: &[f64]) -> Vec<f64> {
        let mut centered = vec![0.0; rows.len() * mean.len()];
        for (&row, out) in rows.iter().zip(centered.chunks_exact_mut(mean.len())) {
            center(self.queries.query(row).embedding, self.inverse_norms[row], mean, out);
        }
        centered
    }
}

fn center(embedding: &[f32], inverse_norm: f64, mean: &[f64], out: &mut [f64]) {
    for ((out, &x), mean) in out.iter_mut().zip(embedding).zip(mean) {
        *out = f64::from(x) * inverse_norm - mean;
    }
}

/// The squared length of the part of `z` in which no prompt of the set varies.
pub(super) fn rest(centered: &[f64], projected: &[f64]) -> f64 {
    if projected.len() == centered.len() {
        return 0.0;
    }
    (dot_f64(centered, centered) - dot_f64(projected, projected)).max(0.0)
}

/// `C = V L V'` of the prompts in a set, zero eigenvalues left out.
#[derive(Clone, Debug)]
pub(super) struct Spectrum {
    rows: Vec<usize>,
    /// `m`.
    mean: Vec<f64>,
    /// The diagonal of `L`, descending, `> 0`.
    values: Vec<f64>,
    /// `V'`, row-major `(rank, dim)`.
    vectors: Vec<f64>,
    /// The mean of all `dim` eigenvalues; 1 where all prompts are the same.
    scale: f64,
}

impl Spectrum {
    pub(super) fn new(directions: &Directions<'_>, rows: Vec<usize>) -> Result<Self, BoxError> {
        let dim = directions.queries.dim;
        let n = rows.len();
        let mut mean = vec![0.0; dim];
        for unit in rows.chunks(BLOCK).map(|rows| directions.centered(rows, &vec![0.0; dim])) {
            for unit in unit.chunks_exact(dim) {
                mean.iter_mut().zip(unit).for_each(|(mean, x)| *mean += x / n as f64);
            }
        }
        let small = n.min(dim);
        let mut gram = Mat::<f64>::zeros(small, small);
        // With fewer prompts than dimensions all of them are one block.
        let block = if n < dim { n } else { BLOCK };
        for rows in rows.chunks(block) {
            let centered = directions.centered(rows, &mean);
            let z = MatRef::from_row_major_slice(&centered, rows.len(), dim);
            let (left, right) = if n < dim { (z, z.transpose()) } else { (z.transpose(), z) };
            matmul(gram.as_mut(), Accum::Add, left, right, 1.0, Par::Seq);
        }
        let eigen =
            gram.self_adjoint_eigen(Side::Lower).map_err(|_evd| NotConverged { size: small })?;
        let all: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
        let largest = all.last().copied().unwrap_or(0.0).max(0.0);
        let rank = all.iter().filter(|&&value| value > RANK_TOLERANCE * largest).count();
        let values: Vec<f64> = all.iter().rev().take(rank).copied().collect();
        let mut vectors = vec![0.0; rank * dim];
        let kept = eigen.U().subcols(small - rank, rank).reverse_cols();
        if n < dim {
            // C and the matrix of z_r . z_s share their eigenvalues; the vectors of C are
            // the z_r in the proportions of the other's, divided by the root.
            let centered = directions.centered(&rows, &mean);
            let z = MatRef::from_row_major_slice(&centered, n, dim);
            let out = MatMut::from_row_major_slice_mut(&mut vectors, rank, dim);
            matmul(out, Accum::Replace, kept.transpose(), z, 1.0, Par::Seq);
            for (vector, value) in vectors.chunks_exact_mut(dim).zip(&values) {
                for x in vector {
                    *x /= value.sqrt();
                }
            }
        } else {
            MatMut::from_row_major_slice_mut(&mut vectors, rank, dim).copy_from(kept.transpose());
        }
        let scale = values.iter().sum::<f64>() / dim as f64;
        let scale = if scale > 0.0 { scale } else { 1.0 };
        Ok(Self { rows, mean, values, vectors, scale })
    }

    pub(super) fn rows(&self) -> &[usize] {
        &self.rows
    }

    pub(super) fn rank(&self) -> usize {
        self.values.len()
    }

    /// The diagonal of `L`, descending, `> 0`; of shape `(rank,)`.
    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }

    /// The mean of all `dim` eigenvalues; 1 where all prompts are the same.
    pub(super) fn scale(&self) -> f64 {
        self.scale
    }

    /// `V' z_r` for every row of the set, row-major `(n_rows, rank)`.
    pub(super) fn project_rows(&self, directions: &Directions<'_>) -> Vec<f64> {
        let (dim, rank) = (self.mean.len(), self.rank());
        let mut projected = vec![0.0; self.rows.len() * rank];
        let blocks = projected.par_chunks_mut(BLOCK * rank.max(1));
        self.rows.par_chunks(BLOCK).zip(blocks).for_each(|(rows, out)| {
            let centered = directions.centered(rows, &self.mean);
            let out = MatMut::from_row_major_slice_mut(out, rows.len(), rank);
            let centered = MatRef::from_row_major_slice(&centered, rows.len(), dim);
            matmul(out, Accum::Replace, centered, self.basis().transpose(), 1.0, Par::Seq);
        });
        projected
    }

    /// `z(x)`.
    pub(super) fn center(&self, embedding: &[f32], inverse_norm: f64, out: &mut [f64]) {
        center(embedding, inverse_norm, &self.mean, out);
    }

    /// `V' z`.
    pub(super) fn project(&self, centered: &[f64], out: &mut [f64]) {
        for (out, vector) in out.iter_mut().zip(self.vectors.chunks_exact(centered.len())) {
            *out = dot_f64(vector, centered);
        }
    }

    /// `1/n + z' (C + lambda I)^-1 z`.
    pub(super) fn leverage(&self, projected: &[f64], rest: f64, lambda: f64) -> f64 {
        let along: f64 =
            projected.iter().zip(&self.values).map(|(z, value)| z * z / (value + lambda)).sum();
        1.0 / self.rows.len() as f64 + along + rest / lambda
    }

    fn basis(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(&self.vectors, self.rank(), self.mean.len())
    }
}

/// An eigendecomposition that did not converge.
#[derive(Debug, thiserror::Error)]
#[error("the eigenvalues of the {size} x {size} matrix of the prompts did not converge")]
struct NotConverged {
    size: usize,
}
