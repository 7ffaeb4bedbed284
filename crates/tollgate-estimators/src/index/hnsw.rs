//! The default approximate index: a hierarchical graph of near neighbors.
//!
//! # Problem
//!
//! As for the exact scan, `s_r(x) = (x . x_r) / (|x| |x_r|)`, the `k` highest are wanted,
//! the lower row first among equals; but in far less than `O(n d)`, at the price of a
//! neighbor missed now and then. Those that are found carry the canonical similarity.
//!
//! # Method
//!
//! Every node is linked to at most `m` near ones on each of its layers (`2 m` on layer 0),
//! and is on layer `l` with probability `m^-l`. A query goes down greedily to layer 0 and
//! searches there best-first with a beam of `ef` nodes (algorithms 2 and 5 of the paper).
//! Links are chosen by the heuristic of algorithm 4: a candidate is passed over when it is
//! nearer to one already chosen than to the node itself.
//!
//! Cost: about `O(d log n)` a query, `O(n d log n)` a build; a node takes `5 d + 8 m`
//! bytes: `d` of them for its code in memory, the rest there or in a file that is mapped
//! into it. A walk waits for memory: where the system has large pages to give, arrays are
//! on those, but for what is mapped.
//!
//! # Departures from the paper
//!
//! * **Batches.** New nodes search the graph as it was before their batch (at most a
//!   sixteenth of it, and 512 nodes), and the earlier nodes of the batch one by one. Both
//!   this and the links back can be spread over threads without changing the graph: it
//!   depends on the seed, the rows, and how they were divided among calls, on nothing
//!   else.
//! * **Shuffled.** Rows that come together are inserted in a random order. Where they are
//!   sorted by cluster, a cluster that is complete before the next one begins may never
//!   be linked to from elsewhere.
//! * **Ties** go to the lower node, so that there is one answer.
//! * **Copies share a node.** Links among hundreds of equal vectors would lead nowhere else.
//! * **Several regions.** A query goes down with a beam of eight, not of one. Where near
//!   nodes lie in several regions that are not linked to one another, a greedy descent ends
//!   in one of them, and a query may lose all of its neighbors.
//! * **Two distances.** Walks are in bytes, a quarter of the memory; what they find is
//!   measured in `f32`, of which a query's nearest are scored by the canonical product and
//!   an insertion's links are chosen. Where bytes cannot tell what is in the beam from what
//!   is beyond it, the walk goes on from there in `f32`. How far bytes are off is measured:
//!   four standard deviations of the largest rounding error of all nodes.
//! * **Exact where that is no dearer.** A graph, or the nodes of a set of rows, of fewer
//!   than eight times the beam is scanned. A larger set is found by a beam wider in
//!   proportion, wider still if that is not enough, and scanned at last.
//!
//! # References
//!
//! Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using
//! hierarchical navigable small world graphs", 2018, doi:10.1109/TPAMI.2018.2889473.

mod build;
mod file;
mod graph;
mod kernel;
mod nodes;
mod prefetch;
mod search;
mod store;
mod walk;

use std::io::Write;

use pulp::Arch;
use serde::{Deserialize, Serialize};
use tollgate_core::{EstimateError, FitError, History, ParamError, Queries, Query, Scratch, Seed};

pub(super) use self::file::Header;
use self::graph::Graph;
use self::nodes::Nodes;
pub(super) use self::prefetch::prefetch;
use self::search::Buffers;
use super::idle::Idle;
use super::products::Kernel;
use super::{Capabilities, Index, IndexFileError, RowSets, check_grown};
use crate::vector::{check_queries, checked_norm};

/// Knobs of [`Hnsw`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HnswConfig {
    /// Links a node may have on a layer, and twice as many on the lowest; in `2..=256`.
    /// Default 32.
    pub m: usize,
    /// Nodes in the beam when a row is inserted; in `1..=65536`. Default 200.
    pub ef_construction: usize,
    /// Nodes in the beam of a query, where it does not ask for more neighbors than that;
    /// in `1..=65536`. Default 50.
    pub ef: usize,
}

impl Default for HnswConfig {
    fn default() -> Self {
        Self { m: 32, ef_construction: 200, ef: 50 }
    }
}

impl HnswConfig {
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
    pub fn build(self) -> Result<HnswRecipe, ParamError> {
        let Self { m, ef_construction, ef } = self;
        check_graph(m, ef_construction, ef)?;
        Ok(HnswRecipe { m, ef_construction, ef })
    }
}

/// Refuses knobs of a graph that are out of range; names the first.
pub(super) fn check_graph(m: usize, ef_construction: usize, ef: usize) -> Result<(), ParamError> {
    let got = |value: usize| value as f64;
    if !(2..=256).contains(&m) {
        return Err(ParamError { field: "m", rule: "in 2..=256", got: got(m) });
    }
    for (field, value) in [("ef_construction", ef_construction), ("ef", ef)] {
        if !(1..=65_536).contains(&value) {
            return Err(ParamError { field, rule: "in 1..=65536", got: got(value) });
        }
    }
    Ok(())
}

/// The recipe of [`Hnsw`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HnswRecipe {
    m: usize,
    ef_construction: usize,
    ef: usize,
}

