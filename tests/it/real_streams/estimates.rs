//! What the estimators promise, on prompts that they have not seen.

use std::sync::Arc;

use tollgate::core::{EstimateTable, Fit, History, Scratch, Seed};
use tollgate::data::{Split, Table};
use tollgate::estimators::coverage;
use tollgate::{Spec, registry};
use tollgate_lab::{Experiment, Options, Silent};
use tollgate_tests::recorded::{splits, table};

/// Seeds of 70/30 splits; the lab's example `estimator_mse` takes ten.
const SEEDS: u64 = 2;

fn recipe(spec: &str) -> Arc<dyn Fit> {
    registry::estimator(&spec.parse().unwrap()).unwrap()
}

/// Mean squared errors of scores by `auto`, by ten neighbors, and by the mean of the
/// prompt's own task, which none of the two is told; and the share of bins of the first
/// whose mean score is in its 90 % interval.
fn errors(table: &Table) -> ([f64; 3], f64) {
    let (mut errors, mut covered) = ([0.0; 3], 0.0);
    for seed in (0..SEEDS).map(Seed) {
        let split = Split::random(table.len(), table.len() * 3 / 10, seed).unwrap();
        let history = table.history(&split.history).unwrap();
        let truth = table.history(&split.stream).unwrap();
        let estimates =
            ["auto", "knn:k=10"].map(|spec| estimates(recipe(spec).as_ref(), &history, &truth));
        let by_task = task_means(table, &split);
        let of = [estimates[0].quality(), estimates[1].quality(), &by_task[..]];
        for (error, estimates) in errors.iter_mut().zip(of) {
            let squares = estimates.iter().zip(&**truth.quality()).map(|(f, y)| (f - y).powi(2));
            *error += squares.sum::<f64>() / estimates.len() as f64 / SEEDS as f64;
        }
        covered += coverage(&estimates[0], &truth).unwrap() / SEEDS as f64;
    }
    (errors, covered)
}

fn estimates(recipe: &dyn Fit, history: &History, truth: &History) -> EstimateTable {
    let estimator = recipe.fit(history, Seed(0)).unwrap();
    let mut estimates = EstimateTable::zeros(truth.len(), truth.models().len());
    let mut scratch = Scratch::default();
    estimates.fill(|out| estimator.estimate_batch(truth.queries(), &mut scratch, out)).unwrap();
    estimates
}

/// For every prompt of the stream the mean score of each model on the history's prompts of
/// the same task.
fn task_means(table: &Table, split: &Split) -> Vec<f64> {
    let n_models = table.models().len();
    let mut sums = vec![(0.0, 0.0); table.task_names().len() * n_models];
    for &row in &split.history {
        for model in 0..n_models {
            let (sum, count) = &mut sums[table.tasks()[row] as usize * n_models + model];
            *sum += table.quality()[row * n_models + model];
            *count += 1.0;
        }
    }
    let mean = |row: usize, model: usize| {
        let (sum, count) = sums[table.tasks()[row] as usize * n_models + model];
        assert!(count > 0.0, "every task of the stream is in the history");
        sum / count
    };
    let rows = split.stream.iter();
    rows.flat_map(|&row| (0..n_models).map(move |model| mean(row, model))).collect()
}

#[test]
fn auto_knows_as_much_as_the_name_of_the_task() {
    let mut below = 0;
    for stream in ["routerbench", "zeroeval", "routellm"] {
        let ([auto, ten, task], covered) = errors(&table(stream));
        let (to_task, to_ten) = (auto / task, auto / ten);
        println!(
            "{stream}: score MSE {auto:.4}, {to_task:.4} x the task mean's (<= 1.005), \
             {to_ten:.4} x ten neighbors' (<= 0.97); {:.1} % of bins covered",
            100.0 * covered
        );
        assert!(to_task <= 1.005, "{stream}: {to_task} x the task mean's error");
        assert!(to_ten <= 0.97, "{stream}: {to_ten} x ten neighbors' error");
        assert!((0.8..=1.0).contains(&covered), "{stream}: {covered} of the bins");
        below += usize::from(to_task < 1.0);
    }
    assert!(below >= 2, "below the task mean's error on {below} streams");
}

/// The default graph and the default tables of hashes in place of the scan.
#[test]
fn an_approximate_index_costs_at_most_a_hundredth() {
    for stream in ["routerbench", "zeroeval", "routellm", "ollv2_semi"] {
        let table = table(stream);
        let mean_performance = |estimator: &str| {
            let estimator: Spec = estimator.parse().unwrap();
            let composition =
                registry::compose(&Spec::named("tollgate"), Some(&estimator), None).unwrap();
            let splits = Split::read_file(splits(stream), table.len()).unwrap();
            let options = Options { splits: Some(splits), ..Options::default() };
            let experiment = Experiment::new(stream, &table, options, vec![composition]).unwrap();
            let report = experiment.run(&Silent).unwrap();
            tollgate_tests::performance(&report, "tollgate")
        };
        let exact = mean_performance("knn:k=40");
        for index in ["hnsw", "lsh"] {
            let got = mean_performance(&format!("knn:k=40,index={index}"));
            println!("{stream}: {got:.1} by {index}, {exact:.1} by the scan (>= 99 %)");
            assert!(got >= 0.99 * exact, "{stream}: {got} by {index}, {exact} by the scan");
        }
    }
}
