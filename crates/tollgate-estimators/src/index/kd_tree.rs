//! The exact index by a tree: looks at few rows where the embeddings have few dimensions.
//!
//! # Problem
//!
//! As in the scan: the `k` rows with the highest cosine similarity, the lower row first
//! among equals, the same bits whatever the index.
//!
//! # Method
//!
//! Filter and refine. With `z_r = x_r / |x_r| - m`, `m` the mean direction, and `V` the
//! first 15 principal axes, which are orthonormal, every row becomes a point in 16
//! dimensions,
//!
//! ```text
//! p_r = (V' z_r, |z_r - V V' z_r|)                                               (1)
//! |p_r - p_q|^2 <= |z_r - z_q|^2 = 2 - 2 s_r                                     (2)
//! ```
//!
//! by Pythagoras and the triangle inequality for what lies across the axes, so that
//!
//! ```text
//! s_r <= 1 - |p_r - p_q|^2 / 2                                                   (3)
//! ```
//!
//! A k-d tree over the points finds some neighbors by (1); the `k`-th best of their exact
//! similarities is a radius by (2); the tree finds what lies within it, and those rows are
//! scored from the nearest point on, until (3) is below the `k`-th best. A row that was
//! never scored is below, by (3), so the answer is that of the scan. (3) is widened by
//! 1e-9 for rounding, thousands of times what 16 dimensions in `f64` can add up to.
//!
//! Cost: one query takes what the tree and the candidates take, which only a measurement
//! tells: [`KdTree::nearest_counted`] reports how many rows were scored. A fit takes
//! `O(d^3)` for the axes, from at most 4096 rows, and `O(n d)` for the points.
//!
//! # Limits
//!
//! The tree pays where 15 axes hold nearly all of the variance. Embeddings of sentences
//! are not like that: on 14,744 prompts of `RouteLLM` in 384 dimensions most rows lie within
//! the radius, and a query takes 40 times as long as by the scan. Sets of rows are filtered
//! after the tree, so a set with few rows costs more. The tree allocates for every query.
//!
//! # References
//!
//! J. L. Bentley, *Multidimensional binary search trees used for associative searching*,
//! Communications of the ACM 18(9), 1975, doi:10.1145/361002.361007.
//!
//! T. Seidl, H.-P. Kriegel, *Optimal multi-step k-nearest neighbor search*, SIGMOD 1998,
//! doi:10.1145/276304.276319, for the order in which candidates are scored.

use std::fmt;
use std::num::NonZero;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par, Side};
use kiddo::{ImmutableKdTree, SquaredEuclidean};
use tollgate_core::{EstimateError, FitError, History, Query, Scratch};

use super::scan::keep_nearest;
use super::{Capabilities, ExactScan, Index, RowSets, check_grown};
use crate::vector::{checked_norm, dot_f64};

/// Dimensions of the tree: the axes, and the length of the rest.
const POINT: usize = 16;

/// Rows the axes are computed from, at most; any axes are exact.
const SAMPLE: usize = 4096;

/// Points the first radius comes from, at least.
const FIRST: usize = 32;

/// What (2) and (3) are widened by.
const SLACK: f64 = 1e-9;

/// Finds neighbors by a k-d tree over principal axes; exact.
pub struct KdTree {
    /// The rows and their exact similarities.
    rows: ExactScan,
    frame: Frame,
    tree: ImmutableKdTree<f64, POINT>,
}

impl KdTree {
    /// An index of the history's prompts, whose embeddings it shares.
    ///
    /// # Errors
    /// [`FitError::ZeroVector`] names the first embedding without a direction;
    /// [`FitError::Other`] if the axes or the tree cannot be made.
    pub fn new(history: &History) -> Result<Self, FitError> {
        let rows = ExactScan::with_codes(history, false)?;
        let frame = Frame::new(&rows)?;
        let mut centered = Vec::new();
        let points: Vec<[f64; POINT]> = (0..rows.n_rows())
            .map(|row| frame.point(rows.row(row), rows.inverse_norm(row), &mut centered))
            .collect();
        let tree = ImmutableKdTree::new_from_slice(&points)
            .map_err(|error| other(format!("the tree cannot be built: {error:?}")))?;
        Ok(Self { rows, frame, tree })
    }

