//! Distances from one vector to some nodes: the inner loop of everything here.
//!
//! Compiled for AVX-512, AVX2 and the baseline, of which the best is chosen at run time. All
//! three give the same bits: integers are exact, and `f32` sums go through 64 lanes without
//! fused multiplication whatever the width of a register.

use pulp::{Arch, Simd, WithSimd};

use super::super::products::{CHUNK, Chunk, Kernel, LongFactors, Planes, round};
use super::prefetch::prefetch;
use super::store::View;
use crate::vector::{F32_LANES, dot, dot_lanes};

/// Rows are padded to whole multiples of this, with zeros.
pub(super) const LANES: usize = F32_LANES;

/// How many rows ahead memory is asked for.
const AHEAD: usize = 4;

/// Says how far nodes are from one vector: `1 - cosine`, up to the metric's error.
pub(super) trait Metric {
    /// Leaves the distance of each of `nodes` in `out`.
    fn measure(&self, nodes: &[u32], out: &mut Vec<f32>);
}

/// In `f32`, or in the canonical product where lengths are beyond `f32`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fine<'a> {
    pub(super) arch: Arch,
    pub(super) rows: View<'a, f32>,
    /// `1 / |x|` of each node.
    pub(super) inverse_norms: &'a [f64],
    pub(super) canonical: bool,
    /// Padded.
    pub(super) query: &'a [f32],
    /// `1 / |query|`.
    pub(super) inverse_norm: f64,
}

impl Metric for Fine<'_> {
    fn measure(&self, nodes: &[u32], out: &mut Vec<f32>) {
        self.arch.dispatch(Measure { fine: self, nodes, out });
    }
}

impl Fine<'_> {
    /// Whether one of `nodes` is nearer than `distance`.
    pub(super) fn any_nearer(&self, nodes: &[u32], distance: f32) -> bool {
        self.arch.dispatch(AnyNearer { fine: self, nodes, distance })
    }

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[expect(clippy::cast_possible_truncation, reason = "a distance in f32 is what is wanted")]
    #[inline(always)]
    fn distance<S: Simd>(&self, simd: S, node: u32) -> f32 {
        let row = self.rows.row(node as usize);
        let product = if self.canonical {
            dot(self.query, row)
        } else {
            f64::from(dot_lanes(simd, self.query, row))
        };
        // In this order, two nodes are as far from one another either way.
        (1.0 - product * (self.inverse_norms[node as usize] * self.inverse_norm)) as f32
    }

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[inline(always)]
    fn fetch(&self, node: u32) {
        prefetch::<32, _>(self.rows.row(node as usize));
        prefetch::<1, _>(&self.inverse_norms[node as usize..]);
    }
}

/// [`Metric::measure`] in `f32`, for each instruction set. A closure would be compiled once,
/// and for none of them.
struct Measure<'a> {
    fine: &'a Fine<'a>,
    nodes: &'a [u32],
    out: &'a mut Vec<f32>,
}

impl WithSimd for Measure<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { fine, nodes, out } = self;
        out.clear();
        out.resize(nodes.len(), 0.0);
        for &node in nodes.iter().take(AHEAD) {
            fine.fetch(node);
        }
        for (at, (&node, out)) in nodes.iter().zip(out).enumerate() {
            if let Some(&ahead) = nodes.get(at + AHEAD) {
                fine.fetch(ahead);
            }
            *out = fine.distance(simd, node);
        }
    }
}

/// [`Fine::any_nearer`], likewise.
struct AnyNearer<'a> {
    fine: &'a Fine<'a>,
    nodes: &'a [u32],
    distance: f32,
}

impl WithSimd for AnyNearer<'_> {
    type Output = bool;

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        for &node in self.nodes {
            if self.fine.distance(simd, node) < self.distance {
                return true;
            }
        }
        false
    }
}

/// In bytes: a quarter of the memory to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coarse<'a> {
    pub(super) kernel: Kernel,
    /// Row by row.
    pub(super) codes: &'a [Chunk],
    /// What a unit of each node's code is worth.
    pub(super) steps: &'a [f32],
    pub(super) query: Planes<'a>,
    pub(super) step: f32,
}

impl Metric for Coarse<'_> {
    fn measure(&self, nodes: &[u32], out: &mut Vec<f32>) {
        for &node in nodes {
            prefetch::<1, _>(&self.steps[node as usize..]);
        }
        out.clear();
        out.resize(nodes.len(), 0.0);
        // The products are integers as wide as the distances they become.
        self.kernel.products_of(self.codes, nodes, self.query, bytemuck::cast_slice_mut(out));
        for (&node, out) in nodes.iter().zip(out) {
            let product = out.to_bits().cast_signed() as f32;
            *out = 1.0 - product * self.step * self.steps[node as usize];
        }
    }
}

/// What a unit of the code of `x` is worth.
pub(super) fn step_of(x: &[f32], inverse_norm: f64) -> f64 {
    let largest = x.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    f64::from(largest) * inverse_norm / 127.0
}