impl HnswRecipe {
    /// An index of the history's prompts, built on the threads of the current pool.
    ///
    /// # Errors
    /// [`FitError::ZeroVector`] names the first embedding without a direction;
    /// [`ParamError`] when there are `2^31` rows or more.
    pub fn index(self, history: &History, seed: Seed) -> Result<Hnsw, FitError> {
        check_rows(history, 0)?;
        let mut index = self.empty(history.dim(), seed);
        index.insert_checked(history.queries());
        Ok(index)
    }

    /// An index of nothing yet, for embeddings of dimension `dim`.
    pub fn empty(self, dim: usize, seed: Seed) -> Hnsw {
        Hnsw {
            recipe: self,
            seed,
            nodes: Nodes::new(dim),
            graph: Graph::new(self.m),
            arch: Arch::new(),
            kernel: Kernel::best(),
            buffers: Idle::default(),
        }
    }
}

/// Refuses rows without a direction from `first` on, and more rows than there is room for.
fn check_rows(history: &History, first: usize) -> Result<(), FitError> {
    if history.len() >= nodes::MOST_ROWS {
        let got = history.len() as f64;
        return Err(ParamError { field: "rows", rule: "below 2^31", got }.into());
    }
    let zero =
        |&row: &usize| checked_norm(history.queries().query(row).embedding, history.dim()).is_err();
    match (first..history.len()).find(zero) {
        Some(query) => Err(FitError::ZeroVector { query }),
        None => Ok(()),
    }
}

/// Follows a graph of near neighbors; approximate, grows row by row, can be saved.
#[derive(Debug)]
pub struct Hnsw {
    recipe: HnswRecipe,
    seed: Seed,
    nodes: Nodes,
    graph: Graph,
    /// The instructions to use. All give the same answers.
    arch: Arch,
    /// The same for products of bytes.
    kernel: Kernel,
    buffers: Idle<Buffers>,
}

impl Hnsw {
    /// Adds one row; answers its number.
    ///
    /// # Errors
    /// [`EstimateError`] when the embedding has another dimension, a value that is not
    /// finite, or no direction. The index is then what it was.
    ///
    /// # Panics
    /// When there are `2^31` rows already.
    pub fn insert(&mut self, embedding: Query<'_>) -> Result<u32, EstimateError> {
        let embeddings = embedding.embedding;
        checked_norm(embeddings, self.dim())?;
        self.insert_checked(Queries::new(embeddings, self.dim()));
        Ok(nodes::small(self.n_rows() - 1))
    }

    /// Adds many rows, on the threads of the current pool: sooner than one by one, and
    /// another graph, since rows that come together are inserted in batches.
    ///
    /// # Errors
    /// As [`insert`](Self::insert), for the first row that is refused.
    ///
    /// # Panics
    /// When there would be more than `2^31` rows.
    pub fn extend(&mut self, embeddings: Queries<'_>) -> Result<(), EstimateError> {
        check_queries(embeddings, self.dim())?;
        self.insert_checked(embeddings);
        Ok(())
    }

    /// What it was built with.
    pub fn config(&self) -> HnswConfig {
        let HnswRecipe { m, ef_construction, ef } = self.recipe;
        HnswConfig { m, ef_construction, ef }
    }

    /// With the instructions of AVX2 at most, to measure what wider ones bring.
    #[doc(hidden)]
    #[must_use]
    pub fn at_most_avx2(mut self) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(narrower) = pulp::x86::V3::try_new() {
            self.arch = Arch::V3(narrower);
        }
        self.kernel = Kernel::at_most_avx2();
        self
    }

    /// Without the buffers of searches.
    fn clone(&self) -> Self {
        Self {
            recipe: self.recipe,
            seed: self.seed,
            nodes: self.nodes.clone(),
            graph: self.graph.clone(),
            arch: self.arch,
            kernel: self.kernel,
            buffers: Idle::default(),
        }
    }
}

impl Index for Hnsw {
    fn name(&self) -> &'static str {
        "hnsw"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { exact: false, reproducible: true, insert: true, persist: true }
    }

    fn n_rows(&self) -> usize {
        self.nodes.n_rows()
    }

    fn dim(&self) -> usize {
        self.nodes.dim()
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Index>, FitError> {
        check_grown(history, self.n_rows(), self.dim())?;
        let first = self.n_rows();
        check_rows(history, first)?;
        let mut grown = self.clone();
        let embeddings = &history.embeddings()[first * self.dim()..];
        grown.insert_checked(Queries::new(embeddings, self.dim()));
        Ok(Box::new(grown))
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
        let inverse_norm = 1.0 / checked_norm(query.embedding, self.dim())?;
        self.buffers.with(|buffers| {
            let mut search = self.search(query.embedding, inverse_norm, buffers);
            for set in 0..sets.n_sets() {
                let wanted = search::Wanted { k, mask: sets.mask(set), exclude };
                search.nearest(&wanted, sets.len(set), &mut scratch.child(set).scored);
            }
        });
        Ok(())
    }
}

#[cfg(test)]
#[path = "hnsw/tests.rs"]
mod tests;
