//! The eigendecomposition that makes every penalty cheap. Equation numbers are those of
//! [`super`].

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use tollgate_core::BoxError;

use super::features::Features;
use super::moments::Moments;
use crate::axes::product;
use crate::vector::dot_f64;

/// Eigenvalues below this share of the largest are rounding errors of 0.
const RANK_TOLERANCE: f64 = 1e-10;

/// Axes that a query's leverage is computed along one by one.
pub(super) const AXES: usize = 64;

/// `C = V L V'` of the prompts in a set, zero eigenvalues left out.
#[derive(Debug)]
pub(super) struct Spectrum {
    n: usize,
    /// `m`.
    pub(super) mean: Vec<f64>,
    /// The diagonal of `L`, descending, `> 0`.
    pub(super) values: Vec<f64>,
    /// `V' W'`, row-major `(rank, len)`.
    basis: Vec<f64>,
    /// The mean of all eigenvalues; 1 where all prompts are the same.
    pub(super) scale: f64,
    /// `W W' m`.
    anchor: Vec<f64>,
}

impl Spectrum {
    pub(super) fn new(moments: &Moments, features: &dyn Features) -> Result<Self, BoxError> {
        let mean = moments.mean();
        let squares = moments.centered_squares();
        let c = match features.whitening() {
            None => squares,
            Some(w) => product(w.transpose(), product(squares.as_ref(), w.as_ref()).as_ref()),
        };
        let size = c.nrows();
        let eigen = c.self_adjoint_eigen(Side::Lower).map_err(|_evd| NotConverged { size })?;
        let all: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
        let largest = all.last().copied().unwrap_or(0.0).max(0.0);
        let rank = all.iter().filter(|&&value| value > RANK_TOLERANCE * largest).count();
        let values: Vec<f64> = all.iter().rev().take(rank).copied().collect();
        let vectors = eigen.U().subcols(size - rank, rank).reverse_cols();
        let mut basis = vec![0.0; rank * mean.len()];
        let out = MatMut::from_row_major_slice_mut(&mut basis, rank, mean.len());
        let anchor = match features.whitening() {
            None => {
                let mut out = out;
                out.copy_from(vectors.transpose());
                mean.clone()
            }
            Some(w) => {
                matmul(out, Accum::Replace, vectors.transpose(), w.transpose(), 1.0, Par::Seq);
                let m = MatRef::from_column_major_slice(&mean, mean.len(), 1);
                let anchor = product(w.as_ref(), product(w.transpose(), m).as_ref());
                anchor.col(0).iter().copied().collect()
            }
        };
        let scale = values.iter().sum::<f64>() / size as f64;
        let scale = if scale > 0.0 { scale } else { 1.0 };
        Ok(Self { n: moments.n, mean, values, basis, scale, anchor })
    }

    pub(super) fn rank(&self) -> usize {
        self.values.len()
    }

    /// `V' W'`.
    pub(super) fn basis(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(&self.basis, self.rank(), self.mean.len())
    }

    /// Equation (4) of rows of the history, whose coordinates along all axes are given,
    /// `(rows, penalties)`.
    pub(super) fn leverages(&self, projected: MatRef<'_, f64>, lambdas: &[f64]) -> Mat<f64> {
        let squares = Mat::from_fn(projected.nrows(), projected.ncols(), |row, axis| {
            projected[(row, axis)].powi(2)
        });
        let inverses = Mat::from_fn(self.rank(), lambdas.len(), |axis, step| {
            1.0 / (self.values[axis] + lambdas[step])
        });
        let mut leverages =
            Mat::from_fn(projected.nrows(), lambdas.len(), |_, _| 1.0 / self.n as f64);
        let (squares, inverses) = (squares.as_ref(), inverses.as_ref());
        matmul(leverages.as_mut(), Accum::Add, squares, inverses, 1.0, Par::Seq);
        leverages
    }

