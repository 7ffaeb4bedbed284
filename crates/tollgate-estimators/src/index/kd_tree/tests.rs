use proptest::prelude::*;
use tollgate_core::{Models, Purpose, Queries, Seed};

use super::*;

fn history(embeddings: Vec<f32>, dim: usize) -> History {
    let n = embeddings.len() / dim;
    let models = Models::new(["m"]).unwrap();
    History::new(models, dim, embeddings, vec![0.5; n], vec![0.01; n]).unwrap()
}

/// Points of `rank` dimensions in `dim`, some of them copies.
#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
fn flat(n: usize, dim: usize, rank: usize, seed: u64) -> Vec<f32> {
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    let axes: Vec<f64> = (0..rank * dim).map(|_| rng.normal()).collect();
    let mut rows: Vec<f32> = Vec::new();
    for row in 0..n {
        if row > 0 && rng.below(4) == 0 {
            let copied = rng.below(row) * dim;
            rows.extend_from_within(copied..copied + dim);
            continue;
        }
        let weights: Vec<f64> = (0..rank).map(|_| rng.normal()).collect();
        rows.extend((0..dim).map(|at| {
            let sum: f64 = (0..rank).map(|axis| weights[axis] * axes[axis * dim + at]).sum();
            sum as f32
        }));
    }
    rows
}

/// Where three axes hold everything, hardly more than the wanted rows are scored.
#[test]
fn few_rows_are_scored_where_few_axes_matter() {
    let (n, dim) = (4_000, 40);
    let history = history(flat(n, dim, 4, 2), dim);
    let tree = KdTree::new(&history).unwrap();
    let mut scratch = Scratch::default();
    let count: usize = (0..20)
        .map(|row| {
            let query = history.queries().query(row);
            tree.nearest_counted(query, 5, &RowSets::all(), None, &mut scratch).unwrap()
        })
        .sum();
    assert!(count < 20 * 60, "{count}");
}

#[test]
fn refusals() {
    let error = KdTree::new(&history(vec![1.0, 0.0, 0.0, 0.0], 2)).unwrap_err();
    insta::assert_snapshot!(error, @"the embedding of history prompt 1 is the zero vector");
    let tree = KdTree::new(&history(vec![1.0, 0.0, 0.0, 1.0], 2)).unwrap();
    let query = Query::new(&[f32::NAN, 0.0]);
    let mut scratch = Scratch::default();
    let error = tree.nearest_into(query, 1, &RowSets::all(), None, &mut scratch).unwrap_err();
    insta::assert_snapshot!(error, @"the embedding has a value that is not finite at dimension 0: NaN");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The same rows and the same bits as the scan, among copies, sets, and few rows.
    #[test]
    fn it_agrees_with_the_scan(
        n in 1_usize..600,
        dim in prop::sample::select(vec![1_usize, 2, 15, 16, 17, 40]),
        rank in 1_usize..20,
        k in 0_usize..40,
        exponent in prop::sample::select(vec![0, 0, -60, 60]),
        seed in 0_u64..1000,
    ) {
        let mut embeddings = flat(n, dim, rank, seed);
        for x in &mut embeddings {
            *x *= 2.0_f32.powi(exponent);
        }
        let history = history(embeddings, dim);
        let (scan, tree) = (ExactScan::new(&history).unwrap(), KdTree::new(&history).unwrap());
        let sparse: Box<[bool]> = (0..n).map(|row| row % 50 == 1).collect();
        let sets = RowSets::new(vec![vec![true; n].into(), sparse]);
        let (mut expected, mut got) = (Scratch::default(), Scratch::default());
        let others = flat(3, dim, rank, seed + 1);
        let others = Queries::new(&others, dim);
        let queries = (0..n.min(5)).map(|row| history.queries().query(row));
        for query in queries.chain((0..3).map(|at| others.query(at))) {
            for exclude in [None, Some(0)] {
                scan.nearest_into(query, k, &sets, exclude, &mut expected).unwrap();
                tree.nearest_into(query, k, &sets, exclude, &mut got).unwrap();
                for set in 0..2 {
                    let bits = |scored: &[(f64, u32)]| -> Vec<(u64, u32)> {
                        scored.iter().map(|neighbor| (neighbor.0.to_bits(), neighbor.1)).collect()
                    };
                    let expected = bits(&expected.child(set).scored);
                    prop_assert_eq!(bits(&got.child(set).scored), expected);
                }
            }
        }
    }
}
