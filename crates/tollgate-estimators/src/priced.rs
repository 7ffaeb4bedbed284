//! Costs through lengths: any recipe, and a price list.
//!
//! # Problem
//!
//! An answer costs its prompt's tokens at one price and its own at another. Recorded costs mix
//! the two: of prompts that are alike in what they ask, the longer one costs more, by an amount
//! that is known before the model is asked. What has to be predicted is the length alone.
//!
//! # Method
//!
//! With `t_r` the tokens of prompt `r`, `a_i` and `b_i` the prices of model `i` for a token of
//! input and of output, and `c_ri` the recorded costs, the lengths of the answers are had back:
//!
//! ```text
//! l_ri = max(1, (c_ri - t_r a_i) / b_i)                                          (1)
//! c_i(x) = t(x) a_i + b_i L_i(x),   se_i(x) = b_i se(L_i(x))                     (2)
//! ```
//!
//! An answer has at least one token: where a recorded cost does not even pay for the prompt,
//! it counts as one. Where output is free (`b_i = 0`) the cost does not tell the length; every
//! answer counts as one token, and (2) is the price of the prompt, without error. The length
//! `L_i` is predicted in one of two ways.
//!
//! * **Continuous**: the recipe learns from the history with `l_ri` in the place of costs.
//! * **In buckets**: the recipe is asked for the shares `s_b` of the buckets of
//!   [`LengthBuckets`]. It learns them as scores of a history with a column for each model and
//!   bucket, 1 where the answer is in the bucket and 0 elsewhere. Of neighbors that is the share
//!   of them in each bucket; of logistic heads it is one head for each bucket, against the rest.
//!   With `m_b` the mean length in the bucket,
//!
//! ```text
//! L_i(x) = sum_b s_b m_b / sum_b s_b                                             (3)
//! se(L_i(x))^2 = sum_b (m_b - L_i(x))^2 se_b^2 / (sum_b s_b)^2                   (4)
//! ```
//!
//! (4) takes the errors of the shares as independent, and knows nothing of how lengths vary
//! within a bucket. Edges and means are those of all prompts, also for
//! [`held_out`](Fit::held_out), and stay when the history grows.
//!
//! A query that does not say how many tokens it has counts as the mean of the history's prompts.
//!
//! # Departures from the paper
//!
//! * The published code has a model that is not on its price list cost nothing; here it is
//!   refused when the recipe is fitted.
//! * There, lengths are averaged as numbers, and buckets only serve to say how often the average
//!   is in the right one; here they can be what is predicted, and (3) makes a length of them.
//!
//! # References
//!
//! Mei et al., "OmniRouter: budget and performance controllable multi-LLM routing", 2025,
//! arXiv:2502.20576.

mod buckets;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    EstimateError, EstimateTable, EstimatesMut, Estimator, Fit, FitError, History, Models,
    ParamError, PriceList, Queries, Query, Scratch, Seed,
};

use self::buckets::{Buckets, Shares};
use crate::index::check_grown;
use crate::labels::check_models;
use crate::lengths::LengthBuckets;

/// Tokens of an answer, at least.
const SHORTEST: f64 = 1.0;

/// Where fixed buckets end, in tokens: as in the published code.
const FIXED_END: f64 = 1024.0;

/// Buckets of a model, at most.
const MOST_BUCKETS: usize = 100;

/// How the length of an answer is predicted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LengthMode {
    /// As a number.
    #[default]
    Continuous,
    /// As shares of buckets that the model's answers fill equally.
    QuantileBuckets,
    /// As shares of buckets that are equally wide over 1,024 tokens, as in the published code;
    /// longer answers are in the last.
    FixedBuckets,
}

impl LengthMode {
    /// The name, as configuration files have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Continuous => "continuous",
            Self::QuantileBuckets => "quantile-buckets",
            Self::FixedBuckets => "fixed-buckets",
        }
    }

    /// Buckets for some lengths, NaN for a gap; `None` where there are none to be.
    fn buckets(self, lengths: &[f64], count: usize) -> Result<Option<LengthBuckets>, ParamError> {
        match self {
            Self::Continuous => Ok(None),
            Self::QuantileBuckets => LengthBuckets::quantiles(lengths, count).map(Some),
            Self::FixedBuckets => LengthBuckets::fixed(lengths, count, FIXED_END).map(Some),
        }
    }
}

/// A recipe whose costs come of lengths and a price list.
///
/// It learns from histories that say how many tokens their prompts have
/// ([`History::with_input_tokens`]), of models that are all on the list.
#[derive(Clone, Debug)]
pub struct Priced {
    recipe: Arc<dyn Fit>,
    prices: PriceList,
    lengths: LengthMode,
    buckets: usize,
}

