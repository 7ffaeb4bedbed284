//! The models that are labelled on the same prompts. Equation numbers are those of
//! [`super`].

use faer::Mat;
use tollgate_core::{BoxError, EstimatesMut};

use super::Lines;
use super::features::Rows;
use super::lines::{Choices, LeftOut, Lesson, STEPS};
use super::moments::{Moments, Targets};
use super::spectrum::{AXES, Gauge, Spectrum};
use crate::labels::{Labels, QUALITY_PRIOR};
use crate::vector::dot_f64;

/// Floats that [`Plane::estimate`] needs.
pub(super) const SCRATCH: usize = AXES + STEPS;

/// A cost is not predicted below this share of the lowest one seen.
const COST_FLOOR: f64 = 0.5;

/// One line for each score and each cost.
#[derive(Debug)]
pub(super) struct Plane {
    /// Model indices, ascending.
    members: Vec<usize>,
    moments: Moments,
    choices: Choices,
    gauge: Gauge,
    /// Weights on the features, row-major `(columns, len)`: scores, then costs.
    weights: Vec<f64>,
    /// What the lines are at features of 0, one for each column.
    intercepts: Vec<f64>,
    /// Standard deviations of the labels, which standard errors do not pass.
    limits: Vec<f64>,
    /// The lowest cost and the lowest on any other row, with the row of the lowest.
    lowest: Vec<(f64, usize, f64)>,
}

impl Plane {
    /// Fits the models of a set, and says of every row what a fit without it would.
    pub(super) fn fit(
        rows: &Rows<'_>,
        labels: &Labels,
        set: usize,
        members: &[usize],
        lambda: Option<f64>,
    ) -> Result<(Self, LeftOut), BoxError> {
        let targets = Targets { labels, members };
        let which = labels.rows_of(set, 0);
        let mut moments = Moments::new(rows.features.len(), targets.len());
        moments.extend(rows, targets, &which);
        let spectrum = Spectrum::new(&moments, rows.features)?;
        let means = moments.label_means();
        let prior = |(column, mean): (usize, &f64)| {
            if column < members.len() { QUALITY_PRIOR } else { mean * mean }
        };
        let priors: Vec<f64> = means.iter().enumerate().map(prior).collect();
        let lesson = Lesson { rows, targets, which: &which, spectrum: &spectrum, means: &means };
        let (choices, left_out) = Choices::learn(lesson, &moments, lambda, &priors)?;
        Ok((Self::assemble(targets, set, moments, choices, &spectrum), left_out))
    }

    /// The same lines with the rows from `first` on.
    pub(super) fn grow(
        &self,
        rows: &Rows<'_>,
        labels: &Labels,
        set: usize,
        first: usize,
    ) -> Result<Self, BoxError> {
        let targets = Targets { labels, members: &self.members };
        let mut moments = self.moments.clone();
        moments.extend(rows, targets, &labels.rows_of(set, first));
        let spectrum = Spectrum::new(&moments, rows.features)?;
        Ok(Self::assemble(targets, set, moments, self.choices.clone(), &spectrum))
    }

    fn assemble(
        targets: Targets<'_>,
        set: usize,
        moments: Moments,
        choices: Choices,
        spectrum: &Spectrum,
    ) -> Self {
        let Targets { labels, members } = targets;
        let weights: Mat<f64> = choices.weights(spectrum, &moments);
        let weights: Vec<f64> = weights.col_iter().flat_map(|line| line.iter().copied()).collect();
        let lines = weights.chunks_exact(spectrum.mean.len());
        let intercepts = moments
            .label_means()
            .iter()
            .zip(lines)
            .map(|(mean, line)| mean - dot_f64(line, &spectrum.mean))
            .collect();
        let variances = [&labels.quality_variance, &labels.cost_variance];
        let limits = variances
            .into_iter()
            .flat_map(|variance| members.iter().map(|&model| variance[model].sqrt()))
            .collect();
        let which = labels.rows_of(set, 0);
        let lowest = (0..members.len())
            .map(|member| {
                let cost = |&row: &usize| (row, targets.label(row, members.len() + member));
                two_lowest(which.iter().map(cost))
            })
            .collect();
        Self {
            members: members.to_vec(),
            gauge: spectrum.gauge(&choices.lambdas),
            moments,
            choices,
            weights,
            intercepts,
            limits,
            lowest,
        }
    }

    /// Whether it is these models that it estimates.
    pub(super) fn has(&self, members: &[usize]) -> bool {
        self.members == members
    }

