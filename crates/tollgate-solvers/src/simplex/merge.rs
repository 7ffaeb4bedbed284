//! Queries with the same readings are one query.
#![expect(clippy::inline_always, reason = "a pass is compiled anew for each instruction set")]

use pulp::{Arch, Simd, WithSimd};

use super::program::index;
use crate::dual::Layout;
use crate::dual::layout::{LANES, PADDING, at};

/// The fewest queries worth a look.
const FEWEST: usize = 128;
/// How many are looked at to guess how many distinct ones there are, in square roots of
/// their number: then even a few copies of each show.
const PROBES: f64 = 4.0;
/// Merging pays from this many copies a query, in the mean.
const COPIES: f64 = 3.0;

/// A layout of distinct queries, each with the weight of all its copies.
#[derive(Clone, Debug)]
pub(super) struct Merged {
    pub(super) layout: Layout,
    /// Copies by distinct query: `members[starts[at]..starts[at + 1]]`, original numbers.
    starts: Vec<u32>,
    members: Vec<u32>,
}

impl Merged {
    /// Merges where a sample promises that it pays.
    pub(super) fn new(layout: &Layout) -> Option<Self> {
        let salts = salts(layout);
        if layout.n_queries() < FEWEST || guessed_copies(layout, &salts) < COPIES {
            return None;
        }
        let places = layout.places();
        let (merged, ranks) = distinct(layout, &places, &salts);
        let mut starts = vec![0_u32; merged.len() + 1];
        let mut weights = vec![0.0; merged.len()];
        for (&rank, &(block, lane)) in ranks.iter().zip(&places) {
            starts[rank as usize + 1] += 1;
            weights[rank as usize] += layout.weights[block as usize][usize::from(lane)];
        }
        for at in 0..merged.len() {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut members = vec![0; places.len()];
        for (&rank, &(block, lane)) in ranks.iter().zip(&places) {
            let to = &mut next[rank as usize];
            members[*to as usize] = layout.queries[block as usize][usize::from(lane)];
            *to += 1;
        }
        let mut layout = layout.subset(&merged, 1.0);
        let mut weights = weights.into_iter();
        for (lanes, queries) in layout.weights.iter_mut().zip(&layout.queries) {
            let used = queries.iter().take_while(|&&query| query != PADDING);
            // The weights come last: a zip asks in order, and what it drops is lost.
            for ((lane, _), weight) in lanes.iter_mut().zip(used).zip(weights.by_ref()) {
                *lane = weight;
            }
        }
        Some(Self { layout, starts, members })
    }

    /// The copies of a distinct query, by its ordinal.
    pub(super) fn members(&self, ordinal: usize) -> &[u32] {
        &self.members[self.starts[ordinal] as usize..self.starts[ordinal + 1] as usize]
    }
}

/// The first of every run of equal queries, in the order of the layout; and which of them
/// each query equals.
fn distinct(layout: &Layout, places: &[(u32, u8)], salts: &[u64]) -> (Vec<(u32, u8)>, Vec<u32>) {
    let mut hashes = Vec::with_capacity(places.len());
    Arch::new().dispatch(Hashes { layout, salts, out: &mut hashes });
    let (mut firsts, mut ranks) = (Vec::new(), Vec::with_capacity(places.len()));
    // Open addressing: the ranks of the distinct queries, where their hashes say.
    let bits = (2 * places.len()).next_power_of_two().trailing_zeros();
    let mut table = vec![EMPTY; 1 << bits];
    for (at, &hash) in hashes.iter().enumerate() {
        let mut slot = mix(hash, 0) >> (64 - bits);
        let rank = loop {
            let rank = &mut table[usize::try_from(slot).expect("within the table")];
            if *rank == EMPTY {
                *rank = index(firsts.len());
                firsts.push(at);
                break *rank;
            }
            let first = firsts[*rank as usize];
            if hashes[first] == hash && same(layout, places[first], places[at]) {
                break *rank;
            }
            slot = (slot + 1) & ((1 << bits) - 1);
        };
        ranks.push(rank);
    }
    (firsts.into_iter().map(|at| places[at]).collect(), ranks)
}

/// No query has that rank.
const EMPTY: u32 = u32::MAX;

/// How many copies a query seems to have: of `n` probes, `d` that equal an earlier one
/// speak of about `n^2 / 2 d` distinct queries.
fn guessed_copies(layout: &Layout, salts: &[u64]) -> f64 {
    let n_queries = layout.n_queries();
    let places = if layout.n_groups() == 1 { Vec::new() } else { layout.places() };
    // All blocks of a single group but the last are full.
    let place = |ordinal: usize| match places.get(ordinal) {
        Some(&place) => place,
        None => at(ordinal / LANES, ordinal % LANES),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let most = (PROBES * (n_queries as f64).sqrt()) as usize;
    let scattered = |at: usize| {
        let at = mix(at as u64, 0) % n_queries as u64;
        usize::try_from(at).expect("less than the number of queries")
    };
    let probed = |at: usize| if n_queries <= most { at } else { scattered(at) };
    let mut probes: Vec<(u64, usize)> = (0..n_queries.min(most))
        .map(probed)
        .map(|at| (hash(layout, place(at), salts), at))
        .collect();
    probes.sort_unstable();
    probes.dedup();
    let n_probes = probes.len();
    probes.dedup_by_key(|(hash, _)| *hash);
    let repeats = (n_probes - probes.len()) as f64;
    if n_queries <= most {
        return n_probes as f64 / probes.len() as f64;
    }
    let distinct = (n_probes as f64).powi(2) / (2.0 * repeats);
    n_queries as f64 / distinct.max(probes.len() as f64)
}

/// A pseudo-random number for each reading of a block.
fn salts(layout: &Layout) -> Vec<u64> {
    (0..layout.block_len() as u64).map(|at| mix(mix(at, 1), 2)).collect()
}

/// A sum of products, one of each reading's halves (as in XXH3, Collet 2019): eight lanes
/// go abreast, and the order of the readings does not matter.
#[inline(always)]
fn term(reading: f64, salt: u64) -> u64 {
    let bits = reading.to_bits() ^ salt;
    reading.to_bits().wrapping_add((bits & 0xFFFF_FFFF).wrapping_mul(bits >> 32))
}

/// The hashes of all queries, by ordinal.
struct Hashes<'h> {
    layout: &'h Layout,
    salts: &'h [u64],
    out: &'h mut Vec<u64>,
}

impl WithSimd for Hashes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<I: Simd>(self, _: I) {
        let Self { layout, salts, out } = self;
        let blocks = layout.readings.chunks_exact(layout.block_len());
        for (block, (readings, &group)) in blocks.zip(&layout.groups).enumerate() {
            let mut sums = [u64::from(group); LANES];
            for (readings, &salt) in readings.iter().zip(salts) {
                for lane in 0..LANES {
                    sums[lane] = sums[lane].wrapping_add(term(readings[lane], salt));
                }
            }
            out.extend_from_slice(&sums[..layout.used(block)]);
        }
    }
}

/// The same of one query, from its rows of the tables.
fn hash(layout: &Layout, (block, lane): (u32, u8), salts: &[u64]) -> u64 {
    let n_tables = layout.n_tables();
    let query = layout.queries[block as usize][usize::from(lane)];
    let mut sum = u64::from(layout.groups[block as usize]);
    for (slot, row) in layout.rows(query).enumerate() {
        for (reading, &salt) in row.iter().zip(salts[slot..].iter().step_by(n_tables)) {
            sum = sum.wrapping_add(term(*reading, salt));
        }
    }
    sum
}

fn same(layout: &Layout, a: (u32, u8), b: (u32, u8)) -> bool {
    let query = |(block, lane): (u32, u8)| layout.queries[block as usize][usize::from(lane)];
    let equal = |(a, b): (&[f64], &[f64])| {
        a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a.to_bits() ^ b.to_bits())) == 0
    };
    layout.groups[a.0 as usize] == layout.groups[b.0 as usize]
        && layout.rows(query(a)).zip(layout.rows(query(b))).all(equal)
}

fn mix(state: u64, bits: u64) -> u64 {
    let mixed =
        (state ^ bits).wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ (mixed >> 29)
}
