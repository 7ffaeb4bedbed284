//! The `tollgate` program.

use anyhow::Result;
use clap::{Parser, Subcommand};
use tollgate_cli::{LogOptions, ReplayOptions};

/// Budget-aware online routing of prompts to many language models.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    log: LogOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replays a recorded stream through policies and prints how they compare.
    Replay(Box<ReplayOptions>),
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    cli.log.init()?;
    match cli.command {
        Command::Replay(options) => tollgate_cli::run(&options, None),
    }
}
