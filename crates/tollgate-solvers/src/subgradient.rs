//! Prices by projected subgradient descent.
//!
//! # Problem
//! The least value of the dual function, in scaled units, within the penalties:
//!
//! ```text
//! min D(p)   over 0 <= p_r <= penalty_r,
//! D(p) = max over assignments x of   v(x) + sum_r p_r (b_r - a_r(x))              (1)
//! ```
//!
//! # Method
//! What the rows have left at the assignment that is best at `p` is a subgradient,
//! `g_r = b_r - a_r(x)`: one pass over the options. A step against it is cut to the box,
//!
//! ```text
//! p  <-  min(penalty, max(0, p - t g))                                            (2)
//! ```
//!
//! Components that would only be cut off again are left out of `g`. Of the steps,
//!
//! * *diminishing*: `t = step / (|g| sqrt(k + 1))` in iteration `k`; the best bound of `k`
//!   iterations is within `O(1 / sqrt(k))` of the least (Shor, 1985);
//! * *Polyak's*: `t = step (D(p) - target) / |g|^2`, the target a little below the best
//!   bound so far, but never below the value of an answer that is known. When the walk
//!   has gone a long way, in sizes of the best prices, without coming half-way to its
//!   target, the target is moved half-way back (Brannlund, 1993; Nedic and Bertsekas,
//!   2001).
//!
//! The mean of the prices, weighted with the steps, oscillates less than the prices, and
//! the mean of the assignments, weighted likewise, tends to a best fractional answer
//! (Shor, 1985; Larsson, Patriksson and Stromberg, 1999). Both are offered to the
//! recovery, which mixes a feasible answer of what was visited: see its page.
//!
//! # Departures
//! Means start anew whenever the number of steps has doubled, since the first steps are
//! the longest and the worst. The mean of the assignments is not the answer itself, which
//! in general breaks a row by a little, but one of the columns that the answer is mixed
//! of.
//!
//! # References
//! * B. T. Polyak (1969), "Minimization of unsmooth functionals",
//!   doi:10.1016/0041-5553(69)90061-5.
//! * N. Z. Shor (1985), "Minimization methods for non-differentiable functions",
//!   doi:10.1007/978-3-642-82118-9.
//! * U. Brannlund (1993), "On relaxation methods for nonsmooth convex optimization".
//! * T. Larsson, M. Patriksson, A.-B. Stromberg (1999), "Ergodic, primal convergence in
//!   dual subgradient schemes for convex programming", doi:10.1007/s101070050090.
//! * A. Nedic, D. P. Bertsekas (2001), "Incremental subgradient methods for
//!   nondifferentiable optimization", doi:10.1137/S1052623499362111.

use std::cell::RefCell;
use std::rc::Rc;

use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{
    Error, Executor, IterState, KV, KvValue, Problem as Counted, State, TerminationReason,
};
use serde::{Deserialize, Serialize};
use tollgate_core::{ParamError, Problem, Solution, SolveError, SolveOptions, Solver, WarmState};

use crate::recovery::{self, Halt, Level, Look, Mean, Method, Recovery};

/// What an observer of [`Subgradient::solve_observed`] sees after every iteration: the
/// scaled prices (`param`), their bound (`cost`), what the rows have left (`gradient`), and
/// the best of these so far.
pub type SubgradientState = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// How long a step is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Schedule {
    /// In proportion to what is missing to a target.
    #[default]
    Polyak,
    /// Falling with the root of the number of iterations.
    Diminishing,
}

/// Knobs of [`Subgradient`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubgradientConfig {
    /// How long a step is. Default [`Schedule::Polyak`].
    pub schedule: Schedule,
    /// Diminishing: the length of the first step, in units of the scaled price, `> 0`.
    /// Polyak: what the step is multiplied with, in `(0, 2)`. Default `1.0`.
    pub step: f64,
    /// Whether means of prices and assignments are offered too. Default `true`.
    pub average: bool,
    /// Whether a check also asks for the dual function at the prices of the mixture.
    /// Default `true`.
    pub polish: bool,
}

impl Default for SubgradientConfig {
    fn default() -> Self {
        Self { schedule: Schedule::Polyak, step: 1.0, average: true, polish: true }
    }
}

impl SubgradientConfig {
    /// Sets [`schedule`](Self::schedule).
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Sets [`step`](Self::step).
    #[must_use]
    pub fn step(mut self, step: f64) -> Self {
        self.step = step;
        self
    }

