//! Integer products of one query with many coded rows, as wide as the machine allows.
//!
//! ```text
//! P_r = sum_l c_rl w_l,   c_rl in [-127, 127],   w_l in [-W, W]                  (1)
//! ```
//!
//! Rows are stored as `u_rl = c_rl + 128`, one byte each. Every form sums `u_rl w_l`
//! modulo `2^32`, in whatever order, and takes `128 sum_l w_l` off; as `W` is chosen so
//! that `|P_r| < 2^31`, all forms give the same integer, which is (1).
//!
//! * AVX-512 VNNI multiplies bytes, so `w_l = 256 h_l + b_l` is split into two planes.
//! * AVX2 widens the row and multiplies 16-bit numbers.
//! * The portable form is the definition.
//!
//! # Safety
//!
//! Two things are unsafe here, and nothing outside is. *Calling a function compiled for
//! other features*: a [`Kernel`] can be had from [`Kernel::all`] only, which asks the
//! machine. *Loading from a pointer*: every pointer is to an array of exactly as many
//! bytes as the load takes (`load512`, `load512f`, `load256`, `load128`), aligned or not.
#![expect(unsafe_code, reason = "vector instructions chosen at run time; see the page")]

use bytemuck::{Pod, Zeroable};

/// Bytes of a row that are coded together.
pub(super) const CHUNK: usize = 64;

/// Chunks a row, at most: `4096 / 64`.
pub(super) const MAX_CHUNKS: usize = 64;

/// Adding and subtracting it rounds an `f64` below `2^51` to the nearest integer.
const ROUND: f64 = 1.5 * (1_u64 << 52) as f64;

/// The nearest integer, the even one of two; for magnitudes below `2^51`.
pub(super) fn round(x: f64) -> f64 {
    (x + ROUND) - ROUND
}

/// A cache line of row codes.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Chunk(pub(super) [u8; CHUNK]);

/// The integers `w_l` of a query by chunks, whole and in two planes of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planes<'a> {
    /// `w_l`, each in `[-32512, 32512]`.
    whole: &'a [[i16; CHUNK]],
    /// `h_l` of `w_l = 256 h_l + b_l`.
    high: &'a [[i8; CHUNK]],
    /// `b_l` in `[-128, 127]`.
    low: &'a [[i8; CHUNK]],
    /// `128 sum_l w_l`, modulo `2^32`.
    offset: i32,
}

impl Planes<'_> {
    fn n_chunks(self) -> usize {
        self.whole.len()
    }
}

/// [`Planes`] that live on the stack.
#[derive(Clone, Debug)]
pub(super) struct Factors {
    n_chunks: usize,
    whole: [[i16; CHUNK]; MAX_CHUNKS],
    high: [[i8; CHUNK]; MAX_CHUNKS],
    low: [[i8; CHUNK]; MAX_CHUNKS],
    offset: i32,
}

impl Factors {
    /// Factors of `n_chunks` chunks, zero beyond those given, each in `[-32512, 32512]`.
    pub(super) fn new(n_chunks: usize, factors: impl Iterator<Item = i16>) -> Self {
        let mut all = Self {
            n_chunks,
            whole: [[0; CHUNK]; MAX_CHUNKS],
            high: [[0; CHUNK]; MAX_CHUNKS],
            low: [[0; CHUNK]; MAX_CHUNKS],
            offset: 0,
        };
        all.offset = split(factors, &mut all.whole, &mut all.high, &mut all.low);
        all
    }

    pub(super) fn planes(&self) -> Planes<'_> {
        let Self { n_chunks, whole, high, low, offset } = self;
        let used = ..*n_chunks;
        Planes { whole: &whole[used], high: &high[used], low: &low[used], offset: *offset }
    }
}

/// [`Planes`] of any number of chunks, in memory that is used again.
#[derive(Clone, Debug, Default)]
pub(super) struct LongFactors {
    whole: Vec<[i16; CHUNK]>,
    high: Vec<[i8; CHUNK]>,
    low: Vec<[i8; CHUNK]>,
    offset: i32,
}

impl LongFactors {
    /// As [`Factors::new`], in place of what was there.
    pub(super) fn set(&mut self, n_chunks: usize, factors: impl Iterator<Item = i16>) {
        let Self { whole, high, low, offset } = self;
        whole.clear();
        whole.resize(n_chunks, [0; CHUNK]);
        for plane in [&mut *high, &mut *low] {
            plane.clear();
            plane.resize(n_chunks, [0; CHUNK]);
        }
        *offset = split(factors, whole, high, low);
    }

    pub(super) fn planes(&self) -> Planes<'_> {
        let Self { whole, high, low, offset } = self;
        Planes { whole, high, low, offset: *offset }
    }
}

