//! Factors of one kind of label: of scores, or of log costs. Equation numbers are those of
//! [`super`].

use std::sync::Arc;

use faer::{Mat, Side};
use tollgate_core::BoxError;

use crate::linear::{Basis, Covariances, Gram, Prior, Raw, Target};

/// Factors, at most.
pub(super) const MOST: usize = 16;

/// A variance below is a factor that tells nothing.
const NOTHING: f64 = 1e-12;

/// What the models of a history have been found to be on all prompts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surfaces<'a> {
    pub(super) n_models: usize,
    /// What a model's line says of a prompt that it has not learned from, row-major
    /// `(n_rows, n_models)`.
    pub(super) held_out: &'a [f64],
    /// The lines' weights on directions, row-major `(n_models, dim)`, and their intercepts.
    pub(super) weights: &'a [f64],
    pub(super) intercepts: &'a [f64],
    /// The labels, row-major `(n_rows, n_models)`, NaN for a gap.
    pub(super) labels: &'a [f64],
    /// The variance that is thought possible for a label.
    pub(super) prior: f64,
}

impl Surfaces<'_> {
    pub(super) fn label(&self, row: usize, model: usize) -> f64 {
        self.labels[row * self.n_models + model]
    }

    pub(super) fn held_out(&self, row: usize, model: usize) -> f64 {
        self.held_out[row * self.n_models + model]
    }

    /// The mean variance of a model over the prompts.
    pub(super) fn variance(&self) -> f64 {
        let n = (self.held_out.len() / self.n_models) as f64;
        let of = |model: usize| {
            let column = || self.held_out.iter().skip(model).step_by(self.n_models);
            let mean = column().sum::<f64>() / n;
            column().map(|x| (x - mean).powi(2)).sum::<f64>() / n
        };
        (0..self.n_models).map(of).sum::<f64>() / self.n_models as f64
    }
}

/// At most `rank` factors, the prior of a model's coefficients on them, and the mean noise of a
/// label.
pub(super) fn learn(
    surfaces: Surfaces<'_>,
    dim: usize,
    rank: usize,
    unexplained: f64,
) -> Result<(Target, f64), BoxError> {
    let all: Vec<usize> = (0..surfaces.n_models).collect();
    let factors = Factors::of(surfaces, &all)?.first(rank);
    let grams: Vec<Gram> =
        all.iter().map(|&model| factors.gram(surfaces, model, |_| true)).collect();
    let len = factors.len;
    let prior = Prior::learn(&grams, len, surfaces.prior);
    let mut axes = vec![0.0; (len - 1) * dim];
    let mut intercepts = vec![0.0; len - 1];
    for (factor, axis) in axes.chunks_exact_mut(dim.max(1)).enumerate() {
        let mut sum = vec![0.0; dim];
        for &model in &all {
            let share = factors.loadings[(model, factor)];
            let line = &surfaces.weights[model * dim..(model + 1) * dim];
            sum.iter_mut().zip(line).for_each(|(sum, weight)| *sum += share * weight);
            intercepts[factor] += share * (surfaces.intercepts[model] - factors.means[model]);
        }
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        axis.iter_mut().zip(sum).for_each(|(axis, sum)| *axis = sum as f32);
    }
    let noise = prior.noise(&grams);
    let basis = Basis::new(Raw::Direction(dim), axes, intercepts, factors.rows);
    let basis = Arc::new(basis);
    Ok((Target { basis, prior, unexplained, covariances: Covariances::All }, noise))
}

/// The principal components of some models' surfaces.
#[derive(Debug)]
pub(super) struct Factors {
    /// `rank + 1`.
    pub(super) len: usize,
    /// As in [`Basis`].
    rows: Vec<f64>,
    /// Of each model that took part, in their order.
    means: Vec<f64>,
    /// What of each model's surface makes each factor, `(models, rank)`.
    loadings: Mat<f64>,
}

impl Factors {
    pub(super) fn of(surfaces: Surfaces<'_>, models: &[usize]) -> Result<Self, BoxError> {
        let rows = || surfaces.held_out.chunks_exact(surfaces.n_models);
        let n = rows().count() as f64;
        let m = models.len();
        let mut means = vec![0.0; m];
        for row in rows() {
            means.iter_mut().zip(models).for_each(|(mean, &model)| *mean += row[model] / n);
        }
        let centered = |row: &[f64]| -> Vec<f64> {
            models.iter().zip(&means).map(|(&model, mean)| row[model] - mean).collect()
        };
        let mut squares = Mat::<f64>::zeros(m, m);
        for row in rows() {
            let row = centered(row);
            for a in 0..m {
                for b in 0..m {
                    squares[(a, b)] += row[a] * row[b] / n;
                }
            }
        }
        let eigen = squares
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_evd| "the principal components of the models did not converge")?;
        let values = eigen.S().column_vector();
        let rank = (0..m).rev().take(MOST).take_while(|&at| values[at] > NOTHING).count();
        // In units in which a model's coefficients have a mean square of 1.
        let unit = (m as f64).sqrt();
        let loadings = Mat::from_fn(m, rank, |model, factor| {
            // Of the two signs the one in which more models are better off.
            let axis = eigen.U().col(m - 1 - factor);
            let sign = if axis.iter().sum::<f64>() < 0.0 { -1.0 } else { 1.0 };
            sign * axis[model] / unit
        });
        let mut features = Vec::new();
        for row in rows() {
            let row = centered(row);
            features.push(1.0);
            features.extend((0..rank).map(|factor| {
                (0..m).map(|model| loadings[(model, factor)] * row[model]).sum::<f64>()
            }));
        }
        Ok(Self { len: rank + 1, rows: features, means, loadings })
    }

    /// The same with at most `rank` factors.
    fn first(&self, rank: usize) -> Self {
        let len = self.len.min(rank + 1);
        let rows = self.rows.chunks_exact(self.len).flat_map(|row| &row[..len]).copied().collect();
        let loadings = self.loadings.subcols(0, len - 1).to_owned();
        Self { len, rows, means: self.means.clone(), loadings }
    }

    pub(super) fn row(&self, row: usize) -> &[f64] {
        &self.rows[row * self.len..(row + 1) * self.len]
    }

    /// The sums over a model's labels on wanted rows.
    pub(super) fn gram(
        &self,
        surfaces: Surfaces<'_>,
        model: usize,
        wanted: impl Fn(usize) -> bool,
    ) -> Gram {
        let mut gram = Gram::new(self.len);
        for (row, features) in self.rows.chunks_exact(self.len).enumerate() {
            let label = surfaces.labels[row * surfaces.n_models + model];
            if wanted(row) && !label.is_nan() {
                gram.add(features, label);
            }
        }
        gram
    }
}
