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

#[cfg(test)]
mod tests {
    use super::*;

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
