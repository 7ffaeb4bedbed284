//! Prices that follow what is spent: dual mirror descent.
//!
//! # Problem
//! A budget `r` may be spent at the rate `rho_r` for each arrival. Solving for prices needs
//! queries to solve on; steering needs none: a price rises while its budget is spent faster
//! than that, and falls while it is spent slower.
//!
//! # Method
//! Prices in quality per typical use, `u_r = p_r m_r`, where `m_r` is what a query uses of row
//! `r` in the mean over models and the first [`MEASURED`] queries. After each arrival, with
//! `s_r` really spent since the last one:
//!
//! ```text
//! euclidean:  u_r <- max(0, u_r - eta_t (rho_r - s_r) / m_r)                         (1)
//! entropic:   u_r <- u_r exp(-eta_t (1 - s_r / rho_r)),  the exponent within [-1, 1]  (2)
//! ```
//!
//! What is spent is read off the budgets themselves, so it includes what is held, and gives it
//! back when less is settled: feedback may come late or never.
//! A row of one query group moves at the arrivals of that group only, at the rate of that
//! group's arrivals.
//!
//! The rate is what is left over what is left to come, or what was announced at the start; the
//! theorems are about the second. Steps are constant, `eta / sqrt(N)`, where the number of
//! arrivals is announced, and `eta / sqrt(t + 1)` otherwise or if asked for.
//!
//! # Departures from the papers
//! The papers stop when a budget is gone; here the policy's guard falls back to what still
//! fits. The papers move by the use that was decided on; here by what is really spent. (2) is
//! normalized by the rate, so that one step size serves budgets of any size. Prices start at
//! the middle of the range, or where a history puts them; the papers begin at any prices.
//!
//! # References
//! Balseiro, Lu and Mirrokni (2020 and 2023), The best of many worlds: dual mirror descent for
//! online allocation problems: regret `O(sqrt N)` for independent arrivals with a step of order
//! `1 / sqrt N`. Li, Sun and Ye (2020), Simple and fast algorithm for binary integer and online
//! linear programming.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    Budgets, Estimates, Horizon, ParamError, PolicyError, PriceUpdate, Pricer, Prices, Problem,
    Progress, Row, RunSetup, Solution, Solver,
};

use super::outlook::Outlook;
use super::resolve::{Resolve, ResolveConfig, Resolver, Schedule};
use super::{PriceSource, pace, sample};

/// Queries that typical uses are measured on.
const MEASURED: usize = 256;
/// The price that a cold start charges for a typical use, in quality.
const COLD: f64 = 0.3;
/// The least price of (2) for a typical use: 0 could never rise again.
const LEAST: f64 = 1e-4;

/// How a step is taken.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mirror {
    /// (1).
    Euclidean,
    /// (2).
    Entropic,
}

/// How steps shrink.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Steps {
    /// `eta / sqrt(N)`; as `shrinking` where `N` is not announced.
    Constant,
    /// `eta / sqrt(t + 1)`.
    Shrinking,
}

/// Where prices start.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// In the middle of the range.
    Cold,
    /// Where the history puts them.
    History,
}

/// Which rate is steered for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The whole budget over the whole run.
    Announced,
    /// What is left over what is left to come.
    Remaining,
}

/// Knobs of [`Descent`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DescentConfig {
    /// How a step is taken. Default `euclidean`.
    pub mirror: Mirror,
    /// How steps shrink. Default `constant`.
    pub steps: Steps,
    /// The size `eta` of steps, `> 0`, in quality for a typical use. Default 1.
    pub eta: f64,
    /// Where prices start. Default `cold`.
    pub start: Start,
    /// Which rate is steered for. Default `announced`.
    pub target: Target,
    /// Arrivals from one solve on what is left to the next, after which steps go on from the
    /// solved prices; 0 solves never again. Default 0.
    pub every: u64,
    /// What such a solve takes the rest to look like. Default `rest`.
    pub outlook: Outlook,
}

impl Default for DescentConfig {
    fn default() -> Self {
        Self {
            mirror: Mirror::Euclidean,
            steps: Steps::Constant,
            eta: 1.0,
            start: Start::Cold,
            target: Target::Announced,
            every: 0,
            outlook: Outlook::Rest,
        }
    }
}

impl DescentConfig {
    /// Re-solves with steps between them (Sun, Gao, Vitercik and Ye, 2024): on what is still
    /// expected every 500 arrivals, and small steps toward the rate of what is left.
    pub fn hybrid() -> Self {
        let (start, target) = (Start::History, Target::Remaining);
        Self { eta: 0.1, start, target, every: 500, ..Self::default() }
    }

