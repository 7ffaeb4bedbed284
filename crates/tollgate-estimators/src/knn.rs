//! Means of the nearest labelled prompts.
//!
//! # Problem
//!
//! With `x_(1), x_(2), ..., x_(k)` the prompts nearest to `x` by cosine similarity, among
//! those that model `i` is labelled on, and weights `w_(r)` that sum to 1:
//!
//! ```text
//! q_i(x) = sum_r w_(r) y_(r)i                                                    (1)
//! se_i(x)^2 = (V_i + v_i / m) / m,   m = 1 / sum_r w_(r)^2                       (2)
//! V_i = sum_r w_(r) (y_(r)i - q_i(x))^2
//! ```
//!
//! and the same for cost. `m` is the effective number of neighbors (`k` for equal
//! weights), `v_i` the variance of all of the model's labels: (2) counts it as one
//! neighbor's deviation, so that `k` equal labels do not give certainty.
//!
//! # Method
//!
//! Models that are labelled on the same prompts share one list of neighbors; a history
//! without gaps needs one list. A model with fewer than `k` labels averages all of them.
//! Sums run from the nearest neighbor on. Costs what the index costs, plus
//! `O(k n_models)`.
//!
//! [`held_out`](Fit::held_out) is exact leave-one-out. Where a prompt carries a model's
//! only label, nothing is left to estimate from: the score is then 1/2 with standard
//! error 1/2, and the cost is that label, with a standard error as large, since nothing
//! else tells of its scale.
//!
//! # References
//!
//! Cover and Hart, "Nearest neighbor pattern classification", 1967,
//! doi:10.1109/TIT.1967.1053964. Shepard, "A two-dimensional interpolation function for
//! irregularly-spaced data", 1968, doi:10.1145/800186.810616: weights by inverse distance.

use serde::{Deserialize, Serialize};
use tollgate_core::{
    EstimateError, EstimateTable, EstimatesMut, Estimator, Fit, FitError, History, Models,
    ParamError, Queries, Query, Scratch, Seed,
};

use crate::blocks;
use crate::index::{ExactScan, Index};
use crate::labels::{Labels, check_models};
use crate::vector::check_queries;

/// Queries a block, at most: what the matrix products of the scan are fastest with.
const QUERY_BLOCK: usize = 256;

/// What is added to a cosine distance before it is inverted: prompts much nearer than
/// this to the query count the same.
const SOFTENING: f64 = 0.1;

/// How neighbors are weighted against each other.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// All the same.
    #[default]
    Uniform,
    /// By inverse distance: proportional to `1 / (1.1 - similarity)`.
    Similarity,
}

impl Weighting {
    /// The weight, before it is divided by the sum.
    fn weight(self, similarity: f64) -> f64 {
        match self {
            Self::Uniform => 1.0,
            // Rounding may put the similarity of equal directions above 1.
            Self::Similarity => 1.0 / ((1.0 - similarity).max(0.0) + SOFTENING),
        }
    }
}

/// Knobs of [`Knn`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct KnnConfig {
    /// Neighbors to average, `>= 1`. Default 5.
    pub k: usize,
    /// How they are weighted. Default [`Weighting::Uniform`].
    pub weighting: Weighting,
}

impl Default for KnnConfig {
    fn default() -> Self {
        Self { k: 5, weighting: Weighting::Uniform }
    }
}

impl KnnConfig {
    /// Sets the number of neighbors.
    #[must_use]
    pub fn k(mut self, k: usize) -> Self {
        self.k = k;
        self
    }

    /// Sets how neighbors are weighted.
    #[must_use]
    pub fn weighting(mut self, weighting: Weighting) -> Self {
        self.weighting = weighting;
        self
    }

    /// The recipe.
    ///
    /// # Errors
    /// [`ParamError`] when `k` is 0.
    pub fn build(self) -> Result<Knn, ParamError> {
        let Self { k, weighting } = self;
        if k == 0 {
            return Err(ParamError { field: "k", rule: ">= 1", got: 0.0 });
        }
        Ok(Knn { k, weighting })
    }
}

/// The recipe of [`KnnEstimator`].
#[derive(Clone, Debug, PartialEq)]
pub struct Knn {
    k: usize,
    weighting: Weighting,
}

impl Knn {
    /// As [`fit`](Fit::fit), with the concrete type.
    ///
    /// # Errors
    /// [`FitError::ZeroVector`] names the first prompt whose embedding has no direction.
    pub fn fit_knn(&self, history: &History) -> Result<KnnEstimator, FitError> {
        Ok(KnnEstimator {
            index: Box::new(ExactScan::new(history)?),
            labels: Labels::new(history),
            k: self.k,
            weighting: self.weighting,
        })
    }
}

impl Fit for Knn {
    fn name(&self) -> String {
        match self.weighting {
            Weighting::Uniform => format!("knn(k={})", self.k),
            Weighting::Similarity => format!("knn(k={},weighting=similarity)", self.k),
        }
    }

