//! Generator B: what estimates from a few neighbors look like.
//!
//! # Problem
//! Sixty topics; the models of `RouterBench` with their published mean scores `P_i` and costs
//! `c_i`. A topic `z` has an ease, a length and a bent of each model, in a [`World`]. With
//! standard normal draws `n`, for query `j` of a topic drawn uniformly:
//!
//! ```text
//! q_ij  = logistic(1.2 logit(P_i) + ease_z + bent_zi)                             (1)
//! d_ij  = 1 with probability q_ij, else 0                                         (2)
//! g_ij  = c_i length_z exp(0.25 n_ij)                                             (3)
//! d^_ij = the mean of 5 draws (2),  g^_ij = c_i length_z exp(0.25 n'_ij / sqrt 5)  (4)
//! B_i   = share_i x what the cheapest model costs on all queries,
//!         share_i in proportion to sqrt(P_i / c_i)                                (5)
//! ```
//!
//! The history has the estimates (4) of further queries: as noisy as those of the traffic.
//!
//! # Method
//! [`World::fixture`] is the world of the prototypes (`fixtures/theory/world.py`),
//! [`World::drawn`] one of the same distribution from a seed of our own, so that no result
//! hangs on sixty topics. Each query has a random stream of its own.

use std::sync::LazyLock;

use tollgate::core::{Models, Purpose, Seed, StreamRng};
use tollgate::data::synthetic::MODELS;
use tollgate::policies::BudgetSplit;

use super::Instance;
use super::instance::table;
use super::theorem::HISTORY;

/// The models of the world.
const N_MODELS: usize = MODELS.len();
const TOPICS: usize = 60;
static FIXTURE: &str = include_str!("../../../../fixtures/theory/world.csv");

/// The topics.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    topics: Vec<Topic>,
    /// Which model's place each takes: the identity unless reshuffled.
    place: [usize; N_MODELS],
}

#[derive(Clone, Debug, PartialEq)]
struct Topic {
    ease: f64,
    length: f64,
    bent: [f64; N_MODELS],
}

/// Draws of one world: truth, and what is expected.
#[derive(Clone, Debug, Default)]
pub(super) struct Draws {
    pub(super) quality: Vec<f64>,
    pub(super) cost: Vec<f64>,
    pub(super) expected_quality: Vec<f64>,
    pub(super) expected_cost: Vec<f64>,
}

impl World {
    /// The world of the prototypes.
    ///
    /// # Panics
    /// Never: the fixture is part of the program, and a test reads it.
    pub fn fixture() -> Self {
        static WORLD: LazyLock<World> = LazyLock::new(|| {
            let topic = |line: &str| {
                let mut numbers = line.split(',').map(|cell| cell.parse().expect("a number"));
                let mut next = || numbers.next().expect("thirteen columns");
                let (ease, length) = (next(), next());
                Topic { ease, length, bent: std::array::from_fn(|_| next()) }
            };
            World::of(FIXTURE.lines().skip(1).map(topic).collect())
        });
        WORLD.clone()
    }

    /// Another world of the same distribution.
    pub fn drawn(seed: Seed) -> Self {
        let mut rng = seed.stream(Purpose::Synthesis, u64::MAX);
        let mut topic = |_| Topic {
            ease: 1.3 * rng.normal(),
            length: (0.6 * rng.normal()).exp(),
            bent: std::array::from_fn(|_| 0.9 * rng.normal()),
        };
        let mut topics: Vec<Topic> = (0..TOPICS).map(&mut topic).collect();
        let mean = topics.iter().map(|topic| topic.length).sum::<f64>() / TOPICS as f64;
        for topic in &mut topics {
            topic.length /= mean;
        }
        Self::of(topics)
    }

    fn of(topics: Vec<Topic>) -> Self {
        Self { topics, place: std::array::from_fn(|model| model) }
    }

    /// Only some of the topics.
    #[must_use]
    pub fn topics(&self, range: std::ops::Range<usize>) -> Self {
        Self { topics: self.topics[range].to_vec(), ..self.clone() }
    }

    /// The topics of which queries most agree on one model: where its value for money is
    /// furthest ahead of the next best.
    #[must_use]
    pub fn crowd(&self) -> Self {
        let lead = |topic: &Topic| {
            let density = |model: usize| self.chance(topic, model) / self.mean_cost(model);
            let mut densities: Vec<f64> = (0..N_MODELS).map(density).collect();
            densities.sort_by(|a, b| b.total_cmp(a));
            densities[0] / densities[1]
        };
        let ahead = |a: &&Topic, b: &&Topic| lead(a).total_cmp(&lead(b));
        let topic = self.topics.iter().max_by(ahead).cloned();
        Self { topics: topic.into_iter().collect(), ..self.clone() }
    }

