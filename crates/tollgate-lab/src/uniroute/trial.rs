//! One trial: a table cut into what is known and what is asked.

use std::sync::Arc;

use tollgate::core::{
    DeferralCurve, Estimator, Fit, History, Label, ModelPool, Models, Prior, Prompt, Seed,
};
use tollgate::data::Table;

use super::metrics::{Recovery, Yardstick, recovery};
use super::{Costs, Cut, Kind, Protocol, Scores};
use crate::LabError;
use crate::scenario::{Prompts, estimate_all};

/// A cut table, with everything that methods of a comparison share.
#[derive(Debug)]
pub struct Trial<'a> {
    table: &'a Table,
    seed: Seed,
    cut: Cut,
    costs: Costs,
    /// The unseen models, among which is routed.
    models: Models,
    /// Their labels on the validation prompts.
    validation: History,
    /// Test rows that some unseen model was run on.
    rows: Vec<usize>,
    /// True scores and costs of the unseen models on `rows`, row-major, NaN for a gap.
    quality: Vec<f64>,
    cost: Vec<f64>,
    /// `c(h)` in USD.
    price_list: Vec<f64>,
}

impl<'a> Trial<'a> {
    /// Cuts a table.
    ///
    /// # Errors
    /// [`LabError`] for a protocol that the table does not allow, or an unseen model without a
    /// validation label.
    pub fn new(table: &'a Table, protocol: &Protocol, seed: Seed) -> Result<Self, LabError> {
        Self::of(table, Cut::draw(table, protocol, seed)?, protocol.costs, seed)
    }

