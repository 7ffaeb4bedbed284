//! Routers among models that were not there when they were made, by UniRoute's protocol: on
//! any table with many models, or on the views that the bars are for.

mod figures;
mod kept;
mod labels;
mod theory;
mod views;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use tollgate::core::Seed;
use tollgate_lab::Observer;
use tollgate_lab::theory::checks::Check;
use tollgate_lab::uniroute::report::{self, csv, headline, json, others, table};
use tollgate_lab::uniroute::{Comparison, KNN_ROUTER, Method, bars};

use self::kept::Kept;
use self::views::View;

/// What is cut how, and who is compared.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub(crate) struct UnirouteOptions {
    /// A table of its own, of whatever name, with embeddings.npy beside it.
    #[arg(long, conflicts_with = "data", value_name = "FILE")]
    table: Option<PathBuf>,
    /// Streams in --data, or views of them, where that is a folder of folders [default: those
    /// that the suite's bars are for].
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    streams: Vec<String>,
    /// Trials, each with a cut of its own [default: 100, or 200 windows of omnirouter; 10 on the
    /// embedded stream].
    #[arg(long, value_name = "N")]
    trials: Option<u64>,
    /// The first of their seeds.
    #[arg(long, value_name = "SEED", default_value_t = 1000)]
    first_seed: u64,
    /// Prompts that an unseen model is labelled on [default: 400, or the view's].
    #[arg(long, value_name = "N")]
    n_val: Option<usize>,
    /// The share of the models that are unseen [default: a third, or the view's].
    #[arg(long, value_name = "F")]
    test_share: Option<f64>,
    /// A router: zero-router, knn-router, oracle, the name of an estimator whose models come
    /// and go, or retrained/NAME or clairvoyant/NAME with any estimator, mlp or matrix. Repeat
    /// for more [default: all].
    #[arg(long = "method", alias = "methods", value_name = "SPEC")]
    methods: Vec<String>,
    /// Curves at what answers have really cost, not at each model's mean.
    #[arg(long)]
    realised: bool,
    /// Every method's trials are written to this file when they are measured, and read from it
    /// where the file has them. What it holds was measured by the program of that day.
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
    /// Area against labels of the unseen models, chosen and at random, and nothing else.
    #[arg(long)]
    labels: bool,
    /// Generators held against the theory, and nothing else.
    #[arg(long, conflicts_with_all = ["labels", "table", "n_val", "test_share", "methods", "realised", "keep"])]
    theory: bool,
    /// What takes minutes: twelve trials on the 39 models, of the pools and ZeroRouter, and only
    /// that these are above it; or two dozen windows at the lower floors.
    #[arg(long, conflicts_with_all = ["labels", "table", "streams", "trials", "methods", "page"])]
    quick: bool,
    /// Write the tables and figures of the book, too.
    #[arg(long)]
    page: bool,
}

/// The default among the pools. Declared here, before any test model is looked at; what it was
/// chosen by is on the page of the book.
const DEFAULT: &str = "ensemble";

/// Pools that have to be above ZeroRouter.
const POOLS: [&str; 5] = ["clusters", "learned-map", "factors", "random-slopes", "ensemble"];

/// As many as there are colors are drawn, from the first.
const METHODS: [&str; 15] = [
    report::ZERO_ROUTER,
    KNN_ROUTER,
    POOLS[0],
    POOLS[1],
    POOLS[2],
    POOLS[4],
    POOLS[3],
    "clairvoyant/ridge",
    "clairvoyant/trained",
    "retrained/trained",
    "clairvoyant/mlp",
    "clairvoyant/matrix",
    "retrained/mlp",
    "retrained/matrix",
    "oracle",
];

/// Below this many trials nothing is judged, but for `--quick`.
const ENOUGH: usize = 100;

/// Trials of `--quick`, and its view: the one where pools are the farthest above ZeroRouter.
const QUICK: (u64, &str) = (12, "zeroeval-39");

