//! Kinds of queries: cells of queries with similar estimates.
//!
//! # Method
//! Each query is a point: its expected scores, and the logarithms of its expected costs, each
//! in standard deviations over the whole history. Lloyd's algorithm (1982) from k-means++ seeds
//! (Arthur and Vassilvitskii, 2007) on at most [`TRAINED_ON`] of them, evenly spaced; then
//! every prompt of the history goes to its nearest center. Ties go to the center with the lower
//! number.

use tollgate_core::{EstimateTable, Estimates, StreamRng};

/// How many kinds there are, where the history has as many prompts.
const CELLS: usize = 64;
/// How many prompts the centers are made from.
const TRAINED_ON: usize = 2_048;
/// Rounds of Lloyd's algorithm: later ones move little.
const ROUNDS: usize = 8;
/// Below this an expected cost counts as this, in USD.
const LEAST_COST: f64 = 1e-12;

/// Centers, with the scales of the points.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    /// Row-major `(n, 2 n_models)`.
    centers: Vec<f64>,
    /// What scores and log costs are divided by.
    scales: [f64; 2],
    n_models: usize,
    /// Where a query is put together before it is looked up.
    point: Vec<f64>,
}

impl Cells {
    /// Cells of a history, with the cell of each of its prompts and its squared distance from
    /// the center.
    pub(super) fn of(history: &EstimateTable, rng: &mut StreamRng) -> (Self, Vec<(usize, f64)>) {
        let n_models = history.n_models();
        let scales = [
            spread(history.quality().iter().copied()),
            spread(history.cost().iter().map(|cost| cost.max(LEAST_COST).ln())),
        ];
        let mut cells = Self { centers: Vec::new(), scales, n_models, point: Vec::new() };
        let n = history.n_queries();
        let mut points = Vec::with_capacity(n * 2 * n_models);
        for prompt in 0..n {
            cells.place(&history.row(prompt));
            points.extend_from_slice(&cells.point);
        }
        let points: Vec<&[f64]> = points.chunks_exact(2 * n_models).collect();
        let chosen = n.min(TRAINED_ON);
        let training: Vec<&[f64]> = (0..chosen).map(|at| points[at * n / chosen]).collect();
        cells.centers = seeds(&training, rng);
        for _ in 0..ROUNDS {
            cells.step(&training);
        }
        let nearest = points.iter().map(|point| cells.nearest(point)).collect();
        (cells, nearest)
    }

    pub(super) fn len(&self) -> usize {
        self.centers.len() / (2 * self.n_models)
    }

    /// The cell of a query and its squared distance from the center. Costs are as the
    /// estimator said them, the costs of the query divided by `cost_ratios`.
    pub(super) fn find(&mut self, estimates: &Estimates<'_>, cost_ratios: &[f64]) -> (usize, f64) {
        self.place(estimates);
        let costs = self.point[self.n_models..].iter_mut();
        for (log_cost, ratio) in costs.zip(cost_ratios) {
            if (ratio - 1.0).abs() > f64::EPSILON {
                *log_cost -= ratio.ln() / self.scales[1];
            }
        }
        self.nearest(&self.point)
    }

    /// Overwrites the point.
    fn place(&mut self, estimates: &Estimates<'_>) {
        let [scores, costs] = self.scales;
        self.point.clear();
        self.point.extend(estimates.quality.iter().map(|quality| quality / scores));
        self.point.extend(estimates.cost.iter().map(|cost| cost.max(LEAST_COST).ln() / costs));
    }

    fn nearest(&self, point: &[f64]) -> (usize, f64) {
        let mut best = (0, f64::INFINITY);
        for (cell, center) in self.centers.chunks_exact(point.len()).enumerate() {
            if let Some(distance) = nearer(center, point, best.1) {
                best = (cell, distance);
            }
        }
        best
    }

    /// One round of Lloyd's algorithm: each center moves to the mean of its points.
    fn step(&mut self, points: &[&[f64]]) {
        let dim = 2 * self.n_models;
        let mut sums = vec![0.0; self.centers.len()];
        let mut counts = vec![0.0; self.len()];
        for point in points {
            let (cell, _) = self.nearest(point);
            counts[cell] += 1.0;
            for (sum, value) in sums[cell * dim..(cell + 1) * dim].iter_mut().zip(*point) {
                *sum += value;
            }
        }
        // A center that nobody is nearest to stays where it is.
        let moved = sums.chunks_exact(dim).zip(&counts).zip(self.centers.chunks_exact_mut(dim));
        for ((sum, &count), center) in moved.filter(|((_, count), _)| **count > 0.0) {
            for (value, sum) in center.iter_mut().zip(sum) {
                *value = sum / count;
            }
        }
    }
}

/// k-means++: each seed is a point drawn in proportion to its squared distance from the
/// nearest seed so far. Fewer than [`CELLS`] where fewer points are distinct.
fn seeds(points: &[&[f64]], rng: &mut StreamRng) -> Vec<f64> {
    let mut centers = Vec::new();
    let Some(&first) = points.get(rng.below(points.len().max(1))) else { return centers };
    centers.extend_from_slice(first);
    let mut far: Vec<f64> = points.iter().map(|point| squared(point, first)).collect();
    for _ in 1..CELLS {
        let total: f64 = far.iter().sum();
        if total.is_nan() || total <= 0.0 {
            break;
        }
        let mut left = rng.uniform() * total;
        let chosen = far.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        let seed = points[chosen.unwrap_or(points.len() - 1)];
        centers.extend_from_slice(seed);
        for (far, point) in far.iter_mut().zip(points) {
            *far = far.min(squared(point, seed));
        }
    }
    centers
}

/// Coordinates that are summed before a center is given up.
const GLANCE: usize = 16;

/// The squared distance if it is below `limit`. Most centers are given up after a glance.
fn nearer(a: &[f64], b: &[f64], limit: f64) -> Option<f64> {
    let mut distance = 0.0;
    for (a, b) in a.chunks(GLANCE).zip(b.chunks(GLANCE)) {
        distance += squared(a, b);
        if distance >= limit {
            return None;
        }
    }
    (distance < limit).then_some(distance)
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The standard deviation, or 1 where there is none.
fn spread(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / n;
    let spread = (values.map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
    if spread > 0.0 { spread } else { 1.0 }
}
