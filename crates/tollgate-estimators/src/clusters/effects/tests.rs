use super::*;

fn effects(apart: f64, spread: f64) -> Effects {
    Effects { mean: 0.5, spread, clusters: vec![0.2, -0.2], apart: vec![apart; 2], prior: 0.25 }
}

/// Labels 1, 1, 0 in cluster 0 and none in cluster 1. Less `d_0` they are 0.8, 0.8, -0.2, with
/// mean 7/15 and squares 2/3, so `v = (2/3 + 1/4) / 3 = 11/36`. With `t^2 = 1/36` it is
/// `w = 1 / (1/36 + 11/108) = 54/7`, and with `t_g^2 = 1/6` the model's mean is
/// `(6 * 0.5 + 54/7 * 7/15) / (6 + 54/7) = 6.6 * 7/96`; `B = (11/108) / (14/108) = 11/14`.
#[test]
fn a_model_by_hand() {
    let got = effects(1.0 / 36.0, 1.0 / 6.0).know(&[(0, 1.0), (0, 1.0), (0, 0.0)], 0.5);
    let mean = 6.6 * 7.0 / 96.0;
    let (drawn, variance) = (11.0 / 14.0, 7.0 / 96.0);
    let expected = [
        (0.2 + drawn * mean + (1.0 - drawn) * 7.0 / 15.0, drawn * drawn * variance + drawn / 36.0),
        (-0.2 + mean, variance + 1.0 / 36.0),
    ];
    for (got, expected) in got.iter().zip(expected) {
        assert!((got.0 - expected.0).abs() < 1e-12, "{got:?}, not {expected:?}");
        assert!((got.1 - expected.1).abs() < 1e-12, "{got:?}, not {expected:?}");
    }
}

/// Without a label a model is its prior, with the spread of all; with very many it is their mean.
#[test]
fn from_the_prior_to_the_labels() {
    let effects = effects(0.04, 0.01);
    for (value, part) in effects.know(&[], 0.7).iter().zip([0.2, -0.2]) {
        assert!((value.0 - 0.7 - part).abs() < 1e-12 && (value.1 - 0.05).abs() < 1e-12);
    }
    let many: Vec<Labelled> =
        (0..40_000).map(|at| (at % 2, f64::from(u8::from(at % 10 < 3 + 3 * (at % 2))))).collect();
    let value = effects.know(&many, 0.7);
    // Of the even tenths 0 and 2 are below 3; of the odd ones 1, 3 and 5 are below 6.
    for (value, mean) in value.iter().zip([0.4, 0.6]) {
        assert!((value.0 - mean).abs() < 1e-3 && value.1 < 1e-4, "{value:?}");
    }
}

/// Noiseless labels of 3 models in 2 clusters whose parts are -0.1 and 0.1 for all of them.
#[test]
fn what_is_common_is_found() {
    let model = |mean: f64| -> Vec<Labelled> {
        (0..200).map(|at| (at % 2, mean + if at % 2 == 0 { -0.1 } else { 0.1 })).collect()
    };
    let models: Vec<_> = [0.3, 0.5, 0.7].into_iter().map(model).collect();
    let effects = Effects::learn(&models, &[100.0, 100.0], 0.25);
    assert!((effects.mean - 0.5).abs() < 1e-9);
    // Nearly: a sixth of what sets clusters apart is taken to be the models' own.
    assert!(effects.clusters[1] > 0.09 && effects.clusters[1] < 0.1, "{effects:?}");
    assert!(effects.clusters[0] < -0.09 && effects.clusters[0] > -0.1, "{effects:?}");
}

/// One model: half of it.
#[test]
fn of_one_model_half_is_its_own() {
    let labels: Vec<Labelled> =
        (0..2_000).map(|at| (at % 2, if at % 2 == 0 { 0.3 } else { 0.7 })).collect();
    let effects = Effects::learn(&[labels], &[1_000.0, 1_000.0], 0.25);
    assert!((effects.clusters[1] - 0.1).abs() < 0.01, "{effects:?}");
    // Of clusters drawn at random these two have a variance of 0.08; what is not known of `d`
    // is half of the shared half.
    assert!((effects.apart[1] - 0.06).abs() < 0.005, "{effects:?}");
}

/// Gaps that follow the clusters do not pass for a difference between models: the second is
/// only known where prompts are hard.
#[test]
fn gaps_are_not_differences() {
    let label = |at: usize, mean: f64| (at % 2, mean + [-0.2, 0.2][at % 2]);
    let all = (0..100).map(|at| label(at, 0.6)).collect();
    let hard = (0..100).step_by(2).map(|at| label(at, 0.6)).collect();
    let (means, parts) =
        additive(&[all, hard].map(|labels: Vec<Labelled>| Cells::new(2, &labels)), &[50.0, 50.0]);
    assert!((means[0] - means[1]).abs() < 0.01, "{means:?}");
    assert!((parts[1] - parts[0] - 0.4).abs() < 0.01, "{parts:?}");
}

#[test]
fn nothing_to_learn_from_is_the_prior() {
    let effects = Effects::learn(&[], &[3.0, 4.0], 0.25);
    assert!(
        effects.know(&[], 0.5).iter().all(|value| (value.0 - 0.5).abs() < 1e-12 && value.1 >= 0.25)
    );
}
