//! Projection onto the simplex of one query.

/// The nearest point with nonnegative entries that sum to one, or where `may_decline` to
/// one at most. Michelot's algorithm (1986): the threshold that makes all entries sum to
/// one, then without those below it, until none is. `O(n)` in practice.
pub(super) fn project(entries: &mut [f64], may_decline: bool) {
    if may_decline {
        let positive: f64 = entries.iter().map(|entry| entry.max(0.0)).sum();
        if positive <= 1.0 {
            for entry in entries {
                *entry = entry.max(0.0);
            }
            return;
        }
    }
    let mut threshold = f64::NEG_INFINITY;
    let mut count = usize::MAX;
    loop {
        let above = || entries.iter().filter(|entry| **entry > threshold);
        let left = above().count();
        if left == 0 || left == count {
            break;
        }
        count = left;
        threshold = (above().sum::<f64>() - 1.0) / count as f64;
    }
    for entry in entries {
        *entry = (*entry - threshold).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn projected(mut entries: Vec<f64>, may_decline: bool) -> Vec<f64> {
        project(&mut entries, may_decline);
        entries
    }

    #[test]
    fn on_paper() {
        // Sum 1.5 over three: 1/6 off each.
        let got = projected(vec![0.5, 0.5, 0.5], false);
        assert!(got.iter().all(|share| (share - 1.0 / 3.0).abs() < 1e-15));
        // All three: (1.7 - 1) / 3 = 0.23 cuts -0.3 off; the other two: (2 - 1) / 2 = 0.5.
        let got = projected(vec![1.2, 0.8, -0.3], false);
        assert!((got[0] - 0.7).abs() < 1e-15 && (got[1] - 0.3).abs() < 1e-15);
        assert_eq!(got[2].to_bits(), 0.0_f64.to_bits());
        // Inside already, or only up to the negative entry.
        assert_eq!(projected(vec![0.2, -0.5, 0.3], true), [0.2, 0.0, 0.3]);
        assert_eq!(projected(vec![9.0, 1.0], true), [1.0, 0.0]);
        assert_eq!(projected(vec![-7.0], false), [1.0]);
    }
}
