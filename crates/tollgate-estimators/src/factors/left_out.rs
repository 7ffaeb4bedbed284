//! Models that are left out of factors and prior: how many factors serve them, and what is
//! left. Equation numbers are those of [`super`].

use tollgate_core::{BoxError, Seed};

use super::target::{Factors, MOST, Surfaces};
use crate::linear::{Gaussian, Gram, Prior, left_out};
use crate::shuffled::shuffled;
use crate::vector::dot_f64;

/// The numbers of factors that are tried, ascending.
const RANKS: [usize; 10] = [0, 1, 2, 3, 4, 6, 8, 10, 12, MOST];

/// Every model once as a new one.
#[derive(Debug)]
pub(super) struct LeftOut<'a> {
    surfaces: Surfaces<'a>,
    parts: Vec<Part>,
}

/// Some models that are left out, and what the others make of prompts.
#[derive(Debug)]
struct Part {
    factors: Factors,
    old: Vec<Gram>,
    new: Vec<New>,
}

/// A model that is left out.
#[derive(Debug)]
struct New {
    model: usize,
    /// Of the labels that it is known by.
    gram: Gram,
    /// The rows of its other labels.
    rest: Vec<usize>,
}

impl New {
    fn of(
        surfaces: Surfaces<'_>,
        factors: &Factors,
        model: usize,
        order: &[usize],
        labels: usize,
    ) -> Self {
        let has_label = |row| !surfaces.label(row, model).is_nan();
        let [known, rest] = left_out::known_and_rest(order, has_label, labels);
        let mut wanted = vec![false; order.len()];
        for row in known {
            wanted[row] = true;
        }
        let gram = factors.gram(surfaces, model, |row| wanted[row]);
        Self { model, gram, rest }
    }
}

impl<'a> LeftOut<'a> {
    /// Models are known from half of their labels, of `labels` prompts at most.
    pub(super) fn new(surfaces: Surfaces<'a>, labels: usize, seed: Seed) -> Result<Self, BoxError> {
        let m = surfaces.n_models;
        let order = shuffled(surfaces.labels.len() / m, seed, 4);
        let mut parts = Vec::new();
        for left_out::Part { left_out, others } in left_out::parts(m) {
            let factors = Factors::of(surfaces, &others)?;
            let old = others.iter().map(|&model| factors.gram(surfaces, model, |_| true)).collect();
            let new = |&model: &usize| New::of(surfaces, &factors, model, &order, labels);
            let new = left_out.iter().map(new).collect();
            parts.push(Part { factors, old, new });
        }
        Ok(Self { surfaces, parts })
    }

    /// How many factors: those with which the squared errors of the models' other labels are
    /// least; the fewest of equals. One where there is nothing to tell from.
    pub(super) fn rank(&self) -> usize {
        let mut losses = [0.0; RANKS.len()];
        for part in &self.parts {
            for (loss, rank) in losses.iter_mut().zip(RANKS) {
                part.each(self.surfaces, rank, |_, errors| {
                    *loss += errors.iter().map(|error| error.off * error.off).sum::<f64>();
                });
            }
        }
        let best = (0..RANKS.len())
            .reduce(|best, next| if losses[next] < losses[best] { next } else { best })
            .expect("there is something to choose from");
        // Equal losses are none at all: without models that are left out, or labels to judge by.
        if losses[best] < losses[0] { RANKS[best] } else { usize::from(self.parts.is_empty()) }
    }

    /// `w^2` of (5): the mean square of what factors leave of a model that its own line, which
    /// has learned from all of its labels, can tell, less what is known to be uncertain. Half of
    /// the surface's own where there is one model.
    pub(super) fn unexplained(&self, rank: usize) -> f64 {
        if self.parts.is_empty() {
            return 0.5 * self.surfaces.variance();
        }
        let (mut sum, mut n) = (0.0, 0.0);
        for part in &self.parts {
            part.each(self.surfaces, rank, |own, errors| {
                if errors.is_empty() {
                    return;
                }
                let [mut across, mut along, mut known] = [0.0; 3];
                for Error { off, line, features } in errors {
                    across += off * line;
                    along += line * line;
                    known += own.variance(features);
                }
                let len = errors.len() as f64;
                let told = if along > 0.0 { f64::max(across, 0.0).powi(2) / along } else { 0.0 };
                sum += (told - known) / len;
                n += 1.0;
            });
        }
        if n > 0.0 { f64::max(sum / n, 0.0) } else { 0.0 }
    }
}

/// How far off a model that was left out is on a label.
#[derive(Clone, Copy, Debug)]
struct Error<'a> {
    /// The label less what is estimated.
    off: f64,
    /// What the model's own line says less that.
    line: f64,
    features: &'a [f64],
}

impl Part {
    /// Calls `judge` for every model that is left out, with what is known of it.
    fn each(
        &self,
        surfaces: Surfaces<'_>,
        rank: usize,
        mut judge: impl FnMut(&Gaussian, &[Error<'_>]),
    ) {
        let len = self.factors.len.min(rank + 1);
        let old: Vec<Gram> = self.old.iter().map(|gram| gram.first(len)).collect();
        let prior = Prior::learn(&old, len, surfaces.prior);
        for New { model, gram, rest } in &self.new {
            let own = prior.posterior(&gram.first(len), &prior.gaussian.mean);
            let error = |&row: &usize| {
                let features = &self.factors.row(row)[..len];
                let estimate = dot_f64(features, &own.mean);
                let off = surfaces.label(row, *model) - estimate;
                Error { off, line: surfaces.held_out(row, *model) - estimate, features }
            };
            let errors: Vec<Error<'_>> = rest.iter().map(error).collect();
            judge(&own, &errors);
        }
    }
}
