//! Routers that are compared at equal quality, without capacities.

use tollgate::core::{CurvePoint, DeferralCurve};

use super::Window;

/// A router whose knob is turned in hindsight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rival {
    /// The cheapest model that is expected to score enough, by one threshold for all queries.
    PerQuery,
    /// A mixture of two single models: `ZeroRouter`.
    Mixture,
    /// The best model where it is expected to be better than the cheapest by more than a
    /// threshold, else the cheapest: RouteLLM's rule.
    StrongAndWeak,
    /// Any model, uniformly; it has no knob.
    Random,
    /// Each model an equal share, in turn: what balancing loads comes to. It has no knob.
    Balanced,
}

impl Rival {
    /// Those of the tables.
    pub const ALL: [Self; 5] =
        [Self::PerQuery, Self::Mixture, Self::StrongAndWeak, Self::Random, Self::Balanced];

    /// Whether it can be made to meet a floor.
    pub fn has_knob(self) -> bool {
        !matches!(self, Self::Random | Self::Balanced)
    }

    /// Its name in tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::PerQuery => "per query, threshold in hindsight",
            Self::Mixture => "mixture of two models",
            Self::StrongAndWeak => "strong and weak, threshold in hindsight",
            Self::Random => "random",
            Self::Balanced => "balanced",
        }
    }

    /// Mean score against mean cost as its knob is turned.
    pub fn curve(self, window: &Window) -> DeferralCurve {
        DeferralCurve::from_points(match self {
            Self::PerQuery => per_query(window),
            Self::Mixture => single_models(window),
            Self::StrongAndWeak => strong_and_weak(window),
            Self::Random => vec![mean(&single_models(window))],
            Self::Balanced => {
                let n_models = window.expected().n_models();
                vec![realized(window, (0..window.n()).map(|query| (query, query % n_models)))]
            }
        })
    }
}

fn point(cost: f64, quality: f64) -> CurvePoint {
    CurvePoint { price: 0.0, cost, quality }
}

fn mean(points: &[CurvePoint]) -> CurvePoint {
    let n = points.len() as f64;
    let sum = |of: fn(&CurvePoint) -> f64| points.iter().map(of).sum::<f64>() / n;
    point(sum(|point| point.cost), sum(|point| point.quality))
}

/// What each model alone really comes to.
fn single_models(window: &Window) -> Vec<CurvePoint> {
    let (n, n_models) = (window.n(), window.expected().n_models());
    (0..n_models).map(|model| realized(window, (0..n).map(|query| (query, model)))).collect()
}

/// The mean real cost and score of some options, one for every query.
fn realized(window: &Window, options: impl Iterator<Item = (usize, usize)>) -> CurvePoint {
    let (mut cost, mut quality, mut n) = (0.0, 0.0, 0.0);
    for (query, model) in options {
        let (score, usd) = window.stream().truth(query, model);
        cost += usd;
        quality += score;
        n += 1.0;
    }
    point(cost / n, quality / n)
}

/// All thresholds at which some query moves on: its staircase by expected score.
fn per_query(window: &Window) -> Vec<CurvePoint> {
    let expected = window.expected();
    let mut moves: Vec<(f64, usize, usize)> = Vec::new();
    let mut at: Vec<usize> = Vec::with_capacity(window.n());
    for query in 0..window.n() {
        let row = expected.row(query);
        let enough = |tau: f64| {
            let models = (0..row.quality.len()).filter(move |&model| row.quality[model] > tau);
            models.min_by(|&a, &b| row.cost[a].total_cmp(&row.cost[b]))
        };
        let Some(first) = enough(f64::NEG_INFINITY) else { continue };
        at.push(first);
        let mut model = first;
        while let Some(next) = enough(row.quality[model]) {
            moves.push((row.quality[model], query, next));
            model = next;
        }
    }
    walk(window, at, moves)
}

/// All thresholds on how much better the strong model is expected to be.
fn strong_and_weak(window: &Window) -> Vec<CurvePoint> {
    let history = window.history();
    let n_models = history.models().len();
    let mean_of = |table: &[f64], model: usize| {
        let known = table.iter().skip(model).step_by(n_models).filter(|value| !value.is_nan());
        let (sum, n) = known.fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
        sum / n
    };
    let models = || 0..n_models;
    let least =
        |of: &dyn Fn(usize) -> f64| models().min_by(|&a, &b| of(a).total_cmp(&of(b))).unwrap_or(0);
    let weak = least(&|model| mean_of(history.cost(), model));
    let strong = least(&|model| -mean_of(history.quality(), model));
    let gain = |query| {
        let quality = window.expected().row(query).quality;
        quality[strong] - quality[weak]
    };
    // From the query that gains the most: the threshold comes down.
    let moves = (0..window.n()).map(|query| (-gain(query), query, strong)).collect();
    walk(window, vec![weak; window.n()], moves)
}

/// The points that moves of queries to other models, in the order of their thresholds, lead to.
fn walk(
    window: &Window,
    mut at: Vec<usize>,
    mut moves: Vec<(f64, usize, usize)>,
) -> Vec<CurvePoint> {
    let n = window.n() as f64;
    let start = realized(window, at.iter().copied().enumerate());
    let (mut cost, mut quality) = (start.cost, start.quality);
    let mut points = vec![start];
    // Stable, so that the steps of one query stay in their order.
    moves.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (index, &(tau, query, to)) in moves.iter().enumerate() {
        let (before, after) =
            (window.stream().truth(query, at[query]), window.stream().truth(query, to));
        at[query] = to;
        quality += (after.0 - before.0) / n;
        cost += (after.1 - before.1) / n;
        // Who moves at one threshold moves together.
        if moves.get(index + 1).is_none_or(|next| next.0 > tau) {
            points.push(point(cost, quality));
        }
    }
    points
}