    /// A trial of a given cut.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of(table: &'a Table, cut: Cut, costs: Costs, seed: Seed) -> Result<Self, LabError> {
        let validation = labelled(table, &cut.unseen, &cut.validation)?;
        let price_list = means(validation.cost(), cut.unseen.len());
        let rows = run_by_some(table, &cut.unseen, &cut.test);
        if rows.is_empty() {
            return Err(LabError::Shape { what: "test prompts", expected: 1, got: 0 });
        }
        let pick = |values: &[f64]| pick(values, table.models().len(), &rows, &cut.unseen);
        let (quality, cost) = (pick(table.quality()), pick(table.cost()));
        let models = validation.models().clone();
        Ok(Self { table, seed, cut, costs, models, validation, rows, quality, cost, price_list })
    }

    /// Which models and rows have which part.
    pub fn cut(&self) -> &Cut {
        &self.cut
    }

    /// The unseen models.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The unseen models' labels on the validation prompts.
    pub fn validation(&self) -> &History {
        &self.validation
    }

    /// How many prompts are routed.
    pub fn n_prompts(&self) -> usize {
        self.rows.len()
    }

    /// `c(h)` of every unseen model in USD.
    pub fn price_list(&self) -> &[f64] {
        &self.price_list
    }

    /// What a method expects of every unseen model on every test prompt, row-major, NaN where
    /// a model was not run.
    ///
    /// # Errors
    /// [`LabError`] where a recipe refuses the history or a prompt, or its estimator is no
    /// pool.
    pub fn expected(&self, kind: &Kind) -> Result<Vec<f64>, LabError> {
        match kind {
            Kind::ZeroRouter => {
                let worth = adjusted_means(self.validation.quality(), self.models.len());
                let prompts = 0..self.n_prompts();
                Ok(self.with_gaps(prompts.flat_map(|_| worth.iter().copied()).collect()))
            }
            Kind::Oracle => Ok(self.quality.clone()),
            Kind::Pool(recipe) => {
                let seen = self.seen()?;
                let fitted = recipe.fit(&seen, self.seed)?;
                self.estimate(
                    self.exchange(recipe.as_ref(), fitted.as_ref(), &self.labels())?.as_ref(),
                )
            }
            Kind::Retrained(recipe) => {
                self.estimate(recipe.fit(&self.validation, self.seed)?.as_ref())
            }
            Kind::Clairvoyant(recipe) => {
                let history = labelled(self.table, &self.cut.unseen, &self.cut.training)?;
                self.estimate(recipe.fit(&history, self.seed)?.as_ref())
            }
        }
    }

    /// The curve of (1) of the module's page.
    pub fn curve(&self, expected: &[f64]) -> DeferralCurve {
        let prompts = 0..self.n_prompts();
        let asked: Vec<f64> = prompts.flat_map(|_| self.price_list.iter().copied()).collect();
        let paid = match self.costs {
            Costs::PerModel => &asked,
            Costs::Realised => &self.cost,
        };
        DeferralCurve::new(self.models.len(), [expected, &asked], [&self.quality, paid])
    }

    /// What everybody is measured by.
    pub fn yardstick(&self) -> Yardstick {
        let cheaper = |a: &usize, b: &usize| self.price_list[*a].total_cmp(&self.price_list[*b]);
        let n_models = self.models.len();
        let run = |prompt: usize| {
            let cells = &self.quality[prompt * n_models..(prompt + 1) * n_models];
            (0..n_models).filter(|&model| !cells[model].is_nan())
        };
        let n = self.n_prompts() as f64;
        let (mut least, mut most) = (0.0, 0.0);
        for prompt in 0..self.n_prompts() {
            least += run(prompt).min_by(cheaper).map_or(0.0, |model| self.paid(prompt, model)) / n;
            most += run(prompt).max_by(cheaper).map_or(0.0, |model| self.paid(prompt, model)) / n;
        }
        let single = |model: usize| {
            let quality =
                (0..self.n_prompts()).map(|prompt| self.quality[prompt * n_models + model]);
            let cost = (0..self.n_prompts()).map(|prompt| self.paid(prompt, model));
            (quality.sum::<f64>() / n, cost.sum::<f64>() / n)
        };
        // A gap makes a mean NaN.
        let singles = (0..n_models).map(single).filter(|(quality, _)| !quality.is_nan());
        let best = singles.reduce(|best, next| {
            let better = next.0.total_cmp(&best.0).then(best.1.total_cmp(&next.1));
            if better.is_gt() { next } else { best }
        });
        Yardstick { least, most, best }
    }

    /// A method's curve and what it came to.
    pub fn scores(&self, expected: &[f64]) -> (DeferralCurve, Scores) {
        let curve = self.curve(expected);
        let scores = Scores::new(&curve, &self.yardstick(), self.recovery(expected));
        (curve, scores)
    }

    /// RouteLLM's numbers between the cheapest model and the best on validation, over the test
    /// prompts that both were run on.
    fn recovery(&self, expected: &[f64]) -> Option<Recovery> {
        let n_models = self.models.len();
        let worth = adjusted_means(self.validation.quality(), n_models);
        let weak = (0..n_models).reduce(|best, next| {
            if self.price_list[next] < self.price_list[best] { next } else { best }
        })?;
        let strong = (0..n_models)
            .reduce(|best, next| if worth[next] > worth[best] { next } else { best })?;
        let both = |prompt: &usize| {
            let cell = |model: usize| self.quality[prompt * n_models + model];
            !cell(weak).is_nan() && !cell(strong).is_nan()
        };
        let both: Vec<usize> = (0..self.n_prompts()).filter(both).collect();
        if weak == strong || both.is_empty() {
            return None;
        }
        let column = |of: &[f64], model: usize| -> Vec<f64> {
            both.iter().map(|prompt| of[prompt * n_models + model]).collect()
        };
        let [low, high] = [weak, strong].map(|model| column(expected, model));
        let [worse, better] = [weak, strong].map(|model| column(&self.quality, model));
        recovery([&low, &high], [&worse, &better])
    }

    fn paid(&self, prompt: usize, model: usize) -> f64 {
        match self.costs {
            Costs::PerModel => self.price_list[model],
            Costs::Realised => self.cost[prompt * self.models.len() + model],
        }
    }

    /// The seen models' labels on the training prompts.
    pub(super) fn seen(&self) -> Result<History, LabError> {
        labelled(self.table, &self.cut.seen, &self.cut.training)
    }

    /// The rows of the table that those are of, in their order.
    pub(super) fn seen_rows(&self) -> Vec<usize> {
        run_by_some(self.table, &self.cut.seen, &self.cut.training)
    }

    /// The validation labels of every unseen model.
    fn labels(&self) -> Vec<Vec<Label<'_>>> {
        let n_models = self.models.len();
        let (queries, validation) = (self.validation.queries(), &self.validation);
        let label = |prompt: usize, model: usize| {
            let cell = prompt * n_models + model;
            let (quality, cost) = (validation.quality()[cell], validation.cost()[cell]);
            let prompt = Prompt::Embedding(queries.query(prompt).embedding);
            (!quality.is_nan()).then_some(Label { prompt, quality, cost })
        };
        let prompts = 0..validation.len();
        let of = |model| prompts.clone().filter_map(|prompt| label(prompt, model)).collect();
        (0..n_models).map(of).collect()
    }

    /// The pool with the unseen models in place of the seen ones.
    pub(super) fn exchange(
        &self,
        recipe: &dyn Fit,
        fitted: &dyn Estimator,
        labels: &[Vec<Label<'_>>],
    ) -> Result<Box<dyn Estimator>, LabError> {
        let (first, rest) = (self.models.id(0), self.models.iter().zip(labels).skip(1));
        let mut now = pool(recipe, fitted)?.add_model(first, Prior::default(), &labels[0])?;
        for (model, labels) in rest {
            now = pool(recipe, now.as_ref())?.add_model(model, Prior::default(), labels)?;
        }
        for model in fitted.models().iter() {
            now = pool(recipe, now.as_ref())?.remove_model(model)?;
        }
        Ok(now)
    }

    pub(super) fn estimate(&self, estimator: &dyn Estimator) -> Result<Vec<f64>, LabError> {
        let (expected, got) = (self.models.len(), estimator.models().len());
        if *estimator.models() != self.models {
            return Err(LabError::Shape { what: "unseen models in the pool", expected, got });
        }
        let estimates = estimate_all(estimator, Prompts::of(self.table, &self.rows).queries())?;
        Ok(self.with_gaps(estimates.quality().to_vec()))
    }

    pub(super) fn table(&self) -> &'a Table {
        self.table
    }

    pub(super) fn seed(&self) -> Seed {
        self.seed
    }

    fn with_gaps(&self, mut expected: Vec<f64>) -> Vec<f64> {
        for (cell, real) in expected.iter_mut().zip(&self.quality) {
            if real.is_nan() {
                *cell = f64::NAN;
            }
        }
        expected
    }
}

