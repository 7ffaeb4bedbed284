//! The graph of the crate `hora`, for comparison.
//!
//! # Problem
//!
//! As for [`Hnsw`](super::Hnsw): the nearest rows by cosine similarity, a neighbor missed
//! now and then, similarities canonical.
//!
//! # Method
//!
//! hora 0.1.1 builds and searches its HNSW over the directions of the rows, by Euclidean
//! distance, which orders unit vectors as the cosine does. Rows of the sets are picked from
//! what it answers and scored by the canonical product. Where it leaves fewer than `k`
//! rows of a set, where it answers fewer rows than it was asked for, or where a set is so
//! sparse that most rows would have to be asked for, the rows are scanned exactly.
//!
//! # What hora gets wrong
//!
//! Read in its source and seen in runs of 0.1.1; this adapter works round what it can.
//!
//! * Of its five metrics two order correctly, Euclidean and Manhattan. Dot product and
//!   angular distance are inverted, and cosine similarity is NaN, on which the build panics.
//!   So only unit vectors and Euclidean distance are ever used here.
//! * NaN anywhere is a panic. Embeddings are checked before hora sees them, and rows
//!   without a direction are refused.
//! * Levels come from a generator without a seed, and links are made by threads that race:
//!   **two builds from the same rows differ**, and so may their answers. That cannot be
//!   repaired from outside; [`Capabilities::reproducible`] is false.
//! * The descent through the upper layers compares a node with itself, so they are never
//!   used, and every search starts from the first row. Of 5000 near-copies in 50 balls it
//!   found 74 % of the neighbors.
//! * A query allocates: a bit a row, and a copy of every row in the answer.
//! * It keeps its own copy of all rows, and links of 8 bytes.
//!
//! On clustered and on real embeddings it takes several times as long as
//! [`Hnsw`](super::Hnsw) for a query, and longer to build. There is no reason to prefer it.
//!
//! # References
//!
//! <https://github.com/hora-search/hora>, version 0.1.1.

use std::fmt;

use hora::core::ann_index::ANNIndex;
use hora::core::metrics::Metric;
use hora::index::hnsw_idx::HNSWIndex;
use hora::index::hnsw_params::HNSWParams;
use serde::{Deserialize, Serialize};
use tollgate_core::{EstimateError, FitError, History, ParamError, Query, Scratch};

use super::hnsw::check_graph;
use super::scan::{Sought, keep_nearest};
use super::{Capabilities, ExactScan, Index, RowSets};
use crate::vector::checked_norm;

/// From one row in so many on, asking hora for candidates is dearer than a scan.
const SCAN: usize = 8;

/// Knobs of [`HoraIndex`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HoraConfig {
    /// Links a node may have on a layer, and twice as many on the lowest; in `2..=256`.
    /// Default 32.
    pub m: usize,
    /// Nodes in the beam when a row is inserted; in `1..=65536`. Default 200.
    pub ef_construction: usize,
    /// Nodes in the beam of a query, and rows asked for; in `1..=65536`. Default 50.
    pub ef: usize,
}

impl Default for HoraConfig {
    fn default() -> Self {
        Self { m: 32, ef_construction: 200, ef: 50 }
    }
}

impl HoraConfig {
    /// Sets the number of links.
    #[must_use]
    pub fn m(mut self, m: usize) -> Self {
        self.m = m;
        self
    }

    /// Sets the beam of insertion.
    #[must_use]
    pub fn ef_construction(mut self, ef_construction: usize) -> Self {
        self.ef_construction = ef_construction;
        self
    }

    /// Sets the beam of a query.
    #[must_use]
    pub fn ef(mut self, ef: usize) -> Self {
        self.ef = ef;
        self
    }

    /// The recipe.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self) -> Result<HoraRecipe, ParamError> {
        let Self { m, ef_construction, ef } = self;
        check_graph(m, ef_construction, ef)?;
        Ok(HoraRecipe { m, ef_construction, ef })
    }
}

/// The recipe of [`HoraIndex`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HoraRecipe {
    m: usize,
    ef_construction: usize,
    ef: usize,
}

impl HoraRecipe {
    /// An index of the history's prompts. There is no seed, since hora takes none.
    ///
    /// # Errors
    /// [`FitError::ZeroVector`] names the first embedding without a direction;
    /// [`FitError::Other`] carries what hora complains of.
    pub fn index(self, history: &History) -> Result<HoraIndex, FitError> {
        HoraIndex::new(self, ExactScan::new(history)?)
    }
}

/// Finds neighbors by the crate hora; approximate, and **not reproducible**.
pub struct HoraIndex {
    recipe: HoraRecipe,
    /// The rows: what hora finds is scored by it.
    scan: ExactScan,
    graph: HNSWIndex<f32, usize>,
}

