//! What iterative methods share: a certificate and a feasible answer from whatever
//! prices they visit.
//!
//! A method walks over prices and asks for the dual function there. Every value is a
//! bound, and every assignment that gave it is a *column*: what it is worth, what it
//! uses. The best mixture of columns that keeps every hard row is a small linear program,
//! equation (3) of [`cutting_plane`](crate::cutting_plane), solved by the same master. It
//! contains every average of the assignments visited, so it is never worse than one.
//!
//! Whether any answer exists is asked first where it is not plain: the same method
//! minimizes the dual function *without objective* over prices in `[0, 1]`. A mixture
//! that keeps every hard row ends that phase, and a negative value proves that there is
//! none. The phase has bounded prices, so no method diverges on it.
//!
//! With *polish* a check also asks for the dual function at the master's own prices, as
//! a cutting plane method does, and half-way to them. That makes the last digits finite;
//! without it one sees the bare method.

use std::ops::Range;

use tollgate_core::{Choice, Problem, Solution, SolveError, SolveOptions, Status, WarmState};

use crate::cutting_plane::master::{Master, Variable};
use crate::dual::layout::Lanes;
use crate::dual::{self, Column, EXCESS, Layout, Oracle, Phase, Sides, bound_of};
use crate::operator::Operator;
use crate::warm::{Warm, known_prices};

mod blend;
mod level;
mod mean;
mod pool;

pub(crate) use level::Level;
pub(crate) use mean::Mean;

/// The first ceiling of a price in the master, in units of its natural price; by how
/// much it is raised while it is in the way, and how often.
const CEILING: f64 = 64.0;
const RAISES: usize = 6;
/// Iterations between two checks, as a share of those so far; the most of them.
const CADENCE: u64 = 16;
const LONGEST: u64 = 64;

/// Why a method stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Halt {
    /// Bound and value have met; without objective: or a mixture keeps every row.
    Met,
    /// The method has nothing more to try.
    Stalled,
    Limit,
    Cancelled,
    /// A bound left the numbers.
    Broken(f64),
}

/// A way to walk over prices.
pub(crate) trait Method {
    const NAME: &'static str;

    /// Walks from `start` until something halts it.
    fn descend(&self, recovery: &mut Recovery<'_, '_>, start: &[f64]) -> Halt;

    /// Whether checks ask for the master's prices too.
    fn polish(&self) -> bool;
}

/// The dual function at some scaled prices.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) bound: f64,
    /// A subgradient: what every row has left.
    pub(crate) slope: Vec<f64>,
    /// What the assignment made there is worth.
    pub(crate) value: f64,
}

/// How the answer of a column is found again.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// From the prices in its origin.
    Choices,
    /// The mean over a stretch of the trail.
    Mean(Range<usize>),
    /// The shares themselves, `(block, model)`, in the order of the layout.
    Table(Vec<Lanes>),
    /// The softmax of the scores at these scaled prices.
    Softmax { prices: Vec<f64>, phase: Phase, temperature: f64 },
}

/// See the module page.
#[derive(Debug)]
pub(crate) struct Recovery<'r, 'a> {
    pub(crate) problem: &'r Problem,
    pub(crate) layout: &'a Layout,
    pub(crate) oracle: &'r mut Oracle<'a>,
    pub(crate) operator: &'r Operator<'a>,
    pub(crate) phase: Phase,
    options: &'r SolveOptions,
    polish: bool,
    iterations: u64,
    /// Queries looked at outside of the oracle.
    work: u64,
    next_check: u64,
    /// The best prices of the phase, scaled, and their bound.
    best: Vec<f64>,
    bound: f64,
    /// The value of the best mixture that keeps every hard row; `-inf` before there is one.
    value: f64,
    master: Master,
    /// Of each column of the master.
    sources: Vec<Source>,
    /// The prices that means are made of.
    trail: Vec<Step>,
}

/// Prices visited, and their weight in means.
#[derive(Debug)]
struct Step {
    weight: f64,
    prices: Vec<f64>,
    phase: Phase,
}

