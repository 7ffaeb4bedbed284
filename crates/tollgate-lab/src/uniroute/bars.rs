//! What tollgate promises of its pools on recorded streams.
//!
//! *Measured* promises: nobody has proved them. All are about mean Area over trials, and about
//! the cuts of one table, not about tables that nobody has seen.

use super::method::CLAIRVOYANT;
use super::report::ZERO_ROUTER;
use super::{Comparison, KNN_ROUTER, LabelCurve, Line};
use crate::theory::checks::Check;

const SOURCE: &str = "measured";

/// How far the default may be below the best clairvoyant head, in per cent of its Area.
pub const ALLOWANCE: f64 = 0.5;

/// Each of the `routers` is above ZeroRouter; the `default` one is above the k-NN router with
/// its best number of neighbors, and within [`ALLOWANCE`] of the best clairvoyant head.
pub fn bars(comparison: &Comparison, routers: &[&str], default: &str) -> Vec<Check> {
    let stream = &comparison.stream;
    let mut checks = above_zero_router(comparison, routers);
    let knn = comparison.best(KNN_ROUTER);
    let best = knn.map_or(KNN_ROUTER, |line| line.label.as_str());
    let name = format!("{stream}: {default} above {best} (its best) in mean Area");
    checks.push(above(name, comparison.line(default), knn));
    checks.push(within(comparison, default));
    checks
}

/// Each of the `routers` is above ZeroRouter.
pub fn above_zero_router(comparison: &Comparison, routers: &[&str]) -> Vec<Check> {
    let zero = comparison.line(ZERO_ROUTER);
    let check = |router: &&str| {
        let name = format!("{}: {router} above ZeroRouter in mean Area", comparison.stream);
        above(name, comparison.line(router), zero)
    };
    routers.iter().map(check).collect()
}

/// The 95 % interval of the paired difference is above 0; missed where one was not run, or in
/// a single trial.
fn above(name: String, ours: Option<&Line>, theirs: Option<&Line>) -> Check {
    let difference =
        ours.zip(theirs).and_then(|(ours, theirs)| Some(ours.against(theirs)?.difference));
    let low = difference.and_then(|found| Some(found.mean - found.half_width?));
    let got = difference.map_or_else(
        || "not measured".to_owned(),
        |found| format!("{:+.5} ± {:.5}", found.mean, found.half_width.unwrap_or(f64::NAN)),
    );
    let met = low.is_some_and(|low| low > 0.0);
    Check { name, source: SOURCE, bar: "interval above 0".to_owned(), got, met }
}

/// Against the head that is best in hindsight.
fn within(comparison: &Comparison, default: &str) -> Check {
    let heads = comparison.lines.iter().filter(|line| line.label.starts_with(CLAIRVOYANT));
    let best = heads.reduce(|best, next| if next.area() > best.area() { next } else { best });
    let head = best.map_or("a clairvoyant head", |line| line.label.as_str());
    let name = format!("{}: {default} in per cent of {head} (the best head)", comparison.stream);
    let lines = comparison.line(default).zip(best);
    let share = lines.map(|(ours, theirs)| 100.0 * ours.area() / theirs.area());
    let least = 100.0 - ALLOWANCE;
    let got = share.map_or_else(|| "not measured".to_owned(), |share| format!("{share:.2}"));
    let met = share.is_some_and(|share| share >= least);
    Check { name, source: SOURCE, bar: format!(">= {least}"), got, met }
}

/// So many `chosen` labels are worth at least so many `random` ones, in mean Area.
pub fn labels(stream: &str, curve: &LabelCurve, chosen: usize, random: usize) -> Check {
    let name = format!(
        "{stream}: {} with {chosen} chosen labels less with {random} random ones, in mean Area",
        curve.label
    );
    let difference = curve.difference(chosen, random).map(|test| test.difference);
    let got = difference.map_or_else(
        || "not measured".to_owned(),
        |found| format!("{:+.5} ± {:.5}", found.mean, found.half_width.unwrap_or(f64::NAN)),
    );
    let met = difference.is_some_and(|found| found.mean >= 0.0);
    Check { name, source: SOURCE, bar: ">= 0".to_owned(), got, met }
}

#[cfg(test)]
#[path = "bars/tests.rs"]
mod tests;
