//! Hash tables in a file.
//!
//! # Layout
//!
//! That of [every index](super::super::file), with
//!
//! ```text
//! magic     "toll-lsh"
//! numbers   family (0 hyperplanes, 1 cross-polytope), target_recall f64, k, whether to hash
//!           where a scan is cheaper, seed, dim, n_rows, rows that the choice was made for,
//!           tables, digits, width, ratio f64, first radius f64, queries, recall f64,
//!           examined f64; from `digits` on of no account where there are no tables
//! payload   rows      f32 (n_rows, dim)
//!           buckets   u32 (n_rows,), the bucket of each row; an array for each table
//! ```
//!
//! The directions follow from the seed and what is taken off them from the rows, so
//! neither is in the file. A bucket that is not the row's costs a neighbor and nothing else.

use std::io::{Read, Write};
use std::path::Path;

use tollgate_core::Seed;

use super::buckets::Buckets;
use super::choose::{Choice, FIRST, is_tried};
use super::hash::{Hasher, Shape, mean_direction};
use super::{Lsh, LshConfig, LshFamily, LshRecipe, LshReport, Tables};
use crate::index::file::{self, Head, IndexFileError, Kind, Parts, invalid, size};
use crate::index::idle::Idle;
use crate::index::{Index, scan};

/// The numbers of the header.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Header {
    recipe: LshRecipe,
    seed: Seed,
    scan: scan::Header,
    /// `None` where every query is a scan.
    choice: Option<Choice>,
    report: LshReport,
}

impl Head<16> for Header {
    const KIND: Kind = Kind::Lsh;
    const VERSION: u32 = 1;
    type Index = Lsh;

    fn numbers(&self) -> [u64; 16] {
        let Self { recipe, seed, scan, choice, report } = *self;
        let LshRecipe { family, target_recall, k, always } = recipe;
        let family = match family {
            LshFamily::Hyperplanes => 0,
            LshFamily::CrossPolytope => 1,
        };
        let [dim, n_rows] = scan.numbers();
        let LshReport { tables, digits, width, n_rows: chosen, queries, .. } = report;
        let [k, chosen, tables, digits, width, queries] =
            [k, chosen, tables, digits, width, queries].map(|number| number as u64);
        let first = choice.map_or(0.0, |choice| choice.first);
        let [target, ratio, first, recall, examined] =
            [target_recall, report.ratio, first, report.recall, report.examined].map(f64::to_bits);
        let always = u64::from(always);
        [
            family, target, k, always, seed.0, dim, n_rows, chosen, tables, digits, width, ratio,
            first, queries, recall, examined,
        ]
    }

    fn parse(
        [
            family,
            target,
            k,
            always,
            seed,
            dim,
            n_rows,
            chosen,
            tables,
            digits,
            width,
            ratio,
            first,
            queries,
            recall,
            examined,
        ]: [u64; 16],
    ) -> Result<Self, IndexFileError> {
        let family = match family {
            0 => LshFamily::Hyperplanes,
            1 => LshFamily::CrossPolytope,
            _ => return Err(invalid(format!("a hash of family {family}"))),
        };
        let recipe = LshConfig { family, target_recall: f64::from_bits(target), k: size(k)? }
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        let recipe = LshRecipe { always: always != 0, ..recipe };
        let scan = scan::Header::parse([dim, n_rows])?;
        let chosen = size(chosen)?;
        if chosen > scan.n_rows {
            return Err(invalid(format!("{} rows, chosen for {chosen}", scan.n_rows)));
        }
        let seed = Seed(seed);
        if tables == 0 {
            let report = LshReport::of_a_scan(chosen);
            return Ok(Self { recipe, seed, scan, choice: None, report });
        }
        let shape = Shape { tables: size(tables)?, digits: size(digits)?, width: size(width)? };
        if !is_tried(family, chosen, shape) {
            let Shape { tables, digits, width } = shape;
            let what = format!("{tables} tables of {digits} digits of {width} directions");
            return Err(invalid(format!("{what} for {chosen} rows")));
        }
        let [ratio, first, recall, examined] = [ratio, first, recall, examined].map(f64::from_bits);
        let least = [("ratio", ratio, 0.0), ("radius", first, FIRST)];
        let least = [&least[..], &[("recall", recall, 0.0), ("share", examined, 0.0)]].concat();
        for (what, value, least) in least {
            if !(value >= least && value.is_finite()) {
                return Err(invalid(format!("a {what} of {value:?}")));
            }
        }
        let choice = Choice { shape, ratio, first };
        let queries = size(queries)?;
        let report = LshReport::of(choice, chosen, queries, [recall, examined]);
        Ok(Self { recipe, seed, scan, choice: Some(choice), report })
    }

    fn parts(&self) -> Vec<[usize; 3]> {
        let tables = self.choice.map_or(0, |choice| choice.shape.tables);
        let mut parts = vec![self.scan.rows()];
        parts.resize(1 + tables, [self.scan.n_rows, 1, 4]);
        parts
    }

    fn index(self, mut parts: Parts<'_>) -> Result<Lsh, IndexFileError> {
        let Self { recipe, seed, scan, choice, report } = self;
        let scan = scan.scan(&mut parts)?;
        let tables = match choice {
            None => None,
            Some(choice) => {
                let table = |_| Buckets::checked(choice.shape.n_buckets(), parts.next()?.values());
                let buckets = (0..choice.shape.tables).map(table).collect::<Result<_, _>>()?;
                let mean = mean_direction(&scan, report.n_rows);
                Some(Tables { choice, hasher: Hasher::new(choice.shape, &mean, seed), buckets })
            }
        };
        Ok(Lsh { recipe, seed, scan, tables, report, probers: Idle::default() })
    }
}

impl Lsh {
    /// Reads what [`save`](Index::save) has written, to the end of `from`.
    ///
    /// # Errors
    /// [`IndexFileError`] when reading fails, and when the bytes are not those of such an
    /// index.
    pub fn load(from: impl Read) -> Result<Self, IndexFileError> {
        file::load::<_, Header>(from)
    }

    /// Maps a file that [`save`](Index::save) has written into memory. The rows stay in it;
    /// codes, a byte a dimension, and tables, four bytes a row and table, do not. All of it
    /// is checked before this returns, and the file must be left alone: see
    /// [`Hnsw::open`](crate::Hnsw::open).
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn open(path: &Path) -> Result<Self, IndexFileError> {
        file::open::<_, Header>(path)
    }

    pub(super) fn write(&self, to: &mut dyn Write) -> Result<(), IndexFileError> {
        let Self { recipe, seed, ref scan, ref tables, report, .. } = *self;
        let choice = tables.as_ref().map(|tables| tables.choice);
        let header = Header { recipe, seed, scan: scan.header(), choice, report };
        file::save(&header, to, |to| {
            to.part(scan.values())?;
            let mut buckets = vec![0; scan.n_rows()];
            for table in tables.iter().flat_map(|tables| &tables.buckets) {
                table.write(&mut buckets);
                to.part(&buckets)?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
#[path = "file/tests.rs"]
mod tests;
