use super::*;

fn gram(labels: &[([f64; 2], f64)]) -> Gram {
    let mut gram = Gram::new(2);
    for (features, label) in labels {
        gram.add(features, *label);
    }
    gram
}

/// One feature, 1; labels 0 and 1 and a prior of mean 0.2, variance 1/8: the noise is first
/// `(1/2 + 1/4) / 2 = 3/8`, so the mean is `(1 / (3/8) + 0.2 * 8) / (2 / (3/8) + 8) = 0.32`, and the
/// next noise `(2 * 0.32^2 - 2 * 0.32 + 1 + 1/4) / 2`.
#[test]
fn a_posterior_by_hand() {
    let prior = Prior::new(vec![0.2], Mat::from_fn(1, 1, |_, _| 0.125), 0.25);
    let mut gram = Gram::new(1);
    gram.add(&[1.0], 0.0);
    gram.add(&[1.0], 1.0);
    let mut noise = 0.375;
    let mut expected = (0.0, 0.0);
    for _ in 0..3 {
        let precision = 2.0 / noise + 8.0;
        let mean: f64 = (1.0 / noise + 1.6) / precision;
        expected = (mean, 1.0 / precision);
        noise = (2.0 * mean * mean - 2.0 * mean + 1.0 + 0.25) / 2.0;
    }
    let got = prior.posterior(&gram, &[0.2]);
    assert!((got.mean[0] - expected.0).abs() < 1e-12, "{got:?}, not {expected:?}");
    assert!((got.covariance[(0, 0)] - expected.1).abs() < 1e-12, "{got:?}, not {expected:?}");
}

#[test]
fn without_labels_it_is_the_prior() {
    let prior = Prior::learn(&[], 2, 0.25);
    let got = prior.posterior(&Gram::new(2), &[0.3, 0.1]);
    assert_eq!(got.mean, [0.3, 0.1]);
    assert_eq!(got.covariance, prior.gaussian.covariance);
}

/// Many models with coefficients drawn from a normal distribution, many labels each: its mean and
/// covariance are found, and with them a model's coefficients from a few labels are nearer to the
/// truth than without.
#[test]
fn the_prior_is_found() {
    use tollgate_core::{Purpose, Seed};
    let mut rng = Seed(5).stream(Purpose::Synthesis, 0);
    let mut draw = |n: usize| {
        let shared = rng.normal();
        let truth = [0.6 + 0.1 * shared, 1.0 + 0.4 * shared + 0.3 * rng.normal()];
        let labels: Vec<([f64; 2], f64)> = (0..n)
            .map(|_| {
                let z = 0.2 * rng.normal();
                ([1.0, z], truth[0] + truth[1] * z + 0.3 * rng.normal())
            })
            .collect();
        (truth, gram(&labels))
    };
    let grams: Vec<Gram> = (0..400).map(|_| draw(400).1).collect();
    let prior = Prior::learn(&grams, 2, 0.25);
    let Gaussian { mean, covariance } = &prior.gaussian;
    assert!((mean[0] - 0.6).abs() < 0.02 && (mean[1] - 1.0).abs() < 0.08, "{mean:?}");
    for ((a, b), expected) in [((0, 0), 0.01), ((0, 1), 0.04), ((1, 1), 0.25)] {
        let got = covariance[(a, b)];
        assert!((got - expected).abs() < 0.2 * expected + 0.005, "{got} for {expected}");
    }
    let (mut with, mut without) = (0.0, 0.0);
    for _ in 0..200 {
        let (truth, gram) = draw(20);
        let near = prior.posterior(&gram, &prior.gaussian.mean).mean[1];
        let flat =
            Prior::new(vec![0.0; 2], Mat::from_fn(2, 2, |a, b| f64::from(a == b) * 1e6), 0.25);
        with += (near - truth[1]).powi(2) / 200.0;
        without += (flat.posterior(&gram, &[0.0; 2]).mean[1] - truth[1]).powi(2) / 200.0;
    }
    // The noise alone has a variance of 0.3^2 / (20 * 0.2^2) = 0.11.
    assert!(with < 0.06 && without > 0.1, "{with} with the prior, {without} without");
}

/// Features 1 and x, labels of a line: `y = 1 + 2 x` at 0, 1 and 2.
#[test]
fn centered_sums_by_hand() {
    let gram = gram(&[([1.0, 0.0], 1.0), ([1.0, 1.0], 3.0), ([1.0, 2.0], 5.0)]);
    let got = [
        gram.centered_product(1, 1),
        gram.centered_moment(1),
        gram.level(&[2.0]),
        gram.level(&[0.0]),
        Gram::new(2).level(&[1.0]),
    ];
    assert_eq!(got.map(f64::to_bits), [2.0_f64, 4.0, 1.0, 3.0, 0.0].map(f64::to_bits));
}
