//! Queries with the same readings are one query.

use super::program::index;
use crate::dual::Layout;
use crate::dual::layout::{LANES, PADDING};

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
        let places = places(layout);
        if places.len() < FEWEST || guessed_copies(layout, &places) < COPIES {
            return None;
        }
        let mut all: Vec<(u64, u32)> =
            (0..).zip(&places).map(|(at, &place)| (hash(layout, place), at)).collect();
        all.sort_unstable();
        // The first of every run of equals, in the order of the layout.
        let mut first: Vec<u32> = (0..index(places.len())).collect();
        for pair in all.array_windows() {
            let [(before, a), (after, b)] = *pair;
            let first_of_run = first[a as usize];
            let equal =
                before == after && same(layout, places[first_of_run as usize], places[b as usize]);
            if equal {
                first[b as usize] = first_of_run;
            }
        }
        let mut merged = Vec::new();
        let mut rank = vec![0; places.len()];
        for (at, &place) in places.iter().enumerate() {
            if first[at] as usize == at {
                rank[at] = index(merged.len());
                merged.push(place);
            }
        }
        let of = |at: usize| rank[first[at] as usize] as usize;
        let mut starts = vec![0_u32; merged.len() + 1];
        let mut weights = vec![0.0; merged.len()];
        for (at, &(block, lane)) in places.iter().enumerate() {
            starts[of(at) + 1] += 1;
            weights[of(at)] += layout.weights[block as usize][usize::from(lane)];
        }
        for at in 0..merged.len() {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut members = vec![0; places.len()];
        for (at, &(block, lane)) in places.iter().enumerate() {
            let to = &mut next[of(at)];
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

/// Where every query of a layout is, by ordinal.
pub(super) fn places(layout: &Layout) -> Vec<(u32, u8)> {
    let mut places = Vec::with_capacity(layout.n_queries());
    for (block, queries) in (0..).zip(&layout.queries) {
        let used = queries.iter().take_while(|&&query| query != PADDING);
        places.extend((0..).zip(used).map(|(lane, _)| (block, lane)));
    }
    places
}

/// How many copies a query seems to have: of `n` probes, `d` that equal an earlier one
/// speak of about `n^2 / 2 d` distinct queries.
fn guessed_copies(layout: &Layout, places: &[(u32, u8)]) -> f64 {
    let n_queries = places.len();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let most = (PROBES * (n_queries as f64).sqrt()) as usize;
    let scattered = |at: usize| {
        let at = mix(at as u64, 0) % n_queries as u64;
        usize::try_from(at).expect("less than the number of queries")
    };
    let probed = |at: usize| if n_queries <= most { at } else { scattered(at) };
    let mut probes: Vec<(u64, usize)> =
        (0..n_queries.min(most)).map(probed).map(|at| (hash(layout, places[at]), at)).collect();
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

fn readings(layout: &Layout, (block, lane): (u32, u8)) -> impl Iterator<Item = u64> {
    let readings = &layout.readings[block as usize * layout.block_len()..][..layout.block_len()];
    readings.iter().map(move |lanes: &[f64; LANES]| lanes[usize::from(lane)].to_bits())
}

fn hash(layout: &Layout, place: (u32, u8)) -> u64 {
    let group = u64::from(layout.groups[place.0 as usize]);
    readings(layout, place).fold(group, mix)
}

fn same(layout: &Layout, a: (u32, u8), b: (u32, u8)) -> bool {
    layout.groups[a.0 as usize] == layout.groups[b.0 as usize]
        && readings(layout, a).eq(readings(layout, b))
}

fn mix(state: u64, bits: u64) -> u64 {
    let mixed =
        (state ^ bits).wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ (mixed >> 29)
}
