//! The rest of the run is what is still expected of the history's population.
//!
//! # Problem
//! Prices from history know the population, whatever the order it arrives in; but a re-solve
//! that takes the rest of the run to look like the whole history forgets what has come already.
//! Where the worthless queries come first, it goes on expecting them, and money is kept for
//! nobody; where the dear ones come first, it goes on expecting those.
//! And no history knows a population that is new.
//!
//! # Method
//! *History minus seen.* The history is divided into cells of similar queries (`cells.rs`), of
//! which cell `c` holds the share `p_c`. Of a run of `N` arrivals, `N p_c` are expected in it.
//! After `t` arrivals, `s_c` of them in the cell, the rest `R = N - t` is expected to hold
//!
//! ```text
//! rest_c = max(0, R p_c + a (t p_c - s_c)), scaled so that they sum to R             (1)
//! ```
//!
//! and the prompts of the cell share that weight. With `a = 1` this is `N p_c - s_c`, what the
//! population has left. In a random order, however, what has come says nothing of what is to
//! come: `t p_c - s_c` is noise, and `a = 0` is right. How much of the deviations is more than
//! noise is estimated as James and Stein do it, over all `K` cells at once:
//!
//! ```text
//! a = max(0, 1 - (K - 1) / X),   X = sum_c (t p_c - s_c)^2 / (t p_c (1 + t / n))    (2)
//! ```
//!
//! `X` is about `K - 1` in a random order, the second factor of its denominator being the noise
//! of a history of `n` prompts; in a sorted one it grows with `t`.
//!
//! *Novelties.* An arrival is a stranger if it is farther from its center than all but a
//! hundredth of the history. Where more than [`ALARM`] of the last [`LATEST`] arrivals are
//! strangers, the population is another one, and the latest arrivals stand for the rest in
//! that proportion, the history for what remains.
//!
//! # Departures from the papers
//! None has this: online linear programming prices on what has come, or on a sample, and its
//! guarantees are for random orders. That (1) is right in every order is plain where the
//! stream's population is the history's; how good it is elsewhere is only measured (the book's
//! chapter on the theory).
//!
//! # References
//! Li and Ye (2022) for re-solving on what is left; Besbes, Gur and Zeevi (2015) for restarting
//! on what is recent once the environment has changed.

use std::collections::VecDeque;
use std::sync::Arc;

use tollgate_core::{Budgets, EstimateTable, PolicyError, Problem, Progress, Purpose, Seed};

use super::cells::Cells;
use super::history::Corrected;
use super::{Ahead, Shares};
use crate::dual_price::sample::{Sample, corrected, problem};

/// Arrivals among which strangers are counted.
const LATEST: usize = 100;
/// The share of strangers that is no accident: the history itself has a hundredth.
const ALARM: f64 = 0.15;
/// The quantile of the history's distances beyond which an arrival is a stranger.
const FAMILIAR: f64 = 0.99;

#[derive(Debug)]
pub(super) struct RestOutlook {
    history: Corrected,
    budgets: Budgets,
    cells: Cells,
    /// The cell of each prompt of the history.
    cell_of: Vec<usize>,
    /// Prompts of the history in each cell.
    sizes: Vec<f64>,
    /// Arrivals in each cell.
    seen: Vec<f64>,
    shares: Shares,
    /// A squared distance beyond which an arrival is a stranger.
    familiar: f32,
    /// Of the latest arrivals, whether each is a stranger.
    strangers: VecDeque<bool>,
    recent: Sample,
}

