//! The default solver against HiGHS and Clarabel, on the instances that
//! `xtask/compare/highs.py` makes.
//!
//! One thread, and the least time of some runs, on both sides. HiGHS and Clarabel start
//! from nothing every time, so a warm re-solve is compared with a cold solve of theirs:
//! that is what a caller would have to do.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tollgate::core::{Choice, Meter, Problem, Row, Scope, SolveOptions, Status};
use tollgate::{Spec, registry};

use crate::{book, shell};

/// What is promised: HiGHS takes so many times as long.
struct Bar {
    /// Whether an answer is asked for beside the prices.
    primal: bool,
    what: &'static str,
    cold: f64,
    warm: f64,
}

const BARS: [Bar; 2] = [
    Bar { primal: false, what: "prices with certificate", cold: 800.0, warm: 5_000.0 },
    Bar { primal: true, what: "and a vertex", cold: 250.0, warm: 1_000.0 },
];

/// A busy machine must not fail a build: checks ask for this share of what is promised.
const SLACK: f64 = 0.4;

pub(super) fn run(queries: usize, check: bool) -> Result<()> {
    let python = book::install(&["numpy", "scipy"])?;
    if let Err(error) = book::install(&["clarabel"]) {
        println!("skipped: Clarabel cannot be had: {error:#}");
    }
    let mut missed = 0;
    for ties in [false, true] {
        missed += compare(&python, queries, ties)?;
    }
    if check && missed > 0 {
        bail!("{missed} comparisons are below {SLACK} of what is promised");
    }
    Ok(())
}

/// How many bars were missed by more than the slack.
fn compare(python: &str, queries: usize, ties: bool) -> Result<usize> {
    let file = crate::root().join("target/bench/instance.f64");
    fs::create_dir_all(file.parent().context("a file has a folder")?)?;
    let path = file.to_string_lossy();
    let queries = queries.to_string();
    let mut arguments =
        vec!["xtask/compare/highs.py", "--queries", &queries, "--out", path.as_ref()];
    arguments.extend(ties.then_some("--ties"));
    let line = shell::output(python, &arguments)?;
    let theirs: Value = serde_json::from_str(&line)?;
    let read = |key: &str| theirs[key].as_f64().with_context(|| format!("no `{key}` in {line}"));
    let (their_seconds, their_value) = (read("seconds")?, read("value")?);

    let n_models = 11;
    let problem = instance(&file, n_models)?;
    let kind = if ties { ", sixty distinct queries" } else { "" };
    println!("{queries} x {n_models}{kind}: value {their_value:.9} by HiGHS");
    println!("  HiGHS     {:>10.3} ms", 1e3 * their_seconds);
    match theirs["clarabel_seconds"].as_f64() {
        Some(seconds) => println!("  Clarabel  {:>10.3} ms", 1e3 * seconds),
        None => println!("  Clarabel  skipped: the package is not there"),
    }
    let shrunk = problem.with_rows(
        problem
            .rows()
            .iter()
            .map(|row| Row { capacity: 0.99 * row.capacity, ..row.clone() })
            .collect(),
    )?;
    let solver = registry::solver(&Spec::named("auto"))?;
    let mut missed = 0;
    for bar in &BARS {
        let options = SolveOptions { primal: bar.primal, ..SolveOptions::default() };
        let (cold, solution) = super::timed(&solver, &problem, &options, None)?;
        ensure!(solution.status == Status::Optimal, "not optimal: {}", solution.status);
        let agreement = (solution.primal_value - their_value).abs() / their_value.abs();
        ensure!(agreement < 1e-7, "values differ by {agreement:e}: {}", solution.primal_value);
        let (warm, again) = super::timed(&solver, &shrunk, &options, solution.warm.as_ref())?;
        ensure!(again.status == Status::Optimal, "warm, not optimal: {}", again.status);
        println!("  {}, gap {:.1e}:", bar.what, solution.gap);
        for (what, seconds, passes, bar) in
            [("cold", cold, solution.passes, bar.cold), ("warm", warm, again.passes, bar.warm)]
        {
            let times = their_seconds / seconds;
            let verdict = if times >= bar { "holds" } else { "MISSED" };
            println!(
                "    {what}    {:>10.3} ms, {passes} passes, {times:.0} times faster than HiGHS, \
                 asked {bar:.0} ({verdict})",
                1e3 * seconds
            );
            missed += usize::from(times < SLACK * bar);
        }
    }
    Ok(missed)
}

fn instance(file: &Path, n_models: usize) -> Result<Problem> {
    let bytes = fs::read(file)?;
    let (words, rest) = bytes.as_chunks::<8>();
    ensure!(rest.is_empty(), "{} is not a list of doubles", file.display());
    let values: Vec<f64> = words.iter().map(|word| f64::from_le_bytes(*word)).collect();
    let cells = (values.len() - n_models) / 2;
    let table = |from: usize| -> Arc<[f64]> { values[from..from + cells].into() };
    let budgets = values[2 * cells..].iter().enumerate();
    Ok(Problem::builder(cells / n_models, n_models, Choice::AtMostOne)
        .table(Meter::Quality, table(0))
        .table(Meter::Cost, table(cells))
        .objective(Meter::Quality, 1.0)
        .rows(budgets.map(|(i, &budget)| Row::at_most(Meter::Cost, Scope::model(i), budget)))
        .build()?)
}
