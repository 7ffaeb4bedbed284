//! Ratings of models, global and near the prompt: nothing is trained.
//!
//! # Problem
//!
//! A prompt on which two models are labelled is a game between them: the higher score has
//! won, equal scores are a draw. With ratings `R_i`, the win that is expected of `i`
//! against `k`, and what a prompt on which `m` models are labelled moves them by:
//!
//! ```text
//! E_ik = 1 / (1 + 10^((R_k - R_i) / 400))                                        (1)
//! R_i += K / (m - 1) sum_k (s_ik - E_ik),   s_ik = 1, 1/2 or 0                   (2)
//! ```
//!
//! Everybody starts at 1500. The global rating `G_i` is the mean of `R_i` after each prompt
//! of the history; the local one, `L_i(x)`, is where (2) ends on the `N` prompts nearest to
//! `x`, the nearest last. What is ranked by is
//!
//! ```text
//! S_i(x) = P G_i + (1 - P) L_i(x)                                                (3)
//! ```
//!
//! in points on both sides, and what is estimated, so that scores can be weighed against
//! costs,
//!
//! ```text
//! q_i(x) = 1 / (1 + exp(-(a + b u_i(x)))),   u_i = (S_i(x) - 1500) ln 10 / 400   (4)
//! ```
//!
//! with `a` and `b > 0` the same for all models, so that models are ordered as by (3).
//!
//! # Method
//!
//! The global ratings take one pass over the history, and growing goes on with it where it
//! ended: `O(M^2)` for each new prompt. A query costs what the index costs, and `O(N M^2)`.
//!
//! `a` and `b` are those of the logistic regression of all labels on the held-out `u`, with
//! normal priors around 0 and 1 (the slope at which (4) is (1) against a model of 1500), so
//! that equal labels or equal ratings leave them finite; `b` is kept above 1/100. Newton's
//! method.
//!
//! [`held_out`](Fit::held_out) leaves a prompt out of its own neighbors, and takes global
//! ratings from the nine tenths of the history that it is not in (every tenth prompt is in
//! the same part; of ten prompts or less each is a part). The two numbers `a` and `b` are
//! those of all labels.
//!
//! Costs are the means of the same neighbors, with the standard errors of nearest neighbors
//! (equation (2) of [`Knn`](crate::Knn)); a model that is labelled on none of them has the
//! mean of all of its costs, and the spread of one. The standard error of a score has two
//! parts: the sum of the squares of the local moves (2), which is the variance of where they
//! end, through (4); and by how much (4) is off for this model on average over the history,
//! since it knows nothing but the rating. One factor for scores and one for costs makes
//! them right over bins of held-out prompts, as in [`Auto`](crate::Auto).
//!
//! # Departures from the paper
//!
//! * All pairs of one prompt are played at once, with one game's worth of points among them:
//!   in the order of the pairs it would matter which model comes first, and `M (M - 1) / 2`
//!   games at `K = 32` in a row would forget all earlier prompts.
//! * The global rating is a mean over the history. A rating by (2) remembers some thirty
//!   prompts, and the last of the history are no better than the others.
//! * Both parts of (3) are points. An implementation that is passed around adds ratings
//!   around 1500 to accuracies within `[0, 1]`, and so ranks by the global part alone.
//! * (4). The paper ranks within a budget, and needs no more than (3). A rating says who is
//!   better, not how hard a prompt is, so (4) is coarse: as hard as the average prompt of
//!   the history.
//!
//! # References
//!
//! Zhao, Jin and Mao, "Eagle: efficient training-free router for multi-LLM inference", 2024,
//! arXiv:2409.15518. Elo, "The rating of chessplayers, past and present", 1978: (1), (2).
//! Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992,
//! doi:10.1137/0330046: the mean. Platt, "Probabilistic outputs for support vector machines",
//! 1999: (4).

