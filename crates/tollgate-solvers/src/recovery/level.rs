//! The target of Polyak's steps.

/// How far a walk may go between two halvings, in sizes of the best prices.
const PATIENCE: f64 = 3.0;

/// Where Polyak's steps aim: a little below the best bound. How little is halved whenever
/// the walk has gone far, measured by the size of the prices, without coming half-way
/// there (Brannlund, 1993).
#[derive(Debug, Default)]
pub(crate) struct Level {
    /// How far below the best bound; 0 before the first step.
    below: f64,
    /// The best bound when that was last set or reached half-way.
    record: f64,
    /// How far the walk has gone since, in scaled prices.
    path: f64,
    /// The least size of prices: 1 for each row.
    least: f64,
}

impl Level {
    pub(crate) fn new(n_rows: usize) -> Self {
        Self { least: (n_rows as f64).sqrt(), ..Self::default() }
    }

    /// The value aimed at, given the best prices, their bound, and the value of a known
    /// answer.
    pub(crate) fn target(&mut self, (prices, best): (&[f64], f64), known: f64) -> f64 {
        let size = prices.iter().map(|price| price * price).sum::<f64>().sqrt();
        let patience = PATIENCE * size.max(self.least);
        if self.below <= 0.0 {
            (self.below, self.record) = (0.5 * best.abs().max(1e-3), best);
        }
        if best <= self.record - 0.5 * self.below {
            (self.record, self.path) = (best, 0.0);
        } else if self.path > patience {
            (self.below, self.record, self.path) = (0.5 * self.below, best, 0.0);
        }
        (best - self.below).max(known)
    }

    /// Takes note of a step of this length.
    pub(crate) fn walked(&mut self, length: f64) {
        self.path += length;
    }
}
