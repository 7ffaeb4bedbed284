//! The theory laboratory: competitive ratios, attacks and traps, held against the theory.

mod figures;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use tollgate::core::Seed;
use tollgate::data::Table;
use tollgate_lab::Silent;
use tollgate_lab::theory::checks::{self, Check};
use tollgate_lab::theory::plan::{self, Scale};
use tollgate_lab::theory::report::{Reading, csv, json, per_cent, table};
use tollgate_lab::theory::{Absent, Case, Row, alphas, lineup, measure, recorded};

/// What to measure, and where it goes.
#[derive(Args, Debug)]
pub(crate) struct TheoryOptions {
    /// At the sizes that the bars are for, and fail where one is missed. Otherwise small, and
    /// only what holds at any size is judged.
    #[arg(long)]
    full: bool,
    /// Only these parts; the checks of others are left out.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Seeds of the attacks, the traps and the events, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    seeds: Option<Vec<u64>>,
    /// Folder of recorded streams, each with queries.parquet and embeddings.npy: the orders
    /// on them, too.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Streams in that folder, separated by commas.
    #[arg(long, value_delimiter = ',', default_values_t = STREAMS.map(str::to_owned))]
    streams: Vec<String>,
    /// Where theory.csv, theory.json, checks.json and the figures go [default:
    /// target/theory].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the figures and tables of the book, too.
    #[arg(long, requires = "full")]
    page: bool,
}

const STREAMS: [&str; 4] = ["routerbench", "zeroeval", "routellm", "ollv2_semi"];

/// A part of the laboratory.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Part {
    /// `1 - ratio` against the number of arrivals.
    N,
    /// The same for 2 and for 11 models.
    Models,
    /// Against the share learned from.
    Eps,
    /// Against the capacity ratio.
    K,
    /// Against the error of estimates.
    Noise,
    /// The unit of value.
    Alpha,
    /// Unkind orders.
    Attacks,
    /// Two phases, and hoarding.
    Traps,
    /// Populations that change.
    Drift,
    /// Budgets that are none, and identical queries.
    Extremes,
    /// Wrong announcements.
    Horizon,
    /// Wrong prices.
    Costs,
    /// The orders on recorded streams.
    Recorded,
}

impl TheoryOptions {
    /// In small, as the full tier runs it.
    pub(crate) fn reduced() -> Self {
        Self {
            full: false,
            only: Vec::new(),
            seeds: None,
            data: None,
            streams: Vec::new(),
            out: None,
            page: false,
        }
    }

