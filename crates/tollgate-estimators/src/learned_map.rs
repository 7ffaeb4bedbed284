//! UniRoute by a learned map: clusters with soft borders, moved to where models differ.
//!
//! # Problem
//!
//! The borders of [`Clusters`] are where centers are equally far, and nothing says that models
//! change there. With `Psi(h)` the vector of a model's mean scores by cluster, a softmax map
//! takes a prompt to shares of the clusters, and a model's score is their mean:
//!
//! ```text
//! Phi_k(x) = exp(s_k(x)) / sum_l exp(s_l(x)),   s_k(x) = theta_k . u(x) + b_k,   u = x / |x|
//! q_h(x) = Phi(x) . Psi(h)                                                       (1)
//! ```
//!
//! The map is trained on the labels of the history's models; a model that comes later brings
//! its vector and takes the map as it is.
//!
//! # Method
//!
//! **Clusters and vectors** are those of [`Clusters`], with the same number; vectors are fixed
//! while the map is trained.
//!
//! **Where it begins.** With `theta_k = t c_k` and `b_k = -t |c_k|^2 / 2` the shares are those of
//! normal distributions of variance `1 / t` around the centers. Of ten values of `t`, from 2
//! to 1,024 over the mean squared distance to the nearest center, the one with the least loss
//! on a fifth of the prompts is taken, whose labels have not been looked at.
//!
//! **Training.** From there, with `V` the first 64 principal axes of the prompts,
//!
//! ```text
//! theta_k = t (c_k + V a_k),   b_k = t (e_k - |c_k|^2 / 2)
//! min over a, e   mean_ri loss(q_i(x_r), y_ri) + l/2 sum_k (|a_k|^2 + e_k^2)      (2)
//! loss(q, y) = - y log q - (1 - y) log(1 - q)
//! ```
//!
//! for scores anywhere in `[0, 1]`, by L-BFGS with the gradient of (2), which like (2) is a few
//! matrix products. `l` is the one of five powers of ten with the least loss on that fifth,
//! or infinite, which is no training at all, where that is better. Training ends after 60
//! iterations at the latest: the point of least loss is not what is wanted of a map that is to serve
//! other models. At most 4,096 prompts take part.
//!
//! **Costs** are means by the same shares. Standard errors are means of those of the clusters,
//! as if they erred together, which is never less than what they do.
//!
//! A query takes `O(K d)` in single precision, and `O(M)` for each cluster that has a share.
//! Shares below a millionth over `K` are left out, together less than a millionth.
//!
//! A longer history is clustered by the centers there are, and keeps the map.
//!
//! # Departures from the paper
//!
//! * Training begins with, and is drawn toward, soft clusters; the paper has neither a start
//!   nor a penalty. A map of `K d` weights learned from nothing needs the paper's hundred
//!   models.
//! * Vectors are drawn toward what is common to all models, as in [`Clusters`].
//! * Costs depend on the prompt, and everything has a standard error.
//!
//! # References
//!
//! Jitkrittum et al. (2025), Universal Model Routing for Efficient LLM Inference,
//! arXiv:2502.08773: section on the learned cluster map. Liu and Nocedal, "On the limited
//! memory BFGS method for large scale optimization", 1989, doi:10.1007/BF01589116.

mod lore;
mod training;

use serde::{Deserialize, Serialize};
use tollgate_core::{EstimateTable, Estimator, Fit, FitError, History, ParamError, Seed};

use self::lore::Given;
pub(crate) use self::lore::MapLore;
use crate::clusters::{Clusters, ClustersConfig};
use crate::pool::Pool;

/// Knobs of [`LearnedMap`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearnedMapConfig {
    /// As in [`ClustersConfig`].
    pub clusters: Option<usize>,
    /// As in [`ClustersConfig`].
    pub labels: usize,
    /// `l` of equation (2), `> 0`. Default: none given, chosen on a fifth of the prompts.
    pub penalty: Option<f64>,
}

impl Default for LearnedMapConfig {
    fn default() -> Self {
        let ClustersConfig { clusters, labels } = ClustersConfig::default();
        Self { clusters, labels, penalty: None }
    }
}

impl LearnedMapConfig {
    /// Sets the number of clusters.
    #[must_use]
    pub fn clusters(mut self, clusters: usize) -> Self {
        self.clusters = Some(clusters);
        self
    }

    /// Sets how many labels a new model is expected to come with.
    #[must_use]
    pub fn labels(mut self, labels: usize) -> Self {
        self.labels = labels;
        self
    }

    /// Sets the penalty.
    #[must_use]
    pub fn penalty(mut self, penalty: f64) -> Self {
        self.penalty = Some(penalty);
        self
    }

    /// The recipe.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self) -> Result<LearnedMap, ParamError> {
        let Self { clusters, labels, penalty } = self;
        if let Some(got) = penalty.filter(|l| !(*l > 0.0 && l.is_finite())) {
            return Err(ParamError { field: "penalty", rule: "finite and > 0", got });
        }
        Ok(LearnedMap { clusters: ClustersConfig { clusters, labels }.build()?, penalty })
    }
}

/// The recipe of a learned map; its estimators are pools.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnedMap {
    clusters: Clusters,
    penalty: Option<f64>,
}

impl Default for LearnedMap {
    fn default() -> Self {
        LearnedMapConfig::default().build().expect("the defaults are in range")
    }
}

impl LearnedMap {
    pub(crate) fn learn(
        &self,
        history: &History,
        seed: Seed,
        known: Option<&MapLore>,
    ) -> Result<MapLore, FitError> {
        let clustering = self.clusters.learn(history, seed, known.map(MapLore::clustering))?;
        let given = known.map_or(Given { penalty: self.penalty, sharpness: None }, MapLore::given);
        MapLore::learn(history, clustering, given, seed)
    }

    fn pool(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(Pool<MapLore>, EstimateTable), FitError> {
        Pool::fit_and_hold_out(history, seed, |part, seed, known| self.learn(part, seed, known))
    }
}

impl Fit for LearnedMap {
    fn name(&self) -> String {
        let inner = self.clusters.name();
        let inner = inner.strip_prefix("clusters(").and_then(|knobs| knobs.strip_suffix(')'));
        let penalty = self.penalty.map(|penalty| format!("penalty={penalty}"));
        let knobs: Vec<String> = inner.map(str::to_owned).into_iter().chain(penalty).collect();
        if knobs.is_empty() {
            "learned-map".to_owned()
        } else {
            format!("learned-map({})", knobs.join(","))
        }
    }

    crate::fitting::fit_through!(pool);
}

#[cfg(test)]
#[path = "learned_map/tests.rs"]
mod tests;
