use tollgate_core::{Scope, Seed};
use tollgate_testkit::instances::{routing, split_budgets};

use super::*;
use crate::CuttingPlane;

const METERS: [Meter; 2] = [Meter::Quality, Meter::Cost];

fn window(n_models: usize) -> Window {
    let meters = vec![(Meter::Quality, 1.0), (Meter::Cost, 0.0)];
    Window::new(Arc::new(CuttingPlane::default()), Choice::AtMostOne, meters, n_models)
}

/// Query `query` of `problem` comes in.
fn push(window: &mut Window, problem: &Problem, query: usize) {
    let n = problem.n_models();
    let of = |meter: Meter| &problem.table(meter).unwrap()[query * n..(query + 1) * n];
    let readings = METERS.map(of);
    window.push(Incoming { readings: &readings, group: 0, weight: 1.0 }).unwrap();
}

/// What a solve from nothing gives.
fn fresh(window: &Window) -> Solution {
    let problem = window.problem().unwrap();
    CuttingPlane::default().solve(&problem, &SolveOptions::default(), None).unwrap()
}

fn agrees(window: &mut Window) -> [u64; 2] {
    let again = window.solve(&SolveOptions::default()).unwrap();
    let fresh = fresh(window);
    assert_eq!(again.status, fresh.status);
    let error = (again.primal_value - fresh.primal_value).abs();
    assert!(error <= 2e-9 * fresh.primal_value.abs(), "{error:e}");
    [again.passes, fresh.passes]
}

/// Steps of fifty queries in and out, with budgets that shrink and grow: always the
/// answer of a fresh solve, for fewer passes.
#[test]
fn slides() {
    let problem = routing(3000, 5, Seed(31));
    let rows = split_budgets(&routing(1500, 5, Seed(31)), 1.0);
    let mut window = window(5);
    (0..1500).for_each(|query| push(&mut window, &problem, query));
    window.set_rows(rows.clone());
    agrees(&mut window);
    let mut passes = [0, 0];
    for step in 0..20 {
        for query in 0..50 {
            push(&mut window, &problem, 1500 + 50 * step + query);
            assert!(window.pop());
        }
        let factor = if step % 3 == 0 { 0.98 } else { 1.01 };
        let changed =
            window.rows().iter().map(|row| Row { capacity: factor * row.capacity, ..row.clone() });
        window.set_rows(changed.collect());
        let [again, fresh] = agrees(&mut window);
        passes = [passes[0] + again, passes[1] + fresh];
    }
    assert!(2 * passes[0] < passes[1], "{passes:?}");
}

/// A model joins with a budget of its own, another leaves: rows and prices follow.
#[test]
fn models_come_and_go() {
    let problem = routing(1200, 6, Seed(37));
    let n = problem.n_models();
    let column = |meter: Meter, model: usize| -> Vec<f64> {
        problem.table(meter).unwrap().iter().skip(model).step_by(n).copied().collect()
    };
    let mut window = window(5);
    for query in 0..1200 {
        let of = |meter: Meter| &problem.table(meter).unwrap()[query * n..query * n + 5];
        let readings = METERS.map(of);
        window.push(Incoming { readings: &readings, group: 0, weight: 1.0 }).unwrap();
    }
    let rows = split_budgets(&problem, 1.0);
    window.set_rows(rows[..5].to_vec());
    agrees(&mut window);
    window.add_model(&METERS.map(|meter| column(meter, 5)).each_ref().map(Vec::as_slice)).unwrap();
    let before = window.prices.clone();
    window.set_rows(rows);
    assert_eq!(window.prices[..5], before);
    assert_eq!(window.prices[5], None);
    agrees(&mut window);
    let before = window.prices.clone();
    window.remove_model(2).unwrap();
    assert_eq!(window.rows()[2].scope, Scope::model(2), "what was model 3");
    assert_eq!(window.prices, [&before[..2], &before[3..]].concat());
    let table = window.problem().unwrap();
    assert_eq!(
        table.reading(Meter::Cost, 7, 2).to_bits(),
        problem.reading(Meter::Cost, 7, 3).to_bits()
    );
    agrees(&mut window);
}

#[test]
fn masks_follow_the_models() {
    let mask = |bits: &[bool]| ModelMask::Some(bits.into());
    assert_eq!(without(&mask(&[true, false, true]), 0), Some(mask(&[false, true])));
    assert_eq!(without(&mask(&[true, false]), 0), None);
    assert_eq!(without(&ModelMask::One(3), 1), Some(ModelMask::One(2)));
    assert_eq!(without(&ModelMask::One(0), 1), Some(ModelMask::One(0)));
}

#[test]
fn refusals() {
    let mut window = window(2);
    let one_meter = Incoming { readings: &[&[1.0, 2.0]], group: 0, weight: 1.0 };
    insta::assert_snapshot!(window.push(one_meter).unwrap_err(), @"meters of a query: 2 expected, got 1");
    let one_model = Incoming { readings: &[&[1.0], &[1.0]], group: 0, weight: 1.0 };
    insta::assert_snapshot!(window.push(one_model).unwrap_err(), @"models of a query: 2 expected, got 1");
    insta::assert_snapshot!(window.remove_model(2).unwrap_err(), @"there is no model 2; there are 2");
    insta::assert_snapshot!(window.add_model(&[&[1.0], &[1.0]]).unwrap_err(), @"queries of a model: 0 expected, got 1");
    assert!(!window.pop());
    let bad = Incoming { readings: &[&[1.0, f64::NAN], &[1.0, 1.0]], group: 0, weight: 1.0 };
    window.push(bad).unwrap();
    insta::assert_snapshot!(window.solve(&SolveOptions::default()).unwrap_err(), @"meter Quality of query 0, model 1 must be finite, got NaN");
}
