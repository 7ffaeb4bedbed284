//! The target of Polyak's steps.

/// How far a walk may go between two halvings, in scaled prices.
const PATIENCE: f64 = 1.0;

/// Where Polyak's steps aim: a little below the best bound. How little is halved whenever
/// the walk has gone far without coming half-way there (Brannlund, 1993).
#[derive(Debug, Default)]
pub(crate) struct Level {
    /// How far below the best bound; 0 before the first step.
    below: f64,
    /// The best bound when that was last set or reached half-way.
    record: f64,
    /// How far the walk has gone since, and how far it may.
    path: f64,
    patience: f64,
}

impl Level {
    pub(crate) fn new(n_rows: usize) -> Self {
        Self { patience: PATIENCE * (n_rows as f64).sqrt(), ..Self::default() }
    }

    /// The value aimed at, given the best bound and the value of a known answer.
    pub(crate) fn target(&mut self, best: f64, known: f64) -> f64 {
        if self.below <= 0.0 {
            (self.below, self.record) = (0.5 * best.abs().max(1e-3), best);
        }
        if best <= self.record - 0.5 * self.below {
            (self.record, self.path) = (best, 0.0);
        } else if self.path > self.patience {
            (self.below, self.record, self.path) = (0.5 * self.below, best, 0.0);
        }
        (best - self.below).max(known)
    }

    /// Takes note of a step of this length.
    pub(crate) fn walked(&mut self, length: f64) {
        self.path += length;
    }
}
