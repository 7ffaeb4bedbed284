//! The one portable source of randomness: ChaCha8 (Bernstein, 2008), addressed by
//! a seed, a purpose and a counter, so that a draw never depends on how many
//! draws others have made.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// The seed of a run.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Seed(pub u64);

/// What randomness is drawn for. Each purpose has streams of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Purpose {
    /// Which rows are the stream, and in which order.
    Split,
    /// A random budget split.
    BudgetSplit,
    /// A random choice of models.
    ModelSubset,
    /// Noise in an arrival order.
    Order,
    /// Fitting an estimator.
    Fit,
    /// A policy's own choices; the counter is the arrival's index.
    Policy,
    /// Rounding the approximate optimum and other ties in the laboratory.
    Oracle,
    /// Making synthetic data.
    Synthesis,
    /// A price source's own choices.
    Pricing,
    /// Which arrivals explore; the counter is the arrival's index.
    Exploration,
    /// Which answers somebody scores; the counter is the arrival's index.
    Feedback,
    /// When queries arrive.
    Arrivals,
    /// How fast models answer.
    Service,
}

impl Purpose {
    /// Part of the stream's address: these numbers are never reused or changed.
    fn tag(self) -> u64 {
        match self {
            Self::Split => 1,
            Self::BudgetSplit => 2,
            Self::ModelSubset => 3,
            Self::Order => 4,
            Self::Fit => 5,
            Self::Policy => 6,
            Self::Oracle => 7,
            Self::Synthesis => 8,
            Self::Pricing => 9,
            Self::Exploration => 10,
            Self::Feedback => 11,
            Self::Arrivals => 12,
            Self::Service => 13,
        }
    }
}

impl Seed {
    /// The stream for `purpose` number `counter`.
    pub fn stream(self, purpose: Purpose, counter: u64) -> StreamRng {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.0.to_le_bytes());
        key[8..16].copy_from_slice(&purpose.tag().to_le_bytes());
        let mut inner = ChaCha8Rng::from_seed(key);
        inner.set_stream(counter);
        StreamRng { inner }
    }
}

/// A stream of random draws whose values never change between versions or machines.
#[derive(Clone, Debug)]
pub struct StreamRng {
    inner: ChaCha8Rng,
}

impl StreamRng {
    /// Uniform in `[0, 1)`, with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.inner.next_u64() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Uniform in `0..n`, without bias (Lemire, 2019).
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "there is nothing below 0");
        let n = n as u64;
        let threshold = n.wrapping_neg() % n;
        loop {
            let wide = u128::from(self.inner.next_u64()) * u128::from(n);
            #[expect(clippy::cast_possible_truncation, reason = "the low half is what is compared")]
            let low = wide as u64;
            if low >= threshold {
                #[expect(clippy::cast_possible_truncation, reason = "below n, a usize")]
                return (wide >> 64) as usize;
            }
        }
    }

    /// A standard normal draw (Box and Muller, 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// An exponential draw of mean 1, by inversion.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.uniform()).ln()
    }

    /// A uniformly random order (Fisher and Yates, 1938).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_stable() {
        let mut rng = Seed(42).stream(Purpose::Split, 0);
        let draws: Vec<usize> = (0..8).map(|_| rng.below(1000)).collect();
        assert_eq!(draws, [524, 151, 498, 845, 982, 867, 168, 154]);
        let mut order: Vec<u8> = (0..8).collect();
        rng.shuffle(&mut order);
        assert_eq!(order, [1, 3, 5, 4, 0, 7, 6, 2]);
    }

    #[test]
    fn streams_do_not_touch_each_other() {
        let first = |seed, purpose, counter| Seed(seed).stream(purpose, counter).uniform();
        let reference = first(1, Purpose::Policy, 0);
        assert!((reference - first(1, Purpose::Policy, 0)).abs() < f64::EPSILON);
        for other in [
            first(2, Purpose::Policy, 0),
            first(1, Purpose::Order, 0),
            first(1, Purpose::Policy, 1),
        ] {
            assert!((reference - other).abs() > f64::EPSILON);
        }
    }

    /// Mean and variance of 20,000 draws within five standard errors.
    #[test]
    fn moments_are_right() {
        let n = 20_000;
        let mut rng = Seed(7).stream(Purpose::Synthesis, 0);
        let uniform: Vec<f64> = (0..n).map(|_| rng.uniform()).collect();
        let normal: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
        let mean = |xs: &[f64]| xs.iter().sum::<f64>() / xs.len() as f64;
        let square = |xs: &[f64]| xs.iter().map(|x| x * x).sum::<f64>() / xs.len() as f64;
        let root = f64::from(n).sqrt();
        assert!((mean(&uniform) - 0.5).abs() < 5.0 * (1.0_f64 / 12.0).sqrt() / root);
        assert!(mean(&normal).abs() < 5.0 / root);
        assert!((square(&normal) - 1.0).abs() < 5.0 * 2.0_f64.sqrt() / root);
    }
}
