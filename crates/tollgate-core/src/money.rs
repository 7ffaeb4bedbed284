//! Money as integers: what the ledger adds and compares must be exact.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::MoneyError;

/// 2^64: the first number beyond the integers of an account.
pub(crate) const INTEGERS: f64 = 2.0 * (1_u64 << 63) as f64;

/// An amount of money in units of 10^-12 USD.
///
/// The cheapest published price is about 10^-8 USD a token, so a pico-dollar is
/// four digits below the smallest amount that matters, and 64 bits hold 18.4
/// million USD.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct PicoUsd(pub u64);

impl PicoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Pico-dollars in a dollar.
    pub const PER_USD: f64 = 1e12;

    /// The nearest amount.
    ///
    /// # Errors
    /// [`MoneyError`] when `usd` is NaN, infinite, negative or above 18.4 million.
    pub fn from_usd(usd: f64) -> Result<Self, MoneyError> {
        let pico = usd * Self::PER_USD;
        // Written so that NaN fails.
        if !(usd >= 0.0 && pico < INTEGERS) {
            return Err(MoneyError { usd });
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "range checked above"
        )]
        Ok(Self(pico.round() as u64))
    }

    /// The amount in USD.
    pub fn to_usd(self) -> f64 {
        self.0 as f64 / Self::PER_USD
    }
}

impl fmt::Display for PicoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} USD", self.to_usd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dollar_there_and_back() {
        let amount = PicoUsd::from_usd(2.136e-3).unwrap();
        assert_eq!(amount, PicoUsd(2_136_000_000));
        assert_eq!(amount.to_string(), "0.002136 USD");
    }

    #[test]
    fn refusals() {
        for usd in [f64::NAN, f64::INFINITY, -1e-9, 1.9e7] {
            assert!(PicoUsd::from_usd(usd).is_err(), "{usd}");
        }
        insta::assert_snapshot!(
            PicoUsd::from_usd(f64::NAN).unwrap_err(),
            @"an amount of money must be in [0, 18.4 million] USD, got NaN"
        );
    }
}
