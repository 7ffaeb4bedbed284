//! Who is linked to whom, layer by layer.

use super::store::{Rows, View};

/// Fills the slots of a node that has fewer links than it may have.
pub(super) const NONE: u32 = u32::MAX;

/// The highest layer. At `m = 2` one node in `2^24` would be higher.
pub(super) const TOP: u8 = 24;

/// Links of every node on layer 0, and on the layers up to its own level.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    /// Links a node may have on the layers above 0; twice as many on layer 0.
    pub(super) m: usize,
    /// `(n_nodes, 2 m)`.
    pub(super) base: Rows<u32>,
    /// The highest layer of each node.
    pub(super) levels: Vec<u8>,
    /// The row of a node's links of layer 1 in `upper`; those of layer 2 follow.
    upper_starts: Vec<usize>,
    /// `(sum of levels, m)`.
    pub(super) upper: Rows<u32>,
    /// The first node of the highest level.
    pub(super) entry: Option<u32>,
}

impl Graph {
    pub(super) fn new(m: usize) -> Self {
        Self {
            m,
            base: Rows::new(2 * m),
            levels: Vec::new(),
            upper_starts: Vec::new(),
            upper: Rows::new(m),
            entry: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.levels.len()
    }

    /// The links a node may have on `layer`.
    pub(super) fn capacity(&self, layer: u8) -> usize {
        if layer == 0 { 2 * self.m } else { self.m }
    }

    pub(super) fn reserve(&mut self, more: usize) {
        self.base.reserve(more);
        self.reserve_levels(more);
    }

    fn reserve_levels(&mut self, more: usize) {
        self.levels.reserve(more);
        self.upper_starts.reserve(more);
    }

    /// Adds a node without links.
    pub(super) fn push(&mut self, level: u8) {
        self.push_level(level);
        self.base.push(&[], NONE, 1);
        self.upper.push(&[], NONE, usize::from(level));
    }

    fn push_level(&mut self, level: u8) {
        if self.entry.is_none_or(|entry| self.levels[entry as usize] < level) {
            self.entry = Some(u32::try_from(self.len()).expect("nodes are counted in u32"));
        }
        let last = self.levels.last().map_or(0, |&last| usize::from(last));
        let start = self.upper_starts.last().map_or(0, |start| start + last);
        self.upper_starts.push(start);
        self.levels.push(level);
    }

    /// One layer, to be walked on.
    pub(super) fn layer(&self, layer: u8) -> Layer<'_> {
        let rows = if layer == 0 { &self.base } else { &self.upper };
        Layer { rows: rows.view(), starts: &self.upper_starts, number: layer }
    }

    /// Replaces the links of a node on a layer.
    pub(super) fn link(&mut self, node: u32, layer: u8, links: &[u32]) {
        let slots = if layer == 0 {
            self.base.row_mut(node as usize)
        } else {
            self.upper.row_mut(self.upper_starts[node as usize] + usize::from(layer) - 1)
        };
        slots[..links.len()].copy_from_slice(links);
        slots[links.len()..].fill(NONE);
    }

    /// A graph from a file, whose arrays have the right lengths and may hold anything.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn checked(
        levels: &[u8],
        base: Rows<u32>,
        upper: Rows<u32>,
        m: usize,
    ) -> Result<Self, &'static str> {
        let mut graph = Self::new(m);
        graph.reserve_levels(levels.len());
        for &level in levels {
            graph.push_level(level);
        }
        if levels.iter().map(|&level| usize::from(level)).sum::<usize>() != upper.len() {
            return Err("the links are not as many as the levels say");
        }
        (graph.base, graph.upper) = (base, upper);
        graph.fault().map_or(Ok(graph), Err)
    }

    fn fault(&self) -> Option<&'static str> {
        let highest = self.levels.iter().copied().max().unwrap_or(0);
        let layers: Vec<Layer<'_>> = (0..=highest).map(|layer| self.layer(layer)).collect();
        for (node, &level) in (0_u32..).zip(&self.levels) {
            for layer in 0..=level {
                let slots = layers[usize::from(layer)].slots(node);
                let count = slots.iter().take_while(|&&link| link != NONE).count();
                if slots[count..].iter().any(|&link| link != NONE) {
                    return Some("a link follows an empty slot");
                }
                let reaches = |link: u32| self.levels.get(link as usize) >= Some(&layer);
                if !slots[..count].iter().all(|&link| link != node && reaches(link)) {
                    return Some("a link leads nowhere");
                }
            }
        }
        None
    }
}

/// The links of one layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer<'a> {
    rows: View<'a, u32>,
    starts: &'a [usize],
    number: u8,
}

impl<'a> Layer<'a> {
    /// Nodes of the graph, on this layer or not.
    pub(super) fn n_nodes(self) -> usize {
        self.starts.len()
    }

    /// All slots of a node: its links, then [`NONE`]s.
    #[inline]
    pub(super) fn slots(self, node: u32) -> &'a [u32] {
        match self.number {
            0 => self.rows.row(node as usize),
            number => self.rows.row(self.starts[node as usize] + usize::from(number) - 1),
        }
    }

    /// The nodes that `node` is linked to.
    #[inline]
    pub(super) fn links(self, node: u32) -> impl Iterator<Item = u32> {
        self.slots(node).iter().copied().take_while(|&link| link != NONE)
    }
}
