use tollgate_core::Horizon;

use super::*;
use crate::testing::{Left, arrival, models, rank};
use crate::{Fixed, Greedy, GreedyBy};

fn scripted(picks: &[Option<usize>]) -> Scripted {
    Scripted::new(picks, Arc::new(Greedy::new(GreedyBy::Quality)))
}

#[test]
fn the_script_then_the_policy() {
    let policy = scripted(&[Some(2), None, Some(0)]);
    let left = Left::per_model(&[0.0; 3]);
    let picks = |index| {
        let arrival = arrival(index, &[0.25, 0.75, 0.5], &[1.0; 3]);
        rank(&policy, &arrival, &Prices::unset(), &left)
    };
    assert_eq!(picks(0), (vec![(2, 0.0)], false));
    assert_eq!(picks(1), (vec![], false), "declined, whatever is left");
    assert_eq!(picks(2), (vec![(0, 0.0)], false));
    assert_eq!(picks(3), (vec![(1, 0.75)], false));
    assert_eq!(picks(u64::MAX), (vec![(1, 0.75)], false));
    assert_eq!(policy.name(), "scripted(3, then greedy-perf)");
}

#[test]
fn it_says_who_decided() {
    let policy = scripted(&[Some(1)]);
    let explain = |index| {
        let arrival = arrival(index, &[0.25, 0.75], &[1.0; 2]);
        policy.explain(&arrival, &Prices::unset(), 1).to_string()
    };
    assert_eq!(explain(0), "scripted = 0\n");
    assert_eq!(explain(1), "quality = 0.75\n");
}

#[test]
fn refusals() {
    let left = Left::per_model(&[1.0; 2]);
    let models = models(2);
    let setup = left.setup(&models, Horizon::Unknown);
    assert!(scripted(&[Some(1), None]).pricer(&setup).unwrap().is_none());
    let error = scripted(&[Some(1), Some(2)]).pricer(&setup).unwrap_err();
    insta::assert_snapshot!(error, @"policy `scripted(2, then greedy-perf)` needs a script of models that are there");
}

#[test]
fn what_comes_after_is_adapted() {
    let left = Left::per_model(&[1.0; 2]);
    let models = models(2);
    let policy = Scripted::new([Some(0)], Arc::new(Fixed::model("m1")));
    let policy = policy.adapt(&left.setup(&models, None)).unwrap().unwrap();
    let pick = |index| {
        rank(&*policy, &arrival(index, &[0.75, 0.25], &[1.0; 2]), &Prices::unset(), &left).0
    };
    assert_eq!([pick(0), pick(1)], [[(0, 0.0)], [(1, 0.25)]]);
    let nothing_to_learn = scripted(&[None]).adapt(&left.setup(&models, None)).unwrap();
    assert!(nothing_to_learn.is_none());
}

#[test]
fn conforms() {
    let picks: Vec<Option<usize>> = (0..10).map(|t| (t % 3 != 0).then_some(0)).collect();
    tollgate_testkit::policy_conformance::check(&scripted(&picks));
}
