//! The event loop.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use tollgate::core::{
    Arrival, BudgetView, Budgets, CostRatios, EstimateTable, Estimates, Feedback, Ledger, Policy,
    Pricer, Prices, Progress, Ranking, Reservation, RunSetup,
};
use tracing::info_span;

use super::events::{Answer, Event, Fate, What};
use super::metrics::LoadMetrics;
use super::station::{Job, Station};
use super::{Simulated, Simulation};
use crate::replay::{copy, micros, reprice};
use crate::{LabError, Timings};

/// Lets a stream run through a policy.
pub(super) fn run(of: &Simulation<'_>, policy: &dyn Policy) -> Result<Simulated, LabError> {
    let stream = of.stream;
    let span = info_span!("simulate", policy = policy.name(), arrivals = stream.len());
    let _entered = span.enter();
    let budgets = of.budgets()?;
    let setup = RunSetup {
        models: stream.models(),
        budgets: &budgets,
        horizon: stream.horizon(),
        history: of.history,
        so_far: None,
        seed: stream.seed(),
    };
    let adapted = policy.adapt(&setup)?;
    let policy = adapted.as_deref().unwrap_or(policy);
    let mut run = Run::start(of, policy, &setup)?;
    let start = Instant::now();
    for index in 0..stream.len() {
        run.answer_until(stream.time(index))?;
        run.arrive(index)?;
    }
    run.answer_until(f64::INFINITY)?;
    Ok(run.finish(start.elapsed()))
}

/// An answer that is being given.
#[derive(Debug)]
struct InFlight {
    finished: f64,
    /// In which order answers began.
    order: u64,
    model: usize,
    started: f64,
    job: Job,
}

/// The one that is complete first is the greatest, since a heap gives the greatest; of two at
/// the same moment, the one that began first.
impl Ord for InFlight {
    fn cmp(&self, other: &Self) -> Ordering {
        let earlier = other.finished.total_cmp(&self.finished);
        earlier.then_with(|| other.order.cmp(&self.order))
    }
}

impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for InFlight {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for InFlight {}

struct Run<'a> {
    of: &'a Simulation<'a>,
    policy: &'a dyn Policy,
    budgets: &'a Budgets,
    ledger: Ledger,
    pricer: Option<Box<dyn Pricer>>,
    prices: Prices,
    ranking: Ranking,
    remaining: Vec<f64>,
    remaining_estimated: Vec<f64>,
    latency: Vec<f64>,
    ratios: CostRatios,
    /// The estimates of one arrival with their costs corrected, where the policy wants that.
    corrected: Option<EstimateTable>,
    stations: Vec<Station>,
    in_flight: BinaryHeap<InFlight>,
    /// How many answers have begun.
    begun: u64,
    /// The moment of the latest event.
    now: f64,
    in_system: u32,
    /// Seconds that queries have been in the system so far, all together.
    spent_in_system: f64,
    fates: Vec<Option<Fate>>,
    events: Vec<Event>,
    metrics: LoadMetrics,
    timings: Timings,
    solving: Duration,
}

impl<'a> Run<'a> {
    fn start(
        of: &'a Simulation<'a>,
        policy: &'a dyn Policy,
        setup: &RunSetup<'a>,
    ) -> Result<Self, LabError> {
        let n_models = of.service.n_models();
        let station = |model| Station::new(of.service.slots(model), of.service.places(model));
        Ok(Self {
            of,
            policy,
            budgets: setup.budgets,
            ledger: Ledger::open(setup.budgets.clone())?,
            pricer: policy.pricer(setup)?,
            prices: Prices::unset(),
            ranking: Ranking::default(),
            remaining: Vec::new(),
            remaining_estimated: Vec::new(),
            latency: vec![0.0; n_models],
            ratios: CostRatios::new(n_models),
            corrected: policy.corrects_costs().then(|| EstimateTable::zeros(1, n_models)),
            stations: (0..n_models).map(station).collect(),
            in_flight: BinaryHeap::new(),
            begun: 0,
            now: 0.0,
            in_system: 0,
            spent_in_system: 0.0,
            fates: vec![None; of.stream.len()],
            events: Vec::with_capacity(3 * of.stream.len()),
            metrics: LoadMetrics::default(),
            timings: Timings { arrivals: of.stream.len() as u64, ..Timings::default() },
            solving: Duration::ZERO,
        })
    }

