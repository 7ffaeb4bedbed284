//! The forms of the products for x86-64.
//!
//! # Safety
//!
//! As the page of [the products](super) says: every function here is compiled for features
//! that whoever calls it has found on the machine, and every load is from an array of as
//! many bytes as it takes. Prefetches read nothing, whatever the address.

use std::arch::x86_64::{
    __m128i, __m256i, __m512, __m512i, _CMP_GE_OQ, _MM_HINT_T0, _mm_add_epi32, _mm_cvtsi128_si32,
    _mm_loadu_si128, _mm_prefetch, _mm_shuffle_epi32, _mm256_add_epi32, _mm256_castsi256_si128,
    _mm256_cvtepu8_epi16, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_setzero_si256, _mm512_add_epi32, _mm512_and_si512, _mm512_castsi512_si256,
    _mm512_cmp_ps_mask, _mm512_dpbusd_epi32, _mm512_extracti64x4_epi64, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_reduce_add_epi32, _mm512_set1_epi8, _mm512_set1_ps,
    _mm512_setzero_si512, _mm512_slli_epi32, _mm512_srli_epi32, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::{CHUNK, Chunk, Halves, Planes, row_of};

#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn avx512(rows: &[Chunk], query: Planes<'_>, out: &mut [i32]) {
    for (row, out) in rows.chunks_exact(query.n_chunks()).zip(out) {
        *out = row512(row, following(row), query);
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn avx512_of(rows: &[Chunk], which: &[u32], query: Planes<'_>, out: &mut [i32]) {
    soon(rows, which, query);
    for (at, out) in out.iter_mut().enumerate() {
        let row = row_of(rows, which[at], query);
        *out = row512(row, later(rows, which, at, query), query);
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn avx2(rows: &[Chunk], query: Planes<'_>, out: &mut [i32]) {
    for (row, out) in rows.chunks_exact(query.n_chunks()).zip(out) {
        *out = row256(row, following(row), query);
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn avx2_of(rows: &[Chunk], which: &[u32], query: Planes<'_>, out: &mut [i32]) {
    soon(rows, which, query);
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

/// Four rows by four queries at a time: half bytes are taken apart once for all four.
/// `out` is row-major `(4, n_rows)`.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn halves_of_four512(rows: &[Chunk], queries: &[&Halves; 4], out: &mut [i32]) {
    let n_rows = out.len() / 4;
    let n_chunks = queries[0].n_chunks;
    let whole = n_rows - n_rows % 4;
    for first in (0..whole).step_by(4) {
        let rows = &rows[first * n_chunks..(first + 4) * n_chunks];
        for (at, sums) in sixteen512(rows, n_chunks, queries).into_iter().enumerate() {
            let offset = queries[at].offset;
            out[at * n_rows + first..][..4].copy_from_slice(&sums.map(|sum| 2 * sum - offset));
        }
    }
    for (query, out) in queries.iter().zip(out.chunks_exact_mut(n_rows.max(1))) {
        super::halves(&rows[whole * n_chunks..], query, &mut out[whole..]);
    }
}

/// `sum_l u_rl w_l` of four rows, for each of four queries.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn sixteen512(rows: &[Chunk], n_chunks: usize, queries: &[&Halves; 4]) -> [[i32; 4]; 4] {
    let mask = _mm512_set1_epi8(15);
    let mut sums = [[_mm512_setzero_si512(); 4]; 4];
    for at in 0..n_chunks {
        let mut codes = [[_mm512_setzero_si512(); 2]; 4];
        for (row, [lower, upper]) in codes.iter_mut().enumerate() {
            let both = load512(&rows[row * n_chunks + at].0);
            *lower = _mm512_and_si512(both, mask);
            *upper = _mm512_and_si512(_mm512_srli_epi32::<4>(both), mask);
        }
        for (sums, query) in sums.iter_mut().zip(queries) {
            let [low, high] = &query.bytes[at];
            let (low, high) = (load512(low), load512(high));
            for (sum, [lower, upper]) in sums.iter_mut().zip(codes) {
                *sum = _mm512_dpbusd_epi32(*sum, lower, low);
                *sum = _mm512_dpbusd_epi32(*sum, upper, high);
            }
        }
    }
    [four_sums(sums[0]), four_sums(sums[1]), four_sums(sums[2]), four_sums(sums[3])]
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
    four_sums(sums)
}

/// What the lanes of each of four registers add up to.
#[inline]
#[target_feature(enable = "avx512f")]
fn four_sums([a, b, c, d]: [__m512i; 4]) -> [i32; 4] {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
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
fn row512(row: &[Chunk], ahead: *const Chunk, query: Planes<'_>) -> i32 {
    let (mut high, mut low) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    for (at, ((codes, h), b)) in row.iter().zip(query.high).zip(query.low).enumerate() {
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
fn row256(row: &[Chunk], ahead: *const Chunk, query: Planes<'_>) -> i32 {
    let mut sums = [_mm256_setzero_si256(); 4];
    for (at, (codes, factors)) in row.iter().zip(query.whole).enumerate() {
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

/// How many rows of a list ahead memory is asked for.
const AHEAD: usize = 6;

/// Asks for the first rows of a list, which nobody has asked for yet.
#[target_feature(enable = "sse")]
fn soon(rows: &[Chunk], which: &[u32], query: Planes<'_>) {
    for &row in which.iter().take(AHEAD) {
        for codes in row_of(rows, row, query) {
            prefetch(codes);
        }
    }
}

/// What is needed some rows later in a list; the last one over and over at its end.
fn later(rows: &[Chunk], which: &[u32], at: usize, query: Planes<'_>) -> *const Chunk {
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
