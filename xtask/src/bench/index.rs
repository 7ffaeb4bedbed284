//! Every index of neighbors on the same points: build, query, recall and memory.
//!
//! One thread on both sides. All indexes of a set are in memory at once and take turns,
//! block by block, so that a machine that slows down slows all of them down. A query's time
//! is the least of the rounds, the median and the 99th percentile are over queries. A
//! build takes too long to be left alone by other programs, and is seldom repeated: its
//! time is the processor's, and the least of its builds.
//!
//! Recall is the share of the five nearest that is found, where a row counts that is as
//! similar as the fifth by the exact scan, up to 1e-9; its similarity is computed here,
//! whatever the index says.
//!
//! Memory is what the allocator still holds once an index is built, so it is exact, and the
//! history's own vectors are not in it: the scan shares them, HNSW has a copy in its own
//! order. For the programs compared with it is the size of the serialized index, which has
//! their copy of the vectors.

mod bars;
mod contenders;
mod foreign;
mod plain;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use tollgate::core::{Query, Scratch};
use tollgate::estimators::{ExactScan, Index as _, RowSets};

use self::contenders::{Contender, Ours};
use super::points::{self, Points};
use super::quantile;

/// Neighbors asked for.
const K: usize = 5;

/// Queries a turn, and the size of a batch.
const BLOCK: usize = 256;

/// Builds are repeated while they take less than this together.
const BUILDING: Duration = Duration::from_secs(10);

/// Longest turn: an index that takes longer answers fewer queries.
const TURN: Duration = Duration::from_millis(1_500);

/// What to search.
#[derive(Args, Debug)]
pub(crate) struct IndexOptions {
    /// Rows of the clustered sets.
    #[arg(long, value_delimiter = ',', default_value = "3000,26000,100000")]
    sizes: Vec<usize>,
    /// A million rows too: takes an hour, and 12 GB with --compare.
    #[arg(long)]
    long: bool,
    /// Rounds of builds and queries, the fastest of which counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Queries of each set.
    #[arg(long, default_value_t = 1_024)]
    queries: usize,
    /// Folder of recorded streams.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Beside hnswlib and faiss, through Python.
    #[arg(long)]
    compare: bool,
    /// Fail when recall is below its bar, or a time more than 25 % beyond its own.
    #[arg(long)]
    check: bool,
}

impl IndexOptions {
    pub(super) fn quick(compare: bool) -> Self {
        Self {
            sizes: vec![3_000, 26_000],
            long: false,
            rounds: 2,
            queries: 512,
            data: None,
            compare,
            check: true,
        }
    }

    fn sets(&self) -> Result<Vec<Points>> {
        let million = self.long.then_some(1_000_000);
        let sizes = self.sizes.iter().copied().chain(million);
        let mut sets: Vec<Points> =
            sizes.map(|n| points::clustered(n, self.queries)).collect::<Result<_>>()?;
        sets.push(points::copies(self.queries)?);
        sets.push(points::balls(self.queries)?);
        if let Some(data) = &self.data {
            sets.extend(points::recorded(data, self.queries)?);
        }
        Ok(sets)
    }
}

/// One line of the table.
#[derive(Debug)]
struct Line {
    index: String,
    build_s: f64,
    p50_us: f64,
    p99_us: f64,
    recall: f64,
    bytes: usize,
}

pub(super) fn run(options: &IndexOptions) -> Result<()> {
    if options.rounds == 0 || options.queries == 0 {
        bail!("--rounds and --queries must be >= 1");
    }
    let python = if options.compare { foreign::Python::start()? } else { None };
    println!(
        "k = {K}, one thread, least of {} rounds; memory beyond the history's own vectors\n\n\
         {:<22} {:<18} {:>11} {:>12} {:>9} {:>9} {:>10}",
        options.rounds,
        "points",
        "index",
        "build CPU s",
        "query us p50",
        "p99",
        "recall@5",
        "memory MB"
    );
    let mut measured = Vec::new();
    for points in options.sets()? {
        let ours = contenders::OURS.iter().map(|ours| Ours::boxed(ours, &points));
        let theirs = foreign::theirs(python.as_ref(), &points)?;
        let lines = measure(&points, ours.chain(theirs).collect(), options.rounds)?;
        for line in &lines {
            println!("{}", show(&points.name, line));
        }
        measured.push((points.kind, points.history.len(), points.name, lines));
    }
    if let Some(python) = &python {
        println!("\n{}", python.note());
    }
    bars::report(&measured, options.check)
}

