//! What is thought of any model's line, and how far a few labels are trusted. Equation numbers
//! are those of [`super`].

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use tollgate_core::Seed;

use crate::labels::shrunk;
use crate::linear::{Basis, Gram, Prior, left_out};
use crate::shuffled::shuffled;
use crate::vector::dot_f64;

/// Penalties that are tried, ascending: powers of the root of ten.
const PENALTIES: [f64; 9] = [0.1, 0.316, 1.0, 3.16, 10.0, 31.6, 100.0, 316.0, 1000.0];

/// Labels of the models of a history.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labelled<'a> {
    pub(super) n_models: usize,
    /// Row-major `(n_rows, n_models)`, NaN for a gap.
    pub(super) labels: &'a [f64],
    /// The variance that is thought possible for a label.
    pub(super) possible: f64,
}

impl Labelled<'_> {
    fn label(&self, row: usize, model: usize) -> f64 {
        self.labels[row * self.n_models + model]
    }

    /// The mean label of each row, a half where there is none.
    pub(super) fn means(&self) -> Vec<f64> {
        let mean = |row: &[f64]| {
            let known = row.iter().filter(|label| !label.is_nan());
            let (sum, n) = known.fold((0.0, 0.0), |(sum, n), label| (sum + label, n + 1.0));
            if n > 0.0 { sum / n } else { 0.5 }
        };
        self.labels.chunks_exact(self.n_models).map(mean).collect()
    }

    fn has_label(&self, row: usize, model: usize) -> bool {
        !self.label(row, model).is_nan()
    }

    /// The sums over a model's labels on some rows.
    fn gram(&self, basis: &Basis, model: usize, rows: impl Iterator<Item = usize>) -> Gram {
        let mut gram = Gram::new(basis.len());
        for row in rows {
            gram.add(basis.row(row), self.label(row, model));
        }
        gram
    }

    /// Of all labels of each model.
    pub(super) fn grams(&self, basis: &Basis) -> Vec<Gram> {
        let n_rows = self.labels.len() / self.n_models;
        let own = |model| (0..n_rows).filter(move |&row| self.has_label(row, model));
        (0..self.n_models).map(|model| self.gram(basis, model, own(model))).collect()
    }
}

/// How much slopes are drawn, to 0 those that are common to all models, to the common ones those
/// of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Penalties {
    pub(super) common: f64,
    /// `lambda`.
    pub(super) own: f64,
}

impl Penalties {
    /// Those with the least squared errors of models left out that are known from half of their
    /// labels, of `labels` at most: the common one for models that have no slopes of their own,
    /// and `own`, where it is not given, on top of it. A history of one model has nobody to
    /// leave out, and takes those in the middle. `grams` are those of all labels.
    pub(super) fn choose(
        labelled: Labelled<'_>,
        basis: &Basis,
        grams: &[Gram],
        (own, labels): (Option<f64>, usize),
        seed: Seed,
    ) -> Self {
        let parts = parts(labelled, basis, grams, labels, seed);
        let len = basis.len();
        let common = least(|penalty| {
            let loss = |part: &Part<'_>| {
                let slopes = common_slopes(&part.old, len, penalty);
                part.loss(labelled, basis, |gram| {
                    [gram.level(&slopes)].into_iter().chain(slopes.iter().copied()).collect()
                })
            };
            parts.iter().map(loss).sum()
        });
        let own = own.unwrap_or_else(|| {
            least(|own| {
                let loss = |part: &Part<'_>| {
                    let prior = Self { common, own }.prior(&part.old, len, labelled.possible);
                    let mean = &prior.gaussian.mean;
                    part.loss(labelled, basis, |gram| prior.posterior(gram, mean).mean)
                };
                parts.iter().map(loss).sum()
            })
        });
        Self { common, own }
    }

    /// (3), of models with these labels.
    pub(super) fn prior(self, grams: &[&Gram], len: usize, possible: f64) -> Prior {
        let labelled: Vec<&Gram> = grams.iter().copied().filter(|gram| gram.n > 0.0).collect();
        let m = labelled.len().max(1) as f64;
        let slopes = common_slopes(&labelled, len, self.common);
        let levels: Vec<f64> = labelled.iter().map(|gram| gram.level(&slopes)).collect();
        let level = levels.iter().sum::<f64>() / m;
        let squares: f64 = levels.iter().map(|own| (own - level).powi(2)).sum();
        let variances = labelled.iter().map(|gram| shrunk(gram.spread(), gram.n, possible));
        let variance = if labelled.is_empty() { possible } else { variances.sum::<f64>() / m };
        let mean = [level].into_iter().chain(slopes).collect();
        let covariance = Mat::from_fn(len, len, |a, b| match (a, b) {
            (0, 0) => (squares + possible) / m,
            _ if a == b => variance / self.own,
            _ => 0.0,
        });
        Prior::new(mean, covariance, possible)
    }
}

