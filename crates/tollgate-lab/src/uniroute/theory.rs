//! What the theory says of cluster routing, and whether it is so.
//!
//! # Problem
//! Prompts come from `K` clusters, equally likely, and model `h` is right with probability
//! `p(x, h) = psi_k(h) +- delta`, the sign a matter of the prompt alone, either one in half of
//! the cluster. A router that knows the clusters and `n_k` labels in each expects
//! `q^_k(h)`, their mean. In the currency of the rule, score less `lambda` times cost, what it
//! loses to the router that knows `p` is
//!
//! ```text
//! excess(lambda) = mean_x [ max_h (p(x, h) - lambda c_h) - (p(x, r) - lambda c_r) ]   (1)
//! r = argmax_h  q^_k(h) - lambda c_h
//! ```
//!
//! UniRoute's second proposition bounds it, for the clusters' true rates, by what clusters
//! leave out. For estimated rates Hoeffding's inequality, over all `K |H|` of them, adds how far
//! off they are: with probability `1 - eta`, for every `lambda` at once,
//!
//! ```text
//! excess <= 2 max_k ( delta + sqrt( log(2 K |H| / eta) / (2 n_k) ) )                  (2)
//! ```
//!
//! since neither what is picked nor what should have been is misjudged by more than the
//! bracket. (2) falls with the power -1/2 of the labels, and so does the left side at the
//! worst `lambda`: a corner of the curve is off by as much as the rates are, and next to it
//! the loss is as large as the error. Area weighs that loss by how little of the curve it
//! concerns, also as small as the error: its gap closes with a power nearer to -1.
//!
//! # Method
//! (1) is exact, over all prompts and all `lambda`: there are `2 K` kinds of prompts; between
//! two corners of the estimated curve the excess is convex in `lambda`, so its largest value is
//! at a corner. Each trial draws `psi` anew. The estimates come from a recipe through
//! [`ModelPool`](tollgate::core::ModelPool), as in the protocol.
//!
//! # References
//! Jitkrittum et al. (2025), Universal Model Routing for Efficient LLM Inference,
//! arXiv:2502.08773, proposition 2. Hoeffding (1963), Probability inequalities for sums of
//! bounded random variables.

use rayon::prelude::*;
use serde::Serialize;
use tollgate::core::{
    DeferralCurve, EstimateTable, Fit, History, Label, ModelId, Models, Prior, Prompt, Purpose,
    Queries, Scratch, Seed, StreamRng,
};

use super::trial::pool;
use super::{Cut, Kind, KnownClusters, Method, Protocol, Trial};
use crate::theory::checks::Check;
use crate::theory::power;
use crate::{LabError, mean_interval};

/// The probability that (2) may fail with.
pub const ETA: f64 = 0.01;

/// The generator's sizes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latent {
    /// `K`, `>= 1`.
    pub clusters: usize,
    /// Models that the recipe is fitted on.
    pub seen: usize,
    /// `|H|`: models that are added, and routed among.
    pub unseen: usize,
    /// `delta`, in `[0, 0.1]`.
    pub delta: f64,
}

impl Default for Latent {
    /// Ten clusters that leave nothing out, six models seen and five unseen.
    fn default() -> Self {
        Self { clusters: 10, seen: 6, unseen: 5, delta: 0.0 }
    }
}

/// One trial with one number of labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Found {
    /// (1) at the worst `lambda`.
    pub excess: f64,
    /// (2); infinite where a cluster has no label.
    pub bound: f64,
    /// Area of the router that knows `p`, less the estimated one's.
    pub area_gap: f64,
}

/// All trials with one number of labels.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Validation labels of every unseen model.
    pub labels: usize,
    /// One a seed.
    pub trials: Vec<Found>,
}

/// One draw of the generator.
struct World {
    latent: Latent,
    /// `psi_k(h)` of all models, seen ones first; row-major `(clusters, models)`.
    psi: Vec<f64>,
    /// USD, ascending among the unseen.
    cost: Vec<f64>,
}

