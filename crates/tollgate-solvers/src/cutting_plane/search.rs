//! Kelley's loop: ask the master for prices, the oracle for the column they lack.

use tollgate_core::SolveOptions;

use super::master::{Master, Variable};
use crate::dual::{Column, EXCESS, Oracle, Phase, Sides, bound_of, rounding};

/// The fewest queries worth folding.
const FOLDED: usize = 256;
/// Prices asked for lately that a smaller box must hold, and the fall of the gap that
/// is worth one.
const RECENT: usize = 6;
const FALL: f64 = 0.1;
/// How much wider than those prices it is, on each side.
const MARGIN: f64 = 0.5;

/// Why the loop ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// The bound and the master's value have met, within the box of the master.
    Met,
    /// In the feasibility phase: the master holds an answer that keeps every row.
    Feasible,
    /// Arithmetic leaves no better price to try, and the gap is still open.
    Stalled,
    Limit,
    Cancelled,
}

/// The state of one phase.
#[derive(Debug)]
pub(super) struct Search<'o, 'a> {
    pub(super) oracle: &'o mut Oracle<'a>,
    pub(super) master: Master,
    phase: Phase,
    /// The best prices so far, scaled, and their bound.
    pub(super) center: Vec<f64>,
    pub(super) bound: f64,
    /// The weight of the center against the master's prices, in `[0, 1)`.
    smoothing: f64,
    /// Prices asked for since the box was last set, at most [`RECENT`].
    pub(super) recent: Vec<Vec<f64>>,
    /// The gap then; `None` before.
    gap_of_box: Option<f64>,
    /// Whether the box may be drawn closer: it pays where passes are long.
    pub(super) shrinks: bool,
}

impl<'o, 'a> Search<'o, 'a> {
    /// Starts at `center` with some columns.
    pub(super) fn new(
        oracle: &'o mut Oracle<'a>,
        phase: Phase,
        center: &[f64],
        sides: Sides,
        mut columns: Vec<Column>,
        smoothing: f64,
    ) -> Self {
        let center = sides.clamp(center);
        let column = oracle.evaluate(&center, phase);
        let bound = bound_of(oracle, &column, &center, phase);
        columns.push(column);
        let master = Master::new(oracle.rows, sides, columns, phase);
        let recent = Vec::new();
        let shrinks = phase == Phase::Objective && oracle.n_queries() >= FOLDED;
        let gap_of_box = None;
        Self { oracle, master, phase, center, bound, smoothing, recent, gap_of_box, shrinks }
    }

    /// Runs until bound and value meet to `gap`, relative.
    pub(super) fn run(&mut self, gap: f64, options: &SolveOptions, iterations: &mut u64) -> End {
        loop {
            // From a basis that cycles, or beyond the largest numbers, no step leads back.
            if !self.master.optimize()
                || !self.bound.is_finite()
                || !self.master.value().is_finite()
            {
                return End::Stalled;
            }
            if self.phase == Phase::Feasibility && self.in_the_way().is_empty() {
                return End::Feasible;
            }
            if self.met(gap) {
                return End::Met;
            }
            if options.cancelled() {
                return End::Cancelled;
            }
            if *iterations >= options.max_iterations {
                return End::Limit;
            }
            self.shrink();
            if !self.step(gap, options, iterations) {
                return if self.met(gap) { End::Met } else { End::Stalled };
            }
        }
    }

    /// The sides of the box that hold a price back, and are not real.
    pub(super) fn in_the_way(&self) -> Vec<Variable> {
        let rows = self.oracle.rows;
        let sides = &self.master.sides;
        let blocked = self.master.deviations().filter(|(variable, level)| {
            *level > EXCESS
                && match *variable {
                    Variable::Spare(row) => sides.floors[row] > 0.0,
                    Variable::Excess(row) => {
                        rows[row].penalty.is_none_or(|penalty| penalty > sides.ceilings[row])
                    }
                    Variable::Share(_) => false,
                }
        });
        blocked.map(|(variable, _)| variable).collect()
    }

