//! The target of Polyak's steps.

/// Where Polyak's steps aim.
#[derive(Debug, Default)]
pub(crate) struct Level {
    /// How far below the best bound; 0 before the first step.
    below: f64,
    /// The best bound when that was last set, and steps since.
    record: f64,
    waited: usize,
}

impl Level {
    /// The value aimed at, given the best bound and the value of a known answer.
    pub(crate) fn target(&mut self, best: f64, known: f64, n_rows: usize) -> f64 {
        if self.below <= 0.0 {
            (self.below, self.record) = (0.5 * best.abs().max(1e-3), best);
        }
        self.waited += 1;
        if best <= self.record - 0.5 * self.below {
            (self.record, self.waited) = (best, 0);
        } else if self.waited > 10 + n_rows {
            (self.below, self.record, self.waited) = (0.5 * self.below, best, 0);
        }
        (best - self.below).max(known)
    }
}
