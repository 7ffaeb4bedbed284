//! An approximate index without a graph: rows that hash alike are looked at.
//!
//! # Problem
//!
//! As for the exact scan, `s_r(x) = (x . x_r) / (|x| |x_r|)`, the `k` highest are wanted,
//! the lower row first among equals. A neighbor may be missed now and then, and how often
//! is given: the *target recall*. Nothing else is: no number of tables, bits or probes.
//!
//! # Method
//!
//! With `u = x / |x|` and `m` the mean direction of the rows, a *digit* takes `w` random
//! directions `g_1 ... g_w` with normal entries and says which vertex of the cross-polytope
//! `+-e_1 ... +-e_w` the projections are nearest to:
//!
//! ```text
//! y_i = g_i . (u - m),   digit(u) = the signed i with the largest |y_i|           (1)
//! ```
//!
//! With `w = 1` that is the side of a hyperplane through the mean; this is all that the
//! two families differ in. A table's bucket is a few digits together. Another bucket `b` is
//! worse than the query's own by
//!
//! ```text
//! p(b) = sum over digits of (max_i |y_i| - y_b)^2                                 (2)
//! ```
//!
//! where `y_b`, with its sign, is the projection that `b` has in the place of the largest.
//! A query looks into every bucket of every table with `p(b) <= R` (multi-probe), by
//! enumeration in which no bucket is passed over and none is visited twice. The rows found
//! are scored as those of the scan are: bytes first, the canonical product for what may be
//! among the nearest.
//!
//! For a neighbor at distance `d`, the differences of its projections from those of the query
//! are normal with variance `d^2`, so that (2) of its bucket goes with `d^2`. The radius
//! follows the distances that are met:
//!
//! ```text
//! R_1 = a constant,   R_2 = t d_k^2,   d_k^2 = 2 - 2 s_k                          (3)
//! ```
//!
//! with the `k`-th best similarity among the rows found within `R_1`; where a set of rows is
//! sparse, or a query far from all rows, `d_k` is large and more is looked at, without any
//! knowledge of why. Where that would be dearer than a scan, or fewer than `k` rows turn up,
//! there is a scan.
//!
//! **What is measured instead of set.** Some rows stand for queries, and their exact
//! neighbors without themselves are found. For every shape (directions, digits, tables) and
//! every neighbor `j` of query `q`, the ratio that it needs is known without any search:
//!
//! ```text
//! t_qj = min over tables of p(bucket of j) / d_k(q)^2                             (4)
//! ```
//!
//! so the least `t` with recall at the target is a quantile of (4). It is taken such that
//! the recall less two standard errors is at the target. A shape is then worth what it
//! costs: directions to project on, buckets, rows visited and rows scored, counted on the
//! sample and weighed by constants; no clock is read. The cheapest is built, or none where
//! a scan is cheaper, as it always is with fewer than 1024 rows. [`Lsh::report`] says what was chosen, and what it does to other rows
//! than it was chosen on.
//!
//! Cost: `4` bytes a row and table, beside those of the scan; a build is `O(n d)` for each
//! direction.
//!
//! # Growth
//!
//! New rows are hashed into the tables, and what was chosen stays. When the rows have doubled
//! since, everything is chosen anew.
//!
//! # Departures
//!
//! * The cross-polytope is in random directions, not in rotated coordinates: a matrix that
//!   fits in the cache is as fast as three fast rotations, and any width is possible.
//! * Buckets are probed up to a radius that follows the query, not up to a number: a
//!   query in the midst of a bucket needs fewer than one in a corner.
//!
//! # Limits
//!
//! Where lengths are beyond `f32`, every row is scored.
//!
//! It pays where there are many rows. Of 100,000 clustered ones in 384 dimensions a query
//! scores 3 % and takes 0.36 of the exact scan's time, a sixtieth of that of a plain scan in
//! `f32`; of 26,000 it scores 5 %, in half the scan's time. On recorded streams with 2,651 to
//! 14,239 prompts the choice is to scan: on the largest the five nearest have a cosine of
//! 0.55 in the median, and a fifth of the rows would have to be scored.
//!
//! # References
//!
//! Charikar, "Similarity estimation techniques from rounding algorithms", 2002,
//! doi:10.1145/509907.509965, for hyperplanes. Lv, Josephson, Wang, Charikar and Li,
//! "Multi-probe LSH: efficient indexing for high-dimensional similarity search", 2007.
//! Andoni, Indyk, Laarhoven, Razenshteyn and Schmidt, "Practical and optimal LSH for angular
//! distance", 2015, arXiv:1509.02897, for cross-polytopes and their probing.

mod buckets;
mod choose;
mod file;
mod hash;
mod probe;
mod search;

use std::io::Write;

use serde::{Deserialize, Serialize};
use tollgate_core::{EstimateError, FitError, History, ParamError, Query, Scratch, Seed};

