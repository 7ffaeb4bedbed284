//! How long budgets have to last, as far as anybody knows.

/// What a run knows of its own length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Horizon {
    /// This many arrivals in all.
    Arrivals(u64),
    /// Until a moment: how many arrivals that makes is estimated from their rate.
    Deadline {
        /// In seconds since the start of the run, `> 0`.
        at: f64,
        /// Arrivals in all that are expected before any has been seen, `> 0`: they count
        /// as [`Horizon::PRIOR`] arrivals seen at that rate.
        expected: f64,
    },
    /// Nobody knows: as many are taken to be still to come as have come already, and never
    /// fewer than [`Horizon::LEAST`]. Half of what is left is then spent each time that the
    /// number of arrivals doubles, so a budget thins out and does not end.
    Unknown,
}

impl Horizon {
    /// How many arrivals the rate that is expected beforehand counts for.
    pub const PRIOR: f64 = 32.0;
    /// The fewest arrivals that an unknown horizon still expects.
    pub const LEAST: f64 = 1_000.0;

    /// How many arrivals are still to come, this one included; at least 1. `seen` have come
    /// before, and `now` is the time of this one in seconds since the start.
    ///
    /// Beyond an announced end the run is taken to be at its last query.
    pub fn rest(&self, seen: u64, now: f64) -> f64 {
        let seen = seen as f64;
        let rest = match *self {
            Self::Arrivals(all) => all as f64 - seen,
            Self::Deadline { at, expected } => rate(seen, now, at, expected) * (at - now),
            Self::Unknown => seen.max(Self::LEAST),
        };
        // Written so that NaN is 1.
        if rest > 1.0 { rest } else { 1.0 }
    }
}

/// A number of arrivals, or that nobody knows it.
impl From<Option<u64>> for Horizon {
    fn from(arrivals: Option<u64>) -> Self {
        arrivals.map_or(Self::Unknown, Self::Arrivals)
    }
}

/// Arrivals a second: what has been seen, and the expectation as if it were `PRIOR` arrivals
/// more.
fn rate(seen: f64, now: f64, at: f64, expected: f64) -> f64 {
    (seen + Horizon::PRIOR) / (now + Horizon::PRIOR * at / expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} and {b}");
    }

    #[test]
    fn a_known_number_counts_down_to_the_last() {
        let horizon = Horizon::Arrivals(10);
        for (seen, rest) in [(0, 10.0), (9, 1.0), (10, 1.0), (25, 1.0)] {
            close(horizon.rest(seen, 0.0), rest);
        }
    }

    /// 1,000 expected in 100 s, 10 a second. After 50 s 500 have come: 500 more. Had 2,000
    /// come, `(2000 + 32) / (50 + 3.2) = 38.195` a second, and 1,909.8 in 50 s.
    #[test]
    fn a_deadline_follows_the_rate() {
        let horizon = Horizon::Deadline { at: 100.0, expected: 1_000.0 };
        close(horizon.rest(0, 0.0), 1_000.0);
        close(horizon.rest(500, 50.0), 500.0);
        close(horizon.rest(2_000, 50.0), 2_032.0 / 53.2 * 50.0);
        close(horizon.rest(900, 100.0), 1.0);
        close(horizon.rest(900, 120.0), 1.0);
    }

    #[test]
    fn an_unknown_end_is_as_far_off_as_the_beginning() {
        for (seen, rest) in [(0, 1_000.0), (600, 1_000.0), (4_000, 4_000.0)] {
            close(Horizon::Unknown.rest(seen, 0.0), rest);
        }
    }

    #[test]
    fn nonsense_is_the_last_query() {
        let horizon = Horizon::Deadline { at: 0.0, expected: 0.0 };
        close(horizon.rest(0, 0.0), 1.0);
        close(horizon.rest(3, f64::NAN), 1.0);
    }
}
