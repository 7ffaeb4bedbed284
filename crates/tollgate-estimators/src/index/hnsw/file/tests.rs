use std::sync::LazyLock;

use proptest::prelude::*;
use tollgate_core::{Queries, Query, Scratch};

use super::super::tests::{DIM, build, save, vectors};
use super::*;
use crate::index::{Index, RowSets};

/// A file of its own for each test, removed at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let name = format!("tollgate-{}-{name}.index", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn open(&self, bytes: &[u8]) -> Result<Hnsw, HnswFileError> {
        fs::write(&self.0, bytes).unwrap();
        Hnsw::open(&self.0)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn answers(index: &Hnsw) -> Vec<Vec<(f64, u32)>> {
    let mut scratch = Scratch::default();
    let mut search = |query: &[f32]| {
        let query = Query { embedding: query };
        index.nearest_into(query, 5, &RowSets::all(), None, &mut scratch).unwrap();
        scratch.child(0).scored.clone()
    };
    vectors(30, 3).chunks(DIM).map(&mut search).collect()
}

/// Large arrays stay in the file, for all that come from it, until one of them grows.
#[test]
fn an_opened_index_is_served_from_its_file() {
    let (file, saved) = (Temporary::new("served"), build(300));
    saved.save_as(&file.0).unwrap();
    let opened = Hnsw::open(&file.0).unwrap();
    assert_eq!(answers(&opened), answers(&saved));
    assert!(save(&opened) == save(&saved), "the bytes differ");

    let places = |index: &Hnsw| {
        let Hnsw { nodes, graph, .. } = index;
        let (base, upper) = (graph.base.values(), graph.upper.values());
        [nodes.vectors.values().as_ptr().cast::<u8>(), base.as_ptr().cast(), upper.as_ptr().cast()]
    };
    let mut grown = opened.clone();
    assert_eq!(places(&grown), places(&opened), "shared");
    assert!(places(&saved.clone()).iter().zip(places(&saved)).all(|(copy, own)| *copy != own));
    let more = vectors(100, 2);
    grown.extend(Queries { embeddings: &more, dim: DIM }).unwrap();
    assert!(places(&grown).iter().zip(places(&opened)).all(|(copy, file)| *copy != file));
    let mut expected = saved.clone();
    expected.extend(Queries { embeddings: &more, dim: DIM }).unwrap();
    assert!(save(&grown) == save(&expected), "the bytes differ");
    assert_eq!(answers(&opened), answers(&saved), "grown from");
}

/// What has been opened stays when another index takes its place, and when it is removed.
#[test]
fn a_file_is_replaced_and_never_rewritten() {
    let file = Temporary::new("replaced");
    let (first, second) = (build(200), build(100));
    first.save_as(&file.0).unwrap();
    let opened = Hnsw::open(&file.0).unwrap();
    second.save_as(&file.0).unwrap();
    assert!(save(&Hnsw::open(&file.0).unwrap()) == save(&second), "the bytes differ");
    fs::remove_file(&file.0).unwrap();
    assert!(save(&opened) == save(&first), "the bytes differ");
    let error = Hnsw::open(&file.0).unwrap_err();
    insta::assert_snapshot!(error, @"the index could not be read or written");
    let nowhere = file.0.join("in a directory that is not there");
    assert!(matches!(first.save_as(&nowhere), Err(HnswFileError::Io(_))));
}

#[test]
fn files_that_are_refused() {
    let (file, good) = (Temporary::new("refused"), save(&build(20)));
    let refuse = |bytes: &[u8]| {
        let message = Hnsw::load(bytes).unwrap_err().to_string();
        assert_eq!(file.open(bytes).unwrap_err().to_string(), message);
        message
    };
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        refuse(&bytes)
    };
    insta::assert_snapshot!(changed(0), @"this is not an index: it does not begin with `tollhnsw`");
    insta::assert_snapshot!(changed(8), @"the index is of version 3, this program reads version 2");
    assert!(changed(12).starts_with("the checksum of the index's header is"));
    assert!(changed(20).starts_with("the checksum of the index's header is"));
    assert!(changed(HEADER + 1000).starts_with("the checksum of the index's payload is"));
    assert!(changed(good.len() - 1).starts_with("the checksum of the index's payload is"));
    insta::assert_snapshot!(refuse(&[]), @"the index ends within its header");
    insta::assert_snapshot!(refuse(&good[..30]), @"the index ends within its header");
    insta::assert_snapshot!(refuse(&good[..200]), @"the index ends within its payload");
    insta::assert_snapshot!(refuse(&good[..good.len() - 1]), @"the index ends within its payload");
    let longer: Vec<u8> = good.iter().copied().chain([0]).collect();
    insta::assert_snapshot!(refuse(&longer), @"the index is not valid: something follows its end");
}