use self::buckets::{Buckets, extended};
use self::choose::{Choice, Sample};
pub(super) use self::file::Header;
use self::hash::{Hasher, mean_direction};
use self::probe::Prober;
use self::search::Search;
use super::idle::Idle;
use super::{Capabilities, ExactScan, Index, IndexFileError, RowSets};
use crate::vector::checked_norm;

/// What a digit of the hash is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LshFamily {
    /// The side of a random hyperplane.
    Hyperplanes,
    /// The nearest vertex of a cross-polytope in random directions.
    #[default]
    CrossPolytope,
}

/// Knobs of [`Lsh`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LshConfig {
    /// How rows are hashed. Default [`LshFamily::CrossPolytope`].
    pub family: LshFamily,
    /// The share of the `k` nearest rows that is to be found, for queries like the rows;
    /// in `(0, 1)`. Default 0.95.
    pub target_recall: f64,
    /// How many neighbors the target is for; in `1..=1024`. Queries may ask for any number.
    /// Default 5.
    pub k: usize,
}

impl Default for LshConfig {
    fn default() -> Self {
        Self { family: LshFamily::default(), target_recall: 0.95, k: 5 }
    }
}

impl LshConfig {
    /// Sets how rows are hashed.
    #[must_use]
    pub fn family(mut self, family: LshFamily) -> Self {
        self.family = family;
        self
    }

    /// Sets the share of the nearest rows that is to be found.
    #[must_use]
    pub fn target_recall(mut self, target_recall: f64) -> Self {
        self.target_recall = target_recall;
        self
    }

    /// Sets how many neighbors the target is for.
    #[must_use]
    pub fn k(mut self, k: usize) -> Self {
        self.k = k;
        self
    }

    /// The recipe.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self) -> Result<LshRecipe, ParamError> {
        let Self { family, target_recall, k } = self;
        if !(target_recall > 0.0 && target_recall < 1.0) {
            let (field, rule) = ("target_recall", "> 0 and < 1");
            return Err(ParamError { field, rule, got: target_recall });
        }
        if !(1..=1024).contains(&k) {
            return Err(ParamError { field: "k", rule: "in 1..=1024", got: k as f64 });
        }
        Ok(LshRecipe { family, target_recall, k, always: false })
    }
}

/// The recipe of [`Lsh`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LshRecipe {
    family: LshFamily,
    target_recall: f64,
    k: usize,
    /// Hashes even where a scan is cheaper.
    always: bool,
}

impl LshRecipe {
    /// An index of the history's prompts, built on the threads of the current pool.
    ///
    /// # Errors
    /// [`FitError::ZeroVector`] names the first embedding without a direction;
    /// [`ParamError`] when there are `2^32` rows or more.
    pub fn index(self, history: &History, seed: Seed) -> Result<Lsh, FitError> {
        Ok(Lsh::new(self, seed, ExactScan::new(history)?))
    }

    /// Hashes even where a scan is cheaper, for tests with few rows.
    #[cfg(test)]
    pub(super) fn always(mut self) -> Self {
        self.always = true;
        self
    }

    fn pays(self, price: f64, n_rows: usize) -> bool {
        self.always || price < n_rows as f64
    }
}

/// What was chosen for some rows, and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LshReport {
    /// How many tables; 0 where every query is a scan, since that is cheaper.
    pub tables: usize,
    /// Digits of a bucket's number.
    pub digits: usize,
    /// Directions a digit; 1 for hyperplanes.
    pub width: usize,
    /// `t`: what the radius is to the square of the distance of the `k`-th neighbor.
    pub ratio: f64,
    /// The rows that it was chosen for.
    pub n_rows: usize,
    /// Rows that stood for queries in what follows, and had no part in the choice; 0 where
    /// every query is a scan.
    pub queries: usize,
    /// The mean share of the `k` nearest rows that they found, without themselves.
    pub recall: f64,
    /// The mean share of all rows that they scored.
    pub examined: f64,
}

impl LshReport {
    /// That of an index without tables.
    fn of_a_scan(n_rows: usize) -> Self {
        let (tables, digits, width, queries) = (0, 0, 0, 0);
        let (ratio, recall, examined) = (0.0, 1.0, 1.0);
        Self { tables, digits, width, ratio, n_rows, queries, recall, examined }
    }

    fn of(choice: Choice, n_rows: usize, queries: usize, [recall, examined]: [f64; 2]) -> Self {
        let Choice { shape: hash::Shape { tables, digits, width }, ratio, first: _ } = choice;
        Self { tables, digits, width, ratio, n_rows, queries, recall, examined }
    }
}

