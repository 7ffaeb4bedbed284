//! Linear in the embedding: ridge regression with an intercept.
//!
//! # Problem
//!
//! With `u_r = x_r / |x_r|` the direction of prompt `r`, `m` the mean of the directions,
//! `z_r = u_r - m`, and `y_ri` the label of model `i`, its mean `a_i`:
//!
//! ```text
//! w_i = argmin_w  sum_r (y_ri - a_i - z_r . w)^2 + lambda |w|^2                  (1)
//! f_i(x) = a_i + z(x) . w_i                                                      (2)
//! h(x) = 1/n + z(x)' (C + lambda I)^-1 z(x),   C = sum_r z_r z_r'                (3)
//! e_ri = (y_ri - f_i(x_r)) / (1 - h(x_r))                                        (4)
//! se_i(x)^2 = h(x) (sum_r e_ri^2 + v_i) / n                                      (5)
//! ```
//!
//! (4) is the exact error of the fit that leaves row `r` out. (5) is the posterior
//! variance of (2) under the prior that (1) stands for, the noise being measured by (4),
//! with `v_i` (1/4 for a score, the squared mean for a cost) counted as one error more.
//! It is cut to the spread of the model's labels, which is how far off the mean alone may
//! be. Scores are cut to `[0, 1]`, and costs are kept above half the model's lowest label.
//!
//! # Method
//!
//! One eigendecomposition `C = V L V'` makes every `lambda` cheap, and serves all models
//! that are labelled on the same prompts. `lambda` is the one of fifteen, from `1e-4` to
//! `1e3` times the mean eigenvalue, half a decade apart, with the lowest
//!
//! ```text
//! sum_i (sum_r e_ri^2) / (sum_r (y_ri - a_i)^2)                                  (6)
//! ```
//!
//! one for scores and one for costs. The fit costs `O(n d^2 + d^3)`, or with fewer
//! prompts than dimensions, by the eigendecomposition of the `n x n` matrix `z_r . z_s`,
//! `O(n^2 d + n^3)`. A query costs `O(d^2)`, for (3). A `lambda` for each model instead of
//! one for all was tried on three real streams and predicted no better.
//!
//! [`held_out`](Fit::held_out) is (4), with (3) and the lowest cost also taken without the
//! row; `lambda` and the noise are those of all rows. Where a prompt carries a model's
//! only label, what is given is that of [`Knn`](crate::Knn).
//!
//! # References
//!
//! Hoerl and Kennard, "Ridge regression", 1970, doi:10.1080/00401706.1970.10488634.
//! Golub, Heath and Wahba, "Generalized cross-validation as a method for choosing a good
//! ridge parameter", 1979, doi:10.1080/00401706.1979.10489751: (4).

pub(crate) mod solve;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    EstimateError, EstimateTable, EstimatesMut, Estimator, Fit, FitError, History, Models,
    ParamError, Queries, Query, Scratch, Seed,
};

use self::solve::{Directions, Line, Spectrum, rest};
use crate::blocks;
use crate::labels::{Labels, QUALITY_PRIOR, check_models};
use crate::vector::{check_queries, checked_norm, dot_f64};

/// A cost is not predicted below this share of the lowest one seen.
const COST_FLOOR: f64 = 0.5;

/// Knobs of [`Ridge`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RidgeConfig {
    /// The penalty of equation (1) on unit vectors, for scores and costs alike, `> 0`.
    /// Default: none given, chosen by leave-one-out, one for each.
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
        match lambda {
            Some(got) if !(got > 0.0 && got.is_finite()) => {
                Err(ParamError { field: "lambda", rule: "finite and > 0", got })
            }
            _ => Ok(Ridge { lambda }),
        }
    }
}

/// The recipe of [`RidgeEstimator`]. The default chooses its penalty by leave-one-out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ridge {
    lambda: Option<f64>,
}

