use proptest::prelude::*;
use tollgate_core::{Purpose, Seed};

use super::*;
use crate::vector::dot;

fn inverse_norm(x: &[f32]) -> f64 {
    1.0 / dot(x, x).sqrt()
}

fn coded(rows: &[f32], dim: usize) -> Coarse {
    let inverse_norms: Vec<f64> = rows.chunks_exact(dim).map(inverse_norm).collect();
    let mut codes = Coarse::new(dim);
    codes.extend(rows, &inverse_norms);
    codes
}

fn uppers(codes: &Coarse, query: &[f32]) -> Vec<f32> {
    let query = codes.query(query, inverse_norm(query));
    let n_rows = codes.scales.len();
    let (mut products, mut uppers) = (vec![0; n_rows], vec![0.0; n_rows]);
    let kernel = Kernel::best();
    codes.products(kernel, &[&query.halves], (0, n_rows), &mut products);
    codes.uppers(kernel, &query, 0, &products, &mut uppers);
    uppers
}

#[test]
fn odd_numbers_and_their_halves() {
    for (x, code, half) in
        [(0.1, 1.0, 8), (-0.1, -1.0, 7), (2.9, 3.0, 9), (99.0, 15.0, 15), (-99.0, -15.0, 0)]
    {
        assert_eq!(odd(x).to_bits(), f64::to_bits(code));
        assert_eq!(half_of(code), half);
    }
}

/// `(1, -1)` is told exactly: codes `(15, -15)`, halves 15 and 0, and nothing is left.
#[test]
fn codes_by_hand() {
    let codes = coded(&[1.0, -1.0], 2);
    assert_eq!(codes.chunks[0].0[..2], [15, 0]);
    assert!(codes.errors[0] < 1e-6, "{}", codes.errors[0]);
    let expected = [1.0, 0.0].map(|cosine| cosine + 1.0 / 254.0);
    for (query, expected) in [[2.0, -2.0], [3.0, 3.0]].iter().zip(expected) {
        let upper = uppers(&codes, query)[0];
        assert!((upper - expected).abs() < 0.005, "{upper}, {expected}");
    }
}

/// A spike does not spoil the rest: the range is cut off below it.
#[test]
fn the_range_is_cut_where_that_says_more() {
    let mut rng = Seed(3).stream(Purpose::Synthesis, 0);
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    let mut row: Vec<f32> = (0..384).map(|_| rng.normal() as f32).collect();
    row[5] = 8.0;
    let mut whole = Coarse::new(384);
    whole.push(&row, inverse_norm(&row), 15.0 / 8.0);
    let cut = coded(&row, 384);
    assert!(cut.errors[0] < 0.9 * whole.errors[0], "{} of {}", cut.errors[0], whole.errors[0]);
}

/// What the proof assumes of the errors, in the worst of cases.
#[test]
fn the_errors_are_within_what_the_proof_assumes() {
    for dim in [64, 384, 4096] {
        let mut row: Vec<f32> = (0..dim).map(|_| 0.5 / 127.0 + 1e-6).collect();
        row[dim / 2] = 1.0;
        let codes = coded(&row, dim);
        assert!(codes.errors[0] <= 1.0, "{}", codes.errors[0]);
        let query = codes.query(&row, inverse_norm(&row));
        assert!(query.error < 0.26, "{}", query.error);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// No similarity is above its bound, also where the query points along the error of a
    /// row, which is where the bound is nearest.
    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    fn the_bounds_hold(
        dim in prop::sample::select(vec![64_usize, 65, 128, 200, 384]),
        power in prop::sample::select(vec![1, 3, 9]),
        exponent in -20_i32..20,
        along in any::<bool>(),
        seed in 0_u64..10_000,
    ) {
        let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
        let scale = 2.0_f64.powi(exponent);
        let rows: Vec<f32> = (0..20 * dim).map(|_| (scale * rng.normal().powi(power)) as f32).collect();
        let codes = coded(&rows, dim);
        let query: Vec<f32> = if along {
            let (row, inverse) = (&rows[..dim], inverse_norm(&rows[..dim]));
            let code = |at: usize| {
                let half = codes.chunks[at / 128].0[at % 64] >> (4 * (at / 64 % 2)) & 15;
                2.0 * f64::from(half) - 15.0
            };
            (0..dim).map(|at| (f64::from(row[at]) * inverse - f64::from(codes.scales[0]) * code(at)) as f32).collect()
        } else {
            (0..dim).map(|_| rng.normal() as f32).collect()
        };
        prop_assume!(dot(&query, &query) > 1e-12);
        for (row, upper) in rows.chunks(dim).zip(uppers(&codes, &query)) {
            let cosine = dot(row, &query) * inverse_norm(row) * inverse_norm(&query);
            prop_assert!(cosine <= f64::from(upper), "{cosine} above {upper}");
        }
    }
}
