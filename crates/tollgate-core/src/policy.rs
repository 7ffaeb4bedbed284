//! The policy's side of the contract: estimates, prices and budgets in, a ranking
//! out; and the pricer's: when prices are due, and what to solve for them.

use std::fmt;
use std::sync::Arc;

use crate::{
    BudgetView, Budgets, EstimateTable, Estimates, Explanation, Horizon, Models, PolicyError,
    Prices, Problem, Purpose, Seed, Solution, SolveError, SolveOptions, Solver, StreamRng,
    WarmState,
};

/// Ranks the models for a query. Pure: prices and budgets come in, a ranking goes out.
pub trait Policy: fmt::Debug + Send + Sync {
    /// The name in reports and in the registry.
    fn name(&self) -> String;

    /// Whether [`adapt`](Self::adapt) or [`pricer`](Self::pricer) needs
    /// [`RunSetup::history`].
    fn needs_history(&self) -> bool {
        false
    }

    /// Whether it wants expected costs corrected by what answers have really cost so far:
    /// see [`CostRatios`](crate::CostRatios). Off by default, as in the papers.
    fn corrects_costs(&self) -> bool {
        false
    }

    /// This policy with what it learns from the setup of one run, a threshold calibrated
    /// on history say; `None` where there is nothing to learn. What comes back is used in
    /// place of this policy from then on, and is not adapted again.
    ///
    /// # Errors
    /// [`PolicyError`] when the setup lacks what is to be learned from.
    fn adapt(&self, setup: &RunSetup<'_>) -> Result<Option<Arc<dyn Policy>>, PolicyError> {
        let _ = setup;
        Ok(None)
    }

    /// The price source of one run; `None` for a policy that charges nothing.
    ///
    /// # Errors
    /// [`PolicyError`] when the setup lacks what the price source needs.
    fn pricer(&self, setup: &RunSetup<'_>) -> Result<Option<Box<dyn Pricer>>, PolicyError> {
        let _ = setup;
        Ok(None)
    }

    /// Overwrites `out` with the models worth trying, best first; leaves it empty to
    /// decline, with the reason. Allocates nothing once `out` has grown.
    ///
    /// # Errors
    /// [`PolicyError`] where a solve inside the policy broke down.
    fn rank(
        &self,
        arrival: &Arrival<'_>,
        prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError>;

    /// How many arrivals it wants to see together; 1 for a policy that decides at once.
    fn batch_size(&self) -> usize {
        1
    }

    /// Ranks up to [`batch_size`](Self::batch_size) arrivals together.
    ///
    /// # Errors
    /// As [`rank`](Self::rank).
    fn rank_batch(
        &self,
        arrivals: &[Arrival<'_>],
        prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut [Ranking],
    ) -> Result<(), PolicyError> {
        for (arrival, ranking) in arrivals.iter().zip(out) {
            self.rank(arrival, prices, budgets, ranking)?;
        }
        Ok(())
    }

    /// Why `model` scores what it scores.
    fn explain(&self, arrival: &Arrival<'_>, prices: &Prices, model: usize) -> Explanation {
        let _ = prices;
        Explanation::leaf("quality", arrival.estimates.quality[model])
    }
}

/// One query at the moment it arrives.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Its position in the stream, from 0.
    pub index: u64,
    /// When it arrived, in seconds since the start of the run; 0 where nobody keeps time.
    pub time: f64,
    /// Its group (a tenant, a window); 0 where there is but one.
    pub group: u32,
    /// What is expected of each model; every slice has shape `(n_models,)`.
    pub estimates: Estimates<'a>,
    /// Seconds until the answer of each model is expected to be complete, were it chosen now,
    /// its wait for a slot included; shape `(n_models,)`. `None` where nobody measures.
    pub latency: Option<&'a [f64]>,
    /// Whether declining is not allowed while some model is affordable.
    pub must_serve: bool,
    /// The seed of the run.
    pub seed: Seed,
}

impl Arrival<'_> {
    /// The arrival's own random stream, the same whenever it is asked for.
    pub fn rng(&self) -> StreamRng {
        self.seed.stream(Purpose::Policy, self.index)
    }
}

/// One model of a ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// The model's index.
    pub model: usize,
    /// Value minus price, in the policy's own unit.
    pub score: f64,
}

/// The models worth trying, best first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking {
    entries: Vec<Ranked>,
    unaffordable: bool,
}

impl Ranking {
    /// Empties it: declined, unless something is pushed.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.unaffordable = false;
    }

    /// Appends the next best model.
    pub fn push(&mut self, model: usize, score: f64) {
        self.entries.push(Ranked { model, score });
    }

    /// Keeps the best `depth` of everything offered since [`clear`](Self::clear), best
    /// first. Ties to the model offered first.
    pub fn offer(&mut self, model: usize, score: f64, depth: usize) {
        let at = self.entries.iter().position(|entry| score > entry.score);
        let at = at.unwrap_or(self.entries.len());
        if at >= depth {
            return;
        }
        self.entries.truncate(depth - 1);
        self.entries.insert(at, Ranked { model, score });
    }

    /// Puts a model first, wherever it has been so far.
    pub fn promote(&mut self, model: usize, score: f64) {
        self.entries.retain(|entry| entry.model != model);
        // Best first: what has been promoted is worth no less than what it passes.
        let score = self.entries.first().map_or(score, |first| first.score.max(score));
        self.entries.insert(0, Ranked { model, score });
    }

    /// Says that the ranking is empty for want of budget, not of worth.
    pub fn set_unaffordable(&mut self) {
        self.unaffordable = true;
    }

    /// Whether it is empty for want of budget.
    pub fn is_unaffordable(&self) -> bool {
        self.unaffordable
    }

    /// The models, best first.
    pub fn entries(&self) -> &[Ranked] {
        &self.entries
    }

    /// The best model.
    pub fn best(&self) -> Option<Ranked> {
        self.entries.first().copied()
    }
}

