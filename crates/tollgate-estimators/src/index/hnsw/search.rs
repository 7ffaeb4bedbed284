//! From a query to the nearest rows of a set.

use pulp::Arch;

use super::kernel::{Coarse, Fine, LANES, encode_query};
use super::walk::{Walker, distance_of, node_of};
use super::{Hnsw, nodes};
use crate::vector::{dot, dot_f32_error};

/// A scan reads rows in order, a walk jumps: up to so many nodes for each one in the
/// beam, the scan is no dearer.
const SCAN: usize = 8;

/// What is looked for.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) k: usize,
    /// The rows that count; `None` is all.
    pub(super) mask: Option<&'a [bool]>,
    /// A row that does not.
    pub(super) exclude: Option<u32>,
}

impl Wanted<'_> {
    fn counts(&self, row: u32) -> bool {
        self.mask.is_none_or(|mask| mask[row as usize]) && self.exclude != Some(row)
    }
}

/// One query on its way.
#[derive(Debug)]
pub(super) struct Search<'a> {
    index: &'a Hnsw,
    arch: Arch,
    query: &'a [f32],
    inverse_norm: f64,
    step: f32,
    walker: &'a mut Walker,
}

impl Hnsw {
    pub(super) fn search<'a>(
        &'a self,
        query: &'a [f32],
        inverse_norm: f64,
        walker: &'a mut Walker,
    ) -> Search<'a> {
        let step = encode_query(query, inverse_norm, &mut walker.codes);
        walker.query.clear();
        // Of length 1, so that it is in the range of f32 products whatever it was.
        #[expect(clippy::cast_possible_truncation, reason = "f32 is what is walked in")]
        walker.query.extend(query.iter().map(|&x| (f64::from(x) * inverse_norm) as f32));
        walker.query.resize(self.dim_padded(), 0.0);
        Search { index: self, arch: Arch::new(), query, inverse_norm, step, walker }
    }

    fn dim_padded(&self) -> usize {
        self.nodes.dim().next_multiple_of(LANES)
    }
}

impl Search<'_> {
    /// Leaves the `k` nearest of the `in_set` rows in `scored`.
    pub(super) fn nearest(
        &mut self,
        wanted: &Wanted<'_>,
        in_set: usize,
        scored: &mut Vec<(f64, u32)>,
    ) {
        scored.clear();
        let n_nodes = self.index.nodes.len();
        if wanted.k == 0 || in_set == 0 {
            return;
        }
        // One more than `k`, for the row to exclude.
        let least = self.index.recipe.ef.max(wanted.k.saturating_add(1));
        let mut width = least.saturating_mul(self.index.n_rows_per(in_set));
        let candidates = in_set.min(n_nodes);
        while width < n_nodes && width.saturating_mul(SCAN) < candidates {
            self.walk_coarse(width);
            if self.collect(wanted, self.index.nodes.coarseness(), width, scored) {
                return;
            }
            self.walk_fine(width);
            self.collect(wanted, dot_f32_error(self.index.nodes.dim()), width, scored);
            if scored.len() >= wanted.k {
                return;
            }
            width = width.saturating_mul(4);
        }
        self.scan(wanted, scored);
    }

    fn walk_coarse(&mut self, width: usize) {
        let nodes = &self.index.nodes;
        let codes = std::mem::take(&mut self.walker.codes);
        let metric = Coarse {
            arch: self.arch,
            codes: &nodes.codes,
            steps: &nodes.steps,
            query: &codes,
            step: self.step,
        };
        self.walker.descend(&self.index.graph, 0, &metric);
        self.walker.walk(&self.index.graph, 0, width, &metric);
        self.walker.codes = codes;
    }

    fn walk_fine(&mut self, width: usize) {
        let nodes = &self.index.nodes;
        let query = std::mem::take(&mut self.walker.query);
        let metric = Fine {
            arch: self.arch,
            rows: &nodes.vectors,
            inverse_norms: &nodes.inverse_norms,
            canonical: nodes.extreme,
            query: &query,
            inverse_norm: 1.0,
        };
        self.walker.descend(&self.index.graph, 0, &metric);
        self.walker.walk(&self.index.graph, 0, width, &metric);
        self.walker.query = query;
    }

    /// Scores what may be among the `k` nearest of the beam, whose distances are off by at
    /// most `error`. Answers whether the beam reaches so far that nothing beyond it may be.
    fn collect(
        &self,
        wanted: &Wanted<'_>,
        error: f64,
        width: usize,
        scored: &mut Vec<(f64, u32)>,
    ) -> bool {
        scored.clear();
        let mut farthest = f64::INFINITY;
        let mut reached = self.walker.beam.len() < width;
        for &key in &self.walker.beam {
            let distance = f64::from(distance_of(key));
            if distance > farthest {
                reached = true;
                break;
            }
            self.score(node_of(key), wanted, scored);
            if scored.len() >= wanted.k && farthest.is_infinite() {
                farthest = distance + 2.0 * error;
            }
        }
        let enough = scored.len() >= wanted.k;
        nearest_first(scored, wanted.k);
        reached && enough
    }

    /// Adds the rows of a node, as many as could be wanted, with their similarity.
    fn score(&self, node: u32, wanted: &Wanted<'_>, scored: &mut Vec<(f64, u32)>) {
        let nodes = &self.index.nodes;
        let mut rows = nodes.rows(node).filter(|&row| wanted.counts(row)).take(wanted.k).peekable();
        if rows.peek().is_some() {
            let inverse_norm = nodes.inverse_norms[node as usize];
            let similarity = dot(self.query, nodes.vector(node)) * inverse_norm * self.inverse_norm;
            scored.extend(rows.map(|row| (similarity, row)));
        }
    }

    /// Scores every node.
    fn scan(&self, wanted: &Wanted<'_>, scored: &mut Vec<(f64, u32)>) {
        scored.clear();
        for node in 0..nodes::small(self.index.nodes.len()) {
            self.score(node, wanted, scored);
            if scored.len() >= wanted.k.saturating_mul(2).max(256) {
                nearest_first(scored, wanted.k);
            }
        }
        nearest_first(scored, wanted.k);
    }
}

impl Hnsw {
    /// How many rows there are for each of a set of `in_set`, rounded up.
    fn n_rows_per(&self, in_set: usize) -> usize {
        self.nodes.n_rows().div_ceil(in_set)
    }
}

/// Sorts and keeps the first `k`.
fn nearest_first(scored: &mut Vec<(f64, u32)>, k: usize) {
    let nearer = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if k < scored.len() {
        scored.select_nth_unstable_by(k, nearer);
        scored.truncate(k);
    }
    scored.sort_unstable_by(nearer);
}
