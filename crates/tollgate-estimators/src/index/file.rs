//! Indexes in files.
//!
//! # Layout
//!
//! Little-endian throughout. Every part begins on a cache line, which the one before is
//! filled up to with zeros, so that the large arrays can be used where they lie.
//!
//! ```text
//! header    magic of the kind of index, version u32, CRC-32 of what follows in the header,
//!           numbers u64 or f64, zeros up to a cache line
//! payload   arrays
//! end       CRC-32 of the payload
//! ```
//!
//! Which numbers and arrays there are is said by the page of each kind: `scan/file.rs`,
//! `hnsw/file.rs`, `lsh/file.rs`. Each has a magic and counts its versions for itself, so
//! that a change to one leaves the files of the others good.
//!
//! # Trust
//!
//! A CRC-32 finds every error of up to 32 bits in a row, and all but one in `2^32` of the
//! others. What it lets through, and what was made by somebody else, is checked value by
//! value: lengths, every vector, and whatever else a search relies on. What follows from
//! the vectors (lengths, codes, hash functions) is not in the file and made anew. So a file
//! may be refused, but never makes a search panic, name a row that is not there, or report
//! a similarity that is not the row's. Memory is taken as the bytes arrive, never by a
//! length that a file claims.

mod bytes;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytemuck::Pod;
use crc32fast::Hasher;
use thiserror::Error;

use self::bytes::Bytes;
pub(super) use self::bytes::Part;
use super::{Index, IndexKind, hnsw, lsh, scan};

#[cfg(target_endian = "big")]
compile_error!("the arrays of an index file are little-endian, and are used where they lie");

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// Bytes of a magic.
const MAGIC: usize = 8;

/// Where the part of the header begins that its checksum is of.
pub(super) const SUMMED: usize = 16;

/// Bytes of a checksum.
pub(super) const CRC: usize = 4;

/// The largest dimension that is read.
const MOST_DIM: usize = 1 << 20;

/// The kinds of index that are saved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Scan,
    Hnsw,
    Lsh,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Scan, Self::Hnsw, Self::Lsh];

    /// How the files of the kind begin.
    fn magic(self) -> &'static [u8; MAGIC] {
        match self {
            Self::Scan => b"tollscan",
            Self::Hnsw => b"tollhnsw",
            Self::Lsh => b"toll-lsh",
        }
    }

    /// What a file is of, by its first bytes.
    fn of(bytes: &[u8]) -> Result<Self, IndexFileError> {
        let magic = bytes.first_chunk().ok_or(IndexFileError::Truncated { part: "header" })?;
        let known = Self::ALL.into_iter().find(|kind| kind.magic() == magic);
        known.ok_or(IndexFileError::Magic)
    }
}

impl From<Kind> for IndexKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Scan => Self::Scan,
            Kind::Hnsw => Self::Hnsw,
            Kind::Lsh => Self::Lsh,
        }
    }
}

