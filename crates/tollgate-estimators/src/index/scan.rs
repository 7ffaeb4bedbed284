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
//! row is *screened*: something cheaper gives numbers between which (1) must lie. A row
//! whose upper bound is below the `k`-th best lower bound has `k` rows above it in (1),
//! and is dropped. Those that are left are scored by (1) from the highest upper bound on,
//! until it is below the `k`-th best score. Whatever the screen, the answer is the same
//! bit for bit. There are three:
//!
//! * One query goes over *codes*, one byte a dimension, whose page proves the bound: a
//!   quarter of the memory, which is what a scan waits for. The codes are made when
//!   the index is, for dimensions from 64 to 4096, from 256 rows on, and where the
//!   machine has AVX2 or AVX-512 VNNI. With the latter, *half bytes* go before them, whose
//!   page proves a wider bound: what is below the `k`-th best lower bound so far needs no
//!   bytes. Where many rows are not (near copies), the bytes are read at once.
//! * Without codes, one query goes row by row in `f32`; cosines are within `e` of (1),
//!   for `d = 384` `2.4e-5`.
//! * A block of queries goes over half bytes and bytes sixteen at a time, so that a row is
//!   waited for once and not once a query. Without half bytes it takes matrix products in
//!   `f32`, 256 x 1024 at a time.
//!
//! Where more than a few rows stay after the codes (near copies), `f32` sorts them out
//! before (1) does.
//!
//! Cost: `O(n d)` a query, plus `O(d)` for each candidate. The codes take `n d` bytes, a
//! quarter of the memory of the embeddings, and half as much again with half bytes, of
//! which a query reads little more than the halves.
//!
//! What else was tried for one query, and is not here: the first 96 to 192 principal axes in
//! bytes, with the lengths of the rest as the bound, leave 4 % of 15,056 real prompts for 128
//! axes and 13 % for 96, half bytes 1 % for less work; prefetching nearer or farther than
//! 48 to 192 cache lines ahead, or without, is no faster; nor is it to bypass the caches.
//!
//! # Limits
//!
//! Where a length leaves the range in which `f32` products are safe (below 2e-10 or
//! above 4e9), the screen is left out and (1) is computed for every row.

mod among;
mod block;
mod coarse;
mod codes;
mod file;
mod selection;

use std::io::Write;
use std::sync::Arc;

use tollgate_core::{EstimateError, FitError, History, ParamError, Queries, Query, Scratch};

pub(super) use self::among::{Screened, Sought};
use self::block::Block;
use self::codes::Codes;
pub(super) use self::file::Header;
use self::file::Rows;
use self::selection::{Candidate, Run, Selection, small};
use super::hnsw::prefetch;
use super::products::Kernel;
use super::{Capabilities, Index, IndexFileError, RowSets, check_grown};
use crate::vector::{F32_LENGTHS, checked_norm, dot, dot_f32, dot_f32_error, inverse_norms};

/// Rows that one query is compared with at a time; their bounds stay on the stack.
const ROW_TILE: usize = 256;

/// Sets that are selected for in one pass; more of them take more passes.
const SET_GROUP: usize = 64;

/// From how many rows on codes pay for the coding of the query.
const MIN_CODED_ROWS: usize = 256;

/// Candidates of the codes that go straight to (1).
const FEW: usize = 64;

/// How many candidates ahead the memory of their rows is asked for, and how much of it.
const AHEAD: usize = 4;
const MOST_LINES: usize = 32;

/// Compares every row; exact, grows, can be saved.
#[derive(Clone, Debug)]
pub struct ExactScan {
    /// Row-major `(n_rows, dim)`.
    rows: Rows,
    dim: usize,
    /// `1 / |x_r|`.
    inverse_norms: Vec<f64>,
    /// The same in `f32`; of no use where the lengths are beyond the screen.
    inverse_norms_f32: Vec<f32>,
    /// `e` of the `f32` screens; infinite where lengths are beyond them.
    error: f64,
    /// What one query is screened with, if there is anything to gain.
    codes: Option<Arc<Codes>>,
}

impl ExactScan {
    /// An index of the history's prompts, whose embeddings it shares.
    ///
    /// # Errors
    /// [`FitError::ZeroVector`] names the first embedding without a direction.
    pub fn new(history: &History) -> Result<Self, FitError> {
        Self::with_codes(history, Self::codes_pay(history.len(), history.dim()))
    }

    fn codes_pay(n_rows: usize, dim: usize) -> bool {
        n_rows >= MIN_CODED_ROWS && codes::DIMS.contains(&dim) && Kernel::pays()
    }

    /// With codes or without, which decides nothing but the time.
    pub(super) fn with_codes(history: &History, coded: bool) -> Result<Self, FitError> {
        Self::of_history(history, coded, None)
    }

    /// With codes or without; `known` are those of the first rows.
    fn of_history(history: &History, coded: bool, known: Option<&Codes>) -> Result<Self, FitError> {
        let inverse_norms = inverse_norms(history)?;
        if u32::try_from(history.len()).is_err() {
            let got = history.len() as f64;
            return Err(ParamError { field: "rows", rule: "below 2^32", got }.into());
        }
        let rows = Rows::Shared(history.embeddings().clone());
        Ok(Self::assemble(rows, history.dim(), inverse_norms, coded, known))
    }

