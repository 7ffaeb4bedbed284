//! The losses of a head, and their minimum by L-BFGS.

use std::cell::RefCell;

use argmin::core::{CostFunction, Error, Executor, Gradient};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use tollgate_core::BoxError;

use crate::vector::dot_f64;

/// Pairs of steps and gradients that L-BFGS remembers.
const MEMORY: usize = 7;

/// Iterations, at most. In coordinates where the curvature is nearly the identity ten or
/// twenty are the rule.
const MAX_ITERATIONS: u64 = 300;

/// The norm of the gradient where the search ends, and the one that is good enough where
/// rounding ends it earlier. Losses and curvature are of the order of 1, so what is left
/// to gain is the square of it, and below 1e-7 nothing of that is left in the digits of
/// a loss for a line search to see.
const TOLERANCE: f64 = 1e-6;
const ACCEPTED: f64 = 1e-4;

/// The label that scores have one more of, at the center of the prompts.
pub(super) const PRIOR: f64 = 0.5;

/// What a prediction `f` of a label `y` costs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Loss {
    /// `log(1 + e^f) - y f`: cross-entropy, for scores.
    Logistic,
    /// `(f - y)^2 / 2`, for costs.
    Squared,
}

impl Loss {
    pub(super) fn value(self, f: f64, y: f64) -> f64 {
        match self {
            Self::Logistic => f.max(0.0) + (-f.abs()).exp().ln_1p() - y * f,
            Self::Squared => 0.5 * (f - y).powi(2),
        }
    }

    /// The derivative by `f`.
    fn slope(self, f: f64, y: f64) -> f64 {
        self.mean(f) - y
    }

    /// What is expected of the label.
    pub(super) fn mean(self, f: f64) -> f64 {
        match self {
            Self::Logistic => 1.0 / (1.0 + (-f).exp()),
            Self::Squared => f,
        }
    }

    /// The `f` of least loss on `n` labels of this sum, and the prior's.
    pub(super) fn constant(self, sum: f64, n: f64) -> f64 {
        match self {
            Self::Logistic => ((sum + PRIOR) / (n + 1.0 - sum - PRIOR)).ln(),
            Self::Squared => sum / n,
        }
    }

    /// The second derivative, where `mean` is expected.
    pub(super) fn curvature(self, mean: f64) -> f64 {
        match self {
            Self::Logistic => mean * (1.0 - mean),
            Self::Squared => 1.0,
        }
    }
}

/// Equation (1) of one head, divided by the number of labels, as a function of
/// `(a t_0, b_1 t_1, b_2 t_2, ...)`, `t` being `scales`: steps of equal length in any
/// coordinate then change it about equally.
#[derive(Debug)]
pub(super) struct Objective<'a> {
    pub(super) loss: Loss,
    /// The projections of the prompts, `rank` numbers each.
    pub(super) rows: Vec<&'a [f64]>,
    pub(super) labels: Vec<f64>,
    /// A label more, at the center of the prompts; `None` for none.
    pub(super) prior: Option<f64>,
    /// `l` of equation (1).
    pub(super) penalty: f64,
    /// Of the intercept and of each coefficient, all `> 0`.
    pub(super) scales: Vec<f64>,
    /// The least value seen, and where.
    best: RefCell<(f64, Vec<f64>)>,
}

impl<'a> Objective<'a> {
    pub(super) fn new(
        loss: Loss,
        rows: Vec<&'a [f64]>,
        labels: Vec<f64>,
        penalty: f64,
        scales: Vec<f64>,
    ) -> Self {
        let prior = (loss == Loss::Logistic).then_some(PRIOR);
        let best = RefCell::new((f64::INFINITY, Vec::new()));
        Self { loss, rows, labels, prior, penalty, scales, best }
    }

