//! Quality and cost against the slowest answers, as the price on time moves.
//!
//! One curve an arrival process, with a point for each price: means over the seeds. On a white
//! ground of their own, so that they read on a dark page too.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use tollgate::core::Policy;
use tollgate::policies::ResolveConfig;
use tollgate::presets;
use tollgate_lab::simulator::{FrontierPoint, frontier};

use crate::drawing::{COLORS, Ink, legend, mark, text};
use crate::simulate::{PROCESSES, Setting};

/// Prices on time, in quality a second.
const PER_SECOND: [f64; 9] = [0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];

const SIZE: (u32, u32) = (1000, 400);
/// Where the second panel and the legend begin.
const SECOND: i32 = 420;
const LEGEND: i32 = 840;

/// A price and what it comes to in the mean over the seeds.
struct Mean {
    per_second: f64,
    quality: f64,
    cost: f64,
    p99: f64,
}

/// Measures the frontier of the default policy on a stream; prints it as a table, and draws it
/// in `out`.
///
/// # Errors
/// Where a run breaks down or a file can't be written.
pub(crate) fn run(stream: &str, settings: &[Setting], out: &Path) -> Result<()> {
    std::fs::create_dir_all(out)?;
    let mut curves = Vec::new();
    println!(
        "| arrivals | per second | success rate | cost, USD | p99, s |\n|---|---:|---:|---:|---:|"
    );
    for (index, process) in PROCESSES.into_iter().enumerate() {
        let curve = curve(settings, index)?;
        for Mean { per_second, quality, cost, p99 } in &curve {
            println!("| {process} | {per_second} | {quality:.3} | {cost:.4} | {p99:.2} |");
        }
        curves.push(curve);
    }
    let file = out.join(format!("{stream}-frontier.svg"));
    draw(stream, &curves, &file)?;
    println!("wrote {}", file.display());
    Ok(())
}

/// The points of one process: all seeds of a price together.
fn curve(settings: &[Setting], process: usize) -> Result<Vec<Mean>> {
    let mut runs: Vec<Vec<FrontierPoint>> = Vec::new();
    for setting in settings {
        let stream = setting.stream(process)?;
        runs.push(frontier(&setting.simulation(&stream), &PER_SECOND, |per_second| {
            let config = ResolveConfig { per_second, ..ResolveConfig::default() };
            let policy = presets::tollgate_with(config, presets::default_solver())?;
            Ok(Arc::new(policy) as Arc<dyn Policy>)
        })?);
    }
    let n = runs.len().max(1) as f64;
    let mean = |at: usize, of: &dyn Fn(&FrontierPoint) -> f64| {
        runs.iter().map(|points| of(&points[at])).sum::<f64>() / n
    };
    let point = |(at, &per_second): (usize, &f64)| Mean {
        per_second,
        quality: mean(at, &|point| point.quality),
        cost: mean(at, &|point| point.cost),
        p99: mean(at, &|point| point.p99),
    };
    Ok(PER_SECOND.iter().enumerate().map(point).collect())
}

fn draw(stream: &str, curves: &[Vec<Mean>], path: &Path) -> Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (panels, right) = root.split_horizontally(LEGEND);
    let (left, middle) = panels.split_horizontally(SECOND);
    panel(&left, &format!("{stream}: success rate"), curves, |point| point.quality)?;
    panel(&middle, &format!("{stream}: cost, USD"), curves, |point| point.cost)?;
    for (index, process) in PROCESSES.into_iter().enumerate() {
        legend(&right, process, index)?;
    }
    for (row, words) in
        ["a point for each", "price on time; 0 is", "the slowest"].iter().enumerate()
    {
        let y = 160 + 17 * i32::try_from(row)?;
        right.draw(&Text::new(*words, (4, y), text(12, HPos::Left, Ink::Black)))?;
    }
    root.present()?;
    Ok(())
}

/// One curve a process over the 99th percentile of the latency.
fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    title: &str,
    curves: &[Vec<Mean>],
    of: impl Fn(&Mean) -> f64,
) -> Result<()> {
    let all = || curves.iter().flatten();
    let slowest = all().map(|point| point.p99).fold(0.0, f64::max).max(1e-3);
    let low = all().map(&of).fold(f64::INFINITY, f64::min);
    let high = all().map(&of).fold(f64::NEG_INFINITY, f64::max);
    let room = 0.05 * (high - low).max(1e-6);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..1.05 * slowest, low - room..high + room)?;
    chart
        .configure_mesh()
        .x_desc("99th percentile of the latency, s")
        .x_labels(6)
        .y_label_formatter(&|y| format!("{y:.3}"))
        .axis_desc_style(("sans-serif", 14))
        .light_line_style(RGBAColor(0, 0, 0, 0.0))
        .bold_line_style(RGBColor(222, 222, 222))
        .draw()?;
    for (index, curve) in curves.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        let points: Vec<(f64, f64)> = curve.iter().map(|point| (point.p99, of(point))).collect();
        chart.draw_series([PathElement::new(points.clone(), color.stroke_width(2))])?;
        let marks = points.into_iter();
        chart.draw_series(marks.map(|at| mark(at, index)))?;
    }
    Ok(())
}
