//! The prior of a model's coefficients, learned from other models. Equation numbers are those
//! of `factors.rs`.

use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Mat, Par, Side};

use crate::labels::shrunk;

/// Rounds of expectation and maximization.
const ROUNDS: usize = 20;

/// Rounds in which a model's noise and coefficients are set against each other.
const NOISE_ROUNDS: usize = 3;

/// Sums over the labels of one model, of features `f` and labels `y`.
#[derive(Clone, Debug)]
pub(crate) struct Gram {
    pub(crate) n: f64,
    /// `sum f f'`, row-major.
    ff: Vec<f64>,
    /// `sum f y`.
    fy: Vec<f64>,
    /// `sum y`, `sum y^2`.
    y: [f64; 2],
}

impl Gram {
    pub(crate) fn new(len: usize) -> Self {
        Self { n: 0.0, ff: vec![0.0; len * len], fy: vec![0.0; len], y: [0.0; 2] }
    }

    pub(crate) fn add(&mut self, features: &[f64], label: f64) {
        let len = self.fy.len();
        for (a, row) in self.ff.chunks_exact_mut(len).enumerate() {
            row.iter_mut().zip(features).for_each(|(sum, f)| *sum += features[a] * f);
            self.fy[a] += features[a] * label;
        }
        self.n += 1.0;
        self.y[0] += label;
        self.y[1] += label * label;
    }

    /// Of some labels and their features, row-major with `len` columns.
    pub(crate) fn of(features: &[f64], len: usize, labels: impl Iterator<Item = f64>) -> Self {
        let mut gram = Self::new(len);
        features.chunks_exact(len).zip(labels).for_each(|(row, label)| gram.add(row, label));
        gram
    }

    /// The same of the first `len` features.
    pub(crate) fn first(&self, len: usize) -> Self {
        let rows = self.ff.chunks_exact(self.fy.len()).take(len);
        let ff = rows.flat_map(|row| &row[..len]).copied().collect();
        Self { n: self.n, ff, fy: self.fy[..len].to_vec(), y: self.y }
    }

    /// `sum (y - b . f)^2`.
    fn squares(&self, b: &[f64]) -> f64 {
        let rows = self.ff.chunks_exact(b.len()).zip(b);
        let quadratic: f64 = rows.map(|(row, x)| x * dot(row, b)).sum();
        (self.y[1] - 2.0 * dot(&self.fy, b) + quadratic).max(0.0)
    }

    /// The mean of `y` less what slopes, of all numbers but the first, which is 1, make of the
    /// mean of the others.
    pub(crate) fn level(&self, slopes: &[f64]) -> f64 {
        (self.y[0] - dot(&self.ff[1..self.fy.len()], slopes)) / self.n.max(1.0)
    }

    /// `sum (f_a - mean) (f_b - mean)`, where the first number is 1.
    pub(crate) fn centered_product(&self, a: usize, b: usize) -> f64 {
        self.ff[a * self.fy.len() + b] - self.ff[a] * self.ff[b] / self.n.max(1.0)
    }

    /// `sum (f_a - mean) (y - mean)`, where the first number is 1.
    pub(crate) fn centered_moment(&self, a: usize) -> f64 {
        self.fy[a] - self.ff[a] * self.y[0] / self.n.max(1.0)
    }

