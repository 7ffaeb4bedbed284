//! The weights of a network, their loss and its gradient, and L-BFGS on them.

use std::cell::RefCell;

use argmin::core::{CostFunction, Error, Executor, Gradient};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use tollgate::core::BoxError;

/// Pairs of steps and gradients that L-BFGS remembers.
const MEMORY: usize = 7;

/// The gradient's length where the search ends: what is left to gain is its square over twice
/// the penalty, far below what the choice of a penalty can see.
const TOLERANCE: f64 = 1e-4;

/// How many of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) models: usize,
    pub(super) hidden: usize,
    pub(super) dim: usize,
    /// Whether the hidden layer is curved.
    pub(super) curved: bool,
}

impl Shape {
    /// Where `W` (hidden, dim), `b`, `V` (models, hidden) and `c` end in one vector.
    fn ends(self) -> [usize; 4] {
        let w = self.hidden * self.dim;
        let b = w + self.hidden;
        let v = b + self.models * self.hidden;
        [w, b, v, v + self.models]
    }
}

/// `W`, `b`, `V` and `c` of the page, in one vector.
#[derive(Clone, Debug)]
pub(super) struct Layers {
    shape: Shape,
    weights: Vec<f64>,
}

impl Layers {
    /// Normal draws over the root of the number of inputs, and the log odds of every model's
    /// mean, one half counted as a label.
    pub(super) fn small(shape: Shape, quality: &[f64], mut normal: impl FnMut() -> f64) -> Self {
        let [w, b, v, all] = shape.ends();
        let mut weights = vec![0.0; all];
        weights[..w].fill_with(|| normal() / (shape.dim as f64).sqrt());
        weights[b..v].fill_with(|| normal() / (shape.hidden as f64).sqrt());
        for (model, odds) in weights[v..].iter_mut().enumerate() {
            let labels = quality.iter().skip(model).step_by(shape.models).filter(|y| !y.is_nan());
            let (sum, n) = labels.fold((0.5, 1.0), |(sum, n), y| (sum + y, n + 1.0));
            *odds = (sum / (n - sum)).ln();
        }
        Self { shape, weights }
    }

    /// `c + V g(W z + b)`.
    pub(super) fn logits(&self, z: &[f64]) -> Vec<f64> {
        let Shape { hidden, dim, curved, .. } = self.shape;
        let [w, b, v, _] = self.shape.ends();
        let dot = |row: &[f64], x: &[f64]| row.iter().zip(x).map(|(a, b)| a * b).sum::<f64>();
        let layer = self.weights[..w].chunks_exact(dim).zip(&self.weights[w..b]);
        let inner: Vec<f64> =
            layer.map(|(row, bias)| dot(row, z) + bias).map(|x| bend(x, curved).0).collect();
        let heads = self.weights[b..v].chunks_exact(hidden).zip(&self.weights[v..]);
        heads.map(|(row, bias)| dot(row, &inner) + bias).collect()
    }
}

/// `g` and its derivative.
fn bend(x: f64, curved: bool) -> (f64, f64) {
    if !curved {
        return (x, 1.0);
    }
    let bent = x.tanh();
    (bent, 1.0 - bent * bent)
}

/// The cross-entropy of a label under a logit, and its derivative.
pub(super) fn logistic(logit: f64, label: f64) -> (f64, f64) {
    let loss = logit.max(0.0) + (-logit.abs()).exp().ln_1p() - label * logit;
    (loss, 1.0 / (1.0 + (-logit).exp()) - label)
}

/// The loss of the page as a function of all weights.
#[derive(Debug)]
pub(super) struct Objective<'a> {
    shape: Shape,
    n: usize,
    /// Row-major `(n, dim)`.
    z: &'a [f64],
    /// Row-major `(n, models)`, NaN for a gap.
    labels: &'a [f64],
    penalty: f64,
    /// Where it was evaluated last, the value and the gradient there: a line search asks for
    /// both in turn.
    last: RefCell<(Vec<f64>, f64, Vec<f64>)>,
    /// The least value seen, and where.
    best: RefCell<(f64, Vec<f64>)>,
}

impl<'a> Objective<'a> {
    pub(super) fn new(shape: Shape, z: &'a [f64], labels: &'a [f64], penalty: f64) -> Self {
        let n = labels.len() / shape.models;
        let last = RefCell::default();
        let best = RefCell::new((f64::INFINITY, Vec::new()));
        Self { shape, n, z, labels, penalty, last, best }
    }

    /// The best weights that a search from `start` comes to.
    ///
    /// # Errors
    /// A search that found no finite loss.
    pub(super) fn minimize(&self, start: Layers, iterations: u64) -> Result<Layers, BoxError> {
        let shape = start.shape;
        self.evaluate(&start.weights);
        let search = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
            .with_tolerance_grad(TOLERANCE)?
            .with_tolerance_cost(0.0)?;
        let run = Executor::new(self, search)
            .configure(|state| state.param(start.weights).max_iters(iterations))
            .timer(false)
            .run();
        // A line search that ends in rounding leaves the best point so far, which will do.
        let (least, weights) = self.best.borrow().clone();
        if least.is_finite() {
            return Ok(Layers { shape, weights });
        }
        Err(run.err().map_or_else(|| NoLoss.into(), Into::into))
    }

    fn evaluate(&self, weights: &[f64]) {
        if self.last.borrow().0 == weights {
            return;
        }
        let (value, slopes) = self.value_and_slopes(weights);
        if value < self.best.borrow().0 {
            *self.best.borrow_mut() = (value, weights.to_vec());
        }
        *self.last.borrow_mut() = (weights.to_vec(), value, slopes);
    }

