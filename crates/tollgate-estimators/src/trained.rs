//! Trained heads on the embedding: logistic regression for scores, linear for log costs.
//!
//! # Problem
//!
//! With `z_r` the centered direction of prompt `r` and `V` the axes along which prompts
//! vary (as in [`Ridge`](crate::Ridge)), `p_r = V' z_r`, and `y_ri` the label of model
//! `i`, each model has two heads, each learned from the `n` prompts that it is labelled on:
//!
//! ```text
//! (a, b) = argmin  sum_r loss(a + b . p_r, y_ri) + l/2 |b|^2                     (1)
//! f(x) = a + b . p(x)                                                            (2)
//! var f(x) = h(x) / s,   h(x) = 1/n + p(x)' (L + l/s I)^-1 p(x)                  (3)
//! ```
//!
//! `L` is the diagonal `sum_r p_r p_r'` and `s` the mean curvature of the loss.
//!
//! * **Scores**: `loss(f, y) = log(1 + e^f) - y f`, the cross-entropy, for labels anywhere
//!   in `[0, 1]`; the estimate is `q = 1 / (1 + e^-f)`, and by the delta method its
//!   standard error `q (1 - q) sqrt(var f)`. (3) is Laplace's approximation, the
//!   curvature taken at its mean over the prompts. For scores between 0 and 1 it errs on
//!   the safe side: no label spreads more than a coin. One label 1/2 is added at the
//!   center, so that labels that are all the same do not give certainty.
//! * **Costs**: `loss(f, y) = (f - y)^2 / 2` on `y = log c`; the estimate is
//!   `c = g exp(f)` with the smearing factor `g = mean_r exp(y_r - f_(-r))`, since the
//!   mean is wanted and not the median, and its standard error `c sqrt(v h)`, where
//!   `v` is the variance of `y_r - f_(-r)`, one deviation of a factor of two added. A
//!   model with a free answer has no logarithms: its costs are learned as they are.
//!
//! Standard errors are cut to the spread of the model's labels, log costs to within a
//! factor of two of those seen, other costs to no less than half the lowest.
//!
//! # Method
//!
//! (1) by L-BFGS with the line search of Moré and Thuente, in coordinates scaled by
//! `sqrt(s L + l)`, where the curvature is near the identity: ten or twenty iterations of
//! `O(n d)`. One eigendecomposition serves all models that are labelled on the same
//! prompts, `O(n d^2 + d^3)`; heads are fitted in parallel. A query costs `O(d^2)`.
//!
//! The penalty `l` is `s L / d` (curvature at the mean label, mean of `L`) times one of
//! 0.1, 0.32, 1, ..., 1000: the one with the least loss on every fifth label of heads
//! taught by the others, relative to that of their mean, summed over models; one for
//! scores and one for costs.
//!
//! [`held_out`](Fit::held_out) is leave-one-out by one Newton step from the fitted head,
//!
//! ```text
//! f_(-r) = f(x_r) - (y_r - E[y | f(x_r)]) h(x_r) / (s (1 - h(x_r)))              (4)
//! ```
//!
//! exact for costs, and for scores up to the change of curvature. The penalty, the noise
//! and the smearing factor are those of all prompts. Where a prompt carries a model's only
//! label, what is given is that of [`Knn`](crate::Knn).
//!
//! # Departures from the paper
//!
//! The `Roberta-Perf` and `Roberta-Cost` of the PORT paper fine-tune a text encoder for
//! each stream. tollgate is given embeddings and no text, so only the heads are trained,
//! and the encoder is whatever made the embeddings. Expect less of them.
//!
//! # References
//!
//! Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989,
//! doi:10.1007/BF01589116. Moré and Thuente, "Line search algorithms with guaranteed
//! sufficient decrease", 1994, doi:10.1145/192115.192132. Rad and Maleki, "A scalable
//! estimate of the out-of-sample prediction error via approximate leave-one-out
//! cross-validation", 2020, doi:10.1111/rssb.12374: (4). Duan, "Smearing estimate: a
//! nonparametric retransformation method", 1983, doi:10.1080/01621459.1983.10478017.

mod axes;
mod head;
mod minimize;
mod training;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    BoxError, EstimateError, EstimateTable, EstimatesMut, Estimator, Fit, FitError, History,
    Models, ParamError, Queries, Query, Scratch, Seed,
};

