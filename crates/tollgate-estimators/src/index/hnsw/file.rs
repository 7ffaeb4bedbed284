//! An index in a file.
//!
//! # Layout
//!
//! Little-endian throughout.
//!
//! ```text
//! header    magic "tollhnsw", version u32,
//!           m, ef_construction, ef, dim u64, seed u64, n_rows, n_nodes u64
//!           CRC-32 of the header
//! payload   node of each row     u32 (n_rows,)
//!           vectors              f32 (n_nodes, dim)
//!           levels               u8  (n_nodes,)
//!           links of layer 0     u32 (n_nodes, 2 m), empty slots 2^32 - 1
//!           links above          u32 (sum of levels, m), node by node, layer by layer
//!           CRC-32 of the payload
//! ```
//!
//! A CRC-32 finds every error of up to 32 bits in a row, and all but one in `2^32` of the
//! others; what it lets through, and what was written by somebody else, is checked value
//! by value, so a file may be refused but can never make a search panic. Memory is taken as the
//! bytes arrive, never by a length that a file claims.
//!
//! Codes, lengths and hashes are computed anew: they follow from the vectors. The file is
//! read, not mapped.

use std::io::{self, Read, Write};

use crc32fast::Hasher;
use thiserror::Error;
use tollgate_core::Seed;

use super::graph::{Graph, NONE, TOP};
use super::nodes::{MOST_ROWS, small};
use super::{Hnsw, HnswConfig};
use crate::vector::checked_norm;

const MAGIC: &[u8; 8] = b"tollhnsw";
const VERSION: u32 = 1;

/// The largest dimension that is read.
const MOST_DIM: u64 = 1 << 20;

/// A file that is not an index, or no longer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HnswFileError {
    /// Reading or writing failed.
    #[error("the index could not be read or written")]
    Io(#[from] io::Error),
    /// The file ends too soon.
    #[error("the index ends within its {part}")]
    Truncated {
        /// Where.
        part: &'static str,
    },
    /// Some other file.
    #[error("this is not an index: it does not begin with `tollhnsw`")]
    Magic,
    /// A format of another time.
    #[error("the index is of version {got}, this program reads version {expected}")]
    Version {
        /// What is read here.
        expected: u32,
        /// What the file says.
        got: u32,
    },
    /// Bytes have changed since it was written.
    #[error("the checksum of the index's {part} is {got:#010x}, its bytes give {expected:#010x}")]
    Checksum {
        /// The header or the payload.
        part: &'static str,
        /// What the bytes give.
        expected: u32,
        /// What the file says.
        got: u32,
    },
    /// The bytes are as they were written, and make no sense.
    #[error("the index is not valid: {what}")]
    Invalid {
        /// What is wrong.
        what: String,
    },
}

fn invalid(what: impl Into<String>) -> HnswFileError {
    HnswFileError::Invalid { what: what.into() }
}

impl Hnsw {
    /// Writes the index, rows included; the same index gives the same bytes.
    ///
    /// `to` is written to in small pieces: wrap a file in a [`io::BufWriter`].
    ///
    /// # Errors
    /// [`HnswFileError::Io`].
    pub fn save(&self, to: impl Write) -> Result<(), HnswFileError> {
        let HnswConfig { m, ef_construction, ef } = self.config();
        let mut to = Sum { inner: to, hasher: Hasher::new() };
        to.write(MAGIC)?;
        to.write(&VERSION.to_le_bytes())?;
        for number in [m, ef_construction, ef, self.nodes.dim()] {
            to.write(&(number as u64).to_le_bytes())?;
        }
        to.write(&self.seed.0.to_le_bytes())?;
        for number in [self.nodes.n_rows(), self.nodes.len()] {
            to.write(&(number as u64).to_le_bytes())?;
        }
        to.write_checksum()?;
        let nodes = || 0..small(self.nodes.len());
        for node in &self.nodes.node_of_row {
            to.write(&node.to_le_bytes())?;
        }
        for x in nodes().flat_map(|node| self.nodes.vector(node)) {
            to.write(&x.to_le_bytes())?;
        }
        to.write(&self.graph.levels)?;
        for slot in nodes().flat_map(|node| self.graph.slots(node, 0)) {
            to.write(&slot.to_le_bytes())?;
        }
        for slot in &self.graph.upper {
            to.write(&slot.to_le_bytes())?;
        }
        to.write_checksum()?;
        to.inner.flush()?;
        Ok(())
    }

