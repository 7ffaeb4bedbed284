//! Figures: losses on logarithmic axes, and the attack table as a heat map.
//!
//! On a white ground of their own, so that they read on a dark page too.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use tollgate_lab::theory::Row;
use tollgate_lab::theory::checks::slope_of;
use tollgate_lab::theory::report::Reading;

use crate::drawing::{COLORS, Ink, legend, mark, text, tick};

const SIZE: (u32, u32) = (800, 440);
/// Where the legend begins.
const LEGEND: i32 = 575;

/// Draws whatever there are rows for.
pub(super) fn draw(rows: &[Row], folder: &Path) -> Result<()> {
    let sweeps = [
        ("n", "by-n.svg", "Loss against the number of arrivals", "arrivals N"),
        ("eps", "by-eps.svg", "One-shot prices: loss against the share learned from", "share eps"),
        ("k", "by-k.svg", "Loss against the capacity ratio", "k = min B_i / max g_ij"),
    ];
    for (part, file, title, x_title) in sweeps {
        let curves = curves(rows, part);
        if !curves.is_empty() {
            log_log(&folder.join(file), title, x_title, &curves)?;
        }
    }
    for (part, file, title) in [
        ("attacks", "attacks.svg", "Per cent of the approximate optimum, by arrival order"),
        ("traps", "traps.svg", "Per cent of the program, in traps"),
    ] {
        let reading = if part == "traps" { Reading::Truth } else { Reading::Rp };
        if rows.iter().any(|row| row.part == part) {
            heat_map(&folder.join(file), title, rows, part, reading)?;
        }
    }
    Ok(())
}

/// One policy: where, how much, and half the interval.
struct Curve {
    label: String,
    points: Vec<(f64, f64, f64)>,
}

fn curves(rows: &[Row], part: &str) -> Vec<Curve> {
    // The share learned from is shown at two sizes.
    let parts = if part == "eps" { vec!["eps, small", "eps"] } else { vec![part] };
    let mut curves: Vec<Curve> = Vec::new();
    for part in parts {
        for row in rows.iter().filter(|row| row.part == part) {
            let Some(loss) = Reading::Loss.of(row) else { continue };
            let size = row.case.split(' ').next().unwrap_or_default();
            let name = if part.starts_with("eps") { size } else { row.policy.as_str() };
            let point = (row.x, loss.mean, loss.half_width.unwrap_or(0.0));
            match curves.iter_mut().find(|curve| curve.label == name) {
                Some(curve) => curve.points.push(point),
                None => curves.push(Curve { label: name.to_owned(), points: vec![point] }),
            }
        }
    }
    if part == "n" {
        for curve in &mut curves {
            if let Some(slope) = slope_of(rows, part, &curve.label) {
                let (power, half) = (slope.power, slope.half_width);
                curve.label = format!("{}: {power:.2} ± {half:.2}", curve.label);
            }
        }
    }
    curves
}

fn log_log(path: &Path, title: &str, x_title: &str, curves: &[Curve]) -> Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(LEGEND);
    let points = || curves.iter().flat_map(|curve| &curve.points).filter(|point| point.1 > 0.0);
    let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let x = least(&mut points().map(|p| p.0)) / 1.2..most(&mut points().map(|p| p.0)) * 1.2;
    let bottom = least(&mut points().map(|p| p.1)) / 1.5;
    let y = bottom..(most(&mut points().map(|p| p.1)) * 1.5).min(150.0);
    let mut chart = ChartBuilder::on(&left)
        .caption(title, ("sans-serif", 17))
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(66)
        .build_cartesian_2d(x.clone().log_scale(), y.clone().log_scale())?;
    // Its own ticks on logarithmic axes run into each other.
    let bare = RGBAColor(0, 0, 0, 0.0);
    chart
        .configure_mesh()
        .x_desc(x_title)
        .y_desc("1 - ratio, %")
        .axis_desc_style(("sans-serif", 15))
        .x_label_formatter(&|_| String::new())
        .y_label_formatter(&|_| String::new())
        .bold_line_style(bare)
        .light_line_style(bare)
        .draw()?;
    let gray = RGBColor(222, 222, 222);
    let area = chart.plotting_area();
    let mut marks: Vec<f64> = points().map(|point| point.0).collect();
    marks.sort_by(f64::total_cmp);
    marks.dedup();
    for mark in marks {
        let (across, down) = area.map_coordinate(&(mark, y.start));
        area.draw(&PathElement::new(vec![(mark, y.start), (mark, y.end)], gray))?;
        root.draw(&Text::new(tick(mark), (across, down + 14), text(12, HPos::Center, Ink::Black)))?;
    }
    for mark in one_two_five(y.start, y.end) {
        let (across, down) = area.map_coordinate(&(x.start, mark));
        area.draw(&PathElement::new(vec![(x.start, mark), (x.end, mark)], gray))?;
        root.draw(&Text::new(tick(mark), (across - 8, down), text(12, HPos::Right, Ink::Black)))?;
    }
    for (index, curve) in curves.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        let line: Vec<(f64, f64)> =
            curve.points.iter().filter(|p| p.1 > 0.0).map(|p| (p.0, p.1)).collect();
        chart.draw_series([PathElement::new(line.clone(), color.stroke_width(2))])?;
        let bars = curve.points.iter().filter(|p| p.1 > 0.0).map(|&(x, mean, half)| {
            let low = (mean - half).max(bottom);
            PathElement::new(vec![(x, low), (x, mean + half)], color.stroke_width(1))
        });
        chart.draw_series(bars)?;
        chart.draw_series(line.into_iter().map(|at| mark(at, index)))?;
        legend(&right, &curve.label, index)?;
    }
    root.present()?;
    Ok(())
}

