//! Mean cost against the mean score that was achieved: every method through its floors, the
//! hindsight rule, and below all of them what nobody can do better.

use std::path::Path;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use tollgate_lab::omnirouter::{Comparison, Line};

use crate::drawing::{COLORS, Ink, legend, mark, text};

const SIZE: (u32, u32) = (900, 420);
/// Where the legend begins.
const LEGEND: i32 = 600;

/// Methods that lie on another one's line.
const LEFT_OUT: [&str; 3] = ["floor, 10 % of scores told", "floor-batch", "floor-batch, bootstrap"];

/// A name, and points of mean score and mean cost in USD per 1,000 queries, by floor.
struct Trace {
    label: String,
    points: Vec<(f64, f64)>,
}

pub(super) fn draw(comparison: &Comparison, path: &Path) -> Result<()> {
    let traces = traces(comparison);
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(LEGEND);
    panel(&left, comparison, &traces)?;
    for (index, trace) in traces.iter().enumerate() {
        legend(&right, &trace.label, index)?;
    }
    for (row, words) in [
        format!("{} windows of {} queries", comparison.protocol.seeds.len(), comparison.n),
        format!("estimates by {}", comparison.protocol.predictor),
        format!("capacity {}", comparison.protocol.capacity),
        "bound: all scores known,".to_owned(),
        "certified by its dual".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let y = 280 + 17 * i32::try_from(row)?;
        right.draw(&Text::new(words, (4, y), text(12, HPos::Left, Ink::Black)))?;
    }
    root.present()?;
    Ok(())
}

/// The methods of the comparison, the hindsight rule and the bound; as many as there are
/// colors.
fn traces(comparison: &Comparison) -> Vec<Trace> {
    let mut labels: Vec<&str> = Vec::new();
    for line in &comparison.lines {
        if !labels.contains(&line.method.as_str()) {
            labels.push(&line.method);
        }
    }
    let of = |label: &&str| {
        let lines = comparison.lines.iter().filter(|line| line.method == *label);
        Trace { label: (*label).to_owned(), points: lines.filter_map(achieved).collect() }
    };
    let first = labels.first().copied().unwrap_or_default();
    let at_floors = |label: &str, cost: fn(&Line) -> &[Option<f64>]| {
        let lines = comparison.lines.iter().filter(|line| line.method == first);
        Trace { label: label.to_owned(), points: lines.filter_map(|l| met(l, cost(l))).collect() }
    };
    let room = COLORS.len() - 2;
    let drawn = labels.iter().filter(|label| !LEFT_OUT.contains(*label));
    let methods = drawn.take(room).map(of);
    methods
        .chain([
            at_floors("hindsight rule", |line| &line.hindsight),
            at_floors("bound", |line| &line.least),
        ])
        .collect()
}

fn achieved(line: &Line) -> Option<(f64, f64)> {
    let quality = line.mean(|outcome| outcome.quality)?.mean;
    Some((quality, 1e3 * line.mean(|outcome| outcome.cost)?.mean))
}

/// The mean floor and the mean cost over the windows in which it can be met.
fn met(line: &Line, costs: &[Option<f64>]) -> Option<(f64, f64)> {
    let pairs: Vec<(f64, f64)> = line
        .floors
        .iter()
        .zip(costs)
        .filter_map(|(floor, cost)| Some((*floor, (*cost)?)))
        .collect();
    let n = pairs.len() as f64;
    let (floor, cost) =
        pairs.iter().fold((0.0, 0.0), |(f, c), (floor, cost)| (f + floor, c + cost));
    (n > 0.0).then(|| (floor / n, 1e3 * cost / n))
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    comparison: &Comparison,
    traces: &[Trace],
) -> Result<()> {
    let all = || traces.iter().flat_map(|trace| &trace.points);
    let ends = |of: fn(&(f64, f64)) -> f64| {
        let low = all().map(of).fold(f64::INFINITY, f64::min);
        (low, all().map(of).fold(low, f64::max))
    };
    let ((left, right), (low, high)) = (ends(|point| point.0), ends(|point| point.1.max(1e-9)));
    let room = 0.03 * (right - left).max(1e-3);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}: cost of a mean score", comparison.stream), ("sans-serif", 15))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(left - room..right + room, (0.8 * low..1.25 * high).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("mean score achieved")
        .y_desc("USD per 1,000 queries")
        .x_labels(6)
        .x_label_formatter(&|x| format!("{x:.2}"))
        .y_label_formatter(&|y| crate::drawing::tick(*y))
        .axis_desc_style(("sans-serif", 14))
        .light_line_style(RGBAColor(0, 0, 0, 0.0))
        .bold_line_style(RGBColor(222, 222, 222))
        .draw()?;
    for (index, trace) in traces.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        let points = || trace.points.iter().copied();
        chart
            .draw_series([PathElement::new(points().collect::<Vec<_>>(), color.stroke_width(2))])?;
        chart.draw_series(points().map(|at| mark(at, index)))?;
    }
    Ok(())
}