pub(crate) fn run(
    options: &UnirouteOptions,
    data: Option<&Path>,
    out: &Path,
    threads: Option<usize>,
) -> Result<()> {
    if let Some(threads) = threads {
        // Fails only where a pool exists already, and then that one is as good.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    std::fs::create_dir_all(out).with_context(|| format!("can't make {}", out.display()))?;
    if options.theory {
        return theory::run(options, out);
    }
    if options.labels {
        return labels::run(options, data, out);
    }
    if options.quick {
        return quick(&options.over_quick(), data, out);
    }
    let methods = options.methods()?;
    let views = views::views(options, data)?;
    let mut kept = Kept::open(options.keep.as_deref())?;
    let (mut found, mut checks) = (Vec::new(), Vec::new());
    for view in &views {
        let comparison = options.measure(view, &methods, &mut kept)?;
        if view.judged {
            checks.extend(bars::bars(&comparison, &POOLS, DEFAULT));
        }
        figures::draw(&comparison, &out.join(format!("{}.svg", view.name)))?;
        if options.page {
            let text = [headline(&comparison) + ".\n", table(&comparison), others(&comparison)];
            write_page(&view.name, &text.join("\n"))?;
            figures::draw(&comparison, &book().join(format!("{}.svg", view.name)))?;
        }
        found.push(comparison);
        // Whatever there is so far, since a long run may be stopped.
        std::fs::write(out.join("trials.csv"), csv(&found)?)?;
        let value = serde_json::to_string_pretty(&json(&found))?;
        std::fs::write(out.join("comparisons.json"), value + "\n")?;
    }
    println!("wrote {}", out.display());
    std::fs::write(out.join("checks.json"), serde_json::to_string_pretty(&checks)? + "\n")?;
    if options.page && !checks.is_empty() {
        write_page("checks", &checked(&checks))?;
    }
    if checks.is_empty() || !options.methods.is_empty() || !options.enough() {
        show(&checks);
        println!("not judged: that takes every method, {ENOUGH} trials, and the views of the bars");
        return Ok(());
    }
    verdict(&checks)
}

/// The pools against ZeroRouter in a few trials.
fn quick(options: &UnirouteOptions, data: Option<&Path>, out: &Path) -> Result<()> {
    let methods = options.methods()?;
    let mut kept = Kept::open(options.keep.as_deref())?;
    let mut checks = Vec::new();
    for view in views::views(options, data)? {
        let comparison = options.measure(&view, &methods, &mut kept)?;
        checks.extend(bars::above_zero_router(&comparison, &POOLS));
    }
    std::fs::write(out.join("checks.json"), serde_json::to_string_pretty(&checks)? + "\n")?;
    verdict(&checks)
}

/// What suites have in common.
#[derive(Debug)]
pub(crate) struct Common {
    /// Streams in the data folder; empty for the suite's own.
    pub(crate) streams: Vec<String>,
    pub(crate) trials: Option<u64>,
    pub(crate) first_seed: u64,
    pub(crate) quick: bool,
    pub(crate) page: bool,
}

impl UnirouteOptions {
    /// The options that other suites have, too.
    pub(crate) fn common(&self) -> Common {
        let Self { trials, first_seed, quick, page, .. } = *self;
        Common { streams: self.streams.clone(), trials, first_seed, quick, page }
    }

    /// The theory alone, as the full tier runs it.
    pub(crate) fn theory() -> Self {
        Self {
            table: None,
            streams: Vec::new(),
            trials: None,
            first_seed: 1000,
            n_val: None,
            test_share: None,
            methods: Vec::new(),
            realised: false,
            keep: None,
            labels: false,
            theory: true,
            quick: false,
            page: false,
        }
    }

    /// The protocol on a folder of streams, in minutes.
    pub(crate) fn quick() -> Self {
        Self { quick: true, theory: false, ..Self::theory() }
    }

    /// These options with what `--quick` stands for.
    fn over_quick(&self) -> Self {
        let (trials, view) = QUICK;
        Self {
            table: None,
            streams: vec![view.to_owned()],
            trials: Some(trials),
            first_seed: self.first_seed,
            n_val: self.n_val,
            test_share: self.test_share,
            methods: POOLS.map(str::to_owned).to_vec(),
            realised: self.realised,
            keep: self.keep.clone(),
            labels: false,
            theory: false,
            quick: false,
            page: false,
        }
    }

    /// Those named, with what everybody is held against in front.
    fn methods(&self) -> Result<Vec<Method>> {
        let all = METHODS.map(str::to_owned);
        let named = if self.methods.is_empty() { &all[..] } else { &self.methods };
        let baselines = METHODS[..2].iter().map(|&name| name.to_owned());
        let baselines = baselines.filter(|name| !named.contains(name));
        let methods: Result<Vec<Vec<Method>>, _> =
            baselines.chain(named.iter().cloned()).map(|name| Method::parse(&name)).collect();
        Ok(methods?.concat())
    }

    fn seeds(&self, embedded: bool) -> Vec<Seed> {
        let trials = self.trials.unwrap_or(if embedded { 10 } else { ENOUGH as u64 });
        (self.first_seed..self.first_seed + trials).map(Seed).collect()
    }

    fn measure(&self, view: &View, methods: &[Method], kept: &mut Kept) -> Result<Comparison> {
        let start = Instant::now();
        let seeds = self.seeds(view.embedded);
        if seeds.is_empty() {
            bail!("--trials must be >= 1, got 0");
        }
        let comparison = kept.compare(view, methods, &seeds)?;
        println!("{}\n\n{}", headline(&comparison), table(&comparison));
        println!("{}", others(&comparison));
        if let Some(theirs) = views::published(&view.name) {
            println!("{theirs}\n");
        }
        println!("[{}: {:.0} s]\n", view.name, start.elapsed().as_secs_f64());
        Ok(comparison)
    }

    /// Whether there are enough trials to judge by.
    fn enough(&self) -> bool {
        self.seeds(false).len() >= ENOUGH
    }
}

/// Where the book has its tables and figures.
fn book() -> PathBuf {
    crate::root().join("book/src/uniroute")
}

/// A table as the book includes it.
fn write_page(name: &str, text: &str) -> Result<()> {
    std::fs::create_dir_all(book())?;
    Ok(std::fs::write(book().join(format!("{name}.md")), text)?)
}

/// Checks as a table of the book.
pub(crate) fn checked(checks: &[Check]) -> String {
    let mut text = "| check | asked for | measured | |\n|---|---:|---:|---|\n".to_owned();
    for Check { name, bar, got, met, .. } in checks {
        let verdict = if *met { "met" } else { "**missed**" };
        let _ = writeln!(text, "| {name} | {bar} | {got} | {verdict} |");
    }
    text
}

/// Prints checks; fails where one is missed.
pub(crate) fn verdict(checks: &[Check]) -> Result<()> {
    show(checks);
    let missed: Vec<&Check> = checks.iter().filter(|check| !check.met).collect();
    if let Some(first) = missed.first() {
        bail!("{} of {} bars missed, first: {}", missed.len(), checks.len(), first.name);
    }
    println!("all {} bars met", checks.len());
    Ok(())
}

pub(crate) fn show(checks: &[Check]) {
    for check in checks {
        let verdict = if check.met { "met   " } else { "MISSED" };
        println!("{verdict} {}: {} ({})", check.name, check.got, check.bar);
    }
}

/// Says at every tenth of the way how far it is.
#[derive(Default)]
pub(crate) struct Steps(AtomicUsize);

impl Observer for Steps {
    fn step(&self, _done: &str, total: usize) {
        let done = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        if 10 * done / total > 10 * (done - 1) / total {
            eprintln!("{} %", 100 * done / total);
        }
    }
}
