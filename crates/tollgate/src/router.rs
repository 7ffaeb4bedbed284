//! The parts put together: a router that decides, reserves and settles.

mod builder;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tollgate_core::{
    Amounts, Arrival, BudgetView, Decision, EstimateError, EstimateTable, Estimator, Explanation,
    Feedback, Ledger, MoneyError, Outcome, PicoUsd, Policy, PolicyError, PriceUpdate, Pricer,
    Prices, Progress, Query, Ranking, Reservation, Scratch, Seed, Settlement,
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
    estimator: Arc<dyn Estimator>,
    policy: Arc<dyn Policy>,
    ledger: Ledger,
    seed: Seed,
    declines: bool,
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

/// What changes from arrival to arrival.
#[derive(Debug)]
struct Run {
    arrivals: u64,
    prices: Prices,
    pricer: Option<Box<dyn Pricer>>,
    ranking: Ranking,
    remaining: Vec<f64>,
    remaining_estimated: Vec<f64>,
}

/// One prompt to be routed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    embedding: &'a [f32],
    group: u32,
    bounds: Option<&'a [f64]>,
}

impl<'a> Request<'a> {
    /// A prompt by its embedding, of the history's dimension.
    pub fn new(embedding: &'a [f32]) -> Self {
        Self { embedding, group: 0, bounds: None }
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
    /// What was decided, and why.
    pub decision: Decision,
    /// What is held for the chosen model; `None` when nothing was chosen. Dropping it
    /// gives the money back.
    pub reservation: Option<Reservation>,
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
    ///     .estimator(Blend::tollgate())
    ///     .policy(presets::tollgate())
    ///     .budget(Budget::pooled(1.0))
    ///     .build(); // no history: `build` does not exist
    /// ```
    pub fn builder() -> RouterBuilder<Missing, Missing, Missing, Missing> {
        RouterBuilder::new()
    }

    /// The accounts.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The estimator's snapshot.
    pub fn estimator(&self) -> &Arc<dyn Estimator> {
        &self.estimator
    }

    /// The prices in force, one a budget; empty while there are none.
    pub fn prices(&self) -> Vec<f64> {
        lock(&self.run).prices.rows().to_vec()
    }

    /// Decides one prompt and holds the money for it.
    ///
    /// When prices are due they are solved for first, in this call. Unless declining is
    /// allowed, a prompt that the policy names no affordable model for goes to the
    /// cheapest model that is.
    ///
    /// # Errors
    /// [`RouteError`] names what is wrong with the request. Declining, or having
    /// nothing affordable, is an [`Outcome`].
    pub fn route(&self, request: &Request<'_>) -> Result<Routed, RouteError> {
        let n_models = self.estimator.models().len();
        self.check(request, n_models)?;
        let mut buffers = self.take_buffers(n_models);
        let routed = self.route_with(request, &mut buffers);
        lock(&self.buffers).push(buffers);
        routed
    }

    fn route_with(
        &self,
        request: &Request<'_>,
        Buffers { scratch, estimates }: &mut Buffers,
    ) -> Result<Routed, RouteError> {
        let query = Query { embedding: request.embedding };
        estimates.fill(|out| self.estimator.estimate_into(query, scratch, out))?;
        let mut guard = lock(&self.run);
        let run = &mut *guard;
        let arrival = Arrival {
            index: run.arrivals,
            group: request.group,
            estimates: estimates.row(0),
            must_serve: !self.declines,
            seed: self.seed,
        };
        run.arrivals += 1;
        self.ledger.remaining_into(&mut run.remaining, &mut run.remaining_estimated);
        let view = BudgetView {
            budgets: self.ledger.budgets(),
            remaining: &run.remaining,
            remaining_estimated: &run.remaining_estimated,
        };
        reprice(&mut run.pricer, &mut run.prices, &Progress { arrival: &arrival, budgets: &view })?;
        self.policy.rank(&arrival, &run.prices, &view, &mut run.ranking)?;
        self.commit(request, &arrival, run)
    }

    /// Replaces what was held by what the answer really cost, in USD.
    ///
    /// # Errors
    /// [`MoneyError`] when `cost` is not an amount of money; the reservation is then
    /// released.
    pub fn settle(&self, reservation: Reservation, cost: f64) -> Result<Settlement, MoneyError> {
        let real = Amounts::cost(PicoUsd::from_usd(cost)?);
        Ok(reservation.settle(real))
    }

    /// Tells the price source what a decision came to: late, out of order, or never.
    pub fn observe(&self, feedback: &Feedback) {
        if let Some(pricer) = &mut lock(&self.run).pricer {
            pricer.observe(feedback);
        }
    }

    /// Reserves moving down the ranking.
    fn commit(
        &self,
        request: &Request<'_>,
        arrival: &Arrival<'_>,
        run: &Run,
    ) -> Result<Routed, RouteError> {
        for entry in run.ranking.entries() {
            let bound = bound(request, arrival, entry.model);
            if let Some(reservation) = self.hold(arrival, entry.model, bound)? {
                let explanation = self.policy.explain(arrival, &run.prices, entry.model);
                return Ok(self.served(arrival, reservation, entry.score, explanation));
            }
        }
        if arrival.must_serve {
            // Whatever the policy thinks of the others, money is left for one of them.
            for (bound, model) in cheapest_first(request, arrival) {
                if let Some(reservation) = self.hold(arrival, model, bound)? {
                    let why = "must be served: the cheapest that is affordable, USD held";
                    let explanation = Explanation::leaf(why, bound);
                    return Ok(self.served(arrival, reservation, 0.0, explanation));
                }
            }
        }
        let unaffordable = run.ranking.is_unaffordable() || run.ranking.best().is_some();
        let (outcome, why) = if unaffordable {
            (Outcome::Unaffordable, "nothing worth trying is affordable")
        } else {
            (Outcome::Declined, "no model is worth its price")
        };
        let explanation = Explanation::leaf(why, 0.0);
        let index = arrival.index;
        let decision = Decision { arrival: index, outcome, model: None, score: 0.0, explanation };
        Ok(Routed { decision, reservation: None })
    }

    /// Reserves `bound` USD and books the estimate; `None` where it is not affordable.
    fn hold(
        &self,
        arrival: &Arrival<'_>,
        model: usize,
        bound: f64,
    ) -> Result<Option<Reservation>, MoneyError> {
        let bound = Amounts::cost(PicoUsd::from_usd(bound)?);
        let estimate = Amounts::cost(PicoUsd::from_usd(arrival.estimates.cost[model])?);
        let reservation = self.ledger.reserve(arrival.group, model, bound);
        if reservation.is_some() {
            self.ledger.expect(arrival.group, model, estimate);
        }
        Ok(reservation)
    }

    fn served(
        &self,
        arrival: &Arrival<'_>,
        reservation: Reservation,
        score: f64,
        explanation: Explanation,
    ) -> Routed {
        let model = reservation.model();
        let decision = Decision {
            arrival: arrival.index,
            outcome: Outcome::Served(model),
            model: Some(self.estimator.models().id(model).clone()),
            score,
            explanation,
        };
        Routed { decision, reservation: Some(reservation) }
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
fn bound(request: &Request<'_>, arrival: &Arrival<'_>, model: usize) -> f64 {
    let Some(bounds) = request.bounds else {
        let estimates = &arrival.estimates;
        return estimates.cost[model] + RESERVED_ERRORS * estimates.cost_se[model];
    };
    bounds[model]
}

/// All models by what would be reserved, ties by name.
fn cheapest_first(request: &Request<'_>, arrival: &Arrival<'_>) -> Vec<(f64, usize)> {
    let models = 0..arrival.estimates.cost.len();
    let mut models: Vec<(f64, usize)> =
        models.map(|model| (bound(request, arrival, model), model)).collect();
    models.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    models
}

/// Asks the price source whether prices are due, and installs them.
fn reprice(
    pricer: &mut Option<Box<dyn Pricer>>,
    prices: &mut Prices,
    progress: &Progress<'_>,
) -> Result<(), PolicyError> {
    let Some(pricer) = pricer else { return Ok(()) };
    match pricer.before(progress)? {
        PriceUpdate::Keep => {}
        PriceUpdate::Install(new) => *prices = new,
        PriceUpdate::Solve(request) => {
            let span = debug_span!("solve", arrival = progress.arrival.index);
            let solution = span.in_scope(|| request.run())?;
            *prices = pricer.install(solution);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
