//! Rows in one byte a dimension, with a proven bound on what that costs.
//!
//! # Problem
//!
//! With `x_r` and `q` of length 1, find numbers that are cheap, and certain:
//!
//! ```text
//! lower_r <= x_r . q <= upper_r                                                  (1)
//! ```
//!
//! # Method
//!
//! A row is `x_r = s_r c_r + e_r` with integers `c_r` in `[-127, 127]` and a scale `s_r`;
//! `|e_r|` is computed and kept. The query is `q = t w + f` with integers in `[-W, W]`,
//! `W` being the largest, up to 32512, for which the products cannot overflow. Then
//!
//! ```text
//! x_r . q = s_r t (c_r . w) + e_r . q + s_r c_r . f
//! |x_r . q - s_r t (c_r . w)| <= |e_r| + (1 + |e_r|) |f|                         (2)
//! ```
//!
//! by Cauchy and Schwarz, since `|q| = 1` and `|s_r c_r| <= 1 + |e_r|`. The integers are
//! exact. What remains is the rounding of the rest, done in `f32` with `u = 2^-24`, for
//! which (2) is widened to
//!
//! ```text
//! E_r = |e_r| + (1 + |e_r|) h,   h = |f| + 16 u
//! upper_r = s_r t (c_r . w) + E_r,   lower_r = upper_r - 2 E_r                   (3)
//! ```
//!
//! **Why `16 u` is enough.** The step of a row is at most `1 / 127`, that of the query
//! `1 / W`, and rounding leaves half a step in each dimension; for `d <= 4096` that makes
//! `|e_r| <= 64 / 254 + 1e-4 < 0.26` and `|f| < 0.01`. So `|s_r c_r| |t w| < 1.28`, and the
//! four roundings of `s_r t (c_r . w)` (the integer, `t`, two products) cost less than
//! `4.01 u * 1.28 < 5.2 u`. `E_r < 0.28` has three roundings, less than `1 u` together;
//! the sum is below 1.6 and its rounding below `1.6 u`. `|e_r|` and `h` are themselves
//! rounded up. Everything in `f64`, here and in the canonical cosine, is off by less than
//! `(d + 10) 2^-53 < 1e-5 u`. Together less than `8 u`: half of what is allowed.
//!
//! Cost: `O(n d)` integer operations on `n d` bytes, a quarter of the memory of the rows.
//!
//! # References
//!
//! R. Guo, P. Sun, E. Lindgren, Q. Geng, D. Simcha, F. Chern, S. Kumar, *Accelerating
//! large-scale inference with anisotropic vector quantization*, ICML 2020, for scans over
//! codes; the bounds are those of any filter and refine.

use super::super::products::{CHUNK, Chunk, Factors, Halves, Kernel, MAX_CHUNKS, round};
use super::coarse::{Coarse, CoarseQuery};
use super::selection::small;

/// Dimensions that are coded: fewer would mostly be padding, more would break the bound.
pub(super) const DIMS: std::ops::RangeInclusive<usize> = CHUNK..=CHUNK * MAX_CHUNKS;

/// `16 u` of (3).
pub(super) const ROUNDING: f64 = 1.0 / (1 << 20) as f64;

/// From one row in so many on that passes, half bytes cost more than they save.
const DENSE: usize = 4;

/// Rows whose bounds are asked for at a time, at most.
const MOST: usize = 256;

/// The coded rows.
#[derive(Clone, Debug)]
pub(super) struct Codes {
    dim: usize,
    n_chunks: usize,
    /// `c_r + 128`, row-major `(n_rows, n_chunks)`, padded with zeros.
    chunks: Vec<Chunk>,
    /// `s_r`.
    scales: Vec<f32>,
    /// `|e_r|`, rounded up.
    errors: Vec<f32>,
    kernel: Kernel,
    /// Half as much to read, where that pays.
    coarse: Option<Coarse>,
}

