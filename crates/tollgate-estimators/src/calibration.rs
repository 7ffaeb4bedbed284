//! Whether standard errors are as large as the errors.
//!
//! # Problem
//!
//! A single label of 0 or 1 says next to nothing about an estimate of 0.7. Many do: sort a
//! model's prompts by their estimates and cut them into bins of at least 200. With `f_b`,
//! `y_b` and `s_b` the mean estimate, label and standard error of bin `b`, and `v_b` the
//! variance of a label within it,
//!
//! ```text
//! y_b - f_b ~ 0 +- sqrt(s_b^2 + v_b / n_b)                                       (1)
//! ```
//!
//! is what honest standard errors promise: the estimates of like prompts err together by
//! `s_b`, and the mean of `n_b` labels has a noise of its own.
//!
//! # Method
//!
//! [`coverage`] is the share of the bins whose `y_b` lies within 1.645 of the deviations
//! (1), which should be nine in ten. The factor that makes standard errors right in the
//! mean square is
//!
//! ```text
//! t^2 = (sum_b ((y_b - f_b)^2 - v_b / n_b) + d) / sum_b s_b^2                    (2)
//! d^2 = 2 sum_b (v_b / n_b)^2
//! ```
//!
//! with the bins of every model in units of that model's variance. `d` is the standard
//! deviation of the sum if there were no errors at all: so much may be hidden by chance.
//! `t` is kept in `[1/20, 2]`.

use tollgate_core::{EstimateTable, History};

/// Prompts a bin, at least.
const BIN: usize = 200;

/// Standard deviations that hold nine in ten of a normal distribution.
const NINE_IN_TEN: f64 = 1.645;

/// What factors may be: errors in history can look smaller than they are by chance.
const FACTORS: std::ops::RangeInclusive<f64> = 0.05..=2.0;

/// One bin of a model's prompts.
#[derive(Clone, Copy, Debug)]
struct Bin {
    /// `y_b - f_b`.
    error: f64,
    /// `s_b`.
    promised: f64,
    /// `v_b / n_b`.
    noise: f64,
}

/// The share of the bins of at least 200 prompts whose mean score lies in the 90 % interval
/// of its mean estimate, over all models; `None` where no model has 200 labels.
///
/// `estimates` are of the prompts of `labelled`, which the estimator must not have seen.
///
/// # Panics
/// When the two are of different shape.
pub fn coverage(estimates: &EstimateTable, labelled: &History) -> Option<f64> {
    let view = estimates.view();
    assert_eq!(view.quality.len(), labelled.quality().len(), "one estimate for each label");
    let n_models = labelled.models().len();
    let bins: Vec<Bin> = (0..n_models)
        .flat_map(|model| bins(view.quality, view.quality_se, labelled.quality(), n_models, model))
        .collect();
    let covered =
        |bin: &&Bin| bin.error.abs() <= NINE_IN_TEN * (bin.promised.powi(2) + bin.noise).sqrt();
    let share = bins.iter().filter(covered).count() as f64 / bins.len() as f64;
    (!bins.is_empty()).then_some(share)
}

/// Equation (2) for scores and for costs; 1 where there are no bins to tell from.
pub(crate) fn factors(held_out: &EstimateTable, history: &History) -> [f64; 2] {
    let view = held_out.view();
    let n_models = history.models().len();
    [
        factor(view.quality, view.quality_se, history.quality(), n_models),
        factor(view.cost, view.cost_se, history.cost(), n_models),
    ]
}

fn factor(estimates: &[f64], errors: &[f64], labels: &[f64], n_models: usize) -> f64 {
    let (mut measured, mut promised, mut chance) = (0.0, 0.0, 0.0);
    for model in 0..n_models {
        let unit = variance(&labels.iter().skip(model).step_by(n_models));
        if unit > 0.0 {
            for bin in bins(estimates, errors, labels, n_models, model) {
                measured += (bin.error.powi(2) - bin.noise) / unit;
                promised += bin.promised.powi(2) / unit;
                chance += 2.0 * (bin.noise / unit).powi(2);
            }
        }
    }
    if promised > 0.0 {
        let errors = measured.max(0.0) + f64::sqrt(chance);
        (errors / promised).sqrt().clamp(*FACTORS.start(), *FACTORS.end())
    } else {
        1.0
    }
}

