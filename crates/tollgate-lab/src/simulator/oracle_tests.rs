//! Waiting times against the formulas of queueing theory, which share no code with the events.

use std::sync::Arc;

use tollgate::core::{Models, Purpose, Seed};
use tollgate::policies::{Greedy, GreedyBy};

use super::*;

/// One model: `slots`, all the room there is, arrivals at `rate`, and answers that take a
/// second on average: exactly, or exponential.
fn waits(rate: f64, slots: u32, exponential: bool, n: usize, seed: u64) -> Vec<f64> {
    let seed = Seed(seed);
    let mut rng = seed.stream(Purpose::Synthesis, 0);
    let length = |_| if exponential { rng.exponential() } else { 1.0 };
    let real: Arc<[f64]> = (0..n).map(length).collect();
    let lengths = Lengths::new(real, vec![1.0; n].into()).unwrap();
    let models = Models::new(["a"]).unwrap();
    let (zeros, budgets) = (vec![0.0; n].into(), Budgets::pooled(1.0, 1).unwrap());
    let stream = Stream::new(models, Arc::clone(&zeros), zeros, budgets, seed).unwrap();
    let arrivals = ArrivalsConfig::Poisson { rate }.build().unwrap();
    let stream = &stream.with_times(arrivals.times(n, seed)).unwrap();
    let service = &ServiceConfig {
        speeds: vec![Speed { first_token: 0.0, tokens_per_second: 1.0 }],
        slots: vec![slots],
        overflow: Overflow::Queue { limit: 1_000_000 },
    }
    .build()
    .unwrap();
    let estimates = &EstimateTable::zeros(n, 1);
    let lengths = &lengths;
    let of = Simulation { stream, service, lengths, estimates, history: None, must_serve: true };
    let got = of.run(&Greedy::new(GreedyBy::Quality)).unwrap();
    obeys_little(&got);
    let wait = |fate: &Fate| match fate {
        Fate::Answered(answer) => answer.wait(),
        other => panic!("there is room for all: {other:?}"),
    };
    got.fates.iter().map(wait).collect()
}

/// `L = l W`, from the events alone: the number in the system over time is the sum of the times
/// that answers spent in it.
pub(super) fn obeys_little(got: &Simulated) {
    let (mut area, mut inside, mut last) = (0.0, 0.0, 0.0);
    // A query that begins at once comes in when it begins.
    let mut queued = std::collections::BTreeSet::new();
    for event in &got.events {
        area += inside * (event.time - last);
        last = event.time;
        match event.what {
            What::Queued(_) => {
                queued.insert(event.arrival);
                inside += 1.0;
            }
            What::Started(_) if !queued.contains(&event.arrival) => inside += 1.0,
            What::Answered(_) => inside -= 1.0,
            _ => {}
        }
    }
    let metrics = &got.metrics;
    let total = metrics.latency.mean * metrics.answered as f64;
    assert!((area - total).abs() <= 1e-9 * (1.0 + total), "{area} and {total}");
    let product = metrics.mean_in_system * metrics.duration;
    assert!((product - total).abs() <= 1e-9 * (1.0 + total), "{product} and {total}");
}

/// The mean of the waits is within four of its standard errors of the formula, which are
/// measured on 40 stretches of the run, the first one (which begins empty) left out.
fn agrees(what: &str, waits: &[f64], expected: f64) {
    let stretch = waits.len() / 41;
    let means: Vec<f64> = waits[stretch..]
        .chunks_exact(stretch)
        .map(|waits| waits.iter().sum::<f64>() / stretch as f64)
        .collect();
    let n = means.len() as f64;
    let mean = means.iter().sum::<f64>() / n;
    let variance = means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let error = (variance / n).sqrt();
    println!("{what}: waits {mean:.4} +- {error:.4} s, in theory {expected:.4} s");
    assert!((mean - expected).abs() < 4.0 * error, "{what}: {mean} +- {error}, not {expected}");
    // A test with a wide error would pass whatever comes out.
    assert!(error < 0.025 * expected, "{what}: {error} of {expected} is no measurement");
}

/// `l / (1 - l)` seconds where answers take one.
#[test]
fn m_m_1_waits_as_long_as_its_formula() {
    for (rate, seed) in [(0.3, 1), (0.6, 2), (0.8, 3)] {
        let waits = waits(rate, 1, true, 1_000_000, seed);
        agrees(&format!("M/M/1, rate {rate}"), &waits, rate / (1.0 - rate));
    }
}

/// The share that waits is Erlang's C (1917), and those wait `1 / (c - l)` seconds.
#[test]
fn m_m_c_waits_as_long_as_its_formula() {
    for (rate, slots, seed) in [(1.4, 2, 4), (3.2, 4, 5), (8.5, 10, 6)] {
        let (mut blocked, c) = (1.0, f64::from(slots));
        // Erlang's B by its recursion, then C.
        for k in 1..=slots {
            blocked = rate * blocked / (f64::from(k) + rate * blocked);
        }
        let load = rate / c;
        let waiting = blocked / (1.0 - load * (1.0 - blocked));
        let waits = waits(rate, slots, true, 1_000_000, seed);
        agrees(&format!("M/M/{slots}, rate {rate}"), &waits, waiting / (c - rate));
        let share = waits.iter().filter(|wait| **wait > 0.0).count() as f64 / waits.len() as f64;
        assert!((share / waiting - 1.0).abs() < 0.02, "{share} wait, in theory {waiting}");
    }
}

/// Pollaczek and Khinchine: half of what M/M/1 waits, since answers do not vary.
#[test]
fn m_d_1_waits_half_as_long() {
    for (rate, seed) in [(0.5, 7), (0.8, 8)] {
        let waits = waits(rate, 1, false, 1_000_000, seed);
        agrees(&format!("M/D/1, rate {rate}"), &waits, rate / (2.0 * (1.0 - rate)));
    }
}