pub(super) fn pool<'e>(
    recipe: &dyn Fit,
    estimator: &'e dyn Estimator,
) -> Result<&'e dyn ModelPool, LabError> {
    estimator.pool().ok_or_else(|| LabError::NoPool { recipe: recipe.name() })
}

/// Labels of some models on those of some rows that one of them was run on.
fn labelled(table: &Table, models: &[usize], rows: &[usize]) -> Result<History, LabError> {
    let part = table.select_models(&Cut::names(table, models))?;
    Ok(part.history(&run_by_some(table, models, rows))?)
}

fn run_by_some(table: &Table, models: &[usize], rows: &[usize]) -> Vec<usize> {
    let n_models = table.models().len();
    let run =
        |&row: &usize| models.iter().any(|model| !table.quality()[row * n_models + model].is_nan());
    rows.iter().copied().filter(run).collect()
}

fn pick(values: &[f64], n_models: usize, rows: &[usize], models: &[usize]) -> Vec<f64> {
    rows.iter().flat_map(|row| models.iter().map(move |m| values[row * n_models + m])).collect()
}

/// The mean of every column over its labels.
fn means(values: &Arc<[f64]>, n_models: usize) -> Vec<f64> {
    let mean = |model: usize| {
        let labels = values.iter().skip(model).step_by(n_models).filter(|x| !x.is_nan());
        let (sum, n) = labels.fold((0.0, 0.0), |(sum, n), x| (sum + x, n + 1.0));
        sum / n
    };
    (0..n_models).map(mean).collect()
}

/// Rounds of the fit, at most, and the step that ends it.
const ROUNDS: usize = 500;
const SMALL: f64 = 1e-12;

/// `a_h` of the least squares fit `y_jh = a_h + b_j` with `b` of mean 0 over labels: the means
/// of the columns where there are no gaps.
fn adjusted_means(quality: &Arc<[f64]>, n_models: usize) -> Vec<f64> {
    let mut worth = means(quality, n_models);
    if !quality.iter().any(|score| score.is_nan()) {
        return worth;
    }
    let overall = {
        let (sum, n) = quality
            .iter()
            .filter(|score| !score.is_nan())
            .fold((0.0, 0.0), |(sum, n), score| (sum + score, n + 1.0));
        sum / n
    };
    // Rows and columns in turn: each is the least squares fit given the other.
    for _ in 0..ROUNDS {
        let ease: Vec<f64> = quality
            .chunks_exact(n_models)
            .map(|row| {
                let rest = row.iter().zip(&worth).filter(|(score, _)| !score.is_nan());
                let (sum, n) = rest.fold((0.0, 0.0), |(s, n), (score, a)| (s + score - a, n + 1.0));
                if n > 0.0 { sum / n } else { 0.0 }
            })
            .collect();
        let rest: Arc<[f64]> = quality
            .chunks_exact(n_models)
            .zip(&ease)
            .flat_map(|(row, ease)| row.iter().map(move |score| score - ease))
            .collect();
        let next = means(&rest, n_models);
        let step = next.iter().zip(&worth).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        worth = next;
        if step < SMALL {
            break;
        }
    }
    // The fit leaves a constant open, which moves no choice.
    let shift = overall - worth.iter().sum::<f64>() / n_models as f64;
    worth.iter().map(|a| a + shift).collect()
}

#[cfg(test)]
#[path = "trial/tests.rs"]
mod tests;
