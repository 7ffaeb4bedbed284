//! Comparisons on recorded answers: policies under budgets, or routers without.

use anyhow::{Result, bail};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, ValueEnum};
use tollgate_cli::ReplayOptions;

use crate::omnirouter::{self, OmnirouterOptions};
use crate::uniroute::{self, UnirouteOptions};

/// What is compared, and the options of either suite.
#[derive(Args, Debug)]
pub(crate) struct AblateOptions {
    /// What is compared.
    #[arg(long, value_enum, default_value_t)]
    suite: Suite,
    #[command(flatten)]
    replay: ReplayOptions,
    #[command(flatten)]
    uniroute: UnirouteOptions,
    #[command(flatten)]
    omnirouter: OmnirouterOptions,
}

/// What is compared.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum Suite {
    /// Policies on a stream, under budgets.
    #[default]
    Replay,
    /// Routers among models that were not there when they were made, by UniRoute's protocol.
    Uniroute,
    /// Floors under the mean score at the least cost, as OmniRouter asks for them.
    Omnirouter,
}

/// Options that all suites have.
const SHARED: [&str; 3] = ["data", "out", "threads"];

/// Options that the two suites of routers have.
const OF_ROUTERS: [&str; 5] = ["streams", "trials", "first_seed", "quick", "page"];

pub(crate) fn run(options: &AblateOptions, given: Option<&ArgMatches>) -> Result<()> {
    let of_replay = ids(&ReplayOptions::augment_args(Command::new("replay")));
    let of_uniroute = ids(&UnirouteOptions::augment_args(Command::new("uniroute")));
    let of_omnirouter = ids(&OmnirouterOptions::augment_args(Command::new("omnirouter")));
    let folder = crate::root().join("target/ablate");
    let ReplayOptions { data, out, threads, prices, .. } = &options.replay;
    let below = |name: &str| out.clone().unwrap_or_else(|| folder.join(name));
    match options.suite {
        Suite::Replay => {
            refuse(given, &of_uniroute, "--suite uniroute")?;
            refuse(given, &of_omnirouter, "--suite omnirouter")?;
            tollgate_cli::run(&options.replay, Some(&folder))
        }
        Suite::Uniroute => {
            refuse(given, &of_replay, "--suite replay")?;
            refuse(given, &of_omnirouter, "--suite omnirouter")?;
            uniroute::run(&options.uniroute, data.as_deref(), &below("uniroute"), *threads)
        }
        Suite::Omnirouter => {
            let foreign = of_replay.into_iter().filter(|id| id != "prices");
            refuse(given, &foreign.collect::<Vec<_>>(), "--suite replay")?;
            let foreign = of_uniroute.into_iter().filter(|id| !OF_ROUTERS.contains(&id.as_str()));
            refuse(given, &foreign.collect::<Vec<_>>(), "--suite uniroute")?;
            let (common, out) = (options.uniroute.common(), below("omnirouter"));
            let files = (data.as_deref(), prices.as_deref());
            omnirouter::run(&options.omnirouter, &common, files, &out, *threads)
        }
    }
}

fn ids(command: &Command) -> Vec<String> {
    let ids = command.get_arguments().map(|argument| argument.get_id().to_string());
    ids.filter(|id| !SHARED.contains(&id.as_str())).collect()
}

/// An option that the suite would not look at is a mistake of whoever gave it.
fn refuse(given: Option<&ArgMatches>, foreign: &[String], of: &str) -> Result<()> {
    let given = |id: &&String| {
        let source = given.and_then(|given| given.value_source(id));
        source == Some(ValueSource::CommandLine)
    };
    if let Some(id) = foreign.iter().find(given) {
        bail!("--{} is an option of {of}", id.replace('_', "-"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn outcome(arguments: &[&str]) -> Result<()> {
        let command = AblateOptions::augment_args(Command::new("ablate").no_binary_name(true));
        let matches = command.try_get_matches_from(arguments)?;
        run(&AblateOptions::from_arg_matches(&matches)?, Some(&matches))
    }

    #[test]
    fn a_suite_on_the_embedded_stream_leaves_its_files() {
        let out = std::env::temp_dir().join(format!("tollgate-uniroute-{}", std::process::id()));
        let folder = out.to_str().unwrap();
        let run = ["--suite", "uniroute", "--trials", "2", "--method", "oracle", "--out", folder];
        outcome(&run).unwrap();
        for file in ["trials.csv", "comparisons.json", "checks.json", "embedded.svg"] {
            let text = std::fs::read_to_string(out.join(file)).unwrap();
            assert!(!text.is_empty(), "{file}");
        }
        let trials = std::fs::read_to_string(out.join("trials.csv")).unwrap();
        // Both baselines, of one of them nine, and the oracle, in two trials.
        assert_eq!(trials.lines().count(), 1 + 2 * (1 + 9 + 1));
        std::fs::remove_dir_all(&out).unwrap();
    }

    #[test]
    fn options_of_the_other_suite_are_refused() {
        let message = |arguments: &[&str]| outcome(arguments).unwrap_err().to_string();
        assert_eq!(message(&["--trials", "3"]), "--trials is an option of --suite uniroute");
        let budget = ["--suite", "uniroute", "--budget", "2"];
        assert_eq!(message(&budget), "--budget is an option of --suite replay");
        let policy = ["--suite", "uniroute", "--policy", "port"];
        assert_eq!(message(&policy), "--policies is an option of --suite replay");
    }
}
