use std::sync::LazyLock;

use proptest::prelude::*;
use tollgate_core::{History, Models, Purpose, Query, Scratch, Seed};

use super::*;
use crate::index::{ExactScan, Hnsw, HnswConfig, Lsh, LshConfig, RowSets};

pub(in crate::index) const DIM: usize = 16;

/// A file of its own for each test, removed at the end.
pub(in crate::index) struct Temporary(pub(in crate::index) PathBuf);

impl Temporary {
    pub(in crate::index) fn new(name: &str) -> Self {
        let name = format!("tollgate-{}-{name}.index", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn open(&self, bytes: &[u8]) -> Result<Box<dyn Index>, IndexFileError> {
        fs::write(&self.0, bytes).unwrap();
        IndexKind::open(&self.0)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Rows in tight clusters, so that there is something to hash.
#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
pub(in crate::index) fn clusters(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    let centers: Vec<f64> = (0..30 * DIM).map(|_| rng.normal()).collect();
    (0..n * DIM)
        .map(|at| (centers[(at / DIM % 30) * DIM + at % DIM] + 0.2 * rng.normal()) as f32)
        .collect()
}

pub(in crate::index) fn history(embeddings: Vec<f32>) -> History {
    let n = embeddings.len() / DIM;
    History::new(Models::new(["m"]).unwrap(), DIM, embeddings, vec![0.5; n], vec![0.01; n]).unwrap()
}

pub(in crate::index) fn save(index: &dyn Index) -> Vec<u8> {
    let mut bytes = Vec::new();
    index.save(&mut bytes).unwrap();
    bytes
}

pub(in crate::index) fn answers(index: &dyn Index) -> Vec<Vec<(f64, u32)>> {
    let mut scratch = Scratch::default();
    let mut search = |query: &[f32]| {
        let query = Query::new(query);
        index.nearest_into(query, 5, &RowSets::all(), None, &mut scratch).unwrap();
        scratch.child(0).scored.clone()
    };
    clusters(30, 3).chunks(DIM).map(&mut search).collect()
}

/// Whole but wrong: a word replaced, checksums made to fit.
pub(in crate::index) fn forge(good: &[u8], n_numbers: usize, at: usize, value: u32) -> Vec<u8> {
    let (mut bytes, header) = (good.to_vec(), header(n_numbers));
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[SUMMED..header]);
    bytes[12..SUMMED].copy_from_slice(&checksum.to_le_bytes());
    let end = bytes.len() - CRC;
    let payload = crc32fast::hash(&bytes[header..end]);
    bytes[end..].copy_from_slice(&payload.to_le_bytes());
    bytes
}

/// One of each kind, with how many numbers its header has.
fn each(n: usize) -> [(Box<dyn Index>, usize); 3] {
    let history = history(clusters(n, 1));
    let graph = HnswConfig::default().m(4).ef_construction(20).ef(8).build().unwrap();
    let hashed = LshConfig::default().build().unwrap().always();
    let hashed = hashed.index(&history, Seed(4)).unwrap();
    assert_eq!(hashed.report().tables > 0, n >= 1024);
    [
        (Box::new(ExactScan::new(&history).unwrap()), 2),
        (Box::new(graph.index(&history, Seed(7)).unwrap()), 8),
        (Box::new(hashed), 16),
    ]
}

/// What has been opened stays when another index takes its place, and when it is removed.
#[test]
fn a_file_is_replaced_and_never_rewritten() {
    for ((first, _), (second, _)) in each(1100).into_iter().zip(each(100)) {
        let file = Temporary::new("replaced");
        first.save_as(&file.0).unwrap();
        let opened = IndexKind::open(&file.0).unwrap();
        second.save_as(&file.0).unwrap();
        let reopened = IndexKind::open(&file.0).unwrap();
        assert!(save(reopened.as_ref()) == save(second.as_ref()), "the bytes differ");
        fs::remove_file(&file.0).unwrap();
        assert!(save(opened.as_ref()) == save(first.as_ref()), "the bytes differ");
        assert_eq!(answers(opened.as_ref()), answers(first.as_ref()));
        let error = IndexKind::open(&file.0).unwrap_err();
        assert!(matches!(error, IndexFileError::Io(_)));
        let nowhere = file.0.join("in a directory that is not there");
        assert!(matches!(first.save_as(&nowhere), Err(IndexFileError::Io(_))));
    }
}

#[test]
fn files_that_are_refused() {
    for (index, n_numbers) in each(300) {
        let (file, good) = (Temporary::new("refused"), save(index.as_ref()));
        let refuse = |bytes: &[u8]| {
            let message = IndexKind::load(bytes).unwrap_err().to_string();
            assert_eq!(file.open(bytes).unwrap_err().to_string(), message);
            message
        };
        let changed = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            refuse(&bytes)
        };
        insta::allow_duplicates! {
            insta::assert_snapshot!(changed(0), @"this is not an index: it does not begin as the file of one");
            insta::assert_snapshot!(refuse(&[]), @"the index ends within its header");
            insta::assert_snapshot!(refuse(&good[..30]), @"the index ends within its header");
            insta::assert_snapshot!(refuse(&good[..200]), @"the index ends within its payload");
            insta::assert_snapshot!(refuse(&good[..good.len() - 1]), @"the index ends within its payload");
        }
        assert!(changed(8).starts_with("the index is of version"));
        assert!(changed(12).starts_with("the checksum of the index's header is"));
        assert!(changed(20).starts_with("the checksum of the index's header is"));
        assert!(
            changed(header(n_numbers) + 1000).starts_with("the checksum of the index's payload")
        );
        assert!(changed(good.len() - 1).starts_with("the checksum of the index's payload is"));
        let longer: Vec<u8> = good.iter().copied().chain([0]).collect();
        insta::allow_duplicates! {
            insta::assert_snapshot!(refuse(&longer), @"the index is not valid: something follows its end");
        }
    }
}

#[test]
fn a_file_says_what_it_is_of() {
    let [(scan, _), (graph, _), (hashed, _)] = each(300);
    let bytes = save(scan.as_ref());
    insta::assert_snapshot!(Hnsw::load(bytes.as_slice()).unwrap_err(), @"this is an index `scan`, not `hnsw`");
    let bytes = save(graph.as_ref());
    insta::assert_snapshot!(Lsh::load(bytes.as_slice()).unwrap_err(), @"this is an index `hnsw`, not `lsh`");
    let (file, bytes) = (Temporary::new("of-what"), save(hashed.as_ref()));
    fs::write(&file.0, bytes).unwrap();
    insta::assert_snapshot!(ExactScan::open(&file.0).unwrap_err(), @"this is an index `lsh`, not `scan`");
    let mut later = save(scan.as_ref());
    later[8] = 7;
    insta::assert_snapshot!(IndexKind::load(later.as_slice()).unwrap_err(), @"the index is of version 7, this program reads version 1");
}

/// The files that are damaged below. With tables, too few rows to be fast are too few.
static GOOD: LazyLock<Vec<(Vec<u8>, usize)>> = LazyLock::new(|| {
    let [_, _, (hashed, n_numbers)] = each(1024);
    let few = each(40).map(|(index, n_numbers)| (save(index.as_ref()), n_numbers));
    few.into_iter().chain([(save(hashed.as_ref()), n_numbers)]).collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damage_is_found(which in 0_usize..4, at in 0_usize..1_000_000, flip in 1_u8.., cut in any::<bool>()) {
        let mut bytes = GOOD[which].0.clone();
        let at = at % bytes.len();
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= flip;
        }
        prop_assert!(IndexKind::load(bytes.as_slice()).is_err());
        prop_assert!(Temporary::new("damaged").open(&bytes).is_err());
    }

    /// A word replaced and the checksums made to fit: refused, or there are answers.
    #[test]
    fn what_is_behind_the_checksums_is_checked(
        which in 0_usize..4,
        at in prop_oneof![0_usize..200, 0_usize..1_000_000],
        value in prop_oneof![0..64_u32, any::<u32>()],
    ) {
        let (good, n_numbers) = &GOOD[which];
        let bytes = forge(good, *n_numbers, at % (good.len() / 4) * 4, value);
        if let Ok(index) = IndexKind::load(bytes.as_slice())
            && index.dim() == DIM
        {
            for found in answers(index.as_ref()) {
                prop_assert_eq!(found.len(), 5.min(index.n_rows()));
                prop_assert!(found.iter().all(|found| (found.1 as usize) < index.n_rows()));
            }
        }
    }
}
