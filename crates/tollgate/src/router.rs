//! The parts put together: a router that decides, reserves and settles.

mod builder;
mod changes;
mod labels;
mod request;
mod versions;

/// The locks of [`versions`], so that a model checker can put its own in their place.
mod sync {
    pub(crate) use std::sync::{Arc, Mutex, MutexGuard, RwLock};
}

use std::sync::PoisonError;

use tollgate_core::{
    Arrival, BudgetView, CostRatios, Decision, EstimateError, EstimateTable, Estimates, Estimator,
    Explanation, Feedback, Horizon, Ledger, Models, MoneyError, Outcome, Policy, PolicyError,
    PriceUpdate, Pricer, Prices, Progress, Query, Ranking, Reservation, Scratch, Seed, Settlement,
};
use tracing::debug_span;

use self::changes::Past;
use self::labels::Scored;
use self::sync::{Arc, Mutex, MutexGuard};
use self::versions::{InForce, Versions};

pub use self::builder::{Budget, BuildError, Missing, RouterBuilder, Set};
pub use self::changes::{ChangeError, NewModel};
pub use self::request::{Request, RouteError, Routed};

/// Decides which model answers each prompt, and never overspends a budget.
///
/// Made by [`Router::builder`]. Shared between threads by reference; decisions that
/// need the prices in force wait for each other, estimates do not. Models may come and go
/// meanwhile: see [`add_model`](Self::add_model).
#[derive(Debug)]
pub struct Router {
    versions: Versions<Version, Run>,
    seed: Seed,
    declines: bool,
    /// What the next version is made from; for whoever changes something.
    past: Mutex<Past>,
    /// Scores of answers that no version has learned from yet.
    scored: Mutex<Scored>,
    /// Buffers that no request is using right now.
    buffers: Mutex<Vec<Buffers>>,
}

/// What requests are decided by; never changes, but another takes its place.
#[derive(Clone, Debug)]
struct Version {
    models: Models,
    estimator: Arc<dyn Estimator>,
    /// Adapted to the run.
    policy: Arc<dyn Policy>,
    ledger: Ledger,
    /// The ratios of a router that does not correct.
    as_expected: Arc<CostRatios>,
}

/// What one request writes to.
#[derive(Debug)]
struct Buffers {
    scratch: Scratch,
    estimates: EstimateTable,
    /// Seconds of each model.
    latency: Vec<f64>,
}

/// What changes from arrival to arrival; everything in it is about one pool of models.
#[derive(Debug)]
struct Run {
    arrivals: u64,
    /// The time of the latest arrival.
    time: f64,
    horizon: Horizon,
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

/// A request with what has been read and estimated for it.
struct Asked<'a> {
    request: &'a Request<'a>,
    version: &'a InForce<Version>,
    /// By what the costs of `estimates` have been multiplied; `None` for all ones.
    ratios: Option<&'a Arc<CostRatios>>,
    estimates: Estimates<'a>,
    /// Expected seconds of each model, where the request says so.
    latency: Option<&'a [f64]>,
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

    /// The models in force, in the order of their indices.
    pub fn models(&self) -> Models {
        self.versions.read().models.clone()
    }

    /// The accounts of the budgets in force.
    pub fn ledger(&self) -> Ledger {
        self.versions.read().ledger.clone()
    }

    /// The estimator's snapshot in force.
    pub fn estimator(&self) -> Arc<dyn Estimator> {
        Arc::clone(&self.versions.read().estimator)
    }

    /// The prices in force, one a budget; empty while there are none.
    pub fn prices(&self) -> Vec<f64> {
        self.versions.with_any_state(|run| run.prices.rows().to_vec())
    }