    fn value_and_slopes(&self, weights: &[f64]) -> (f64, Vec<f64>) {
        let Shape { models, hidden, dim, curved } = self.shape;
        let ([w, b, v, all], n) = (self.shape.ends(), self.n);
        let mut inner = vec![0.0; n * hidden];
        product(&mut inner, (self.z, n, dim), (&weights[..w], hidden, dim, Turn::Right));
        let mut bends = vec![0.0; n * hidden];
        for (row, bends) in inner.chunks_exact_mut(hidden).zip(bends.chunks_exact_mut(hidden)) {
            for ((x, bend_of), bias) in row.iter_mut().zip(bends).zip(&weights[w..b]) {
                (*x, *bend_of) = bend(*x + bias, curved);
            }
        }
        let mut outer = vec![0.0; n * models];
        product(&mut outer, (&inner, n, hidden), (&weights[b..v], models, hidden, Turn::Right));
        let mut value = 0.0;
        for (row, labels) in outer.chunks_exact_mut(models).zip(self.labels.chunks_exact(models)) {
            for ((f, label), bias) in row.iter_mut().zip(labels).zip(&weights[v..]) {
                let (loss, slope) =
                    if label.is_nan() { (0.0, 0.0) } else { logistic(*f + bias, *label) };
                value += loss / n as f64;
                *f = slope / n as f64;
            }
        }
        let mut slopes = vec![0.0; all];
        product(&mut slopes[b..v], (&outer, n, models), (&inner, n, hidden, Turn::Left));
        sum_rows(&outer, &mut slopes[v..]);
        let mut back = vec![0.0; n * hidden];
        product(&mut back, (&outer, n, models), (&weights[b..v], models, hidden, Turn::Neither));
        back.iter_mut().zip(&bends).for_each(|(x, bend)| *x *= bend);
        product(&mut slopes[..w], (&back, n, hidden), (self.z, n, dim, Turn::Left));
        sum_rows(&back, &mut slopes[w..b]);
        for range in [0..w, b..v] {
            for (slope, weight) in slopes[range.clone()].iter_mut().zip(&weights[range]) {
                *slope += self.penalty * weight;
                value += 0.5 * self.penalty * weight * weight;
            }
        }
        (value, slopes)
    }
}

/// Which factor is transposed.
#[derive(Clone, Copy)]
enum Turn {
    Left,
    Right,
    Neither,
}

/// `out = A B`, one of the two transposed; all row-major.
fn product(
    out: &mut [f64],
    (a, a_rows, a_cols): (&[f64], usize, usize),
    (b, b_rows, b_cols, turn): (&[f64], usize, usize, Turn),
) {
    let a = MatRef::from_row_major_slice(a, a_rows, a_cols);
    let b = MatRef::from_row_major_slice(b, b_rows, b_cols);
    let (a, b) = match turn {
        Turn::Left => (a.transpose(), b),
        Turn::Right => (a, b.transpose()),
        Turn::Neither => (a, b),
    };
    let out = MatMut::from_row_major_slice_mut(out, a.nrows(), b.ncols());
    matmul(out, Accum::Replace, a, b, 1.0, Par::Seq);
}

fn sum_rows(table: &[f64], sums: &mut [f64]) {
    for row in table.chunks_exact(sums.len()) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
}

impl CostFunction for &Objective<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, weights: &Vec<f64>) -> Result<f64, Error> {
        self.evaluate(weights);
        Ok(self.last.borrow().1)
    }
}

impl Gradient for &Objective<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, weights: &Vec<f64>) -> Result<Vec<f64>, Error> {
        self.evaluate(weights);
        Ok(self.last.borrow().2.clone())
    }
}

/// A search that saw no number.
#[derive(Debug, thiserror::Error)]
#[error("no weights of the network have a finite loss")]
struct NoLoss;

#[cfg(test)]
mod tests {
    use super::*;

    /// The gradient is the difference quotient, in every weight, with a gap among the labels.
    #[test]
    fn slopes_are_right() {
        for curved in [false, true] {
            let shape = Shape { models: 2, hidden: 2, dim: 3, curved };
            let z = [0.5, -1.0, 2.0, 1.0, 0.3, -0.2];
            let labels = [1.0, 0.25, f64::NAN, 0.0];
            let objective = Objective::new(shape, &z, &labels, 0.3);
            let mut next = 0.0;
            let start = Layers::small(shape, &labels, || {
                next += 0.7;
                f64::sin(next)
            });
            let (_, slopes) = objective.value_and_slopes(&start.weights);
            for (at, slope) in slopes.iter().enumerate() {
                let moved = |by: f64| {
                    let mut weights = start.weights.clone();
                    weights[at] += by;
                    objective.value_and_slopes(&weights).0
                };
                let quotient = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                assert!((slope - quotient).abs() < 1e-8, "{at}: {slope} and {quotient}");
            }
        }
    }

    /// One model, one dimension, no curve: `q = s(c + v (w z + b))` by hand.
    #[test]
    fn logits_by_hand() {
        let shape = Shape { models: 1, hidden: 1, dim: 1, curved: false };
        let layers = Layers { shape, weights: vec![2.0, 0.5, 3.0, -1.0] };
        assert!((layers.logits(&[1.5])[0] - (3.0 * 3.5 - 1.0)).abs() < 1e-12);
        let curved = Layers { shape: Shape { curved: true, ..shape }, ..layers };
        assert!((curved.logits(&[1.5])[0] - (3.0 * 3.5_f64.tanh() - 1.0)).abs() < 1e-12);
    }
}
