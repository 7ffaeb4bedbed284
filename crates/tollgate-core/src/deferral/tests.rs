use proptest::prelude::*;

use super::*;

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} and {b}");
}

/// Two queries, models at 1, 2 and 4 USD. The first is thought to be worth 0.2, 0.5 and 0.9:
/// from the third to the second at a price of 0.2, to the first at 0.3. The second is worth
/// 0.6, 0.5 and 0.8: from the third straight to the first at 0.2 / 3.
#[test]
fn corners_by_hand() {
    let expected = [0.2, 0.5, 0.9, 0.6, 0.5, 0.8];
    let cost = [1.0, 2.0, 4.0, 1.0, 2.0, 4.0];
    let quality = [0.0, 1.0, 1.0, 1.0, 0.0, 1.0];
    let curve = DeferralCurve::new(3, [&expected, &cost], [&quality, &cost]);
    let got: Vec<[f64; 3]> = curve.points().iter().map(|p| [p.price, p.cost, p.quality]).collect();
    let want = [[0.0, 4.0, 1.0], [0.2 / 3.0, 2.5, 1.0], [0.2, 1.5, 1.0], [0.3, 1.0, 0.5]];
    assert_eq!(got.len(), want.len(), "{got:?}");
    got.iter().flatten().zip(want.iter().flatten()).for_each(|(a, b)| close(*a, *b));
    // Better than every cheaper one: (1, 0.5) and (1.5, 1).
    assert_eq!(curve.frontier().len(), 2);
    close(curve.quality_at(0.5), 0.5);
    close(curve.quality_at(1.25), 0.75);
    close(curve.quality_at(3.0), 1.0);
    // (1 * 0.5 + 0.5 * 0.75 + 2.5 * 1) / 4.
    close(curve.area(4.0), 3.375 / 4.0);
    close(curve.area(1.25), (0.5 + 0.25 * 0.625) / 1.25);
    close(curve.peak(), 1.0);
    close(curve.cost_of(0.75).unwrap(), 1.25);
    close(curve.cost_of(0.1).unwrap(), 1.0);
    assert_eq!(curve.cost_of(1.1), None);
}

#[test]
fn ties_go_to_the_cheaper_and_then_to_the_first() {
    let tables = |quality: &[f64], cost: &[f64]| {
        let real: Vec<f64> = (0..quality.len()).map(|model| model as f64).collect();
        DeferralCurve::new(quality.len(), [quality, cost], [&real, cost]).points()[0].quality
    };
    close(tables(&[0.5, 0.5, 0.5], &[3.0, 1.0, 1.0]), 1.0);
    close(tables(&[0.5, 0.5], &[1.0, 1.0]), 0.0);
}

/// A query without its dearest model goes as if there were none, whatever stands in its place.
#[test]
fn an_option_that_is_not_there_is_never_picked() {
    let gap = f64::NAN;
    let with = DeferralCurve::new(
        3,
        [&[0.2, gap, 0.9, gap, 0.4, 0.6], &[1.0, 0.0, 4.0, gap, 1.0, 2.0]],
        [&[0.5, gap, 1.0, gap, 0.0, 0.5], &[1.0, gap, 4.0, gap, 1.0, 2.0]],
    );
    let without = DeferralCurve::new(
        2,
        [&[0.2, 0.9, 0.4, 0.6], &[1.0, 4.0, 1.0, 2.0]],
        [&[0.5, 1.0, 0.0, 0.5], &[1.0, 4.0, 1.0, 2.0]],
    );
    assert_eq!(with, without);
}

#[test]
#[should_panic(expected = "query 1 has no option")]
fn a_query_without_options_is_refused() {
    let quality = [0.5, f64::NAN];
    DeferralCurve::new(1, [&quality, &[1.0, 1.0]], [&quality, &[1.0, 1.0]]);
}

#[test]
fn one_free_model_is_a_point() {
    let curve = DeferralCurve::new(1, [&[0.5], &[0.0]], [&[0.25], &[0.0]]);
    close(curve.area(0.0), 0.25);
    close(curve.area(1.0), 0.25);
    assert_eq!(curve.points().len(), 1);
}

proptest! {
    /// At any price that is not a corner the curve is where routing every query by (1),
    /// written the plain way, leads to.
    #[test]
    fn equals_routing_at_every_price(
        cells in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64), 4..40),
        n_models in 1_usize..4,
        price in 0.0..5.0_f64,
    ) {
        let n = cells.len() / n_models;
        let column = |of: fn(&(f64, f64, f64)) -> f64| -> Vec<f64> {
            cells[..n * n_models].iter().map(of).collect()
        };
        let (expected, cost, quality) = (column(|c| c.0), column(|c| c.1), column(|c| c.2));
        let curve = DeferralCurve::new(n_models, [&expected, &cost], [&quality, &cost]);
        let (mut at, mut worth) = (0.0, 0.0);
        for query in 0..n {
            let score = |model: usize| {
                let option = query * n_models + model;
                expected[option] - price * cost[option]
            };
            let best = (0..n_models).max_by(|&a, &b| score(a).total_cmp(&score(b))).unwrap();
            at += cost[query * n_models + best] / n as f64;
            worth += quality[query * n_models + best] / n as f64;
        }
        let point = curve.points().iter().rev().find(|point| point.price <= price).unwrap();
        prop_assert!((point.cost - at).abs() < 1e-9, "{} and {at}", point.cost);
        prop_assert!((point.quality - worth).abs() < 1e-9, "{} and {worth}", point.quality);
    }

    /// The area is the mean of the curve, and grows with every point of it.
    #[test]
    fn area_is_the_mean(
        points in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 1..12),
        more in (0.0..1.0_f64, 0.0..1.0_f64),
    ) {
        let point = |&(cost, quality): &(f64, f64)| CurvePoint { price: 0.0, cost, quality };
        let curve = DeferralCurve::from_points(points.iter().map(point).collect());
        let steps = 20_000;
        let mean = (0..steps).map(|k| curve.quality_at((f64::from(k) + 0.5) / f64::from(steps)))
            .sum::<f64>() / f64::from(steps);
        prop_assert!((curve.area(1.0) - mean).abs() < 1e-3, "{} and {mean}", curve.area(1.0));
        let richer = DeferralCurve::from_points(
            points.iter().chain([&more]).map(point).collect(),
        );
        prop_assert!(richer.peak() >= curve.peak());
    }
}