    fn scale(&self) -> Scale {
        let mut scale = if self.full { Scale::full() } else { Scale::reduced() };
        if let Some(seeds) = &self.seeds {
            scale.seeds = seeds.iter().copied().map(Seed).collect();
        }
        scale
    }

    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

/// What has been measured so far.
#[derive(Default)]
struct Measured {
    rows: Vec<Row>,
    checks: Vec<Check>,
    /// Tables as they are printed, by the name of their file.
    tables: Vec<(&'static str, String)>,
}

pub(crate) fn run(options: &TheoryOptions) -> Result<()> {
    let scale = options.scale();
    let mut measured = Measured::default();
    sweeps(options, &scale, &mut measured)?;
    unkind(options, &scale, &mut measured)?;
    if let Some(data) = &options.data
        && options.wants(Part::Recorded)
    {
        streams(options, data, &scale, &mut measured)?;
    }
    judge(options, &mut measured);
    write(options, &measured)?;
    let missed: Vec<&Check> = measured.checks.iter().filter(|check| !check.met).collect();
    for check in &measured.checks {
        let verdict = if check.met { "met   " } else { "MISSED" };
        println!("{verdict} {}: {} ({})", check.name, check.got, check.bar);
    }
    if let Some(first) = missed.first() {
        bail!("{} of {} checks missed, first: {}", missed.len(), measured.checks.len(), first.name);
    }
    println!("all {} checks met", measured.checks.len());
    Ok(())
}

fn sweeps(options: &TheoryOptions, scale: &Scale, measured: &mut Measured) -> Result<()> {
    if options.wants(Part::N) {
        measured.take("n", plan::by_n(5, scale)?, &[Reading::Loss])?;
    }
    if options.wants(Part::Models) {
        measured.take("n-2", plan::by_n(2, scale)?, &[Reading::Loss])?;
        measured.take("n-11", plan::by_n(11, scale)?, &[Reading::Loss])?;
    }
    if options.wants(Part::Eps) {
        measured.take("eps", (plan::by_eps(scale)?, Vec::new()), &[Reading::Loss])?;
    }
    if options.wants(Part::K) {
        measured.take("k", plan::by_k(scale)?, &[Reading::Loss])?;
    }
    if options.wants(Part::Noise) {
        measured.take("noise", plan::by_noise(scale)?, &[Reading::Loss])?;
    }
    if options.wants(Part::Alpha) {
        let (port, reference) = (alphas("port", scale.n)?, alphas("port-reference", scale.n)?);
        println!(
            "alpha {:?}\n  port {port:?}\n  port-reference {reference:?}\n",
            tollgate_lab::theory::ALPHAS
        );
        measured.checks.extend(checks::alpha(&port, &reference));
    }
    Ok(())
}

fn unkind(options: &TheoryOptions, scale: &Scale, measured: &mut Measured) -> Result<()> {
    if options.wants(Part::Attacks) {
        let readings = [Reading::Rp, Reading::OnlineLoss, Reading::Truth];
        measured.take("attacks", plan::attacks(scale), &readings)?;
    }
    if options.wants(Part::Traps) {
        measured.take("traps", plan::traps(scale), &[Reading::Truth])?;
    }
    if options.wants(Part::Drift) {
        measured.take("drift", plan::drift(scale), &[Reading::Relative, Reading::Rp])?;
    }
    if options.wants(Part::Extremes) {
        measured.take("extremes", plan::extremes(scale), &[Reading::Truth])?;
    }
    if options.wants(Part::Horizon) {
        measured.take("horizon", plan::horizon(scale), &[Reading::Rp, Reading::Relative])?;
    }
    if options.wants(Part::Costs) {
        measured.take("costs", plan::costs(scale), &[Reading::Relative, Reading::Rp])?;
    }
    Ok(())
}

/// Who is compared on recorded streams: fitting takes longer than routing there.
const ON_STREAMS: [&str; 11] = [
    "random",
    "greedy-perf",
    "greedy-cost",
    "exp-threshold",
    "batch-split",
    "port-reference",
    "port",
    "descent",
    "history",
    "history-resolve",
    "tollgate",
];

fn streams(
    options: &TheoryOptions,
    data: &Path,
    scale: &Scale,
    measured: &mut Measured,
) -> Result<()> {
    let (lines, absent) = lineup(&ON_STREAMS, scale.n);
    tell(&absent);
    let start = Instant::now();
    let mut text = "% of the approximate optimum, with 95 % intervals:\n\n".to_owned();
    for name in &options.streams {
        let stream = Table::load(data.join(name))?;
        let rows = recorded(name, &stream, &scale.seeds, &lines, &Silent)?;
        // All streams in one table would be too wide to read.
        let prefix = format!("{name}, ");
        let short = |row: &Row| Row { case: row.case.replacen(&prefix, "", 1), ..row.clone() };
        let shown: Vec<Row> = rows.iter().map(short).collect();
        let cells = table(&shown, "recorded", |row| per_cent(Reading::Rp.of(row), 1));
        text.push_str(&cells.replacen("recorded", name, 1));
        text.push('\n');
        measured.rows.extend(rows);
    }
    println!("{text}[recorded: {:.0} s]\n", start.elapsed().as_secs_f64());
    measured.tables.push(("recorded", text));
    Ok(())
}

/// Names of the line-up that the registry does not answer to: no silent gaps in a table.
fn tell(absent: &[Absent]) {
    for Absent { label, why } in absent {
        let why = why.split(';').next().unwrap_or_default();
        eprintln!("not measured: {label}: {why}");
    }
}

impl Measured {
    fn take(
        &mut self,
        file: &'static str,
        (cases, absent): (Vec<Case>, Vec<Absent>),
        readings: &[Reading],
    ) -> Result<()> {
        tell(&absent);
        let start = Instant::now();
        let rows = measure(&cases, &Silent).with_context(|| format!("the part {file}"))?;
        self.show(file, rows, readings, start);
        Ok(())
    }

