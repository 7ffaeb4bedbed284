//! One unchanged policy over streams, budgets and splits, against the best composition of
//! each cell in hindsight.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use tollgate::Spec;
use tollgate::core::Seed;
use tollgate::data::{Split, Table};
use tollgate::policies::BudgetSplit;
use tollgate::registry::{self, Composition};
use tollgate_lab::{BudgetLayout, GridCell, Options, grid};

/// Which streams, which cells, and where the page goes.
#[derive(Args, Debug)]
pub(crate) struct GridOptions {
    /// Folder of folders, each with queries.parquet and embeddings.npy; without it the
    /// embedded stream.
    #[arg(long, env = "TOLLGATE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Streams in that folder, separated by commas.
    #[arg(long, value_delimiter = ',', default_values_t = STREAMS.map(str::to_owned))]
    streams: Vec<String>,
    /// Seeds: numbers and ranges such as 100..119.
    #[arg(long, default_value = "42,1,2,3,4", value_name = "LIST")]
    seeds: String,
    /// Multiples of what the cheapest model costs, separated by commas.
    #[arg(long, value_delimiter = ',', default_values_t = [0.25, 0.5, 1.0, 2.0, 4.0])]
    budgets: Vec<f64>,
    /// Write the page of the book, for which all is measured.
    #[arg(long)]
    page: bool,
    /// Report a missed bar without failing.
    #[arg(long)]
    lenient: bool,
    /// Fail at this many times the bars only, and not for a single cell below a baseline: for
    /// fewer seeds than they are meant for.
    #[arg(long, default_value_t = 1.0)]
    slack: f64,
}

const STREAMS: [&str; 4] = ["routerbench", "zeroeval", "routellm", "ollv2_semi"];
const LAYOUTS: [BudgetLayout; 7] = [
    BudgetLayout::Split(BudgetSplit::Weighted),
    BudgetLayout::Split(BudgetSplit::Cost),
    BudgetLayout::Split(BudgetSplit::Perf),
    BudgetLayout::Split(BudgetSplit::Uniform),
    BudgetLayout::Split(BudgetSplit::Random),
    BudgetLayout::Split(BudgetSplit::Extreme(3)),
    BudgetLayout::Pooled,
];

/// Who competes, ours first. Each brings its own estimates; those that are ours in all but
/// prices say what a part is worth. PORT and the baselines of its paper are the last.
const COMPETITORS: [&str; 20] = [
    "tollgate",
    "history",
    "history-resolve",
    "window-resolve",
    "resolve",
    "descent",
    "descent:start=history",
    "descent:mirror=entropic,start=history",
    "hybrid",
    "geometric",
    "exp-threshold",
    "threshold",
    "port",
    "port-reference",
    "batch-split",
    "batch-paced",
    "greedy-perf",
    "greedy-cost",
    "greedy-density",
    "random",
];
/// Competitors from here on are baselines: ours is never to be below one in the mean of a cell.
const FIRST_BASELINE: usize = 12;
/// Mean loss over all cells, and of the worst cell, in per cent.
const BARS: [f64; 2] = [1.0, 4.0];

impl GridOptions {
    /// A part of the grid, two seeds a cell, against twice the bars.
    pub(crate) fn quick(data: &Path) -> Self {
        Self {
            data: Some(data.to_path_buf()),
            streams: STREAMS.map(str::to_owned).to_vec(),
            seeds: "42,1".to_owned(),
            budgets: vec![0.5, 2.0],
            page: false,
            lenient: false,
            slack: 2.0,
        }
    }
}

struct Measured {
    stream: String,
    cells: Vec<GridCell>,
}

pub(crate) fn run(options: &GridOptions) -> Result<()> {
    let start = Instant::now();
    let compose = |name: &&str| registry::compose(&name.parse::<Spec>()?, None, None);
    let compositions: Vec<Composition> =
        COMPETITORS.iter().map(compose).collect::<Result<_, _>>()?;
    let mut measured = Vec::new();
    for (stream, table, splits) in tables(options)? {
        let seeds: Vec<Seed> = tollgate_cli::parse_seeds(&options.seeds)?;
        let lab = Options { seeds, splits, ..Options::default() };
        let cells = grid(&table, &lab, &options.budgets, &LAYOUTS, &compositions)
            .with_context(|| stream.clone())?;
        let seconds = start.elapsed().as_secs_f64();
        println!("{stream}: {} cells, {seconds:.0} s so far", cells.len());
        measured.push(Measured { stream, cells });
    }
    let report = report(&measured, options.slack);
    println!("{}", report.text);
    if options.page {
        let path = crate::root().join("book/src/grid.md");
        std::fs::write(&path, page(&report))?;
        println!("wrote {}", path.display());
    }
    println!("{:.0} s in all", start.elapsed().as_secs_f64());
    for missed in &report.missed {
        println!("missed: {missed}");
    }
    if !report.missed.is_empty() && !options.lenient {
        bail!("{} bars were missed", report.missed.len());
    }
    Ok(())
}

