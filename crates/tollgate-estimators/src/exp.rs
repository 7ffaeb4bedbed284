//! `e^x` for many `x <= 700`, the same bits on every machine.
//!
//! # Problem
//!
//! A kernel ridge takes a thousand exponentials a query. That of the system's library
//! takes them one by one, and rounds as the machine at hand does.
//!
//! # Method
//!
//! ```text
//! k = x / ln 2 to the nearest integer,   r = x - k ln 2,   |r| <= ln 2 / 2        (1)
//! e^x = 2^k sum_{i=0..11} r^i / i!                                               (2)
//! ```
//!
//! What (2) leaves out is below `0.347^12 / 12! < 7e-15` of the sum. `ln 2` is split in two
//! so that `k` times the first is exact, and nothing is fused, so that registers of any
//! width give the same bits. Below `-700` the answer is that of `-700`, about `1e-304`.

use pulp::{Arch, Simd, WithSimd};

/// Adding and subtracting it rounds an `f64` below `2^51` to the nearest integer, which is
/// then in its lowest bits.
const ROUND: f64 = 1.5 * (1_u64 << 52) as f64;

/// The first 32 bits of `ln 2`, and the rest.
const LN_2: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];

/// `1 / i!` from the highest on.
const FACTORS: [f64; 12] = [
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    1.0 / 2.0,
    1.0,
    1.0,
];

/// Replaces every value, none above 700, by `e` to its power, within `1e-14` of itself.
pub(crate) fn exp_each(values: &mut [f64]) {
    Arch::new().dispatch(ExpEach(values));
}

/// [`exp_each`], for each instruction set.
struct ExpEach<'a>(&'a mut [f64]);

impl WithSimd for ExpEach<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for value in self.0 {
            *value = exp(*value);
        }
    }
}

#[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    let x = if x > -700.0 { x } else { -700.0 };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (x - k * LN_2[0]) - k * LN_2[1];
    let mut sum = FACTORS[0];
    for factor in &FACTORS[1..] {
        sum = sum * r + factor;
    }
    // The exponent of 2^k is k + 1023; only the lowest bits of k are left of the shift.
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    sum * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(x: f64) -> f64 {
        let mut values = [x];
        exp_each(&mut values);
        values[0]
    }

    #[test]
    fn powers_of_two_and_one_by_hand() {
        assert_eq!(of(0.0).to_bits(), 1.0_f64.to_bits());
        assert_eq!(of(-0.0).to_bits(), 1.0_f64.to_bits());
        for k in 1..1000 {
            let got = of(f64::from(-k) * std::f64::consts::LN_2);
            assert!((got * 2.0_f64.powi(k) - 1.0).abs() < 1e-13, "2^-{k}: {got}");
        }
    }

    #[test]
    fn as_the_library_has_it() {
        for step in 0..200_000 {
            let x = 700.0 - f64::from(step) * 7e-3;
            let (got, expected) = (of(x), x.exp());
            assert!((got - expected).abs() <= 1e-14 * expected, "e^{x}: {got}, not {expected}");
        }
    }

    #[test]
    fn the_lowest_is_small_and_no_nan() {
        for x in [-700.0, -1e5, -1e300, f64::NEG_INFINITY] {
            assert_eq!(of(x).to_bits(), of(-700.0).to_bits());
        }
        assert!(of(-700.0) > 0.0 && of(-700.0) < 1e-303);
    }

    /// Lanes and the tail after them are computed alike.
    #[test]
    fn a_value_does_not_depend_on_its_place() {
        let values: Vec<f64> = (0..37).map(|at| -0.37 * f64::from(at)).collect();
        let mut together = values.clone();
        exp_each(&mut together);
        for (x, got) in values.iter().zip(together) {
            assert_eq!(of(*x).to_bits(), got.to_bits());
        }
    }
}
