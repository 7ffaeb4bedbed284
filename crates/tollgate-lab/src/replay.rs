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
    Arrival, BudgetView, CostRatios, EstimateTable, Estimates, EstimatesMut, Feedback, Ledger,
    MoneyError, Outcome, Policy, PolicyError, PriceUpdate, Pricer, Prices, Progress, Ranking,
    RunSetup, Status,
};
use tracing::{debug, debug_span, info_span, warn};

use crate::{LabError, Metrics, Stream, Timings};

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

/// Replays a stream through a policy. `estimates` has one row an arrival, in arrival
/// order; `history` are the held-out estimates that a history-priced policy needs.
///
/// # Errors
/// [`LabError`] where the policy can't start or a solve breaks down.
pub fn replay(
    stream: &Stream,
    policy: &dyn Policy,
    estimates: &EstimateTable,
    history: Option<&EstimateTable>,
) -> Result<Replay, LabError> {
    let span = info_span!("replay", policy = policy.name(), arrivals = stream.len());
    let _entered = span.enter();
    let setup = RunSetup {
        models: stream.models(),
        budgets: stream.budgets(),
        horizon: stream.horizon(),
        history,
        so_far: None,
        seed: stream.seed(),
    };
    let adapted = policy.adapt(&setup)?;
    let policy = adapted.as_deref().unwrap_or(policy);
    let mut run = Run::start(stream, policy, estimates, &setup)?;
    let start = Instant::now();
    let batch = policy.batch_size();
    let mut from = 0;
    while from < stream.len() {
        let to = (from + batch).min(stream.len());
        run.step(from, to)?;
        from = to;
    }
    let total = start.elapsed();
    Ok(run.finish(total))
}

struct Run<'a> {
    stream: &'a Stream,
    policy: &'a dyn Policy,
    estimates: &'a EstimateTable,
    ledger: Ledger,
    pricer: Option<Box<dyn Pricer>>,
    prices: Prices,
    rankings: Vec<Ranking>,
    remaining: Vec<f64>,
    remaining_estimated: Vec<f64>,
    ratios: CostRatios,
    /// The estimates of a batch with their costs corrected, where the policy wants that.
    corrected: Option<EstimateTable>,
    metrics: Metrics,
    timings: Timings,
    solving: Duration,
    outcomes: Vec<Outcome>,
}

impl<'a> Run<'a> {
    fn start(
        stream: &'a Stream,
        policy: &'a dyn Policy,
        estimates: &'a EstimateTable,
        setup: &RunSetup<'_>,
    ) -> Result<Self, LabError> {
        let (n_models, batch) = (stream.models().len(), policy.batch_size().min(stream.len()));
        Ok(Self {
            stream,
            policy,
            estimates,
            ledger: Ledger::open(stream.budgets().clone())?,
            pricer: policy.pricer(setup)?,
            prices: Prices::unset(),
            rankings: vec![Ranking::default(); batch],
            remaining: Vec::new(),
            remaining_estimated: Vec::new(),
            ratios: CostRatios::new(n_models),
            corrected: policy.corrects_costs().then(|| EstimateTable::zeros(batch, n_models)),
            metrics: Metrics::default(),
            timings: Timings { arrivals: stream.len() as u64, ..Timings::default() },
            solving: Duration::ZERO,
            outcomes: Vec::with_capacity(stream.len()),
        })
    }

