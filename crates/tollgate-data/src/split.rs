//! Which rows of a table are the stream, and which are the history.

use std::collections::BTreeMap;
use std::path::Path;

use tollgate_core::{ParamError, Purpose, Seed};

use crate::DataError;
use crate::read::open;

/// A table's rows, each in exactly one of the two.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Split {
    /// Rows in order of arrival.
    pub stream: Vec<usize>,
    /// The rows left over, ascending; never empty.
    pub history: Vec<usize>,
}

impl Split {
    /// `n_queries` rows of `0..n_rows`, uniformly at random and in random order.
    ///
    /// # Errors
    /// [`ParamError`] unless `1 <= n_queries < n_rows`.
    pub fn random(n_rows: usize, n_queries: usize, seed: Seed) -> Result<Self, ParamError> {
        if n_queries == 0 || n_queries >= n_rows {
            let rule = ">= 1 and less than the rows, so that a history is left";
            return Err(ParamError { field: "queries", rule, got: n_queries as f64 });
        }
        let mut rows: Vec<usize> = (0..n_rows).collect();
        seed.stream(Purpose::Split, 0).shuffle(&mut rows);
        rows.truncate(n_queries);
        Ok(Self::complete(rows, n_rows))
    }

    /// Reads splits of a table of `n_rows` rows from a CSV file with the columns
    /// `seed,position,index`: under `seed`, row `index` arrives at `position`. Lines
    /// may come in any order. Answers one split for each seed.
    ///
    /// # Errors
    /// [`DataError`] names the line where the header, a number, a repeated position or
    /// row, a row beyond the table, or a gap in the positions is; or the seed that
    /// leaves no history.
    pub fn read_file(
        path: impl AsRef<Path>,
        n_rows: usize,
    ) -> Result<BTreeMap<u64, Self>, DataError> {
        let path = path.as_ref();
        let file = path.display().to_string();
        let mut reader = csv::Reader::from_reader(open(path, "csv")?);
        let unreadable = |source: csv::Error| DataError::Unreadable {
            file: file.clone(),
            format: "csv",
            source: source.into(),
        };
        let header = reader.headers().map_err(unreadable)?;
        if header != COLUMNS.as_slice() {
            let got = header.iter().collect::<Vec<_>>().join(",");
            return Err(DataError::SplitHeader { file, got });
        }

        let mut drafts: BTreeMap<u64, Draft> = BTreeMap::new();
        for record in reader.records() {
            let record = record.map_err(unreadable)?;
            let line = record.position().map_or(0, csv::Position::line);
            let number = |at: usize| {
                record[at].parse::<u64>().map_err(|_| DataError::SplitCell {
                    file: file.clone(),
                    line,
                    column: COLUMNS[at],
                    got: record[at].into(),
                })
            };
            let (seed, position, index) = (number(0)?, saturate(number(1)?), saturate(number(2)?));
            if index >= n_rows {
                return Err(DataError::SplitRange { file, line, index, n_rows });
            }
            let draft = drafts.entry(seed).or_insert_with(|| Draft::new(n_rows));
            if draft.taken[index] {
                return Err(DataError::SplitIndex { file, line, seed, index });
            }
            draft.taken[index] = true;
            if draft.arrivals.insert(position, (index, line)).is_some() {
                return Err(DataError::SplitPosition { file, line, seed, position });
            }
        }
        drafts
            .into_iter()
            .map(|(seed, draft)| Ok((seed, draft.finish(&file, seed, n_rows)?)))
            .collect()
    }

    /// The split with this stream.
    fn complete(stream: Vec<usize>, n_rows: usize) -> Self {
        let mut taken = vec![false; n_rows];
        for &row in &stream {
            taken[row] = true;
        }
        Self { stream, history: (0..n_rows).filter(|&row| !taken[row]).collect() }
    }
}

const COLUMNS: [&str; 3] = ["seed", "position", "index"];

/// A split of which not every line is read yet.
struct Draft {
    /// Row and line, by position.
    arrivals: BTreeMap<usize, (usize, u64)>,
    taken: Vec<bool>,
}

impl Draft {
    fn new(n_rows: usize) -> Self {
        Self { arrivals: BTreeMap::new(), taken: vec![false; n_rows] }
    }

    fn finish(self, file: &str, seed: u64, n_rows: usize) -> Result<Split, DataError> {
        let file = file.to_owned();
        for (expected, (&got, &(_, line))) in self.arrivals.iter().enumerate() {
            if got != expected {
                return Err(DataError::SplitGap { file, line, seed, expected, got });
            }
        }
        if self.arrivals.len() == n_rows {
            return Err(DataError::SplitHistory { file, seed });
        }
        Ok(Split::complete(self.arrivals.values().map(|&(row, _)| row).collect(), n_rows))
    }
}

/// A number beyond the address space is beyond every table and every stream too.
fn saturate(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[path = "split/tests.rs"]
mod tests;