impl World {
    fn draw(latent: Latent, rng: &mut StreamRng) -> Self {
        let models = latent.seen + latent.unseen;
        let psi = (0..latent.clusters * models).map(|_| 0.1 + 0.8 * rng.uniform()).collect();
        // Each twice as dear as the last: on a scale where one score is of the order of all
        // costs, so that prices matter.
        let dear = |model: usize| 0.02 * 2.0_f64.powi(i32::try_from(model).unwrap_or(0));
        let cost = (0..latent.seen).map(dear).chain((0..latent.unseen).map(dear)).collect();
        Self { latent, psi, cost }
    }

    fn n_models(&self) -> usize {
        self.cost.len()
    }

    /// The probability that a model is right on a prompt of a cluster and a sign.
    fn right(&self, cluster: usize, sign: f64, model: usize) -> f64 {
        // Models lean both ways, or the sign would move all alike and no choice.
        let lean = if model.is_multiple_of(2) { sign } else { -sign };
        self.psi[cluster * self.n_models() + model] + lean * self.latent.delta
    }

    /// A prompt of a cluster: its axis, and a little of everything else.
    fn embedding(&self, cluster: usize, rng: &mut StreamRng) -> Vec<f32> {
        let axis = |at: usize| {
            let noise = 0.2 * (rng.uniform() - 0.5);
            #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
            let x = (noise + f64::from(u8::from(at == cluster))) as f32;
            x
        };
        (0..self.dim()).map(axis).collect()
    }

    /// One axis more than clusters, since a single one would be all there is.
    fn dim(&self) -> usize {
        self.latent.clusters + 1
    }

    /// `n` prompts with clusters, signs and labels of some models.
    fn sample(&self, n: usize, models: std::ops::Range<usize>, rng: &mut StreamRng) -> Sample {
        let mut sample = Sample::default();
        for _ in 0..n {
            let cluster = rng.below(self.latent.clusters);
            let sign = if rng.uniform() < 0.5 { 1.0 } else { -1.0 };
            sample.clusters.push(cluster);
            sample.embeddings.extend(self.embedding(cluster, rng));
            for model in models.clone() {
                let right = rng.uniform() < self.right(cluster, sign, model);
                sample.quality.push(f64::from(u8::from(right)));
                sample.cost.push(self.cost[model]);
            }
        }
        sample
    }

    /// The clusters, for a recipe that knows them.
    fn known(&self) -> KnownClusters {
        let dim = self.dim();
        let center = |cell: usize| if cell / dim == cell % dim { 1.0 } else { 0.0 };
        let centers: Vec<f32> = (0..self.latent.clusters * dim).map(center).collect();
        KnownClusters::new(centers, dim)
    }

    /// `p` of the unseen models on the `2 K` kinds of prompts.
    fn truth(&self) -> Vec<f64> {
        let of = |cluster: usize| {
            [1.0, -1.0].into_iter().flat_map(move |sign| {
                (self.latent.seen..self.n_models()).map(move |m| self.right(cluster, sign, m))
            })
        };
        (0..self.latent.clusters).flat_map(of).collect()
    }
}

#[derive(Default)]
struct Sample {
    clusters: Vec<usize>,
    embeddings: Vec<f32>,
    quality: Vec<f64>,
    cost: Vec<f64>,
}

/// What is routed by: the clusters themselves, or a recipe that has to find them.
#[derive(Clone, Copy, Debug)]
pub enum Router<'a> {
    /// [`KnownClusters`].
    Known,
    /// Any recipe whose models come and go.
    Recipe(&'a dyn Fit),
}

/// Trials with growing numbers of labels: in every trial the fewer are the first of the more.
///
/// # Errors
/// [`LabError`] of the first trial that fails; for a recipe that is no pool.
pub fn sweep(
    router: Router<'_>,
    latent: Latent,
    sizes: &[usize],
    seeds: &[Seed],
) -> Result<Vec<Step>, LabError> {
    let trials: Vec<Vec<Found>> = seeds
        .par_iter()
        .map(|&seed| one_trial(router, latent, sizes, seed))
        .collect::<Result<_, _>>()?;
    let step = |(at, &labels): (usize, &usize)| Step {
        labels,
        trials: trials.iter().map(|trial| trial[at]).collect(),
    };
    Ok(sizes.iter().enumerate().map(step).collect())
}