/// Runs both phases of a method and reports.
pub(crate) fn solve<M: Method>(
    method: &M,
    problem: &Problem,
    options: &SolveOptions,
    warm: Option<&WarmState>,
) -> Result<Solution, SolveError> {
    let layout = Layout::new(problem);
    let (rows, unit) = dual::scale(problem, &layout);
    let operator = Operator::new(problem, &layout, &rows, unit);
    let mut oracle = Oracle::new(problem, &layout, &rows, unit);
    let known = known_prices(problem, warm);
    let start: Vec<f64> = known
        .iter()
        .zip(&rows)
        .map(|(price, row)| (price / row.price_unit).min(cap(row.penalty)))
        .collect();
    let mut recovery =
        Recovery::new(problem, &layout, &operator, &mut oracle, options, method.polish(), &start);
    let status = recovery.run(method, &start);
    recovery.finish(M::NAME, status)
}

/// The highest price of a row.
fn cap(penalty: Option<f64>) -> f64 {
    penalty.unwrap_or(f64::INFINITY)
}

/// How both phases ended.
enum Outcome {
    Halted(Halt),
    Infeasible(Status),
}

impl<'r, 'a> Recovery<'r, 'a> {
    fn new(
        problem: &'r Problem,
        layout: &'a Layout,
        operator: &'r Operator<'a>,
        oracle: &'r mut Oracle<'a>,
        options: &'r SolveOptions,
        polish: bool,
        start: &[f64],
    ) -> Self {
        let mut columns = Vec::new();
        if problem.choice() == Choice::AtMostOne {
            columns.push(Column { origin: None, value: 0.0, usage: vec![0.0; start.len()] });
        }
        let column = oracle.evaluate(start, Phase::Objective);
        let bound = bound_of(oracle, &column, start, Phase::Objective);
        columns.push(column);
        let sources = vec![Source::Choices; columns.len()];
        let phase = Phase::Feasibility;
        let master = Master::new(oracle.rows, sides(oracle, phase), columns, phase);
        Self {
            problem,
            layout,
            oracle,
            operator,
            phase,
            options,
            polish,
            iterations: 0,
            work: 0,
            next_check: 1,
            best: start.to_vec(),
            bound,
            value: f64::NEG_INFINITY,
            master,
            sources,
            trail: Vec::new(),
        }
    }

    fn run<M: Method>(&mut self, method: &M, start: &[f64]) -> Outcome {
        if !self.bound.is_finite() {
            return Outcome::Halted(Halt::Broken(self.bound));
        }
        let (best, bound) = (std::mem::take(&mut self.best), self.bound);
        if !self.keeps_every_row() {
            let zeros = vec![0.0; start.len()];
            (self.best, self.bound) = (zeros.clone(), 0.0);
            let halt = method.descend(self, &zeros);
            let refuted = dual::refutation(self.oracle.rows, &self.best, self.bound);
            if let Some(refuted) = refuted.filter(|_| !self.keeps_every_row()) {
                self.best = best;
                return Outcome::Infeasible(refuted);
            }
            if !matches!(halt, Halt::Met | Halt::Stalled) {
                self.best = best;
                return Outcome::Halted(halt);
            }
        }
        self.phase = Phase::Objective;
        (self.best, self.bound) = (best, bound);
        self.rebuild();
        self.next_check = self.iterations + 1;
        let start = self.best.clone();
        let halt = match self.mix() {
            Ok(()) => method.descend(self, &start),
            Err(halt) => halt,
        };
        // What was found since the last check counts too.
        Outcome::Halted(match self.mix() {
            Err(last) if halt != Halt::Cancelled => last,
            _ => halt,
        })
    }

    /// Whether the columns mix to an answer that keeps every hard row: asked of a master
    /// without objective.
    fn keeps_every_row(&mut self) -> bool {
        self.master.optimize();
        !self.breaks_a_row()
    }