    /// Whether the mixture breaks a hard row.
    pub(super) fn breaks_a_row(&self) -> bool {
        self.master.deviations().any(|(variable, level)| match variable {
            Variable::Excess(row) => level > EXCESS && self.oracle.rows[row].penalty.is_none(),
            _ => false,
        })
    }

    fn met(&self, gap: f64) -> bool {
        let value = self.master.value();
        let size = self.bound.abs().max(value.abs());
        self.bound - value <= gap * size + rounding(self.oracle.rows, &self.center)
    }

    /// Adds a column that improves the master: at prices between the center and the
    /// master's (Wentges, 1997), the weight of the center set by the slope of the dual
    /// function there (Pessoa et al., 2018), and smaller after every miss. False when
    /// there is none.
    fn step(&mut self, gap: f64, options: &SolveOptions, iterations: &mut u64) -> bool {
        let master_prices = self.master.prices();
        let mut misses = 0.0;
        loop {
            *iterations += 1;
            let weight = (1.0 - (1.0 + misses) * (1.0 - self.smoothing)).max(0.0);
            let weight = if weight < 1e-3 { 0.0 } else { weight };
            let prices: Vec<f64> = self
                .center
                .iter()
                .zip(&master_prices)
                .map(|(center, master)| weight * center + (1.0 - weight) * master)
                .collect();
            self.remember(&prices);
            let column = self.oracle.evaluate(&prices, self.phase);
            let bound = bound_of(self.oracle, &column, &prices, self.phase);
            if misses == 0.0 {
                self.adapt(&column, &master_prices);
            }
            if bound < self.bound {
                self.bound = bound;
                self.center = prices;
            }
            let gain = self.master.reduced_cost(&column);
            if gain > self.master.tolerance() {
                self.master.columns.push(column);
                return true;
            }
            if weight == 0.0 {
                return false;
            }
            if self.met(gap) || options.cancelled() || *iterations >= options.max_iterations {
                return true;
            }
            misses += 1.0;
        }
    }

    /// More smoothing where the dual function rises towards the master's prices.
    fn adapt(&mut self, column: &Column, master_prices: &[f64]) {
        let rise: f64 = self
            .oracle
            .rows
            .iter()
            .zip(&column.usage)
            .zip(master_prices.iter().zip(&self.center))
            .map(|((row, usage), (master, center))| (row.bound - usage) * (master - center))
            .sum();
        if rise > 0.0 {
            self.smoothing += 0.1 * (1.0 - self.smoothing);
        } else {
            self.smoothing = (self.smoothing - 0.1).max(0.0);
        }
    }

    fn remember(&mut self, prices: &[f64]) {
        if self.recent.len() == RECENT {
            self.recent.remove(0);
        }
        self.recent.push(prices.to_vec());
    }

    /// When the gap has fallen enough, draws the box closer around recent prices and
    /// folds what is decided there.
    fn shrink(&mut self) {
        let gap = self.bound - self.master.value();
        if !self.shrinks
            || self.recent.len() < RECENT
            || self.gap_of_box.is_some_and(|before| gap > FALL * before)
        {
            return;
        }
        let next = self.master.prices();
        let sides = &mut self.master.sides;
        for row in 0..next.len() {
            let points = self.recent.iter().map(|prices| prices[row]);
            let points = points.chain([self.center[row], next[row]]);
            let (low, high) =
                points.fold((f64::INFINITY, 0.0_f64), |(low, high), p| (low.min(p), high.max(p)));
            let margin = MARGIN * (high - low) + 1e-7 * self.oracle.rows[row].natural_price;
            sides.floors[row] = sides.floors[row].max(low - margin);
            sides.ceilings[row] = sides.ceilings[row].min(high + margin);
        }
        self.oracle.fold(sides, self.phase);
        self.gap_of_box = Some(gap);
        self.recent.clear();
    }
}