    /// Of rows that have been checked.
    fn assemble(
        rows: Rows,
        dim: usize,
        inverse_norms: Vec<f64>,
        coded: bool,
        known: Option<&Codes>,
    ) -> Self {
        let screened = inverse_norms.iter().all(|inverse| F32_LENGTHS.contains(&(1.0 / inverse)));
        // The cosine takes five roundings more than the product: of both inverse lengths,
        // of both products with them, and of the bound.
        let roundings = 5.1 / f64::from(1 << 24);
        let error = if screened { dot_f32_error(dim) + roundings } else { f64::INFINITY };
        let codes = (coded && error.is_finite()).then(|| {
            let mut codes = known.cloned().unwrap_or_else(|| Codes::new(dim));
            codes.extend(&rows.values()[codes.len() * dim..], &inverse_norms[codes.len()..]);
            Arc::new(codes)
        });
        let inverse_norms_f32 = inverse_norms.iter().map(|&inverse| narrow(inverse)).collect();
        Self { rows, dim, inverse_norms, inverse_norms_f32, error, codes }
    }

    /// As [`Index::grow`].
    pub(super) fn grown(&self, history: &History) -> Result<Self, FitError> {
        check_grown(history, self.n_rows(), self.dim)?;
        let coded = Self::codes_pay(history.len(), history.dim());
        Self::of_history(history, coded, self.codes.as_deref())
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.rows.values()[row * self.dim..(row + 1) * self.dim]
    }

    /// `1 / |x_r|`.
    pub(super) fn inverse_norm(&self, row: usize) -> f64 {
        self.inverse_norms[row]
    }

    /// Equation (1).
    pub(super) fn similarity(&self, query: &[f32], inverse_norm: f64, row: usize) -> f64 {
        dot(query, self.row(row)) * self.inverse_norms[row] * inverse_norm
    }

    /// The cosine in `f32`, plus `e`: an upper bound of (1).
    fn upper(&self, query: &[f32], inverse_norm: f32, row: usize) -> f32 {
        let product = dot_f32(query, self.row(row)) * self.inverse_norms_f32[row];
        product * inverse_norm + narrow(self.error)
    }

    /// Whether queries of such a length can be screened.
    fn screens(&self, norm: f64) -> bool {
        self.error.is_finite() && F32_LENGTHS.contains(&norm)
    }

    /// Upper less lower bound of the `f32` screens.
    fn gap(&self) -> f64 {
        2.0 * self.error
    }

    /// One query, every row by (1).
    fn unscreened(
        &self,
        query: &[f32],
        norm: f64,
        k: usize,
        sets: &RowSets,
        exclude: Option<u32>,
        scratch: &mut Scratch,
    ) {
        let mut all = std::mem::take(&mut scratch.floats);
        all.clear();
        all.extend((0..self.n_rows()).map(|row| self.similarity(query, 1.0 / norm, row)));
        for set in 0..sets.n_sets() {
            let scored = &mut scratch.child(set).scored;
            scored.clear();
            let rows = (0..self.n_rows())
                .filter(|&row| sets.contains(set, row) && exclude != Some(small(row)));
            scored.extend(rows.map(|row| (all[row], small(row))));
            keep_nearest(k, scored);
        }
        scratch.floats = all;
    }

    /// One query, screened in tiles: `uppers(first, floor, out)` overwrites `out` with the
    /// bounds of the rows from `first` on, or with anything lower than `floor` where the
    /// bound is. Leaves the candidates of each set.
    fn screened(
        &self,
        sought: &Sought<'_, impl Fn(usize) -> bool>,
        scratch: &mut Scratch,
        mut uppers: impl FnMut(usize, f32, &mut [f32]),
        gap: impl Fn(u32) -> f64,
    ) {
        let Sought { k, sets, ref wants, exclude } = *sought;
        let mut bounds = [0.0; ROW_TILE];
        for group in (0..sets.n_sets()).step_by(SET_GROUP) {
            let group = group..(group + SET_GROUP).min(sets.n_sets());
            let group = group.filter(|&set| wants(set));
            let mut selections = [Selection::new(k); SET_GROUP];
            for set in group.clone() {
                scratch.child(set).scored.clear();
            }
            for first in (0..self.n_rows()).step_by(ROW_TILE) {
                let bounds = &mut bounds[..ROW_TILE.min(self.n_rows() - first)];
                let thresholds = group.clone().zip(&selections).map(|(_, s)| s.threshold());
                uppers(first, thresholds.fold(f32::INFINITY, f32::min), bounds);
                for (set, selection) in group.clone().zip(&mut selections) {
                    let run = Run { first, uppers: bounds, mask: sets.mask(set), exclude };
                    selection.offer(run, &gap, &mut scratch.child(set).scored);
                }
            }
            for (set, selection) in group.zip(&mut selections) {
                selection.compact(&gap, &mut scratch.child(set).scored);
            }
        }
    }

