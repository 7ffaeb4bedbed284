use proptest::prelude::*;
use tollgate_core::{Purpose, Seed};
use tollgate_testkit::estimator_conformance;

use super::*;

const GAP: f64 = f64::NAN;

/// Four prompts in the plane at cosines 1, 0.8, 0.6 and 0 from the query (1, 0).
fn small_history(quality: [[f64; 2]; 4]) -> History {
    let models = Models::new(["large", "small"]).unwrap();
    let embeddings = vec![0.6, 0.8, 1.0, 0.0, 0.0, 1.0, 0.8, 0.6];
    let cost = quality.map(|row| row.map(|score| (score + 1.0) / 100.0));
    History::new(models, 2, embeddings, quality.concat(), cost.concat()).unwrap()
}

fn estimate(config: KnnConfig, history: &History) -> EstimateTable {
    let estimator = config.build().unwrap().fit(history, Seed(0)).unwrap();
    let mut table = EstimateTable::zeros(1, history.models().len());
    let query = Query { embedding: &[1.0, 0.0] };
    table.fill(|out| estimator.estimate_into(query, &mut Scratch::default(), out)).unwrap();
    table
}

fn assert_close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-7, "{got}, expected {expected}");
    }
}

/// Neighbors are rows 1, 3 and 0 in this order. Scores of `large`: 1, 0, 1, mean 2/3,
/// squared deviations 2/3 in all; all four labels 1, 1, 0, 0 have mean 1/2 and squared
/// deviations 1, so `v = (1 + 1/4) / 4 = 5/16` and `se^2 = (2/9 + 5/48) / 3`. Scores of
/// `small`: 1, 1, 1 of 1, 1, 1, 0: `v = (3/4 + 1/4) / 4 = 1/4`, `se^2 = (1/12) / 3`.
#[test]
fn means_and_errors_by_hand() {
    let history = small_history([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 1.0]]);
    let table = estimate(KnnConfig::default().k(3), &history);
    let row = table.row(0);
    assert_close(row.quality, &[2.0 / 3.0, 1.0]);
    let large: f64 = (2.0 / 9.0 + 5.0 / 48.0) / 3.0;
    assert_close(row.quality_se, &[large.sqrt(), (1.0_f64 / 36.0).sqrt()]);
    assert_close(row.cost, &[0.05 / 3.0, 0.02]);
}

/// Weights 1/0.1, 1/0.3 and 1/0.5 are 10, 10/3 and 2: the second neighbor of `large`
/// fails, so its mean is 12 of 46/3.
#[test]
fn similarity_weights_by_hand() {
    let history = small_history([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 1.0]]);
    let config = KnnConfig::default().k(3).weighting(Weighting::Similarity);
    let table = estimate(config, &history);
    assert_close(table.row(0).quality, &[36.0 / 46.0, 1.0]);
}

/// `large` is labelled on rows 0 and 2 only, `small` on 1, 2 and 3: each model has its own
/// two nearest.
#[test]
fn gaps_are_passed_over_model_by_model() {
    let history = small_history([[1.0, GAP], [GAP, 0.0], [0.0, 1.0], [GAP, 0.5]]);
    let table = estimate(KnnConfig::default().k(2), &history);
    assert_close(table.row(0).quality, &[0.5, 0.25]);
    let table = estimate(KnnConfig::default().k(9), &history);
    assert_close(table.row(0).quality, &[0.5, 0.5]);
}

#[test]
fn the_only_label_tells_nothing_about_itself() {
    let history = small_history([[1.0, 1.0], [GAP, 1.0], [GAP, 0.0], [GAP, 1.0]]);
    let recipe = KnnConfig::default().k(2).build().unwrap();
    let held_out = recipe.held_out(&history, Seed(0)).unwrap();
    assert_close(&[held_out.row(0).quality[0], held_out.row(0).quality_se[0]], &[0.5, 0.5]);
    assert_close(&[held_out.row(0).cost[0], held_out.row(0).cost_se[0]], &[0.02, 0.02]);
    assert_close(&[held_out.row(1).quality[0]], &[1.0]);
}

#[test]
fn recipes_conform() {
    for k in [1, 5, 40] {
        let config = KnnConfig::default().k(k);
        estimator_conformance::check(&config.clone().build().unwrap());
        estimator_conformance::check(&config.weighting(Weighting::Similarity).build().unwrap());
    }
}

#[test]
fn names_and_refusals() {
    let name = |config: KnnConfig| config.build().unwrap().name();
    insta::assert_snapshot!(name(KnnConfig::default()), @"knn(k=5)");
    let weighted = KnnConfig::default().k(40).weighting(Weighting::Similarity);
    insta::assert_snapshot!(name(weighted), @"knn(k=40,weighting=similarity)");
    let error = KnnConfig::default().k(0).build().unwrap_err();
    insta::assert_snapshot!(error, @"`k` must be >= 1, got 0");
}

fn random_history(n: usize, seed: u64) -> History {
    let (dim, n_models) = (6, 3);
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    let embeddings = (0..n * dim).map(|_| rng.below(5) as f32 - 1.9).collect();
    let mut gap = |row: usize, value: f64| if row > 0 && rng.below(4) == 0 { GAP } else { value };
    let quality: Vec<f64> =
        (0..n * n_models).map(|at| gap(at / n_models, f64::from(u8::from(at % 5 < 3)))).collect();
    let cost =
        quality.iter().enumerate().map(|(at, q)| q * 0.0 + 1e-3 * (at % 11) as f64).collect();
    History::new(Models::new(["a", "b", "c"]).unwrap(), dim, embeddings, quality, cost).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Leave-one-out is what is left when the row is really left out.
    #[test]
    fn held_out_is_a_fit_without_the_row(n in 8_usize..40, k in 1_usize..6, seed in 0_u64..500) {
        let history = random_history(n, seed);
        let recipe = KnnConfig::default().k(k).build().unwrap();
        let held_out = recipe.held_out(&history, Seed(0)).unwrap();
        for row in 1..n {
            let others: Vec<usize> = (0..n).filter(|&other| other != row).collect();
            let rest = history.select(&others).unwrap();
            let estimator = recipe.fit(&rest, Seed(0)).unwrap();
            let mut table = EstimateTable::zeros(1, 3);
            let query = history.queries().query(row);
            table.fill(|out| estimator.estimate_into(query, &mut Scratch::default(), out)).unwrap();
            prop_assert_eq!(table.row(0).quality, held_out.row(row).quality);
            prop_assert_eq!(table.row(0).cost, held_out.row(row).cost);
        }
    }

    /// A batch on one thread and on three.
    #[test]
    fn threads_do_not_matter(seed in 0_u64..500) {
        let history = random_history(300, seed);
        let recipe = KnnConfig::default().build().unwrap();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| recipe.held_out(&history, Seed(0)).unwrap())
        };
        prop_assert_eq!(on(1), on(3));
    }
}
