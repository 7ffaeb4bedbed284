//! Insertion in batches (algorithms 1 and 4 of the paper).

use std::ops::Range;

use rayon::prelude::*;
use tollgate_core::{Purpose, Queries};

use super::graph::TOP;
use super::kernel::{Coarse, Fine, Metric, encode_query};
use super::nodes::small;
use super::walk::{Extent, Walker, distance_of, key, node_of};
use super::{Buffers, Hnsw, HnswRecipe};

/// Nodes a batch, at most; and at most one for every `SHARE` that are linked already.
const BATCH: usize = 512;
const SHARE: usize = 16;

/// The links a new node asks for on each of its layers, as keys.
type Proposal = Vec<Vec<u64>>;

/// A link to be added: layer, from, and the key of the node that it leads to.
type Back = (u8, u32, u64);

impl Hnsw {
    /// Adds rows that have the right dimension and a direction.
    pub(super) fn insert_checked(&mut self, rows: Queries<'_>) {
        self.nodes.reserve(rows.len());
        self.graph.reserve(rows.len());
        let mut order: Vec<usize> = (0..rows.len()).collect();
        let shuffles = u64::from(u32::MAX) + 1 + self.nodes.n_rows() as u64;
        self.seed.stream(Purpose::Fit, shuffles).shuffle(&mut order);
        let mut node_of = vec![0; rows.len()];
        for row in order {
            node_of[row] = self.nodes.find_or_push(rows.query(row).embedding);
            let linked = self.graph.len();
            if self.nodes.len() - linked >= (linked / SHARE).clamp(1, BATCH) {
                self.link_batch();
            }
        }
        if self.graph.len() < self.nodes.len() {
            self.link_batch();
        }
        for node in node_of {
            self.nodes.push_row(node);
        }
    }

    /// Links the nodes that are not linked yet.
    fn link_batch(&mut self) {
        let batch = small(self.graph.len())..small(self.nodes.len());
        let levels: Vec<u8> = batch.clone().map(|node| self.level(node)).collect();
        let proposals: Vec<Proposal> = batch
            .clone()
            .into_par_iter()
            .map(|node| self.buffers.with(|buffers| self.propose(node, &levels, buffers)))
            .collect();
        let mut back = Vec::new();
        for ((node, &level), proposal) in batch.zip(&levels).zip(&proposals) {
            self.graph.push(level);
            for (layer, keys) in (0..=level).zip(proposal) {
                let links: Vec<u32> = keys.iter().map(|&key| node_of(key)).collect();
                self.graph.link(node, layer, &links);
                let reverse = |&to: &u64| (layer, node_of(to), key(distance_of(to), node));
                back.extend(keys.iter().map(reverse));
            }
        }
        // By layer and node, the nearest first: the order does not matter to the graph,
        // and one pass over a node serves all that ask for a link from it.
        back.par_sort_unstable();
        let groups: Vec<&[Back]> = back.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).collect();
        let linked: Vec<Vec<u32>> = groups.par_iter().map(|group| self.admit(group)).collect();
        for (group, links) in groups.iter().zip(linked) {
            let (layer, node, _) = group[0];
            self.graph.link(node, layer, &links);
        }
    }

    /// Reaches layer `l` with probability `m^-l`: the paper's `floor(-ln(u) / ln(m))` in
    /// integers, the same on every machine.
    fn level(&self, node: u32) -> u8 {
        let mut rng = self.seed.stream(Purpose::Fit, u64::from(node));
        (0..TOP).take_while(|_| rng.below(self.recipe.m) == 0).fold(0, |level, _| level + 1)
    }

    /// Searches the graph as it is, and the mates of the batch that come before.
    fn propose(&self, node: u32, levels: &[u8], buffers: &mut Buffers) -> Proposal {
        let Buffers { walker, codes, mates, candidates, .. } = buffers;
        let width = self.recipe.ef_construction;
        let first = small(self.graph.len());
        let level = levels[(node - first) as usize];
        let fine = self.fine_of(node);
        let step = encode_query(self.nodes.vector(node), fine.inverse_norm, codes);
        let coarse = self.coarse(codes.planes(), step);
        let top = self.graph.entry.map(|entry| self.graph.levels[entry as usize]);
        walker.descend(&self.graph, level, 1, &coarse);
        mates.measure(first..node, &coarse);
        let mut proposal = vec![Vec::new(); usize::from(level) + 1];
        for layer in (0..=level).rev() {
            candidates.clear();
            if top >= Some(layer) {
                self.gather(layer, walker, &coarse, &fine);
                candidates.extend(walker.beam.iter().map(|&found| found & !1));
            }
            let reaches = |mate: u32| levels[(mate - first) as usize] >= layer;
            mates.join(candidates, width, self.nodes.coarseness(), reaches, &fine);
            proposal[usize::from(layer)] = self.select(candidates, self.recipe.m);
        }
        proposal
    }

    /// Leaves the nearest of a layer in the walker's beam: found in bytes, measured in
    /// `f32`. Where bytes may have missed one that is nearer than as many as there are to
    /// be links, looks for it in `f32`.
    fn gather(&self, layer: u8, walker: &mut Walker, coarse: &Coarse<'_>, fine: &Fine<'_>) {
        let HnswRecipe { m, ef_construction: width, .. } = self.recipe;
        let (layer, blur) = (self.graph.layer(layer), self.nodes.coarseness());
        walker.remeasure(coarse);
        let reach = walker.walk(layer, Extent { blur, ..Extent::of(width) }, coarse);
        walker.remeasure(fine);
        let farthest = walker.beam[m.min(walker.beam.len() - 1)];
        if f64::from(distance_of(farthest)) + blur > reach {
            walker.walk(layer, Extent::of(width), fine);
        }
    }

    /// The links of a node once those of `group` have been asked for.
    fn admit(&self, group: &[Back]) -> Vec<u32> {
        let (layer, node, _) = group[0];
        let mut links: Vec<u32> = self.graph.layer(layer).links(node).collect();
        let capacity = self.graph.capacity(layer);
        if links.len() + group.len() <= capacity {
            links.extend(group.iter().map(|back| node_of(back.2)));
            return links;
        }
        let mut distances = Vec::new();
        self.fine_of(node).measure(&links, &mut distances);
        let mut candidates: Vec<u64> =
            links.iter().zip(&distances).map(|(&link, &distance)| key(distance, link)).collect();
        candidates.extend(group.iter().map(|back| back.2));
        candidates.sort_unstable();
        self.select(&candidates, capacity).iter().map(|&key| node_of(key)).collect()
    }

    /// At most `most` of the candidates, nearest first, without those that are nearer to
    /// one already chosen than to the node itself.
    fn select(&self, candidates: &[u64], most: usize) -> Vec<u64> {
        let mut chosen: Vec<u64> = Vec::with_capacity(most);
        let mut nodes: Vec<u32> = Vec::with_capacity(most);
        for &candidate in candidates {
            if chosen.len() == most {
                break;
            }
            let node = node_of(candidate);
            if !self.fine_of(node).any_nearer(&nodes, distance_of(candidate)) {
                chosen.push(candidate);
                nodes.push(node);
            }
        }
        chosen
    }
}

