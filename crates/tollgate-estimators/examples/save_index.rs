//! Keeps an index in a file: built once, and mapped into memory from then on.
//!
//! ```text
//! cargo run --release -p tollgate-estimators --example save_index
//! ```

use tollgate_core::{History, Models, Query, Scratch, Seed};
use tollgate_estimators::{IndexKind, RowSets};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Prompts of the history: three in two dimensions, with a score and a cost each.
    let embeddings = vec![1.0, 0.0, 0.0, 1.0, 0.6, 0.8];
    let history =
        History::new(Models::new(["small"])?, 2, embeddings, vec![0.5; 3], vec![0.01; 3])?;

    let index = IndexKind::for_rows(history.len()).build(&history, Seed(1))?;
    let path = std::env::temp_dir().join(format!("save-index-{}.index", std::process::id()));
    // A new file, put in the place of the one of that name.
    index.save_as(&path)?;

    // Whatever kind of index it is, it answers as the one that was saved.
    let opened = IndexKind::open(&path)?;
    let mut scratch = Scratch::default();
    let query = Query::new(&[0.5, 0.9]);
    opened.nearest_into(query, 2, &RowSets::all(), None, &mut scratch)?;
    let rows: Vec<u32> = scratch.child(0).scored.iter().map(|neighbor| neighbor.1).collect();
    assert_eq!(rows, [2, 1]);
    std::fs::remove_file(&path)?;
    Ok(())
}
