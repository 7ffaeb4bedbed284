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

/// Bytes of a row that are coded together.
pub(super) const CHUNK: usize = 64;

/// Chunks a row, at most: `4096 / 64`.
pub(super) const MAX_CHUNKS: usize = 64;

/// A cache line of row codes.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Chunk(pub(super) [u8; CHUNK]);

/// The integers `w_l` of a query, whole and in two planes of bytes. Lives on the stack.
#[derive(Clone, Debug)]
pub(super) struct Factors {
    n_chunks: usize,
    /// `w_l`.
    whole: [[i16; CHUNK]; MAX_CHUNKS],
    /// `h_l` of `w_l = 256 h_l + b_l`.
    high: [[i8; CHUNK]; MAX_CHUNKS],
    /// `b_l` in `[-128, 127]`.
    low: [[i8; CHUNK]; MAX_CHUNKS],
    /// `128 sum_l w_l`, modulo `2^32`.
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
        for (at, factor) in factors.enumerate() {
            let (chunk, lane) = (at / CHUNK, at % CHUNK);
            let [low, _] = factor.to_le_bytes();
            let low = low.cast_signed();
            let [_, high] = (factor - i16::from(low)).to_le_bytes();
            all.whole[chunk][lane] = factor;
            all.low[chunk][lane] = low;
            all.high[chunk][lane] = high.cast_signed();
            all.offset = all.offset.wrapping_add(128 * i32::from(factor));
        }
        all
    }
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

    /// Overwrites `out`, of shape `(n_rows,)`, with (1); `rows` is row-major.
    pub(super) fn products(self, rows: &[Chunk], query: &Factors, out: &mut [i32]) {
        debug_assert_eq!(rows.len(), out.len() * query.n_chunks);
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
        query: &Factors,
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

fn row_of<'a>(rows: &'a [Chunk], row: u32, query: &Factors) -> &'a [Chunk] {
    &rows[row as usize * query.n_chunks..][..query.n_chunks]
}

