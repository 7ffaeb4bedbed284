//! The deferral curves of a comparison: mean score against cost, and how far each is above
//! `ZeroRouter`, trial by trial, with 95 % bands.
//!
//! Which models a cut leaves moves all curves together, by far more than they are apart: bands
//! around the curves themselves would hide what the trials say.

use std::path::Path;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use tollgate_lab::Interval;
use tollgate_lab::uniroute::report::ZERO_ROUTER;
use tollgate_lab::uniroute::{Comparison, Line};

use crate::drawing::{COLORS, Ink, legend, mark, text};

const SIZE: (u32, u32) = (1060, 400);
/// Where the second panel and the legend begin.
const SECOND: i32 = 400;
const LEGEND: i32 = 860;

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws those of the lines that the colors suffice for. The oracle, far above all, would
/// leave the others no room.
pub(super) fn draw(comparison: &Comparison, path: &Path) -> Result<()> {
    let lines: Vec<&Line> =
        comparison.shown().into_iter().filter(|line| line.label != "oracle").collect();
    let lines = &lines[..lines.len().min(COLORS.len())];
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (panels, right) = root.split_horizontally(LEGEND);
    let (left, middle) = panels.split_horizontally(SECOND);
    let curves: Vec<Vec<Interval>> = lines.iter().map(|line| line.profile()).collect();
    let title = format!("{}: mean score", comparison.stream);
    panel(&left, &title, &curves, 1.0, false)?;
    if let Some(zero) = comparison.line(ZERO_ROUTER) {
        let above: Vec<_> = lines.iter().map(|line| line.profile_against(zero)).collect();
        panel(&middle, "above ZeroRouter, thousandths", &above, 1e3, true)?;
    }
    for (index, line) in lines.iter().enumerate() {
        legend(&right, &line.label, index)?;
    }
    for (row, words) in [
        format!("bands: 95 %, {} trials,", comparison.seeds.len()),
        "paired; costs in % of the".to_owned(),
        "dearest model's".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let y = 270 + 17 * i32::try_from(row)?;
        right.draw(&Text::new(words, (4, y), text(12, HPos::Left, Ink::Black)))?;
    }
    root.present()?;
    Ok(())
}

/// One curve a line, times `unit`, over costs in per cent of the dearest route's.
fn panel(
    area: &Panel<'_>,
    title: &str,
    curves: &[Vec<Interval>],
    unit: f64,
    bands: bool,
) -> Result<()> {
    let half = |at: &Interval| if bands { at.half_width.unwrap_or(0.0) } else { 0.0 };
    let all = || curves.iter().flatten();
    let low = all().map(|at| unit * (at.mean - half(at))).fold(f64::INFINITY, f64::min);
    let high = all().map(|at| unit * (at.mean + half(at))).fold(f64::NEG_INFINITY, f64::max);
    let room = 0.05 * (high - low).max(1e-3);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(46)
        .build_cartesian_2d(0.0..100.0, low - room..high + room)?;
    chart
        .configure_mesh()
        .x_desc("cost, %")
        .x_labels(6)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| if bands { format!("{y:.0}") } else { format!("{y:.2}") })
        .axis_desc_style(("sans-serif", 14))
        .light_line_style(RGBAColor(0, 0, 0, 0.0))
        .bold_line_style(RGBColor(222, 222, 222))
        .draw()?;
    for (index, curve) in curves.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        let cost = |at: usize| 100.0 * at as f64 / (curve.len().max(2) - 1) as f64;
        let edge = |sign: f64| -> Vec<(f64, f64)> {
            let each = curve.iter().enumerate();
            each.map(|(at, found)| (cost(at), unit * (found.mean + sign * half(found)))).collect()
        };
        if bands {
            let band: Vec<_> = edge(1.0).into_iter().chain(edge(-1.0).into_iter().rev()).collect();
            chart.draw_series([Polygon::new(band, color.mix(0.12))])?;
        }
        chart.draw_series([PathElement::new(edge(0.0), color.stroke_width(2))])?;
        // Apart from each other, so that curves are told apart without color.
        let marks = edge(0.0).into_iter().skip(4 + 3 * index).step_by(25);
        chart.draw_series(marks.map(|at| mark(at, index)))?;
    }
    Ok(())
}
