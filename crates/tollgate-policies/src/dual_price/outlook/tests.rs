use tollgate_core::{
    Arrival, Budgets, EstimateTable, Horizon, Meter, Models, Purpose, RunSetup, Seed,
};

use super::*;
use crate::testing::{Left, arrival, models};

/// 40 prompts of two kinds, 30 and 10, around scores of .2 and .8; two models.
fn history() -> EstimateTable {
    let mut history = EstimateTable::zeros(40, 2);
    let mut rng = Seed(3).stream(Purpose::Synthesis, 0);
    history.fill(|out| {
        for prompt in 0..40 {
            let level = if prompt % 4 == 3 { 0.8 } else { 0.2 };
            for model in 0..2 {
                out.quality[2 * prompt + model] = level + 0.01 * rng.normal();
                out.cost[2 * prompt + model] = 1.0 + 0.01 * rng.normal();
            }
        }
    });
    history
}

struct World {
    history: EstimateTable,
    models: Models,
    left: Left,
}

impl World {
    fn new(budgets: Budgets) -> Self {
        Self { history: history(), models: models(2), left: Left::of(budgets) }
    }

    fn start(&self, outlook: Outlook) -> Box<dyn Ahead> {
        let setup = self.left.setup(&self.models, Horizon::Arrivals(80));
        let setup = RunSetup { history: Some(&self.history), ..setup };
        outlook.start(&setup, 50, &|| "test".to_owned()).unwrap()
    }

    /// Arrivals `0..n` with these scores, costs of 1; then the queries to come.
    fn after(&self, ahead: &mut dyn Ahead, n: u64, quality: f64) -> Problem {
        let (quality, cost) = ([quality; 2], [1.0; 2]);
        let view = self.left.view();
        for index in 0..n {
            let arrival = arrival(index, &quality, &cost);
            ahead.see(&Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] });
        }
        let arrival = arrival(n, &quality, &cost);
        let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] };
        ahead.problem(&progress, (80 - n) as f64).unwrap().unwrap()
    }
}

/// The weight of the prompts whose first score is above one half, and of all.
fn good(problem: &Problem) -> (f64, f64) {
    let of = |query| problem.reading(Meter::Quality, query, 0) > 0.5;
    let good = (0..problem.n_queries()).filter(|&query| of(query));
    (good.map(|query| problem.weight(query)).sum(), problem.total_weight())
}

fn pooled() -> World {
    World::new(Budgets::pooled(1.0, 2).unwrap())
}

/// Of 80 arrivals 20 are expected to be good ones. Once 50 bad ones have come 10 bad and 20
/// good ones are; the kinds are cut into more cells, whose centers an arrival in the middle of
/// its kind is near, so the split is only about that.
#[test]
fn the_rest_is_the_history_less_what_has_come() {
    let world = pooled();
    let (good, all) = good(&world.after(&mut *world.start(Outlook::Rest), 0, 0.2));
    assert!((good - 20.0).abs() < 1e-9 && (all - 80.0).abs() < 1e-9, "{good} of {all}");
    let problem = world.after(&mut *world.start(Outlook::Rest), 50, 0.2);
    let (good, all) = self::good(&problem);
    assert!((all - 30.0).abs() < 1e-9, "what is left to come: {all}");
    assert!(good > 7.5, "more than the history's quarter: {good}");
    assert_eq!(problem.n_queries(), 40, "no stranger has come");
}

/// 100 arrivals like nothing in the history: they are all that is to come.
#[test]
fn strangers_stand_for_themselves() {
    let world = pooled();
    let mut ahead = world.start(Outlook::Rest);
    let problem = world.after(&mut *ahead, 78, 5.0);
    assert_eq!(problem.n_queries(), 40, "not yet as many as are counted among");
    let mut ahead = world.start(Outlook::Rest);
    let view = world.left.view();
    for index in 0..100 {
        let arrival = arrival(index, &[5.0; 2], &[1.0; 2]);
        ahead.see(&Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] });
    }
    let arrival = arrival(100, &[5.0; 2], &[1.0; 2]);
    let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] };
    let problem = ahead.problem(&progress, 10.0).unwrap().unwrap();
    let strangers: f64 = (40..problem.n_queries()).map(|query| problem.weight(query)).sum();
    assert!((strangers - 10.0).abs() < 1e-9, "{strangers} of 10");
    assert!((problem.reading(Meter::Quality, 40, 0) - 5.0).abs() < 1e-12);
}

#[test]
fn arrivals_alone_and_beside_the_history() {
    let world = pooled();
    let problem = world.after(&mut *world.start(Outlook::Arrivals), 60, 0.9);
    assert_eq!(problem.n_queries(), 50, "the window");
    assert!((problem.reading(Meter::Quality, 49, 1) - 0.9).abs() < 1e-12);
    let problem = world.after(&mut *world.start(Outlook::Both), 10, 0.9);
    assert_eq!(problem.n_queries(), 40 + 10);
    let nothing = world.start(Outlook::Arrivals);
    assert!(!nothing.has_ties());
}

/// Two tenants; of 30 arrivals all are the second's: with 10 of each beforehand it has four
/// fifths of the traffic, and so do its prompts.
#[test]
fn prompts_are_dealt_to_tenants_by_their_traffic() {
    let budgets = Budgets::new(
        vec![tollgate_core::Row::at_most(Meter::Cost, tollgate_core::Scope::group(1), 1.0)],
        2,
        2,
    );
    let world = World::new(budgets.unwrap());
    for outlook in [Outlook::History, Outlook::Rest] {
        let mut ahead = world.start(outlook);
        let view = world.left.view();
        for index in 0..30 {
            let arrival = Arrival { group: 1, ..arrival(index, &[0.2; 2], &[1.0; 2]) };
            ahead.see(&Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] });
        }
        let arrival = arrival(30, &[0.2; 2], &[1.0; 2]);
        let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] };
        let problem = ahead.problem(&progress, 50.0).unwrap().unwrap();
        assert_eq!(problem.n_groups(), 2);
        let weight = |group| -> f64 {
            let of = (0..40).filter(|&query| problem.group(query) == group);
            of.map(|query| problem.weight(query)).sum()
        };
        let share = weight(1) / (weight(0) + weight(1));
        assert!((share - 0.8).abs() < 0.05, "{outlook}: {share}");
    }
}

#[test]
fn copies_are_noticed() {
    let rows = |n: usize| -> Vec<f64> { (0..20).map(|row| (row % n) as f64).collect() };
    assert!(has_copies(&rows(3), &rows(3), 1));
    assert!(!has_copies(&rows(20), &rows(20), 1));
    assert!(!has_copies(&rows(20), &rows(3), 1), "alike in cost alone is not alike");
    assert!(!has_copies(&[], &[], 2));
}
