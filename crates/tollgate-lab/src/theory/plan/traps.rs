//! Instances made to mislead: what comes later is nothing like what came first.
//!
//! # Problem
//! Costs are those of generator A, estimates are the truth, and the budgets pay for a fixed
//! share of the queries whichever models answer them: `B_i = share N base_i / M`.
//!
//! ```text
//! two phases   N/2 queries worth about 0.1, then N/2 worth about 1; share 1/2       (1)
//! hoarding     N/4 queries worth 1 down to 0.5, then a flood of 3N/4 worth about
//!              0.1; share 5/8, so all of the first and half of the flood           (2)
//! ```
//!
//! "About" is times a uniform draw on `[0.8, 1]`, one an option. On (1) whoever spends as
//! queries come keeps a tenth; on (2) whoever believes the first prices keeps money that
//! buys nothing any more.
//!
//! The history is of both phases, or, to mislead history too, of the first alone.

use std::fmt;
use std::sync::Arc;

use tollgate::core::{Purpose, Seed, StreamRng};

use super::Scale;
use crate::theory::instance::{numbered, table};
use crate::theory::measure::draws;
use crate::theory::theorem::{HISTORY, base};
use crate::theory::{Absent, Case, Instance, labels, lineup};

const N_MODELS: usize = 5;

/// Which trap.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trap {
    /// Equation (1).
    TwoPhases,
    /// Equation (2).
    Hoarding,
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TwoPhases => "two phases",
            Self::Hoarding => "hoarding",
        })
    }
}

impl Trap {
    /// What a query at this share of the run is worth.
    fn worth(self, at: f64) -> f64 {
        match self {
            Self::TwoPhases if at < 0.5 => 0.1,
            Self::TwoPhases => 1.0,
            Self::Hoarding if at < 0.25 => 1.0 - 2.0 * at,
            Self::Hoarding => 0.1,
        }
    }

    /// How much of the run has passed when the second phase begins.
    fn turn(self) -> f64 {
        match self {
            Self::TwoPhases => 0.5,
            Self::Hoarding => 0.25,
        }
    }

    fn share(self) -> f64 {
        match self {
            Self::TwoPhases => 0.5,
            Self::Hoarding => 0.625,
        }
    }

    /// Draws it; `misled` has a history of the first phase alone.
    pub fn instance(self, n: usize, misled: bool, seed: Seed) -> Instance {
        let until = if misled { self.turn() } else { 1.0 };
        let (quality, cost) = self.draw(n, 0, 1.0, seed);
        let (past_quality, past_cost) = self.draw(n, HISTORY, until, seed);
        let base = base(N_MODELS);
        let budget = |base: f64| self.share() * n as f64 * base / N_MODELS as f64;
        Instance {
            models: numbered(N_MODELS),
            estimates: table(N_MODELS, &quality, &cost),
            quality,
            cost,
            history: table(N_MODELS, &past_quality, &past_cost),
            budgets: base.into_iter().map(budget).collect(),
            announced: None,
            told: None,
        }
    }

    /// `n` queries, evenly over the run as far as `until`.
    fn draw(self, n: usize, from: u64, until: f64, seed: Seed) -> (Arc<[f64]>, Arc<[f64]>) {
        let (mut quality, mut cost) = (Vec::new(), Vec::new());
        for query in 0..n {
            let mut rng: StreamRng = seed.stream(Purpose::Synthesis, from + query as u64);
            let worth = self.worth(query as f64 / n as f64 * until);
            for base in base(N_MODELS) {
                cost.push(base * (0.5 + rng.uniform()));
                quality.push(worth * (0.8 + 0.2 * rng.uniform()));
            }
        }
        (quality.into(), cost.into())
    }
}

/// Every policy in every trap.
pub fn traps(scale: &Scale) -> (Vec<Case>, Vec<Absent>) {
    let (lines, absent) = lineup(&labels(), scale.n);
    let mut cases = Vec::new();
    for trap in [Trap::TwoPhases, Trap::Hoarding] {
        for misled in [false, true] {
            let n = scale.n;
            let past = if misled { "history of the first phase" } else { "history of both" };
            cases.push(Case {
                part: "traps",
                case: format!("{trap}, {past}"),
                x: 0.0,
                lines: lines.clone(),
                seeds: scale.seeds.clone(),
                make: draws(move |seed| trap.instance(n, misled, seed), |instance, _| Ok(instance)),
                reference: None,
            });
        }
    }
    (cases, absent)
}
