//! The exact index: looks at every row.
//!
//! # Problem
//!
//! ```text
//! s_r(x) = (x . x_r) / (|x| |x_r|)                                               (1)
//! find the k rows with the highest s_r(x), the lower row first among equals
//! ```
//!
//! # Method
//!
//! (1) in the canonical dot product decides, but it is not computed for every row. Every
//! row is *screened* with an `f32` dot product, whose cosine is within `e` of (1); a row
//! that is more than `2 e` below the `k`-th best of the screen has `k` rows above it in
//! (1) as well, and is dropped; the few that are left are scored by (1). For `d = 384`
//! `e` is `2.3e-5`. However the screen orders its sums, the answer is the same bit for
//! bit, so one query screens row by row (bound by memory), and a block of queries by
//! matrix products, 256 x 1024 at a time, several times faster a query.
//!
//! Cost: `O(n d)` a query, plus `O(d)` for each candidate; no build, no memory of its own
//! but one number a row.
//!
//! # Limits
//!
//! Where a length leaves the range in which `f32` products are safe (below 2e-10 or
//! above 4e9), the screen is left out and (1) is computed for every row.

use std::sync::Arc;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use tollgate_core::{EstimateError, FitError, History, ParamError, Queries, Query, Scratch};

use super::{Capabilities, Index, RowSets};
use crate::vector::{F32_LENGTHS, checked_norm, dot, dot_f32, dot_f32_error, inverse_norms};

/// Rows a matrix product: 1024 rows of 384 `f32` are 1.5 MB, a second-level cache.
const ROW_BLOCK: usize = 1024;

/// Compares every row; exact, without a build.
#[derive(Clone, Debug)]
pub struct ExactScan {
    /// Row-major `(n_rows, dim)`.
    rows: Arc<[f32]>,
    dim: usize,
    /// `1 / |x_r|`.
    inverse_norms: Vec<f64>,
    /// `e` of the screen; infinite where lengths are beyond it.
    error: f64,
}

impl ExactScan {
    /// An index of the history's prompts, whose embeddings it shares.
    ///
    /// # Errors
    /// [`FitError::ZeroVector`] names the first embedding without a direction.
    pub fn new(history: &History) -> Result<Self, FitError> {
        let inverse_norms = inverse_norms(history)?;
        if u32::try_from(history.len()).is_err() {
            let got = history.len() as f64;
            return Err(ParamError { field: "rows", rule: "below 2^32", got }.into());
        }
        let screened = inverse_norms.iter().all(|inverse| F32_LENGTHS.contains(&(1.0 / inverse)));
        let error = if screened { dot_f32_error(history.dim()) } else { f64::INFINITY };
        Ok(Self { rows: history.embeddings().clone(), dim: history.dim(), inverse_norms, error })
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.rows[row * self.dim..(row + 1) * self.dim]
    }

    /// Equation (1).
    fn similarity(&self, query: &[f32], inverse_norm: f64, row: usize) -> f64 {
        dot(query, self.row(row)) * self.inverse_norms[row] * inverse_norm
    }

    /// From the candidates of the screen to the `k` nearest.
    fn refine(&self, query: &[f32], norm: f64, k: usize, scored: &mut Vec<(f64, u32)>) {
        let inverse_norm = 1.0 / norm;
        for (similarity, row) in scored.iter_mut() {
            *similarity = self.similarity(query, inverse_norm, *row as usize);
        }
        let nearer = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if k < scored.len() {
            scored.select_nth_unstable_by(k, nearer);
            scored.truncate(k);
        }
        scored.sort_unstable_by(nearer);
    }
}

