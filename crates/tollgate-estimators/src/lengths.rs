//! Lengths of answers, in buckets.
//!
//! # Problem
//!
//! OmniRouter (ECCOS) predicts the length of an answer, in tokens, as one of ten buckets, and
//! reports how often the bucket is right, and how often it is right or next to right.
//!
//! # Method
//!
//! With edges `e_1 < ... < e_(B-1)`, bucket `b` holds the lengths in `[e_b, e_(b+1))`, the
//! first from 0 and the last without end. Edges are quantiles of a history's lengths, so that
//! its buckets are about equally full, or equally wide. With shares `p_b` and `m_b` the mean
//! length of the history's answers in bucket `b`,
//!
//! ```text
//! E[length] = sum_b p_b m_b / sum_b p_b                                          (1)
//! ```
//!
//! # Departures from the paper
//!
//! The published code has ten equal buckets over 1,024 tokens ([`LengthBuckets::fixed`]), with
//! longer answers in the last; most answers to short questions fall into the first few.
//!
//! # References
//!
//! Mei et al., "OmniRouter", 2025, arXiv:2502.20576.

use tollgate_core::ParamError;

/// Buckets of lengths, with the mean length in each.
#[derive(Clone, Debug, PartialEq)]
pub struct LengthBuckets {
    /// Ascending, all different.
    edges: Vec<f64>,
    /// One for each bucket, so one more than edges.
    means: Vec<f64>,
}

impl LengthBuckets {
    /// At most `count` buckets that the lengths fill about equally; fewer where many lengths
    /// are the same. NaN is a gap.
    ///
    /// # Errors
    /// [`ParamError`] when `count` is 0, a length is negative or infinite, or there is none.
    pub fn quantiles(lengths: &[f64], count: usize) -> Result<Self, ParamError> {
        let sorted = checked(lengths, count)?;
        let mut edges: Vec<f64> =
            (1..count).map(|bucket| sorted[bucket * sorted.len() / count]).collect();
        edges.dedup();
        // Nothing is shorter than the shortest.
        edges.retain(|&edge| edge > sorted[0]);
        Ok(Self::with(edges, &sorted))
    }

    /// `count` buckets, equally wide over `[0, end)` tokens; what is longer is in the last.
    ///
    /// # Errors
    /// As [`quantiles`](Self::quantiles), and when `end` is not finite and `> 0`.
    pub fn fixed(lengths: &[f64], count: usize, end: f64) -> Result<Self, ParamError> {
        let sorted = checked(lengths, count)?;
        if !(end > 0.0 && end.is_finite()) {
            return Err(ParamError { field: "end", rule: "finite and > 0", got: end });
        }
        let edges = (1..count).map(|bucket| end * bucket as f64 / count as f64).collect();
        Ok(Self::with(edges, &sorted))
    }

    /// A bucket that holds no length stands for its lower edge.
    fn with(edges: Vec<f64>, lengths: &[f64]) -> Self {
        let mut buckets = Self { means: vec![0.0; edges.len() + 1], edges };
        let mut counts = vec![0.0; buckets.len()];
        for &length in lengths {
            let bucket = buckets.bucket(length);
            buckets.means[bucket] += length;
            counts[bucket] += 1.0;
        }
        for (bucket, (mean, count)) in buckets.means.iter_mut().zip(counts).enumerate() {
            let lower = bucket.checked_sub(1).map_or(0.0, |edge| buckets.edges[edge]);
            *mean = if count > 0.0 { *mean / count } else { lower };
        }
        buckets
    }

    /// How many buckets; never 0.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one bucket")]
    pub fn len(&self) -> usize {
        self.means.len()
    }

    /// The mean length in each bucket, in tokens.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// The bucket that a length is in.
    pub fn bucket(&self, length: f64) -> usize {
        self.edges.partition_point(|&edge| edge <= length)
    }

    /// Equation (1); the plain mean of the buckets' means where all shares are 0.
    ///
    /// # Panics
    /// When there is not one share for each bucket.
    pub fn expected(&self, shares: &[f64]) -> f64 {
        assert_eq!(shares.len(), self.len(), "one share for each bucket");
        let sum: f64 = shares.iter().sum();
        if sum > 0.0 {
            return shares.iter().zip(&self.means).map(|(share, mean)| share * mean).sum::<f64>()
                / sum;
        }
        self.means.iter().sum::<f64>() / self.len() as f64
    }

