//! Value less price: the one idea, as a policy.
//!
//! # Problem
//! Route each query where `score_i = value_i - sum_r price_r * use_ri` is highest,
//! equation (3) of the core. Where the latency of the models is known at arrival, a price on
//! time takes its share of the score: one reading a model, in seconds. Prices come from a [`PriceSource`]; what happens when the
//! best model is worth less than its price, or is out of budget, is the [`Guard`]'s.
//!
//! While there are no prices yet the query is routed uniformly over the models and a
//! drop arm (no drop arm where it must be served): the learning prefix of the published
//! algorithm.

mod descent;
mod floor;
mod geometric;
mod outlook;
mod pace;
mod prefix;
mod resolve;
mod sample;
mod ties;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    Arrival, BudgetView, Coefficients, Column, Explanation, Meter, Policy, PolicyError, Pricer,
    Prices, Ranking, RunSetup,
};

pub use descent::{Descent, DescentConfig, Mirror, Start, Steps, Target};
pub use floor::FloorPrices;
pub use geometric::{Geometric, GeometricConfig};
pub use outlook::Outlook;
pub use prefix::{PrefixObjective, PrefixPrices, PrefixPricesConfig};
pub use resolve::{Resolve, ResolveConfig, Schedule};

/// Where the prices of a [`DualPrice`] policy come from.
pub trait PriceSource: fmt::Debug + Send + Sync {
    /// The name in explanations and reports.
    fn name(&self) -> String;

    /// Whether [`start`](Self::start) needs [`RunSetup::history`].
    fn needs_history(&self) -> bool;

    /// The run state of one run.
    ///
    /// # Errors
    /// [`PolicyError`] when the setup lacks what the source needs.
    fn start(&self, setup: &RunSetup<'_>) -> Result<Box<dyn Pricer>, PolicyError>;
}

/// What to do when the best model is worthless or out of budget.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// Nothing: the best model is picked whatever its score, and lost if it is out of
    /// budget. What PORT's published code does.
    None,
    /// Decline when no score is above 0; a pick that is out of budget is lost. What
    /// PORT's theory says.
    Decline,
    /// Take the best model whose estimate fits what is left, whatever its score.
    NextBest,
    /// Take the best model whose estimate fits what is left; decline when no score
    /// above 0 is among them.
    NextBestOrDecline,
}

impl Guard {
    fn declines(self) -> bool {
        matches!(self, Self::Decline | Self::NextBestOrDecline)
    }

    fn falls_back(self) -> bool {
        matches!(self, Self::NextBest | Self::NextBestOrDecline)
    }
}

/// How many models a ranking names at the most: the pick, and spares for a
/// reservation that is refused because another thread was faster.
const DEPTH: usize = 3;

/// Routes each query where value less price is highest.
#[derive(Clone, Debug)]
pub struct DualPrice {
    name: String,
    source: Arc<dyn PriceSource>,
    guard: Guard,
    corrects_costs: bool,
}

impl DualPrice {
    /// A price source with the guard of tollgate: next best, or decline.
    pub fn new(name: impl Into<String>, source: impl PriceSource + 'static) -> Self {
        let (name, source) = (name.into(), Arc::new(source));
        let guard = Guard::NextBestOrDecline;
        Self { name, source, guard, corrects_costs: false }
    }

    /// Corrects expected costs by what answers have really cost.
    #[must_use]
    pub fn corrects_costs(mut self) -> Self {
        self.corrects_costs = true;
        self
    }

    /// Another guard.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    /// The learning prefix: uniform over the models and a drop arm, or over the models
    /// alone where the query must be served.
    fn explore(arrival: &Arrival<'_>, out: &mut Ranking) {
        let n_models = arrival.estimates.quality.len();
        let arms = if arrival.must_serve { n_models } else { n_models + 1 };
        let arm = arrival.rng().below(arms);
        if arm < n_models {
            out.push(arm, 0.0);
        }
    }

    fn offer(
        &self,
        arrival: &Arrival<'_>,
        prices: &Prices,
        coefficients: &Coefficients,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) {
        let score = Scorer::new(coefficients, arrival);
        let mut worthy = false;
        let declines = self.guard.declines() && !arrival.must_serve;
        for model in 0..arrival.estimates.quality.len() {
            let score = score.of(model);
            if declines && score <= 0.0 {
                continue;
            }
            worthy = true;
            if self.guard.falls_back() && !budgets.fits(arrival.group, model, &arrival.estimates) {
                continue;
            }
            out.offer(model, score, if self.guard.falls_back() { DEPTH } else { 1 });
        }
        if let Some(shares) = prices.tie_shares()
            && self.guard.falls_back()
        {
            break_tie(arrival, &score, shares, budgets, declines, out);
        }
        if worthy && out.best().is_none() {
            out.set_unaffordable();
        }
    }
}