/// Writes factors into planes of zeros; answers their offset.
fn split(
    factors: impl Iterator<Item = i16>,
    whole: &mut [[i16; CHUNK]],
    high: &mut [[i8; CHUNK]],
    low: &mut [[i8; CHUNK]],
) -> i32 {
    let mut offset = 0_i32;
    for (at, factor) in factors.enumerate() {
        let (chunk, lane) = (at / CHUNK, at % CHUNK);
        let [lower, _] = factor.to_le_bytes();
        let lower = lower.cast_signed();
        let [_, upper] = (factor - i16::from(lower)).to_le_bytes();
        whole[chunk][lane] = factor;
        low[chunk][lane] = lower;
        high[chunk][lane] = upper.cast_signed();
        offset = offset.wrapping_add(128 * i32::from(factor));
    }
    offset
}

/// The bytes `w_l` of a query for rows in half bytes. Lives on the stack.
///
/// ```text
/// P_r = sum_l c_rl w_l,   c_rl = 2 u_rl - 15,   u_rl in [0, 15]                  (2)
/// ```
///
/// is summed as `2 sum_l u_rl w_l - 15 sum_l w_l`; below `15 * 127 * 4096 < 2^24` in all.
#[derive(Clone, Debug)]
pub(super) struct Halves {
    n_chunks: usize,
    /// `w_l`, by chunk of rows: those of the lower halves and of the upper.
    bytes: [[[i8; CHUNK]; 2]; MAX_CHUNKS / 2],
    /// `15 sum_l w_l`.
    offset: i32,
}

impl Halves {
    /// Factors of `n_chunks` chunks of 128, zero beyond those given.
    pub(super) fn new(n_chunks: usize, factors: impl Iterator<Item = i8>) -> Self {
        let mut all = Self { n_chunks, bytes: [[[0; CHUNK]; 2]; MAX_CHUNKS / 2], offset: 0 };
        for (at, factor) in factors.enumerate() {
            all.bytes[at / (2 * CHUNK)][at / CHUNK % 2][at % CHUNK] = factor;
            all.offset += 15 * i32::from(factor);
        }
        all
    }
}

/// One of the forms, known to run on this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel(Form);

#[derive(Clone, Copy, Debug)]
enum Form {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Kernel {
    /// The fastest.
    pub(super) fn best() -> Self {
        Self::all().last().expect("the portable form runs everywhere")
    }

    /// Whether the fastest form is faster than a scan in `f32`. The portable one is not:
    /// without wide integer products a byte costs more than it saves.
    pub(super) fn pays() -> bool {
        !matches!(Self::best().0, Form::Portable)
    }

    /// Whether half bytes are faster than bytes: where they are as quickly multiplied.
    pub(super) fn halves_pay() -> bool {
        #[cfg(target_arch = "x86_64")]
        let pays = matches!(Self::best().0, Form::Avx512);
        #[cfg(not(target_arch = "x86_64"))]
        let pays = false;
        pays
    }

    /// All that run on this machine, the fastest last.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let wider = [
            is_x86_feature_detected!("avx2").then_some(Form::Avx2),
            (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni"))
                .then_some(Form::Avx512),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let wider: [Option<Form>; 0] = [];
        std::iter::once(Form::Portable).chain(wider.into_iter().flatten()).map(Self)
    }

    /// The fastest that needs no more than AVX2.
    pub(super) fn at_most_avx2() -> Self {
        #[cfg(target_arch = "x86_64")]
        let narrow = |kernel: &Self| !matches!(kernel.0, Form::Avx512);
        #[cfg(not(target_arch = "x86_64"))]
        let narrow = |_: &Self| true;
        Self::all().filter(narrow).last().expect("the portable form runs everywhere")
    }

    /// Overwrites `out`, of shape `(n_rows,)`, with (1); `rows` is row-major.
    pub(super) fn products(self, rows: &[Chunk], query: Planes<'_>, out: &mut [i32]) {
        debug_assert_eq!(rows.len(), out.len() * query.n_chunks());
        match self.0 {
            Form::Portable => portable(rows, query, out),
            // SAFETY: `all` found the feature on this machine.
            #[cfg(target_arch = "x86_64")]
            Form::Avx2 => unsafe { x86::avx2(rows, query, out) },
            // SAFETY: `all` found the features on this machine.
            #[cfg(target_arch = "x86_64")]
            Form::Avx512 => unsafe { x86::avx512(rows, query, out) },
        }
    }

    /// Overwrites `out`, of the shape of `which`, with (1) of those of the `rows`.
    pub(super) fn products_of(
        self,
        rows: &[Chunk],
        which: &[u32],
        query: Planes<'_>,
        out: &mut [i32],
    ) {
        debug_assert_eq!(which.len(), out.len());
        match self.0 {
            Form::Portable => {
                for (&row, out) in which.iter().zip(out) {
                    portable(row_of(rows, row, query), query, std::slice::from_mut(out));
                }
            }
            // SAFETY: `all` found the feature on this machine.
            #[cfg(target_arch = "x86_64")]
            Form::Avx2 => unsafe { x86::avx2_of(rows, which, query, out) },
            // SAFETY: `all` found the features on this machine.
            #[cfg(target_arch = "x86_64")]
            Form::Avx512 => unsafe { x86::avx512_of(rows, which, query, out) },
        }
    }

