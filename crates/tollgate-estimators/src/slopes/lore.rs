//! Axes of prompts, and what models are along them. Equation numbers are those of [`super`].

use std::sync::Arc;

use faer::MatRef;
use tollgate_core::{FitError, History, Seed};

use super::prior::{Labelled, Penalties};
use crate::axes::{principal, product};
use crate::kernels::Kernels;
use crate::labelling;
use crate::labels::{Labels, QUALITY_PRIOR};
use crate::linear::{Basis, Covariances, Gram, Linear, LinearLore, Raw, Target};
use crate::log_costs::{LOG_PRIOR, LogCosts};
use crate::pool::anonymous;
use crate::regression::Features;
use crate::vector::inverse_norms;

/// Axes, at most.
const AXES: usize = 64;

const RECIPE: &str = "random-slopes";

/// What is given, or has been chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe {
    pub(super) landmarks: usize,
    pub(super) penalty: Option<f64>,
    pub(super) labels: usize,
}

/// What was learned of prompts.
#[derive(Debug)]
pub(crate) struct SlopeLore {
    /// Of scores and of log costs.
    penalties: [Penalties; 2],
    linear: Linear,
    order: Vec<usize>,
    recipe: Recipe,
    seed: Seed,
    choice: Option<String>,
}

impl SlopeLore {
    /// Of scores and of log costs.
    pub(super) fn penalties(&self) -> [Penalties; 2] {
        self.penalties
    }

    /// From a history. What penalties are not known are chosen.
    pub(super) fn learn(
        history: &History,
        recipe: Recipe,
        known: Option<[Penalties; 2]>,
        seed: Seed,
    ) -> Result<Self, FitError> {
        let history = anonymous(history);
        let basis = Arc::new(basis(&history, recipe.landmarks, seed)?);
        let logs = LogCosts::new(&Labels::new(&history)).table;
        let n_models = history.models().len();
        let scores = Labelled { n_models, labels: history.quality(), possible: QUALITY_PRIOR };
        let costs = Labelled { n_models, labels: &logs, possible: LOG_PRIOR };
        let grams = [scores, costs].map(|labelled| labelled.grams(&basis));
        let Recipe { penalty, labels, .. } = recipe;
        let choose = |labelled: Labelled<'_>, grams: &[Gram]| {
            Penalties::choose(labelled, &basis, grams, (penalty, labels), seed)
        };
        let penalties =
            known.unwrap_or_else(|| [choose(scores, &grams[0]), choose(costs, &grams[1])]);
        let choice = (known.is_none() && penalty.is_none()).then(|| {
            let [of_scores, of_costs] = penalties.map(|penalties| penalties.own);
            let why = format!("slopes with penalties of {of_scores} for scores and {of_costs}");
            format!("{why} for costs, for the squared errors of models left out")
        });
        let target = |at: usize, possible: f64| {
            let grams: Vec<&Gram> = grams[at].iter().collect();
            let prior = penalties[at].prior(&grams, basis.len(), possible);
            let covariances = Covariances::Diagonal;
            Target { basis: Arc::clone(&basis), prior, unexplained: 0.0, covariances }
        };
        let (quality, cost) = (target(0, QUALITY_PRIOR), target(1, LOG_PRIOR));
        let order = labelling::by_likeness(&points(&basis, scores), basis.len(), seed);
        let linear = Linear::new(quality, cost, &logs, n_models);
        Ok(Self { penalties, linear, order, recipe, seed, choice })
    }
}

/// (1).
fn basis(history: &History, landmarks: usize, seed: Seed) -> Result<Basis, FitError> {
    let kernels = Kernels::new(RECIPE, (landmarks, None), history, seed)?;
    let (n, m) = (history.len(), kernels.len());
    let mut rows = vec![0.0; n * m];
    kernels.map_block(history.embeddings(), &inverse_norms(history)?, &mut rows);
    let rows = MatRef::from_row_major_slice(&rows, n, m);
    let root = kernels.whitening().expect("kernels have one");
    let axes = principal(product(rows, root.as_ref()), AXES)
        .map_err(|source| FitError::Other { recipe: RECIPE.to_owned(), source })?;
    // `(rank, m)`, of the kernels as they are.
    let axes = product(axes.as_ref(), root.transpose());
    let values = product(rows, axes.transpose());
    let rank = axes.nrows();
    let intercepts: Vec<f64> =
        (0..rank).map(|axis| -values.col(axis).iter().sum::<f64>() / n as f64).collect();
    let number = |row: usize, axis: usize| values[(row, axis)] + intercepts[axis];
    let numbers = (0..n).flat_map(|row| {
        let own = (0..rank).map(move |axis| number(row, axis));
        [1.0].into_iter().chain(own)
    });
    let numbers = numbers.collect();
    let weights = (0..rank).flat_map(|axis| (0..m).map(move |at| (axis, at)));
    #[expect(clippy::cast_possible_truncation, reason = "as wide as embeddings are enough")]
    let weights = weights.map(|at| axes[at] as f32).collect();
    Ok(Basis::new(Raw::Features(Arc::new(kernels)), weights, intercepts, numbers))
}

/// Prompts as points that are to be alike: (1), and how hard each is for the models, which counts
/// as much as all axes together.
fn points(basis: &Basis, scores: Labelled<'_>) -> Vec<f64> {
    let len = basis.len();
    let hard = scores.means();
    let n = hard.len() as f64;
    let mean = hard.iter().sum::<f64>() / n;
    let spread = hard.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    let axes = basis.rows.chunks_exact(len).flat_map(|row| &row[1..]);
    let along = axes.map(|x| x * x).sum::<f64>();
    // Where all are as hard there is nothing to keep alike.
    let unit = if spread > 0.0 { (along / spread).sqrt() } else { 0.0 };
    let point = |(row, hard): (&[f64], f64)| {
        let axes = row[1..].to_vec();
        axes.into_iter().chain([unit * (hard - mean)])
    };
    basis.rows.chunks_exact(len).zip(hard).flat_map(point).collect()
}

impl LinearLore for SlopeLore {
    fn linear(&self) -> &Linear {
        &self.linear
    }

    fn longer(&self, history: &History) -> Result<Self, FitError> {
        let grown = Self::learn(history, self.recipe, Some(self.penalties), self.seed)?;
        Ok(Self { choice: self.choice.clone(), ..grown })
    }

    fn order(&self) -> &[usize] {
        &self.order
    }

    fn chosen(&self) -> Option<&str> {
        self.choice.as_deref()
    }
}
