//! Insertion in batches (algorithms 1 and 4 of the paper).

use pulp::Arch;
use rayon::prelude::*;
use tollgate_core::{Purpose, Queries};

use super::Hnsw;
use super::graph::TOP;
use super::kernel::{Fine, Metric};
use super::nodes::small;
use super::walk::{Walker, distance_of, key, node_of};

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
            .map(|node| self.with_walker(|walker| self.propose(node, &levels, walker)))
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

    /// What is near to a node, in `f32`.
    fn metric(&self, node: u32) -> Fine<'_> {
        Fine {
            arch: Arch::new(),
            rows: &self.nodes.vectors,
            inverse_norms: &self.nodes.inverse_norms,
            canonical: self.nodes.extreme,
            query: self.nodes.vectors.row(node as usize),
            inverse_norm: self.nodes.inverse_norms[node as usize],
        }
    }

    /// Searches the graph as it is, and the mates of the batch that come before.
    fn propose(&self, node: u32, levels: &[u8], walker: &mut Walker) -> Proposal {
        let first = small(self.graph.len());
        let level = levels[(node - first) as usize];
        let metric = self.metric(node);
        let mates: Vec<u32> = (first..node).collect();
        let mut distances = Vec::new();
        metric.measure(&mates, &mut distances);
        let mut mates: Vec<u64> =
            mates.iter().zip(&distances).map(|(&mate, &distance)| key(distance, mate)).collect();
        mates.sort_unstable();

        let top = self.graph.entry.map(|entry| self.graph.levels[entry as usize]);
        walker.descend(&self.graph, level, &metric);
        let mut proposal = vec![Vec::new(); usize::from(level) + 1];
        for layer in (0..=level).rev() {
            let mut candidates = Vec::new();
            if top >= Some(layer) {
                walker.walk(&self.graph, layer, self.recipe.ef_construction, &metric);
                candidates.extend(walker.beam.iter().map(|&found| found & !1));
            }
            let reaches = |&&mate: &&u64| levels[(node_of(mate) - first) as usize] >= layer;
            candidates.extend(mates.iter().filter(reaches).take(self.recipe.ef_construction));
            candidates.sort_unstable();
            candidates.truncate(self.recipe.ef_construction);
            proposal[usize::from(layer)] = self.select(&candidates, self.recipe.m);
        }
        proposal
    }

    /// The links of a node once those of `group` have been asked for.
    fn admit(&self, group: &[Back]) -> Vec<u32> {
        let (layer, node, _) = group[0];
        let mut links: Vec<u32> = self.graph.links(node, layer).collect();
        let capacity = self.graph.capacity(layer);
        if links.len() + group.len() <= capacity {
            links.extend(group.iter().map(|back| node_of(back.2)));
            return links;
        }
        let mut distances = Vec::new();
        self.metric(node).measure(&links, &mut distances);
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
            if !self.metric(node).any_nearer(&nodes, distance_of(candidate)) {
                chosen.push(candidate);
                nodes.push(node);
            }
        }
        chosen
    }
}
