//! The options that may matter in a box of prices.
//!
//! Queries go by eights, those with the same number of candidates together, and the
//! candidates of eight queries lie abreast (sliced ELLPACK: Monakov, Lokhmotov and
//! Avetisyan, 2010), so that a look at all of them is a sequence of eight-wide steps.

mod build;
mod ray;

pub(super) use build::Sink;
use ray::Event;
pub(super) use ray::Meeting;

use super::gather::{Request, gather};
use super::program::{Program, index};
use crate::dual::layout::LANES;
use crate::dual::{Layout, Sides};

/// No option.
pub(super) const NONE: u32 = u32::MAX;
/// Queries whose choice varies over a box, each with its options that may be best there.
///
/// A query is known by its *ordinal*, its place in the layout without padding, and here
/// by its place among the undecided ones, eight a block; an option by its place among the
/// candidates, of which a block has a row of eight for each of its options. What pads a
/// row is worth nothing at all, minus infinity.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Where it holds; `None` for everywhere.
    pub(super) sides: Option<Sides>,
    /// What the decided queries use, by row, and what they are worth.
    decided: Vec<f64>,
    worth: f64,
    n_metered: usize,
    n_candidates: usize,
    /// `(ordinal, query)`, ascending.
    by_ordinal: Vec<(u32, u32)>,
    // By undecided query, eight a block.
    /// [`NONE`] where the block is padded.
    ordinals: Vec<u32>,
    weights: Vec<f64>,
    /// The key, a candidate.
    keys: Vec<u32>,
    /// How many of its directions are basic.
    n_basic: Vec<u32>,
    /// By block: its first row of candidates.
    starts: Vec<u32>,
    // By candidate, eight a row.
    options: Vec<u32>,
    tolls: Vec<u32>,
    values: Vec<f64>,
    /// `(n_rows, n_metered, LANES)`.
    readings: Vec<f64>,
    basic: Vec<bool>,
    scores: Vec<f64>,
    slopes: Vec<f64>,
    // Reused between rays.
    events: Vec<Event>,
    overtaken: Vec<u32>,
    /// How far prices moved lately.
    stride: f64,
    charged: Vec<f64>,
}

impl Field {
    /// The field of a box at `prices`. `keys` are options by ordinal, or [`NONE`]; a key
    /// that is best stays. `kept` queries are in the field whatever the box.
    pub(super) fn new(
        program: &Program,
        layout: &Layout,
        sides: Option<Sides>,
        prices: &[f64],
        kept: &[u32],
        noise: f64,
        keys: &mut [u32],
    ) -> Self {
        let (middle, radius) = match &sides {
            Some(Sides { floors, ceilings }) => {
                let both = || floors.iter().zip(ceilings);
                let middle = both().map(|(low, high)| f64::midpoint(*low, *high)).collect();
                (middle, Some(both().map(|(low, high)| 0.5 * (high - low)).collect::<Vec<_>>()))
            }
            None => (prices.to_vec(), None),
        };
        let request = Request { middle: &middle, radius: radius.as_deref(), kept, noise };
        let mut field = gather(layout, program, &request, keys);
        field.sides = sides;
        field.rescore(program, prices);
        field.choose_keys();
        field
    }

    pub(super) fn n_candidates(&self) -> usize {
        self.n_candidates
    }

    pub(super) fn ordinal(&self, query: u32) -> u32 {
        self.ordinals[query as usize]
    }

    pub(super) fn key(&self, query: u32) -> u32 {
        self.keys[query as usize]
    }

    /// How many directions of a query are basic.
    pub(super) fn n_basic(&self, query: u32) -> u32 {
        self.n_basic[query as usize]
    }

    /// The option that a candidate is.
    pub(super) fn option(&self, candidate: u32) -> u32 {
        self.options[candidate as usize]
    }

    /// The query with this ordinal, and of its candidates that with this option.
    pub(super) fn find(&self, ordinal: u32, option: u32) -> Option<(u32, u32)> {
        let at = self.by_ordinal.binary_search_by_key(&ordinal, |(ordinal, _)| *ordinal).ok()?;
        let query = self.by_ordinal[at].1;
        let mut candidates = self.candidates(query as usize);
        let candidate = candidates.find(|&candidate| self.options[candidate] == option)?;
        Some((query, index(candidate)))
    }

    fn candidates(&self, query: usize) -> impl Iterator<Item = usize> + use<> {
        let (block, lane) = (query / LANES, query % LANES);
        let rows = self.starts[block] as usize..self.starts[block + 1] as usize;
        rows.map(move |row| row * LANES + lane)
    }

    /// Scores from scratch.
    pub(super) fn rescore(&mut self, program: &Program, prices: &[f64]) {
        program.tolls(prices, 0.0, &mut self.charged);
        self.pay();
        for ((score, value), slope) in self.scores.iter_mut().zip(&self.values).zip(&self.slopes) {
            *score = value + slope;
        }
    }

