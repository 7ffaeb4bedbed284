use tollgate_core::{Label, ModelId, Models, Prior, Prompt, Purpose, Query, Scratch};
use tollgate_testkit::estimator_conformance::{self, Growth};
use tollgate_testkit::pool_conformance::{self, Others};

use super::*;

#[test]
fn the_recipe_conforms() {
    estimator_conformance::check(&RandomSlopes::default());
    estimator_conformance::check_growth(&RandomSlopes::default(), Growth::ChoicesStay);
    pool_conformance::check(&RandomSlopes::default(), Others::Stay);
}

#[test]
fn names_and_refusals() {
    let config = RandomSlopesConfig::default;
    let name = |config: RandomSlopesConfig| config.build().unwrap().name();
    insta::assert_snapshot!(name(config()), @"random-slopes");
    insta::assert_snapshot!(
        name(config().landmarks(8).penalty(3.0).labels(50)),
        @"random-slopes(landmarks=8,penalty=3,labels=50)"
    );
    let refusal = |config: RandomSlopesConfig| config.build().unwrap_err().to_string();
    insta::assert_snapshot!(refusal(config().landmarks(0)), @"`landmarks` must be >= 1, got 0");
    insta::assert_snapshot!(refusal(config().penalty(0.0)), @"`penalty` must be finite and > 0, got 0");
    insta::assert_snapshot!(
        refusal(config().penalty(f64::INFINITY)),
        @"`penalty` must be finite and > 0, got inf"
    );
    insta::assert_snapshot!(refusal(config().labels(0)), @"`labels` must be >= 1, got 0");
}

/// Prompts on a circle, and models that are a half plus `along` of where on it they are.
#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
fn circle(n: usize, along: &[fn(f64) -> f64], seed: u64) -> History {
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    let (mut embeddings, mut quality, mut cost) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..n {
        let angle = std::f64::consts::TAU * rng.uniform();
        embeddings.extend([angle.cos() as f32, angle.sin() as f32]);
        for along in along {
            let chance = 0.5 + 0.4 * along(angle);
            quality.push(f64::from(u8::from(rng.uniform() < chance)));
            cost.push(0.01 * (0.5 * along(angle)).exp());
        }
    }
    let models = Models::new((0..along.len()).map(|model| format!("m{model}"))).unwrap();
    History::new(models, 2, embeddings, quality, cost).unwrap()
}

fn estimates(estimator: &dyn Estimator, angle: f64) -> (Vec<f64>, Vec<f64>) {
    let n_models = estimator.models().len();
    let mut table = EstimateTable::zeros(1, n_models);
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    let embedding = [angle.cos() as f32, angle.sin() as f32];
    table.fill(|out| {
        estimator.estimate_into(Query::new(&embedding), &mut Scratch::default(), out).unwrap();
    });
    (table.quality().to_vec(), table.cost().to_vec())
}

/// Four models of a history are good on a quarter of the circle each, and the new one is a sine of
/// twice the angle, which none of them and no mix of them is: it is learned from its labels all
/// the same, and a model without labels is the mean of the others, a half.
#[test]
fn a_model_like_none_is_learned_from_its_labels() {
    let quarters: [fn(f64) -> f64; 4] =
        [f64::cos, f64::sin, |angle| -angle.cos(), |angle| -angle.sin()];
    let other: fn(f64) -> f64 = |angle| (2.0 * angle).sin();
    let fitted = RandomSlopes::default().fit(&circle(600, &quarters, 1), Seed(0)).unwrap();
    let labels = circle(400, &[other], 2);
    let labels: Vec<Label<'_>> = (0..labels.len())
        .map(|row| Label {
            prompt: Prompt::Embedding(labels.queries().query(row).embedding),
            quality: labels.quality()[row],
            cost: labels.cost()[row],
        })
        .collect();
    let pool = fitted.pool().unwrap();
    let new = pool.add_model(&ModelId::new("new"), Prior::default(), &labels).unwrap();
    let unlabelled = Prior { quality: None, cost: Some(0.01) };
    let none = pool.add_model(&ModelId::new("none"), unlabelled, &[]).unwrap();
    let (mut off, mut as_others) = (0.0_f64, 0.0_f64);
    for step in 0..24 {
        let angle = f64::from(step) * std::f64::consts::TAU / 24.0;
        let (quality, cost) = estimates(new.as_ref(), angle);
        off += (quality[4] - 0.5 - 0.4 * other(angle)).powi(2) / 24.0;
        assert!((cost[4].ln() - 0.01_f64.ln() - 0.5 * other(angle)).abs() < 0.1, "at {angle}");
        let (quality, _) = estimates(none.as_ref(), angle);
        as_others += (quality[4] - 0.5).powi(2) / 24.0;
    }
    // The sine itself has a mean square of .08.
    assert!(off < 0.01, "{off}");
    assert!(as_others < 0.005, "{as_others}");
}

/// Where models differ by the luck of their scores alone, slopes of their own are drawn to nothing;
/// where they differ much they are not, and neither are those of costs, which have no noise.
#[test]
fn penalties_are_as_large_as_models_are_alike() {
    let penalties = |along: &[fn(f64) -> f64]| {
        let estimator = RandomSlopes::default().fit(&circle(600, along, 3), Seed(0)).unwrap();
        estimator.choice().unwrap().to_owned()
    };
    let alike: [fn(f64) -> f64; 6] = [f64::cos; 6];
    insta::assert_snapshot!(penalties(&alike), @"slopes with penalties of 1000 for scores and 0.1 for costs, for the squared errors of models left out");
    let apart: [fn(f64) -> f64; 6] = [
        f64::cos,
        f64::sin,
        |angle| -angle.cos(),
        |angle| -angle.sin(),
        |angle| (2.0 * angle).cos(),
        |angle| (2.0 * angle).sin(),
    ];
    insta::assert_snapshot!(penalties(&apart), @"slopes with penalties of 10 for scores and 0.1 for costs, for the squared errors of models left out");
}