mod logistic;
mod ratings;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    EstimateError, EstimateTable, EstimatesMut, Estimator, Fit, FitError, History, Models,
    ParamError, Queries, Query, Scratch, Seed,
};

use self::logistic::Logistic;
use self::ratings::{Play, Ratings, START};
use crate::index::{Index, IndexKind, RowSets};
use crate::labels::{Labels, check_models};
use crate::vector::check_queries;
use crate::{blocks, calibration};

/// Queries a block, at most: what the matrix products of the scan are fastest with.
const QUERY_BLOCK: usize = 256;

/// Parts of the history that global ratings are held out of.
const PARTS: usize = 10;

/// Knobs of [`Eagle`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EagleConfig {
    /// `N`, prompts that local ratings are played on, `>= 1`. Default 20.
    pub neighbors: usize,
    /// `P`, the share of the global rating, in `[0, 1]`. Default 1/2.
    pub global: f64,
    /// `K`, points a game, in `(0, 400]`. Default 32.
    pub points: f64,
    /// What finds the neighbors. Default [`IndexKind::Scan`].
    pub index: IndexKind,
}

impl Default for EagleConfig {
    fn default() -> Self {
        Self { neighbors: 20, global: 0.5, points: 32.0, index: IndexKind::Scan }
    }
}

impl EagleConfig {
    /// The recipe.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self) -> Result<Eagle, ParamError> {
        let Self { neighbors, global, points, index } = self;
        if neighbors == 0 {
            return Err(ParamError { field: "neighbors", rule: ">= 1", got: 0.0 });
        }
        if !(0.0..=1.0).contains(&global) {
            return Err(ParamError { field: "global", rule: "in [0, 1]", got: global });
        }
        if !(points > 0.0 && points <= 400.0) {
            return Err(ParamError { field: "points", rule: "in (0, 400]", got: points });
        }
        Ok(Eagle { neighbors, global, points, index })
    }
}

/// The recipe of ratings.
#[derive(Clone, Debug, PartialEq)]
pub struct Eagle {
    neighbors: usize,
    global: f64,
    points: f64,
    index: IndexKind,
}

impl Default for Eagle {
    fn default() -> Self {
        EagleConfig::default().build().expect("the defaults are in range")
    }
}

impl Eagle {
    fn both(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(EagleEstimator, EstimateTable), FitError> {
        let labels = Labels::new(history);
        let n_models = labels.models.len();
        let mut estimator = EagleEstimator {
            index: self.index.build(history, seed)?,
            played: played(&labels),
            global: Ratings::new(n_models),
            labels,
            recipe: self.clone(),
            map: Logistic::PRIOR,
            misfit: vec![0.0; n_models],
            factors: [1.0; 2],
        };
        estimator.global = estimator.rate(|_| true);
        let mut held_out = estimator.raw_held_out(history);
        let points = held_out.view().quality;
        estimator.map = Logistic::fit(points, &estimator.labels.quality);
        estimator.misfit = estimator.map.misfit(points, &estimator.labels.quality, n_models);
        held_out.fill(|mut out| estimator.finish(&mut out));
        estimator.factors = calibration::factors(&held_out, history);
        held_out.fill(|mut out| estimator.scale(&mut out));
        Ok((estimator, held_out))
    }
}

/// The prompts that are a game: all, where none is.
fn played(labels: &Labels) -> RowSets {
    let rows = labels.quality.chunks_exact(labels.models.len());
    let games: Box<[bool]> =
        rows.map(|row| row.iter().filter(|score| !score.is_nan()).count() > 1).collect();
    if games.contains(&true) { RowSets::new(vec![games]) } else { RowSets::all() }
}

impl Fit for Eagle {
    fn name(&self) -> String {
        let Self { neighbors, global, points, index } = self;
        let standard = Self::default();
        let differ = |a: &f64, b: &f64| a.to_bits() != b.to_bits();
        let changed = [
            (*neighbors != standard.neighbors).then(|| format!("neighbors={neighbors}")),
            differ(global, &standard.global).then(|| format!("global={global}")),
            differ(points, &standard.points).then(|| format!("points={points}")),
            (*index != standard.index).then(|| format!("index={index}")),
        ];
        let changed: Vec<String> = changed.into_iter().flatten().collect();
        if changed.is_empty() {
            "eagle".to_owned()
        } else {
            format!("eagle({})", changed.join(","))
        }
    }