/// The bins of one model's labels, from the lowest estimate on; of equal sizes but for one.
fn bins(
    estimates: &[f64],
    errors: &[f64],
    labels: &[f64],
    n_models: usize,
    model: usize,
) -> Vec<Bin> {
    let cells = (model..labels.len()).step_by(n_models);
    let mut cells: Vec<usize> = cells.filter(|&cell| !labels[cell].is_nan()).collect();
    cells.sort_by(|&a, &b| estimates[a].total_cmp(&estimates[b]).then(a.cmp(&b)));
    let n_bins = cells.len() / BIN;
    (0..n_bins)
        .map(|bin| {
            let cells = &cells[bin * cells.len() / n_bins..(bin + 1) * cells.len() / n_bins];
            let n = cells.len() as f64;
            let mean = |column: &[f64]| cells.iter().map(|&cell| column[cell]).sum::<f64>() / n;
            Bin {
                error: mean(labels) - mean(estimates),
                promised: mean(errors),
                noise: variance(&cells.iter().map(|&cell| &labels[cell])) / n,
            }
        })
        .collect()
}

/// The variance of some labels, gaps left out; 0 where there are none.
fn variance<'a>(labels: &(impl Iterator<Item = &'a f64> + Clone)) -> f64 {
    let labels = || labels.clone().filter(|label| !label.is_nan());
    let n = labels().count().max(1) as f64;
    let mean = labels().sum::<f64>() / n;
    labels().map(|label| (label - mean).powi(2)).sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use tollgate_core::{Models, Purpose, Seed};

    use super::*;

    /// One model whose true expectation on prompt `r` is `r / n`, labels drawn from it, and
    /// estimates that are off by `off` with standard errors of `se`.
    fn world(n: usize, off: f64, se: f64) -> (EstimateTable, History) {
        let mut rng = Seed(7).stream(Purpose::Synthesis, 0);
        let truth: Vec<f64> = (0..n).map(|row| row as f64 / n as f64).collect();
        let quality = truth.iter().map(|&p| f64::from(rng.uniform() < p)).collect();
        let history =
            History::new(Models::new(["m"]).unwrap(), 1, vec![1.0; n], quality, vec![1.0; n]);
        let mut table = EstimateTable::zeros(n, 1);
        table.fill(|out| {
            for (row, p) in truth.iter().enumerate() {
                out.quality[row] = p + off;
            }
            out.quality_se.fill(se);
            out.cost.fill(1.0);
            out.cost_se.fill(0.0);
        });
        (table, history.unwrap())
    }

    /// 20,000 prompts are 100 bins. Estimates without error and standard errors of 0 leave
    /// the noise of the labels, which covers nine in ten.
    #[test]
    fn true_estimates_are_covered() {
        let (table, history) = world(20_000, 0.0, 0.0);
        let got = coverage(&table, &history).unwrap();
        assert!((0.85..=0.95).contains(&got), "{got}");
    }

    /// Estimates that are off by 0.2 are hardly ever covered if they claim to be exact, and
    /// always if they claim 0.2.
    #[test]
    fn errors_show() {
        let (table, history) = world(20_000, 0.2, 0.0);
        assert!(coverage(&table, &history).unwrap() < 0.01);
        let (table, history) = world(20_000, 0.2, 0.2);
        assert!(coverage(&table, &history).unwrap() > 0.99);
    }

    /// By (2): an error of 0.2 everywhere where 0.4 was promised is a factor of a half.
    #[test]
    fn the_factor_is_the_error_over_the_promise() {
        let (table, history) = world(20_000, 0.2, 0.4);
        let [quality, cost] = factors(&table, &history);
        assert!((quality - 0.5).abs() < 0.01, "{quality}");
        assert_eq!(cost.to_bits(), 1.0_f64.to_bits(), "equal costs tell nothing");
    }

    #[test]
    fn few_labels_tell_nothing() {
        let (table, history) = world(199, 0.0, 0.1);
        assert_eq!(coverage(&table, &history), None);
        assert_eq!(factors(&table, &history)[0].to_bits(), 1.0_f64.to_bits());
    }
}
