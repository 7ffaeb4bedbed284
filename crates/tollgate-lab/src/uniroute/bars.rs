//! What tollgate promises of its pools on recorded streams.
//!
//! *Measured* promises: nobody has proved them. All are about mean Area over trials, and about
//! the cuts of one table, not about tables that nobody has seen.

use super::report::ZERO_ROUTER;
use super::{Comparison, KNN_ROUTER, Line};
use crate::theory::checks::Check;

const SOURCE: &str = "measured";

/// How far the default may be below the clairvoyant head, in per cent of its Area.
pub const ALLOWANCE: f64 = 0.5;

/// Each of the `routers` is above ZeroRouter; the `default` one is above the k-NN router with
/// its best number of neighbors, and within [`ALLOWANCE`] of the head `clairvoyant`.
pub fn bars(
    comparison: &Comparison,
    routers: &[&str],
    default: &str,
    clairvoyant: &str,
) -> Vec<Check> {
    let stream = &comparison.stream;
    let zero = comparison.line(ZERO_ROUTER);
    let mut checks: Vec<Check> = routers
        .iter()
        .map(|router| {
            let name = format!("{stream}: {router} above ZeroRouter in mean Area");
            above(name, comparison.line(router), zero)
        })
        .collect();
    let knn = comparison.best(KNN_ROUTER);
    let best = knn.map_or(KNN_ROUTER, |line| line.label.as_str());
    let name = format!("{stream}: {default} above {best} (its best) in mean Area");
    checks.push(above(name, comparison.line(default), knn));
    checks.push(within(comparison, default, clairvoyant));
    checks
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

fn within(comparison: &Comparison, default: &str, clairvoyant: &str) -> Check {
    let name = format!("{}: {default} in per cent of {clairvoyant}", comparison.stream);
    let lines = comparison.line(default).zip(comparison.line(clairvoyant));
    let share = lines.map(|(ours, theirs)| 100.0 * ours.area() / theirs.area());
    let least = 100.0 - ALLOWANCE;
    let got = share.map_or_else(|| "not measured".to_owned(), |share| format!("{share:.2}"));
    let met = share.is_some_and(|share| share >= least);
    Check { name, source: SOURCE, bar: format!(">= {least}"), got, met }
}

#[cfg(test)]
#[path = "bars/tests.rs"]
mod tests;