    /// Prints the tables of a part and keeps its rows.
    fn show(&mut self, file: &'static str, rows: Vec<Row>, readings: &[Reading], start: Instant) {
        let mut parts: Vec<&str> = rows.iter().map(|row| row.part).collect();
        parts.dedup();
        let mut text = String::new();
        for reading in readings {
            let (what, decimals) = match reading {
                Reading::Loss => ("1 - ratio against the program on the truth, %", 3),
                Reading::OnlineLoss => ("1 - ratio against the program on the estimates, %", 2),
                Reading::Rp => ("% of the approximate optimum", 1),
                Reading::Truth => ("% of the program on the truth", 1),
                Reading::Relative => ("% of the same policy that knows", 1),
            };
            let _ = writeln!(text, "{what}, with 95 % intervals:\n");
            for part in &parts {
                text.push_str(&table(&rows, part, |row| per_cent(reading.of(row), decimals)));
                text.push('\n');
            }
        }
        println!("{text}[{file}: {:.0} s]\n", start.elapsed().as_secs_f64());
        self.tables.push((file, text));
        self.rows.extend(rows);
    }
}

/// Adds the checks of what has been measured.
fn judge(options: &TheoryOptions, measured: &mut Measured) {
    let rows = &measured.rows;
    let mut found = checks::sound(rows);
    if options.wants(Part::N) {
        found.extend(checks::slopes(rows));
        found.extend(checks::ordering(rows));
    }
    if options.full {
        if options.wants(Part::N) {
            let last = options.scale().sizes.last().copied().unwrap_or_default();
            found.extend(checks::levels(rows, last));
        }
        if options.wants(Part::Eps) {
            found.extend(checks::shares(rows));
        }
        if options.wants(Part::Noise) {
            found.extend(checks::noise(rows));
        }
        if options.wants(Part::Attacks) {
            found.extend(checks::orders(rows));
        }
        found.extend(checks::never_below_port(rows));
        if options.wants(Part::Drift) {
            found.extend(checks::drift(rows));
        }
        if options.wants(Part::Horizon) {
            found.extend(checks::horizon(rows));
        }
    }
    if options.wants(Part::Costs) {
        found.extend(checks::costs(rows));
    }
    measured.checks.extend(found);
}

fn write(options: &TheoryOptions, measured: &Measured) -> Result<()> {
    let out = options.out.clone().unwrap_or_else(|| crate::root().join("target/theory"));
    std::fs::create_dir_all(&out)?;
    std::fs::write(out.join("theory.csv"), csv(&measured.rows)?)?;
    std::fs::write(out.join("theory.json"), format!("{:#}\n", json(&measured.rows)))?;
    let judged = serde_json::to_string_pretty(&measured.checks)?;
    std::fs::write(out.join("checks.json"), judged + "\n")?;
    figures::draw(&measured.rows, &out)?;
    if options.page {
        let book = crate::root().join("book/src/theory");
        std::fs::create_dir_all(&book)?;
        figures::draw(&measured.rows, &book)?;
        for (file, text) in &measured.tables {
            std::fs::write(book.join(format!("{file}.md")), text)?;
        }
        // Of a part alone the page would have nothing but that part's.
        if options.only.is_empty() {
            std::fs::write(book.join("checks.md"), checked(&measured.checks))?;
        }
        println!("wrote {}", book.display());
    }
    println!("wrote {}", out.display());
    Ok(())
}

/// The checks as a table of the book.
fn checked(checks: &[Check]) -> String {
    let mut text = "| check | asked for | measured | |\n|---|---:|---:|---|\n".to_owned();
    for Check { name, bar, got, met, .. } in checks {
        let verdict = if *met { "met" } else { "**missed**" };
        let _ = writeln!(text, "| {name} | {bar} | {got} | {verdict} |");
    }
    text
}
