//! What is known about past prompts.

use std::sync::Arc;

use crate::{HistoryError, Models, Queries};

/// Labelled prompts: an embedding each, and for each model its score and cost, or a
/// gap where the model was not run. Where somebody has counted them, the tokens of each
/// prompt as well.
#[derive(Clone, Debug)]
pub struct History {
    models: Models,
    n_queries: usize,
    dim: usize,
    embeddings: Arc<[f32]>,
    quality: Arc<[f64]>,
    cost: Arc<[f64]>,
    input_tokens: Option<Arc<[f64]>>,
}

impl History {
    /// Checks and shares the tables.
    ///
    /// `embeddings` is row-major `(n, dim)`; `quality` (scores in `[0, 1]`) and
    /// `cost` (USD, `>= 0`) are row-major `(n, models.len())` with NaN for a gap. An
    /// option of which only one of the two is known counts as a gap.
    ///
    /// # Errors
    /// [`HistoryError`] names the first length that does not fit, the first value
    /// out of range, or a model without a single label.
    pub fn new(
        models: Models,
        dim: usize,
        embeddings: Vec<f32>,
        mut quality: Vec<f64>,
        mut cost: Vec<f64>,
    ) -> Result<Self, HistoryError> {
        let labels = check(&models, 0, dim, &embeddings, &mut quality, &mut cost)?;
        all_labelled(&models, &labels)?;
        let n_queries = quality.len() / models.len();
        Ok(Self {
            models,
            n_queries,
            dim,
            embeddings: embeddings.into(),
            quality: quality.into(),
            cost: cost.into(),
            input_tokens: None,
        })
    }

    /// The same prompts with the tokens of each, shape `(len,)`, finite and `>= 0`, in place of
    /// any that were known.
    ///
    /// # Errors
    /// [`HistoryError::Length`] where there is not one count for each prompt,
    /// [`HistoryError::InputTokens`] names the first that is out of range.
    pub fn with_input_tokens(mut self, tokens: Vec<f64>) -> Result<Self, HistoryError> {
        if tokens.len() != self.n_queries {
            let (what, expected) = ("input tokens", self.n_queries);
            return Err(HistoryError::Length { what, expected, got: tokens.len() });
        }
        if let Some(query) = tokens.iter().position(|&x| !(x >= 0.0 && x.is_finite())) {
            return Err(HistoryError::InputTokens { query, got: tokens[query] });
        }
        self.input_tokens = Some(tokens.into());
        Ok(self)
    }

