//! The half of `hnsw_against_hnswlib.py` that is in Rust: builds an index of the rows of
//! one file and finds the five nearest to each row of another, on one thread.
//!
//! Arguments: file of rows, file of queries (both `f32`, little-endian), the dimension, and
//! `avx2` to do without wider instructions. Prints one JSON object: seconds of the build by
//! the wall clock and of the processor, seconds to save, load and open the file, the median,
//! the mean and the 99th percentile of a query in microseconds, the same median for the
//! opened file, and the rows found.

use std::fs;
use std::time::Instant;

use tollgate_core::{Queries, Scratch, Seed};
use tollgate_estimators::{Hnsw, HnswConfig, Index, RowSets};

type AnyError = Box<dyn std::error::Error>;

fn floats(path: &str) -> Result<Vec<f32>, AnyError> {
    let bytes = fs::read(path)?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

#[expect(clippy::disallowed_methods, reason = "measuring time is what it is for")]
fn now() -> Instant {
    Instant::now()
}

/// Seconds that the processor has spent on this program's threads, where Linux tells: on a
/// busy machine they say more than the clock.
fn processor() -> Option<f64> {
    let mut nanoseconds = 0.0;
    for thread in fs::read_dir("/proc/self/task").ok()? {
        let times = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        nanoseconds += times.split(' ').next()?.parse::<f64>().ok()?;
    }
    Some(nanoseconds / 1e9)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = now();
    let done = work();
    (done, start.elapsed().as_secs_f64())
}

/// Sorted times of all queries in microseconds, and what was found. Goes through the
/// queries twice, as the script does with hnswlib: the first time to warm up.
fn search(index: &Hnsw, queries: Queries<'_>) -> Result<(Vec<f64>, Vec<Vec<u32>>), AnyError> {
    let sets = RowSets::all();
    let mut scratch = Scratch::default();
    let (mut micros, mut found) = (Vec::new(), Vec::new());
    for round in 0..2 {
        for at in 0..queries.len() {
            let query = queries.query(at);
            let (done, seconds) = timed(|| index.nearest_into(query, 5, &sets, None, &mut scratch));
            done?;
            if round == 1 {
                micros.push(seconds * 1e6);
                found.push(scratch.child(0).scored.iter().map(|&(_, row)| row).collect());
            }
        }
    }
    micros.sort_by(f64::total_cmp);
    Ok((micros, found))
}

#[expect(clippy::print_stdout, reason = "the numbers go to the script")]
fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = std::env::args().collect();
    let (rows, queries, dim, level) = match arguments.as_slice() {
        [_, rows, queries, dim] => (rows, queries, dim, "widest"),
        [_, rows, queries, dim, level] => (rows, queries, dim, level.as_str()),
        _ => return Err("usage: hnsw_against_hnswlib ROWS QUERIES DIM [avx2]".into()),
    };
    let (rows, queries, dim) = (floats(rows)?, floats(queries)?, dim.parse()?);
    let mut index = HnswConfig::default().build()?.empty(dim, Seed(1));
    if level == "avx2" {
        index = index.at_most_avx2();
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let before = processor();
    let (built, build) = timed(|| pool.install(|| index.extend(Queries::new(&rows, dim))));
    built?;
    let build_processor = before.zip(processor()).map_or(build, |(before, after)| after - before);

    let queries = Queries::new(&queries, dim);
    let (micros, found) = search(&index, queries)?;
    let (median, high) = (micros[micros.len() / 2], micros[micros.len() * 99 / 100]);
    let mean = micros.iter().sum::<f64>() / micros.len() as f64;

    let path = std::env::temp_dir().join(format!("hnsw-{}.index", std::process::id()));
    let (saved, save) = timed(|| index.save_as(&path));
    saved?;
    let (loaded, load) = timed(|| Hnsw::load(fs::File::open(&path)?));
    drop(loaded?);
    let (opened, open) = timed(|| Hnsw::open(&path));
    let opened = if level == "avx2" { opened?.at_most_avx2() } else { opened? };
    let (opened_micros, opened_found) = search(&opened, queries)?;
    fs::remove_file(&path)?;
    if opened_found != found {
        return Err("the opened index answers otherwise".into());
    }
    println!(
        "{{\"build\": {build}, \"build_processor\": {build_processor}, \"save\": {save}, \
         \"load\": {load}, \"open\": {open}, \"median\": {median}, \"mean\": {mean}, \
         \"high\": {high}, \"opened_median\": {}, \"found\": {found:?}}}",
        opened_micros[opened_micros.len() / 2]
    );
    Ok(())
}