    crate::fitting::fit_through!(both);
}

/// Global ratings, and what it takes for local ones.
#[derive(Debug)]
struct EagleEstimator {
    index: Box<dyn Index>,
    /// The prompts that are searched: those that are a game.
    played: RowSets,
    labels: Labels,
    recipe: Eagle,
    global: Ratings,
    map: Logistic,
    /// The mean error of (4) for each model, `>= 0`.
    misfit: Vec<f64>,
    /// Of the standard errors of scores and of costs.
    factors: [f64; 2],
}

impl EagleEstimator {
    fn n_models(&self) -> usize {
        self.labels.models.len()
    }

    fn scores(&self, row: usize) -> &[f64] {
        &self.labels.quality[row * self.n_models()..(row + 1) * self.n_models()]
    }

    /// Ratings after all prompts that are among the wanted.
    fn rate(&self, wanted: impl Fn(usize) -> bool) -> Ratings {
        let mut ratings = Ratings::new(self.n_models());
        for row in (0..self.labels.n_rows).filter(|&row| wanted(row)) {
            ratings.play(self.scores(row), self.recipe.points);
        }
        ratings
    }

    /// (3) in place of a score, the variance of its local part in place of the standard
    /// error, and costs, for every prompt of the history without itself.
    fn raw_held_out(&self, history: &History) -> EstimateTable {
        let parts = PARTS.min(history.len());
        let part: Vec<Ratings> =
            (0..parts).map(|part| self.rate(|row| row % parts != part)).collect();
        let mut table = EstimateTable::zeros(history.len(), self.n_models());
        table
            .fill(|mut out| {
                self.blocks(history.queries(), true, &mut out, |row, neighbors, out| {
                    self.raw(&part[row % parts], Some(row), neighbors, out);
                })
            })
            .expect("the fit has checked every embedding");
        table
    }

