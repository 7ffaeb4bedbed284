use tollgate_core::{Budgets, Row, Scope};

use super::*;
use crate::dual_price::sample;

/// Three identical queries of score .5 and cost 1 on either of two models, and a better one;
/// at a price of .5 the three tie with declining. The answer sends one to each model and half
/// of the third to the second: shares 1/3, 1/2 and 1/6. The better one ties between the models
/// alone: it went to the first, and each model took part in four ties, declining in three.
#[test]
fn shares_worked_by_hand() {
    let budgets = Budgets::new(vec![Row::at_most(Meter::Cost, Scope::all(), 3.5)], 2, 1).unwrap();
    let quality = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.9, 0.9];
    let problem = sample::problem(&budgets, quality.into(), [1.0; 8].into(), None).unwrap();
    let problem = problem.with_rows(budgets.rows().to_vec()).unwrap();
    let primal =
        Primal::from_queries(vec![vec![(0, 1.0)], vec![(1, 1.0)], vec![(1, 0.5)], vec![(0, 1.0)]]);
    let got = shares(&problem, &[0.5], &primal);
    let expected = [2.0 / 4.0, 1.5 / 4.0, 0.5 / 3.0];
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-12, "{got} and {expected}");
    }
    // At another price nothing ties with declining, and everything between the models.
    let got = shares(&problem, &[0.25], &primal);
    assert!((got[2] - 1.0).abs() < 1e-12, "no tie to learn from: {got:?}");
}
