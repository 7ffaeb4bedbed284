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
//! V_i = sum_r |w_(r)| (y_(r)i - q_i(x))^2 / sum_r |w_(r)|
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
//! [`held_out`](Fit::held_out) is exact leave-one-out, through the same index that serves:
//! what an approximate index misses in service it misses here too. What is chosen below
//! is chosen on all rows. Where a prompt carries a model's only label, nothing is left to
//! estimate from: the score is then 1/2 with standard error 1/2, and the cost is that
//! label, with a standard error as large, since nothing else tells of its scale.
//!
//! # Shrinkage
//!
//! With `g_i` the mean of all of a model's labels and a strength `s >= 0`, in labels:
//!
//! ```text
//! q_i'(x) = q_i(x) + a (g_i - q_i(x)),   a = s / (m + s)                         (3)
//! se_i'(x)^2 = (1 - a)^2 se_i(x)^2 + a^2 t_i^2                                   (4)
//! t_i^2 = cov_r(y_ri, q_i(x_r)) + v_i / n
//! ```
//!
//! (3) is off by `(1 - a)` times the error of the neighbors, and by `a` times how far the
//! prompt's own expectation lies from `g_i`: less noise, bought with bias. (4) counts
//! both. The square of that distance is not known for one prompt, so its mean over prompts
//! `t_i^2` is taken: the covariance of a label with the mean of its neighbors without it
//! is the variance of what is expected, since the two share no noise (cut to
//! `[0, v_i]`; `v_i / n` is the error of `g_i`). With [`Shrinkage::Auto`] `s` is
//! the one of 0, 1, 2, 4, ..., 512 with the least squared error on the history's own
//! labels, each left out; one for scores and one for costs. The neighbors are found once.
//!
//! # Local regression
//!
//! With [`Weighting::Linear`], `u_r` the directions of the neighbors, `v_r` their weights
//! by similarity, which sum to 1, `c = sum_r v_r u_r`, and `z_r = sqrt(v_r) (u_r - c)`:
//!
//! ```text
//! K_rs = z_r . z_s,   b_r = z_r . (u(x) - c)                                     (5)
//! w_r = v_r + sqrt(v_r) [(K + l I)^-1 b]_r                                       (6)
//! l = (tr K + |u(x) - c|^2) / 10                                                 (7)
//! ```
//!
//! which is the prediction at `x` of the plane through the neighbors with the least
//! `sum_r v_r (y_r - plane(x_r))^2 + l |slope|^2`, in the form that costs `O(k^2 d + k^3)`
//! whatever the number of models. `K sqrt(v) = 0`, so the weights sum to 1, and (1) to (4)
//! hold as they are. By (7) the weights stay bounded however far the query lies from its
//! neighbors. Since weights may be negative, scores are cut to `[0, 1]`, and costs are
//! kept above half the model's lowest.
//!
//! # Logarithms of costs
//!
//! With [`CostDomain::Log`], (1) to (4) are applied to `log c`, which gives `L_i(x)` with
//! standard error `e_i(x)`, and with `L_i(-r)` the same for a row of the history without
//! its own label:
//!
//! ```text
//! c_i(x) = f_i exp(L_i(x)),   se_i(x) = c_i(x) e_i(x)                            (8)
//! f_i = mean_r exp(log c_ri - L_i(-r))                                           (9)
//! ```
//!
//! (9) is the smearing factor: without it (8) would be a median rather than a mean. The
//! standard error is the delta method's. A model with a free answer stays in USD.
//! [`CostDomain::Auto`] takes the domain with the lower squared error on left-out labels,
//! each in units of the square of what both domains expect, so that large and small costs
//! count the same.
//!
//! # References
//!
//! Cover and Hart, "Nearest neighbor pattern classification", 1967,
//! doi:10.1109/TIT.1967.1053964. Shepard, "A two-dimensional interpolation function for
//! irregularly-spaced data", 1968, doi:10.1145/800186.810616: weights by inverse distance.
//! Efron and Morris, "Data analysis using Stein's estimator and its generalizations", 1975,
//! doi:10.1080/01621459.1975.10479864: (3). Cleveland, "Robust locally weighted regression
//! and smoothing scatterplots", 1979, doi:10.1080/01621459.1979.10481038. Duan, "Smearing
//! estimate: a nonparametric retransformation method", 1983,
//! doi:10.1080/01621459.1983.10478017: (9).