    /// The highest price of each row in this phase, scaled.
    pub(crate) fn caps(&self) -> Vec<f64> {
        let caps = self.oracle.rows.iter().map(|row| match self.phase {
            Phase::Objective => cap(row.penalty),
            Phase::Feasibility => f64::from(u8::from(row.penalty.is_none())),
        });
        caps.collect()
    }

    /// The best prices of this phase so far, and their bound.
    pub(crate) fn best(&self) -> (&[f64], f64) {
        (&self.best, self.bound)
    }

    /// The value of the best feasible mixture at the last check; `-inf` without one.
    pub(crate) fn value(&self) -> f64 {
        self.value
    }

    /// Takes one iteration from what is left of them.
    pub(crate) fn spend(&mut self) -> Result<(), Halt> {
        if self.options.cancelled() {
            return Err(Halt::Cancelled);
        }
        if self.iterations >= self.options.max_iterations {
            return Err(Halt::Limit);
        }
        self.iterations += 1;
        Ok(())
    }

    /// Counts one pass made outside of the oracle.
    pub(crate) fn add_pass(&mut self) {
        self.work += self.layout.n_queries() as u64;
    }

    /// The dual function at some prices within the caps: an iteration.
    pub(crate) fn look(&mut self, prices: &[f64]) -> Result<Look, Halt> {
        self.spend()?;
        let (look, column) = self.evaluate(prices)?;
        self.keep(column, Source::Choices);
        Ok(look)
    }

    fn evaluate(&mut self, prices: &[f64]) -> Result<(Look, Column), Halt> {
        let column = self.oracle.evaluate(prices, self.phase);
        let bound = bound_of(self.oracle, &column, prices, self.phase);
        if !bound.is_finite() {
            return Err(Halt::Broken(bound));
        }
        if bound < self.bound {
            self.bound = bound;
            self.best = prices.to_vec();
        }
        let slope = self.oracle.rows.iter().zip(&column.usage).map(|(row, used)| row.bound - used);
        let look = Look { bound, slope: slope.collect(), value: column.value };
        Ok((look, column))
    }

    /// Remembers prices for a mean, with their weight; their place in the trail.
    pub(crate) fn remember(&mut self, weight: f64, prices: &[f64]) -> usize {
        self.trail.push(Step { weight, prices: prices.to_vec(), phase: self.phase });
        self.trail.len() - 1
    }

    /// Whether it is time for a check: at every iteration first, then less often.
    pub(crate) fn due(&self) -> bool {
        self.iterations >= self.next_check
    }

    /// Mixes what is known; `Err` where that ends the phase.
    pub(crate) fn check(&mut self) -> Result<(), Halt> {
        self.mix()?;
        if self.polish {
            self.toward_master()?;
        }
        self.next_check = self.iterations + (self.iterations / CADENCE).clamp(1, LONGEST);
        Ok(())
    }

    /// Checks until nothing is gained any more: what is left to do at the end of a walk.
    pub(crate) fn settle(&mut self) -> Halt {
        loop {
            if let Err(halt) = self.mix() {
                return halt;
            }
            if !self.polish {
                return Halt::Stalled;
            }
            match self.toward_master() {
                Ok(true) => {}
                Ok(false) => return self.mix().err().unwrap_or(Halt::Stalled),
                Err(halt) => return halt,
            }
        }
    }