/// Training prompts a cluster.
const TRAINING: usize = 40;

fn one_trial(
    router: Router<'_>,
    latent: Latent,
    sizes: &[usize],
    seed: Seed,
) -> Result<Vec<Found>, LabError> {
    let mut rng = seed.stream(Purpose::Synthesis, 0);
    let world = World::draw(latent, &mut rng);
    let known = world.known();
    let recipe: &dyn Fit = match router {
        Router::Known => &known,
        Router::Recipe(recipe) => recipe,
    };
    let training = world.sample(TRAINING * latent.clusters, 0..latent.seen, &mut rng);
    let names: Vec<String> = (0..world.n_models()).map(|model| format!("m{model:03}")).collect();
    let seen = Models::new(&names[..latent.seen]).expect("distinct names, and at least one");
    let Sample { embeddings, quality, cost, .. } = training;
    let history = History::new(seen, world.dim(), embeddings, quality, cost)?;
    let fitted = recipe.fit(&history, seed)?;
    let most = sizes.iter().copied().max().unwrap_or(0);
    let validation = world.sample(most, latent.seen..world.n_models(), &mut rng);
    let kinds: Vec<f32> =
        (0..latent.clusters).flat_map(|cluster| world.embedding(cluster, &mut rng)).collect();
    sizes
        .iter()
        .map(|&labels| {
            let mut own = None;
            for (model, name) in names[latent.seen..].iter().enumerate() {
                let labels = validation.labels(world.dim(), latent.unseen, model, labels);
                let now = pool(recipe, own.as_deref().unwrap_or(fitted.as_ref()))?;
                own = Some(now.add_model(&ModelId::new(name), Prior::default(), &labels)?);
            }
            let pooled = own.as_deref().unwrap_or(fitted.as_ref());
            let queries = Queries::new(&kinds, world.dim());
            let mut table = EstimateTable::zeros(latent.clusters, world.n_models());
            table.fill(|out| pooled.estimate_batch(queries, &mut Scratch::default(), out))?;
            // Both signs of a cluster look alike.
            let expected: Vec<f64> = (0..2 * latent.clusters)
                .flat_map(|kind| table.row(kind / 2).quality[latent.seen..].to_vec())
                .collect();
            Ok(judge(&world, &expected, &validation.clusters[..labels]))
        })
        .collect()
}

impl Sample {
    /// The first `n` labels of one of its models.
    fn labels(&self, dim: usize, n_models: usize, model: usize, n: usize) -> Vec<Label<'_>> {
        let label = |prompt: usize| Label {
            prompt: Prompt::Embedding(&self.embeddings[prompt * dim..(prompt + 1) * dim]),
            quality: self.quality[prompt * n_models + model],
            cost: self.cost[prompt * n_models + model],
        };
        (0..n).map(label).collect()
    }
}

fn judge(world: &World, expected: &[f64], clusters: &[usize]) -> Found {
    let Latent { clusters: k, seen, unseen, delta } = world.latent;
    let truth = world.truth();
    let price_list: Vec<f64> =
        (0..2 * k).flat_map(|_| world.cost[seen..].iter().copied()).collect();
    let curve = |by: &[f64]| DeferralCurve::new(unseen, [by, &price_list], [&truth, &price_list]);
    let (ours, best) = (curve(expected), curve(&truth));
    let dearest = world.cost[seen..].iter().copied().fold(0.0, f64::max);
    let fewest = (0..k).map(|at| clusters.iter().filter(|&&cluster| cluster == at).count()).min();
    let log = (2.0 * (k * unseen) as f64 / ETA).ln();
    let off = (log / (2.0 * fewest.unwrap_or(0) as f64)).sqrt();
    Found {
        excess: worst_excess(&ours, &truth, &world.cost[seen..]),
        bound: 2.0 * (delta + off),
        area_gap: best.area(dearest) - ours.area(dearest),
    }
}

