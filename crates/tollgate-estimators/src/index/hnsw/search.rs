//! From a query to the nearest rows of a set.

use super::super::products::{LongFactors, Planes};
use super::build::Mates;
use super::kernel::{Coarse, Fine, LANES, encode_query};
use super::prefetch::prefetch;
use super::walk::{Extent, Walker, distance_of, node_of};
use super::{Hnsw, nodes};
use crate::vector::{dot, dot_f32_error};

/// A scan reads rows in order, a walk jumps: up to so many nodes for each one in the
/// beam, the scan is no dearer.
const SCAN: usize = 8;

/// How much wider than in `f32` a beam in bytes is, at most: most walks end before, see
/// [`Extent`]. Measured on 26,000, 100,000 and 100,000 clustered rows and 13,756 real ones,
/// 4,000 and 1,500 queries, the five nearest: recall .9995, .9996, .9993 and .9992 with a beam
/// of 80 to its end, .9997, .9996, .9999 and .9993 with 120, 160 brings .0001 more; distances
/// 1339, 1184, 1190, 1514 against 840, 1122, 1119, 1143, all from sixteen [`ENTRIES`].
const WIDER: [usize; 2] = [12, 5];

/// Nodes in the beam above layer 0, from all of which a query begins there. Measured on two
/// sets of 100,000 clustered rows with 4,000 queries each: from one node 2 and 6 queries lost
/// all of their five nearest, from eight and from sixteen 1 and 0; the latter take a tenth more
/// distances and find no more neighbors. Following all of them before anything else cost a fifth
/// more and missed as many.
const ENTRIES: usize = 8;

/// How many nodes ahead the memory of their vectors is asked for, and how much of it.
const AHEAD: usize = 4;
const MOST_LINES: usize = 32;

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

/// What searches and insertions use again; holds no answers from one to the next.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) walker: Walker,
    /// The query in bytes.
    pub(super) codes: LongFactors,
    /// The query in `f32`.
    query: Vec<f32>,
    pub(super) mates: Mates,
    pub(super) candidates: Vec<u64>,
}

/// One query on its way.
#[derive(Debug)]
pub(super) struct Search<'a> {
    index: &'a Hnsw,
    query: &'a [f32],
    inverse_norm: f64,
    coarse: Coarse<'a>,
    fine: Fine<'a>,
    walker: &'a mut Walker,
}

impl Hnsw {
    pub(super) fn search<'a>(
        &'a self,
        query: &'a [f32],
        inverse_norm: f64,
        buffers: &'a mut Buffers,
    ) -> Search<'a> {
        let Buffers { walker, codes, query: unit, .. } = buffers;
        let step = encode_query(query, inverse_norm, codes);
        unit.clear();
        // Of length 1, so that it is in the range of f32 products whatever it was.
        #[expect(clippy::cast_possible_truncation, reason = "f32 is what is walked in")]
        unit.extend(query.iter().map(|&x| (f64::from(x) * inverse_norm) as f32));
        unit.resize(unit.len().next_multiple_of(LANES), 0.0);
        let (coarse, fine) = (self.coarse(codes.planes(), step), self.fine(unit, 1.0));
        Search { index: self, query, inverse_norm, coarse, fine, walker }
    }

    /// Distances from a coded query.
    pub(super) fn coarse<'a>(&'a self, query: Planes<'a>, step: f32) -> Coarse<'a> {
        let (codes, steps) = (self.nodes.codes.values(), &self.nodes.steps);
        Coarse { kernel: self.kernel, codes, steps, query, step }
    }

    /// Distances from a padded query.
    pub(super) fn fine<'a>(&'a self, query: &'a [f32], inverse_norm: f64) -> Fine<'a> {
        Fine {
            arch: self.arch,
            rows: self.nodes.vectors.view(),
            inverse_norms: &self.nodes.inverse_norms,
            canonical: self.nodes.extreme,
            query,
            inverse_norm,
        }
    }

    /// Distances from a node.
    pub(super) fn fine_of(&self, node: u32) -> Fine<'_> {
        let query = self.nodes.vectors.view().row(node as usize);
        self.fine(query, self.nodes.inverse_norms[node as usize])
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
        let Hnsw { nodes, recipe, .. } = self.index;
        if wanted.k == 0 || in_set == 0 {
            return;
        }
        // One more than `k`, for the row to exclude.
        let least = recipe.ef.max(wanted.k.saturating_add(1));
        let mut width = least.saturating_mul(self.index.n_rows_per(in_set));
        let candidates = in_set.min(nodes.len());
        while width < nodes.len() && width.saturating_mul(SCAN) < candidates {
            let per = width / least;
            let limit = self.walk(wanted, width, wanted.k.saturating_add(1).saturating_mul(per));
            self.collect(wanted, limit, scored);
            if scored.len() >= wanted.k {
                return;
            }
            width = width.saturating_mul(4);
        }
        self.scan(wanted, scored);
    }

    /// Leaves the nearest nodes in the beam, of which `enough` should hold what is wanted, and
    /// answers up to which distance they may be among the `k` nearest.
    fn walk(&mut self, wanted: &Wanted<'_>, width: usize, enough: usize) -> f64 {
        let Hnsw { graph, nodes, .. } = self.index;
        let (layer, blur) = (graph.layer(0), nodes.coarseness());
        self.walker.descend(graph, 0, ENTRIES, &self.coarse);
        let wider = width.saturating_mul(WIDER[0]) / WIDER[1];
        let extent = Extent { width: wider, blur, wanted: enough };
        let reach = self.walker.walk(layer, extent, &self.coarse);
        let limit = self.limit(wanted, blur);
        if limit <= reach {
            return limit;
        }
        // Measured anew, the beam is as it is, and only what lies beyond it is blurred.
        let error = dot_f32_error(nodes.dim());
        self.walker.remeasure(&self.fine);
        let limit = self.limit(wanted, error);
        if limit + blur <= reach {
            return limit;
        }
        // On from where bytes have led to, since they lead no further.
        self.walker.beam.truncate(width);
        self.walker.walk(layer, Extent::of(width), &self.fine);
        self.limit(wanted, error)
    }

    /// How far away the `k` nearest of the beam may be, distances off by at most `error`;
    /// infinite where there are fewer.
    fn limit(&self, wanted: &Wanted<'_>, error: f64) -> f64 {
        let mut missing = wanted.k;
        for &key in &self.walker.beam {
            let rows = self.index.nodes.rows(node_of(key));
            missing -= rows.filter(|&row| wanted.counts(row)).take(missing).count();
            if missing == 0 {
                return f64::from(distance_of(key)) + 2.0 * error;
            }
        }
        f64::INFINITY
    }

    /// Scores the rows of the beam up to a distance and keeps the `k` nearest.
    fn collect(&self, wanted: &Wanted<'_>, limit: f64, scored: &mut Vec<(f64, u32)>) {
        scored.clear();
        let beam = &self.walker.beam;
        let near = beam.partition_point(|&key| f64::from(distance_of(key)) <= limit);
        for (at, &key) in beam[..near].iter().enumerate() {
            if let Some(&ahead) = beam[..near].get(at + AHEAD) {
                prefetch::<MOST_LINES, _>(self.index.nodes.vector(node_of(ahead)));
            }
            self.score(node_of(key), wanted, scored);
        }
        nearest_first(scored, wanted.k);
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
