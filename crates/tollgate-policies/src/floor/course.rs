//! The cheapest course to a floor while scores are told.
//!
//! # Problem
//! `r` queries of a window are left and have to score `y` in all. What is aimed at may change
//! from query to query, as scores are told; the last of them are luck. Who keeps a reserve from
//! the start pays for it where it is dear, near the best that models can do; who keeps none
//! cannot catch up at the end. What mean score is to be aimed at next, so that the window costs
//! the least and misses its floor no more often than is allowed?
//!
//! # Method
//! A problem of optimal control, solved backward. On the history a price of quality `g` leads to
//! a mean score `mu_g` at a mean cost `k_g`, with deviation `s_g`. Over `D` queries
//!
//! ```text
//! y' = y - D mu_g + sqrt(D) s_g (n + N) / (n + N - r) e,   e ~ N(0, 1)             (1)
//! V(r, y) = min_g  D k_g + E V(r - D, y')                                          (2)
//! V(0, y) = M 1[y > 0] + L max(y, 0)                                               (3)
//! ```
//!
//! The factor in (1) is what is learned at the same time of the `mu` themselves, which are known
//! from `n` prompts: a disappointment says that there will be more of them. Altogether the
//! variance is that of the mean of `N` queries when `n` have been seen, equation (2) of the
//! floor's page. `M`, in USD, is chosen such that the floor is missed as often as is allowed, or
//! as large as it may be where it is missed more often whatever one does. `L` is what quality
//! costs where the floor lies: a window that is lost is served as well as others, and not at any
//! price.
//!
//! Steps are an eighth of what is left, in which (2) holds what is aimed at, and the last two
//! queries are one step, of which (3) is known in closed form. `y / r` is on a grid, values
//! between are linear, and expectations take seven points (Gauss and Hermite).
//!
//! # Limits
//! What a price of quality leads to is taken to be the same at every time. Capacities that bind
//! are in it, as if they were used at an even rate; what is left of them later depends on what
//! was aimed at before, which is not followed.
//!
//! # References
//! Bertsekas, Dynamic Programming and Optimal Control, 2017, chapter 1.

use statrs::distribution::{Continuous, ContinuousCDF, Normal};

/// What a price of quality leads to, per query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    /// The mean score, in `[0, 1]`.
    pub(crate) mean: f64,
    /// What was expected of it.
    pub(crate) expected: f64,
    /// In USD.
    pub(crate) cost: f64,
    /// The standard deviation of a score.
    pub(crate) deviation: f64,
}

/// What mean score to aim at, by how much of a window is left and what is needed of it.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// From the whole window down to its end.
    stages: Vec<Stage>,
    /// How often the window is expected to miss its floor.
    risk: f64,
}

/// What is left of a window.
#[derive(Clone, Debug)]
struct Stage {
    /// Queries to come.
    rest: f64,
    /// Of the means needed, the lowest on the grid and the step from one to the next.
    lowest: f64,
    spacing: f64,
    /// What to aim at, for each point of the grid.
    aims: Vec<f64>,
}

/// Points of the grid of a stage.
const POINTS: usize = 128;
/// The part of what is left that the next stage begins with.
const LEFT: f64 = 0.88;
/// So few queries are the last step, or a few less.
const LAST: f64 = 2.0;
/// Standard deviations that a grid goes beyond what can be aimed at.
const BEYOND: f64 = 4.0;
/// How often `M` is halved between its bounds, in logarithms.
const HALVINGS: usize = 12;
/// Bounds of `M`, in units of the dearest window's cost.
const FINES: (f64, f64) = (1e-4, 1e3);

