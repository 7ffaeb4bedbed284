use tollgate_core::{Purpose, Seed, StreamRng};

use super::*;

/// Scores are coins; what is expected is a tenth too high.
fn step(mean: f64, cost: f64) -> Step {
    let deviation = (mean * (1.0 - mean)).sqrt();
    Step { mean, expected: mean + 0.1, cost, deviation }
}

/// Each point of quality is dearer than the one before.
fn convex() -> Vec<Step> {
    [(0.5, 1.0), (0.6, 1.2), (0.7, 1.8), (0.75, 3.0), (0.78, 6.0), (0.8, 12.0)]
        .map(|(mean, cost)| step(mean, cost))
        .to_vec()
}

fn course(queries: f64, alpha: f64, risk: f64) -> Course {
    Course::new(&convex(), 1e9, queries, alpha, risk).unwrap()
}

/// .6 for 3 is more than halfway from .5 for 1 to .8 for 4 costs, .55 for 4 is worse than both.
#[test]
fn what_a_mixture_beats_is_left_out() {
    let steps = [step(0.55, 4.0), step(0.6, 3.0), step(0.8, 4.0), step(0.5, 1.0), step(0.4, 1.0)];
    assert_eq!(hull(&steps), [step(0.5, 1.0), step(0.8, 4.0)]);
    assert_eq!(hull(&convex()), convex());
}

#[test]
fn seven_points_have_the_moments_of_a_normal_distribution() {
    for (power, moment) in [(0, 1.0), (1, 0.0), (2, 1.0), (4, 3.0), (6, 15.0), (12, 10395.0)] {
        let sum: f64 = NORMAL.iter().map(|(node, weight)| weight * node.powi(power)).sum();
        assert!((sum / f64::max(moment, 1.0) - moment / f64::max(moment, 1.0)).abs() < 1e-9);
    }
}

/// phi(0) = .39894; a normal variable is above 1.644854 in 5 % of all cases.
#[test]
fn the_end_is_known_in_closed_form() {
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{a} and {b}");
    close(missed_by(0.0, 2.0)[0], 0.5);
    close(missed_by(0.0, 2.0)[1], 0.79788);
    close(missed_by(-1.644_854, 1.0)[0], 0.05);
    // Without a deviation there is nothing to chance.
    for (mean, expected) in [(3.0, [1.0, 3.0]), (-3.0, [0.0, 0.0])] {
        missed_by(mean, 0.0).into_iter().zip(expected).for_each(|(a, b)| close(a, b));
    }
}

/// What is aimed at is told as an expectation: a tenth above the mean.
#[test]
fn the_ends_of_what_can_be_had() {
    let course = course(1000.0, 0.7, 0.05);
    // Nothing more is needed.
    assert!((course.aim(100.0, 20.0) - 0.6).abs() < 1e-9);
    // Where 73 of 100 are needed, two standard deviations below the best: nearly all of it.
    assert!(course.aim(100.0, 73.0) > 0.84, "{}", course.aim(100.0, 73.0));
    // Nothing to choose, and no window.
    assert!(Course::new(&[step(0.5, 1.0), step(0.5, 2.0)], 1e9, 100.0, 0.4, 0.05).is_none());
    assert!(Course::new(&convex(), 1e9, 0.0, 0.4, 0.05).is_none());
    assert!(Course::new(&convex(), 1e9, f64::INFINITY, 0.4, 0.05).is_none());
}

/// A floor above what can be had is missed nearly always, and the best is aimed at.
#[test]
fn a_floor_out_of_reach() {
    let course = course(1000.0, 0.85, 0.05);
    assert!(course.risk > 0.99, "{}", course.risk);
    assert!((course.aim(1000.0, 850.0) - 0.9).abs() < 1e-9);
}

/// Windows of 1,000 coins: the share that ends below `alpha`, and the mean cost of one. Prices
/// between two steps are mixtures of both.
fn played(alpha: f64, mut aim: impl FnMut(f64, f64) -> f64) -> (f64, f64) {
    const WINDOWS: usize = 2000;
    let steps = convex();
    let (mut missed, mut cost) = (0, 0.0);
    for window in 0..WINDOWS {
        let mut rng: StreamRng = Seed(7).stream(Purpose::Arrivals, window as u64);
        let mut needed = 1000.0 * alpha;
        let mut wanted = 0.0;
        for query in 0..1000 {
            if query % 10 == 0 {
                wanted = aim(f64::from(1000 - query), needed);
            }
            let above = steps.iter().position(|step| step.expected >= wanted).unwrap_or(5).max(1);
            let (a, b) = (steps[above - 1], steps[above]);
            let share = ((wanted - a.expected) / (b.expected - a.expected)).clamp(0.0, 1.0);
            let step = if rng.uniform() < share { b } else { a };
            cost += step.cost;
            needed -= f64::from(u8::from(rng.uniform() < step.mean));
        }
        missed += usize::from(needed > 1e-9);
    }
    (missed as f64 / WINDOWS as f64, cost / WINDOWS as f64)
}

/// As many windows are missed as was said and no more than is allowed, and it is cheaper than to
/// hold a margin to the end, with which no fewer are missed.
#[test]
fn a_course_keeps_its_promise_for_less() {
    let z = 1.644_854;
    for alpha in [0.65, 0.72, 0.76] {
        let course = course(1000.0, alpha, 0.05);
        assert!(course.risk <= 0.05, "{}", course.risk);
        let (missed, cost) = played(alpha, |rest, needed| course.aim(rest, needed));
        assert!((missed - course.risk).abs() < 0.02, "{missed} and {}", course.risk);
        let (held, dearer) =
            played(alpha, |rest, needed| needed / rest + 0.1 + z * 0.44 / rest.max(1.0).sqrt());
        assert!(cost < dearer && missed < held + 0.04, "{cost}, {dearer}, {missed}, {held}");
    }
}
