//! Smooth in the embedding: ridge regression on Gaussian kernels at landmarks.
//!
//! # Problem
//!
//! Ridge sees planes only. What is expected of a prompt is smooth, though, and a function
//! with a small norm in the space of
//!
//! ```text
//! k(u, v) = exp(-g |u - v|^2),   u = x / |x|                                     (1)
//! ```
//!
//! can follow any smooth shape. Kernel ridge regression over all `n` prompts costs
//! `O(n^3)`; with `m` landmarks `l_1..l_m`
//!
//! ```text
//! p_j(x) = k(u(x), l_j),   K = (k(l_i, l_j))_ij,   W W' = K^-1                    (2)
//! ```
//!
//! the regression of [`RegressionEstimator`] on `W' p(x)` is the best within their span.
//!
//! # Method
//!
//! Landmarks are the centers of the history's prompts, which stand for all of them better
//! than as many prompts drawn at random: on `ZeroEval` 512 centers predict as well as 1024
//! prompts. `W` is from the Cholesky factor of `K`, with `1e-6` added to its diagonal of
//! ones, since copies are landmarks too. A center is moved to the nearest point that a byte
//! a dimension can tell: as good a landmark, and a quarter of the memory to read for a
//! query.
//! By default there are 1024, and `g` is 1.5 over the mean squared distance of two prompts
//! of the history, so that neither the scale nor the mean of the embeddings matters; half
//! and twice of it predict nearly as well on recorded streams.
//!
//! A query costs `O(m d)` for (2); the fit `O(n m (d + m) + m^3)`.
//!
//! # References
//!
//! Saunders, Gammerman and Vovk, "Ridge regression learning algorithm in dual variables",
//! 1998. Williams and Seeger, "Using the Nyström method to speed up kernel machines", 2001:
//! (2). Zhang, Tsang and Kwok, "Improved Nyström low-rank approximation and error
//! analysis", 2008, doi:10.1145/1390156.1390311: centers as landmarks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{EstimateTable, Estimator, Fit, FitError, History, ParamError, Seed};

use crate::kernels::Kernels;
use crate::regression::{Features, RegressionEstimator, check_lambda};

/// Knobs of [`KernelRidge`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct KernelRidgeConfig {
    /// Landmarks, `>= 1`; all prompts where there are no more. Default 1024.
    pub landmarks: usize,
    /// `g` of equation (1) on unit vectors, `> 0`. Default: 1.5 over the mean squared
    /// distance of two prompts of the history.
    pub sharpness: Option<f64>,
    /// The penalty, for scores and costs alike, `> 0`. Default: chosen by leave-one-out,
    /// one for each component of the labels.
    pub lambda: Option<f64>,
}

impl Default for KernelRidgeConfig {
    fn default() -> Self {
        Self { landmarks: 1024, sharpness: None, lambda: None }
    }
}

impl KernelRidgeConfig {
    /// Sets the number of landmarks.
    #[must_use]
    pub fn landmarks(mut self, landmarks: usize) -> Self {
        self.landmarks = landmarks;
        self
    }

    /// Sets `g`.
    #[must_use]
    pub fn sharpness(mut self, sharpness: f64) -> Self {
        self.sharpness = Some(sharpness);
        self
    }

    /// Sets the penalty.
    #[must_use]
    pub fn lambda(mut self, lambda: f64) -> Self {
        self.lambda = Some(lambda);
        self
    }

    /// The recipe.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self) -> Result<KernelRidge, ParamError> {
        let Self { landmarks, sharpness, lambda } = self;
        if landmarks == 0 {
            return Err(ParamError { field: "landmarks", rule: ">= 1", got: 0.0 });
        }
        if let Some(got) = sharpness.filter(|g| !(*g > 0.0 && g.is_finite())) {
            return Err(ParamError { field: "sharpness", rule: "finite and > 0", got });
        }
        check_lambda(lambda)?;
        Ok(KernelRidge { landmarks, sharpness, lambda })
    }
}

/// The recipe of a [`RegressionEstimator`] on kernels.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelRidge {
    landmarks: usize,
    sharpness: Option<f64>,
    lambda: Option<f64>,
}

impl Default for KernelRidge {
    fn default() -> Self {
        KernelRidgeConfig::default().build().expect("the defaults are in range")
    }
}

impl KernelRidge {
    fn fit_kernels(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(RegressionEstimator, EstimateTable), FitError> {
        let Self { landmarks, sharpness, .. } = *self;
        let kernels = Kernels::new(&self.name(), (landmarks, sharpness), history, seed)?;
        let features: Arc<dyn Features> = Arc::new(kernels);
        RegressionEstimator::fit(self.name(), history, &features, self.lambda)
    }
}

impl Fit for KernelRidge {
    fn name(&self) -> String {
        let default = KernelRidgeConfig::default();
        let knob = |name: &str, value: Option<f64>| value.map(|value| format!("{name}={value}"));
        let landmarks = (self.landmarks != default.landmarks).then_some(self.landmarks as f64);
        let knobs: Vec<String> = [
            knob("landmarks", landmarks),
            knob("sharpness", self.sharpness),
            knob("lambda", self.lambda),
        ]
        .into_iter()
        .flatten()
        .collect();
        if knobs.is_empty() {
            "kernel-ridge".to_owned()
        } else {
            format!("kernel-ridge({})", knobs.join(","))
        }
    }

    crate::fitting::fit_through!(fit_kernels);
}

#[cfg(test)]
#[path = "kernel_ridge/tests.rs"]
mod tests;
