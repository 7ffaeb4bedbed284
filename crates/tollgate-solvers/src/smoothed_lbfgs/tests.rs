use std::cell::RefCell;
use std::fmt::Write;

use tollgate_testkit::solver_conformance as conformance;

use super::*;
use crate::recovery::on_paper;

#[test]
fn conforms() {
    conformance::check_iterative(&SmoothedLbfgs::default(), 1e-6);
}

#[test]
fn on_paper() {
    on_paper::check(&SmoothedLbfgs::default(), 1e-6);
    on_paper::ends_on_huge_numbers(&SmoothedLbfgs::default());
}

/// Without the prices of the mixture.
#[test]
fn bare_stages_reach_their_gap() {
    let bare = SmoothedLbfgsConfig::default().polish(false).build().unwrap();
    on_paper::reaches(&bare, 1e-5);
}

/// Stages only: temperature and price, in the problem's units.
struct Probe(RefCell<Vec<(f64, f64)>>);

impl Method for Probe {
    const NAME: &'static str = "probe";

    fn polish(&self) -> bool {
        false
    }

    fn descend(&self, recovery: &mut Recovery<'_, '_>, start: &[f64]) -> Halt {
        let solver = SmoothedLbfgs::default();
        let (mut prices, mut temperature) = (start.to_vec(), 0.4);
        for _ in 0..4 {
            match solver.stage(recovery, &prices, temperature) {
                Ok(found) => prices = found,
                Err(halt) => return halt,
            }
            // A mean value of 1.35 for two queries; 1.35 by a mean cost of 4.
            self.0.borrow_mut().push((temperature * 1.35 / 2.0, prices[0] * 1.35 / 4.0));
            temperature *= 0.25;
        }
        Halt::Stalled
    }
}

/// At its minimum (1) spends the budget of 3 exactly: usage is that of the softmax shares
/// of both queries, declining included, written out here. As it gets colder query 0, which
/// is indifferent at 0.2, is all that is left to decide.
#[test]
fn a_trace() {
    let probe = Probe(RefCell::default());
    let _ = recovery::solve(&probe, &on_paper::budget(), &SolveOptions::default(), None);
    let mut lines = String::new();
    for &(t, p) in &*probe.0.borrow() {
        let usage = |cheap: f64, dear: f64| {
            let (a, b) = (((cheap - p) / t).exp(), ((dear - 3.0 * p) / t).exp());
            (a + 3.0 * b) / (1.0 + a + b)
        };
        let spent = usage(0.5, 0.9) + usage(0.6, 0.7);
        assert!((spent - 3.0).abs() < 0.02, "{spent} at {t}");
        writeln!(lines, "{t:.5} {p:.5} {spent:.2}").unwrap();
    }
    insta::assert_snapshot!(lines, @"
    0.27000 0.19990 3.00
    0.06750 0.20056 3.00
    0.01688 0.20001 3.00
    0.00422 0.20000 3.00
    ");
}

/// (3) there and back, and its derivative by differences.
#[test]
fn a_change_of_variables() {
    for cap in [0.3, 2.0, f64::INFINITY] {
        for free in [0.1, 0.7, 1.3] {
            let (price, rate) = Smoothed::price(free, cap);
            let (above, _) = Smoothed::price(free + 1e-6, cap);
            assert!(((above - price) / 1e-6 - rate).abs() < 1e-5, "{free} {cap}");
            assert!((0.0..=cap).contains(&price));
        }
    }
}

#[test]
fn refusals() {
    let refused = |config: SmoothedLbfgsConfig| config.build().unwrap_err().to_string();
    let config = SmoothedLbfgsConfig::default;
    insta::assert_snapshot!(refused(config().temperature(f64::NAN)), @"`temperature` must be finite and > 0, got NaN");
    insta::assert_snapshot!(refused(config().cooling(1.0)), @"`cooling` must be in (0, 1), got 1");
    insta::assert_snapshot!(refused(config().iterations(0)), @"`iterations` must be at least 1, got 0");
}
