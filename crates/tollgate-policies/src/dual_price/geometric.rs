//! Prices from the arrivals so far, solved at a doubling number of them.
//!
//! # Problem
//! `N` arrivals in random order, budgets `B_r`. Prices learned once from a prefix are as bad
//! as the prefix is short; a long prefix is lost traffic.
//!
//! # Method
//! After `l = eps N 2^k` arrivals, for `k = 0, 1, ...`, the program over those `l` arrivals is
//! solved with the share of each budget that is theirs, less a margin for the error of a
//! sample:
//!
//! ```text
//! capacity_r = (1 - h_l) (l / N) B_r,   h_l = eps sqrt(N / l)                        (1)
//! ```
//!
//! Before the first solve nothing is routed.
//!
//! # Departures from the paper
//! `h_l` is capped at one half, so that a large `eps` still leaves a budget. The paper's
//! algorithm spends nothing on the first `eps N` arrivals, and neither does this; our published
//! baseline explores at random there.
//!
//! # References
//! Agrawal, Wang and Ye (2014), A dynamic near-optimal algorithm for online linear programming,
//! Algorithm 2 (the dynamic pricing algorithm): `1 - O(eps)` in random order if
//! `min_r B_r / max use >= 10 M log(N / eps) / eps^2`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    Budgets, Horizon, ParamError, PolicyError, PriceUpdate, Pricer, Prices, Problem, Progress,
    RunSetup, Solution, SolveOptions, SolveRequest, Solver, WarmState,
};

use super::PriceSource;
use super::sample::{self, Sample, problem};

/// The largest margin of (1).
const MOST_MARGIN: f64 = 0.5;

/// Knobs of [`Geometric`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeometricConfig {
    /// The share of the arrivals before the first solve, in `(0, 1]`. Default 0.02.
    pub eps: f64,
}

impl Default for GeometricConfig {
    fn default() -> Self {
        Self { eps: 0.02 }
    }
}

impl GeometricConfig {
    /// Checks the knobs.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self, solver: Arc<dyn Solver>) -> Result<Geometric, ParamError> {
        let Self { eps } = self;
        if !(eps > 0.0 && eps <= 1.0) {
            return Err(ParamError { field: "eps", rule: "in (0, 1]", got: eps });
        }
        Ok(Geometric { eps, solver })
    }
}

/// Prices solved at a doubling number of arrivals.
#[derive(Clone, Debug)]
pub struct Geometric {
    eps: f64,
    solver: Arc<dyn Solver>,
}

impl PriceSource for Geometric {
    fn name(&self) -> String {
        format!("geometric(eps={})", self.eps)
    }

    fn needs_history(&self) -> bool {
        false
    }

    fn start(&self, setup: &RunSetup<'_>) -> Result<Box<dyn Pricer>, PolicyError> {
        let Horizon::Arrivals(all) = setup.horizon else {
            let what = "the number of arrivals in advance";
            return Err(PolicyError::Needs { policy: self.name(), what });
        };
        let first = setup.arrivals();
        let horizon = all.saturating_sub(first);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count"
        )]
        let next = ((self.eps * horizon as f64).ceil() as u64).max(1);
        let n_models = setup.budgets.n_models();
        Ok(Box::new(Doubling {
            source: self.clone(),
            budgets: setup.budgets.clone(),
            first,
            horizon,
            priced: setup.so_far.is_some_and(|so_far| !so_far.prices.is_empty()),
            next,
            sample: Sample::new(n_models, usize::MAX),
            problem: None,
            warm: None,
        }))
    }
}

#[derive(Debug)]
struct Doubling {
    source: Geometric,
    budgets: Budgets,
    /// The arrival that this pool of models began with; counts are from there.
    first: u64,
    horizon: u64,
    /// Whether there are prices to begin with.
    priced: bool,
    /// How many arrivals the next solve is due after.
    next: u64,
    sample: Sample,
    problem: Option<Problem>,
    warm: Option<WarmState>,
}

impl Doubling {
    /// The program over the arrivals so far: (1).
    fn program(&self, ratios: &[f64]) -> Result<Problem, PolicyError> {
        let n = self.sample.len();
        let (l, all) = (n as f64, self.horizon as f64);
        let margin = (self.source.eps * (all / l).sqrt()).min(MOST_MARGIN);
        // Places that come back bind no sample: how long they are held is not looked at here.
        let rows = self.budgets.rows().iter().zip(self.budgets.holds());
        let capacities =
            rows.map(|(row, hold)| hold.map_or(row.capacity * (1.0 - margin) * l / all, |_| l));
        let rows = self.budgets.rows_with(capacities);
        let cost: Vec<f64> = self.sample.cost(n).collect();
        let cost = sample::corrected(&cost, ratios);
        let groups = self.sample.groups(n).collect();
        let queries = problem(&self.budgets, self.sample.quality(n).collect(), cost, Some(groups))?;
        Ok(queries.with_rows(rows)?)
    }

    fn nothing_yet(&self, progress: &Progress<'_>) -> Result<PriceUpdate, PolicyError> {
        if self.priced || progress.arrival.index > self.first {
            return Ok(PriceUpdate::Keep);
        }
        // At a price that no query is worth nothing is routed.
        let none = problem(&self.budgets, [].into(), [].into(), None)?;
        let none = none.with_rows(self.budgets.rows().to_vec())?;
        let prices = vec![f64::MAX.sqrt(); self.budgets.rows().len()];
        Ok(PriceUpdate::Install(Prices::steered(&none, prices)))
    }
}

impl Pricer for Doubling {
    fn before(&mut self, progress: &Progress<'_>) -> Result<PriceUpdate, PolicyError> {
        let seen = progress.arrival.index.saturating_sub(self.first);
        let update = if seen >= self.next && self.sample.len() > 0 {
            self.next = 2 * self.next.max(seen / 2 + 1);
            let problem = self.program(progress.cost_ratios)?;
            self.problem = Some(problem.clone());
            PriceUpdate::Solve(Box::new(SolveRequest {
                solver: Arc::clone(&self.source.solver),
                problem,
                options: SolveOptions { primal: false, ..SolveOptions::default() },
                warm: self.warm.take(),
            }))
        } else {
            self.nothing_yet(progress)?
        };
        self.sample.push(progress.arrival, progress.cost_ratios);
        Ok(update)
    }

    fn install(&mut self, solution: Solution) -> Prices {
        self.warm = solution.warm;
        match &self.problem {
            Some(problem) => {
                let prices = Prices::of(problem, solution.prices, solution.dual_bound);
                sample::charged(prices, &self.budgets)
            }
            None => Prices::unset(),
        }
    }

    fn announce(&mut self, horizon: Horizon) {
        if let Horizon::Arrivals(horizon) = horizon {
            self.horizon = horizon.saturating_sub(self.first);
        }
    }
}

#[cfg(test)]
mod tests;
