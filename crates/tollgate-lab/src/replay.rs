//! Replays a recorded stream, as the papers' experiments do.
//!
//! # How it differs from service
//! The same rank and the same prices, but another commit rule. The policy sees
//! estimates only. The environment checks the *true* cost of the pick once: a query
//! whose true cost does not fit what is left is lost, and never retried on another
//! model, since a retry would leak the true cost. "Next best" therefore means the next
//! model whose *estimated* cost fits the *known* remaining budget, which is the
//! policy's own business.

use std::time::{Duration, Instant};

use tollgate::core::{
    Amounts, Arrival, BudgetView, EstimateTable, Feedback, Ledger, MoneyError, Outcome, PicoUsd,
    Policy, PolicyError, PriceUpdate, Pricer, Prices, Progress, Ranking, RunSetup, Status,
};
use tracing::{debug, debug_span, info_span, warn};

use crate::{LabError, Metrics, Scenario, Timings};

/// What one replay came to.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The sums.
    pub metrics: Metrics,
    /// Where the time went.
    pub timings: Timings,
    /// What became of each arrival, in arrival order.
    pub outcomes: Vec<Outcome>,
    /// The last dual bound that came with prices, and the prices themselves.
    pub prices: Prices,
    /// The ledger at the end.
    pub ledger: Ledger,
}

/// Replays a scenario through a policy. `estimates` has one row an arrival, in arrival
/// order; `history` are the held-out estimates that a history-priced policy needs.
///
/// # Errors
/// [`LabError`] where the policy can't start or a solve breaks down.
pub fn replay(
    scenario: &Scenario,
    policy: &dyn Policy,
    estimates: &EstimateTable,
    history: Option<&EstimateTable>,
) -> Result<Replay, LabError> {
    let span = info_span!("replay", policy = policy.name(), arrivals = scenario.len());
    let _entered = span.enter();
    let setup = RunSetup {
        models: scenario.models(),
        budgets: scenario.budgets(),
        horizon: Some(scenario.len() as u64),
        history,
        seed: scenario.seed(),
    };
    let adapted = policy.adapt(&setup)?;
    let policy = adapted.as_deref().unwrap_or(policy);
    let mut run = Run::start(scenario, policy, estimates, &setup)?;
    let start = Instant::now();
    let batch = policy.batch_size();
    let mut from = 0;
    while from < scenario.len() {
        let to = (from + batch).min(scenario.len());
        run.step(from, to)?;
        from = to;
    }
    let total = start.elapsed();
    Ok(run.finish(total))
}

struct Run<'a> {
    scenario: &'a Scenario,
    policy: &'a dyn Policy,
    estimates: &'a EstimateTable,
    ledger: Ledger,
    pricer: Option<Box<dyn Pricer>>,
    prices: Prices,
    rankings: Vec<Ranking>,
    remaining: Vec<f64>,
    remaining_estimated: Vec<f64>,
    metrics: Metrics,
    timings: Timings,
    solving: Duration,
    outcomes: Vec<Outcome>,
}

impl<'a> Run<'a> {
    fn start(
        scenario: &'a Scenario,
        policy: &'a dyn Policy,
        estimates: &'a EstimateTable,
        setup: &RunSetup<'_>,
    ) -> Result<Self, LabError> {
        Ok(Self {
            scenario,
            policy,
            estimates,
            ledger: Ledger::open(scenario.budgets().clone())?,
            pricer: policy.pricer(setup)?,
            prices: Prices::unset(),
            rankings: vec![Ranking::default(); policy.batch_size().min(scenario.len())],
            remaining: Vec::new(),
            remaining_estimated: Vec::new(),
            metrics: Metrics::default(),
            timings: Timings { arrivals: scenario.len() as u64, ..Timings::default() },
            solving: Duration::ZERO,
            outcomes: Vec::with_capacity(scenario.len()),
        })
    }

