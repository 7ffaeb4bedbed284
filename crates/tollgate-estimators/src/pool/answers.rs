//! The labels of one model, in an order of their own.

use std::collections::BTreeMap;

use tollgate_core::{History, Label, ModelId, PoolError, Prompt};

use crate::vector::{checked_norm, direction_into};

/// Which prompt a label is of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At<'a> {
    /// A prompt of the history.
    Row(usize),
    /// Any other, by its direction.
    Direction(&'a [f32]),
}

/// One label.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) at: At<'a>,
    pub(crate) quality: f64,
    pub(crate) cost: f64,
}

/// A label of a prompt that is not in the history; ordered by its bits.
#[derive(Clone, Debug)]
struct Other {
    direction: Box<[f32]>,
    quality: f64,
    cost: f64,
}

/// What a model is known by: the same whatever the order in which it was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// Score and cost, by the row of the history.
    rows: BTreeMap<usize, [f64; 2]>,
    others: Vec<Other>,
}

impl Answers {
    /// The labels of a model in a history, from row `first` on, beside those there are.
    pub(crate) fn add_rows(&mut self, history: &History, model: usize, first: usize) {
        let n_models = history.models().len();
        let cells = (model + first * n_models..history.quality().len()).step_by(n_models);
        for (row, cell) in (first..).zip(cells) {
            let (quality, cost) = (history.quality()[cell], history.cost()[cell]);
            if !quality.is_nan() {
                self.rows.insert(row, [quality, cost]);
            }
        }
    }

    /// Score and cost of some rows.
    pub(crate) fn of_rows(rows: impl Iterator<Item = (usize, [f64; 2])>) -> Self {
        Self { rows: rows.collect(), others: Vec::new() }
    }

    /// The first `most` labels of the only model of a history.
    pub(crate) fn first(history: &History, most: usize) -> Self {
        let mut answers = Self::default();
        answers.add_rows(history, 0, 0);
        while answers.rows.len() > most {
            answers.rows.pop_last();
        }
        answers
    }

    /// These labels and some more, whose numbers have been checked.
    ///
    /// # Errors
    /// [`PoolError::Embedding`] names the first label whose embedding is refused.
    pub(crate) fn with(
        &self,
        model: &ModelId,
        dim: usize,
        labels: &[Label<'_>],
    ) -> Result<Self, PoolError> {
        let mut all = self.clone();
        for (label, &Label { prompt, quality, cost }) in labels.iter().enumerate() {
            match prompt {
                Prompt::Representative(row) => {
                    all.rows.insert(row, [quality, cost]);
                }
                Prompt::Embedding(embedding) => {
                    let norm = checked_norm(embedding, dim)
                        .map_err(|why| PoolError::Embedding { model: model.clone(), label, why })?;
                    let mut direction = vec![0.0; dim].into_boxed_slice();
                    direction_into(embedding, norm, &mut direction);
                    all.others.push(Other { direction, quality, cost });
                }
            }
        }
        all.others.sort_by_cached_key(|other| {
            let bits = other.direction.iter().map(|x| x.to_bits());
            (bits.collect::<Vec<_>>(), other.quality.to_bits(), other.cost.to_bits())
        });
        Ok(all)
    }

    /// All labels, those of the history's prompts first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Answer<'_>> {
        let rows = self.rows.iter();
        let rows = rows.map(|(&row, &[quality, cost])| Answer { at: At::Row(row), quality, cost });
        let others = self.others.iter().map(|other| Answer {
            at: At::Direction(&other.direction),
            quality: other.quality,
            cost: other.cost,
        });
        rows.chain(others)
    }
}
