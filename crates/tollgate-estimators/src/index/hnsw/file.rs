//! A graph index in a file.
//!
//! # Layout
//!
//! That of [every index](super::super::file), with
//!
//! ```text
//! magic     "tollhnsw"
//! numbers   m, ef_construction, ef, dim, seed, n_rows, n_nodes, n_upper
//! payload   node of each row     u32 (n_rows,)
//!           vectors              f32 (n_nodes, stride), stride = dim up to a multiple of 64
//!           levels               u8  (n_nodes,)
//!           links of layer 0     u32 (n_nodes, 2 m), empty slots 2^32 - 1
//!           links above          u32 (n_upper, m), node by node, layer by layer
//! ```

use std::io::{Read, Write};
use std::path::Path;

use tollgate_core::Seed;

use super::super::file::{self, Head, IndexFileError, Kind, Parts, invalid, size};
use super::graph::{Graph, TOP};
use super::kernel::LANES;
use super::nodes::{MOST_ROWS, Nodes};
use super::store::Rows;
use super::{Hnsw, HnswConfig, HnswRecipe};

/// The numbers of the header.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Header {
    recipe: HnswRecipe,
    seed: Seed,
    dim: usize,
    n_rows: usize,
    n_nodes: usize,
    /// Sum of the levels.
    n_upper: usize,
}

impl Header {
    fn stride(&self) -> usize {
        self.dim.next_multiple_of(LANES)
    }
}

impl Head<8> for Header {
    const KIND: Kind = Kind::Hnsw;
    const VERSION: u32 = 2;
    type Index = Hnsw;

    fn numbers(&self) -> [u64; 8] {
        let Self { recipe, seed, dim, n_rows, n_nodes, n_upper } = *self;
        let HnswRecipe { m, ef_construction, ef } = recipe;
        let [m, ef_construction, ef, dim, n_rows, n_nodes, n_upper] =
            [m, ef_construction, ef, dim, n_rows, n_nodes, n_upper].map(|number| number as u64);
        [m, ef_construction, ef, dim, seed.0, n_rows, n_nodes, n_upper]
    }

    fn parse(
        [m, ef_construction, ef, dim, seed, n_rows, n_nodes, n_upper]: [u64; 8],
    ) -> Result<Self, IndexFileError> {
        let (m, ef_construction, ef) = (size(m)?, size(ef_construction)?, size(ef)?);
        let recipe = HnswConfig { m, ef_construction, ef }
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        let dim = file::dimension(dim)?;
        if n_rows > MOST_ROWS as u64 || n_nodes > n_rows {
            return Err(invalid(format!("{n_rows} rows of {n_nodes} nodes")));
        }
        let (n_rows, n_nodes, n_upper) = (size(n_rows)?, size(n_nodes)?, size(n_upper)?);
        Ok(Self { recipe, seed: Seed(seed), dim, n_rows, n_nodes, n_upper })
    }

    fn parts(&self) -> Vec<[usize; 3]> {
        let &Self { n_rows, n_nodes, n_upper, recipe: HnswRecipe { m, .. }, .. } = self;
        vec![
            [n_rows, 1, 4],
            [n_nodes, self.stride(), 4],
            [n_nodes, 1, 1],
            [n_nodes, 2 * m, 4],
            [n_upper, m, 4],
        ]
    }

    fn index(self, mut parts: Parts<'_>) -> Result<Hnsw, IndexFileError> {
        let Self { recipe, seed, dim, n_nodes, n_upper, .. } = self;
        let m = recipe.m;
        let node_of_row = parts.next()?;
        let vectors = Rows::of_file(parts.next()?, self.stride(), n_nodes);
        let levels = parts.next()?;
        let base = Rows::of_file(parts.next()?, 2 * m, n_nodes);
        let upper = Rows::of_file(parts.next()?, m, n_upper);
        if let Some(level) = levels.values().iter().find(|&&level| level > TOP) {
            return Err(invalid(format!("a node of level {level}")));
        }
        let mut index = recipe.empty(dim, seed);
        index.nodes = Nodes::checked(dim, vectors, node_of_row.values()).map_err(invalid)?;
        index.graph = Graph::checked(levels.values(), base, upper, m).map_err(invalid)?;
        Ok(index)
    }
}

impl Hnsw {
    /// Reads what [`save`](super::Index::save) has written, to the end of `from`.
    ///
    /// # Errors
    /// [`IndexFileError`] when reading fails, and when the bytes are not those of such an
    /// index.
    pub fn load(from: impl Read) -> Result<Self, IndexFileError> {
        file::load::<_, Header>(from)
    }

    /// Maps a file that [`save`](super::Index::save) has written into memory. Vectors and
    /// links stay in it, to be read by the system when they are needed, and shared with
    /// others who have opened the same file; codes, a byte a dimension, are made anew. All
    /// of it is checked before this returns. An
    /// index that [grows](super::Index::grow) from it is in memory of its own.
    ///
    /// The file must not be written to or cut short while the index is in use; it may be
    /// removed, and replaced by [`save_as`](super::Index::save_as). Where that cannot be
    /// relied upon, [`load`](Self::load) it.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn open(path: &Path) -> Result<Self, IndexFileError> {
        file::open::<_, Header>(path)
    }

    pub(super) fn write(&self, to: &mut dyn Write) -> Result<(), IndexFileError> {
        let Self { recipe, seed, nodes, graph, .. } = self;
        let (n_rows, n_nodes, n_upper) = (nodes.n_rows(), nodes.len(), graph.upper.len());
        let header =
            Header { recipe: *recipe, seed: *seed, dim: nodes.dim(), n_rows, n_nodes, n_upper };
        file::save(&header, to, |to| {
            to.part(&nodes.node_of_row)?;
            to.part(nodes.vectors.values())?;
            to.part(&graph.levels)?;
            to.part(graph.base.values())?;
            to.part(graph.upper.values())
        })
    }
}

#[cfg(test)]
#[path = "file/tests.rs"]
mod tests;