    /// Prices, ranks and commits the arrivals `from..to`.
    fn step(&mut self, from: usize, to: usize) -> Result<(), LabError> {
        self.ledger.remaining_into(&mut self.remaining, &mut self.remaining_estimated);
        let budgets = BudgetView {
            budgets: self.scenario.budgets(),
            remaining: &self.remaining,
            remaining_estimated: &self.remaining_estimated,
        };
        for index in from..to {
            let Some(pricer) = &mut self.pricer else { break };
            let arrival = arrival(self.scenario, self.estimates, index);
            let update = pricer.before(&Progress { arrival: &arrival, budgets: &budgets })?;
            let Self { prices, timings, solving, .. } = self;
            reprice(update, pricer.as_mut(), prices, timings, solving)?;
        }
        if to - from == 1 {
            let arrival = arrival(self.scenario, self.estimates, from);
            self.policy.rank(&arrival, &self.prices, &budgets, &mut self.rankings[0])?;
        } else {
            let (scenario, estimates) = (self.scenario, self.estimates);
            let arrivals: Vec<Arrival<'_>> =
                (from..to).map(|index| arrival(scenario, estimates, index)).collect();
            let rankings = &mut self.rankings[..to - from];
            self.policy.rank_batch(&arrivals, &self.prices, &budgets, rankings)?;
        }
        for index in from..to {
            let outcome = self.commit(index, index - from)?;
            self.outcomes.push(outcome);
        }
        Ok(())
    }

    /// Checks the true cost of the pick once.
    fn commit(&mut self, index: usize, slot: usize) -> Result<Outcome, MoneyError> {
        let ranking = &self.rankings[slot];
        let Some(pick) = ranking.best() else {
            if ranking.is_unaffordable() {
                self.metrics.unaffordable += 1;
                return Ok(Outcome::Unaffordable);
            }
            self.metrics.declined += 1;
            return Ok(Outcome::Declined);
        };
        let model = pick.model;
        let estimate = PicoUsd::from_usd(self.estimates.row(index).cost[model])?;
        self.ledger.expect(0, model, Amounts::cost(estimate));
        let (quality, cost) = self.scenario.truth(index, model);
        let real = Amounts::cost(PicoUsd::from_usd(cost)?);
        let Some(reservation) = self.ledger.reserve(0, model, real) else {
            self.metrics.lost += 1;
            return Ok(Outcome::Lost(model));
        };
        reservation.settle(real);
        self.metrics.served += 1;
        self.metrics.performance += quality;
        self.metrics.cost += cost;
        if let Some(pricer) = &mut self.pricer {
            let arrival = index as u64;
            pricer.observe(&Feedback { arrival, model, cost, quality: Some(quality) });
        }
        Ok(Outcome::Served(model))
    }

    fn finish(mut self, total: Duration) -> Replay {
        self.timings.solve_us = micros(self.solving);
        self.timings.route_us = micros(total.saturating_sub(self.solving));
        Replay {
            metrics: self.metrics,
            timings: self.timings,
            outcomes: self.outcomes,
            prices: self.prices,
            ledger: self.ledger,
        }
    }
}

fn arrival<'a>(scenario: &Scenario, estimates: &'a EstimateTable, index: usize) -> Arrival<'a> {
    Arrival {
        index: index as u64,
        group: 0,
        estimates: estimates.row(index),
        must_serve: false,
        seed: scenario.seed(),
    }
}

/// Solves inline, so that a replay is deterministic, and takes the time.
fn reprice(
    update: PriceUpdate,
    pricer: &mut dyn Pricer,
    prices: &mut Prices,
    timings: &mut Timings,
    solving: &mut Duration,
) -> Result<(), PolicyError> {
    match update {
        PriceUpdate::Keep => {}
        PriceUpdate::Install(new) => *prices = new,
        PriceUpdate::Solve(request) => {
            let start = Instant::now();
            let span = debug_span!("solve", solver = request.solver.name());
            let solution = span.in_scope(|| request.run())?;
            timings.solves += 1;
            if solution.status != Status::Optimal {
                timings.unfinished_solves += 1;
                warn!(status = %solution.status, gap = solution.gap, "prices are not optimal");
            }
            let (iterations, gap) = (solution.iterations, solution.gap);
            *prices = debug_span!("install prices").in_scope(|| pricer.install(solution));
            *solving += start.elapsed();
            debug!(iterations, gap, "installed prices");
        }
    }
    Ok(())
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
