use proptest::prelude::*;
use tollgate_core::{Models, Purpose, Seed};

use super::*;

fn history(embeddings: Vec<f32>, dim: usize) -> History {
    let n = embeddings.len() / dim;
    let models = Models::new(["m"]).unwrap();
    History::new(models, dim, embeddings, vec![0.5; n], vec![0.01; n]).unwrap()
}

fn nearest(index: &dyn Index, query: &[f32], k: usize, exclude: Option<u32>) -> Vec<(f64, u32)> {
    let mut scratch = Scratch::default();
    let query = Query::new(query);
    index.nearest_into(query, k, &RowSets::all(), exclude, &mut scratch).unwrap();
    scratch.child(0).scored.clone()
}

fn rows(neighbors: &[(f64, u32)]) -> Vec<u32> {
    neighbors.iter().map(|neighbor| neighbor.1).collect()
}

/// Everything scored by (1) and sorted: shares the dot product with the index, which is
/// what defines the answer, and nothing else.
fn by_sorting(
    history: &History,
    query: &[f32],
    k: usize,
    keep: &dyn Fn(usize) -> bool,
) -> Vec<(u64, u32)> {
    let length = |x: &[f32]| 1.0 / dot(x, x).sqrt();
    let mut all: Vec<(f64, u32)> = (0..history.len())
        .filter(|&row| keep(row))
        .map(|row| {
            let x = history.queries().query(row).embedding;
            (dot(query, x) * length(x) * length(query), small(row))
        })
        .collect();
    all.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap().then(a.1.cmp(&b.1)));
    all.truncate(k);
    bits(&all)
}

fn bits(neighbors: &[(f64, u32)]) -> Vec<(u64, u32)> {
    neighbors.iter().map(|&(similarity, row)| (similarity.to_bits(), row)).collect()
}

/// Four points in the plane and the query (1, 0): cosines 0, 1, 0.6 and 1, of which the
/// two that are equal come in the order of their rows whatever their lengths.
#[test]
fn neighbors_by_hand() {
    let history = history(vec![0.0, 1.0, 5.0, 0.0, 0.3, -0.4, 2.0, 0.0], 2);
    let index = ExactScan::new(&history).unwrap();
    let found = nearest(&index, &[1.0, 0.0], 3, None);
    assert_eq!(rows(&found), [1, 3, 2]);
    assert!((found[0].0 - 1.0).abs() < 1e-15 && (found[2].0 - 0.6).abs() < 1e-7);
    assert_eq!(rows(&nearest(&index, &[1.0, 0.0], 2, Some(1))), [3, 2]);
    assert_eq!(rows(&nearest(&index, &[0.0, 9.0], 100, None)), [0, 1, 3, 2], "k beyond the rows");
    assert_eq!(rows(&nearest(&index, &[0.0, 9.0], 0, None)), [] as [u32; 0]);
}

#[test]
fn sets_are_searched_by_themselves() {
    let history = history(vec![1.0, 0.0, 0.9, 0.1, 0.5, 0.5, 0.0, 1.0], 2);
    let index = ExactScan::new(&history).unwrap();
    let masks = [[true; 4], [false, true, false, true], [false, false, true, false]];
    let sets = RowSets::new(masks.iter().map(|mask| Box::from(*mask)).collect());
    let mut scratch = Scratch::default();
    let query = Query::new(&[1.0, 0.0]);
    index.nearest_into(query, 2, &sets, Some(2), &mut scratch).unwrap();
    let found: Vec<_> = (0..3).map(|set| rows(&scratch.child(set).scored)).collect();
    assert_eq!(found, [vec![0, 1], vec![1, 3], vec![]]);
}

#[test]
fn a_row_without_direction_is_refused() {
    let error = ExactScan::new(&history(vec![1.0, 0.0, 0.0, 0.0], 2)).unwrap_err();
    insta::assert_snapshot!(error, @"the embedding of history prompt 1 is the zero vector");
}

/// Every row passes the screen, and the lowest win.
#[test]
fn copies_are_ordered_by_row() {
    let history = history([0.6_f32, 0.8].repeat(10_000), 2);
    let index = ExactScan::new(&history).unwrap();
    assert_eq!(rows(&nearest(&index, &[1.0, 0.1], 4, Some(1))), [0, 2, 3, 4]);
}

