//! How a map is trained. Equation numbers are those of [`super`].

use std::cell::RefCell;

use argmin::core::{CostFunction, Error, Executor, Gradient};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use faer::{Mat, MatRef};
use rayon::prelude::*;
use tollgate_core::{BoxError, History, Prior, Seed};

use crate::axes::{principal, product};
use crate::clusters::Clustering;
use crate::pool::{Answers, Lore};
use crate::shuffled::shuffled;
use crate::vector::{directions, dot_f64};

/// Prompts that take part, at most.
const PROMPTS: usize = 4_096;

/// Every so many prompts one is held out for the choices.
const HELD_OUT: usize = 5;

/// Axes along which centers move.
const AXES: usize = 64;

/// `t` times the mean squared distance to the nearest center.
const SHARPNESS: [f64; 10] = [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// `l`, the strongest first.
const PENALTIES: [f64; 5] = [1.0, 0.1, 1e-2, 1e-3, 1e-4];

/// Pairs of steps and gradients that L-BFGS remembers.
const MEMORY: usize = 10;

/// Iterations, at most.
const MAX_ITERATIONS: u64 = 60;

/// The norm of the gradient where training ends.
const TOLERANCE: f64 = 1e-6;

/// Rows of a task.
const BLOCK: usize = 256;

/// Scores this close to 0 or 1 are as good as certain.
const CERTAIN: f64 = 1e-3;

/// `s_k` of all clusters.
#[derive(Clone, Debug)]
pub(super) struct Map {
    /// `theta`, row-major `(K, dim)`.
    pub(super) weights: Vec<f32>,
    /// `b`.
    pub(super) biases: Vec<f32>,
}

impl Map {
    pub(super) fn len(&self) -> usize {
        self.biases.len()
    }
}

/// Prompts and labels to learn from, and those held out.
#[derive(Debug)]
pub(super) struct Lesson<'a> {
    clustering: &'a Clustering,
    /// All of those that take part.
    all: Part,
    /// Those that choices are trained on, and judged by.
    fit: Part,
    test: Part,
    /// `V'`, `(axes, dim)`.
    axes: Mat<f64>,
    /// The mean squared distance to the nearest center.
    distance: f64,
}

/// Some prompts.
#[derive(Debug)]
struct Part {
    /// `u . c_k - |c_k|^2 / 2`, `(n, K)`.
    nearness: Mat<f64>,
    /// `V' u`, `(n, axes)`.
    projected: Mat<f64>,
    /// Row-major `(n, n_models)`, NaN for a gap.
    labels: Vec<f64>,
    /// `Psi`, `(K, n_models)`: what is learned of the models from these prompts, or for those that
    /// are held out from the others.
    means: Mat<f64>,
}

/// Where training begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// `t`.
    sharpness: f64,
}

impl Start {
    pub(super) fn new(lesson: &Lesson<'_>, sharpness: f64) -> Self {
        Self { sharpness: sharpness / lesson.distance }
    }
}

impl<'a> Lesson<'a> {
    pub(super) fn new(
        history: &History,
        clustering: &'a Clustering,
        seed: Seed,
    ) -> Result<Self, BoxError> {
        let n = history.len();
        let mut rows = shuffled(n, seed, 5);
        rows.truncate(PROMPTS);
        let directions = directions(history)?;
        let dim = history.dim();
        let points =
            Mat::from_fn(rows.len(), dim, |at, x| f64::from(directions[rows[at] * dim + x]));
        let axes = principal(points, AXES)?;
        let (test, fit): (Vec<_>, Vec<_>) =
            (0..rows.len()).partition(|at| at % HELD_OUT == HELD_OUT - 1);
        let pick = |at: &[usize]| at.iter().map(|&at| rows[at]).collect::<Vec<_>>();
        let part = |rows: &[usize], learned_from: &[usize]| {
            Part::new(history, &directions, clustering, &axes, rows, learned_from)
        };
        let (fit, test) = (pick(&fit), pick(&test));
        let all = part(&rows, &rows);
        let nearest = |row: usize| {
            let highest = all.nearness.row(row).iter().copied().fold(f64::NEG_INFINITY, f64::max);
            // |u - c|^2 of a unit vector.
            (1.0 - 2.0 * highest).max(0.0)
        };
        let distance = (0..rows.len()).map(nearest).sum::<f64>() / rows.len() as f64;
        // Prompts that are all centers have no distance to be sharp about.
        let distance = if distance > 1e-9 { distance } else { 1.0 };
        Ok(Self { clustering, fit: part(&fit, &fit), test: part(&test, &fit), all, axes, distance })
    }

