//! Same seed, same input: same decisions and same results, whatever runs beside them.

use std::sync::Arc;

use tollgate::core::{EstimateTable, Query, Scratch, Seed};
use tollgate::registry::POLICIES;
use tollgate_lab::{Experiment, Options, Silent};
use tollgate_tests::{compositions, small_table};

/// The results files of every policy, with so many worker threads.
fn results(threads: usize) -> (String, String) {
    let policies: Vec<&str> = POLICIES.iter().map(|preset| preset.name).collect();
    let options =
        Options { queries: Some(400), seeds: [42, 1, 2].map(Seed).to_vec(), ..Options::default() };
    let table = small_table();
    let experiment = Experiment::new("small", &table, options, compositions(&policies)).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let report = pool.install(|| experiment.run(&Silent)).unwrap();
    (report.csv().unwrap(), format!("{:#}", report.json()))
}

#[test]
fn results_do_not_depend_on_threads_or_on_the_run() {
    let (csv, json) = results(1);
    assert_eq!(csv.lines().count(), 1 + 3 * (POLICIES.len() + 2), "a header, policies, oracles");
    for threads in [2, 2] {
        let (csv_again, json_again) = results(threads);
        assert_eq!(csv, csv_again, "{threads} threads");
        assert_eq!(json, json_again, "{threads} threads");
    }
}

/// One query estimates as it does in a batch: what replay and service decide on is one thing.
#[test]
fn service_and_replay_see_the_same_estimates() {
    let table = small_table();
    let options = Options { queries: Some(200), ..Options::default() };
    let scenario = tollgate_lab::Scenario::prepare(&table, &options, Seed(3)).unwrap();
    let recipe = compositions(&["tollgate"]).remove(0).estimator.unwrap();
    let batch = scenario.estimate(recipe.as_ref()).unwrap();
    let fitted = recipe.fit(scenario.history(), Seed(3)).unwrap();
    let fitted = Arc::<dyn tollgate::core::Estimator>::from(fitted);
    for (arrival, &row) in scenario.rows().iter().enumerate() {
        let mut single = EstimateTable::zeros(1, table.models().len());
        let query = Query::new(table.queries().query(row).embedding);
        single.fill(|out| fitted.estimate_into(query, &mut Scratch::default(), out)).unwrap();
        assert_eq!(single.row(0).quality, batch.row(arrival).quality, "arrival {arrival}");
        assert_eq!(single.row(0).cost, batch.row(arrival).cost, "arrival {arrival}");
    }
}
