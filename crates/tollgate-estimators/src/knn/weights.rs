//! How much each neighbor counts.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{FitError, History};

use crate::vector::{dot, dot_f64, inverse_norms};

/// What is added to a cosine distance before it is inverted: prompts much nearer than
/// this to the query count the same.
const SOFTENING: f64 = 0.1;

/// The penalty of the local regression, in units of the neighbors' mean squared distance
/// to their center plus the query's: of 0.05, 0.1, 0.2, 0.5 and 1 a compromise between a stream
/// that wants stronger planes and one that wants flatter.
const LOCAL_PENALTY: f64 = 0.1;

/// How neighbors are weighted against each other.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// All the same.
    #[default]
    Uniform,
    /// By inverse distance: proportional to `1 / (1.1 - similarity)`.
    Similarity,
    /// By linear regression on the neighbors, themselves weighted by similarity: weights
    /// sum to 1 and may be negative. See [`Knn`](super::Knn), equations (5) to (7).
    Linear,
}

impl fmt::Display for Weighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uniform => "uniform",
            Self::Similarity => "similarity",
            Self::Linear => "linear",
        })
    }
}

/// [`Weighting`] with what it needs of a history.
#[derive(Debug)]
pub(super) enum Weigher {
    Uniform,
    Similarity,
    Linear(Rows),
}

impl Weigher {
    pub(super) fn new(weighting: Weighting, history: &History) -> Result<Self, FitError> {
        Ok(match weighting {
            Weighting::Uniform => Self::Uniform,
            Weighting::Similarity => Self::Similarity,
            Weighting::Linear => Self::Linear(Rows::new(history)?),
        })
    }

    pub(super) fn weighting(&self) -> Weighting {
        match self {
            Self::Uniform => Weighting::Uniform,
            Self::Similarity => Weighting::Similarity,
            Self::Linear(_) => Weighting::Linear,
        }
    }

    /// The weights of the neighbors, in their order, up to a common factor `> 0`.
    pub(super) fn weigh<'a>(
        &self,
        query: &[f32],
        neighbors: &[(f64, u32)],
        work: &'a mut Vec<f64>,
    ) -> &'a [f64] {
        match self {
            Self::Uniform => {
                work.clear();
                work.resize(neighbors.len(), 1.0);
            }
            Self::Similarity => {
                work.clear();
                work.extend(neighbors.iter().map(|&(similarity, _)| by_distance(similarity)));
            }
            Self::Linear(rows) => rows.weigh(query, neighbors, work),
        }
        &work[..neighbors.len()]
    }
}

fn by_distance(similarity: f64) -> f64 {
    // Rounding may put the similarity of equal directions above 1.
    1.0 / ((1.0 - similarity).max(0.0) + SOFTENING)
}

/// The history's embeddings, shared, and one over their lengths.
#[derive(Debug)]
pub(super) struct Rows {
    embeddings: Arc<[f32]>,
    inverse_norms: Vec<f64>,
    dim: usize,
}

impl Rows {
    fn new(history: &History) -> Result<Self, FitError> {
        let inverse_norms = inverse_norms(history)?;
        Ok(Self { embeddings: history.embeddings().clone(), inverse_norms, dim: history.dim() })
    }

    /// Equations (5) to (7): leaves the weights in the first places of `work`.
    fn weigh(&self, query: &[f32], neighbors: &[(f64, u32)], work: &mut Vec<f64>) {
        let (k, dim) = (neighbors.len(), self.dim);
        work.clear();
        work.resize(2 * k + k * k + (k + 2) * dim, 0.0);
        let (weights, rest) = work.split_at_mut(k);
        let (pulls, rest) = rest.split_at_mut(k);
        let (gram, rest) = rest.split_at_mut(k * k);
        let (offset, rest) = rest.split_at_mut(dim);
        let (center, scaled) = rest.split_at_mut(dim);

        let total: f64 = neighbors.iter().map(|&(similarity, _)| by_distance(similarity)).sum();
        for (weight, &(similarity, _)) in weights.iter_mut().zip(neighbors) {
            *weight = by_distance(similarity) / total;
        }
        for (&weight, &(_, row)) in weights.iter().zip(neighbors) {
            self.direction(row, |at, x| center[at] += weight * x);
        }
        for ((scaled, &weight), &(_, row)) in
            scaled.chunks_exact_mut(dim).zip(weights.iter()).zip(neighbors)
        {
            let root = weight.sqrt();
            self.direction(row, |at, x| scaled[at] = root * (x - center[at]));
        }
        let inverse = 1.0 / dot(query, query).sqrt();
        for ((offset, center), &x) in offset.iter_mut().zip(center.iter()).zip(query) {
            *offset = f64::from(x) * inverse - center;
        }

        let row = |r: usize| &scaled[r * dim..(r + 1) * dim];
        for r in 0..k {
            pulls[r] = dot_f64(row(r), offset);
            for s in 0..=r {
                gram[r * k + s] = dot_f64(row(r), row(s));
            }
        }
        let trace: f64 = (0..k).map(|r| gram[r * k + r]).sum();
        let penalty = LOCAL_PENALTY * (trace + dot_f64(offset, offset));
        // Neighbors that are all copies of the query have no slope.
        if penalty == 0.0 {
            return;
        }
        for r in 0..k {
            gram[r * k + r] += penalty;
        }
        solve_in_place(gram, pulls);
        for (weight, pull) in weights.iter_mut().zip(pulls) {
            *weight += weight.sqrt() * *pull;
        }
    }

    /// Calls `each` with the coordinates of a row's direction.
    fn direction(&self, row: u32, mut each: impl FnMut(usize, f64)) {
        let row = row as usize;
        let inverse = self.inverse_norms[row];
        for (at, &x) in self.embeddings[row * self.dim..(row + 1) * self.dim].iter().enumerate() {
            each(at, f64::from(x) * inverse);
        }
    }
}

/// Solves `A x = b` by Cholesky's method: `matrix` is the lower triangle of `A`, row-major,
/// positive definite, and is overwritten; `b` goes in as `right` and `x` comes out.
fn solve_in_place(matrix: &mut [f64], right: &mut [f64]) {
    let n = right.len();
    for r in 0..n {
        let (above, row) = matrix.split_at_mut(r * n);
        for s in 0..r {
            let pivot = &above[s * n..=s * n + s];
            let known = dot_f64(&row[..s], &pivot[..s]);
            row[s] = (row[s] - known) / pivot[s];
        }
        row[r] = (row[r] - dot_f64(&row[..r], &row[..r])).sqrt();
        right[r] = (right[r] - dot_f64(&row[..r], &right[..r])) / row[r];
    }
    for r in (0..n).rev() {
        right[r] /= matrix[r * n + r];
        let solved = right[r];
        for (right, factor) in right[..r].iter_mut().zip(&matrix[r * n..r * n + r]) {
            *right -= factor * solved;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[[4, 2], [2, 5]] x = [10, 13]` has the solution (3/2, 2).
    #[test]
    fn a_system_by_hand() {
        let (mut matrix, mut right) = ([4.0, 0.0, 2.0, 5.0], [10.0, 13.0]);
        solve_in_place(&mut matrix, &mut right);
        assert!((right[0] - 1.5).abs() < 1e-12 && (right[1] - 2.0).abs() < 1e-12, "{right:?}");
    }
}