    /// Makes the best candidate the key of every query without basic directions, unless
    /// its key is as good.
    pub(super) fn choose_keys(&mut self) {
        for query in 0..self.ordinals.len() {
            if self.n_basic[query] > 0 {
                continue;
            }
            let key = self.keys[query];
            let kept = (key != NONE).then(|| self.scores[key as usize]);
            let mut best = (key, kept.unwrap_or(f64::NEG_INFINITY));
            for candidate in self.candidates(query) {
                if self.scores[candidate] > best.1 || best.0 == NONE {
                    best = (index(candidate), self.scores[candidate]);
                }
            }
            self.keys[query] = best.0;
        }
    }

    /// For another walk in the same field: prices are brought inside its sides, nothing is
    /// basic.
    pub(super) fn enter(&mut self, program: &Program, prices: &mut [f64]) {
        if let Some(Sides { floors, ceilings }) = &self.sides {
            for ((price, low), high) in prices.iter_mut().zip(floors).zip(ceilings) {
                *price = price.max(*low).min(*high);
            }
        }
        self.n_basic.fill(0);
        self.basic.fill(false);
        self.stride = f64::INFINITY;
        self.rescore(program, prices);
        self.choose_keys();
    }

    /// What all queries are worth with their keys.
    pub(super) fn value_of_keys(&self) -> f64 {
        let value = |&(_, query): &(u32, u32)| {
            self.weights[query as usize] * self.values[self.keys[query as usize] as usize]
        };
        self.worth + self.by_ordinal.iter().map(value).sum::<f64>()
    }

    /// By how much the score of some candidate of a query exceeds that of its key, and
    /// the size of that score.
    pub(super) fn misfit(&self, query: u32) -> (f64, f64) {
        let key = self.scores[self.keys[query as usize] as usize];
        let all = self.candidates(query as usize).map(|candidate| self.scores[candidate]);
        (all.fold(f64::NEG_INFINITY, f64::max) - key, key.abs())
    }

    /// Writes the keys into those by ordinal.
    pub(super) fn store_keys(&self, keys: &mut [u32]) {
        for &(ordinal, query) in &self.by_ordinal {
            keys[ordinal as usize] = self.options[self.keys[query as usize] as usize];
        }
    }

    /// `bounds` less what all keys use.
    pub(super) fn residual(&self, program: &Program) -> Vec<f64> {
        let mut readings = vec![0.0; program.n_tolls()];
        // What pads a block has no weight.
        for (&key, &weight) in self.keys.iter().zip(&self.weights) {
            let (toll, of_key) = self.readings_of(key);
            for (sum, reading) in readings[toll as usize..].iter_mut().zip(of_key) {
                *sum += weight * reading;
            }
        }
        let mut usage = self.decided.clone();
        program.add_usage(0, readings.iter(), 1.0, &mut usage);
        program.bounds.iter().zip(usage).map(|(bound, usage)| bound - usage).collect()
    }

    /// The first toll of a candidate, and what it reads on the metered slots.
    fn readings_of(&self, candidate: u32) -> (u32, impl Iterator<Item = &f64>) {
        let (row, lane) = (candidate as usize / LANES, candidate as usize % LANES);
        let readings = &self.readings[row * self.n_metered * LANES..][..self.n_metered * LANES];
        (self.tolls[candidate as usize], readings.iter().skip(lane).step_by(LANES))
    }

    fn add_usage(&self, program: &Program, candidate: u32, factor: f64, usage: &mut [f64]) {
        let (toll, readings) = self.readings_of(candidate);
        program.add_usage(toll, readings, factor, usage);
    }

    /// Adds what `candidate` uses and takes off what `other` uses, for one query.
    pub(super) fn add_difference(
        &self,
        program: &Program,
        query: u32,
        (candidate, other): (u32, u32),
        usage: &mut [f64],
    ) {
        let weight = self.weights[query as usize];
        self.add_usage(program, candidate, weight, usage);
        self.add_usage(program, other, -weight, usage);
    }

    /// What a candidate is worth more than the key, its weight counted.
    pub(super) fn worth(&self, query: u32, candidate: u32) -> f64 {
        let key = self.keys[query as usize];
        self.weights[query as usize] * (self.values[candidate as usize] - self.values[key as usize])
    }

    /// Makes a direction basic, or no longer so.
    pub(super) fn mark(&mut self, query: u32, candidate: u32, basic: bool) {
        self.basic[candidate as usize] = basic;
        let count = &mut self.n_basic[query as usize];
        *count = if basic { *count + 1 } else { *count - 1 };
    }

    /// Makes a candidate the key of its query.
    pub(super) fn force_key(&mut self, query: u32, candidate: u32) {
        self.keys[query as usize] = candidate;
    }

    /// Exchanges the key and a basic candidate.
    pub(super) fn set_key(&mut self, query: u32, candidate: u32) {
        let key = std::mem::replace(&mut self.keys[query as usize], candidate);
        self.basic[candidate as usize] = false;
        self.basic[key as usize] = true;
    }

    /// Moves the scores along the last ray.
    pub(super) fn advance(&mut self, step: f64) {
        for (score, slope) in self.scores.iter_mut().zip(&self.slopes) {
            *score += step * slope;
        }
    }
}