    /// The same prompts and scores with other costs, row-major `(len, n_models)`, finite and
    /// `>= 0`, or NaN for a gap: for recipes that learn something else than USD. An option of
    /// which only one of score and cost is known counts as a gap.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_cost(&self, mut cost: Vec<f64>) -> Result<Self, HistoryError> {
        let mut quality = self.quality.to_vec();
        let labels = check(&self.models, 0, self.dim, &self.embeddings, &mut quality, &mut cost)?;
        all_labelled(&self.models, &labels)?;
        Ok(Self { quality: quality.into(), cost: cost.into(), ..self.clone() })
    }

    /// These prompts and some more after them, of which a model may be labelled on none.
    /// Shapes and ranges as in [`new`](Self::new).
    ///
    /// The tokens of the new prompts are not known, and the tokens of some are none at all:
    /// the longer history has none, until [`with_input_tokens`](Self::with_input_tokens) says
    /// those of old and new.
    ///
    /// # Errors
    /// As [`new`](Self::new); prompts are numbered on from those there are.
    pub fn append(
        &self,
        embeddings: &[f32],
        mut quality: Vec<f64>,
        mut cost: Vec<f64>,
    ) -> Result<Self, HistoryError> {
        check(&self.models, self.n_queries, self.dim, embeddings, &mut quality, &mut cost)?;
        Ok(Self {
            models: self.models.clone(),
            n_queries: self.n_queries + quality.len() / self.models.len(),
            dim: self.dim,
            embeddings: [&self.embeddings, embeddings].concat().into(),
            quality: [&self.quality[..], &quality].concat().into(),
            cost: [&self.cost[..], &cost].concat().into(),
            input_tokens: None,
        })
    }

    /// The models, in index order.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// How many prompts; never 0.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one prompt")]
    pub fn len(&self) -> usize {
        self.n_queries
    }

    /// The dimension of the embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The prompts.
    pub fn queries(&self) -> Queries<'_> {
        Queries::new(&self.embeddings, self.dim).input_tokens(self.input_tokens.as_deref())
    }

    /// The embeddings, shared; row-major `(len, dim)`.
    pub fn embeddings(&self) -> &Arc<[f32]> {
        &self.embeddings
    }

    /// Scores in `[0, 1]`, row-major `(len, n_models)`; NaN is a gap.
    pub fn quality(&self) -> &Arc<[f64]> {
        &self.quality
    }

    /// Costs in USD, row-major `(len, n_models)`; NaN exactly where the score is.
    pub fn cost(&self) -> &Arc<[f64]> {
        &self.cost
    }

    /// Tokens of each prompt, shape `(len,)`, finite and `>= 0`; `None` where nobody has counted.
    pub fn input_tokens(&self) -> Option<&Arc<[f64]>> {
        self.input_tokens.as_ref()
    }

    /// Whether some option has no label.
    pub fn has_gaps(&self) -> bool {
        self.quality.iter().any(|score| score.is_nan())
    }

    /// The prompts at `rows`, in that order, with their tokens.
    ///
    /// # Errors
    /// As [`new`](Self::new): fewer rows may leave a model without a label.
    pub fn select(&self, rows: &[usize]) -> Result<Self, HistoryError> {
        let n_models = self.models.len();
        let pick = |table: &[f64]| -> Vec<f64> {
            rows.iter().flat_map(|&r| &table[r * n_models..(r + 1) * n_models]).copied().collect()
        };
        let embeddings = rows
            .iter()
            .flat_map(|&r| &self.embeddings[r * self.dim..(r + 1) * self.dim])
            .copied()
            .collect();
        let (quality, cost) = (pick(&self.quality), pick(&self.cost));
        let selected = Self::new(self.models.clone(), self.dim, embeddings, quality, cost)?;
        let tokens = |tokens: &Arc<[f64]>| rows.iter().map(|&r| tokens[r]).collect();
        Ok(Self { input_tokens: self.input_tokens.as_ref().map(tokens), ..selected })
    }
}

/// Refuses a model without a label.
fn all_labelled(models: &Models, labels: &[usize]) -> Result<(), HistoryError> {
    match labels.iter().position(|&count| count == 0) {
        Some(model) => Err(HistoryError::Unlabelled { model: models.id(model).clone() }),
        None => Ok(()),
    }
}

/// Checks tables of prompts, numbered from `first`, and makes half a label a gap; answers
/// how many labels each model has.
fn check(
    models: &Models,
    first: usize,
    dim: usize,
    embeddings: &[f32],
    quality: &mut [f64],
    cost: &mut [f64],
) -> Result<Vec<usize>, HistoryError> {
    let n_models = models.len();
    let n_queries = quality.len() / n_models;
    let sizes = [
        ("quality", n_queries * n_models, quality.len()),
        ("cost", n_queries * n_models, cost.len()),
        ("embeddings", n_queries * dim, embeddings.len()),
    ];
    if let Some(&(what, expected, got)) = sizes.iter().find(|(_, want, got)| want != got) {
        return Err(HistoryError::Length { what, expected, got });
    }
    if n_queries == 0 {
        return Err(HistoryError::Empty);
    }
    if let Some(at) = embeddings.iter().position(|x| !x.is_finite()) {
        return Err(HistoryError::Embedding { query: first + at / dim, got: embeddings[at] });
    }
    let mut labels = vec![0_usize; n_models];
    for at in 0..quality.len() {
        let (query, model) = (first + at / n_models, at % n_models);
        let (score, usd) = (quality[at], cost[at]);
        if score.is_nan() || usd.is_nan() {
            quality[at] = f64::NAN;
            cost[at] = f64::NAN;
            continue;
        }
        let name = || models.id(model).clone();
        if !(0.0..=1.0).contains(&score) {
            return Err(HistoryError::Quality { query, model: name(), got: score });
        }
        if !(usd >= 0.0 && usd.is_finite()) {
            return Err(HistoryError::Cost { query, model: name(), got: usd });
        }
        labels[model] += 1;
    }
    Ok(labels)
}

#[cfg(test)]
#[path = "history/tests.rs"]
mod tests;