/// Writes the code of the direction of `x`, whose unit is worth [`step_of`] it, 128 more in
/// each dimension so that bytes hold it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in [1, 255]")]
pub(super) fn encode_row(x: &[f32], inverse_norm: f64, code: &mut Vec<Chunk>) {
    let scale = inverse_norm / step_of(x, inverse_norm);
    code.clear();
    code.extend(x.chunks(CHUNK).map(|values| {
        let mut chunk = Chunk([128; CHUNK]);
        for (byte, &x) in chunk.0.iter_mut().zip(values) {
            *byte = (round(f64::from(x) * scale).clamp(-127.0, 127.0) + 128.0) as u8;
        }
        chunk
    }));
}

/// How far a code is from the direction of `x`, as a length.
pub(super) fn code_error(x: &[f32], inverse_norm: f64, step: f64, code: &[Chunk]) -> f64 {
    let bytes = code.iter().flat_map(|chunk| chunk.0);
    let off =
        |(&x, byte): (&f32, u8)| f64::from(x) * inverse_norm - (f64::from(byte) - 128.0) * step;
    x.iter().zip(bytes).map(|pair| off(pair).powi(2)).sum::<f64>().sqrt()
}

/// As [`encode_row`], 256 times finer: next to a row's, a query's error does not count.
///
/// With `|row| <= 127 sqrt(d)` and `|query| <= 2^30 / (127 sqrt(d))` no sum leaves an
/// `i32`, rounding included (Cauchy and Schwarz).
#[expect(clippy::cast_possible_truncation, reason = "rounded to within i16; f32 is wanted")]
pub(super) fn encode_query(x: &[f32], inverse_norm: f64, code: &mut LongFactors) -> f32 {
    let largest = x.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let largest = f64::from(largest) * inverse_norm;
    let longest = f64::from(1 << 30) / (127.0 * (x.len() as f64).sqrt());
    let scale = (32_512.0 / largest).min(longest);
    let factors = x.iter().map(|&x| round(f64::from(x) * inverse_norm * scale) as i16);
    code.set(x.len().div_ceil(CHUNK), factors);
    (1.0 / scale) as f32
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, Scalar};
    use tollgate_core::{Purpose, Seed};

    use super::super::store::Rows;
    use super::*;

    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    fn vectors(n: usize, dim: usize) -> Vec<Vec<f32>> {
        let mut rng = Seed(5).stream(Purpose::Synthesis, 0);
        (0..n).map(|_| (0..dim).map(|_| rng.normal() as f32).collect()).collect()
    }

    /// The same bits through the widest instructions and through none.
    #[test]
    fn instruction_sets_agree() {
        for dim in [1_usize, 63, 64, 384, 1000] {
            let xs = vectors(2, dim.next_multiple_of(LANES));
            let mut rows = Rows::new(xs[0].len());
            rows.push(&xs[1], 0.0, 1);
            let fine = Fine {
                arch: Arch::new(),
                rows: rows.view(),
                inverse_norms: &[1.0],
                canonical: false,
                query: &xs[0],
                inverse_norm: 1.0,
            };
            let mut wide = Vec::new();
            fine.measure(&[0], &mut wide);
            assert_eq!(wide[0].to_bits(), fine.distance(Scalar, 0).to_bits());
            assert!((1.0 - f64::from(wide[0]) - dot(&xs[0], &xs[1])).abs() < 1e-6 * dim as f64);
        }
    }

    /// The product of a code of a row and of a query, by every kernel alike.
    fn product(row: &[Chunk], query: &LongFactors) -> i32 {
        let of = |kernel: Kernel| {
            let mut out = [0];
            kernel.products_of(row, &[0], query.planes(), &mut out);
            out[0]
        };
        let products: Vec<i32> = Kernel::all().map(of).collect();
        assert!(products.iter().all(|&product| product == products[0]), "{products:?}");
        products[0]
    }

    #[test]
    fn codes_are_as_near_as_they_say() {
        for dim in [1, 7, 64, 384, 4096, 5000] {
            let xs = vectors(20, dim);
            let (mut row_code, mut query_code) = (Vec::new(), LongFactors::default());
            for pair in xs.windows(2) {
                let inverse = [&pair[0], &pair[1]].map(|x| 1.0 / dot(x, x).sqrt());
                encode_row(&pair[0], inverse[0], &mut row_code);
                let row_step = step_of(&pair[0], inverse[0]);
                let error = code_error(&pair[0], inverse[0], row_step, &row_code);
                let step = encode_query(&pair[1], inverse[1], &mut query_code);
                let cosine = dot(&pair[0], &pair[1]) * inverse[0] * inverse[1];
                let got = f64::from(product(&row_code, &query_code)) * f64::from(step) * row_step;
                assert!((got - cosine).abs() <= error + 1e-3, "{got}, {cosine}, {error}");
            }
        }
    }

    /// All of the largest values, of one sign: the sum that comes nearest to overflow.
    #[test]
    fn the_largest_codes_do_not_overflow() {
        for dim in [1, 2, 384, 4096, 65_536] {
            let x = vec![1.0_f32; dim];
            let (mut row, mut query) = (Vec::new(), LongFactors::default());
            let inverse = 1.0 / (dim as f64).sqrt();
            encode_row(&x, inverse, &mut row);
            let unit = f64::from(encode_query(&x, inverse, &mut query)) * step_of(&x, inverse);
            let got = f64::from(product(&row, &query)) * unit;
            assert!((got - 1.0).abs() < 0.01, "{got} at {dim}");
        }
    }
}
