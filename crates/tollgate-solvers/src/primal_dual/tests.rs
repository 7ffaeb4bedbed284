use std::cell::RefCell;
use std::fmt::Write;

use tollgate_testkit::solver_conformance as conformance;

use super::*;
use crate::recovery::on_paper;

#[test]
fn conforms() {
    conformance::check_iterative(&PrimalDual::default(), 1e-6);
}

#[test]
fn on_paper() {
    on_paper::check(&PrimalDual::default(), 1e-6);
    on_paper::ends_on_huge_numbers(&PrimalDual::default());
}

/// Without the prices of the mixture.
#[test]
fn bare_steps_reach_their_gap() {
    let bare = PrimalDualConfig::default().polish(false).build().unwrap();
    on_paper::reaches(&bare, 1e-6);
}

/// Steps only, written down.
struct Probe(RefCell<String>);

impl Method for Probe {
    const NAME: &'static str = "probe";

    fn polish(&self) -> bool {
        false
    }

    fn descend(&self, recovery: &mut Recovery<'_, '_>, start: &[f64]) -> Halt {
        let mut iterate = Iterate::new(1.0, recovery, start);
        for _ in 0..6 {
            if let Err(halt) = iterate.step(recovery) {
                return halt;
            }
            let point = &iterate.current;
            let dear = |lane: usize| point.shares[1][lane];
            let line = format!("{:.5} {:.5} {:.5}", point.prices[0], dear(0), dear(1));
            writeln!(self.0.borrow_mut(), "{line}").unwrap();
        }
        Halt::Stalled
    }
}

/// Scaled price and shares of the dear model, on the budget of 3. Units: value 1.35, cost
/// 4, so the bound is 0.75 and `E` = 1/2; the first weight is `omega = 1 / sqrt(0.75^2 / 2)
/// = 1.88562`, and `tau = 0.53033`. From even shares and price 0, with two queries, query
/// 0 goes to `0.5 + 2 tau (0.5, 0.9) / 1.35 = (0.89284, 1.20711)`, less 0.54997 each. Query
/// 1 goes to `(0.97140, 1.04997)`, less 0.51069. They use 1.09821 after 1, so the price is
/// `omega / 2 (2 1.09821 - 1 - 0.75) = 0.42089`. The price of the optimum is 0.2 4 / 1.35 =
/// 0.59259, query 0 is split evenly there, and query 1 goes to the cheap model.
#[test]
fn a_trace() {
    let probe = Probe(RefCell::default());
    recovery::solve(&probe, &on_paper::budget(), &SolveOptions::default(), None).unwrap();
    insta::assert_snapshot!(probe.0.borrow(), @"
    0.42089 0.65713 0.53928
    0.59052 0.68168 0.50030
    0.77983 0.68213 0.40436
    0.84560 0.63039 0.22980
    0.64721 0.53385 0.00000
    0.64927 0.51907 0.00000
    ");
}

/// After each iteration, answers included: the price, the bound, the value.
#[test]
fn a_trace_of_the_whole() {
    let solver = PrimalDualConfig::default().polish(false).build().unwrap();
    insta::assert_snapshot!(on_paper::trace(&solver, &on_paper::budget(), 8), @"
    0: 0.00000 1.60000 0.80000
    1: 0.00000 1.60000 0.80000
    2: 0.14205 1.35795 1.12500
    3: 0.14205 1.35795 1.12500
    4: 0.14205 1.35795 1.12500
    5: 0.22295 1.32295 1.30000
    6: 0.22295 1.32295 1.30000
    7: 0.22295 1.32295 1.30000
    8: 0.22295 1.32295 1.30000
    ");
}

#[test]
fn refusals() {
    let refused = |config: PrimalDualConfig| config.build().unwrap_err().to_string();
    let config = PrimalDualConfig::default;
    insta::assert_snapshot!(refused(config().primal_weight(f64::NAN)), @"`primal_weight` must be finite and > 0, got NaN");
    insta::assert_snapshot!(refused(config().sufficient(1.0)), @"`sufficient` must be in (0, 1), got 1");
    insta::assert_snapshot!(refused(config().necessary(0.1)), @"`necessary` must be at least `sufficient` and below 1, got 0.1");
}
