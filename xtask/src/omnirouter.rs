//! Floors under the mean score at the least cost: compliance, cost, and rivals at equal
//! quality, on the streams that the bars are for or on any other.

mod figures;
pub(crate) mod frontier;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use tollgate::core::Seed;
use tollgate::data::{Table, read_price_list};
use tollgate_lab::omnirouter::report::{headline, json, rivals, table};
use tollgate_lab::omnirouter::{Capacity, Method, Protocol, Top, bars, compare, floors};

use crate::uniroute::{Common, Steps, checked, show, verdict};

/// What is asked of the windows.
#[derive(Args, Debug, Default)]
pub(crate) struct OmnirouterOptions {
    /// An estimator of the registry. Repeat for more [default: auto].
    #[arg(long = "predictor", value_name = "SPEC")]
    predictors: Vec<String>,
    /// How often an equal share of a window each model can take, 0 for no limit [default: 0].
    #[arg(long = "capacity", value_delimiter = ',', value_name = "LIST")]
    capacities: Vec<f64>,
    /// Floors, as shares of the way from the cheapest to the best on the history
    /// [default: 0.2,0.4,0.6,0.8,0.95].
    #[arg(long = "reach", value_delimiter = ',', value_name = "LIST")]
    reaches: Vec<f64>,
    /// In what share of the windows a floor is to be met [default: 0.9].
    #[arg(long, value_name = "F")]
    confidence: Option<f64>,
    /// The way of the floors ends at the highest that can be promised with that confidence, not
    /// at the best on the history, which is met by luck.
    #[arg(long)]
    promised: bool,
}

/// The streams that the bars are for.
const JUDGED: [&str; 3] = ["routerbench", "zeroeval", "routellm"];
/// Windows below which nothing is judged.
const ENOUGH: u64 = 200;
/// Windows of `--quick`, and its floors: those that no luck decides.
const QUICK: (u64, [f64; 3]) = (24, [0.2, 0.4, 0.6]);
/// Its methods: the one that is judged, beside the published one.
const QUICK_METHODS: [Method; 2] = [Method::Steered(1.0), Method::PublishedLoop];
/// Windows on the embedded stream.
const EMBEDDED: u64 = 10;

