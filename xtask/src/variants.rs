//! The default policy against PORT where nobody chose the cut: over many seeds, random
//! halves of the models, and single tasks. The same policy, unchanged, everywhere.
//!
//! With `--singles` its estimator, which picks for itself, is also held against each
//! estimator alone.

mod singles;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use tollgate::Spec;
use tollgate::core::Seed;
use tollgate::data::Table;
use tollgate::registry;
use tollgate_lab::{Cell, Experiment, Options, Silent, Subset, paired_difference};

use self::singles::Singles;

/// Which streams, and where the page goes.
#[derive(Args, Debug)]
pub(crate) struct VariantsOptions {
    /// Folder of folders, each with queries.parquet and embeddings.npy; without it the
    /// embedded stream.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Streams in that folder, separated by commas.
    #[arg(long, value_delimiter = ',', default_values_t = STREAMS.map(str::to_owned))]
    streams: Vec<String>,
    /// The default estimator against each of its kind alone, too: takes several times
    /// as long.
    #[arg(long)]
    singles: bool,
    /// Seeds 100 to 107 for halves of the models and 100 to 104 for tasks, not to 119.
    #[arg(long)]
    quick: bool,
    /// Write the page of the book, for which all is measured.
    #[arg(long)]
    page: bool,
}

/// The streams that the book shows.
const STREAMS: [&str; 4] = ["routerbench", "zeroeval", "routellm", "ollv2_semi"];

impl VariantsOptions {
    /// Every stream in a folder, no page.
    pub(crate) fn all(data: &Path) -> Self {
        let streams = STREAMS.map(str::to_owned).to_vec();
        Self { data: Some(data.to_path_buf()), streams, singles: false, quick: true, page: false }
    }
}

/// Tasks with fewer rows are left out: too little history to learn from.
const FEWEST_ROWS: usize = 400;

struct Line {
    stream: String,
    variant: String,
    runs: usize,
    ours: f64,
    port: f64,
    reference: f64,
    difference: f64,
    half_width: Option<f64>,
    /// Where it was asked for.
    singles: Option<Singles>,
}

pub(crate) fn run(options: &VariantsOptions) -> Result<()> {
    let tables = match &options.data {
        None => vec![("embedded".to_owned(), Table::embedded())],
        Some(root) => options
            .streams
            .iter()
            .map(|name| Ok((name.clone(), Table::load(root.join(name))?)))
            .collect::<Result<_>>()?,
    };
    let alone = options.singles || options.page;
    let mut lines = Vec::new();
    for (stream, table) in &tables {
        for (variant, options) in variants(table, options.quick) {
            let line = compare(stream, table, &variant, options, alone)
                .with_context(|| format!("{stream}, {variant}"))?;
            println!("{}", show(&line));
            if let Some(singles) = &line.singles {
                println!("    {}", singles.show());
            }
            lines.push(line);
        }
    }
    if options.page {
        let path = crate::root().join("book/src/variants.md");
        std::fs::write(&path, page(&lines))?;
        println!("wrote {}", path.display());
    }
    let worse: Vec<&Line> = lines.iter().filter(|line| line.difference < 0.0).collect();
    if let Some(worst) = worse.first() {
        bail!(
            "tollgate is below port in {} of {} lines, first: {}",
            worse.len(),
            lines.len(),
            show(worst)
        );
    }
    println!("tollgate is never below port in {} lines", lines.len());
    singles::judge(&lines)
}

/// With the number of seeds that each is worth; quickly, a third of them.
fn variants(table: &Table, quick: bool) -> Vec<(String, Options)> {
    let on = |fewer: u64, subset| {
        let end = if quick { fewer } else { 120 };
        Options { seeds: (100..end).map(Seed).collect(), subset, ..Options::default() }
    };
    let mut variants = vec![("all models".to_owned(), on(120, Subset::default()))];
    if table.models().len() > 2 {
        let subset = Subset { model_fraction: Some(0.5), ..Subset::default() };
        variants.push(("random halves of the models".to_owned(), on(108, subset)));
    }
    for task in table.task_names() {
        let rows = (0..table.len()).filter(|&row| table.task(row) == task).count();
        if rows >= FEWEST_ROWS && rows < table.len() {
            let subset = Subset { task: Some(task.clone()), ..Subset::default() };
            variants.push((format!("task {task}"), on(105, subset)));
        }
    }
    variants
}

fn compare(
    stream: &str,
    table: &Table,
    variant: &str,
    options: Options,
    alone: bool,
) -> Result<Line> {
    let policies = ["port-reference", "port", "tollgate"];
    let mut compositions = policies
        .iter()
        .map(|name| registry::compose(&Spec::named(*name), None, None))
        .collect::<Result<Vec<_>, _>>()?;
    if alone {
        compositions.extend(singles::compositions()?);
    }
    let report = Experiment::new(stream, table, options, compositions)?.run(&Silent)?;
    let performances = |index: usize| -> Vec<f64> {
        report.entrants[index].1.iter().map(|cell: &Cell| cell.metrics.performance).collect()
    };
    let (reference, port, ours) = (performances(0), performances(1), performances(2));
    let difference = paired_difference(&ours, &port).context("no seeds")?;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let singles = alone.then(|| {
        let each = (0..singles::ESTIMATORS.len()).map(|at| performances(3 + at));
        Singles::new(ours.clone(), each.collect())
    });
    Ok(Line {
        stream: stream.to_owned(),
        variant: variant.to_owned(),
        runs: ours.len(),
        ours: mean(&ours),
        port: mean(&port),
        reference: mean(&reference),
        difference: difference.mean,
        half_width: difference.half_width,
        singles,
    })
}

fn show(line: &Line) -> String {
    format!("| {} {}", line.stream, cells(line))
}

fn cells(line: &Line) -> String {
    let ratio = |theirs: f64| {
        if theirs > 0.0 { format!("{:.3}", line.ours / theirs) } else { "-".to_owned() }
    };
    let half_width = line.half_width.map_or_else(|| "-".to_owned(), |w| format!("{w:.1}"));
    format!(
        "| {} | {} | {:.1} | {:.1} | {:.1} | {} | {} | {:+.1} ± {half_width} |",
        line.variant,
        line.runs,
        line.reference,
        line.port,
        line.ours,
        ratio(line.reference),
        ratio(line.port),
        line.difference,
    )
}

const PREFACE: &str = "\
# Where nobody chose the cut

One policy value, unchanged, over seeds that were not used while it was built, random halves of the models, and every single task with at least 400 rows.
Performance is the mean over runs of `port-reference` (R), `port` (P) and `tollgate` (T).
The last column is T - P, paired by seed, with its 95 % confidence interval.

This page is written by `cargo xtask variants --data DIR --page`; with `--quick` fewer seeds are run, as the column of runs says.
";

/// A section a stream.
fn page(lines: &[Line]) -> String {
    let mut page = PREFACE.to_owned();
    let mut stream = "";
    for line in lines {
        if line.stream != stream {
            stream = &line.stream;
            let _ = write!(
                page,
                "\n## {stream}\n\n| variant | runs | R | P | T | T / R | T / P | T - P |\n\
                 |---|---:|---:|---:|---:|---:|---:|---:|\n"
            );
        }
        let _ = writeln!(page, "{}", cells(line));
    }
    page.push_str(&singles::section(lines));
    page
}
