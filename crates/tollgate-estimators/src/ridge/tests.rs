use proptest::prelude::*;
use tollgate_core::{Purpose, Seed};
use tollgate_testkit::estimator_conformance::{self, Growth};

use tollgate_core::{Models, Query, Scratch};

use super::*;

fn estimate(recipe: &Ridge, history: &History, query: &[f32]) -> EstimateTable {
    let estimator = recipe.fit(history, Seed(0)).unwrap();
    let mut table = EstimateTable::zeros(1, history.models().len());
    let query = Query::new(query);
    table.fill(|out| estimator.estimate_into(query, &mut Scratch::default(), out)).unwrap();
    table
}

fn assert_close(got: f64, expected: f64) {
    assert!((got - expected).abs() < 1e-9, "{got}, expected {expected}");
}

/// Directions (1, 0) and (0, 1) with scores 0.2 and 0.8: centered they are (1, -1)/2 and
/// its negative, so `C = [[1, -1], [-1, 1]]/2` with eigenvalue 1 along `v = (1, -1)/sqrt 2`.
/// Along `v` the prompts are at `+-1/sqrt 2`, the label at `-+0.3`: the slope is
/// `(-0.6/sqrt 2) / (1 + lambda)`. With `lambda = 1` the fit at (1, 0) is `0.5 - 0.15`,
/// and its leverage `1/2 + (1/2)/2 = 3/4`. Left out, each is predicted by the other's
/// label: `0.2 + (0.35 - 0.2)/(1 - 3/4) = 0.8`.
#[test]
fn two_prompts_by_hand() {
    let models = Models::new(["m"]).unwrap();
    let embeddings = vec![1.0, 0.0, 0.0, 3.0];
    let history = History::new(models, 2, embeddings, vec![0.2, 0.8], vec![0.02, 0.08]).unwrap();
    let recipe = RidgeConfig::default().lambda(1.0).build().unwrap();
    let table = estimate(&recipe, &history, &[2.0, 0.0]);
    assert_close(table.row(0).quality[0], 0.35);
    assert_close(table.row(0).cost[0], 0.035);
    // Errors +-0.6, squared 0.72 in all, and 1/4: noise 0.485. The labels' own spread is
    // (0.18 + 0.25) / 2 = 0.215, which is less than 3/4 of the noise.
    assert_close(table.row(0).quality_se[0], 0.215_f64.sqrt());
    let held_out = recipe.held_out(&history, Seed(0)).unwrap();
    assert_close(held_out.row(0).quality[0], 0.8);
    assert_close(held_out.row(1).quality[0], 0.2);
    assert_close(held_out.row(1).cost[0], 0.02);
}

fn random_history(n: usize, dim: usize, gaps: bool, seed: u64) -> History {
    let n_models = 3;
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    let embeddings: Vec<f32> = (0..n * dim).map(|_| rng.normal() as f32).collect();
    let (mut quality, mut cost) = (Vec::new(), Vec::new());
    for row in 0..n {
        for model in 0..n_models {
            let gap = gaps && row > 3 && rng.below(4) == 0;
            let slope = f64::from(embeddings[row * dim + model % dim]);
            let score = (0.5 + 0.2 * slope + 0.1 * rng.normal()).clamp(0.0, 1.0);
            let usd = (1.0 + 0.3 * slope + 0.1 * rng.normal()).abs() * 1e-3;
            quality.push(if gap { f64::NAN } else { score });
            cost.push(if gap { f64::NAN } else { usd });
        }
    }
    History::new(Models::new(["a", "b", "c"]).unwrap(), dim, embeddings, quality, cost).unwrap()
}

/// A history that is linear in the direction is learned exactly, up to the shrinkage of
/// the weakest penalty.
#[test]
fn a_linear_world_is_learned() {
    let dim = 5;
    let mut rng = Seed(3).stream(Purpose::Synthesis, 1);
    let mut truth = |n: usize| -> (Vec<f32>, Vec<f64>) {
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        let embeddings: Vec<f32> = (0..n * dim).map(|_| rng.normal() as f32).collect();
        let score = |x: &[f32]| {
            let length = x.iter().map(|v| f64::from(v * v)).sum::<f64>().sqrt();
            0.5 + 0.3 * f64::from(x[0]) / length - 0.1 * f64::from(x[3]) / length
        };
        let quality = embeddings.chunks_exact(dim).map(score).collect();
        (embeddings, quality)
    };
    let ((embeddings, quality), (queries, expected)) = (truth(400), truth(50));
    let cost = quality.iter().map(|q| 1e-3 * q).collect();
    let history =
        History::new(Models::new(["m"]).unwrap(), dim, embeddings, quality, cost).unwrap();
    for (query, expected) in queries.chunks_exact(dim).zip(expected) {
        let table = estimate(&Ridge::default(), &history, query);
        let row = table.row(0);
        assert!((row.quality[0] - expected).abs() < 1e-4);
        assert!((row.cost[0] - 1e-3 * expected).abs() < 1e-7);
    }
}