    /// As [`Index::nearest_into`]; answers how many similarities were computed, over all
    /// sets.
    ///
    /// # Errors
    /// As [`Index::nearest_into`].
    pub fn nearest_counted(
        &self,
        query: Query<'_>,
        k: usize,
        sets: &RowSets,
        exclude: Option<u32>,
        scratch: &mut Scratch,
    ) -> Result<usize, EstimateError> {
        let query = query.embedding;
        let norm = checked_norm(query, self.dim())?;
        let point = self.frame.point(query, 1.0 / norm, &mut scratch.floats);
        let mut count = 0;
        for set in 0..sets.n_sets() {
            let wanted = |row: u32| sets.contains(set, row as usize) && exclude != Some(row);
            let scored = &mut scratch.child(set).scored;
            scored.clear();
            if k == 0 {
                continue;
            }
            let mut points = k.max(FIRST);
            while let Some(n) = NonZero::new(points.min(self.n_rows())) {
                let near = self.tree.query(&point).nearest_n::<SquaredEuclidean<f64>>(n).execute();
                scored.clear();
                let near = near.iter().filter(|near| wanted(near.item));
                scored.extend(near.map(|near| (0.0, near.item)));
                if scored.len() >= k || n.get() == self.n_rows() {
                    break;
                }
                points = points.saturating_mul(4);
            }
            for (similarity, row) in scored.iter_mut() {
                *similarity = self.rows.similarity(query, 1.0 / norm, *row as usize);
            }
            count += scored.len();
            keep_nearest(k, scored);
            if scored.len() < k {
                continue;
            }
            let radius = 2.0 - 2.0 * scored[k - 1].0 + SLACK;
            let within = self.tree.query(&point).within::<SquaredEuclidean<f64>>(radius);
            scored.clear();
            let within = within.unsorted().execute();
            let within = within.iter().filter(|near| wanted(near.item));
            scored.extend(within.map(|near| (1.0 - near.distance / 2.0 + SLACK, near.item)));
            count += self.rows.refine(query, norm, k, scored);
        }
        Ok(count)
    }
}

impl Index for KdTree {
    fn name(&self) -> &'static str {
        "kd-tree"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { exact: true, reproducible: true, insert: false, persist: false }
    }

    fn n_rows(&self) -> usize {
        self.rows.n_rows()
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Index>, FitError> {
        check_grown(history, self.n_rows(), self.dim())?;
        Ok(Box::new(Self::new(history)?))
    }

    fn dim(&self) -> usize {
        self.rows.dim()
    }

    fn nearest_into(
        &self,
        query: Query<'_>,
        k: usize,
        sets: &RowSets,
        exclude: Option<u32>,
        scratch: &mut Scratch,
    ) -> Result<(), EstimateError> {
        self.nearest_counted(query, k, sets, exclude, scratch).map(drop)
    }
}

impl fmt::Debug for KdTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KdTree").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// `m` and `V` of (1).
#[derive(Debug)]
struct Frame {
    mean: Vec<f64>,
    /// Row-major `(n_axes, dim)`, orthonormal.
    axes: Vec<f64>,
}

impl Frame {
    fn new(rows: &ExactScan) -> Result<Self, FitError> {
        let dim = rows.dim();
        let step = rows.n_rows().div_ceil(SAMPLE);
        let sample: Vec<usize> = (0..rows.n_rows()).step_by(step).collect();
        let mut units = Vec::with_capacity(sample.len() * dim);
        let mut mean = vec![0.0; dim];
        for &row in &sample {
            let unit = rows.row(row).iter().map(|&x| f64::from(x) * rows.inverse_norm(row));
            for (sum, x) in mean.iter_mut().zip(unit) {
                *sum += x;
                units.push(x);
            }
        }
        for sum in &mut mean {
            *sum /= sample.len() as f64;
        }
        for unit in units.chunks_exact_mut(dim) {
            unit.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean);
        }
        let units = MatRef::from_row_major_slice(&units, sample.len(), dim);
        let mut gram = Mat::<f64>::zeros(dim, dim);
        matmul(gram.as_mut(), Accum::Replace, units.transpose(), units, 1.0, Par::Seq);
        let eigen = gram
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_evd| other("the eigendecomposition did not converge".to_owned()))?;
        // Eigenvalues come in ascending order.
        let first = dim.saturating_sub(POINT - 1);
        let axes = (first..dim)
            .flat_map(|axis| (0..dim).map(move |at| (at, axis)))
            .map(|(at, axis)| eigen.U()[(at, axis)])
            .collect();
        Ok(Self { mean, axes })
    }

    /// Equation (1).
    fn point(&self, x: &[f32], inverse_norm: f64, centered: &mut Vec<f64>) -> [f64; POINT] {
        centered.clear();
        let unit = x.iter().map(|&x| f64::from(x) * inverse_norm);
        centered.extend(unit.zip(&self.mean).map(|(x, mean)| x - mean));
        let mut point = [0.0; POINT];
        let axes = self.axes.chunks_exact(centered.len());
        for (out, axis) in point.iter_mut().zip(axes.clone()) {
            *out = dot_f64(centered, axis);
        }
        for (&along, axis) in point.iter().zip(axes) {
            centered.iter_mut().zip(axis).for_each(|(x, axis)| *x -= along * axis);
        }
        point[POINT - 1] = dot_f64(centered, centered).sqrt();
        point
    }
}

fn other(cause: String) -> FitError {
    FitError::Other { recipe: "kd-tree".to_owned(), source: cause.into() }
}

#[cfg(test)]
#[path = "kd_tree/tests.rs"]
mod tests;
