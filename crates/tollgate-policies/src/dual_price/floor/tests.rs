use tollgate_core::{EstimateTable, Models, SoFar};

use super::*;
use crate::floor::FloorConfig;
use crate::testing::{Left, Oracle, arrival, models, table};

/// Two prompts, two models; expectations are right.
fn past() -> EstimateTable {
    let quality = [[0.5, 1.0], [0.5, 1.0]];
    let scores = quality.as_flattened().to_vec();
    table(&quality, &[[1.0, 3.0]; 2]).with_scores(scores.into())
}

/// A run of so many arrivals, every one sent to model 1.
struct Run {
    solver: Arc<Oracle>,
    pricer: Box<dyn Pricer>,
    left: Left,
    /// The arrivals before which prices were solved for.
    solved: Vec<u64>,
}

impl Run {
    fn start(config: FloorConfig, left: Left, horizon: impl Into<Horizon>) -> Self {
        let solver = Oracle::priced(&[4.0]);
        let source = config.build_prices(Arc::clone(&solver) as Arc<_>).unwrap();
        let (models, past): (Models, _) = (models(2), past());
        let setup = RunSetup { history: Some(&past), ..left.setup(&models, horizon) };
        let pricer = source.start(&setup).unwrap();
        Self { solver, pricer, left, solved: Vec::new() }
    }

    fn play(&mut self, arrivals: std::ops::Range<u64>, score: Option<f64>) {
        for index in arrivals {
            let arrival = arrival(index, &[0.5, 1.0], &[1.0, 3.0]);
            let view = self.left.view();
            let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] };
            if let PriceUpdate::Solve(request) = self.pricer.before(&progress).unwrap() {
                self.pricer.install(request.run().unwrap());
                self.solved.push(index);
            }
            self.pricer.observe(&Feedback { arrival: index, model: 1, cost: 3.0, quality: score });
        }
    }

    /// The mean expectation that each program asked for.
    fn targets(&self) -> Vec<f64> {
        let floor = |problem: &Problem| {
            let row = problem.rows().last().unwrap();
            assert_eq!((row.meter, row.sense), (Meter::Quality, tollgate_core::Sense::AtLeast));
            row.capacity / problem.total_weight()
        };
        self.solver.asked().iter().map(|(problem, ..)| floor(problem)).collect()
    }
}

fn without_margin(floor: f64) -> FloorConfig {
    let margin = crate::floor::Margin::None;
    FloorConfig { floor: Some(floor), margin, ..FloorConfig::default() }
}

fn unlimited() -> Left {
    Left::of(Budgets::new(Vec::new(), 2, 1).unwrap())
}

#[test]
fn solves_are_frequent_at_first() {
    let mut run = Run::start(without_margin(0.7), unlimited(), Some(100));
    run.play(0..100, None);
    assert_eq!(run.solved, [0, 1, 2, 4, 8, 16, 32, 57, 82]);
    let mut run = Run::start(FloorConfig { every: 3, ..without_margin(0.7) }, unlimited(), Some(9));
    run.play(0..9, None);
    assert_eq!(run.solved, [0, 1, 2, 4, 7]);
}

/// What is asked for is served by everybody, at the least cost, and can be violated.
#[test]
fn the_program_is_the_floors() {
    let usd = Row::at_most(Meter::Cost, Scope::model(1), 6.0);
    let left = Left::of(Budgets::new(vec![usd], 2, 1).unwrap());
    let mut run = Run::start(without_margin(0.7), left, Some(4));
    run.play(0..1, None);
    let (problem, ..) = &run.solver.asked()[0];
    assert_eq!(problem.choice(), Choice::ExactlyOne);
    let objective = |meter| problem.objective(meter).to_bits();
    assert_eq!(objective(Meter::Cost), (-1.0_f64).to_bits());
    assert_eq!(objective(Meter::Quality), 0.0_f64.to_bits());
    let [budget, floor] = problem.rows() else { panic!("two rows") };
    // 6 USD for 4 arrivals.
    assert!((budget.capacity / problem.total_weight() - 1.5).abs() < 1e-12);
    assert!((floor.capacity / problem.total_weight() - 0.7).abs() < 1e-12);
    assert_eq!((budget.penalty, floor.penalty), (Some(PENALTY), Some(3.0 * PENALTY)));
}

/// Answers that score 1 each, for a floor of .7: after 8 of 100, 92 have to score 62.
#[test]
fn good_luck_lowers_the_target_and_bad_luck_raises_it() {
    let at_eight = |score| {
        let mut run = Run::start(without_margin(0.7), unlimited(), Some(100));
        run.play(0..9, Some(score));
        *run.targets().last().unwrap()
    };
    let (lucky, unlucky) = (at_eight(1.0), at_eight(0.0));
    assert!(lucky < 0.7 && unlucky > 0.7, "{lucky} and {unlucky}");
}