use self::axes::{Spectrum, rest};
use self::head::Head;
use self::minimize::Loss;
use self::training::Training;
use crate::blocks;
use crate::index::check_grown;
use crate::labels::{Lowest, check_models};
use crate::log_costs::LogCosts;
use crate::vector::{check_queries, checked_norm};

/// A cost is not predicted below this share of the lowest one seen.
const COST_FLOOR: f64 = 0.5;

/// Queries a block.
const QUERY_BLOCK: usize = 32;

/// Knobs of [`Trained`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainedConfig {
    /// The penalty, in units of the mean curvature, for scores and costs alike, `> 0`.
    /// Default: none given, chosen on labels that are kept out, one for each.
    pub penalty: Option<f64>,
}

impl TrainedConfig {
    /// Sets the penalty.
    #[must_use]
    pub fn penalty(mut self, penalty: f64) -> Self {
        self.penalty = Some(penalty);
        self
    }

    /// The recipe.
    ///
    /// # Errors
    /// [`ParamError`] when the penalty is not finite and `> 0`.
    pub fn build(self) -> Result<Trained, ParamError> {
        let Self { penalty } = self;
        match penalty {
            Some(got) if !(got > 0.0 && got.is_finite()) => {
                Err(ParamError { field: "penalty", rule: "finite and > 0", got })
            }
            _ => Ok(Trained { penalty }),
        }
    }
}

/// The recipe of [`TrainedEstimator`]. The default chooses its penalties on labels that are
/// kept out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trained {
    penalty: Option<f64>,
}

impl Trained {
    /// As [`fit`](Fit::fit), with the concrete type.
    ///
    /// # Errors
    /// [`FitError`]: a prompt whose embedding has no direction, or an eigendecomposition
    /// or a descent that did not converge.
    pub fn fit_trained(&self, history: &History) -> Result<TrainedEstimator, FitError> {
        Ok(self.train(history)?.0)
    }

    fn train(&self, history: &History) -> Result<(TrainedEstimator, Training), FitError> {
        let penalties = self.penalty.map(|penalty| [penalty; 2]);
        let training = Training::new(history)?;
        let estimator = training.finish(penalties).map_err(other)?;
        Ok((estimator, training))
    }
}

impl Fit for Trained {
    fn name(&self) -> String {
        match self.penalty {
            None => "trained".to_owned(),
            Some(penalty) => format!("trained(penalty={penalty})"),
        }
    }

    fn fit(&self, history: &History, _seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
        Ok(Box::new(self.fit_trained(history)?))
    }

    fn held_out(&self, history: &History, _seed: Seed) -> Result<EstimateTable, FitError> {
        let (estimator, training) = self.train(history)?;
        Ok(estimator.held_out(history, &training))
    }

    fn fit_and_hold_out(
        &self,
        history: &History,
        _seed: Seed,
    ) -> Result<(Box<dyn Estimator>, EstimateTable), FitError> {
        let (estimator, training) = self.train(history)?;
        let held_out = estimator.held_out(history, &training);
        Ok((Box::new(estimator), held_out))
    }
}

fn other(source: BoxError) -> FitError {
    FitError::Other { recipe: "trained".to_owned(), source }
}

/// Predicts by two heads for each model.
#[derive(Debug)]
pub struct TrainedEstimator {
    models: Models,
    dim: usize,
    n_rows: usize,
    /// For scores and for costs.
    penalties: [f64; 2],
    lowest: Lowest,
    limits: Limits,
    sets: Vec<Set>,
}

/// Variances of labels, which standard errors do not pass, and the range of costs.
#[derive(Debug)]
struct Limits {
    quality: Vec<f64>,
    cost: Vec<f64>,
    log_costs: LogCosts,
}

/// The models that are labelled on the same prompts.
#[derive(Debug)]
struct Set {
    spectrum: Spectrum,
    /// Model indices, ascending.
    members: Vec<usize>,
    /// One for each member.
    heads: Vec<ModelHeads>,
}

#[derive(Debug)]
struct ModelHeads {
    scores: Head,
    costs: CostHead,
}

#[derive(Debug)]
struct CostHead {
    head: Head,
    /// The variance of a label around its prediction.
    noise: f64,
    unit: Unit,
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    /// The head predicts logarithms; `smear` turns their `exp` into a mean.
    Log { smear: f64 },
    /// The head predicts costs in units of `scale` USD.
    Usd { scale: f64 },
}

/// A prediction and its variance, equations (2) and (3).
type Predicted = (f64, f64);