mod average;
mod choices;
mod config;
mod several;
mod weights;

use tollgate_core::{
    EstimateError, EstimateTable, EstimatesMut, Estimator, Fit, FitError, History, Models, Queries,
    Query, Scratch, Seed,
};

use self::average::{Neighborhood, Pull, global};
use self::choices::{Choices, LeftOut};
pub use self::config::{CostDomain, KnnConfig, Shrinkage};
pub(crate) use self::several::Several;
use self::weights::Weigher;
pub use self::weights::Weighting;
use crate::blocks;
use crate::index::{Index, IndexKind};
use crate::labels::{Labels, Lowest, check_models};
use crate::log_costs::LogCosts;
use crate::vector::check_queries;

/// Queries a block, at most: what the matrix products of the scan are fastest with.
const QUERY_BLOCK: usize = 256;

/// A cost is not extrapolated below this share of the lowest one seen.
const COST_FLOOR: f64 = 0.5;

/// The recipe of [`KnnEstimator`].
#[derive(Clone, Debug, PartialEq)]
pub struct Knn {
    k: usize,
    weighting: Weighting,
    index: IndexKind,
    shrinkage: Shrinkage,
    cost_domain: CostDomain,
}

impl Knn {
    /// As [`fit`](Fit::fit), with the concrete type.
    ///
    /// # Errors
    /// [`FitError::ZeroVector`] names the first prompt whose embedding has no direction;
    /// and as [`IndexKind::build`].
    pub fn fit_knn(&self, history: &History, seed: Seed) -> Result<KnnEstimator, FitError> {
        let labels = Labels::new(history);
        let log_costs = match self.cost_domain {
            CostDomain::Usd => None,
            CostDomain::Log | CostDomain::Auto => Some(LogCosts::new(&labels)),
        };
        let mut estimator = KnnEstimator {
            index: self.index.build(history, seed)?,
            lowest: Lowest::new(&labels.cost, labels.models.len()),
            weigher: Weigher::new(self.weighting, history)?,
            labels,
            log_costs,
            choices: Choices::plain(),
            k: self.k,
        };
        if self.shrinkage.is_none() && self.cost_domain == CostDomain::Usd {
            return Ok(estimator);
        }
        let left_out = estimator.left_out(history);
        let (labels, logs) = (&estimator.labels, estimator.log_costs.as_ref());
        estimator.choices =
            choices::choose(self.shrinkage, self.cost_domain, labels, logs, &left_out);
        if estimator.choices.log_cost.is_none() {
            estimator.log_costs = None;
        }
        Ok(estimator)
    }
}

impl Fit for Knn {
    fn name(&self) -> String {
        let Self { k, weighting, index, shrinkage, cost_domain } = self;
        let changed = [
            (*weighting != Weighting::Uniform).then(|| format!(",weighting={weighting}")),
            (*index != IndexKind::Scan).then(|| format!(",index={index}")),
            (*shrinkage != Shrinkage::None).then(|| format!(",shrinkage={shrinkage}")),
            (*cost_domain != CostDomain::Usd).then(|| format!(",cost_domain={cost_domain}")),
        ];
        let changed: String = changed.into_iter().flatten().collect();
        format!("knn(k={k}{changed})")
    }

    fn fit(&self, history: &History, seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
        Ok(Box::new(self.fit_knn(history, seed)?))
    }

    fn held_out(&self, history: &History, seed: Seed) -> Result<EstimateTable, FitError> {
        Ok(self.fit_knn(history, seed)?.held_out(history))
    }

