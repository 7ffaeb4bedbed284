//! Writes the embedded stream anew.

use std::fs;

use anyhow::{Context, Result};
use tollgate::data::synthetic::{self, SyntheticConfig};

pub(crate) fn run() -> Result<()> {
    let stream = synthetic::generate(&SyntheticConfig::default(), synthetic::SEED);
    let folder = crate::root().join("fixtures/stream");
    fs::create_dir_all(&folder)?;
    let files = [
        ("embeddings.npy", &stream.embeddings_npy),
        ("queries.csv", &stream.queries_csv),
    ];
    let mut sums = String::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("can't write {}", path.display()))?;
        sums += &format!("{}  {name}\n", synthetic::checksum(bytes));
        println!("fixtures/stream/{name}: {} bytes", bytes.len());
    }
    fs::write(folder.join("SHA256SUMS"), sums)?;
    Ok(())
}