    /// Sets [`average`](Self::average).
    #[must_use]
    pub fn average(mut self, average: bool) -> Self {
        self.average = average;
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
    pub fn build(self) -> Result<Subgradient, ParamError> {
        let Self { schedule, step, average, polish } = self;
        let most = if schedule == Schedule::Polyak { 2.0 } else { f64::INFINITY };
        if !(step > 0.0 && step < most) {
            let rule = match schedule {
                Schedule::Polyak => "in (0, 2) for Polyak's steps",
                Schedule::Diminishing => "finite and > 0",
            };
            return Err(ParamError { field: "step", rule, got: step });
        }
        Ok(Subgradient { schedule, step, average, polish })
    }
}

/// The subgradient method: see the module's source for the method.
///
/// One thread, and the same bits on every machine. An iteration is one evaluation of the
/// dual function. With Polyak's steps a gap of
/// 1e-4 is near; with diminishing ones 1e-2.
#[derive(Clone, Debug, PartialEq)]
pub struct Subgradient {
    schedule: Schedule,
    step: f64,
    average: bool,
    polish: bool,
}

impl Default for Subgradient {
    fn default() -> Self {
        SubgradientConfig::default().build().expect("the defaults are in range")
    }
}

impl Solver for Subgradient {
    fn name(&self) -> &'static str {
        "subgradient"
    }

    fn solve(
        &self,
        problem: &Problem,
        options: &SolveOptions,
        warm: Option<&WarmState>,
    ) -> Result<Solution, SolveError> {
        recovery::solve(
            &Observed { solver: self, observer: None::<Shared<Nobody>> },
            problem,
            options,
            warm,
        )
    }
}

impl Subgradient {
    /// [`solve`](Solver::solve), with an argmin observer looking on: at the search for any
    /// feasible answer, where there is one, and then at the search for the best.
    ///
    /// # Errors
    /// As [`solve`](Solver::solve); an error of the observer ends the search as if the
    /// limit were reached.
    pub fn solve_observed(
        &self,
        problem: &Problem,
        options: &SolveOptions,
        warm: Option<&WarmState>,
        observer: impl Observe<SubgradientState> + 'static,
    ) -> Result<Solution, SolveError> {
        let observer = Some(Shared(Rc::new(RefCell::new(observer))));
        recovery::solve(&Observed { solver: self, observer }, problem, options, warm)
    }
}

/// An observer that outlives the phase that it looks at.
struct Shared<O>(Rc<RefCell<O>>);

impl<O: Observe<SubgradientState>> Observe<SubgradientState> for Shared<O> {
    fn observe_init(&mut self, name: &str, state: &SubgradientState, kv: &KV) -> Result<(), Error> {
        self.0.borrow_mut().observe_init(name, state, kv)
    }

    fn observe_iter(&mut self, state: &SubgradientState, kv: &KV) -> Result<(), Error> {
        self.0.borrow_mut().observe_iter(state, kv)
    }

    fn observe_final(&mut self, state: &SubgradientState) -> Result<(), Error> {
        self.0.borrow_mut().observe_final(state)
    }
}

/// Where nobody looks on.
struct Nobody;

impl Observe<SubgradientState> for Nobody {}

/// A solver, and who looks on.
struct Observed<'s, O> {
    solver: &'s Subgradient,
    observer: Option<Shared<O>>,
}

impl<O: Observe<SubgradientState> + 'static> Method for Observed<'_, O> {
    const NAME: &'static str = "subgradient";

    fn polish(&self) -> bool {
        self.solver.polish
    }

    fn descend(&self, recovery: &mut Recovery<'_, '_>, start: &[f64]) -> Halt {
        let caps = recovery.caps();
        let dual = Dual(RefCell::new(recovery));
        let (halt, mean, level) = (Rc::default(), Mean::default(), Level::new(start.len()));
        let walk =
            Walk { solver: self.solver, caps, level, steps: 0, mean, halt: Rc::clone(&halt) };
        let mut executor = Executor::new(dual, walk)
            .configure(|state| state.param(start.to_vec()))
            .timer(false)
            .ctrlc(false);
        if let Some(Shared(observer)) = &self.observer {
            executor = executor.add_observer(Shared(Rc::clone(observer)), ObserverMode::Always);
        }
        // The walk keeps its reason to stop; an error is one of the observer's.
        let run = executor.run().map(|_| ());
        let halt = *halt.borrow();
        halt.filter(|_| run.is_ok()).unwrap_or(Halt::Limit)
    }
}

/// The dual function, as argmin sees it.
struct Dual<'d, 'r, 'a>(RefCell<&'d mut Recovery<'r, 'a>>);

