//! Every solver on the same instances: how long to which gap, cold and warm, and how that
//! grows with the number of queries.
//!
//! A time is the least of some runs, which is what a run takes when nothing else gets in
//! its way; the solvers take turns. A solver that took long on an instance is not tried on
//! the next larger one, and the table says so.

mod growth;
mod highs;
mod instances;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use tollgate::core::{Problem, Solution, SolveOptions, Solver, Status, WarmState};
use tollgate::{Spec, registry};

use self::instances::{Instance, Shape};

/// What to solve.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct SolveOptionsOfBench {
    /// Numbers of queries.
    #[arg(long, value_delimiter = ',', default_value = "250,2500,10000")]
    queries: Vec<usize>,
    /// 100,000 and a million queries too.
    #[arg(long)]
    long: bool,
    /// Shapes of instances: K = M in 2, 11, 64; `pooled` is one budget for 11 models,
    /// `ties` is 11 x 11 with sixty distinct queries.
    #[arg(long, value_delimiter = ',', default_value = "2,11,64,pooled,ties")]
    shapes: Vec<Shape>,
    /// Solvers by name; all of them by default.
    #[arg(long, value_delimiter = ',')]
    solvers: Vec<Spec>,
    /// Seed of the instances.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// No run is begun that is expected to take more seconds than this.
    #[arg(long, default_value_t = 10.0)]
    patience: f64,
    /// Ask for an answer for every query too, at a vertex where the solver has one, and
    /// not for prices and their certificate alone.
    #[arg(long)]
    answer: bool,
    /// HiGHS and Clarabel (through Python) beside the exact solvers at 10,000 x 11, on an
    /// instance of their own, instead of the table.
    #[arg(long)]
    compare: bool,
    /// Fail when what is promised is missed by more than a busy machine explains.
    #[arg(long)]
    check: bool,
}

impl SolveOptionsOfBench {
    /// The comparison alone, as the full tier runs it.
    pub(super) fn comparison() -> Self {
        Self {
            queries: vec![10_000],
            long: false,
            shapes: Vec::new(),
            solvers: Vec::new(),
            seed: 42,
            patience: 10.0,
            answer: false,
            compare: true,
            check: true,
        }
    }
}

/// The gaps of the table.
const GAPS: [f64; 3] = [1e-2, 1e-4, 1e-9];

/// Runs are repeated for this long, at least two and at most [`MOST_RUNS`] times.
const REPEATING: Duration = Duration::from_millis(300);
const MOST_RUNS: u32 = 20;

/// One solver on one instance.
#[derive(Debug)]
struct Line {
    shape: Shape,
    queries: usize,
    solver: String,
    threads: usize,
    /// Seconds to each gap; `None` where it was not reached.
    cold: [Option<f64>; GAPS.len()],
    /// The same after capacities changed by one per cent.
    warm: [Option<f64>; GAPS.len()],
    /// Passes to the last gap, cold and warm.
    passes: [u64; 2],
}

pub(super) fn run(options: &SolveOptionsOfBench) -> Result<()> {
    if options.compare {
        return highs::run(options.queries.last().copied().unwrap_or(10_000), options.check);
    }
    let mut queries = options.queries.clone();
    if options.long {
        queries.extend([100_000, 1_000_000]);
    }
    let solvers: Vec<Spec> = if options.solvers.is_empty() {
        registry::SOLVERS.iter().map(|name| Spec::named(*name)).collect()
    } else {
        options.solvers.clone()
    };
    println!("{HEADER}");
    let mut lines = Vec::new();
    for &shape in &options.shapes {
        for &n_queries in &queries {
            let instance = Instance::new(shape, n_queries, options.seed)?;
            for spec in &solvers {
                for threads in [1, 2] {
                    let Some(line) = measure(&instance, spec, threads, &lines, options)? else {
                        continue;
                    };
                    println!("{}", show(&line));
                    lines.push(line);
                }
            }
        }
    }
    let missed = growth::report(&lines, options)?;
    if options.check && missed > 0 {
        bail!("{missed} of the bars were missed");
    }
    Ok(())
}

