//! Runs an experiment and prints its report.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use tollgate_lab::{Experiment, Report};

use crate::progress::Bar;
use crate::{Format, ReplayOptions};

/// Replays what the options say, prints the report to stdout and writes it, in every
/// format, to `--out` or else to `default_out` where there is one.
///
/// # Errors
/// Whatever is wrong with the options, the data or the folder.
pub fn run(options: &ReplayOptions, default_out: Option<&Path>) -> Result<()> {
    if let Some(threads) = options.threads {
        // Fails only where a pool exists already, and then that one is as good.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    let compositions = options.compositions()?;
    options.check_baseline()?;
    let table = options.table()?;
    let experiment =
        Experiment::new(options.stream_name(), &table, options.lab_options(&table)?, compositions)?;
    let bar = Bar::new();
    let report = experiment.run(&bar);
    bar.finish();
    let report = report?;
    if let Some(out) = options.out.as_deref().or(default_out) {
        write(&report, out)?;
    }
    print(&report, options)
}

fn write(report: &Report, out: &Path) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("can't make {}", out.display()))?;
    let save = |name: &str, text: String| {
        let path = out.join(name);
        fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))
    };
    save("results.csv", report.csv()?)?;
    save("results.json", serde_json::to_string_pretty(&report.json())? + "\n")?;
    save("timings.csv", report.timings_csv()?)
}

fn print(report: &Report, options: &ReplayOptions) -> Result<()> {
    let text = match options.format {
        Format::Table => report.table(&options.baseline),
        Format::Csv => report.csv()?,
        Format::Json => serde_json::to_string_pretty(&report.json())? + "\n",
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        // A reader that has seen enough (`| head`) is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