type Named = (String, Table, Option<std::collections::BTreeMap<u64, Split>>);

fn tables(options: &GridOptions) -> Result<Vec<Named>> {
    let Some(root) = &options.data else {
        return Ok(vec![("embedded".to_owned(), Table::embedded(), None)]);
    };
    let load = |name: &String| -> Result<Named> {
        let table = Table::load(root.join(name))?;
        // The recorded splits where the seeds are theirs.
        let file = root.join(format!("golden/splits_{name}.csv"));
        let recorded = file.exists() && options.seeds == "42,1,2,3,4";
        let splits = recorded.then(|| Split::read_file(&file, table.len())).transpose()?;
        Ok((name.clone(), table, splits))
    };
    options.streams.iter().map(load).collect()
}

struct Summary {
    text: String,
    missed: Vec<String>,
}

fn report(measured: &[Measured], slack: f64) -> Summary {
    let mut text = String::new();
    let mut missed = Vec::new();
    let mut losses = Vec::new();
    for Measured { stream, cells } in measured {
        let _ = writeln!(text, "\n## {stream}\n");
        text.push_str("| budget | ");
        text.push_str(&LAYOUTS.map(|layout| layout.to_string()).join(" | "));
        text.push_str(" |\n|---:|");
        text.push_str(&"---|".repeat(LAYOUTS.len()));
        for (at, cell) in cells.iter().enumerate() {
            if at % LAYOUTS.len() == 0 {
                let _ = write!(text, "\n| {} |", cell.budget);
            }
            let best = cell.best();
            let loss = cell.loss(0);
            losses.push((loss, stream.as_str(), cell));
            let whose = if best == 0 { "" } else { COMPETITORS[best] };
            let _ = write!(text, " {loss:.2} {whose} |");
            missed.extend(below_baselines(stream, cell).filter(|_| slack <= 1.0));
        }
        text.push('\n');
    }
    text.push_str(&overall(measured));
    let mean = losses.iter().map(|(loss, ..)| loss).sum::<f64>() / losses.len() as f64;
    let worst = losses.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    let Some((worst, stream, cell)) = worst else { return Summary { text, missed } };
    let _ = writeln!(
        text,
        "\nMean loss over {} cells {mean:.2} % (bar {}), worst {worst:.2} % (bar {}) on {stream}, \
         {} x {}.",
        losses.len(),
        BARS[0],
        BARS[1],
        cell.budget,
        cell.layout
    );
    for (value, bar, what) in [(mean, BARS[0], "mean"), (*worst, BARS[1], "worst")] {
        if value > slack * bar {
            missed.push(format!("{what} loss {value:.2} % is above {slack} x {bar} %"));
        }
    }
    Summary { text, missed }
}

/// The baselines that have more than ours in the mean of a cell.
fn below_baselines(stream: &str, cell: &GridCell) -> impl Iterator<Item = String> {
    let ours = cell.mean(0);
    let baselines = COMPETITORS.iter().enumerate().skip(FIRST_BASELINE);
    let above = baselines.filter(move |(at, _)| cell.mean(*at) > ours);
    above.map(move |(at, name)| {
        let (budget, layout, theirs) = (cell.budget, cell.layout, cell.mean(at));
        format!("{stream}, {budget} x {layout}: {name} has {theirs:.1}, tollgate {ours:.1}")
    })
}

/// The mean and worst loss of every competitor, so that ours can be read beside them.
fn overall(measured: &[Measured]) -> String {
    let cells = || measured.iter().flat_map(|measured| &measured.cells);
    let mut text = String::from(
        "\n## All cells\n\n| composition | mean loss % | worst % | best in |\n|---|---:|---:|---:|\n",
    );
    for (at, name) in COMPETITORS.iter().enumerate() {
        let losses: Vec<f64> = cells().map(|cell| cell.loss(at)).collect();
        let mean = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
        let worst = losses.iter().copied().fold(0.0, f64::max);
        let best = cells().filter(|cell| cell.best() == at).count();
        let _ = writeln!(text, "| `{name}` | {mean:.2} | {worst:.2} | {best} |");
    }
    text
}

const PREFACE: &str = "\
# One policy in every cell

Streams, budgets and splits; five seeds a cell.
Each number is how far `tollgate`, unchanged, is below the best composition of that cell in per cent of the best's Performance, and beside it which composition that was; the best is chosen by the same five runs that it is judged by, so that of several equals the luckiest counts.
Zero, without a name, is where `tollgate` itself is the best.

Every composition brings its own estimates: the published ones five neighbors, our own `auto`.
This page is written by `cargo xtask grid --data DIR --page`.
";

fn page(report: &Summary) -> String {
    format!("{PREFACE}{}", report.text)
}
