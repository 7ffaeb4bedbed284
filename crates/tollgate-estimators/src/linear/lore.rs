//! A pool whose models are linear: what differs is how the numbers and the prior are learned.

use std::fmt;

use tollgate_core::{EstimatesMut, FitError, History, Prior, Scratch};

use super::{Coefficients, Linear, Tables};
use crate::pool::{Answers, Lore};

/// What was learned of prompts that models are linear in.
pub(crate) trait LinearLore: fmt::Debug + Send + Sync + Sized + 'static {
    fn linear(&self) -> &Linear;

    /// See [`Lore::grow`].
    fn longer(&self, history: &History) -> Result<Self, FitError>;

    /// See [`Lore::worth_labelling`].
    fn order(&self) -> &[usize];

    /// See [`Lore::choice`].
    fn chosen(&self) -> Option<&str>;
}

impl<L: LinearLore> Lore for L {
    type Known = Coefficients;
    type Tables = Tables;

    fn know(&self, answers: &Answers, prior: Prior) -> Coefficients {
        self.linear().know(answers, prior)
    }

    fn tabulate(&self, known: &[&Coefficients]) -> Tables {
        self.linear().tabulate(known)
    }

    fn estimate(
        &self,
        tables: &Tables,
        direction: &[f32],
        scratch: &mut Scratch,
        out: &mut EstimatesMut<'_>,
    ) {
        self.linear().estimate(tables, direction, scratch, out);
    }

    fn grow(&self, history: &History) -> Result<Self, FitError> {
        self.longer(history)
    }

    fn worth_labelling(&self) -> &[usize] {
        self.order()
    }

    fn choice(&self) -> Option<&str> {
        self.chosen()
    }
}