    /// Checks the knobs. The solver is for a start from history and for re-solves.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self, solver: Arc<dyn Solver>) -> Result<Descent, ParamError> {
        if !(self.eta > 0.0 && self.eta.is_finite()) {
            return Err(ParamError { field: "eta", rule: "finite and > 0", got: self.eta });
        }
        let once = self.every == 0;
        let resolve = (!once || self.start == Start::History).then(|| ResolveConfig {
            outlook: if once { Outlook::History } else { self.outlook },
            schedule: if once { Schedule::Once } else { Schedule::Every },
            every: self.every,
            ..ResolveConfig::default()
        });
        let resolve = resolve.map(|config| config.build(solver)).transpose()?;
        Ok(Descent { config: self, resolve })
    }
}

/// Prices that follow what is spent.
#[derive(Clone, Debug)]
pub struct Descent {
    config: DescentConfig,
    /// Where prices are solved for, at the start or again.
    resolve: Option<Resolve>,
}

impl PriceSource for Descent {
    fn name(&self) -> String {
        let mirror = match self.config.mirror {
            Mirror::Euclidean => "euclidean",
            Mirror::Entropic => "entropic",
        };
        match &self.resolve {
            None => format!("descent({mirror}, eta={})", self.config.eta),
            Some(resolve) => {
                format!("descent({mirror}, eta={}, from {})", self.config.eta, resolve.name())
            }
        }
    }

    fn needs_history(&self) -> bool {
        self.resolve.as_ref().is_some_and(PriceSource::needs_history)
    }

    fn start(&self, setup: &RunSetup<'_>) -> Result<Box<dyn Pricer>, PolicyError> {
        let budgets = setup.budgets.clone();
        let n_rows = budgets.rows().len();
        let resolver = self.resolve.as_ref().map(|resolve| resolve.resolver(setup));
        let nothing = sample::problem(&budgets, [].into(), [].into(), None)?;
        Ok(Box::new(Descending {
            config: self.config.clone(),
            resolver: resolver.transpose()?,
            nothing: nothing.with_rows(budgets.rows().to_vec())?,
            horizon: setup.horizon,
            prices: vec![COLD; n_rows],
            carried: match setup.so_far {
                Some(so_far) if so_far.prices.len() == n_rows => {
                    so_far.prices.iter().copied().map(Some).collect()
                }
                _ => vec![None; n_rows],
            },
            uses: Uses::new(n_rows),
            left: budgets.rows().iter().map(|row| row.capacity).collect(),
            rates: Vec::new(),
            groups: vec![0.0; budgets.n_groups()],
            last_group: None,
        }))
    }
}

#[derive(Debug)]
struct Descending {
    config: DescentConfig,
    resolver: Option<Resolver>,
    /// The rows, over no queries: what prices are collapsed by.
    nothing: Problem,
    horizon: Horizon,
    /// `u`, one a row.
    prices: Vec<f64>,
    /// Prices to go on from, one a row, in its own unit: until a use of the row is measured.
    carried: Vec<Option<f64>>,
    uses: Uses,
    /// What was left at the last arrival, one a row.
    left: Vec<f64>,
    /// What was announced: `rho`, one a row; empty before the first arrival.
    rates: Vec<f64>,
    /// Arrivals of each group.
    groups: Vec<f64>,
    last_group: Option<u32>,
}

impl Descending {
    /// Moves every price by what the last arrival has spent.
    fn step(&mut self, progress: &Progress<'_>) {
        let Some(group) = self.last_group else { return };
        let seen = progress.arrival.index as f64;
        let size = match (self.config.steps, self.horizon) {
            (Steps::Constant, Horizon::Arrivals(all)) => (all.max(1) as f64).sqrt(),
            _ => (seen + 1.0).sqrt(),
        };
        let step = self.config.eta / size;
        let left = progress.budgets.remaining;
        for (row, budget) in progress.budgets.budgets.rows().iter().enumerate() {
            if budget.scope.group.is_some_and(|only| only != group) {
                continue;
            }
            let per_use = self.uses.per_use[row];
            // Below 0 where a window has opened.
            let spent = (self.left[row] - left[row]).max(0.0);
            let rate = self.rate(progress, row, budget);
            let price = &mut self.prices[row];
            *price = match self.config.mirror {
                Mirror::Euclidean => (*price - step * (rate - spent) * per_use).max(0.0),
                Mirror::Entropic => {
                    let exponent = if rate > 0.0 { step * (spent / rate - 1.0) } else { 1.0 };
                    (*price * exponent.clamp(-1.0, 1.0).exp()).max(LEAST)
                }
            };
        }
    }