    /// Prices, ranks and commits the arrivals `from..to`.
    fn step(&mut self, from: usize, to: usize) -> Result<(), LabError> {
        self.correct(from, to);
        self.ledger.advance(self.stream.time(from));
        self.ledger.remaining_into(&mut self.remaining, &mut self.remaining_estimated);
        let budgets = BudgetView {
            budgets: self.stream.budgets(),
            remaining: &self.remaining,
            remaining_estimated: &self.remaining_estimated,
        };
        for index in from..to {
            let Some(pricer) = &mut self.pricer else { break };
            let estimates = row(self.estimates, self.corrected.as_ref(), index, from);
            let arrival = arrival(self.stream, estimates, index);
            if let Some(horizon) = self.stream.news(index) {
                pricer.announce(horizon);
            }
            let update = {
                let cost_ratios = self.ratios.ratios();
                pricer.before(&Progress { arrival: &arrival, budgets: &budgets, cost_ratios })?
            };
            let Self { prices, timings, solving, .. } = self;
            reprice(update, pricer.as_mut(), prices, timings, solving)?;
        }
        if to - from == 1 {
            let estimates = row(self.estimates, self.corrected.as_ref(), from, from);
            let arrival = arrival(self.stream, estimates, from);
            self.policy.rank(&arrival, &self.prices, &budgets, &mut self.rankings[0])?;
        } else {
            let (stream, estimates, corrected) = (self.stream, self.estimates, &self.corrected);
            let row = |index| row(estimates, corrected.as_ref(), index, from);
            let arrivals: Vec<Arrival<'_>> =
                (from..to).map(|index| arrival(stream, row(index), index)).collect();
            let rankings = &mut self.rankings[..to - from];
            self.policy.rank_batch(&arrivals, &self.prices, &budgets, rankings)?;
        }
        for index in from..to {
            let outcome = self.commit(index, from)?;
            self.outcomes.push(outcome);
        }
        Ok(())
    }

    /// Copies the estimates of the arrivals `from..to` and corrects their costs, where the
    /// policy wants that.
    fn correct(&mut self, from: usize, to: usize) {
        let Some(corrected) = &mut self.corrected else { return };
        let (ratios, estimates) = (&self.ratios, self.estimates);
        let n_models = estimates.n_models();
        corrected.fill(|mut out| {
            for index in from..to {
                let mut out = out.rows(n_models, index - from, index - from + 1);
                copy(&estimates.row(index), &mut out);
                ratios.correct(&mut out);
            }
        });
    }

    /// Checks the true cost of the pick once.
    fn commit(&mut self, index: usize, from: usize) -> Result<Outcome, MoneyError> {
        let ranking = &self.rankings[index - from];
        let Some(pick) = ranking.best() else {
            if ranking.is_unaffordable() {
                self.metrics.unaffordable += 1;
                return Ok(Outcome::Unaffordable);
            }
            self.metrics.declined += 1;
            return Ok(Outcome::Declined);
        };
        let model = pick.model;
        let expected = row(self.estimates, self.corrected.as_ref(), index, from).cost[model];
        let estimate = self.ledger.amounts(model, expected)?;
        let group = self.stream.group(index);
        self.ledger.expect(group, model, estimate);
        let (quality, cost) = self.stream.truth(index, model);
        let real = self.ledger.amounts(model, cost)?;
        let Some(reservation) = self.ledger.reserve(group, model, real) else {
            self.metrics.lost += 1;
            return Ok(Outcome::Lost(model));
        };
        reservation.settle(real);
        self.metrics.served += 1;
        self.metrics.performance += quality;
        self.metrics.cost += cost;
        self.ratios.observe(model, self.estimates.row(index).cost[model], cost);
        if let Some(pricer) = &mut self.pricer {
            let arrival = index as u64;
            let quality = self.stream.is_scored(index).then_some(quality);
            pricer.observe(&Feedback { arrival, model, cost, quality });
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

/// What the policy is told of an arrival in a batch that begins with `from`.
fn row<'a>(
    estimates: &'a EstimateTable,
    corrected: Option<&'a EstimateTable>,
    index: usize,
    from: usize,
) -> Estimates<'a> {
    corrected.map_or_else(|| estimates.row(index), |corrected| corrected.row(index - from))
}

pub(crate) fn copy(from: &Estimates<'_>, to: &mut EstimatesMut<'_>) {
    to.quality.copy_from_slice(from.quality);
    to.quality_se.copy_from_slice(from.quality_se);
    to.cost.copy_from_slice(from.cost);
    to.cost_se.copy_from_slice(from.cost_se);
}

fn arrival<'a>(stream: &Stream, estimates: Estimates<'a>, index: usize) -> Arrival<'a> {
    Arrival {
        index: index as u64,
        time: stream.time(index),
        group: stream.group(index),
        estimates,
        latency: None,
        must_serve: false,
        seed: stream.seed(),
    }
}

/// Solves inline, so that a replay is deterministic, and takes the time.
pub(crate) fn reprice(
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
            // What a solve started from is megabytes, and freeing them is part of it.
            drop(request);
            *solving += start.elapsed();
            debug!(iterations, gap, "installed prices");
        }
    }
    Ok(())
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