fn portable(rows: &[Chunk], query: &Factors, out: &mut [i32]) {
    for (row, out) in rows.chunks_exact(query.n_chunks).zip(out) {
        *out = query.offset.wrapping_neg();
        for (codes, factors) in row.iter().zip(&query.whole) {
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
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m256i, __m512, __m512i, _CMP_GE_OQ, _MM_HINT_T0, _mm_add_epi32,
        _mm_cvtsi128_si32, _mm_loadu_si128, _mm_prefetch, _mm_shuffle_epi32, _mm256_add_epi32,
        _mm256_castsi256_si128, _mm256_cvtepu8_epi16, _mm256_extracti128_si256, _mm256_loadu_si256,
        _mm256_madd_epi16, _mm256_setzero_si256, _mm512_add_epi32, _mm512_and_si512,
        _mm512_castsi512_si256, _mm512_cmp_ps_mask, _mm512_dpbusd_epi32, _mm512_extracti64x4_epi64,
        _mm512_loadu_ps, _mm512_loadu_si512, _mm512_reduce_add_epi32, _mm512_set1_epi8,
        _mm512_set1_ps, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_srli_epi32,
        _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    };

    use super::{CHUNK, Chunk, Factors, Halves, row_of};

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn avx512(rows: &[Chunk], query: &Factors, out: &mut [i32]) {
        for (row, out) in rows.chunks_exact(query.n_chunks).zip(out) {
            *out = row512(row, following(row), query);
        }
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn avx512_of(rows: &[Chunk], which: &[u32], query: &Factors, out: &mut [i32]) {
        for (at, out) in out.iter_mut().enumerate() {
            let row = row_of(rows, which[at], query);
            *out = row512(row, later(rows, which, at, query), query);
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(rows: &[Chunk], query: &Factors, out: &mut [i32]) {
        for (row, out) in rows.chunks_exact(query.n_chunks).zip(out) {
            *out = row256(row, following(row), query);
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2_of(rows: &[Chunk], which: &[u32], query: &Factors, out: &mut [i32]) {
        for (at, out) in out.iter_mut().enumerate() {
            let row = row_of(rows, which[at], query);
            *out = row256(row, later(rows, which, at, query), query);
        }
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn halves512(rows: &[Chunk], query: &Halves, out: &mut [i32]) {
        let n_chunks = query.n_chunks;
        let (fours, rest) = out.as_chunks_mut::<4>();
        let (rows, last) = rows.split_at(4 * n_chunks * fours.len());
        for (rows, out) in rows.chunks_exact(4 * n_chunks).zip(fours) {
            let sums = four512(rows, n_chunks, query).map(|sum| 2 * sum - query.offset);
            *out = sums;
        }
        super::halves(last, query, rest);
    }

    /// `sum_l u_rl w_l` of four rows: four sums take as many steps to add up as one.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn four512(rows: &[Chunk], n_chunks: usize, query: &Halves) -> [i32; 4] {
        let mask = _mm512_set1_epi8(15);
        let mut sums = [_mm512_setzero_si512(); 4];
        let ahead = following(rows);
        for (at, [low, high]) in query.bytes[..n_chunks].iter().enumerate() {
            let (low, high) = (load512(low), load512(high));
            for (row, sum) in sums.iter_mut().enumerate() {
                prefetch(ahead.wrapping_add(row * n_chunks + at));
                let codes = load512(&rows[row * n_chunks + at].0);
                let upper = _mm512_and_si512(_mm512_srli_epi32::<4>(codes), mask);
                *sum = _mm512_dpbusd_epi32(*sum, _mm512_and_si512(codes, mask), low);
                *sum = _mm512_dpbusd_epi32(*sum, upper, high);
            }
        }
        let [a, b, c, d] = sums;
        let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        let all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
        let half =
            _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
        let [low, high] = [_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half)];
        let sums = _mm_add_epi32(low, high);
        [
            _mm_cvtsi128_si32(sums),
            _mm_cvtsi128_si32(_mm_shuffle_epi32::<0b01>(sums)),
            _mm_cvtsi128_si32(_mm_shuffle_epi32::<0b10>(sums)),
            _mm_cvtsi128_si32(_mm_shuffle_epi32::<0b11>(sums)),
        ]
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn bounds512(
        products: &[i32],
        scale: (f32, f32),
        each: (&[f32], &[f32]),
        out: &mut [f32],
    ) {
        super::bounds(products, scale, each, out);
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn passing512(uppers: &[f32], floor: f32, places: &mut [u32]) -> usize {
        let (sixteens, rest) = uppers.as_chunks::<16>();
        let floors = _mm512_set1_ps(floor);
        let (mut first, mut count) = (0, 0);
        for uppers in sixteens {
            let mut bits = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(load512f(uppers), floors);
            while bits != 0 {
                places[count] = first + bits.trailing_zeros();
                count += 1;
                bits &= bits - 1;
            }
            first += 16;
        }
        count + super::passing(first, rest, floor, &mut places[count..])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn row512(row: &[Chunk], ahead: *const Chunk, query: &Factors) -> i32 {
        let (mut high, mut low) = (_mm512_setzero_si512(), _mm512_setzero_si512());
        for (at, ((codes, h), b)) in row.iter().zip(&query.high).zip(&query.low).enumerate() {
            prefetch(ahead.wrapping_add(at));
            let codes = load512(&codes.0);
            high = _mm512_dpbusd_epi32(high, codes, load512(h));
            low = _mm512_dpbusd_epi32(low, codes, load512(b));
        }
        let sums = _mm512_add_epi32(_mm512_slli_epi32::<8>(high), low);
        _mm512_reduce_add_epi32(sums).wrapping_sub(query.offset)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn row256(row: &[Chunk], ahead: *const Chunk, query: &Factors) -> i32 {
        let mut sums = [_mm256_setzero_si256(); 4];
        for (at, (codes, factors)) in row.iter().zip(&query.whole).enumerate() {
            prefetch(ahead.wrapping_add(at));
            let (codes, _) = codes.0.as_chunks::<16>();
            let (factors, _) = factors.as_chunks::<16>();
            for ((sum, codes), factors) in sums.iter_mut().zip(codes).zip(factors) {
                let codes = _mm256_cvtepu8_epi16(load128(codes));
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(codes, load256(factors)));
            }
        }
        let [a, b, c, d] = sums;
        let sum = _mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d));
        let halves = (_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let sum = _mm_add_epi32(halves.0, halves.1);
        let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b0100_1110>(sum));
        let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b1011_0001>(sum));
        _mm_cvtsi128_si32(sum).wrapping_sub(query.offset)
    }

    /// What is needed some rows later in a scan. The address may lie beyond the rows: it
    /// is not read, only hinted at.
    fn following(row: &[Chunk]) -> *const Chunk {
        const AHEAD: usize = 64;
        row.as_ptr().wrapping_add(AHEAD)
    }

    /// What is needed some rows later in a list; the last one over and over at its end.
    fn later(rows: &[Chunk], which: &[u32], at: usize, query: &Factors) -> *const Chunk {
        const AHEAD: usize = 8;
        let row = which[(at + AHEAD).min(which.len() - 1)];
        row_of(rows, row, query).as_ptr()
    }

    /// Asks for a cache line: a scan waits for memory, and the machine's own prefetching
    /// stops at every page.
    #[target_feature(enable = "sse")]
    fn prefetch(codes: *const Chunk) {
        _mm_prefetch::<_MM_HINT_T0>(codes.cast());
    }

    /// `T` is a byte, signed or not.
    #[target_feature(enable = "avx512f")]
    fn load512<T: Byte>(bytes: &[T; CHUNK]) -> __m512i {
        // SAFETY: 64 bytes are there to be read, and the load need not be aligned.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx512f")]
    fn load512f(values: &[f32; 16]) -> __m512 {
        // SAFETY: 64 bytes are there to be read, and the load need not be aligned.
        unsafe { _mm512_loadu_ps(values.as_ptr()) }
    }

    #[target_feature(enable = "avx2")]
    fn load256(words: &[i16; 16]) -> __m256i {
        // SAFETY: 32 bytes are there to be read, and the load need not be aligned.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    fn load128(bytes: &[u8; 16]) -> __m128i {
        // SAFETY: 16 bytes are there to be read, and the load need not be aligned.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    /// What has the size of one byte.
    trait Byte {}
    impl Byte for u8 {}
    impl Byte for i8 {}
}

#[cfg(test)]
#[path = "kernel/tests.rs"]
mod tests;
