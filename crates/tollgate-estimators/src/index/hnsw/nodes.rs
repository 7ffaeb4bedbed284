//! What the nodes of the graph are: vectors that differ, and the rows that carry them.

use std::collections::BTreeMap;

use super::super::products::{CHUNK, Chunk};
use super::kernel::{LANES, code_error, encode_row, step_of};
use super::store::Rows;
use crate::vector::{F32_LENGTHS, checked_norm, dot};

/// Row and node numbers are below this; keys have room for no more.
pub(super) const MOST_ROWS: usize = 1 << 31;

/// Ends a list of copies.
const LAST: u32 = u32::MAX;

/// How many standard deviations the bytes are trusted not to be off by.
const CERTAINTY: f64 = 4.0;

/// The vectors, each once.
#[derive(Clone, Debug)]
pub(super) struct Nodes {
    dim: usize,
    /// As they were given, padded with zeros.
    pub(super) vectors: Rows<f32>,
    /// `1 / |x|`.
    pub(super) inverse_norms: Vec<f64>,
    /// In bytes.
    pub(super) codes: Rows<Chunk>,
    /// What a unit of each code is worth.
    pub(super) steps: Vec<f32>,
    /// The longest of the rounding errors of the codes, as a length.
    worst_error: f64,
    /// Whether some length is out of the range of `f32` products.
    pub(super) extreme: bool,
    /// The node of each row.
    pub(super) node_of_row: Vec<u32>,
    /// The next row of the same node.
    next_copy: Vec<u32>,
    /// The first and the last row of each node.
    ends: Vec<[u32; 2]>,
    /// Nodes by hash; where it is taken, the next number that is not. What comes from a
    /// file has none until it grows.
    by_hash: BTreeMap<u64, u32>,
}

impl Nodes {
    pub(super) fn new(dim: usize) -> Self {
        let stride = dim.next_multiple_of(LANES);
        Self {
            dim,
            vectors: Rows::new(stride),
            inverse_norms: Vec::new(),
            codes: Rows::new(stride / CHUNK),
            steps: Vec::new(),
            worst_error: 0.0,
            extreme: false,
            node_of_row: Vec::new(),
            next_copy: Vec::new(),
            ends: Vec::new(),
            by_hash: BTreeMap::new(),
        }
    }

    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn n_rows(&self) -> usize {
        self.node_of_row.len()
    }

    pub(super) fn reserve(&mut self, more: usize) {
        self.vectors.reserve(more);
        self.codes.reserve(more);
    }

    /// The vector of a node, without its padding.
    pub(super) fn vector(&self, node: u32) -> &[f32] {
        &self.vectors.view().row(node as usize)[..self.dim]
    }

    /// The rows of a node, ascending.
    pub(super) fn rows(&self, node: u32) -> impl Iterator<Item = u32> {
        let first = self.ends[node as usize][0];
        std::iter::successors(Some(first), |&row| {
            Some(self.next_copy[row as usize]).filter(|&next| next != LAST)
        })
    }

    /// How far a distance in bytes is off, but for one in thousands: four standard
    /// deviations of the product of a rounding error with a unit vector in a direction
    /// that has nothing to do with it.
    pub(super) fn coarseness(&self) -> f64 {
        CERTAINTY * self.worst_error / (self.dim as f64).sqrt()
    }

    /// The node that has this vector; a new one where there is none, with no rows yet.
    pub(super) fn find_or_push(&mut self, x: &[f32]) -> u32 {
        self.hash_all();
        let hash = match self.find(x) {
            Ok(node) => return node,
            Err(free) => free,
        };
        let node = small(self.len());
        self.by_hash.insert(hash, node);
        let norm = dot(x, x).sqrt();
        self.vectors.push(x, 0.0, 1);
        self.push_derived(x, norm, &mut Vec::new());
        node
    }

    /// What follows from the vector of a new node; `code` is room for its bytes.
    #[expect(clippy::cast_possible_truncation, reason = "a distance in bytes is coarser")]
    fn push_derived(&mut self, x: &[f32], norm: f64, code: &mut Vec<Chunk>) {
        let step = step_of(x, 1.0 / norm);
        encode_row(x, 1.0 / norm, code);
        self.codes.push(code, Chunk([0; CHUNK]), 1);
        self.ends.push([LAST; 2]);
        self.extreme |= !F32_LENGTHS.contains(&norm);
        self.inverse_norms.push(1.0 / norm);
        self.steps.push(step as f32);
        self.worst_error = self.worst_error.max(code_error(x, 1.0 / norm, step, code));
    }

    /// The node that has this vector, or the hash for one that would have it.
    fn find(&self, x: &[f32]) -> Result<u32, u64> {
        let mut hash = hash(x);
        while let Some(&node) = self.by_hash.get(&hash) {
            if self.vector(node) == x {
                return Ok(node);
            }
            hash = hash.wrapping_add(1);
        }
        Err(hash)
    }

    fn hash_all(&mut self) {
        if self.by_hash.is_empty() {
            for node in 0..small(self.len()) {
                if let Err(free) = self.find(self.vector(node)) {
                    self.by_hash.insert(free, node);
                }
            }
        }
    }

    /// Nodes from a file, whose arrays have the right lengths and may hold anything.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn checked(
        dim: usize,
        vectors: Rows<f32>,
        node_of_row: &[u32],
    ) -> Result<Self, String> {
        let mut nodes = Self::new(dim);
        let mut code = Vec::new();
        nodes.codes.reserve(vectors.len());
        for node in 0..vectors.len() {
            let (x, padding) = vectors.view().row(node).split_at(dim);
            let norm = checked_norm(x, dim).map_err(|error| error.to_string())?;
            if padding.iter().any(|&x| x != 0.0) {
                return Err("a row does not end in zeros".to_owned());
            }
            nodes.push_derived(x, norm, &mut code);
        }
        nodes.vectors = vectors;
        for &node in node_of_row {
            if node as usize >= nodes.len() {
                return Err(format!("a row of node {node}"));
            }
            nodes.push_row(node);
        }
        if nodes.ends.iter().any(|ends| ends[0] == LAST) {
            return Err("a node without rows".to_owned());
        }
        Ok(nodes)
    }

    /// Adds a row that carries the vector of `node`.
    pub(super) fn push_row(&mut self, node: u32) {
        assert!(self.n_rows() < MOST_ROWS, "an index has room for 2^31 rows");
        let row = small(self.n_rows());
        let [first, last] = &mut self.ends[node as usize];
        if *last == LAST {
            *first = row;
        } else {
            self.next_copy[*last as usize] = row;
        }
        *last = row;
        self.next_copy.push(LAST);
        self.node_of_row.push(node);
    }
}

/// A row or node number as neighbors carry it.
pub(super) fn small(number: usize) -> u32 {
    u32::try_from(number).expect("an index has room for 2^31 rows")
}

/// The same for equal vectors, whatever the sign of their zeros.
fn hash(x: &[f32]) -> u64 {
    x.iter().fold(0, |hash: u64, &x| {
        let mixed = (hash ^ u64::from((x + 0.0).to_bits())).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^ mixed >> 29
    })
}
