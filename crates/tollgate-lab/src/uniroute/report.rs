//! Comparisons as tables, CSV and JSON.

use std::fmt::Write as _;
use std::io;

use serde_json::{Value, json};

use super::{Comparison, KNN_ROUTER, Line, Scores};
use crate::{Interval, PairedTest};

/// The level of significance that the paper marks.
pub const LEVEL: f64 = 0.01;

/// The name of the baseline that everybody is held against.
pub const ZERO_ROUTER: &str = "zero-router";

/// What a trial was, in a line.
pub fn headline(comparison: &Comparison) -> String {
    let sizes = comparison.sizes;
    format!(
        "{}{}: {} models seen, {} unseen; prompts {} to train, {} to label, {} to route; \
         {} trials from seed {}",
        comparison.stream,
        if sizes.gaps { " (with gaps)" } else { "" },
        sizes.seen,
        sizes.unseen,
        sizes.training,
        sizes.validation,
        sizes.test,
        comparison.seeds.len(),
        comparison.seeds.first().map_or(0, |seed| seed.0),
    )
}

/// The paper's table: a line a method, with 95 % intervals over trials, and paired differences
/// in Area, in thousandths, marked `*` where they are significant at 0.01. A QNC above 100 %, or
/// none, is counted as 100 %: a few trials in which the best score costs many times as much would
/// be all that a mean shows.
pub fn table(comparison: &Comparison) -> String {
    let mut out = String::from(
        "| method | QNC % | never | Area | Area(50 %) | peak | - ZeroRouter | - k-NN |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let zero = comparison.line(ZERO_ROUTER);
    let knn = comparison.best(KNN_ROUTER);
    // Without a model that was run on every prompt nobody has one.
    let mut trials = comparison.lines.iter().flat_map(|line| &line.trials);
    let some = trials.any(|scores| scores.neutral_cost.is_some());
    for line in comparison.shown() {
        // The best single model itself is always to be had.
        let capped = |scores: &Scores| 100.0 * scores.neutral_cost.unwrap_or(1.0).min(1.0);
        let neutral = line.mean(|scores| Some(capped(scores)));
        let never = line.trials.iter().filter(|scores| scores.neutral_cost.is_none()).count();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            line.label,
            if some { shown(neutral, 1) } else { "-".to_owned() },
            never,
            shown(line.mean(|scores| Some(scores.area)), 4),
            shown(line.mean(|scores| Some(scores.half_area)), 4),
            shown(line.mean(|scores| Some(scores.peak)), 4),
            difference(line, zero),
            difference(line, knn),
        );
    }
    out
}

/// The numbers of the other papers.
pub fn others(comparison: &Comparison) -> String {
    let mut out = String::from(
        "| method | AIQ | APGR | CPT(50 %) % | CPT(80 %) % |\n|---|---:|---:|---:|---:|\n",
    );
    for line in comparison.shown() {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            line.label,
            shown(line.mean(|scores| Some(scores.aiq)), 4),
            shown(line.mean(|scores| Some(scores.recovery?.apgr)), 3),
            shown(line.mean(|scores| Some(100.0 * scores.recovery?.cpt50)), 1),
            shown(line.mean(|scores| Some(100.0 * scores.recovery?.cpt80)), 1),
        );
    }
    out
}

fn difference(line: &Line, other: Option<&Line>) -> String {
    let Some(other) = other.filter(|other| other.label != line.label) else {
        return "-".to_owned();
    };
    let Some(PairedTest { difference, p }) = line.against(other) else { return "-".to_owned() };
    let thousandths = Interval {
        mean: 1e3 * difference.mean,
        half_width: difference.half_width.map(|half| 1e3 * half),
        ..difference
    };
    let mark = if p.is_some_and(|p| p < LEVEL) { " *" } else { "" };
    let sign = if difference.mean >= 0.0 { "+" } else { "" };
    format!("{sign}{}{mark}", shown(Some(thousandths), 1))
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

/// One line a stream, method and trial.
///
/// # Errors
/// Where the writer fails, which memory does not.
pub fn csv(comparisons: &[Comparison]) -> Result<String, io::Error> {
    const HEADER: [&str; 12] = [
        "stream",
        "method",
        "family",
        "seed",
        "area",
        "half_area",
        "neutral_cost",
        "peak",
        "aiq",
        "apgr",
        "cpt50",
        "cpt80",
    ];
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    let optional = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for comparison in comparisons {
        for line in &comparison.lines {
            for (seed, scores) in comparison.seeds.iter().zip(&line.trials) {
                let Scores { area, half_area, neutral_cost, peak, aiq, recovery } = *scores;
                writer.write_record([
                    comparison.stream.clone(),
                    line.label.clone(),
                    line.family.unwrap_or_default().to_owned(),
                    seed.0.to_string(),
                    area.to_string(),
                    half_area.to_string(),
                    optional(neutral_cost),
                    peak.to_string(),
                    aiq.to_string(),
                    optional(recovery.map(|pair| pair.apgr)),
                    optional(recovery.map(|pair| pair.cpt50)),
                    optional(recovery.map(|pair| pair.cpt80)),
                ])?;
            }
        }
    }
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Everything: protocols, sizes, means, differences, mean curves and trials.
pub fn json(comparisons: &[Comparison]) -> Value {
    let stream = |comparison: &Comparison| {
        let zero = comparison.line(ZERO_ROUTER);
        let knn = comparison.best(KNN_ROUTER);
        let line = |line: &Line| {
            json!({
                "method": line.label,
                "family": line.family,
                "area": line.mean(|scores| Some(scores.area)),
                "against_zero_router": zero.and_then(|zero| line.against(zero)),
                "against_knn_router": knn.and_then(|knn| line.against(knn)),
                "curve": line.profile(),
                "trials": line.trials,
            })
        };
        json!({
            "stream": comparison.stream,
            "protocol": comparison.protocol,
            "sizes": comparison.sizes,
            "seeds": comparison.seeds,
            "best_knn_router": knn.map(|line| &line.label),
            "methods": comparison.lines.iter().map(line).collect::<Vec<_>>(),
        })
    };
    Value::Array(comparisons.iter().map(stream).collect())
}

#[cfg(test)]
#[path = "report/tests.rs"]
mod tests;
