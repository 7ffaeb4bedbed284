//! What is measured: the sweeps, the attacks, the traps and the rest, as cases.

mod attacks;
mod events;
mod sweeps;
mod traps;

use tollgate::core::Seed;

pub(super) use attacks::ORDERS;
pub use attacks::attacks;
pub use events::{costs, drift, extremes, horizon};
pub use sweeps::{by_eps, by_k, by_n, by_noise};
pub use traps::{Trap, traps};

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Scale {
    /// The runs of the sweeps: random orders of one multiset.
    pub orders: Vec<Seed>,
    /// The runs of attacks and events.
    pub seeds: Vec<Seed>,
    /// Arrivals, in the sweep over them, ascending; the last is the size of the levels.
    pub sizes: Vec<usize>,
    /// Arrivals of everything else.
    pub n: usize,
}

fn seeds(count: u64) -> Vec<Seed> {
    (0..count).map(Seed).collect()
}

impl Scale {
    /// What the theory is held to: some minutes.
    pub fn full() -> Self {
        let sizes = vec![250, 500, 1_000, 2_000, 4_000, 8_000, 16_000];
        Self { orders: seeds(20), seeds: seeds(5), sizes, n: 4_000 }
    }

    /// The same in small.
    pub fn reduced() -> Self {
        let sizes = vec![250, 500, 1_000, 2_000];
        Self { orders: seeds(8), seeds: seeds(2), sizes, n: 2_000 }
    }

    /// The smallest that still says something: what tests pin.
    pub fn small() -> Self {
        let sizes = vec![125, 250, 500, 1_000];
        Self { orders: seeds(4), seeds: seeds(2), sizes, n: 500 }
    }
}
