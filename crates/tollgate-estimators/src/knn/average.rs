//! Equations (1) to (4): means of neighbors' labels, drawn toward the mean of all.

use crate::labels::Means;

/// Some neighbors and how much each of them counts.
#[derive(Debug)]
pub(super) struct Neighborhood<'a> {
    neighbors: &'a [(f64, u32)],
    weights: &'a [f64],
    total: f64,
    /// The sum of the weights' absolute values.
    magnitude: f64,
    effective: f64,
}

impl<'a> Neighborhood<'a> {
    /// At least one neighbor; weights of a sum `> 0`.
    pub(super) fn new(neighbors: &'a [(f64, u32)], weights: &'a [f64]) -> Self {
        let (mut total, mut magnitude, mut squares) = (0.0, 0.0, 0.0);
        for &weight in weights {
            total += weight;
            magnitude += weight.abs();
            squares += weight * weight;
        }
        let effective = total * total / squares;
        Self { neighbors, weights, total, magnitude, effective }
    }

    /// The effective number of neighbors: `m` of equation (2).
    pub(super) fn effective(&self) -> f64 {
        self.effective
    }

    /// Equation (1) for the models in `members`; `labels` is row-major
    /// `(n_rows, n_models)`, `mean` of shape `(n_models,)`.
    pub(super) fn mean(&self, labels: &[f64], members: &[usize], mean: &mut [f64]) {
        for &model in members {
            mean[model] = 0.0;
        }
        for (weight, row) in self.weighted(labels, mean.len()) {
            for &model in members {
                mean[model] += weight * row[model];
            }
        }
        for &model in members {
            mean[model] /= self.total;
        }
    }

    /// Equation (2) for the models in `members`; `mean` is (1), and `variance` that of all
    /// of a model's labels.
    pub(super) fn standard_error(
        &self,
        labels: &[f64],
        variance: &[f64],
        members: &[usize],
        mean: &[f64],
        se: &mut [f64],
    ) {
        for &model in members {
            se[model] = 0.0;
        }
        for (weight, row) in self.weighted(labels, mean.len()) {
            for &model in members {
                se[model] += weight.abs() * (row[model] - mean[model]).powi(2);
            }
        }
        for &model in members {
            let spread = se[model] / self.magnitude + variance[model] / self.effective;
            se[model] = (spread / self.effective).sqrt();
        }
    }

    fn weighted<'b>(
        &self,
        labels: &'b [f64],
        n_models: usize,
    ) -> impl Iterator<Item = (f64, &'b [f64])> {
        self.weights.iter().zip(self.neighbors).map(move |(&weight, &(_, row))| {
            let row = row as usize * n_models;
            (weight, &labels[row..row + n_models])
        })
    }
}

/// The pull toward the mean of all of a model's labels: equations (3) and (4).
#[derive(Clone, Debug)]
pub(super) struct Pull {
    /// `s`, in labels; 0 for no pull.
    pub(super) strength: f64,
    /// `t_i^2` for each model.
    pub(super) spread: Vec<f64>,
}

impl Pull {
    pub(super) fn none() -> Self {
        Self { strength: 0.0, spread: Vec::new() }
    }

    /// Draws `mean` and `se`, which are (1) and (2), toward `global(model)`.
    pub(super) fn apply(
        &self,
        effective: f64,
        members: &[usize],
        global: impl Fn(usize) -> f64,
        mean: &mut [f64],
        se: &mut [f64],
    ) {
        // Not even a rounding error is added to plain means.
        if self.strength == 0.0 {
            return;
        }
        let share = self.strength / (effective + self.strength);
        for &model in members {
            mean[model] += share * (global(model) - mean[model]);
            let own = ((1.0 - share) * se[model]).powi(2);
            se[model] = (own + share.powi(2) * self.spread[model]).sqrt();
        }
    }
}

/// The mean of a model's labels, without that of row `own` where it is left out.
pub(super) fn global<'a>(
    means: &'a Means,
    labels: &'a [f64],
    n_models: usize,
    own: Option<usize>,
) -> impl Fn(usize) -> f64 + 'a {
    move |model| match own {
        None => means.mean(model),
        Some(row) => means.without(model, labels[row * n_models + model]),
    }
}
