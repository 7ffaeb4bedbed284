//! Times the hot paths: ratios in one run, since absolute times depend on the machine.

mod decide;
mod index;
mod memory;
mod points;
mod pool;
mod python;
mod route;
mod solve;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::shell;

/// What to time.
#[derive(Args, Debug)]
pub(crate) struct BenchOptions {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The benchmarks of every crate (divan).
    All,
    /// Decisions per second on one thread: rank, reserve and settle, estimates given.
    Decide {
        /// Fail below this many decisions per second with 11 models.
        #[arg(long, default_value_t = 1e6)]
        at_least: f64,
        /// Fail below this many with 64 models and 100 tenants.
        #[arg(long, default_value_t = 2e5)]
        at_least_large: f64,
    },
    /// Whole decisions on one thread: an embedding comes in, a reservation goes out.
    Route(route::RouteOptions),
    /// Two threads route while a model comes and goes.
    Pool(pool::PoolOptions),
    /// Every index of neighbors: build, query, recall and memory.
    Index(index::IndexOptions),
    /// Every solver: time to a gap, cold and warm, and how it grows; or the default one
    /// against HiGHS and Clarabel.
    Solve(solve::SolveOptionsOfBench),
}

impl BenchOptions {
    /// Decisions per second, against half of what is promised: the machine may be busy.
    pub(crate) fn decide() -> Self {
        Self { what: What::Decide { at_least: 5e5, at_least_large: 1e5 } }
    }

    /// Whole decisions, against what is promised and some slack, beside the published
    /// reference's where that can be had.
    pub(crate) fn route(compare: bool) -> Self {
        Self { what: What::Route(route::RouteOptions::quick(compare)) }
    }

    /// A pool that changes under traffic, against what is promised.
    pub(crate) fn pool() -> Self {
        Self { what: What::Pool(pool::PoolOptions::quick()) }
    }

    /// The indexes on small sets, beside hnswlib and faiss where those can be had.
    pub(crate) fn index(compare: bool) -> Self {
        Self { what: What::Index(index::IndexOptions::quick(compare)) }
    }

    /// The comparison with HiGHS at its published size, with some slack.
    pub(crate) fn solve() -> Self {
        Self { what: What::Solve(solve::SolveOptionsOfBench::comparison()) }
    }
}

pub(crate) fn run(options: &BenchOptions) -> Result<()> {
    match &options.what {
        What::All => shell::run("cargo", &["bench", "--workspace", "--benches"], &[]),
        What::Decide { at_least, at_least_large } => {
            decide::run(decide::Bars { small: *at_least, large: *at_least_large })
        }
        What::Route(options) => route::run(options),
        What::Pool(options) => pool::run(options),
        What::Index(options) => index::run(options),
        What::Solve(options) => solve::run(options),
    }
}

/// The value below which a share of the others lies; NaN of nothing.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a position")]
    let at = (share * values.len() as f64) as usize;
    values.get(at.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
