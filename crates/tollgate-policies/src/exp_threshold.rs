//! Prices that rise exponentially with what is spent: the worst-case safety net.
//!
//! # Problem
//! Nothing is known about the arrivals but that every option is worth between `L` and `U`
//! per USD; somebody unfriendly chooses them and their order. Budget `r` of capacity `b_r`
//! with a share `z_r` of it used has the price
//!
//! ```text
//! phi(z) = max(L, (L / e) (U e / L)^z)                                           (1)
//! ```
//!
//! quality per USD: `L` while `z <= 1 / (1 + ln(U / L))`, `U` at the end. With `d_i` the
//! expected score and `g_i` the expected cost of model `i`, take it only if it is affordable
//! and worth its tolls, those of all budgets that it uses from,
//!
//! ```text
//! d_i >= g_i sum_r phi(z_r)                                                      (2)
//! ```
//!
//! and of these the one with the highest `d_i` ([`ExpThresholdBy::Value`], the default), or
//! with the highest difference of the two sides ([`ExpThresholdBy::Surplus`]).
//!
//! # What is guaranteed
//! Where each option uses one budget (budgets per model, or one pool), costs are small
//! beside budgets, and `Value` picks: `OPT <= (ln(U / L) + 2) ALG`, in any order. Let `i`
//! be what the optimum chooses for a query. Either it passed (2), and then something at
//! least as good was taken: such queries are worth at most `ALG`. Or it did not, so
//! `d_i < g_i phi(z_i)` at a price that has risen since: they are worth at most
//! `sum_r b_r phi(z_r)` over the budgets whose price did rise. What was taken from such a
//! budget is worth at least the integral of (1), which is `b_r phi(z_r) / (1 + ln(U / L))`.
//!
//! `Surplus` is what a price policy does, and better on average where `L` is far below what
//! traffic is worth. It has no such guarantee: at the price `L` an answer worth 1.01 for
//! one unit beats one worth 100 for 100 units, and what it saves may never be needed.
//!
//! # Method
//! `U` and `L` are given, or quantiles 0.999 and 0.02 of the density `d / g` over the
//! options of the held-out history, once for a run. Budgets on other meters than cost have
//! their own, of the density `d / use`. Where no option of the history uses anything and is
//! worth anything, there is no price.
//!
//! # Departures from the papers
//! The paper has one knapsack; several budgets follow by the argument above, several on one
//! option by adding up prices, for which nothing is guaranteed. Quantiles are not bounds,
//! and estimates are not the truth: what is guaranteed is in terms of estimates, and of
//! densities that lie between the two.
//!
//! # References
//! Zhou, Chakrabarty and Lukose (2008), Budget constrained bidding in keyword auctions and
//! online knapsack problems, WINE, doi:10.1007/978-3-540-92185-1_63: the multiple-choice
//! knapsack.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    Arrival, BudgetView, EstimateTable, Explanation, Meter, ParamError, Policy, PolicyError,
    Prices, Ranking, RunSetup,
};

use crate::fitting::DEPTH;
use crate::setup::history;

/// The quantiles of density that `L` and `U` default to.
const QUANTILES: [f64; 2] = [0.02, 0.999];

/// Which of the options that are worth their tolls is taken.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpThresholdBy {
    /// The one with the highest expected score: what the guarantee is for.
    #[default]
    Value,
    /// The one with the highest expected score less tolls.
    Surplus,
}

/// Knobs of [`ExpThreshold`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExpThresholdConfig {
    /// `L`, quality per USD, finite and `> 0`. Default: from the history.
    pub lower: Option<f64>,
    /// `U`, quality per USD, finite and at least `lower`. Default: from the history.
    pub upper: Option<f64>,
    /// What is taken of what passes. Default [`ExpThresholdBy::Value`].
    pub by: ExpThresholdBy,
}

impl ExpThresholdConfig {
    /// Checks the knobs.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range, or the one that is given without
    /// the other.
    pub fn build(self) -> Result<ExpThreshold, ParamError> {
        let Self { lower, upper, by } = self;
        let refuse = |field, rule, got| Err(ParamError { field, rule, got });
        let given = match (lower, upper) {
            (None, None) => None,
            (Some(got), None) => return refuse("lower", "given together with `upper`", got),
            (None, Some(got)) => return refuse("upper", "given together with `lower`", got),
            (Some(lower), Some(upper)) => {
                if !(lower > 0.0 && lower.is_finite()) {
                    return refuse("lower", "finite and > 0", lower);
                }
                if !(upper >= lower && upper.is_finite()) {
                    return refuse("upper", "finite and at least `lower`", upper);
                }
                Some(Curve::new(lower, upper))
            }
        };
        Ok(ExpThreshold { given, by, curves: None })
    }
}