    /// Overwrites `out`, of shape `(n_rows,)`, with (2); `rows` is row-major.
    pub(super) fn half_products(self, rows: &[Chunk], query: &Halves, out: &mut [i32]) {
        debug_assert_eq!(rows.len(), out.len() * query.n_chunks);
        match self.0 {
            // SAFETY: `all` found the features on this machine.
            #[cfg(target_arch = "x86_64")]
            Form::Avx512 => unsafe { x86::halves512(rows, query, out) },
            _ => halves(rows, query, out),
        }
    }

    /// As [`half_products`](Self::half_products), of many queries: `out` has the shape
    /// `(queries.len(), n_rows)`.
    pub(super) fn half_products_of_many(
        self,
        rows: &[Chunk],
        queries: &[&Halves],
        n_rows: usize,
        out: &mut [i32],
    ) {
        debug_assert_eq!(out.len(), n_rows * queries.len());
        let (fours, rest) = queries.as_chunks::<4>();
        let (first, last) = out.split_at_mut(4 * n_rows * fours.len());
        for (four, out) in fours.iter().zip(first.chunks_exact_mut(4 * n_rows)) {
            match self.0 {
                // SAFETY: `all` found the features on this machine.
                #[cfg(target_arch = "x86_64")]
                Form::Avx512 => unsafe { x86::halves_of_four512(rows, four, out) },
                _ => self.each_half(rows, four, n_rows, out),
            }
        }
        self.each_half(rows, rest, n_rows, last);
    }

    fn each_half(self, rows: &[Chunk], queries: &[&Halves], n_rows: usize, out: &mut [i32]) {
        for (query, out) in queries.iter().zip(out.chunks_exact_mut(n_rows)) {
            self.half_products(rows, query, out);
        }
    }

    /// Overwrites `out` with `P_r (s_r t) + (e_r (1 + h) + h)`, `scale` being `(t, h)` and
    /// `each` all `s_r` and all `e_r`.
    pub(super) fn bounds(
        self,
        products: &[i32],
        scale: (f32, f32),
        each: (&[f32], &[f32]),
        out: &mut [f32],
    ) {
        match self.0 {
            // SAFETY: `all` found the features on this machine.
            #[cfg(target_arch = "x86_64")]
            Form::Avx512 => unsafe { x86::bounds512(products, scale, each, out) },
            _ => bounds(products, scale, each, out),
        }
    }

    /// Leaves the places of those of `uppers` that are at least `floor` in `places`, which
    /// is as long, and answers how many they are.
    pub(super) fn passing(self, uppers: &[f32], floor: f32, places: &mut [u32]) -> usize {
        match self.0 {
            // SAFETY: `all` found the features on this machine.
            #[cfg(target_arch = "x86_64")]
            Form::Avx512 => unsafe { x86::passing512(uppers, floor, places) },
            _ => passing(0, uppers, floor, places),
        }
    }
}

#[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
#[inline(always)]
fn bounds(
    products: &[i32],
    (step, error): (f32, f32),
    (scales, errors): (&[f32], &[f32]),
    out: &mut [f32],
) {
    let each = products.iter().zip(scales.iter().zip(errors));
    for (out, (&product, (scale, row_error))) in out.iter_mut().zip(each) {
        #[expect(clippy::cast_precision_loss, reason = "a rounding that callers account for")]
        let product = product as f32;
        *out = product * (scale * step) + (row_error * (1.0 + error) + error);
    }
}

fn passing(first: u32, uppers: &[f32], floor: f32, places: &mut [u32]) -> usize {
    let mut count = 0;
    for (place, &upper) in (first..).zip(uppers) {
        if upper >= floor {
            places[count] = place;
            count += 1;
        }
    }
    count
}

fn row_of<'a>(rows: &'a [Chunk], row: u32, query: Planes<'_>) -> &'a [Chunk] {
    let n_chunks = query.n_chunks();
    &rows[row as usize * n_chunks..][..n_chunks]
}

fn portable(rows: &[Chunk], query: Planes<'_>, out: &mut [i32]) {
    for (row, out) in rows.chunks_exact(query.n_chunks()).zip(out) {
        *out = query.offset.wrapping_neg();
        for (codes, factors) in row.iter().zip(query.whole) {
            let products = codes.0.iter().zip(factors).map(|(&u, &w)| i32::from(u) * i32::from(w));
            // At most 64 * 255 * 32512 < 2^31 in a chunk.
            *out = out.wrapping_add(products.sum());
        }
    }
}

fn halves(rows: &[Chunk], query: &Halves, out: &mut [i32]) {
    for (row, out) in rows.chunks_exact(query.n_chunks).zip(out) {
        let mut sum = 0;
        for (codes, [low, high]) in row.iter().zip(&query.bytes) {
            for (code, (&l, &h)) in codes.0.iter().zip(low.iter().zip(high)) {
                sum += i32::from(code & 15) * i32::from(l) + i32::from(code >> 4) * i32::from(h);
            }
        }
        *out = 2 * sum - query.offset;
    }
}

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;
