//! One report, four renderings: the table on the terminal, CSV, JSON, and the timings.

mod csv;
mod headline;
mod json;
mod table;

use crate::{Interval, Report, mean_interval, paired_difference};

pub use headline::{Headline, PUBLISHED, PUBLISHED_WITHOUT_ROBERTA, Ratios};

/// What a renderer asks of a cell.
type Reading = fn(&crate::Cell) -> Option<f64>;

impl Report {
    /// The table that people read: means with 95 % confidence intervals over seeds, the
    /// difference to `baseline` paired by seed, and the headline ratios under it.
    pub fn table(&self, baseline: &str) -> String {
        table::render(self, baseline)
    }

    /// One line a policy and seed: `policy,estimator,solver,stream,seed,queries,budget,
    /// split,order,performance,cost,ppc,throughput,rp,lp_bound`. Costs in USD, `rp` in per
    /// cent; an undefined ratio is an empty field.
    ///
    /// # Errors
    /// Never in practice: it writes to memory.
    pub fn csv(&self) -> Result<String, std::io::Error> {
        csv::render(self)
    }

    /// Everything, with versions and parameters: enough to run it again.
    pub fn json(&self) -> serde_json::Value {
        json::render(self)
    }

    /// Microseconds by policy and seed. Not part of the results: these differ from run
    /// to run.
    ///
    /// # Errors
    /// Never in practice: it writes to memory.
    pub fn timings_csv(&self) -> Result<String, std::io::Error> {
        csv::timings(self)
    }

    /// Mean ratios to the baselines, as the paper's abstract states them.
    pub fn headline(&self, policy: &str) -> Option<Headline> {
        headline::of(self, policy)
    }

    /// The mean of a reading over the seeds; `None` where some seed has none.
    fn interval(cells: &[crate::Cell], reading: Reading) -> Option<Interval> {
        let values: Option<Vec<f64>> = cells.iter().map(reading).collect();
        mean_interval(&values?)
    }

    /// Difference in Performance to the first entrant of this name, paired by seed.
    fn difference(&self, cells: &[crate::Cell], baseline: &str) -> Option<Interval> {
        let (_, theirs) = self.entrants.iter().find(|(entrant, _)| entrant.policy == baseline)?;
        let performances = |cells: &[crate::Cell]| -> Vec<f64> {
            cells.iter().map(|cell| cell.metrics.performance).collect()
        };
        paired_difference(&performances(cells), &performances(theirs))
    }
}

#[cfg(test)]
mod tests;