    /// The least loss of soft clusters on prompts held out.
    pub(super) fn choose_sharpness(&self) -> f64 {
        let loss = |sharpness: f64| {
            let start = Start::new(self, sharpness);
            Objective::new(&self.test, start, 1.0).evaluate(&self.test.origin()).loss
        };
        let mut best = (f64::INFINITY, SHARPNESS[0]);
        for sharpness in SHARPNESS {
            let loss = loss(sharpness);
            if loss < best.0 {
                best = (loss, sharpness);
            }
        }
        best.1
    }

    /// The same of trained maps; infinite where none is better than where it began.
    pub(super) fn choose_penalty(&self, start: Start) -> Result<f64, BoxError> {
        if self.test.labels.is_empty() {
            return Ok(f64::INFINITY);
        }
        let judge = Objective::new(&self.test, start, 0.0);
        let mut param = self.fit.origin();
        let mut best = (judge.evaluate(&param).loss, f64::INFINITY);
        for penalty in PENALTIES {
            param = Objective::new(&self.fit, start, penalty).minimize(param)?;
            let loss = judge.evaluate(&param).loss;
            if loss < best.0 {
                best = (loss, penalty);
            }
        }
        Ok(best.1)
    }

    /// The map of all prompts.
    pub(super) fn train(&self, start: Start, penalty: f64) -> Result<Map, BoxError> {
        let origin = self.all.origin();
        let param = if penalty.is_finite() {
            Objective::new(&self.all, start, penalty).minimize(origin)?
        } else {
            origin
        };
        Ok(self.map(start, &param))
    }

    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    fn map(&self, start: Start, param: &[f64]) -> Map {
        let n_axes = self.axes.nrows();
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        let moves = param.chunks_exact(n_axes + 1);
        for ((center, half), along) in self.clustering.centers().zip(moves) {
            let (shift, along) = along.split_last().expect("the bias comes last");
            for (at, &center) in center.iter().enumerate() {
                let moved: f64 =
                    along.iter().enumerate().map(|(axis, a)| a * self.axes[(axis, at)]).sum();
                weights.push((start.sharpness * (f64::from(center) + moved)) as f32);
            }
            biases.push((start.sharpness * (shift - f64::from(half))) as f32);
        }
        Map { weights, biases }
    }
}

impl Part {
    fn new(
        history: &History,
        directions: &[f32],
        clustering: &Clustering,
        axes: &Mat<f64>,
        rows: &[usize],
        learned_from: &[usize],
    ) -> Self {
        let (n_models, dim) = (history.models().len(), history.dim());
        let direction = |row: usize| &directions[row * dim..(row + 1) * dim];
        let wide = Mat::from_fn(rows.len(), dim, |at, x| f64::from(direction(rows[at])[x]));
        let centers: Vec<(&[f32], f32)> = clustering.centers().collect();
        let table = Mat::from_fn(centers.len(), dim, |k, x| f64::from(centers[k].0[x]));
        let mut nearness = product(wide.as_ref(), table.transpose());
        for at in 0..rows.len() {
            for (k, center) in centers.iter().enumerate() {
                nearness[(at, k)] -= f64::from(center.1);
            }
        }
        let projected = product(wide.as_ref(), axes.transpose());
        let labels = rows.iter().flat_map(|&row| &history.quality()[row * n_models..][..n_models]);
        let mut known = Vec::new();
        for model in 0..n_models {
            let label = |row: usize| history.quality()[row * n_models + model];
            let own = learned_from.iter().copied().filter(|&row| !label(row).is_nan());
            let answers = Answers::of_rows(
                own.map(|row| (row, [label(row), history.cost()[row * n_models + model]])),
            );
            // Nothing is made of the cost here; a model without labels is as good as any.
            let prior = Prior { quality: None, cost: Some(1.0) };
            known.push(clustering.know(&answers, prior));
        }
        let means = Mat::from_fn(centers.len(), n_models, |k, model| {
            known[model].quality[k].0.clamp(CERTAIN, 1.0 - CERTAIN)
        });
        Self { nearness, projected, labels: labels.copied().collect(), means }
    }

    /// No move at all: `a_k`, then `e_k`, for each cluster.
    fn origin(&self) -> Vec<f64> {
        vec![0.0; self.nearness.ncols() * (self.projected.ncols() + 1)]
    }
}

/// The losses of (2) on some prompts.
#[derive(Clone, Copy, Debug)]
struct Losses<'a> {
    part: &'a Part,
    start: Start,
}

/// Equation (2) on some prompts.
#[derive(Debug)]
struct Objective<'a> {
    losses: Losses<'a>,
    penalty: f64,
    /// How many labels.
    n: f64,
    /// The last point that was asked about.
    last: RefCell<Option<(Vec<f64>, Value)>>,
    /// The least value seen, and where.
    best: RefCell<(f64, Vec<f64>)>,
}

/// What (2) is at a point.
#[derive(Clone, Debug)]
struct Value {
    loss: f64,
    gradient: Vec<f64>,
}

