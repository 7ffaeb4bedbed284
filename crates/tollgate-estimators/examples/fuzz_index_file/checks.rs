//! What must hold of any bytes that are taken for an index file.

use std::fs;
use std::path::Path;

use tollgate_core::{Query, Scratch, Seed};
use tollgate_estimators::{Hnsw, HnswConfig, HnswFileError, Index, RowSets};

/// Bytes of the header, and where its numbers begin, as the module `file` has it.
const HEADER: usize = 128;
const NUMBERS: usize = 16;

/// Neighbors to ask for: so few that graphs are walked, and more than there are.
const KS: [usize; 2] = [3, 1000];

/// Similarities, as bits, and rows.
pub(crate) type Answers = Vec<Vec<(u64, u32)>>;

/// A valid file, and what the index in it answers.
#[derive(Debug)]
pub(crate) struct Original {
    pub(crate) bytes: Vec<u8>,
    answers: Answers,
}

/// What became of some bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Refused,
    Accepted,
}

/// Small indexes of several shapes: of no row and of one, of copies, with layers above the
/// lowest, of more than one cache line a row.
pub(crate) fn originals() -> Vec<Original> {
    let shapes = [(0, 3, 4), (1, 3, 4), (40, 3, 4), (300, 3, 2), (260, 5, 8), (200, 70, 3)];
    shapes.into_iter().map(|(n_rows, dim, m)| original(n_rows, dim, m)).collect()
}

fn original(n_rows: usize, dim: usize, m: usize) -> Original {
    let recipe = HnswConfig::default().m(m).ef_construction(12).ef(4).build();
    let mut index = recipe.expect("valid knobs").empty(dim, Seed(9));
    let mut numbers = (1_u32..).map(|at| f32::from((at.wrapping_mul(2_654_435_761) >> 20) as u16));
    for row in 0..n_rows {
        // Every seventh row is a copy of an earlier one.
        let mut embedding: Vec<f32> = numbers.by_ref().take(dim).map(|x| x - 2000.5).collect();
        if row % 7 == 6 {
            embedding.fill(1.0);
        }
        index.insert(Query { embedding: &embedding }).expect("a vector with a direction");
    }
    let mut bytes = Vec::new();
    index.save(&mut bytes).expect("memory does not fail");
    Original { answers: answers(&index), bytes }
}

/// Makes both checksums fit.
pub(crate) fn reseal(bytes: &mut [u8]) {
    if bytes.len() < HEADER + 4 {
        return;
    }
    let header = crc32fast::hash(&bytes[NUMBERS..HEADER]);
    bytes[12..NUMBERS].copy_from_slice(&header.to_le_bytes());
    let end = bytes.len() - 4;
    let payload = crc32fast::hash(&bytes[HEADER..end]);
    bytes[end..].copy_from_slice(&payload.to_le_bytes());
}

/// Reads and maps the bytes, by way of a file at `path`.
///
/// # Panics
/// When something does not hold: that is what it is for.
#[expect(clippy::panic, reason = "that is how a finding is reported")]
pub(crate) fn check(bytes: &[u8], resealed: bool, original: &Original, path: &Path) -> Outcome {
    fs::write(path, bytes).expect("the directory can be written to");
    let (loaded, opened) = match (Hnsw::load(bytes), Hnsw::open(path)) {
        (Ok(loaded), Ok(opened)) => (loaded, opened),
        (Err(loaded), Err(opened)) => {
            assert_eq!(loaded.to_string(), opened.to_string(), "one reason to refuse");
            assert!(!matches!(loaded, HnswFileError::Io(_)), "a file is judged by its bytes");
            assert!(bytes != original.bytes, "a whole file was refused: {loaded}");
            return Outcome::Refused;
        }
        (loaded, opened) => panic!("read: {loaded:?}; mapped: {opened:?}"),
    };
    let answers = answers(&loaded);
    assert!(answers == self::answers(&opened), "read and mapped answer differently");
    if !resealed {
        assert!(bytes == original.bytes, "a changed file was accepted");
        assert!(answers == original.answers, "the original answered otherwise");
    }
    are_true(&answers, &Contents::of(bytes), &loaded);
    grow(opened);
    Outcome::Accepted
}