/// Of the penalties the one of least loss; the largest of equals, and the one in the middle where
/// there is no loss at all.
fn least(loss: impl Fn(f64) -> f64) -> f64 {
    let losses = PENALTIES.map(loss);
    if losses.iter().all(|&loss| loss == 0.0) {
        return PENALTIES[PENALTIES.len() / 2];
    }
    let best = (0..PENALTIES.len())
        .reduce(|best, next| if losses[next] <= losses[best] { next } else { best })
        .expect("there is something to choose from");
    PENALTIES[best]
}

/// Some models that are left out, and the others.
struct Part<'a> {
    old: Vec<&'a Gram>,
    new: Vec<New>,
}

/// A model that is left out: what it is known by, and the rows of its other labels.
struct New {
    model: usize,
    known: Gram,
    rest: Vec<usize>,
}

/// Every model left out once.
fn parts<'a>(
    labelled: Labelled<'_>,
    basis: &Basis,
    grams: &'a [Gram],
    labels: usize,
    seed: Seed,
) -> Vec<Part<'a>> {
    let n_models = labelled.n_models;
    let order = shuffled(labelled.labels.len() / n_models, seed, 6);
    let new = |model: usize| {
        let has_label = |row| labelled.has_label(row, model);
        let [known, rest] = left_out::known_and_rest(&order, has_label, labels);
        New { model, known: labelled.gram(basis, model, known.into_iter()), rest }
    };
    let part = |left_out::Part { left_out, others }| {
        let old = others.into_iter().map(|model| &grams[model]).collect();
        Part { old, new: left_out.into_iter().map(new).collect() }
    };
    left_out::parts(n_models).map(part).collect()
}

impl Part<'_> {
    /// The squared errors of the other labels of models whose lines are learned from the known
    /// ones.
    fn loss(&self, labelled: Labelled<'_>, basis: &Basis, line: impl Fn(&Gram) -> Vec<f64>) -> f64 {
        let loss = |new: &New| {
            let line = line(&new.known);
            let off =
                |&row: &usize| labelled.label(row, new.model) - dot_f64(basis.row(row), &line);
            new.rest.iter().map(|row| off(row).powi(2)).sum::<f64>()
        };
        self.new.iter().map(loss).sum()
    }
}

/// The slopes of all models together, each with a level of its own, by ridge regression with the
/// penalty for each of them.
fn common_slopes(grams: &[&Gram], len: usize, penalty: f64) -> Vec<f64> {
    let n_slopes = len - 1;
    let mut products = Mat::<f64>::zeros(n_slopes, n_slopes);
    let mut moments = Mat::<f64>::zeros(n_slopes, 1);
    for gram in grams {
        for a in 0..n_slopes {
            for b in 0..n_slopes {
                products[(a, b)] += gram.centered_product(a + 1, b + 1);
            }
            moments[(a, 0)] += gram.centered_moment(a + 1);
        }
    }
    let raise = penalty * grams.len().max(1) as f64;
    (0..n_slopes).for_each(|a| products[(a, a)] += raise);
    let Ok(factor) = products.llt(Side::Lower) else {
        // Not positive definite in spite of the penalty: beyond f64, and so beyond learning.
        return vec![0.0; n_slopes];
    };
    let solved = factor.solve(&moments);
    (0..n_slopes).map(|a| solved[(a, 0)]).collect()
}
