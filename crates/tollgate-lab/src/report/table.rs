//! The table that people read.

use std::fmt::Write as _;

use super::{PUBLISHED, PUBLISHED_WITHOUT_ROBERTA, Ratios};
use crate::{Cell, Interval, Report};

pub(super) fn render(report: &Report, baseline: &str) -> String {
    let mut out = title(report);
    let mut rows = vec![header(baseline)];
    for (entrant, cells) in &report.entrants {
        rows.push(row(report, entrant, cells, baseline));
    }
    let first_oracle = report.entrants.iter().position(|(entrant, _)| entrant.oracle);
    layout(&mut out, &rows, first_oracle);
    footer(&mut out, report);
    out
}

fn title(report: &Report) -> String {
    let options = &report.options;
    let queries = report.entrants.first().and_then(|(_, cells)| cells.first());
    let queries = queries.map_or(0, |cell| cell.queries);
    let seeds: Vec<String> = options.seeds.iter().map(|seed| seed.0.to_string()).collect();
    format!(
        "{}: {queries} queries, budget {} x the cheapest model's cost, {}, order {}, seeds {}\n\n",
        report.stream,
        options.budget,
        options.layout,
        options.order,
        seeds.join(" "),
    )
}

fn header(baseline: &str) -> Vec<String> {
    let difference = format!("vs {baseline}");
    ["policy", "estimator", "Performance", "Cost $", "PPC", "Throughput", "RP %", &difference]
        .map(str::to_owned)
        .to_vec()
}

fn row(report: &Report, entrant: &crate::Entrant, cells: &[Cell], baseline: &str) -> Vec<String> {
    let interval = |reading| Report::interval(cells, reading);
    vec![
        entrant.policy.clone(),
        entrant.estimator.clone(),
        show(interval(|c| Some(c.metrics.performance)), 1),
        show(interval(|c| Some(c.metrics.cost)), 4),
        show(interval(|c| c.metrics.ppc()), 0),
        show(interval(|c| Some(c.metrics.served as f64)), 0),
        show(interval(|c| c.rp), 1),
        match report.difference(cells, baseline) {
            Some(_) if entrant.policy == baseline => "-".to_owned(),
            difference => signed(difference),
        },
    ]
}

fn show(interval: Option<Interval>, digits: usize) -> String {
    let Some(Interval { mean, half_width, .. }) = interval else { return "-".to_owned() };
    let half_width = half_width.map_or_else(String::new, |w| format!(" ± {w:.digits$}"));
    format!("{mean:.digits$}{half_width}")
}

fn signed(interval: Option<Interval>) -> String {
    match interval {
        Some(Interval { mean, .. }) if mean >= 0.0 => format!("+{}", show(interval, 1)),
        _ => show(interval, 1),
    }
}

/// Aligns the columns: names to the left, numbers to the right; a rule under the header
/// and above the oracles.
fn layout(out: &mut String, rows: &[Vec<String>], first_oracle: Option<usize>) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..rows[0].len()).map(|column| width(column).unwrap_or(0)).collect();
    let rule: String = widths.iter().map(|w| "-".repeat(*w)).collect::<Vec<_>>().join("  ");
    for (index, row) in rows.iter().enumerate() {
        if index == 1 || first_oracle.is_some_and(|first| index == first + 1 && first > 0) {
            let _ = writeln!(out, "{rule}");
        }
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn footer(out: &mut String, report: &Report) {
    let _ = writeln!(
        out,
        "\n± is the half-width of the 95 % confidence interval over seeds (Student t). RP is \
         Performance\nin per cent of the approximate optimum's. Rows under the second rule see \
         the future."
    );
    if let Some(bound) = bound(report) {
        let _ =
            writeln!(out, "No Performance is above the linear program on the truth: {bound:.1}.");
    }
    choices(out, report);
    let ours: Vec<_> =
        ["port-reference", "tollgate"].iter().filter_map(|name| report.headline(name)).collect();
    if ours.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nmean ratio to the baselines        Performance   PPC  Throughput");
    for headline in &ours {
        ratios(out, &headline.policy, &headline.mean);
    }
    ratios(out, "PORT as published", &PUBLISHED);
    ratios(out, "  without its two RoBERTa rows", &PUBLISHED_WITHOUT_ROBERTA);
    let _ = writeln!(out, "ratio to the best baseline");
    for headline in &ours {
        ratios(out, &headline.policy, &headline.best);
    }
    let _ = writeln!(
        out,
        "A mean of ratios is carried by its weakest baselines: read the last rows for a typical \
         gain."
    );
}

/// A line an estimator that picks for itself: what, on the first seed, and why.
fn choices(out: &mut String, report: &Report) {
    let firsts = report.choices.chunk_by(|a, b| a.estimator == b.estimator);
    for crate::Choice { estimator, seed, picked } in firsts.filter_map(<[_]>::first) {
        let _ = writeln!(out, "On seed {seed} `{estimator}` picked {picked}.", seed = seed.0);
    }
}

fn bound(report: &Report) -> Option<f64> {
    let (_, cells) = report.entrants.first()?;
    Report::interval(cells, |cell| Some(cell.lp_bound)).map(|interval| interval.mean)
}

fn ratios(out: &mut String, name: &str, ratios: &Ratios) {
    let show = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |r| format!("{r:.2}"));
    let _ = writeln!(
        out,
        "{name:<33}  {:>11}  {:>4}  {:>10}",
        show(ratios.performance),
        show(ratios.ppc),
        show(ratios.throughput),
    );
}
