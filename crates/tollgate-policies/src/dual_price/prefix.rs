//! Prices learned once, from the first arrivals: PORT.
//!
//! # Problem
//! `N` arrivals in random order, budgets `B_r`. The first `ceil(eps N)` are routed
//! without prices; their estimates `P` give prices for the rest.
//!
//! ```text
//! published:  F(p) = eps sum_r p_r B_r + sum_{j in P} max_i (alpha d_ij - p_i g_ij)         (1)
//!             p* = argmin over 0 <= p <= 1
//! theory:     D(p) = eps sum_r p_r B_r + sum_{j in P} max(0, max_i (alpha d_ij - p_i g_ij)) (2)
//!             p* = argmin over 0 <= p
//! ```
//!
//! # Method
//! (1) is the dual of a problem in which every query must be served and each budget
//! may be broken at a penalty of 1 per USD; (2) of the problem in which a query may
//! be declined. Both go to the solver as they are.
//!
//! # Departures from the paper
//! The published code finds the minimum of (1) by a quasi-Newton method with numeric
//! gradients, which stops up to a few per cent above it on this piecewise-linear
//! function; here the minimum is exact. Its prices can be given from outside
//! ([`PrefixPricesConfig::prices`]) to reproduce a published run to the decision. It
//! rounds alpha to single precision, and so does [`PrefixObjective::Published`].
//!
//! # References
//! Wu and Silwal (2025), arXiv 2509.02718, Algorithm 1. Devanur and Hayes (2009), "The
//! `AdWords` problem", for the scheme.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    Budgets, Choice, EstimateTable, Horizon, Meter, ParamError, PolicyError, PriceUpdate, Pricer,
    Prices, Problem, Progress, Row, RunSetup, Solution, SolveOptions, SolveRequest, Solver,
    dual_bound,
};

use super::{PriceSource, sample};

/// Which dual function the prices minimize.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrefixObjective {
    /// (1): no hinge, prices in a box of `[0, 1]`.
    Published,
    /// (2): hinge, no box.
    Theory,
}

/// Knobs of [`PrefixPrices`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrefixPricesConfig {
    /// The share of the arrivals that is learned from, in `(0, 1]`. Default 0.025.
    pub eps: f64,
    /// The weight of quality against the box of prices, `> 0`. Default 1e-4.
    pub alpha: f64,
    /// Which dual function is minimized. Default `theory`.
    pub objective: PrefixObjective,
    /// Prices to use in place of a solve, one a budget, `>= 0`. Default none.
    pub prices: Option<Vec<f64>>,
}

impl Default for PrefixPricesConfig {
    fn default() -> Self {
        Self { eps: 0.025, alpha: 1e-4, objective: PrefixObjective::Theory, prices: None }
    }
}

impl PrefixPricesConfig {
    /// Checks the knobs.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self, solver: Arc<dyn Solver>) -> Result<PrefixPrices, ParamError> {
        let Self { eps, alpha, objective, prices } = self;
        if !(eps > 0.0 && eps <= 1.0) {
            return Err(ParamError { field: "eps", rule: "in (0, 1]", got: eps });
        }
        if !(alpha > 0.0 && alpha.is_finite()) {
            return Err(ParamError { field: "alpha", rule: "finite and > 0", got: alpha });
        }
        if let Some(&got) = prices.iter().flatten().find(|p| !(**p >= 0.0 && p.is_finite())) {
            return Err(ParamError { field: "prices", rule: "finite and >= 0", got });
        }
        let alpha = match objective {
            #[expect(clippy::cast_possible_truncation, reason = "as the published code does")]
            PrefixObjective::Published => f64::from(alpha as f32),
            PrefixObjective::Theory => alpha,
        };
        Ok(PrefixPrices { eps, alpha, objective, prices, solver })
    }
}

/// Prices from the first arrivals of the stream, once.
#[derive(Clone, Debug)]
pub struct PrefixPrices {
    eps: f64,
    alpha: f64,
    objective: PrefixObjective,
    prices: Option<Vec<f64>>,
    solver: Arc<dyn Solver>,
}

