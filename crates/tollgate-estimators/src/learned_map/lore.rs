//! A map of prompts, and what models are on it.

use tollgate_core::{EstimatesMut, FitError, History, Prior, Scratch, Seed};

use super::training::{Lesson, Map, Start};
use crate::clusters::{Clustering, Means};
use crate::exp::exp;
use crate::pool::{Answers, Lanes, Lore, anonymous};
use crate::vector::dot_each;

/// Shares below this over the number of clusters are left out.
const SMALL: f64 = 1e-6;

/// What is not to be chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    /// `l`; infinite for a map that is not trained.
    pub(super) penalty: Option<f64>,
    /// `t` times the mean squared distance to the nearest center.
    pub(super) sharpness: Option<f64>,
}

/// What was learned of prompts.
#[derive(Clone, Debug)]
pub(crate) struct MapLore {
    clustering: Clustering,
    map: Map,
    given: Given,
    choice: Option<String>,
}

impl MapLore {
    pub(super) fn clustering(&self) -> &Clustering {
        &self.clustering
    }

    /// What was chosen, so that it need not be again.
    pub(super) fn given(&self) -> Given {
        self.given
    }

    pub(super) fn learn(
        history: &History,
        clustering: Clustering,
        given: Given,
        seed: Seed,
    ) -> Result<Self, FitError> {
        let other = |source| FitError::Other { recipe: "learned-map".to_owned(), source };
        let history = anonymous(history);
        let lesson = Lesson::new(&history, &clustering, seed).map_err(other)?;
        let sharpness = match given.sharpness {
            Some(sharpness) => sharpness,
            None => lesson.choose_sharpness(),
        };
        let start = Start::new(&lesson, sharpness);
        let penalty = match given.penalty {
            Some(penalty) => penalty,
            None => lesson.choose_penalty(start).map_err(other)?,
        };
        let map = lesson.train(start, penalty).map_err(other)?;
        let chosen = given.penalty.is_none() || given.sharpness.is_none();
        let choice = chosen.then(|| {
            let trained = if penalty.is_finite() {
                format!("trained with a penalty of {penalty:e}")
            } else {
                "not trained, for want of a lesser loss".to_owned()
            };
            let clusters = clustering.choice().map(|choice| format!("{choice}; "));
            format!("{}a map {sharpness} sharp, {trained}", clusters.unwrap_or_default())
        });
        let given = Given { penalty: Some(penalty), sharpness: Some(sharpness) };
        Ok(Self { clustering, map, given, choice })
    }
}

impl Lore for MapLore {
    type Known = Means;
    type Tables = Tables;

    fn know(&self, answers: &Answers, prior: Prior) -> Means {
        self.clustering.know(answers, prior)
    }

    fn tabulate(&self, known: &[&Means]) -> Tables {
        let n_models = known.len();
        let lanes = Lanes::new(self.map.len(), 4 * n_models, |cluster, lane| {
            let means = known[lane % n_models];
            match lane / n_models {
                0 => means.quality[cluster].0,
                1 => means.quality[cluster].1,
                2 => means.cost[cluster].0,
                _ => means.cost[cluster].1,
            }
        });
        Tables { n_models, lanes }
    }

    fn estimate(
        &self,
        tables: &Tables,
        direction: &[f32],
        scratch: &mut Scratch,
        out: &mut EstimatesMut<'_>,
    ) {
        let width = tables.lanes.width();
        scratch.floats.resize((self.map.len() + width).div_ceil(2), 0.0);
        let floats: &mut [f32] = bytemuck::cast_slice_mut(&mut scratch.floats);
        let (shares, sums) = floats.split_at_mut(self.map.len());
        let sums = &mut sums[..width];
        self.map.shares_into(direction, shares);
        tables.lanes.sum(shares, sums);
        let mut columns = sums.chunks_exact(tables.n_models);
        for out in [&mut *out.quality, out.quality_se, out.cost, out.cost_se] {
            let sums = columns.next().expect("there are four columns");
            out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = f64::from(sum));
        }
    }

    fn grow(&self, history: &History) -> Result<Self, FitError> {
        let (map, choice) = (self.map.clone(), self.choice.clone());
        Ok(Self { clustering: self.clustering.grow(history)?, map, given: self.given, choice })
    }

    fn worth_labelling(&self) -> &[usize] {
        self.clustering.worth_labelling()
    }

    fn choice(&self) -> Option<&str> {
        self.choice.as_deref()
    }
}

/// All models, one lane for each and each of the four columns.
#[derive(Debug)]
pub(crate) struct Tables {
    n_models: usize,
    lanes: Lanes,
}

impl Map {
    /// Overwrites `shares`, of shape `(len,)`, with `Phi`, small ones left out.
    #[expect(clippy::cast_possible_truncation, reason = "shares are f32")]
    pub(super) fn shares_into(&self, direction: &[f32], shares: &mut [f32]) {
        dot_each(&self.weights, direction, shares);
        let mut highest = f32::NEG_INFINITY;
        for (score, bias) in shares.iter_mut().zip(&self.biases) {
            *score += bias;
            highest = highest.max(*score);
        }
        let small = SMALL / self.len() as f64;
        let mut total = 0.0;
        for share in &mut *shares {
            let value = exp(f64::from(*share - highest));
            // Of the largest, which is 1, and so no more of the whole.
            let value = if value < small { 0.0 } else { value };
            total += value;
            *share = value as f32;
        }
        for share in shares {
            *share = (f64::from(*share) / total) as f32;
        }
    }
}
