//! What tokens cost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{ModelId, Models};

/// USD per token of each model: the input's and the output's.
///
/// The cost of an answer is `input tokens * input price + output tokens * output price`, so of
/// a recorded cost and a known input the length of the answer can be had back: see
/// [`output_tokens`](Self::output_tokens).
///
/// A model that is not on the list has no price. It is an error, never a price of 0, which
/// would make the unknown model the cheapest one.
///
/// ```
/// use tollgate_core::{Models, PriceList, TokenPrice};
///
/// let price = |input, output| TokenPrice { input, output };
/// let list = PriceList::new([("large", price(2e-6, 8e-6)), ("small", price(1e-6, 2e-6))])?;
/// let models = Models::new(["large", "small"])?;
/// let list = list.select(&models)?;
/// assert!((list.cost(0, 100.0, 50.0) - 6e-4).abs() < 1e-15);
/// assert!((list.output_tokens(0, 100.0, 6e-4).unwrap() - 50.0).abs() < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In configuration files it is a map of names to prices:
///
/// ```text
/// [prices]
/// large = { input = 2e-6, output = 8e-6 }
/// small = { input = 1e-6, output = 2e-6 }
/// ```
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "BTreeMap<String, TokenPrice>", into = "BTreeMap<String, TokenPrice>")]
pub struct PriceList {
    /// Sorted bytewise by name.
    models: Models,
    /// By model index.
    prices: Vec<TokenPrice>,
}

/// USD per token.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenPrice {
    /// Of the prompt, finite and `>= 0`.
    pub input: f64,
    /// Of the answer, finite and `>= 0`.
    pub output: f64,
}

/// A refused price list, or one that lacks a model.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PriceListError {
    /// Refused names.
    #[error("the models of the price list are refused")]
    Models(#[from] crate::ModelsError),
    /// A price out of range.
    #[error("{what} price of model `{model}` must be finite and >= 0 USD per token, got {got}")]
    Price {
        /// The model.
        model: ModelId,
        /// `input` or `output`.
        what: &'static str,
        /// The value.
        got: f64,
    },
    /// A model without a price.
    #[error("model `{model}` is not on the price list")]
    Unknown {
        /// The model.
        model: ModelId,
    },
}

impl PriceList {
    /// Checks and sorts the prices.
    ///
    /// # Errors
    /// [`PriceListError`] when there are no models, a name is empty or repeats, or a price is
    /// not finite and `>= 0`.
    pub fn new<N: AsRef<str>>(
        prices: impl IntoIterator<Item = (N, TokenPrice)>,
    ) -> Result<Self, PriceListError> {
        let mut prices: Vec<(ModelId, TokenPrice)> =
            prices.into_iter().map(|(name, price)| (ModelId::new(name), price)).collect();
        for (model, TokenPrice { input, output }) in &prices {
            for (what, got) in [("input", *input), ("output", *output)] {
                if !(got >= 0.0 && got.is_finite()) {
                    return Err(PriceListError::Price { model: model.clone(), what, got });
                }
            }
        }
        prices.sort_by(|a, b| a.0.cmp(&b.0));
        let models = Models::new(prices.iter().map(|(model, _)| model.as_str()))?;
        Ok(Self { models, prices: prices.into_iter().map(|(_, price)| price).collect() })
    }

    /// The models, in index order.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The prices of `models` alone, in their order.
    ///
    /// # Errors
    /// [`PriceListError::Unknown`] names the first that is not on the list.
    pub fn select(&self, models: &Models) -> Result<Self, PriceListError> {
        let price = |model: &ModelId| {
            let index = self.models.index_of(model.as_str());
            let index = index.ok_or_else(|| PriceListError::Unknown { model: model.clone() })?;
            Ok(self.prices[index])
        };
        let prices = models.iter().map(price).collect::<Result<_, PriceListError>>()?;
        Ok(Self { models: models.clone(), prices })
    }

    /// The prices of model number `model`.
    ///
    /// # Panics
    /// When there is no such model.
    pub fn price(&self, model: usize) -> TokenPrice {
        self.prices[model]
    }

    /// What an answer of model number `model` costs, in USD.
    ///
    /// # Panics
    /// As [`price`](Self::price).
    pub fn cost(&self, model: usize, input_tokens: f64, output_tokens: f64) -> f64 {
        let TokenPrice { input, output } = self.prices[model];
        input_tokens * input + output_tokens * output
    }

