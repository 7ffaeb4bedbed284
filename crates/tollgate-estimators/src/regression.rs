//! Penalized least squares on features of the embedding: what ridge and kernel ridge share.
//!
//! # Problem
//!
//! With `p(x)` the features of a prompt (the embedding's direction itself, or kernels of
//! it), `W` what makes their inner products those of the penalty, `m` their mean over the
//! history and `z_r = W' (p(x_r) - m)`; `y_ri` the label of model `i`, `a_i` its mean and
//! `s_i` its standard deviation:
//!
//! ```text
//! R = the principal axes of the labels (y_ri - a_i) / s_i over the models         (1)
//! u_rc = sum_i R_ic (y_ri - a_i) / s_i
//! b_c = argmin_b  sum_r (u_rc - z_r . b)^2 + lambda_c |b|^2                      (2)
//! f_i(x) = a_i + s_i sum_c R_ic b_c . z(x)                                       (3)
//! h_l(x) = 1/n + z(x)' (C + l I)^-1 z(x),   C = sum_r z_r z_r'                   (4)
//! e_rc = (u_rc - b_c . z_r) / (1 - h_l(x_r)),   l = lambda_c                     (5)
//! se_i(x)^2 = (sum_c t_ic h_l(x)) (sum_r e_ri^2 + v_i) / n                       (6)
//! ```
//!
//! (1) to (3) fit what the models have in common (some prompts are hard for all of them)
//! apart from what sets them apart, each with a penalty of its own: the first has much
//! signal and takes a weak penalty, the last are mostly noise. (5) is the exact error of
//! the fit that leaves row `r` out, and `e_ri` the same put together for model `i`; (6) is
//! the posterior variance of (3) under the prior that (2) stands for, `t_ic` being the
//! share of component `c` in the squared errors of model `i`, with `v_i` (1/4 for a score,
//! the squared mean for a cost) counted as one error more. It is cut to the spread of the
//! model's labels, which is how far off the mean alone may be. Scores are cut to `[0, 1]`,
//! and costs are kept above half the model's lowest label.
//!
//! # Method
//!
//! One eigendecomposition `C = V L V'` makes every penalty cheap, and serves all models
//! that are labelled on the same prompts. `lambda_c` is the one of fifteen, from `1e-4` to
//! `1e3` times the mean eigenvalue, half a decade apart, with the least sum of (5) squared.
//! The fit costs `O(n d^2 + d^3)` for `d` features.
//!
//! A query takes (3) by one product a model, and (4) along the first 64 axes of `V`; what
//! lies across them counts by its length, in the proportion that it has over the history,
//! so that (4) is right in the mean. It costs `O(d (m + 64))` for `m` models.
//!
//! A longer history adds to the sums that `C` and `b` come from; the penalties, the axes of
//! (1) and the noise stay.
//!
//! Held out are (5), with (4) and the lowest cost also taken without the row; penalties and
//! noise are those of all rows. Where a prompt carries a model's only label, what is given
//! is that of [`Knn`](crate::Knn).
//!
//! # References
//!
//! Breiman and Friedman, "Predicting multivariate responses in multiple linear
//! regression", 1997, doi:10.1111/1467-9868.00054: shrinking along common axes of the
//! responses (theirs are canonical axes, these principal ones). Golub, Heath and Wahba,
//! "Generalized cross-validation as a method for choosing a good ridge parameter", 1979,
//! doi:10.1080/00401706.1979.10489751: (5).

mod features;
mod lines;
mod moments;
mod plane;
mod spectrum;

use std::sync::Arc;

use tollgate_core::{
    EstimateError, EstimateTable, EstimatesMut, Estimator, FitError, History, Models, ParamError,
    Queries, Query, Scratch,
};

use self::features::Rows;
pub(crate) use self::features::{Directions, Features};
use self::lines::LeftOut;
use self::plane::Plane;
use crate::blocks;
use crate::index::check_grown;
use crate::labels::{Labels, check_models};
use crate::vector::{check_queries, checked_norm};

/// Predicts by a linear function of the features for each model.
#[derive(Debug)]
pub struct RegressionEstimator {
    recipe: String,
    models: Models,
    n_rows: usize,
    features: Arc<dyn Features>,
    lambda: Option<f64>,
    planes: Vec<Plane>,
}

