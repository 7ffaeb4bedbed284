use proptest::prelude::*;
use tollgate_core::{Purpose, Seed};

use super::*;
use crate::vector::dot;

fn inverse_norm(x: &[f32]) -> f64 {
    1.0 / dot(x, x).sqrt()
}

/// Upper and lower bound of every row.
fn bounds(codes: &Codes, query: &[f32], n_rows: usize) -> Vec<(f64, f64)> {
    let query = codes.query(query, inverse_norm(query));
    let (mut products, mut uppers) = (vec![0; n_rows], vec![0.0; n_rows]);
    codes.uppers(&query, 0, &mut products, &mut uppers);
    let pair =
        |(row, &upper): (u32, &f32)| (f64::from(upper) - codes.gap(&query, row), f64::from(upper));
    (0..).zip(&uppers).map(pair).collect()
}

fn coded(rows: &[f32], dim: usize) -> Codes {
    let inverse_norms: Vec<f64> = rows.chunks_exact(dim).map(inverse_norm).collect();
    let mut codes = Codes::new(dim);
    codes.extend(rows, &inverse_norms);
    codes
}

/// The row `(1, 0.5)`: codes `(127, 64)` instead of `(127, 63.5)`, so that half a step of
/// `1 / 127` in units of the row is what is left: `0.5 / 127 / |x|`.
#[test]
fn codes_by_hand() {
    let codes = coded(&[1.0, 0.5], 2);
    assert_eq!(codes.chunks[0].0[..3], [255, 192, 128]);
    let error = 0.5 / 127.0 / 1.25_f64.sqrt();
    assert!((f64::from(codes.errors[0]) - error).abs() < 1e-7, "{}", codes.errors[0]);
}

/// The step of a query is as fine as the integers allow, whatever the dimension.
#[test]
fn the_errors_are_within_what_the_proof_assumes() {
    let mut rng = Seed(3).stream(Purpose::Synthesis, 0);
    for dim in [64, 384, 521, 4096] {
        // One spike sets the step, and everything else is half a step away from a code.
        let mut row: Vec<f32> = (0..dim).map(|_| 0.5 / 127.0 + 1e-6).collect();
        row[rng.below(dim)] = 1.0;
        let codes = coded(&row, dim);
        let query = codes.query(&row, inverse_norm(&row));
        assert!(codes.errors[0] < 0.26, "{}", codes.errors[0]);
        assert!(query.error < 0.01, "{}", query.error);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// (1), also where the query points along the error of a row, which is where (2) is
    /// an equality, and with lengths of all sizes.
    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    fn the_bounds_hold(
        dim in prop::sample::select(vec![1_usize, 2, 63, 64, 65, 384, 521, 1024, 4096]),
        spike in prop::sample::select(vec![0.0, 1.0, 100.0]),
        exponent in -30_i32..30,
        seed in 0_u64..1_000_000,
    ) {
        const ROWS: usize = 4;
        let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
        let mut rows = Vec::new();
        for _ in 0..ROWS {
            let mut row: Vec<f64> = (0..dim).map(|_| rng.normal()).collect();
            row[rng.below(dim)] += spike;
            rows.extend(row.iter().map(|x| (x * 2.0_f64.powi(exponent)) as f32));
        }
        let codes = coded(&rows, dim);
        let mut queries: Vec<Vec<f32>> = rows.chunks_exact(dim).map(<[f32]>::to_vec).collect();
        queries.push((0..dim).map(|_| rng.normal() as f32).collect());
        for (at, row) in rows.chunks_exact(dim).enumerate() {
            let scale = f64::from(codes.scales[at]) / inverse_norm(row);
            let bytes = codes.chunks[at * codes.n_chunks..].iter().flat_map(|chunk| chunk.0);
            let error: Vec<f32> = row
                .iter()
                .zip(bytes)
                .map(|(&x, byte)| (f64::from(x) - scale * (f64::from(byte) - 128.0)) as f32)
                .collect();
            queries.push(error.iter().map(|x| -x).collect());
            queries.push(error);
        }
        for query in queries.iter().filter(|query| dot(query, query).sqrt() > 1e-12) {
            let bounds = bounds(&codes, query, ROWS);
            for (row, (lower, upper)) in rows.chunks_exact(dim).zip(bounds) {
                let cosine = dot(query, row) * inverse_norm(row) * inverse_norm(query);
                prop_assert!(lower <= cosine && cosine <= upper, "{lower} {cosine} {upper}");
            }
        }
    }
}
