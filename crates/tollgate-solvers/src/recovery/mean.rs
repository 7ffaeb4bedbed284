//! Running means of prices and of the assignments made at them.

use super::{Halt, Look, Recovery, Source};
use crate::operator::Operator;

/// The weighted mean over the later part of a walk: it starts anew whenever the walk has
/// become twice as long, so that what was visited far away is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Mean {
    /// The stretch of the trail.
    from: usize,
    to: usize,
    /// Steps so far, and how many there were at the start of the stretch.
    steps: u64,
    started: u64,
    weight: f64,
    prices: Vec<f64>,
    value: f64,
    usage: Vec<f64>,
}

impl Mean {
    /// Takes one step of the walk in, with its weight.
    pub(crate) fn add(
        &mut self,
        recovery: &mut Recovery<'_, '_>,
        weight: f64,
        prices: &[f64],
        look: &Look,
    ) {
        self.to = recovery.remember(weight, prices) + 1;
        self.steps += 1;
        if self.steps == 1 || self.steps >= 2 * self.started {
            self.from = self.to - 1;
            self.started = self.steps;
            self.weight = 0.0;
            self.value = 0.0;
            self.prices = vec![0.0; prices.len()];
            self.usage = vec![0.0; prices.len()];
        }
        self.weight += weight;
        let rate = if self.weight > 0.0 { weight / self.weight } else { 1.0 };
        self.value += rate * (look.value - self.value);
        for (mean, price) in self.prices.iter_mut().zip(prices) {
            *mean += rate * (price - *mean);
        }
        let bounds = recovery.oracle.rows.iter().map(|row| row.bound);
        for ((mean, bound), left) in self.usage.iter_mut().zip(bounds).zip(&look.slope) {
            *mean += rate * (bound - left - *mean);
        }
    }

    /// Asks for the dual function at the mean prices, and offers the mean assignment.
    pub(crate) fn offer(&self, recovery: &mut Recovery<'_, '_>) -> Result<(), Halt> {
        if self.to < self.from + 2 {
            return Ok(());
        }
        recovery.look(&self.prices)?;
        let column = Operator::column(self.value, self.usage.clone(), &self.prices, recovery.phase);
        recovery.keep(column, Source::Mean(self.from..self.to));
        Ok(())
    }
}
