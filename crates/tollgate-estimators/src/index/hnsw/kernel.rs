//! Distances from one vector to some nodes: the inner loop of everything here.
//!
//! Compiled for AVX-512, AVX2 and the baseline, of which the best is chosen at run time. All
//! three give the same bits: integers are exact, and `f32` sums go through 64 lanes without
//! fused multiplication whatever the width of a register.

use pulp::{Arch, Simd, WithSimd};

use super::prefetch::prefetch;
use super::store::View;
use crate::vector::{F32_LANES, dot, dot_lanes};

/// Rows are padded to whole multiples of this, with zeros.
pub(super) const LANES: usize = F32_LANES;

/// How many rows ahead memory is asked for.
const AHEAD: usize = 4;

/// Says how far nodes are from one vector: `1 - cosine`, up to the metric's error.
pub(super) trait Metric {
    fn arch(&self) -> Arch;

    /// The distance of one node; to be called through the functions below.
    fn distance<S: Simd>(&self, simd: S, node: u32) -> f32;

    /// Asks for what [`distance`](Self::distance) will read.
    fn fetch(&self, node: u32);

    /// Leaves the distance of each of `nodes` in `out`.
    fn measure(&self, nodes: &[u32], out: &mut Vec<f32>)
    where
        Self: Sized,
    {
        self.arch().dispatch(Measure { metric: self, nodes, out });
    }

    /// Whether one of `nodes` is nearer than `distance`.
    fn any_nearer(&self, nodes: &[u32], distance: f32) -> bool
    where
        Self: Sized,
    {
        self.arch().dispatch(AnyNearer { metric: self, nodes, distance })
    }
}

/// [`Metric::measure`], for each instruction set. A closure would be compiled once, and
/// for none of them.
struct Measure<'a, M> {
    metric: &'a M,
    nodes: &'a [u32],
    out: &'a mut Vec<f32>,
}

impl<M: Metric> WithSimd for Measure<'_, M> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { metric, nodes, out } = self;
        out.clear();
        out.resize(nodes.len(), 0.0);
        for &node in nodes.iter().take(AHEAD) {
            metric.fetch(node);
        }
        for (at, (&node, out)) in nodes.iter().zip(out).enumerate() {
            if let Some(&ahead) = nodes.get(at + AHEAD) {
                metric.fetch(ahead);
            }
            *out = metric.distance(simd, node);
        }
    }
}

/// [`Metric::any_nearer`], likewise.
struct AnyNearer<'a, M> {
    metric: &'a M,
    nodes: &'a [u32],
    distance: f32,
}

impl<M: Metric> WithSimd for AnyNearer<'_, M> {
    type Output = bool;

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        for &node in self.nodes {
            if self.metric.distance(simd, node) < self.distance {
                return true;
            }
        }
        false
    }
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
    fn arch(&self) -> Arch {
        self.arch
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

/// In bytes: a quarter of the memory to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coarse<'a> {
    pub(super) arch: Arch,
    pub(super) codes: View<'a, i8>,
    /// What a unit of each node's code is worth.
    pub(super) steps: &'a [f32],
    /// Padded.
    pub(super) query: &'a [i16],
    pub(super) step: f32,
}

impl Metric for Coarse<'_> {
    fn arch(&self) -> Arch {
        self.arch
    }

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[inline(always)]
    fn distance<S: Simd>(&self, _: S, node: u32) -> f32 {
        let product = dot_codes(self.query, self.codes.row(node as usize)) as f32;
        1.0 - product * self.step * self.steps[node as usize]
    }

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[inline(always)]
    fn fetch(&self, node: u32) {
        prefetch::<8, _>(self.codes.row(node as usize));
        prefetch::<1, _>(&self.steps[node as usize..]);
    }
}

/// A dot product of integers, exact: [`encode_query`] keeps it below `2^31`.
#[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
#[inline(always)]
fn dot_codes(query: &[i16], row: &[i8]) -> i32 {
    // One plain sum over both, and no chunks: so it stays in registers to the end.
    query.iter().zip(row).map(|(&x, &y)| i32::from(x) * i32::from(y)).sum()
}

