//! What no compiler checks.
//!
//! * Arrows point one way: `core <- {estimators, solvers, policies, data} <- tollgate <-
//!   lab <- cli <- xtask`; the middle four never see one another.
//! * A file of more than 500 lines probably holds two ideas.
//! * The top level holds what a newcomer should read, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell;

/// What each crate may depend on. Test-only dependencies on the testkit are free.
const ARROWS: &[(&str, &[&str])] = &[
    ("tollgate-core", &[]),
    ("tollgate-estimators", &["tollgate-core"]),
    ("tollgate-solvers", &["tollgate-core"]),
    ("tollgate-policies", &["tollgate-core"]),
    ("tollgate-data", &["tollgate-core"]),
    ("tollgate-testkit", &["tollgate-core"]),
    (
        "tollgate",
        &[
            "tollgate-core",
            "tollgate-data",
            "tollgate-estimators",
            "tollgate-policies",
            "tollgate-solvers",
        ],
    ),
    ("tollgate-lab", &["tollgate"]),
    ("tollgate-cli", &["tollgate", "tollgate-lab"]),
    ("xtask", &["tollgate", "tollgate-cli", "tollgate-lab", "tollgate-testkit"]),
    ("tollgate-tests", &["tollgate", "tollgate-cli", "tollgate-lab"]),
];

const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".git",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "book",
    "clippy.toml",
    "crates",
    "fixtures",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "target",
    "tests",
    "xtask",
];

const LONGEST_FILE: usize = 500;

pub(crate) fn run() -> Result<()> {
    let metadata = shell::output("cargo", &["metadata", "--format-version=1", "--no-deps"])?;
    let mut faults = arrows(&serde_json::from_str(&metadata)?)?;
    faults.extend(long_files()?);
    faults.extend(litter()?);
    if faults.is_empty() {
        println!("tidy: arrows, file sizes and the top level are as they should be");
        return Ok(());
    }
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    bail!("{} faults", faults.len());
}

fn arrows(metadata: &Value) -> Result<Vec<String>> {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut faults = Vec::new();
    for package in metadata["packages"].as_array().context("metadata without packages")? {
        let name = package["name"].as_str().context("a package without a name")?;
        let Some(allowed) = allowed.get(name) else {
            faults.push(format!("crate {name} is not in the list of arrows"));
            continue;
        };
        for dependency in package["dependencies"].as_array().context("no dependencies")? {
            let on = dependency["name"].as_str().context("a dependency without a name")?;
            let ours = on.starts_with("tollgate") || on == "xtask";
            let for_tests = dependency["kind"] == "dev" && on == "tollgate-testkit";
            if ours && !for_tests && !allowed.contains(&on) {
                faults.push(format!("{name} must not depend on {on}"));
            }
        }
    }
    Ok(faults)
}

fn long_files() -> Result<Vec<String>> {
    let root = crate::root();
    let mut faults = Vec::new();
    let mut folders: Vec<PathBuf> = ["crates", "tests", "xtask"].map(|dir| root.join(dir)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                faults.extend(long_file(&path, &root)?);
            }
        }
    }
    faults.sort();
    Ok(faults)
}

fn long_file(path: &Path, root: &Path) -> Result<Option<String>> {
    let lines = fs::read_to_string(path)?.lines().count();
    let shown = path.strip_prefix(root).unwrap_or(path).display();
    Ok((lines > LONGEST_FILE)
        .then(|| format!("{shown} has {lines} lines, more than {LONGEST_FILE}")))
}

fn litter() -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for entry in fs::read_dir(crate::root())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !TOP_LEVEL.contains(&name.as_str()) {
            faults.push(format!("{name} does not belong on the top level"));
        }
    }
    faults.sort();
    Ok(faults)
}
