//! What the laboratory replays: truth, estimates, history and budgets of one synthetic run.

use std::sync::Arc;

use tollgate::core::{Budgets, EstimateTable, Horizon, Models, Outcome, Policy, Seed, Solver};
use tollgate::data::order::{by_key, shuffled};

use crate::{LabError, Metrics, Oracle, Order, Replay, Stream, lp_bound, replay};

/// One run that was made rather than recorded.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The models, in the order of the columns.
    pub models: Models,
    /// True scores, row-major `(n, n_models)`.
    pub quality: Arc<[f64]>,
    /// True costs in USD, row-major `(n, n_models)`.
    pub cost: Arc<[f64]>,
    /// What the policy sees, one row an arrival.
    pub estimates: EstimateTable,
    /// What a history-priced policy sees before the first arrival.
    pub history: EstimateTable,
    /// USD, one a model.
    pub budgets: Vec<f64>,
    /// What is announced before the first arrival, where that is not the truth.
    pub announced: Option<Horizon>,
    /// Before which arrival what is announced.
    pub told: Option<(usize, Horizon)>,
}

/// What no policy can pass on an instance, whatever the order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The dual bound of the program on the truth.
    pub truth: f64,
    /// The dual bound of the program on the estimates.
    pub estimates: f64,
    /// The approximate optimum, executed in the instance's own order.
    pub approximate: f64,
}

/// The three ratios of one run, and whether it kept to its budgets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratios {
    /// What is lost for want of foresight alone: the same policy where answers are as
    /// estimated, over the program on the estimates.
    pub online: f64,
    /// Performance over that of the approximate optimum: the papers' RP, as a fraction.
    pub rp: f64,
    /// Performance over the program on the truth.
    pub truth: f64,
    /// The sums of the run.
    pub metrics: Metrics,
}

impl Instance {
    /// How many arrivals.
    #[expect(clippy::len_without_is_empty, reason = "generators are not asked for none")]
    pub fn len(&self) -> usize {
        self.estimates.n_queries()
    }

    /// The same arrivals in another order; `rows` names them.
    #[must_use]
    pub fn rearranged(&self, rows: &[usize]) -> Self {
        let n_models = self.models.len();
        let pick = |table: &[f64]| -> Arc<[f64]> {
            let rows = rows.iter().flat_map(|row| &table[row * n_models..(row + 1) * n_models]);
            rows.copied().collect()
        };
        let seen = self.estimates.view();
        let mut estimates = EstimateTable::zeros(rows.len(), n_models);
        estimates.fill(|out| {
            out.quality.copy_from_slice(&pick(seen.quality));
            out.quality_se.copy_from_slice(&pick(seen.quality_se));
            out.cost.copy_from_slice(&pick(seen.cost));
            out.cost_se.copy_from_slice(&pick(seen.cost_se));
        });
        let (quality, cost) = (pick(&self.quality), pick(&self.cost));
        Self { quality, cost, estimates, ..self.clone() }
    }

    /// The same arrivals in a uniformly random order.
    #[must_use]
    pub fn shuffled(&self, seed: Seed) -> Self {
        let rows: Vec<usize> = (0..self.len()).collect();
        self.rearranged(&shuffled(&rows, seed))
    }

    /// The same arrivals in one of the named orders, which go by the estimates.
    ///
    /// # Errors
    /// [`LabError::Data`] for estimates that are no numbers.
    pub fn ordered(&self, order: Order, seed: Seed) -> Result<Self, LabError> {
        Ok(self.rearranged(&self.rows_in(order, seed)?))
    }

    /// The rows of the instance as an order has them.
    ///
    /// # Errors
    /// As [`ordered`](Self::ordered).
    pub fn rows_in(&self, order: Order, seed: Seed) -> Result<Vec<usize>, LabError> {
        let rows: Vec<usize> = (0..self.len()).collect();
        match order.keys(&self.estimates.view(), self.models.len(), seed) {
            Some(keys) => Ok(by_key(&rows, &keys)?),
            None if order == Order::Shuffled => Ok(shuffled(&rows, seed)),
            None => Ok(rows),
        }
    }

    /// Every bid `factor` times as high under the same budgets: the capacity ratio
    /// [`k`](Self::k) falls by `factor`, the number of arrivals stays.
    #[must_use]
    pub fn coarser(&self, factor: f64) -> Self {
        Self { cost: scaled(&self.cost, factor), ..self.misjudged(factor) }
    }

    /// The same run where every cost, in the history too, is estimated at `factor` times
    /// what it was.
    #[must_use]
    pub fn misjudged(&self, factor: f64) -> Self {
        let misjudge = |estimates: &EstimateTable| {
            table(self.models.len(), estimates.quality(), &scaled(estimates.cost(), factor))
        };
        Self {
            estimates: misjudge(&self.estimates),
            history: misjudge(&self.history),
            ..self.clone()
        }
    }

    /// The same run where answers are as estimated.
    #[must_use]
    pub fn as_estimated(&self) -> Self {
        Self {
            quality: Arc::clone(self.estimates.quality()),
            cost: Arc::clone(self.estimates.cost()),
            ..self.clone()
        }
    }