/// Nodes and weights of the standard normal distribution, exact for polynomials of degree 13.
const NORMAL: [(f64, f64); 7] = [
    (-3.750_439_717_725_742, 0.000_548_268_855_972_217),
    (-2.366_759_410_734_541, 0.030_757_123_967_586_5),
    (-1.154_405_394_739_968, 0.240_123_178_605_012_7),
    (0.0, 0.457_142_857_142_857_1),
    (1.154_405_394_739_968, 0.240_123_178_605_012_7),
    (2.366_759_410_734_541, 0.030_757_123_967_586_5),
    (3.750_439_717_725_742, 0.000_548_268_855_972_217),
];

/// What was asked.
struct Window<'a> {
    /// Ascending in mean and in cost per mean.
    steps: &'a [Step],
    /// `n`.
    known: f64,
    /// `N`.
    queries: f64,
    /// `L`.
    shortfall: f64,
}

/// What a stage is worth.
struct Values {
    rest: f64,
    lowest: f64,
    spacing: f64,
    /// `V`, and how often the floor is missed.
    points: Vec<[f64; 2]>,
    /// What another unit of need costs beyond the grid.
    shortfall: f64,
}

impl Course {
    /// For a window of `queries` that are to score `alpha` on average and may fail to in the
    /// share `risk`, with `steps` that were measured on `known` prompts. `None` where there is
    /// nothing to choose.
    pub(crate) fn new(
        steps: &[Step],
        known: f64,
        queries: f64,
        alpha: f64,
        risk: f64,
    ) -> Option<Self> {
        let steps = hull(steps);
        let top = *steps.last()?;
        // Of the two between which the floor lies, or the last two.
        let pairs = || steps.windows(2);
        let pair = pairs().find(|pair| pair[1].mean >= alpha).or_else(|| pairs().last())?;
        let shortfall = (pair[1].cost - pair[0].cost) / (pair[1].mean - pair[0].mean);
        if !(queries >= 1.0 && queries.is_finite()) {
            return None;
        }
        let window = Window { steps: &steps, known, queries, shortfall };
        let unit = queries * top.cost;
        let (mut low, mut high) = (FINES.0.ln(), FINES.1.ln());
        let mut best = window.solve(unit * high.exp(), alpha);
        if best.risk > risk {
            return Some(best);
        }
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            let course = window.solve(unit * middle.exp(), alpha);
            if course.risk > risk {
                low = middle;
            } else {
                (high, best) = (middle, course);
            }
        }
        Some(best)
    }

    /// The mean expectation to aim at next, where `rest` queries are left and have to score `needed`
    /// in all.
    pub(crate) fn aim(&self, rest: f64, needed: f64) -> f64 {
        let stage = self.stages.iter().rfind(|stage| stage.rest >= rest);
        let stage = stage.or(self.stages.first()).expect("there is a stage");
        let (at, share) = place(needed / rest, stage.lowest, stage.spacing);
        stage.aims[at] + share * (stage.aims[at + 1] - stage.aims[at])
    }
}

