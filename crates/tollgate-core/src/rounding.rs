//! From shares to one model a query, for every kind of row.
//!
//! # Problem
//! A fractional answer of problem (1) of the crate's page becomes one model or none for
//! every query, and keeps every hard row, if that can be had.
//!
//! # Method
//! With `<=` rows and queries that may be declined it always can:
//! [`round_and_repair`] leaves the split queries out and
//! fills up. A vertex splits at most `K` queries, so what is lost against the program is
//! at most the worth of `K` queries, each at its best.
//!
//! With `>=` rows, or queries that must be served, whether an integer answer exists at
//! all is as hard as a knapsack. There each query starts on its largest share, and
//! queries are moved one by one: the move that mends most of the violation for what it
//! costs at the prices, until no row is broken or no move mends anything. Then moves that
//! gain value and break no row, the best first. What comes out says whether it keeps
//! every row; it never claims so without having been checked.
//!
//! # References
//! * J. K. Lenstra, D. B. Shmoys, É. Tardos (1990), "Approximation algorithms for
//!   scheduling unrelated parallel machines", doi:10.1007/BF01585745: rounding a vertex.

mod fill;

pub use self::fill::round_and_repair;

use crate::{Assignment, Choice, Feasibility, Primal, Problem, Row, Sense, Solution};

/// An integer answer: see [`round`].
#[derive(Clone, Debug, PartialEq)]
pub struct Rounded {
    /// One model, or none, for every query.
    pub assignment: Assignment,
    /// What it is worth and uses.
    pub feasibility: Feasibility,
    /// Whether it keeps every hard row, up to rounding, and serves whom it must.
    pub feasible: bool,
    /// No integer answer is worth more than this above it: the dual bound less its value.
    pub loss: f64,
}

/// Rounds the primal answer of a solution; `None` where it has none.
///
/// # Panics
/// When the solution is of another problem.
pub fn round(problem: &Problem, solution: &Solution) -> Option<Rounded> {
    let primal = solution.primal.as_ref()?;
    let simple = problem.choice() == Choice::AtMostOne
        && problem.rows().iter().all(|row| row.sense == Sense::AtMost);
    let assignment = if simple {
        round_and_repair(problem, primal)
    } else {
        let mut repair = Repair::new(problem, &solution.prices, primal);
        repair.mend();
        repair.improve();
        repair.assignment
    };
    let answer: Primal = assignment.iter().copied().collect();
    let feasibility = problem.check(&answer);
    let kept = |(row, used): (&Row, &f64)| {
        let excess = row.sense.sign() * (used - row.capacity);
        row.penalty.is_some() || excess <= ROUNDING * row.capacity.abs().max(used.abs())
    };
    let feasible = feasibility.choice_violation <= 0.0
        && problem.rows().iter().zip(&feasibility.used).all(kept);
    let loss = solution.dual_bound - feasibility.value;
    Some(Rounded { assignment, feasibility, feasible, loss })
}

/// What sums of usage may be off by, relative.
const ROUNDING: f64 = 1e-12;

/// One query to another option.
#[derive(Clone, Copy, Debug)]
struct Move {
    query: usize,
    to: Option<u32>,
    /// What the objective loses.
    loss: f64,
    /// Of the total violation; positive is better.
    mended: f64,
}

/// An integer answer under repair.
struct Repair<'p> {
    problem: &'p Problem,
    prices: &'p [f64],
    assignment: Assignment,
    /// `s_r (used - capacity)`, hard rows in units of their own size, by row.
    excess: Vec<f64>,
    /// From usage to that unit, with the sign of the row; 0 for a soft row.
    scale: Vec<f64>,
    /// By model: the rows that may cover it.
    rows_of: Vec<Vec<usize>>,
}

impl<'p> Repair<'p> {
    fn new(problem: &'p Problem, prices: &'p [f64], primal: &Primal) -> Self {
        let mut assignment = primal.round();
        if problem.choice() == Choice::ExactlyOne && problem.n_models() > 0 {
            for model in &mut assignment {
                model.get_or_insert(0);
            }
        }
        let used = problem.check(&assignment.iter().copied().collect()).used;
        let scale: Vec<f64> = problem
            .rows()
            .iter()
            .zip(&used)
            .map(|(row, used)| {
                let size = row.capacity.abs().max(used.abs());
                if row.penalty.is_some() || size <= 0.0 { 0.0 } else { row.sense.sign() / size }
            })
            .collect();
        let rows = problem.rows().iter();
        let excess =
            rows.zip(&used).zip(&scale).map(|((row, used), s)| s * (used - row.capacity)).collect();
        let covers = |model: usize| -> Vec<usize> {
            let rows = problem.rows().iter().enumerate();
            rows.filter(|(_, row)| row.scope.models.covers(model)).map(|(row, _)| row).collect()
        };
        let rows_of = (0..problem.n_models()).map(covers).collect();
        Self { problem, prices, assignment, excess, scale, rows_of }
    }