    /// One query, every row, for those of the sets that `wants` says.
    pub(super) fn nearest_of(
        &self,
        screened: &Screened<'_>,
        sought: &Sought<'_, impl Fn(usize) -> bool>,
        scratch: &mut Scratch,
    ) {
        let Screened { query, norm, ref coded } = *screened;
        if let (Some(codes), Some(coded)) = (&self.codes, coded) {
            let mut products = [0; ROW_TILE];
            let mut passed = 0;
            let uppers = |first, floor, out: &mut [f32]| {
                let products = &mut products[..out.len()];
                passed = codes.uppers_above(coded, first, (floor, passed), None, products, out);
            };
            let gap = |row| codes.gap(coded, row);
            self.screened(sought, scratch, uppers, gap);
        } else {
            let inverse_norm = narrow(1.0 / norm);
            let uppers = |first, _, out: &mut [f32]| {
                for (row, upper) in (first..).zip(out) {
                    *upper = self.upper(query, inverse_norm, row);
                }
            };
            self.screened(sought, scratch, uppers, |_| self.gap());
        }
        for set in (0..sought.sets.n_sets()).filter(|&set| (sought.wants)(set)) {
            self.settle(query, norm, sought.k, &mut scratch.child(set).scored);
        }
    }

    /// From candidates of the codes, or of `f32` without them, to the `k` nearest.
    fn settle(&self, query: &[f32], norm: f64, k: usize, scored: &mut Vec<Candidate>) {
        if self.codes.is_some() && scored.len() > FEW.max(2 * k) {
            let inverse_norm = narrow(1.0 / norm);
            for (upper, row) in scored.iter_mut() {
                *upper = f64::from(self.upper(query, inverse_norm, *row as usize));
            }
            Selection::new(k).compact(|_| self.gap(), scored);
        }
        self.refine(query, norm, k, scored);
    }

    /// From candidates with upper bounds to the `k` nearest; answers how many were scored.
    pub(super) fn refine(
        &self,
        query: &[f32],
        norm: f64,
        k: usize,
        scored: &mut Vec<Candidate>,
    ) -> usize {
        let inverse_norm = 1.0 / norm;
        scored.sort_unstable_by(nearer);
        // `scored[..done]` holds scores, the rest bounds, the highest first.
        let (mut done, mut count) = (0, 0);
        while done < scored.len() {
            // As many again as are wanted: the selection below costs no more than that.
            let next = (done + k.max(8)).min(scored.len());
            for at in done..next {
                if let Some(&(_, ahead)) = scored.get(at + AHEAD) {
                    prefetch::<MOST_LINES, _>(self.row(ahead as usize));
                }
                let (similarity, row) = &mut scored[at];
                *similarity = self.similarity(query, inverse_norm, *row as usize);
            }
            count += next - done;
            done = next;
            if k < done {
                let (_, worst, _) = scored[..done].select_nth_unstable_by(k - 1, nearer);
                let worst = worst.0;
                let still = scored[done..].partition_point(|bound| bound.0 >= worst);
                scored.copy_within(done..done + still, k);
                scored.truncate(k + still);
                done = k;
            }
        }
        keep_nearest(k, scored);
        count
    }
}

impl Index for ExactScan {
    fn name(&self) -> &'static str {
        "scan"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { exact: true, reproducible: true, insert: true, persist: true }
    }

    fn n_rows(&self) -> usize {
        self.inverse_norms.len()
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Index>, FitError> {
        Ok(Box::new(self.grown(history)?))
    }

    fn save(&self, to: &mut dyn Write) -> Result<(), IndexFileError> {
        self.write(to)
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
        let Some(screened) = self.screen(query, norm) else {
            self.unscreened(query, norm, k, sets, exclude, scratch);
            return Ok(());
        };
        self.nearest_of(&screened, &Sought { k, sets, wants: |_| true, exclude }, scratch);
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
        let block = Block { queries, norms: &norms, k, sets, exclude_from };
        if !norms.iter().all(|&norm| self.screens(norm)) {
            for index in 0..n_queries {
                let (exclude, child) = (block.exclude(index), scratch.child(index));
                self.nearest_into(queries.query(index), k, sets, exclude, child)?;
            }
        } else if let Some(codes) = self.codes.as_ref().filter(|codes| codes.halved()) {
            self.block_by_codes(codes, &block, scratch);
        } else {
            self.block_by_products(&block, scratch);
        }
        Ok(())
    }
}

/// The order of neighbors.
fn nearer(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

/// The `k` nearest, in order.
pub(super) fn keep_nearest(k: usize, scored: &mut Vec<Candidate>) {
    if k < scored.len() {
        scored.select_nth_unstable_by(k, nearer);
        scored.truncate(k);
    }
    scored.sort_unstable_by(nearer);
}

/// The nearest `f32`; for lengths and bounds, far from its limits.
#[expect(clippy::cast_possible_truncation, reason = "rounding is part of the bounds")]
fn narrow(x: f64) -> f32 {
    x as f32
}

#[cfg(test)]
#[path = "scan/tests.rs"]
mod tests;
