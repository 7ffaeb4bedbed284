use tollgate_core::{Purpose, Seed};
use tollgate_testkit::estimator_conformance;

use super::*;
use crate::knn::KnnConfig;
use crate::ridge::RidgeConfig;

fn knn(k: usize) -> Arc<dyn Fit> {
    Arc::new(KnnConfig::default().k(k).build().unwrap())
}

fn blend(parts: Vec<Arc<dyn Fit>>, weights: BlendWeights) -> Blend {
    Blend::new(parts, weights).unwrap()
}

fn ridge_and_forty() -> Blend {
    let knn = KnnConfig::default().k(40).build().unwrap();
    Blend::ridge_and(knn, BlendWeights::Learned)
}

fn history(n: usize) -> History {
    let mut rng = Seed(5).stream(Purpose::Synthesis, 0);
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    let embeddings: Vec<f32> = (0..n * 4).map(|_| rng.normal() as f32).collect();
    let quality: Vec<f64> = embeddings
        .chunks_exact(4)
        .flat_map(|x| [f64::from(u8::from(x[0] > 0.0)), f64::from(u8::from(x[1] > x[2]))])
        .collect();
    let cost = (0..2 * n).map(|_| 1e-3 * (1.0 + rng.uniform())).collect();
    History::new(Models::new(["a", "b"]).unwrap(), 4, embeddings, quality, cost).unwrap()
}

/// Weights 3 to 1: every estimate and standard error is 3/4 of one and 1/4 of the other.
#[test]
fn a_blend_is_the_weighted_mean_of_its_parts() {
    let history = history(60);
    let parts = vec![knn(1), knn(7)];
    let recipe = blend(parts.clone(), BlendWeights::Given(vec![3.0, 1.0]));
    let tables = |recipe: &dyn Fit| {
        let estimator = recipe.fit(&history, Seed(0)).unwrap();
        let queries = Queries::new(&[0.1, 0.2, -0.3, 0.4, 1.0, 0.0, 0.5, 0.0], 4);
        let mut table = EstimateTable::zeros(2, 2);
        table.fill(|out| estimator.estimate_batch(queries, &mut Scratch::default(), out)).unwrap();
        [table, recipe.held_out(&history, Seed(0)).unwrap()]
    };
    let blended = tables(&recipe);
    let (first, second) = (tables(parts[0].as_ref()), tables(parts[1].as_ref()));
    for ((blended, first), second) in blended.iter().zip(&first).zip(&second) {
        let columns = |t: &EstimateTable| {
            let view = t.view();
            [view.quality, view.quality_se, view.cost, view.cost_se].concat()
        };
        for ((b, f), s) in columns(blended).iter().zip(columns(first)).zip(columns(second)) {
            assert!((b - (0.75 * f + 0.25 * s)).abs() < 1e-15);
        }
    }
}

/// Learned weights are no worse, on what they were learned from, than any given ones.
#[test]
fn learned_weights_have_the_least_held_out_error() {
    let history = history(200);
    let parts: Vec<Arc<dyn Fit>> = vec![knn(1), Arc::new(RidgeConfig::default().build().unwrap())];
    // Both models have the same spread of labels to within a few per cent, so the plain
    // sum of squares is the criterion to within as much.
    let error = |weights: BlendWeights| -> f64 {
        let table = blend(parts.clone(), weights).held_out(&history, Seed(0)).unwrap();
        let pairs = table.view().quality.iter().zip(history.quality().iter());
        pairs.map(|(estimate, label)| (estimate - label).powi(2)).sum()
    };
    let learned = error(BlendWeights::Learned);
    for step in 0..=20 {
        let share = f64::from(step) / 20.0;
        let given = error(BlendWeights::Given(vec![share, 1.0 - share]));
        assert!(learned <= 1.001 * given, "{learned} learned, {given} with {share}");
    }
}

#[test]
fn recipes_conform() {
    estimator_conformance::check(&ridge_and_forty());
    let parts = vec![knn(3), knn(11), Arc::new(ridge_and_forty())];
    estimator_conformance::check(&blend(parts, BlendWeights::Learned));
}

#[test]
fn names_and_refusals() {
    let name = |weights| blend(vec![knn(1), knn(5)], weights).name();
    insta::assert_snapshot!(ridge_and_forty().name(), @"blend(ridge+knn(k=40))");
    insta::assert_snapshot!(name(BlendWeights::Learned), @"blend(knn(k=1)+knn(k=5))");
    insta::assert_snapshot!(name(BlendWeights::Equal), @"mean(knn(k=1)+knn(k=5))");
    insta::assert_snapshot!(name(BlendWeights::Given(vec![0.5, 2.0])), @"blend(0.5*knn(k=1)+2*knn(k=5))");
    let refusal =
        |parts: usize, weights| Blend::new(vec![knn(1); parts], weights).unwrap_err().to_string();
    insta::assert_snapshot!(refusal(0, BlendWeights::Equal), @"a blend has 1 to 8 parts, got 0");
    insta::assert_snapshot!(refusal(9, BlendWeights::Learned), @"a blend has 1 to 8 parts, got 9");
    let given = |weights: &[f64]| refusal(2, BlendWeights::Given(weights.to_vec()));
    insta::assert_snapshot!(given(&[1.0]), @"the blend has 2 parts and 1 weights");
    insta::assert_snapshot!(given(&[1.0, -0.5]), @"`weights` must be finite and >= 0, got -0.5");
    insta::assert_snapshot!(given(&[1.0, f64::NAN]), @"`weights` must be finite and >= 0, got NaN");
    insta::assert_snapshot!(given(&[0.0, 0.0]), @"`weights` must be of a sum that is finite and > 0, got 0");
}
