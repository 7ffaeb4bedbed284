use super::*;
use crate::testing::{Left, arrival, rank};

fn picks(index: u64, left: &Left) -> (Vec<usize>, bool) {
    let arrival = arrival(index, &[0.1, 0.9, 0.5, 0.5], &[1.0; 4]);
    let (entries, unaffordable) = rank(&RoundRobin, &arrival, &Prices::unset(), left);
    (entries.into_iter().map(|(model, _)| model).collect(), unaffordable)
}

#[test]
fn in_turn_by_index() {
    let left = Left::per_model(&[9.0; 4]);
    assert_eq!(picks(0, &left), (vec![0, 1, 2], false));
    assert_eq!(picks(3, &left), (vec![3, 0, 1], false));
    assert_eq!(picks(4, &left), picks(0, &left));
    assert_eq!(picks(u64::MAX, &left), picks(3, &left), "2^64 - 1 is 3 mod 4");
}

#[test]
fn who_cannot_be_paid_is_passed_over() {
    let mut left = Left::per_model(&[9.0, 0.5, 0.5, 1.0]);
    // What estimates say is left is not what it looks at.
    left.remaining_estimated = vec![0.0; 4];
    assert_eq!(picks(1, &left), (vec![3, 0], false));
    assert_eq!(picks(2, &left), (vec![3, 0], false), "no turn is made up for");
    left.remaining = vec![0.0; 4];
    assert_eq!(picks(1, &left), (vec![], true));
}

#[test]
fn it_says_so() {
    let arrival = arrival(0, &[0.1], &[1.0]);
    assert_eq!(RoundRobin.explain(&arrival, &Prices::unset(), 0).to_string(), "its turn = 0\n");
}

#[test]
fn conforms() {
    tollgate_testkit::policy_conformance::check_falling_back(&RoundRobin);
}