/// Gives a query whose best options tie to one of them, in the proportions of the program's own
/// answer.
fn break_tie(
    arrival: &Arrival<'_>,
    scorer: &Scorer<'_>,
    shares: &[f64],
    budgets: &BudgetView<'_>,
    declines: bool,
    out: &mut Ranking,
) {
    let fits = |model: usize| budgets.fits(arrival.group, model, &arrival.estimates);
    let models = || (0..arrival.estimates.quality.len()).filter(|&model| fits(model));
    let floor = if declines { 0.0 } else { f64::NEG_INFINITY };
    let best = models().map(|model| scorer.of(model)).fold(floor, f64::max);
    let ties = |model: usize| ties::same(scorer.of(model), best, scorer.size(model));
    let declining =
        if declines && models().any(|m| ties(m) && ties::same(best, 0.0, scorer.size(m))) {
            shares[shares.len() - 1]
        } else {
            0.0
        };
    let total: f64 = declining + models().filter(|&m| ties(m)).map(|m| shares[m]).sum::<f64>();
    let options = models().filter(|&m| ties(m)).count() + usize::from(declining > 0.0);
    if options < 2 || total <= 0.0 {
        return;
    }
    let mut draw = arrival.rng().uniform() * total;
    for model in models().filter(|&model| ties(model)) {
        draw -= shares[model];
        if draw < 0.0 {
            out.promote(model, scorer.of(model));
            return;
        }
    }
    if declining > 0.0 {
        out.clear();
    }
}

impl Policy for DualPrice {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn needs_history(&self) -> bool {
        self.source.needs_history()
    }

    fn corrects_costs(&self) -> bool {
        self.corrects_costs
    }

    fn pricer(&self, setup: &RunSetup<'_>) -> Result<Option<Box<dyn Pricer>>, PolicyError> {
        let counted = setup.budgets.rows().iter().any(|row| row.meter == Meter::Tokens);
        if counted && setup.budgets.tokens_per_usd().is_none() {
            let what = "the models' tokens per USD, since a budget counts tokens";
            return Err(PolicyError::Needs { policy: self.name(), what });
        }
        self.source.start(setup).map(Some)
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        out.clear();
        match prices.coefficients() {
            None => Self::explore(arrival, out),
            Some(coefficients) => self.offer(arrival, prices, coefficients, budgets, out),
        }
        Ok(())
    }

    fn explain(&self, arrival: &Arrival<'_>, prices: &Prices, model: usize) -> Explanation {
        let Some(coefficients) = prices.coefficients() else {
            return Explanation::leaf("not priced yet: explored at random", 0.0);
        };
        let scorer = Scorer::new(coefficients, arrival);
        let quality = arrival.estimates.quality[model];
        let cost = arrival.estimates.cost[model];
        let worth = scorer.quality.get(model) * quality;
        let toll = scorer.cost.get(model) * cost;
        let mut terms = vec![
            Explanation::node(
                "value",
                worth,
                vec![
                    Explanation::leaf("expected quality", quality),
                    Explanation::leaf("value per quality", scorer.quality.get(model)),
                ],
            ),
            Explanation::node(
                "toll",
                toll + scorer.one.get(model),
                vec![
                    Explanation::leaf("expected cost, USD", cost),
                    // Not `-`, which makes a price of nothing -0.
                    Explanation::leaf("price per USD", 0.0 - scorer.cost.get(model)),
                    Explanation::leaf("price per query", 0.0 - scorer.one.get(model)),
                ],
            ),
        ];
        if let Some((per_second, seconds)) = &scorer.latency {
            terms.push(Explanation::node(
                "time",
                scorer.time(model),
                vec![
                    Explanation::leaf("expected latency, s", seconds[model]),
                    Explanation::leaf("price per second", 0.0 - per_second.get(model)),
                ],
            ));
        }
        Explanation::node("score", scorer.of(model), terms)
    }
}

/// Equation (3) for one arrival: its columns, looked up once.
struct Scorer<'a> {
    quality: Column<'a>,
    cost: Column<'a>,
    one: Column<'a>,
    /// The coefficients of time and the seconds; `None` where there is no price on time, or
    /// nobody measures.
    latency: Option<(Column<'a>, &'a [f64])>,
    arrival: &'a Arrival<'a>,
}

impl<'a> Scorer<'a> {
    fn new(coefficients: &'a Coefficients, arrival: &'a Arrival<'a>) -> Self {
        let of = |meter| coefficients.of(arrival.group, meter);
        let priced = |column: &Column<'_>, n: usize| (0..n).any(|model| column.get(model) != 0.0);
        let latency = arrival.latency.map(|seconds| (of(Meter::Latency), seconds));
        let latency = latency.filter(|(column, seconds)| priced(column, seconds.len()));
        let [quality, cost, one] = [Meter::Quality, Meter::Cost, Meter::One].map(of);
        Self { quality, cost, one, latency, arrival }
    }

    /// What the wait for the answer takes from its score: at most 0.
    fn time(&self, model: usize) -> f64 {
        self.latency.as_ref().map_or(0.0, |(column, seconds)| column.get(model) * seconds[model])
    }

    /// How large the numbers are that a score is the difference of.
    fn size(&self, model: usize) -> f64 {
        let estimates = &self.arrival.estimates;
        let value = self.quality.get(model) * estimates.quality[model];
        let toll = self.cost.get(model) * estimates.cost[model];
        value.abs().max(toll.abs()).max(self.time(model).abs())
    }

    fn of(&self, model: usize) -> f64 {
        let estimates = &self.arrival.estimates;
        let score = self.quality.get(model) * estimates.quality[model]
            + self.cost.get(model) * estimates.cost[model]
            + self.one.get(model);
        // Not `+ 0`, which is not the same for a score of -0.
        if self.latency.is_some() { score + self.time(model) } else { score }
    }
}

#[cfg(test)]
mod succession_tests;
#[cfg(test)]
mod tests;
