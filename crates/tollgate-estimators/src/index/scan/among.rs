//! The nearest of some rows: for an index that knows where to look.

use super::codes::CodedQuery;
use super::selection::{Candidate, Selection};
use super::{ExactScan, ROW_TILE, RowSets, narrow};

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Sought<'a, W> {
    pub(in super::super) k: usize,
    pub(in super::super) sets: &'a RowSets,
    /// For which of the sets.
    pub(in super::super) wants: W,
    /// The row to be passed over.
    pub(in super::super) exclude: Option<u32>,
}

/// A query made ready to be compared with rows.
#[derive(Debug)]
pub(in super::super) struct Screened<'a> {
    pub(super) query: &'a [f32],
    pub(super) norm: f64,
    pub(super) coded: Option<CodedQuery>,
}

impl ExactScan {
    /// Makes a query of length `norm` ready; `None` where lengths are beyond the screens.
    pub(in super::super) fn screen<'a>(&self, query: &'a [f32], norm: f64) -> Option<Screened<'a>> {
        let coded = || self.codes.as_ref().map(|codes| codes.query(query, 1.0 / norm));
        self.screens(norm).then(|| Screened { query, norm, coded: coded() })
    }

    /// Leaves the `k` nearest of `rows`, which are ascending, in `scored`, nearest first.
    pub(in super::super) fn nearest_among(
        &self,
        screened: &Screened<'_>,
        k: usize,
        rows: &[u32],
        scored: &mut Vec<Candidate>,
    ) {
        let Screened { query, norm, ref coded } = *screened;
        let (mut products, mut bounds) = ([0; ROW_TILE], [0.0; ROW_TILE]);
        let mut selection = Selection::new(k);
        scored.clear();
        if let (Some(codes), Some(coded)) = (&self.codes, coded) {
            let gap = |row| codes.gap(coded, row);
            for rows in rows.chunks(ROW_TILE) {
                let bounds = &mut bounds[..rows.len()];
                codes.uppers_of(coded, rows, &mut products[..rows.len()], bounds);
                selection.offer_rows(rows, bounds, gap, scored);
            }
            selection.compact(gap, scored);
        } else {
            let inverse_norm = narrow(1.0 / norm);
            for rows in rows.chunks(ROW_TILE) {
                for (&row, bound) in rows.iter().zip(&mut bounds) {
                    *bound = self.upper(query, inverse_norm, row as usize);
                }
                let bounds = &bounds[..rows.len()];
                selection.offer_rows(rows, bounds, |_| self.gap(), scored);
            }
            selection.compact(|_| self.gap(), scored);
        }
        self.settle(query, norm, k, scored);
    }
}