    /// Equations (3) and (6) for one query.
    pub(super) fn estimate(
        &self,
        features: &[f64],
        floats: &mut [f64],
        out: &mut EstimatesMut<'_>,
    ) {
        let n_members = self.members.len();
        let leverages = self.gauge.leverages(features, floats);
        let value = |column: usize| {
            let weights = &self.weights[column * features.len()..][..features.len()];
            self.intercepts[column] + dot_f64(weights, features)
        };
        for (member, &model) in self.members.iter().enumerate() {
            let values = (value(member), value(n_members + member));
            self.write(member, values, leverages, self.lowest[member].0, model, out);
        }
    }

    /// Writes what fits without the row itself say of every row of the set.
    pub(super) fn write_left_out(
        &self,
        labels: &Labels,
        set: usize,
        left_out: &LeftOut,
        out: &mut EstimatesMut<'_>,
    ) {
        let (n_models, n_members) = (labels.models.len(), self.members.len());
        let which = labels.rows_of(set, 0);
        if let [row] = which[..] {
            for &model in &self.members {
                let cell = row * n_models + model;
                (out.quality[cell], out.quality_se[cell]) = (0.5, 0.5);
                out.cost[cell] = labels.cost[cell];
                out.cost_se[cell] = out.cost[cell];
            }
            return;
        }
        let predictions = left_out.predictions.chunks_exact(2 * n_members);
        let leverages = left_out.leverages.chunks_exact(self.choices.lambdas.len());
        for ((&row, predicted), leverages) in which.iter().zip(predictions).zip(leverages) {
            for (member, &model) in self.members.iter().enumerate() {
                let (lowest, lowest_row, other) = self.lowest[member];
                let lowest = if lowest_row == row { other } else { lowest };
                let values = (predicted[member], predicted[n_members + member]);
                self.write(member, values, leverages, lowest, row * n_models + model, out);
            }
        }
    }

    /// Copies the lines of scores and of costs, and what they say of rows that they have not
    /// learned from.
    pub(super) fn write_lines(
        &self,
        rows: &Rows<'_>,
        labels: &Labels,
        set: usize,
        left_out: &LeftOut,
        out: &mut [Lines; 2],
    ) {
        let (n_models, n_members, len) =
            (labels.models.len(), self.members.len(), rows.features.len());
        for (at, (weights, &intercept)) in
            self.weights.chunks_exact(len).zip(&self.intercepts).enumerate()
        {
            let model = self.members[at % n_members];
            let lines = &mut out[at / n_members];
            lines.weights[model * len..(model + 1) * len].copy_from_slice(weights);
            lines.intercepts[model] = intercept;
        }
        let mut learned_from = left_out.predictions.chunks_exact(2 * n_members);
        let mut features = vec![0.0; len];
        for row in 0..labels.n_rows {
            let known = labels.sets.contains(set, row).then(|| learned_from.next()).flatten();
            if known.is_none() {
                rows.map(&[row], &mut features);
            }
            for at in 0..2 * n_members {
                let weights = &self.weights[at * len..(at + 1) * len];
                let fresh = || self.intercepts[at] + dot_f64(weights, &features);
                let cell = row * n_models + self.members[at % n_members];
                out[at / n_members].held_out[cell] = known.map_or_else(fresh, |known| known[at]);
            }
        }
    }

    /// Cuts predictions to what is possible, and adds their standard errors.
    fn write(
        &self,
        member: usize,
        (quality, cost): (f64, f64),
        leverages: &[f64],
        lowest_cost: f64,
        cell: usize,
        out: &mut EstimatesMut<'_>,
    ) {
        let se = |column: usize| {
            let shares = &self.choices.shares[column * leverages.len()..][..leverages.len()];
            let leverage: f64 = shares.iter().zip(leverages).map(|(t, h)| t * h).sum();
            (leverage * self.choices.noise[column]).sqrt().min(self.limits[column])
        };
        out.quality[cell] = quality.clamp(0.0, 1.0);
        out.quality_se[cell] = se(member);
        out.cost[cell] = cost.max(COST_FLOOR * lowest_cost);
        out.cost_se[cell] = se(self.members.len() + member);
    }
}

/// The lowest value, its row, and the lowest of the others (itself where there is none).
pub(super) fn two_lowest(values: impl Iterator<Item = (usize, f64)>) -> (f64, usize, f64) {
    let (mut lowest, mut at, mut other) = (f64::INFINITY, 0, f64::INFINITY);
    for (row, value) in values {
        if value < lowest {
            (lowest, at, other) = (value, row, lowest);
        } else if value < other {
            other = value;
        }
    }
    (lowest, at, if other.is_finite() { other } else { lowest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_lowest_by_hand() {
        let two = |values: &[(usize, f64)]| two_lowest(values.iter().copied());
        assert_eq!(two(&[(4, 3.0), (7, 1.0), (9, 2.0)]), (1.0, 7, 2.0));
        assert_eq!(two(&[(4, 1.0), (7, 1.0)]), (1.0, 4, 1.0));
        assert_eq!(two(&[(4, 1.0)]), (1.0, 4, 1.0));
    }
}