impl<'a> Objective<'a> {
    fn new(part: &'a Part, start: Start, penalty: f64) -> Self {
        let n = part.labels.iter().filter(|label| !label.is_nan()).count().max(1) as f64;
        let best = RefCell::new((f64::INFINITY, Vec::new()));
        Self { losses: Losses { part, start }, penalty, n, last: RefCell::new(None), best }
    }

    /// Where (2) is least, or where the search was best when it ended.
    fn minimize(&self, from: Vec<f64>) -> Result<Vec<f64>, BoxError> {
        self.cost(&from)?;
        let search = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
            .with_tolerance_grad(TOLERANCE)?
            .with_tolerance_cost(0.0)?;
        // A line search that rounding has ended is an end like any other: nothing asks that the
        // least point be reached.
        let _ended = Executor::new(self, search)
            .configure(|state| state.param(from).max_iters(MAX_ITERATIONS))
            .timer(false)
            .run();
        Ok(self.best.take().1)
    }

    fn evaluate(&self, param: &[f64]) -> Value {
        let losses = self.losses;
        let n_rows = losses.part.nearness.nrows();
        let rows: Vec<usize> = (0..n_rows).step_by(BLOCK).collect();
        let blocks: Vec<Value> = rows
            .par_iter()
            .map(|&first| losses.of_rows(param, first, BLOCK.min(n_rows - first)))
            .collect();
        let squares = dot_f64(param, param);
        let mut value = Value {
            loss: 0.5 * self.penalty * squares,
            gradient: param.iter().map(|x| self.penalty * x).collect(),
        };
        // In the order of the blocks, whichever was done first.
        for block in blocks {
            value.loss += block.loss / self.n;
            let each = value.gradient.iter_mut().zip(block.gradient);
            each.for_each(|(sum, x)| *sum += x / self.n);
        }
        value
    }

    /// The value at a point, which is asked for twice: once for the loss, once for its slope.
    fn at(&self, param: &[f64]) -> Value {
        if let Some((point, value)) = &*self.last.borrow()
            && point == param
        {
            return value.clone();
        }
        let value = self.evaluate(param);
        let mut best = self.best.borrow_mut();
        if value.loss < best.0 {
            *best = (value.loss, param.to_vec());
        }
        *self.last.borrow_mut() = Some((param.to_vec(), value.clone()));
        value
    }
}

impl Losses<'_> {
    /// The sum over some rows.
    fn of_rows(self, param: &[f64], first: usize, n: usize) -> Value {
        let Part { nearness, projected, labels, means } = self.part;
        let (n_clusters, n_axes, n_models) = (means.nrows(), projected.ncols(), means.ncols());
        let moves = MatRef::from_row_major_slice(param, n_clusters, n_axes + 1);
        let projected = projected.subrows(first, n);
        let mut shares = product(projected, moves.subcols(0, n_axes).transpose());
        for row in 0..n {
            let score = |k: usize| {
                let moved = shares[(row, k)] + moves[(k, n_axes)];
                self.start.sharpness * (nearness[(first + row, k)] + moved)
            };
            let scores: Vec<f64> = (0..n_clusters).map(score).collect();
            let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let powers: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
            let total: f64 = powers.iter().sum();
            powers.iter().enumerate().for_each(|(k, power)| shares[(row, k)] = power / total);
        }
        let mut slopes = product(shares.as_ref(), means.as_ref());
        let mut loss = 0.0;
        for row in 0..n {
            for model in 0..n_models {
                let (q, y) = (slopes[(row, model)], labels[(first + row) * n_models + model]);
                slopes[(row, model)] = if y.is_nan() {
                    0.0
                } else {
                    loss -= y * q.ln() + (1.0 - y) * (1.0 - q).ln();
                    (q - y) / (q * (1.0 - q))
                };
            }
        }
        let mut by_share = product(slopes.as_ref(), means.transpose());
        for row in 0..n {
            let mean: f64 = (0..n_clusters).map(|k| shares[(row, k)] * by_share[(row, k)]).sum();
            for k in 0..n_clusters {
                let slope = shares[(row, k)] * (by_share[(row, k)] - mean);
                by_share[(row, k)] = self.start.sharpness * slope;
            }
        }
        let along = product(by_share.transpose(), projected);
        let mut gradient = Vec::with_capacity(param.len());
        for k in 0..n_clusters {
            gradient.extend(along.row(k).iter());
            gradient.push(by_share.col(k).iter().sum());
        }
        Value { loss, gradient }
    }
}

impl CostFunction for &Objective<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, param: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.at(param).loss)
    }
}

impl Gradient for &Objective<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, param: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.at(param).gradient)
    }
}

#[cfg(test)]
#[path = "training/tests.rs"]
mod tests;