/// A coded query.
#[derive(Clone, Debug)]
pub(super) struct CodedQuery {
    coarse: Option<CoarseQuery>,
    factors: Factors,
    /// `t`.
    step: f32,
    /// `h`, rounded up.
    error: f32,
}

impl Codes {
    /// Codes of no rows yet.
    pub(super) fn new(dim: usize) -> Self {
        Self {
            dim,
            n_chunks: dim.div_ceil(CHUNK),
            chunks: Vec::new(),
            scales: Vec::new(),
            errors: Vec::new(),
            kernel: Kernel::best(),
            coarse: Kernel::halves_pay().then(|| Coarse::new(dim)),
        }
    }

    /// How many rows are coded.
    pub(super) fn len(&self) -> usize {
        self.scales.len()
    }

    /// Whether there are half bytes.
    pub(super) fn halved(&self) -> bool {
        self.coarse.is_some()
    }

    /// Codes the directions of more rows, of which none is zero.
    pub(super) fn extend(&mut self, rows: &[f32], inverse_norms: &[f64]) {
        if let Some(coarse) = &mut self.coarse {
            coarse.extend(rows, inverse_norms);
        }
        self.chunks.reserve(inverse_norms.len() * self.n_chunks);
        for (row, &inverse_norm) in rows.chunks_exact(self.dim).zip(inverse_norms) {
            let peak = peak(row);
            let (to_code, scale) = (127.0 / peak, to_f32(peak * inverse_norm / 127.0));
            let mut square = 0.0;
            for values in row.chunks(CHUNK) {
                let mut chunk = Chunk([128; CHUNK]);
                for (byte, &x) in chunk.0.iter_mut().zip(values) {
                    let code = round(f64::from(x) * to_code).clamp(-127.0, 127.0);
                    let error = f64::from(x) * inverse_norm - f64::from(scale) * code;
                    square += error * error;
                    *byte = byte_of(code);
                }
                self.chunks.push(chunk);
            }
            self.scales.push(scale);
            self.errors.push(to_f32(square.sqrt()).next_up());
        }
    }

    /// Codes the direction of a query.
    pub(super) fn query(&self, query: &[f32], inverse_norm: f64) -> CodedQuery {
        let peak = peak(query);
        let finest = f64::from(1_u32 << 31) / (127.0 * self.dim as f64);
        let finest = (finest - 1.0).floor().min(32512.0);
        let (to_code, step) = (finest / peak, to_f32(peak * inverse_norm / finest));
        let mut square = 0.0;
        let factors = query.iter().map(|&x| {
            let code = round(f64::from(x) * to_code).clamp(-finest, finest);
            let error = f64::from(x) * inverse_norm - f64::from(step) * code;
            square += error * error;
            word_of(code)
        });
        let factors = Factors::new(self.n_chunks, factors);
        let coarse = self.coarse.as_ref().map(|coarse| coarse.query(query, inverse_norm));
        CodedQuery { coarse, factors, step, error: to_f32(square.sqrt() + ROUNDING).next_up() }
    }

    /// Overwrites `out` with `upper_r` of the rows from `first` on, using `products`, as
    /// long, on the way.
    pub(super) fn uppers(
        &self,
        query: &CodedQuery,
        first: usize,
        products: &mut [i32],
        out: &mut [f32],
    ) {
        let last = first + out.len();
        let chunks = &self.chunks[first * self.n_chunks..last * self.n_chunks];
        self.kernel.products(chunks, query.factors.planes(), products);
        let each = (&self.scales[first..last], &self.errors[first..last]);
        self.kernel.bounds(products, (query.step, query.error), each, out);
    }

    /// Overwrites `products`, row-major `(queries.len(), n_rows)`, with those of the half
    /// bytes of `n_rows` rows from `first` on; left alone where there are none.
    pub(super) fn half_products(
        &self,
        queries: &[&Halves],
        rows: (usize, usize),
        products: &mut [i32],
    ) {
        if let Some(coarse) = &self.coarse {
            coarse.products(self.kernel, queries, rows, products);
        }
    }

