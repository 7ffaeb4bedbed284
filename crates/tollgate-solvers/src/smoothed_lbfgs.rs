//! Prices from a smoothed dual function, by L-BFGS.
//!
//! # Problem
//! The least value of the dual function, with the best score of every query replaced by a
//! smooth one that is never below it, in scaled units:
//!
//! ```text
//! D_m(p) = sum_r p_r b_r + sum_j w_j m log( [1 +] sum_i exp(s_ij(p) / m) )         (1)
//! D(p)  <=  D_m(p)  <=  D(p) + m log(n_models + 1) sum_j w_j                       (2)
//! ```
//!
//! over `0 <= p <= penalty`; `[1 +]` is declining, where that is allowed. `m > 0` is a
//! temperature.
//!
//! # Method
//! The slope of (1) is what the rows have left when every query is shared out among the
//! models by the softmax of its scores; one pass gives value and slope. (1) is minimized
//! by L-BFGS (Liu and Nocedal, 1989) at falling temperatures, each from the last one's
//! prices (Nesterov, 2005, for what smoothing costs; Cominetti and San Martin, 1994, for
//! the path).
//!
//! L-BFGS knows no bounds, so prices are functions of free variables,
//!
//! ```text
//! p = u^2        where there is no penalty,
//! p = penalty sin(u)^2        where there is one,                                  (3)
//! ```
//!
//! and every slope is multiplied with `dp/du`. A price that is 0 in the end is then
//! reached with a curvature like that of the others, where an exponential would creep. At
//! `u = 0` the slope vanishes whether or not the price belongs there, so variables are
//! moved off the ends of (3) before each temperature.
//!
//! After each temperature the exact dual function is asked for at the prices found, and
//! the softmax shares are offered as an answer: see the page of the recovery.
//!
//! # Departures
//! Entropy smoothing of an assignment is old (it is an interior path of the primal); new
//! is only that the answer is certified by the exact function, so that no temperature has
//! to be low enough in theory.
//!
//! # References
//! * D. C. Liu, J. Nocedal (1989), "On the limited memory BFGS method for large scale
//!   optimization", doi:10.1007/BF01589116.
//! * R. Cominetti, J. San Martin (1994), "Asymptotic analysis of the exponential penalty
//!   trajectory in linear programming", doi:10.1007/BF01582220.
//! * Y. Nesterov (2005), "Smooth minimization of non-smooth functions",
//!   doi:10.1007/s10107-004-0552-5.

use std::cell::{Cell, RefCell};

use argmin::core::{CostFunction, Error, Executor, Gradient};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use serde::{Deserialize, Serialize};
use tollgate_core::{ParamError, Problem, Solution, SolveError, SolveOptions, Solver, WarmState};

use crate::dual::Phase;
use crate::operator::Operator;
use crate::recovery::{self, Halt, Method, Recovery, Source};

/// Pairs of steps and gradients that L-BFGS remembers.
const MEMORY: usize = 10;
/// Where the temperature is so low that (1) is as kinked as the dual function itself.
const COLDEST: f64 = 1e-9;
/// The slope that ends a temperature, in scaled units of usage, a unit of temperature.
const TOLERANCE: f64 = 1e-2;
/// How far from the ends of (3) a temperature starts at least.
const OFF_THE_END: f64 = 0.03;

/// Value and slope of a point are asked for once or twice each.
const REPEATS: u32 = 16;

/// Knobs of [`SmoothedLbfgs`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmoothedLbfgsConfig {
    /// The first temperature, in units of the mean value of an option, `> 0`.
    /// Default `0.1`.
    pub temperature: f64,
    /// What the temperature is multiplied with after each stage, in `(0, 1)`.
    /// Default `0.25`.
    pub cooling: f64,
    /// L-BFGS iterations a temperature, at least 1. Default `40`.
    pub iterations: u64,
    /// Whether a check also asks for the dual function at the prices of the mixture.
    /// Default `true`.
    pub polish: bool,
}

impl Default for SmoothedLbfgsConfig {
    fn default() -> Self {
        Self { temperature: 0.1, cooling: 0.25, iterations: 40, polish: true }
    }
}

impl SmoothedLbfgsConfig {
    /// Sets [`temperature`](Self::temperature).
    #[must_use]
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// Sets [`cooling`](Self::cooling).
    #[must_use]
    pub fn cooling(mut self, cooling: f64) -> Self {
        self.cooling = cooling;
        self
    }

    /// Sets [`iterations`](Self::iterations).
    #[must_use]
    pub fn iterations(mut self, iterations: u64) -> Self {
        self.iterations = iterations;
        self
    }

