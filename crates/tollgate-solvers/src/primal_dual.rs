//! Prices and shares at once, by restarted primal-dual hybrid gradient.
//!
//! # Problem
//! The saddle point, in scaled units, of
//!
//! ```text
//! min over 0 <= p <= penalty   max over x   L(x, p) = v . x + p . (b - A x)        (1)
//! ```
//!
//! where the shares `x_j` of every query lie in a simplex (they sum to one, or to one at
//! most). The largest `L` at given `p` is the dual function.
//!
//! # Method
//! The primal-dual hybrid gradient method (Chambolle and Pock, 2011), as in PDLP
//! (Applegate et al., 2021):
//!
//! ```text
//! x'  =  project(x + tau s(p))            s_ij(p) = v_ij - sum_r p_r a_rij         (2)
//! p'  =  clamp(p - sigma E (b - A (2 x' - x)))                                     (3)
//! ```
//!
//! with `tau = eta / omega` and `sigma = eta omega`. One pass over the options does (2)
//! and sums `A x'`; the matrix is never formed. The parts of PDLP that are here:
//!
//! * **Preconditioning.** Rows and objective come scaled to numbers near 1; queries are
//!   measured in the norm of their weights, `|x|^2 = sum_j w_j |x_j|^2 / sum_j w_j`; `E`
//!   divides every row by the number of models that it covers (Pock and Chambolle, 2011).
//! * **Adaptive steps** `eta`: a step is taken if it is no longer than
//!   `(omega |dx|^2 + |dp|^2 / omega) / (2 |dp . A dx|)`, and tried again shorter if not.
//! * **Restarts** from the weighted mean of the iterates or from the last one, whichever
//!   has the smaller error: the root of the squares of the gap and of what the rows are
//!   broken by. On a linear program restarts make convergence linear.
//! * **The primal weight** `omega`, moved at every restart towards `|dp| / |dx|`, so that
//!   both sides travel equally far.
//!
//! Queries are worked on in parallel, in fixed chunks whose sums are added in order:
//! whatever the number of threads, the result is the same bits.
//!
//! # Departures
//! * The shares are not one long vector in a box but points of simplices, so that the
//!   choice constraints need no prices; the dual function is then finite everywhere, and
//!   the gap is a number rather than a gap plus a dual residual.
//! * PDLP finds infeasible problems by the direction in which the iterates diverge. Here a
//!   first phase without objective has prices in `[0, 1]` and can't diverge: see the page
//!   of the recovery, which also mixes the mean shares with assignments at the mean
//!   prices, so that hard rows hold to the last digit.
//! * No presolve and no Ruiz scaling; the structure leaves them little to do.
//!
//! # References
//! * A. Chambolle, T. Pock (2011), "A first-order primal-dual algorithm for convex problems
//!   with applications to imaging", doi:10.1007/s10851-010-0251-1.
//! * T. Pock, A. Chambolle (2011), "Diagonal preconditioning for first order primal-dual
//!   algorithms in convex optimization", doi:10.1109/ICCV.2011.6126441.
//! * D. Applegate, M. Diaz, O. Hinder, H. Lu, M. Lubin, B. O'Donoghue, W. Schudy (2021),
//!   "Practical large-scale linear programming using primal-dual hybrid gradient",
//!   arXiv:2106.04756, algorithms 1 to 4.
//! * D. Applegate, O. Hinder, H. Lu, M. Lubin (2023), "Faster first-order primal-dual
//!   methods for linear programming using restarts and sharpness",
//!   doi:10.1007/s10107-022-01901-9.

use serde::{Deserialize, Serialize};
use tollgate_core::{ParamError, Problem, Solution, SolveError, SolveOptions, Solver, WarmState};

use crate::recovery::{self, Halt, Method, Recovery};

mod iterate;
mod pass;
mod simplex;

use iterate::Iterate;