    /// What an arrival that the row covers may spend.
    fn rate(&self, progress: &Progress<'_>, row: usize, budget: &Row) -> f64 {
        let rate = match self.config.target {
            Target::Announced => self.rates[row],
            Target::Remaining => pace::rate(self.horizon, progress, row),
        };
        let Some(group) = budget.scope.group else { return rate };
        let all: f64 = self.groups.iter().sum();
        rate * all / self.groups[group as usize].max(1.0)
    }

    fn remember(&mut self, progress: &Progress<'_>) {
        let arrival = progress.arrival;
        self.left.clear();
        self.left.extend(progress.budgets.remaining);
        self.groups[arrival.group as usize] += 1.0;
        self.last_group = Some(arrival.group);
        self.uses.measure(progress.budgets.budgets, arrival.group, &arrival.estimates);
        for (row, carried) in self.carried.iter_mut().enumerate() {
            if self.uses.queries[row] > 0
                && let Some(price) = carried.take()
            {
                self.prices[row] = price / self.uses.per_use[row];
            }
        }
    }

    /// The rate that is announced: before the first arrival, and after other news.
    fn pace(&mut self, progress: &Progress<'_>) {
        if self.rates.is_empty() {
            let rows = 0..progress.budgets.remaining.len();
            self.rates = rows.map(|row| pace::rate(self.horizon, progress, row)).collect();
        }
    }

    fn charged(&self) -> Vec<f64> {
        let prices = self.prices.iter().zip(&self.uses.per_use).zip(&self.carried);
        prices.map(|((price, per_use), carried)| carried.unwrap_or(price * per_use)).collect()
    }
}

impl Pricer for Descending {
    fn before(&mut self, progress: &Progress<'_>) -> Result<PriceUpdate, PolicyError> {
        self.pace(progress);
        self.step(progress);
        self.remember(progress);
        if let Some(resolver) = &mut self.resolver {
            let update = resolver.before(progress)?;
            if matches!(update, PriceUpdate::Solve(_)) {
                return Ok(update);
            }
        }
        let prices = Prices::steered(&self.nothing, self.charged());
        Ok(PriceUpdate::Install(sample::charged(prices, progress.budgets.budgets)))
    }

    fn install(&mut self, solution: Solution) -> Prices {
        let Some(resolver) = &mut self.resolver else { return Prices::unset() };
        let solved = resolver.install(solution);
        self.carried.fill(None);
        for (row, price) in solved.rows().iter().enumerate() {
            self.prices[row] = price / self.uses.per_use[row];
        }
        solved
    }

    fn announce(&mut self, horizon: Horizon) {
        self.horizon = horizon;
        // The announced rate is that of what is left over the new rest.
        self.rates.clear();
        if let Some(resolver) = &mut self.resolver {
            resolver.announce(horizon);
        }
    }
}

/// What queries use of each row, in the mean over the models that it covers.
#[derive(Clone, Debug)]
struct Uses {
    sums: Vec<f64>,
    queries: Vec<usize>,
    /// One over the mean; 1 where nothing has been used, which no query will then either.
    per_use: Vec<f64>,
}

impl Uses {
    fn new(n_rows: usize) -> Self {
        Self { sums: vec![0.0; n_rows], queries: vec![0; n_rows], per_use: vec![1.0; n_rows] }
    }

    /// Measures the rows that cover a query, each on the first few of its own.
    fn measure(&mut self, budgets: &Budgets, group: u32, estimates: &Estimates<'_>) {
        for (row, budget) in budgets.rows().iter().enumerate() {
            if self.queries[row] == MEASURED || budget.scope.group.is_some_and(|g| g != group) {
                continue;
            }
            let covered = |&model: &usize| budget.scope.models.covers(model);
            let amount = |model| budgets.amount(budget.meter, model, estimates);
            let n = (0..budgets.n_models()).filter(covered).count();
            let sum: f64 = (0..budgets.n_models()).filter(covered).map(amount).sum();
            if n > 0 {
                self.sums[row] += sum / n as f64;
                self.queries[row] += 1;
                if self.sums[row] > 0.0 {
                    self.per_use[row] = self.queries[row] as f64 / self.sums[row];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
