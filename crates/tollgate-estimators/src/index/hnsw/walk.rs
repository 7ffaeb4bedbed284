//! Best-first search of one layer with a bounded beam (algorithm 2 of the paper).

use super::graph::{Graph, Layer, NONE};
use super::kernel::Metric;
use super::prefetch::prefetch;

/// Set in a key once the links of its node have been followed.
const EXPANDED: u64 = 1;

/// A node and its distance in one integer, ordered by distance and then by node.
pub(super) fn key(distance: f32, node: u32) -> u64 {
    let bits = distance.to_bits();
    let ordered = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    u64::from(ordered) << 32 | u64::from(node) << 1
}

/// The node of a key.
#[expect(clippy::cast_possible_truncation, reason = "the low half is the node")]
pub(super) fn node_of(key: u64) -> u32 {
    key as u32 >> 1
}

/// The distance of a key.
pub(super) fn distance_of(key: u64) -> f32 {
    let ordered = (key >> 32) as u32;
    f32::from_bits(if ordered >> 31 == 1 { ordered ^ 1 << 31 } else { !ordered })
}

/// How much farther away than what is wanted a walk looks on. With 1.2 the five nearest of
/// 26,000 to 100,000 rows take 63 to 94 % of the distances of a walk to the end; from 1.1 on
/// downward real prompts lose neighbors.
const SLACK: f64 = 1.2;

/// How far a walk goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Nodes in the beam.
    pub(super) width: usize,
    /// How far the metric is off, at most.
    pub(super) blur: f64,
    /// Nodes that are wanted: a walk ends where the next is farther than [`SLACK`] times
    /// the last of these, or with the beam. `usize::MAX` leaves it to the beam.
    pub(super) wanted: usize,
}

impl Extent {
    /// To the end of the beam, by a metric that is right.
    pub(super) fn of(width: usize) -> Self {
        Self { width, blur: 0.0, wanted: usize::MAX }
    }
}

/// Reusable buffers of a walk; hold no answers from one to the next.
#[derive(Debug, Default)]
pub(super) struct Walker {
    /// A node has been seen when its mark is the current one.
    marks: Vec<u16>,
    mark: u16,
    /// Keys, ascending.
    pub(super) beam: Vec<u64>,
    fresh: Vec<u32>,
    distances: Vec<f32>,
}

impl Walker {
    /// From the top to the layer above `layer`, with a beam of `width`; leaves the nodes
    /// where to begin in the beam.
    pub(super) fn descend(&mut self, graph: &Graph, layer: u8, width: usize, metric: &impl Metric) {
        self.beam.clear();
        let Some(entry) = graph.entry else {
            return;
        };
        metric.measure(&[entry], &mut self.distances);
        self.beam.push(key(self.distances[0], entry));
        for layer in (layer + 1..=graph.levels[entry as usize]).rev() {
            self.walk(graph.layer(layer), Extent::of(width), metric);
        }
    }

    /// From the beam, on one layer, to the nearest nodes. Answers a distance than which
    /// nothing that has not been found is nearer, as far as a graph can tell.
    ///
    /// Stops where a whole beam is closer together than the blur, since the metric does not
    /// tell any longer where to go; the answer is then below everything.
    pub(super) fn walk(&mut self, layer: Layer<'_>, extent: Extent, metric: &impl Metric) -> f64 {
        let Extent { width, blur, .. } = extent;
        self.begin(layer.n_nodes());
        let mut at = 0;
        while at < self.beam.len() {
            if self.beam[at] & EXPANDED != 0 {
                at += 1;
                continue;
            }
            let far = self.far(extent);
            if f64::from(distance_of(self.beam[at])) > far {
                return far.min(self.reach(width));
            }
            self.beam[at] |= EXPANDED;
            self.find_fresh(layer.slots(node_of(self.beam[at])));
            if let Some(&next) = self.beam.get(at + 1) {
                prefetch::<4, _>(layer.slots(node_of(next)));
            }
            metric.measure(&self.fresh, &mut self.distances);
            at = self.admit(width).min(at + 1);
            if self.reach(width) - f64::from(distance_of(self.beam[0])) < blur {
                return f64::NEG_INFINITY;
            }
        }
        self.reach(width)
    }

    /// Beyond which distance nothing is followed. Never nearer than what may, by the blur, be
    /// among those that are wanted.
    fn far(&self, extent: Extent) -> f64 {
        let last = extent.wanted.checked_sub(1).and_then(|last| self.beam.get(last));
        last.map_or(f64::INFINITY, |&last| SLACK * f64::from(distance_of(last)) + 2.0 * extent.blur)
    }

    /// The distance of the last of a full beam.
    fn reach(&self, width: usize) -> f64 {
        match self.beam.last() {
            Some(&last) if self.beam.len() >= width => f64::from(distance_of(last)),
            _ => f64::INFINITY,
        }
    }