    /// How many tokens an answer of model number `model` had that cost so many USD, `>= 0`:
    /// an answer that cost less than its prompt counts as empty. `None` where output is free,
    /// so that the cost does not tell; NaN for a gap.
    ///
    /// # Panics
    /// As [`price`](Self::price).
    pub fn output_tokens(&self, model: usize, input_tokens: f64, cost: f64) -> Option<f64> {
        let TokenPrice { input, output } = self.prices[model];
        if cost.is_nan() {
            return Some(f64::NAN);
        }
        (output > 0.0).then(|| ((cost - input_tokens * input) / output).max(0.0))
    }
}

impl TryFrom<BTreeMap<String, TokenPrice>> for PriceList {
    type Error = PriceListError;

    fn try_from(prices: BTreeMap<String, TokenPrice>) -> Result<Self, PriceListError> {
        Self::new(prices)
    }
}

impl From<PriceList> for BTreeMap<String, TokenPrice> {
    fn from(list: PriceList) -> Self {
        let prices = list.models.iter().zip(&list.prices);
        prices.map(|(model, price)| (model.to_string(), *price)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price(input: f64, output: f64) -> TokenPrice {
        TokenPrice { input, output }
    }

    /// 100 tokens in at 2 and 50 out at 8 are 600; what cost 150 did not even pay for its
    /// prompt.
    #[test]
    fn costs_and_lengths_by_hand() {
        let list = PriceList::new([("b", price(2.0, 8.0)), ("a", price(1.0, 0.0))]).unwrap();
        assert_eq!(list.models(), &Models::new(["a", "b"]).unwrap());
        assert_eq!(list.price(1), price(2.0, 8.0));
        assert!((list.cost(1, 100.0, 50.0) - 600.0).abs() < 1e-12);
        assert_eq!(list.output_tokens(1, 100.0, 600.0), Some(50.0));
        assert_eq!(list.output_tokens(1, 100.0, 150.0), Some(0.0));
        assert_eq!(list.output_tokens(0, 100.0, 100.0), None, "free output tells no length");
        assert!(list.output_tokens(1, 100.0, f64::NAN).unwrap().is_nan());
    }

    #[test]
    fn unknown_models_have_no_price() {
        let list = PriceList::new([("b", price(2.0, 8.0)), ("a", price(1.0, 0.0))]).unwrap();
        let models = |names: &[&str]| Models::new(names).unwrap();
        assert_eq!(list.select(&models(&["b"])).unwrap().price(0), price(2.0, 8.0));
        let error = list.select(&models(&["a", "c"])).unwrap_err();
        insta::assert_snapshot!(error, @"model `c` is not on the price list");
    }

    #[test]
    fn a_map_there_and_back() {
        let list = PriceList::new([("b", price(2.0, 8.0)), ("a", price(1.0, 0.0))]).unwrap();
        let map = BTreeMap::from(list.clone());
        assert_eq!(map["b"], price(2.0, 8.0));
        assert_eq!(PriceList::try_from(map).unwrap(), list);
        assert!(PriceList::try_from(BTreeMap::new()).is_err(), "a list of nothing");
    }

    #[test]
    fn refusals() {
        let message =
            |input, output| PriceList::new([("m", price(input, output))]).unwrap_err().to_string();
        insta::assert_snapshot!(message(-1.0, 1.0), @"input price of model `m` must be finite and >= 0 USD per token, got -1");
        insta::assert_snapshot!(message(1.0, f64::NAN), @"output price of model `m` must be finite and >= 0 USD per token, got NaN");
        let twice = PriceList::new([("m", price(1.0, 1.0)), ("m", price(1.0, 1.0))]).unwrap_err();
        assert!(matches!(twice, PriceListError::Models(_)), "{twice:?}");
    }

    proptest! {
        #[test]
        fn lengths_go_there_and_back(
            input in 0.0..1e-4, output in 1e-8..1e-4, prompt in 0.0..1e4, answer in 0.0..1e4,
        ) {
            let list = PriceList::new([("m", price(input, output))]).unwrap();
            let got = list.output_tokens(0, prompt, list.cost(0, prompt, answer)).unwrap();
            // Rounding of the prompt's share counts in tokens of output.
            let slack = 1e-12 * (1.0 + answer + prompt * input / output);
            prop_assert!((got - answer).abs() <= slack, "{got} for {answer}");
        }
    }
}