impl Ridge {
    /// As [`fit`](Fit::fit), with the concrete type.
    ///
    /// # Errors
    /// [`FitError`]: a prompt whose embedding has no direction, or an eigendecomposition
    /// that did not converge.
    pub fn fit_ridge(&self, history: &History) -> Result<RidgeEstimator, FitError> {
        let labels = Labels::new(history);
        let directions = Directions::new(history)?;
        let planes = labels
            .members
            .iter()
            .enumerate()
            .map(|(set, members)| {
                let rows = (0..labels.n_rows).filter(|&row| labels.sets.contains(set, row));
                let spectrum = Spectrum::new(&directions, rows.collect())
                    .map_err(|source| FitError::Other { recipe: self.name(), source })?;
                Ok(Plane::new(spectrum, &directions, &labels, members, self.lambda))
            })
            .collect::<Result<_, FitError>>()?;
        Ok(RidgeEstimator { models: labels.models, dim: history.dim(), planes })
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
        Ok(Box::new(self.fit_ridge(history)?))
    }

    fn held_out(&self, history: &History, _seed: Seed) -> Result<EstimateTable, FitError> {
        let estimator = self.fit_ridge(history)?;
        let directions = Directions::new(history)?;
        let mut table = EstimateTable::zeros(history.len(), history.models().len());
        table.fill(|mut out| {
            if history.has_gaps() {
                // What a model is not labelled on, it has not learned from.
                estimator.blocks(history.queries(), &mut out).expect("the fit has checked them");
            }
            for plane in &estimator.planes {
                plane.leave_one_out(history, &directions, &mut out);
            }
        });
        Ok(table)
    }
}

/// Predicts by a linear function of the embedding for each model.
#[derive(Debug)]
pub struct RidgeEstimator {
    models: Models,
    dim: usize,
    planes: Vec<Plane>,
}

impl RidgeEstimator {
    /// Estimates on all threads; every query as [`estimate_into`](Estimator::estimate_into).
    fn blocks(
        &self,
        queries: Queries<'_>,
        out: &mut EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        const BLOCK: usize = 32;
        let n_models = self.models.len();
        blocks::for_each(queries, BLOCK, out, |_, queries, scratch, mut out| {
            (0..queries.len()).try_for_each(|index| {
                let row = out.rows(n_models, index, index + 1);
                self.estimate_into(queries.query(index), scratch, row)
            })
        })
    }
}

impl Estimator for RidgeEstimator {
    fn models(&self) -> &Models {
        &self.models
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError> {
        check_models(&self.models, history)?;
        Ok(Box::new(Ridge::default().fit_ridge(history)?))
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        let inverse_norm = 1.0 / checked_norm(query.embedding, self.dim)?;
        for plane in &self.planes {
            plane.estimate(query.embedding, inverse_norm, &mut scratch.floats, &mut out);
        }
        Ok(())
    }

    fn estimate_batch(
        &self,
        queries: Queries<'_>,
        _scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        check_queries(queries, self.dim)?;
        self.blocks(queries, &mut out)
    }
}

/// The models that are labelled on the same prompts.
#[derive(Debug)]
struct Plane {
    spectrum: Spectrum,
    /// Model indices, ascending; every other list has one entry for each.
    members: Vec<usize>,
    quality: Line,
    cost: Line,
    /// Standard deviations of the labels, which standard errors do not pass.
    quality_limit: Vec<f64>,
    cost_limit: Vec<f64>,
    /// The lowest cost and the lowest on any other row, with the row of the lowest.
    lowest: Vec<(f64, usize, f64)>,
}

impl Plane {
    fn new(
        spectrum: Spectrum,
        directions: &Directions<'_>,
        labels: &Labels,
        members: &[usize],
        lambda: Option<f64>,
    ) -> Self {
        let n_models = labels.models.len();
        let quality = columns(&labels.quality, n_models, spectrum.rows(), members);
        let cost = columns(&labels.cost, n_models, spectrum.rows(), members);
        let lowest = cost.iter().map(|costs| two_lowest(spectrum.rows(), costs)).collect();
        let limit =
            |variance: &[f64]| members.iter().map(|&model| variance[model].sqrt()).collect();
        Self {
            quality: Line::fit(&spectrum, directions, &quality, lambda, |_| QUALITY_PRIOR),
            cost: Line::fit(&spectrum, directions, &cost, lambda, |mean| mean * mean),
            quality_limit: limit(&labels.quality_variance),
            cost_limit: limit(&labels.cost_variance),
            lowest,
            members: members.to_vec(),
            spectrum,
        }
    }

