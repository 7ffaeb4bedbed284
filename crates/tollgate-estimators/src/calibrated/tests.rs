use tollgate_core::Purpose;
use tollgate_testkit::estimator_conformance::{self, Growth};

use super::*;
use crate::{KnnConfig, Trained, coverage};

const N_MODELS: usize = 6;

fn knn() -> Arc<dyn Fit> {
    Arc::new(KnnConfig::default().k(16).build().unwrap())
}

/// Dimensions of the embeddings: many, of which a model depends on one.
const DIM: usize = 32;

/// Each model is more often right on one side of an axis of its own, and its answers cost more
/// there.
fn world(n: usize, seed: u64) -> History {
    let [mut rng, mut labels] = [0, 1].map(|stream| Seed(seed).stream(Purpose::Synthesis, stream));
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    let embeddings: Vec<f32> = (0..n * DIM).map(|_| rng.normal() as f32).collect();
    let (mut quality, mut cost) = (Vec::new(), Vec::new());
    for x in embeddings.chunks_exact(DIM) {
        for side in x[..N_MODELS].iter().map(|x| f64::from(*x).tanh()) {
            quality.push(f64::from(u8::from(labels.uniform() < 0.5 + 0.4 * side)));
            cost.push(1e-3 * (2.0 + side + labels.uniform()));
        }
    }
    let models = Models::new((0..N_MODELS).map(|model| format!("m{model}"))).unwrap();
    History::new(models, DIM, embeddings, quality, cost).unwrap()
}

fn estimates(recipe: &dyn Fit, history: &History, test: &History) -> EstimateTable {
    let estimator = recipe.fit(history, Seed(0)).unwrap();
    let mut table = EstimateTable::zeros(test.len(), N_MODELS);
    table
        .fill(|out| estimator.estimate_batch(test.queries(), &mut Scratch::default(), out))
        .unwrap();
    table
}

#[test]
fn recipes_conform() {
    let recipe = Calibrated::new(knn());
    estimator_conformance::check(&recipe);
    estimator_conformance::check_growth(&recipe, Growth::ChoicesStay);
    assert_eq!(recipe.name(), "calibrated(knn(k=16))");
}

/// Heads promise what a prompt's own directions may cost them, of which little is left in the mean
/// of 200 prompts. Of new prompts about nine bins in ten are to be covered, rather fewer: that all
/// labels of the history were lucky together does not show when one of them is left out.
#[test]
fn nine_in_ten_are_covered() {
    let (history, test) = (world(2_000, 1), world(4_000, 2));
    let heads: Arc<dyn Fit> = Arc::new(Trained::default());
    let covered = |recipe: &dyn Fit| coverage(&estimates(recipe, &history, &test), &test).unwrap();
    let plain = covered(heads.as_ref());
    let calibrated = covered(&Calibrated::new(heads));
    assert!(plain > 0.97, "{plain}");
    assert!((0.8..=0.95).contains(&calibrated), "{calibrated}");
}

/// One factor for scores, one for costs, the same held out and in service; nothing else changes.
#[test]
fn nothing_but_standard_errors_changes() {
    let (history, test) = (world(400, 1), world(50, 2));
    let recipe = Calibrated::new(knn());
    let factors = |plain: &EstimateTable, scaled: &EstimateTable| {
        assert_eq!((plain.quality(), plain.cost()), (scaled.quality(), scaled.cost()));
        let ratio = |plain: &[f64], scaled: &[f64]| {
            let ratios: Vec<f64> = scaled.iter().zip(plain).map(|(s, p)| s / p).collect();
            assert!(ratios.iter().all(|ratio| (ratio - ratios[0]).abs() < 1e-9), "{ratios:?}");
            ratios[0]
        };
        let (plain, scaled) = (plain.view(), scaled.view());
        [ratio(plain.quality_se, scaled.quality_se), ratio(plain.cost_se, scaled.cost_se)]
    };
    let (estimator, held_out) = recipe.fit_and_hold_out(&history, Seed(0)).unwrap();
    assert_eq!(held_out, recipe.held_out(&history, Seed(0)).unwrap());
    let of_history = factors(&knn().held_out(&history, Seed(0)).unwrap(), &held_out);
    let served =
        factors(&estimates(knn().as_ref(), &history, &test), &estimates(&recipe, &history, &test));
    for (a, b) in of_history.iter().zip(served) {
        assert!((a - b).abs() < 1e-9 && (a - 1.0).abs() > 0.1, "{of_history:?} and {served:?}");
    }
    // They stay when the history grows.
    let longer = world(600, 1);
    assert_eq!(
        longer.embeddings()[..400 * DIM],
        history.embeddings()[..],
        "it begins with the other"
    );
    let mut grown = EstimateTable::zeros(test.len(), N_MODELS);
    let next = estimator.grow(&longer).unwrap();
    grown.fill(|out| next.estimate_batch(test.queries(), &mut Scratch::default(), out)).unwrap();
    let after = factors(&estimates(knn().as_ref(), &longer, &test), &grown);
    assert!(after.iter().zip(served).all(|(a, b)| (a - b).abs() < 1e-9), "{after:?}");
}

/// Without 200 labels of any model there is nothing to tell from.
#[test]
fn short_histories_stay_as_they_are() {
    let (history, test) = (world(199, 1), world(20, 2));
    let [plain, calibrated] = [knn(), Arc::new(Calibrated::new(knn()))]
        .map(|r: Arc<dyn Fit>| estimates(r.as_ref(), &history, &test));
    assert_eq!(plain, calibrated);
}