/// The earlier nodes of a batch: seen by nobody who searches the graph.
#[derive(Debug, Default)]
pub(super) struct Mates {
    /// Their distances in bytes.
    keys: Vec<u64>,
    near: Vec<u32>,
    distances: Vec<f32>,
}

impl Mates {
    fn measure(&mut self, mates: Range<u32>, coarse: &Coarse<'_>) {
        self.near.clear();
        self.near.extend(mates);
        coarse.measure(&self.near, &mut self.distances);
        self.keys.clear();
        let mates = self.near.iter().zip(&self.distances);
        self.keys.extend(mates.map(|(&mate, &distance)| key(distance, mate)));
    }

    /// Adds those that are near enough to `candidates`, in order, and keeps the nearest
    /// `width` of all.
    fn join(
        &mut self,
        candidates: &mut Vec<u64>,
        width: usize,
        coarseness: f64,
        reaches: impl Fn(u32) -> bool,
        fine: &Fine<'_>,
    ) {
        let last = candidates.last().map_or(0.0, |&last| f64::from(distance_of(last)));
        let limit = if candidates.len() < width { f64::INFINITY } else { last + coarseness };
        let near = |&key: &u64| f64::from(distance_of(key)) <= limit && reaches(node_of(key));
        let mut keys: Vec<u64> = self.keys.iter().copied().filter(near).collect();
        if keys.len() > width {
            keys.select_nth_unstable(width);
            keys.truncate(width);
        }
        self.near.clear();
        self.near.extend(keys.iter().map(|&key| node_of(key)));
        fine.measure(&self.near, &mut self.distances);
        let mates = self.near.iter().zip(&self.distances);
        candidates.extend(mates.map(|(&mate, &distance)| key(distance, mate)));
        candidates.sort_unstable();
        candidates.truncate(width);
    }
}
