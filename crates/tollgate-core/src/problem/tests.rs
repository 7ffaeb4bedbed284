use proptest::prelude::*;

use super::*;
use crate::{ModelMask, Scope, Sense, dual_bound};

/// Two queries, two models; model 0 is good and dear, model 1 cheap.
///
/// ```text
/// quality  0.9 0.5     cost  2 1
///          0.8 0.7           2 1       one budget of 3 over both models
/// ```
///
/// Worked on paper: both on model 1 is worth 1.2 and costs 2; query 0 on model 0 and
/// query 1 on model 1 is worth 1.6 and costs 3: the optimum. At a price of 0.4 per unit
/// the net scores are `(0.1, 0.1), (0, 0.3)`, and the bound is `3 * 0.4 + 0.1 + 0.3 = 1.6`.
fn two_by_two() -> Problem {
    Problem::builder(2, 2, Choice::AtMostOne)
        .table(Meter::Quality, [0.9, 0.5, 0.8, 0.7].into())
        .table(Meter::Cost, [2.0, 1.0, 2.0, 1.0].into())
        .objective(Meter::Quality, 1.0)
        .rows([Row::at_most(Meter::Cost, Scope::all(), 3.0)])
        .build()
        .unwrap()
}

#[test]
fn the_bound_worked_by_hand_is_tight() {
    let problem = two_by_two();
    assert!((dual_bound(&problem, &[0.4]) - 1.6).abs() < 1e-12);
    // At a price of 0 every query takes its best: 0.9 + 0.8.
    assert!((dual_bound(&problem, &[0.0]) - 1.7).abs() < 1e-12);
    // A negative price proves nothing and is cut to 0.
    assert!((dual_bound(&problem, &[-5.0]) - 1.7).abs() < 1e-12);
}

#[test]
fn checking_an_answer() {
    let problem = two_by_two();
    let good: Primal = [Some(0), Some(1)].into_iter().collect();
    let check = problem.check(&good);
    assert!((check.value - 1.6).abs() < 1e-12);
    assert_eq!(check.used, [3.0]);
    assert_eq!(check.worst_row, None);

    let dear: Primal = [Some(0), Some(0)].into_iter().collect();
    let check = problem.check(&dear);
    assert_eq!((check.worst_row, check.violation), (Some(0), 1.0));

    let twice = Primal::from_queries([vec![(0, 0.75), (1, 0.5)], vec![]]);
    assert!((problem.check(&twice).choice_violation - 0.25).abs() < 1e-12);
}

#[test]
fn a_soft_row_is_paid_for() {
    let problem = two_by_two();
    let rows = vec![problem.rows()[0].clone().soft(0.05)];
    let problem = problem.with_rows(rows).unwrap();
    let dear: Primal = [Some(0), Some(0)].into_iter().collect();
    let check = problem.check(&dear);
    assert_eq!(check.worst_row, None);
    assert!((check.value - (1.7 - 0.05)).abs() < 1e-12);
    // Its price is capped, whatever is asked: 3 * 0.05 + 0.8 + 0.7.
    assert!((dual_bound(&problem, &[9.0]) - 1.65).abs() < 1e-12);
}

#[test]
fn a_floor_has_a_negative_toll() {
    // At least one query on model 0, at a price of 0.2: both options of model 0 gain 0.2.
    let problem = two_by_two();
    let floor = Row::at_least(Meter::One, Scope::model(0), 1.0);
    let problem = problem.with_rows(vec![floor]).unwrap();
    assert!((dual_bound(&problem, &[0.2]) - (-0.2 + 1.1 + 1.0)).abs() < 1e-12);
}

#[test]
fn rounding_takes_the_largest_share() {
    let primal = Primal::from_queries([vec![(0, 0.5), (1, 0.5)], vec![(1, 0.4)], vec![]]);
    assert_eq!(primal.round(), [Some(0), Some(1), None]);
    assert_eq!(primal.n_fractional(), 2);
}