    /// Reads what [`save`](Self::save) has written, to the end of `from`.
    ///
    /// `from` is read in small pieces: wrap a file in a [`io::BufReader`].
    ///
    /// # Errors
    /// [`HnswFileError`] when reading fails, and when the bytes are not those of an index.
    pub fn load(from: impl Read) -> Result<Self, HnswFileError> {
        let mut from = Sum { inner: from, hasher: Hasher::new() };
        if from.array("header")? != *MAGIC {
            return Err(HnswFileError::Magic);
        }
        let version = u32::from_le_bytes(from.array("header")?);
        if version != VERSION {
            return Err(HnswFileError::Version { expected: VERSION, got: version });
        }
        let mut number = || from.array("header").map(u64::from_le_bytes);
        let (m, ef_construction, ef, dim) = (number()?, number()?, number()?, number()?);
        let (seed, n_rows, n_nodes) = (number()?, number()?, number()?);
        from.check("header")?;
        let size = |number: u64| usize::try_from(number).map_err(|_| invalid("a size overflows"));
        let config =
            HnswConfig { m: size(m)?, ef_construction: size(ef_construction)?, ef: size(ef)? };
        let recipe = config.build().map_err(|error| invalid(error.to_string()))?;
        if dim > MOST_DIM {
            return Err(invalid(format!("{dim} dimensions")));
        }
        if n_rows > MOST_ROWS as u64 || n_nodes > n_rows {
            return Err(invalid(format!("{n_rows} rows of {n_nodes} nodes")));
        }
        let mut index = recipe.empty(size(dim)?, Seed(seed));
        index.read_payload(&mut from, size(n_rows)?, size(n_nodes)?)?;
        from.check("payload")?;
        if from.inner.read(&mut [0])? != 0 {
            return Err(invalid("something follows its end"));
        }
        match index.graph.fault() {
            Some(fault) => Err(invalid(fault)),
            None => Ok(index),
        }
    }

    fn read_payload(
        &mut self,
        from: &mut Sum<impl Read>,
        n_rows: usize,
        n_nodes: usize,
    ) -> Result<(), HnswFileError> {
        let mut node_of_row = Vec::new();
        for _ in 0..n_rows {
            node_of_row.push(from.number()?);
        }
        let mut vector = vec![0.0; self.nodes.dim()];
        for node in 0..n_nodes {
            for x in &mut vector {
                *x = f32::from_bits(from.number()?);
            }
            checked_norm(&vector, vector.len()).map_err(|error| invalid(error.to_string()))?;
            if self.nodes.find_or_push(&vector) as usize != node {
                return Err(invalid("two nodes are equal"));
            }
        }
        for node in node_of_row {
            if node as usize >= n_nodes {
                return Err(invalid(format!("a row of node {node}")));
            }
            self.nodes.push_row(node);
        }
        if self.nodes.has_idle() {
            return Err(invalid("a node without rows"));
        }
        self.graph = Graph::new(self.recipe.m);
        for _ in 0..n_nodes {
            let [level] = from.array("payload")?;
            if level > TOP {
                return Err(invalid(format!("a node of level {level}")));
            }
            self.graph.push(level);
        }
        let mut read = |slots: &mut [u32]| {
            for slot in slots {
                *slot = from.number()?;
            }
            Ok::<(), HnswFileError>(())
        };
        for node in 0..n_nodes {
            read(self.graph.base.row_mut(node))?;
        }
        debug_assert!(self.graph.upper.iter().all(|&slot| slot == NONE));
        read(&mut self.graph.upper)
    }
}

/// Adds up what goes through.
struct Sum<T> {
    inner: T,
    hasher: Hasher,
}

impl<W: Write> Sum<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes)
    }

    /// Ends a part.
    fn write_checksum(&mut self) -> io::Result<()> {
        let checksum = std::mem::take(&mut self.hasher).finalize();
        self.inner.write_all(&checksum.to_le_bytes())
    }
}

impl<R: Read> Sum<R> {
    fn raw<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], HnswFileError> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => HnswFileError::Truncated { part },
            _ => error.into(),
        })?;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], HnswFileError> {
        let bytes = self.raw(part)?;
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    /// A number of the payload.
    fn number(&mut self) -> Result<u32, HnswFileError> {
        self.array("payload").map(u32::from_le_bytes)
    }

    /// Ends a part.
    fn check(&mut self, part: &'static str) -> Result<(), HnswFileError> {
        let expected = std::mem::take(&mut self.hasher).finalize();
        let got = u32::from_le_bytes(self.raw(part)?);
        if got == expected {
            return Ok(());
        }
        Err(HnswFileError::Checksum { part, expected, got })
    }
}
