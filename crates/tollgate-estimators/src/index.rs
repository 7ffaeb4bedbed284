//! Nearest neighbors by cosine similarity, for kNN and whatever else asks for them.

#[cfg(test)]
mod conformance;
mod file;
mod hnsw;
#[cfg(feature = "hora")]
mod hora;
mod idle;
#[cfg(feature = "kd-tree")]
mod kd_tree;
mod kind;
mod lsh;
mod pages;
mod products;
mod scan;

use std::fmt;
use std::io::Write;
use std::path::Path;

use tollgate_core::{EstimateError, FitError, History, Queries, Query, Scratch};

pub use self::file::IndexFileError;
pub use self::hnsw::{Hnsw, HnswConfig, HnswRecipe};
#[cfg(feature = "hora")]
pub use self::hora::{HoraConfig, HoraIndex, HoraRecipe};
#[cfg(feature = "kd-tree")]
pub use self::kd_tree::KdTree;
pub use self::kind::IndexKind;
pub use self::lsh::{Lsh, LshConfig, LshFamily, LshRecipe, LshReport};
pub use self::scan::ExactScan;

/// What an index promises beyond finding neighbors. The suite in `index/conformance.rs`
/// tests what is declared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "four promises, each kept or not")]
pub struct Capabilities {
    /// Finds the nearest rows, all of them, always.
    pub exact: bool,
    /// The same rows and seed give the same answers, whatever the number of threads.
    pub reproducible: bool,
    /// [`grow`](Index::grow) adds rows to what is there, instead of building it anew.
    pub insert: bool,
    /// [`save`](Index::save) writes what [`IndexKind::load`] makes an index of that answers
    /// and grows as this one does.
    pub persist: bool,
}

/// Finds the rows of a history that are nearest to a query.
///
/// A neighbor is `(similarity, row)`. Nearer means a higher cosine similarity, and the
/// lower row where two are equal. An index may miss neighbors, but the similarities it
/// reports are those of the canonical dot product, so exact indexes agree bit for bit.
pub trait Index: fmt::Debug + Send + Sync {
    /// The name in reports.
    fn name(&self) -> &'static str;

    /// What it promises.
    fn capabilities(&self) -> Capabilities;

    /// How many rows it holds.
    fn n_rows(&self) -> usize;

    /// The dimension of the embeddings.
    fn dim(&self) -> usize;

    /// The next version: an index of a history that begins with the rows of this one. This
    /// one stays as it is, for those who still search it.
    ///
    /// # Errors
    /// [`FitError`] for a history that is shorter or of another dimension, for a row
    /// without a direction, or for too many rows.
    fn grow(&self, history: &History) -> Result<Box<dyn Index>, FitError>;

    /// Writes the index, rows included, for [`IndexKind::load`] and [`IndexKind::open`];
    /// the same index gives the same bytes.
    ///
    /// # Errors
    /// [`IndexFileError::Io`]; [`IndexFileError::NotSaved`] where the index does not declare
    /// to persist.
    fn save(&self, to: &mut dyn Write) -> Result<(), IndexFileError> {
        let _ = to;
        Err(IndexFileError::NotSaved { index: self.name() })
    }

    /// [Writes](Self::save) the index to a new file, and puts it in the place of the one of
    /// that name, if there is one: whoever has [opened](IndexKind::open) that keeps it.
    ///
    /// What has not been finished has `.part` at the end of its name.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    fn save_as(&self, path: &Path) -> Result<(), IndexFileError> {
        file::replace(path, |to| self.save(to))
    }

    /// Leaves the `k` nearest rows of each set, nearest first, in
    /// `scratch.child(set).scored`; all rows of a set that has fewer.
    ///
    /// Row `exclude` is passed over. Allocates nothing once `scratch` has grown.
    ///
    /// # Errors
    /// [`EstimateError`] when the query has another dimension, a value that is not
    /// finite, or no direction.
    fn nearest_into(
        &self,
        query: Query<'_>,
        k: usize,
        sets: &RowSets,
        exclude: Option<u32>,
        scratch: &mut Scratch,
    ) -> Result<(), EstimateError>;

    /// As [`nearest_into`](Self::nearest_into) for a few hundred queries on one thread,
    /// the answers to query `j` in `scratch.child(j)`. Query `j` passes over row
    /// `exclude_from + j`.
    ///
    /// # Errors
    /// As [`nearest_into`](Self::nearest_into), for the first query that is refused.
    fn nearest_block(
        &self,
        queries: Queries<'_>,
        k: usize,
        sets: &RowSets,
        exclude_from: Option<u32>,
        scratch: &mut Scratch,
    ) -> Result<(), EstimateError> {
        let mut exclude = exclude_from;
        for index in 0..queries.len() {
            self.nearest_into(queries.query(index), k, sets, exclude, scratch.child(index))?;
            exclude = exclude.map(|row| row + 1);
        }
        Ok(())
    }
}

/// Refuses a history that does not begin with `n_rows` rows of dimension `dim`.
pub(crate) fn check_grown(history: &History, n_rows: usize, dim: usize) -> Result<(), FitError> {
    if history.dim() != dim {
        return Err(FitError::Grown { what: "the dimension", expected: dim, got: history.dim() });
    }
    if history.len() < n_rows {
        let what = "the number of prompts";
        return Err(FitError::Grown { what, expected: n_rows, got: history.len() });
    }
    Ok(())
}

/// Sets of rows to search, each by itself: the rows that a model is labelled on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RowSets {
    /// `None` is the set of all rows.
    masks: Vec<Option<Box<[bool]>>>,
    /// How many rows are in each; `usize::MAX` for the set of all.
    lens: Vec<usize>,
}

impl RowSets {
    /// One set: all rows.
    pub fn all() -> Self {
        Self::new(vec![Box::default()])
    }

    /// One set a mask, each of shape `(n_rows,)`.
    pub fn new(masks: Vec<Box<[bool]>>) -> Self {
        let whole = |mask: Box<[bool]>| mask.contains(&false).then_some(mask);
        let masks: Vec<_> = masks.into_iter().map(whole).collect();
        let count = |mask: &Option<Box<[bool]>>| {
            mask.as_ref().map_or(usize::MAX, |mask| mask.iter().filter(|&&row| row).count())
        };
        Self { lens: masks.iter().map(count).collect(), masks }
    }

    /// How many sets there are.
    pub fn n_sets(&self) -> usize {
        self.masks.len()
    }

    /// Whether `row` is in `set`.
    ///
    /// # Panics
    /// When there is no such set or row.
    pub fn contains(&self, set: usize, row: usize) -> bool {
        self.masks[set].as_ref().is_none_or(|mask| mask[row])
    }

    /// How many rows a set has; `usize::MAX` when it is the set of all.
    fn len(&self, set: usize) -> usize {
        self.lens[set]
    }

    fn mask(&self, set: usize) -> Option<&[bool]> {
        self.masks[set].as_deref()
    }
}