    /// Sets [`polish`](Self::polish).
    #[must_use]
    pub fn polish(mut self, polish: bool) -> Self {
        self.polish = polish;
        self
    }

    /// Checks the knobs.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self) -> Result<SmoothedLbfgs, ParamError> {
        let Self { temperature, cooling, iterations, polish } = self;
        if !(temperature > 0.0 && temperature.is_finite()) {
            let rule = "finite and > 0";
            return Err(ParamError { field: "temperature", rule, got: temperature });
        }
        if !(cooling > 0.0 && cooling < 1.0) {
            return Err(ParamError { field: "cooling", rule: "in (0, 1)", got: cooling });
        }
        if iterations == 0 {
            return Err(ParamError { field: "iterations", rule: "at least 1", got: 0.0 });
        }
        Ok(SmoothedLbfgs { temperature, cooling, iterations, polish })
    }
}

/// L-BFGS on the smoothed dual function: see the module's source for the method.
///
/// As many threads as rayon has, and the same bits whatever their number. An iteration is
/// one evaluation, smoothed or exact.
#[derive(Clone, Debug, PartialEq)]
pub struct SmoothedLbfgs {
    temperature: f64,
    cooling: f64,
    iterations: u64,
    polish: bool,
}

impl Default for SmoothedLbfgs {
    fn default() -> Self {
        SmoothedLbfgsConfig::default().build().expect("the defaults are in range")
    }
}

impl Solver for SmoothedLbfgs {
    fn name(&self) -> &'static str {
        "smoothed-lbfgs"
    }

    fn solve(
        &self,
        problem: &Problem,
        options: &SolveOptions,
        warm: Option<&WarmState>,
    ) -> Result<Solution, SolveError> {
        recovery::solve(self, problem, options, warm)
    }
}

impl Method for SmoothedLbfgs {
    const NAME: &'static str = "smoothed-lbfgs";

    fn polish(&self) -> bool {
        self.polish
    }

    fn descend(&self, recovery: &mut Recovery<'_, '_>, start: &[f64]) -> Halt {
        let mut prices = start.to_vec();
        let mut temperature = self.temperature;
        while temperature > COLDEST {
            match self.stage(recovery, &prices, temperature) {
                Ok(found) => prices = found,
                Err(halt) => return halt,
            }
            temperature *= self.cooling;
        }
        recovery.settle()
    }
}

impl SmoothedLbfgs {
    /// Minimizes (1) at one temperature and offers what comes of it.
    fn stage(
        &self,
        recovery: &mut Recovery<'_, '_>,
        start: &[f64],
        temperature: f64,
    ) -> Result<Vec<f64>, Halt> {
        let caps = recovery.caps();
        let phase = recovery.phase;
        let a_query = temperature / recovery.operator.weight;
        let smoothed = Smoothed::new(recovery, caps, a_query);
        let free = smoothed.free(start);
        let found = smoothed.minimize(free, temperature, self.iterations)?;
        recovery.look(&found.prices)?;
        let source = Source::Softmax { prices: found.prices.clone(), phase, temperature: a_query };
        recovery.keep(Operator::column(found.value, found.usage, &found.prices, phase), source);
        recovery.check()?;
        Ok(found.prices)
    }
}

/// (1) somewhere.
#[derive(Clone, Debug)]
struct Found {
    free: Vec<f64>,
    prices: Vec<f64>,
    cost: f64,
    /// By the free variables.
    slope: Vec<f64>,
    /// Of the softmax shares.
    value: f64,
    usage: Vec<f64>,
}

/// (1) at one temperature, as a function of the free variables of (3).
struct Smoothed<'s, 'r, 'a> {
    recovery: RefCell<&'s mut Recovery<'r, 'a>>,
    caps: Vec<f64>,
    phase: Phase,
    temperature: f64,
    /// The last evaluation, since value and slope are asked for one after the other, and
    /// the best.
    last: RefCell<Option<Found>>,
    best: RefCell<Option<Found>>,
    /// How often the last point has been asked for again.
    repeats: Cell<u32>,
    /// Why evaluations have come to an end.
    halt: RefCell<Option<Halt>>,
}

impl<'s, 'r, 'a> Smoothed<'s, 'r, 'a> {
    fn new(recovery: &'s mut Recovery<'r, 'a>, caps: Vec<f64>, temperature: f64) -> Self {
        Self {
            caps,
            phase: recovery.phase,
            recovery: RefCell::new(recovery),
            temperature,
            last: RefCell::default(),
            best: RefCell::default(),
            repeats: Cell::new(0),
            halt: RefCell::default(),
        }
    }

