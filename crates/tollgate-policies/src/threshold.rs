//! The cheapest model that is good enough.
//!
//! # Problem
//! With `q_i` and `c_i` what is expected of model `i` on a query, and a threshold `tau`:
//!
//! ```text
//! i(tau) = argmin { c_i : q_i >= tau },   or   argmax_i q_i  where none passes   (1)
//! ```
//!
//! How high a threshold can one afford? Raising `tau` only takes models away from the
//! minimum, and where none is left it is one of the last to go that is taken, so the cost of
//! `i(tau)` never falls: for each query it is a staircase that steps up behind some of its
//! scores, and a threshold fits a target exactly up to one of the steps.
//!
//! # Method
//! `tau` is given, or the highest with one of these on held-out estimates of the history:
//!
//! * `spend`: the mean cost of (1), times the horizon, is at most a target in USD. Without
//!   a target it is all the money that the budgets let the models spend together, the
//!   default.
//! * `share`: at most this share of the queries goes beyond its cheapest model. With two
//!   models of which one is always dearer this is RouteLLM's share of calls to the strong
//!   model. With more than two the share of calls to the dearest one would not do: it need
//!   not grow with `tau`, as a query may move on from it.
//!
//! All steps of all staircases are sorted and added up from `tau = 0` on until the next one
//! does not fit: `O(N M log(N M))`, exact, no grid. Where not even `tau = 0` fits, which
//! sends every query to its cheapest model, it is 0; where everything fits it is 1.
//!
//! The score of a ranking is `2 - c_i / (1 + c_i)` for a model that passes, and `q_i < tau`
//! for one that does not, which puts models in the order of (1).
//!
//! # Departures from the papers
//! RouteLLM has two models and a threshold on the probability that the strong one wins;
//! here there are any number and the threshold is on the expected score. There is no
//! fallback unless [`within_budget`](ThresholdConfig::within_budget) asks for one.
//!
//! # References
//! Ong et al. (2024), RouteLLM, arXiv:2406.18665: thresholds by share of calls. Mei et al.
//! (2025), ECCOS, arXiv:2502.20576: the cheapest model under a quality constraint.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    Arrival, BudgetView, EstimateTable, Estimates, Explanation, Meter, ParamError, Policy,
    PolicyError, Prices, Ranking, RunSetup,
};

use crate::fitting::rank_what_fits;
use crate::setup::{history, horizon, spendable};

/// Knobs of [`Threshold`]. Unchecked until [`build`](Self::build). At most one of `tau`,
/// `spend` and `share` is given.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThresholdConfig {
    /// The threshold, in `[0, 1]`.
    pub tau: Option<f64>,
    /// What all queries together may be expected to cost, in USD, `>= 0`. Default: what the
    /// budgets let the models spend.
    pub spend: Option<f64>,
    /// The share of queries that may go beyond their cheapest model, in `[0, 1]`.
    pub share: Option<f64>,
    /// Whether only models count whose estimate fits what is left. Default no.
    pub within_budget: bool,
}

impl ThresholdConfig {
    /// Checks the knobs.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range, or the second one that is given.
    pub fn build(self) -> Result<Threshold, ParamError> {
        let Self { tau, spend, share, within_budget } = self;
        let mut rule = Rule::Spend(None);
        let mut given = false;
        let knobs = [("tau", tau, 1.0), ("spend", spend, f64::MAX), ("share", share, 1.0)];
        for (field, got, highest) in knobs {
            let Some(got) = got else { continue };
            if given {
                let rule = "left out where another of `tau`, `spend` and `share` is given";
                return Err(ParamError { field, rule, got });
            }
            if !(0.0..=highest).contains(&got) {
                let rule = if field == "spend" { "finite and >= 0" } else { "in [0, 1]" };
                return Err(ParamError { field, rule, got });
            }
            given = true;
            rule = match field {
                "tau" => Rule::Given(got),
                "spend" => Rule::Spend(Some(got)),
                _ => Rule::Share(got),
            };
        }
        Ok(Threshold { rule, within_budget })
    }
}

/// Where the threshold comes from.
#[derive(Clone, Copy, Debug)]
enum Rule {
    Given(f64),
    Spend(Option<f64>),
    Share(f64),
}

/// Picks the cheapest model that is expected to be good enough.
#[derive(Clone, Copy, Debug)]
pub struct Threshold {
    rule: Rule,
    within_budget: bool,
}

impl Policy for Threshold {
    fn name(&self) -> String {
        match self.rule {
            Rule::Given(tau) => format!("threshold(tau={tau})"),
            Rule::Spend(None) => "threshold".to_owned(),
            Rule::Spend(Some(usd)) => format!("threshold(spend={usd})"),
            Rule::Share(share) => format!("threshold(share={share})"),
        }
    }

    fn needs_history(&self) -> bool {
        !matches!(self.rule, Rule::Given(_))
    }

