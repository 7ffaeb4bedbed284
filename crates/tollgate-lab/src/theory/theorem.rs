//! Generator A: the regime of the theorems. Values are known at arrival, bids are bounded,
//! nothing ties.
//!
//! # Problem
//! The guarantees of online linear programming assume a fixed multiset of queries in
//! uniformly random order, estimates that are the truth, and `k = min_i B_i / max_j g_ij`
//! that grows with the number of queries. With `U` uniform draws on `[0, 1]`, for query `j`
//! and model `i` of `M`:
//!
//! ```text
//! base = 0.2, 0.35, 0.5, 0.7, 1.0 and, for M > 5, M points evenly along that line
//! g_ij = base_i (0.5 + U_ij)                                                     (1)
//! d_ij = 0.5 U_j + 0.5 U'_ij base_i / max base + 0.05, at most 1                 (2)
//! B_i  = 0.35 N mean(base) / M, times 1.2 for the first model down to 0.8 for the last  (3)
//! ```
//!
//! Dear models are better on average, their draws overlap, and the budgets (3) bind without
//! starving: between a quarter and a half of the queries are served.
//!
//! # Method
//! Each query has a random stream of its own, so the first `N` queries are the same whatever
//! `N`, and the history is made of later ones.
//!
//! # References
//! Agrawal, Wang and Ye (2014), A dynamic near-optimal algorithm for online linear
//! programming, Operations Research 62(4), assumption 1 (random permutation) and the
//! condition on `k`.

use std::sync::Arc;

use tollgate::core::{Purpose, Seed};

use super::Instance;
use super::instance::{numbered, table};

const BASE: [f64; 5] = [0.2, 0.35, 0.5, 0.7, 1.0];
/// Queries of a history have numbers from here on.
pub(super) const HISTORY: u64 = 1 << 32;

/// What to make: see the page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TheoremRegime {
    /// Models.
    pub n_models: usize,
    /// Arrivals.
    pub n: usize,
    /// Queries of the history.
    pub history: usize,
    /// The multiset: another seed, other queries.
    pub seed: Seed,
}

impl TheoremRegime {
    /// Five models and a history as long as the run.
    pub fn of(n: usize) -> Self {
        Self { n_models: 5, n, history: n, seed: Seed(5) }
    }

    /// Draws it; in the order drawn, which is random already.
    pub fn instance(&self) -> Instance {
        let base = base(self.n_models);
        let (quality, cost) = self.draw(&base, 0, self.n);
        let (past_quality, past_cost) = self.draw(&base, HISTORY, self.history);
        Instance {
            models: numbered(self.n_models),
            estimates: table(self.n_models, &quality, &cost),
            quality,
            cost,
            history: table(self.n_models, &past_quality, &past_cost),
            budgets: budgets(&base, self.n),
            announced: None,
            told: None,
        }
    }

    fn draw(&self, base: &[f64], from: u64, count: usize) -> (Arc<[f64]>, Arc<[f64]>) {
        let dearest = base.iter().copied().fold(0.0, f64::max);
        let (mut quality, mut cost) = (Vec::new(), Vec::new());
        for query in 0..count as u64 {
            let mut rng = self.seed.stream(Purpose::Synthesis, from + query);
            let ease = 0.5 * rng.uniform();
            for base in base {
                cost.push(base * (0.5 + rng.uniform()));
                let own = 0.5 * rng.uniform() * base / dearest;
                quality.push((ease + own + 0.05).min(1.0));
            }
        }
        (quality.into(), cost.into())
    }
}

/// The mean cost of each model.
pub(super) fn base(n_models: usize) -> Vec<f64> {
    if n_models <= BASE.len() {
        return BASE[..n_models].to_vec();
    }
    let last = (BASE.len() - 1) as f64;
    let point = |model: usize| {
        let at = model as f64 * last / (n_models - 1) as f64;
        let left = (at.floor().min(last - 1.0)).max(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number between 0 and 3"
        )]
        let index = left as usize;
        BASE[index] + (at - left) * (BASE[index + 1] - BASE[index])
    };
    (0..n_models).map(point).collect()
}

/// Equation (3).
fn budgets(base: &[f64], n: usize) -> Vec<f64> {
    let n_models = base.len() as f64;
    let mean = base.iter().sum::<f64>() / n_models;
    let tilt = |model: usize| 1.2 - 0.4 * model as f64 / (n_models - 1.0).max(1.0);
    (0..base.len()).map(|model| 0.35 * n as f64 * mean / n_models * tilt(model)).collect()
}

#[cfg(test)]
mod tests;
