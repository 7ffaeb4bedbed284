//! The default: picks estimators and their weights on the history alone.
//!
//! # Problem
//!
//! Which estimator predicts best depends on the stream: a plane where scores are linear in
//! the embedding, forty neighbors where topics are clusters, five where prompts come in
//! near copies. The history tells, if it is asked about prompts that an estimator has not
//! seen.
//!
//! # Method
//!
//! Every part (nearest neighbors with `k` = 5, 10, 20, 40, 80 and 160, ridge, kernel ridge)
//! is asked for its held-out estimates, which are exact leave-one-out. Neighbors are found
//! once for all six, here and in service: by a scan, and in long histories by the graph
//! (see [`IndexKind::for_rows`]). With `e_p` the errors of part `p` on the labels of model
//! `i`, in units of that model's spread,
//!
//! ```text
//! E_pq = mean over models of (sum_r e_pri e_qri) / (sum_r (y_ri - a_i)^2)         (1)
//! loss(w) = w' E w,   w >= 0,   sum_p w_p = 1                                    (2)
//! ```
//!
//! is the share of the labels' variance that the blend `w` leaves unexplained, for scores
//! and, with errors of costs in proportion to the expected cost, for costs. For every one of
//! the 255 choices of parts the least loss is a small convex problem, solved exactly as in
//! [`Blend`](crate::Blend). What is picked is the choice with the fewest parts whose losses,
//! of scores and of costs, are both within a five-hundredth of the least there are; among
//! those the one with the least. Weights are then for scores and for costs.
//!
//! Standard errors are those of the blend, times one factor for scores and one for costs
//! that make them right over bins of held-out prompts (see [`coverage`](crate::coverage)).
//!
//! [`Estimator::choice`] says what was picked, and why.
//!
//! # References
//!
//! Stone, "Cross-validatory choice and assessment of statistical predictions", 1974,
//! doi:10.1111/j.2517-6161.1974.tb00994.x. Breiman, "Stacked regressions", 1996,
//! doi:10.1007/BF00117832.

use std::sync::Arc;

use tollgate_core::{EstimateTable, Estimator, Fit, FitError, History, Seed};

use crate::blend::weights::{Losses, Support};
use crate::blend::{BlendEstimator, blend_tables};
use crate::calibrated::{CalibratedEstimator, scale};
use crate::calibration;
use crate::index::IndexKind;
use crate::kernel_ridge::KernelRidge;
use crate::knn::{Knn, KnnConfig, KnnEstimator, Several};
use crate::ridge::Ridge;

/// Numbers of neighbors that are tried, ascending.
const NEIGHBORS: [usize; 6] = [5, 10, 20, 40, 80, 160];

/// A loss within this share of the least is as good.
const TOLERANCE: f64 = 0.002;

/// The recipe that picks for itself.
#[derive(Clone, Debug)]
pub struct Auto {
    /// What is tried beside neighbors.
    others: Vec<Arc<dyn Fit>>,
}

impl Default for Auto {
    fn default() -> Self {
        Self { others: vec![Arc::new(Ridge::default()), Arc::new(KernelRidge::default())] }
    }
}

impl Auto {
    fn names(&self, index: IndexKind) -> Vec<String> {
        let neighbors = NEIGHBORS.into_iter().map(|k| neighbors(k, index).name());
        neighbors.chain(self.others.iter().map(|part| part.name())).collect()
    }
}

/// Means of `k` neighbors.
fn neighbors(k: usize, index: IndexKind) -> Knn {
    KnnConfig::default().k(k).index(index).build().expect("k is at least 1")
}

impl Fit for Auto {
    fn name(&self) -> String {
        "auto".to_owned()
    }

    fn fit(&self, history: &History, seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
        Ok(self.fit_and_hold_out(history, seed)?.0)
    }

    fn held_out(&self, history: &History, seed: Seed) -> Result<EstimateTable, FitError> {
        Ok(self.fit_and_hold_out(history, seed)?.1)
    }

