//! Weights of least squared error, not negative and summing to 1.

use faer::prelude::Solve;
use faer::{Mat, Side};
use tollgate_core::{EstimateTable, History};

/// The weights of the parts for scores and for costs, from their held-out estimates.
pub(super) fn learn(history: &History, parts: &[EstimateTable]) -> [Vec<f64>; 2] {
    let n_models = history.models().len();
    let quality: Vec<&[f64]> = parts.iter().map(|part| part.view().quality).collect();
    let cost: Vec<&[f64]> = parts.iter().map(|part| part.view().cost).collect();
    let means = means(history.cost(), n_models);
    [
        least_squares(&gram(history.quality(), &quality, n_models, |_| 1.0)),
        least_squares(&gram(history.cost(), &cost, n_models, |at| {
            // The floor keeps a free answer's estimate from counting without bound.
            let mean = cost.iter().map(|part| part[at]).sum::<f64>() / cost.len() as f64;
            1.0 / mean.max(1e-3 * means[at % n_models]).powi(2)
        })),
    ]
}

/// `E_pq = sum_i (sum_r u_ri e_pri e_qri) / (sum_r u_ri (y_ri - a_i)^2)`, `e` being the
/// errors of the parts and `u` how much a label counts: the blend's error is `w' E w`,
/// since the weights sum to 1.
fn gram(
    labels: &[f64],
    parts: &[&[f64]],
    n_models: usize,
    counts: impl Fn(usize) -> f64,
) -> Mat<f64> {
    let means = means(labels, n_models);
    let mut total = Mat::zeros(parts.len(), parts.len());
    for (model, mean) in means.iter().enumerate() {
        let cells = || (model..labels.len()).step_by(n_models).filter(|&at| !labels[at].is_nan());
        let spread: f64 = cells().map(|at| counts(at) * (labels[at] - mean).powi(2)).sum();
        if spread == 0.0 {
            continue;
        }
        for p in 0..parts.len() {
            for q in 0..parts.len() {
                let error = |part: usize, at: usize| parts[part][at] - labels[at];
                let product = |at: usize| counts(at) * error(p, at) * error(q, at);
                total[(p, q)] += cells().map(product).sum::<f64>() / spread;
            }
        }
    }
    total
}

/// The mean label of each model.
fn means(labels: &[f64], n_models: usize) -> Vec<f64> {
    (0..n_models)
        .map(|model| {
            let column = labels.iter().skip(model).step_by(n_models);
            let (sum, count) = column
                .filter(|label| !label.is_nan())
                .fold((0.0, 0_usize), |(sum, count), label| (sum + label, count + 1));
            sum / count.max(1) as f64
        })
        .collect()
}

/// `argmin w' E w` over weights `>= 0` that sum to 1. On its support the answer is
/// proportional to `E^-1 1`: every support is tried, and the best answer that is not
/// negative wins, equal parts first.
fn least_squares(gram: &Mat<f64>) -> Vec<f64> {
    let n = gram.nrows();
    let value = |w: &[f64]| -> f64 {
        (0..n).map(|p| (0..n).map(|q| w[p] * gram[(p, q)] * w[q]).sum::<f64>()).sum()
    };
    let mut best = vec![1.0 / n as f64; n];
    for support in 1_u32..1 << n {
        let on: Vec<usize> = (0..n).filter(|&part| support >> part & 1 == 1).collect();
        let inner = Mat::from_fn(on.len(), on.len(), |p, q| gram[(on[p], on[q])]);
        // Parts that make the same errors have no inverse; a smaller support has.
        let Ok(factor) = inner.llt(Side::Lower) else { continue };
        let raw = factor.solve(Mat::<f64>::from_fn(on.len(), 1, |_, _| 1.0));
        let sum: f64 = (0..on.len()).map(|p| raw[(p, 0)]).sum();
        let mut weights = vec![0.0; n];
        for (p, &part) in on.iter().enumerate() {
            weights[part] = raw[(p, 0)] / sum;
        }
        let valid = weights.iter().all(|&weight| weight >= 0.0 && weight.is_finite());
        if valid && value(&weights) < value(&best) {
            best = weights;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[&[f64]]) -> Vec<f64> {
        least_squares(&Mat::from_fn(rows.len(), rows.len(), |p, q| rows[p][q]))
    }

    /// Independent errors of variance 1 and 3: weights inverse to them, 3/4 and 1/4.
    #[test]
    fn independent_parts_by_hand() {
        let weights = of(&[&[1.0, 0.0], &[0.0, 3.0]]);
        assert!((weights[0] - 0.75).abs() < 1e-15 && (weights[1] - 0.25).abs() < 1e-15);
    }

    /// The second part is the first with more noise of the same kind: it gets nothing,
    /// where without the sign constraint it would get -1.
    #[test]
    fn a_worse_copy_gets_nothing() {
        assert_eq!(of(&[&[1.0, 1.5], &[1.5, 3.0]]), [1.0, 0.0]);
    }

    #[test]
    fn equal_parts_and_no_errors_share() {
        assert_eq!(of(&[&[1.0, 1.0], &[1.0, 1.0]]), [0.5, 0.5]);
        assert_eq!(of(&[&[0.0, 0.0], &[0.0, 0.0]]), [0.5, 0.5]);
    }
}
