//! The default policy against PORT where nobody chose the cut: over many seeds, random
//! halves of the models, and single tasks. The same policy, unchanged, everywhere.
//!
//! With `--singles` its estimator, which picks for itself, is also held against each
//! estimator alone.

mod dealt;
mod measured;
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

use self::measured::{Kept, Measured};
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
    /// Eight seeds for halves of the models and five for tasks, not twenty.
    #[arg(long)]
    quick: bool,
    /// The first of the seeds.
    #[arg(long, value_name = "SEED", default_value_t = 100)]
    first_seed: u64,
    /// Only lines whose stream or variant contains this. Repeat for more.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Every line is written to this file when it is measured, and read from it where the
    /// file has it. What it holds was measured by the program of that day.
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
    /// Deals the embeddings of each task out anew among its prompts, by this seed: then
    /// nothing but the task is to be learned, and what one estimator still wins is luck.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["page", "keep"])]
    deal: Option<u64>,
    /// Write the page of the book, for which all is measured.
    #[arg(long)]
    page: bool,
}

/// The streams that the book shows.
const STREAMS: [&str; 4] = ["routerbench", "zeroeval", "routellm", "ollv2_semi"];

impl VariantsOptions {
    /// Every stream in a folder, no page.
    pub(crate) fn all(data: &Path) -> Self {
        Self {
            data: Some(data.to_path_buf()),
            streams: STREAMS.map(str::to_owned).to_vec(),
            singles: false,
            quick: true,
            first_seed: 100,
            only: Vec::new(),
            keep: None,
            deal: None,
            page: false,
        }
    }

    fn takes(&self, stream: &str, variant: &str) -> bool {
        let named = |text: &String| stream.contains(text) || variant.contains(text);
        self.only.is_empty() || self.only.iter().any(named)
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
    let mut tables = match &options.data {
        None => vec![("embedded".to_owned(), Table::embedded())],
        Some(root) => options
            .streams
            .iter()
            .map(|name| Ok((name.clone(), Table::load(root.join(name))?)))
            .collect::<Result<_>>()?,
    };
    if let Some(seed) = options.deal {
        for (_, table) in &mut tables {
            *table = dealt::within_tasks(table, Seed(seed))?;
        }
    }
    let entrants = entrants(options.singles || options.page);
    let mut kept = Kept::open(options.keep.as_deref())?;
    let mut lines = Vec::new();
    for (stream, table) in &tables {
        let variants = variants(table, options.quick, options.first_seed);
        for (variant, cut) in variants.into_iter().filter(|(v, _)| options.takes(stream, v)) {
            let seeds: Vec<u64> = cut.seeds.iter().map(|seed| seed.0).collect();
            let measured = match kept.find(stream, &variant, &seeds, &entrants) {
                Some(measured) => measured,
                None => kept.add(
                    measure(stream, table, &variant, cut, &entrants)
                        .with_context(|| format!("{stream}, {variant}"))?,
                )?,
            };
            let line = Line::new(&measured)?;
            println!("{}", show(&line));
            if let Some(singles) = &line.singles {
                println!("    {}", singles.show());
            }
            lines.push(line);
        }
    }
    if lines.is_empty() {
        bail!("no line of these streams is called so");
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
fn variants(table: &Table, quick: bool, first_seed: u64) -> Vec<(String, Options)> {
    let on = |fewer: u64, subset| {
        let n = if quick { fewer } else { 20 };
        let seeds = (first_seed..first_seed + n).map(Seed).collect();
        Options { seeds, subset, ..Options::default() }
    };
    let mut variants = vec![("all models".to_owned(), on(20, Subset::default()))];
    if table.models().len() > 2 {
        let subset = Subset { model_fraction: Some(0.5), ..Subset::default() };
        variants.push(("random halves of the models".to_owned(), on(8, subset)));
    }
    for task in table.task_names() {
        let rows = (0..table.len()).filter(|&row| table.task(row) == task).count();
        if rows >= FEWEST_ROWS && rows < table.len() {
            let subset = Subset { task: Some(task.clone()), ..Subset::default() };
            variants.push((format!("task {task}"), on(5, subset)));
        }
    }
    variants
}

/// Policies with their own estimators, and then the default policy on each alone.
const POLICIES: [&str; 3] = ["port-reference", "port", "tollgate"];

/// The names of all that run, in the order of their results.
fn entrants(alone: bool) -> Vec<String> {
    let singles: &[&str] = if alone { &singles::ESTIMATORS } else { &[] };
    POLICIES.iter().chain(singles).map(|&name| name.to_owned()).collect()
}

fn measure(
    stream: &str,
    table: &Table,
    variant: &str,
    options: Options,
    entrants: &[String],
) -> Result<Measured> {
    let mut compositions = POLICIES
        .iter()
        .map(|name| registry::compose(&Spec::named(*name), None, None))
        .collect::<Result<Vec<_>, _>>()?;
    if entrants.len() > POLICIES.len() {
        compositions.extend(singles::compositions()?);
    }
    let seeds = options.seeds.iter().map(|seed| seed.0).collect();
    let report = Experiment::new(stream, table, options, compositions)?.run(&Silent)?;
    let performance = |(at, name): (usize, &String)| {
        let cells = report.entrants[at].1.iter();
        (name.clone(), cells.map(|cell: &Cell| cell.metrics.performance).collect())
    };
    Ok(Measured {
        stream: stream.to_owned(),
        variant: variant.to_owned(),
        seeds,
        entrants: entrants.iter().enumerate().map(performance).collect(),
    })
}

impl Line {
    fn new(measured: &Measured) -> Result<Self> {
        let each: Vec<&Vec<f64>> = measured.entrants.iter().map(|(_, each)| each).collect();
        let (reference, port, ours) = (each[0], each[1], each[2]);
        let difference = paired_difference(ours, port).context("no seeds")?;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let alone = &each[POLICIES.len()..];
        let singles = || Singles::new(ours.clone(), alone.iter().copied().cloned().collect());
        Ok(Self {
            stream: measured.stream.clone(),
            variant: measured.variant.clone(),
            runs: ours.len(),
            ours: mean(ours),
            port: mean(port),
            reference: mean(reference),
            difference: difference.mean,
            half_width: difference.half_width,
            singles: (!alone.is_empty()).then(singles),
        })
    }
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
With `--keep FILE` what is measured stays there, and a run that was stopped goes on; `--only TEXT` takes single lines, `--first-seed S` other seeds.
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
