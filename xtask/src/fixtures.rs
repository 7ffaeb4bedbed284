//! Writes the embedded stream anew.

use std::fs;

use anyhow::{Context, Result};
use tollgate::data::synthetic::{self, SyntheticConfig};

pub(crate) fn run() -> Result<()> {
    let stream = synthetic::generate(&SyntheticConfig::default(), synthetic::EMBEDDED_SEED)?;
    let folder = crate::root().join("fixtures/stream");
    fs::create_dir_all(&folder)?;
    let files = [("embeddings.npy", &stream.embeddings_npy), ("queries.csv", &stream.queries_csv)];
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("can't write {}", path.display()))?;
        println!("fixtures/stream/{name}: {} bytes", bytes.len());
    }
    fs::write(folder.join("SHA256SUMS"), stream.checksums())?;
    Ok(())
}