    /// Leaves the links that have not been seen in `fresh`.
    fn find_fresh(&mut self, slots: &[u32]) {
        self.fresh.resize(slots.len(), 0);
        let mut count = 0;
        // Every link is written and only some are kept: whether one has been seen is
        // anybody's guess, and a branch on it would be guessed wrong.
        for &link in slots {
            if link == NONE {
                break;
            }
            let mark = &mut self.marks[link as usize];
            self.fresh[count] = link;
            count += usize::from(*mark != self.mark);
            *mark = self.mark;
        }
        self.fresh.truncate(count);
    }

    /// Takes the fresh nodes into the beam, as far as they are among the nearest `width`;
    /// answers the lowest place that was taken.
    fn admit(&mut self, width: usize) -> usize {
        let mut lowest = usize::MAX;
        for (&node, &distance) in self.fresh.iter().zip(&self.distances) {
            let key = key(distance, node);
            if self.beam.len() >= width {
                if self.beam.last().is_some_and(|&last| key > last) {
                    continue;
                }
                self.beam.truncate(width - 1);
            }
            let place = self.beam.partition_point(|&other| other < key);
            self.beam.insert(place, key);
            lowest = lowest.min(place);
        }
        lowest
    }

    /// Measures the beam again, by another metric.
    pub(super) fn remeasure(&mut self, metric: &impl Metric) {
        self.fresh.clear();
        self.fresh.extend(self.beam.iter().map(|&key| node_of(key)));
        metric.measure(&self.fresh, &mut self.distances);
        self.beam.clear();
        let keys = self.fresh.iter().zip(&self.distances);
        self.beam.extend(keys.map(|(&node, &distance)| key(distance, node)));
        self.beam.sort_unstable();
    }

    /// Forgets what was seen but for the beam, none of whose links have been followed.
    fn begin(&mut self, n_nodes: usize) {
        self.marks.resize(self.marks.len().max(n_nodes), 0);
        self.mark = self.mark.wrapping_add(1);
        if self.mark == 0 {
            self.marks.fill(0);
            self.mark = 1;
        }
        for key in &mut self.beam {
            *key &= !EXPANDED;
            self.marks[node_of(*key) as usize] = self.mark;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_by_distance_and_then_by_node() {
        let distances = [-0.25_f32, -1e-9, 0.0, 1e-30, 0.5, 2.0, f32::INFINITY];
        let keys: Vec<u64> = distances
            .iter()
            .flat_map(|&distance| [3, 70_000].map(|node| key(distance, node)))
            .collect();
        assert!(keys.is_sorted());
        for (pair, distance) in keys.chunks(2).zip(distances) {
            assert_eq!(pair.iter().map(|&key| node_of(key)).collect::<Vec<_>>(), [3, 70_000]);
            assert_eq!(distance_of(pair[1] | EXPANDED).to_bits(), distance.to_bits());
        }
    }
    /// Node `n` is `n + 1` away.
    struct ByNumber;

    impl Metric for ByNumber {
        fn measure(&self, nodes: &[u32], out: &mut Vec<f32>) {
            out.clear();
            out.extend(nodes.iter().map(|&node| node as f32 + 1.0));
        }
    }

    /// Ten nodes in a row, walked from the nearest on.
    fn walked(extent: Extent) -> (f64, Vec<u32>) {
        let mut graph = Graph::new(2);
        (0..10).for_each(|_| graph.push(0));
        for node in 0..10_u32 {
            let links = [node.checked_sub(1), Some(node + 1).filter(|&next| next < 10)];
            graph.link(node, 0, &links.into_iter().flatten().collect::<Vec<u32>>());
        }
        let mut walker = Walker::default();
        walker.descend(&graph, 0, 1, &ByNumber);
        let reach = walker.walk(graph.layer(0), extent, &ByNumber);
        (reach, walker.beam.iter().map(|&key| node_of(key)).collect())
    }

    /// The next is followed while it is at most 1.2 times as far as the last that is wanted,
    /// and twice the blur: 1 * 1.2 = 1.2 < 2, 5 * 1.2 = 6 but not 7, 5 * 1.2 + 2 * .6 = 7.2.
    #[test]
    fn a_walk_ends_where_the_rest_is_too_far_away() {
        let extent = |wanted, blur| Extent { blur, wanted, ..Extent::of(20) };
        assert_eq!(walked(Extent::of(20)), (f64::INFINITY, (0..10).collect()));
        assert_eq!(walked(extent(1, 0.0)), (1.2, vec![0, 1]));
        assert_eq!(walked(extent(5, 0.0)), (6.0, (0..7).collect()));
        assert_eq!(walked(extent(5, 0.6)), (7.2, (0..8).collect()));
        assert_eq!(walked(Extent { wanted: 5, ..Extent::of(3) }), (3.0, vec![0, 1, 2]));
    }
}