    /// The squared lengths of the parts of some rows that no axis sees, from the features
    /// less their mean, row-major, and their coordinates along all axes.
    pub(super) fn unseen(&self, centered: &[f64], projected: MatRef<'_, f64>) -> Vec<f64> {
        let length = dot_f64(&self.anchor, &self.mean);
        let rows = centered.chunks_exact(self.mean.len()).enumerate();
        rows.map(|(row, centered)| {
            let energy = 1.0 - length - 2.0 * dot_f64(&self.anchor, centered);
            let seen: f64 = projected.row(row).iter().map(|x| x * x).sum();
            // What is less than rounding leaves is nothing.
            Some(energy - seen).filter(|&unseen| unseen > 1e-9).unwrap_or(0.0)
        })
        .collect()
    }

    /// Equation (4) for queries, for some penalties.
    pub(super) fn gauge(&self, lambdas: &[f64]) -> Gauge {
        let (n, p) = (self.n as f64, self.mean.len());
        let kept = self.rank().min(AXES);
        let axes = self.basis[..kept * p].to_vec();
        let length = dot_f64(&self.anchor, &self.mean);
        let inverse = |value: f64, lambda: f64| 1.0 / (value + lambda);
        let inverses = lambdas.iter().flat_map(|&lambda| {
            self.values[..kept].iter().map(move |&value| inverse(value, lambda))
        });
        let left_out = &self.values[kept..];
        // What no axis sees: directions are of length 1, and so are kernels of a prompt
        // with itself.
        let unseen = (n * (1.0 - length) - self.values.iter().sum::<f64>()).max(0.0);
        let rest = lambdas.iter().map(|&lambda| {
            if left_out.is_empty() {
                return 1.0 / lambda;
            }
            let along: f64 = left_out.iter().map(|&value| value * inverse(value, lambda)).sum();
            (along + unseen / lambda) / (left_out.iter().sum::<f64>() + unseen)
        });
        Gauge {
            offsets: axes.chunks_exact(p).map(|axis| dot_f64(axis, &self.mean)).collect(),
            inverses: inverses.collect(),
            rest: rest.collect(),
            axes,
            anchor: self.anchor.clone(),
            length,
            n,
        }
    }
}

/// The leverages of queries: exact along the first axes, right in the mean across them.
#[derive(Debug)]
pub(super) struct Gauge {
    n: f64,
    /// The first rows of `V' W'`.
    axes: Vec<f64>,
    /// `V' W' m`.
    offsets: Vec<f64>,
    /// `1 / (L + lambda)` on these axes, row-major `(penalties, axes)`.
    inverses: Vec<f64>,
    /// What a squared length across the axes counts, one for each penalty.
    rest: Vec<f64>,
    /// `W W' m`.
    anchor: Vec<f64>,
    /// `|W' m|^2`.
    length: f64,
}

impl Gauge {
    /// Overwrites the first values of `floats` with the leverages, one for each penalty.
    pub(super) fn leverages<'a>(&self, features: &[f64], floats: &'a mut [f64]) -> &'a [f64] {
        let (leverages, squares) = floats.split_at_mut(self.rest.len());
        let squares = &mut squares[..self.offsets.len()];
        let axes = self.axes.chunks_exact(features.len());
        for ((square, axis), offset) in squares.iter_mut().zip(axes).zip(&self.offsets) {
            *square = (dot_f64(axis, features) - offset).powi(2);
        }
        let energy = 1.0 - 2.0 * dot_f64(&self.anchor, features) + self.length;
        let across = (energy - squares.iter().sum::<f64>()).max(0.0);
        for (step, leverage) in leverages.iter_mut().enumerate() {
            let inverses = &self.inverses[step * squares.len()..][..squares.len()];
            *leverage = 1.0 / self.n + dot_f64(squares, inverses) + across * self.rest[step];
        }
        leverages
    }
}

/// An eigendecomposition that did not converge.
#[derive(Debug, thiserror::Error)]
#[error("the eigenvalues of the {size} x {size} matrix of the prompts did not converge")]
struct NotConverged {
    size: usize,
}