    /// The inverse of (3), off its ends.
    fn free(&self, prices: &[f64]) -> Vec<f64> {
        let quarter = std::f64::consts::FRAC_PI_2;
        let parts = prices.iter().zip(&self.caps);
        let free = parts.map(|(price, cap)| {
            if *cap == 0.0 {
                0.0
            } else if cap.is_finite() {
                (price / cap)
                    .clamp(0.0, 1.0)
                    .sqrt()
                    .asin()
                    .clamp(OFF_THE_END, quarter - OFF_THE_END)
            } else {
                price.sqrt().max(OFF_THE_END)
            }
        });
        free.collect()
    }

    /// (3), and its derivative.
    fn price(free: f64, cap: f64) -> (f64, f64) {
        if cap.is_finite() {
            ((cap * free.sin().powi(2)).min(cap), cap * (2.0 * free).sin())
        } else {
            (free * free, 2.0 * free)
        }
    }

    fn minimize(&self, start: Vec<f64>, scale: f64, iterations: u64) -> Result<Found, Halt> {
        let first = self.evaluate(&start);
        if let Ok(first) = first
            && norm(&first.slope) > TOLERANCE * scale
        {
            // Close to the minimum a line search fails by rounding, and anywhere when
            // evaluations come to an end: what counts is the best point.
            let _ = self.search(start, scale, iterations);
        }
        if let Some(halt) = *self.halt.borrow() {
            return Err(halt);
        }
        self.best.borrow_mut().take().ok_or(Halt::Stalled)
    }

    fn search(&self, start: Vec<f64>, scale: f64, iterations: u64) -> Result<(), Error> {
        let search = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
            .with_tolerance_grad(TOLERANCE * scale)?
            .with_tolerance_cost(0.0)?;
        Executor::new(self, search)
            .configure(|state| state.param(start).max_iters(iterations))
            .timer(false)
            .ctrlc(false)
            .run()
            .map(|_| ())
    }

    /// Value and slope of (1), in one pass.
    fn evaluate(&self, free: &[f64]) -> Result<Found, Error> {
        if let Some(last) = self.last.borrow().as_ref().filter(|last| last.free == free) {
            // Asked for in vain: a line search may stand still for ever.
            self.repeats.set(self.repeats.get() + 1);
            if self.repeats.get() > REPEATS {
                return Err(Error::msg("the line search stands still"));
            }
            return Ok(last.clone());
        }
        self.repeats.set(0);
        let found = self.pass(free).map_err(|halt| {
            *self.halt.borrow_mut() = Some(halt);
            Error::msg("no more evaluations")
        })?;
        let mut best = self.best.borrow_mut();
        if !found.cost.is_finite() {
            // A line search that has lost its way ends the stage, and at the first point
            // there is no other to fall back on.
            if best.is_none() {
                *self.halt.borrow_mut() = Some(Halt::Broken(found.cost));
            }
            return Err(Error::msg("beyond the numbers"));
        }
        if best.as_ref().is_none_or(|best| found.cost < best.cost) {
            *best = Some(found.clone());
        }
        *self.last.borrow_mut() = Some(found.clone());
        Ok(found)
    }

    fn pass(&self, free: &[f64]) -> Result<Found, Halt> {
        let mut recovery = self.recovery.borrow_mut();
        recovery.spend()?;
        recovery.add_pass();
        let (prices, rates): (Vec<f64>, Vec<f64>) =
            free.iter().zip(&self.caps).map(|(free, cap)| Self::price(*free, *cap)).unzip();
        let got = recovery.operator.softmax(&prices, self.phase, self.temperature);
        let rows = recovery.oracle.rows.iter();
        let tolls: f64 = rows.clone().zip(&prices).map(|(row, price)| row.bound * price).sum();
        let cost = tolls + got.gains;
        let slope =
            rows.zip(&got.usage).zip(&rates).map(|((row, used), rate)| (row.bound - used) * rate);
        let slope = slope.collect();
        Ok(Found { free: free.to_vec(), prices, cost, slope, value: got.value, usage: got.usage })
    }
}

impl CostFunction for &Smoothed<'_, '_, '_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, free: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.evaluate(free)?.cost)
    }
}

impl Gradient for &Smoothed<'_, '_, '_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, free: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.evaluate(free)?.slope)
    }
}

fn norm(slope: &[f64]) -> f64 {
    slope.iter().map(|s| s * s).sum::<f64>().sqrt()
}

#[cfg(test)]
#[path = "smoothed_lbfgs/tests.rs"]
mod tests;