#[test]
fn refusals() {
    let table = |cell: f64| -> Arc<[f64]> { [0.5, cell].into() };
    let start = || Problem::builder(1, 2, Choice::AtMostOne).objective(Meter::Quality, 1.0);
    let with = |row: Row| start().table(Meter::Quality, table(0.1)).rows([row]);
    let message = |builder: ProblemBuilder| builder.build().unwrap_err().to_string();

    insta::assert_snapshot!(
        message(Problem::builder(1, 0, Choice::AtMostOne)),
        @"the problem has no models"
    );
    insta::assert_snapshot!(message(start()), @"meter Quality is used but has no table");
    insta::assert_snapshot!(
        message(start().table(Meter::Quality, table(f64::NAN))),
        @"meter Quality of query 0, model 1 must be finite, got NaN"
    );
    insta::assert_snapshot!(
        message(start().table(Meter::Quality, [0.5].into())),
        @"a meter's table has 1 entries, expected 2"
    );
    insta::assert_snapshot!(
        message(start().table(Meter::Quality, table(0.1)).weights([-1.0].into())),
        @"the weight of query 0 must be finite and >= 0, got -1"
    );
    insta::assert_snapshot!(
        message(start().table(Meter::Quality, table(0.1)).weights([1.0, 1.0].into())),
        @"weights has 2 entries, expected 1"
    );
    insta::assert_snapshot!(
        message(start().table(Meter::Quality, table(0.1)).groups([0, 1].into())),
        @"groups has 2 entries, expected 1"
    );
    insta::assert_snapshot!(
        message(start().objective(Meter::Cost, f64::INFINITY).table(Meter::Quality, table(0.1))),
        @"the objective's weight of meter Cost must be finite, got inf"
    );
    insta::assert_snapshot!(
        message(with(Row::at_most(Meter::One, Scope::all(), f64::NAN))),
        @"the capacity of row 0 must be finite, and >= 0 in a budget, got NaN"
    );
    insta::assert_snapshot!(
        message(with(Row::at_most(Meter::One, Scope::all(), 1.0).soft(-1.0))),
        @"the penalty of row 0 must be finite and >= 0, got -1"
    );
    insta::assert_snapshot!(
        message(with(Row::at_most(Meter::One, Scope::model(2), 1.0))),
        @"row 0 is about model 2, there are 2"
    );
    insta::assert_snapshot!(
        message(with(Row::at_most(Meter::Cost, Scope::all(), 1.0))),
        @"meter Cost is used but has no table"
    );
}

prop_compose! {
    /// Any small problem, with a non-negative price for each of its rows.
    fn problem_and_prices()(n in 1_usize..6, m in 1_usize..4, k in 0_usize..5)(
        quality in prop::collection::vec(-1.0..1.0_f64, n * m),
        cost in prop::collection::vec(0.0..2.0_f64, n * m),
        groups in prop::collection::vec(0_u32..2, n),
        weights in prop::collection::vec(0.0..3.0_f64, n),
        rows in prop::collection::vec(
            (any::<bool>(), any::<bool>(), 0..m, prop::option::of(0_u32..2), -1.0..3.0_f64,
             prop::option::of(0.0..2.0_f64), any::<bool>()), k),
        prices in prop::collection::vec(0.0..4.0_f64, k),
        must in any::<bool>(),
        picks in prop::collection::vec(prop::option::of(0..m), n),
        n in Just(n), m in Just(m),
    ) -> (Problem, Vec<f64>, Vec<Option<u32>>) {
        let rows = rows.into_iter().map(|(cost, most, model, group, capacity, penalty, one)| Row {
            meter: if cost { Meter::Cost } else { Meter::One },
            scope: Scope { models: if one { ModelMask::One(model) } else { ModelMask::All }, group },
            sense: if most { Sense::AtMost } else { Sense::AtLeast },
            capacity,
            penalty,
        });
        let choice = if must { Choice::ExactlyOne } else { Choice::AtMostOne };
        let problem = Problem::builder(n, m, choice)
            .table(Meter::Quality, quality.into())
            .table(Meter::Cost, cost.into())
            .objective(Meter::Quality, 1.0)
            .groups(groups.into())
            .weights(weights.into())
            .rows(rows)
            .build()
            .unwrap();
        let picks = picks
            .into_iter()
            .map(|pick| pick.or(must.then_some(0)).map(|model| u32::try_from(model).unwrap()))
            .collect();
        (problem, prices, picks)
    }
}

proptest! {
    /// Weak duality: no feasible answer is worth more than the bound of any prices.
    #[test]
    fn the_bound_is_never_below_a_feasible_value((problem, prices, picks) in problem_and_prices()) {
        let check = problem.check(&picks.into_iter().collect());
        prop_assume!(check.worst_row.is_none() && check.choice_violation <= 0.0);
        let bound = dual_bound(&problem, &prices);
        prop_assert!(bound >= check.value - 1e-9, "bound {bound} below {}", check.value);
    }

    /// The bound is convex in the prices: a chord lies above its midpoint.
    #[test]
    fn the_bound_is_convex((problem, prices, _) in problem_and_prices(), shift in 0.0..2.0_f64) {
        let other: Vec<f64> = prices.iter().map(|p| (p - 1.0 + shift).max(0.0)).collect();
        let cap = |at: &[f64]| -> Vec<f64> {
            at.iter().zip(problem.rows())
                .map(|(p, row)| p.min(row.penalty.unwrap_or(f64::INFINITY))).collect()
        };
        let (prices, other) = (cap(&prices), cap(&other));
        let middle: Vec<f64> = prices.iter().zip(&other).map(|(a, b)| 0.5 * (a + b)).collect();
        let chord = 0.5 * (dual_bound(&problem, &prices) + dual_bound(&problem, &other));
        prop_assert!(dual_bound(&problem, &middle) <= chord + 1e-9);
    }
}