    fn fit(&self, history: &History, _seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
        Ok(Box::new(self.fit_knn(history)?))
    }

    fn held_out(&self, history: &History, _seed: Seed) -> Result<EstimateTable, FitError> {
        let estimator = self.fit_knn(history)?;
        let mut table = EstimateTable::zeros(history.len(), history.models().len());
        table
            .fill(|mut out| estimator.blocks(history.queries(), true, &mut out))
            .expect("the fit has checked every embedding");
        Ok(table)
    }
}

/// Averages the labels of the nearest prompts.
#[derive(Debug)]
pub struct KnnEstimator {
    index: Box<dyn Index>,
    labels: Labels,
    k: usize,
    weighting: Weighting,
}

impl KnnEstimator {
    /// Estimates in blocks, on all threads. With `exclude_self`, query `j` is row `j` of
    /// the history and is left out.
    fn blocks(
        &self,
        queries: Queries<'_>,
        exclude_self: bool,
        out: &mut EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        let n_models = self.labels.models.len();
        let block = queries.len().div_ceil(rayon::current_num_threads()).clamp(1, QUERY_BLOCK);
        blocks::for_each(queries, block, out, |first, queries, scratch, mut out| {
            let exclude_from = exclude_self
                .then(|| u32::try_from(first).expect("an index refuses more rows than that"));
            let sets = &self.labels.sets;
            self.index.nearest_block(queries, self.k, sets, exclude_from, scratch)?;
            for index in 0..queries.len() {
                let own = exclude_self.then_some(first + index);
                self.average(scratch.child(index), own, out.rows(n_models, index, index + 1));
            }
            Ok(())
        })
    }

    /// Equations (1) and (2), from the neighbors of each set in `scratch`. `own` is the
    /// row that was left out.
    fn average(&self, scratch: &mut Scratch, own: Option<usize>, out: EstimatesMut<'_>) {
        let EstimatesMut { quality, quality_se, cost, cost_se } = out;
        let labels = &self.labels;
        for (set, members) in labels.members.iter().enumerate() {
            let neighbors = scratch.child(set).scored.as_slice();
            if neighbors.is_empty() {
                let own = own.expect("every model has a label, and only one row is left out");
                for &model in members {
                    quality[model] = 0.5;
                    quality_se[model] = 0.5;
                    cost[model] = labels.cost[own * labels.models.len() + model];
                    cost_se[model] = cost[model];
                }
                continue;
            }
            let table = Table { neighbors, members, weighting: self.weighting };
            table.average(&labels.quality, &labels.quality_variance, quality, quality_se);
            table.average(&labels.cost, &labels.cost_variance, cost, cost_se);
        }
    }
}

/// The neighbors that some models share.
#[derive(Debug)]
struct Table<'a> {
    neighbors: &'a [(f64, u32)],
    members: &'a [usize],
    weighting: Weighting,
}

impl Table<'_> {
    /// Equations (1) and (2) for one column of labels.
    fn average(&self, labels: &[f64], variance: &[f64], mean: &mut [f64], se: &mut [f64]) {
        let n_models = mean.len();
        for &model in self.members {
            mean[model] = 0.0;
            se[model] = 0.0;
        }
        let weighted = || {
            self.neighbors.iter().map(|&(similarity, row)| {
                let row = row as usize * n_models;
                (self.weighting.weight(similarity), &labels[row..row + n_models])
            })
        };
        let (mut total, mut squares) = (0.0, 0.0);
        for (weight, row) in weighted() {
            total += weight;
            squares += weight * weight;
            for &model in self.members {
                mean[model] += weight * row[model];
            }
        }
        for &model in self.members {
            mean[model] /= total;
        }
        for (weight, row) in weighted() {
            for &model in self.members {
                se[model] += weight * (row[model] - mean[model]).powi(2);
            }
        }
        let effective = total * total / squares;
        for &model in self.members {
            let spread = se[model] / total + variance[model] / effective;
            se[model] = (spread / effective).sqrt();
        }
    }
}

impl Estimator for KnnEstimator {
    fn models(&self) -> &Models {
        &self.labels.models
    }

    fn dim(&self) -> usize {
        self.index.dim()
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError> {
        check_models(&self.labels.models, history)?;
        Ok(Box::new(Self {
            index: self.index.grow(history)?,
            labels: Labels::new(history),
            k: self.k,
            weighting: self.weighting,
        }))
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        scratch: &mut Scratch,
        out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        self.index.nearest_into(query, self.k, &self.labels.sets, None, scratch)?;
        self.average(scratch, None, out);
        Ok(())
    }

    fn estimate_batch(
        &self,
        queries: Queries<'_>,
        _scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        check_queries(queries, self.dim())?;
        self.blocks(queries, false, &mut out)
    }
}

#[cfg(test)]
#[path = "knn/tests.rs"]
mod tests;