impl PrefixPrices {
    fn problem(&self, sample: &Sample, budgets: &Budgets) -> Result<Problem, PolicyError> {
        // Places that come back bind no sample: how long they are held is not looked at here.
        let all = sample.groups.len() as f64;
        let rows = budgets.rows().iter().zip(budgets.holds());
        let capacities = rows.map(|(row, hold)| hold.map_or(self.eps * row.capacity, |_| all));
        let rows = budgets.rows_with(capacities);
        let (choice, rows): (_, Vec<Row>) = match self.objective {
            PrefixObjective::Theory => (Choice::AtMostOne, rows),
            PrefixObjective::Published => {
                (Choice::ExactlyOne, rows.into_iter().map(|row| row.soft(1.0)).collect())
            }
        };
        let n_models = budgets.n_models();
        let builder = Problem::builder(sample.groups.len(), n_models, choice);
        Ok(sample::with_tokens(builder, budgets, &sample.cost)
            .groups(sample.groups.as_slice().into())
            .n_groups(budgets.n_groups())
            .table(Meter::Quality, sample.quality.as_slice().into())
            .table(Meter::Cost, sample.cost.as_slice().into())
            .objective(Meter::Quality, self.alpha)
            .rows(rows)
            .build()?)
    }

    /// The dual function of this source on a sample of estimates, as the solver sees
    /// it: [`dual_bound`] of it is `F` of (1) or `D` of (2).
    ///
    /// # Errors
    /// [`PolicyError::Problem`] when the sample or the budgets are out of range.
    pub fn problem_on(
        &self,
        sample: &EstimateTable,
        budgets: &Budgets,
    ) -> Result<Problem, PolicyError> {
        let groups = vec![0; sample.n_queries()];
        let (quality, cost) = (sample.quality().to_vec(), sample.cost().to_vec());
        let sample = Sample { quality, cost, groups };
        self.problem(&sample, budgets)
    }
}

impl PriceSource for PrefixPrices {
    fn name(&self) -> String {
        format!("prefix(eps={}, alpha={})", self.eps, self.alpha)
    }

    fn needs_history(&self) -> bool {
        false
    }

    fn start(&self, setup: &RunSetup<'_>) -> Result<Box<dyn Pricer>, PolicyError> {
        let needs = |what| PolicyError::Needs { policy: self.name(), what };
        let Horizon::Arrivals(all) = setup.horizon else {
            return Err(needs("the number of arrivals in advance"));
        };
        if self.prices.as_ref().is_some_and(|prices| prices.len() != setup.budgets.rows().len()) {
            return Err(needs("one given price for each budget"));
        }
        let first = setup.arrivals();
        let rest = all.saturating_sub(first) as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count"
        )]
        let learn = first + (self.eps * rest).ceil() as u64;
        Ok(Box::new(PrefixPricer {
            source: self.clone(),
            budgets: setup.budgets.clone(),
            learn,
            sample: Sample::default(),
            problem: None,
        }))
    }
}

/// The estimates seen so far, row-major.
#[derive(Clone, Debug, Default)]
struct Sample {
    quality: Vec<f64>,
    cost: Vec<f64>,
    groups: Vec<u32>,
}

#[derive(Debug)]
struct PrefixPricer {
    source: PrefixPrices,
    budgets: Budgets,
    /// The arrival before which all are learned from.
    learn: u64,
    sample: Sample,
    problem: Option<Problem>,
}

impl Pricer for PrefixPricer {
    fn before(&mut self, progress: &Progress<'_>) -> Result<PriceUpdate, PolicyError> {
        let arrival = progress.arrival;
        if arrival.index < self.learn {
            self.sample.quality.extend(arrival.estimates.quality);
            self.sample.cost.extend(arrival.estimates.cost);
            self.sample.groups.push(arrival.group);
            return Ok(PriceUpdate::Keep);
        }
        if arrival.index > self.learn {
            return Ok(PriceUpdate::Keep);
        }
        let problem = self.source.problem(&self.sample, &self.budgets)?;
        self.sample = Sample::default();
        if let Some(prices) = &self.source.prices {
            let bound = dual_bound(&problem, prices);
            let prices = Prices::of(&problem, prices.clone(), bound);
            return Ok(PriceUpdate::Install(sample::charged(prices, &self.budgets)));
        }
        self.problem = Some(problem.clone());
        Ok(PriceUpdate::Solve(Box::new(SolveRequest {
            solver: Arc::clone(&self.source.solver),
            problem,
            options: SolveOptions { primal: false, ..SolveOptions::default() },
            warm: None,
        })))
    }

    fn install(&mut self, solution: Solution) -> Prices {
        match self.problem.take() {
            Some(problem) => {
                let prices = Prices::of(&problem, solution.prices, solution.dual_bound);
                sample::charged(prices, &self.budgets)
            }
            None => Prices::unset(),
        }
    }

    /// How much is learned from was settled by the first announcement.
    fn announce(&mut self, _horizon: Horizon) {}
}

#[cfg(test)]
mod tests;
