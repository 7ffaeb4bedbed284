//! What must hold of any bytes that are taken for an index file.

use std::fs;
use std::path::Path;

use tollgate_core::{History, Models, Query, Scratch, Seed};
use tollgate_estimators::{
    ExactScan, HnswConfig, Index, IndexFileError, IndexKind, LshConfig, RowSets,
};

/// Where the numbers of a header begin, as the module `file` has it.
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

/// Small indexes of every kind and of several shapes. Graphs of no row and of one, of
/// copies, with layers above the lowest, of more than one cache line a row; scans with codes
/// and without; hashes with tables and without.
pub(crate) fn originals() -> Vec<Original> {
    let graphs = [(0, 3, 4), (1, 3, 4), (40, 3, 4), (300, 3, 2), (260, 5, 8), (200, 70, 3)];
    let graphs = graphs.into_iter().map(|(n_rows, dim, m)| graph(n_rows, dim, m));
    let scans = [(1, 3), (40, 5), (300, 70)].map(|(n_rows, dim)| {
        let history = history(&rows(n_rows, dim), dim);
        original(&ExactScan::new(&history).expect("rows with directions"))
    });
    graphs.chain(scans).chain([hash(60, 5), hash(3000, 4)]).collect()
}

fn original(index: &dyn Index) -> Original {
    let mut bytes = Vec::new();
    index.save(&mut bytes).expect("memory does not fail");
    Original { answers: answers(index), bytes }
}

fn graph(n_rows: usize, dim: usize, m: usize) -> Original {
    let recipe = HnswConfig::default().m(m).ef_construction(12).ef(4).build();
    let mut index = recipe.expect("valid knobs").empty(dim, Seed(9));
    for embedding in rows(n_rows, dim).chunks(dim) {
        index.insert(Query::new(embedding)).expect("a vector with a direction");
    }
    original(&index)
}

/// In clusters so tight that tables pay from some thousand rows on.
fn hash(n_rows: usize, dim: usize) -> Original {
    let (centers, noise) = (rows(100, dim), rows(n_rows, dim));
    let near = |at: usize| centers[at % centers.len()] + noise[at] / 100.0;
    let embeddings: Vec<f32> = (0..noise.len()).map(near).collect();
    let recipe = LshConfig::default().k(3).target_recall(0.8).build().expect("valid knobs");
    let index = recipe.index(&history(&embeddings, dim), Seed(9)).expect("rows with directions");
    assert_eq!(index.report().tables > 0, n_rows > 1000, "{:?}", index.report());
    original(&index)
}

/// Every seventh row is a copy of an earlier one.
fn rows(n_rows: usize, dim: usize) -> Vec<f32> {
    let number = |at: u32| f32::from((at.wrapping_mul(2_654_435_761) >> 20) as u16);
    let mut rows: Vec<f32> = (1..).take(n_rows * dim).map(|at| number(at) - 2000.5).collect();
    rows.chunks_mut(dim).skip(6).step_by(7).for_each(|row| row.fill(1.0));
    rows
}

fn history(embeddings: &[f32], dim: usize) -> History {
    let models = Models::new(["m"]).expect("a name");
    let labels = || vec![0.5; embeddings.len() / dim];
    History::new(models, dim, embeddings.to_vec(), labels(), labels()).expect("finite numbers")
}

/// Bytes of the header, by how the file begins.
fn header(bytes: &[u8]) -> usize {
    match bytes.first_chunk() {
        Some(b"tollscan") => 64,
        Some(b"toll-lsh") => 192,
        _ => 128,
    }
}

/// Makes both checksums fit.
pub(crate) fn reseal(bytes: &mut [u8]) {
    let first = header(bytes);
    if bytes.len() < first + 4 {
        return;
    }
    let header = crc32fast::hash(&bytes[NUMBERS..first]);
    bytes[12..NUMBERS].copy_from_slice(&header.to_le_bytes());
    let end = bytes.len() - 4;
    let payload = crc32fast::hash(&bytes[first..end]);
    bytes[end..].copy_from_slice(&payload.to_le_bytes());
}

