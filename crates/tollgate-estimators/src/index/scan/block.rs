//! Many queries at once: what is read of a row serves several of them.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use tollgate_core::{Queries, Scratch};

use super::super::Index;
use super::super::products::Halves;
use super::codes::{CodedQuery, Codes};
use super::selection::{Run, Selection, small};
use super::{ExactScan, ROW_TILE, RowSets, narrow};

/// Queries that a tile of rows is compared with: their codes and those of the tile stay in
/// a second-level cache.
const GROUP: usize = 16;

/// Rows a matrix product: 1024 rows of 384 `f32` are 1.5 MB, a second-level cache.
const ROW_BLOCK: usize = 1024;

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub(super) queries: Queries<'a>,
    /// Of each query, all within the range of the screens.
    pub(super) norms: &'a [f64],
    pub(super) k: usize,
    pub(super) sets: &'a RowSets,
    /// The row that the first query passes over; the next one that of the second.
    pub(super) exclude_from: Option<u32>,
}

impl Block<'_> {
    /// The row that a query passes over.
    pub(super) fn exclude(&self, index: usize) -> Option<u32> {
        self.exclude_from.map(|first| first + small(index))
    }

    /// One for each of `n_queries` queries and each set.
    fn selections(&self, n_queries: usize) -> Vec<Selection> {
        vec![Selection::new(self.k); n_queries * self.sets.n_sets()]
    }

    /// Offers the bounds of rows from `first` on for a query.
    fn offer(
        &self,
        index: usize,
        (first, uppers): (usize, &[f32]),
        gap: impl Fn(u32) -> f64,
        selections: &mut [Selection],
        scratch: &mut Scratch,
    ) {
        for (set, selection) in selections.iter_mut().enumerate() {
            let (mask, exclude) = (self.sets.mask(set), self.exclude(index));
            let scored = &mut scratch.child(index).child(set).scored;
            selection.offer(Run { first, uppers, mask, exclude }, &gap, scored);
        }
    }
}

impl ExactScan {
    /// A block of queries, by half bytes and bytes; the groups one after the other.
    pub(super) fn block_by_codes(&self, codes: &Codes, block: &Block<'_>, scratch: &mut Scratch) {
        if block.sets.n_sets() == 0 {
            return;
        }
        let n_queries = block.queries.len();
        for first in (0..n_queries).step_by(GROUP) {
            self.group(codes, block, first..(first + GROUP).min(n_queries), scratch);
        }
    }

    fn group(&self, codes: &Codes, block: &Block<'_>, group: Range<usize>, scratch: &mut Scratch) {
        let Block { queries, norms, k, sets, .. } = *block;
        let query = |index: usize| queries.query(index).embedding;
        let coded: Vec<CodedQuery> =
            group.clone().map(|index| codes.query(query(index), 1.0 / norms[index])).collect();
        let halves: Vec<&Halves> = coded.iter().filter_map(CodedQuery::halves).collect();
        let n_sets = sets.n_sets();
        let mut selections = block.selections(group.len());
        let (mut products, mut bounds) = ([0; ROW_TILE], [0.0; ROW_TILE]);
        let (mut half_products, mut passed) = ([0; GROUP * ROW_TILE], [0; GROUP]);
        clear(group.clone(), n_sets, scratch);
        for first in (0..self.n_rows()).step_by(ROW_TILE) {
            let n_rows = ROW_TILE.min(self.n_rows() - first);
            let half_products = &mut half_products[..halves.len() * n_rows];
            codes.half_products(&halves, (first, n_rows), half_products);
            let (products, uppers) = (&mut products[..n_rows], &mut bounds[..n_rows]);
            let turns = group.clone().zip(&coded).zip(selections.chunks_exact_mut(n_sets));
            for (at, ((index, coded), selections)) in turns.enumerate() {
                let thresholds = selections.iter().map(Selection::threshold);
                let before = (thresholds.fold(f32::INFINITY, f32::min), passed[at]);
                let halves = half_products.chunks_exact(n_rows).nth(at);
                passed[at] = codes.uppers_above(coded, first, before, halves, products, uppers);
                block.offer(
                    index,
                    (first, uppers),
                    |row| codes.gap(coded, row),
                    selections,
                    scratch,
                );
            }
        }
        for ((index, coded), selections) in
            group.zip(&coded).zip(selections.chunks_exact_mut(n_sets))
        {
            for (set, selection) in selections.iter_mut().enumerate() {
                let scored = &mut scratch.child(index).child(set).scored;
                selection.compact(|row| codes.gap(coded, row), scored);
                self.settle(query(index), norms[index], k, scored);
            }
        }
    }

    /// A block of queries, by matrix products in `f32`.
    pub(super) fn block_by_products(&self, block: &Block<'_>, scratch: &mut Scratch) {
        let Block { queries, norms, k, sets, .. } = *block;
        let (n_queries, n_sets) = (queries.len(), sets.n_sets());
        if n_sets == 0 {
            return;
        }
        clear(0..n_queries, n_sets, scratch);
        let mut selections = block.selections(n_queries);
        let left = &queries.embeddings[..n_queries * self.dim];
        let left = MatRef::from_row_major_slice(left, n_queries, self.dim);
        let mut products = vec![0.0_f32; n_queries * ROW_BLOCK];
        for (number, rows) in self.rows.values().chunks(ROW_BLOCK * self.dim).enumerate() {
            let first = number * ROW_BLOCK;
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
            let inverse_norms = &self.inverse_norms_f32[first..first + n_rows];
            let selections = selections.chunks_exact_mut(n_sets);
            let each = products.chunks_exact_mut(n_rows).zip(selections);
            for (index, (products, selections)) in each.enumerate() {
                let (inverse_norm, error) = (narrow(1.0 / norms[index]), narrow(self.error));
                for (product, inverse) in products.iter_mut().zip(inverse_norms) {
                    *product = *product * inverse * inverse_norm + error;
                }
                block.offer(index, (first, products), |_| self.gap(), selections, scratch);
            }
        }
        for (index, selections) in selections.chunks_exact_mut(n_sets).enumerate() {
            let query = queries.query(index).embedding;
            for (set, selection) in selections.iter_mut().enumerate() {
                let scored = &mut scratch.child(index).child(set).scored;
                selection.compact(|_| self.gap(), scored);
                self.refine(query, norms[index], k, scored);
            }
        }
    }
}

/// Forgets the candidates of some queries.
fn clear(indices: impl Iterator<Item = usize>, n_sets: usize, scratch: &mut Scratch) {
    for index in indices {
        for set in 0..n_sets {
            scratch.child(index).child(set).scored.clear();
        }
    }
}
