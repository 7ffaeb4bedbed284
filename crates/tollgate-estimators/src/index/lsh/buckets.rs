//! Rows by bucket: the tables.

use rayon::prelude::*;

use super::hash::{Hasher, ROWS, small, write_unit};
use crate::index::file::invalid;
use crate::index::{ExactScan, Index, IndexFileError};

/// The rows of each bucket, ascending, all in one piece.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    /// Where each bucket begins; shape `(n_buckets + 1,)`.
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl Buckets {
    pub(super) fn empty(n_buckets: usize) -> Self {
        Self { starts: vec![0; n_buckets + 1], rows: Vec::new() }
    }

    pub(super) fn rows(&self, bucket: u32) -> &[u32] {
        let bucket = bucket as usize;
        &self.rows[self.starts[bucket] as usize..self.starts[bucket + 1] as usize]
    }

    /// A table from a file: the bucket of each row, which may be any number.
    pub(super) fn checked(n_buckets: usize, buckets: &[u32]) -> Result<Self, IndexFileError> {
        match buckets.iter().find(|&&bucket| bucket as usize >= n_buckets) {
            Some(bucket) => Err(invalid(format!("a row in bucket {bucket} of {n_buckets}"))),
            None => Ok(Self::empty(n_buckets).extended(0, buckets)),
        }
    }

    /// Overwrites `buckets` with the bucket of each row.
    pub(super) fn write(&self, buckets: &mut [u32]) {
        for (bucket, ends) in (0..).zip(self.starts.windows(2)) {
            for &row in &self.rows[ends[0] as usize..ends[1] as usize] {
                buckets[row as usize] = bucket;
            }
        }
    }

    /// This table with more rows: `buckets` are those of the rows from `first` on.
    pub(super) fn extended(&self, first: u32, buckets: &[u32]) -> Self {
        let mut starts = vec![0; self.starts.len()];
        for &bucket in buckets {
            starts[bucket as usize + 1] += 1;
        }
        for bucket in 1..starts.len() {
            starts[bucket] += starts[bucket - 1] + self.starts[bucket] - self.starts[bucket - 1];
        }
        let mut rows = vec![0; self.rows.len() + buckets.len()];
        let mut ends = starts.clone();
        for bucket in 0..starts.len() - 1 {
            let old = &self.rows[self.starts[bucket] as usize..self.starts[bucket + 1] as usize];
            let at = starts[bucket] as usize;
            rows[at..at + old.len()].copy_from_slice(old);
            ends[bucket] += self.starts[bucket + 1] - self.starts[bucket];
        }
        for (row, &bucket) in (first..).zip(buckets) {
            rows[ends[bucket as usize] as usize] = row;
            ends[bucket as usize] += 1;
        }
        Self { starts, rows }
    }
}

/// The tables with the rows from `first` on.
pub(super) fn extended(
    tables: &[Buckets],
    hasher: &Hasher,
    scan: &ExactScan,
    first: usize,
) -> Vec<Buckets> {
    const BLOCK: usize = 256;
    let rows: Vec<usize> = (first..scan.n_rows()).collect();
    let hashed: Vec<u32> =
        rows.par_chunks(BLOCK).flat_map_iter(|rows| hash_rows(hasher, scan, rows)).collect();
    let n_tables = tables.len();
    let extended = |(table, buckets): (usize, &Buckets)| {
        let mine: Vec<u32> = hashed.iter().skip(table).step_by(n_tables).copied().collect();
        buckets.extended(small(first), &mine)
    };
    tables.par_iter().enumerate().map(extended).collect()
}

/// The buckets of some rows, row-major `(n, tables)`.
fn hash_rows(hasher: &Hasher, scan: &ExactScan, rows: &[usize]) -> Vec<u32> {
    let mut units: [Vec<f32>; ROWS] = Default::default();
    let mut projected: [Vec<f32>; ROWS] = std::array::from_fn(|_| vec![0.0; hasher.padded()]);
    let mut hashed = Vec::with_capacity(rows.len() * hasher.shape.tables);
    for rows in rows.chunks(ROWS) {
        // The last row stands in for those that are missing.
        for (at, unit) in units.iter_mut().enumerate() {
            let row = rows[at.min(rows.len() - 1)];
            write_unit(scan.row(row), scan.inverse_norm(row), unit);
        }
        hasher.project(units.each_ref().map(Vec::as_slice), projected.each_mut().map(|p| &mut **p));
        for projected in &projected[..rows.len()] {
            hashed.extend((0..hasher.shape.tables).map(|table| hasher.bucket(projected, table)));
        }
    }
    hashed
}
