//! What the rest of a run is taken to look like.
//!
//! # Problem
//! A price problem over the rest of the run needs queries, and nobody has seen them. What
//! stands for them is an *outlook*: some queries with weights.
//!
//! # Method
//! | outlook | stands for the rest | right where |
//! |---|---|---|
//! | [`Outlook::History`] | the history | traffic is like it, in any order |
//! | [`Outlook::Arrivals`] | the arrivals so far | the order is random |
//! | [`Outlook::Both`] | the history, and the latest arrivals beside it | traffic drifts slowly |
//! | [`Outlook::Rest`] | what is still expected of the history, and novelties | either; see `rest.rs` |
//!
//! Tenants are taken to be alike in what they ask: each prompt of the history is given to one
//! of them, and weights follow the tenants' shares of the traffic so far.
//!
//! # References
//! Agrawal, Wang and Ye (2014) and Li and Ye (2022) for arrivals; PORT's own history is used
//! for estimates only.

mod cells;
mod history;
mod recent;
mod rest;

use std::fmt;

use serde::{Deserialize, Serialize};
use tollgate_core::{PolicyError, Problem, Progress, RunSetup};

use self::history::HistoryOutlook;
use self::recent::RecentOutlook;
use self::rest::RestOutlook;

/// What stands for the arrivals to come.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outlook {
    /// Held-out estimates of the history.
    History,
    /// The arrivals so far.
    Arrivals,
    /// The history and the latest arrivals, one weight each.
    Both,
    /// What is still expected of the history: its population less what has come, and what
    /// has come that it does not know.
    Rest,
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::History => "history",
            Self::Arrivals => "arrivals",
            Self::Both => "both",
            Self::Rest => "rest",
        })
    }
}

impl Outlook {
    pub(super) fn needs_history(self) -> bool {
        self != Self::Arrivals
    }

    /// The state of one run; `window` is how many arrivals are remembered.
    pub(super) fn start(
        self,
        setup: &RunSetup<'_>,
        window: usize,
        name: &dyn Fn() -> String,
    ) -> Result<Box<dyn Ahead>, PolicyError> {
        let needs = |what| PolicyError::Needs { policy: name(), what };
        let history = || setup.history.ok_or_else(|| needs("held-out estimates of the history"));
        let budgets = setup.budgets.clone();
        Ok(match self {
            Self::History => Box::new(HistoryOutlook::new(history()?, budgets)?),
            Self::Arrivals => Box::new(RecentOutlook::new(None, budgets, window)),
            Self::Both => Box::new(RecentOutlook::new(Some(history()?), budgets, window)),
            Self::Rest => Box::new(RestOutlook::new(history()?, budgets, setup.seed, window)?),
        })
    }
}

/// The run state of an outlook.
pub(super) trait Ahead: fmt::Debug + Send {
    /// The queries to come, without rows; `None` while there is nothing to go by. `rest` is
    /// how many arrivals they stand for.
    fn problem(
        &mut self,
        progress: &Progress<'_>,
        rest: f64,
    ) -> Result<Option<Problem>, PolicyError>;

    /// An arrival comes in.
    fn see(&mut self, progress: &Progress<'_>);

    /// Whether some queries are so alike that scores tie.
    fn has_ties(&self) -> bool;
}

/// How the traffic so far divides between query groups.
#[derive(Clone, Debug)]
struct Shares {
    seen: Vec<f64>,
}

/// Arrivals of each group that are taken to have come before the first.
const PRIOR: f64 = 10.0;

impl Shares {
    fn new(n_groups: usize) -> Self {
        Self { seen: vec![PRIOR; n_groups] }
    }

    fn see(&mut self, group: u32) {
        self.seen[group as usize] += 1.0;
    }

    /// A group's share of the traffic, times the number of groups.
    fn of(&self, group: u32) -> f64 {
        let total: f64 = self.seen.iter().sum();
        self.seen[group as usize] * self.seen.len() as f64 / total
    }
}

/// A group for each prompt of a history that has none: in turn, by steps of the golden
/// section, so that no pattern in the order of the prompts becomes a pattern in the groups.
fn dealt(n_prompts: usize, n_groups: usize) -> Option<Vec<u32>> {
    if n_groups <= 1 {
        return None;
    }
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let deal = |prompt: usize| (prompt as f64 * golden).fract() * n_groups as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at least 0 and below the number of groups"
    )]
    Some((0..n_prompts).map(|prompt| deal(prompt) as u32).collect())
}

/// The share of rows that equal another one, above which ties matter.
const ALIKE: f64 = 0.05;

/// Whether more than a few of the rows are copies of others.
fn has_copies(quality: &[f64], cost: &[f64], n_models: usize) -> bool {
    let n = quality.len() / n_models;
    let row = |at: usize| {
        let range = at * n_models..(at + 1) * n_models;
        quality[range.clone()].iter().chain(&cost[range]).map(|value| value.to_bits())
    };
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_unstable_by(|&a, &b| row(a).cmp(row(b)));
    let copies = order.windows(2).filter(|pair| row(pair[0]).eq(row(pair[1]))).count();
    copies as f64 > ALIKE * n as f64
}

#[cfg(test)]
mod tests;
