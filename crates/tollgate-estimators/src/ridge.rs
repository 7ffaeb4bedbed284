//! Linear in the embedding: ridge regression with an intercept.
//!
//! # Problem
//!
//! The regression of [`regression`](crate::RegressionEstimator) on the direction of the
//! embedding itself, `u_r = x_r / |x_r|`. For one model and one penalty it reads, with `m`
//! the mean direction, `z_r = u_r - m` and `a` the mean label:
//!
//! ```text
//! w = argmin_w  sum_r (y_r - a - z_r . w)^2 + lambda |w|^2
//! f(x) = a + z(x) . w
//! ```
//!
//! # Limits
//!
//! What is not linear in the direction is not learned: a cluster of prompts inside the
//! cloud of the others has no direction of its own.
//!
//! # References
//!
//! Hoerl and Kennard, "Ridge regression", 1970, doi:10.1080/00401706.1970.10488634.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{EstimateTable, Estimator, Fit, FitError, History, ParamError, Seed};

use crate::regression::{Directions, Features, RegressionEstimator, check_lambda};

/// Knobs of [`Ridge`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RidgeConfig {
    /// The penalty on unit vectors, for scores and costs alike, `> 0`. Default: none given,
    /// chosen by leave-one-out, one for each component of the labels.
    pub lambda: Option<f64>,
}

impl RidgeConfig {
    /// Sets the penalty.
    #[must_use]
    pub fn lambda(mut self, lambda: f64) -> Self {
        self.lambda = Some(lambda);
        self
    }

    /// The recipe.
    ///
    /// # Errors
    /// [`ParamError`] when the penalty is not finite and `> 0`.
    pub fn build(self) -> Result<Ridge, ParamError> {
        let Self { lambda } = self;
        check_lambda(lambda)?;
        Ok(Ridge { lambda })
    }
}

/// The recipe of a [`RegressionEstimator`] on the embedding. The default chooses its
/// penalties by leave-one-out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ridge {
    lambda: Option<f64>,
}

impl Ridge {
    fn fit_ridge(
        &self,
        history: &History,
    ) -> Result<(RegressionEstimator, EstimateTable), FitError> {
        let features: Arc<dyn Features> = Arc::new(Directions { dim: history.dim() });
        RegressionEstimator::fit(self.name(), history, &features, self.lambda)
    }
}

impl Fit for Ridge {
    fn name(&self) -> String {
        match self.lambda {
            None => "ridge".to_owned(),
            Some(lambda) => format!("ridge(lambda={lambda})"),
        }
    }

    fn fit(&self, history: &History, _seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
        Ok(Box::new(self.fit_ridge(history)?.0))
    }

    fn held_out(&self, history: &History, _seed: Seed) -> Result<EstimateTable, FitError> {
        Ok(self.fit_ridge(history)?.1)
    }

    fn fit_and_hold_out(
        &self,
        history: &History,
        _seed: Seed,
    ) -> Result<(Box<dyn Estimator>, EstimateTable), FitError> {
        let (estimator, held_out) = self.fit_ridge(history)?;
        Ok((Box::new(estimator), held_out))
    }
}

#[cfg(test)]
#[path = "ridge/tests.rs"]
mod tests;