/// Another pool goes on at arrival 50 of 100: 50 answers have scored 40, so that 30 of the 70 are
/// left for 50; by the window, 10 have scored 9 of the 28 that 40 are to, which leaves 19 for 30.
/// An account of the window before is none of this one.
#[test]
fn another_pool_goes_on_with_the_account() {
    let scores = |since, told, achieved| {
        let account = ScoreAccount { since, told, achieved, ..ScoreAccount::default() };
        SoFar { arrivals: 50, time: 0.0, prices: &[], scores: Some(account) }
    };
    let target = |window: u64, so_far: SoFar<'_>| {
        let config = FloorConfig { window, ..without_margin(0.7) };
        let source = config.build_prices(Oracle::priced(&[4.0])).unwrap();
        let (left, models, past) = (unlimited(), models(2), past());
        let setup = left.setup(&models, Some(100));
        let setup = RunSetup { history: Some(&past), so_far: Some(so_far), ..setup };
        let mut pricer = source.start(&setup).unwrap();
        let handed_on = pricer.scores();
        assert_eq!(handed_on, so_far.scores, "as it came");
        let (arrival, view) = (arrival(50, &[0.5, 1.0], &[1.0, 3.0]), left.view());
        let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] };
        let PriceUpdate::Solve(request) = pricer.before(&progress).unwrap() else {
            panic!("another pool needs other prices")
        };
        request.problem.rows()[0].capacity / request.problem.total_weight()
    };
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} and {b}");
    close(target(0, scores(0, 50.0, 40.0)), 30.0 / 50.0);
    close(target(40, scores(40, 10.0, 9.0)), 19.0 / 30.0);
    close(target(50, scores(0, 50.0, 40.0)), 0.7);
}

/// A margin is asked for at first, and more of it while no score is told than the quantile of
/// one end; windows begin anew.
#[test]
fn windows_have_accounts_of_their_own() {
    let config = FloorConfig { window: 10, every: 5, ..without_margin(0.7) };
    let mut run = Run::start(config, unlimited(), None);
    run.play(0..10, Some(0.0));
    assert!((run.targets().last().unwrap() - 1.0).abs() < 1e-12, "out of reach by now");
    run.play(10..11, Some(0.0));
    assert_eq!(run.solved.last(), Some(&10));
    // What was learned of errors stays: ten were 1 below, beside a history of two.
    let last = *run.targets().last().unwrap();
    assert!((last - 1.0).abs() < 1e-12, "{last}");
}

/// The course goes on in the next window, of which nothing has been heard yet.
#[test]
fn a_course_begins_every_window() {
    let config = FloorConfig { floor: Some(0.7), window: 10, ..FloorConfig::default() };
    let mut run = Run::start(config, unlimited(), None);
    run.play(0..25, Some(1.0));
    let targets = run.targets();
    assert!(run.solved.contains(&10) && run.solved.contains(&20));
    assert!(targets.iter().all(|target| (0.0..=1.0).contains(target)), "{targets:?}");
}

/// Scores of .5 and 1 in turn where .75 is expected: a deviation of `.25 sqrt(4/3)` in four
/// prompts, and 1.64485 of it in the mean of 100 more are kept from the floor.
#[test]
fn a_margin_is_kept_from_the_floor() {
    let scores: Vec<f64> = [0.5, 1.0, 0.5, 0.5, 0.5, 1.0, 0.5, 0.5].to_vec();
    let history = table(&[[0.5, 0.75]; 4], &[[1.0, 3.0]; 4]).with_scores(scores.into());
    let config = FloorConfig { floor: Some(0.6), ..FloorConfig::default() };
    let source = config.build_prices(Oracle::priced(&[100.0])).unwrap();
    let (left, models) = (unlimited(), models(2));
    let setup = RunSetup { history: Some(&history), ..left.setup(&models, Some(100)) };
    let mut pricer = source.start(&setup).unwrap();
    let arrival = arrival(0, &[0.5, 0.75], &[1.0, 3.0]);
    let view = left.view();
    let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] };
    let PriceUpdate::Solve(request) = pricer.before(&progress).unwrap() else {
        panic!("there are no prices yet")
    };
    let asked = request.problem.rows()[0].capacity / request.problem.total_weight();
    let deviation = 0.25 * (4.0_f64 / 3.0).sqrt();
    let margin = 1.644_853_6 * deviation * (1.0_f64 / 100.0 + 1.0 / 4.0).sqrt();
    assert!((asked - 0.6 - margin).abs() < 1e-6, "{asked}");
}

#[test]
fn it_needs_a_history() {
    let source = without_margin(0.7).build_prices(Oracle::priced(&[])).unwrap();
    let (left, models) = (unlimited(), models(2));
    let error = source.start(&left.setup(&models, Some(4))).unwrap_err();
    insta::assert_snapshot!(error, @"policy `floor=0.7` needs held-out estimates of the history");
}

#[test]
fn it_keeps_what_policies_promise() {
    for price in [0.0, 1e-3, 10.0] {
        let source = without_margin(0.7).build_prices(Oracle::priced(&[price; 8])).unwrap();
        let policy = crate::DualPrice::new("floor", source).guard(crate::Guard::NextBest);
        tollgate_testkit::policy_conformance::check_falling_back(&policy);
    }
}
