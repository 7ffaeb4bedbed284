//! From points to expected scores: equation (4).

use super::ratings::START;
use crate::exp::exp;

/// Points to units in which the slope of (1) is 1.
const UNIT: f64 = std::f64::consts::LN_10 / 400.0;

/// The flattest that (4) may be: it must not lose the order of (3).
const LEAST_SLOPE: f64 = 0.01;

/// Newton steps, at most; it takes some five.
const STEPS: usize = 50;

/// What sums of losses may be off by, as a share of them.
const ROUNDING: f64 = 1e-9;

/// `a` and `b` of (4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Logistic {
    a: f64,
    b: f64,
}

impl Logistic {
    /// What is believed before the first label.
    pub(super) const PRIOR: Self = Self { a: 0.0, b: 1.0 };

    /// The most probable given these labels in `[0, 1]`, NaN for a gap.
    pub(super) fn fit(points: &[f64], labels: &[f64]) -> Self {
        let free = Self::PRIOR.climb(points, labels, true);
        if free.b >= LEAST_SLOPE {
            return free;
        }
        Self { b: LEAST_SLOPE, ..free }.climb(points, labels, false)
    }

    /// Newton's method on the negative log posterior, which is convex; steps are halved
    /// until they do not lead up.
    fn climb(mut self, points: &[f64], labels: &[f64], slope: bool) -> Self {
        let mut loss = self.loss(points, labels);
        for _ in 0..STEPS {
            let (a, b) = self.newton(points, labels, slope);
            let mut length = 1.0;
            let next = loop {
                let next = Self { a: self.a - length * a, b: self.b - length * b };
                let there = next.loss(points, labels);
                // Near the minimum what a step gains is less than the loss's own rounding.
                if there <= loss + ROUNDING * loss.abs() {
                    loss = there;
                    break Some(next);
                }
                length /= 2.0;
                if length < 1e-6 {
                    break None;
                }
            };
            let Some(next) = next else { break };
            let moved = (next.a - self.a).abs() + (next.b - self.b).abs();
            self = next;
            if moved < 1e-12 {
                break;
            }
        }
        self
    }

    fn loss(&self, points: &[f64], labels: &[f64]) -> f64 {
        let cross = known(points, labels).map(|(u, y)| {
            let t = self.a + self.b * u;
            // ln(1 + e^t) - y t, without overflow.
            t.max(0.0) + exp(-t.abs()).ln_1p() - y * t
        });
        cross.sum::<f64>() + self.a.powi(2) / 2.0 + (self.b - 1.0).powi(2) / 2.0
    }

    /// The step to the minimum of the quadratic here.
    fn newton(&self, points: &[f64], labels: &[f64], slope: bool) -> (f64, f64) {
        let (mut ga, mut gb) = (self.a, self.b - 1.0);
        let (mut aa, mut ab, mut bb) = (1.0, 0.0, 1.0);
        for (u, y) in known(points, labels) {
            let p = sigmoid(self.a + self.b * u);
            let weight = p * (1.0 - p);
            ga += p - y;
            gb += (p - y) * u;
            aa += weight;
            ab += weight * u;
            bb += weight * u * u;
        }
        if !slope {
            return (ga / aa, 0.0);
        }
        // At least 1: the priors make the matrix that much larger than a positive one.
        let determinant = aa * bb - ab * ab;
        ((bb * ga - ab * gb) / determinant, (aa * gb - ab * ga) / determinant)
    }

    /// (4), and how steep it is in points.
    pub(super) fn at(&self, points: f64) -> (f64, f64) {
        let p = sigmoid(self.a + self.b * (points - START) * UNIT);
        (p, p * (1.0 - p) * self.b * UNIT)
    }

