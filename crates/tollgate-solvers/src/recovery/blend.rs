//! From shares of columns to shares of options.

use tollgate_core::Primal;

use super::{Recovery, Source};
use crate::dual::layout::{Lanes, PADDING};
use crate::dual::{Column, Layout};

/// A share below this is rounding.
const TINY: f64 = 1e-12;

/// For every query the options it goes to, with shares; option `n_models` is declining.
#[derive(Debug)]
pub(super) struct Blend {
    parts: Vec<Vec<(u32, f64)>>,
}

impl Blend {
    fn new(n_queries: usize) -> Self {
        Self { parts: vec![Vec::new(); n_queries] }
    }

    fn add(&mut self, query: usize, option: u32, share: f64) {
        let parts = &mut self.parts[query];
        match parts.iter_mut().find(|(other, _)| *other == option) {
            Some((_, total)) => *total += share,
            None => parts.push((option, share)),
        }
    }

    /// One option a query, all with the same share.
    fn add_choices(&mut self, options: &[u32], share: f64) {
        for (query, &option) in options.iter().enumerate() {
            self.add(query, option, share);
        }
    }

    /// A table of shares, `(block, model)`, times `share`.
    fn add_table(&mut self, layout: &Layout, table: &[Lanes], share: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "models are u32 in an answer")]
        let declined = layout.n_models() as u32;
        for (queries, block) in layout.queries.iter().zip(table.chunks_exact(layout.n_models())) {
            for (lane, &query) in queries.iter().enumerate().filter(|(_, q)| **q != PADDING) {
                let mut left = 1.0;
                for (option, shares) in (0..).zip(block) {
                    if shares[lane] > TINY {
                        self.add(query as usize, option, share * shares[lane]);
                        left -= shares[lane];
                    }
                }
                if left > TINY {
                    self.add(query as usize, declined, share * left);
                }
            }
        }
    }

    /// The answer without the declined shares, and without the tiny ones.
    fn into_primal(self, n_models: usize, may_decline: bool) -> Primal {
        let served = |option: u32| (option as usize) < n_models;
        Primal::from_queries(self.parts.into_iter().map(|mut parts| {
            parts.retain(|(option, share)| *share > TINY && (may_decline || served(*option)));
            parts.sort_by_key(|(option, _)| *option);
            let total: f64 = parts.iter().map(|(_, share)| share).sum();
            parts.retain(|(option, _)| served(*option));
            for (_, share) in &mut parts {
                *share /= total;
            }
            parts
        }))
    }
}

impl Recovery<'_, '_> {
    /// The mixture of the master, column by column.
    pub(super) fn answer(&mut self) -> Primal {
        let active: Vec<(usize, f64)> =
            self.master.shares().filter(|(_, share)| *share > 1e-14).collect();
        let total: f64 = active.iter().map(|(_, share)| share).sum();
        let mut blend = Blend::new(self.problem.n_queries());
        for (at, share) in active {
            self.blend_in(&mut blend, at, share / total);
        }
        let may_decline = self.problem.choice() == tollgate_core::Choice::AtMostOne;
        blend.into_primal(self.problem.n_models(), may_decline)
    }

    fn blend_in(&mut self, blend: &mut Blend, at: usize, share: f64) {
        match &self.sources[at] {
            Source::Choices => {
                let options = self.oracle.replay(&self.master.columns[at], &[], &[]);
                blend.add_choices(&options, share);
            }
            Source::Mean(stretch) => {
                let steps = &self.trail[stretch.clone()];
                let total: f64 = steps.iter().map(|step| step.weight).sum();
                for step in steps {
                    let origin = Some((step.prices.clone(), step.phase));
                    let column = Column { origin, value: 0.0, usage: Vec::new() };
                    let options = self.oracle.replay(&column, &[], &[]);
                    blend.add_choices(&options, share * step.weight / total);
                }
            }
            Source::Table(table) => blend.add_table(self.layout, table, share),
            Source::Softmax { prices, phase, temperature } => {
                let table = self.operator.softmax_table(prices, *phase, *temperature);
                self.work += self.layout.n_queries() as u64;
                blend.add_table(self.layout, &table, share);
            }
        }
    }
}