/// What a run knows before its first arrival.
#[derive(Clone, Copy, Debug)]
pub struct RunSetup<'a> {
    /// The models.
    pub models: &'a Models,
    /// The budgets.
    pub budgets: &'a Budgets,
    /// How long the budgets have to last.
    pub horizon: Horizon,
    /// Held-out estimates of the history, where some policy asked for them.
    pub history: Option<&'a EstimateTable>,
    /// Where the run stands, if it goes on from one with another pool of models; `budgets` are
    /// then what is left of them. `None` at the beginning.
    pub so_far: Option<SoFar<'a>>,
    /// The seed of the run.
    pub seed: Seed,
}

impl RunSetup<'_> {
    /// How many arrivals came before the first that this setup is for.
    pub fn arrivals(&self) -> u64 {
        self.so_far.map_or(0, |so_far| so_far.arrivals)
    }
}

/// Where a run stands when its pool of models changes.
#[derive(Clone, Copy, Debug)]
pub struct SoFar<'a> {
    /// Arrivals so far: the next one has this index.
    pub arrivals: u64,
    /// Seconds since the start of the run.
    pub time: f64,
    /// The prices in force, one a row, which stay until a price source has others; empty
    /// where there are none.
    pub prices: &'a [f64],
    /// What the price source before has heard of scores; `None` where it keeps no account.
    pub scores: Option<ScoreAccount>,
}

/// What is known of the scores of a run, for a mean over all of them that is to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScoreAccount {
    /// The arrival that it begins with.
    pub since: u64,
    /// Answers since then whose score was told, and the sum of the scores.
    pub told: f64,
    /// See [`told`](Self::told).
    pub achieved: f64,
    /// Answers since then whose score was not told, and the sum of what was expected of them.
    pub untold: f64,
    /// See [`untold`](Self::untold).
    pub expected: f64,
    /// Answers whose score was told, since whenever, and the sum of scores less expectations.
    pub compared: f64,
    /// See [`compared`](Self::compared).
    pub errors: f64,
}

/// Where a dual-price policy's prices come from: sees every arrival's estimates and
/// the budgets, and says when prices are due. Never solves on the request path.
pub trait Pricer: fmt::Debug + Send {
    /// Called before each arrival is ranked.
    ///
    /// # Errors
    /// [`PolicyError`] where the next problem could not be put together.
    fn before(&mut self, progress: &Progress<'_>) -> Result<PriceUpdate, PolicyError>;

    /// Turns what the solver found into prices.
    fn install(&mut self, solution: Solution) -> Prices;

    /// The run turns out to be of another length than it was announced. Has no default:
    /// a price source that forgot to listen would go on pacing for the wrong end.
    fn announce(&mut self, horizon: Horizon);

    /// Learns what a decision came to. May come late, out of order, or never.
    fn observe(&mut self, feedback: &Feedback) {
        let _ = feedback;
    }

    /// What it has heard of scores, for the price source that goes on where the pool of models
    /// changes: [`SoFar::scores`]. `None`, the default, where it keeps no account of them.
    fn scores(&self) -> Option<ScoreAccount> {
        None
    }
}

/// Where a run stands when an arrival comes in.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The arrival about to be ranked.
    pub arrival: &'a Arrival<'a>,
    /// What is left of the budgets.
    pub budgets: &'a BudgetView<'a>,
    /// By what the costs of `arrival` have been multiplied, shape `(n_models,)`; those of
    /// the history have not. All ones where nobody corrects.
    pub cost_ratios: &'a [f64],
}

/// What a pricer wants done.
#[derive(Debug)]
pub enum PriceUpdate {
    /// The prices in force stay.
    Keep,
    /// These take their place at once.
    Install(Prices),
    /// This is to be solved; the prices in force stay until the answer is installed.
    Solve(Box<SolveRequest>),
}

/// A solve that somebody else runs: inline in the laboratory, in the background in service.
#[derive(Clone, Debug)]
pub struct SolveRequest {
    /// Who solves.
    pub solver: Arc<dyn Solver>,
    /// What.
    pub problem: Problem,
    /// To what accuracy.
    pub options: SolveOptions,
    /// From where.
    pub warm: Option<WarmState>,
}

impl SolveRequest {
    /// Solves it.
    ///
    /// # Errors
    /// [`SolveError`] where the arithmetic broke down.
    pub fn run(&self) -> Result<Solution, SolveError> {
        self.solver.solve(&self.problem, &self.options, self.warm.as_ref())
    }
}

/// What a decision came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feedback {
    /// Which arrival.
    pub arrival: u64,
    /// Which model answered.
    pub model: usize,
    /// What it really cost, in USD.
    pub cost: f64,
    /// How good the answer was, where somebody has scored it.
    pub quality: Option<f64>,
}
