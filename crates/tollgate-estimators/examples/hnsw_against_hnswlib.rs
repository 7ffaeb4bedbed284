//! The half of `hnsw_against_hnswlib.py` that is in Rust: builds an index of the rows of
//! one file and finds the five nearest to each row of another, on one thread.
//!
//! Arguments: file of rows, file of queries (both `f32`, little-endian), the dimension.
//! Prints the seconds of the build, then the median, mean and 99th percentile of a query in
//! microseconds, then the rows found, a line a query.

use std::time::Instant;

use tollgate_core::{History, Models, Queries, Scratch, Seed};
use tollgate_estimators::{HnswConfig, Index, RowSets};

type AnyError = Box<dyn std::error::Error>;

fn floats(path: &str) -> Result<Vec<f32>, AnyError> {
    let bytes = std::fs::read(path)?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

#[expect(clippy::disallowed_methods, reason = "measuring time is what it is for")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::print_stdout, reason = "the numbers go to the script")]
fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, rows, queries, dim] = arguments.as_slice() else {
        return Err("usage: hnsw_against_hnswlib ROWS QUERIES DIM".into());
    };
    let (rows, queries, dim) = (floats(rows)?, floats(queries)?, dim.parse()?);
    let n = rows.len() / dim;
    let models = Models::new(["m"])?;
    let history = History::new(models, dim, rows, vec![0.5; n], vec![0.01; n])?;
    let recipe = HnswConfig::default().build()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let start = now();
    let index = pool.install(|| recipe.index(&history, Seed(1)))?;
    println!("{}", start.elapsed().as_secs_f64());

    let queries = Queries { embeddings: &queries, dim };
    let sets = RowSets::all();
    let mut scratch = Scratch::default();
    // Once to warm up, as the script does with hnswlib.
    let mut found = Vec::new();
    let mut micros = Vec::new();
    for round in 0..2 {
        for at in 0..queries.len() {
            let start = now();
            index.nearest_into(queries.query(at), 5, &sets, None, &mut scratch)?;
            let elapsed = start.elapsed().as_secs_f64() * 1e6;
            if round == 1 {
                micros.push(elapsed);
                found.push(scratch.child(0).scored.clone());
            }
        }
    }
    micros.sort_by(f64::total_cmp);
    let mean = micros.iter().sum::<f64>() / micros.len() as f64;
    println!("{} {mean} {}", micros[micros.len() / 2], micros[micros.len() * 99 / 100]);
    for neighbors in found {
        let rows: Vec<String> = neighbors.iter().map(|(_, row)| row.to_string()).collect();
        println!("{}", rows.join(" "));
    }
    Ok(())
}
