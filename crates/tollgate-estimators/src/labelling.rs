//! Which prompts to label a new model on: the order in which they tell most.
//!
//! # Problem
//!
//! A label costs an answer and somebody's judgment of it, so the few that a new model begins
//! with should be on prompts that say much about all others. An order of the history's
//! prompts of which any beginning will do serves every budget.
//!
//! # Method
//!
//! * [`Random`](Labelling::Random): as good as the next one, and no assumption made.
//! * [`Medoids`](Labelling::Medoids): every cluster in proportion to its size at any length, the
//!   prompt nearest to its center first. What a pool of [`Clusters`](crate::Clusters) or of a
//!   [`LearnedMap`](crate::LearnedMap) answers, with its own clusters.
//! * [`Leverage`](Labelling::Leverage): next is the prompt on which the model would be least
//!   surely known, given the labels before: greedily the largest determinant of what is known
//!   of its coefficients on the factors of [`Factors`](crate::Factors), from their prior on. A
//!   thousand are picked so, and the rest are in any order. What such a pool answers.
//! * [`Likeness`](Labelling::Likeness): next is the prompt with which those before are the most
//!   like the history, in the directions of [`RandomSlopes`](crate::RandomSlopes) and in how hard
//!   prompts are for the history's models, which count as much as all directions together. What
//!   such a pool answers, and an [`Ensemble`](crate::Ensemble).
//!
//! The first two make no assumption beyond their clusters. Leverage is best where models are what
//! factors say; prompts that tell most about a line are those at its ends, and where lines are only
//! nearly right they are the worst to learn from. Likeness keeps the mean of anything that is
//! smooth in the directions, and the level of a model with it.
//!
//! # References
//!
//! Fedorov, Theory of Optimal Experiments, 1972: D-optimal designs, of which greedy ones are
//! within a constant of the best since the determinant's logarithm is submodular. Chen, Welling
//! and Smola, "Super-samples from kernel herding", 2010, arXiv:1203.3472: likeness. Neyman,
//! "On the two different aspects of the representative method", 1934: strata in proportion.

use faer::Mat;
use tollgate_core::{FitError, History, Seed};

use crate::shuffled::shuffled;
use crate::vector::dot_f64;
use crate::{clusters, factors, slopes};

/// A way to order the prompts of a history for labelling.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Labelling {
    /// Any order.
    Random,
    /// Clusters in proportion to their sizes, medoids first.
    Medoids {
        /// How many clusters; as many as there are prompts where those are fewer.
        clusters: usize,
    },
    /// What tells most about factors, learned from the models of the history.
    Leverage,
    /// What is most like the history, in smooth directions and in how hard it is.
    Likeness,
}

impl Labelling {
    /// All prompts of a history, the most telling first.
    ///
    /// # Errors
    /// As the fits of the recipes whose way it is.
    pub fn order(self, history: &History, seed: Seed) -> Result<Vec<usize>, FitError> {
        match self {
            Self::Random => Ok(random(history.len(), seed)),
            Self::Medoids { clusters } => clusters::order(history, clusters.max(1), seed),
            Self::Leverage => factors::order(history, seed),
            Self::Likeness => slopes::order(history, seed),
        }
    }
}

/// `n` prompts in any order.
pub(crate) fn random(n: usize, seed: Seed) -> Vec<usize> {
    shuffled(n, seed, 2)
}

/// Every cluster in proportion to its size, its medoid first and the others in any order.
///
/// `nearest` are the cluster of each prompt and how near its center is.
pub(crate) fn by_clusters(nearest: &[(usize, f32)], n_clusters: usize, seed: Seed) -> Vec<usize> {
    let n = nearest.len();
    let order = random(n, seed);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); n_clusters];
    for &row in &order {
        members[nearest[row].0].push(row);
    }
    for rows in &mut members {
        let nearer = |&a: &usize, &b: &usize| {
            nearest[rows[a]].1.total_cmp(&nearest[rows[b]].1).then(rows[b].cmp(&rows[a]))
        };
        if let Some(medoid) = (0..rows.len()).max_by(nearer) {
            rows.swap(0, medoid);
        }
    }
    let mut taken = vec![0_usize; n_clusters];
    (1..=n)
        .map(|step| {
            // The cluster that is most behind its share; the first of equals.
            let behind = |cluster: usize| {
                let share = members[cluster].len() as f64 / n as f64;
                share * step as f64 - taken[cluster] as f64
            };
            let open = (0..n_clusters).filter(|&cluster| taken[cluster] < members[cluster].len());
            let next = open
                .map(|cluster| (behind(cluster), cluster))
                .reduce(|best, next| if next.0 > best.0 { next } else { best })
                .expect("there are as many steps as prompts")
                .1;
            taken[next] += 1;
            members[next][taken[next] - 1]
        })
        .collect()
}

