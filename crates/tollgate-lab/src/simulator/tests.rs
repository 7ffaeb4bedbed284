use std::sync::{Arc, Mutex};

use tollgate::core::{
    Arrival, BudgetView, Feedback, Horizon, Models, PolicyError, PriceUpdate, Pricer, Progress,
    Ranking, RunSetup, Seed, Solution,
};
use tollgate::policies::{Greedy, GreedyBy, ResolveConfig};
use tollgate::presets;

use super::*;

/// One model, one second to the first token and ten tokens a second.
fn slow(slots: &[u32], overflow: Overflow) -> Service {
    let speed = Speed { first_token: 1.0, tokens_per_second: 10.0 };
    ServiceConfig { speeds: vec![speed; slots.len()], slots: slots.to_vec(), overflow }
        .build()
        .unwrap()
}

/// What is to be simulated, in tables of one row an arrival.
pub(super) struct Case<const M: usize> {
    pub(super) stream: Stream,
    pub(super) estimates: EstimateTable,
    pub(super) lengths: Lengths,
}

impl<const M: usize> Case<M> {
    /// Scores and costs that are as expected, and 20 tokens an answer: 3 seconds.
    pub(super) fn new(times: &[f64], quality: [f64; M], cost: [f64; M], usd: f64) -> Self {
        let n = times.len();
        let names = ["a", "b", "c", "d"];
        let models = Models::new(&names[..M]).unwrap();
        let table = |row: [f64; M]| -> Arc<[f64]> { vec![row; n].into_flattened().into() };
        let budgets = Budgets::pooled(usd, M).unwrap();
        let stream = Stream::new(models, table(quality), table(cost), budgets, Seed(1)).unwrap();
        let stream = stream.with_times(times.into()).unwrap();
        let mut estimates = EstimateTable::zeros(n, M);
        estimates.fill(|out| {
            out.quality.copy_from_slice(&table(quality));
            out.cost.copy_from_slice(&table(cost));
        });
        let lengths = Lengths::new(table([20.0; M]), table([20.0; M])).unwrap();
        Self { stream, estimates, lengths }
    }

    pub(super) fn run(&self, service: &Service, policy: &dyn Policy) -> Simulated {
        let Self { stream, estimates, lengths } = self;
        let history = Some(estimates);
        let of = Simulation { stream, service, lengths, estimates, history, must_serve: false };
        of.run(policy).unwrap()
    }
}

fn answered(model: usize, arrived: f64, started: f64, finished: f64) -> Fate {
    Fate::Answered(Answer { model, arrived, started, finished })
}

/// Arrivals at 0, 1, 2 and 3 s, three seconds each, one slot and one that may wait. The third
/// finds the queue full. At 3 s the first is answered before the fourth comes, so that the
/// second has begun and the fourth may wait.
#[test]
fn a_queue_worked_by_hand() {
    let case = Case::new(&[0.0, 1.0, 2.0, 3.0], [0.5], [0.25], 9.0);
    let service = slow(&[1], Overflow::Queue { limit: 1 });
    let got = case.run(&service, &Greedy::new(GreedyBy::Quality));
    let fates = [
        answered(0, 0.0, 0.0, 3.0),
        answered(0, 1.0, 3.0, 6.0),
        Fate::Rejected,
        answered(0, 3.0, 6.0, 9.0),
    ];
    assert_eq!(got.fates, fates);
    let what: Vec<_> = got.events.iter().map(|e| (e.time, e.arrival, e.what)).collect();
    let expected = [
        (0.0, 0, What::Started(0)),
        (1.0, 1, What::Queued(0)),
        (2.0, 2, What::Rejected),
        (3.0, 0, What::Answered(0)),
        (3.0, 1, What::Started(0)),
        (3.0, 3, What::Queued(0)),
        (6.0, 1, What::Answered(0)),
        (6.0, 3, What::Started(0)),
        (9.0, 3, What::Answered(0)),
    ];
    assert_eq!(what, expected);
    let expected = LoadMetrics {
        arrivals: 4,
        answered: 3,
        rejected: 1,
        performance: 1.5,
        cost: 0.75,
        latency: Spread { mean: 14.0 / 3.0, p50: 5.0, p99: 6.0 },
        wait: Spread { mean: 5.0 / 3.0, p50: 2.0, p99: 3.0 },
        duration: 9.0,
        mean_in_system: 14.0 / 9.0,
        utilization: vec![1.0],
        most_in_flight: vec![1],
        longest_queue: vec![1],
        ..LoadMetrics::default()
    };
    assert_eq!(got.metrics, expected);
    assert!((got.metrics.success_rate() - 0.375).abs() < 1e-12);
    assert!((got.metrics.mean_quality() - 0.5).abs() < 1e-12);
    assert!((got.metrics.served_share() - 0.75).abs() < 1e-12);
    let accounts = got.ledger.accounts();
    assert_eq!((accounts[1].reserved, accounts[1].spent), (0, 0), "places come back");
}

