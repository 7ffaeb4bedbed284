use tollgate_core::{Budgets, Hold, Meter, Row, Scope};

use super::*;
use crate::testing::{Left, arrival, rank};

/// Models of 4, 2 and 8 slots, and 10 USD for all.
fn slots(free: [f64; 3], usd: f64) -> Left {
    let own = |model, slots| Row::at_most(Meter::One, Scope::model(model), slots);
    let rows =
        vec![own(0, 4.0), own(1, 2.0), own(2, 8.0), Row::at_most(Meter::Cost, Scope::all(), 10.0)];
    let mut budgets = Budgets::new(rows, 3, 1).unwrap();
    for row in 0..3 {
        budgets = budgets.concurrent(row, Hold::default()).unwrap();
    }
    let mut left = Left::of(budgets);
    left.remaining = free.into_iter().chain([usd]).collect();
    left
}

fn picks(left: &Left) -> (Vec<(usize, f64)>, bool) {
    rank(&Balance, &arrival(0, &[0.1, 0.9, 0.5], &[1.0; 3]), &Prices::unset(), left)
}

/// One of 4, one of 2, two of 8.
#[test]
fn the_largest_free_share_wins_and_ties_go_to_the_first() {
    assert_eq!(picks(&slots([1.0, 1.0, 2.0], 9.0)).0, [(1, 0.5), (0, 0.25), (2, 0.25)]);
    assert_eq!(picks(&slots([4.0, 2.0, 8.0], 9.0)).0, [(0, 1.0), (1, 1.0), (2, 1.0)]);
    // The money of all is no room of its own, so that it does not hide who is busy.
    assert_eq!(picks(&slots([2.0, 2.0, 2.0], 1.0)).0, [(1, 1.0), (0, 0.5), (2, 0.25)]);
}

#[test]
fn who_is_full_or_cannot_be_paid_is_passed_over() {
    assert_eq!(picks(&slots([0.0, 1.0, 0.0], 9.0)), (vec![(1, 0.5)], false));
    assert_eq!(picks(&slots([0.0; 3], 9.0)), (vec![], true));
    assert_eq!(picks(&slots([4.0, 2.0, 8.0], 0.5)), (vec![], true));
}

#[test]
fn without_slots_budgets_are_the_room() {
    let mut left = Left::per_model(&[8.0, 4.0, 2.0]);
    left.remaining = vec![2.0, 2.0, 1.5];
    assert_eq!(picks(&left).0, [(2, 0.75), (1, 0.5), (0, 0.25)]);
    let mut nothing = Left::per_model(&[0.0, 4.0, 2.0]);
    nothing.remaining = vec![0.0, 1.0, 1.0];
    let free = rank(&Balance, &arrival(0, &[0.5; 3], &[0.0; 3]), &Prices::unset(), &nothing);
    assert_eq!(free.0, [(2, 0.5), (1, 0.25), (0, 0.0)]);
}

#[test]
fn it_says_so() {
    let arrival = arrival(0, &[0.1], &[1.0]);
    let explained = Balance.explain(&arrival, &Prices::unset(), 0);
    assert_eq!(explained.to_string(), "the room it had = 0\n");
}

#[test]
fn conforms() {
    tollgate_testkit::policy_conformance::check_falling_back(&Balance);
}