/// Knobs of [`PrimalDual`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrimalDualConfig {
    /// The first primal weight `omega`, in units of the size of the objective by that of
    /// the bounds, `> 0`; it adapts. Larger moves prices faster and shares more slowly.
    /// Default `1.0`.
    pub primal_weight: f64,
    /// A restart whenever the error has fallen to this share of what it was at the last
    /// one, in `(0, 1)`. Default `0.2`.
    pub sufficient: f64,
    /// The same where the error has begun to rise again; at least `sufficient`, below 1.
    /// Default `0.8`.
    pub necessary: f64,
    /// Whether a check also asks for the dual function at the prices of the mixture.
    /// Default `true`.
    pub polish: bool,
}

impl Default for PrimalDualConfig {
    fn default() -> Self {
        Self { primal_weight: 1.0, sufficient: 0.2, necessary: 0.8, polish: true }
    }
}

impl PrimalDualConfig {
    /// Sets [`primal_weight`](Self::primal_weight).
    #[must_use]
    pub fn primal_weight(mut self, primal_weight: f64) -> Self {
        self.primal_weight = primal_weight;
        self
    }

    /// Sets [`sufficient`](Self::sufficient).
    #[must_use]
    pub fn sufficient(mut self, sufficient: f64) -> Self {
        self.sufficient = sufficient;
        self
    }

    /// Sets [`necessary`](Self::necessary).
    #[must_use]
    pub fn necessary(mut self, necessary: f64) -> Self {
        self.necessary = necessary;
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
    pub fn build(self) -> Result<PrimalDual, ParamError> {
        let Self { primal_weight, sufficient, necessary, polish } = self;
        if !(primal_weight > 0.0 && primal_weight.is_finite()) {
            let rule = "finite and > 0";
            return Err(ParamError { field: "primal_weight", rule, got: primal_weight });
        }
        if !(sufficient > 0.0 && sufficient < 1.0) {
            return Err(ParamError { field: "sufficient", rule: "in (0, 1)", got: sufficient });
        }
        if !(necessary >= sufficient && necessary < 1.0) {
            let rule = "at least `sufficient` and below 1";
            return Err(ParamError { field: "necessary", rule, got: necessary });
        }
        Ok(PrimalDual { primal_weight, sufficient, necessary, polish })
    }
}

/// Restarted primal-dual hybrid gradient: see the module's source for the method.
///
/// As many threads as rayon has, and the same bits whatever their number. An iteration is
/// one pass over the options. Four tables of shares are kept beside the problem, and up to
/// as many more for the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct PrimalDual {
    primal_weight: f64,
    sufficient: f64,
    necessary: f64,
    polish: bool,
}

impl Default for PrimalDual {
    fn default() -> Self {
        PrimalDualConfig::default().build().expect("the defaults are in range")
    }
}

impl Solver for PrimalDual {
    fn name(&self) -> &'static str {
        "primal-dual"
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

impl Method for PrimalDual {
    const NAME: &'static str = "primal-dual";

    fn polish(&self) -> bool {
        self.polish
    }

    fn descend(&self, recovery: &mut Recovery<'_, '_>, start: &[f64]) -> Halt {
        let mut iterate = Iterate::new(self.primal_weight, recovery, start);
        loop {
            if let Err(halt) = self.turn(&mut iterate, recovery) {
                return halt;
            }
            if iterate.stands_still() {
                return recovery.settle();
            }
        }
    }
}

impl PrimalDual {
    /// One step, and where it is time, a check and perhaps a restart.
    fn turn(&self, iterate: &mut Iterate, recovery: &mut Recovery<'_, '_>) -> Result<(), Halt> {
        iterate.step(recovery)?;
        if !recovery.due() {
            return Ok(());
        }
        let candidate = iterate.candidate(recovery)?;
        recovery.check()?;
        let share = candidate.error / iterate.error_at_restart;
        let rising = candidate.error > iterate.last_error;
        // Algorithm 3: sufficient, or necessary and no progress, or a long time.
        if share <= self.sufficient || share <= self.necessary && rising || iterate.is_long() {
            iterate.restart(&candidate, recovery);
        } else {
            iterate.last_error = candidate.error;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "primal_dual/tests.rs"]
mod tests;