impl Priced {
    /// Lets `recipe` predict lengths as numbers.
    pub fn new(recipe: Arc<dyn Fit>, prices: PriceList) -> Self {
        Self { recipe, prices, lengths: LengthMode::Continuous, buckets: 1 }
    }

    /// Lets it predict them as said; `buckets` is their number where there are any.
    ///
    /// # Errors
    /// [`ParamError`] when `buckets` is 0 or more than 100.
    pub fn lengths(mut self, lengths: LengthMode, buckets: usize) -> Result<Self, ParamError> {
        if !(1..=MOST_BUCKETS).contains(&buckets) {
            let (rule, got) = (">= 1 and <= 100", buckets as f64);
            return Err(ParamError { field: "buckets", rule, got });
        }
        (self.lengths, self.buckets) = (lengths, buckets);
        Ok(self)
    }

    /// A history with lengths, equation (1), in the place of its costs, and what it takes to
    /// price them.
    fn lengths_of(&self, history: &History) -> Result<(History, Tariff), FitError> {
        let tariff = Tariff::new(&self.prices, history, || self.name())?;
        Ok((tariff.lengths(history), tariff))
    }

    /// The buckets of each model; `None` where lengths are numbers.
    fn bucketed(&self, lengths: &History) -> Result<Option<Buckets>, FitError> {
        let n_models = lengths.models().len();
        let of = |model: usize| {
            let column = lengths.cost().iter().skip(model).step_by(n_models).copied();
            self.lengths.buckets(&column.collect::<Vec<_>>(), self.buckets)
        };
        let models = (0..n_models).map(of).collect::<Result<Option<Vec<_>>, _>>()?;
        Ok(models.map(Buckets::new))
    }

    fn estimator(
        &self,
        history: &History,
        inner: Box<dyn Estimator>,
        shares: Option<Shares>,
        tariff: Tariff,
    ) -> Box<dyn Estimator> {
        let (name, prices, n_rows) = (self.name(), self.prices.clone(), history.len());
        Box::new(PricedEstimator { name, inner, shares, prices, tariff, n_rows })
    }
}

impl Fit for Priced {
    fn name(&self) -> String {
        let (recipe, lengths) = (self.recipe.name(), self.lengths.name());
        match self.lengths {
            LengthMode::Continuous => format!("priced({recipe})"),
            _ => format!("priced({recipe},lengths={lengths},buckets={})", self.buckets),
        }
    }

    fn fit(&self, history: &History, seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
        let (lengths, tariff) = self.lengths_of(history)?;
        let shares = match self.bucketed(&lengths)? {
            Some(buckets) => {
                let estimator = self.recipe.fit(&buckets.history(&lengths), seed)?;
                Some(Shares::new(estimator, buckets))
            }
            None => None,
        };
        let inner = self.recipe.fit(&lengths, seed)?;
        Ok(self.estimator(history, inner, shares, tariff))
    }

    fn held_out(&self, history: &History, seed: Seed) -> Result<EstimateTable, FitError> {
        let (lengths, tariff) = self.lengths_of(history)?;
        let mut table = self.recipe.held_out(&lengths, seed)?;
        if let Some(buckets) = self.bucketed(&lengths)? {
            let shares = self.recipe.held_out(&buckets.history(&lengths), seed)?;
            table.fill(|mut out| buckets.expect(shares.view(), &mut out));
        }
        tariff.price_history(history, &mut table);
        Ok(table)
    }

    fn fit_and_hold_out(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(Box<dyn Estimator>, EstimateTable), FitError> {
        let (lengths, tariff) = self.lengths_of(history)?;
        let (inner, mut table) = self.recipe.fit_and_hold_out(&lengths, seed)?;
        let shares = match self.bucketed(&lengths)? {
            Some(buckets) => {
                let of_buckets = buckets.history(&lengths);
                let (estimator, held_out) = self.recipe.fit_and_hold_out(&of_buckets, seed)?;
                table.fill(|mut out| buckets.expect(held_out.view(), &mut out));
                Some(Shares::new(estimator, buckets))
            }
            None => None,
        };
        tariff.price_history(history, &mut table);
        Ok((self.estimator(history, inner, shares, tariff), table))
    }
}

/// The prices of a history's models, and what its prompts are like.
#[derive(Clone, Debug)]
struct Tariff {
    /// Of the models of the history, in their order.
    prices: PriceList,
    /// Of a query that does not say how long it is.
    mean_tokens: f64,
}

impl Tariff {
    /// `name` is asked where the history does not say how long its prompts are.
    fn new(
        prices: &PriceList,
        history: &History,
        name: impl Fn() -> String,
    ) -> Result<Self, FitError> {
        let prices = prices.select(history.models())?;
        let tokens = history.input_tokens();
        let tokens = tokens.ok_or_else(|| FitError::NoInputTokens { recipe: name() })?;
        let mean_tokens = tokens.iter().sum::<f64>() / tokens.len() as f64;
        Ok(Self { prices, mean_tokens })
    }

