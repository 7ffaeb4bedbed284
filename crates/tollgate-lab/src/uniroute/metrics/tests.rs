use proptest::prelude::*;

use super::*;

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} and {b}");
}

fn curve(points: &[(f64, f64)]) -> DeferralCurve {
    let point = |&(cost, quality): &(f64, f64)| CurvePoint { price: 0.0, cost, quality };
    DeferralCurve::from_points(points.iter().map(point).collect())
}

/// (1, 0.2), (2, 0.6), (3, 0.7), (4, 1.0): between 2 and 4 the hull passes above the third
/// point, at 0.8.
const FOUR: [(f64, f64); 4] = [(1.0, 0.2), (2.0, 0.6), (3.0, 0.7), (4.0, 1.0)];

#[test]
fn scores_by_hand() {
    let by = Yardstick { least: 1.0, most: 4.0, best: Some((0.65, 3.0)) };
    let scores = Scores::new(&curve(&FOUR), &by, None);
    // 0.2 up to 1, then 0.4, 0.65 and 0.85.
    close(scores.area, (0.2 + 0.4 + 0.65 + 0.85) / 4.0);
    close(scores.half_area, 0.3);
    // Half of the way from 0.6 to 0.7.
    assert!((scores.neutral_cost.unwrap() - 2.5 / 3.0).abs() < 1e-7);
    close(scores.peak, 1.0);
    close(scores.aiq, (0.4 + 0.7 + 0.9) / 3.0);
    assert_eq!(scores.recovery, None);
}

#[test]
fn who_never_gets_there_has_no_neutral_cost() {
    let by = |best| Yardstick { least: 1.0, most: 4.0, best };
    let neutral = |best| Scores::new(&curve(&FOUR), &by(best), None).neutral_cost;
    assert_eq!(neutral(Some((1.1, 4.0))), None);
    assert_eq!(neutral(None), None);
    // The best single model is a point of the curve: it costs what it costs.
    close((neutral(Some((1.0, 4.0))).unwrap() * 1e6).round() / 1e6, 1.0);
}

/// Three prompts that the strong model gains 1, 0 and 1 on, expected to gain 0.5, 0.9 and
/// 0.1. In that order the gap of 2 is recovered by 0, 1/2 and 1: the middle one first.
#[test]
fn recovery_by_hand() {
    let weak = [0.0, 1.0, 0.0];
    let strong = [1.0, 1.0, 1.0];
    let got = recovery([&[0.2, 0.0, 0.4], &[0.7, 0.9, 0.5]], [&weak, &strong]).unwrap();
    close(got.apgr, (0.0 + 0.25 + 0.75) / 3.0);
    close(got.cpt50, 2.0 / 3.0);
    close(got.cpt80, 2.0 / 3.0 + 0.6 / 3.0);
}

#[test]
fn equal_gains_are_drawn_and_a_weak_strong_model_recovers_nothing() {
    let (weak, strong) = ([0.0, 0.0, 1.0], [1.0, 1.0, 0.5]);
    let none = [0.5; 3];
    let got = recovery([&none, &none], [&weak, &strong]).unwrap();
    close(got.apgr, 0.5);
    close(got.cpt50, 0.5);
    close(got.cpt80, 0.8);
    assert_eq!(recovery([&none, &none], [&strong, &weak]), None);
    assert_eq!(recovery([&none, &none], [&weak, &weak]), None);
}

proptest! {
    /// The hull is nowhere below the curve and bends down only.
    #[test]
    fn the_hull_is_above(
        points in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 1..12),
        at in 0.0..1.0_f64,
    ) {
        let curve = curve(&points);
        let hull = upper_hull(curve.frontier());
        let slope = |pair: &[CurvePoint]| {
            (pair[1].quality - pair[0].quality) / (pair[1].cost - pair[0].cost)
        };
        let slopes: Vec<f64> = hull.windows(2).map(slope).collect();
        prop_assert!(slopes.windows(2).all(|pair| pair[1] <= pair[0] + 1e-9), "{slopes:?}");
        let hull = DeferralCurve::from_points(hull);
        prop_assert!(hull.quality_at(at) >= curve.quality_at(at) - 1e-9);
        prop_assert!(aiq(&curve, 0.0, 1.0) >= curve.area(1.0) - 1e-9);
    }

    /// What is known for certain can't be ordered better.
    #[test]
    fn nobody_recovers_more_than_the_oracle(
        prompts in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64), 1..20),
    ) {
        let column = |of: fn(&(f64, f64, f64)) -> f64| prompts.iter().map(of).collect::<Vec<f64>>();
        let (weak, strong, guess) = (column(|p| p.0), column(|p| p.1), column(|p| p.2));
        let zeros = vec![0.0; weak.len()];
        let oracle = recovery([&weak, &strong], [&weak, &strong]);
        let got = recovery([&zeros, &guess], [&weak, &strong]);
        prop_assert_eq!(oracle.is_some(), got.is_some());
        if let (Some(oracle), Some(got)) = (oracle, got) {
            prop_assert!(oracle.apgr >= got.apgr - 1e-9);
            prop_assert!(oracle.cpt50 <= got.cpt50 + 1e-9 && oracle.cpt80 <= got.cpt80 + 1e-9);
        }
    }
}
