//! What tollgate promises of its floors on recorded streams.
//!
//! *Measured* promises: nobody has proved them. They are about the halves of one table, not
//! about traffic that nobody has seen.

use super::{Comparison, Line, Method, Rival, Share, Versus};
use crate::theory::checks::Check;

const SOURCE: &str = "measured";

/// The share of the windows in which a floor is to be met, and the least that the lower end of
/// its confidence may be. Fewer windows than enough can't show the one nor the other: a promise
/// that holds is met in fewer than nine of ten in every third dozen. They can refute it.
const MET: (f64, f64) = (0.9, 0.85);
const ENOUGH: usize = 100;
/// What a floor may cost over the hindsight rule.
const OVER: f64 = 1.15;
/// What is to be saved on the rule that decides query by query at the middle floors.
const SAVED: f64 = 0.3;

/// The floors that are checked against rivals.
const MIDDLE: [f64; 2] = [0.4, 0.6];
const HIGH: [f64; 2] = [0.8, 0.95];
const MIXED: [f64; 2] = [0.6, 0.8];

/// Compliance and cost of the steered floor at every floor.
pub fn floors(comparison: &Comparison) -> Vec<Check> {
    let steered = Method::Steered(1.0).label();
    let of_method = comparison.lines.iter().filter(|line| line.method == steered);
    of_method
        .flat_map(|line| [compliance(comparison, line), over_hindsight(comparison, line)])
        .collect()
}

/// What [`floors`] checks, and savings at equal quality, which a few windows do not show.
pub fn bars(comparison: &Comparison) -> Vec<Check> {
    let mut checks = floors(comparison);
    for versus in &comparison.versus {
        checks.extend(saving(comparison, versus));
    }
    checks
}

/// Whether so many met of `n` windows are what is promised, or where there are few of them, what
/// can come of it.
pub(super) fn held(met: Share, n: usize) -> bool {
    if n < ENOUGH { met.high >= MET.0 } else { met.share >= MET.0 && met.low >= MET.1 }
}

fn compliance(comparison: &Comparison, line: &Line) -> Check {
    let (met, n) = (line.met(), line.outcomes.len());
    Check {
        name: format!(
            "{}: floor at {} % met, {}",
            comparison.stream,
            100.0 * line.reach,
            line.method
        ),
        source: SOURCE,
        bar: if n < ENOUGH {
            format!("{} % of windows not refuted by {n}", 100.0 * MET.0)
        } else {
            format!("{} % of windows, lower end {} %", 100.0 * MET.0, 100.0 * MET.1)
        },
        got: format!(
            "{:.1} % ({:.1} to {:.1}), of {:.1} % in which it could be",
            100.0 * met.share,
            100.0 * met.low,
            100.0 * met.high,
            100.0 * line.possible().share
        ),
        met: held(met, n),
    }
}

fn over_hindsight(comparison: &Comparison, line: &Line) -> Check {
    let over = line.over_hindsight();
    Check {
        name: format!(
            "{}: cost at {} % over the hindsight rule, {}",
            comparison.stream,
            100.0 * line.reach,
            line.method
        ),
        source: SOURCE,
        bar: format!("at most {OVER}"),
        got: over.map_or_else(|| "not measured".to_owned(), |over| format!("{over:.3}")),
        met: over.is_some_and(|over| over <= OVER),
    }
}

/// The bar of a rival at a floor, where there is one.
fn saving(comparison: &Comparison, versus: &Versus) -> Option<Check> {
    let among = |floors: &[f64]| versus.reach.is_some_and(|reach| floors.contains(&reach));
    let is = |rival: Rival| versus.rival == rival.label();
    let least = match () {
        () if is(Rival::PerQuery) && among(&MIDDLE) => SAVED,
        () if is(Rival::PerQuery) && among(&HIGH) => 0.0,
        () if is(Rival::Mixture) && among(&MIXED) => 0.0,
        () if is(Rival::Random) || is(Rival::Balanced) => 0.0,
        () if is(Rival::StrongAndWeak) && among(&MIXED) => 0.0,
        () => return None,
    };
    let at = versus
        .reach
        .map_or_else(|| "its own quality".to_owned(), |reach| format!("{} %", 100.0 * reach));
    let saving = versus.saving();
    let cheaper = versus.test().is_some_and(|test| test.better_at(0.05));
    let shown = |share: f64| format!("{:.1} % cheaper", 100.0 * share);
    Some(Check {
        name: format!("{}: against {} at {at}", comparison.stream, versus.rival),
        source: SOURCE,
        bar: format!("{}, interval above 0", shown(least)),
        got: saving.map_or_else(|| "not measured".to_owned(), shown),
        met: cheaper && saving.is_some_and(|saving| saving >= least),
    })
}