    /// Decides one prompt and holds the money for it.
    ///
    /// When prices are due they are solved for first, in this call. Unless declining is
    /// allowed, a prompt that the policy names no affordable model for goes to the
    /// cheapest model that is. Allocates nothing once its buffers have grown, except
    /// where prices are solved for. Where the pool of models changes between the estimate and
    /// the decision the prompt is estimated again, so a decision is always by one pool.
    ///
    /// # Errors
    /// [`RouteError`] names what is wrong with the request. Declining, or having
    /// nothing affordable, is an [`Outcome`].
    pub fn route(&self, request: &Request<'_>) -> Result<Routed, RouteError> {
        loop {
            let version = self.versions.read();
            let ratios = if version.policy.corrects_costs() {
                let ratios = self.versions.with_state(&version, |run| Arc::clone(&run.ratios));
                let Some(ratios) = ratios else { continue };
                Some(ratios)
            } else {
                None
            };
            let routed =
                self.with_estimates(request, &version, ratios.as_deref(), |estimates, latency| {
                    let (version, ratios) = (&version, ratios.as_ref());
                    let asked = Asked { request, version, ratios, estimates, latency };
                    let decided = self.versions.with_state(version, |run| self.decide(&asked, run));
                    decided.transpose()
                })?;
            if let Some(routed) = routed {
                return Ok(routed);
            }
        }
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
        let version = &routed.version;
        self.with_estimates(request, version, Some(&*routed.ratios), |estimates, latency| {
            if by_need {
                let why = "must be served: the cheapest that is affordable, USD held";
                let held = request.bound(&version.models, &estimates, model);
                return Ok(Explanation::leaf(why, held));
            }
            let arrival = self.arrival(request, arrival, estimates, latency);
            Ok(version.policy.explain(&arrival, &routed.prices, model))
        })
    }

    /// Replaces what was held by what the answer really cost, in USD.
    ///
    /// # Errors
    /// [`MoneyError`] when `cost` is not an amount of money; the reservation is then
    /// released.
    pub fn settle(&self, reservation: Reservation, cost: f64) -> Result<Settlement, MoneyError> {
        let real = reservation.amounts(cost)?;
        let (model, estimated) = (reservation.model(), reservation.estimate());
        let version = self.versions.read();
        // An answer that was reserved before the pool changed settles all the same; its model's
        // index may be another's by now, and it teaches nothing.
        if reservation.is_of(&version.ledger) {
            self.versions.with_state(&version, |run| {
                Arc::make_mut(&mut run.ratios).observe(model, estimated, cost);
            });
        }
        Ok(reservation.settle(real))
    }

    /// Tells the price source what a decision came to: late, out of order, or never.
    /// `feedback` speaks of the models that are in force.
    pub fn observe(&self, feedback: &Feedback) {
        self.versions.with_any_state(|run| {
            if let Some(pricer) = &mut run.pricer {
                pricer.observe(feedback);
            }
        });
    }

    /// Tells the price source that the budgets have to last for longer, or shorter, than was
    /// said when the router was built.
    pub fn announce(&self, horizon: Horizon) {
        self.versions.with_any_state(|run| {
            run.horizon = horizon;
            if let Some(pricer) = &mut run.pricer {
                pricer.announce(horizon);
            }
        });
    }

