//! Spans and events on stderr; results alone go to stdout.

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// What is logged, and how.
#[derive(Args, Clone, Debug, Default)]
pub struct LogOptions {
    /// Log more: -v for info, -vv for debug, -vvv for trace. `TOLLGATE_LOG` takes
    /// filters such as `tollgate_lab=debug` and wins.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// How log lines are written to stderr.
    #[arg(long, value_enum, default_value_t, global = true)]
    pub log_format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogOptions {
    /// Starts logging to stderr.
    ///
    /// # Errors
    /// When `TOLLGATE_LOG` is not a filter, or logging has been started before.
    pub fn init(&self) -> Result<()> {
        let level = match self.verbose {
            0 => "warn",
            1 => "info",
            2 => "debug",
            _ => "trace",
        };
        let filter = match std::env::var("TOLLGATE_LOG") {
            Ok(filter) => EnvFilter::try_new(&filter)
                .with_context(|| format!("TOLLGATE_LOG is not a filter: `{filter}`"))?,
            Err(_) => EnvFilter::new(level),
        };
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_span_events(FmtSpan::CLOSE)
            .with_writer(std::io::stderr);
        let started = match self.log_format {
            LogFormat::Text => subscriber.try_init(),
            LogFormat::Json => subscriber.json().try_init(),
        };
        started.map_err(|error| anyhow::anyhow!("logging could not be started: {error}"))
    }
}