/// 0.1, 0.2, 0.5, 1, 2, 5, ... between two numbers.
fn one_two_five(from: f64, to: f64) -> Vec<f64> {
    let decades = (-6..6).map(|decade| 10.0_f64.powi(decade));
    let marks = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * decade));
    marks.filter(|mark| (from..to).contains(mark)).collect()
}

fn heat_map(path: &Path, title: &str, rows: &[Row], part: &str, reading: Reading) -> Result<()> {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.part == part).collect();
    let mut cases: Vec<&str> = rows.iter().map(|row| row.case.as_str()).collect();
    cases.dedup();
    let mut policies: Vec<&str> = Vec::new();
    for row in &rows {
        if !policies.contains(&row.policy.as_str()) {
            policies.push(&row.policy);
        }
    }
    let extent = |count: usize| i32::try_from(count).unwrap_or(0);
    let words = cases.iter().flat_map(|case| case.split(", ")).map(str::len);
    let width = (7 * extent(words.max().unwrap_or(0))).max(104);
    let (left, top, height) = (140, 84, 25);
    let across = left + width * extent(cases.len()) + 12;
    let down = top + height * extent(policies.len()) + 12;
    let size = (u32::try_from(across)?, u32::try_from(down)?);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(title.to_owned(), (10, 20), text(17, HPos::Left, Ink::Black)))?;
    for (column, case) in cases.iter().enumerate() {
        let x = left + width * extent(column) + width / 2;
        // A long name is broken at its comma.
        for (line, words) in case.split(", ").enumerate() {
            let y = 50 + 17 * extent(line);
            root.draw(&Text::new(words.to_owned(), (x, y), text(12, HPos::Center, Ink::Black)))?;
        }
    }
    for (line, policy) in policies.iter().enumerate() {
        let y = top + height * extent(line);
        let middle = y + height / 2;
        let name = text(13, HPos::Right, Ink::Black);
        root.draw(&Text::new((*policy).to_owned(), (left - 8, middle), name))?;
        for (column, case) in cases.iter().enumerate() {
            let found = rows.iter().find(|row| row.case == *case && row.policy == *policy);
            let Some(value) = found.and_then(|row| reading.of(row)) else { continue };
            let x = left + width * extent(column);
            let (ground, ink) = shade(value.mean / 100.0);
            let cell = [(x, y), (x + width - 2, y + height - 2)];
            root.draw(&Rectangle::new(cell, ground.filled()))?;
            let at = (x + width / 2, middle);
            root.draw(&Text::new(format!("{:.0}", value.mean), at, text(13, HPos::Center, ink)))?;
        }
    }
    root.present()?;
    Ok(())
}

/// From dark blue over gray to yellow, as in cividis (Nunez, Anderton and Renslow, 2018),
/// and an ink that reads on it.
fn shade(share: f64) -> (RGBColor, Ink) {
    let stops = [[0.0, 32.0, 77.0], [124.0, 123.0, 120.0], [255.0, 234.0, 70.0]];
    let at = share.clamp(0.0, 1.0) * 2.0;
    let from = usize::from(at >= 1.0);
    let mix = at - from as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between two bytes"
    )]
    let channel = |index: usize| {
        (stops[from][index] * (1.0 - mix) + stops[from + 1][index] * mix).round() as u8
    };
    let ink = if share > 0.55 { Ink::Black } else { Ink::White };
    (RGBColor(channel(0), channel(1), channel(2)), ink)
}
