//! Queries of the same score, divided as the program divides them.
//!
//! # Problem
//! Where many queries are alike, an optimal answer sends some of them here and some there, at
//! prices that make both worth the same. Prices alone do not say how many, and a rule that
//! sends them all to the same model, or declines them all, is far from the answer they prove.
//!
//! # Method
//! Over the queries of the program whose best options tie (declining counts, at 0), each
//! option `i` has the share
//!
//! ```text
//! share_i = sum of x_ij over ties that i takes part in / number of those ties        (1)
//! ```
//!
//! and an arrival whose options tie takes one of them at random in proportion. Where all ties
//! are between the same options that is the program's own division.
//!
//! # References
//! Agrawal, Wang and Ye (2014) assume ties away ("general position") or perturb scores, which
//! divides queries evenly and not as the program does.

use tollgate_core::{Coefficients, Meter, Primal, Problem};

/// Two scores are the same if they differ by no more than this times what they are made of.
const SAME: f64 = 1e-7;

/// Shares of the options, the models in their order and last declining: (1).
pub(super) fn shares(problem: &Problem, prices: &[f64], primal: &Primal) -> Vec<f64> {
    let (coefficients, n_models) = (problem.coefficients(prices), problem.n_models());
    let mut taken = vec![0.0; n_models + 1];
    let mut tied = vec![0.0; n_models + 1];
    let mut scores = vec![0.0; n_models + 1];
    for query in 0..problem.n_queries() {
        let size = score(problem, &coefficients, query, &mut scores);
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let equal = |score: f64| best - score <= SAME * size;
        if scores.iter().filter(|score| equal(**score)).count() < 2 {
            continue;
        }
        let weight = problem.weight(query);
        let mut declined = 1.0;
        for &(model, share) in primal.of(query) {
            taken[model as usize] += weight * share;
            declined -= share;
        }
        taken[n_models] += weight * f64::max(declined, 0.0);
        for (tied, score) in tied.iter_mut().zip(&scores) {
            *tied += if equal(*score) { weight } else { 0.0 };
        }
    }
    // An option that took part in no tie is as likely as any other.
    let share = |(taken, tied): (&f64, &f64)| if *tied > 0.0 { taken / tied } else { 1.0 };
    taken.iter().zip(&tied).map(share).collect()
}

/// Overwrites the scores of a query's options, declining last, and answers how large the
/// numbers are that they are differences of.
fn score(problem: &Problem, prices: &Coefficients, query: usize, scores: &mut [f64]) -> f64 {
    let group = problem.group(query);
    let declining = scores.len() - 1;
    scores[declining] = 0.0;
    let mut size = f64::MIN_POSITIVE;
    for (model, score) in scores[..declining].iter_mut().enumerate() {
        *score = prices.of(group, Meter::One).get(model);
        for meter in Meter::TABLED {
            if problem.table(meter).is_some() {
                let term =
                    prices.of(group, meter).get(model) * problem.reading(meter, query, model);
                *score += term;
                size = size.max(term.abs());
            }
        }
    }
    size
}

/// Whether two scores made of numbers as large as `size` are the same.
pub(super) fn same(a: f64, b: f64, size: f64) -> bool {
    (a - b).abs() <= SAME * size
}

#[cfg(test)]
mod tests;