/// Whole but wrong: numbers replaced, checksums made to fit.
fn forge(good: &[u8], at: usize, value: u32) -> Vec<u8> {
    let mut bytes = good.to_vec();
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    let header = crc32fast::hash(&bytes[SUMMED..HEADER]);
    bytes[12..SUMMED].copy_from_slice(&header.to_le_bytes());
    let end = bytes.len() - CRC;
    let payload = crc32fast::hash(&bytes[HEADER..end]);
    bytes[end..].copy_from_slice(&payload.to_le_bytes());
    bytes
}

#[test]
fn files_that_make_no_sense() {
    let good = save(&build(20));
    let refuse = |at: usize, value: u32| {
        Hnsw::load(forge(&good, at, value).as_slice()).unwrap_err().to_string()
    };
    let header = |at: usize, value: u32| refuse(SUMMED + 8 * at, value);
    insta::assert_snapshot!(header(0, 0), @"the index is not valid: `m` must be in 2..=256, got 0");
    insta::assert_snapshot!(header(3, 1 << 30), @"the index is not valid: 1073741824 dimensions");
    insta::assert_snapshot!(header(6, 30), @"the index is not valid: 20 rows of 30 nodes");
    insta::assert_snapshot!(refuse(SUMMED + 8 * 7 + 4, u32::MAX), @"the index is not valid: a size overflows");
    insta::assert_snapshot!(header(7, 1000), @"the index ends within its payload");
    let layout = Header::parse(&good).unwrap().layout().unwrap();
    let (vectors, base) = (layout.vectors.start, layout.base.start);
    insta::assert_snapshot!(refuse(HEADER, 20), @"the index is not valid: a row of node 20");
    insta::assert_snapshot!(refuse(HEADER, 1), @"the index is not valid: a node without rows");
    insta::assert_snapshot!(refuse(vectors, f32::NAN.to_bits()), @"the index is not valid: the embedding has a value that is not finite at dimension 0: NaN");
    insta::assert_snapshot!(refuse(vectors + 4 * DIM, 1), @"the index is not valid: a row does not end in zeros");
    insta::assert_snapshot!(refuse(layout.levels.start, 0x0100_0000), @"the index is not valid: the links are not as many as the levels say");
    insta::assert_snapshot!(refuse(layout.levels.start, 0x2000_0000), @"the index is not valid: a node of level 32");
    insta::assert_snapshot!(refuse(base, 20), @"the index is not valid: a link leads nowhere");
    insta::assert_snapshot!(refuse(base, 0), @"the index is not valid: a link leads nowhere");
    insta::assert_snapshot!(refuse(base, u32::MAX), @"the index is not valid: a link follows an empty slot");
}

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| save(&build(40)));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damage_is_found(at in 0_usize..1_000_000, flip in 1_u8.., cut in any::<bool>()) {
        let mut bytes = GOOD.clone();
        let at = at % bytes.len();
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= flip;
        }
        prop_assert!(Hnsw::load(bytes.as_slice()).is_err());
        prop_assert!(Temporary::new("damaged").open(&bytes).is_err());
    }

    /// A word replaced and the checksums made to fit: refused, or there are answers.
    #[test]
    fn what_is_behind_the_checksums_is_checked(at in 0_usize..1_000_000, value in prop_oneof![0..64_u32, any::<u32>()]) {
        let bytes = forge(&GOOD, at % (GOOD.len() / 4) * 4, value);
        if let Ok(index) = Hnsw::load(bytes.as_slice())
            && index.dim() == DIM
        {
            for found in answers(&index) {
                prop_assert_eq!(found.len(), 5.min(index.n_rows()));
                prop_assert!(found.iter().all(|found| (found.1 as usize) < index.n_rows()));
            }
        }
    }
}
