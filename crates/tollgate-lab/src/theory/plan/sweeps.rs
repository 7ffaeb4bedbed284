//! One number at a time: arrivals, the share learned from, the capacity ratio, the noise.

use tollgate::core::{Purpose, Seed};

use super::Scale;
use crate::LabError;
use crate::theory::instance::table;
use crate::theory::lineup::{composed, one_shot};
use crate::theory::measure::shuffles;
use crate::theory::{Absent, Case, Instance, Line, TheoremRegime, lineup};

/// Policies that learn from arrivals alone: who the theorems of random order speak of.
const LEARNERS: [&str; 8] = [
    "one-shot",
    "geometric",
    "descent",
    "descent-entropic",
    "resolve",
    "hybrid",
    "history",
    "tollgate",
];

/// `1 - ratio` against the number of arrivals, for `n_models` models.
///
/// # Errors
/// [`LabError`] where a program can't be solved.
pub fn by_n(n_models: usize, scale: &Scale) -> Result<(Vec<Case>, Vec<Absent>), LabError> {
    let part = match n_models {
        2 => "n, M=2",
        5 => "n",
        _ => "n, M=11",
    };
    let mut missing = Vec::new();
    let mut cases = Vec::new();
    for &n in &scale.sizes {
        let (lines, absent) = lineup(&LEARNERS, n);
        missing = absent;
        let instance = TheoremRegime { n_models, ..TheoremRegime::of(n) }.instance();
        cases.push(shuffles(part, (format!("N={n}"), n as f64), instance, lines, &scale.orders)?);
    }
    Ok((cases, missing))
}

/// The shares that are tried, largest last.
const SHARES: [f64; 9] = [0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.6];

/// One-shot prices against the share learned from, at a quarter of the largest size and at
/// the largest.
///
/// # Errors
/// [`LabError`] where a program can't be solved.
pub fn by_eps(scale: &Scale) -> Result<Vec<Case>, LabError> {
    let last = scale.sizes.last().copied().unwrap_or(scale.n);
    let mut cases = Vec::new();
    for (part, n) in [("eps, small", last / 16), ("eps", last)] {
        for eps in SHARES {
            let composition = composed(&one_shot(eps))?;
            let lines = vec![Line { label: "one-shot", composition }];
            let instance = TheoremRegime::of(n).instance();
            let at = (format!("N={n} eps={eps}"), eps);
            cases.push(shuffles(part, at, instance, lines, &scale.orders)?);
        }
    }
    Ok(cases)
}

/// Against the capacity ratio: the same arrivals with dearer and dearer bids.
///
/// # Errors
/// [`LabError`] where a program can't be solved.
pub fn by_k(scale: &Scale) -> Result<(Vec<Case>, Vec<Absent>), LabError> {
    let (lines, absent) = lineup(&LEARNERS, scale.n);
    let mut cases = Vec::new();
    for doubling in 0..8 {
        let factor = f64::from(1 << doubling);
        let instance = TheoremRegime::of(scale.n).instance().coarser(factor);
        let k = instance.k();
        let at = (format!("k={k:.3}"), k);
        cases.push(shuffles("k", at, instance, lines.clone(), &scale.orders)?);
    }
    Ok((cases, absent))
}

/// Mean errors of an estimated score that are tried.
const NOISES: [f64; 6] = [0.0, 0.0125, 0.025, 0.05, 0.1, 0.2];

/// Against the error of estimates, at two sizes: scores are the truth plus a uniform draw
/// on `[-2 delta, 2 delta]`, whose mean size is `delta`.
///
/// # Errors
/// [`LabError`] where a program can't be solved.
pub fn by_noise(scale: &Scale) -> Result<(Vec<Case>, Vec<Absent>), LabError> {
    let largest = scale.sizes.last().copied().unwrap_or(scale.n).min(4_000);
    let mut missing = Vec::new();
    let mut cases = Vec::new();
    for (part, n) in [("noise, small", largest / 4), ("noise", largest)] {
        let (lines, absent) = lineup(&["one-shot", "descent", "resolve", "tollgate"], n);
        missing = absent;
        for delta in NOISES {
            let instance = noisy(&TheoremRegime::of(n).instance(), delta);
            let at = (format!("N={n} delta={delta}"), delta);
            cases.push(shuffles(part, at, instance, lines.clone(), &scale.orders)?);
        }
    }
    Ok((cases, missing))
}

/// Estimates of scores blurred by `delta`, those of the history as those of the traffic.
fn noisy(instance: &Instance, delta: f64) -> Instance {
    let n_models = instance.models.len();
    let blur = |quality: &[f64], stream: u64| -> Vec<f64> {
        let mut rng = Seed(6).stream(Purpose::Synthesis, stream);
        quality.iter().map(|score| score + 2.0 * delta * (2.0 * rng.uniform() - 1.0)).collect()
    };
    let (now, past) = (&instance.estimates, &instance.history);
    Instance {
        estimates: table(n_models, &blur(now.quality(), 0), now.cost()),
        history: table(n_models, &blur(past.quality(), 1), past.cost()),
        ..instance.clone()
    }
}
