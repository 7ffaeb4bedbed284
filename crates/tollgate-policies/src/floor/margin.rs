//! By how much what is chosen disappoints, rehearsed on a history.
//!
//! # Problem
//! Prices choose an option for every query by what is expected of it. How far is the mean
//! score of the chosen from their mean expectation, and how sure is that?
//!
//! # Method
//! The same prices choose on the history, from held-out estimates, and there the scores are
//! known: `d = score - expectation` over the chosen options that have a score. Their mean is
//! the bias `b`, their deviation `s`. Where nobody knows the scores, estimates are taken at
//! their word, `b = 0`, and a score of expectation `q` deviates by no more than a coin does,
//! `s^2 = mean q (1 - q)`.
//!
//! The bootstrap draws both means of equation (2) of the floor's page anew from the `d` of the
//! options of highest expectation, and takes the quantile of their difference in units of the
//! normal formula's deviation.
//!
//! # References
//! Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

use serde::{Deserialize, Serialize};
use tollgate_core::{Coefficients, EstimateTable, Estimates, Meter, Purpose, Seed};

/// Where the margin of a floor comes from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Margin {
    /// None: estimates are corrected by their bias, and luck is left to decide.
    None,
    /// The normal distribution.
    Normal,
    /// Resampled errors of the history.
    Bootstrap,
}

/// How what some prices choose on a history differs from what is expected of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors {
    /// The mean score expected of what is chosen.
    pub expected: f64,
    /// Score less expectation, the mean over the chosen options that have a score.
    pub bias: f64,
    /// Its standard deviation.
    pub deviation: f64,
    /// How many options that is.
    pub known: f64,
}

impl Errors {
    /// The standard deviation of the mean score of `queries` more, equation (2) of the floor's
    /// page.
    pub fn of_mean(&self, queries: f64) -> f64 {
        self.deviation * (1.0 / queries + 1.0 / self.known).sqrt()
    }
}

/// A history to rehearse prices on.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    pub(super) history: EstimateTable,
}

/// How often the bootstrap draws.
const DRAWS: u64 = 400;

impl Rehearsal {
    /// Held-out estimates of a history, best with its scores.
    pub fn new(history: EstimateTable) -> Self {
        Self { history }
    }

    /// How many prompts.
    pub(crate) fn n_prompts(&self) -> usize {
        self.history.n_queries()
    }

    /// The mean scores, or expectations where no scores are known, of the model that is
    /// expected to cost the least, and of the options that are expected to score the most.
    pub fn range(&self) -> (f64, f64) {
        let n_models = self.history.n_models();
        let mut costs = vec![0.0; n_models];
        for row in self.history.cost().chunks_exact(n_models) {
            costs.iter_mut().zip(row).for_each(|(sum, cost)| *sum += cost);
        }
        let cheapest = highest(costs.iter().map(|cost| -cost));
        let least = self.errors(|_| cheapest);
        let best = self.of_best();
        (least.expected + least.bias, best.expected + best.bias)
    }

    /// What happens where options of the highest expectation are chosen.
    pub fn of_best(&self) -> Errors {
        self.errors(best)
    }

    /// What happens at prices: each prompt goes where its score by equation (3) of the core is
    /// highest, ties to the lower index. Prompts are taken to be in the first query group.
    pub fn at(&self, coefficients: &Coefficients) -> Errors {
        let column = |meter| coefficients.of(0, meter);
        let (quality, cost, one) =
            (column(Meter::Quality), column(Meter::Cost), column(Meter::One));
        self.errors(|expected| {
            let score = |model: usize| {
                quality.get(model) * expected.quality[model]
                    + cost.get(model) * expected.cost[model]
                    + one.get(model)
            };
            highest((0..expected.quality.len()).map(score))
        })
    }

    fn errors(&self, choose: impl Fn(&Estimates<'_>) -> usize) -> Errors {
        let (mut expected, mut coins) = (0.0, 0.0);
        let mut known = Moments::default();
        for (query, estimates) in self.rows() {
            let model = choose(&estimates);
            let quality = estimates.quality[model];
            expected += quality;
            let chance = quality.clamp(0.0, 1.0);
            coins += chance * (1.0 - chance);
            if let Some(score) = self.score(query, model) {
                known.add(score - quality, 1.0);
            }
        }
        let n = self.history.n_queries() as f64;
        let expected = expected / n;
        if known.n < 2.0 {
            return Errors { expected, bias: 0.0, deviation: (coins / n).sqrt(), known: n };
        }
        let (bias, deviation) = known.mean_and_deviation();
        Errors { expected, bias, deviation, known: known.n }
    }

    /// The quantile of `(mean of n - mean of N) / (s sqrt(1/N + 1/n))` at `level`, both means
    /// over errors drawn from those of the best.
    pub(super) fn bootstrap(&self, level: f64, queries: usize) -> f64 {
        let errors: Vec<f64> = self
            .rows()
            .filter_map(|(query, expected)| {
                let model = best(&expected);
                self.score(query, model).map(|score| score - expected.quality[model])
            })
            .collect();
        let of_best = self.of_best();
        if errors.len() < 2 || of_best.deviation <= 0.0 || queries == 0 {
            return 0.0;
        }
        let unit = of_best.of_mean(queries as f64);
        let mean = |draw: u64, n: usize| {
            let mut rng = Seed(0).stream(Purpose::Pricing, draw);
            (0..n).map(|_| errors[rng.below(errors.len())]).sum::<f64>() / n as f64
        };
        let difference = |draw| mean(2 * draw, errors.len()) - mean(2 * draw + 1, queries);
        let mut drawn: Vec<f64> = (0..DRAWS).map(|draw| difference(draw) / unit).collect();
        drawn.sort_unstable_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count"
        )]
        let at = (level * DRAWS as f64) as usize;
        drawn[at.min(drawn.len() - 1)]
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, Estimates<'_>)> {
        (0..self.history.n_queries()).map(|query| (query, self.history.row(query)))
    }

    pub(super) fn score(&self, query: usize, model: usize) -> Option<f64> {
        let score = self.history.scores()?[query * self.history.n_models() + model];
        (!score.is_nan()).then_some(score)
    }
}

/// The option of the highest expectation, ties to the lower index.
pub(super) fn best(expected: &Estimates<'_>) -> usize {
    highest(expected.quality.iter().copied())
}

/// The index of the highest score, ties to the lower one.
pub(super) fn highest(scores: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, score) in scores.enumerate() {
        if score > best.1 {
            best = (index, score);
        }
    }
    best.0
}

/// Count, mean and sum of squared deviations, without cancellation (West, 1979,
/// doi:10.1145/359146.359153).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    pub(super) n: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Takes note of a value that counts for so much, `> 0`.
    pub(super) fn add(&mut self, value: f64, weight: f64) {
        self.n += weight;
        let off = value - self.mean;
        self.mean += weight * off / self.n;
        self.squares += weight * off * (value - self.mean);
    }

    pub(super) fn mean_and_deviation(self) -> (f64, f64) {
        (self.mean, (self.squares / (self.n - 1.0)).sqrt())
    }
}