    /// Completes the answers that are due by a moment, that moment included.
    fn answer_until(&mut self, until: f64) -> Result<(), LabError> {
        while self.in_flight.peek().is_some_and(|next| next.finished <= until) {
            let Some(done) = self.in_flight.pop() else { break };
            self.pass(done.finished);
            self.answered(done)?;
        }
        Ok(())
    }

    /// Lets time pass until a moment.
    fn pass(&mut self, now: f64) {
        self.spent_in_system += (now - self.now) * f64::from(self.in_system);
        self.now = now;
        self.ledger.advance(now);
    }

    /// An answer is complete: it is settled and learned from, and its slot goes to the next.
    fn answered(&mut self, done: InFlight) -> Result<(), LabError> {
        let InFlight { finished, model, started, job, .. } = done;
        self.stations[model].finish(&job);
        self.in_system -= 1;
        let Job { arrival, arrived, held, .. } = job;
        let (quality, cost) = self.of.stream.truth(arrival, model);
        let settlement = held.settle(self.ledger.amounts(model, cost)?);
        self.metrics.overrun += settlement.overrun.to_usd();
        self.metrics.performance += quality;
        self.metrics.cost += cost;
        self.ratios.observe(model, self.of.estimates.row(arrival).cost[model], cost);
        if let Some(pricer) = &mut self.pricer {
            let arrival = arrival as u64;
            pricer.observe(&Feedback { arrival, model, cost, quality: Some(quality) });
        }
        let answer = Answer { model, arrived, started, finished };
        self.fates[arrival] = Some(Fate::Answered(answer));
        self.note(arrival, What::Answered(model));
        if let Some(job) = self.stations[model].next() {
            self.begin(model, job);
        }
        Ok(())
    }

    /// A model begins to answer.
    fn begin(&mut self, model: usize, job: Job) {
        let (arrival, started) = (job.arrival, self.now);
        self.stations[model].start(&job, started);
        let (finished, order) = (started + job.seconds, self.begun);
        self.begun += 1;
        self.in_flight.push(InFlight { finished, order, model, started, job });
        self.note(arrival, What::Started(model));
    }

    /// A query comes: prices, ranking, and the first model that has a place.
    fn arrive(&mut self, index: usize) -> Result<(), LabError> {
        self.pass(self.of.stream.time(index));
        self.correct(index);
        self.foresee(index);
        self.rank(index)?;
        let what = match self.place(index)? {
            Placed::In => return Ok(()),
            Placed::Nowhere(what) => what,
        };
        self.fates[index] = Some(match what {
            What::Rejected => Fate::Rejected,
            What::Declined => Fate::Declined,
            _ => Fate::Unaffordable,
        });
        self.note(index, what);
        Ok(())
    }

    /// Copies the estimates of an arrival and corrects their costs, where the policy wants that.
    fn correct(&mut self, index: usize) {
        let Some(corrected) = &mut self.corrected else { return };
        let (ratios, estimates) = (&self.ratios, self.of.estimates);
        corrected.fill(|mut out| {
            copy(&estimates.row(index), &mut out);
            ratios.correct(&mut out);
        });
    }

    /// The latency that is expected of each model.
    fn foresee(&mut self, index: usize) {
        let n_models = self.stations.len();
        for (model, station) in self.stations.iter_mut().enumerate() {
            let tokens = self.of.lengths.expected(index * n_models + model);
            let seconds = self.of.service.seconds(model, tokens);
            self.latency[model] = station.expected_wait(self.now) + seconds;
        }
    }

    fn rank(&mut self, index: usize) -> Result<(), LabError> {
        let Self { ledger, remaining, remaining_estimated, .. } = self;
        ledger.remaining_into(remaining, remaining_estimated);
        let budgets = BudgetView { budgets: self.budgets, remaining, remaining_estimated };
        let stream = self.of.stream;
        let arrival = Arrival {
            index: index as u64,
            time: stream.time(index),
            group: stream.group(index),
            estimates: expected(self.of.estimates, self.corrected.as_ref(), index),
            latency: Some(&self.latency),
            must_serve: self.of.must_serve,
            seed: stream.seed(),
        };
        if let Some(pricer) = &mut self.pricer {
            if let Some(horizon) = stream.news(index) {
                pricer.announce(horizon);
            }
            let cost_ratios = self.ratios.ratios();
            let progress = Progress { arrival: &arrival, budgets: &budgets, cost_ratios };
            let update = pricer.before(&progress)?;
            let (prices, timings) = (&mut self.prices, &mut self.timings);
            reprice(update, pricer.as_mut(), prices, timings, &mut self.solving)?;
        }
        self.policy.rank(&arrival, &self.prices, &budgets, &mut self.ranking)?;
        Ok(())
    }

