//! One head: a model's scores, or its costs. Equation numbers are those of [`super`].

use tollgate_core::BoxError;

use super::axes::Spectrum;
use super::minimize::{Loss, Objective, PRIOR};
use crate::vector::dot_f64;

/// The penalties tried, in units of [`Task::unit`], the strongest first: each search starts
/// where the one before ended.
pub(super) const GRID: [f64; 9] = [1000.0, 316.2, 100.0, 31.62, 10.0, 3.162, 1.0, 0.3162, 0.1];

/// One label in so many is kept from the fits that are compared.
const KEPT_OUT: usize = 5;

/// What a head learns from.
#[derive(Debug)]
pub(super) struct Task<'a> {
    pub(super) spectrum: &'a Spectrum,
    /// `p_r`, row-major `(n_rows of the set, rank)`.
    pub(super) projected: &'a [f64],
    /// Shape `(n_rows of the set,)`.
    pub(super) labels: Vec<f64>,
    pub(super) loss: Loss,
}

impl Task<'_> {
    /// The curvature of the loss at the mean label, with half a label more in the case
    /// of scores.
    fn curvature(&self) -> f64 {
        let (sum, n) = (self.labels.iter().sum::<f64>(), self.labels.len() as f64);
        self.loss.curvature((sum + PRIOR) / (n + 1.0))
    }

    /// A penalty of 1, in the units of equation (1).
    fn unit(&self) -> f64 {
        self.curvature() * self.spectrum.scale()
    }

    fn row(&self, row: usize) -> &[f64] {
        let rank = self.spectrum.rank();
        &self.projected[row * rank..(row + 1) * rank]
    }

    /// Equation (1) on the rows that `keep` says.
    fn objective(&self, penalty: f64, keep: impl Fn(usize) -> bool) -> Objective<'_> {
        let rows = || (0..self.labels.len()).filter(|&row| keep(row));
        let n = self.labels.len() as f64;
        let curvature = self.curvature();
        let scale = |value: &f64| ((curvature * value + penalty) / n).sqrt();
        let scales = std::iter::once(curvature.sqrt());
        Objective::new(
            self.loss,
            rows().map(|row| self.row(row)).collect(),
            rows().map(|row| self.labels[row]).collect(),
            penalty,
            scales.chain(self.spectrum.values().iter().map(scale)).collect(),
        )
    }

    /// What is left of (1) by a penalty without bound: an intercept.
    fn constant(&self, keep: impl Fn(usize) -> bool) -> Vec<f64> {
        let labels = self.labels.iter().enumerate().filter(|(row, _)| keep(*row));
        let (sum, n) = labels.fold((0.0, 0.0), |(sum, n), (_, y)| (sum + y, n + 1.0));
        let mut solution = vec![0.0; 1 + self.spectrum.rank()];
        solution[0] = self.loss.constant(sum, n);
        solution
    }

    /// The mean loss on every fifth label of what the others teach, for each penalty of
    /// the grid, over that of their mean; `None` for fewer labels than five, or where the
    /// mean is never wrong.
    pub(super) fn validate(&self) -> Result<Option<[f64; GRID.len()]>, BoxError> {
        let kept_out = |row: usize| row % KEPT_OUT == KEPT_OUT - 1;
        let rows = || (0..self.labels.len()).filter(|&row| kept_out(row));
        let loss = |solution: &[f64]| -> f64 {
            let of =
                |row: usize| self.loss.value(predict(solution, self.row(row)), self.labels[row]);
            rows().map(of).sum()
        };
        let mut solution = self.constant(|row| !kept_out(row));
        let constant = loss(&solution);
        if constant == 0.0 || self.labels.len() < KEPT_OUT {
            return Ok(None);
        }
        let mut losses = [0.0; GRID.len()];
        for (step, out) in GRID.iter().zip(&mut losses) {
            let objective = self.objective(step * self.unit(), |row| !kept_out(row));
            solution = objective.minimize(&solution)?;
            *out = loss(&solution) / constant;
        }
        Ok(Some(losses))
    }

    /// The head, from all labels.
    pub(super) fn fit(&self, step: f64) -> Result<Head, BoxError> {
        let penalty = step * self.unit();
        let solution = self.objective(penalty, |_| true).minimize(&self.constant(|_| true))?;
        let curvatures = (0..self.labels.len())
            .map(|row| self.loss.curvature(self.loss.mean(predict(&solution, self.row(row)))));
        let curvature = curvatures.sum::<f64>() / self.labels.len() as f64;
        // Scores that are foreseen to the last digit leave the parameters undetermined.
        let curvature = curvature.max(f64::EPSILON * self.curvature());
        Ok(Head { solution, curvature, lambda: penalty / curvature })
    }
}

/// `a + b . p` of equation (2).
fn predict(solution: &[f64], projected: &[f64]) -> f64 {
    solution[0] + dot_f64(&solution[1..], projected)
}

/// A fitted head.
#[derive(Debug)]
pub(super) struct Head {
    /// `a`, then `b`.
    solution: Vec<f64>,
    /// `s`: the mean curvature of the loss.
    curvature: f64,
    /// `l / s`.
    lambda: f64,
}

impl Head {
    /// Equation (2), and the variance of equation (3).
    pub(super) fn predict(&self, spectrum: &Spectrum, projected: &[f64], rest: f64) -> (f64, f64) {
        let leverage = spectrum.leverage(projected, rest, self.lambda);
        (predict(&self.solution, projected), leverage / self.curvature)
    }

    /// Equation (4) for every row of the task, each with the variance of equation (3)
    /// without the row.
    pub(super) fn leave_one_out(&self, task: &Task<'_>) -> Vec<(f64, f64)> {
        let of = |row: usize| {
            let projected = task.row(row);
            let f = predict(&self.solution, projected);
            let leverage = task.spectrum.leverage(projected, 0.0, self.lambda);
            let remainder = (1.0 - leverage).max(f64::EPSILON);
            let variance = leverage / remainder / self.curvature;
            (f - variance * (task.labels[row] - task.loss.mean(f)), variance)
        };
        (0..task.labels.len()).map(of).collect()
    }
}
