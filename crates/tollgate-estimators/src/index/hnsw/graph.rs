//! Who is linked to whom, layer by layer.

use super::store::Rows;

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
    /// Where the links of layer 1 begin in `upper`; those of layer 2 follow.
    pub(super) upper_starts: Vec<usize>,
    pub(super) upper: Vec<u32>,
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
            upper: Vec::new(),
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
        self.levels.reserve(more);
        self.upper_starts.reserve(more);
    }

    /// Adds a node without links.
    pub(super) fn push(&mut self, level: u8) {
        if self.entry.is_none_or(|entry| self.levels[entry as usize] < level) {
            self.entry = Some(u32::try_from(self.len()).expect("nodes are counted in u32"));
        }
        self.base.push(&[], NONE);
        self.levels.push(level);
        self.upper_starts.push(self.upper.len());
        self.upper.resize(self.upper.len() + usize::from(level) * self.m, NONE);
    }

    /// All slots of a node on a layer: its links, then [`NONE`]s.
    #[inline]
    pub(super) fn slots(&self, node: u32, layer: u8) -> &[u32] {
        if layer == 0 {
            return self.base.row(node as usize);
        }
        let at = self.upper_starts[node as usize] + usize::from(layer - 1) * self.m;
        &self.upper[at..at + self.m]
    }

    /// The nodes that `node` is linked to on a layer.
    #[inline]
    pub(super) fn links(&self, node: u32, layer: u8) -> impl Iterator<Item = u32> {
        self.slots(node, layer).iter().copied().take_while(|&link| link != NONE)
    }

    /// Replaces the links of a node on a layer.
    pub(super) fn link(&mut self, node: u32, layer: u8, links: &[u32]) {
        let slots = if layer == 0 {
            self.base.row_mut(node as usize)
        } else {
            let at = self.upper_starts[node as usize] + usize::from(layer - 1) * self.m;
            &mut self.upper[at..at + self.m]
        };
        slots[..links.len()].copy_from_slice(links);
        slots[links.len()..].fill(NONE);
    }

    /// What is wrong with it, if anything is: read from a file, it may be anything.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let highest = self.levels.iter().copied().max();
        let entry = self.levels.iter().position(|&level| Some(level) == highest);
        if entry != self.entry.map(|entry| entry as usize) {
            return Some("the entry is not the first of the highest nodes");
        }
        for (node, &level) in (0_u32..).zip(&self.levels) {
            for layer in 0..=level {
                let slots = self.slots(node, layer);
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
