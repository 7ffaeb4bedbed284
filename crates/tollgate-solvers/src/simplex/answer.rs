//! From a vertex to an answer for every query.

use tollgate_core::{Primal, Problem};

use super::merge::Merged;
use super::start::Found;
use super::walk::Saved;
use crate::dual::Layout;

/// A share below this is rounding.
const TINY: f64 = 1e-10;

/// Shares of the options of one query, or of all its copies.
type Parts = Vec<(u32, f64)>;

/// The answer of a vertex of `layout`; option `n_models` is declining.
pub(super) fn primal(
    problem: &Problem,
    layout: &Layout,
    merged: Option<&Merged>,
    found: &Found,
) -> Primal {
    let n_models = layout.n_models();
    let mut whole = vec![0; problem.n_queries()];
    let mut split: Vec<(u32, Parts)> = Vec::new();
    let mut parts = parts(found).into_iter().peekable();
    for ((ordinal, &(block, lane)), &key) in (0..).zip(&layout.places()).zip(&found.keys) {
        let parts = parts.next_if(|(of, _)| *of == ordinal).map(|(_, parts)| parts);
        let query = layout.queries[block as usize][usize::from(lane)];
        match (merged, parts) {
            (None, None) => whole[query as usize] = key,
            (None, Some(parts)) => split.push((query, parts)),
            (Some(merged), None) => {
                for &member in merged.members(ordinal as usize) {
                    whole[member as usize] = key;
                }
            }
            (Some(merged), Some(parts)) => {
                split.extend(spread(problem, merged.members(ordinal as usize), &parts));
            }
        }
    }
    split.sort_by_key(|(query, _)| *query);
    let mut split = split.into_iter().peekable();
    Primal::from_queries(whole.into_iter().enumerate().map(|(query, key)| {
        let parts = split.next_if(|(of, _)| *of as usize == query).map(|(_, parts)| parts);
        let key = parts.is_none().then_some((key, 1.0));
        let shares = parts.into_iter().flatten().chain(key);
        shares.filter(move |(option, _)| (*option as usize) < n_models)
    }))
}

/// The queries with more than one share, by ordinal, options ascending.
fn parts(found: &Found) -> Vec<(u32, Parts)> {
    let mut shares: Vec<(u32, u32, f64, u32)> = Vec::new();
    for (saved, &level) in found.basis.iter().zip(&found.levels) {
        if let Saved::Share { ordinal, key, option } = *saved {
            shares.push((ordinal, option, level, key));
        }
    }
    shares.sort_unstable_by_key(|&(ordinal, option, ..)| (ordinal, option));
    let of_query = shares.chunk_by(|a, b| a.0 == b.0);
    of_query
        .map(|shares| {
            let basic: f64 = shares.iter().map(|(_, _, level, _)| level).sum();
            let mut parts: Parts =
                shares.iter().map(|&(_, option, level, _)| (option, level)).collect();
            parts.push((shares[0].3, 1.0 - basic));
            (shares[0].0, normal(parts))
        })
        .collect()
}

/// Without the tiny shares, the others making 1; options ascending.
fn normal(mut parts: Parts) -> Parts {
    parts.retain(|(_, share)| *share > TINY);
    parts.sort_unstable_by_key(|(option, _)| *option);
    let total: f64 = parts.iter().map(|(_, share)| share).sum();
    for (_, share) in &mut parts {
        *share /= total;
    }
    parts
}

/// Hands the shares of a merged query to its copies, one option after the other, so that
/// only the copies at the borders are split.
fn spread(problem: &Problem, members: &[u32], parts: &[(u32, f64)]) -> Vec<(u32, Parts)> {
    let total: f64 = members.iter().map(|&member| problem.weight(member as usize)).sum();
    let mut rest = parts.iter().copied();
    let (mut option, mut left) = rest.next().map_or((0, 0.0), |(o, share)| (o, share * total));
    let hand = |&member: &u32| {
        let weight = problem.weight(member as usize);
        let mut needed = weight;
        let mut taken = Parts::new();
        while needed > left {
            let Some((next, share)) = rest.next() else { break };
            taken.push((option, left));
            needed -= left;
            (option, left) = (next, share * total);
        }
        taken.push((option, needed));
        left -= needed;
        let one = if weight > 0.0 { weight } else { 1.0 };
        let alone = taken.len() == 1;
        let shares = taken.into_iter().map(|(option, part)| (option, part / one));
        (member, if alone { vec![(option, 1.0)] } else { normal(shares.collect()) })
    };
    members.iter().map(hand).collect()
}
