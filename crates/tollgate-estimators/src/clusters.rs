//! UniRoute by clusters: a model is what it is in each cluster of prompts.
//!
//! # Problem
//!
//! Prompts fall into `K` clusters, learned without labels. With `k(x)` the cluster of a prompt,
//! a model `h`, of the history or a later one, is a vector of its mean scores, and one of its
//! mean costs:
//!
//! ```text
//! q_h(x) = Psi_k(x)(h),   Psi_k(h) ~ E[y_h | k]                                  (1)
//! ```
//!
//! # Method
//!
//! **Clusters** are those of k-means++ and Lloyd's rounds on directions, over mini-batches in
//! long histories; see `kmeans.rs`.
//!
//! **Vectors.** A plain mean of a few labels is noise, and a router that goes where the
//! estimate is highest picks the luckiest of many. What sets clusters apart is mostly that
//! some are hard *for all models*, which the history knows better than a handful of labels:
//!
//! ```text
//! y = g_h + d_k + u_hk + noise of variance v_h,   g_h ~ N(g_0, t_g^2),  u_hk ~ N(0, t_k^2)
//! g^ = (g_0 / t_g^2 + sum_k w_k m_k) / (1 / t_g^2 + sum_k w_k),  w_k = 1 / (t_k^2 + v_h / n_k)
//! B_k = (v_h / n_k) / (t_k^2 + v_h / n_k)
//! Psi_k = d_k + B_k g^ + (1 - B_k) m_k                                           (2)
//! se_k^2 = B_k^2 / (1 / t_g^2 + sum_k w_k) + B_k t_k^2                           (3)
//! ```
//!
//! `m_k` is the mean of the model's `n_k` labels in the cluster less `d_k`, and `B_k` is 1
//! where there is none: an empty cluster has the model's mean and what is common to all.
//! `d_k`, `t_k^2`, `g_0` and `t_g^2` come from the models of the history by their moments
//! (two-way random effects); `d_k` is itself drawn toward 0, and what is not known of it is
//! part of `t_k^2`. Of a single model half of what sets its clusters apart is taken to be its own.
//! No constant is given: the variances stand for the pull. A model without labels is `g_0`,
//! or its prior score, with the spread of the history's models.
//!
//! **Costs** are (2) of their logarithms, times what takes the mean logarithm to the mean
//! (the mean of `exp` of what (2) leaves, with the history's counted as one more); a model
//! that was free once has the mean of its costs. The prior cost is what is expected of a
//! prompt of the history.
//!
//! **K** is chosen by what it is for: of 5, 10, 25, 50, 100, 150, 200, 250 and 300, as far as
//! there are two prompts a cluster, the one with the largest area under the deferral curve
//! when the models of the history are routed. Prompts are cut into three parts, models into
//! four; models of a part are known from at most `labels` prompts, like new ones, by
//! clusters and effects of the other parts, and routed on prompts of the third. A history of
//! one model has nothing to route, one of a few prompts nothing to learn from: there `K` is
//! the largest candidate up to the root of half the prompts, or 1.
//!
//! A query costs `O(K d)` and copies one row of a table; a new model `O(K)` for each label.
//!
//! # Departures from the paper
//!
//! * (2), where the paper takes means. Drawn toward the model's mean alone, as is usual,
//!   most of the pull goes: on ZeroEval the area falls below that of a mix of two models that
//!   looks at no prompt.
//! * A model of the history is embedded for the choice of `K` by as many labels as a new one
//!   will have, and not by all, which would choose more clusters than those can fill.
//! * Costs depend on the prompt, and everything has a standard error.
//!
//! # References
//!
//! Jitkrittum et al. (2025), Universal Model Routing for Efficient LLM Inference,
//! arXiv:2502.08773: section on clusters, and the choice of `K`. Morris, "Parametric empirical
//! Bayes inference", 1983, doi:10.1080/01621459.1983.10477920: (2), (3). Searle, Casella and
//! `McCulloch`, Variance Components, 1992: moments. Duan, "Smearing estimate", 1983,
//! doi:10.1080/01621459.1983.10478017: from logarithms to costs.

mod area;
mod centers;
mod costs;
mod effects;
mod lore;

use serde::{Deserialize, Serialize};
use tollgate_core::{EstimateTable, Estimator, Fit, FitError, History, ParamError, Seed};

use self::centers::Centers;
pub(crate) use self::lore::{Clustering, Means};
use crate::pool::Pool;
use crate::vector::directions;
use crate::{kmeans, labelling};

/// Knobs of [`Clusters`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClustersConfig {
    /// `K`, `>= 1`; as many as there are prompts where those are fewer. Default: none given,
    /// chosen by the area that models of the history are routed with.
    pub clusters: Option<usize>,
    /// How many labels a new model is expected to come with, `>= 1`: what `K` is chosen for.
    /// Default 400.
    pub labels: usize,
}

impl Default for ClustersConfig {
    fn default() -> Self {
        Self { clusters: None, labels: 400 }
    }
}

impl ClustersConfig {
    /// Sets `K`.
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

    /// The recipe.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self) -> Result<Clusters, ParamError> {
        let Self { clusters, labels } = self;
        if clusters == Some(0) {
            return Err(ParamError { field: "clusters", rule: ">= 1", got: 0.0 });
        }
        if labels == 0 {
            return Err(ParamError { field: "labels", rule: ">= 1", got: 0.0 });
        }
        Ok(Clusters { clusters, labels })
    }
}

/// The prompts of a history by clusters, medoids first.
pub(crate) fn order(
    history: &History,
    n_clusters: usize,
    seed: Seed,
) -> Result<Vec<usize>, FitError> {
    let directions = directions(history)?;
    let dim = history.dim();
    let centers = Centers::new(kmeans::spread(&directions, dim, n_clusters, seed), dim);
    Ok(labelling::by_clusters(&centers.nearest_each(&directions), centers.len(), seed))
}

/// The recipe of clusters; its estimators are pools.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    clusters: Option<usize>,
    labels: usize,
}

impl Default for Clusters {
    fn default() -> Self {
        ClustersConfig::default().build().expect("the defaults are in range")
    }
}

impl Clusters {
    /// What the recipe learns of prompts; with as many clusters as `known`, where it is given.
    pub(crate) fn learn(
        &self,
        history: &History,
        seed: Seed,
        known: Option<&Clustering>,
    ) -> Result<Clustering, FitError> {
        let n_clusters = known.map(Clustering::n_clusters).or(self.clusters);
        if let Some(n_clusters) = n_clusters {
            return Clustering::new(history, n_clusters, seed);
        }
        let (n_clusters, why) = area::choose(history, self.labels, seed)?;
        let mut lore = Clustering::new(history, n_clusters, seed)?;
        lore.choice = Some(why);
        Ok(lore)
    }

    fn pool(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(Pool<Clustering>, EstimateTable), FitError> {
        Pool::fit_and_hold_out(history, seed, |part, seed, known| self.learn(part, seed, known))
    }
}

impl Fit for Clusters {
    fn name(&self) -> String {
        let standard = ClustersConfig::default();
        let clusters = self.clusters.map(|clusters| format!("clusters={clusters}"));
        let labels = (self.labels != standard.labels).then(|| format!("labels={}", self.labels));
        let knobs: Vec<String> = [clusters, labels].into_iter().flatten().collect();
        if knobs.is_empty() {
            "clusters".to_owned()
        } else {
            format!("clusters({})", knobs.join(","))
        }
    }

    crate::fitting::fit_through!(pool);
}

#[cfg(test)]
#[path = "clusters/tests.rs"]
mod tests;
