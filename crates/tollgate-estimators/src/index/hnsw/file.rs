//! An index in a file.
//!
//! # Layout
//!
//! Little-endian throughout. Every part begins on a cache line, which the one before is
//! filled up to with zeros, so that the large arrays can be used where they lie.
//!
//! ```text
//! header    magic "tollhnsw", version u32, CRC-32 of what follows in the header,
//!           m, ef_construction, ef, dim u64, seed u64, n_rows, n_nodes, n_upper u64,
//!           zeros up to byte 128
//! payload   node of each row     u32 (n_rows,)
//!           vectors              f32 (n_nodes, stride), stride = dim up to a multiple of 64
//!           levels               u8  (n_nodes,)
//!           links of layer 0     u32 (n_nodes, 2 m), empty slots 2^32 - 1
//!           links above          u32 (n_upper, m), node by node, layer by layer
//! end       CRC-32 of the payload
//! ```
//!
//! # Trust
//!
//! A CRC-32 finds every error of up to 32 bits in a row, and all but one in `2^32` of the
//! others. What it lets through, and what was made by somebody else, is checked value by
//! value: lengths, every row's node, every vector, every link. Codes follow from the
//! vectors, are not in the file and made anew. So a file may be refused, but never makes a
//! search panic, name a row that is not there, or report a similarity that is not the row's.
//! Memory is taken as the bytes arrive, never by a length that a file claims.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytemuck::Pod;
use crc32fast::Hasher;
use thiserror::Error;
use tollgate_core::Seed;

use super::bytes::{Bytes, Part};
use super::graph::{Graph, TOP};
use super::kernel::LANES;
use super::nodes::{MOST_ROWS, Nodes};
use super::store::{LINE, Rows};
use super::{Hnsw, HnswConfig, HnswRecipe};

#[cfg(target_endian = "big")]
compile_error!("the arrays of an index file are little-endian, and are used where they lie");

const MAGIC: &[u8; 8] = b"tollhnsw";
const VERSION: u32 = 2;

/// Bytes of the header.
const HEADER: usize = 2 * LINE;

/// Where the part of the header begins that its checksum is of.
const SUMMED: usize = 16;

/// Bytes of a checksum.
const CRC: usize = 4;

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

/// The numbers of the header.
#[derive(Clone, Copy, Debug)]
struct Header {
    recipe: HnswRecipe,
    seed: Seed,
    dim: usize,
    n_rows: usize,
    n_nodes: usize,
    /// Sum of the levels.
    n_upper: usize,
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER] {
        let Self { recipe, seed, dim, n_rows, n_nodes, n_upper } = self;
        let HnswRecipe { m, ef_construction, ef } = recipe;
        let [m, ef_construction, ef, dim, n_rows, n_nodes, n_upper] =
            [m, ef_construction, ef, dim, n_rows, n_nodes, n_upper].map(|number| number as u64);
        let numbers = [m, ef_construction, ef, dim, seed.0, n_rows, n_nodes, n_upper];
        let mut bytes = [0; HEADER];
        for (to, number) in bytes[SUMMED..].as_chunks_mut().0.iter_mut().zip(numbers) {
            *to = number.to_le_bytes();
        }
        let checksum = crc32fast::hash(&bytes[SUMMED..]);
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..SUMMED].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the first bytes of a file.
    fn parse(bytes: &[u8]) -> Result<Self, HnswFileError> {
        let truncated = HnswFileError::Truncated { part: "header" };
        let Some((magic, rest)) = bytes.split_first_chunk::<8>() else {
            return Err(truncated);
        };
        if magic != MAGIC {
            return Err(HnswFileError::Magic);
        }
        let Some((version, rest)) = rest.split_first_chunk() else {
            return Err(truncated);
        };
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(HnswFileError::Version { expected: VERSION, got: version });
        }
        let Some((checksum, rest)) = rest.split_first_chunk() else {
            return Err(truncated);
        };
        let Some(numbers) = rest.first_chunk::<{ HEADER - SUMMED }>() else {
            return Err(truncated);
        };
        check("header", numbers, *checksum)?;
        let mut numbers = numbers.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        Self::check(std::array::from_fn(|_| numbers.next().unwrap_or_default()))
    }

    fn check(
        [m, ef_construction, ef, dim, seed, n_rows, n_nodes, n_upper]: [u64; 8],
    ) -> Result<Self, HnswFileError> {
        let size = |number: u64| usize::try_from(number).map_err(|_| overflow());
        let (m, ef_construction, ef) = (size(m)?, size(ef_construction)?, size(ef)?);
        let recipe = HnswConfig { m, ef_construction, ef }
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        if dim > MOST_DIM {
            return Err(invalid(format!("{dim} dimensions")));
        }
        if n_rows > MOST_ROWS as u64 || n_nodes > n_rows {
            return Err(invalid(format!("{n_rows} rows of {n_nodes} nodes")));
        }
        let (n_rows, n_nodes, n_upper) = (size(n_rows)?, size(n_nodes)?, size(n_upper)?);
        Ok(Self { recipe, seed: Seed(seed), dim: size(dim)?, n_rows, n_nodes, n_upper })
    }

    fn stride(&self) -> usize {
        self.dim.next_multiple_of(LANES)
    }

    /// Where everything is.
    fn layout(&self) -> Result<Layout, HnswFileError> {
        let &Self { n_rows, n_nodes, n_upper, .. } = self;
        let (m, stride) = (self.recipe.m, self.stride());
        let mut at = HEADER;
        let mut part = |n: usize, width: usize, size: usize| {
            let len = n.checked_mul(width)?.checked_mul(size)?;
            let part = at..at.checked_add(len)?;
            at = part.end.checked_next_multiple_of(LINE)?;
            Some(part)
        };
        let mut layout = || {
            Some(Layout {
                node_of_row: part(n_rows, 1, 4)?,
                vectors: part(n_nodes, stride, 4)?,
                levels: part(n_nodes, 1, 1)?,
                base: part(n_nodes, 2 * m, 4)?,
                upper: part(n_upper, m, 4)?,
                checksum: part(0, 0, 0)?.start,
            })
        };
        let layout = layout().ok_or_else(overflow)?;
        layout.checksum.checked_add(CRC).map(|_| layout).ok_or_else(overflow)
    }
}