    fn fit_and_hold_out(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(Box<dyn Estimator>, EstimateTable), FitError> {
        let estimator = self.fit_knn(history, seed)?;
        let held_out = estimator.held_out(history);
        Ok((Box::new(estimator), held_out))
    }
}

/// Averages the labels of the nearest prompts.
#[derive(Debug)]
pub struct KnnEstimator {
    index: Box<dyn Index>,
    labels: Labels,
    /// Present where the choice is to average logarithms.
    log_costs: Option<LogCosts>,
    lowest: Lowest,
    weigher: Weigher,
    choices: Choices,
    k: usize,
}

impl KnnEstimator {
    /// Estimates in blocks, on all threads: `write` is called for every query with its
    /// neighbors in a scratch of its own, and with a buffer. With `exclude_self`, query
    /// `j` is row `j` of the history and is left out.
    fn blocks(
        &self,
        queries: Queries<'_>,
        exclude_self: bool,
        out: &mut EstimatesMut<'_>,
        write: impl Fn(Near<'_>, &mut EstimatesMut<'_>) + Sync,
    ) -> Result<(), EstimateError> {
        let width = out.quality.len().checked_div(queries.len()).unwrap_or(0);
        let size = queries.len().div_ceil(rayon::current_num_threads()).clamp(1, QUERY_BLOCK);
        blocks::for_each(queries, size, out, |first, queries, scratch, mut out| {
            let exclude_from = exclude_self
                .then(|| u32::try_from(first).expect("an index refuses more rows than that"));
            self.index.nearest_block(queries, self.k, &self.labels.sets, exclude_from, scratch)?;
            let mut work = std::mem::take(&mut scratch.floats);
            for index in 0..queries.len() {
                let near = Near {
                    query: queries.query(index).embedding,
                    own: exclude_self.then_some(first + index),
                    scratch: scratch.child(index),
                    work: &mut work,
                };
                write(near, &mut out.rows(width, index, index + 1));
            }
            scratch.floats = work;
            Ok(())
        })
    }

    fn held_out(&self, history: &History) -> EstimateTable {
        let mut table = EstimateTable::zeros(history.len(), history.models().len());
        table
            .fill(|mut out| {
                self.blocks(history.queries(), true, &mut out, |near, out| self.average(near, out))
            })
            .expect("the fit has checked every embedding");
        table
    }

    /// Plain means for every row of the history, the row left out.
    fn left_out(&self, history: &History) -> LeftOut {
        let blank = || vec![f64::NAN; history.len() * history.models().len()];
        let mut left_out =
            LeftOut { quality: blank(), effective: blank(), cost: blank(), log_cost: blank() };
        // The columns of an estimate, lent for what else there is to know.
        let mut out = EstimatesMut {
            quality: &mut left_out.quality,
            quality_se: &mut left_out.effective,
            cost: &mut left_out.cost,
            cost_se: &mut left_out.log_cost,
        };
        self.blocks(history.queries(), true, &mut out, |mut near, out| {
            for (set, members) in self.labels.members.iter().enumerate() {
                let Some(near) = near.of(set, &self.weigher) else { continue };
                near.mean(&self.labels.quality, members, out.quality);
                near.mean(&self.labels.cost, members, out.cost);
                for &model in members {
                    out.quality_se[model] = near.effective();
                    let logs = self.log_costs.as_ref().filter(|logs| !logs.was_free(model));
                    if let Some(logs) = logs {
                        near.mean(&logs.table, &[model], out.cost_se);
                        out.cost_se[model] = logs.within_range(model, out.cost_se[model]);
                    }
                }
            }
        })
        .expect("the fit has checked every embedding");
        left_out
    }

    /// As [`grow`](Estimator::grow), with the concrete type.
    fn grown(&self, history: &History) -> Result<Self, FitError> {
        check_models(&self.labels.models, history)?;
        let labels = Labels::new(history);
        Ok(Self {
            index: self.index.grow(history)?,
            lowest: Lowest::new(&labels.cost, labels.models.len()),
            weigher: Weigher::new(self.weigher.weighting(), history)?,
            log_costs: self.log_costs.as_ref().map(|_| LogCosts::new(&labels)),
            labels,
            choices: self.choices.clone(),
            k: self.k,
        })
    }

    /// The estimates of one query, from its neighbors.
    fn average(&self, mut near: Near<'_>, out: &mut EstimatesMut<'_>) {
        let own = near.own;
        for (set, members) in self.labels.members.iter().enumerate() {
            let Some(near) = near.of(set, &self.weigher) else {
                let own = own.expect("every model has a label, and only one row is left out");
                self.know_nothing(own, members, out);
                continue;
            };
            self.scores(&near, own, members, out);
            self.costs(&near, own, members, out);
            if let (Some(logs), Some(choice)) = (&self.log_costs, &self.choices.log_cost) {
                self.costs_by_log(&near, own, logs, choice, members, out);
            }
        }
    }

    /// For models whose only label is left out.
    fn know_nothing(&self, own: usize, members: &[usize], out: &mut EstimatesMut<'_>) {
        for &model in members {
            out.quality[model] = 0.5;
            out.quality_se[model] = 0.5;
            out.cost[model] = self.labels.cost[own * self.labels.models.len() + model];
            out.cost_se[model] = out.cost[model];
        }
    }