pub(crate) fn run(
    options: &OmnirouterOptions,
    common: &Common,
    (data, prices): (Option<&Path>, Option<&Path>),
    out: &Path,
    threads: Option<usize>,
) -> Result<()> {
    if let Some(threads) = threads {
        // Fails only where a pool exists already, and then that one is as good.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    std::fs::create_dir_all(out).with_context(|| format!("can't make {}", out.display()))?;
    let prices = prices.map(read_price_list).transpose()?;
    let methods = if common.quick { &QUICK_METHODS[..] } else { &Method::ALL[..] };
    let (mut found, mut checks) = (Vec::new(), Vec::new());
    for (name, table_of) in streams(common, data)? {
        for protocol in options.protocols(common, data.is_some())? {
            let protocol = Protocol { prices: prices.clone(), ..protocol };
            let start = Instant::now();
            let steps = Steps::default();
            let comparison = compare(name.clone(), &table_of, &protocol, methods, &steps)?;
            println!("{}\n\n{}", headline(&comparison), table(&comparison));
            if !comparison.versus.is_empty() {
                println!("{}", rivals(&comparison));
            }
            let seconds = start.elapsed().as_secs_f64();
            println!("[{name}: {seconds:.0} s]\n");
            let plain = matches!(protocol.capacity, Capacity::Unlimited);
            if plain && JUDGED.contains(&name.as_str()) {
                let judge = if common.quick { floors } else { bars };
                checks.extend(judge(&comparison));
            }
            let file = file_name(&name, &protocol);
            figures::draw(&comparison, &out.join(format!("{file}.svg")))?;
            if common.page {
                let text = [headline(&comparison) + ".\n", table(&comparison), rivals(&comparison)];
                write_page(&file, &text.join("\n"))?;
                figures::draw(&comparison, &book().join(format!("{file}.svg")))?;
            }
            found.push(comparison);
            // Whatever there is so far, since a long run may be stopped.
            let value = serde_json::to_string_pretty(&json(&found))?;
            std::fs::write(out.join("windows.json"), value + "\n")?;
        }
    }
    println!("wrote {}", out.display());
    std::fs::write(out.join("checks.json"), serde_json::to_string_pretty(&checks)? + "\n")?;
    if common.page && !checks.is_empty() {
        let name = if options.promised { "checks-promised" } else { "checks" };
        write_page(name, &checked(&checks))?;
    }
    if common.quick && !checks.is_empty() {
        return verdict(&checks);
    }
    if checks.is_empty() || common.trials.is_some_and(|trials| trials < ENOUGH) {
        show(&checks);
        println!("not judged: that takes {ENOUGH} windows, and the streams of the bars");
        return Ok(());
    }
    verdict(&checks)
}

/// Two dozen windows of the smaller streams of the bars, as the full tier runs them.
pub(crate) fn quick(data: &Path, out: &Path) -> Result<()> {
    let streams = JUDGED[..2].iter().map(|&name| name.to_owned()).collect();
    let common = Common { streams, trials: None, first_seed: 1000, quick: true, page: false };
    run(&OmnirouterOptions::default(), &common, (Some(data), None), out, None)
}

impl OmnirouterOptions {
    /// Every predictor under every capacity.
    fn protocols(&self, common: &Common, real: bool) -> Result<Vec<Protocol>> {
        let all = if real { ENOUGH } else { EMBEDDED };
        let windows = common.trials.unwrap_or(if common.quick { QUICK.0 } else { all });
        if windows == 0 {
            bail!("--trials must be >= 1, got 0");
        }
        let seeds: Vec<Seed> = (common.first_seed..common.first_seed + windows).map(Seed).collect();
        let auto = ["auto".to_owned()];
        let predictors = if self.predictors.is_empty() { &auto[..] } else { &self.predictors };
        let capacities = if self.capacities.is_empty() { &[0.0][..] } else { &self.capacities };
        let mut protocols = Vec::new();
        for predictor in predictors {
            for &times in capacities {
                let plain = Protocol::new(predictor.clone(), seeds.clone());
                protocols.push(Protocol {
                    capacity: capacity(times)?,
                    reaches: self.reaches(common)?,
                    confidence: self.confidence.unwrap_or(plain.confidence),
                    top: if self.promised { Top::Promised } else { Top::Best },
                    ..plain
                });
            }
        }
        Ok(protocols)
    }

    fn reaches(&self, common: &Common) -> Result<Vec<f64>> {
        if let Some(reach) = self.reaches.iter().find(|reach| !(0.0..=1.0).contains(*reach)) {
            bail!("--reach must be in [0, 1], got {reach}");
        }
        Ok(match (self.reaches.is_empty(), common.quick) {
            (false, _) => self.reaches.clone(),
            (true, true) => QUICK.1.to_vec(),
            (true, false) => Protocol::REACHES.to_vec(),
        })
    }
}

fn capacity(times: f64) -> Result<Capacity> {
    match times {
        0.0 => Ok(Capacity::Unlimited),
        times if times >= 1.0 && times.is_finite() => Ok(Capacity::Equal(times)),
        _ => bail!("--capacity must be 0 or >= 1, so that all queries find a place, got {times}"),
    }
}

/// The tables by name.
fn streams(common: &Common, data: Option<&Path>) -> Result<Vec<(String, Table)>> {
    let Some(data) = data else { return Ok(vec![("embedded".to_owned(), Table::embedded())]) };
    if ["queries.parquet", "queries.csv"].iter().any(|name| data.join(name).exists()) {
        let name = data.file_name().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        return Ok(vec![(name, Table::load(data)?)]);
    }
    let judged = JUDGED.map(str::to_owned);
    let names = if common.streams.is_empty() { &judged[..] } else { &common.streams };
    let load = |name: &String| {
        let table = Table::load(data.join(name)).with_context(|| name.clone())?;
        Ok((name.clone(), table))
    };
    names.iter().map(load).collect()
}

fn file_name(stream: &str, protocol: &Protocol) -> String {
    let mut name = stream.to_owned();
    if protocol.predictor != "auto" {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        name.push('-');
        name.extend(protocol.predictor.chars().map(plain));
    }
    if protocol.prices.is_some() {
        name.push_str("-priced");
    }
    if protocol.top == Top::Promised {
        name.push_str("-promised");
    }
    if let Capacity::Equal(times) = protocol.capacity {
        let _ = write!(name, "-{times}");
    }
    name
}

/// Where the book has its tables and figures.
fn book() -> std::path::PathBuf {
    crate::root().join("book/src/omnirouter")
}

/// A table as the book includes it.
fn write_page(name: &str, text: &str) -> Result<()> {
    std::fs::create_dir_all(book())?;
    Ok(std::fs::write(book().join(format!("{name}.md")), text)?)
}
