//! All models, laid out for queries.

use tollgate_core::Scratch;

use super::gaussian::Gaussian;
use super::target::Target;
use crate::pool::Lanes;

/// Scores and log costs of all models.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(super) quality: LineTable,
    pub(super) cost: LineTable,
    pub(super) ends: Vec<End>,
}

/// How a cost comes of its line.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Log(f64),
    Mean(f64, f64),
}

/// Coefficients and their covariances, one lane a model; zeros where there is no line.
#[derive(Debug)]
pub(super) struct LineTable {
    n_models: usize,
    coefficients: Lanes,
    /// One row for each pair of numbers that counts.
    covariances: Lanes,
}

impl LineTable {
    pub(super) fn new(models: &[Option<&Gaussian>], target: &Target) -> Self {
        let (n_models, len) = (models.len(), target.basis.len());
        let coefficients =
            Lanes::new(len, n_models, |at, model| models[model].map_or(0.0, |own| own.mean[at]));
        let pairs: Vec<(usize, usize)> = target.covariances.pairs(len).collect();
        let covariances = Lanes::new(pairs.len(), n_models, |pair, model| {
            models[model].map_or(0.0, |own| own.covariance[pairs[pair]])
        });
        Self { n_models, coefficients, covariances }
    }

    /// Calls `write` for every model with its line's value and the root of (5), for a prompt of
    /// these numbers.
    pub(super) fn estimate(
        &self,
        target: &Target,
        features: &[f32],
        scratch: &mut Scratch,
        mut write: impl FnMut(usize, f64, f64),
    ) {
        let (n_pairs, width) = (self.covariances.n_rows(), self.coefficients.width());
        scratch.floats.resize((n_pairs + 2 * width).div_ceil(2), 0.0);
        let floats: &mut [f32] = bytemuck::cast_slice_mut(&mut scratch.floats);
        let (squares, floats) = floats.split_at_mut(n_pairs);
        let (means, floats) = floats.split_at_mut(width);
        let variances = &mut floats[..width];
        let pairs = target.covariances.pairs(features.len());
        for (square, (a, b)) in squares.iter_mut().zip(pairs) {
            let twice = if a == b { 1.0 } else { 2.0 };
            *square = twice * features[a] * features[b];
        }
        self.coefficients.sum(features, means);
        self.covariances.sum(squares, variances);
        for model in 0..self.n_models {
            let se = (f64::from(variances[model].max(0.0)) + target.unexplained).sqrt();
            write(model, f64::from(means[model]), se);
        }
    }
}