    fn scores(
        &self,
        near: &Neighborhood<'_>,
        own: Option<usize>,
        members: &[usize],
        out: &mut EstimatesMut<'_>,
    ) {
        let labels = &self.labels;
        let (mean, se) = (&mut *out.quality, &mut *out.quality_se);
        near.mean(&labels.quality, members, mean);
        near.standard_error(&labels.quality, &labels.quality_variance, members, mean, se);
        let global = global(&labels.quality_means, &labels.quality, mean.len(), own);
        self.choices.quality.apply(near.effective(), members, global, mean, se);
        if self.extrapolates() {
            for &model in members {
                mean[model] = mean[model].clamp(0.0, 1.0);
            }
        }
    }

    fn costs(
        &self,
        near: &Neighborhood<'_>,
        own: Option<usize>,
        members: &[usize],
        out: &mut EstimatesMut<'_>,
    ) {
        let labels = &self.labels;
        let (mean, se) = (&mut *out.cost, &mut *out.cost_se);
        let n_models = mean.len();
        near.mean(&labels.cost, members, mean);
        near.standard_error(&labels.cost, &labels.cost_variance, members, mean, se);
        let global = global(&labels.cost_means, &labels.cost, n_models, own);
        self.choices.cost.apply(near.effective(), members, global, mean, se);
        if self.extrapolates() {
            for &model in members {
                let own = own.map_or(f64::NAN, |row| labels.cost[row * n_models + model]);
                mean[model] = mean[model].max(COST_FLOOR * self.lowest.without(model, own));
            }
        }
    }

    /// Equation (8), in the place of what the costs themselves say, but for models that were
    /// free once.
    fn costs_by_log(
        &self,
        near: &Neighborhood<'_>,
        own: Option<usize>,
        logs: &LogCosts,
        (pull, smear): &(Pull, Vec<f64>),
        members: &[usize],
        out: &mut EstimatesMut<'_>,
    ) {
        let n_models = self.labels.models.len();
        let global = global(&logs.means, &logs.table, n_models, own);
        for &model in members.iter().filter(|&&model| !logs.was_free(model)) {
            let (member, mean, se) = (&[model], &mut *out.cost, &mut *out.cost_se);
            near.mean(&logs.table, member, mean);
            near.standard_error(&logs.table, &logs.variance, member, mean, se);
            mean[model] = logs.within_range(model, mean[model]);
            pull.apply(near.effective(), member, &global, mean, se);
            mean[model] = smear[model] * mean[model].exp();
            se[model] *= mean[model];
        }
    }

    /// Finds the neighbors of a query and hands them on.
    fn one(
        &self,
        query: Query<'_>,
        scratch: &mut Scratch,
        estimate: impl FnOnce(Near<'_>),
    ) -> Result<(), EstimateError> {
        self.index.nearest_into(query, self.k, &self.labels.sets, None, scratch)?;
        let mut work = std::mem::take(&mut scratch.floats);
        estimate(Near { query: query.embedding, own: None, scratch, work: &mut work });
        scratch.floats = work;
        Ok(())
    }

    /// Whether a mean may lie beyond the labels.
    fn extrapolates(&self) -> bool {
        self.weigher.weighting() == Weighting::Linear
    }
}

/// A query, its neighbors, and a buffer.
struct Near<'a> {
    query: &'a [f32],
    /// The row that was left out.
    own: Option<usize>,
    /// The neighbors in each set of rows.
    scratch: &'a mut Scratch,
    work: &'a mut Vec<f64>,
}

impl Near<'_> {
    /// The neighbors in one set of rows, weighted; `None` where it has none.
    fn of(&mut self, set: usize, weigher: &Weigher) -> Option<Neighborhood<'_>> {
        let neighbors = self.scratch.child(set).scored.as_slice();
        if neighbors.is_empty() {
            return None;
        }
        let weights = weigher.weigh(self.query, neighbors, self.work);
        Some(Neighborhood::new(neighbors, weights))
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
        Ok(Box::new(self.grown(history)?))
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        self.one(query, scratch, |near| self.average(near, &mut out))
    }

    fn estimate_batch(
        &self,
        queries: Queries<'_>,
        _scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        check_queries(queries, self.dim())?;
        self.blocks(queries, false, &mut out, |near, out| self.average(near, out))
    }
}

#[cfg(test)]
#[path = "knn/tests.rs"]
mod tests;
