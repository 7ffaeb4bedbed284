//! Measures LSH against scans: the same vectors, one thread, in turns.
//!
//!     cargo run --release -p tollgate-estimators --example lsh_against_scan -- DATA ...
//!
//! DATA: `c20k`, `c100k`, ... (thousands of rows in 200 overlapping clusters, 384
//! dimensions with a power-law spectrum, as in `hnsw_against_hnswlib.py`), or an `.npy` file
//! of `f32` rows, of which every fifteenth stands for a query and the rest are indexed.
//!
//! The plain scan takes an `f32` dot product of every row in eight lanes and keeps the best
//! five. Median microseconds a query over rounds in turns; recall of the five nearest, where
//! a row as similar as the fifth, up to 1e-9, counts.

use std::time::Instant;

use tollgate_core::{History, Models, Purpose, Queries, Scratch, Seed};
use tollgate_estimators::{ExactScan, Index, LshConfig, LshFamily, RowSets};

type AnyError = Box<dyn std::error::Error>;

const DIM: usize = 384;
const K: usize = 5;
const ROUNDS: usize = 3;
const QUERIES: usize = 300;

fn normalize(x: &mut [f64]) {
    let length = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    for x in x {
        *x /= length;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
fn narrow(x: &[f64]) -> impl Iterator<Item = f32> {
    x.iter().map(|&x| x as f32)
}

/// 200 clusters whose centers and spread have the spectrum `l^-1/2`, each of length 1.
fn clusters(n: usize) -> Vec<f32> {
    let mut rng = Seed(1).stream(Purpose::Synthesis, 0);
    let spectrum: Vec<f64> = (1..=DIM).map(|l| (l as f64).powf(-0.5)).collect();
    let total = spectrum.iter().map(|x| x * x).sum::<f64>().sqrt();
    let mut centers: Vec<Vec<f64>> =
        (0..200).map(|_| spectrum.iter().map(|x| x * rng.normal()).collect()).collect();
    for center in &mut centers {
        normalize(center);
    }
    let mut rows = Vec::with_capacity(n * DIM);
    for _ in 0..n {
        let center = &centers[rng.below(200)];
        let mut row: Vec<f64> =
            center.iter().zip(&spectrum).map(|(c, x)| c + x * rng.normal() / total).collect();
        normalize(&mut row);
        rows.extend(narrow(&row));
    }
    rows
}

/// The rows and the queries.
fn data(name: &str) -> Result<[Vec<f32>; 2], AnyError> {
    if let Some(thousands) = name.strip_prefix('c').and_then(|rest| rest.strip_suffix('k')) {
        let n = 1000 * thousands.parse::<usize>()?;
        let mut rows = clusters(n + QUERIES);
        let queries = rows.split_off(n * DIM);
        return Ok([rows, queries]);
    }
    let bytes = std::fs::read(name)?;
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let all: Vec<f32> =
        bytes[header..].as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let (mut rows, mut queries) = (Vec::new(), Vec::new());
    for (at, row) in all.chunks_exact(DIM).enumerate() {
        let mut row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
        normalize(&mut row);
        let side = if at % 15 == 7 { &mut queries } else { &mut rows };
        side.extend(narrow(&row));
    }
    Ok([rows, queries])
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (x, y) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum()
}

fn plain(rows: &[f32], query: &[f32]) -> [(f32, usize); K] {
    let mut best = [(f32::NEG_INFINITY, 0); K];
    for (at, row) in rows.chunks_exact(DIM).enumerate() {
        let similarity = dot(row, query);
        if similarity > best[K - 1].0 {
            let place = best.partition_point(|other| other.0 >= similarity);
            best.copy_within(place..K - 1, place + 1);
            best[place] = (similarity, at);
        }
    }
    best
}

#[expect(clippy::disallowed_methods, reason = "measuring time is what it is for")]
fn now() -> Instant {
    Instant::now()
}

fn median(micros: &mut [f64]) -> f64 {
    micros.sort_by(f64::total_cmp);
    micros[micros.len() / 2]
}

#[expect(clippy::print_stdout, reason = "the numbers are the point")]
fn run(name: &str) -> Result<(), AnyError> {
    let [rows, queries] = data(name)?;
    let n = rows.len() / DIM;
    let queries = Queries::new(&queries[..(queries.len()).min(QUERIES * DIM)], DIM);
    let history = History::new(Models::new(["m"])?, DIM, rows, vec![0.5; n], vec![0.01; n])?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let scan = ExactScan::new(&history)?;
    let mut all: Vec<(&str, Box<dyn Index>)> = vec![("scan", Box::new(scan))];
    println!("{name}: {n} rows, {} queries", queries.len());
    let families =
        [("cross-polytope", LshFamily::CrossPolytope), ("hyperplanes", LshFamily::Hyperplanes)];
    for (label, family) in families {
        for target in [0.95, 0.97] {
            let recipe = LshConfig::default().family(family).target_recall(target).build()?;
            let start = now();
            let index = pool.install(|| recipe.index(&history, Seed(1)))?;
            let seconds = start.elapsed().as_secs_f64();
            println!("{label} {target}: build {seconds:.2} s, {:?}", index.report());
            all.push((label, Box::new(index)));
        }
    }
    let sets = RowSets::all();
    let mut scratch = Scratch::default();
    let mut plain_micros = Vec::new();
    let mut micros = vec![Vec::new(); all.len()];
    for _ in 0..ROUNDS {
        for at in 0..queries.len() {
            let query = queries.query(at);
            let start = now();
            std::hint::black_box(plain(history.embeddings(), query.embedding));
            plain_micros.push(start.elapsed().as_secs_f64() * 1e6);
        }
        for (which, (_, index)) in all.iter().enumerate() {
            for at in 0..queries.len() {
                let start = now();
                index.nearest_into(queries.query(at), K, &sets, None, &mut scratch)?;
                micros[which].push(start.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    // Against the scan, which is exact.
    let mut exact = Vec::new();
    for at in 0..queries.len() {
        all[0].1.nearest_into(queries.query(at), K, &sets, None, &mut scratch)?;
        exact.push(scratch.child(0).scored[K - 1].0);
    }
    let base = median(&mut plain_micros);
    println!("  plain f32 scan {base:8.1} us");
    for ((label, index), micros) in all.iter().zip(&mut micros) {
        let mut found = 0;
        for (at, fifth) in exact.iter().enumerate() {
            index.nearest_into(queries.query(at), K, &sets, None, &mut scratch)?;
            let near = scratch.child(0).scored.iter();
            found += near.filter(|neighbor| neighbor.0 >= fifth - 1e-9).count();
        }
        let recall = found as f64 / (K * queries.len()) as f64;
        let time = median(micros);
        println!("  {label:14} {time:8.1} us  {:.3} of plain  recall {recall:.4}", time / base);
    }
    Ok(())
}

fn main() -> Result<(), AnyError> {
    std::env::args().skip(1).try_for_each(|name| run(&name))
}
