//! Quality against cost, as one price on cost moves: the deferral curve.
//!
//! # Problem
//! With expected scores `q^_ji` and costs `c^_ji`, and no budget but a price `lambda` on cost,
//! query `j` goes to
//!
//! ```text
//! argmax_i  q^_ji - lambda c^_ji                                                  (1)
//! ```
//!
//! As `lambda` goes from 0 to infinity the mean real cost falls, and with it the mean real
//! score: their curve is what routers without budgets are compared by.
//!
//! # Method
//! No grid of prices: what (1) picks for a query changes only where two of its options are
//! worth the same, and those are the corners of the upper hull of its points `(c^_ji, q^_ji)`.
//! All corners of all queries in the order of their prices are the curve, exactly, in
//! `O(N M log(N M))`. Where options tie, the cheaper is picked, and of two alike the one whose
//! name sorts first. An option that a query does not have, since the model was not run on it,
//! is one without an expected score: NaN.
//!
//! # Departures from the paper
//! The paper does not say how densely `lambda` is swept; here no point is missed.
//!
//! # References
//! Jitkrittum et al. (2025), Universal Model Routing for Efficient LLM Inference,
//! arXiv:2502.08773: the curve, its area, the quality-neutral cost (QNC).

/// The mean cost and the mean score that some price on cost leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// The least price on cost that leads there, in quality per USD.
    pub price: f64,
    /// The mean real cost of a query in USD.
    pub cost: f64,
    /// The mean real score.
    pub quality: f64,
}

/// Mean score against mean cost.
#[derive(Clone, Debug, PartialEq)]
pub struct DeferralCurve {
    /// As the price rises from 0; never empty.
    points: Vec<CurvePoint>,
    /// What is not worse than a cheaper point, the cheapest first.
    frontier: Vec<CurvePoint>,
}

impl DeferralCurve {
    /// The curve of (1). All tables are row-major `(n, n_models)`, with `n >= 1`: expected
    /// scores and costs, by which is routed, and real ones, which are reported. Where the
    /// expected score is NaN there is no option, and nothing else is read of it.
    ///
    /// # Panics
    /// When the tables are empty, or of different lengths, or a query has no option.
    pub fn new(
        n_models: usize,
        [expected_quality, expected_cost]: [&[f64]; 2],
        [quality, cost]: [&[f64]; 2],
    ) -> Self {
        let n = quality.len() / n_models;
        assert!(n > 0, "a curve needs at least one query");
        for table in [expected_quality, expected_cost, cost] {
            assert_eq!(table.len(), n * n_models, "one entry for each query and model");
        }
        let (mut start, mut moves) = ([0.0; 2], Vec::new());
        let mut hull = Vec::new();
        for query in 0..n {
            let row = query * n_models..(query + 1) * n_models;
            path(&expected_quality[row.clone()], &expected_cost[row.clone()], &mut hull);
            assert!(!hull.is_empty(), "query {query} has no option");
            let real = |model: usize| [cost[row.start + model], quality[row.start + model]];
            start = sum(start, real(hull[0].1));
            moves.extend(hull.windows(2).map(|step| {
                let ([from, to], price) = ([real(step[0].1), real(step[1].1)], step[1].0);
                (price, [to[0] - from[0], to[1] - from[1]])
            }));
        }
        moves.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self::from_points(walk(start, &moves, n as f64))
    }

