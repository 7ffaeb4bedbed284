//! Powers: the slope of a straight line through points on two logarithmic axes.
//!
//! # Problem
//! `1 - ratio ~ c x^p`: `p` by ordinary least squares of `ln(1 - ratio)` on `ln x`, with
//! Student's interval on `n - 2` degrees of freedom. The points are means over orders.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::LabError;

/// A fitted power.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Slope {
    /// The power.
    pub power: f64,
    /// Half the width of its 95 % interval.
    pub half_width: f64,
    /// The factor `c`.
    pub factor: f64,
    /// The share of the variance that the line explains.
    pub r2: f64,
    /// Points.
    pub n: usize,
}

/// The power through `(x, y)`, both above 0.
///
/// # Errors
/// [`LabError::Slope`] for fewer than three points, or one without a logarithm.
#[expect(clippy::missing_panics_doc, reason = "three points have a degree of freedom")]
pub fn power(points: &[(f64, f64)]) -> Result<Slope, LabError> {
    let n = points.len();
    let refuse = || LabError::Slope { points: n };
    if n < 3 || !points.iter().all(|(x, y)| *x > 0.0 && *y > 0.0) {
        return Err(refuse());
    }
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / n as f64;
    let (x_mean, y_mean) = (mean(&|p| p.0), mean(&|p| p.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        logs.iter().map(|(x, y)| of(x - x_mean, y - y_mean)).sum()
    };
    let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
    // Written so that NaN fails.
    if !(xx > 0.0 && yy.is_finite()) {
        return Err(refuse());
    }
    let power = xy / xx;
    let residual = (yy - power * xy).max(0.0);
    let degrees = (n - 2) as f64;
    let student = StudentsT::new(0.0, 1.0, degrees).expect("at least one degree of freedom");
    let half_width = student.inverse_cdf(0.975) * (residual / degrees / xx).sqrt();
    let r2 = if yy > 0.0 { 1.0 - residual / yy } else { 1.0 };
    Ok(Slope { power, half_width, factor: (y_mean - power * x_mean).exp(), r2, n })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_is_found_exactly() {
        let points = [1.0_f64, 2.0, 4.0, 8.0].map(|x| (x, 3.0 * x.powf(-0.5)));
        let slope = power(&points).unwrap();
        assert!((slope.power + 0.5).abs() < 1e-12 && (slope.factor - 3.0).abs() < 1e-12);
        assert!(slope.half_width < 1e-6 && (slope.r2 - 1.0).abs() < 1e-12);
    }

    /// In logarithms to base e: (0, 0), (1, 1), (2, 0). Slope 0, residual 2/3 on one degree
    /// of freedom, sum of squares 2, t(0.975; 1) = 12.7062: half-width 12.7062 / sqrt 3.
    #[test]
    fn an_interval_worked_by_hand() {
        let e = std::f64::consts::E;
        let slope = power(&[(1.0, 1.0), (e, e), (e * e, 1.0)]).unwrap();
        assert!(slope.power.abs() < 1e-12 && slope.r2.abs() < 1e-12);
        assert!((slope.half_width - 12.706_204_7 / 3.0_f64.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn refusals() {
        for points in [
            &[(1.0, 1.0), (2.0, 2.0)][..],
            &[(1.0, 1.0), (2.0, 0.0), (3.0, 1.0)],
            &[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)],
            &[(1.0, 1.0), (2.0, f64::NAN), (3.0, 1.0)],
        ] {
            assert!(matches!(power(points), Err(LabError::Slope { .. })), "{points:?}");
        }
    }
}
