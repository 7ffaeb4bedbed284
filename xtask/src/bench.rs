//! Times the hot paths: ratios in one run, since absolute times depend on the machine.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use serde_json::Value;
use tollgate::core::{Choice, Meter, Problem, Row, Scope, SolveOptions, Solver, Status};
use tollgate::solvers::CuttingPlane;

use crate::{book, shell};

/// What to time.
#[derive(Args, Debug)]
pub(crate) struct BenchOptions {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The benchmarks of every crate (divan).
    All,
    /// The exact solver against HiGHS (through Python) on the same instance.
    Solve {
        /// Queries in the instance.
        #[arg(long, default_value_t = 10_000)]
        queries: usize,
        /// Fail when HiGHS takes less than this many times as long.
        #[arg(long, default_value_t = 100.0)]
        at_least: f64,
    },
}

impl BenchOptions {
    /// The comparison with HiGHS at its published size.
    pub(crate) fn solve() -> Self {
        Self { what: What::Solve { queries: 10_000, at_least: 100.0 } }
    }
}

pub(crate) fn run(options: &BenchOptions) -> Result<()> {
    match options.what {
        What::All => shell::run("cargo", &["bench", "--workspace", "--benches"], &[]),
        What::Solve { queries, at_least } => solve(queries, at_least),
    }
}

/// One thread on both sides; CPU time on theirs, wall time on ours.
fn solve(queries: usize, at_least: f64) -> Result<()> {
    let python = book::install(&["numpy", "scipy"])?;
    let file = crate::root().join("target/bench/instance.f64");
    fs::create_dir_all(file.parent().context("a file has a folder")?)?;
    let path = file.to_string_lossy();
    let queries = queries.to_string();
    let script = "xtask/compare/highs.py";
    let line = shell::output(&python, &[script, "--queries", &queries, "--out", path.as_ref()])?;
    let theirs: Value = serde_json::from_str(&line)?;
    let read = |key: &str| theirs[key].as_f64().with_context(|| format!("no `{key}` in {line}"));
    let (their_seconds, their_value) = (read("seconds")?, read("value")?);

    let n_models = 11;
    let problem = instance(&file, n_models)?;
    let solver = CuttingPlane::default();
    let (cold, solution) = median(|| solver.solve(&problem, &SolveOptions::default(), None))?;
    ensure!(solution.status == Status::Optimal, "not optimal: {}", solution.status);
    let agreement = (solution.primal_value - their_value).abs() / their_value.abs();
    ensure!(agreement < 1e-7, "values differ by {agreement:e}: {their_value} is theirs");

    let shrunk = problem.with_rows(
        problem
            .rows()
            .iter()
            .map(|row| Row { capacity: 0.99 * row.capacity, ..row.clone() })
            .collect(),
    )?;
    let warm = solution.warm.as_ref();
    let (warm, re_solution) = median(|| solver.solve(&shrunk, &SolveOptions::default(), warm))?;
    println!(
        "{queries} x {n_models}, relative gap {:.1e}\n  HiGHS      {their_seconds:>9.3} s\n  \
         cold       {:>9.5} s  {:>8.0} times faster, {} passes\n  warm (99 % of the budgets) \
         {:.5} s  {:.0} times faster, {} passes\n  largest relative difference in value {agreement:.1e}",
        solution.gap,
        cold,
        their_seconds / cold,
        solution.passes,
        warm,
        their_seconds / warm,
        re_solution.passes,
    );
    if their_seconds / cold < at_least {
        bail!("less than {at_least} times faster");
    }
    Ok(())
}

/// The median wall time of seven runs, and the last answer.
fn median<T, E>(run: impl Fn() -> Result<T, E>) -> Result<(f64, T), E> {
    let timed = || {
        let start = Instant::now();
        run().map(|answer| (start.elapsed().as_secs_f64(), answer))
    };
    let mut runs = (0..7).map(|_| timed()).collect::<Result<Vec<_>, E>>()?;
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(runs.swap_remove(3))
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
