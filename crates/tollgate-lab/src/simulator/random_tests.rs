//! A thousand scenarios at random, and what must hold in each.

use std::sync::Arc;

use proptest::prelude::*;
use tollgate::core::{Models, Purpose, Scope, Seed, StreamRng};
use tollgate::policies::{
    Balance, Greedy, GreedyBy, Outlook, Random, ResolveConfig, RoundRobin, ShortestWait,
};
use tollgate::presets;

use super::oracle_tests::obeys_little;
use super::*;

/// Who is compared: every way of looking at load.
const POLICIES: usize = 8;

fn policy(number: usize, per_second: f64) -> Arc<dyn Policy> {
    let resolve = |outlook| {
        let config = ResolveConfig { outlook, every: 20, per_second, ..ResolveConfig::default() };
        let policy = presets::resolve("resolve", config, presets::default_solver());
        Arc::new(policy.unwrap().corrects_costs())
    };
    match number {
        0 => Arc::new(Random),
        1 => Arc::new(Greedy::new(GreedyBy::Quality)),
        2 => Arc::new(Greedy::new(GreedyBy::Density).within_budget()),
        3 => Arc::new(RoundRobin),
        4 => Arc::new(Balance),
        5 => Arc::new(ShortestWait),
        6 => resolve(Outlook::Arrivals),
        _ => resolve(Outlook::Rest),
    }
}

#[derive(Clone, Debug)]
struct Scenario {
    seed: Seed,
    n_models: usize,
    n_arrivals: usize,
    process: ArrivalsConfig,
    queue: Option<u32>,
    policy: usize,
    per_second: f64,
    usd: f64,
    must_serve: bool,
    whole_seconds: bool,
}

fn processes() -> impl Strategy<Value = ArrivalsConfig> {
    let rate = || 0.2..20.0_f64;
    prop_oneof![
        rate().prop_map(|rate| ArrivalsConfig::Poisson { rate }),
        (rate(), rate(), 0.5..10.0_f64, 0.5..10.0_f64).prop_map(
            |(calm, burst, calm_seconds, burst_seconds)| ArrivalsConfig::Bursty {
                calm,
                burst: 4.0 * burst,
                calm_seconds,
                burst_seconds
            }
        ),
        (rate(), 0.0..1.0_f64, 2.0..60.0_f64)
            .prop_map(|(rate, swing, period)| ArrivalsConfig::Diurnal { rate, swing, period }),
    ]
}

prop_compose! {
    fn scenarios()(
        seed in any::<u64>(),
        n_models in 1..5_usize,
        n_arrivals in 0..80_usize,
        process in processes(),
        queue in prop::option::of(0..6_u32),
        policy in 0..POLICIES,
        per_second in prop_oneof![Just(0.0), 0.0..0.5_f64],
        usd in prop_oneof![Just(1e6), 0.0..20.0_f64],
        must_serve in any::<bool>(),
        whole_seconds in any::<bool>(),
    ) -> Scenario {
        let seed = Seed(seed);
        Scenario {
            seed, n_models, n_arrivals, process, queue, policy, per_second, usd, must_serve,
            whole_seconds,
        }
    }
}

impl Scenario {
    /// Numbers for each option; whole ones make ties.
    fn table(&self, n: usize, rng: &mut StreamRng, most: f64) -> Arc<[f64]> {
        let mut draw = || most * rng.uniform();
        (0..n * self.n_models)
            .map(|_| if self.whole_seconds { draw().ceil() } else { draw() })
            .collect()
    }

    fn service(&self, rng: &mut StreamRng) -> Service {
        let mut slots = || 1 + u32::try_from(rng.below(4)).unwrap();
        let speeds = if self.whole_seconds {
            vec![Speed { first_token: 1.0, tokens_per_second: 1.0 }; self.n_models]
        } else {
            Speed::drawn(self.n_models, self.seed)
        };
        let overflow = self.queue.map_or(Overflow::Reject, |limit| Overflow::Queue { limit });
        let slots = (0..self.n_models).map(|_| slots()).collect();
        ServiceConfig { speeds, slots, overflow }.build().unwrap()
    }

    fn stream(&self, rng: &mut StreamRng) -> Stream {
        let models = Models::new((0..self.n_models).map(|model| format!("m{model}"))).unwrap();
        let n = self.n_arrivals;
        let [quality, cost] = [self.table(n, rng, 1.0), self.table(n, rng, 0.5)];
        let rows = vec![
            Row::at_most(Meter::Cost, Scope::all(), self.usd),
            Row::at_most(Meter::One, Scope::model(0), 30.0),
        ];
        let budgets = Budgets::new(rows, self.n_models, 1).unwrap();
        let stream = Stream::new(models, quality, cost, budgets, self.seed).unwrap();
        let mut times = self.process.build().unwrap().times(n, self.seed);
        if self.whole_seconds {
            times = times.iter().map(|time| time.floor()).collect();
        }
        stream.with_times(times).unwrap()
    }

