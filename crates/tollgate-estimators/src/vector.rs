//! Arithmetic on vectors, in one fixed order of operations.
//!
//! Compiled for AVX-512, AVX2 and the baseline, of which the best is chosen at run time: a
//! sum has the same lanes whatever the width of a register, so that all give the same bits.

use pulp::{Arch, Simd, WithSimd};
use tollgate_core::{EstimateError, FitError, History, Queries};

const LANES: usize = 8;

/// Lanes of sums in `f32`: four registers of the widest, so that none waits for the last.
pub(crate) const F32_LANES: usize = 64;

/// The canonical dot product: `f32` in, summed in `f64` in eight lanes that are then
/// added pairwise. Every product is exact (24 + 24 bits fit in 53), so the value is the
/// same on every machine, fused multiply-add or not.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    debug_assert_eq!(a.len(), b.len());
    Arch::new().dispatch(Exact { a, b })
}

/// As [`dot`], of `f64` vectors; the same on every machine too, but rounded.
pub(crate) fn dot_f64(a: &[f64], b: &[f64]) -> f64 {
    debug_assert_eq!(a.len(), b.len());
    Arch::new().dispatch(Exact { a, b })
}

/// A fast dot product in `f32`, within the bound of [`dot_f32_error`].
pub(crate) fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    debug_assert_eq!(a.len(), b.len());
    Arch::new().dispatch(Fast { a, b })
}

/// As [`dot_f32`], of integers and where the instruction set is chosen already.
#[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
#[inline(always)]
pub(crate) fn dot_codes_by<S: Simd>(simd: S, a: &[f32], b: &[i8]) -> f32 {
    let (a_chunks, a_tail) = a.as_chunks::<F32_LANES>();
    let (b_chunks, b_tail) = b.as_chunks::<F32_LANES>();
    let used = F32_LANES / S::F32_LANES;
    let mut registers = [simd.splat_f32s(0.0); F32_LANES];
    let mut wide = [0.0; F32_LANES];
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..F32_LANES {
            wide[lane] = f32::from(y[lane]);
        }
        let (x, y) = (S::as_simd_f32s(x).0, S::as_simd_f32s(&wide).0);
        for at in 0..used {
            registers[at] = simd.add_f32s(registers[at], simd.mul_f32s(x[at], y[at]));
        }
    }
    let tail: f32 = a_tail.iter().zip(b_tail).map(|(&x, &y)| x * f32::from(y)).sum();
    by_halves(simd, registers) + tail
}

/// A dot product in [`F32_LANES`] lanes, added by halves, of vectors of a multiple of that.
#[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
#[inline(always)]
pub(crate) fn dot_lanes<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let used = F32_LANES / S::F32_LANES;
    let (a, b) = (S::as_simd_f32s(a).0, S::as_simd_f32s(b).0);
    let mut registers = [simd.splat_f32s(0.0); F32_LANES];
    for (x, y) in a.chunks_exact(used).zip(b.chunks_exact(used)) {
        for at in 0..used {
            registers[at] = simd.add_f32s(registers[at], simd.mul_f32s(x[at], y[at]));
        }
    }
    by_halves(simd, registers)
}

/// The sum of the first [`F32_LANES`] lanes.
#[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
#[inline(always)]
fn by_halves<S: Simd>(simd: S, mut registers: [S::f32s; F32_LANES]) -> f32 {
    let mut half = F32_LANES / S::F32_LANES / 2;
    while half > 0 {
        for at in 0..half {
            registers[at] = simd.add_f32s(registers[at], registers[at + half]);
        }
        half /= 2;
    }
    let mut sums = [0.0; F32_LANES];
    S::as_mut_simd_f32s(&mut sums).0[0] = registers[0];
    let mut half = S::F32_LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

/// [`dot`] and [`dot_f64`], for each instruction set.
struct Exact<'a, T> {
    a: &'a [T],
    b: &'a [T],
}

