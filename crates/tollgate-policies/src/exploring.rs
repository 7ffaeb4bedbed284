//! A share of the traffic for the model that is known the least.
//!
//! # Problem
//! A model that has just come is known by a few labels, or by a guess. Where that guess is low
//! the model is never asked, nobody learns that it was wrong, and where it is high the model
//! is asked too often until somebody does.
//!
//! # Method
//! A score estimated as `q` with standard error `s` is worth as many labels as
//!
//! ```text
//! n = q (1 - q) / s^2                                                             (1)
//! ```
//!
//! would be of answers that are right or wrong. With probability `share` an arrival goes to the
//! model of the least `n`, if at least half of the other models are worth `times^2` as much:
//! their standard errors are less than one `times`-th of what its would be at the same score.
//! Otherwise, and where the model does not fit what is left of the budgets, the inner policy
//! decides. So exploration is paid from the same budgets as everything else, begins when a model
//! comes, and ends by itself as the model's labels come in. (1) takes the place of the standard
//! errors themselves since those of sure models are small, however little is known.
//!
//! # References
//! The learning prefix of PORT (2509.02718) explores all models, once; this explores one, as
//! long as it takes. Comparing what is known by counts is as in successive elimination:
//! Even-Dar, Mannor and Mansour (2006), Action elimination and stopping conditions.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    Arrival, BudgetView, Estimates, Explanation, ParamError, Policy, PolicyError, Pricer, Prices,
    Purpose, Ranking, RunSetup,
};

/// Scores nearer to 0 or 1 than this count as this far away: nobody is that sure.
const SURE: f64 = 0.02;

/// Knobs of [`Exploring`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExploringConfig {
    /// The share of arrivals that explores while there is something to explore, in `(0, 1]`.
    /// Default 0.05.
    pub share: f64,
    /// How many times as large as that of half of the others a standard error is that is worth
    /// exploring, `> 1`. Default 2.
    pub times: f64,
}

impl Default for ExploringConfig {
    fn default() -> Self {
        Self { share: 0.05, times: 2.0 }
    }
}

impl ExploringConfig {
    /// Checks the knobs; `inner` decides what is not explored.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self, inner: Arc<dyn Policy>) -> Result<Exploring, ParamError> {
        let Self { share, times } = self;
        if !(share > 0.0 && share <= 1.0) {
            return Err(ParamError { field: "share", rule: "in (0, 1]", got: share });
        }
        if !(times > 1.0 && times.is_finite()) {
            return Err(ParamError { field: "times", rule: "finite and > 1", got: times });
        }
        Ok(Exploring { config: self, inner })
    }
}

/// A policy, with a share of its traffic for the model that is known the least.
#[derive(Clone, Debug)]
pub struct Exploring {
    config: ExploringConfig,
    inner: Arc<dyn Policy>,
}

impl Exploring {
    /// The model to be explored by this arrival, if it is one that explores.
    fn pick(&self, arrival: &Arrival<'_>) -> Option<usize> {
        let draw = arrival.seed.stream(Purpose::Exploration, arrival.index).uniform();
        if draw >= self.config.share { None } else { self.least_known(&arrival.estimates) }
    }

    /// The model of the least (1), if half of the others are known better by far.
    fn least_known(&self, estimates: &Estimates<'_>) -> Option<usize> {
        let n_models = estimates.quality.len();
        let known = |model: usize| {
            let q = estimates.quality[model].clamp(SURE, 1.0 - SURE);
            q * (1.0 - q) / estimates.quality_se[model].powi(2)
        };
        let least = (0..n_models).min_by(|&a, &b| known(a).total_cmp(&known(b)))?;
        let bar = known(least) * self.config.times.powi(2);
        let better = (0..n_models).filter(|&model| model != least && known(model) >= bar).count();
        (n_models > 1 && 2 * better >= n_models - 1).then_some(least)
    }

    fn promote(&self, arrival: &Arrival<'_>, budgets: &BudgetView<'_>, out: &mut Ranking) {
        let Some(model) = self.pick(arrival) else { return };
        if budgets.fits(arrival.group, model, &arrival.estimates) {
            out.promote(model, 0.0);
        }
    }
}

impl Policy for Exploring {
    fn name(&self) -> String {
        format!("explore({})", self.inner.name())
    }

    fn needs_history(&self) -> bool {
        self.inner.needs_history()
    }

    fn corrects_costs(&self) -> bool {
        self.inner.corrects_costs()
    }

    fn adapt(&self, setup: &RunSetup<'_>) -> Result<Option<Arc<dyn Policy>>, PolicyError> {
        let Some(inner) = self.inner.adapt(setup)? else { return Ok(None) };
        Ok(Some(Arc::new(Self { config: self.config, inner })))
    }

    fn pricer(&self, setup: &RunSetup<'_>) -> Result<Option<Box<dyn Pricer>>, PolicyError> {
        self.inner.pricer(setup)
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        self.inner.rank(arrival, prices, budgets, out)?;
        self.promote(arrival, budgets, out);
        Ok(())
    }

    fn batch_size(&self) -> usize {
        self.inner.batch_size()
    }

    fn rank_batch(
        &self,
        arrivals: &[Arrival<'_>],
        prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut [Ranking],
    ) -> Result<(), PolicyError> {
        self.inner.rank_batch(arrivals, prices, budgets, out)?;
        arrivals.iter().zip(out).for_each(|(arrival, out)| self.promote(arrival, budgets, out));
        Ok(())
    }

    fn explain(&self, arrival: &Arrival<'_>, prices: &Prices, model: usize) -> Explanation {
        if self.pick(arrival) != Some(model) {
            return self.inner.explain(arrival, prices, model);
        }
        let error = arrival.estimates.quality_se[model];
        Explanation::leaf("explored, being known the least: standard error of its score", error)
    }
}

#[cfg(test)]
mod tests;
