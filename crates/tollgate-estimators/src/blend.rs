//! Weighted means of other recipes.
//!
//! # Problem
//!
//! With parts `p = 1..P`, their estimates `f_p`, and weights `w_p >= 0` that sum to 1:
//!
//! ```text
//! f(x)  = sum_p w_p f_p(x)                                                       (1)
//! se(x) = sum_p w_p se_p(x)                                                      (2)
//! ```
//!
//! (2) is the standard error if the errors of all parts move together, and an upper bound
//! otherwise (Minkowski's inequality). Parts that learn from the same labels are far from
//! independent, so nothing smaller is claimed.
//!
//! # Method
//!
//! Weights are given, or learned: those with the least sum of squared errors of (1) on
//! the held-out estimates of the parts, summed over models in units of each model's own
//! variance; one set of weights for scores and one for costs. The noise of a cost grows
//! with the cost, so each squared error of a cost counts in inverse proportion to the
//! square of what the parts expect. That is a convex problem in `P` numbers, solved exactly
//! by looking at every subset of the parts, of which there are at most 255.
//!
//! [`held_out`](Fit::held_out) blends the parts' held-out estimates. Learned weights are
//! those of all rows: `P - 1` numbers learned from thousands of labels.
//!
//! # References
//!
//! Breiman, "Stacked regressions", 1996, doi:10.1007/BF00117832: weights that are not
//! negative, learned on held-out estimates.

pub(crate) mod weights;

use std::sync::Arc;

use thiserror::Error;
use tollgate_core::{
    EstimateError, EstimateTable, Estimates, EstimatesMut, Estimator, Fit, FitError, History,
    Models, ParamError, Queries, Query, Scratch, Seed,
};

use crate::knn::Knn;
use crate::ridge::Ridge;

/// Parts of a blend, at most.
const MAX_PARTS: usize = 8;

/// How much each part of a [`Blend`] counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum BlendWeights {
    /// All the same.
    #[default]
    Equal,
    /// In these proportions, one `>= 0` for each part, not all 0.
    Given(Vec<f64>),
    /// Learned from the history by held-out squared error, for scores and for costs.
    Learned,
}

/// A refused blend.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BlendError {
    /// No parts, or more than are sensible.
    #[error("a blend has 1 to 8 parts, got {got}")]
    Parts {
        /// How many.
        got: usize,
    },
    /// Another number of weights than of parts.
    #[error("the blend has {parts} parts and {got} weights")]
    Weights {
        /// How many parts.
        parts: usize,
        /// How many weights.
        got: usize,
    },
    /// A weight out of range.
    #[error(transparent)]
    Param(#[from] ParamError),
}

/// The recipe of a weighted mean of other estimators.
#[derive(Clone, Debug)]
pub struct Blend {
    parts: Vec<Arc<dyn Fit>>,
    weights: BlendWeights,
}

impl Blend {
    /// A blend of some recipes.
    ///
    /// # Errors
    /// [`BlendError`] when there are no parts or more than eight, or given weights are
    /// not one for each part, each finite and `>= 0`, and not all 0.
    pub fn new(parts: Vec<Arc<dyn Fit>>, weights: BlendWeights) -> Result<Self, BlendError> {
        if !(1..=MAX_PARTS).contains(&parts.len()) {
            return Err(BlendError::Parts { got: parts.len() });
        }
        if let BlendWeights::Given(given) = &weights {
            if given.len() != parts.len() {
                return Err(BlendError::Weights { parts: parts.len(), got: given.len() });
            }
            if let Some(&got) = given.iter().find(|&&w| !(w >= 0.0 && w.is_finite())) {
                return Err(ParamError { field: "weights", rule: "finite and >= 0", got }.into());
            }
            let sum: f64 = given.iter().sum();
            if !(sum > 0.0 && sum.is_finite()) {
                let rule = "of a sum that is finite and > 0";
                return Err(ParamError { field: "weights", rule, got: sum }.into());
            }
        }
        Ok(Self { parts, weights })
    }

    /// Ridge and some nearest neighbors.
    ///
    /// # Panics
    /// When given weights are not two, each finite and `>= 0`, and not both 0.
    pub fn ridge_and(knn: Knn, weights: BlendWeights) -> Self {
        let parts: Vec<Arc<dyn Fit>> = vec![Arc::new(Ridge::default()), Arc::new(knn)];
        Self::new(parts, weights).expect("two parts, and weights that the caller answers for")
    }

    /// The weights of the parts, learned where they are to be: for scores, for costs.
    fn weigh(
        &self,
        history: &History,
        held_out: impl FnOnce() -> Result<Vec<EstimateTable>, FitError>,
    ) -> Result<[Vec<f64>; 2], FitError> {
        let n_parts = self.parts.len();
        Ok(match &self.weights {
            BlendWeights::Equal => {
                let weights = vec![1.0 / n_parts as f64; n_parts];
                [weights.clone(), weights]
            }
            BlendWeights::Given(given) => {
                let sum: f64 = given.iter().sum();
                let weights: Vec<f64> = given.iter().map(|weight| weight / sum).collect();
                [weights.clone(), weights]
            }
            BlendWeights::Learned => weights::Losses::new(history, &held_out()?).weights(),
        })
    }

    fn held_out_parts(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<Vec<EstimateTable>, FitError> {
        self.parts.iter().map(|part| part.held_out(history, seed)).collect()
    }
}

impl Fit for Blend {
    fn name(&self) -> String {
        let names = self.parts.iter().map(|part| part.name());
        let (kind, terms): (_, Vec<String>) = match &self.weights {
            BlendWeights::Equal => ("mean", names.collect()),
            BlendWeights::Learned => ("blend", names.collect()),
            BlendWeights::Given(given) => {
                let terms = names.zip(given).map(|(name, weight)| format!("{weight}*{name}"));
                ("blend", terms.collect())
            }
        };
        format!("{kind}({})", terms.join("+"))
    }