impl RegressionEstimator {
    /// Fits, and says of every row what a fit without it would; `lambda` is the penalty of
    /// all components, chosen where it is `None`.
    pub(crate) fn fit(
        recipe: String,
        history: &History,
        features: &Arc<dyn Features>,
        lambda: Option<f64>,
    ) -> Result<(Self, EstimateTable), FitError> {
        let labels = Labels::new(history);
        let (planes, left_out) = fit_planes(&recipe, history, &labels, features.as_ref(), lambda)?;
        let mut held_out = EstimateTable::zeros(history.len(), history.models().len());
        let estimator = Self {
            recipe,
            models: labels.models.clone(),
            n_rows: history.len(),
            features: Arc::clone(features),
            lambda,
            planes,
        };
        held_out.fill(|mut out| {
            if history.has_gaps() {
                // What a model is not labelled on, it has not learned from.
                estimator.blocks(history.queries(), &mut out).expect("the fit has checked them");
            }
            for (set, (plane, left_out)) in estimator.planes.iter().zip(&left_out).enumerate() {
                plane.write_left_out(&labels, set, left_out, &mut out);
            }
        });
        Ok((estimator, held_out))
    }

    /// The lines (3) themselves, of scores and of costs, neither cut to what is possible.
    pub(crate) fn lines(
        recipe: &str,
        history: &History,
        features: &Arc<dyn Features>,
    ) -> Result<[Lines; 2], FitError> {
        let labels = Labels::new(history);
        let (planes, left_out) = fit_planes(recipe, history, &labels, features.as_ref(), None)?;
        let rows = Rows::new(history, features.as_ref())?;
        let (n_models, len) = (history.models().len(), features.len());
        let mut lines = [0, 1].map(|_| Lines {
            weights: vec![0.0; n_models * len],
            intercepts: vec![0.0; n_models],
            held_out: vec![0.0; history.len() * n_models],
        });
        for (set, (plane, left_out)) in planes.iter().zip(&left_out).enumerate() {
            plane.write_lines(&rows, &labels, set, left_out, &mut lines);
        }
        Ok(lines)
    }

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

impl Estimator for RegressionEstimator {
    fn models(&self) -> &Models {
        &self.models
    }

    fn dim(&self) -> usize {
        self.features.dim()
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError> {
        check_models(&self.models, history)?;
        check_grown(history, self.n_rows, self.dim())?;
        let labels = Labels::new(history);
        let rows = Rows::new(history, self.features.as_ref())?;
        let grow = |(set, members): (usize, &Vec<usize>)| {
            let known = self.planes.iter().find(|plane| plane.has(members));
            let plane = match known {
                Some(plane) => plane.grow(&rows, &labels, set, self.n_rows),
                // The models of a set have parted: their common axes are others now.
                None => Plane::fit(&rows, &labels, set, members, self.lambda).map(|fit| fit.0),
            };
            plane.map_err(|source| FitError::Other { recipe: self.recipe.clone(), source })
        };
        let planes = labels.members.iter().enumerate().map(grow).collect::<Result<_, _>>()?;
        Ok(Box::new(Self {
            recipe: self.recipe.clone(),
            models: self.models.clone(),
            n_rows: history.len(),
            features: Arc::clone(&self.features),
            lambda: self.lambda,
            planes,
        }))
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        let inverse_norm = 1.0 / checked_norm(query.embedding, self.dim())?;
        let n_features = self.features.len();
        scratch.floats.resize(n_features + plane::SCRATCH, 0.0);
        let (features, floats) = scratch.floats.split_at_mut(n_features);
        self.features.map(query.embedding, inverse_norm, features);
        for plane in &self.planes {
            plane.estimate(features, floats, &mut out);
        }
        Ok(())
    }

    fn estimate_batch(
        &self,
        queries: Queries<'_>,
        _scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        check_queries(queries, self.dim())?;
        self.blocks(queries, &mut out)
    }
}

/// Linear functions of the features, one for each model.
#[derive(Debug)]
pub(crate) struct Lines {
    /// Row-major `(n_models, len)`.
    pub(crate) weights: Vec<f64>,
    /// `(n_models,)`.
    pub(crate) intercepts: Vec<f64>,
    /// What is predicted of every prompt of the history by a line that has not learned from
    /// it, row-major `(n_rows, n_models)`.
    pub(crate) held_out: Vec<f64>,
}

/// All sets of models, and what fits without the row itself say of every row.
fn fit_planes(
    recipe: &str,
    history: &History,
    labels: &Labels,
    features: &dyn Features,
    lambda: Option<f64>,
) -> Result<(Vec<Plane>, Vec<LeftOut>), FitError> {
    let rows = Rows::new(history, features)?;
    let fit = |(set, members): (usize, &Vec<usize>)| {
        Plane::fit(&rows, labels, set, members, lambda)
            .map_err(|source| FitError::Other { recipe: recipe.to_owned(), source })
    };
    let fitted = labels.members.iter().enumerate().map(fit).collect::<Result<Vec<_>, _>>()?;
    Ok(fitted.into_iter().unzip())
}

/// Refuses a penalty that is not finite and `> 0`.
pub(crate) fn check_lambda(lambda: Option<f64>) -> Result<(), ParamError> {
    match lambda {
        Some(got) if !(got > 0.0 && got.is_finite()) => {
            Err(ParamError { field: "lambda", rule: "finite and > 0", got })
        }
        _ => Ok(()),
    }
}
