//! The constraint matrix of a problem, without the matrix: prices to scores, shares to
//! usage, in parallel over fixed chunks of queries.
//!
//! Chunks are always the same [`CHUNK`] blocks and their sums are added in order, so the
//! number of threads changes no bit of a result.
#![expect(clippy::inline_always, reason = "a pass is compiled anew for each instruction set")]

use rayon::prelude::*;
use tollgate_core::{Choice, Problem};

use crate::dense::dot;
use crate::dual::layout::{LANES, Lanes};
use crate::dual::{Column, Layout, Phase, ScaledRow};

/// Blocks of queries a thread takes at once.
pub(crate) const CHUNK: usize = 64;
/// A score that lies so many temperatures below the best has no share: `e^-40` is lost
/// in the rounding of the best one's.
const NEGLIGIBLE: f64 = -40.0;

/// See the module page.
#[derive(Debug)]
pub(crate) struct Operator<'a> {
    layout: &'a Layout,
    rows: &'a [ScaledRow],
    /// The totals that each row sums.
    slots: Vec<Vec<u32>>,
    /// The objective's weight of each slot, scaled.
    objective: Vec<f64>,
    /// The sum of all weights.
    pub(crate) weight: f64,
    may_decline: bool,
}

/// What a chunk adds to the totals of its groups.
#[derive(Debug)]
pub(crate) struct Totals {
    first_group: usize,
    group_len: usize,
    /// A sum for each lane of a block, so that eight run abreast.
    values: Vec<Lanes>,
}

impl Totals {
    /// Of one group, `(n_models + 1, n_slots)`.
    pub(crate) fn of(&mut self, group: u32) -> &mut [Lanes] {
        let start = (group as usize - self.first_group) * self.group_len;
        &mut self.values[start..start + self.group_len]
    }
}

/// The smoothed dual function at some prices.
#[derive(Clone, Debug)]
pub(crate) struct Softmax {
    /// Its value without the rows' tolls, scaled.
    pub(crate) gains: f64,
    /// What the softmax shares are worth, scaled.
    pub(crate) value: f64,
    /// What they use of each row, scaled.
    pub(crate) usage: Vec<f64>,
}

