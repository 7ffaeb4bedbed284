use proptest::prelude::*;
use tollgate_core::{Models, Purpose};

use super::*;

const DIM: usize = 16;

#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
fn vectors(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    (0..n * DIM).map(|_| rng.normal() as f32).collect()
}

fn build(n: usize) -> Hnsw {
    let models = Models::new(["m"]).unwrap();
    let history = History::new(models, DIM, vectors(n, 1), vec![0.5; n], vec![0.01; n]).unwrap();
    HnswConfig::default()
        .m(4)
        .ef_construction(20)
        .ef(8)
        .build()
        .unwrap()
        .index(&history, Seed(7))
        .unwrap()
}

fn save(index: &Hnsw) -> Vec<u8> {
    let mut bytes = Vec::new();
    index.save(&mut bytes).unwrap();
    bytes
}

#[test]
fn the_graph_does_not_depend_on_threads() {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| save(&build(2000)))
    };
    let one = on(1);
    assert!(one == on(2) && one == on(4), "the bytes differ");
}

/// Pins the graph: of a change that moves it, the changelog must speak.
#[test]
fn the_graph_is_stable() {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&save(&build(500)));
    insta::assert_snapshot!(format!("{:#010x}", sum.finalize()), @"");
}

/// Loaded, it grows as the one that was saved does.
#[test]
fn a_loaded_index_is_the_one_that_was_saved() {
    let mut index = build(300);
    let mut loaded = Hnsw::load(save(&index).as_slice()).unwrap();
    let more = vectors(100, 2);
    let more = Queries { embeddings: &more, dim: DIM };
    index.extend(more).unwrap();
    loaded.extend(more).unwrap();
    for row in 0..20 {
        assert_eq!(index.insert(more.query(row)).unwrap(), loaded.insert(more.query(row)).unwrap());
    }
    assert_eq!((index.n_rows(), index.nodes.len()), (420, 400), "twenty are copies");
    assert!(save(&index) == save(&loaded), "the bytes differ");
}

#[test]
fn an_index_may_begin_empty() {
    let recipe = HnswConfig::default().build().unwrap();
    let mut index = Hnsw::load(save(&recipe.empty(2, Seed(0))).as_slice()).unwrap();
    let nearest = |index: &Hnsw| {
        let mut scratch = Scratch::default();
        let query = Query { embedding: &[1.0, 0.1] };
        index.nearest_into(query, 3, &RowSets::all(), None, &mut scratch).unwrap();
        scratch.child(0).scored.iter().map(|found| found.1).collect::<Vec<_>>()
    };
    assert_eq!(nearest(&index), [] as [u32; 0]);
    for embedding in [[0.0, 1.0], [2.0, 0.0], [0.0, 1.0], [-1.0, -0.0]] {
        index.insert(Query { embedding: &embedding }).unwrap();
    }
    assert_eq!(nearest(&index), [1, 0, 2]);
    let error = index.insert(Query { embedding: &[0.0, 0.0] }).unwrap_err();
    insta::assert_snapshot!(error, @"the embedding is the zero vector");
    assert_eq!(index.n_rows(), 4);
}

#[test]
fn knobs_out_of_range() {
    let refuse = |config: HnswConfig| config.build().unwrap_err().to_string();
    let config = HnswConfig::default;
    insta::assert_snapshot!(refuse(config().m(1)), @"`m` must be in 2..=256, got 1");
    insta::assert_snapshot!(refuse(config().ef(0)), @"`ef` must be in 1..=65536, got 0");
    insta::assert_snapshot!(refuse(config().ef_construction(70_000)), @"`ef_construction` must be in 1..=65536, got 70000");
}

#[test]
fn files_that_are_refused() {
    let good = save(&build(20));
    let refuse = |bytes: &[u8]| Hnsw::load(bytes).unwrap_err().to_string();
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        refuse(&bytes)
    };
    insta::assert_snapshot!(changed(0), @"this is not an index: it does not begin with `tollhnsw`");
    insta::assert_snapshot!(changed(8), @"the index is of version 0, this program reads version 1");
    assert!(changed(20).starts_with("the checksum of the index's header is"));
    insta::assert_snapshot!(refuse(&good[..30]), @"the index ends within its header");
    insta::assert_snapshot!(refuse(&good[..200]), @"the index ends within its payload");
    let longer: Vec<u8> = good.iter().copied().chain([0]).collect();
    insta::assert_snapshot!(refuse(&longer), @"the index is not valid: something follows its end");
}

/// Whole but wrong: numbers replaced, checksums made to fit.
#[test]
fn files_that_make_no_sense() {
    let good = save(&build(20));
    let header = 12 + 7 * 8;
    let forge = |at: usize, value: u32| {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let (head, end) = (crc32fast::hash(&bytes[..header]), bytes.len() - 4);
        bytes[header..header + 4].copy_from_slice(&head.to_le_bytes());
        let payload = crc32fast::hash(&bytes[header + 4..end]);
        bytes[end..].copy_from_slice(&payload.to_le_bytes());
        Hnsw::load(bytes.as_slice()).unwrap_err().to_string()
    };
    let payload = header + 4;
    let (vectors, links) = (payload + 20 * 4, payload + 20 * 4 + 20 * DIM * 4 + 20);
    insta::assert_snapshot!(forge(12, 0), @"the index is not valid: `m` must be in 2..=256, got 0");
    insta::assert_snapshot!(forge(60, 30), @"the index is not valid: 20 rows of 30 nodes");
    insta::assert_snapshot!(forge(payload, 20), @"the index is not valid: a row of node 20");
    insta::assert_snapshot!(forge(vectors, f32::NAN.to_bits()), @"the index is not valid: the embedding has a value that is not finite at dimension 0: NaN");
    insta::assert_snapshot!(forge(links, 20), @"the index is not valid: a link leads nowhere");
    insta::assert_snapshot!(forge(links, u32::MAX), @"the index is not valid: a link follows an empty slot");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damage_is_found(at in 0_usize..1_000_000, flip in 1_u8.., cut in any::<bool>()) {
        let mut bytes = save(&build(40));
        let at = at % bytes.len();
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= flip;
        }
        prop_assert!(Hnsw::load(bytes.as_slice()).is_err());
    }
}
