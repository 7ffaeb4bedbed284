//! Means with their uncertainty.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean with the half-width of its 95 % confidence interval (Student, 1908).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Half the width of the interval; `None` where one value leaves it unknown.
    pub half_width: Option<f64>,
    /// How many values.
    pub n: usize,
}

/// The mean of some values; `None` where there are none.
#[expect(clippy::missing_panics_doc, reason = "two values have a degree of freedom")]
pub fn mean_interval(values: &[f64]) -> Option<Interval> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    if n == 1 {
        return Some(Interval { mean, half_width: None, n });
    }
    let degrees = (n - 1) as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / degrees;
    let student = StudentsT::new(0.0, 1.0, degrees).expect("at least one degree of freedom");
    let half_width = student.inverse_cdf(0.975) * (variance / n as f64).sqrt();
    Some(Interval { mean, half_width: Some(half_width), n })
}

/// The mean of `ours - theirs`, paired; `None` where there are no pairs.
///
/// # Panics
/// When the two have different lengths.
pub fn paired_difference(ours: &[f64], theirs: &[f64]) -> Option<Interval> {
    assert_eq!(ours.len(), theirs.len(), "a partner for each value");
    let differences: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a - b).collect();
    mean_interval(&differences)
}

/// A paired difference, and how likely one as far from 0 is by chance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PairedTest {
    /// The mean of `ours - theirs`.
    pub difference: Interval,
    /// The two-sided p-value of Student's paired test; `None` for a single pair. Where all
    /// differences are the same it is 0, and 1 where they all are 0.
    pub p: Option<f64>,
}

impl PairedTest {
    /// Whether the difference is above 0 at this level, two-sided.
    pub fn better_at(&self, level: f64) -> bool {
        self.difference.mean > 0.0 && self.p.is_some_and(|p| p < level)
    }
}

/// Student's paired test of `ours - theirs`; `None` where there are no pairs.
///
/// # Panics
/// When the two have different lengths.
pub fn paired_test(ours: &[f64], theirs: &[f64]) -> Option<PairedTest> {
    let difference = paired_difference(ours, theirs)?;
    let p = difference.half_width.map(|half_width| {
        let degrees = (difference.n - 1) as f64;
        let student = StudentsT::new(0.0, 1.0, degrees).expect("at least one degree of freedom");
        let error = half_width / student.inverse_cdf(0.975);
        if error > 0.0 {
            2.0 * student.sf((difference.mean / error).abs())
        } else if difference.mean == 0.0 {
            1.0
        } else {
            0.0
        }
    });
    Some(PairedTest { difference, p })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Differences 1, 2, 3: t = 2 / sqrt(1/3) = 3.4641 on two degrees of freedom, for which
    /// the two-sided p is 1 - t / sqrt(t^2 + 2) = 0.0741799.
    #[test]
    fn a_test_worked_by_hand() {
        let test = paired_test(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0]).unwrap();
        let t = 12.0_f64.sqrt();
        let p = 1.0 - t / (t * t + 2.0).sqrt();
        assert!((test.p.unwrap() - p).abs() < 1e-9, "{:?}", test.p);
        assert!(test.better_at(0.1) && !test.better_at(0.05));
        let worse = paired_test(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]).unwrap();
        assert!(!worse.better_at(0.1) && (worse.p.unwrap() - p).abs() < 1e-9);
    }

    #[test]
    fn differences_without_a_spread() {
        let p = |ours: &[f64], theirs: &[f64]| paired_test(ours, theirs).unwrap().p;
        assert_eq!(p(&[1.0, 2.0], &[1.0, 2.0]), Some(1.0));
        assert_eq!(p(&[2.0, 3.0], &[1.0, 2.0]), Some(0.0));
        assert_eq!(p(&[2.0], &[1.0]), None);
        assert_eq!(paired_test(&[], &[]), None);
    }

    /// 1, 2, 3: mean 2, standard error `sqrt(1/3)`, t(0.975; 2) = 4.302653 (any table).
    #[test]
    fn worked_by_hand() {
        let interval = mean_interval(&[1.0, 2.0, 3.0]).unwrap();
        assert!((interval.mean - 2.0).abs() < 1e-12);
        let expected = 4.302_652_729_7 * (1.0_f64 / 3.0).sqrt();
        assert!((interval.half_width.unwrap() - expected).abs() < 1e-7);
    }

    #[test]
    fn pairing_removes_what_is_shared() {
        let theirs = [10.0, 200.0, 3_000.0];
        let ours = theirs.map(|x| x + 1.0);
        let difference = paired_difference(&ours, &theirs).unwrap();
        assert!((difference.mean - 1.0).abs() < 1e-9);
        assert!(difference.half_width.unwrap() < 1e-9);
    }

    #[test]
    fn one_value_has_no_interval_and_none_no_mean() {
        assert_eq!(mean_interval(&[4.0]).unwrap().half_width, None);
        assert_eq!(mean_interval(&[]), None);
    }
}
