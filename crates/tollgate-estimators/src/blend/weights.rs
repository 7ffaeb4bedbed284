//! Weights of least squared error, not negative and summing to 1.

use faer::prelude::Solve;
use faer::{Mat, Side};
use tollgate_core::{EstimateTable, History};

/// What blends of some parts leave unexplained, from their held-out estimates.
#[derive(Debug)]
pub(crate) struct Losses {
    /// `E` for scores and for costs.
    grams: [Mat<f64>; 2],
}

/// The best blend of a choice of parts.
#[derive(Clone, Debug)]
pub(crate) struct Support {
    /// The parts there are to choose from, ascending.
    pub(crate) on: Vec<usize>,
    /// `>= 0`, summing to 1, one for each part there is; 0 for those not chosen.
    pub(crate) weights: Vec<f64>,
    /// `w' E w`: the share of the labels' variance that is left.
    pub(crate) loss: f64,
}

impl Losses {
    pub(crate) fn new(history: &History, parts: &[EstimateTable]) -> Self {
        let n_models = history.models().len();
        let quality: Vec<&[f64]> = parts.iter().map(|part| part.view().quality).collect();
        let cost: Vec<&[f64]> = parts.iter().map(|part| part.view().cost).collect();
        let means = means(history.cost(), n_models);
        let of_cost = gram(history.cost(), &cost, n_models, |at| {
            // The floor keeps a free answer's estimate from counting without bound.
            let mean = cost.iter().map(|part| part[at]).sum::<f64>() / cost.len() as f64;
            1.0 / mean.max(1e-3 * means[at % n_models]).powi(2)
        });
        Self { grams: [gram(history.quality(), &quality, n_models, |_| 1.0), of_cost] }
    }

    /// The weights of least loss, for scores and for costs.
    pub(super) fn weights(&self) -> [Vec<f64>; 2] {
        self.grams.each_ref().map(least_squares)
    }

    /// The best blends of every choice of parts, for scores and for costs.
    pub(crate) fn supports(&self) -> Vec<[Support; 2]> {
        let [quality, cost] = self.grams.each_ref().map(supports);
        quality.into_iter().zip(cost).map(|(quality, cost)| [quality, cost]).collect()
    }

    /// The loss of each part by itself, for scores and for costs.
    pub(crate) fn alone(&self) -> [Vec<f64>; 2] {
        self.grams.each_ref().map(|gram| (0..gram.nrows()).map(|p| gram[(p, p)]).collect())
    }
}

/// `E_pq`, the mean over models of `(sum_r u_ri e_pri e_qri) / (sum_r u_ri (y_ri - a_i)^2)`,
/// `e` being the errors of the parts and `u` how much a label counts: the blend's error is `w' E w`,
/// since the weights sum to 1.
fn gram(
    labels: &[f64],
    parts: &[&[f64]],
    n_models: usize,
    counts: impl Fn(usize) -> f64,
) -> Mat<f64> {
    let means = means(labels, n_models);
    let mut total = Mat::<f64>::zeros(parts.len(), parts.len());
    let mut n_spread = 0.0;
    for (model, mean) in means.iter().enumerate() {
        let cells = (model..labels.len()).step_by(n_models).filter(|&at| !labels[at].is_nan());
        let cells: Vec<usize> = cells.collect();
        let counts: Vec<f64> = cells.iter().map(|&at| counts(at)).collect();
        let cells = || cells.iter().zip(&counts);
        let spread: f64 = cells().map(|(&at, u)| u * (labels[at] - mean).powi(2)).sum();
        // Labels that are all the same, or all 0 where they count in proportion, are nothing
        // to tell parts apart by.
        if !(spread > 0.0 && spread.is_finite()) {
            continue;
        }
        n_spread += 1.0;
        for p in 0..parts.len() {
            for q in p..parts.len() {
                let error = |part: usize, at: usize| parts[part][at] - labels[at];
                let sum: f64 = cells().map(|(&at, u)| u * error(p, at) * error(q, at)).sum();
                total[(p, q)] += sum / spread;
                total[(q, p)] = total[(p, q)];
            }
        }
    }
    Mat::from_fn(parts.len(), parts.len(), |p, q| total[(p, q)] / f64::max(n_spread, 1.0))
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

/// `argmin w' E w` over weights `>= 0` that sum to 1, equal parts first.
fn least_squares(gram: &Mat<f64>) -> Vec<f64> {
    let n = gram.nrows();
    let equal = vec![1.0 / n as f64; n];
    let best = supports(gram).pop().expect("there is at least one part");
    if best.loss < loss(gram, &equal) { best.weights } else { equal }
}

/// `w' E w`.
fn loss(gram: &Mat<f64>, w: &[f64]) -> f64 {
    let row = |p: usize| -> f64 { (0..w.len()).map(|q| gram[(p, q)] * w[q]).sum() };
    (0..w.len()).map(|p| w[p] * row(p)).sum()
}

/// The best blend of every choice of parts; all of them last.
///
/// Where it uses all that were chosen it is proportional to `E^-1 1`; where it does not, it
/// is the best of a choice without one of them.
fn supports(gram: &Mat<f64>) -> Vec<Support> {
    let n = gram.nrows();
    let mut best: Vec<Option<Support>> = vec![None];
    for support in 1_usize..1 << n {
        let on: Vec<usize> = (0..n).filter(|&part| support >> part & 1 == 1).collect();
        let fewer = on.iter().filter_map(|part| best[support & !(1 << part)].as_ref());
        let fewer = fewer.min_by(|a, b| a.loss.total_cmp(&b.loss)).cloned();
        let all = proportional(gram, &on).map(|weights| Support {
            on: on.clone(),
            loss: loss(gram, &weights),
            weights,
        });
        let better = match (all, fewer) {
            (Some(all), Some(fewer)) if all.loss < fewer.loss => Some(all),
            (all, None) => all,
            (_, fewer) => fewer.map(|fewer| Support { on, ..fewer }),
        };
        best.push(better);
    }
    best.into_iter().flatten().collect()
}

/// `E^-1 1` on some parts, summing to 1; `None` where a weight would be negative, or where
/// parts that make the same errors leave no inverse. One part alone needs none.
fn proportional(gram: &Mat<f64>, on: &[usize]) -> Option<Vec<f64>> {
    let mut weights = vec![0.0; gram.nrows()];
    if let [part] = on {
        weights[*part] = 1.0;
        return Some(weights);
    }
    let inner = Mat::from_fn(on.len(), on.len(), |p, q| gram[(on[p], on[q])]);
    let factor = inner.llt(Side::Lower).ok()?;
    let raw = factor.solve(Mat::<f64>::from_fn(on.len(), 1, |_, _| 1.0));
    let sum: f64 = (0..on.len()).map(|p| raw[(p, 0)]).sum();
    for (p, &part) in on.iter().enumerate() {
        weights[part] = raw[(p, 0)] / sum;
    }
    weights.iter().all(|&weight| weight >= 0.0 && weight.is_finite()).then_some(weights)
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
