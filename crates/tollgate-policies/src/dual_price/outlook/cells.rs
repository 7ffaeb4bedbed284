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

/// Centers, with the scales of the points.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    /// `(2 n_models, CELLS)`, row-major: coordinate by coordinate, so that a point is held
    /// against all centers at once. Places without a center are infinitely far.
    centers: Vec<[f32; CELLS]>,
    used: usize,
    /// What scores and log costs are divided by.
    scales: [f64; 2],
    /// Where a query is put together before it is looked up.
    point: Vec<f32>,
}

impl Cells {
    /// Cells of a history, with the cell of each of its prompts and its squared distance from
    /// the center.
    pub(super) fn of(history: &EstimateTable, rng: &mut StreamRng) -> (Self, Vec<(usize, f32)>) {
        let dim = 2 * history.n_models();
        let scales = [
            spread(history.quality().iter().copied()),
            spread(history.cost().iter().map(|cost| logarithm(*cost))),
        ];
        let centers = vec![[f32::INFINITY; CELLS]; dim];
        let mut cells = Self { centers, used: 0, scales, point: Vec::new() };
        let n = history.n_queries();
        let mut points = Vec::with_capacity(n * dim);
        for prompt in 0..n {
            cells.place(&history.row(prompt), None);
            points.extend_from_slice(&cells.point);
        }
        let points: Vec<&[f32]> = points.chunks_exact(dim).collect();
        let chosen = n.min(TRAINED_ON);
        let training: Vec<&[f32]> = (0..chosen).map(|at| points[at * n / chosen]).collect();
        cells.seed(&training, rng);
        for _ in 0..ROUNDS {
            cells.step(&training);
        }
        let nearest = points.iter().map(|point| cells.nearest(point)).collect();
        (cells, nearest)
    }

    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// The cell of a query and its squared distance from the center. Its costs have been
    /// multiplied by `cost_ratios`, those of the history have not.
    pub(super) fn find(&mut self, estimates: &Estimates<'_>, cost_ratios: &[f64]) -> (usize, f32) {
        self.place(estimates, Some(cost_ratios));
        self.nearest(&self.point)
    }

    /// Overwrites the point.
    fn place(&mut self, estimates: &Estimates<'_>, ratios: Option<&[f64]>) {
        #[expect(clippy::cast_possible_truncation, reason = "distances are compared, not reported")]
        let narrow = |value: f64| value as f32;
        let [scores, costs] = self.scales.map(|scale| 1.0 / scale);
        self.point.clear();
        self.point.extend(estimates.quality.iter().map(|quality| narrow(quality * scores)));
        let cost = |model: usize| match ratios {
            Some(ratios) => estimates.cost[model] / ratios[model],
            None => estimates.cost[model],
        };
        let models = 0..estimates.cost.len();
        self.point.extend(models.map(|model| narrow(logarithm(cost(model)) * costs)));
    }

    fn nearest(&self, point: &[f32]) -> (usize, f32) {
        let mut distances = [0.0; CELLS];
        for (centers, value) in self.centers.iter().zip(point) {
            for (distance, center) in distances.iter_mut().zip(centers) {
                *distance += (center - value) * (center - value);
            }
        }
        let mut best = (0, f32::INFINITY);
        for (cell, distance) in distances.into_iter().enumerate() {
            if distance < best.1 {
                best = (cell, distance);
            }
        }
        best
    }

    fn set(&mut self, cell: usize, center: impl IntoIterator<Item = f32>) {
        for (of, value) in self.centers.iter_mut().zip(center) {
            of[cell] = value;
        }
    }

    /// k-means++: each seed is a point drawn in proportion to its squared distance from the
    /// nearest seed so far. Fewer than [`CELLS`] where fewer points are distinct.
    fn seed(&mut self, points: &[&[f32]], rng: &mut StreamRng) {
        if points.is_empty() {
            return;
        }
        let mut chosen = rng.below(points.len());
        let mut far = vec![f64::INFINITY; points.len()];
        while self.used < CELLS {
            self.set(self.used, points[chosen].iter().copied());
            self.used += 1;
            for (far, point) in far.iter_mut().zip(points) {
                *far = far.min(squared(point, points[chosen]));
            }
            let total: f64 = far.iter().sum();
            if total.is_nan() || total <= 0.0 {
                break;
            }
            let mut left = rng.uniform() * total;
            let drawn = far.iter().position(|distance| {
                left -= distance;
                left < 0.0
            });
            chosen = drawn.unwrap_or(points.len() - 1);
        }
    }

    /// One round of Lloyd's algorithm: each center moves to the mean of its points.
    fn step(&mut self, points: &[&[f32]]) {
        let dim = self.centers.len();
        let mut sums = vec![0.0; CELLS * dim];
        let mut counts = [0.0; CELLS];
        for point in points {
            let (cell, _) = self.nearest(point);
            counts[cell] += 1.0;
            for (sum, value) in sums[cell * dim..(cell + 1) * dim].iter_mut().zip(*point) {
                *sum += f64::from(*value);
            }
        }
        for (cell, sum) in sums.chunks_exact(dim).enumerate() {
            // A center that nobody is nearest to stays where it is.
            if counts[cell] > 0.0 {
                #[expect(clippy::cast_possible_truncation, reason = "a mean of such numbers")]
                self.set(cell, sum.iter().map(|sum| (sum / counts[cell]) as f32));
            }
        }
    }
}

fn squared(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from((a - b) * (a - b))).sum()
}

/// About the binary logarithm: exact at powers of two and straight between them, which is as
/// good a measure of how far two costs are apart and takes a fraction of the time. Costs of
/// nothing are as far from others as 10^-12 USD are.
fn logarithm(cost: f64) -> f64 {
    const MANTISSA: f64 = (1_u64 << (f64::MANTISSA_DIGITS - 1)) as f64;
    cost.max(1e-12).to_bits() as f64 / MANTISSA
}

/// The standard deviation, or 1 where there is none.
fn spread(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / n;
    let spread = (values.map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
    if spread > 0.0 { spread } else { 1.0 }
}