impl HoraIndex {
    fn new(recipe: HoraRecipe, scan: ExactScan) -> Result<Self, FitError> {
        let HoraRecipe { m, ef_construction, ef } = recipe;
        let params = HNSWParams::<f32>::default()
            .max_item(scan.n_rows())
            .n_neighbor(m)
            .n_neighbor0(2 * m)
            .ef_build(ef_construction)
            .ef_search(ef);
        let mut graph = HNSWIndex::new(scan.dim(), &params);
        for row in 0..scan.n_rows() {
            let unit = unit(scan.row(row), scan.inverse_norm(row));
            graph.add(&unit, row).map_err(other)?;
        }
        graph.build(Metric::Euclidean).map_err(other)?;
        Ok(Self { recipe, scan, graph })
    }

    /// What it was built with.
    pub fn config(&self) -> HoraConfig {
        let HoraRecipe { m, ef_construction, ef } = self.recipe;
        HoraConfig { m, ef_construction, ef }
    }

    /// How many rows to ask for, so that there are enough of the sparsest of the sets that
    /// are worth asking for; 0 where none is.
    fn width(&self, k: usize, sets: &RowSets) -> usize {
        // One more than `k`, for the row to exclude.
        let least = self.recipe.ef.max(k.saturating_add(1));
        let in_set = |set| sets.len(set).clamp(1, self.n_rows());
        let widths = (0..sets.n_sets())
            .map(|set| least.saturating_mul(self.n_rows().div_ceil(in_set(set))))
            .filter(|&width| width < self.n_rows() / SCAN);
        widths.max().unwrap_or(0)
    }
}

impl Index for HoraIndex {
    fn name(&self) -> &'static str {
        "hora"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { exact: false, reproducible: false, insert: false, persist: false }
    }

    fn n_rows(&self) -> usize {
        self.scan.n_rows()
    }

    fn dim(&self) -> usize {
        self.scan.dim()
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Index>, FitError> {
        Ok(Box::new(Self::new(self.recipe, self.scan.grown(history)?)?))
    }

    fn nearest_into(
        &self,
        query: Query<'_>,
        k: usize,
        sets: &RowSets,
        exclude: Option<u32>,
        scratch: &mut Scratch,
    ) -> Result<(), EstimateError> {
        let norm = checked_norm(query.embedding, self.dim())?;
        let Some(screened) = self.scan.screen(query.embedding, norm) else {
            return self.scan.nearest_into(query, k, sets, exclude, scratch);
        };
        let width = self.width(k, sets);
        let mut found: Vec<u32> = if width == 0 {
            Vec::new()
        } else {
            let found = self.graph.search(&unit(query.embedding, 1.0 / norm), width);
            found.into_iter().filter_map(|row| u32::try_from(row).ok()).collect()
        };
        if found.len() < width {
            // Part of the graph cannot be reached from its first row.
            found.clear();
        }
        let mut missing = vec![false; sets.n_sets()];
        for (set, missing) in missing.iter_mut().enumerate() {
            let scored = &mut scratch.child(set).scored;
            scored.clear();
            let counts = |row: &&u32| sets.contains(set, **row as usize) && exclude != Some(**row);
            let similarity =
                |row: u32| self.scan.similarity(query.embedding, 1.0 / norm, row as usize);
            scored.extend(found.iter().filter(counts).map(|&row| (similarity(row), row)));
            keep_nearest(k, scored);
            *missing = scored.len() < k;
        }
        let sought = Sought { k, sets, wants: |set: usize| missing[set], exclude };
        self.scan.nearest_of(&screened, &sought, scratch);
        Ok(())
    }
}

impl fmt::Debug for HoraIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HoraIndex").field("recipe", &self.recipe).finish_non_exhaustive()
    }
}

/// The direction of `x`.
#[expect(clippy::cast_possible_truncation, reason = "hora is given f32")]
fn unit(x: &[f32], inverse_norm: f64) -> Vec<f32> {
    x.iter().map(|&x| (f64::from(x) * inverse_norm) as f32).collect()
}

fn other(cause: &'static str) -> FitError {
    FitError::Other { recipe: "hora".to_owned(), source: cause.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knobs_out_of_range() {
        let refuse = |config: HoraConfig| config.build().unwrap_err().to_string();
        let config = HoraConfig::default;
        insta::assert_snapshot!(refuse(config().m(1)), @"`m` must be in 2..=256, got 1");
        insta::assert_snapshot!(refuse(config().ef(0)), @"`ef` must be in 1..=65536, got 0");
        insta::assert_snapshot!(refuse(config().ef_construction(70_000)), @"`ef_construction` must be in 1..=65536, got 70000");
    }
}