impl Window<'_> {
    /// The course for a fine `M`.
    fn solve(&self, fine: f64, alpha: f64) -> Course {
        let mut rests = vec![self.queries];
        while let Some(&rest) = rests.last().filter(|&&rest| rest * LEFT > LAST) {
            rests.push(rest * LEFT);
        }
        let mut stages = Vec::with_capacity(rests.len());
        let mut after: Option<Values> = None;
        for &rest in rests.iter().rev() {
            let (stage, values) = self.stage(rest, fine, after.as_ref());
            stages.push(stage);
            after = Some(values);
        }
        stages.reverse();
        let whole = after.expect("there is a stage");
        Course { stages, risk: whole.at(alpha * self.queries)[1] }
    }

    fn stage(&self, rest: f64, fine: f64, after: Option<&Values>) -> (Stage, Values) {
        let (bottom, top) = (self.steps[0], self.steps[self.steps.len() - 1]);
        let seen = self.known + self.queries - rest;
        let widest = self.steps.iter().fold(0.0_f64, |most, step| most.max(step.deviation));
        let beyond = BEYOND * widest * (1.0 / rest + 1.0 / seen.max(1.0)).sqrt();
        let (lowest, highest) = (bottom.mean - beyond, top.mean + beyond);
        let spacing = (highest - lowest) / (POINTS - 1) as f64;
        let learned = (self.known + self.queries) / seen.max(1.0);
        let point = |at: usize| {
            let needed = rest * (lowest + spacing * at as f64);
            let of = |step: &Step| self.outcome(*step, rest, needed, learned, fine, after);
            let outcomes = self.steps.iter().map(|step| (step.expected, of(step)));
            outcomes.min_by(|a, b| a.1[0].total_cmp(&b.1[0])).expect("there are steps")
        };
        let points: Vec<(f64, [f64; 2])> = (0..POINTS).map(point).collect();
        let aims = points.iter().map(|point| point.0).collect();
        let points = points.into_iter().map(|point| point.1).collect();
        let values = Values { rest, lowest, spacing, points, shortfall: self.shortfall };
        (Stage { rest, lowest, spacing, aims }, values)
    }

    /// The right side of (2), and how often the floor is missed.
    fn outcome(
        &self,
        step: Step,
        rest: f64,
        needed: f64,
        learned: f64,
        fine: f64,
        after: Option<&Values>,
    ) -> [f64; 2] {
        let next = after.map_or(0.0, |after| after.rest);
        let queries = rest - next;
        let left = needed - queries * step.mean;
        let deviation = step.deviation * learned * queries.sqrt();
        let spent = queries * step.cost;
        let Some(after) = after else {
            let [missed, short] = missed_by(left, deviation);
            return [spent + fine * missed + self.shortfall * short, missed];
        };
        let mut sum = [spent, 0.0];
        for (node, weight) in NORMAL {
            let [value, missed] = after.at(left + deviation * node);
            sum[0] += weight * value;
            sum[1] += weight * missed;
        }
        sum
    }
}

impl Values {
    /// Where so much is needed.
    fn at(&self, needed: f64) -> [f64; 2] {
        let mean = needed / self.rest;
        let (at, share) = place(mean, self.lowest, self.spacing);
        let (a, b) = (self.points[at], self.points[at + 1]);
        let highest = self.lowest + self.spacing * (POINTS - 1) as f64;
        let beyond = self.rest * (mean - highest).max(0.0);
        let value = a[0] + share * (b[0] - a[0]) + self.shortfall * beyond;
        [value, a[1] + share * (b[1] - a[1])]
    }
}

/// The point of a grid below a value, and how far beyond it; the grid's ends where it is
/// outside.
fn place(value: f64, lowest: f64, spacing: f64) -> (usize, f64) {
    let at = ((value - lowest) / spacing).clamp(0.0, (POINTS - 1) as f64);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "on the grid")]
    let below = (at as usize).min(POINTS - 2);
    (below, at - below as f64)
}

/// The chance that a normal variable is above 0, and the mean of its positive part.
fn missed_by(mean: f64, deviation: f64) -> [f64; 2] {
    if deviation <= 0.0 {
        return if mean > 0.0 { [1.0, mean] } else { [0.0, 0.0] };
    }
    let at = mean / deviation;
    let normal = Normal::standard();
    let above = normal.cdf(at);
    [above, mean * above + deviation * normal.pdf(at)]
}

/// The steps that no mixture of two others beats, ascending in mean and cost.
fn hull(steps: &[Step]) -> Vec<Step> {
    let mut sorted: Vec<Step> = steps.to_vec();
    sorted.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(b.mean.total_cmp(&a.mean)));
    let mut hull: Vec<Step> = Vec::new();
    for step in sorted {
        if hull.last().is_some_and(|last| step.mean <= last.mean) {
            continue;
        }
        while let [.., a, b] = hull[..]
            && (b.mean - a.mean) * (step.cost - a.cost) <= (step.mean - a.mean) * (b.cost - a.cost)
        {
            hull.pop();
        }
        hull.push(step);
    }
    hull
}

#[cfg(test)]
mod tests;
