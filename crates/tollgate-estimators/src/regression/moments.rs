//! The sums that a fit comes from.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::features::Rows;
use crate::labels::Labels;

/// Rows a matrix product.
const BLOCK: usize = 512;

/// Columns of the matrix of squares, or rows of features, that are one task.
const STRIPE: usize = 64;

/// The labels of a set: the scores of its models, and then their costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Targets<'a> {
    pub(super) labels: &'a Labels,
    pub(super) members: &'a [usize],
}

impl Targets<'_> {
    /// How many columns there are.
    pub(super) fn len(&self) -> usize {
        2 * self.members.len()
    }

    pub(super) fn label(&self, row: usize, column: usize) -> f64 {
        let n_members = self.members.len();
        let (table, member) = if column < n_members {
            (&self.labels.quality, column)
        } else {
            (&self.labels.cost, column - n_members)
        };
        table[row * self.labels.models.len() + self.members[member]]
    }

    /// The labels of some rows, `(rows.len(), len)`.
    pub(super) fn table(&self, rows: &[usize]) -> Mat<f64> {
        Mat::from_fn(rows.len(), self.len(), |at, column| self.label(rows[at], column))
    }
}

/// Sums over rows, of features `p` and labels `y`; more rows can be added.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    pub(super) n: usize,
    /// `sum_r p_r`.
    sum: Vec<f64>,
    /// `sum_r p_r p_r'`, column-major, below the diagonal and on it.
    squares: Vec<f64>,
    /// `sum_r p_r y_r'`.
    products: Mat<f64>,
    /// `sum_r y_r`.
    label_sum: Vec<f64>,
    /// `sum_r y_r y_r'`.
    label_squares: Mat<f64>,
}

impl Moments {
    pub(super) fn new(n_features: usize, n_labels: usize) -> Self {
        Self {
            n: 0,
            sum: vec![0.0; n_features],
            squares: vec![0.0; n_features * n_features],
            products: Mat::zeros(n_features, n_labels),
            label_sum: vec![0.0; n_labels],
            label_squares: Mat::zeros(n_labels, n_labels),
        }
    }

    /// Adds the given rows, in blocks of their own order.
    pub(super) fn extend(&mut self, rows: &Rows<'_>, targets: Targets<'_>, which: &[usize]) {
        let p = self.sum.len();
        for which in which.chunks(BLOCK) {
            let mut block = vec![0.0; which.len() * p];
            which
                .par_chunks(STRIPE)
                .zip(block.par_chunks_mut(STRIPE * p))
                .for_each(|(which, out)| rows.map(which, out));
            for row in block.chunks_exact(p) {
                self.sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
            let block = MatRef::from_row_major_slice(&block, which.len(), p);
            self.squares.par_chunks_mut(STRIPE * p).enumerate().for_each(|(stripe, out)| {
                let (first, width) = (stripe * STRIPE, out.len() / p);
                let out = MatMut::from_column_major_slice_mut(out, p, width);
                let left = block.subcols(first, p - first).transpose();
                let right = block.subcols(first, width);
                let below = out.subrows_mut(first, p - first);
                matmul(below, Accum::Add, left, right, 1.0, Par::Seq);
            });
            let table = targets.table(which);
            let add = |out: MatMut<'_, f64>, left: MatRef<'_, f64>| {
                matmul(out, Accum::Add, left.transpose(), table.as_ref(), 1.0, Par::Seq);
            };
            add(self.products.as_mut(), block);
            add(self.label_squares.as_mut(), table.as_ref());
            for (column, sum) in self.label_sum.iter_mut().enumerate() {
                *sum += table.col(column).iter().sum::<f64>();
            }
            self.n += which.len();
        }
    }

    /// `m`.
    pub(super) fn mean(&self) -> Vec<f64> {
        self.sum.iter().map(|sum| sum / self.n as f64).collect()
    }

    /// `a_i`.
    pub(super) fn label_means(&self) -> Vec<f64> {
        self.label_sum.iter().map(|sum| sum / self.n as f64).collect()
    }

    /// `sum_r (p_r - m)(p_r - m)'`.
    pub(super) fn centered_squares(&self) -> Mat<f64> {
        let p = self.sum.len();
        Mat::from_fn(p, p, |i, j| {
            let (low, high) = (i.min(j), i.max(j));
            self.squares[low * p + high] - self.sum[i] * (self.sum[j] / self.n as f64)
        })
    }

    /// `sum_r (p_r - m)(y_r - a)'`.
    pub(super) fn centered_products(&self) -> Mat<f64> {
        Mat::from_fn(self.sum.len(), self.label_sum.len(), |i, column| {
            self.products[(i, column)] - self.sum[i] * (self.label_sum[column] / self.n as f64)
        })
    }

    /// `sum_r (y_ri - a_i)(y_rj - a_j)`.
    pub(super) fn label_spread(&self, i: usize, j: usize) -> f64 {
        self.label_squares[(i, j)] - self.label_sum[i] * (self.label_sum[j] / self.n as f64)
    }
}