    /// Moves queries until no row is broken or no move mends anything.
    fn mend(&mut self) {
        // Every move mends something; a bound all the same, since little may be ever less.
        for _ in 0..self.problem.n_queries() + 4 * self.excess.len() {
            if self.violation() <= ROUNDING * self.excess.len() as f64 {
                return;
            }
            let price_of_nothing = f64::MIN_POSITIVE;
            let rate = |m: &Move| m.loss.max(price_of_nothing) / m.mended;
            let best = self
                .moves()
                .filter(|m| m.mended > ROUNDING)
                .min_by(|a, b| rate(a).total_cmp(&rate(b)).then(b.mended.total_cmp(&a.mended)));
            let Some(best) = best else { return };
            self.apply(best.query, best.to);
        }
    }

    /// Moves that gain and break nothing, the most gainful first, in one round.
    fn improve(&mut self) {
        let mut gains: Vec<Move> = self.moves().filter(|m| m.loss < 0.0).collect();
        gains.sort_by(|a, b| a.loss.total_cmp(&b.loss).then(a.query.cmp(&b.query)));
        let mut moved = vec![false; self.problem.n_queries()];
        for gain in gains {
            if !moved[gain.query] && self.keeps_rows(gain.query, gain.to) {
                self.apply(gain.query, gain.to);
                moved[gain.query] = true;
            }
        }
    }

    fn violation(&self) -> f64 {
        self.excess.iter().map(|excess| excess.max(0.0)).sum()
    }

    /// Every other option of every query.
    fn moves(&self) -> impl Iterator<Item = Move> {
        let declines = (self.problem.choice() == Choice::AtMostOne).then_some(None);
        (0..self.problem.n_queries()).flat_map(move |query| {
            let models = (0..self.rows_of.len()).map(|model| Some(number(model)));
            let options = models.chain(declines);
            options
                .filter(move |to| *to != self.assignment[query])
                .map(move |to| self.weigh(query, to))
        })
    }

    /// What a move loses, soft rows at their prices, and what it mends.
    fn weigh(&self, query: usize, to: Option<u32>) -> Move {
        let from = self.assignment[query];
        let worth = |model: Option<u32>| {
            let Some(model) = model else { return 0.0 };
            let tolls: f64 =
                self.touched(query, model).map(|row| self.toll(query, model, row)).sum();
            self.problem.weight(query) * self.problem.value(query, model as usize) - tolls
        };
        let mut mended = 0.0;
        for (row, change) in self.changes(query, from, to) {
            let excess = self.excess[row];
            mended += excess.max(0.0) - (excess + change).max(0.0);
        }
        Move { query, to, loss: worth(from) - worth(to), mended }
    }

    /// What a soft row charges for an option; hard rows are kept, not paid.
    fn toll(&self, query: usize, model: u32, row: usize) -> f64 {
        let of = &self.problem.rows()[row];
        if of.penalty.is_none() {
            return 0.0;
        }
        self.prices[row] * of.sense.sign() * self.usage(query, model, row)
    }

    fn usage(&self, query: usize, model: u32, row: usize) -> f64 {
        let meter = self.problem.rows()[row].meter;
        self.problem.weight(query) * self.problem.reading(meter, query, model as usize)
    }

    /// The rows that an option uses.
    fn touched(&self, query: usize, model: u32) -> impl Iterator<Item = usize> {
        let group = self.problem.group(query);
        let covers =
            move |row: &usize| self.problem.rows()[*row].scope.group.is_none_or(|g| g == group);
        self.rows_of[model as usize].iter().copied().filter(covers)
    }

    /// By how much a move changes the excess of each row that it touches.
    fn changes(&self, query: usize, from: Option<u32>, to: Option<u32>) -> Vec<(usize, f64)> {
        let mut changes: Vec<(usize, f64)> = Vec::new();
        for (model, sign) in [(from, -1.0), (to, 1.0)] {
            let Some(model) = model else { continue };
            for row in self.touched(query, model) {
                let change = sign * self.scale[row] * self.usage(query, model, row);
                match changes.iter_mut().find(|(known, _)| *known == row) {
                    Some((_, total)) => *total += change,
                    None => changes.push((row, change)),
                }
            }
        }
        changes
    }

    fn keeps_rows(&self, query: usize, to: Option<u32>) -> bool {
        let changes = self.changes(query, self.assignment[query], to);
        changes.iter().all(|&(row, change)| change <= 0.0 || self.excess[row] + change <= 0.0)
    }

    fn apply(&mut self, query: usize, to: Option<u32>) {
        for (row, change) in self.changes(query, self.assignment[query], to) {
            self.excess[row] += change;
        }
        self.assignment[query] = to;
    }
}

fn number(model: usize) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "models are u32 in an answer")]
    (model as u32)
}
