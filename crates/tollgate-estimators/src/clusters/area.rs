//! How many clusters: by the area that models are routed with which they were not learned
//! from.

use std::fmt::Write;

use rayon::prelude::*;
use tollgate_core::{DeferralCurve, FitError, History, Prior, Seed};

use super::centers::Centers;
use super::lore::{Clustering, Means};
use crate::kmeans;
use crate::pool::{Answers, Lore, anonymous, select};
use crate::shuffled::shuffled;
use crate::vector::directions;

/// The numbers that are tried, ascending.
const CANDIDATES: [usize; 9] = [5, 10, 25, 50, 100, 150, 200, 250, 300];

/// Parts of the prompts, each routed once by what was learned from the others.
const PROMPT_PARTS: usize = 3;

/// Parts of the models, at most.
const MODEL_PARTS: usize = 4;

/// Prompts that take part, at most.
const PROMPTS: usize = 6_144;

/// How many clusters, and why. `labels` are those that a new model will have.
pub(super) fn choose(
    history: &History,
    labels: usize,
    seed: Seed,
) -> Result<(usize, String), FitError> {
    let directions = directions(history)?;
    let n = history.len();
    let mut rows = shuffled(n, seed, 3);
    rows.truncate(PROMPTS);
    let learned_from = rows.len() - rows.len().div_ceil(PROMPT_PARTS);
    let candidates = CANDIDATES.iter().copied().filter(|k| 2 * k <= learned_from);
    let candidates: Vec<usize> = candidates.collect();
    if candidates.is_empty() || history.models().len() == 1 {
        let by_size = CANDIDATES.into_iter().rev().find(|k| 2 * k * k <= n).unwrap_or(1);
        return Ok((by_size, format!("{by_size} clusters, for {n} prompts")));
    }
    let trial = Trial { history: &anonymous(history), directions: &directions, labels, seed };
    let areas: Vec<f64> =
        candidates.par_iter().map(|&n_clusters| trial.area(&rows, n_clusters)).collect();
    let best = (0..areas.len())
        .reduce(|best, next| if areas[next] > areas[best] { next } else { best })
        .expect("there are candidates");
    let mut why = format!(
        "{} clusters, for the area under the deferral curve of models left out, {:.4}",
        candidates[best], areas[best]
    );
    for (at, (n_clusters, area)) in candidates.iter().zip(&areas).enumerate() {
        let lead = if at == 0 { "; of " } else { ", " };
        write!(why, "{lead}{n_clusters}: {area:.4}").expect("a string takes what it is given");
    }
    Ok((candidates[best], why))
}

/// What models are left out of, and routed on.
#[derive(Clone, Copy, Debug)]
struct Trial<'a> {
    history: &'a History,
    directions: &'a [f32],
    labels: usize,
    seed: Seed,
}

impl Trial<'_> {
    /// The mean area over the parts of the prompts.
    fn area(self, rows: &[usize], n_clusters: usize) -> f64 {
        let area = |part: usize| {
            let (test, fit): (Vec<_>, Vec<_>) =
                (0..rows.len()).partition(|at| at % PROMPT_PARTS == part);
            let pick =
                |at: Vec<usize>| -> Vec<usize> { at.into_iter().map(|at| rows[at]).collect() };
            self.route(&pick(fit), &pick(test), n_clusters)
        };
        (0..PROMPT_PARTS).map(area).sum::<f64>() / PROMPT_PARTS as f64
    }

    fn pick(self, rows: &[usize]) -> Vec<f32> {
        let dim = self.history.dim();
        rows.iter().flat_map(|row| &self.directions[row * dim..][..dim]).copied().collect()
    }

    /// The area of one part.
    fn route(self, fit: &[usize], test: &[usize], n_clusters: usize) -> f64 {
        let n_models = self.history.models().len();
        let dim = self.history.dim();
        let learned_from = self.pick(fit);
        let centers = kmeans::spread(&learned_from, dim, n_clusters, self.seed);
        let centers = Centers::new(centers, dim);
        let nearest = centers.nearest_each(&learned_from);
        let parts = MODEL_PARTS.min(n_models);
        let mut known: Vec<Option<Means>> = Vec::new();
        known.resize_with(n_models, || None);
        for part in 0..parts {
            let labelled = |model: &usize| {
                let label = |row: &usize| self.history.quality()[row * n_models + model];
                fit.iter().any(|row| !label(row).is_nan())
            };
            let (new, old): (Vec<usize>, Vec<usize>) =
                (0..n_models).filter(labelled).partition(|model| model % parts == part);
            if old.is_empty() {
                continue;
            }
            let history = select(self.history, fit, &old);
            let lore = Clustering::learn(&history, centers.clone(), &nearest, self.seed);
            for model in new {
                let own = select(self.history, fit, &[model]);
                let answers = Answers::first(&own, self.labels);
                known[model] = Some(lore.know(&answers, Prior::default()));
            }
        }
        let clusters = centers.nearest_each(&self.pick(test));
        self.curve(test, &clusters, &known)
    }

    /// The area of routing prompts of these clusters among the models that are known, and
    /// labelled.
    fn curve(self, rows: &[usize], clusters: &[(usize, f32)], known: &[Option<Means>]) -> f64 {
        let n_models = known.len();
        let (mut expected, mut real) = ([vec![], vec![]], [vec![], vec![]]);
        let mut costs = vec![(0.0, 0.0); n_models];
        for (&row, &(cluster, _)) in rows.iter().zip(clusters) {
            let label = |model: usize| {
                let cell = row * n_models + model;
                let [quality, cost] = [self.history.quality()[cell], self.history.cost()[cell]];
                let means = known[model].as_ref().filter(|_| !quality.is_nan())?;
                Some((means, [quality, cost]))
            };
            if (0..n_models).all(|model| label(model).is_none()) {
                continue;
            }
            for (model, costs) in costs.iter_mut().enumerate() {
                // What can't be picked promises less than anything, for more than anything.
                let (promise, [quality, cost]) = label(model)
                    .map_or(((-1.0, f64::INFINITY), [0.0; 2]), |(means, real)| {
                        ((means.quality[cluster].0, means.cost[cluster].0), real)
                    });
                expected[0].push(promise.0);
                expected[1].push(promise.1);
                real[0].push(quality);
                real[1].push(cost);
                if promise.1.is_finite() {
                    *costs = (costs.0 + cost, costs.1 + 1.0);
                }
            }
        }
        if real[0].is_empty() {
            return 0.0;
        }
        let mean = |&(sum, n): &(f64, f64)| if n > 0.0 { sum / n } else { 0.0 };
        let most = costs.iter().map(mean).fold(0.0, f64::max);
        let [expected, real] =
            [&expected, &real].map(|tables| tables.each_ref().map(Vec::as_slice));
        DeferralCurve::new(n_models, expected, real).area(most)
    }
}
