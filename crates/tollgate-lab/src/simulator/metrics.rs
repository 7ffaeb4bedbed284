//! What a simulation came to.

use serde::Serialize;

use super::events::{Answer, Fate};

/// Mean and percentiles of some times, in seconds; all 0 where there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The median: the least time that half of them are not above.
    pub p50: f64,
    /// The 99th percentile, likewise.
    pub p99: f64,
}

impl Spread {
    /// Of these times.
    pub fn of(mut times: Vec<f64>) -> Self {
        if times.is_empty() {
            return Self::default();
        }
        times.sort_unstable_by(f64::total_cmp);
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        let rank = |percent: usize| (times.len() * percent).div_ceil(100).max(1) - 1;
        Self { mean, p50: times[rank(50)], p99: times[rank(99)] }
    }
}

/// The sums of one simulation.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LoadMetrics {
    /// Queries that came.
    pub arrivals: u64,
    /// Queries that were answered.
    pub answered: u64,
    /// Queries that found no place.
    pub rejected: u64,
    /// Queries that no model was worth its price for.
    pub declined: u64,
    /// Queries that no model could be paid for.
    pub unaffordable: u64,
    /// Sum of the true scores of the answers.
    pub performance: f64,
    /// Sum of their true costs, in USD.
    pub cost: f64,
    /// What of it was above what had been reserved and did not fit the budgets any more, in USD.
    pub overrun: f64,
    /// Seconds from a query's arrival until its answer was complete.
    pub latency: Spread,
    /// Seconds of that in the queue.
    pub wait: Spread,
    /// Seconds until the last event.
    pub duration: f64,
    /// How many queries were in the system on average: in slots and queues.
    pub mean_in_system: f64,
    /// The share of each model's slots that was taken on average.
    pub utilization: Vec<f64>,
    /// The most answers of each model in flight at once.
    pub most_in_flight: Vec<u32>,
    /// The most queries that waited for each model at once.
    pub longest_queue: Vec<u32>,
}

impl LoadMetrics {
    /// The mean score over all arrivals, what was not answered counting 0: the success rate.
    pub fn success_rate(&self) -> f64 {
        share(self.performance, self.arrivals)
    }

    /// The mean score of the answers.
    pub fn mean_quality(&self) -> f64 {
        share(self.performance, self.answered)
    }

    /// The share of the arrivals that was answered.
    pub fn served_share(&self) -> f64 {
        share(self.answered as f64, self.arrivals)
    }

    /// Counts the fates, and measures the times of the answers.
    pub(super) fn count(&mut self, fates: &[Fate]) {
        self.arrivals = fates.len() as u64;
        let mut answers = Vec::new();
        for fate in fates {
            match fate {
                Fate::Answered(answer) => answers.push(answer),
                Fate::Rejected => self.rejected += 1,
                Fate::Declined => self.declined += 1,
                Fate::Unaffordable => self.unaffordable += 1,
            }
        }
        self.answered = answers.len() as u64;
        let spread = |of: fn(&Answer) -> f64| Spread::of(answers.iter().map(|a| of(a)).collect());
        self.latency = spread(Answer::latency);
        self.wait = spread(Answer::wait);
    }
}

fn share(part: f64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least time that 99 % of 200 are not above is the 198th.
    #[test]
    fn percentiles_are_times_that_occurred() {
        let spread = Spread::of((1..=200).rev().map(f64::from).collect());
        assert_eq!(spread, Spread { mean: 100.5, p50: 100.0, p99: 198.0 });
        assert_eq!(Spread::of(vec![3.0]), Spread { mean: 3.0, p50: 3.0, p99: 3.0 });
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }
}