    /// Asks for the dual function half-way to the master's prices (Wentges, 1997), and
    /// where that says nothing new, at those. Whether it did.
    fn toward_master(&mut self) -> Result<bool, Halt> {
        let prices = self.master.prices();
        let middle = prices.iter().zip(&self.best).map(|(a, b)| f64::midpoint(*a, *b)).collect();
        for prices in [middle, prices] {
            self.spend()?;
            let (_, column) = self.evaluate(&prices)?;
            let gains = self.master.reduced_cost(&column) > self.master.tolerance();
            self.keep(column, Source::Choices);
            if gains {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The best mixture of the columns known; `Err` where it meets the bound, or where
    /// rounding keeps the master from finding it.
    fn mix(&mut self) -> Result<(), Halt> {
        self.prune();
        self.value = f64::NEG_INFINITY;
        self.optimize()?;
        if self.phase == Phase::Feasibility {
            let met = !self.breaks_a_row() || self.met(self.master.value());
            return if met { Err(Halt::Met) } else { Ok(()) };
        }
        for _ in 0..RAISES {
            if !self.raise_ceilings() {
                break;
            }
            self.optimize()?;
        }
        if self.breaks_a_row() || self.raise_ceilings() {
            return Ok(());
        }
        self.value = self.master.value();
        if self.met(self.value) { Err(Halt::Met) } else { Ok(()) }
    }

    /// From a basis that cycles no later step leads back.
    fn optimize(&mut self) -> Result<(), Halt> {
        if self.master.optimize() { Ok(()) } else { Err(Halt::Stalled) }
    }

    /// Raises the ceilings that are in the way of prices; whether any was.
    fn raise_ceilings(&mut self) -> bool {
        let caps = self.caps();
        let ceilings = &self.master.sides.ceilings;
        let blocked: Vec<usize> = self
            .master
            .deviations()
            .filter_map(|(variable, level)| match variable {
                Variable::Excess(row) if level > EXCESS && ceilings[row] < caps[row] => Some(row),
                _ => None,
            })
            .collect();
        for &row in &blocked {
            let ceiling = &mut self.master.sides.ceilings[row];
            *ceiling = (*ceiling * CEILING).min(caps[row]);
        }
        !blocked.is_empty()
    }

    fn breaks_a_row(&self) -> bool {
        self.master.deviations().any(|(variable, level)| match variable {
            Variable::Excess(row) => level > EXCESS && self.oracle.rows[row].penalty.is_none(),
            _ => false,
        })
    }

    fn met(&self, value: f64) -> bool {
        let size = self.bound.abs().max(value.abs());
        self.bound - value <= self.options.gap * size + dual::rounding(self.oracle.rows, &self.best)
    }

    /// The answer, in the problem's own units.
    fn finish(mut self, name: &'static str, outcome: Outcome) -> Result<Solution, SolveError> {
        let iteration = self.iterations;
        let broken = |got| SolveError::Breakdown {
            solver: name,
            what: "a price or its bound",
            got,
            iteration,
        };
        let status = match outcome {
            Outcome::Halted(Halt::Broken(got)) => return Err(broken(got)),
            Outcome::Halted(Halt::Met) if self.phase == Phase::Objective => Status::Optimal,
            Outcome::Halted(Halt::Cancelled) => Status::Cancelled,
            Outcome::Halted(_) => Status::LimitReached,
            Outcome::Infeasible(refuted) => refuted,
        };
        let dual_bound = self.oracle.bound(&self.best);
        let (problem, rows) = (self.problem, self.oracle.rows);
        let prices = dual::own_prices(problem, rows, (&self.best, dual_bound), (name, iteration))?;
        let primal = (self.value > f64::NEG_INFINITY).then(|| self.answer());
        let primal_value =
            primal.as_ref().map_or(f64::NEG_INFINITY, |primal| self.problem.check(primal).value);
        Ok(Solution {
            status,
            dual_bound,
            primal_value,
            primal,
            gap: Solution::relative_gap(dual_bound, primal_value),
            iterations: self.iterations,
            passes: self.oracle.passes()
                + self.work.div_ceil(self.layout.n_queries().max(1) as u64),
            warm: Some(Warm::of_prices(self.problem.rows().to_vec(), prices.clone())),
            prices,
        })
    }
}

/// The box of a master's prices: the caps, or less for as long as that is not in the way.
fn sides(oracle: &Oracle<'_>, phase: Phase) -> Sides {
    let ceilings = oracle.rows.iter().map(|row| match phase {
        Phase::Objective => cap(row.penalty).min(CEILING * row.natural_price),
        Phase::Feasibility => f64::from(u8::from(row.penalty.is_none())),
    });
    Sides { floors: vec![0.0; oracle.rows.len()], ceilings: ceilings.collect() }
}

#[cfg(test)]
pub(crate) mod on_paper;