    fn adapt(&self, setup: &RunSetup<'_>) -> Result<Option<Arc<dyn Policy>>, PolicyError> {
        let name = || self.name();
        let tau = match self.rule {
            Rule::Given(_) => return Ok(None),
            Rule::Share(share) => tau_for_share(history(setup, name)?, share),
            Rule::Spend(usd) => {
                let (history, horizon) = (history(setup, name)?, horizon(setup, name)?);
                let money = || spendable(setup.budgets, Meter::Cost, 0..setup.budgets.n_models());
                // Nothing is spent on no query.
                let each = usd.unwrap_or_else(money) / horizon.max(1) as f64;
                tau_for_spend(history, each)
            }
        };
        Ok(Some(Arc::new(Self { rule: Rule::Given(tau), ..*self })))
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        _prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        let Rule::Given(tau) = self.rule else {
            return Err(PolicyError::not_adapted(self.name()));
        };
        let estimates = &arrival.estimates;
        if self.within_budget {
            let models = 0..estimates.quality.len();
            rank_what_fits(arrival, budgets, models, |model| score(estimates, tau, model), out);
        } else {
            out.clear();
            let pick = pick(estimates, tau);
            out.push(pick, score(estimates, tau, pick));
        }
        Ok(())
    }

    fn explain(&self, arrival: &Arrival<'_>, _prices: &Prices, model: usize) -> Explanation {
        let Rule::Given(tau) = self.rule else {
            return Explanation::leaf("not calibrated yet", 0.0);
        };
        let quality = arrival.estimates.quality[model];
        let label = if quality >= tau { "passes, 2 - cost / (1 + cost)" } else { "falls short" };
        let terms = vec![
            Explanation::leaf("expected quality", quality),
            Explanation::leaf("threshold", tau),
            Explanation::leaf("expected cost, USD", arrival.estimates.cost[model]),
        ];
        Explanation::node(label, score(&arrival.estimates, tau, model), terms)
    }
}

/// The order of (1): above 1 for what passes, below for what does not.
fn score(estimates: &Estimates<'_>, tau: f64, model: usize) -> f64 {
    let (quality, cost) = (estimates.quality[model], estimates.cost[model]);
    if quality >= tau { 2.0 - cost / (1.0 + cost) } else { quality }
}

/// Equation (1), ties to the lower index.
fn pick(estimates: &Estimates<'_>, tau: f64) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for model in 0..estimates.quality.len() {
        let score = score(estimates, tau, model);
        if score > best.1 {
            best = (model, score);
        }
    }
    best.0
}

/// The highest threshold whose mean cost is at most `usd`.
fn tau_for_spend(history: &EstimateTable, usd: f64) -> f64 {
    let cheapest = |query| {
        let estimates = history.row(query);
        estimates.cost[pick(&estimates, 0.0)]
    };
    let least: f64 = (0..history.n_queries()).map(cheapest).sum();
    let limit = usd * history.n_queries() as f64;
    highest(&steps(history), least, limit, |step| step.to - step.from)
}

/// The highest threshold that sends at most this share beyond their cheapest model.
fn tau_for_share(history: &EstimateTable, share: f64) -> f64 {
    // 0.3 of ten queries are three, whatever 0.3 * 10 rounds to.
    let limit = share * history.n_queries() as f64 + 1e-9;
    highest(&steps(history), 0.0, limit, |step| f64::from(step.first))
}

/// A query moves on to another model where the threshold rises above `tau`.
#[derive(Clone, Copy, Debug)]
struct Step {
    tau: f64,
    /// Whether it is the query's first: away from its cheapest model.
    first: bool,
    /// What the query is expected to cost before and after, in USD; never less.
    from: f64,
    to: f64,
}

/// The steps of all staircases below 1, by threshold.
fn steps(history: &EstimateTable) -> Vec<Step> {
    let mut steps = Vec::new();
    for query in 0..history.n_queries() {
        let estimates = history.row(query);
        let mut model = pick(&estimates, 0.0);
        let mut first = true;
        // No threshold lies above a score of 1.
        while estimates.quality[model] < 1.0 {
            let tau = estimates.quality[model];
            let next = pick(&estimates, tau.next_up());
            if next == model {
                break;
            }
            let (from, to) = (estimates.cost[model], estimates.cost[next]);
            steps.push(Step { tau, first, from, to });
            first = false;
            model = next;
        }
    }
    steps.sort_by(|a, b| a.tau.total_cmp(&b.tau));
    steps
}

/// The highest threshold in `[0, 1]` such that `base` and the weights, all `>= 0`, of the
/// steps below it sum to at most `limit`; 0 where there is none.
fn highest(steps: &[Step], base: f64, limit: f64, weight: impl Fn(&Step) -> f64) -> f64 {
    let mut total = base;
    if total > limit {
        return 0.0;
    }
    for step in steps {
        total += weight(step);
        if total > limit {
            return step.tau;
        }
    }
    1.0
}

#[cfg(test)]
mod tests;
