//! The parts put together: a router that decides, reserves and settles.

mod builder;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use thiserror::Error;
use tollgate_core::{
    Arrival, BudgetView, CostRatios, Decision, EstimateError, EstimateTable, Estimates, Estimator,
    Explanation, Feedback, FitError, History, Horizon, Ledger, Models, MoneyError, Outcome,
    PicoUsd, Policy, PolicyError, PriceUpdate, Pricer, Prices, Progress, Query, Ranking,
    Reservation, Scratch, Seed, Settlement,
};
use tracing::debug_span;

pub use builder::{Budget, BuildError, Missing, RouterBuilder, Set};

/// Standard errors above the expected cost that are reserved where a request brings
/// no bound of its own.
const RESERVED_ERRORS: f64 = 3.0;

/// Decides which model answers each prompt, and never overspends a budget.
///
/// Made by [`Router::builder`]. Shared between threads by reference; decisions that
/// need the prices in force wait for each other, estimates do not.
#[derive(Debug)]
pub struct Router {
    models: Models,
    /// The snapshot in force: held for no longer than it takes to point at it.
    estimator: RwLock<Arc<dyn Estimator>>,
    policy: Arc<dyn Policy>,
    ledger: Ledger,
    seed: Seed,
    declines: bool,
    /// The ratios of a router that does not correct.
    as_expected: Arc<CostRatios>,
    run: Mutex<Run>,
    /// Buffers that no request is using right now.
    buffers: Mutex<Vec<Buffers>>,
}

/// What one request writes to.
#[derive(Debug)]
struct Buffers {
    scratch: Scratch,
    estimates: EstimateTable,
}

/// What one request is decided by.
struct Snapshot<'a> {
    estimator: &'a Arc<dyn Estimator>,
    ratios: &'a Arc<CostRatios>,
}

/// What changes from arrival to arrival.
#[derive(Debug)]
struct Run {
    arrivals: u64,
    /// Shared with the decisions that were made by them.
    prices: Arc<Prices>,
    /// As well.
    ratios: Arc<CostRatios>,
    pricer: Option<Box<dyn Pricer>>,
    ranking: Ranking,
    remaining: Vec<f64>,
    remaining_estimated: Vec<f64>,
    /// Models and what would be reserved for them in USD, the cheapest first.
    cheapest: Vec<(f64, usize)>,
}

/// One prompt to be routed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    embedding: &'a [f32],
    time: f64,
    group: u32,
    bounds: Option<&'a [f64]>,
}

impl<'a> Request<'a> {
    /// A prompt by its embedding, of the history's dimension.
    pub fn new(embedding: &'a [f32]) -> Self {
        Self { embedding, time: 0.0, group: 0, bounds: None }
    }

    /// When it came in, in seconds since the start of the run, never before an earlier one.
    /// Default 0, which is all that a router without deadlines and windows needs.
    #[must_use]
    pub fn at(mut self, seconds: f64) -> Self {
        self.time = seconds;
        self
    }

    /// The query group (a tenant) it belongs to. Default 0.
    #[must_use]
    pub fn group(mut self, group: u32) -> Self {
        self.group = group;
        self
    }

    /// An upper bound of the cost on each model, in USD (maximum tokens times price),
    /// shape `(n_models,)`: what is reserved, so that the real cost cannot pass it.
    /// Default: the expected cost and three standard errors.
    #[must_use]
    pub fn bounds(mut self, bounds: &'a [f64]) -> Self {
        self.bounds = Some(bounds);
        self
    }
}

/// A decision, with the money that is held for it.
#[derive(Debug)]
pub struct Routed {
    /// What was decided; [`Router::explain`] says why.
    pub decision: Decision,
    /// What is held for the chosen model; `None` when nothing was chosen. Dropping it
    /// gives the money back.
    pub reservation: Option<Reservation>,
    /// What was in force.
    prices: Arc<Prices>,
    ratios: Arc<CostRatios>,
    estimator: Arc<dyn Estimator>,
}

