//! The exact index in a file.
//!
//! # Layout
//!
//! That of [every index](super::super::file), with
//!
//! ```text
//! magic     "tollscan"
//! numbers   dim, n_rows
//! payload   rows   f32 (n_rows, dim)
//! ```

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::super::file::{self, Head, IndexFileError, Kind, Part, Parts, invalid, size};
use super::ExactScan;
use crate::vector::checked_norm;

/// The rows of a scan: those of a history, shared with it, or of a file.
#[derive(Clone, Debug)]
pub(super) enum Rows {
    Shared(Arc<[f32]>),
    File(Part<f32>),
}

impl Rows {
    #[inline]
    pub(super) fn values(&self) -> &[f32] {
        match self {
            Self::Shared(values) => values,
            Self::File(part) => part.values(),
        }
    }
}

/// The numbers of the header.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Header {
    dim: usize,
    pub(in super::super) n_rows: usize,
}

impl Header {
    /// The array of the rows, as [`Head::parts`] has it.
    pub(in super::super) fn rows(self) -> [usize; 3] {
        [self.n_rows, self.dim, 4]
    }

    /// A scan of the next array, which has that length and may hold anything.
    pub(in super::super) fn scan(self, parts: &mut Parts<'_>) -> Result<ExactScan, IndexFileError> {
        let Self { dim, n_rows } = self;
        let rows = parts.next::<f32>()?;
        let norm = |row| checked_norm(row, dim).map_err(|error| invalid(error.to_string()));
        let inverse_norms = (rows.values().chunks_exact(dim))
            .map(|row| Ok(1.0 / norm(row)?))
            .collect::<Result<Vec<f64>, IndexFileError>>()?;
        let coded = ExactScan::codes_pay(n_rows, dim);
        Ok(ExactScan::assemble(Rows::File(rows), dim, inverse_norms, coded, None))
    }
}

impl Head<2> for Header {
    const KIND: Kind = Kind::Scan;
    const VERSION: u32 = 1;
    type Index = ExactScan;

    fn numbers(&self) -> [u64; 2] {
        [self.dim, self.n_rows].map(|number| number as u64)
    }

    fn parse([dim, n_rows]: [u64; 2]) -> Result<Self, IndexFileError> {
        let dim = file::dimension(dim)?;
        // A history has rows, and these have directions.
        if dim == 0 || n_rows == 0 || u32::try_from(n_rows).is_err() {
            return Err(invalid(format!("{n_rows} rows of {dim} dimensions")));
        }
        Ok(Self { dim, n_rows: size(n_rows)? })
    }

    fn parts(&self) -> Vec<[usize; 3]> {
        vec![self.rows()]
    }

    fn index(self, mut parts: Parts<'_>) -> Result<ExactScan, IndexFileError> {
        self.scan(&mut parts)
    }
}

impl ExactScan {
    /// Reads what [`save`](super::Index::save) has written, to the end of `from`.
    ///
    /// # Errors
    /// [`IndexFileError`] when reading fails, and when the bytes are not those of such an
    /// index.
    pub fn load(from: impl Read) -> Result<Self, IndexFileError> {
        file::load::<_, Header>(from)
    }

    /// Maps a file that [`save`](super::Index::save) has written into memory. The rows stay
    /// in it; codes, a byte a dimension, are made anew. All of it is checked before this
    /// returns, and the file must be left alone: see [`Hnsw::open`](super::super::Hnsw::open).
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn open(path: &Path) -> Result<Self, IndexFileError> {
        file::open::<_, Header>(path)
    }

    pub(in super::super) fn header(&self) -> Header {
        Header { dim: self.dim, n_rows: self.inverse_norms.len() }
    }

    /// All rows, one after the other.
    pub(in super::super) fn values(&self) -> &[f32] {
        self.rows.values()
    }

    pub(super) fn write(&self, to: &mut dyn Write) -> Result<(), IndexFileError> {
        file::save(&self.header(), to, |to| to.part(self.values()))
    }
}

#[cfg(test)]
#[path = "file/tests.rs"]
mod tests;