impl Index for ExactScan {
    fn name(&self) -> &'static str {
        "scan"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { exact: true, reproducible: true, insert: false, persist: false }
    }

    fn n_rows(&self) -> usize {
        self.inverse_norms.len()
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn nearest_into(
        &self,
        query: Query<'_>,
        k: usize,
        sets: &RowSets,
        exclude: Option<u32>,
        scratch: &mut Scratch,
    ) -> Result<(), EstimateError> {
        let query = query.embedding;
        let norm = checked_norm(query, self.dim)?;
        let inverse_norm = 1.0 / norm;
        let mut screen = std::mem::take(&mut scratch.floats);
        screen.clear();
        let rows = self.rows.chunks_exact(self.dim).zip(&self.inverse_norms);
        let error = if F32_LENGTHS.contains(&norm) && self.error.is_finite() {
            screen.extend(
                rows.map(|(row, inverse)| f64::from(dot_f32(query, row)) * inverse * inverse_norm),
            );
            self.error
        } else {
            screen.extend((0..self.n_rows()).map(|row| self.similarity(query, inverse_norm, row)));
            0.0
        };
        for set in 0..sets.n_sets() {
            let scored = &mut scratch.child(set).scored;
            scored.clear();
            let mut selection = Selection::new(k, error);
            selection.offer(&screen, 0, sets.mask(set), exclude, scored);
            selection.compact(scored);
            self.refine(query, norm, k, scored);
        }
        scratch.floats = screen;
        Ok(())
    }

    fn nearest_block(
        &self,
        queries: Queries<'_>,
        k: usize,
        sets: &RowSets,
        exclude_from: Option<u32>,
        scratch: &mut Scratch,
    ) -> Result<(), EstimateError> {
        let n_queries = queries.len();
        let norms = (0..n_queries)
            .map(|index| checked_norm(queries.query(index).embedding, self.dim))
            .collect::<Result<Vec<f64>, _>>()?;
        let exclude = |index: usize| exclude_from.map(|first| first + small(index));
        if !self.error.is_finite() || !norms.iter().all(|norm| F32_LENGTHS.contains(norm)) {
            for index in 0..n_queries {
                let child = scratch.child(index);
                self.nearest_into(queries.query(index), k, sets, exclude(index), child)?;
            }
            return Ok(());
        }
        let mut selections = vec![Selection::new(k, self.error); n_queries * sets.n_sets()];
        for index in 0..n_queries {
            for set in 0..sets.n_sets() {
                scratch.child(index).child(set).scored.clear();
            }
        }
        let left = &queries.embeddings[..n_queries * self.dim];
        let left = MatRef::from_row_major_slice(left, n_queries, self.dim);
        let mut products = vec![0.0_f32; n_queries * ROW_BLOCK];
        let mut screen = Vec::with_capacity(ROW_BLOCK);
        for (block, rows) in self.rows.chunks(ROW_BLOCK * self.dim).enumerate() {
            let first = block * ROW_BLOCK;
            let n_rows = rows.len() / self.dim;
            let products = &mut products[..n_queries * n_rows];
            matmul(
                MatMut::from_row_major_slice_mut(products, n_queries, n_rows),
                Accum::Replace,
                left,
                MatRef::from_row_major_slice(rows, n_rows, self.dim).transpose(),
                1.0,
                Par::Seq,
            );
            let inverse_norms = &self.inverse_norms[first..first + n_rows];
            for (index, products) in products.chunks_exact(n_rows).enumerate() {
                let inverse_norm = 1.0 / norms[index];
                screen.clear();
                screen.extend(
                    products
                        .iter()
                        .zip(inverse_norms)
                        .map(|(&product, inverse)| f64::from(product) * inverse * inverse_norm),
                );
                for set in 0..sets.n_sets() {
                    let mask = sets.mask(set).map(|mask| &mask[first..first + n_rows]);
                    selections[index * sets.n_sets() + set].offer(
                        &screen,
                        first,
                        mask,
                        exclude(index),
                        &mut scratch.child(index).child(set).scored,
                    );
                }
            }
        }
        for index in 0..n_queries {
            let query = queries.query(index).embedding;
            for set in 0..sets.n_sets() {
                let scored = &mut scratch.child(index).child(set).scored;
                selections[index * sets.n_sets() + set].compact(scored);
                self.refine(query, norms[index], k, scored);
            }
        }
        Ok(())
    }
}

/// Keeps every row that may be among the `k` nearest, as the screen goes by.
#[derive(Clone, Copy, Debug)]
struct Selection {
    k: usize,
    /// `2 e`: what separates two rows whose order the screen is sure of.
    slack: f64,
    /// Rows below are out: the `k`-th best of the screen so far, less the slack.
    threshold: f64,
    /// Candidates that may pile up before the threshold is raised. Grows with the
    /// number of those that stay, so that `n` equal rows do not cost `n^2`.
    full: usize,
}

impl Selection {
    fn new(k: usize, error: f64) -> Self {
        let threshold = if k == 0 { f64::INFINITY } else { f64::NEG_INFINITY };
        Self { k, slack: 2.0 * error, threshold, full: Self::room(k) }
    }

    fn room(kept: usize) -> usize {
        (4 * kept).max(64)
    }

    /// Looks at the rows from `first` on.
    fn offer(
        &mut self,
        screen: &[f64],
        first: usize,
        mask: Option<&[bool]>,
        exclude: Option<u32>,
        scored: &mut Vec<(f64, u32)>,
    ) {
        const STEP: usize = 16;
        for (step, values) in screen.chunks(STEP).enumerate() {
            // Hardly any row passes: ask about sixteen at once, without a branch each.
            if values.iter().filter(|&&value| value >= self.threshold).count() == 0 {
                continue;
            }
            for (offset, &value) in values.iter().enumerate() {
                let at = step * STEP + offset;
                let row = small(first + at);
                if value >= self.threshold
                    && mask.is_none_or(|mask| mask[at])
                    && exclude != Some(row)
                {
                    scored.push((value, row));
                }
            }
            if scored.len() >= self.full {
                self.compact(scored);
            }
        }
    }

    /// Raises the threshold and drops what is below it.
    fn compact(&mut self, scored: &mut Vec<(f64, u32)>) {
        if self.k > 0 && self.k < scored.len() {
            let (_, kth, _) = scored.select_nth_unstable_by(self.k - 1, |a, b| b.0.total_cmp(&a.0));
            self.threshold = kth.0 - self.slack;
            scored.retain(|candidate| candidate.0 >= self.threshold);
        }
        self.full = Self::room(scored.len());
    }
}

/// A row number as neighbors carry it.
fn small(row: usize) -> u32 {
    u32::try_from(row).expect("an index refuses more rows than that")
}

#[cfg(test)]
#[path = "scan/tests.rs"]
mod tests;