    fn n_models(&self) -> usize {
        self.prices.models().len()
    }

    /// Equation (1).
    fn lengths(&self, history: &History) -> History {
        let n_models = self.n_models();
        let tokens = history.queries().input_tokens.expect("looked for above");
        let length = |(at, &cost): (usize, &f64)| {
            if cost.is_nan() {
                return cost;
            }
            let length = self.prices.output_tokens(at % n_models, tokens[at / n_models], cost);
            length.map_or(SHORTEST, |length| length.max(SHORTEST))
        };
        let lengths = history.cost().iter().enumerate().map(length).collect();
        history.with_cost(lengths).expect("gaps stay where they are, and lengths are >= 1")
    }

    /// Equation (2) for one query, in place.
    fn price(&self, tokens: Option<f64>, out: EstimatesMut<'_>) {
        let tokens = tokens.unwrap_or(self.mean_tokens);
        for (model, (cost, se)) in out.cost.iter_mut().zip(out.cost_se).enumerate() {
            *cost = self.prices.cost(model, tokens, *cost);
            *se *= self.prices.price(model).output;
        }
    }

    /// Equation (2) for every prompt of a history, in place.
    fn price_history(&self, history: &History, table: &mut EstimateTable) {
        table.fill(|mut out| self.price_all(history.queries(), &mut out));
    }

    fn price_all(&self, queries: Queries<'_>, out: &mut EstimatesMut<'_>) {
        for index in 0..queries.len() {
            let row = out.rows(self.n_models(), index, index + 1);
            self.price(queries.query(index).input_tokens, row);
        }
    }
}

/// Predicts lengths and prices them.
#[derive(Debug)]
struct PricedEstimator {
    /// Of the recipe.
    name: String,
    /// Of scores, and of lengths in the place of costs.
    inner: Box<dyn Estimator>,
    /// Of lengths, where they are in buckets.
    shares: Option<Shares>,
    /// The whole list.
    prices: PriceList,
    tariff: Tariff,
    n_rows: usize,
}

impl Estimator for PricedEstimator {
    fn models(&self) -> &Models {
        self.inner.models()
    }

    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn choice(&self) -> Option<&str> {
        self.inner.choice()
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError> {
        check_models(self.models(), history)?;
        check_grown(history, self.n_rows, self.dim())?;
        let tariff = Tariff::new(&self.prices, history, || self.name.clone())?;
        let lengths = tariff.lengths(history);
        let shares = self.shares.as_ref().map(|shares| shares.grow(&lengths)).transpose()?;
        Ok(Box::new(Self {
            name: self.name.clone(),
            inner: self.inner.grow(&lengths)?,
            shares,
            prices: self.prices.clone(),
            tariff,
            n_rows: history.len(),
        }))
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        check(query.input_tokens)?;
        self.inner.estimate_into(query, scratch.child(0), out.reborrow())?;
        if let Some(shares) = &self.shares {
            shares.expect(1, scratch, &mut out, |estimator, scratch, out| {
                estimator.estimate_into(query, scratch, out)
            })?;
        }
        self.tariff.price(query.input_tokens, out);
        Ok(())
    }

    fn estimate_batch(
        &self,
        queries: Queries<'_>,
        scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        queries
            .input_tokens
            .unwrap_or_default()
            .iter()
            .try_for_each(|&tokens| check(Some(tokens)))?;
        self.inner.estimate_batch(queries, scratch.child(0), out.reborrow())?;
        if let Some(shares) = &self.shares {
            shares.expect(queries.len(), scratch, &mut out, |estimator, scratch, out| {
                estimator.estimate_batch(queries, scratch, out)
            })?;
        }
        self.tariff.price_all(queries, &mut out);
        Ok(())
    }
}

fn check(tokens: Option<f64>) -> Result<(), EstimateError> {
    match tokens {
        Some(got) if !(got >= 0.0 && got.is_finite()) => Err(EstimateError::InputTokens { got }),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "priced/tests.rs"]
mod tests;
