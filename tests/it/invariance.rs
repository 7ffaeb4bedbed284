//! What must not matter does not, and what the published code makes matter does.

use tollgate::core::{Outcome, Policy, Seed};
use tollgate::data::{Table, TableParts};
use tollgate::policies::PrefixPricesConfig;
use tollgate::presets;
use tollgate::registry::POLICIES;
use tollgate_lab::{Experiment, Options, Scenario, Silent, replay};
use tollgate_tests::{compositions, small_table};

/// A table with its models in the order that `order` lists.
fn reordered(table: &Table, order: &[usize]) -> Table {
    let n_models = table.models().len();
    let columns = |values: &[f64]| -> Vec<f64> {
        values.chunks(n_models).flat_map(|row| order.iter().map(|&model| row[model])).collect()
    };
    let parts = TableParts {
        name: "reordered".to_owned(),
        models: order.iter().map(|&model| table.models().id(model).to_string()).collect(),
        tasks: (0..table.len()).map(|row| table.task(row).to_owned()).collect(),
        quality: columns(table.quality()),
        cost: columns(table.cost()),
        dim: table.dim(),
        embeddings: table.embeddings().to_vec(),
    };
    Table::new(parts).unwrap()
}

fn results(table: &Table) -> String {
    let policies: Vec<&str> = POLICIES.iter().map(|preset| preset.name).collect();
    let options =
        Options { queries: Some(400), seeds: [42, 1].map(Seed).to_vec(), ..Options::default() };
    let experiment = Experiment::new("stream", table, options, compositions(&policies)).unwrap();
    experiment.run(&Silent).unwrap().csv().unwrap()
}

#[test]
fn the_order_of_a_tables_columns_changes_nothing() {
    let table = small_table();
    let expected = results(&table);
    let backwards: Vec<usize> = (0..table.models().len()).rev().collect();
    let shuffled = [4, 9, 0, 7, 2, 10, 1, 8, 3, 6, 5];
    for order in [&backwards[..], &shuffled[..]] {
        assert_eq!(results(&reordered(&table, order)), expected, "{order:?}");
    }
}

/// The stream that alpha is tried on.
fn scenario(seed: u64) -> Scenario {
    let options = Options { queries: Some(1_500), ..Options::default() };
    Scenario::prepare(&Table::embedded(), &options, Seed(seed)).unwrap()
}

fn outcomes(scenario: &Scenario, policy: &dyn Policy) -> Vec<Outcome> {
    replay(scenario.stream(), policy, scenario.knn5(), None).unwrap().outcomes
}

fn differing(ours: &[Outcome], theirs: &[Outcome]) -> usize {
    ours.iter().zip(theirs).filter(|(ours, theirs)| ours != theirs).count()
}

fn config(alpha: f64) -> PrefixPricesConfig {
    PrefixPricesConfig { alpha, ..PrefixPricesConfig::default() }
}

/// With the hinge and without the box alpha is a unit of account: the prices scale with it
/// and no score changes its sign or its rank.
#[test]
fn port_does_not_depend_on_alpha() {
    for seed in [42, 1, 2] {
        let scenario = scenario(seed);
        let port = |alpha| {
            let policy = presets::port(config(alpha), presets::default_solver()).unwrap();
            outcomes(&scenario, &policy)
        };
        let expected = port(1e-4);
        for power in [-20, -3, -1, 1, 4, 13, 30] {
            let alpha = 1e-4 * f64::powi(2.0, power);
            assert_eq!(port(alpha), expected, "alpha = {alpha:e}: scaling by 2 is exact");
        }
        for alpha in [1e-8, 3e-4, 0.1, 1.0, 7e3] {
            let moved = differing(&port(alpha), &expected);
            println!("seed {seed}, port, alpha {alpha:e}: {moved} of 1500 outcomes differ");
            // A score within rounding of 0 or of another: one a row of the program at most.
            assert!(moved <= scenario.models().len(), "alpha = {alpha:e}: {moved} differ");
        }
    }
}

/// In the published code the box of prices does not scale, so alpha decides what money is
/// worth at the most: 1 / alpha units of quality per USD.
#[test]
fn port_reference_depends_on_alpha() {
    let scenario = scenario(42);
    let reference = |alpha| {
        let policy = presets::port_reference(config(alpha), presets::default_solver()).unwrap();
        outcomes(&scenario, &policy)
    };
    let expected = reference(1e-4);
    for alpha in [1e-6, 1e-3, 1e-2, 1.0] {
        let moved = differing(&reference(alpha), &expected);
        println!("port-reference, alpha {alpha:e}: {moved} of 1500 outcomes differ");
        assert!(moved > 100, "alpha = {alpha:e}: only {moved} differ");
    }
}
