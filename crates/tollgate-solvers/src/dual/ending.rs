//! How every solve ends: prices in the problem's own units, a proof that rows cannot be
//! kept, and when a bound and a value have met.

use tollgate_core::{Problem, SolveError, Status};

use super::ScaledRow;

/// A scaled excess below this is rounding.
pub(crate) const EXCESS: f64 = 1e-11;
/// Rounding of a scaled bound: gaps below it can't be told from 0.
const ROUNDING: f64 = 1e-13;

/// By how much a scaled bound at these scaled prices and a value may differ for rounding.
pub(crate) fn rounding(rows: &[ScaledRow], prices: &[f64]) -> f64 {
    let tolls: f64 = rows.iter().zip(prices).map(|(row, price)| (row.bound * price).abs()).sum();
    ROUNDING * (1.0 + tolls).min(1e3)
}

/// Scaled prices in objective per unit of each row's meter.
///
/// # Errors
/// [`SolveError::Breakdown`] where one of them, or their bound, is no finite number.
pub(crate) fn own_prices(
    problem: &Problem,
    rows: &[ScaledRow],
    (prices, dual_bound): (&[f64], f64),
    (solver, iteration): (&'static str, u64),
) -> Result<Vec<f64>, SolveError> {
    let own = |((price, scaled), row): ((&f64, &ScaledRow), &tollgate_core::Row)| {
        (price * scaled.price_unit).min(row.penalty.unwrap_or(f64::INFINITY))
    };
    let prices: Vec<f64> = prices.iter().zip(rows).zip(problem.rows()).map(own).collect();
    match [dual_bound].iter().chain(&prices).find(|number| !number.is_finite()) {
        None => Ok(prices),
        Some(&got) => {
            let what = "a price or its bound";
            Err(SolveError::Breakdown { solver, what, got, iteration })
        }
    }
}

/// The proof that scaled prices give where the dual function without objective is `bound`
/// there; `None` where that is not negative.
pub(crate) fn refutation(rows: &[ScaledRow], prices: &[f64], bound: f64) -> Option<Status> {
    if bound >= -EXCESS || bound.is_nan() {
        return None;
    }
    let all: Vec<f64> =
        prices.iter().zip(rows).map(|(price, row)| price * row.scale.abs()).collect();
    let rows: Vec<usize> = (0..all.len()).filter(|&row| all[row] > 0.0).collect();
    let proof = rows.iter().map(|&row| all[row]).collect();
    Some(Status::Infeasible { rows, proof, violation: -bound })
}
