//! When queries come: three arrival processes.
//!
//! # Problem
//! Traffic comes at random, in bursts, and by the hour. A policy that is good on average may
//! fail in each of these.
//!
//! # Method
//! | process | rate `l(t)`, arrivals a second | drawn by |
//! |---|---|---|
//! | Poisson | constant | exponential gaps |
//! | bursty | one of two, which alternate for exponential times | competing exponentials |
//! | diurnal | `rate (1 + swing sin(2 pi t / period))` | thinning a process of `rate (1 + swing)` |
//!
//! The bursty one is the two-state Markov-modulated Poisson process, begun in its stationary
//! state. All are drawn from one stream of the seed, so that the first `n` times do not depend
//! on how many more are asked for.
//!
//! # References
//! Fischer and Meier-Hellstern (1993), The Markov-modulated Poisson process (MMPP) cookbook,
//! doi:10.1016/0166-5316(93)90035-S. Lewis and Shedler (1979), Simulation of nonhomogeneous
//! Poisson processes by thinning, doi:10.1002/nav.3800260304.

use std::f64::consts::TAU;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate::core::{ParamError, Purpose, Seed, StreamRng};

/// An arrival process. Unchecked until [`build`](Self::build).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArrivalsConfig {
    /// One rate.
    Poisson {
        /// Arrivals a second, `> 0`.
        rate: f64,
    },
    /// Calm, and bursts.
    Bursty {
        /// Arrivals a second between bursts, `>= 0`.
        calm: f64,
        /// Arrivals a second in a burst, `> 0`.
        burst: f64,
        /// Seconds that calm lasts on average, `> 0`.
        calm_seconds: f64,
        /// Seconds that a burst lasts on average, `> 0`.
        burst_seconds: f64,
    },
    /// A sine: day and night.
    Diurnal {
        /// Arrivals a second on average, `> 0`.
        rate: f64,
        /// By which share the rate rises and falls, in `[0, 1]`.
        swing: f64,
        /// Seconds of a day, `> 0`.
        period: f64,
    },
}

impl ArrivalsConfig {
    /// Checks the knobs.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self) -> Result<Arrivals, ParamError> {
        match self {
            Self::Poisson { rate } => positive("rate", rate)?,
            Self::Bursty { calm, burst, calm_seconds, burst_seconds } => {
                within("calm", "finite and >= 0", calm, calm >= 0.0 && calm.is_finite())?;
                positive("burst", burst)?;
                positive("calm_seconds", calm_seconds)?;
                positive("burst_seconds", burst_seconds)?;
            }
            Self::Diurnal { rate, swing, period } => {
                positive("rate", rate)?;
                within("swing", "in [0, 1]", swing, (0.0..=1.0).contains(&swing))?;
                positive("period", period)?;
            }
        }
        Ok(Arrivals(self))
    }
}

fn positive(field: &'static str, got: f64) -> Result<(), ParamError> {
    within(field, "finite and > 0", got, got > 0.0 && got.is_finite())
}

fn within(field: &'static str, rule: &'static str, got: f64, is: bool) -> Result<(), ParamError> {
    if is { Ok(()) } else { Err(ParamError { field, rule, got }) }
}

/// An arrival process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrivals(ArrivalsConfig);

impl Arrivals {
    /// Arrivals a second in the long run.
    pub fn rate(&self) -> f64 {
        match self.0 {
            ArrivalsConfig::Poisson { rate } | ArrivalsConfig::Diurnal { rate, .. } => rate,
            ArrivalsConfig::Bursty { calm, burst, calm_seconds, burst_seconds } => {
                (calm * calm_seconds + burst * burst_seconds) / (calm_seconds + burst_seconds)
            }
        }
    }