    /// Walks the ranking down to a model that has a place and can be paid for.
    fn place(&mut self, index: usize) -> Result<Placed, LabError> {
        let group = self.of.stream.group(index);
        let mut full = false;
        for rank in 0..self.ranking.entries().len() {
            let model = self.ranking.entries()[rank].model;
            if self.stations[model].is_full() {
                full = true;
                continue;
            }
            let usd = expected(self.of.estimates, self.corrected.as_ref(), index).cost[model];
            let bound = self.ledger.amounts(model, usd)?;
            if let Some(held) = self.ledger.reserve(group, model, bound) {
                self.ledger.expect(group, model, bound);
                self.take_in(index, model, held);
                return Ok(Placed::In);
            }
        }
        if self.ranking.best().is_none() {
            if !self.ranking.is_unaffordable() {
                return Ok(Placed::Nowhere(What::Declined));
            }
            full = self.is_short_of_places(index);
        }
        Ok(Placed::Nowhere(if full { What::Rejected } else { What::Unaffordable }))
    }

    /// Whether some model could be paid for and is only full.
    fn is_short_of_places(&self, index: usize) -> bool {
        let estimates = expected(self.of.estimates, self.corrected.as_ref(), index);
        let first = self.of.first_place();
        let can_pay = |model: usize| {
            let rows = self.budgets.touching(self.of.stream.group(index), model).iter();
            let mut rows = rows.map(|&row| row as usize).filter(|row| *row < first);
            rows.all(|row| {
                let meter = self.budgets.rows()[row].meter;
                self.budgets.amount(meter, model, &estimates) <= self.remaining[row]
            })
        };
        (0..self.stations.len()).any(|model| self.stations[model].is_full() && can_pay(model))
    }

    fn take_in(&mut self, index: usize, model: usize, held: Reservation) {
        let (service, option) = (self.of.service, index * self.stations.len() + model);
        let job = Job {
            arrival: index,
            arrived: self.now,
            seconds: service.seconds(model, self.of.lengths.real(option)),
            expected: service.seconds(model, self.of.lengths.expected(option)),
            held,
        };
        self.in_system += 1;
        if self.stations[model].has_free_slot() {
            self.begin(model, job);
        } else {
            self.stations[model].queue(job);
            self.note(index, What::Queued(model));
        }
    }

    fn note(&mut self, arrival: usize, what: What) {
        let (What::Queued(model) | What::Started(model) | What::Answered(model)) = what else {
            let event = Event { time: self.now, arrival, what, running: 0, waiting: 0 };
            return self.events.push(event);
        };
        let station = &self.stations[model];
        let [running, waiting] = [station.running(), station.waiting()].map(count);
        self.events.push(Event { time: self.now, arrival, what, running, waiting });
    }

    fn finish(mut self, total: Duration) -> Simulated {
        self.timings.solve_us = micros(self.solving);
        self.timings.route_us = micros(total.saturating_sub(self.solving));
        let fates = self.fates.into_iter().map(|fate| fate.expect("every arrival is decided"));
        let fates: Vec<Fate> = fates.collect();
        let mut metrics = self.metrics;
        metrics.count(&fates);
        metrics.duration = self.now;
        // Before the first event nothing has lasted.
        let average = |total: f64| if self.now > 0.0 { total / self.now } else { 0.0 };
        metrics.mean_in_system = average(self.spent_in_system);
        for (model, station) in self.stations.iter().enumerate() {
            let slots = f64::from(self.of.service.slots(model));
            metrics.utilization.push(average(station.busy) / slots);
            metrics.most_in_flight.push(count(station.most_in_flight));
            metrics.longest_queue.push(count(station.longest_queue));
        }
        Simulated {
            metrics,
            fates,
            events: self.events,
            timings: self.timings,
            prices: self.prices,
            ledger: self.ledger,
        }
    }
}

/// Where a query went.
enum Placed {
    /// To a slot or a queue.
    In,
    /// Nowhere, and why.
    Nowhere(What),
}

/// What the policy is told of an arrival.
fn expected<'a>(
    estimates: &'a EstimateTable,
    corrected: Option<&'a EstimateTable>,
    index: usize,
) -> Estimates<'a> {
    corrected.map_or_else(|| estimates.row(index), |corrected| corrected.row(0))
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
