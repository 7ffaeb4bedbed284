use tollgate_core::{Models, Purpose, Query, Scratch};
use tollgate_testkit::estimator_conformance::{self, Growth};

use super::*;

fn estimate(estimator: &dyn Estimator, query: &[f32]) -> EstimateTable {
    let mut table = EstimateTable::zeros(1, estimator.models().len());
    let query = Query::new(query);
    table.fill(|out| estimator.estimate_into(query, &mut Scratch::default(), out)).unwrap();
    table
}

/// Directions `(1, 0)` and `(0, 1)` are a squared distance of 2 apart; with `g = ln 2 / 2`
/// their kernel is 1/2. Both are landmarks. Along the one direction in which they differ
/// the centered kernel matrix has the eigenvalue `1 - 1/2`, and the labels, -0.3 and 0.3
/// around 0.5, are its eigenvector: with a penalty of 1/2 the fit keeps
/// `(1/2) / (1/2 + 1/2)` of them.
#[test]
fn two_prompts_by_hand() {
    let models = Models::new(["m"]).unwrap();
    let embeddings = vec![1.0, 0.0, 0.0, 3.0];
    let history = History::new(models, 2, embeddings, vec![0.2, 0.8], vec![0.02, 0.08]).unwrap();
    let config = KernelRidgeConfig::default().sharpness(2.0_f64.ln() / 2.0).lambda(0.5);
    let estimator = config.build().unwrap().fit(&history, Seed(0)).unwrap();
    let table = estimate(estimator.as_ref(), &[5.0, 0.0]);
    assert!((table.row(0).quality[0] - 0.35).abs() < 1e-6, "{:?}", table.row(0).quality);
    assert!((table.row(0).cost[0] - 0.035).abs() < 1e-7, "{:?}", table.row(0).cost);
}

/// What no plane can: one model is right near an axis on either side, and wrong between.
fn rings(n: usize, seed: u64) -> History {
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    let (mut embeddings, mut quality, mut cost) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..n {
        let angle = rng.uniform() * std::f64::consts::TAU;
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        embeddings.extend([angle.cos() as f32, angle.sin() as f32]);
        quality.extend([0.5 + 0.4 * (2.0 * angle).cos(), 0.5]);
        cost.extend([1e-3 * (2.0 + (2.0 * angle).sin()), 1e-3]);
    }
    History::new(Models::new(["a", "b"]).unwrap(), 2, embeddings, quality, cost).unwrap()
}

#[test]
fn a_curved_world_is_learned() {
    let history = rings(300, 1);
    let recipe = KernelRidgeConfig::default().landmarks(40).build().unwrap();
    let estimator = recipe.fit(&history, Seed(3)).unwrap();
    let eighth = std::f32::consts::FRAC_PI_4;
    for (eighths, expected) in [(0.0, 0.9), (1.0, 0.5), (2.0, 0.1), (4.0, 0.9)] {
        let angle: f32 = eighths * eighth;
        let table = estimate(estimator.as_ref(), &[angle.cos(), angle.sin()]);
        let got = table.row(0).quality[0];
        assert!((got - expected).abs() < 0.01, "{got} at {angle}, expected {expected}");
    }
}

/// Equation (5) of the regression against leaving each row out of the fit, landmarks and
/// sharpness held.
#[test]
fn held_out_is_a_fit_without_the_row() {
    let history = rings(25, 2);
    let all = KernelRidgeConfig::default().sharpness(1.0).lambda(0.1).build().unwrap();
    let held_out = all.held_out(&history, Seed(0)).unwrap();
    for row in 0..history.len() {
        let others: Vec<usize> = (0..history.len()).filter(|&other| other != row).collect();
        let rest = history.select(&others).unwrap();
        let kernels =
            Kernels::new("all", (all.landmarks, all.sharpness), &history, Seed(0)).unwrap();
        let features: Arc<dyn Features> = Arc::new(kernels);
        let (fit, _) = RegressionEstimator::fit(all.name(), &rest, &features, Some(0.1)).unwrap();
        let literal = estimate(&fit, history.queries().query(row).embedding);
        let (a, b) = (literal.row(0).quality[0], held_out.row(row).quality[0]);
        assert!((a - b).abs() < 1e-6, "row {row}: {a}, held out {b}");
    }
}

/// Far from every prompt of the history nothing is known.
#[test]
fn standard_errors_grow_with_the_distance() {
    let models = Models::new(["m"]).unwrap();
    let mut rng = Seed(5).stream(Purpose::Synthesis, 0);
    let (mut embeddings, mut quality) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        let angle = 0.3 * rng.normal();
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        embeddings.extend([angle.cos() as f32, angle.sin() as f32]);
        quality.push(f64::from(rng.uniform() < 0.5 + angle.clamp(-0.4, 0.4)));
    }
    let history = History::new(models, 2, embeddings, quality, vec![1e-3; 200]).unwrap();
    let estimator = KernelRidge::default().fit(&history, Seed(0)).unwrap();
    let error = |x: f32, y: f32| estimate(estimator.as_ref(), &[x, y]).row(0).quality_se[0];
    assert!(error(-1.0, 0.0) > 2.0 * error(1.0, 0.0));
}

#[test]
fn recipes_conform() {
    estimator_conformance::check(&KernelRidge::default());
    let few = KernelRidgeConfig::default().landmarks(7).sharpness(0.5).build().unwrap();
    estimator_conformance::check(&few);
}

#[test]
fn names_and_refusals() {
    insta::assert_snapshot!(KernelRidge::default().name(), @"kernel-ridge");
    let config = KernelRidgeConfig::default();
    let recipe = config.clone().landmarks(64).sharpness(2.0).lambda(0.5).build().unwrap();
    insta::assert_snapshot!(recipe.name(), @"kernel-ridge(landmarks=64,sharpness=2,lambda=0.5)");
    let refuse = |config: KernelRidgeConfig| config.build().unwrap_err().to_string();
    insta::assert_snapshot!(refuse(config.clone().landmarks(0)), @"`landmarks` must be >= 1, got 0");
    insta::assert_snapshot!(refuse(config.clone().sharpness(0.0)), @"`sharpness` must be finite and > 0, got 0");
    insta::assert_snapshot!(refuse(config.lambda(f64::NAN)), @"`lambda` must be finite and > 0, got NaN");
}

#[test]
fn it_grows() {
    estimator_conformance::check_growth(&KernelRidge::default(), Growth::ChoicesStay);
}