    /// As [`uppers`](Self::uppers), but rows below `floor` may be given the lowest number
    /// instead, and mostly are, by the half bytes. `passed` is what the last call answered:
    /// how many rows passed these, or would have had to be asked. `halves` are the
    /// [`half_products`](Self::half_products) of these rows, if they are known.
    pub(super) fn uppers_above(
        &self,
        query: &CodedQuery,
        first: usize,
        (floor, passed): (f32, usize),
        halves: Option<&[i32]>,
        products: &mut [i32],
        out: &mut [f32],
    ) -> usize {
        let (Some(coarse), Some(half)) = (&self.coarse, &query.coarse) else {
            self.uppers(query, first, products, out);
            return 0;
        };
        if passed * DENSE > out.len() || floor == f32::NEG_INFINITY {
            self.uppers(query, first, products, out);
            // Asked again before long, as rows change.
            return passed / 2;
        }
        let halves = halves.unwrap_or_else(|| {
            coarse.products(self.kernel, &[&half.halves], (first, out.len()), products);
            products
        });
        coarse.uppers(self.kernel, half, first, halves, out);
        let mut rows = [0; MOST];
        let passed = self.kernel.passing(out, floor, &mut rows[..out.len()]);
        let rows = &mut rows[..passed];
        for row in &mut *rows {
            *row += small(first);
        }
        out.fill(f32::NEG_INFINITY);
        let mut finer = [0.0; MOST];
        self.uppers_of(query, rows, &mut products[..passed], &mut finer[..passed]);
        for (&row, &upper) in rows.iter().zip(&finer) {
            out[row as usize - first] = upper;
        }
        passed
    }

    /// As [`uppers`](Self::uppers), of `rows` that need not follow one another.
    pub(super) fn uppers_of(
        &self,
        query: &CodedQuery,
        rows: &[u32],
        products: &mut [i32],
        out: &mut [f32],
    ) {
        self.kernel.products_of(&self.chunks, rows, query.factors.planes(), products);
        for ((upper, &row), &product) in out.iter_mut().zip(rows).zip(&*products) {
            let (scale, error) = (self.scales[row as usize], self.errors[row as usize]);
            *upper = query.upper(product, scale, error);
        }
    }

    /// `2 E_r`: how far `lower_r` is below `upper_r`.
    pub(super) fn gap(&self, query: &CodedQuery, row: u32) -> f64 {
        2.0 * f64::from(query.margin(self.errors[row as usize]))
    }
}

impl CodedQuery {
    /// In half bytes, where that pays.
    pub(super) fn halves(&self) -> Option<&Halves> {
        self.coarse.as_ref().map(|coarse| &coarse.halves)
    }

    /// `upper_r` of a row whose `c_r . w` is `product`.
    fn upper(&self, product: i32, scale: f32, error: f32) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "one of the roundings of (3)")]
        let product = product as f32;
        product * (scale * self.step) + self.margin(error)
    }

    /// `E_r`.
    fn margin(&self, error: f32) -> f32 {
        error * (1.0 + self.error) + self.error
    }
}

/// The largest magnitude.
pub(super) fn peak(vector: &[f32]) -> f64 {
    f64::from(vector.iter().fold(0.0_f32, |peak, x| peak.max(x.abs())))
}

#[expect(clippy::cast_possible_truncation, reason = "rounding is meant, and accounted for")]
pub(super) fn to_f32(x: f64) -> f32 {
    x as f32
}

/// The byte of an integer in `[-127, 127]`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in [1, 255]")]
fn byte_of(code: f64) -> u8 {
    (code + 128.0) as i32 as u8
}

#[expect(clippy::cast_possible_truncation, reason = "in [-32512, 32512]")]
fn word_of(code: f64) -> i16 {
    code as i16
}

#[cfg(test)]
#[path = "codes/tests.rs"]
mod tests;