impl<'a> Operator<'a> {
    pub(crate) fn new(
        problem: &Problem,
        layout: &'a Layout,
        rows: &'a [ScaledRow],
        unit: f64,
    ) -> Self {
        let meters: Vec<_> = layout.slots().collect();
        let n_options = layout.n_models() + 1;
        let slots = problem.rows().iter().map(|row| {
            let slot = meters.iter().position(|meter| *meter == row.meter).expect("laid out");
            let mut covered = Vec::new();
            #[expect(
                clippy::cast_possible_truncation,
                reason = "groups are u32, and so are totals"
            )]
            for group in 0..layout.n_groups() {
                for model in 0..layout.n_models() {
                    if row.scope.covers(group as u32, model) {
                        covered.push(((group * n_options + model) * meters.len() + slot) as u32);
                    }
                }
            }
            covered
        });
        let slots = slots.collect();
        let objective = meters.iter().map(|meter| problem.objective(*meter) / unit).collect();
        let weight = problem.total_weight();
        let weight = if weight > 0.0 { weight } else { 1.0 };
        let may_decline = problem.choice() == Choice::AtMostOne;
        Self { layout, rows, slots, objective, weight, may_decline }
    }

    /// How many models a row covers in the mean over its groups, at least one.
    pub(crate) fn breadth(&self, row: usize) -> f64 {
        let per_group = self.slots[row].len() as f64 / self.layout.n_groups() as f64;
        per_group.max(1.0)
    }

    /// Scaled prices to the coefficients of scores, `(n_groups, n_models + 1, n_slots)`.
    pub(crate) fn coefficients(&self, prices: &[f64], phase: Phase) -> Vec<f64> {
        let mut coefficients = match phase {
            Phase::Objective => {
                self.objective.repeat(self.layout.n_totals() / self.objective.len())
            }
            Phase::Feasibility => vec![0.0; self.layout.n_totals()],
        };
        for ((row, slots), price) in self.rows.iter().zip(&self.slots).zip(prices) {
            let toll = price * row.scale;
            if toll != 0.0 {
                for &slot in slots {
                    coefficients[slot as usize] -= toll;
                }
            }
        }
        coefficients
    }

    /// Totals to what they are worth, scaled, and what they use of each row.
    pub(crate) fn worth(&self, totals: &[f64]) -> (f64, Vec<f64>) {
        let n_slots = self.objective.len();
        let n_options = self.layout.n_models() + 1;
        let options = totals.chunks_exact(n_slots).enumerate();
        let value = options
            .filter(|(option, _)| option % n_options < self.layout.n_models())
            .map(|(_, totals)| dot(totals, &self.objective))
            .sum();
        let usage = self.rows.iter().zip(&self.slots).map(|(row, slots)| {
            row.scale * slots.iter().map(|&slot| totals[slot as usize]).sum::<f64>()
        });
        (value, usage.collect())
    }

    /// How many numbers a table of shares has, eight queries a number.
    pub(crate) fn table_len(&self) -> usize {
        self.layout.groups.len() * self.layout.n_models()
    }

    /// Room for what the blocks from `first` to `last` use.
    pub(crate) fn totals(&self, first: usize, last: usize) -> Totals {
        let (first_group, last_group) =
            (self.layout.groups[first] as usize, self.layout.groups[last] as usize);
        let group_len = self.layout.group_len();
        let values = vec![[0.0; LANES]; (last_group - first_group + 1) * group_len];
        Totals { first_group, group_len, values }
    }

    /// Adds up what chunks use, in order.
    pub(crate) fn gather(&self, parts: impl IntoIterator<Item = Totals>) -> Vec<f64> {
        let mut all = vec![0.0; self.layout.n_totals()];
        for part in parts {
            let start = part.first_group * part.group_len;
            for (total, part) in all[start..].iter_mut().zip(&part.values) {
                *total += part.iter().sum::<f64>();
            }
        }
        all
    }

    /// The scores of the models for the queries of a block, unscaled by weight.
    #[inline(always)]
    pub(crate) fn scores(&self, block: usize, coefficients: &[f64], scores: &mut [Lanes]) {
        let n_tables = self.layout.n_tables();
        let start = self.layout.groups[block] as usize * self.layout.group_len();
        let coefficients = &coefficients[start..][..self.layout.group_len()];
        for ((score, coefficients), readings) in scores
            .iter_mut()
            .zip(coefficients.chunks_exact(n_tables + 1))
            .zip(self.readings(block).chunks_exact(n_tables))
        {
            *score = [coefficients[n_tables]; LANES];
            for (readings, coefficient) in readings.iter().zip(coefficients) {
                for (score, reading) in score.iter_mut().zip(readings) {
                    *score += coefficient * reading;
                }
            }
        }
    }

    /// Adds what some shares of a block's queries use; `weighted` are shares times
    /// weights.
    #[inline(always)]
    pub(crate) fn add_usage(&self, block: usize, weighted: &[Lanes], totals: &mut [Lanes]) {
        let n_tables = self.layout.n_tables();
        for ((weighted, totals), readings) in weighted
            .iter()
            .zip(totals.chunks_exact_mut(n_tables + 1))
            .zip(self.readings(block).chunks_exact(n_tables))
        {
            for (total, readings) in totals.iter_mut().zip(readings) {
                for lane in 0..LANES {
                    total[lane] += weighted[lane] * readings[lane];
                }
            }
            for lane in 0..LANES {
                totals[n_tables][lane] += weighted[lane];
            }
        }
    }

    #[inline(always)]
    fn readings(&self, block: usize) -> &[Lanes] {
        let stride = self.layout.block_len();
        &self.layout.readings[block * stride..][..stride]
    }

    /// Every maximum replaced by `temperature * log(sum(exp(. / temperature)))`, its
    /// slope by the softmax shares. One pass.
    pub(crate) fn softmax(&self, prices: &[f64], phase: Phase, temperature: f64) -> Softmax {
        let coefficients = self.coefficients(prices, phase);
        let n_blocks = self.layout.groups.len();
        let chunk = |chunk: usize| {
            let (first, last) = (chunk * CHUNK, ((chunk + 1) * CHUNK).min(n_blocks) - 1);
            let mut totals = self.totals(first, last);
            let mut shares = vec![[0.0; LANES]; self.layout.n_models()];
            let mut gains = 0.0;
            for block in first..=last {
                let tops = self.block_softmax(block, &coefficients, temperature, &mut shares);
                let weights = &self.layout.weights[block];
                gains += weights.iter().zip(&tops).map(|(w, top)| w * top).sum::<f64>();
                for shares in &mut shares {
                    for (share, weight) in shares.iter_mut().zip(weights) {
                        *share *= weight;
                    }
                }
                self.add_usage(block, &shares, totals.of(self.layout.groups[block]));
            }
            (gains, totals)
        };
        let parts: Vec<(f64, Totals)> = in_order(n_blocks.div_ceil(CHUNK), chunk);
        let gains = parts.iter().map(|(gains, _)| gains).sum();
        let (value, usage) = self.worth(&self.gather(parts.into_iter().map(|(_, totals)| totals)));
        Softmax { gains, value, usage }
    }

    /// The softmax shares themselves.
    pub(crate) fn softmax_table(
        &self,
        prices: &[f64],
        phase: Phase,
        temperature: f64,
    ) -> Vec<Lanes> {
        let coefficients = self.coefficients(prices, phase);
        let mut table = vec![[0.0; LANES]; self.table_len()];
        for (block, shares) in table.chunks_exact_mut(self.layout.n_models()).enumerate() {
            self.block_softmax(block, &coefficients, temperature, shares);
        }
        table
    }

    /// The softmax shares of a block, and the smoothed best score of each of its queries.
    fn block_softmax(
        &self,
        block: usize,
        coefficients: &[f64],
        temperature: f64,
        shares: &mut [Lanes],
    ) -> Lanes {
        self.scores(block, coefficients, shares);
        let mut best = [self.layout.floor(); LANES];
        for scores in shares.iter() {
            for (best, score) in best.iter_mut().zip(scores) {
                *best = best.max(*score);
            }
        }
        let part = |score: f64, best: f64| {
            let below = (score - best) / temperature;
            if below > NEGLIGIBLE { below.exp() } else { 0.0 }
        };
        let mut sums =
            if self.may_decline { best.map(|best| part(0.0, best)) } else { [0.0; LANES] };
        for scores in shares.iter_mut() {
            for ((share, best), sum) in scores.iter_mut().zip(&best).zip(&mut sums) {
                *share = part(*share, *best);
                *sum += *share;
            }
        }
        for shares in shares.iter_mut() {
            for (share, sum) in shares.iter_mut().zip(&sums) {
                *share /= sum;
            }
        }
        std::array::from_fn(|lane| best[lane] + temperature * sums[lane].ln())
    }

    /// A column that no prices alone give again.
    pub(crate) fn column(value: f64, usage: Vec<f64>, prices: &[f64], phase: Phase) -> Column {
        Column { origin: Some((prices.to_vec(), phase)), value, usage }
    }
}

/// `f(0), f(1), ...` on as many threads as there are; a single one is run in place.
pub(crate) fn in_order<T: Send>(n: usize, f: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    if n < 2 { (0..n).map(f).collect() } else { (0..n).into_par_iter().map(f).collect() }
}

#[cfg(test)]
#[path = "operator/tests.rs"]
mod tests;
