//! What answers really cost, over what they were expected to.
//!
//! # Problem
//! A price list that is out of date, or prompts longer than any in the history, make every
//! estimate of a model's cost wrong by the same factor. Budgets are then spent too early,
//! or never. Real costs come with the answers: late, out of order, or never.
//!
//! # Method
//! For each model the sum of real costs over the sum of estimated ones, both forgotten at
//! a rate of one in [`MEMORY`] answers, and drawn toward 1 as if [`PRIOR`] answers had cost
//! just what was expected:
//!
//! ```text
//! ratio_i = (PRIOR e_i + sum real) / (PRIOR e_i + sum estimated),   e_i = the mean estimate   (1)
//! ```
//!
//! A ratio of sums, since it is sums that budgets limit. One answer counts for no more than
//! [`LARGEST`] times what was expected of it, so that a single runaway does not starve its
//! model, and the ratio stays within `1 / LARGEST` and `LARGEST`. The order in which answers
//! settle changes it only by what is forgotten in between, and an answer that never settles
//! changes nothing.
//!
//! # References
//! The running bytes-per-token ratio of Dual-Pool Token-Budget Routing (2604.08075) is the
//! same idea, with an exponential mean of ratios in place of a ratio of sums.

use crate::{EstimatesMut, Turnover};

/// Answers as expected that a ratio starts from.
const PRIOR: f64 = 20.0;
/// Answers that are remembered.
const MEMORY: f64 = 1_000.0;
/// The most that one answer counts for, in its expectations.
const LARGEST: f64 = 10.0;

/// The running ratio of real to estimated cost of each model.
#[derive(Clone, Debug, PartialEq)]
pub struct CostRatios {
    sums: Vec<Sums>,
    ratios: Vec<f64>,
}

/// Of one model, with the older answers forgotten in part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    answers: f64,
    estimated: f64,
    real: f64,
}

impl CostRatios {
    /// Everything is as expected so far.
    pub fn new(n_models: usize) -> Self {
        Self { sums: vec![Sums::default(); n_models], ratios: vec![1.0; n_models] }
    }

    /// Real over estimated cost, shape `(n_models,)`, each within `[0.1, 10]`.
    pub fn ratios(&self) -> &[f64] {
        &self.ratios
    }

    /// The ratios of the models after a change of the pool; newcomers cost what is expected.
    #[must_use]
    pub fn after(&self, turnover: &Turnover) -> Self {
        let sums = turnover.carry(&self.sums, &Sums::default());
        Self { sums, ratios: turnover.carry(&self.ratios, &1.0) }
    }

    /// An answer of `model` cost `real` USD where the estimator had said `estimated`, before
    /// any correction. An estimate of nothing, or numbers that are none, teach nothing.
    ///
    /// # Panics
    /// When there is no such model.
    pub fn observe(&mut self, model: usize, estimated: f64, real: f64) {
        // Written so that NaN fails.
        if !(estimated > 0.0 && estimated.is_finite() && real >= 0.0 && real.is_finite()) {
            return;
        }
        let sums = &mut self.sums[model];
        let kept = 1.0 - 1.0 / MEMORY;
        sums.answers = sums.answers * kept + 1.0;
        sums.estimated = sums.estimated * kept + estimated;
        sums.real = sums.real * kept + real.min(LARGEST * estimated);
        let prior = PRIOR * sums.estimated / sums.answers;
        let ratio = (prior + sums.real) / (prior + sums.estimated);
        self.ratios[model] = ratio.clamp(1.0 / LARGEST, LARGEST);
    }

    /// Multiplies the costs of one query, with their standard errors, by the ratios.
    pub fn correct(&self, estimates: &mut EstimatesMut<'_>) {
        for (cost, ratio) in estimates.cost.iter_mut().zip(&self.ratios) {
            *cost *= ratio;
        }
        for (error, ratio) in estimates.cost_se.iter_mut().zip(&self.ratios) {
            *error *= ratio;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty answers at 1.2 times the estimate of 2 beside twenty as expected: 1.1, less
    /// what is forgotten; a thousand and more: 1.2 less a fiftieth of the way.
    #[test]
    fn a_wrong_price_list_is_found_out() {
        let mut ratios = CostRatios::new(2);
        for _ in 0..20 {
            ratios.observe(0, 2.0, 2.4);
        }
        assert!((ratios.ratios()[0] - 1.1).abs() < 1e-3, "{:?}", ratios.ratios());
        for _ in 0..20_000 {
            ratios.observe(0, 2.0, 2.4);
        }
        assert!((ratios.ratios()[0] - 1.2).abs() < 0.2 / 50.0, "{:?}", ratios.ratios());
        assert!((ratios.ratios()[1] - 1.0).abs() < 1e-12, "the other model is as expected");
        let (mut cost, mut error) = ([1.0, 1.0], [0.5, 0.5]);
        let mut columns = EstimatesMut {
            quality: &mut [],
            quality_se: &mut [],
            cost: &mut cost,
            cost_se: &mut error,
        };
        ratios.correct(&mut columns);
        assert!((cost[0] - ratios.ratios()[0]).abs() < 1e-12 && (cost[1] - 1.0).abs() < 1e-12);
        assert!((error[0] - 0.5 * ratios.ratios()[0]).abs() < 1e-12);
    }

    /// A hundred answers as expected, and one for a thousand times as much: it counts for
    /// ten, (20 + 100 + 10) / (20 + 101).
    #[test]
    fn one_runaway_starves_nobody() {
        let mut ratios = CostRatios::new(1);
        for _ in 0..100 {
            ratios.observe(0, 1e-3, 1e-3);
        }
        ratios.observe(0, 1e-3, 1.0);
        assert!((ratios.ratios()[0] - 130.0 / 121.0).abs() < 0.01, "{:?}", ratios.ratios());
    }

    #[test]
    fn nonsense_teaches_nothing() {
        let mut ratios = CostRatios::new(1);
        for (estimated, real) in
            [(0.0, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0), (1.0, -1.0), (f64::NAN, 1.0)]
        {
            ratios.observe(0, estimated, real);
        }
        assert_eq!(ratios, CostRatios::new(1));
    }
}