    /// The capacity ratio `k = min_i B_i / max_j g_ij`, over models that have a budget.
    pub fn k(&self) -> f64 {
        let n_models = self.models.len();
        let largest = |model: usize| {
            self.cost.iter().skip(model).step_by(n_models).copied().fold(0.0, f64::max)
        };
        let ratios = self.budgets.iter().enumerate().filter(|(_, budget)| **budget > 0.0);
        ratios.map(|(model, budget)| budget / largest(model)).fold(f64::INFINITY, f64::min)
    }

    /// The mean error of an estimated score, `delta`.
    pub fn delta(&self, expected: &[f64]) -> f64 {
        let errors = self.estimates.quality().iter().zip(expected).map(|(a, b)| (a - b).abs());
        errors.sum::<f64>() / expected.len() as f64
    }

    /// The stream that replay knows.
    ///
    /// # Errors
    /// [`LabError`] for budgets that are none.
    pub fn stream(&self, seed: Seed) -> Result<Stream, LabError> {
        let budgets = Budgets::per_model(&self.budgets)?;
        let (quality, cost) = (Arc::clone(&self.quality), Arc::clone(&self.cost));
        let mut stream = Stream::new(self.models.clone(), quality, cost, budgets, seed)?;
        if let Some(horizon) = self.announced {
            stream = stream.announced(horizon);
        }
        if let Some((at, horizon)) = self.told {
            stream = stream.told(at, horizon);
        }
        Ok(stream)
    }

    /// Replays a policy.
    ///
    /// # Errors
    /// [`LabError`] as [`replay`]; [`LabError::Overspent`] where a budget was not kept, by
    /// sums that the ledger has no part in.
    pub fn replay(&self, policy: &dyn Policy, seed: Seed) -> Result<Replay, LabError> {
        let history = policy.needs_history().then_some(&self.history);
        let run = replay(&self.stream(seed)?, policy, &self.estimates, history)?;
        self.audit(&run)?;
        Ok(run)
    }

    /// Adds up what was served, and compares with the budgets.
    fn audit(&self, run: &Replay) -> Result<(), LabError> {
        let n_models = self.models.len();
        let mut spent = vec![0.0; n_models];
        for (arrival, outcome) in run.outcomes.iter().enumerate() {
            if let Outcome::Served(model) = outcome {
                spent[*model] += self.cost[arrival * n_models + model];
            }
        }
        for (model, (spent, budget)) in spent.into_iter().zip(&self.budgets).enumerate() {
            // Amounts are rounded up to whole pico-USD; the sum of doubles errs by less.
            if spent > budget + 1e-9 * budget.max(1e-3) {
                let model = self.models.id(model).clone();
                return Err(LabError::Overspent { model, spent, budget: *budget });
            }
        }
        Ok(())
    }

    /// What hindsight allows.
    ///
    /// # Errors
    /// [`LabError`] where a program can't be solved.
    pub fn bounds(&self, solver: &dyn Solver) -> Result<Bounds, LabError> {
        let stream = self.stream(Seed(0))?;
        let approximate = Oracle::ApproximateOptimum.run(&stream, &self.estimates, solver)?;
        Ok(Bounds {
            truth: lp_bound(&stream, solver)?,
            estimates: approximate.lp_bound,
            approximate: approximate.metrics.performance,
        })
    }

    /// The three ratios of a policy on this order.
    ///
    /// # Errors
    /// As [`replay`](Self::replay); [`LabError::AboveBound`] where a run is worth more than
    /// its dual bound.
    pub fn ratios(
        &self,
        policy: &dyn Policy,
        bounds: &Bounds,
        seed: Seed,
    ) -> Result<Ratios, LabError> {
        let metrics = self.replay(policy, seed)?.metrics;
        let exact =
            self.quality == *self.estimates.quality() && self.cost == *self.estimates.cost();
        let online = if exact {
            metrics.performance
        } else {
            self.as_estimated().replay(policy, seed)?.metrics.performance
        };
        below(metrics.performance, bounds.truth)?;
        below(online, bounds.estimates)?;
        Ok(Ratios {
            online: online / bounds.estimates,
            rp: metrics.performance / bounds.approximate,
            truth: metrics.performance / bounds.truth,
            metrics,
        })
    }
}

/// Weak duality: no run is worth more than the bound of its program.
fn below(value: f64, bound: f64) -> Result<(), LabError> {
    if value <= bound + 1e-9 * bound.max(1.0) {
        Ok(())
    } else {
        Err(LabError::AboveBound { value, bound })
    }
}

/// Estimates without a standard error; both row-major `(n, n_models)`.
pub(super) fn table(n_models: usize, quality: &[f64], cost: &[f64]) -> EstimateTable {
    let mut table = EstimateTable::zeros(quality.len() / n_models, n_models);
    table.fill(|out| {
        out.quality.copy_from_slice(quality);
        out.cost.copy_from_slice(cost);
    });
    table
}

fn scaled(table: &[f64], factor: f64) -> Arc<[f64]> {
    table.iter().map(|value| value * factor).collect()
}

/// Models `model-00` and so on.
pub(super) fn numbered(n_models: usize) -> Models {
    let names = (0..n_models).map(|model| format!("model-{model:02}"));
    Models::new(names).expect("numbers differ, and a generator has a model")
}

#[cfg(test)]
mod tests;