impl RestOutlook {
    pub(super) fn new(
        history: &EstimateTable,
        budgets: Budgets,
        seed: Seed,
        window: usize,
    ) -> Result<Self, PolicyError> {
        let (cells, nearest) = Cells::of(history, &mut seed.stream(Purpose::Pricing, 0));
        let mut sizes = vec![0.0; cells.len()];
        for &(cell, _) in &nearest {
            sizes[cell] += 1.0;
        }
        let mut distances: Vec<f32> = nearest.iter().map(|&(_, distance)| distance).collect();
        distances.sort_unstable_by(f32::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count"
        )]
        let at = (FAMILIAR * distances.len() as f64) as usize;
        Ok(Self {
            familiar: distances.get(at).copied().unwrap_or(f32::INFINITY),
            cell_of: nearest.into_iter().map(|(cell, _)| cell).collect(),
            seen: vec![0.0; sizes.len()],
            sizes,
            cells,
            shares: Shares::new(budgets.n_groups()),
            strangers: VecDeque::with_capacity(LATEST + 1),
            recent: Sample::new(budgets.n_models(), window.min(LATEST)),
            history: Corrected::new(history, budgets.clone())?,
            budgets,
        })
    }

    /// How many arrivals of each cell are still expected, by prompt of the history: (1).
    fn weights(&self, seen: f64, rest: f64) -> Vec<f64> {
        let n: f64 = self.cell_of.len() as f64;
        let order = self.order(seen);
        let expected = self.sizes.iter().zip(&self.seen).map(|(size, come)| {
            let share = size / n;
            (rest * share + order * (seen * share - come)).max(0.0)
        });
        let left: Vec<f64> = expected.collect();
        let total: f64 = left.iter().sum();
        if total <= 0.0 {
            return vec![rest / n; self.cell_of.len()];
        }
        self.cell_of.iter().map(|&cell| left[cell] / self.sizes[cell] * rest / total).collect()
    }

    /// `a` of (2): how much of what has come is order, and not accident.
    fn order(&self, seen: f64) -> f64 {
        let n = self.cell_of.len() as f64;
        let cells = self.sizes.iter().zip(&self.seen).filter(|(size, _)| **size > 0.0);
        let surprise = |(size, come): (&f64, &f64)| {
            let expected = seen * size / n;
            (expected - come).powi(2) / (expected * (1.0 + seen / n))
        };
        let freedom = cells.clone().count().saturating_sub(1) as f64;
        let surprise: f64 = cells.map(surprise).sum();
        if surprise > freedom { 1.0 - freedom / surprise } else { 0.0 }
    }

    /// The share of strangers among the latest arrivals, 0 below the alarm.
    fn novelty(&self) -> f64 {
        if self.strangers.len() < LATEST {
            return 0.0;
        }
        let strangers = self.strangers.iter().filter(|stranger| **stranger).count();
        let share = strangers as f64 / LATEST as f64;
        if share > ALARM { share } else { 0.0 }
    }
}

impl Ahead for RestOutlook {
    fn problem(
        &mut self,
        progress: &Progress<'_>,
        rest: f64,
    ) -> Result<Option<Problem>, PolicyError> {
        let mut weights = self.weights(self.seen.iter().sum(), rest);
        if let Some(groups) = self.history.groups() {
            for (weight, &group) in weights.iter_mut().zip(groups.iter()) {
                *weight *= self.shares.of(group);
            }
        }
        let novelty = self.novelty();
        if novelty == 0.0 {
            let history = self.history.problem(progress.cost_ratios)?;
            return Ok(Some(history.with_weights(weights.into())?));
        }
        let n = self.recent.len();
        let history = self.history.history();
        let quality: Arc<[f64]> =
            history.quality().iter().copied().chain(self.recent.quality(n)).collect();
        let cost: Vec<f64> = history.cost().iter().copied().chain(self.recent.cost(n)).collect();
        let groups = self.history.groups();
        let groups = groups.map(|g| g.iter().copied().chain(self.recent.groups(n)).collect());
        for weight in &mut weights {
            *weight *= 1.0 - novelty;
        }
        weights.extend(std::iter::repeat_n(novelty * rest / n as f64, n));
        let cost = corrected(&cost, progress.cost_ratios);
        let problem = problem(&self.budgets, quality, cost, groups)?;
        Ok(Some(problem.with_weights(weights.into())?))
    }

    fn see(&mut self, progress: &Progress<'_>) {
        let arrival = progress.arrival;
        let (cell, distance) = self.cells.find(&arrival.estimates, progress.cost_ratios);
        if let Some(seen) = self.seen.get_mut(cell) {
            *seen += 1.0;
        }
        if self.strangers.len() == LATEST {
            self.strangers.pop_front();
        }
        self.strangers.push_back(distance > self.familiar);
        self.shares.see(arrival.group);
        self.recent.push(arrival, progress.cost_ratios);
    }

    fn has_ties(&self) -> bool {
        self.history.has_copies()
    }
}
