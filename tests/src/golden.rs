//! The recorded figures in `fixtures/golden`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tollgate::core::EstimateTable;

/// The streams that the published PORT code was recorded on.
pub const STREAMS: [&str; 3] = ["routerbench", "zeroeval", "routellm"];

/// How far a recorded objective may be from the same in double precision, relative: the
/// published code evaluates it partly in single precision.
pub const SINGLE: f64 = 1e-7;

/// `port_<stream>.toml`: what the published PORT code did on a stream.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// The stream.
    pub stream: String,
    /// The seed of the split.
    pub seed: u64,
    /// Neighbors averaged.
    pub k: usize,
    /// Arrivals.
    pub n_stream: usize,
    /// Prompts of history.
    pub n_history: usize,
    /// The weight of quality in the published objective.
    pub alpha: f64,
    /// The models, sorted bytewise.
    pub models: Vec<String>,
    /// USD, one a model.
    pub budgets: Vec<f64>,
    /// One a learning share.
    pub runs: Vec<PortRun>,
    /// The approximate optimum.
    pub approx_optimum: Hindsight,
    /// The optimum.
    pub optimum: Hindsight,
    /// Greedy-Perf.
    pub greedy_perf: Greedy,
    /// Greedy-Cost.
    pub greedy_cost: Greedy,
    /// A few arrivals in full.
    pub excerpt: Excerpt,
}

/// One recorded run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortRun {
    /// The share of the arrivals that is learned from.
    pub eps: f64,
    /// How many arrivals that is.
    pub learn: usize,
    /// The prices learned, one a model.
    pub gamma: Vec<f64>,
    /// The published objective at these prices.
    pub objective: f64,
    /// Sum of the scores of the served queries.
    pub performance: f64,
    /// What they cost, in USD.
    pub cost: f64,
    /// How many they are.
    pub served: u64,
}

/// A recorded oracle.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hindsight {
    /// The value of its linear program.
    pub lp_value: f64,
    /// Sum of the scores of the served queries.
    pub performance: f64,
    /// What they cost, in USD.
    pub cost: f64,
    /// How many they are.
    pub served: u64,
}

/// A recorded greedy baseline.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Greedy {
    /// Sum of the scores of the served queries.
    pub performance: f64,
    /// What they cost, in USD.
    pub cost: f64,
}

/// The first arrivals of one run: the learning prefix and some decisions after it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excerpt {
    /// Which run.
    pub eps: f64,
    /// The model chosen for each arrival after the prefix.
    pub choice: Vec<usize>,
    /// Expected scores, one row an arrival.
    pub quality: Vec<Vec<f64>>,
    /// Expected costs in USD, one row an arrival.
    pub cost: Vec<Vec<f64>>,
}

impl Port {
    /// Reads `port_<stream>.toml`.
    ///
    /// # Panics
    /// When it is not there, or not as [`Port`] has it.
    pub fn read(stream: &str) -> Self {
        read(&format!("port_{stream}.toml"))
    }

    /// The run that learns from this share.
    ///
    /// # Panics
    /// When there is none.
    pub fn run(&self, eps: f64) -> &PortRun {
        let found = self.runs.iter().find(|run| run.eps.total_cmp(&eps).is_eq());
        found.expect("a run was recorded for this share")
    }
}

impl Excerpt {
    /// The estimates of all its arrivals.
    pub fn estimates(&self) -> EstimateTable {
        estimates(&self.quality, &self.cost)
    }
}

/// Estimates from rows, without standard errors.
///
/// # Panics
/// When the rows are not of one length.
pub fn estimates(quality: &[Vec<f64>], cost: &[Vec<f64>]) -> EstimateTable {
    let n_models = quality.first().map_or(0, Vec::len);
    let mut table = EstimateTable::zeros(quality.len(), n_models);
    table.fill(|out| {
        out.quality.copy_from_slice(&quality.concat());
        out.cost.copy_from_slice(&cost.concat());
    });
    table
}

/// `paper.toml`: the main table of the PORT paper.
#[derive(Clone, Debug, Deserialize)]
pub struct Paper {
    /// The ratios in its abstract.
    pub headline: Measures,
    /// Its rows by data set and method.
    #[serde(flatten)]
    pub tables: BTreeMap<String, BTreeMap<String, PaperRow>>,
}

/// The paper's three measures.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measures {
    /// Performance.
    pub performance: f64,
    /// Performance per USD.
    pub ppc: f64,
    /// Queries served.
    pub throughput: f64,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperRow {
    /// Performance.
    pub performance: f64,
    /// Performance per USD.
    pub ppc: f64,
    /// Queries served.
    pub throughput: f64,
    /// Per cent of the approximate optimum's Performance.
    pub rp: f64,
}

impl Paper {
    /// Reads it.
    ///
    /// # Panics
    /// When it is not there, or not as [`Paper`] has it.
    pub fn read() -> Self {
        read("paper.toml")
    }
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/golden");
    let text = std::fs::read_to_string(folder.join(name)).expect("a golden file in fixtures");
    toml::from_str(&text).expect("a golden file as its writer has it")
}
