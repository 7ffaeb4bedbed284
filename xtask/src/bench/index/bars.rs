//! What is promised, beside what was measured.

use std::fmt;

use anyhow::{Result, bail};

use super::Line;
use super::contenders::{BATCHED, HNSW, LSH, PLAIN, SCAN};
use super::foreign::{FLAT, FLAT_BATCHED, HNSWLIB};
use crate::bench::points::Kind;

/// How far a time may be beyond its bar before a check fails: other programs run too.
const SLACK: f64 = 1.5;

/// How many times the misses that a recall may have before a check fails: of a few hundred
/// queries one that loses all of its neighbors is chance.
const MISSES: f64 = 2.0;

/// Rows from which a graph is worth its build.
const LARGE: usize = 10_000;

/// Rows up to which a coded history stays in a cache, which the scan's bars are about.
const CACHED: usize = 50_000;

/// One set of points as it was measured: its kind, rows, name and lines.
pub(super) type Measured = (Kind, usize, String, Vec<Line>);

#[derive(Clone, Copy, Debug)]
pub(super) enum Bar {
    /// A ratio of times.
    AtMost(f64),
    /// A recall.
    AtLeast(f64),
}

impl Bar {
    pub(super) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    pub(super) fn nearly_holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= SLACK * most,
            Self::AtLeast(least) => 1.0 - value <= MISSES * (1.0 - least),
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::AtLeast(least) => write!(f, ">= {least}"),
        }
    }
}

/// Prints every promise; with `check`, fails for those that are broken by far.
pub(super) fn report(measured: &[Measured], check: bool) -> Result<()> {
    let wide = wide_registers();
    let kind = if wide { "AVX-512" } else { "without AVX-512" };
    println!("\nwhat is promised ({kind})");
    let mut broken = Vec::new();
    let mut seen = Seen::default();
    for (kind, n_rows, name, lines) in measured {
        for (what, value, bar) in promises(*kind, *n_rows, lines, wide) {
            seen.note(what);
            let verdict = if bar.holds(value) { "OK" } else { "BELOW" };
            let bar_text = bar.to_string();
            println!("{name:<22} {what:<40} {value:>8.4} {bar_text:<9} {verdict}");
            if !bar.nearly_holds(value) {
                broken.push(format!("{name}: {what} is {value:.4}, promised {bar}"));
            }
        }
    }
    for what in seen.missing() {
        println!("{:<22} {what:<40} not measured in this run", "-");
    }
    if check && !broken.is_empty() {
        bail!("promises are broken:\n{}", broken.join("\n"));
    }
    Ok(())
}

const HNSW_RECALL: &str = "hnsw, recall";
const HNSW_QUERY: &str = "hnsw / hnswlib, query p50";
const HNSW_BUILD: &str = "hnsw / hnswlib, build";
const SCAN_QUERY: &str = "scan / faiss flat, one query p50";
const SCAN_BATCH: &str = "scan in batches / faiss flat, the faster";
const LSH_RECALL: &str = "lsh, recall";
const LSH_QUERY: &str = "lsh / plain f32 scan, query p50";

/// What a set of points has something to say about.
fn promises(
    kind: Kind,
    n_rows: usize,
    lines: &[Line],
    wide: bool,
) -> Vec<(&'static str, f64, Bar)> {
    let line = |name: &str| lines.iter().find(|line| line.index == name);
    let ratio =
        |ours: &str, theirs: &str, of: fn(&Line) -> f64| Some(of(line(ours)?) / of(line(theirs)?));
    let query = |line: &Line| line.p50_us;
    let (hnsw_query, hnsw_build, scan_query) =
        if wide { (0.55, 0.65, 0.18) } else { (0.9, 0.85, 0.4) };
    let recall = if kind == Kind::Recorded { 0.99 } else { 0.999 };
    let large = n_rows >= LARGE && kind != Kind::Duplicates;
    let cached = large && n_rows <= CACHED && kind == Kind::Clustered;
    // Whichever of its two is faster: its batches are not always.
    let batch = [FLAT, FLAT_BATCHED].into_iter().filter_map(|flat| ratio(BATCHED, flat, query));
    let batch = batch.reduce(f64::max);
    let promises = [
        (true, HNSW_RECALL, line(HNSW).map(|line| line.recall), Bar::AtLeast(recall)),
        (large, HNSW_QUERY, ratio(HNSW, HNSWLIB, query), Bar::AtMost(hnsw_query)),
        (large, HNSW_BUILD, ratio(HNSW, HNSWLIB, |line| line.build_s), Bar::AtMost(hnsw_build)),
        (cached, SCAN_QUERY, ratio(SCAN, FLAT, query), Bar::AtMost(scan_query)),
        (cached, SCAN_BATCH, batch, Bar::AtMost(0.15)),
        (large, LSH_RECALL, line(LSH).map(|line| line.recall), Bar::AtLeast(0.95)),
        (large, LSH_QUERY, ratio(LSH, PLAIN, query), Bar::AtMost(0.25)),
    ];
    promises
        .into_iter()
        .filter_map(|(applies, what, value, bar)| Some((what, value.filter(|_| applies)?, bar)))
        .collect()
}

/// Which promises had something to measure.
#[derive(Default)]
struct Seen(Vec<&'static str>);

impl Seen {
    fn note(&mut self, what: &'static str) {
        self.0.push(what);
    }

    fn missing(&self) -> impl Iterator<Item = &'static str> {
        let all =
            [HNSW_RECALL, HNSW_QUERY, HNSW_BUILD, SCAN_QUERY, SCAN_BATCH, LSH_RECALL, LSH_QUERY];
        all.into_iter().filter(|what| !self.0.contains(what))
    }
}

/// Whether the machine has what the faster kernels are written for.
fn wide_registers() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}
