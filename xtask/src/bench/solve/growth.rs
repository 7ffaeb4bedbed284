//! How time grows with the number of queries, and what is promised of it.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::Result;
use tollgate::core::dual_bound;

use super::instances::{Instance, Shape};
use super::{Line, SolveOptionsOfBench};

/// Below this many queries a solve is over before anything grows.
const FROM: usize = 2_500;

/// What a busy machine may add to a promised ratio.
const SLACK: f64 = 1.5;

/// Prints exponents and promises; how many were missed.
pub(super) fn report(lines: &[Line], options: &SolveOptionsOfBench) -> Result<usize> {
    println!("\nTime grows as queries ^ (cold, to 1e-9; from {FROM} queries):");
    for (shape, solver) in pairs(lines) {
        if let Some(exponent) = exponent(lines, &shape, &solver) {
            println!("  {shape}, {solver}: {exponent:.2}");
        }
    }
    let mut missed = 0;
    println!("\nPromised of `auto`:");
    let mut bar = |what: &str, seen: Option<f64>, most: f64| {
        let Some(seen) = seen else {
            println!("  {what}: skipped, these sizes were not run");
            return;
        };
        let verdict = if seen <= most { "holds" } else { "MISSED" };
        println!("  {what}: {seen:.2}, at most {most} ({verdict})");
        missed += usize::from(seen > SLACK * most);
    };
    let cold = |shape, queries| seconds(lines, shape, queries);
    let ratio = |a: Option<f64>, b: Option<f64>| Some(a? / b?);
    let eleven = Shape::Split(11);
    bar("exponent at 11 x 11", exponent(lines, &eleven.to_string(), "auto"), 1.1);
    bar("exponent with ties", exponent(lines, &Shape::Ties.to_string(), "auto"), 1.3);
    let million = ratio(cold(eleven, 1_000_000), cold(eleven, 10_000));
    bar("1,000,000 against 10,000 queries", million, 150.0);
    let wide = ratio(cold(Shape::Split(64), 10_000), cold(eleven, 10_000));
    bar("64 x 64 against 11 x 11, 10,000 queries", wide, 100.0);
    let pooled = match cold(Shape::Pooled, 1_000_000) {
        Some(seconds) => Some(seconds / one_evaluation(1_000_000, options.seed)?),
        None => None,
    };
    bar("one budget, 1,000,000 queries, in evaluations of the dual function", pooled, 40.0);
    Ok(missed)
}

/// The seconds of one evaluation by the core's own [`dual_bound`], the least of three.
fn one_evaluation(queries: usize, seed: u64) -> Result<f64> {
    let instance = Instance::new(Shape::Pooled, queries, seed)?;
    let evaluation = || {
        let start = Instant::now();
        std::hint::black_box(dual_bound(&instance.problem, &[100.0]));
        start.elapsed().as_secs_f64()
    };
    Ok((0..3).map(|_| evaluation()).fold(f64::INFINITY, f64::min))
}

fn pairs(lines: &[Line]) -> BTreeSet<(String, String)> {
    lines.iter().map(|line| (line.shape.to_string(), line.solver.clone())).collect()
}

fn seconds(lines: &[Line], shape: Shape, queries: usize) -> Option<f64> {
    let of = |line: &&Line| line.shape == shape && line.queries == queries && line.solver == "auto";
    lines.iter().find(of)?.cold[2]
}

/// The slope of log time over log queries, by least squares; `None` for fewer than two sizes.
fn exponent(lines: &[Line], shape: &str, solver: &str) -> Option<f64> {
    let points: Vec<(f64, f64)> = lines
        .iter()
        .filter(|line| line.shape.to_string() == shape && line.solver == solver)
        .filter(|line| line.queries >= FROM && line.threads == 1)
        .filter_map(|line| Some(((line.queries as f64).ln(), line.cold[2]?.ln())))
        .collect();
    if points.len() < 2 {
        return None;
    }
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / n, y + point.1 / n));
    let over: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let under: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    Some(over / under)
}
