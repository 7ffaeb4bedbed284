use std::sync::atomic::{AtomicBool, Ordering};

use tollgate_core::{Models, Purpose};

use super::*;
use crate::vector::dot;

pub(super) const DIM: usize = 16;

#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
pub(super) fn vectors(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    (0..n * DIM).map(|_| rng.normal() as f32).collect()
}

fn history(n: usize) -> History {
    let models = Models::new(["m"]).unwrap();
    History::new(models, DIM, vectors(n, 1), vec![0.5; n], vec![0.01; n]).unwrap()
}

fn recipe() -> HnswRecipe {
    HnswConfig::default().m(4).ef_construction(20).ef(8).build().unwrap()
}

pub(super) fn build(n: usize) -> Hnsw {
    recipe().index(&history(n), Seed(7)).unwrap()
}

pub(super) fn save(index: &Hnsw) -> Vec<u8> {
    super::super::file::tests::save(index)
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
    insta::assert_snapshot!(format!("{:#010x}", sum.finalize()), @"0x63ca7c4c");
}

/// Loaded, it grows as the one that was saved does.
#[test]
fn a_loaded_index_is_the_one_that_was_saved() {
    let mut index = build(300);
    let mut loaded = Hnsw::load(save(&index).as_slice()).unwrap();
    let more = vectors(100, 2);
    let more = Queries::new(&more, DIM);
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
        let query = Query::new(&[1.0, 0.1]);
        index.nearest_into(query, 3, &RowSets::all(), None, &mut scratch).unwrap();
        scratch.child(0).scored.iter().map(|found| found.1).collect::<Vec<_>>()
    };
    assert_eq!(nearest(&index), [] as [u32; 0]);
    for embedding in [[0.0, 1.0], [2.0, 0.0], [0.0, 1.0], [-1.0, -0.0]] {
        index.insert(Query::new(&embedding)).unwrap();
    }
    assert_eq!(nearest(&index), [1, 0, 2]);
    let error = index.insert(Query::new(&[0.0, 0.0])).unwrap_err();
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

/// Whatever instructions there are, one graph.
#[test]
fn the_graph_does_not_depend_on_instructions() {
    let graph = |arch: Arch, kernel: Kernel| {
        let mut index = recipe().empty(DIM, Seed(7));
        (index.arch, index.kernel) = (arch, kernel);
        index.extend(Queries::new(&vectors(500, 1), DIM)).unwrap();
        save(&index)
    };
    let widest = save(&build(500));
    for kernel in Kernel::all() {
        assert!(widest == graph(Arch::new(), kernel), "the bytes differ");
        assert!(widest == graph(Arch::Scalar, kernel), "the bytes differ");
    }
    let narrower = recipe().empty(DIM, Seed(7)).at_most_avx2();
    assert!(widest == graph(narrower.arch, narrower.kernel), "the bytes differ");
}

fn nearest(index: &dyn Index, query: &[f32]) -> Vec<(f64, u32)> {
    let mut scratch = Scratch::default();
    let query = Query::new(query);
    index.nearest_into(query, 5, &RowSets::all(), None, &mut scratch).unwrap();
    scratch.child(0).scored.clone()
}

/// While others search it, an index gives birth to the next version, and stays what it was.
#[test]
fn an_index_is_searched_while_another_grows_from_it() {
    let (old, queries) = (build(600), vectors(40, 3));
    let answers = |index: &dyn Index| {
        queries.chunks(DIM).map(|query| nearest(index, query)).collect::<Vec<_>>()
    };
    let (bytes, before) = (save(&old), answers(&old));
    let longer = history(1000);
    let done = AtomicBool::new(false);
    let (grown, rounds) = std::thread::scope(|scope| {
        let search = || {
            let mut rounds = 0;
            while rounds == 0 || !done.load(Ordering::Relaxed) {
                assert_eq!(answers(&old), before);
                rounds += 1;
            }
            rounds
        };
        let searching = [(); 3].map(|()| scope.spawn(search));
        let grown = old.grow(&longer).unwrap();
        done.store(true, Ordering::Relaxed);
        (grown, searching.map(|thread| thread.join().unwrap()))
    });
    assert!(rounds.iter().all(|&rounds| rounds > 0));
    assert_eq!(answers(&old), before);
    assert!(save(&old) == bytes, "the old one has changed");
    assert_eq!((old.n_rows(), grown.n_rows()), (600, 1000));
    assert_ne!(answers(grown.as_ref()), before, "some of the new rows are nearer");
}

/// Many more nodes in a ball than the beams hold, all closer together than bytes can tell.
#[test]
fn what_bytes_cannot_tell_apart_is_found_in_f32() {
    let (centers, noise) = (vectors(4, 4), vectors(2000, 5));
    let ball = |row: usize| &centers[row % 4 * DIM..][..DIM];
    let rows: Vec<f32> = (noise.chunks(DIM).enumerate())
        .flat_map(|(row, noise)| ball(row).iter().zip(noise).map(|(x, e)| x + 1e-3 * e))
        .collect();
    let mut index =
        HnswConfig::default().m(8).ef_construction(60).ef(40).build().unwrap().empty(DIM, Seed(1));
    index.extend(Queries::new(&rows, DIM)).unwrap();
    let cosine = |a: &[f32], b: &[f32]| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let mut hits = 0;
    for query in rows.chunks(DIM).step_by(20) {
        let mut all: Vec<f64> = rows.chunks(DIM).map(|row| cosine(query, row)).collect();
        all.sort_by(|a, b| b.total_cmp(a));
        hits += nearest(&index, query).iter().filter(|found| found.0 >= all[4] - 1e-15).count();
    }
    assert!(hits >= 495, "{hits} of 500");
}