impl<T: Copy + Into<f64>> WithSimd for Exact<'_, T> {
    type Output = f64;

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let (a_chunks, a_tail) = self.a.as_chunks::<LANES>();
        let (b_chunks, b_tail) = self.b.as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        for (x, y) in a_chunks.iter().zip(b_chunks) {
            for lane in 0..LANES {
                sums[lane] += x[lane].into() * y[lane].into();
            }
        }
        for (sum, (&x, &y)) in sums.iter_mut().zip(a_tail.iter().zip(b_tail)) {
            *sum += x.into() * y.into();
        }
        pairwise(sums)
    }
}

/// [`dot_f32`], likewise.
struct Fast<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl WithSimd for Fast<'_> {
    type Output = f32;

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (a_chunks, a_tail) = self.a.as_chunks::<F32_LANES>();
        let (b_chunks, b_tail) = self.b.as_chunks::<F32_LANES>();
        let tail: f32 = a_tail.iter().zip(b_tail).map(|(x, y)| x * y).sum();
        dot_lanes(simd, a_chunks.as_flattened(), b_chunks.as_flattened()) + tail
    }
}

/// The dot products of `x` with every row of a table, each as [`dot_f32`]; `rows` is row-major
/// `(out.len(), x.len())`.
pub(crate) fn dot_each(rows: &[f32], x: &[f32], out: &mut [f32]) {
    debug_assert_eq!(rows.len(), out.len() * x.len());
    Arch::new().dispatch(FastEach { rows, x, out });
}

/// [`dot_each`], likewise.
struct FastEach<'a> {
    rows: &'a [f32],
    x: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for FastEach<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (out, row) in self.out.iter_mut().zip(self.rows.chunks_exact(self.x.len())) {
            *out = Fast { a: row, b: self.x }.with_simd(simd);
        }
    }
}

/// Lengths between which [`dot_f32_error`] holds: no product overflows, and what
/// underflows is far below the bound.
pub(crate) const F32_LENGTHS: std::ops::RangeInclusive<f64> = 2.3e-10..=4.2e9;

/// How far a cosine from an `f32` dot product may be from the canonical one.
///
/// For vectors of dimension `d`, whatever the order of the sum, fused or not (Higham,
/// *Accuracy and Stability of Numerical Algorithms*, 2002, section 3.1):
///
/// ```text
/// |fl(a.b) - a.b| <= g sum_l |a_l b_l| <= g |a| |b|,   g = d u / (1 - d u),   u = 2^-24
/// ```
///
/// plus `d 2^-149` for underflow, which for [`F32_LENGTHS`] is below `d 2^-84 |a| |b|`.
/// The canonical cosine has the same bound with `u = 2^-53`. Both are covered
/// thousands of times over by the thousandth added to `g`.
pub(crate) fn dot_f32_error(dim: usize) -> f64 {
    let du = dim as f64 / f64::from(1 << 24);
    if du < 0.5 { 1.001 * du / (1.0 - du) } else { f64::INFINITY }
}