    /// A curve through given points, as between single models.
    ///
    /// # Panics
    /// When there is no point.
    pub fn from_points(points: Vec<CurvePoint>) -> Self {
        let mut frontier = points.clone();
        frontier.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(b.quality.total_cmp(&a.quality)));
        let mut best = f64::NEG_INFINITY;
        frontier.retain(|point| {
            let better = point.quality > best;
            best = best.max(point.quality);
            better
        });
        assert!(!frontier.is_empty(), "a curve needs at least one point");
        Self { points, frontier }
    }

    /// All points, as the price on cost rises from 0.
    pub fn points(&self) -> &[CurvePoint] {
        &self.points
    }

    /// The points that are better than every cheaper one, the cheapest first.
    pub fn frontier(&self) -> &[CurvePoint] {
        &self.frontier
    }

    /// The score at a mean cost of `cost` USD: on the line between two points of the frontier,
    /// since one of the two can be drawn for each query; flat beyond both ends.
    pub fn quality_at(&self, cost: f64) -> f64 {
        let after = self.frontier.partition_point(|point| point.cost < cost);
        let Some(right) = self.frontier.get(after) else { return self.peak() };
        let Some(left) = after.checked_sub(1).map(|left| &self.frontier[left]) else {
            return right.quality;
        };
        let share = (cost - left.cost) / (right.cost - left.cost);
        left.quality + share * (right.quality - left.quality)
    }

    /// The mean score over costs from 0 to `most` USD, flat beyond both ends: the area under
    /// the curve, in `[0, 1]`, where `most` is what the dearest model costs. For `most` of
    /// nothing, the score there.
    pub fn area(&self, most: f64) -> f64 {
        if most <= 0.0 {
            return self.quality_at(0.0);
        }
        let (mut left, mut area) = ((0.0, self.quality_at(0.0)), 0.0);
        let inner = self.frontier.iter().map(|point| (point.cost, point.quality));
        let inner = inner.filter(|&(cost, _)| cost > 0.0 && cost < most);
        for right in inner.chain([(most, self.quality_at(most))]) {
            // Before the cheapest point the curve is flat, and jumps nowhere.
            area += (right.0 - left.0) * f64::midpoint(left.1, right.1);
            left = right;
        }
        area / most
    }

    /// The least cost at which the score is at least `quality`, in USD: the quality-neutral
    /// cost where that is the best single model's; `None` where it never is.
    pub fn cost_of(&self, quality: f64) -> Option<f64> {
        let after = self.frontier.partition_point(|point| point.quality < quality);
        let right = self.frontier.get(after)?;
        let Some(left) = after.checked_sub(1).map(|left| &self.frontier[left]) else {
            return Some(right.cost);
        };
        let share = (quality - left.quality) / (right.quality - left.quality);
        Some(left.cost + share * (right.cost - left.cost))
    }

    /// The best mean score at any cost.
    pub fn peak(&self) -> f64 {
        self.frontier[self.frontier.len() - 1].quality
    }
}

fn sum(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// The points that moves in the order of their prices lead to.
fn walk(start: [f64; 2], moves: &[(f64, [f64; 2])], n: f64) -> Vec<CurvePoint> {
    let point = |price, at: [f64; 2]| CurvePoint { price, cost: at[0] / n, quality: at[1] / n };
    let mut at = start;
    let mut points = vec![point(0.0, at)];
    for (index, &(price, by)) in moves.iter().enumerate() {
        at = sum(at, by);
        // What moves at one price moves together.
        if moves.get(index + 1).is_none_or(|next| next.0 > price) {
            points.push(point(price, at));
        }
    }
    points
}

/// Which models (1) picks as the price rises, each with the price from which on it is picked.
fn path(quality: &[f64], cost: &[f64], out: &mut Vec<(f64, usize)>) {
    out.clear();
    let options = || (0..quality.len()).filter(|&model| !quality[model].is_nan());
    let first = options().reduce(|best, model| {
        let better =
            quality[model].total_cmp(&quality[best]).then(cost[best].total_cmp(&cost[model]));
        if better.is_gt() { model } else { best }
    });
    let Some(first) = first else { return };
    out.push((0.0, first));
    let mut at = first;
    loop {
        // Of the cheaper ones, the one that is worth as much at the least price; of those that
        // are at the same price, the cheapest.
        let cheaper = options().filter(|&model| cost[model] < cost[at]);
        let price = |model: usize| (quality[at] - quality[model]) / (cost[at] - cost[model]);
        let next = cheaper.map(|model| (price(model), model)).reduce(|best, next| {
            let nearer = best.0.total_cmp(&next.0).then(cost[best.1].total_cmp(&cost[next.1]));
            if nearer.is_gt() { next } else { best }
        });
        let Some(next) = next else { return };
        out.push(next);
        at = next.1;
    }
}

#[cfg(test)]
#[path = "deferral/tests.rs"]
mod tests;