/// The places of a file's parts, in bytes.
#[derive(Debug)]
struct Layout {
    node_of_row: Range<usize>,
    vectors: Range<usize>,
    levels: Range<usize>,
    base: Range<usize>,
    upper: Range<usize>,
    /// The four bytes at the end.
    checksum: usize,
}

fn invalid(what: impl Into<String>) -> HnswFileError {
    HnswFileError::Invalid { what: what.into() }
}

fn overflow() -> HnswFileError {
    invalid("a size overflows")
}

fn check(part: &'static str, bytes: &[u8], checksum: [u8; CRC]) -> Result<(), HnswFileError> {
    let (expected, got) = (crc32fast::hash(bytes), u32::from_le_bytes(checksum));
    if got == expected {
        return Ok(());
    }
    Err(HnswFileError::Checksum { part, expected, got })
}

impl Hnsw {
    /// Writes the index, rows included; the same index gives the same bytes.
    ///
    /// # Errors
    /// [`HnswFileError::Io`].
    pub fn save(&self, to: impl Write) -> Result<(), HnswFileError> {
        let Self { recipe, seed, nodes, graph, .. } = self;
        let (n_rows, n_nodes, n_upper) = (nodes.n_rows(), nodes.len(), graph.upper.len());
        let header =
            Header { recipe: *recipe, seed: *seed, dim: nodes.dim(), n_rows, n_nodes, n_upper };
        let mut to = Sum { inner: to, hasher: Hasher::new() };
        to.inner.write_all(&header.to_bytes())?;
        to.part(&nodes.node_of_row)?;
        to.part(nodes.vectors.values())?;
        to.part(&graph.levels)?;
        to.part(graph.base.values())?;
        to.part(graph.upper.values())?;
        to.inner.write_all(&to.hasher.finalize().to_le_bytes())?;
        to.inner.flush()?;
        Ok(())
    }