#[inline]
fn pairwise([a, b, c, d, e, f, g, h]: [f64; LANES]) -> f64 {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// The length of a query's embedding, `> 0`.
///
/// # Errors
/// Another dimension, a value that is not finite, or the zero vector.
pub(crate) fn checked_norm(embedding: &[f32], dim: usize) -> Result<f64, EstimateError> {
    if embedding.len() != dim {
        return Err(EstimateError::Dimension { expected: dim, got: embedding.len() });
    }
    let square = dot(embedding, embedding);
    // The square of an f32 neither overflows nor underflows in f64: only a value that
    // is not finite makes the sum so, and only the zero vector makes it 0.
    if !square.is_finite() {
        let at = embedding.iter().position(|x| !x.is_finite());
        let at = at.expect("a sum of finite squares is finite");
        return Err(EstimateError::NotFinite { at, got: embedding[at] });
    }
    if square == 0.0 {
        return Err(EstimateError::ZeroVector);
    }
    Ok(square.sqrt())
}

/// Overwrites `out` with the direction of an embedding of this length, rounded as
/// [`directions`] rounds.
#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
pub(crate) fn direction_into(embedding: &[f32], norm: f64, out: &mut [f32]) {
    let inverse = 1.0 / norm;
    out.iter_mut().zip(embedding).for_each(|(out, &x)| *out = (f64::from(x) * inverse) as f32);
}

/// Refuses the first query that [`checked_norm`] refuses, before any work is spent.
pub(crate) fn check_queries(queries: Queries<'_>, dim: usize) -> Result<(), EstimateError> {
    (0..queries.len())
        .try_for_each(|index| checked_norm(queries.query(index).embedding, dim).map(drop))
}

/// One over the length of every embedding of the history.
///
/// # Errors
/// [`FitError::ZeroVector`] names the first embedding without a direction.
pub(crate) fn inverse_norms(history: &History) -> Result<Vec<f64>, FitError> {
    let queries = history.queries();
    (0..history.len())
        .map(|row| {
            let embedding = queries.query(row).embedding;
            let square = dot(embedding, embedding);
            if square > 0.0 {
                Ok(1.0 / square.sqrt())
            } else {
                Err(FitError::ZeroVector { query: row })
            }
        })
        .collect()
}

/// The history's prompts, lengths divided out; row-major `(len, dim)`.
///
/// # Errors
/// As [`inverse_norms`].
#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
pub(crate) fn directions(history: &History) -> Result<Vec<f32>, FitError> {
    let rows = history.embeddings().chunks_exact(history.dim());
    let scaled = rows.zip(inverse_norms(history)?);
    Ok(scaled
        .flat_map(|(row, inverse)| row.iter().map(move |&x| (f64::from(x) * inverse) as f32))
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sums_by_hand() {
        // 1*1 + 2*2 + ... + 11*11 = 506: one full chunk of eight and a tail of three.
        let a: Vec<f32> = (1..=11).map(|x| x as f32).collect();
        let wide: Vec<f64> = a.iter().map(|&x| f64::from(x)).collect();
        assert_eq!(dot(&a, &a).to_bits(), 506.0_f64.to_bits());
        assert_eq!(dot_f64(&wide, &wide).to_bits(), 506.0_f64.to_bits());
        assert_eq!(dot_f32(&a, &a).to_bits(), 506.0_f32.to_bits());
        assert_eq!(dot(&[], &[]).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn extreme_lengths_are_lengths() {
        for x in [f32::MAX, f32::from_bits(1)] {
            let norm = checked_norm(&[0.0, x], 2).unwrap();
            assert_eq!(norm.to_bits(), f64::from(x).to_bits());
        }
    }

    #[test]
    fn refusals() {
        let message = |x: &[f32]| checked_norm(x, 2).unwrap_err().to_string();
        insta::assert_snapshot!(message(&[1.0]), @"the embedding has 1 dimensions, the history 2");
        insta::assert_snapshot!(message(&[0.0, f32::NAN]), @"the embedding has a value that is not finite at dimension 1: NaN");
        insta::assert_snapshot!(message(&[f32::INFINITY, f32::NAN]), @"the embedding has a value that is not finite at dimension 0: inf");
        insta::assert_snapshot!(message(&[0.0, -0.0]), @"the embedding is the zero vector");
    }

    proptest! {
        /// The screen's bound holds, with vectors of all lengths that it is used for.
        #[test]
        fn the_f32_bound_holds(
            pairs in prop::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 1..300),
            exponent in -30_i32..30,
        ) {
            let scale = 2.0_f32.powi(exponent);
            let a: Vec<f32> = pairs.iter().map(|p| p.0 * scale).collect();
            let b: Vec<f32> = pairs.iter().map(|p| p.1).collect();
            let lengths = (dot(&a, &a) * dot(&b, &b)).sqrt();
            prop_assume!(F32_LENGTHS.contains(&dot(&a, &a).sqrt()));
            prop_assume!(F32_LENGTHS.contains(&dot(&b, &b).sqrt()));
            let error = (f64::from(dot_f32(&a, &b)) - dot(&a, &b)).abs();
            prop_assert!(error <= dot_f32_error(a.len()) * lengths);
        }
    }
}