    fn fit_and_hold_out(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(Box<dyn Estimator>, EstimateTable), FitError> {
        let index = IndexKind::for_rows(history.len());
        let most = NEIGHBORS[NEIGHBORS.len() - 1];
        let widest = neighbors(most, index).fit_knn(history, seed)?;
        let mut tables = widest.held_out_each(history, &NEIGHBORS);
        let mut others = Vec::new();
        for other in &self.others {
            let (estimator, table) = other.fit_and_hold_out(history, seed)?;
            others.push(estimator);
            tables.push(table);
        }
        let picked = Picked::new(&Losses::new(history, &tables));
        let choice = picked.describe(&self.names(index));
        let weights = picked
            .weights
            .each_ref()
            .map(|weights| picked.on.iter().map(|&part| weights[part]).collect());
        let tables: Vec<_> = picked.on.iter().map(|&part| tables[part].clone()).collect();
        let mut held_out = blend_tables(&tables, &weights);
        let factors = calibration::factors(&held_out, history);
        held_out.fill(|mut out| scale(factors, &mut out));
        let (inner, choice) = (Box::new(picked.blend(widest, others)), Some(choice));
        Ok((Box::new(CalibratedEstimator { inner, factors, choice }), held_out))
    }
}

/// Some parts and their weights.
#[derive(Debug)]
struct Picked {
    /// Ascending.
    on: Vec<usize>,
    /// For scores, for costs; one for each part there is.
    weights: [Vec<f64>; 2],
    /// (2) of these weights.
    losses: [f64; 2],
    /// (2) of each part alone.
    alone: [Vec<f64>; 2],
}

impl Picked {
    fn new(losses: &Losses) -> Self {
        let supports: Vec<[Support; 2]> = losses.supports();
        let least = [0, 1].map(|target| {
            supports.iter().map(|support| support[target].loss).fold(f64::INFINITY, f64::min)
        });
        let fits = |support: &&[Support; 2]| {
            // What is left of nothing is rounding.
            let limit = |target: usize| least[target] + TOLERANCE * least[target].abs() + 1e-12;
            [0, 1].iter().all(|&target| support[target].loss <= limit(target))
        };
        let total = |support: &[Support; 2]| support[0].loss + support[1].loss;
        let best = supports
            .iter()
            .filter(fits)
            .min_by(|a, b| {
                let sizes = a[0].on.len().cmp(&b[0].on.len());
                sizes.then(total(a).total_cmp(&total(b)))
            })
            .expect("all parts together are among the choices, and have the least losses");
        Self {
            on: best[0].on.clone(),
            weights: best.each_ref().map(|support| support.weights.clone()),
            losses: best.each_ref().map(|support| support.loss),
            alone: losses.alone(),
        }
    }

    /// The parts that were picked; neighbors, if there are any among them, are one part,
    /// since they are found once.
    fn blend(&self, widest: KnnEstimator, others: Vec<Box<dyn Estimator>>) -> BlendEstimator {
        let (mut parts, mut weights): (Vec<Box<dyn Estimator>>, _) = (Vec::new(), [vec![], vec![]]);
        let near: Vec<usize> = self.on.iter().copied().filter(|&p| p < NEIGHBORS.len()).collect();
        if !near.is_empty() {
            let ks: Vec<usize> = near.iter().map(|&part| NEIGHBORS[part]).collect();
            let each = self.weights.each_ref().map(|all| {
                let own: Vec<f64> = near.iter().map(|&part| all[part]).collect();
                let sum: f64 = own.iter().sum();
                (sum, own)
            });
            let within = each.each_ref().map(|(sum, own)| {
                // Of what does not count at all any shares will do.
                let share = |w: &f64| if *sum > 0.0 { w / sum } else { 1.0 / own.len() as f64 };
                own.iter().map(share).collect()
            });
            parts.push(Box::new(Several::new(widest, &ks, &within)));
            weights.iter_mut().zip(&each).for_each(|(weights, (sum, _))| weights.push(*sum));
        }
        for (at, other) in others.into_iter().enumerate() {
            let part = NEIGHBORS.len() + at;
            if self.on.contains(&part) {
                parts.push(other);
                weights.iter_mut().zip(&self.weights).for_each(|(to, all)| to.push(all[part]));
            }
        }
        BlendEstimator::new(parts, weights)
    }

    /// What was picked, and what it leaves unexplained; beside it the best part alone.
    fn describe(&self, names: &[String]) -> String {
        let target = |what: &str, target: usize| {
            let weight = |&part: &usize| {
                let weight = self.weights[target][part];
                (weight > 0.0).then(|| format!("{weight:.2}*{}", names[part]))
            };
            let blend: Vec<String> = self.on.iter().filter_map(weight).collect();
            let alone = &self.alone[target];
            let best = (0..names.len())
                .min_by(|&a, &b| alone[a].total_cmp(&alone[b]))
                .expect("there are parts");
            format!(
                "{what} by {}, which held out leaves {:.3} of their variance (alone at best {:.3}, {})",
                blend.join(" + "),
                self.losses[target],
                alone[best],
                names[best],
            )
        };
        format!("{}; {}", target("scores", 0), target("costs", 1))
    }
}

#[cfg(test)]
#[path = "auto/tests.rs"]
mod tests;
