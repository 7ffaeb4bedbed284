use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

use argmin::core::State;
use tollgate_testkit::solver_conformance as conformance;

use super::*;
use crate::recovery::on_paper;

#[test]
fn conforms() {
    conformance::check_iterative(&Subgradient::default(), 1e-3);
}

#[test]
fn conforms_with_diminishing_steps() {
    let solver = SubgradientConfig::default().schedule(Schedule::Diminishing).build().unwrap();
    conformance::check_iterative(&solver, 1e-3);
}

#[test]
fn on_paper() {
    on_paper::check(&Subgradient::default(), 1e-3);
    on_paper::ends_on_huge_numbers(&Subgradient::default());
}

/// Without the prices of the mixture.
#[test]
fn bare_steps_reach_their_gap() {
    let bare = SubgradientConfig::default().polish(false);
    on_paper::reaches(&bare.clone().build().unwrap(), 1e-4);
    on_paper::reaches(&bare.schedule(Schedule::Diminishing).build().unwrap(), 1e-2);
}

/// Writes a line an iteration: the price, its bound, and the best bound so far, in the
/// problem's units.
struct Recorder(Rc<RefCell<String>>);

impl Recorder {
    fn record(&self, state: &SubgradientState) {
        // The scaled units of the two-by-two: mean value 2.7 / 2, mean cost 8 / 2.
        let (unit, size) = (1.35, 4.0);
        let price = state.get_param().unwrap()[0] * unit / size;
        let (bound, best) = (state.get_cost() * unit, state.get_best_cost() * unit);
        writeln!(self.0.borrow_mut(), "{price:.5} {bound:.5} {best:.5}").unwrap();
    }
}

impl Observe<SubgradientState> for Recorder {
    fn observe_init(&mut self, name: &str, state: &SubgradientState, _: &KV) -> Result<(), Error> {
        assert_eq!(name, "subgradient");
        self.record(state);
        Ok(())
    }

    fn observe_iter(&mut self, state: &SubgradientState, kv: &KV) -> Result<(), Error> {
        assert!(kv.get("step").is_some());
        self.record(state);
        Ok(())
    }
}

/// Polyak's steps on the budget of 3, seen by an observer. At 0 `D` is 1.6 with slope -3,
/// and half of that assignment fits the budget, for 0.8. The target is half of 1.6 as
/// well, so the step is 0.8 / 9 and the price 0.8 / 3. There both go to the cheap model:
/// `D = 1.1 + p`, and the best mixture, a quarter of the first assignment and the rest of
/// this one, is worth 1.225. That is above the target, so the step is to where `1.1 + p`
/// would be 1.225. There query 0 goes to the dear model, `D = 1.5 - p`, and half of either
/// is worth 1.3. The step is to where `1.5 - p` would be 1.3, which it is.
#[test]
fn a_trace() {
    let lines = Rc::default();
    let solver = SubgradientConfig::default().average(false).polish(false).build().unwrap();
    let options = SolveOptions::default();
    let recorder = Recorder(Rc::clone(&lines));
    let solution = solver.solve_observed(&on_paper::budget(), &options, None, recorder).unwrap();
    assert_eq!(solution.status, tollgate_core::Status::Optimal);
    assert_eq!(solution.iterations, 4);
    insta::assert_snapshot!(lines.borrow(), @"
    0.00000 1.60000 1.60000
    0.26667 1.36667 1.36667
    0.12500 1.37500 1.36667
    0.20000 1.30000 1.30000
    ");
}

/// An observer that has seen enough.
struct Impatient;

impl Observe<SubgradientState> for Impatient {
    fn observe_iter(&mut self, _: &SubgradientState, _: &KV) -> Result<(), Error> {
        Err(Error::msg("enough"))
    }
}

#[test]
fn an_observer_can_end_it() {
    let problem = on_paper::budget();
    let options = SolveOptions::default();
    let solution =
        Subgradient::default().solve_observed(&problem, &options, None, Impatient).unwrap();
    conformance::keeps_its_word(&problem, &solution);
    assert!(solution.iterations <= 6, "{}", solution.iterations);
}

#[test]
fn refusals() {
    let refused = |config: SubgradientConfig| config.build().unwrap_err().to_string();
    let config = SubgradientConfig::default;
    insta::assert_snapshot!(refused(config().step(2.0)), @"`step` must be in (0, 2) for Polyak's steps, got 2");
    insta::assert_snapshot!(refused(config().step(f64::NAN)), @"`step` must be in (0, 2) for Polyak's steps, got NaN");
    let diminishing = config().schedule(Schedule::Diminishing);
    insta::assert_snapshot!(refused(diminishing.clone().step(0.0)), @"`step` must be finite and > 0, got 0");
    insta::assert_snapshot!(refused(diminishing.step(f64::INFINITY)), @"`step` must be finite and > 0, got inf");
}
