//! What a deferral curve is worth, in the words of three papers.
//!
//! # Problem
//! Routers without budgets are compared by their curves, mean score `q(c)` against mean cost
//! `c`; each paper sums a curve up in numbers of its own.
//!
//! # Method
//! With `C` the cost of the dearest route (every prompt to the dearest model that was run on
//! it) and the curve cleaned of what a cheaper point beats, straight between its points and
//! flat beyond both ends:
//!
//! ```text
//! Area      = 1/C  int_0^C  q(c) dc                                                (1)
//! Area(50%) = 2/C  int_0^C/2  q(c) dc                                              (2)
//! QNC       = min { c : q(c) >= q_best } / c_best                                  (3)
//! peak      = max_c q(c)                                                           (4)
//! AIQ       = 1/(C - c_0)  int_c_0^C  q~(c) dc                                     (5)
//! PGR(s)    = (q(s) - q_weak) / (q_strong - q_weak)                                (6)
//! APGR      = int_0^1 PGR(s) ds                                                    (7)
//! CPT(x)    = min { s : PGR(s) >= x }                                              (8)
//! ```
//!
//! (1) to (4) are UniRoute's: all scores are in `[0, 1]`, (2) as a mean over half of the costs
//! so that it is one too; `q_best` is the best single model's mean score on the test prompts
//! and `c_best` its cost. A curve that never gets there has no QNC. Only a model that was run
//! on every test prompt can be that single model; where there is none, no curve has a QNC.
//! (5) is RouterBench's Average Improvement in Quality: `q~` is the non-decreasing upper hull
//! of the curve, since one may draw between any two of its points, and `c_0` the cost of the
//! cheapest route. (6) to (8) are RouteLLM's, for two models: `s` is the share of prompts that
//! goes to the strong one, by descending expected gain; there are none where the strong model
//! is no better. (8) is a share of calls, not of money.
//!
//! # Departures from the papers
//! Integrals are exact. RouteLLM takes (7) as the mean over ten shares, RouterBench (5) on a
//! grid; prompts of equal expected gain are drawn at random, so the curve is straight between
//! the first and the last of them.
//!
//! # References
//! Jitkrittum et al. (2025), Universal Model Routing for Efficient LLM Inference,
//! arXiv:2502.08773. Hu et al. (2024), RouterBench, arXiv:2403.12031. Ong et al. (2024),
//! RouteLLM, arXiv:2406.18665.

use serde::{Deserialize, Serialize};
use tollgate::core::{CurvePoint, DeferralCurve};

/// What a curve came to: scores in `[0, 1]`, costs and calls as shares of 1.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Scores {
    /// (1).
    pub area: f64,
    /// (2).
    pub half_area: f64,
    /// (3), as a share of the best single model's cost; `None` where the curve never gets
    /// there.
    pub neutral_cost: Option<f64>,
    /// (4).
    pub peak: f64,
    /// (5).
    pub aiq: f64,
    /// (7) and (8) for the weak and the strong model.
    pub recovery: Option<Recovery>,
}

/// What everybody in a trial is measured by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Yardstick {
    /// The mean cost of the cheapest route, `c_0`, in USD.
    pub least: f64,
    /// The mean cost of the dearest route, `C`, in USD.
    pub most: f64,
    /// The best single model's mean score and cost in USD; of equals the cheapest.
    pub best: Option<(f64, f64)>,
}

/// How much of the gap between two models a router recovers.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Recovery {
    /// (7).
    pub apgr: f64,
    /// (8) for a half.
    pub cpt50: f64,
    /// (8) for four fifths.
    pub cpt80: f64,
}

impl Scores {
    /// The numbers of a curve.
    pub fn new(curve: &DeferralCurve, by: &Yardstick, recovery: Option<Recovery>) -> Self {
        let neutral = |(quality, cost): (f64, f64)| {
            // What the best model is worth is a sum that a curve may have taken in another
            // order.
            let least = curve.cost_of(quality - ROUNDING)?;
            Some(if cost > 0.0 { least / cost } else { 1.0 })
        };
        Self {
            area: curve.area(by.most),
            half_area: curve.area(0.5 * by.most),
            neutral_cost: by.best.and_then(neutral),
            peak: curve.peak(),
            aiq: aiq(curve, by.least, by.most),
            recovery,
        }
    }
}

/// Far below one prompt's share of a mean, far above what rounding does to it.
const ROUNDING: f64 = 1e-9;

/// (5): the mean of the curve's non-decreasing upper hull over costs from `least` to `most`
/// USD, flat beyond both ends.
pub fn aiq(curve: &DeferralCurve, least: f64, most: f64) -> f64 {
    let hull = DeferralCurve::from_points(upper_hull(curve.frontier()));
    // Areas count from 0, where the curve is flat.
    let below = if least > 0.0 { least * hull.area(least) } else { 0.0 };
    if most > least { (most * hull.area(most) - below) / (most - least) } else { hull.area(most) }
}

/// The corners of the upper hull of points that rise in cost and score alike.
fn upper_hull(frontier: &[CurvePoint]) -> Vec<CurvePoint> {
    let mut hull: Vec<CurvePoint> = Vec::new();
    for &point in frontier {
        while let [.., before, last] = hull[..] {
            let gain = |to: CurvePoint| (to.quality - before.quality, to.cost - before.cost);
            let ((by_last, for_last), (by_point, for_point)) = (gain(last), gain(point));
            if by_last * for_point > by_point * for_last {
                break;
            }
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

/// (7) and (8) of one router between two models. `expected` and `real` are the scores of
/// the weak and of the strong model, one a prompt; `None` where the strong one is no better.
///
/// # Panics
/// When there is no prompt, or not a score of each for every prompt.
pub fn recovery(expected: [&[f64]; 2], real: [&[f64]; 2]) -> Option<Recovery> {
    let n = real[0].len();
    assert!(n > 0, "a pair needs at least one prompt");
    for column in [expected[0], expected[1], real[1]] {
        assert_eq!(column.len(), n, "a score of each model for every prompt");
    }
    let gap = real[1].iter().sum::<f64>() - real[0].iter().sum::<f64>();
    if gap.is_nan() || gap <= 0.0 {
        return None;
    }
    let gain = |prompt: usize| expected[1][prompt] - expected[0][prompt];
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| gain(b).total_cmp(&gain(a)));
    let (mut points, mut sum) = (vec![(0.0, 0.0)], 0.0);
    for (at, &prompt) in order.iter().enumerate() {
        sum += real[1][prompt] - real[0][prompt];
        let last_of_equals = order.get(at + 1).is_none_or(|&next| gain(next) < gain(prompt));
        if last_of_equals {
            points.push(((at + 1) as f64 / n as f64, sum / gap));
        }
    }
    let apgr = points.windows(2).map(|p| (p[1].0 - p[0].0) * f64::midpoint(p[0].1, p[1].1)).sum();
    Some(Recovery { apgr, cpt50: share_for(&points, 0.5), cpt80: share_for(&points, 0.8) })
}

/// (8): the least share at which `level` is recovered, which it is at 1.
fn share_for(points: &[(f64, f64)], level: f64) -> f64 {
    let reached = points.windows(2).find(|pair| pair[1].1 >= level);
    reached.map_or(1.0, |pair| {
        let [(from, low), (to, high)] = [pair[0], pair[1]];
        from + (level - low) / (high - low) * (to - from)
    })
}

#[cfg(test)]
#[path = "metrics/tests.rs"]
mod tests;