/// The better model has one slot: the second goes to the other one, the third nowhere. Whoever
/// names but one model does not find the other.
#[test]
fn where_a_model_is_full_the_next_of_the_ranking_is_tried() {
    let case = Case::new(&[0.0, 1.0, 2.0, 3.0], [0.5, 0.25], [0.25; 2], 9.0);
    let service = slow(&[1, 1], Overflow::Reject);
    let fates = |policy: Greedy| case.run(&service, &policy).fates;
    let falling_back = fates(Greedy::new(GreedyBy::Quality).within_budget());
    let last = answered(0, 3.0, 3.0, 6.0);
    let expected = [answered(0, 0.0, 0.0, 3.0), answered(1, 1.0, 1.0, 4.0), Fate::Rejected, last];
    assert_eq!(falling_back, expected);
    let stubborn = fates(Greedy::new(GreedyBy::Quality));
    assert_eq!(stubborn, [expected[0], Fate::Rejected, Fate::Rejected, last]);
}

/// A dollar; an answer is expected to cost 0.6. While one is in flight there is no money for
/// another, and that it cost 0.6 is known at 3 s: then there is never again.
#[test]
fn money_is_held_while_an_answer_is_in_flight() {
    let case = Case::new(&[0.0, 1.0, 4.0], [0.5], [0.6], 1.0);
    let service = slow(&[3], Overflow::Reject);
    let got = case.run(&service, &Greedy::new(GreedyBy::Quality).within_budget());
    let first = answered(0, 0.0, 0.0, 3.0);
    assert_eq!(got.fates, [first, Fate::Unaffordable, Fate::Unaffordable]);
    // It is expected to cost 0.6 and costs 0.3: at 4 s there is money again.
    let cheap = Case::<1> {
        stream: Case::new(&[0.0, 1.0, 4.0], [0.5], [0.3], 1.0).stream,
        ..Case::new(&[0.0, 1.0, 4.0], [0.5], [0.6], 1.0)
    };
    let got = cheap.run(&service, &Greedy::new(GreedyBy::Quality).within_budget());
    assert_eq!(got.fates, [first, Fate::Unaffordable, answered(0, 4.0, 4.0, 7.0)]);
    // It costs 1.2: 0.2 were not there.
    let dear = Case::<1> {
        stream: Case::new(&[0.0, 1.0, 4.0], [0.5], [1.2], 1.0).stream,
        ..Case::new(&[0.0, 1.0, 4.0], [0.5], [0.6], 1.0)
    };
    let got = dear.run(&service, &Greedy::new(GreedyBy::Quality).within_budget());
    assert_eq!(got.metrics.answered, 1);
    assert!((got.metrics.overrun - 0.2).abs() < 1e-9 && (got.metrics.cost - 1.2).abs() < 1e-9);
    assert_eq!(got.ledger.accounts()[0].free(), 0);
}

