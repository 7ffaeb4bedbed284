//! What prices of quality lead to on a history: what a course can choose from.
//!
//! # Problem
//! A higher price of quality buys a higher mean score at a higher mean cost. Which pairs of the
//! two are there, and how much does a score deviate at each?
//!
//! # Method
//! Every prompt of the history goes where `w q^ - c^` is highest, for prices `w` in equal steps
//! of their logarithm, and once where `q^` is. Scores of what is chosen are known there.
//!
//! Where budgets leave models only so much, their prices are solved for with `w`, and a prompt
//! that options are tied for counts for each of them by its share:
//!
//! ```text
//! max  sum_ij (w q^_ij - c^_ij) x_ij    s.t. the budgets,   sum_i x_ij = 1             (1)
//! ```
//!
//! Then the best that can be had is what budgets leave of it, and who counted on more at the
//! end would aim too low until then.

use std::sync::Arc;

use tollgate_core::{
    Choice, Estimates, Meter, PolicyError, Primal, Problem, Row, Solution, SolveOptions, Solver,
};

use super::course::Step;
use super::margin::{Moments, Rehearsal, best, highest};

/// Prices of quality that are tried, and from where to where: powers of ten of the dearest
/// answer's cost.
const WORTHS: u32 = 64;
const DECADES: (f64, f64) = (-5.0, 3.0);
/// Of these one in so many, where each takes a solve.
const SOLVED: usize = 4;
/// The relative gap of such a solve: steps are known from a sample anyway.
const GAP: f64 = 1e-4;

impl Rehearsal {
    /// What prices of quality lead to, from the least cost to the highest expectation, within
    /// rows over as many queries as the history has.
    pub(crate) fn steps(
        &self,
        rows: &[Row],
        solver: &dyn Solver,
    ) -> Result<Vec<Step>, PolicyError> {
        if rows.is_empty() {
            return Ok(self.free_steps());
        }
        let solutions = self.within(rows, solver)?;
        let binds = |solution: &Solution| solution.prices.iter().any(|&price| price > 0.0);
        if !solutions.iter().any(binds) {
            return Ok(self.free_steps());
        }
        let primals = solutions.iter().filter_map(|solution| solution.primal.as_ref());
        let step = |primal: &Primal| {
            self.step(|query, _| primal.of(query).iter().map(|&(at, share)| (at as usize, share)))
        };
        Ok(primals.map(step).collect())
    }

    /// (1) for each price, and for quality alone.
    fn within(&self, rows: &[Row], solver: &dyn Solver) -> Result<Vec<Solution>, PolicyError> {
        let (n, n_models) = (self.history.n_queries(), self.history.n_models());
        let queries = Problem::builder(n, n_models, Choice::ExactlyOne)
            .table(Meter::Quality, Arc::clone(self.history.quality()))
            .table(Meter::Cost, Arc::clone(self.history.cost()))
            .build()?;
        let cost = (Meter::Cost, -1.0);
        let priced = self.worths().step_by(SOLVED).map(|worth| vec![(Meter::Quality, worth), cost]);
        let options = SolveOptions { gap: GAP, ..SolveOptions::default() };
        let mut warm = None;
        let solve = |objective: Vec<(Meter, f64)>| {
            let problem = queries.restated(&objective, Choice::ExactlyOne);
            let problem = problem.with_rows(rows.to_vec())?;
            let mut solution = solver.solve(&problem, &options, warm.as_ref())?;
            warm = solution.warm.take();
            Ok(solution)
        };
        priced.chain([vec![(Meter::Quality, 1.0)]]).map(solve).collect()
    }

    fn free_steps(&self) -> Vec<Step> {
        let priced = self.worths().map(|worth| {
            self.step(|_, expected| {
                let options = expected.quality.iter().zip(expected.cost);
                let scores = options.map(|(quality, cost)| worth * quality - cost);
                [(highest(scores), 1.0)]
            })
        });
        priced.chain([self.step(|_, expected| [(best(expected), 1.0)])]).collect()
    }

    fn worths(&self) -> impl Iterator<Item = f64> + use<> {
        let dearest = self.history.cost().iter().copied().fold(0.0, f64::max);
        (0..=WORTHS).map(move |at| {
            let exponent = DECADES.0 + (DECADES.1 - DECADES.0) * f64::from(at) / f64::from(WORTHS);
            dearest * 10_f64.powf(exponent)
        })
    }

    /// Where each prompt goes to models by these shares.
    fn step<S>(&self, choose: impl Fn(usize, &Estimates<'_>) -> S) -> Step
    where
        S: IntoIterator<Item = (usize, f64)>,
    {
        let (mut cost, mut expected) = (0.0, 0.0);
        let mut scores = Moments::default();
        for (query, estimates) in self.rows() {
            for (model, share) in choose(query, &estimates) {
                cost += share * estimates.cost[model];
                expected += share * estimates.quality[model];
                if let Some(score) = self.score(query, model).filter(|_| share > 0.0) {
                    scores.add(score, share);
                }
            }
        }
        let n = self.history.n_queries() as f64;
        let (cost, expected) = (cost / n, expected / n);
        if scores.n < 2.0 {
            let chance = expected.clamp(0.0, 1.0);
            let deviation = (chance * (1.0 - chance)).sqrt();
            return Step { mean: expected, expected, cost, deviation };
        }
        let (mean, deviation) = scores.mean_and_deviation();
        Step { mean, expected, cost, deviation }
    }
}

#[cfg(test)]
mod tests;