/// Looks at rows that hash like the query; approximate, grows row by row, can be saved.
#[derive(Debug)]
pub struct Lsh {
    recipe: LshRecipe,
    seed: Seed,
    /// The rows: what is found is scored by it.
    scan: ExactScan,
    /// `None` where a scan is cheaper.
    tables: Option<Tables>,
    report: LshReport,
    /// Buffers that no search is using. They are the size of the index, so there is one a
    /// thread, and not one a query as there would be in [`Scratch`].
    probers: Idle<Prober>,
}

/// The hash tables.
#[derive(Debug)]
struct Tables {
    choice: Choice,
    hasher: Hasher,
    buckets: Vec<Buckets>,
}

impl Lsh {
    fn new(recipe: LshRecipe, seed: Seed, scan: ExactScan) -> Self {
        let report = LshReport::of_a_scan(scan.n_rows());
        let probers = Idle::default();
        let mut index = Self { recipe, seed, scan, tables: None, report, probers };
        if let Some([chosen_on, tested_on]) = Sample::pair(&index.scan, recipe.k, seed) {
            let mean = mean_direction(&index.scan, index.scan.n_rows());
            if let Some(choice) = choose::choose(recipe, &index.scan, &mean, &chosen_on, seed) {
                let hasher = Hasher::new(choice.shape, &mean, seed);
                let empty = Buckets::empty(choice.shape.n_buckets());
                let buckets = vec![empty; choice.shape.tables];
                let buckets = extended(&buckets, &hasher, &index.scan, 0);
                index.tables = Some(Tables { choice, hasher, buckets });
                index.report = index.tested(choice, &tested_on);
            }
        }
        index
    }

    /// What was chosen, and what it did to rows that it was not chosen on.
    pub fn report(&self) -> &LshReport {
        &self.report
    }

    /// What it was built with.
    pub fn config(&self) -> LshConfig {
        let LshRecipe { family, target_recall, k, always: _ } = self.recipe;
        LshConfig { family, target_recall, k }
    }

    fn tested(&self, choice: Choice, sample: &Sample) -> LshReport {
        let n_rows = self.n_rows();
        let measured = sample
            .mean(|row, nearest| {
                let query = Query::new(self.scan.row(row as usize));
                let mut scratch = Scratch::default();
                let sets = RowSets::all();
                let k = self.recipe.k;
                let scored = self.nearest_counted(query, k, &sets, Some(row), &mut scratch)?;
                let found = &scratch.child(0).scored;
                let hits = nearest.iter().filter(|wanted| found.contains(wanted)).count();
                Ok([hits as f64 / nearest.len() as f64, scored as f64 / n_rows as f64])
            })
            .expect("rows of an index are queries that it takes");
        LshReport::of(choice, n_rows, sample.nearest.len(), measured)
    }

    /// As [`Index::nearest_into`]; answers how many rows were scored, or screened by their
    /// bytes, over all sets.
    ///
    /// # Errors
    /// As [`Index::nearest_into`].
    pub fn nearest_counted(
        &self,
        query: Query<'_>,
        k: usize,
        sets: &RowSets,
        exclude: Option<u32>,
        scratch: &mut Scratch,
    ) -> Result<usize, EstimateError> {
        let norm = checked_norm(query.embedding, self.dim())?;
        let screen = |tables| Some((tables, self.scan.screen(query.embedding, norm)?));
        let Some((tables, screened)) = self.tables.as_ref().and_then(screen) else {
            self.scan.nearest_into(query, k, sets, exclude, scratch)?;
            return Ok(self.n_rows() * sets.n_sets());
        };
        let search = Search { scan: &self.scan, tables, screened, k, sets, exclude };
        Ok(self.probers.with(|prober| {
            prober.begin(&tables.hasher, query.embedding, 1.0 / norm, self.n_rows());
            search.run(prober, scratch)
        }))
    }
}

impl Index for Lsh {
    fn name(&self) -> &'static str {
        "lsh"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { exact: false, reproducible: true, insert: true, persist: true }
    }

    fn n_rows(&self) -> usize {
        self.scan.n_rows()
    }

    fn dim(&self) -> usize {
        self.scan.dim()
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Index>, FitError> {
        let scan = self.scan.grown(history)?;
        if scan.n_rows() >= 2 * self.report.n_rows {
            return Ok(Box::new(Self::new(self.recipe, self.seed, scan)));
        }
        let tables = self.tables.as_ref().map(|tables| Tables {
            choice: tables.choice,
            hasher: tables.hasher.clone(),
            buckets: extended(&tables.buckets, &tables.hasher, &scan, self.n_rows()),
        });
        let Self { recipe, seed, report, .. } = *self;
        Ok(Box::new(Self { recipe, seed, scan, tables, report, probers: Idle::default() }))
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
        self.nearest_counted(query, k, sets, exclude, scratch).map(drop)
    }
}

#[cfg(test)]
#[path = "lsh/tests.rs"]
mod tests;
