//! What one unchanged `tollgate` promises where no theorem does.

use super::{Bar, Check, find};
use crate::Interval;
use crate::theory::Row;

const MEASURED: &str = "measured here: no theorem speaks of a sorted order or of a population \
     that changes";

fn bar(
    rows: &[Row],
    part: &str,
    (case, least): (&str, f64),
    reading: fn(&Row) -> Option<Interval>,
) -> Check {
    let got = find(rows, part, case, "tollgate").and_then(reading);
    let got = got.map(|interval| 100.0 * interval.mean);
    Check::against(format!("{part}: {case}"), MEASURED, got, Bar::AtLeast(least), 2)
}

/// Per cent of the approximate optimum under every order.
pub fn orders(rows: &[Row]) -> Vec<Check> {
    let bars = [
        ("random", 100.0),
        ("ascending", 86.0),
        ("descending", 97.0),
        ("expensive first", 96.0),
        ("cheap first", 99.0),
        ("noisy drift", 99.0),
    ];
    bars.map(|line| bar(rows, "attacks", line, |row| row.rp)).into()
}

/// Nowhere in the attack table, in the traps, or on recorded streams below `port`.
pub fn never_below_port(rows: &[Row]) -> Vec<Check> {
    let parts = ["attacks", "attacks, other worlds", "traps", "recorded"];
    let ours = rows.iter().filter(|row| parts.contains(&row.part) && row.policy == "tollgate");
    let check = |ours: &Row| {
        let port = find(rows, ours.part, &ours.case, "port").and_then(|row| row.performance);
        let got = ours.performance.zip(port).map(|(ours, port)| 100.0 * ours.mean / port.mean);
        let name = format!("{}: {}, in per cent of port", ours.part, ours.case);
        Check::against(name, MEASURED, got, Bar::AtLeast(100.0), 2)
    };
    ours.map(check).collect()
}

/// Per cent of the same policy with a history of both populations.
pub fn drift(rows: &[Row]) -> Vec<Check> {
    let bars = [("other topics", 95.0), ("reshuffled models", 87.0)];
    bars.map(|line| bar(rows, "drift", line, |row| row.relative)).into()
}

/// Per cent of the approximate optimum where the number of arrivals is announced wrongly.
pub fn horizon(rows: &[Row]) -> Vec<Check> {
    let bars = [
        ("half, never told", 65.0),
        ("twice, never told", 65.0),
        ("half, told after a quarter", 90.0),
        ("twice, told after a quarter", 90.0),
    ];
    bars.map(|line| bar(rows, "horizon", line, |row| row.rp)).into()
}

/// Per cent of the same policy on costs that are right. That no budget is exceeded is
/// checked in every run: one that does is an error.
pub fn costs(rows: &[Row]) -> Vec<Check> {
    vec![bar(rows, "costs", ("underestimated by 20 %", 95.0), |row| row.relative)]
}

/// How many rows there are, none of which broke a budget or its dual bound, and how many
/// policies could not go on.
pub fn sound(rows: &[Row]) -> Vec<Check> {
    let failed = rows.iter().filter_map(|row| {
        let why = row.failed.as_ref()?;
        Some(format!("{}, {}, {}: {why}", row.part, row.case, row.policy))
    });
    let failed: Vec<String> = failed.collect();
    let name = format!(
        "{} rows: every budget kept, every run below its dual bound, every policy went on",
        rows.len()
    );
    let got = failed.first().cloned().unwrap_or_else(|| "all".to_owned());
    let source = "weak duality, and accounts added up apart from the ledger: elementary";
    vec![Check { name, source, bar: "all".to_owned(), got, met: failed.is_empty() }]
}
