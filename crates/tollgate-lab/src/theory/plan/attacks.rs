//! The same queries in orders that are unkind to whoever learns from the first of them.

use tollgate::core::Seed;

use super::Scale;
use crate::Order;
use crate::theory::measure::draws;
use crate::theory::{Absent, Case, Neighbors, World, labels, lineup};

pub(in crate::theory) const ORDERS: [(Order, &str); 6] = [
    (Order::Split, "random"),
    (Order::AscendingDensity, "ascending"),
    (Order::DescendingDensity, "descending"),
    (Order::ExpensiveFirst, "expensive first"),
    (Order::CheapFirst, "cheap first"),
    (Order::NoisyDrift, "noisy drift"),
];

/// Every policy under every order, on generator B: the prototypes' world, and one of our
/// own for each seed.
pub fn attacks(scale: &Scale) -> (Vec<Case>, Vec<Absent>) {
    let (lines, absent) = lineup(&labels(), scale.n);
    let mut cases = Vec::new();
    for part in ["attacks", "attacks, other worlds"] {
        for (order, name) in ORDERS {
            let n = scale.n;
            let own = part != "attacks";
            let draw = move |seed: Seed| {
                let world = if own { World::drawn(seed) } else { World::fixture() };
                Neighbors { n, history: n, ..Neighbors::of(&world, seed) }.instance()
            };
            cases.push(Case {
                part,
                case: name.to_owned(),
                x: 0.0,
                lines: lines.clone(),
                seeds: scale.seeds.clone(),
                make: draws(draw, move |instance, seed| instance.ordered(order, seed)),
                reference: None,
            });
        }
    }
    (cases, absent)
}