    /// Writes the index to a new file, and puts it in the place of the one of that name,
    /// if there is one: whoever has [opened](Self::open) that keeps it.
    ///
    /// What has not been finished has `.part` at the end of its name.
    ///
    /// # Errors
    /// [`HnswFileError::Io`].
    pub fn save_as(&self, path: &Path) -> Result<(), HnswFileError> {
        let mut part = OsString::from(path);
        part.push(".part");
        let part = PathBuf::from(part);
        let write = || {
            let mut to = BufWriter::new(File::create(&part)?);
            self.save(&mut to)?;
            to.get_ref().sync_all()?;
            Ok(fs::rename(&part, path)?)
        };
        let written = write();
        if written.is_err() {
            // It may not even be there, and the error to report is the first.
            let _ = fs::remove_file(&part);
        }
        written
    }

    /// Reads what [`save`](Self::save) has written, to the end of `from`.
    ///
    /// # Errors
    /// [`HnswFileError`] when reading fails, and when the bytes are not those of an index.
    pub fn load(mut from: impl Read) -> Result<Self, HnswFileError> {
        let mut header = Vec::new();
        from.by_ref().take(HEADER as u64).read_to_end(&mut header)?;
        // One byte more than there should be is enough to see that there are too many.
        let rest = Header::parse(&header)?.layout()?.checksum + CRC + 1 - HEADER;
        let bytes = Bytes::read(header.chain(from.take(rest as u64)))?;
        Self::of_bytes(&Arc::new(bytes))
    }

    /// Maps a file that [`save`](Self::save) has written into memory. Vectors and
    /// links stay in it, to be read by the system when they are needed, and shared with
    /// others who have opened the same file; codes, a byte a dimension, are made anew. All
    /// of it is checked before this returns. An
    /// index that [grows](super::Index::grow) from it is in memory of its own.
    ///
    /// The file must not be written to or cut short while the index is in use; it may be
    /// removed, and replaced by [`save_as`](Self::save_as). Where that cannot be relied
    /// upon, [`load`](Self::load) it.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn open(path: &Path) -> Result<Self, HnswFileError> {
        let bytes = Bytes::map(&File::open(path)?)?;
        Self::of_bytes(&Arc::new(bytes))
    }

    /// Checks everything.
    fn of_bytes(bytes: &Arc<Bytes>) -> Result<Self, HnswFileError> {
        let all = bytes.all();
        let header = Header::parse(all)?;
        let layout = header.layout()?;
        let Some((payload, end)) = all[HEADER..].split_at_checked(layout.checksum - HEADER) else {
            return Err(HnswFileError::Truncated { part: "payload" });
        };
        let Some((checksum, excess)) = end.split_first_chunk() else {
            return Err(HnswFileError::Truncated { part: "payload" });
        };
        if !excess.is_empty() {
            return Err(invalid("something follows its end"));
        }
        check("payload", payload, *checksum)?;
        let Header { recipe, seed, dim, n_nodes, n_upper, .. } = header;
        let (stride, m) = (header.stride(), recipe.m);
        let vectors = Rows::of_file(part(bytes, layout.vectors)?, stride, n_nodes);
        let base = Rows::of_file(part(bytes, layout.base)?, 2 * m, n_nodes);
        let upper = Rows::of_file(part(bytes, layout.upper)?, m, n_upper);
        let node_of_row = part(bytes, layout.node_of_row)?;
        let levels = part(bytes, layout.levels)?;
        if let Some(level) = levels.values().iter().find(|&&level| level > TOP) {
            return Err(invalid(format!("a node of level {level}")));
        }
        let mut index = recipe.empty(dim, seed);
        index.nodes = Nodes::checked(dim, vectors, node_of_row.values()).map_err(invalid)?;
        index.graph = Graph::checked(levels.values(), base, upper, m).map_err(invalid)?;
        Ok(index)
    }
}

fn part<T: Pod>(bytes: &Arc<Bytes>, at: Range<usize>) -> Result<Part<T>, HnswFileError> {
    Part::new(bytes, at).ok_or(HnswFileError::Truncated { part: "payload" })
}

/// Adds up what goes through.
struct Sum<W> {
    inner: W,
    hasher: Hasher,
}

impl<W: Write> Sum<W> {
    /// Writes an array and fills up its last cache line.
    fn part<T: Pod>(&mut self, values: &[T]) -> io::Result<()> {
        let bytes = bytemuck::cast_slice(values);
        let padding = bytes.len().next_multiple_of(LINE) - bytes.len();
        for bytes in [bytes, &[0; LINE][..padding]] {
            self.hasher.update(bytes);
            self.inner.write_all(bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "file/tests.rs"]
mod tests;