/// (1) at the worst `lambda`: at an end of an interval in which the estimated curve stays.
fn worst_excess(ours: &DeferralCurve, truth: &[f64], cost: &[f64]) -> f64 {
    let n_models = cost.len();
    let kinds = (truth.len() / n_models) as f64;
    let best = |price: f64| -> f64 {
        let worth = |row: &[f64]| {
            row.iter().zip(cost).map(|(p, c)| p - price * c).fold(f64::NEG_INFINITY, f64::max)
        };
        truth.chunks_exact(n_models).map(worth).sum::<f64>() / kinds
    };
    let points = ours.points();
    let ends = points.iter().enumerate().flat_map(|(at, point)| {
        let until = points.get(at + 1).map(|next| next.price);
        [Some(point.price), until].into_iter().flatten().map(move |price| (price, point))
    });
    ends.map(|(price, point)| best(price) - (point.quality - price * point.cost))
        .fold(0.0, f64::max)
}

/// How often, over trials of the protocol on tables of the generator, routing by a single
/// cluster walks the very points of `ZeroRouter`.
///
/// # Errors
/// [`LabError`] of the first trial that fails.
pub fn one_cluster_is_zero_router(seeds: &[Seed]) -> Result<Vec<bool>, LabError> {
    seeds
        .par_iter()
        .map(|&seed| {
            let table = tollgate::data::Table::embedded();
            let protocol = Protocol { labels: 100, ..Protocol::default() };
            let cut = Cut::draw(&table, &protocol, seed)?;
            let trial = Trial::of(&table, cut, protocol.costs, seed)?;
            let mut center = vec![0.0_f32; table.dim()];
            center[0] = 1.0;
            let one = KnownClusters::new(center, table.dim());
            let one = Method::pool("one cluster", std::sync::Arc::new(one));
            let ours = trial.curve(&trial.expected(&one.kind)?);
            Ok(ours == trial.curve(&trial.expected(&Kind::ZeroRouter)?))
        })
        .collect()
}

/// The steps, held against the theory. `n_k` differs from cluster to cluster, so powers are
/// fitted on steps in which every cluster has labels.
pub fn checks(name: &str, steps: &[Step]) -> Vec<Check> {
    let all = || steps.iter().flat_map(|step| &step.trials);
    let broken = all().filter(|found| found.excess > found.bound).count();
    let within = Check {
        name: format!("{name}: excess above its bound, of {} trials", all().count()),
        source: "proved, but for one trial in a hundred",
        bar: "<= 0".to_owned(),
        got: broken.to_string(),
        met: broken == 0 && all().count() > 0,
    };
    let powered = |what: &str, of: fn(&Found) -> f64, least: f64, most: f64| {
        let mean = |step: &Step| -> Option<(f64, f64)> {
            let values: Vec<f64> = step.trials.iter().map(of).collect();
            Some((step.labels as f64, mean_interval(&values)?.mean))
        };
        let slope = power(&steps.iter().filter_map(mean).collect::<Vec<_>>()).ok();
        let shown =
            |slope: crate::theory::Slope| format!("{:.2} ± {:.2}", slope.power, slope.half_width);
        Check {
            name: format!("{name}: power of the labels in {what}"),
            source: "measured",
            bar: format!("in [{least}, {most}]"),
            got: slope.map_or_else(|| "not measured".to_owned(), shown),
            met: slope.is_some_and(|slope| (least..=most).contains(&slope.power)),
        }
    };
    vec![
        within,
        powered("the worst excess", |found| found.excess, -0.65, -0.4),
        powered("the gap in Area", |found| found.area_gap, -1.3, -0.5),
    ]
}

#[cfg(test)]
#[path = "theory/tests.rs"]
mod tests;