/// Prompts that are picked for what they tell; those behind them are in any order.
const PICKED: usize = 1_000;

/// The prompt next of which what will be least surely known, given those before: greedily the
/// largest determinant of what is known (D-optimal), from the prior on.
///
/// `features` are row-major with `len` columns; `prior` is the covariance of what is to be
/// known, and the noise of a label.
pub(crate) fn by_leverage(
    features: &[f64],
    len: usize,
    prior: (&Mat<f64>, f64),
    seed: Seed,
) -> Vec<usize> {
    let n = features.len() / len;
    let mut order = random(n, seed);
    let (mut covariance, noise) = (prior.0.clone(), prior.1);
    let row = |row: usize| &features[row * len..(row + 1) * len];
    let times = |covariance: &Mat<f64>, f: &[f64]| -> Vec<f64> {
        (0..len).map(|a| (0..len).map(|b| covariance[(a, b)] * f[b]).sum()).collect()
    };
    let mut unknown: Vec<f64> =
        order.iter().map(|&at| dot_f64(row(at), &times(&covariance, row(at)))).collect();
    for step in 0..n.min(PICKED) {
        let next = (step..n)
            .reduce(|best, next| if unknown[next] > unknown[best] { next } else { best })
            .expect("there are prompts left");
        order.swap(step, next);
        unknown.swap(step, next);
        let gain = 1.0 / (noise + unknown[step]).sqrt();
        let seen: Vec<f64> =
            times(&covariance, row(order[step])).iter().map(|x| x * gain).collect();
        covariance = Mat::from_fn(len, len, |a, b| covariance[(a, b)] - seen[a] * seen[b]);
        for (unknown, &at) in unknown[step + 1..].iter_mut().zip(&order[step + 1..]) {
            *unknown -= dot_f64(row(at), &seen).powi(2);
        }
    }
    order
}

/// The prompt next with which those that are picked are the most like all of them: the one whose
/// point brings their sum nearest to as many times the mean of all points (greedily the least
/// maximum mean discrepancy). `points` are row-major with `len` columns.
pub(crate) fn by_likeness(points: &[f64], len: usize, seed: Seed) -> Vec<usize> {
    let n = points.len() / len;
    let mut order = random(n, seed);
    let mut mean = vec![0.0; len];
    for point in points.chunks_exact(len) {
        mean.iter_mut().zip(point).for_each(|(mean, x)| *mean += x / n as f64);
    }
    let from_mean = |point: &[f64]| point.iter().zip(&mean).map(|(x, mean)| x - mean).collect();
    let centered: Vec<Vec<f64>> = points.chunks_exact(len).map(from_mean).collect();
    // `|s + x|^2 - |s|^2` for the sum `s` of those before.
    let mut farther: Vec<f64> =
        order.iter().map(|&at| dot_f64(&centered[at], &centered[at])).collect();
    for step in 0..n.min(PICKED) {
        let next = (step..n)
            .reduce(|best, next| if farther[next] < farther[best] { next } else { best })
            .expect("there are prompts left");
        order.swap(step, next);
        farther.swap(step, next);
        let picked = &centered[order[step]];
        for (farther, &at) in farther[step + 1..].iter_mut().zip(&order[step + 1..]) {
            *farther += 2.0 * dot_f64(&centered[at], picked);
        }
    }
    order
}

#[cfg(test)]
#[path = "labelling/tests.rs"]
mod tests;
