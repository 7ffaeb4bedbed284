//! From shares to decisions.
//!
//! # Problem
//! A fractional answer to problem (1) with `<=` rows, and possibly declined queries,
//! becomes one model or none for every query, and keeps every hard row.
//!
//! # Method
//! Whole shares first, as they are; a fractional query then takes the best model of
//! its shares that still fits, and a declined one the best model at all that fits,
//! most valuable first. A vertex of (1) has at most one fractional query a row, so
//! little is decided by this function.

use crate::{Assignment, Primal, Problem, Sense};

/// Rounds to a feasible integer answer: see the module page. Queries that must be
/// served but fit nowhere are left `None`.
///
/// # Panics
/// When the problem has `>=` rows, for which taking a query away may break a row, or
/// when the answer has another shape than the problem.
pub fn round_and_repair(problem: &Problem, primal: &Primal) -> Assignment {
    assert_eq!(primal.n_queries(), problem.n_queries(), "one entry a query");
    assert!(
        problem.rows().iter().all(|row| row.sense == Sense::AtMost),
        "rounding keeps `<=` rows only"
    );
    let mut assignment: Assignment = vec![None; problem.n_queries()];
    let mut left = Left::new(problem);
    let whole = |query: usize| match primal.of(query) {
        [(model, share)] if *share >= 1.0 - 1e-9 => Some(*model),
        _ => None,
    };
    for (query, slot) in assignment.iter_mut().enumerate() {
        if let Some(model) = whole(query)
            && left.take(query, model as usize)
        {
            *slot = Some(model);
        }
    }
    let shared = (0..problem.n_queries()).filter(|&query| !primal.of(query).is_empty());
    let shared = shared.filter(|&query| assignment[query].is_none()).collect();
    fill(problem, shared, &mut assignment, &mut left, |query| {
        primal.of(query).iter().map(|&(model, _)| model as usize).collect()
    });
    let rest = (0..problem.n_queries()).filter(|&query| assignment[query].is_none()).collect();
    fill(problem, rest, &mut assignment, &mut left, |_| (0..problem.n_models()).collect());
    assignment
}

/// Gives each query the most valuable of its candidates that fits, the most valuable
/// query first.
fn fill(
    problem: &Problem,
    queries: Vec<usize>,
    assignment: &mut Assignment,
    left: &mut Left<'_>,
    candidates: impl Fn(usize) -> Vec<usize>,
) {
    let worth = |query: usize, model: usize| problem.weight(query) * problem.value(query, model);
    let mut options: Vec<(f64, usize, usize)> = queries
        .into_iter()
        .flat_map(|query| candidates(query).into_iter().map(move |model| (query, model)))
        .map(|(query, model)| (worth(query, model), query, model))
        .filter(|&(worth, ..)| worth > 0.0)
        .collect();
    options.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    for (_, query, model) in options {
        if assignment[query].is_none() && left.take(query, model) {
            #[expect(clippy::cast_possible_truncation, reason = "a model index")]
            let model = model as u32;
            assignment[query] = Some(model);
        }
    }
}

/// What is left of every row.
struct Left<'a> {
    problem: &'a Problem,
    left: Vec<f64>,
}

impl<'a> Left<'a> {
    fn new(problem: &'a Problem) -> Self {
        let left = problem.rows().iter().map(|row| row.capacity * (1.0 + 1e-12)).collect();
        Self { problem, left }
    }

    /// Takes the option from every hard row that it touches, or from none.
    fn take(&mut self, query: usize, model: usize) -> bool {
        let problem = self.problem;
        let group = problem.group(query);
        let touched = |row: &&crate::Row| row.penalty.is_none() && row.scope.covers(group, model);
        let uses =
            |row: &crate::Row| problem.weight(query) * problem.reading(row.meter, query, model);
        let rows = || problem.rows().iter().enumerate().filter(|(_, row)| touched(row));
        if rows().any(|(index, row)| uses(row) > self.left[index]) {
            return false;
        }
        for (index, row) in rows() {
            self.left[index] -= uses(row);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Choice, Meter, Row, Scope};

    /// Three queries, two models; model 0 can pay for one query, model 1 for one.
    fn problem() -> Problem {
        let quality: Arc<[f64]> = [0.9, 0.5, 0.8, 0.6, 0.1, 0.7].into();
        let cost: Arc<[f64]> = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0].into();
        Problem::builder(3, 2, Choice::AtMostOne)
            .table(Meter::Quality, quality)
            .table(Meter::Cost, cost)
            .objective(Meter::Quality, 1.0)
            .rows((0..2).map(|i| Row::at_most(Meter::Cost, Scope::model(i), 1.5)))
            .build()
            .unwrap()
    }

    #[test]
    fn a_split_query_takes_what_fits() {
        // Query 0 is split, query 1 is whole on model 0, query 2 is declined.
        let primal = Primal::from_queries([vec![(0, 0.5), (1, 0.5)], vec![(0, 1.0)], vec![]]);
        // Model 0 has 0.5 left after query 1: query 0 goes to model 1, query 2 nowhere.
        assert_eq!(round_and_repair(&problem(), &primal), [Some(1), Some(0), None]);
    }

    #[test]
    fn an_infeasible_answer_is_repaired() {
        let primal: Primal = [Some(0), Some(0), Some(0)].into_iter().collect();
        let answer = round_and_repair(&problem(), &primal);
        let check = problem().check(&answer.iter().copied().collect());
        assert!(check.violation <= 0.0, "{check:?}");
        assert_eq!(answer, [Some(0), None, Some(1)]);
    }
}