/// Directions a few units in the last place apart: far closer than the screen can tell.
#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
fn crowded(n: usize, dim: usize, spread: i32, seed: u64) -> Vec<f32> {
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    let centers: Vec<f64> = (0..3 * dim).map(|_| rng.normal()).collect();
    (0..n)
        .flat_map(|_| {
            let center = rng.below(3);
            let noise = 10_f64.powi(-spread) * rng.below(2) as f64;
            (0..dim)
                .map(|at| (centers[center * dim + at] + noise * rng.normal()) as f32)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Every row's similarity lies within the bounds of the codes from every other's: all of
/// them stay after the codes, and most after `f32`.
#[test]
fn near_ties_beyond_the_codes_are_told_apart() {
    let (n, dim, k) = (2_000, 64, 7);
    for spread in [4, 6, 8] {
        let history = history(crowded(n, dim, spread, 9), dim);
        let index = ExactScan::with_codes(&history, true).unwrap();
        for row in [0, 1, 2, 999] {
            let query = history.queries().query(row).embedding;
            let found = nearest(&index, query, k, Some(small(row)));
            let expected = by_sorting(&history, query, k, &|other| other != row);
            assert_eq!(bits(&found), expected);
        }
    }
}

/// More sets than are selected for in one pass.
#[test]
fn there_may_be_many_sets() {
    let (n, dim, k) = (300, 64, 3);
    let history = history(crowded(n, dim, 1, 4), dim);
    let index = ExactScan::with_codes(&history, true).unwrap();
    let n_sets = 2 * SET_GROUP + 1;
    let mask = |set| (0..n).map(|row| row % n_sets >= set % 7).collect();
    let sets = RowSets::new((0..n_sets).map(mask).collect());
    let mut scratch = Scratch::default();
    let query = history.queries().query(5);
    index.nearest_into(query, k, &sets, None, &mut scratch).unwrap();
    for set in 0..n_sets {
        let keep = |row| sets.contains(set, row);
        let expected = by_sorting(&history, query.embedding, k, &keep);
        assert_eq!(bits(&scratch.child(set).scored), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The nearest of some rows, with codes and without, as by sorting.
    #[test]
    fn some_rows_are_compared_like_all(
        n in 1_usize..800,
        dim in prop::sample::select(vec![7_usize, 64]),
        k in 0_usize..50,
        spread in prop::sample::select(vec![0, 3, 7]),
        step in 1_usize..5,
        seed in 0_u64..1000,
    ) {
        let history = history(crowded(n, dim, spread, seed), dim);
        let some: Vec<u32> = (0..n).step_by(step).map(small).collect();
        let query = history.queries().query(n / 2).embedding;
        let expected = by_sorting(&history, query, k, &|row| row % step == 0);
        for coded in [true, false] {
            let index = ExactScan::with_codes(&history, coded).unwrap();
            let screened = index.screen(query, dot(query, query).sqrt()).unwrap();
            let mut found = vec![(9.0, 9)];
            index.nearest_among(&screened, k, &some, &mut found);
            prop_assert_eq!(&bits(&found), &expected);
        }
    }

    /// One by one, with codes and without, in blocks, and by sorting: the same rows and the
    /// same bits, among copies, near ties, gaps and extreme lengths.
    #[test]
    fn every_path_gives_the_same_bits(
        n in 1_usize..1500,
        dim in prop::sample::select(vec![1_usize, 2, 7, 8, 33, 64]),
        k in 1_usize..50,
        spread in prop::sample::select(vec![0, 3, 7]),
        exponent in prop::sample::select(vec![0, 0, -60, 60]),
        seed in 0_u64..1000,
    ) {
        let mut embeddings = crowded(n, dim, spread, seed);
        for x in &mut embeddings {
            *x *= 2.0_f32.powi(exponent);
        }
        let history = history(embeddings, dim);
        let index = ExactScan::with_codes(&history, true).unwrap();
        let plain = ExactScan::with_codes(&history, false).unwrap();
        let mask: Box<[bool]> = (0..n).map(|row| row % 3 != 1).collect();
        let sets = RowSets::new(vec![vec![true; n].into(), mask]);
        let n_queries = n.min(20);
        let queries = Queries::new(&history.embeddings()[..n_queries * dim], dim);
        let (mut block, mut single) = (Scratch::default(), Scratch::default());
        let mut uncoded = Scratch::default();
        for exclude_from in [None, Some(0)] {
            index.nearest_block(queries, k, &sets, exclude_from, &mut block).unwrap();
            for j in 0..n_queries {
                let exclude = exclude_from.map(|_| small(j));
                index.nearest_into(queries.query(j), k, &sets, exclude, &mut single).unwrap();
                plain.nearest_into(queries.query(j), k, &sets, exclude, &mut uncoded).unwrap();
                for set in 0..2 {
                    let expected = by_sorting(&history, queries.query(j).embedding, k, &|row| {
                        sets.contains(set, row) && exclude != Some(small(row))
                    });
                    prop_assert_eq!(&bits(&single.child(set).scored), &expected);
                    prop_assert_eq!(&bits(&uncoded.child(set).scored), &expected);
                    prop_assert_eq!(&bits(&block.child(j).child(set).scored), &expected);
                }
            }
        }
    }
}
