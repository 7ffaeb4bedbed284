//! One model for everything.
//!
//! # Problem
//! What would the best single model do, without any routing? With `q_i` the mean expected
//! score of model `i` over the history, `u_im` the mean of what it uses of meter `m`, `N`
//! the horizon and `b_im` what the budgets let it use,
//!
//! ```text
//! i* = argmax_i q_i min(1, min_m b_im / (N u_im))                                (1)
//! ```
//!
//! is the model whose answers are worth the most before its budget runs out.
//!
//! # Method
//! A model that is named is taken, affordable or not; otherwise (1) on held-out estimates,
//! once for a run. Ties go to the model whose name sorts first.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    Arrival, BudgetView, EstimateTable, Meter, ModelId, Policy, PolicyError, Prices, Ranking,
    RunSetup,
};

use crate::setup::{history, horizon, spendable};

/// Knobs of [`Fixed`].
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FixedConfig {
    /// The model's name. Default: the one that (1) of the page names.
    pub model: Option<ModelId>,
}

impl FixedConfig {
    /// Nothing can be out of range here; whether there is such a model a run will tell.
    pub fn build(self) -> Fixed {
        let Self { model } = self;
        Fixed { model, index: None }
    }
}

/// Sends every query to one model.
#[derive(Clone, Debug)]
pub struct Fixed {
    model: Option<ModelId>,
    /// Known once it is adapted to a run.
    index: Option<usize>,
}

impl Fixed {
    /// The model of this name.
    pub fn model(name: impl AsRef<str>) -> Self {
        FixedConfig { model: Some(ModelId::new(name)) }.build()
    }

    /// Equation (1).
    fn best(&self, setup: &RunSetup<'_>) -> Result<usize, PolicyError> {
        let name = || self.name();
        let (history, horizon) = (history(setup, name)?, horizon(setup, name)?);
        let mut best = (0, f64::NEG_INFINITY);
        for model in 0..setup.models.len() {
            let worth = worth(setup, history, horizon, model);
            if worth > best.1 {
                best = (model, worth);
            }
        }
        Ok(best.0)
    }
}

/// What (1) is the largest of.
fn worth(setup: &RunSetup<'_>, history: &EstimateTable, horizon: u64, model: usize) -> f64 {
    let (n, all) = (history.n_queries() as f64, history.view());
    let mean =
        |column: &[f64]| column.iter().skip(model).step_by(history.n_models()).sum::<f64>() / n;
    let served = Meter::ALL.iter().filter(|&&meter| meter != Meter::Quality).map(|&meter| {
        let needed = horizon as f64 * all.meter(meter).map_or(1.0, mean);
        let left = spendable(setup.budgets, meter, model..model + 1);
        // Also where both are 0: nothing is needed.
        if needed <= left { 1.0 } else { left / needed }
    });
    mean(all.quality) * served.fold(1.0, f64::min)
}

impl Policy for Fixed {
    fn name(&self) -> String {
        self.model.as_ref().map_or_else(|| "fixed".to_owned(), |model| format!("fixed({model})"))
    }

    fn needs_history(&self) -> bool {
        self.model.is_none()
    }

    fn adapt(&self, setup: &RunSetup<'_>) -> Result<Option<Arc<dyn Policy>>, PolicyError> {
        let index = match &self.model {
            None => self.best(setup)?,
            Some(model) => setup.models.index_of(model.as_str()).ok_or_else(|| {
                let names: Vec<&str> = setup.models.iter().map(ModelId::as_str).collect();
                PolicyError::UnknownModel {
                    policy: "fixed".to_owned(),
                    model: model.clone(),
                    valid: names.join(", "),
                }
            })?,
        };
        let model = Some(setup.models.id(index).clone());
        Ok(Some(Arc::new(Self { model, index: Some(index) })))
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        _prices: &Prices,
        _budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        let index = self.index.ok_or_else(|| PolicyError::not_adapted(self.name()))?;
        out.clear();
        out.push(index, arrival.estimates.quality[index]);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
