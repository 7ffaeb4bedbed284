//! Projection onto the simplexes of eight queries, abreast.
#![expect(clippy::inline_always, reason = "a pass is compiled anew for each instruction set")]

use crate::dual::layout::{LANES, Lanes};

/// In every lane the nearest point with nonnegative entries that sum to one, or where
/// `may_decline` to one at most. Michelot's algorithm (1986): the threshold that makes all
/// entries above the last one sum to one, until none falls below it. The largest entry
/// less one is below every threshold, so it is the first.
#[inline(always)]
pub(super) fn project(entries: &mut [Lanes], may_decline: bool) {
    let mut shifts = [f64::NEG_INFINITY; LANES];
    let mut positive = [0.0; LANES];
    for entry in &*entries {
        for lane in 0..LANES {
            shifts[lane] = shifts[lane].max(entry[lane]);
            positive[lane] += entry[lane].max(0.0);
        }
    }
    // Counted from the largest entry, a threshold is a number between -1 and 0.
    for lane in 0..LANES {
        for entry in &mut *entries {
            entry[lane] -= shifts[lane];
        }
    }
    let mut thresholds = [-1.0; LANES];
    let mut counts = [0.0; LANES];
    // Every round but the last drops an entry; what is no number drops none.
    for _ in 0..=entries.len() {
        let (mut sums, mut above) = ([0.0; LANES], [0.0; LANES]);
        for entry in &*entries {
            for lane in 0..LANES {
                let stays = entry[lane] > thresholds[lane];
                sums[lane] += if stays { entry[lane] } else { 0.0 };
                above[lane] += if stays { 1.0 } else { 0.0 };
            }
        }
        let mut changed = false;
        for lane in 0..LANES {
            let moves = above[lane] < counts[lane] || counts[lane] < 0.5;
            changed |= moves;
            if moves {
                thresholds[lane] = (sums[lane] - 1.0) / above[lane];
                counts[lane] = above[lane];
            }
        }
        if !changed {
            break;
        }
    }
    for lane in 0..LANES {
        if may_decline && positive[lane] <= 1.0 {
            thresholds[lane] = -shifts[lane];
        }
    }
    for entry in entries {
        for lane in 0..LANES {
            entry[lane] = (entry[lane] - thresholds[lane]).max(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same in all lanes but the first, which has other work to do.
    fn projected<const N: usize>(entries: [f64; N], may_decline: bool) -> [f64; N] {
        let mut lanes: Vec<Lanes> = entries.iter().map(|entry| [*entry; LANES]).collect();
        for (at, lanes) in lanes.iter_mut().enumerate() {
            lanes[0] = 0.1 * at as f64;
        }
        project(&mut lanes, may_decline);
        std::array::from_fn(|at| lanes[at][LANES - 1])
    }

    fn near<const N: usize>(got: [f64; N], expected: [f64; N]) {
        assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-15), "{got:?}");
    }

    #[test]
    fn on_paper() {
        // Sum 1.5 over three: 1/6 off each.
        near(projected([0.5, 0.5, 0.5], false), [1.0 / 3.0; 3]);
        // All three: (1.7 - 1) / 3 = 0.23 cuts -0.3 off; the other two: (2 - 1) / 2 = 0.5.
        near(projected([1.2, 0.8, -0.3], false), [0.7, 0.3, 0.0]);
        // Inside already, or only up to the negative entry.
        near(projected([0.2, -0.5, 0.3], true), [0.2, 0.0, 0.3]);
        near(projected([9.0, 1.0], true), [1.0, 0.0]);
        near(projected([-7.0], false), [1.0]);
        near(projected([-7.0], true), [0.0]);
        // So large that less one is the same.
        near(projected([1e300, -1e300], false), [1.0, 0.0]);
        near(projected([1e300, 1e300], true), [0.5, 0.5]);
    }
}
