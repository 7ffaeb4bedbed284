//! Rows in half a byte a dimension: what most of them are dismissed by.
//!
//! # Problem
//!
//! A scan waits for memory. Bytes say more than is needed of a row that is nowhere near.
//!
//! # Method
//!
//! The page of the bytes holds word for word, with odd numbers `c_r` in `[-15, 15]`, `W`
//! at most 127, and a scale that makes `s_r c_r` the best multiple of `c_r`. What is
//! rounded off is larger, about a tenth of the length, and so is `E_r`; still, few rows are
//! that near to the `k`-th best. The range is cut off where that makes `|e_r|` least: a
//! row with one large coordinate is better told by the others.
//!
//! **Why `16 u` is enough here.** `e_r` is at right angles to `c_r`, so neither `|e_r|` nor
//! `|s_r c_r|` is above 1, but for rounding; and `|f| <= 64 / 254 < 0.26` for `d <= 4096`. So
//! the four roundings of `s_r t (c_r . w)` cost less than `4.01 u * 1.26 < 5.1 u`, the three
//! of `E_r < 1.53` less than `4.6 u`, and the sum is below 2.8, its rounding `2.8 u`. Less
//! than `13 u` together.
//!
//! Two dimensions that are 64 apart share a byte, so that 64 of either come out of one
//! register by a mask.

use super::super::products::{CHUNK, Chunk, Halves, Kernel, round};
use super::codes::{ROUNDING, peak, to_f32};

/// Where the range may be cut off, as shares of the largest magnitude.
const CUTS: [f64; 6] = [0.4, 0.5, 0.6, 0.7, 0.85, 1.0];

/// The coarsely coded rows.
#[derive(Clone, Debug)]
pub(super) struct Coarse {
    dim: usize,
    /// Chunks a row; each holds 128 dimensions.
    n_chunks: usize,
    /// `(c_r + 15) / 2`, row-major.
    chunks: Vec<Chunk>,
    /// `s_r`.
    scales: Vec<f32>,
    /// `|e_r|`, rounded up.
    errors: Vec<f32>,
}

/// A coarsely coded query.
#[derive(Clone, Debug)]
pub(super) struct CoarseQuery {
    pub(super) halves: Halves,
    /// `t`.
    step: f32,
    /// `h`, rounded up.
    error: f32,
}

impl Coarse {
    /// Codes of no rows yet.
    pub(super) fn new(dim: usize) -> Self {
        let n_chunks = dim.div_ceil(2 * CHUNK);
        Self { dim, n_chunks, chunks: Vec::new(), scales: Vec::new(), errors: Vec::new() }
    }

    /// Codes the directions of more rows, of which none is zero.
    pub(super) fn extend(&mut self, rows: &[f32], inverse_norms: &[f64]) {
        self.chunks.reserve(inverse_norms.len() * self.n_chunks);
        for (row, &inverse_norm) in rows.chunks_exact(self.dim).zip(inverse_norms) {
            let peak = peak(row);
            let fit = |cut: f64| (captured(row, 15.0 / (cut * peak)), cut);
            let best = CUTS.map(fit).into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
            let (_, cut) = best.expect("there are some cuts");
            self.push(row, inverse_norm, 15.0 / (cut * peak));
        }
    }

    fn push(&mut self, row: &[f32], inverse_norm: f64, to_code: f64) {
        let (mut along, mut square) = (0.0, 0.0);
        for &x in row {
            let code = odd(f64::from(x) * to_code);
            along += f64::from(x) * inverse_norm * code;
            square += code * code;
        }
        let scale = to_f32(along / square);
        let mut error = 0.0;
        for values in row.chunks(2 * CHUNK) {
            let mut chunk = Chunk([0; CHUNK]);
            for (at, &x) in values.iter().enumerate() {
                let code = odd(f64::from(x) * to_code);
                error += (f64::from(x) * inverse_norm - f64::from(scale) * code).powi(2);
                chunk.0[at % CHUNK] |= half_of(code) << (4 * (at / CHUNK));
            }
            self.chunks.push(chunk);
        }
        self.scales.push(scale);
        self.errors.push(to_f32(error.sqrt()).next_up());
    }

    /// Codes the direction of a query.
    pub(super) fn query(&self, query: &[f32], inverse_norm: f64) -> CoarseQuery {
        let peak = peak(query);
        let (to_code, step) = (127.0 / peak, to_f32(peak * inverse_norm / 127.0));
        let mut square = 0.0;
        let factors = query.iter().map(|&x| {
            let code = round(f64::from(x) * to_code).clamp(-127.0, 127.0);
            let error = f64::from(x) * inverse_norm - f64::from(step) * code;
            square += error * error;
            byte_of(code)
        });
        let halves = Halves::new(self.n_chunks, factors);
        CoarseQuery { halves, step, error: to_f32(square.sqrt() + ROUNDING).next_up() }
    }

    /// Overwrites `products`, row-major `(queries.len(), n_rows)`, with what
    /// [`uppers`](Self::uppers) needs of `n_rows` rows from `first` on.
    pub(super) fn products(
        &self,
        kernel: Kernel,
        queries: &[&Halves],
        (first, n_rows): (usize, usize),
        products: &mut [i32],
    ) {
        let rows = &self.chunks[first * self.n_chunks..(first + n_rows) * self.n_chunks];
        kernel.half_products_of_many(rows, queries, n_rows, products);
    }

    /// Overwrites `out` with `upper_r` of the rows from `first` on, of whose products it is
    /// made.
    pub(super) fn uppers(
        &self,
        kernel: Kernel,
        query: &CoarseQuery,
        first: usize,
        products: &[i32],
        out: &mut [f32],
    ) {
        let last = first + out.len();
        let each = (&self.scales[first..last], &self.errors[first..last]);
        kernel.bounds(products, (query.step, query.error), each, out);
    }
}

/// The square of how much of `row` its codes can say, up to a constant.
fn captured(row: &[f32], to_code: f64) -> f64 {
    let (mut along, mut square) = (0.0, 0.0);
    for &x in row {
        let code = odd(f64::from(x) * to_code);
        along += f64::from(x) * code;
        square += code * code;
    }
    along / square * along
}

/// The nearest odd number in `[-15, 15]`.
fn odd(x: f64) -> f64 {
    (2.0 * round((x - 1.0) * 0.5) + 1.0).clamp(-15.0, 15.0)
}

/// The half byte of an odd number in `[-15, 15]`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in [0, 15]")]
fn half_of(code: f64) -> u8 {
    ((code + 15.0) * 0.5) as u8
}

#[expect(clippy::cast_possible_truncation, reason = "in [-127, 127]")]
fn byte_of(code: f64) -> i8 {
    code as i8
}

#[cfg(test)]
#[path = "coarse/tests.rs"]
mod tests;