/// Reads and maps the bytes, by way of a file at `path`.
///
/// # Panics
/// When something does not hold: that is what it is for.
#[expect(clippy::panic, reason = "that is how a finding is reported")]
pub(crate) fn check(bytes: &[u8], resealed: bool, original: &Original, path: &Path) -> Outcome {
    fs::write(path, bytes).expect("the directory can be written to");
    let (loaded, opened) = match (IndexKind::load(bytes), IndexKind::open(path)) {
        (Ok(loaded), Ok(opened)) => (loaded, opened),
        (Err(loaded), Err(opened)) => {
            assert_eq!(loaded.to_string(), opened.to_string(), "one reason to refuse");
            assert!(!matches!(loaded, IndexFileError::Io(_)), "a file is judged by its bytes");
            assert!(bytes != original.bytes, "a whole file was refused: {loaded}");
            return Outcome::Refused;
        }
        (loaded, opened) => panic!("read: {loaded:?}; mapped: {opened:?}"),
    };
    let answers = answers(loaded.as_ref());
    assert!(answers == self::answers(opened.as_ref()), "read and mapped answer differently");
    if !resealed {
        assert!(bytes == original.bytes, "a changed file was accepted");
        assert!(answers == original.answers, "the original answered otherwise");
    }
    let contents = Contents::of(bytes);
    are_true(&answers, &contents, loaded.as_ref());
    grow(opened.as_ref(), &contents);
    Outcome::Accepted
}

/// As many rows as there are, in order, each with its own similarity.
fn are_true(answers: &Answers, contents: &Contents, index: &dyn Index) {
    assert_eq!((index.n_rows(), index.dim()), (contents.place_of_row.len(), contents.dim));
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
fn grow(index: &dyn Index, contents: &Contents) {
    let (dim, n_rows) = (index.dim(), index.n_rows());
    let queries = queries(dim);
    if queries.is_empty() {
        return;
    }
    let rows = (0..n_rows).map(|row| contents.vector(row));
    let rows: Vec<&[f32]> = rows.chain(queries.iter().map(Vec::as_slice)).collect();
    let grown = index.grow(&history(&rows.concat(), dim)).expect("rows with directions");
    for (row, embedding) in (n_rows..).zip(&queries) {
        let mut scratch = Scratch::default();
        let (all, k) = (RowSets::all(), grown.n_rows());
        let query = Query::new(embedding);
        grown.nearest_into(query, k, &all, None, &mut scratch).expect("it was added");
        assert!(scratch.child(0).scored.iter().any(|found| found.1 as usize == row));
    }
}

fn answers(index: &dyn Index) -> Answers {
    let mut scratch = Scratch::default();
    let mut all = Vec::new();
    for query in queries(index.dim()) {
        for k in KS {
            let query = Query::new(&query);
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
    let query =
        |sign: f32| (0_u8..7).cycle().take(dim).map(|at| 1.0 + sign * f32::from(at)).collect();
    if dim == 0 { Vec::new() } else { vec![query(1.0), query(-0.9)] }
}

/// What a file says, read by other code than the index's.
struct Contents {
    dim: usize,
    /// Where the vector of each row is, in vectors.
    place_of_row: Vec<u32>,
    /// From the start of a vector to that of the next.
    stride: usize,
    vectors: Vec<f32>,
}

impl Contents {
    fn of(bytes: &[u8]) -> Self {
        let first = header(bytes);
        let number = |at: usize| {
            let bytes = bytes[NUMBERS + 8 * at..].first_chunk().expect("a header");
            usize::try_from(u64::from_le_bytes(*bytes)).expect("it was accepted")
        };
        let words = |at: usize, n: usize| bytes[at..at + 4 * n].as_chunks::<4>().0.iter();
        let floats = |at: usize, n: usize| {
            words(at, n).map(|word| f32::from_le_bytes(*word)).collect::<Vec<f32>>()
        };
        // Scans and hashes have their rows as they are, graphs each vector once.
        let plain = match first {
            64 => Some((number(0), number(1))),
            192 => Some((number(5), number(6))),
            _ => None,
        };
        if let Some((dim, n_rows)) = plain {
            let place_of_row = (0..).take(n_rows).collect();
            return Self { dim, place_of_row, stride: dim, vectors: floats(first, n_rows * dim) };
        }
        let (dim, n_rows, n_nodes) = (number(3), number(5), number(6));
        let stride = dim.next_multiple_of(64);
        let place_of_row = words(first, n_rows).map(|word| u32::from_le_bytes(*word)).collect();
        let vectors = floats((first + 4 * n_rows).next_multiple_of(64), n_nodes * stride);
        Self { dim, place_of_row, stride, vectors }
    }

    fn vector(&self, row: usize) -> &[f32] {
        &self.vectors[self.place_of_row[row] as usize * self.stride..][..self.dim]
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
