use tollgate_core::Scope;

use super::super::tests::{close, history};
use super::*;
use crate::testing::Oracle;

fn at_most(queries: f64) -> Row {
    Row::at_most(Meter::One, Scope::model(1), queries)
}

/// From model 0 for everybody, with scores 1, 0, 0 and 1, to model 1, with 1, .5 and 0.
#[test]
fn from_the_least_cost_to_the_highest_expectation() {
    let steps = Rehearsal::new(history()).steps(&[], &*Oracle::priced(&[])).unwrap();
    let (first, last) = (steps[0], steps[steps.len() - 1]);
    close(first.cost, 1.0);
    close(first.expected, 0.5);
    close(first.mean, 0.5);
    close(first.deviation, (1.0_f64 / 3.0).sqrt());
    close(last.cost, 3.0);
    close(last.expected, 0.75);
    close(last.mean, 0.5);
    close(last.deviation, 0.5);
    // At a point of quality for 5 USD the first two are worth 2 USD more.
    assert!(steps.iter().any(|step| (step.cost - 2.0).abs() < 1e-12));
}

/// Model 1 takes two of the four: those that it is best on, of which one score is known.
#[test]
fn capacities_bound_what_can_be_had() {
    let steps = Rehearsal::new(history()).steps(&[at_most(2.0)], &*Oracle::priced(&[1.0])).unwrap();
    let last = steps[steps.len() - 1];
    close(last.cost, 2.0);
    close(last.expected, (0.9 + 0.8 + 0.5 + 0.5) / 4.0);
    close(last.mean, 2.0 / 3.0);
    assert!(steps.iter().all(|step| step.cost <= 2.0));
}

/// A row without a price at any quality changes nothing, to the bit.
#[test]
fn what_never_binds_is_as_if_it_were_not_there() {
    let rehearsal = Rehearsal::new(history());
    let free = rehearsal.steps(&[], &*Oracle::priced(&[])).unwrap();
    assert_eq!(rehearsal.steps(&[at_most(4.0)], &*Oracle::priced(&[0.0])).unwrap(), free);
}

/// Two options that share a prompt count by their shares.
#[test]
fn shares_weigh_scores() {
    let step = Rehearsal::new(history()).step(|query, _| match query {
        0 => vec![(0, 0.25), (1, 0.75)],
        _ => vec![(0, 1.0), (1, 0.0)],
    });
    close(step.cost, (0.25 + 2.25 + 3.0) / 4.0);
    close(step.expected, (0.125 + 0.675 + 1.5) / 4.0);
    close(step.mean, 2.0 / 4.0);
    close(step.deviation, (1.0_f64 / 3.0).sqrt());
}