    fn fit(&self, history: &History, seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
        if self.weights == BlendWeights::Learned {
            // Fitting and holding out together costs a recipe hardly more than either.
            return Ok(self.fit_and_hold_out(history, seed)?.0);
        }
        let weights = self.weigh(history, || self.held_out_parts(history, seed))?;
        let parts =
            self.parts.iter().map(|part| part.fit(history, seed)).collect::<Result<_, _>>()?;
        Ok(Box::new(BlendEstimator { parts, weights }))
    }

    fn held_out(&self, history: &History, seed: Seed) -> Result<EstimateTable, FitError> {
        let tables = self.held_out_parts(history, seed)?;
        let weights = self.weigh(history, || Ok(tables.clone()))?;
        Ok(blend_tables(&tables, &weights))
    }

    fn fit_and_hold_out(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(Box<dyn Estimator>, EstimateTable), FitError> {
        let both = self.parts.iter().map(|part| part.fit_and_hold_out(history, seed));
        let (parts, tables): (Vec<_>, Vec<_>) =
            both.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let weights = self.weigh(history, || Ok(tables.clone()))?;
        let held_out = blend_tables(&tables, &weights);
        Ok((Box::new(BlendEstimator { parts, weights }), held_out))
    }
}

/// Equation (1) on tables; `weights` are for scores and for costs.
pub(crate) fn blend_tables(tables: &[EstimateTable], weights: &[Vec<f64>; 2]) -> EstimateTable {
    let mut blended = EstimateTable::zeros(tables[0].n_queries(), tables[0].n_models());
    blended.fill(|mut out| {
        clear(&mut out);
        for (part, table) in tables.iter().enumerate() {
            add(&mut out, weights.each_ref().map(|weights| weights[part]), table.view());
        }
    });
    blended
}

/// A weighted mean of estimators.
#[derive(Debug)]
pub(crate) struct BlendEstimator {
    /// At least one, of the same models and dimension.
    parts: Vec<Box<dyn Estimator>>,
    /// For scores, for costs; each sums to 1.
    weights: [Vec<f64>; 2],
}

impl BlendEstimator {
    /// A blend of at least one part, of the same models and dimension; the weights, for
    /// scores and for costs, each sum to 1.
    pub(crate) fn new(parts: Vec<Box<dyn Estimator>>, weights: [Vec<f64>; 2]) -> Self {
        Self { parts, weights }
    }

    /// Adds up what `estimate` writes for each part.
    fn blend<E>(
        &self,
        n_cells: usize,
        scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
        estimate: E,
    ) -> Result<(), EstimateError>
    where
        E: Fn(&dyn Estimator, &mut Scratch, EstimatesMut<'_>) -> Result<(), EstimateError>,
    {
        let mut floats = std::mem::take(&mut scratch.floats);
        floats.resize(4 * n_cells, 0.0);
        clear(&mut out);
        let outcome = self.parts.iter().enumerate().try_for_each(|(index, part)| {
            let (quality, rest) = floats.split_at_mut(n_cells);
            let (quality_se, rest) = rest.split_at_mut(n_cells);
            let (cost, rest) = rest.split_at_mut(n_cells);
            let cost_se = &mut rest[..n_cells];
            let own = EstimatesMut { quality, quality_se, cost, cost_se };
            estimate(part.as_ref(), scratch.child(index), own)?;
            let (quality, rest) = floats.split_at(n_cells);
            let (quality_se, rest) = rest.split_at(n_cells);
            let (cost, cost_se) = rest.split_at(n_cells);
            let cost_se = &cost_se[..n_cells];
            let own = Estimates { quality, quality_se, cost, cost_se };
            add(&mut out, self.weights.each_ref().map(|weights| weights[index]), own);
            Ok(())
        });
        scratch.floats = floats;
        outcome
    }
}

impl Estimator for BlendEstimator {
    fn models(&self) -> &Models {
        self.parts[0].models()
    }

    fn dim(&self) -> usize {
        self.parts[0].dim()
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError> {
        let parts = self.parts.iter().map(|part| part.grow(history)).collect::<Result<_, _>>()?;
        Ok(Box::new(Self { parts, weights: self.weights.clone() }))
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        scratch: &mut Scratch,
        out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        self.blend(self.models().len(), scratch, out, |part, scratch, own| {
            part.estimate_into(query, scratch, own)
        })
    }

    fn estimate_batch(
        &self,
        queries: Queries<'_>,
        scratch: &mut Scratch,
        out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        self.blend(queries.len() * self.models().len(), scratch, out, |part, scratch, own| {
            part.estimate_batch(queries, scratch, own)
        })
    }
}

pub(crate) fn clear(out: &mut EstimatesMut<'_>) {
    for column in [&mut *out.quality, out.quality_se, out.cost, out.cost_se] {
        column.fill(0.0);
    }
}

/// Adds one part of (1) and (2).
pub(crate) fn add(out: &mut EstimatesMut<'_>, [quality, cost]: [f64; 2], own: Estimates<'_>) {
    let add = |out: &mut [f64], weight: f64, own: &[f64]| {
        out.iter_mut().zip(own).for_each(|(out, own)| *out += weight * own);
    };
    add(out.quality, quality, own.quality);
    add(out.quality_se, quality, own.quality_se);
    add(out.cost, cost, own.cost);
    add(out.cost_se, cost, own.cost_se);
}

#[cfg(test)]
#[path = "blend/tests.rs"]
mod tests;