    /// Equations (2) and (5) for one query.
    fn estimate(
        &self,
        query: &[f32],
        inverse_norm: f64,
        floats: &mut Vec<f64>,
        out: &mut EstimatesMut<'_>,
    ) {
        let (dim, rank) = (query.len(), self.spectrum.rank());
        floats.resize(dim + rank, 0.0);
        let (centered, projected) = floats.split_at_mut(dim);
        self.spectrum.center(query, inverse_norm, centered);
        self.spectrum.project(centered, projected);
        let rest = rest(centered, projected);
        let quality_leverage = self.spectrum.leverage(projected, rest, self.quality.lambda);
        let cost_leverage = self.spectrum.leverage(projected, rest, self.cost.lambda);
        for (member, &model) in self.members.iter().enumerate() {
            let at =
                |line: &Line| line.means[member] + dot_f64(centered, line.weights(member, dim));
            let quality = (at(&self.quality), quality_leverage);
            let cost = (at(&self.cost), cost_leverage);
            self.write(member, quality, cost, self.lowest[member].0, model, out);
        }
    }

    /// Equation (4) for every row of the set.
    fn leave_one_out(
        &self,
        history: &History,
        directions: &Directions<'_>,
        out: &mut EstimatesMut<'_>,
    ) {
        let n_models = history.models().len();
        if let &[row] = self.spectrum.rows() {
            for &model in &self.members {
                let cell = row * n_models + model;
                (out.quality[cell], out.quality_se[cell]) = (0.5, 0.5);
                out.cost[cell] = history.cost()[cell];
                out.cost_se[cell] = out.cost[cell];
            }
            return;
        }
        let left_out = |line: &Line, table: &[f64]| {
            let labels = columns(table, n_models, self.spectrum.rows(), &self.members);
            line.leave_one_out(&self.spectrum, directions, &labels)
        };
        let quality = left_out(&self.quality, history.quality());
        let cost = left_out(&self.cost, history.cost());
        let n_members = self.members.len();
        for (at, &row) in self.spectrum.rows().iter().enumerate() {
            for (member, &model) in self.members.iter().enumerate() {
                let (lowest, lowest_row, other) = self.lowest[member];
                let lowest = if lowest_row == row { other } else { lowest };
                let cell = at * n_members + member;
                let quality = (quality.predictions[cell], quality.leverages[at]);
                let cost = (cost.predictions[cell], cost.leverages[at]);
                self.write(member, quality, cost, lowest, row * n_models + model, out);
            }
        }
    }

    /// Cuts predictions, given with their leverages, to what is possible.
    fn write(
        &self,
        member: usize,
        (quality, quality_leverage): (f64, f64),
        (cost, cost_leverage): (f64, f64),
        lowest_cost: f64,
        cell: usize,
        out: &mut EstimatesMut<'_>,
    ) {
        let se = |line: &Line, leverage: f64| (leverage * line.noise[member]).sqrt();
        out.quality[cell] = quality.clamp(0.0, 1.0);
        out.quality_se[cell] = se(&self.quality, quality_leverage).min(self.quality_limit[member]);
        out.cost[cell] = cost.max(COST_FLOOR * lowest_cost);
        out.cost_se[cell] = se(&self.cost, cost_leverage).min(self.cost_limit[member]);
    }
}

/// One list of labels for each of `models`, on the given rows.
fn columns(table: &[f64], n_models: usize, rows: &[usize], models: &[usize]) -> Vec<Vec<f64>> {
    let column = |&model| rows.iter().map(|&row| table[row * n_models + model]).collect();
    models.iter().map(column).collect()
}

/// The lowest value, its row, and the lowest of the others (itself where there is none).
fn two_lowest(rows: &[usize], values: &[f64]) -> (f64, usize, f64) {
    let (mut lowest, mut at, mut other) = (f64::INFINITY, 0, f64::INFINITY);
    for (&row, &value) in rows.iter().zip(values) {
        if value < lowest {
            (lowest, at, other) = (value, row, lowest);
        } else if value < other {
            other = value;
        }
    }
    (lowest, at, if other.is_finite() { other } else { lowest })
}

#[cfg(test)]
#[path = "ridge/tests.rs"]
mod tests;