/// Sends everything to the first model and keeps a diary.
#[derive(Clone, Debug, Default)]
struct Diary {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Diary {
    fn note(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }
}

impl Policy for Diary {
    fn name(&self) -> String {
        "diary".to_owned()
    }

    fn pricer(&self, _: &RunSetup<'_>) -> Result<Option<Box<dyn Pricer>>, PolicyError> {
        Ok(Some(Box::new(self.clone())))
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        _prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        let latency = arrival.latency.unwrap()[0];
        let places = budgets.remaining[1];
        self.note(format!("{} ranked: {latency} s, {places} places", arrival.index));
        out.clear();
        out.push(0, 0.0);
        Ok(())
    }
}

impl Pricer for Diary {
    fn before(&mut self, _: &Progress<'_>) -> Result<PriceUpdate, PolicyError> {
        Ok(PriceUpdate::Keep)
    }

    fn install(&mut self, _: Solution) -> Prices {
        Prices::unset()
    }

    fn announce(&mut self, _: Horizon) {}

    fn observe(&mut self, feedback: &Feedback) {
        self.note(format!("{} answered for {}", feedback.arrival, feedback.cost));
    }
}

/// As in the queue worked by hand, but 10 tokens are expected, 2 s: at 1 s the first has one
/// second to go, then two of one's own. At 2 s it should have ended and the second is to take
/// until 4 s. At 3 s, the first is answered and the second has begun: until 5 s. Feedback comes
/// with the answer.
#[test]
fn a_policy_is_told_what_is_known_and_no_more() {
    let mut case = Case::new(&[0.0, 1.0, 2.0, 3.0], [0.5], [0.25], 9.0);
    case.lengths = Lengths::new([20.0; 4].into(), [10.0; 4].into()).unwrap();
    let diary = Diary::default();
    case.run(&slow(&[1], Overflow::Queue { limit: 1 }), &diary);
    insta::assert_snapshot!(diary.lines.lock().unwrap().join("\n"), @r"
    0 ranked: 2 s, 2 places
    1 ranked: 3 s, 1 places
    2 ranked: 4 s, 0 places
    0 answered for 0.25
    3 ranked: 4 s, 1 places
    1 answered for 0.25
    3 answered for 0.25
    ");
}

/// Two slots with answers until 2 and 4 s, three of 2 s that wait: they end at 4, 6 and 6 s, so
/// that the next one begins at 6 s and not before.
#[test]
fn the_expected_wait_fills_the_slots_in_turn() {
    let mut case = Case::new(&[0.0, 0.0, 1.0, 1.0, 1.0, 1.0], [0.5], [0.25], 9.0);
    let tokens: Arc<[f64]> = [10.0, 30.0, 10.0, 10.0, 10.0, 10.0].into();
    case.lengths = Lengths::new(Arc::clone(&tokens), tokens).unwrap();
    let diary = Diary::default();
    case.run(&slow(&[2], Overflow::Queue { limit: 9 }), &diary);
    let lines = diary.lines.lock().unwrap();
    let ranked: Vec<&str> =
        lines.iter().filter_map(|l| l.split_once(" ranked: ")).map(|l| l.1).collect();
    insta::assert_snapshot!(ranked.join("\n"), @r"
    2 s, 11 places
    4 s, 10 places
    3 s, 9 places
    5 s, 8 places
    5 s, 7 places
    7 s, 6 places
    ");
}

/// 2 slots and 4 that may wait, 3 seconds an answer: a full model holds a place for 9 s.
#[test]
fn places_are_rows_that_come_back() {
    let mut case = Case::new(&[0.0], [0.5, 0.5], [0.25; 2], 9.0);
    let budgets = |case: &Case<2>| {
        let Case { stream, estimates, lengths } = case;
        let service = &slow(&[2, 1], Overflow::Queue { limit: 4 });
        let of =
            Simulation { stream, service, lengths, estimates, history: None, must_serve: false };
        of.budgets().unwrap()
    };
    let unknown = Some(Hold { seconds: None });
    assert_eq!(budgets(&case).holds(), [None, unknown, unknown]);
    case.lengths = case.lengths.with_usual([20.0; 2].into()).unwrap();
    let seconds = |seconds| Some(Hold { seconds: Some(seconds) });
    assert_eq!(budgets(&case).holds(), [None, seconds(9.0), seconds(15.0)]);
    let capacities: Vec<f64> = budgets(&case).rows()[1..].iter().map(|row| row.capacity).collect();
    assert_eq!(capacities, [6.0, 5.0]);
}

#[test]
fn shapes_are_checked() {
    let case = Case::new(&[0.0, 1.0], [0.5], [0.25], 9.0);
    let Case { stream, estimates, lengths } = &case;
    let refused = |service: &Service, lengths: &Lengths, estimates: &EstimateTable| {
        let of =
            Simulation { stream, service, lengths, estimates, history: None, must_serve: false };
        of.run(&Greedy::new(GreedyBy::Quality)).unwrap_err().to_string()
    };
    let one = slow(&[1], Overflow::Reject);
    insta::assert_snapshot!(refused(&slow(&[1, 1], Overflow::Reject), lengths, estimates), @"1 models of the service expected, got 2");
    let short = Lengths::new([1.0].into(), [1.0].into()).unwrap();
    insta::assert_snapshot!(refused(&one, &short, estimates), @"2 lengths expected, got 1");
    insta::assert_snapshot!(refused(&one, lengths, &EstimateTable::zeros(3, 1)), @"2 estimated arrivals expected, got 3");
    insta::assert_snapshot!(refused(&one, lengths, &EstimateTable::zeros(2, 2)), @"1 models of the estimates expected, got 2");
    let negative = Lengths::new([1.0].into(), [-1.0].into()).unwrap_err();
    insta::assert_snapshot!(negative, @"`tokens` must be finite and >= 0, got -1");
    let nan = short.with_usual([f64::NAN].into()).unwrap_err();
    insta::assert_snapshot!(nan, @"`tokens` must be finite and >= 0, got NaN");
}

/// Twice the cost is twice the length; what is usual is the mean of the history.
#[test]
fn lengths_follow_costs() {
    let case = Case::new(&[0.0], [0.5, 0.5], [0.25, 0.5], 9.0);
    let mut history = EstimateTable::zeros(2, 2);
    history.fill(|out| out.cost.copy_from_slice(&[0.25, 0.5, 0.75, 1.0]));
    let (stream, estimates) = (&case.stream, &case.estimates);
    let lengths = Lengths::from_costs(stream, estimates, Some(&history), &[100.0, 10.0]).unwrap();
    assert_eq!([0, 1].map(|option| lengths.real(option).to_string()), ["25", "5"]);
    assert_eq!(lengths.usual(), Some(&[50.0, 7.5][..]));
    let nothing = Lengths::from_costs(stream, estimates, None, &[100.0, 10.0]).unwrap();
    assert_eq!(nothing.usual(), None);
}

/// Two models of one slot; the second is a little better, and slow. Queries come every second
/// and take 1 s on the first model, 3 s on the second.
fn fast_and_slow() -> (Case<2>, Service) {
    let times: Vec<f64> = (0..60).map(f64::from).collect();
    let case = Case::new(&times, [0.5, 0.625], [0.01; 2], 9.0);
    (case, one_and_three_seconds(Overflow::Queue { limit: 20 }))
}

/// Whatever the length: an answer is its first token.
fn one_and_three_seconds(overflow: Overflow) -> Service {
    let fast = Speed { first_token: 1.0, tokens_per_second: f64::MAX };
    let slow = Speed { first_token: 3.0, tokens_per_second: f64::MAX };
    let config = ServiceConfig { speeds: vec![fast, slow], slots: vec![1, 1], overflow };
    config.build().unwrap()
}

/// The default policy at a price on time, on a history like the stream.
fn priced(per_second: f64) -> Result<Arc<dyn Policy>, LabError> {
    let config = ResolveConfig { per_second, every: 5, ..ResolveConfig::default() };
    Ok(Arc::new(presets::tollgate_with(config, presets::default_solver())?))
}

/// Without a price on time the slow model is taken whenever it has room, and its queue is as
/// long as it may be: an answer there takes up to 60 s, and the places are worth the quality
/// that they bring. At a sixteenth a second an eighth of quality is worth two seconds, so that
/// none of its queries ever waits.
#[test]
fn the_frontier_trades_quality_for_time() {
    let (case, service) = fast_and_slow();
    let Case { stream, estimates, lengths } = &case;
    let of = Simulation {
        stream,
        service: &service,
        lengths,
        estimates,
        history: Some(estimates),
        must_serve: true,
    };
    let points = frontier(&of, &[0.0, 0.0625, 1.0], priced).unwrap();
    let column = |of: fn(&FrontierPoint) -> f64| points.iter().map(of).collect::<Vec<_>>();
    let (p99, quality) = (column(|point| point.p99), column(|point| point.quality));
    assert!(p99[0] > 20.0 && p99[1] < 5.0 && p99[2] < 3.0, "{p99:?}");
    assert!(quality[0] > quality[1] && quality[1] > quality[2], "{quality:?}");
    assert!(
        (quality[2] - 0.5).abs() < 1e-9,
        "an eighth of quality is worth no second: {quality:?}"
    );
    // Where no one pays for time, it makes no difference that it is measured.
    assert_eq!(points[0].metrics, of.run(priced(0.0).unwrap().as_ref()).unwrap().metrics);
    assert!(points.iter().all(|point| point.metrics.answered == 60), "must be served");
    let refused = frontier(&of, &[-1.0], priced).unwrap_err();
    insta::assert_snapshot!(refused, @"`per_second` must be finite and >= 0, got -1");
}

/// The slow model has a slot for one query in three, and is worth 0.05 more on every other one
/// and 0.5 more on the rest. Unpriced, it answers whoever comes when it is free: both kinds, in
/// turn, a gain of 0.275 every three seconds. Where it is known how long a slot is held the slot
/// has a price: 0.5, at which two in three of those that gain may have it, and no other. The
/// next of them after three seconds comes at the fourth, the one after that at the sixth: with
/// two chances in three each, five seconds on average, a gain of 0.5.
#[test]
fn prices_on_places_keep_them_for_who_gains() {
    const N: usize = 240;
    let times: Vec<f64> = (0..N).map(|index| index as f64).collect();
    let mut case = Case::new(&times, [0.0; 2], [0.01; 2], 9.0);
    let quality: Arc<[f64]> = [0.25, 0.30, 0.25, 0.75].repeat(N / 2).into();
    let (models, budgets) = (case.stream.models().clone(), Budgets::pooled(9.0, 2).unwrap());
    let cost = Arc::clone(case.stream.true_cost());
    let stream = Stream::new(models, Arc::clone(&quality), cost, budgets, Seed(1)).unwrap();
    case.stream = stream.with_times(times.into()).unwrap();
    case.estimates.fill(|out| out.quality.copy_from_slice(&quality));
    let service = one_and_three_seconds(Overflow::Reject);
    let run = |case: &Case<2>| case.run(&service, priced(0.0).unwrap().as_ref()).metrics;
    let unpriced = run(&case);
    case.lengths = case.lengths.with_usual([20.0; 2].into()).unwrap();
    let priced = run(&case);
    let expected = [0.25 + 0.275 / 3.0, 0.25 + 0.5 / 5.0];
    assert!((unpriced.success_rate() - expected[0]).abs() < 0.002, "{}", unpriced.success_rate());
    // Of 48 times the mean over two chances in three: 0.004 is a standard error.
    assert!((priced.success_rate() - expected[1]).abs() < 0.008, "{}", priced.success_rate());
    assert!(priced.success_rate() > unpriced.success_rate());
    assert_eq!((unpriced.answered, priced.answered), (240, 240));
}