    /// Calls `write` for every query, with its number and its neighbors, on all threads.
    /// With `exclude_self`, query `j` is row `j` of the history and is left out.
    fn blocks(
        &self,
        queries: Queries<'_>,
        exclude_self: bool,
        out: &mut EstimatesMut<'_>,
        write: impl Fn(usize, &[(f64, u32)], &mut EstimatesMut<'_>) + Sync,
    ) -> Result<(), EstimateError> {
        let width = self.n_models();
        let size = queries.len().div_ceil(rayon::current_num_threads()).clamp(1, QUERY_BLOCK);
        blocks::for_each(queries, size, out, |first, queries, scratch, mut out| {
            let exclude_from = exclude_self
                .then(|| u32::try_from(first).expect("an index refuses more rows than that"));
            let n = self.recipe.neighbors;
            self.index.nearest_block(queries, n, &self.played, exclude_from, scratch)?;
            for index in 0..queries.len() {
                let neighbors = &scratch.child(index).child(0).scored;
                write(first + index, neighbors, &mut out.rows(width, index, index + 1));
            }
            Ok(())
        })
    }

    /// (3) and its variance, and costs, of one query.
    fn raw(
        &self,
        global: &Ratings,
        own: Option<usize>,
        neighbors: &[(f64, u32)],
        out: &mut EstimatesMut<'_>,
    ) {
        let (ratings, moved) = (&mut *out.quality, &mut *out.quality_se);
        ratings.fill(START);
        moved.fill(0.0);
        let mut play = Play { ratings, moved };
        // Lent for what (2) needs, before there are costs in them.
        let (powers, moves) = (&mut *out.cost, &mut *out.cost_se);
        for &(_, row) in neighbors.iter().rev() {
            play.round(self.scores(row as usize), self.recipe.points, powers, moves);
        }
        let share = self.recipe.global;
        for model in 0..self.n_models() {
            let local = out.quality[model];
            out.quality[model] = share * global.mean(model) + (1.0 - share) * local;
            out.quality_se[model] *= (1.0 - share) * (1.0 - share);
            (out.cost[model], out.cost_se[model]) = self.cost(model, own, neighbors);
        }
    }

    /// The mean cost of the neighbors that the model is labelled on, and its standard error.
    fn cost(&self, model: usize, own: Option<usize>, neighbors: &[(f64, u32)]) -> (f64, f64) {
        let labels = &self.labels;
        let label = |row: usize| labels.cost[row * self.n_models() + model];
        let near = || neighbors.iter().map(|&(_, row)| label(row as usize));
        let near = || near().filter(|cost| !cost.is_nan());
        let (sum, m) = near().fold((0.0, 0.0), |(sum, m), cost| (sum + cost, m + 1.0));
        let variance = labels.cost_variance[model];
        if m > 0.0 {
            let mean = sum / m;
            let spread = near().map(|cost| (cost - mean).powi(2)).sum::<f64>() / m;
            return (mean, ((spread + variance / m) / m).sqrt());
        }
        let own = own.map_or(f64::NAN, label);
        let mean = labels.cost_means.without(model, own);
        // Without any other label its own is all that tells of the scale.
        if mean.is_nan() { (own, own) } else { (mean.max(0.0), variance.sqrt()) }
    }

    /// From points to scores, by (4), and to their standard errors.
    fn finish(&self, out: &mut EstimatesMut<'_>) {
        let cells = out.quality.iter_mut().zip(&mut *out.quality_se);
        for ((quality, se), misfit) in cells.zip(self.misfit.iter().cycle()) {
            let (score, slope) = self.map.at(*quality);
            *quality = score;
            *se = (slope * slope * *se + misfit * misfit).sqrt();
        }
    }

    fn scale(&self, out: &mut EstimatesMut<'_>) {
        let [quality, cost] = self.factors;
        out.quality_se.iter_mut().for_each(|se| *se *= quality);
        out.cost_se.iter_mut().for_each(|se| *se *= cost);
    }

    fn estimate(&self, neighbors: &[(f64, u32)], out: &mut EstimatesMut<'_>) {
        self.raw(&self.global, None, neighbors, out);
        self.finish(out);
        self.scale(out);
    }
}

impl Estimator for EagleEstimator {
    fn models(&self) -> &Models {
        &self.labels.models
    }

    fn dim(&self) -> usize {
        self.index.dim()
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError> {
        check_models(&self.labels.models, history)?;
        let index = self.index.grow(history)?;
        let labels = Labels::new(history);
        let mut grown = Self {
            index,
            played: played(&labels),
            recipe: self.recipe.clone(),
            global: self.global.clone(),
            map: self.map,
            misfit: self.misfit.clone(),
            factors: self.factors,
            labels,
        };
        for row in self.labels.n_rows..grown.labels.n_rows {
            let points = grown.recipe.points;
            let scores = grown.scores(row).to_vec();
            grown.global.play(&scores, points);
        }
        Ok(Box::new(grown))
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        self.index.nearest_into(query, self.recipe.neighbors, &self.played, None, scratch)?;
        self.estimate(&scratch.child(0).scored, &mut out);
        Ok(())
    }

    fn estimate_batch(
        &self,
        queries: Queries<'_>,
        _scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        check_queries(queries, self.dim())?;
        self.blocks(queries, false, &mut out, |_, neighbors, out| self.estimate(neighbors, out))
    }
}

#[cfg(test)]
#[path = "eagle/tests.rs"]
mod tests;
