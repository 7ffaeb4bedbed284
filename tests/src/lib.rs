//! What the end-to-end tests share; the tests themselves are in `it/`.
//!
//! The fast tier needs nothing but the repository. The feature `real-streams` adds the
//! tests that measure tollgate on recorded answers of real models: `TOLLGATE_DATA` names
//! the folder that holds them, and its `golden/` what the published PORT code did there.

pub mod golden;
#[cfg(feature = "real-streams")]
pub mod recorded;

use tollgate::data::Table;
use tollgate::registry::{self, Composition};
use tollgate_lab::{Cell, Report};

/// Policies by their names in the registry, parameters included.
///
/// # Panics
/// When nothing answers to a name.
pub fn compositions(specs: &[&str]) -> Vec<Composition> {
    let compose = |spec: &&str| {
        let spec = spec.parse().expect("a test writes NAME[:key=value,...]");
        registry::compose(&spec, None, None).expect("a test names what there is")
    };
    specs.iter().map(compose).collect()
}

/// The first 1,000 prompts of the embedded stream: enough where only sameness is asked.
///
/// # Panics
/// Never: there are 4,000.
pub fn small_table() -> Table {
    let rows: Vec<usize> = (0..1_000).collect();
    Table::embedded().select_rows(&rows).expect("the embedded stream has 4,000 rows")
}

/// The runs of one policy, one a seed.
///
/// # Panics
/// When the policy is not in the report.
pub fn cells<'a>(report: &'a Report, policy: &str) -> &'a [Cell] {
    let found = report.entrants.iter().find(|(entrant, _)| entrant.policy == policy);
    found.map(|(_, cells)| cells.as_slice()).expect("a test asks for a policy that it has run")
}

/// The mean of a policy's reading over the seeds.
///
/// # Panics
/// As [`cells`].
pub fn mean(report: &Report, policy: &str, reading: impl Fn(&Cell) -> f64) -> f64 {
    let cells = cells(report, policy);
    cells.iter().map(reading).sum::<f64>() / cells.len() as f64
}

/// Mean Performance over the seeds.
///
/// # Panics
/// As [`cells`].
pub fn performance(report: &Report, policy: &str) -> f64 {
    mean(report, policy, |cell| cell.metrics.performance)
}

/// Mean RP over the seeds, in per cent; NaN where the approximate optimum is 0.
///
/// # Panics
/// As [`cells`].
pub fn rp(report: &Report, policy: &str) -> f64 {
    mean(report, policy, |cell| cell.rp.unwrap_or(f64::NAN))
}

/// `|ours - theirs|`, relative to `theirs`.
pub fn relative(ours: f64, theirs: f64) -> f64 {
    (ours - theirs).abs() / theirs.abs()
}