    /// When the first `n` queries come, in seconds since the start, ascending.
    pub fn times(&self, n: usize, seed: Seed) -> Arc<[f64]> {
        let mut rng = seed.stream(Purpose::Arrivals, 0);
        match self.0 {
            ArrivalsConfig::Poisson { rate } => collect(n, |now| now + rng.exponential() / rate),
            ArrivalsConfig::Bursty { calm, burst, calm_seconds, burst_seconds } => {
                let states = [(calm, calm_seconds), (burst, burst_seconds)];
                let mut state = Modulated::start(states, &mut rng);
                collect(n, |now| state.next(now, &mut rng))
            }
            ArrivalsConfig::Diurnal { rate, swing, period } => collect(n, |mut now| {
                loop {
                    now += rng.exponential() / (rate * (1.0 + swing));
                    let share = (1.0 + swing * (TAU * now / period).sin()) / (1.0 + swing);
                    if rng.uniform() < share {
                        return now;
                    }
                }
            }),
        }
    }
}

fn collect(n: usize, mut next: impl FnMut(f64) -> f64) -> Arc<[f64]> {
    let mut now = 0.0;
    (0..n)
        .map(|_| {
            now = next(now);
            now
        })
        .collect()
}

/// The state of a bursty process.
struct Modulated {
    /// Rate and mean length of calm and of a burst.
    states: [(f64, f64); 2],
    state: usize,
}

impl Modulated {
    fn start(states: [(f64, f64); 2], rng: &mut StreamRng) -> Self {
        let [(_, calm), (_, burst)] = states;
        let state = usize::from(rng.uniform() * (calm + burst) < burst);
        Self { states, state }
    }