impl TrainedEstimator {
    fn blocks(
        &self,
        queries: Queries<'_>,
        out: &mut EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        let n_models = self.models.len();
        blocks::for_each(queries, QUERY_BLOCK, out, |_, queries, scratch, mut out| {
            (0..queries.len()).try_for_each(|index| {
                let row = out.rows(n_models, index, index + 1);
                self.estimate_into(queries.query(index), scratch, row)
            })
        })
    }

    fn held_out(&self, history: &History, training: &Training) -> EstimateTable {
        let mut table = EstimateTable::zeros(history.len(), self.models.len());
        table.fill(|mut out| {
            if history.has_gaps() {
                // What a model is not labelled on, it has not learned from.
                self.blocks(history.queries(), &mut out).expect("the fit has checked them");
            }
            for (number, set) in self.sets.iter().enumerate() {
                for (heads, &model) in set.heads.iter().zip(&set.members) {
                    self.leave_one_out(training, (number, model), heads, &mut out);
                }
            }
        });
        table
    }

    /// Equation (4) for every prompt that a model is labelled on.
    fn leave_one_out(
        &self,
        training: &Training,
        (set, model): (usize, usize),
        heads: &ModelHeads,
        out: &mut EstimatesMut<'_>,
    ) {
        let n_models = self.models.len();
        let rows = training.sets[set].0.rows();
        if let &[row] = rows {
            let cell = row * n_models + model;
            (out.quality[cell], out.quality_se[cell]) = (0.5, 0.5);
            (out.cost[cell], out.cost_se[cell]) =
                (training.labels.cost[cell], training.labels.cost[cell]);
            return;
        }
        let scores = heads.scores.leave_one_out(&training.scores((set, model)));
        let costs = heads.costs.head.leave_one_out(&training.costs((set, model)));
        for ((&row, score), cost) in rows.iter().zip(scores).zip(costs) {
            let cell = row * n_models + model;
            let lowest = self.lowest.without(model, training.labels.cost[cell]);
            self.write(model, &heads.costs, (score, cost), lowest, cell, out);
        }
    }

    /// From predictions of the heads to estimates.
    fn write(
        &self,
        model: usize,
        costs: &CostHead,
        (score, cost): (Predicted, Predicted),
        lowest: f64,
        cell: usize,
        out: &mut EstimatesMut<'_>,
    ) {
        let limits = &self.limits;
        let quality = Loss::Logistic.mean(score.0);
        let se = Loss::Logistic.curvature(quality) * score.1.sqrt();
        out.quality[cell] = quality;
        out.quality_se[cell] = se.min(limits.quality[model].sqrt());
        let variance = cost.1 * costs.noise;
        (out.cost[cell], out.cost_se[cell]) = match costs.unit {
            Unit::Log { smear } => {
                let logs = &limits.log_costs;
                let usd = smear * logs.within_range(model, cost.0).exp();
                (usd, usd * variance.min(logs.variance[model]).sqrt())
            }
            Unit::Usd { scale } => {
                let usd = (scale * cost.0).max(COST_FLOOR * lowest);
                (usd, (scale * variance.sqrt()).min(limits.cost[model].sqrt()))
            }
        };
    }
}

impl Estimator for TrainedEstimator {
    fn models(&self) -> &Models {
        &self.models
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError> {
        check_models(&self.models, history)?;
        check_grown(history, self.n_rows, self.dim)?;
        let training = Training::new(history)?;
        Ok(Box::new(training.finish(Some(self.penalties)).map_err(other)?))
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        let embedding = query.embedding;
        let inverse_norm = 1.0 / checked_norm(embedding, self.dim)?;
        for Set { spectrum, members, heads } in &self.sets {
            scratch.floats.resize(self.dim + spectrum.rank(), 0.0);
            let (centered, projected) = scratch.floats.split_at_mut(self.dim);
            spectrum.center(embedding, inverse_norm, centered);
            spectrum.project(centered, projected);
            let rest = rest(centered, projected);
            for (heads, &model) in heads.iter().zip(members) {
                let score = heads.scores.predict(spectrum, projected, rest);
                let cost = heads.costs.head.predict(spectrum, projected, rest);
                let lowest = self.lowest.without(model, f64::NAN);
                self.write(model, &heads.costs, (score, cost), lowest, model, &mut out);
            }
        }
        Ok(())
    }

    fn estimate_batch(
        &self,
        queries: Queries<'_>,
        _scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        check_queries(queries, self.dim)?;
        self.blocks(queries, &mut out)
    }
}

#[cfg(test)]
#[path = "trained/tests.rs"]
mod tests;