    fn estimates(&self, n: usize, rng: &mut StreamRng) -> EstimateTable {
        let [quality, cost] = [self.table(n, rng, 1.0), self.table(n, rng, 0.5)];
        let mut estimates = EstimateTable::zeros(n, self.n_models);
        estimates.fill(|out| {
            out.quality.copy_from_slice(&quality);
            out.cost.copy_from_slice(&cost);
        });
        estimates
    }

    fn run(&self) -> (Service, Simulated) {
        let mut rng = self.seed.stream(Purpose::Synthesis, 0);
        let (service, stream) = (self.service(&mut rng), self.stream(&mut rng));
        let n = self.n_arrivals;
        let most = if self.whole_seconds { 5.0 } else { 400.0 };
        let [real, expected] = [(); 2].map(|()| self.table(n, &mut rng, most));
        let lengths = Lengths::new(real, expected).unwrap();
        let lengths = lengths.with_usual(vec![most / 2.0; self.n_models].into()).unwrap();
        let (estimates, history) = (self.estimates(n, &mut rng), self.estimates(40, &mut rng));
        let of = Simulation {
            stream: &stream,
            service: &service,
            lengths: &lengths,
            estimates: &estimates,
            history: Some(&history),
            must_serve: self.must_serve,
        };
        let got = of.run(policy(self.policy, self.per_second).as_ref()).unwrap();
        (service, got)
    }
}

/// What must hold of any run, from its events.
fn check(n_arrivals: usize, service: &Service, got: &Simulated) -> Result<(), TestCaseError> {
    let n_models = service.n_models();
    let (mut running, mut waiting) = (vec![0_u32; n_models], vec![0_u32; n_models]);
    let mut last = 0.0;
    // What has become of each arrival: 0 nothing yet, 1 it waits, 2 it is answered, 3 the end.
    let mut stages = vec![0; n_arrivals];
    for event in &got.events {
        prop_assert!(event.time >= last, "time runs backwards: {:?}", event);
        last = event.time;
        let stage = &mut stages[event.arrival];
        let model = match event.what {
            What::Queued(model) => {
                prop_assert_eq!(std::mem::replace(stage, 1), 0);
                waiting[model] += 1;
                prop_assert_eq!(
                    running[model],
                    service.slots(model),
                    "it waits beside a free slot"
                );
                model
            }
            What::Started(model) => {
                let before = std::mem::replace(stage, 2);
                prop_assert!(before < 2);
                waiting[model] -= before;
                running[model] += 1;
                model
            }
            What::Answered(model) => {
                prop_assert_eq!(std::mem::replace(stage, 3), 2);
                running[model] -= 1;
                model
            }
            What::Rejected | What::Declined | What::Unaffordable => {
                prop_assert_eq!(std::mem::replace(stage, 3), 0);
                continue;
            }
        };
        prop_assert_eq!((event.running, event.waiting), (running[model], waiting[model]));
        prop_assert!(running[model] <= service.slots(model), "more in flight than slots");
        prop_assert!(waiting[model] <= service.queue(), "the queue is longer than its limit");
    }
    prop_assert!(stages.iter().all(|stage| *stage == 3), "every arrival comes to one end");
    let of = &got.metrics;
    let ends = of.answered + of.rejected + of.declined + of.unaffordable;
    prop_assert_eq!((of.arrivals, ends), (n_arrivals as u64, n_arrivals as u64));
    for (account, row) in got.ledger.accounts().iter().zip(got.ledger.budgets().holds()) {
        prop_assert!(account.spent <= account.limit && account.reserved == 0);
        prop_assert!(row.is_none() || account.spent == 0);
    }
    for (fate, model) in got.fates.iter().filter_map(|fate| match fate {
        Fate::Answered(answer) => Some((answer, answer.model)),
        _ => None,
    }) {
        prop_assert!(fate.arrived <= fate.started && fate.started <= fate.finished);
        prop_assert!(model < n_models);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_the_traffic_slots_and_queues_are_kept(scenario in scenarios()) {
        let (service, got) = scenario.run();
        check(scenario.n_arrivals, &service, &got)?;
        obeys_little(&got);
        let (_, again) = scenario.run();
        prop_assert_eq!(&got.events, &again.events);
        prop_assert_eq!(&got.metrics, &again.metrics);
        prop_assert_eq!(&got.fates, &again.fates);
        if !scenario.must_serve {
            return Ok(());
        }
        prop_assert_eq!(got.metrics.declined, 0, "declining is not allowed");
    }
}
