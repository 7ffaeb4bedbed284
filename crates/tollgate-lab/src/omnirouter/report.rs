//! Comparisons as tables and JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Comparison, Line};
use crate::Interval;

/// What a comparison was, in a line.
pub fn headline(comparison: &Comparison) -> String {
    let protocol = &comparison.protocol;
    format!(
        "{}: {} queries a window, {} windows from seed {}, estimates by {}{}, capacity {}, \
         confidence {} %, floors on the way from the cheapest to {}",
        comparison.stream,
        comparison.n,
        protocol.seeds.len(),
        protocol.seeds.first().map_or(0, |seed| seed.0),
        protocol.predictor,
        if protocol.prices.is_some() { " with prices of tokens" } else { "" },
        protocol.capacity,
        100.0 * protocol.confidence,
        protocol.top,
    )
}

/// Compliance: a line for each floor and method.
pub fn table(comparison: &Comparison) -> String {
    let mut out = String::from(
        "| floor % of the way | method | met % | (lower end) | could be met % | mean score - floor \
         | cost over hindsight | cost, USD per 1,000 | served % | warned % |\n\
         |---:|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for line in &comparison.lines {
        let met = line.met();
        let _ = writeln!(
            out,
            "| {} | {} | {:.1} | {:.1} | {:.1} | {} | {} | {} | {} | {} |",
            100.0 * line.reach,
            line.method,
            100.0 * met.share,
            100.0 * met.low,
            100.0 * line.possible().share,
            shown(slack(line), 4),
            line.over_hindsight().map_or_else(|| "-".to_owned(), |over| format!("{over:.3}")),
            shown(line.mean(|outcome| 1e3 * outcome.cost), 4),
            shown(line.mean(|outcome| 100.0 * outcome.served).map(without_width), 1),
            shown(
                line.mean(|outcome| 100.0 * f64::from(u8::from(outcome.warned))).map(without_width),
                0
            ),
        );
    }
    out
}

fn slack(line: &Line) -> Option<Interval> {
    let pairs = line.outcomes.iter().zip(&line.floors);
    crate::mean_interval(&pairs.map(|(outcome, floor)| outcome.quality - floor).collect::<Vec<_>>())
}

fn without_width(interval: Interval) -> Interval {
    Interval { half_width: None, ..interval }
}

/// Rivals at equal quality: a line for each floor and rival.
pub fn rivals(comparison: &Comparison) -> String {
    let mut out = String::from(
        "| at | rival | windows | cheaper by % | difference, USD per 1,000 \
         | higher score at equal cost |\n|---:|---|---:|---:|---:|---:|\n",
    );
    for versus in &comparison.versus {
        let at = versus
            .reach
            .map_or_else(|| "its own".to_owned(), |reach| format!("{} %", 100.0 * reach));
        let difference = versus.test().map(|test| test.difference);
        let thousand = difference.map(|found| Interval {
            mean: 1e3 * found.mean,
            half_width: found.half_width.map(|half| 1e3 * half),
            ..found
        });
        let saving = versus.saving();
        let _ = writeln!(
            out,
            "| {at} | {} | {} | {} | {} | {} |",
            versus.rival,
            versus.ours.len(),
            saving.map_or_else(|| "-".to_owned(), |saving| format!("{:.1}", 100.0 * saving)),
            shown(thousand, 4),
            shown(versus.gain(), 4),
        );
    }
    out
}

fn shown(interval: Option<Interval>, decimals: usize) -> String {
    match interval {
        None => "-".to_owned(),
        Some(Interval { mean, half_width: None, .. }) => format!("{mean:.decimals$}"),
        Some(Interval { mean, half_width: Some(half), .. }) => {
            format!("{mean:.decimals$} ± {half:.decimals$}")
        }
    }
}

/// Everything that was measured.
pub fn json(comparisons: &[Comparison]) -> Value {
    let of = |comparison: &Comparison| {
        json!({
            "stream": comparison.stream,
            "predictor": comparison.protocol.predictor,
            "priced": comparison.protocol.prices.is_some(),
            "capacity": comparison.protocol.capacity.to_string(),
            "confidence": comparison.protocol.confidence,
            "top": comparison.protocol.top,
            "seeds": comparison.protocol.seeds,
            "queries": comparison.n,
            "lines": comparison.lines,
            "versus": comparison.versus,
        })
    };
    comparisons.iter().map(of).collect()
}