    /// Where equation (1) is least: the intercept, then the coefficients. `start` is in
    /// the same form.
    ///
    /// # Errors
    /// A search that ended before the gradient was small.
    pub(super) fn minimize(&self, start: &[f64]) -> Result<Vec<f64>, BoxError> {
        let scaled: Vec<f64> = start.iter().zip(&self.scales).map(|(x, t)| x * t).collect();
        self.cost(&scaled)?;
        if norm(&self.gradient(&scaled)?) > TOLERANCE {
            let search = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
                .with_tolerance_grad(TOLERANCE)?
                .with_tolerance_cost(0.0)?;
            let run = Executor::new(self, search)
                .configure(|state| state.param(scaled).max_iters(MAX_ITERATIONS))
                .timer(false)
                .run();
            // Close to the minimum a line search may fail by rounding; whether it was
            // close enough is asked of the gradient, not of the search.
            let (_, best) = &*self.best.borrow();
            let got = norm(&self.gradient(best)?);
            if got.is_nan() || got > ACCEPTED {
                return Err(run.err().map_or_else(|| NotConverged { got }.into(), Into::into));
            }
        }
        let (_, best) = &*self.best.borrow();
        Ok(best.iter().zip(&self.scales).map(|(x, t)| x / t).collect())
    }

    /// The intercept and the coefficients at a point of the search.
    fn unscaled(&self, param: &[f64]) -> (f64, Vec<f64>) {
        let mut plain = param.iter().zip(&self.scales).map(|(x, t)| x / t);
        (plain.next().expect("the intercept comes first"), plain.collect())
    }
}

impl CostFunction for &Objective<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, param: &Vec<f64>) -> Result<f64, Error> {
        let (intercept, coefficients) = self.unscaled(param);
        let losses = self.rows.iter().zip(&self.labels);
        let mut sum: f64 = losses
            .map(|(row, &y)| self.loss.value(intercept + dot_f64(row, &coefficients), y))
            .sum();
        sum += self.prior.map_or(0.0, |y| self.loss.value(intercept, y));
        let squares = dot_f64(&coefficients, &coefficients);
        let cost = (sum + 0.5 * self.penalty * squares) / self.labels.len() as f64;
        let mut best = self.best.borrow_mut();
        if cost < best.0 {
            *best = (cost, param.clone());
        }
        Ok(cost)
    }
}

impl Gradient for &Objective<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, param: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let (intercept, coefficients) = self.unscaled(param);
        let mut total = self.prior.map_or(0.0, |y| self.loss.slope(intercept, y));
        let mut slopes: Vec<f64> = coefficients.iter().map(|b| self.penalty * b).collect();
        for (row, &y) in self.rows.iter().zip(&self.labels) {
            let slope = self.loss.slope(intercept + dot_f64(row, &coefficients), y);
            total += slope;
            slopes.iter_mut().zip(*row).for_each(|(sum, x)| *sum += slope * x);
        }
        let n = self.labels.len() as f64;
        let all = std::iter::once(total).chain(slopes);
        Ok(all.zip(&self.scales).map(|(slope, t)| slope / (t * n)).collect())
    }
}

fn norm(x: &[f64]) -> f64 {
    dot_f64(x, x).sqrt()
}

/// A search that ended too early.
#[derive(Debug, thiserror::Error)]
#[error("the gradient of a head's loss is still {got:e} after {MAX_ITERATIONS} iterations")]
struct NotConverged {
    got: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels 1, 1, 0 at 0 and one half more: the intercept is the log odds of 2.5 to 1.5.
    #[test]
    fn an_intercept_by_hand() {
        let rows: Vec<&[f64]> = vec![&[], &[], &[]];
        let objective = Objective::new(Loss::Logistic, rows, vec![1.0, 1.0, 0.0], 1.0, vec![0.5]);
        let got = objective.minimize(&[0.0]).unwrap();
        assert!((got[0] - (2.5_f64 / 1.5).ln()).abs() < 1e-6, "{got:?}");
    }

    /// Rows -1 and 1 with labels 0 and 4, penalty 2: the slope is 4 / (2 + 2), around 2.
    #[test]
    fn a_line_by_hand() {
        let rows: Vec<&[f64]> = vec![&[-1.0], &[1.0]];
        let objective = Objective::new(Loss::Squared, rows, vec![0.0, 4.0], 2.0, vec![1.0, 2.0]);
        let got = objective.minimize(&[0.0, 0.0]).unwrap();
        assert!((got[0] - 2.0).abs() < 1e-6 && (got[1] - 1.0).abs() < 1e-6, "{got:?}");
    }

    #[test]
    fn losses_far_out_are_finite() {
        for f in [-1e6, 1e6] {
            for y in [0.0, 0.5, 1.0] {
                assert!(Loss::Logistic.value(f, y).is_finite());
                assert!((0.0..=1.0).contains(&Loss::Logistic.mean(f)));
            }
        }
    }
}