#[test]
fn costs_stay_above_half_the_lowest() {
    let models = Models::new(["m"]).unwrap();
    let embeddings = vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.1, 0.1, 1.0];
    let cost = vec![0.001, 0.101, 0.002, 0.102];
    let history = History::new(models, 2, embeddings, vec![0.5; 4], cost).unwrap();
    let recipe = RidgeConfig::default().lambda(1e-6).build().unwrap();
    // Far on the cheap side: the line itself is negative there.
    let table = estimate(&recipe, &history, &[0.2, -1.0]);
    assert_close(table.row(0).cost[0], 0.000_5);
}

#[test]
fn recipes_grow() {
    estimator_conformance::check_growth(&Ridge::default(), Growth::ChoicesStay);
}

/// With a given penalty nothing but the noise is chosen: expectations are those of a fit.
#[test]
fn growing_is_fitting_the_longer_history() {
    let all = random_history(90, 6, true, 4);
    let recipe = RidgeConfig::default().lambda(0.3).build().unwrap();
    let first = all.select(&(0..50).collect::<Vec<_>>()).unwrap();
    let grown = recipe.fit(&first, Seed(0)).unwrap().grow(&all).unwrap();
    let fitted = recipe.fit(&all, Seed(0)).unwrap();
    let estimates = |estimator: &dyn Estimator| {
        let mut table = EstimateTable::zeros(all.len(), 3);
        let mut scratch = Scratch::default();
        table.fill(|out| estimator.estimate_batch(all.queries(), &mut scratch, out)).unwrap();
        table
    };
    let (grown, fitted) = (estimates(grown.as_ref()), estimates(fitted.as_ref()));
    for (a, b) in grown.quality().iter().zip(&**fitted.quality()) {
        assert!((a - b).abs() < 1e-9, "{a} grown, {b} fitted");
    }
    for (a, b) in grown.cost().iter().zip(&**fitted.cost()) {
        assert!((a - b).abs() < 1e-12, "{a} grown, {b} fitted");
    }
}

#[test]
fn recipes_conform() {
    estimator_conformance::check(&Ridge::default());
    estimator_conformance::check(&RidgeConfig::default().lambda(0.3).build().unwrap());
}

#[test]
fn names_and_refusals() {
    insta::assert_snapshot!(Ridge::default().name(), @"ridge");
    let fixed = RidgeConfig::default().lambda(0.5).build().unwrap();
    insta::assert_snapshot!(fixed.name(), @"ridge(lambda=0.5)");
    for lambda in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(RidgeConfig::default().lambda(lambda).build().is_err(), "lambda {lambda}");
    }
    let error = RidgeConfig::default().lambda(f64::NAN).build().unwrap_err();
    insta::assert_snapshot!(error, @"`lambda` must be finite and > 0, got NaN");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Equation (4) is what is left when the row is really left out, with more prompts
    /// than dimensions and with fewer, with gaps and without.
    #[test]
    fn held_out_is_a_fit_without_the_row(
        n in 6_usize..30,
        dim in prop::sample::select(vec![3_usize, 10, 40]),
        gaps: bool,
        lambda in 0.01_f64..10.0,
        seed in 0_u64..500,
    ) {
        let history = random_history(n, dim, gaps, seed);
        let recipe = RidgeConfig::default().lambda(lambda).build().unwrap();
        let held_out = recipe.held_out(&history, Seed(0)).unwrap();
        for row in 0..n {
            let others: Vec<usize> = (0..n).filter(|&other| other != row).collect();
            let rest = history.select(&others).unwrap();
            let literal = estimate(&recipe, &rest, history.queries().query(row).embedding);
            for model in 0..3 {
                let (a, b) = (literal.row(0).quality[model], held_out.row(row).quality[model]);
                prop_assert!((a - b).abs() < 1e-9, "score {a}, held out {b}");
                let (a, b) = (literal.row(0).cost[model], held_out.row(row).cost[model]);
                prop_assert!((a - b).abs() < 1e-11, "cost {a}, held out {b}");
            }
        }
    }

    /// Every row twice doubles the sum of squares of (1): with the penalty doubled as well
    /// the minimum is where it was.
    #[test]
    fn twice_the_rows_with_twice_the_penalty(seed in 0_u64..500, dim in 2_usize..20) {
        let history = random_history(12, dim, false, seed);
        let twice: Vec<usize> = (0..24).map(|row| row % 12).collect();
        let twice = history.select(&twice).unwrap();
        let query = vec![0.7; dim];
        let fit = |lambda: f64, history: &History| {
            estimate(&RidgeConfig::default().lambda(lambda).build().unwrap(), history, &query)
        };
        let (a, b) = (fit(0.4, &history), fit(0.8, &twice));
        for model in 0..3 {
            prop_assert!((a.row(0).quality[model] - b.row(0).quality[model]).abs() < 1e-9);
        }
    }

    /// Blocks of rows are summed in their own order.
    #[test]
    fn threads_do_not_matter(seed in 0_u64..500) {
        let history = random_history(1100, 4, false, seed);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Ridge::default().held_out(&history, Seed(0)).unwrap())
        };
        prop_assert_eq!(on(1), on(3));
    }
}
