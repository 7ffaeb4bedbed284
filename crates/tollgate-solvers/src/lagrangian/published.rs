//! The loop as published: fixed steps, the last iterate, no certificate but the bound of
//! the last multipliers.

use tollgate_core::{
    Primal, Problem, Sense, Solution, SolveError, SolveOptions, Status, WarmState,
};

use super::{LagrangianConfig, judged};
use crate::dual::{self, Column, Layout, Oracle, Phase, ScaledRow};
use crate::warm::{Warm, known_prices};

pub(super) const NAME: &str = "lagrangian-published";

/// The multipliers as the problem's prices, and their steps.
#[derive(Debug)]
pub(super) struct Multipliers<'p> {
    config: &'p LagrangianConfig,
    problem: &'p Problem,
    /// `N`.
    weight: f64,
    /// `l1 / N` or `l2` of each row: objective per unit of the row.
    pub(super) prices: Vec<f64>,
}

impl<'p> Multipliers<'p> {
    pub(super) fn new(
        config: &'p LagrangianConfig,
        problem: &'p Problem,
        prices: Vec<f64>,
    ) -> Self {
        let weight = problem.total_weight();
        let weight = if weight > 0.0 { weight } else { 1.0 };
        Self { config, problem, weight, prices }
    }

    /// (22) and (23), given what the rows use. Whether any multiplier moved by more than
    /// the tolerance.
    pub(super) fn step(&mut self, used: &[f64]) -> bool {
        let mut moved = false;
        for ((price, row), used) in self.prices.iter_mut().zip(self.problem.rows()).zip(used) {
            // A floor's multiplier is that of the mean: N times the price of the sum.
            let (unit, step, most) = match row.sense {
                Sense::AtLeast => (self.weight, self.config.floor_step, self.config.tolerance),
                Sense::AtMost => {
                    let most = self.config.tolerance * row.capacity.abs();
                    (1.0, self.config.capacity_step, most)
                }
            };
            let lacking = row.sense.sign() * (used - row.capacity) / unit;
            let cap = row.penalty.map_or(f64::INFINITY, |penalty| penalty * unit);
            let before = *price * unit;
            let after = (before + step * lacking).max(0.0).min(cap);
            moved |= (after - before).abs() > most;
            *price = (after / unit).min(row.penalty.unwrap_or(f64::INFINITY));
        }
        moved
    }
}

/// The whole loop.
pub(super) fn solve(
    config: &LagrangianConfig,
    problem: &Problem,
    options: &SolveOptions,
    warm: Option<&WarmState>,
) -> Result<Solution, SolveError> {
    let layout = Layout::new(problem);
    let (rows, unit) = dual::scale(problem, &layout);
    let mut oracle = Oracle::new(problem, &layout, &rows, unit);
    let caps = problem.rows().iter().map(|row| row.penalty.unwrap_or(f64::INFINITY));
    let known = known_prices(problem, warm);
    let start = known.iter().zip(caps).map(|(price, cap)| price.min(cap)).collect();
    let mut multipliers = Multipliers::new(config, problem, start);
    // The multipliers that made the last assignment.
    let mut last = multipliers.prices.clone();
    let mut iterations = 0;
    while iterations < options.max_iterations.min(config.iterations) && !options.cancelled() {
        iterations += 1;
        last.clone_from(&multipliers.prices);
        let column = oracle.evaluate(&scaled(&last, &rows), Phase::Objective);
        if !multipliers.step(&used(&column, &rows)) {
            break;
        }
    }
    let prices = scaled(&last, &rows);
    let dual_bound = oracle.bound(&prices);
    if let Some(&got) = [dual_bound].iter().chain(&last).find(|number| !number.is_finite()) {
        let what = "a price or its bound";
        return Err(SolveError::Breakdown { solver: NAME, what, got, iteration: iterations });
    }
    let (primal, primal_value) = judged(problem, assignment(&mut oracle, problem, &prices));
    let gap = Solution::relative_gap(dual_bound, primal_value);
    let status = match gap <= options.gap {
        true => Status::Optimal,
        false if options.cancelled() => Status::Cancelled,
        false => Status::LimitReached,
    };
    Ok(Solution {
        status,
        dual_bound,
        primal_value,
        primal,
        gap,
        iterations,
        passes: oracle.passes(),
        warm: Some(Warm::of_prices(problem.rows().to_vec(), last.clone())),
        prices: last,
    })
}

fn scaled(prices: &[f64], rows: &[ScaledRow]) -> Vec<f64> {
    prices.iter().zip(rows).map(|(price, row)| price / row.price_unit).collect()
}

/// What a column uses of each row, in the row's unit.
fn used(column: &Column, rows: &[ScaledRow]) -> Vec<f64> {
    column.usage.iter().zip(rows).map(|(used, row)| used / row.scale).collect()
}

/// (25).
fn assignment(oracle: &mut Oracle<'_>, problem: &Problem, prices: &[f64]) -> Primal {
    let served = |option: u32| ((option as usize) < problem.n_models()).then_some(option);
    oracle.choices(prices).into_iter().map(served).collect()
}