    /// The next arrival after `now`. Exponentials forget, so that what was drawn for the state
    /// that ends need not be kept.
    fn next(&mut self, mut now: f64, rng: &mut StreamRng) -> f64 {
        loop {
            let (rate, seconds) = self.states[self.state];
            // A rate of 0 never comes: the gap is infinite.
            let gap = rng.exponential() / rate;
            let left = rng.exponential() * seconds;
            if gap < left {
                return now + gap;
            }
            now += left;
            self.state = 1 - self.state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POISSON: ArrivalsConfig = ArrivalsConfig::Poisson { rate: 4.0 };
    const BURSTY: ArrivalsConfig =
        ArrivalsConfig::Bursty { calm: 1.0, burst: 13.0, calm_seconds: 6.0, burst_seconds: 2.0 };
    const DIURNAL: ArrivalsConfig =
        ArrivalsConfig::Diurnal { rate: 4.0, swing: 0.8, period: 100.0 };

    fn times(config: ArrivalsConfig, n: usize, seed: u64) -> Arc<[f64]> {
        config.build().unwrap().times(n, Seed(seed))
    }

    /// Arrivals in each window of a second.
    fn counts(times: &[f64], window: f64) -> Vec<f64> {
        #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "times >= 0")]
        let window_of = |time: f64| (time / window) as usize;
        let mut counts = vec![0.0; window_of(times[times.len() - 1])];
        for &time in times {
            if let Some(count) = counts.get_mut(window_of(time)) {
                *count += 1.0;
            }
        }
        counts
    }

    fn mean_and_variance(xs: &[f64]) -> (f64, f64) {
        let mean = xs.iter().sum::<f64>() / xs.len() as f64;
        let square = xs.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        (mean, square / (xs.len() - 1) as f64)
    }

    #[test]
    fn times_ascend_and_do_not_depend_on_how_many_are_drawn() {
        for config in [POISSON, BURSTY, DIURNAL] {
            let all = times(config, 1_000, 3);
            assert!(all.windows(2).all(|pair| pair[0] <= pair[1]), "{config:?}");
            assert_eq!(times(config, 100, 3), all[..100].into(), "{config:?}");
            assert_ne!(times(config, 100, 4), all[..100].into(), "{config:?}");
        }
    }

    /// Gaps of the Poisson process against their distribution, by Kolmogorov and Smirnov: at
    /// n = 20,000 the statistic is above 1.95 / sqrt(n) once in a thousand seeds.
    #[test]
    fn poisson_gaps_are_exponential() {
        let n = 20_000;
        let times = times(POISSON, n, 7);
        let mut gaps: Vec<f64> = [0.0].iter().chain(times.iter()).copied().collect();
        gaps = gaps.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_by(f64::total_cmp);
        let n = n as f64;
        let apart = gaps.iter().enumerate().map(|(rank, gap)| {
            let expected = 1.0 - (-4.0 * gap).exp();
            (expected - rank as f64 / n).abs().max((expected - (rank as f64 + 1.0) / n).abs())
        });
        let worst = apart.fold(0.0, f64::max);
        assert!(worst < 1.95 / n.sqrt(), "{worst}");
    }

    /// The rate is (6 x 1 + 2 x 13) / 8 = 4 a second. Counts of long windows vary more than a
    /// Poisson process's, by `1 + 2 s1 s2 (l1 - l2)^2 / ((s1 + s2)^3 rate)` with `s_i` one over
    /// the length of a state (Fischer and Meier-Hellstern, the limit of the index of dispersion
    /// for counts): here 21.25.
    #[test]
    fn bursts_have_the_rate_and_the_dispersion_of_their_theory() {
        let times = times(BURSTY, 400_000, 11);
        let rate = times.len() as f64 / times[times.len() - 1];
        let (leave_calm, leave_burst) = (1.0 / 6.0, 1.0 / 2.0);
        let total: f64 = leave_calm + leave_burst;
        let squares = 2.0 * 144.0 * leave_calm * leave_burst;
        let dispersion = 1.0 + squares / (total.powi(3) * 4.0);
        let (mean, variance) = mean_and_variance(&counts(&times, 200.0));
        // Of 500 windows the variance has a relative standard error of sqrt(2 / 500) = 0.063.
        assert!((variance / mean / dispersion - 1.0).abs() < 0.2, "{variance} {mean}");
        // The standard error of the rate: sqrt(rate x dispersion / duration).
        let error = (4.0 * dispersion / times[times.len() - 1]).sqrt();
        assert!((rate - 4.0).abs() < 4.0 * error, "{rate}");
    }

    /// The first half of a day has 1/2 + swing/pi of the traffic: 0.7546.
    #[test]
    fn days_have_their_shape() {
        let times = times(DIURNAL, 100_000, 13);
        let whole: f64 = (times[times.len() - 1] / 100.0).floor() * 100.0;
        let in_days = || times.iter().filter(|time| **time < whole);
        let n = in_days().count() as f64;
        let day = in_days().filter(|time| *time % 100.0 < 50.0).count() as f64 / n;
        let expected = 0.5 + 0.8 / std::f64::consts::PI;
        assert!((day - expected).abs() < 4.0 * (0.25 / n).sqrt(), "{day}");
        assert!((n / whole - 4.0).abs() < 4.0 * (4.0 / whole).sqrt(), "{}", n / whole);
    }

    #[test]
    fn the_rate_in_the_long_run() {
        for config in [POISSON, BURSTY, DIURNAL] {
            assert!((config.build().unwrap().rate() - 4.0).abs() < 1e-12, "{config:?}");
        }
    }

    #[test]
    fn knobs_out_of_range_are_refused() {
        let refused = |config: ArrivalsConfig| config.build().unwrap_err().to_string();
        insta::assert_snapshot!(refused(ArrivalsConfig::Poisson { rate: 0.0 }), @"`rate` must be finite and > 0, got 0");
        insta::assert_snapshot!(refused(ArrivalsConfig::Poisson { rate: f64::NAN }), @"`rate` must be finite and > 0, got NaN");
        let bursty = |calm, burst, calm_seconds, burst_seconds| {
            refused(ArrivalsConfig::Bursty { calm, burst, calm_seconds, burst_seconds })
        };
        insta::assert_snapshot!(bursty(-1.0, 1.0, 1.0, 1.0), @"`calm` must be finite and >= 0, got -1");
        insta::assert_snapshot!(bursty(0.0, f64::INFINITY, 1.0, 1.0), @"`burst` must be finite and > 0, got inf");
        insta::assert_snapshot!(bursty(0.0, 1.0, 0.0, 1.0), @"`calm_seconds` must be finite and > 0, got 0");
        insta::assert_snapshot!(bursty(0.0, 1.0, 1.0, -1.0), @"`burst_seconds` must be finite and > 0, got -1");
        let diurnal = |swing, period| refused(ArrivalsConfig::Diurnal { rate: 1.0, swing, period });
        insta::assert_snapshot!(diurnal(1.5, 1.0), @"`swing` must be in [0, 1], got 1.5");
        insta::assert_snapshot!(diurnal(1.0, f64::NAN), @"`period` must be finite and > 0, got NaN");
    }
}
