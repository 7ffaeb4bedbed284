//! Whole experiments.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tollgate::core::Seed;
use tollgate::data::Table;
use tollgate::policies::{Greedy, GreedyBy, Scripted};
use tollgate::registry::{self, Composition};
use tollgate_lab::{BudgetLayout, Experiment, Observer, Options, Report, Silent, Subset};

use crate::hand;

/// 300 queries and 400 prompts of history.
fn small() -> Table {
    Table::embedded().select_rows(&(0..700).collect::<Vec<_>>()).unwrap()
}

fn options() -> Options {
    Options { queries: Some(300), seeds: vec![Seed(1)], ..Options::default() }
}

fn compose(names: &[&str]) -> Vec<Composition> {
    let made = names.iter().map(|name| registry::compose(&name.parse().unwrap(), None, None));
    made.collect::<Result<_, _>>().unwrap()
}

fn run(options: Options, compositions: Vec<Composition>) -> Report {
    Experiment::new("small", &small(), options, compositions).unwrap().run(&Silent).unwrap()
}

/// Estimators are asked in parallel and by several policies; what they picked is told once
/// a seed.
#[test]
fn what_auto_picked_is_told() {
    let options = Options { seeds: vec![Seed(2), Seed(1)], ..options() };
    let report = run(options, compose(&["tollgate", "tollgate:every=50", "port"]));
    let told: Vec<_> = report.choices.iter().map(|c| (c.estimator.as_str(), c.seed)).collect();
    assert_eq!(told, [("auto", Seed(2)), ("auto", Seed(1))], "five neighbors pick nothing");
    for choice in &report.choices {
        assert!(choice.picked.starts_with("scores by "), "{choice:?}");
        assert!(choice.picked.contains("; costs by "), "{choice:?}");
    }
    assert_ne!(report.choices[0].picked, report.choices[1].picked, "histories differ");
    let line = format!("On seed 2 `auto` picked {}.", report.choices[0].picked);
    assert_eq!(report.table("port").lines().filter(|&other| other == line).count(), 1);
}

/// What a policy is worth must not depend on who else is compared, nor on the threads.
#[test]
fn a_report_depends_on_nothing_but_its_options() {
    let names = ["random", "batch-split", "port", "tollgate"];
    let options = || Options { seeds: vec![Seed(1), Seed(2), Seed(3)], ..options() };
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(options(), compose(&names)).csv().unwrap())
    };
    let report = on(1);
    assert_eq!(report, on(4));
    let alone = run(options(), compose(&["tollgate"])).csv().unwrap();
    let ours = |csv: &str| -> Vec<String> {
        csv.lines().filter(|line| line.starts_with("tollgate")).map(str::to_owned).collect()
    };
    assert_eq!(ours(&report), ours(&alone));
    assert_eq!(ours(&report).len(), 3);
}

/// On the instance by hand: `b`, `b` and `a`, of which the second is lost, against the
/// approximate optimum's 0.9.
#[test]
fn an_experiment_worked_by_hand() {
    let picks = [Some(1), Some(1), Some(0)];
    let greedy = Arc::new(Greedy::new(GreedyBy::Quality));
    let scripted = Composition {
        label: "scripted".to_owned(),
        policy: Arc::new(Scripted::new(picks, greedy)),
        estimator: None,
        solver: None,
    };
    let options = hand::options(1.0, BudgetLayout::Pooled);
    let experiment = Experiment::new("hand", &hand::table(), options, vec![scripted]).unwrap();
    let steps = Steps::default();
    let report = experiment.run(&steps).unwrap();
    assert_eq!(steps.0.load(Ordering::Relaxed), 2, "the oracles, and one policy");
    let (entrant, cells) = &report.entrants[0];
    assert_eq!([&entrant.policy, &entrant.estimator, &entrant.solver], ["scripted", "-", "-"]);
    let cell = cells[0];
    assert!(hand::near(cell.rp.unwrap(), 100.0 / 0.9), "{cell:?}");
    assert!(hand::near(cell.lp_bound, 1.3), "{cell:?}");
    assert_eq!((cell.queries, cell.metrics.served, cell.metrics.lost), (3, 2, 1));
}

/// Counts steps.
#[derive(Default)]
struct Steps(AtomicUsize);

impl Observer for Steps {
    fn step(&self, _done: &str, total: usize) {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) < total);
    }
}

#[test]
fn only_some_models_of_one_task() {
    let models = ["b".to_owned(), "a".to_owned()];
    let subset =
        Subset { models: Some(models.to_vec()), task: Some("x".to_owned()), model_fraction: None };
    let options = Options { subset, queries: Some(2), seeds: vec![Seed(1)], ..Options::default() };
    let experiment = Experiment::new("hand", &hand::table(), options, compose(&["greedy-perf"]));
    let report = experiment.unwrap().run(&Silent).unwrap();
    assert_eq!(report.entrants[0].1[0].queries, 2, "of the three of task x");
}

#[test]
fn refusals() {
    let refused = |options: Options| {
        let experiment = Experiment::new("hand", &hand::table(), options, Vec::new());
        experiment.unwrap_err().to_string()
    };
    let with = |subset: Subset| refused(Options { subset, ..Options::default() });
    let task = || Subset { task: Some("z".to_owned()), ..Subset::default() };
    insta::assert_snapshot!(with(task()), @"`hand` has no task `z`; it has x, y");
    let models = Some(vec!["a".to_owned(), "c".to_owned()]);
    insta::assert_snapshot!(with(Subset { models, ..Subset::default() }), @"`hand` has no model `c`; it has a, b");
    let both = Options { subset: task(), ..hand::options(1.0, BudgetLayout::Pooled) };
    insta::assert_snapshot!(refused(both), @"a splits file names rows of the whole table, and can't be combined with a task");
    let unknown_seed = Options { seeds: vec![Seed(8)], ..hand::options(1.0, BudgetLayout::Pooled) };
    let experiment = Experiment::new("hand", &hand::table(), unknown_seed, Vec::new()).unwrap();
    insta::assert_snapshot!(experiment.run(&Silent).unwrap_err(), @"the splits file has no seed 8");
    let rich = hand::options(1e8, BudgetLayout::Pooled);
    let experiment = Experiment::new("hand", &hand::table(), rich, Vec::new()).unwrap();
    insta::assert_snapshot!(experiment.run(&Silent).unwrap_err(), @"the capacity of row 0 is beyond what an account can hold: 300000000");
}