fn show(points: &str, line: &Line) -> String {
    let Line { index, build_s, p50_us, p99_us, recall, bytes } = line;
    let megabytes = *bytes as f64 / 1e6;
    format!(
        "{points:<22} {index:<18} {build_s:>11.3} {p50_us:>12.1} {p99_us:>9.1} {recall:>9.4} \
         {megabytes:>10.1}"
    )
}

/// What is known of a contender so far.
struct Progress {
    builds: Vec<f64>,
    bytes: usize,
    /// Least time of each query in microseconds; infinite where it was never asked.
    micros: Vec<f64>,
    /// What the first round found.
    found: Vec<Option<Vec<u32>>>,
}

fn measure(
    points: &Points,
    mut contenders: Vec<Box<dyn Contender + '_>>,
    rounds: usize,
) -> Result<Vec<Line>> {
    let n_queries = points.queries().len();
    let mut progress: Vec<Progress> = contenders
        .iter()
        .map(|_| Progress {
            builds: Vec::new(),
            bytes: 0,
            micros: vec![f64::INFINITY; n_queries],
            found: vec![None; n_queries],
        })
        .collect();
    for _ in 0..rounds {
        for (contender, progress) in contenders.iter_mut().zip(&mut progress) {
            if progress.builds.iter().sum::<f64>() < BUILDING.as_secs_f64() {
                let built = contender.build()?;
                progress.builds.push(built.seconds);
                progress.bytes = built.bytes;
            }
        }
    }
    for _ in 0..rounds {
        for from in (0..n_queries).step_by(BLOCK) {
            let block = from..(from + BLOCK).min(n_queries);
            for (contender, progress) in contenders.iter_mut().zip(&mut progress) {
                let answers = contender.search(block.clone(), TURN)?;
                for (at, answer) in block.clone().zip(answers) {
                    progress.micros[at] = progress.micros[at].min(answer.micros);
                    progress.found[at].get_or_insert(answer.rows);
                }
            }
        }
    }
    let truth = Truth::new(points)?;
    let lines = contenders.iter().zip(progress).map(|(contender, progress)| Line {
        index: contender.label().to_owned(),
        build_s: progress.builds.iter().copied().fold(f64::INFINITY, f64::min),
        p50_us: quantile(&progress.micros, 0.5),
        p99_us: quantile(&progress.micros, 0.99),
        recall: truth.recall(&progress.found),
        bytes: progress.bytes,
    });
    Ok(lines.collect())
}

/// How similar the fifth nearest row of each query is.
struct Truth<'a> {
    points: &'a Points,
    fifth: Vec<f64>,
}

impl<'a> Truth<'a> {
    fn new(points: &'a Points) -> Result<Self> {
        let scan = ExactScan::new(&points.history)?;
        let (sets, mut scratch) = (RowSets::all(), Scratch::default());
        let mut fifth = Vec::new();
        for at in 0..points.queries().len() {
            let query: Query<'_> = points.queries().query(at);
            scan.nearest_into(query, K, &sets, None, &mut scratch)?;
            let (similarity, _) = scratch.child(0).scored.last().context("a set has rows")?;
            fifth.push(*similarity);
        }
        Ok(Self { points, fifth })
    }

    /// Over the queries that were answered.
    fn recall(&self, found: &[Option<Vec<u32>>]) -> f64 {
        let (mut hits, mut wanted) = (0, 0);
        for (at, rows) in found.iter().enumerate() {
            let Some(rows) = rows else { continue };
            let query = self.points.queries().query(at).embedding;
            let mut rows = rows.clone();
            rows.sort_unstable();
            rows.dedup();
            let near = |&&row: &&u32| {
                let row = self.points.history.queries().query(row as usize).embedding;
                cosine(query, row) >= self.fifth[at] - 1e-9
            };
            hits += rows.iter().filter(near).count().min(K);
            wanted += K.min(self.points.history.len());
        }
        hits as f64 / wanted as f64
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests;