/// What a unit of the code of `x` is worth.
pub(super) fn step_of(x: &[f32], inverse_norm: f64) -> f64 {
    let largest = x.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    f64::from(largest) * inverse_norm / 127.0
}

/// Writes the code of the direction of `x`, whose unit is worth [`step_of`] it.
#[expect(clippy::cast_possible_truncation, reason = "rounded to within 127")]
pub(super) fn encode_row(x: &[f32], inverse_norm: f64, code: &mut Vec<i8>) {
    let scale = inverse_norm / step_of(x, inverse_norm);
    code.clear();
    code.extend(x.iter().map(|&x| (f64::from(x) * scale).round() as i8));
}

/// How far a code is from the direction of `x`, as a length.
pub(super) fn code_error(x: &[f32], inverse_norm: f64, step: f64, code: &[i8]) -> f64 {
    let off = |(&x, &code): (&f32, &i8)| f64::from(x) * inverse_norm - f64::from(code) * step;
    x.iter().zip(code).map(|pair| off(pair).powi(2)).sum::<f64>().sqrt()
}

/// As [`encode_row`], 256 times finer: next to a row's, a query's error does not count.
///
/// With `|row| <= 127 sqrt(d)` and `|query| <= 2^30 / (127 sqrt(d))` no sum leaves an
/// `i32`, rounding included (Cauchy and Schwarz).
#[expect(clippy::cast_possible_truncation, reason = "rounded to within i16; f32 is wanted")]
pub(super) fn encode_query(x: &[f32], inverse_norm: f64, code: &mut Vec<i16>) -> f32 {
    let largest = x.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let largest = f64::from(largest) * inverse_norm;
    let longest = f64::from(1 << 30) / (127.0 * (x.len() as f64).sqrt());
    let scale = (32_767.0 / largest).min(longest);
    code.clear();
    code.extend(x.iter().map(|&x| (f64::from(x) * inverse_norm * scale).round() as i16));
    code.resize(code.len().next_multiple_of(LANES), 0);
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

    #[test]
    fn codes_are_as_near_as_they_say() {
        for dim in [1, 7, 64, 384, 4096] {
            let xs = vectors(20, dim);
            let (mut row_code, mut query_code) = (Vec::new(), Vec::new());
            for pair in xs.windows(2) {
                let inverse = [&pair[0], &pair[1]].map(|x| 1.0 / dot(x, x).sqrt());
                encode_row(&pair[0], inverse[0], &mut row_code);
                let row_step = step_of(&pair[0], inverse[0]);
                let error = code_error(&pair[0], inverse[0], row_step, &row_code);
                let step = encode_query(&pair[1], inverse[1], &mut query_code);
                row_code.resize(query_code.len(), 0);
                let exact: i64 = query_code
                    .iter()
                    .zip(&row_code)
                    .map(|(&x, &y)| i64::from(x) * i64::from(y))
                    .sum();
                let product = dot_codes(&query_code, &row_code);
                assert_eq!(i64::from(product), exact, "no overflow");
                let cosine = dot(&pair[0], &pair[1]) * inverse[0] * inverse[1];
                let got = f64::from(product) * f64::from(step) * row_step;
                assert!((got - cosine).abs() <= error + 1e-3, "{got}, {cosine}, {error}");
            }
        }
    }

    /// All of the largest values, of one sign: the sum that comes nearest to overflow.
    #[test]
    fn the_largest_codes_do_not_overflow() {
        for dim in [1, 2, 384, 4096, 65_536] {
            let x = vec![1.0_f32; dim];
            let (mut row, mut query) = (Vec::new(), Vec::new());
            let inverse = 1.0 / (dim as f64).sqrt();
            encode_row(&x, inverse, &mut row);
            let step = encode_query(&x, inverse, &mut query);
            row.resize(query.len(), 0);
            let unit = f64::from(step) * step_of(&x, inverse);
            let got = f64::from(dot_codes(&query, &row)) * unit;
            assert!((got - 1.0).abs() < 0.01, "{got} at {dim}");
        }
    }
}