    /// For each model the distance between the means of its labels and of (4); tables are
    /// row-major `(n_rows, n_models)`.
    pub(super) fn misfit(&self, points: &[f64], labels: &[f64], n_models: usize) -> Vec<f64> {
        let mut sums = vec![(0.0, 0.0); n_models];
        for (at, (&points, &label)) in points.iter().zip(labels).enumerate() {
            if !label.is_nan() {
                let (error, n) = &mut sums[at % n_models];
                *error += self.at(points).0 - label;
                *n += 1.0;
            }
        }
        sums.into_iter().map(|(error, n): (f64, f64)| (error / f64::max(n, 1.0)).abs()).collect()
    }
}

/// Labelled cells: points in units, and labels.
fn known<'a>(points: &'a [f64], labels: &'a [f64]) -> impl Iterator<Item = (f64, f64)> + 'a {
    let cells = points.iter().zip(labels).filter(|(_, label)| !label.is_nan());
    cells.map(|(points, &label)| ((points - START) * UNIT, label))
}

fn sigmoid(t: f64) -> f64 {
    let small = exp(-t.abs());
    if t < 0.0 { small / (1.0 + small) } else { 1.0 / (1.0 + small) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With `u = 0` throughout the slope is a priori, and `a` solves `a + sum(p - y) = 0`.
    #[test]
    fn equal_ratings_leave_the_slope_and_fit_the_mean() {
        let fitted = Logistic::fit(&[START; 1000], &[vec![1.0; 750], vec![0.0; 250]].concat());
        assert!((fitted.b - 1.0).abs() < 1e-12, "{fitted:?}");
        assert!((fitted.a + 1000.0 * sigmoid(fitted.a) - 750.0).abs() < 1e-6, "{fitted:?}");
        assert!((fitted.at(START).0 - 0.75).abs() < 2e-3);
    }

    #[test]
    fn labels_of_the_logistic_are_found_again() {
        // 0.1, 0.5 and 0.9 of the labels, at -ln 9 / 2, 0 and ln 9 / 2: b = 2, a = 0.
        let step = 9.0_f64.ln() / 2.0 / UNIT;
        let points: Vec<f64> =
            [-step, 0.0, step].iter().flat_map(|by| vec![START + by; 20_000]).collect();
        let ones = |n| [vec![1.0; n], vec![0.0; 20_000 - n]].concat();
        let labels = [ones(2_000), ones(10_000), ones(18_000)].concat();
        let fitted = Logistic::fit(&points, &labels);
        assert!((fitted.b - 2.0).abs() < 1e-3 && fitted.a.abs() < 1e-9, "{fitted:?}");
        let (_, slope) = fitted.at(START);
        let difference = (fitted.at(START + 1.0).0 - fitted.at(START - 1.0).0) / 2.0;
        assert!((slope - difference).abs() < 1e-7, "{slope} {difference}");
    }

    #[test]
    fn the_order_is_kept_whatever_the_labels_say() {
        let points: Vec<f64> = (0..100_u32).map(|at| START + f64::from(at)).collect();
        let labels: Vec<f64> = (0..100_u32).map(|at| f64::from(at < 50)).collect();
        let fitted = Logistic::fit(&points, &labels);
        assert!(fitted.b.to_bits() == LEAST_SLOPE.to_bits(), "{fitted:?}");
        assert!(fitted.at(START + 1.0).0 > fitted.at(START).0);
        assert!((fitted.at(START).0 - 0.5).abs() < 0.05, "{fitted:?}");
    }

    #[test]
    fn gaps_and_single_labels() {
        assert_eq!(Logistic::fit(&[START + 9.0], &[f64::NAN]), Logistic::PRIOR);
        let fitted = Logistic::fit(&[START], &[1.0]);
        assert!(fitted.a > 0.0 && fitted.a < 1.0, "one label is not certainty: {fitted:?}");
        let misfit = Logistic::PRIOR.misfit(&[START; 4], &[1.0, f64::NAN, 0.75, f64::NAN], 2);
        assert_eq!(misfit, [0.375, 0.0]);
    }
}