/// As many rows as there are, in order, each with its own similarity.
fn are_true(answers: &Answers, contents: &Contents, index: &Hnsw) {
    assert_eq!((index.n_rows(), index.dim()), (contents.node_of_row.len(), contents.dim));
    let mut answers = answers.iter();
    for query in queries(contents.dim) {
        for k in KS {
            let answer = answers.next().expect("as many as were asked for");
            assert_eq!(answer.len(), k.min(index.n_rows()));
            for &(bits, row) in answer {
                let similarity = cosine(&query, contents.vector(row as usize));
                assert_eq!(bits, similarity.to_bits(), "row {row}");
            }
            let nearer = |a: &(u64, u32), b: &(u64, u32)| {
                (f64::from_bits(a.0), b.1) > (f64::from_bits(b.0), a.1)
            };
            assert!(answer.is_sorted_by(nearer), "{answer:?}");
        }
    }
}

/// Whatever was accepted can be added to, and finds what was added.
fn grow(mut index: Hnsw) {
    for query in queries(index.dim()) {
        let row = index.insert(Query { embedding: &query }).expect("it has a direction");
        let mut scratch = Scratch::default();
        let (all, query) = (RowSets::all(), Query { embedding: &query });
        let k = index.n_rows();
        index.nearest_into(query, k, &all, None, &mut scratch).expect("it was inserted");
        assert!(scratch.child(0).scored.iter().any(|found| found.1 == row));
    }
}

fn answers(index: &Hnsw) -> Answers {
    let mut scratch = Scratch::default();
    let mut all = Vec::new();
    for query in queries(index.dim()) {
        for k in KS {
            let query = Query { embedding: &query };
            index
                .nearest_into(query, k, &RowSets::all(), None, &mut scratch)
                .expect("the query has a direction");
            let found = scratch.child(0).scored.iter();
            all.push(found.map(|&(similarity, row)| (similarity.to_bits(), row)).collect());
        }
    }
    all
}

/// None where there is no direction to ask for.
fn queries(dim: usize) -> Vec<Vec<f32>> {
    let query = |sign: f32| (0_u16..).take(dim).map(|at| 1.0 + sign * f32::from(at % 7)).collect();
    if dim == 0 { Vec::new() } else { vec![query(1.0), query(-0.9)] }
}

/// What a file says, read by other code than the index's.
struct Contents {
    dim: usize,
    node_of_row: Vec<u32>,
    vectors: Vec<f32>,
}

impl Contents {
    fn of(bytes: &[u8]) -> Self {
        let number = |at: usize| {
            let bytes = bytes[NUMBERS + 8 * at..].first_chunk().expect("a header");
            usize::try_from(u64::from_le_bytes(*bytes)).expect("it was accepted")
        };
        let (dim, n_rows, n_nodes) = (number(3), number(5), number(6));
        let vectors = (HEADER + 4 * n_rows).next_multiple_of(64);
        let words = |at: usize, n: usize| bytes[at..at + 4 * n].as_chunks::<4>().0.iter();
        let n_values = n_nodes * dim.next_multiple_of(64);
        Self {
            dim,
            node_of_row: words(HEADER, n_rows).map(|word| u32::from_le_bytes(*word)).collect(),
            vectors: words(vectors, n_values).map(|word| f32::from_le_bytes(*word)).collect(),
        }
    }

    fn vector(&self, row: usize) -> &[f32] {
        let at = self.node_of_row[row] as usize * self.dim.next_multiple_of(64);
        &self.vectors[at..at + self.dim]
    }
}

/// The canonical cosine: `f64` sums in eight lanes, added pairwise.
fn cosine(query: &[f32], row: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| {
        let mut sums = [0.0; 8];
        for (at, (&x, &y)) in a.iter().zip(b).enumerate() {
            sums[at % 8] += f64::from(x) * f64::from(y);
        }
        let [a, b, c, d, e, f, g, h] = sums;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    };
    let inverse = |x: &[f32]| 1.0 / dot(x, x).sqrt();
    dot(query, row) * inverse(row) * inverse(query)
}
