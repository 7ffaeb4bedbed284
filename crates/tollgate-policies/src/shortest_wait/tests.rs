use super::*;
use crate::testing::{Left, arrival, rank};

const COST: [f64; 3] = [0.5, 0.25, 0.75];

fn picks(latency: Option<&[f64]>, left: &Left) -> (Vec<(usize, f64)>, bool) {
    let arrival = Arrival { latency, ..arrival(0, &[0.1, 0.9, 0.5], &COST) };
    rank(&ShortestWait, &arrival, &Prices::unset(), left)
}

#[test]
fn the_soonest_answer_wins_and_ties_go_to_the_first() {
    let left = Left::per_model(&[9.0; 3]);
    let ranked = picks(Some(&[4.0, 3.0, 2.0]), &left);
    assert_eq!(ranked, (vec![(2, -2.0), (1, -3.0), (0, -4.0)], false));
    assert_eq!(picks(Some(&[2.0; 3]), &left).0, [(0, -2.0), (1, -2.0), (2, -2.0)]);
}

#[test]
fn without_a_measure_the_cheapest_is_taken_for_the_shortest() {
    let left = Left::per_model(&[9.0; 3]);
    assert_eq!(picks(None, &left).0, [(1, -0.25), (0, -0.5), (2, -0.75)]);
}

#[test]
fn who_cannot_be_paid_is_passed_over() {
    let left = Left::per_model(&[9.0, 0.125, 0.5]);
    assert_eq!(picks(Some(&[4.0, 3.0, 2.0]), &left), (vec![(0, -4.0)], false));
    assert_eq!(picks(None, &Left::per_model(&[0.0; 3])), (vec![], true));
}

#[test]
fn it_says_what_it_went_by() {
    let of = |latency| {
        let arrival = Arrival { latency, ..arrival(0, &[0.5; 3], &COST) };
        ShortestWait.explain(&arrival, &Prices::unset(), 1).to_string()
    };
    insta::assert_snapshot!(of(Some(&[4.0, 3.0, 2.0])), @r"
    sooner is better = -3
      expected latency, s = 3
    ");
    insta::assert_snapshot!(of(None), @r"
    sooner is better = -0.25
      expected cost, USD = 0.25
    ");
}

#[test]
fn conforms() {
    tollgate_testkit::policy_conformance::check_falling_back(&ShortestWait);
}