/// A file that is not an index, or no longer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IndexFileError {
    /// Reading or writing failed.
    #[error("the index could not be read or written")]
    Io(#[from] io::Error),
    /// An index that does not declare to [persist](super::Capabilities::persist).
    #[error("the index `{index}` cannot be saved")]
    NotSaved {
        /// Its name.
        index: &'static str,
    },
    /// The file ends too soon.
    #[error("the index ends within its {part}")]
    Truncated {
        /// Where.
        part: &'static str,
    },
    /// Some other file.
    #[error("this is not an index: it does not begin as the file of one")]
    Magic,
    /// The file of another kind of index.
    #[error("this is an index `{got}`, not `{expected}`")]
    Kind {
        /// What was to be read.
        expected: IndexKind,
        /// What the file is of.
        got: IndexKind,
    },
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

/// What the header of one kind of index says, in `N` numbers.
pub(super) trait Head<const N: usize>: Sized {
    /// The kind.
    const KIND: Kind;
    /// The version that is written, and the only one that is read.
    const VERSION: u32;
    /// What the whole file makes.
    type Index;

    /// The numbers as they are written.
    fn numbers(&self) -> [u64; N];

    /// Takes numbers from a file, which may be any.
    fn parse(numbers: [u64; N]) -> Result<Self, IndexFileError>;

    /// The arrays that follow: how many rows, how many values each, and the bytes of one.
    fn parts(&self) -> Vec<[usize; 3]>;

    /// Takes the arrays, which have these lengths and may hold anything.
    fn index(self, parts: Parts<'_>) -> Result<Self::Index, IndexFileError>;
}

/// Bytes of a header of so many numbers.
pub(super) const fn header(n_numbers: usize) -> usize {
    (SUMMED + 8 * n_numbers).next_multiple_of(LINE)
}

fn write_header<const N: usize, H: Head<N>>(head: &H) -> Vec<u8> {
    let mut bytes = vec![0; header(N)];
    for (to, number) in bytes[SUMMED..].as_chunks_mut().0.iter_mut().zip(head.numbers()) {
        *to = number.to_le_bytes();
    }
    let checksum = crc32fast::hash(&bytes[SUMMED..]);
    bytes[..MAGIC].copy_from_slice(H::KIND.magic());
    bytes[MAGIC..12].copy_from_slice(&H::VERSION.to_le_bytes());
    bytes[12..SUMMED].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Reads the first bytes of a file.
fn read_header<const N: usize, H: Head<N>>(bytes: &[u8]) -> Result<H, IndexFileError> {
    let truncated = IndexFileError::Truncated { part: "header" };
    let kind = Kind::of(bytes)?;
    if kind != H::KIND {
        return Err(IndexFileError::Kind { expected: H::KIND.into(), got: kind.into() });
    }
    let Some((version, rest)) = bytes[MAGIC..].split_first_chunk() else {
        return Err(truncated);
    };
    let version = u32::from_le_bytes(*version);
    if version != H::VERSION {
        return Err(IndexFileError::Version { expected: H::VERSION, got: version });
    }
    let Some((checksum, rest)) = rest.split_first_chunk() else {
        return Err(truncated);
    };
    let Some(numbers) = rest.get(..header(N) - SUMMED) else {
        return Err(truncated);
    };
    check("header", numbers, *checksum)?;
    let mut numbers = numbers.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    H::parse(std::array::from_fn(|_| numbers.next().unwrap_or_default()))
}

/// The places of a file's parts, in bytes.
#[derive(Debug)]
struct Layout {
    parts: Vec<Range<usize>>,
    /// The four bytes at the end.
    checksum: usize,
}

impl Layout {
    fn new<const N: usize, H: Head<N>>(head: &H) -> Result<Self, IndexFileError> {
        let mut at = header(N);
        let mut place = |[n, width, size]: [usize; 3]| {
            let len = n.checked_mul(width)?.checked_mul(size)?;
            let part = at..at.checked_add(len)?;
            at = part.end.checked_next_multiple_of(LINE)?;
            Some(part)
        };
        let parts = head.parts().into_iter().map(&mut place).collect::<Option<_>>();
        let parts = parts.ok_or_else(overflow)?;
        at.checked_add(CRC).map(|_| Self { parts, checksum: at }).ok_or_else(overflow)
    }
}

pub(super) fn invalid(what: impl Into<String>) -> IndexFileError {
    IndexFileError::Invalid { what: what.into() }
}

fn overflow() -> IndexFileError {
    invalid("a size overflows")
}

/// A number of a header as a size.
pub(super) fn size(number: u64) -> Result<usize, IndexFileError> {
    usize::try_from(number).map_err(|_| overflow())
}

/// A number of a header as a dimension.
pub(super) fn dimension(number: u64) -> Result<usize, IndexFileError> {
    let dim = size(number)?;
    if dim > MOST_DIM {
        return Err(invalid(format!("{dim} dimensions")));
    }
    Ok(dim)
}

fn check(part: &'static str, bytes: &[u8], checksum: [u8; CRC]) -> Result<(), IndexFileError> {
    let (expected, got) = (crc32fast::hash(bytes), u32::from_le_bytes(checksum));
    if got == expected {
        return Ok(());
    }
    Err(IndexFileError::Checksum { part, expected, got })
}

/// Writes a file: the header, and the arrays that `write` hands over in order.
pub(super) fn save<const N: usize, H: Head<N>>(
    head: &H,
    to: &mut dyn Write,
    write: impl FnOnce(&mut Sum<'_>) -> io::Result<()>,
) -> Result<(), IndexFileError> {
    to.write_all(&write_header(head))?;
    let mut sum = Sum { inner: to, hasher: Hasher::new() };
    write(&mut sum)?;
    let Sum { inner, hasher } = sum;
    inner.write_all(&hasher.finalize().to_le_bytes())?;
    Ok(inner.flush()?)
}

/// Adds up what goes through.
pub(super) struct Sum<'a> {
    inner: &'a mut dyn Write,
    hasher: Hasher,
}

impl Sum<'_> {
    /// Writes an array and fills up its last cache line.
    pub(super) fn part<T: Pod>(&mut self, values: &[T]) -> io::Result<()> {
        let bytes = bytemuck::cast_slice(values);
        let padding = bytes.len().next_multiple_of(LINE) - bytes.len();
        for bytes in [bytes, &[0; LINE][..padding]] {
            self.hasher.update(bytes);
            self.inner.write_all(bytes)?;
        }
        Ok(())
    }
}

/// Writes a new file, and puts it in the place of the one of that name.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), IndexFileError>,
) -> Result<(), IndexFileError> {
    let mut part = OsString::from(path);
    part.push(".part");
    let part = PathBuf::from(part);
    let write = || {
        let mut to = BufWriter::new(File::create(&part)?);
        write(&mut to)?;
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

/// Reads a file of one kind, to the end of `from`.
pub(super) fn load<const N: usize, H: Head<N>>(
    mut from: impl Read,
) -> Result<H::Index, IndexFileError> {
    let mut first = Vec::new();
    from.by_ref().take(header(N) as u64).read_to_end(&mut first)?;
    // One byte more than there should be is enough to see that there are too many.
    let head: H = read_header(&first)?;
    let rest = Layout::new(&head)?.checksum.saturating_add(CRC + 1) - header(N);
    let bytes = Bytes::read(first.chain(from.take(rest as u64)))?;
    of_bytes::<N, H>(&Arc::new(bytes))
}

/// Maps a file of one kind.
pub(super) fn open<const N: usize, H: Head<N>>(path: &Path) -> Result<H::Index, IndexFileError> {
    of_bytes::<N, H>(&map(path)?)
}

fn map(path: &Path) -> io::Result<Arc<Bytes>> {
    Ok(Arc::new(Bytes::map(&File::open(path)?)?))
}

/// Checks everything.
fn of_bytes<const N: usize, H: Head<N>>(bytes: &Arc<Bytes>) -> Result<H::Index, IndexFileError> {
    let all = bytes.all();
    let head: H = read_header(all)?;
    let layout = Layout::new(&head)?;
    let truncated = IndexFileError::Truncated { part: "payload" };
    let Some((payload, end)) = all[header(N)..].split_at_checked(layout.checksum - header(N))
    else {
        return Err(truncated);
    };
    let Some((checksum, excess)) = end.split_first_chunk() else {
        return Err(truncated);
    };
    if !excess.is_empty() {
        return Err(invalid("something follows its end"));
    }
    check("payload", payload, *checksum)?;
    head.index(Parts { bytes, places: layout.parts.into_iter() })
}

/// The arrays of a file, in order.
pub(super) struct Parts<'a> {
    bytes: &'a Arc<Bytes>,
    places: std::vec::IntoIter<Range<usize>>,
}

impl Parts<'_> {
    pub(super) fn next<T: Pod>(&mut self) -> Result<Part<T>, IndexFileError> {
        let part = self.places.next().and_then(|at| Part::new(self.bytes, at));
        part.ok_or(IndexFileError::Truncated { part: "payload" })
    }
}

impl IndexKind {
    /// Reads what [`Index::save`] has written, whatever kind of index that was, to the end
    /// of `from`.
    ///
    /// # Errors
    /// [`IndexFileError`] when reading fails, and when the bytes are not those of an index.
    pub fn load(mut from: impl Read) -> Result<Box<dyn Index>, IndexFileError> {
        let mut first = Vec::new();
        from.by_ref().take(MAGIC as u64).read_to_end(&mut first)?;
        let from = first.chain(from);
        Ok(match Kind::of(&first)? {
            Kind::Hnsw => Box::new(load::<_, hnsw::Header>(from)?),
            Kind::Lsh => Box::new(load::<_, lsh::Header>(from)?),
            Kind::Scan => Box::new(load::<_, scan::Header>(from)?),
        })
    }

    /// Maps a file that [`Index::save`] has written into memory, whatever kind of index
    /// that was: see [`Hnsw::open`](super::Hnsw::open) for what stays in it, and for what
    /// must not be done to the file.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn open(path: &Path) -> Result<Box<dyn Index>, IndexFileError> {
        let bytes = map(path)?;
        Ok(match Kind::of(bytes.all())? {
            Kind::Hnsw => Box::new(of_bytes::<_, hnsw::Header>(&bytes)?),
            Kind::Lsh => Box::new(of_bytes::<_, lsh::Header>(&bytes)?),
            Kind::Scan => Box::new(of_bytes::<_, scan::Header>(&bytes)?),
        })
    }
}

#[cfg(test)]
#[path = "file/tests.rs"]
pub(super) mod tests;