/// Iteration (2), as an argmin solver.
struct Walk<'s> {
    solver: &'s Subgradient,
    caps: Vec<f64>,
    level: Level,
    steps: u64,
    mean: Mean,
    /// Why the walk has stopped.
    halt: Rc<RefCell<Option<Halt>>>,
}

impl<'d, 'r, 'a> argmin::core::Solver<Dual<'d, 'r, 'a>, SubgradientState> for Walk<'_> {
    fn name(&self) -> &'static str {
        "subgradient"
    }

    fn init(
        &mut self,
        problem: &mut Counted<Dual<'d, 'r, 'a>>,
        mut state: SubgradientState,
    ) -> Result<(SubgradientState, Option<KV>), Error> {
        let prices = state.take_param().unwrap_or_default();
        let look = problem.problem("dual_count", |dual| Ok(dual.0.borrow_mut().look(&prices)))?;
        let (look, halt) = look.map_or_else(|halt| (None, Some(halt)), |look| (Some(look), None));
        Ok((self.arrive(state, prices, look, halt), None))
    }

    fn next_iter(
        &mut self,
        problem: &mut Counted<Dual<'d, 'r, 'a>>,
        mut state: SubgradientState,
    ) -> Result<(SubgradientState, Option<KV>), Error> {
        let prices = state.take_param().unwrap_or_default();
        let slope = state.take_gradient().unwrap_or_default();
        let bound = state.get_cost();
        problem.problem("dual_count", |dual| {
            let recovery = &mut **dual.0.borrow_mut();
            let Some(step) = self.length(recovery, &prices, &slope, bound) else {
                let halt = recovery.settle();
                return Ok((self.arrive(state, prices, None, Some(halt)), None));
            };
            let next = self.advance(&prices, &slope, step);
            let (look, halt) = match recovery.look(&next) {
                Ok(look) => {
                    let halt = self.visit(recovery, &next, step, &look).err();
                    (Some(look), halt)
                }
                Err(halt) => (None, Some(halt)),
            };
            let mut log = KV::new();
            log.insert("step", KvValue::Float(step));
            Ok((self.arrive(state, next, look, halt), Some(log)))
        })
    }
}

impl Walk<'_> {
    /// The state after a look at some prices, and perhaps a reason to stop.
    fn arrive(
        &self,
        state: SubgradientState,
        prices: Vec<f64>,
        look: Option<Look>,
        halt: Option<Halt>,
    ) -> SubgradientState {
        let bound = state.get_cost();
        let state = state.param(prices);
        let state = match look {
            Some(look) => state.cost(look.bound).gradient(look.slope),
            None => state.cost(bound),
        };
        let Some(halt) = halt else { return state };
        *self.halt.borrow_mut() = Some(halt);
        state.terminate_with(TerminationReason::SolverExit(format!("{halt:?}")))
    }

    /// `t` of (2); `None` where no component of the slope is free.
    fn length(
        &mut self,
        recovery: &Recovery<'_, '_>,
        prices: &[f64],
        slope: &[f64],
        bound: f64,
    ) -> Option<f64> {
        let free = slope.iter().zip(prices).zip(&self.caps).filter(|((left, price), cap)| {
            !(**left >= 0.0 && **price <= 0.0 || **left <= 0.0 && *price >= *cap)
        });
        let square: f64 = free.map(|((left, _), _)| left * left).sum();
        self.steps += 1;
        let step = match self.solver.schedule {
            Schedule::Polyak => {
                let target = self.level.target(recovery.best(), recovery.value());
                self.solver.step * (bound - target) / square
            }
            Schedule::Diminishing => self.solver.step / (square * self.steps as f64).sqrt(),
        };
        self.level.walked(step * square.sqrt());
        (step > 0.0 && step.is_finite()).then_some(step)
    }

    /// (2).
    fn advance(&self, prices: &[f64], slope: &[f64], step: f64) -> Vec<f64> {
        let parts = prices.iter().zip(slope).zip(&self.caps);
        parts.map(|((price, left), cap)| (price - step * left).max(0.0).min(*cap)).collect()
    }

    /// Takes a look into the means, and checks where it is time.
    fn visit(
        &mut self,
        recovery: &mut Recovery<'_, '_>,
        prices: &[f64],
        step: f64,
        look: &Look,
    ) -> Result<(), Halt> {
        if self.solver.average {
            self.mean.add(recovery, step, prices, look);
        }
        if !recovery.due() {
            return Ok(());
        }
        if self.solver.average {
            self.mean.offer(recovery)?;
        }
        recovery.check()
    }
}

#[cfg(test)]
#[path = "subgradient/tests.rs"]
mod tests;