    /// Prices and qualities reshuffled: each model behaves as another did.
    #[must_use]
    pub fn reshuffled(&self, seed: Seed) -> Self {
        let mut place = self.place;
        // A cycle through all models: none stays what it was.
        let mut order: Vec<usize> = (0..N_MODELS).collect();
        seed.stream(Purpose::Synthesis, u64::MAX - 1).shuffle(&mut order);
        for (at, &model) in order.iter().enumerate() {
            place[model] = self.place[order[(at + 1) % N_MODELS]];
        }
        Self { place, ..self.clone() }
    }

    /// Equation (1).
    fn chance(&self, topic: &Topic, model: usize) -> f64 {
        let place = self.place[model];
        let mean = MODELS[place].1;
        let logit = 1.2 * (mean / (1.0 - mean)).ln() + topic.ease + topic.bent[place];
        1.0 / (1.0 + (-logit).exp())
    }

    fn mean_cost(&self, model: usize) -> f64 {
        MODELS[self.place[model]].2
    }

    /// Draws one query; `k` draws make an estimate.
    pub(super) fn draw(&self, rng: &mut StreamRng, k: usize, out: &mut Draws) {
        let topic = &self.topics[rng.below(self.topics.len())];
        for model in 0..N_MODELS {
            let chance = self.chance(topic, model);
            let mut success = || f64::from(u8::from(rng.uniform() < chance));
            out.quality.push(success());
            out.expected_quality.push((0..k).map(|_| success()).sum::<f64>() / k as f64);
            let mean = self.mean_cost(model) * topic.length;
            out.cost.push(mean * (0.25 * rng.normal()).exp());
            out.expected_cost.push(mean * (0.25 / (k as f64).sqrt() * rng.normal()).exp());
        }
    }
}

/// What to make: see the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbors {
    /// The populations that follow each other, in equal parts of the run.
    pub worlds: Vec<World>,
    /// The populations that the history is drawn from, in equal parts.
    pub past: Vec<World>,
    /// Arrivals.
    pub n: usize,
    /// Queries of the history.
    pub history: usize,
    /// Draws an estimate is made of.
    pub k: usize,
    /// Total budget, as a multiple of (5).
    pub budget: f64,
    /// The queries.
    pub seed: Seed,
}

impl Neighbors {
    /// The prototypes' setting: 4,000 arrivals, 4,000 queries of history, five draws.
    pub fn of(world: &World, seed: Seed) -> Self {
        let past = vec![world.clone()];
        let worlds = past.clone();
        Self { worlds, past, n: 4_000, history: 4_000, k: 5, budget: 1.0, seed }
    }

    /// Draws it; in the order drawn.
    ///
    /// # Panics
    /// Never: the names of the models differ.
    pub fn instance(&self) -> Instance {
        let now = self.draws(&self.worlds, 0, self.n);
        let past = self.draws(&self.past, HISTORY, self.history);
        let budgets = self.budgets(&now.cost);
        Instance {
            models: Models::new(MODELS.map(|(name, ..)| name)).expect("eleven names"),
            quality: now.quality.into(),
            cost: now.cost.into(),
            estimates: table(N_MODELS, &now.expected_quality, &now.expected_cost),
            history: table(N_MODELS, &past.expected_quality, &past.expected_cost),
            budgets,
            announced: None,
            told: None,
        }
    }

    fn draws(&self, worlds: &[World], from: u64, count: usize) -> Draws {
        let mut draws = Draws::default();
        for query in 0..count {
            let world = &worlds[query * worlds.len() / count];
            let mut rng = self.seed.stream(Purpose::Synthesis, from + query as u64);
            world.draw(&mut rng, self.k, &mut draws);
        }
        draws
    }

    /// Equation (5).
    fn budgets(&self, cost: &[f64]) -> Vec<f64> {
        let total = |model: usize| cost.iter().skip(model).step_by(N_MODELS).sum::<f64>();
        let cheapest = (0..N_MODELS).map(total).fold(f64::INFINITY, f64::min);
        let (scores, costs) = (MODELS.map(|model| model.1), MODELS.map(|model| model.2));
        let shares = BudgetSplit::Weighted.shares(&scores, &costs, self.seed);
        shares.iter().map(|share| share * cheapest * self.budget).collect()
    }
}

#[cfg(test)]
mod tests;
