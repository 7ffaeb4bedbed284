//! From a history to heads: what each learns from, and which penalties are best.

use rayon::prelude::*;
use tollgate_core::{BoxError, FitError, History};

use super::axes::{Directions, Spectrum};
use super::head::{GRID, Head, Task};
use super::minimize::Loss;
use super::{CostHead, Limits, ModelHeads, Set, TrainedEstimator, Unit, other};
use crate::labels::{Labels, Lowest, shrunk};
use crate::log_costs::{LOG_PRIOR, LogCosts};

/// What heads are learned from.
pub(super) struct Training {
    pub(super) labels: Labels,
    log_costs: LogCosts,
    dim: usize,
    /// For each set of rows, its axes and the projections of its prompts.
    pub(super) sets: Vec<(Spectrum, Vec<f64>)>,
}

impl Training {
    pub(super) fn new(history: &History) -> Result<Self, FitError> {
        let labels = Labels::new(history);
        let directions = Directions::new(history)?;
        let sets = (0..labels.members.len())
            .map(|set| {
                let rows = (0..labels.n_rows).filter(|&row| labels.sets.contains(set, row));
                let spectrum = Spectrum::new(&directions, rows.collect()).map_err(other)?;
                let projected = spectrum.project_rows(&directions);
                Ok((spectrum, projected))
            })
            .collect::<Result<_, FitError>>()?;
        Ok(Self { log_costs: LogCosts::new(&labels), dim: history.dim(), labels, sets })
    }

    /// Every model with its set.
    fn models(&self) -> Vec<(usize, usize)> {
        let members = self.labels.members.iter().enumerate();
        members.flat_map(|(set, members)| members.iter().map(move |&model| (set, model))).collect()
    }

    fn task(&self, set: usize, table: &[f64], scale: f64, model: usize, loss: Loss) -> Task<'_> {
        let n_models = self.labels.models.len();
        let (spectrum, projected) = &self.sets[set];
        let label = |&row: &usize| table[row * n_models + model] * scale;
        Task { spectrum, projected, labels: spectrum.rows().iter().map(label).collect(), loss }
    }

    pub(super) fn scores(&self, (set, model): (usize, usize)) -> Task<'_> {
        self.task(set, &self.labels.quality, 1.0, model, Loss::Logistic)
    }

    /// Log costs; or costs in units of their mean, where a model was free once.
    pub(super) fn costs(&self, (set, model): (usize, usize)) -> Task<'_> {
        if !self.log_costs.was_free(model) {
            return self.task(set, &self.log_costs.table, 1.0, model, Loss::Squared);
        }
        let mean = self.labels.cost_means.mean(model);
        let scale = if mean > 0.0 { 1.0 / mean } else { 1.0 };
        self.task(set, &self.labels.cost, scale, model, Loss::Squared)
    }

    /// Trains all heads, with penalties for scores and for costs, or those that are best.
    pub(super) fn finish(&self, penalties: Option<[f64; 2]>) -> Result<TrainedEstimator, BoxError> {
        let models = self.models();
        let [score, cost] = match penalties {
            Some(penalties) => penalties,
            None => [
                choose(&models, |&model| self.scores(model).validate())?,
                choose(&models, |&model| self.costs(model).validate())?,
            ],
        };
        let trained = models
            .par_iter()
            .map(|&model| {
                let scores = self.scores(model).fit(score)?;
                let costs = self.costs(model);
                let head = costs.fit(cost)?;
                Ok(ModelHeads { scores, costs: CostHead::new(head, &costs, model.1, self) })
            })
            .collect::<Vec<Result<ModelHeads, BoxError>>>();
        // The error of the first model, whichever thread was first.
        let trained = trained.into_iter().collect::<Result<Vec<_>, BoxError>>()?;
        let mut trained = trained.into_iter();
        let sets = self.labels.members.iter().zip(&self.sets).map(|(members, (spectrum, _))| Set {
            spectrum: spectrum.clone(),
            heads: trained.by_ref().take(members.len()).collect(),
            members: members.clone(),
        });
        let n_models = self.labels.models.len();
        Ok(TrainedEstimator {
            models: self.labels.models.clone(),
            dim: self.dim,
            n_rows: self.labels.n_rows,
            penalties: [score, cost],
            lowest: Lowest::new(&self.labels.cost, n_models),
            limits: Limits {
                quality: self.labels.quality_variance.clone(),
                cost: self.labels.cost_variance.clone(),
                log_costs: self.log_costs.clone(),
            },
            sets: sets.collect(),
        })
    }
}

/// The penalty of least loss, summed over models; the strongest of equals, and where no
/// model tells.
fn choose(
    models: &[(usize, usize)],
    validate: impl Fn(&(usize, usize)) -> Result<Option<[f64; GRID.len()]>, BoxError> + Send + Sync,
) -> Result<f64, BoxError> {
    let losses: Vec<_> = models.par_iter().map(validate).collect();
    let mut total = [0.0_f64; GRID.len()];
    for losses in losses {
        for (total, loss) in total.iter_mut().zip(losses?.unwrap_or_default()) {
            *total += loss;
        }
    }
    let steps = GRID.iter().zip(total);
    let least = steps.min_by(|a, b| a.1.total_cmp(&b.1)).expect("the grid is not empty");
    Ok(*least.0)
}

impl CostHead {
    fn new(head: Head, task: &Task<'_>, model: usize, training: &Training) -> Self {
        let logs = &training.log_costs;
        let free = logs.was_free(model);
        let n = task.labels.len() as f64;
        let error = |(label, (left_out, _)): (&f64, (f64, f64))| {
            label - if free { left_out } else { logs.within_range(model, left_out) }
        };
        let errors: Vec<f64> =
            task.labels.iter().zip(head.leave_one_out(task)).map(error).collect();
        let squares = errors.iter().map(|error| error.powi(2)).sum();
        let unit = if free {
            Unit::Usd { scale: training.labels.cost_means.mean(model) }
        } else {
            Unit::Log { smear: errors.iter().map(|error| error.exp()).sum::<f64>() / n }
        };
        let prior = if free { 1.0 } else { LOG_PRIOR };
        Self { head, noise: shrunk(squares, n, prior), unit }
    }
}
