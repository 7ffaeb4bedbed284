//! Rows as tables, CSV and JSON.

use std::fmt::Write as _;
use std::io;

use serde_json::{Value, json};

use super::Row;
use crate::Interval;

/// Which column of a row a table shows, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reading {
    /// `1 - ratio` against the program on the truth, in per cent: what the sweeps show.
    Loss,
    /// Per cent of the approximate optimum.
    Rp,
    /// Per cent of the program on the truth.
    Truth,
    /// Per cent of the reference run.
    Relative,
    /// `1 - ratio` against the program on the estimates, in per cent.
    OnlineLoss,
}

impl Reading {
    /// Per cent.
    pub fn of(self, row: &Row) -> Option<Interval> {
        let per_cent = |interval: Interval, complement: bool| Interval {
            mean: if complement { 100.0 * (1.0 - interval.mean) } else { 100.0 * interval.mean },
            half_width: interval.half_width.map(|half| 100.0 * half),
            ..interval
        };
        match self {
            Self::Loss => row.truth.map(|ratio| per_cent(ratio, true)),
            Self::OnlineLoss => row.online.map(|ratio| per_cent(ratio, true)),
            Self::Rp => row.rp.map(|ratio| per_cent(ratio, false)),
            Self::Truth => row.truth.map(|ratio| per_cent(ratio, false)),
            Self::Relative => row.relative.map(|ratio| per_cent(ratio, false)),
        }
    }
}

/// Six significant digits.
pub fn sig6(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return format!("{x}");
    }
    #[expect(clippy::cast_possible_truncation, reason = "a magnitude")]
    let magnitude = x.abs().log10().floor() as i32;
    if (-5..15).contains(&magnitude) {
        #[expect(clippy::cast_sign_loss, reason = "not below 0")]
        let decimals = (5 - magnitude).max(0) as usize;
        format!("{x:.decimals$}")
    } else {
        format!("{x:.5e}")
    }
}

/// One table a part: policies down, cases across; `show` writes a cell.
pub fn table(rows: &[Row], part: &str, show: impl Fn(&Row) -> String) -> String {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.part == part).collect();
    let mut cases: Vec<&str> = Vec::new();
    let mut policies: Vec<&str> = Vec::new();
    for row in &rows {
        if !cases.contains(&row.case.as_str()) {
            cases.push(&row.case);
        }
        if !policies.contains(&row.policy.as_str()) {
            policies.push(&row.policy);
        }
    }
    let mut out = format!("| {part} | {} |\n|---|", cases.join(" | "));
    out.push_str(&"---:|".repeat(cases.len()));
    out.push('\n');
    for policy in policies {
        let _ = write!(out, "| {policy} |");
        for case in &cases {
            let found = rows.iter().find(|row| row.case == *case && row.policy == policy);
            let _ = write!(out, " {} |", found.map_or_else(|| "-".to_owned(), |row| show(row)));
        }
        out.push('\n');
    }
    out
}

/// `mean ± half-width` in per cent, or `-`.
pub fn per_cent(interval: Option<Interval>, decimals: usize) -> String {
    match interval {
        None => "-".to_owned(),
        Some(Interval { mean, half_width: None, .. }) => format!("{mean:.decimals$}"),
        Some(Interval { mean, half_width: Some(half), .. }) => {
            format!("{mean:.decimals$} ± {half:.decimals$}")
        }
    }
}

const COLUMNS: [&str; 5] = ["online", "rp", "truth", "relative", "performance"];

fn columns(row: &Row) -> [Option<Interval>; 5] {
    [row.online, row.rp, row.truth, row.relative, row.performance]
}

/// All rows, a line each.
///
/// # Errors
/// None that memory gives.
pub fn csv(rows: &[Row]) -> io::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header: Vec<String> = ["part", "case", "x", "policy", "k"].map(str::to_owned).to_vec();
    for column in COLUMNS {
        header.extend([column.to_owned(), format!("{column}_half_width")]);
    }
    header.push("runs".to_owned());
    writer.write_record(&header)?;
    for row in rows {
        let mut cells = vec![row.part.to_owned(), row.case.clone(), sig6(row.x)];
        cells.extend([row.policy.clone(), sig6(row.k)]);
        for interval in columns(row) {
            let shown = |x: Option<f64>| x.map_or_else(String::new, sig6);
            cells.push(shown(interval.map(|interval| interval.mean)));
            cells.push(shown(interval.and_then(|interval| interval.half_width)));
        }
        cells.push(row.performance.map_or(0, |interval| interval.n).to_string());
        writer.write_record(&cells)?;
    }
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The same, in full precision.
pub fn json(rows: &[Row]) -> Value {
    json!({ "rows": rows })
}
