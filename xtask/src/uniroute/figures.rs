//! The deferral curves of a comparison: mean score against cost, with 95 % bands.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use tollgate_lab::Interval;
use tollgate_lab::uniroute::{Comparison, Line};

use crate::drawing::{COLORS, Ink, legend, text};

const SIZE: (u32, u32) = (900, 460);
/// Where the legend begins.
const LEGEND: i32 = 640;

/// Draws those of the lines that the colors suffice for. The oracle, far above all, would
/// leave the others no room.
pub(super) fn draw(comparison: &Comparison, path: &Path) -> Result<()> {
    let lines: Vec<&Line> =
        comparison.shown().into_iter().filter(|line| line.label != "oracle").collect();
    let lines = &lines[..lines.len().min(COLORS.len())];
    let curves: Vec<Vec<Interval>> = lines.iter().map(|line| line.profile()).collect();
    let all = || curves.iter().flatten().map(|at| (at.mean, at.half_width.unwrap_or(0.0)));
    let bottom = all().map(|(mean, half)| mean - half).fold(f64::INFINITY, f64::min);
    let top = all().map(|(mean, half)| mean + half).fold(f64::NEG_INFINITY, f64::max);
    let room = 0.05 * (top - bottom).max(1e-3);
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(LEGEND);
    let title = format!(
        "{}: mean score against mean cost, {} trials",
        comparison.stream,
        comparison.seeds.len()
    );
    let mut chart = ChartBuilder::on(&left)
        .caption(title, ("sans-serif", 17))
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..100.0, bottom - room..top + room)?;
    chart
        .configure_mesh()
        .x_desc("cost, % of the dearest model for every prompt")
        .y_desc("mean score")
        .axis_desc_style(("sans-serif", 15))
        .light_line_style(RGBAColor(0, 0, 0, 0.0))
        .bold_line_style(RGBColor(222, 222, 222))
        .draw()?;
    for (index, (line, curve)) in lines.iter().zip(&curves).enumerate() {
        let color = COLORS[index % COLORS.len()];
        let cost = |at: usize| 100.0 * at as f64 / (curve.len() - 1) as f64;
        let edge = |sign: f64| {
            let at = move |(at, found): (usize, &Interval)| {
                (cost(at), found.mean + sign * found.half_width.unwrap_or(0.0))
            };
            curve.iter().enumerate().map(at).collect::<Vec<_>>()
        };
        let band = edge(1.0).into_iter().chain(edge(-1.0).into_iter().rev()).collect::<Vec<_>>();
        chart.draw_series([Polygon::new(band, color.mix(0.12))])?;
        chart.draw_series([PathElement::new(edge(0.0), color.stroke_width(2))])?;
        legend(&right, &line.label, index)?;
        // Markers apart from each other, so that curves are told apart without color.
        let marks = edge(0.0).into_iter().skip(4 + 3 * index).step_by(25);
        match index % 3 {
            0 => {
                chart.draw_series(marks.map(|at| Circle::new(at, 4, color.filled())))?;
            }
            1 => {
                chart.draw_series(marks.map(|at| TriangleMarker::new(at, 5, color.filled())))?;
            }
            _ => {
                chart.draw_series(marks.map(|at| Cross::new(at, 4, color.stroke_width(2))))?;
            }
        }
    }
    let note = format!("bands: 95 %, over {} cuts", comparison.seeds.len());
    right.draw(&Text::new(note, (4, 60 + 24 * 9), text(12, HPos::Left, Ink::Black)))?;
    root.present()?;
    Ok(())
}