    /// The shares of the answers whose predicted length is in the right bucket, and in the
    /// right one or next to it; pairs with a gap are left out, `None` where nothing is left.
    ///
    /// # Panics
    /// When there is not one prediction for each length.
    pub fn accuracy(&self, predicted: &[f64], lengths: &[f64]) -> Option<[f64; 2]> {
        assert_eq!(predicted.len(), lengths.len(), "one prediction for each length");
        let pairs = || predicted.iter().zip(lengths).filter(|(p, y)| !p.is_nan() && !y.is_nan());
        let within = |slack: usize| {
            let close =
                |(p, y): &(&f64, &f64)| self.bucket(**p).abs_diff(self.bucket(**y)) <= slack;
            pairs().filter(close).count() as f64 / pairs().count() as f64
        };
        (pairs().count() > 0).then(|| [within(0), within(1)])
    }
}

/// The lengths there are, sorted.
fn checked(lengths: &[f64], count: usize) -> Result<Vec<f64>, ParamError> {
    if count == 0 {
        return Err(ParamError { field: "count", rule: ">= 1", got: 0.0 });
    }
    let mut sorted: Vec<f64> = lengths.iter().copied().filter(|length| !length.is_nan()).collect();
    if let Some(&got) = sorted.iter().find(|&&length| !(length >= 0.0 && length.is_finite())) {
        return Err(ParamError { field: "lengths", rule: "finite and >= 0", got });
    }
    if sorted.is_empty() {
        return Err(ParamError { field: "lengths", rule: "at least one", got: 0.0 });
    }
    sorted.sort_by(f64::total_cmp);
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 to 8 in four buckets: two each, with means 1.5, 3.5, 5.5 and 7.5.
    #[test]
    fn quantiles_by_hand() {
        let lengths = [8.0, 1.0, f64::NAN, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        let buckets = LengthBuckets::quantiles(&lengths, 4).unwrap();
        assert_eq!(buckets.edges, [3.0, 5.0, 7.0]);
        assert_eq!(buckets.means, [1.5, 3.5, 5.5, 7.5]);
        assert_eq!([0.0, 2.9, 3.0, 100.0].map(|y| buckets.bucket(y)), [0, 0, 1, 3]);
        // Half in the first, half in the last, in any unit of shares.
        assert!((buckets.expected(&[2.0, 0.0, 0.0, 2.0]) - 4.5).abs() < 1e-12);
        assert!((buckets.expected(&[0.0; 4]) - 4.5).abs() < 1e-12);
    }

    #[test]
    fn equal_lengths_share_a_bucket() {
        let buckets = LengthBuckets::quantiles(&[5.0, 5.0, 5.0, 9.0], 4).unwrap();
        assert_eq!((&buckets.edges[..], &buckets.means[..]), (&[9.0][..], &[5.0, 9.0][..]));
        assert_eq!(LengthBuckets::quantiles(&[5.0], 10).unwrap().len(), 1);
    }

    /// Ten buckets over 1,000 tokens; 5,000 is in the last, and an empty one stands for its
    /// lower edge.
    #[test]
    fn fixed_by_hand() {
        let buckets = LengthBuckets::fixed(&[50.0, 70.0, 5000.0], 10, 1000.0).unwrap();
        assert_eq!([0.0, 99.0, 100.0, 950.0].map(|y| buckets.bucket(y)), [0, 0, 1, 9]);
        assert_eq!((buckets.means[0], buckets.means[3], buckets.means[9]), (60.0, 300.0, 5000.0));
    }

    /// Of four pairs one is right, two are next to right, one is far off; a gap does not count.
    #[test]
    fn accuracy_by_hand() {
        let buckets = LengthBuckets::fixed(&[0.0], 10, 1000.0).unwrap();
        let predicted = [10.0, 110.0, 310.0, 10.0, 10.0];
        let lengths = [20.0, 20.0, 450.0, 900.0, f64::NAN];
        assert_eq!(buckets.accuracy(&predicted, &lengths), Some([0.25, 0.75]));
        assert_eq!(buckets.accuracy(&[1.0], &[f64::NAN]), None);
    }

    #[test]
    fn refusals() {
        let message = |lengths: &[f64], count| {
            LengthBuckets::quantiles(lengths, count).unwrap_err().to_string()
        };
        insta::assert_snapshot!(message(&[1.0], 0), @"`count` must be >= 1, got 0");
        insta::assert_snapshot!(message(&[-1.0], 2), @"`lengths` must be finite and >= 0, got -1");
        insta::assert_snapshot!(message(&[f64::NAN], 2), @"`lengths` must be at least one, got 0");
        let end = LengthBuckets::fixed(&[1.0], 2, f64::NAN).unwrap_err();
        insta::assert_snapshot!(end, @"`end` must be finite and > 0, got NaN");
    }
}
