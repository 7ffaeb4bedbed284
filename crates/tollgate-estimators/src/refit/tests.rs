use tollgate_testkit::estimator_conformance::{self, Growth};
use tollgate_testkit::pool_conformance::{self, Others};

use super::*;
use crate::{Auto, Factors, KnnConfig, Ridge};

fn recipes() -> [Refit; 4] {
    let knn = KnnConfig::default().k(3).build().unwrap();
    [
        Refit::new(Arc::new(knn)),
        Refit::new(Arc::new(Ridge::default())),
        Refit::new(Arc::new(Factors::default())),
        Refit::new(Arc::new(Auto::default())),
    ]
}

#[test]
fn recipes_conform() {
    for recipe in recipes() {
        estimator_conformance::check(&recipe);
    }
}

#[test]
fn snapshots_grow() {
    for recipe in recipes() {
        estimator_conformance::check_growth(&recipe, Growth::ChoicesStay);
    }
}

#[test]
fn pools_conform() {
    for recipe in recipes() {
        pool_conformance::check(&recipe, Others::Follow);
    }
}

/// The rows of the history keep their tokens; of a prompt that came as an embedding nobody knows
/// them, and it counts as the mean.
#[test]
fn prompts_keep_their_tokens() {
    let models = Models::new(["a"]).unwrap();
    let history = History::new(models, 1, vec![1.0, 2.0], vec![1.0, 0.0], vec![0.1, 0.2]).unwrap();
    let pool = |history: &History| {
        let knn = KnnConfig::default().k(1).build().unwrap();
        let fitted = Refit::new(Arc::new(knn)).fit(history, Seed(0)).unwrap();
        let prompt = tollgate_core::Prompt::Embedding(&[-3.0]);
        let labels = [Label { prompt, quality: 0.75, cost: 2.0 }];
        let pool = fitted.pool().unwrap();
        pool.add_model(&ModelId::new("b"), Prior::default(), &labels).unwrap()
    };
    let of = |pool: &dyn Estimator| {
        let representatives = pool.pool().unwrap().representatives();
        representatives.input_tokens.map(<[f64]>::to_vec)
    };
    assert_eq!(of(pool(&history).as_ref()), None);
    let counted = history.with_input_tokens(vec![10.0, 20.0]).unwrap();
    assert_eq!(of(pool(&counted).as_ref()), Some(vec![10.0, 20.0]));
    assert_eq!(tokens(&[10.0, 20.0], 3), [10.0, 20.0, 15.0]);
}

/// Two prompts at right angles and one neighbor: a new model that is labelled on the first and on
/// a third prompt, which nobody else has seen.
#[test]
fn a_column_and_a_row_by_hand() {
    let models = Models::new(["a"]).unwrap();
    let embeddings = vec![1.0, 0.0, 0.0, 1.0];
    let history = History::new(models, 2, embeddings, vec![1.0, 0.0], vec![0.1, 0.2]).unwrap();
    let knn = KnnConfig::default().k(1).build().unwrap();
    let estimator = Refit::new(Arc::new(knn)).fit(&history, Seed(0)).unwrap();
    let labels = [
        Label { prompt: tollgate_core::Prompt::Representative(0), quality: 0.25, cost: 1.0 },
        Label { prompt: tollgate_core::Prompt::Embedding(&[-3.0, 0.0]), quality: 0.75, cost: 2.0 },
    ];
    let prior = Prior::default();
    let added = estimator.pool().unwrap().add_model(&ModelId::new("b"), prior, &labels).unwrap();
    let of = |x: f32, y: f32| {
        let mut table = EstimateTable::zeros(1, 2);
        let embedding = [x, y];
        let query = Query::new(&embedding);
        table.fill(|out| added.estimate_into(query, &mut Scratch::default(), out)).unwrap();
        let row = table.row(0);
        [row.quality.to_vec(), row.cost.to_vec()]
    };
    assert_eq!(of(1.0, 0.1), [[1.0, 0.25], [0.1, 1.0]]);
    assert_eq!(of(-1.0, 0.1), [[0.0, 0.75], [0.2, 2.0]]);
}

/// Without labels a model is its prior, whoever else is there.
#[test]
fn a_prior_is_a_constant() {
    let models = Models::new(["a", "c"]).unwrap();
    let quality = vec![1.0, 0.0, 1.0, 0.5];
    let history = History::new(models, 1, vec![1.0; 2], quality, vec![0.1; 4]).unwrap();
    let estimator = Refit::new(Arc::new(Ridge::default())).fit(&history, Seed(0)).unwrap();
    let prior = Prior { quality: None, cost: Some(0.5) };
    let added = estimator.pool().unwrap().add_model(&ModelId::new("b"), prior, &[]).unwrap();
    let mut alone = added.pool().unwrap().remove_model(&ModelId::new("a")).unwrap();
    alone = alone.pool().unwrap().remove_model(&ModelId::new("c")).unwrap();
    for (estimator, at) in [(added, 1), (alone, 0)] {
        let mut table = EstimateTable::zeros(1, estimator.models().len());
        let query = Query::new(&[1.0]);
        table.fill(|out| estimator.estimate_into(query, &mut Scratch::default(), out)).unwrap();
        // Means 1 and 1/4, so 5/8, with squares of 9/32 and 1/4 by two.
        let row = table.row(0);
        assert!((row.quality[at] - 0.625).abs() < 1e-12, "{row:?}");
        assert!((row.quality_se[at] - f64::sqrt(17.0 / 64.0).min(0.5)).abs() < 1e-12, "{row:?}");
        assert!((row.cost[at] - 0.5).abs() < 1e-12, "{row:?}");
        // The costs' means are equal: what is left is the prior's deviation, half of it.
        assert!((row.cost_se[at] - 0.5 * (LOG_PRIOR / 2.0).sqrt()).abs() < 1e-12, "{row:?}");
    }
}