/// Takes what is worth a price that rises with what is spent.
#[derive(Clone, Debug)]
pub struct ExpThreshold {
    given: Option<Curve>,
    by: ExpThresholdBy,
    /// One a budget, once it is adapted to a run; `None` for a budget without a price.
    curves: Option<Arc<[Option<Curve>]>>,
}

/// Equation (1).
#[derive(Clone, Copy, Debug)]
struct Curve {
    lower: f64,
    /// `1 + ln(U / L)`.
    rate: f64,
}

impl Curve {
    fn new(lower: f64, upper: f64) -> Self {
        Self { lower, rate: 1.0 + (upper / lower).ln() }
    }

    fn price(self, used: f64) -> f64 {
        // Below 0 it is flat.
        self.lower * (used * self.rate - 1.0).max(0.0).exp()
    }
}

impl ExpThreshold {
    /// The toll of an option: the right side of (2).
    fn toll(
        curves: &[Option<Curve>],
        arrival: &Arrival<'_>,
        budgets: &BudgetView<'_>,
        model: usize,
    ) -> f64 {
        let rows = budgets.budgets.rows();
        let touched = budgets.budgets.touching(arrival.group, model).iter();
        touched
            .map(|&row| {
                let row = row as usize;
                let Some(curve) = curves[row] else { return 0.0 };
                let amount = arrival.estimates.meter(rows[row].meter).map_or(1.0, |m| m[model]);
                let left = budgets.remaining[row] / rows[row].capacity;
                // A budget of nothing is all used.
                let used = if left >= 0.0 { 1.0 - left.min(1.0) } else { 1.0 };
                curve.price(used) * amount
            })
            .sum()
    }
}

impl Policy for ExpThreshold {
    fn name(&self) -> String {
        "exp-threshold".to_owned()
    }

    fn needs_history(&self) -> bool {
        self.given.is_none()
    }

    fn adapt(&self, setup: &RunSetup<'_>) -> Result<Option<Arc<dyn Policy>>, PolicyError> {
        let rows = setup.budgets.rows().iter();
        let curves: Arc<[Option<Curve>]> = if let Some(given) = self.given {
            if rows.clone().any(|row| row.meter != Meter::Cost) {
                let what = "budgets in USD alone where `lower` and `upper` are given";
                return Err(PolicyError::Needs { policy: self.name(), what });
            }
            rows.map(|_| Some(given)).collect()
        } else {
            let history = history(setup, || self.name())?;
            let curves = Meter::ALL.map(|meter| (meter, curve(history, meter)));
            let of = |wanted| curves.iter().find(|(meter, _)| *meter == wanted);
            rows.map(|row| of(row.meter).and_then(|(_, curve)| *curve)).collect()
        };
        Ok(Some(Arc::new(Self { curves: Some(curves), ..self.clone() })))
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        _prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        let curves = self.curves.as_deref();
        let curves = curves.ok_or_else(|| PolicyError::not_adapted(self.name()))?;
        out.clear();
        let mut worthy = false;
        for model in 0..arrival.estimates.quality.len() {
            let value = arrival.estimates.quality[model];
            let surplus = value - Self::toll(curves, arrival, budgets, model);
            let passes = value > 0.0 && surplus >= 0.0;
            if !passes && !arrival.must_serve {
                continue;
            }
            worthy = true;
            if !budgets.fits(arrival.group, model, &arrival.estimates) {
                continue;
            }
            // What must be served comes after what passes: it scores 0 or less.
            let score = if passes && self.by == ExpThresholdBy::Value { value } else { surplus };
            out.offer(model, score, DEPTH);
        }
        if worthy && out.best().is_none() {
            out.set_unaffordable();
        }
        Ok(())
    }

    fn explain(&self, arrival: &Arrival<'_>, _prices: &Prices, model: usize) -> Explanation {
        let label = match self.by {
            ExpThresholdBy::Value => "quality",
            ExpThresholdBy::Surplus => "quality, before tolls",
        };
        Explanation::leaf(label, arrival.estimates.quality[model])
    }
}

/// (1) from the quantiles of the densities that are positive and finite.
fn curve(history: &EstimateTable, meter: Meter) -> Option<Curve> {
    let all = history.view();
    let used = all.meter(meter);
    let densities = all.quality.iter().enumerate();
    let densities = densities.map(|(at, value)| value / used.map_or(1.0, |used| used[at]));
    let mut densities: Vec<f64> =
        densities.filter(|density| *density > 0.0 && density.is_finite()).collect();
    densities.sort_by(f64::total_cmp);
    let last = densities.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length is within the length"
    )]
    let [lower, upper] = QUANTILES.map(|share| {
        let at = share * last as f64;
        let below = densities[at as usize];
        below + at.fract() * (densities[(at as usize + 1).min(last)] - below)
    });
    Some(Curve::new(lower, upper))
}

#[cfg(test)]
mod tests;