/// Only one solver uses threads.
const PARALLEL: &str = "primal-dual";

/// `None`, with a line that says why, where a solver would take too long; without one
/// where it has no use for another thread.
fn measure(
    instance: &Instance,
    spec: &Spec,
    threads: usize,
    before: &[Line],
    options: &SolveOptionsOfBench,
) -> Result<Option<Line>> {
    if threads > 1 && spec.name != PARALLEL {
        return Ok(None);
    }
    let solver = registry::solver(spec)?;
    let last = before
        .iter()
        .filter(|line| line.shape == instance.shape && line.threads == threads)
        .rfind(|line| line.solver == spec.to_string());
    if let Some(last) = last {
        let seconds = last.cold.iter().flatten().copied().fold(0.0, f64::max);
        let expected = seconds * instance.problem.n_queries() as f64 / last.queries as f64;
        if expected > options.patience || last.cold[0].is_none() {
            println!(
                "| {} | {} | {spec} | {threads} | skipped: {expected:.0} s expected from {} queries |",
                instance.shape,
                instance.problem.n_queries(),
                last.queries
            );
            return Ok(None);
        }
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| line(instance, spec, &solver, (threads, options.answer))).map(Some)
}

fn line(
    instance: &Instance,
    spec: &Spec,
    solver: &Arc<dyn Solver>,
    (threads, primal): (usize, bool),
) -> Result<Line> {
    let mut line = Line {
        shape: instance.shape,
        queries: instance.problem.n_queries(),
        solver: spec.to_string(),
        threads,
        cold: [None; GAPS.len()],
        warm: [None; GAPS.len()],
        passes: [0; 2],
    };
    for (at, gap) in GAPS.into_iter().enumerate() {
        let options = SolveOptions { gap, primal, ..SolveOptions::default() };
        let (seconds, cold) = timed(solver, &instance.problem, &options, None)?;
        line.passes[0] = cold.passes;
        if cold.status != Status::Optimal {
            break;
        }
        line.cold[at] = Some(seconds);
        let warm = cold.warm.as_ref();
        let (seconds, warm) = timed(solver, &instance.changed, &options, warm)?;
        line.passes[1] = warm.passes;
        line.warm[at] = (warm.status == Status::Optimal).then_some(seconds);
    }
    Ok(line)
}

/// The least wall time of some runs, and the last answer.
fn timed(
    solver: &Arc<dyn Solver>,
    problem: &Problem,
    options: &SolveOptions,
    warm: Option<&WarmState>,
) -> Result<(f64, Solution)> {
    let begun = Instant::now();
    let mut least = f64::INFINITY;
    let mut runs = 0;
    loop {
        let start = Instant::now();
        let solution = solver.solve(problem, options, warm)?;
        least = least.min(start.elapsed().as_secs_f64());
        runs += 1;
        let enough = begun.elapsed() > REPEATING && (runs >= 2 || least > 1.0);
        if enough || runs == MOST_RUNS {
            ensure!(least.is_finite(), "no time was measured");
            return Ok((least, solution));
        }
    }
}

const HEADER: &str = "\
| K x M | queries | solver | threads | cold 1e-2 | 1e-4 | 1e-9 | warm 1e-2 | 1e-4 | 1e-9 | passes cold | warm |
|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|";

fn show(line: &Line) -> String {
    let times = line.cold.iter().chain(&line.warm).map(|seconds| match seconds {
        Some(seconds) => format!("{:.3} ms", 1e3 * seconds),
        None => "-".to_owned(),
    });
    format!(
        "| {} | {} | {} | {} | {} | {} | {} |",
        line.shape,
        line.queries,
        line.solver,
        line.threads,
        times.collect::<Vec<_>>().join(" | "),
        line.passes[0],
        line.passes[1],
    )
}