    /// `sum (y - mean)^2`.
    pub(crate) fn spread(&self) -> f64 {
        (self.y[1] - self.y[0] * self.y[0] / self.n.max(1.0)).max(0.0)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Coefficients, and how surely they are known.
#[derive(Clone, Debug)]
pub(crate) struct Gaussian {
    pub(crate) mean: Vec<f64>,
    pub(crate) covariance: Mat<f64>,
}

impl Gaussian {
    /// `f' P f`.
    pub(crate) fn variance(&self, features: &[f64]) -> f64 {
        let times = |a: usize| -> f64 {
            features.iter().enumerate().map(|(b, f)| self.covariance[(a, b)] * f).sum()
        };
        features.iter().enumerate().map(|(a, f)| f * times(a)).sum()
    }
}

/// What is thought of the coefficients of any model, (3).
#[derive(Clone, Debug)]
pub(crate) struct Prior {
    pub(crate) gaussian: Gaussian,
    /// `S^-1`.
    precision: Mat<f64>,
    /// The variance that is thought possible for a label.
    label: f64,
}

impl Prior {
    /// By expectation and maximization over the models that have labels; `label` is the
    /// variance that is thought possible for one.
    pub(crate) fn learn(grams: &[Gram], len: usize, label: f64) -> Self {
        let grams: Vec<&Gram> = grams.iter().filter(|gram| gram.n > 0.0).collect();
        let m = grams.len().max(1) as f64;
        // One model more that is as far from the mean as is thought possible.
        let possible = |at: usize| if at == 0 { label } else { 1.0 };
        let mut mean = vec![0.0; len];
        for gram in &grams {
            mean[0] += gram.y[0] / gram.n / m;
        }
        mean[1..].fill(1.0 / m.sqrt());
        let diagonal = Mat::from_fn(len, len, |a, b| if a == b { possible(a) } else { 0.0 });
        let mut prior = Self::new(mean, diagonal, label);
        for _ in 0..ROUNDS {
            let posteriors: Vec<Gaussian> =
                grams.iter().map(|gram| prior.posterior(gram, &prior.gaussian.mean)).collect();
            if posteriors.is_empty() {
                break;
            }
            let mean: Vec<f64> = (0..len)
                .map(|at| posteriors.iter().map(|own| own.mean[at]).sum::<f64>() / m)
                .collect();
            let covariance = Mat::from_fn(len, len, |a, b| {
                let own = |own: &Gaussian| {
                    (own.mean[a] - mean[a]) * (own.mean[b] - mean[b]) + own.covariance[(a, b)]
                };
                let more = if a == b { possible(a) } else { 0.0 };
                (posteriors.iter().map(own).sum::<f64>() + more) / m
            });
            prior = Self::new(mean, covariance, label);
        }
        prior
    }

    /// The mean of the coefficients of models whose first one is known.
    pub(crate) fn mean_where(&self, first: f64) -> Vec<f64> {
        let Gaussian { mean, covariance } = &self.gaussian;
        let off = (first - mean[0]) / covariance[(0, 0)];
        mean.iter().enumerate().map(|(at, mean)| mean + covariance[(at, 0)] * off).collect()
    }

    /// The mean noise of the labels of models that have any.
    pub(crate) fn noise(&self, grams: &[Gram]) -> f64 {
        let known = || grams.iter().filter(|gram| gram.n > 0.0);
        let noise = |gram: &Gram| {
            let own = self.posterior(gram, &self.gaussian.mean);
            shrunk(gram.squares(&own.mean), gram.n, self.label)
        };
        let n = known().count();
        if n > 0 { known().map(noise).sum::<f64>() / n as f64 } else { self.label }
    }

    /// `label` is the variance that is thought possible for a label.
    pub(crate) fn new(mean: Vec<f64>, covariance: Mat<f64>, label: f64) -> Self {
        let precision = inverse(&covariance);
        Self { gaussian: Gaussian { mean, covariance }, precision, label }
    }

    /// (4): a model of these labels, around a mean of its own.
    pub(crate) fn posterior(&self, gram: &Gram, mean: &[f64]) -> Gaussian {
        if gram.n == 0.0 {
            let covariance = self.gaussian.covariance.clone();
            return Gaussian { mean: mean.to_vec(), covariance };
        }
        let len = mean.len();
        let pull: Vec<f64> =
            (0..len).map(|a| (0..len).map(|b| self.precision[(a, b)] * mean[b]).sum()).collect();
        let mut noise = shrunk(gram.spread(), gram.n, self.label);
        let mut round = || {
            let precision = Mat::from_fn(len, len, |a, b| {
                gram.ff[a * len + b] / noise + self.precision[(a, b)]
            });
            let covariance = inverse(&precision);
            let target: Vec<f64> =
                gram.fy.iter().zip(&pull).map(|(fy, pull)| fy / noise + pull).collect();
            let mean: Vec<f64> =
                (0..len).map(|a| (0..len).map(|b| covariance[(a, b)] * target[b]).sum()).collect();
            noise = shrunk(gram.squares(&mean), gram.n, self.label);
            Gaussian { mean, covariance }
        };
        (1..NOISE_ROUNDS).for_each(|_| drop(round()));
        round()
    }
}

/// The inverse of a matrix that is positive definite but for rounding.
fn inverse(matrix: &Mat<f64>) -> Mat<f64> {
    let len = matrix.nrows();
    let mut jitter = 0.0;
    loop {
        let raised = Mat::from_fn(len, len, |a, b| {
            // Halves that differ by rounding are made the same.
            let value = f64::midpoint(matrix[(a, b)], matrix[(b, a)]);
            if a == b { value * (1.0 + jitter) } else { value }
        });
        if let Ok(factor) = raised.llt(Side::Lower) {
            let mut root = Mat::<f64>::identity(len, len);
            solve_lower_triangular_in_place(factor.L(), root.as_mut(), Par::Seq);
            return root.transpose() * &root;
        }
        // With the diagonal large enough every matrix is.
        jitter = 10.0_f64 * f64::max(jitter, 1e-13);
    }
}

#[cfg(test)]
#[path = "gaussian/tests.rs"]
mod tests;
