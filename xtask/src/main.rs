//! The project's own chores: `cargo xtask`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

mod ablate;
mod bench;
mod book;
mod ci;
mod drawing;
mod fixtures;
mod grid;
mod omnirouter;
mod shell;
mod simulate;
mod theory;
mod tidy;
mod uniroute;
mod variants;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tollgate_cli::LogOptions;

/// The project's own chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(flatten)]
    log: LogOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs all policies on the embedded stream, or on --data, and prints the table; or, with
    /// --suite uniroute, routers among models that were not there when they were made; or, with
    /// --suite omnirouter, floors under the mean score at the least cost.
    Ablate(Box<ablate::AblateOptions>),
    /// Runs the default policy against PORT over seeds, halves of the models and single
    /// tasks, and prints the page of the book.
    Variants(variants::VariantsOptions),
    /// Holds the default policy against the best composition of every cell of streams, budgets
    /// and splits.
    Grid(grid::GridOptions),
    /// Writes fixtures/stream anew from its seed.
    Fixtures,
    /// Times the hot paths, ratios in one run.
    Bench(bench::BenchOptions),
    /// Measures competitive ratios, attacks and traps, and holds them against the theory.
    Theory(theory::TheoryOptions),
    /// Lets streams run through policies in simulated time, by arrival process.
    Simulate(simulate::SimulateOptions),
    /// Builds the book.
    Book,
    /// Checks what no compiler checks: which crate may see which, and file sizes.
    Tidy,
    /// The full tier: everything the fast tier has, and the real streams.
    Ci(ci::CiOptions),
}

fn main() -> Result<()> {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches)?;
    cli.log.init()?;
    match cli.command {
        Command::Ablate(options) => ablate::run(&options, matches.subcommand_matches("ablate")),
        Command::Variants(options) => variants::run(&options),
        Command::Grid(options) => grid::run(&options),
        Command::Fixtures => fixtures::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Theory(options) => theory::run(&options),
        Command::Simulate(options) => simulate::run(&options),
        Command::Book => book::run(),
        Command::Tidy => tidy::run(),
        Command::Ci(options) => ci::run(&options),
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
