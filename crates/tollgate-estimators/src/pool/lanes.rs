//! Sums over rows of a table that has one lane a model.

use pulp::{Arch, Simd, WithSimd};

/// Lanes are a multiple of this: whole registers of any kind.
const LANES: usize = 16;

/// Rows that are added at once.
const AT_ONCE: usize = 4;

/// Rows of numbers, one for each model. Sums are taken lane by lane, in the order of the
/// rows, so that a model's sum does not depend on which others there are.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    width: usize,
    /// Row-major `(rows, width)`, zeros behind the models.
    table: Vec<f32>,
}

impl Lanes {
    /// `value(row, model)` for all rows and models.
    pub(crate) fn new(n_rows: usize, n_models: usize, value: impl Fn(usize, usize) -> f64) -> Self {
        let width = n_models.next_multiple_of(LANES);
        let mut table = vec![0.0; n_rows * width];
        for (row, lanes) in table.chunks_exact_mut(width).enumerate() {
            for (model, lane) in lanes[..n_models].iter_mut().enumerate() {
                #[expect(clippy::cast_possible_truncation, reason = "single precision is enough")]
                let value = value(row, model) as f32;
                *lane = value;
            }
        }
        Self { width, table }
    }

    /// How many rows there are.
    pub(crate) fn n_rows(&self) -> usize {
        self.table.len().checked_div(self.width).unwrap_or(0)
    }

    /// How many floats [`sum`](Self::sum) writes.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Overwrites `out`, of shape `(width,)`, with the sum of the rows times their weights.
    /// Rows of weight 0 are not looked at.
    pub(crate) fn sum(&self, weights: &[f32], out: &mut [f32]) {
        debug_assert_eq!(weights.len() * self.width, self.table.len());
        Arch::new().dispatch(Sum { lanes: self, weights, out });
    }
}

/// [`Lanes::sum`], for each instruction set.
struct Sum<'a> {
    lanes: &'a Lanes,
    weights: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Sum<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { lanes, weights, out } = self;
        let (out, _) = S::as_mut_simd_f32s(out);
        out.fill(simd.splat_f32s(0.0));
        let row = |at: usize| S::as_simd_f32s(&lanes.table[at * lanes.width..][..lanes.width]).0;
        let add = |sum, (weight, x)| simd.add_f32s(sum, simd.mul_f32s(weight, x));
        // Four rows are added for each time that sums are read and written.
        let mut open = [(simd.splat_f32s(0.0), row(0)); AT_ONCE];
        let mut n_open = 0;
        for (at, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            open[n_open] = (simd.splat_f32s(weight), row(at));
            n_open += 1;
            if n_open == AT_ONCE {
                let [(a, first), (b, second), (c, third), (d, fourth)] = open;
                let rows = first.iter().zip(second).zip(third).zip(fourth);
                for (out, (((&first, &second), &third), &fourth)) in out.iter_mut().zip(rows) {
                    let two = add(add(*out, (a, first)), (b, second));
                    *out = add(add(two, (c, third)), (d, fourth));
                }
                n_open = 0;
            }
        }
        for &(weight, row) in &open[..n_open] {
            out.iter_mut().zip(row).for_each(|(out, &x)| *out = add(*out, (weight, x)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_by_hand() {
        let lanes = Lanes::new(3, 2, |row, model| (10 * row + model) as f64);
        let mut out = vec![f32::NAN; lanes.width()];
        lanes.sum(&[1.0, 0.0, 2.0], &mut out);
        assert_eq!(out[..2], [40.0, 43.0]);
    }

    /// Whoever stands beside it.
    #[test]
    fn a_lane_is_its_own() {
        let value = |row: usize, model: usize| 1.0 / (3 * row + 7 * model + 1) as f64;
        let weights: Vec<f32> = (0..40).map(|row| 0.1 * row as f32 - 1.3).collect();
        let sums = |n_models| {
            let lanes = Lanes::new(40, n_models, value);
            let mut out = vec![0.0; lanes.width()];
            lanes.sum(&weights, &mut out);
            out
        };
        assert_eq!(sums(37)[..5], sums(5)[..5]);
    }
}