/// A request that could not be decided.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RouteError {
    /// An embedding that the estimator refuses.
    #[error(transparent)]
    Estimate(#[from] EstimateError),
    /// A price problem that broke down.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A bound or a real cost that is not an amount of money.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// A group that the budgets do not know.
    #[error("query group {group} is unknown, the budgets have {n_groups}")]
    Group {
        /// The group.
        group: u32,
        /// How many there are.
        n_groups: usize,
    },
    /// Bounds that do not fit the models.
    #[error("{got} cost bounds for {n_models} models")]
    Bounds {
        /// How many bounds.
        got: usize,
        /// How many models.
        n_models: usize,
    },
}

impl Router {
    /// Starts an empty builder: history, estimator, policy and budget are required,
    /// and a builder that lacks one of them has no `build`.
    ///
    /// ```compile_fail
    /// use tollgate::prelude::*;
    ///
    /// let router = Router::builder()
    ///     .estimator(Auto::default())
    ///     .policy(presets::tollgate())
    ///     .budget(Budget::pooled(1.0))
    ///     .build(); // no history: `build` does not exist
    /// ```
    pub fn builder() -> RouterBuilder<Missing, Missing, Missing, Missing> {
        RouterBuilder::new()
    }

    /// The models, in the order of their indices.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The accounts.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The estimator's snapshot in force.
    pub fn estimator(&self) -> Arc<dyn Estimator> {
        Arc::clone(&self.estimator.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the estimator's next version from a history that begins with the one this
    /// router was built on, or learned from last. Requests go on by the version before
    /// until it is done; those that have begun end by the version that they began with.
    /// Of two calls at a time the later to end is in force. Prices stay as they are.
    ///
    /// # Errors
    /// As [`Estimator::grow`]; the version in force then stays.
    pub fn learn(&self, history: &History) -> Result<(), FitError> {
        let next = Arc::from(self.estimator().grow(history)?);
        *self.estimator.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// The prices in force, one a budget; empty while there are none.
    pub fn prices(&self) -> Vec<f64> {
        lock(&self.run).prices.rows().to_vec()
    }

    /// Decides one prompt and holds the money for it.
    ///
    /// When prices are due they are solved for first, in this call. Unless declining is
    /// allowed, a prompt that the policy names no affordable model for goes to the
    /// cheapest model that is. Allocates nothing once its buffers have grown, except
    /// where prices are solved for.
    ///
    /// # Errors
    /// [`RouteError`] names what is wrong with the request. Declining, or having
    /// nothing affordable, is an [`Outcome`].
    pub fn route(&self, request: &Request<'_>) -> Result<Routed, RouteError> {
        let estimator = self.estimator();
        let ratios = self.policy.corrects_costs().then(|| Arc::clone(&lock(&self.run).ratios));
        self.with_estimates(request, &*estimator, ratios.as_deref(), |estimates| {
            self.decide(request, &estimator, ratios.as_ref(), estimates)
        })
    }

    /// Why a prompt went where it did, as a tree of terms that adds up to the score.
    ///
    /// Estimates `request`, the one that was `routed`, anew, by the snapshot and the prices
    /// that were in force, whatever has been learned or solved since.
    ///
    /// # Errors
    /// As [`route`](Self::route).
    pub fn explain(
        &self,
        request: &Request<'_>,
        routed: &Routed,
    ) -> Result<Explanation, RouteError> {
        let Decision { arrival, outcome, by_need, .. } = routed.decision;
        let model = match outcome {
            Outcome::Served(model) | Outcome::Lost(model) => model,
            Outcome::Declined => {
                return Ok(Explanation::leaf("no model is worth its price", 0.0));
            }
            Outcome::Unaffordable => {
                return Ok(Explanation::leaf("nothing worth trying is affordable", 0.0));
            }
        };
        let ratios = Some(&*routed.ratios);
        self.with_estimates(request, &*routed.estimator, ratios, |estimates| {
            if by_need {
                let why = "must be served: the cheapest that is affordable, USD held";
                return Ok(Explanation::leaf(why, bound(request, &estimates, model)));
            }
            let arrival = self.arrival(request, arrival, estimates);
            Ok(self.policy.explain(&arrival, &routed.prices, model))
        })
    }

    /// Checks a request and estimates it, with its costs corrected where there is something
    /// to correct them by.
    fn with_estimates<T>(
        &self,
        request: &Request<'_>,
        estimator: &dyn Estimator,
        ratios: Option<&CostRatios>,
        work: impl FnOnce(Estimates<'_>) -> Result<T, RouteError>,
    ) -> Result<T, RouteError> {
        let n_models = self.models().len();
        self.check(request, n_models)?;
        let mut buffers = self.take_buffers(n_models);
        let Buffers { scratch, estimates } = &mut buffers;
        let query = Query { embedding: request.embedding };
        let answer = estimates
            .fill(|mut out| {
                estimator.estimate_into(query, scratch, out.reborrow())?;
                if let Some(ratios) = ratios {
                    ratios.correct(&mut out);
                }
                Ok::<(), EstimateError>(())
            })
            .map_err(RouteError::from)
            .and_then(|()| work(estimates.row(0)));
        lock(&self.buffers).push(buffers);
        answer
    }

    fn arrival<'a>(
        &self,
        request: &Request<'_>,
        index: u64,
        estimates: Estimates<'a>,
    ) -> Arrival<'a> {
        let (time, group, must_serve) = (request.time, request.group, !self.declines);
        Arrival { index, time, group, estimates, must_serve, seed: self.seed }
    }

    fn decide(
        &self,
        request: &Request<'_>,
        estimator: &Arc<dyn Estimator>,
        ratios: Option<&Arc<CostRatios>>,
        estimates: Estimates<'_>,
    ) -> Result<Routed, RouteError> {
        let mut guard = lock(&self.run);
        let run = &mut *guard;
        let arrival = self.arrival(request, run.arrivals, estimates);
        run.arrivals += 1;
        self.ledger.advance(arrival.time);
        self.ledger.remaining_into(&mut run.remaining, &mut run.remaining_estimated);
        let view = BudgetView {
            budgets: self.ledger.budgets(),
            remaining: &run.remaining,
            remaining_estimated: &run.remaining_estimated,
        };
        // Whoever does not correct is told so: all ones.
        let ratios = Arc::clone(ratios.unwrap_or(&self.as_expected));
        let cost_ratios = ratios.ratios();
        let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios };
        reprice(&mut run.pricer, &mut run.prices, &progress)?;
        self.policy.rank(&arrival, &run.prices, &view, &mut run.ranking)?;
        self.commit(request, &Snapshot { estimator, ratios: &ratios }, &arrival, run)
    }

    /// Replaces what was held by what the answer really cost, in USD.
    ///
    /// # Errors
    /// [`MoneyError`] when `cost` is not an amount of money; the reservation is then
    /// released.
    pub fn settle(&self, reservation: Reservation, cost: f64) -> Result<Settlement, MoneyError> {
        let model = reservation.model();
        let real = self.ledger.amounts(model, cost)?;
        let estimated = reservation.estimate();
        Arc::make_mut(&mut lock(&self.run).ratios).observe(model, estimated, cost);
        Ok(reservation.settle(real))
    }

    /// Tells the price source what a decision came to: late, out of order, or never.
    pub fn observe(&self, feedback: &Feedback) {
        if let Some(pricer) = &mut lock(&self.run).pricer {
            pricer.observe(feedback);
        }
    }

    /// Tells the price source that the budgets have to last for longer, or shorter, than was
    /// said when the router was built.
    pub fn announce(&self, horizon: Horizon) {
        if let Some(pricer) = &mut lock(&self.run).pricer {
            pricer.announce(horizon);
        }
    }

    /// Reserves moving down the ranking.
    fn commit(
        &self,
        request: &Request<'_>,
        snapshot: &Snapshot<'_>,
        arrival: &Arrival<'_>,
        run: &mut Run,
    ) -> Result<Routed, RouteError> {
        let routed = |outcome, score, by_need, reservation| {
            let decision = Decision { arrival: arrival.index, outcome, score, by_need };
            let (estimator, ratios) = (Arc::clone(snapshot.estimator), Arc::clone(snapshot.ratios));
            Routed { decision, reservation, prices: Arc::clone(&run.prices), ratios, estimator }
        };
        for entry in run.ranking.entries() {
            let bound = bound(request, &arrival.estimates, entry.model);
            if let Some(held) = self.hold(arrival, snapshot.ratios, entry.model, bound)? {
                return Ok(routed(Outcome::Served(entry.model), entry.score, false, Some(held)));
            }
        }
        if arrival.must_serve {
            // Whatever the policy thinks of the others, money is left for one of them.
            cheapest_first(request, &arrival.estimates, &mut run.cheapest);
            for &(bound, model) in &run.cheapest {
                if let Some(held) = self.hold(arrival, snapshot.ratios, model, bound)? {
                    return Ok(routed(Outcome::Served(model), 0.0, true, Some(held)));
                }
            }
        }
        let unaffordable = run.ranking.is_unaffordable() || run.ranking.best().is_some();
        let outcome = if unaffordable { Outcome::Unaffordable } else { Outcome::Declined };
        Ok(routed(outcome, 0.0, false, None))
    }

    /// Reserves `bound` USD and books the estimate; `None` where it is not affordable.
    fn hold(
        &self,
        arrival: &Arrival<'_>,
        ratios: &CostRatios,
        model: usize,
        bound: f64,
    ) -> Result<Option<Reservation>, MoneyError> {
        let bound = self.ledger.amounts(model, bound)?;
        let expected = arrival.estimates.cost[model];
        let estimate = self.ledger.amounts(model, expected)?;
        let reservation = self.ledger.reserve(arrival.group, model, bound);
        // The ratios learn from what the estimator said.
        let said = expected / ratios.ratios()[model];
        let reservation = reservation.map(|held| held.expecting(said));
        if reservation.is_some() {
            self.ledger.expect(arrival.group, model, estimate);
        }
        Ok(reservation)
    }

    fn check(&self, request: &Request<'_>, n_models: usize) -> Result<(), RouteError> {
        let n_groups = self.ledger.budgets().n_groups();
        if request.group as usize >= n_groups {
            return Err(RouteError::Group { group: request.group, n_groups });
        }
        let Some(bounds) = request.bounds else { return Ok(()) };
        if bounds.len() != n_models {
            return Err(RouteError::Bounds { got: bounds.len(), n_models });
        }
        bounds.iter().try_for_each(|&bound| PicoUsd::from_usd(bound).map(drop))?;
        Ok(())
    }

    fn take_buffers(&self, n_models: usize) -> Buffers {
        lock(&self.buffers).pop().unwrap_or_else(|| Buffers {
            scratch: Scratch::default(),
            estimates: EstimateTable::zeros(1, n_models),
        })
    }
}

/// A poisoned lock still holds valid state: prices are replaced whole, and buffers hold
/// no answers.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is reserved for one answer, in USD.
fn bound(request: &Request<'_>, estimates: &Estimates<'_>, model: usize) -> f64 {
    let Some(bounds) = request.bounds else {
        return estimates.cost[model] + RESERVED_ERRORS * estimates.cost_se[model];
    };
    bounds[model]
}

/// All models by what would be reserved, ties by name.
fn cheapest_first(
    request: &Request<'_>,
    estimates: &Estimates<'_>,
    models: &mut Vec<(f64, usize)>,
) {
    models.clear();
    models.extend((0..estimates.cost.len()).map(|model| (bound(request, estimates, model), model)));
    models.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
}

/// Asks the price source whether prices are due, and installs them.
fn reprice(
    pricer: &mut Option<Box<dyn Pricer>>,
    prices: &mut Arc<Prices>,
    progress: &Progress<'_>,
) -> Result<(), PolicyError> {
    let Some(pricer) = pricer else { return Ok(()) };
    match pricer.before(progress)? {
        PriceUpdate::Keep => {}
        PriceUpdate::Install(new) => *prices = Arc::new(new),
        PriceUpdate::Solve(request) => {
            let span = debug_span!("solve", arrival = progress.arrival.index);
            let solution = span.in_scope(|| request.run())?;
            *prices = Arc::new(pricer.install(solution));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