    /// Checks a request and estimates it, with its costs corrected where there is something
    /// to correct them by.
    fn with_estimates<T>(
        &self,
        request: &Request<'_>,
        version: &Version,
        ratios: Option<&CostRatios>,
        work: impl FnOnce(Estimates<'_>, Option<&[f64]>) -> Result<T, RouteError>,
    ) -> Result<T, RouteError> {
        request.check(version.ledger.budgets().n_groups())?;
        let mut buffers = self.take_buffers(version.models.len());
        let Buffers { scratch, estimates, latency } = &mut buffers;
        let query = Query::new(request.embedding).input_tokens(request.input_tokens);
        let answer = estimates
            .fill(|mut out| {
                version.estimator.estimate_into(query, scratch, out.reborrow())?;
                if let Some(ratios) = ratios {
                    ratios.correct(&mut out);
                }
                Ok::<(), EstimateError>(())
            })
            .map_err(RouteError::from)
            .and_then(|()| work(estimates.row(0), request.seconds(&version.models, latency)));
        lock(&self.buffers).push(buffers);
        answer
    }

    fn arrival<'a>(
        &self,
        request: &Request<'_>,
        index: u64,
        estimates: Estimates<'a>,
        latency: Option<&'a [f64]>,
    ) -> Arrival<'a> {
        let (time, group, must_serve) = (request.time, request.group, !self.declines);
        Arrival { index, time, group, estimates, latency, must_serve, seed: self.seed }
    }

    fn decide(&self, asked: &Asked<'_>, run: &mut Run) -> Result<Routed, RouteError> {
        let Version { policy, ledger, as_expected, .. } = &**asked.version;
        let arrival = self.arrival(asked.request, run.arrivals, asked.estimates, asked.latency);
        run.arrivals += 1;
        run.time = arrival.time;
        ledger.advance(arrival.time);
        ledger.remaining_into(&mut run.remaining, &mut run.remaining_estimated);
        let view = BudgetView {
            budgets: ledger.budgets(),
            remaining: &run.remaining,
            remaining_estimated: &run.remaining_estimated,
        };
        // Whoever does not correct is told so: all ones.
        let ratios = asked.ratios.unwrap_or(as_expected);
        let cost_ratios = ratios.ratios();
        let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios };
        reprice(&mut run.pricer, &mut run.prices, &progress)?;
        policy.rank(&arrival, &run.prices, &view, &mut run.ranking)?;
        commit(asked, ratios, &arrival, run)
    }

    fn take_buffers(&self, n_models: usize) -> Buffers {
        let buffers = lock(&self.buffers).pop();
        // Those of another pool are let go.
        buffers.filter(|buffers| buffers.estimates.n_models() == n_models).unwrap_or_else(|| {
            let estimates = EstimateTable::zeros(1, n_models);
            Buffers { scratch: Scratch::default(), estimates, latency: Vec::new() }
        })
    }
}

/// Reserves moving down the ranking.
fn commit(
    asked: &Asked<'_>,
    ratios: &Arc<CostRatios>,
    arrival: &Arrival<'_>,
    run: &mut Run,
) -> Result<Routed, RouteError> {
    let Asked { request, version, .. } = asked;
    let routed = |outcome, score, by_need, reservation| Routed {
        decision: Decision { arrival: arrival.index, outcome, score, by_need },
        reservation,
        prices: Arc::clone(&run.prices),
        ratios: Arc::clone(ratios),
        version: InForce::clone(version),
    };
    for entry in run.ranking.entries() {
        let bound = request.bound(&version.models, &arrival.estimates, entry.model);
        if let Some(held) = hold(&version.ledger, arrival, ratios, entry.model, bound)? {
            return Ok(routed(Outcome::Served(entry.model), entry.score, false, Some(held)));
        }
    }
    if arrival.must_serve {
        // Whatever the policy thinks of the others, money is left for one of them.
        cheapest_first(asked, &mut run.cheapest);
        for &(bound, model) in &run.cheapest {
            if let Some(held) = hold(&version.ledger, arrival, ratios, model, bound)? {
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
    ledger: &Ledger,
    arrival: &Arrival<'_>,
    ratios: &CostRatios,
    model: usize,
    bound: f64,
) -> Result<Option<Reservation>, MoneyError> {
    let bound = ledger.amounts(model, bound)?;
    let expected = arrival.estimates.cost[model];
    let estimate = ledger.amounts(model, expected)?;
    let reservation = ledger.reserve(arrival.group, model, bound);
    // The ratios learn from what the estimator said.
    let said = expected / ratios.ratios()[model];
    let reservation = reservation.map(|held| held.expecting(said));
    if reservation.is_some() {
        ledger.expect(arrival.group, model, estimate);
    }
    Ok(reservation)
}

/// A poisoned lock still holds valid state: it is replaced whole, and buffers hold no answers.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All models by what would be reserved, ties by name.
fn cheapest_first(asked: &Asked<'_>, models: &mut Vec<(f64, usize)>) {
    let Asked { request, version, estimates, .. } = asked;
    let bound = |model| request.bound(&version.models, estimates, model);
    models.clear();
    models.extend((0..estimates.cost.len()).map(|model| (bound(model), model)));
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
