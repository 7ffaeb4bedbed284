//! A textbook linear program solver: slow, plain, and sharing no code with the solvers
//! that it checks.
//!
//! # Problem
//! Problem (1) of [`tollgate_core`], every option a variable, soft rows with one more
//! variable for what exceeds them.
//!
//! # Method
//! The two-phase tableau simplex with Bland's rule (1977): the least index enters, the
//! least index leaves, so it can't cycle. `O(rows x columns)` a pivot, for a dozen
//! queries. Rows are divided by their largest entry first.

use tollgate_core::{Choice, Problem, Sense};

/// An entry below this is 0, in rows scaled to a largest entry of 1.
const ZERO: f64 = 1e-9;

/// What the textbook says.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The value of a best answer.
    Optimal(f64),
    /// No answer keeps every hard row.
    Infeasible,
}

/// Solves a small problem.
///
/// # Panics
/// When the program is unbounded, which problem (1) never is.
pub fn solve(problem: &Problem) -> Answer {
    let (n_queries, n_models) = (problem.n_queries(), problem.n_models());
    let n_options = n_queries * n_models;
    let soft: Vec<usize> =
        (0..problem.rows().len()).filter(|&row| problem.rows()[row].penalty.is_some()).collect();
    let n_variables = n_options + soft.len();
    let mut objective = vec![0.0; n_variables];
    let mut constraints: Vec<Constraint> = Vec::new();
    for query in 0..n_queries {
        let mut row = vec![0.0; n_variables];
        for model in 0..n_models {
            objective[query * n_models + model] =
                problem.weight(query) * problem.value(query, model);
            row[query * n_models + model] = 1.0;
        }
        let kind = match problem.choice() {
            Choice::AtMostOne => Kind::AtMost,
            Choice::ExactlyOne => Kind::Equal,
        };
        constraints.push((row, kind, 1.0));
    }
    for (index, row) in problem.rows().iter().enumerate() {
        let mut entries = vec![0.0; n_variables];
        for query in 0..n_queries {
            for model in 0..n_models {
                if row.scope.covers(problem.group(query), model) {
                    entries[query * n_models + model] =
                        problem.weight(query) * problem.reading(row.meter, query, model);
                }
            }
        }
        let largest = entries.iter().fold(0.0_f64, |most, entry| most.max(entry.abs()));
        let scale = if largest > 0.0 { 1.0 / largest } else { 1.0 };
        multiply(&mut entries, scale);
        if let Some(at) = soft.iter().position(|&soft| soft == index) {
            // One unit of this variable is `1 / scale` of the row's own unit.
            entries[n_options + at] = -row.sense.sign();
            objective[n_options + at] = -row.penalty.unwrap_or(0.0) / scale;
        }
        let kind = if row.sense == Sense::AtMost { Kind::AtMost } else { Kind::AtLeast };
        constraints.push((entries, kind, row.capacity * scale));
    }
    let largest = objective.iter().fold(0.0_f64, |most, entry| most.max(entry.abs()));
    let scale = if largest > 0.0 { largest } else { 1.0 };
    multiply(&mut objective, 1.0 / scale);
    match maximize(&objective, constraints) {
        Some(value) => Answer::Optimal(value * scale),
        None => Answer::Infeasible,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    AtMost,
    AtLeast,
    Equal,
}

type Constraint = (Vec<f64>, Kind, f64);

/// `max objective . x` over `x >= 0`; `None` when infeasible.
fn maximize(objective: &[f64], constraints: Vec<Constraint>) -> Option<f64> {
    let (n, m) = (objective.len(), constraints.len());
    // Columns: variables, a slack a row, an artificial a row, the right-hand side.
    let width = n + 2 * m + 1;
    let mut tableau = Vec::with_capacity(m);
    let mut basis = Vec::with_capacity(m);
    for (at, (entries, kind, bound)) in constraints.into_iter().enumerate() {
        let mut row = entries;
        row.resize(width, 0.0);
        row[n + at] = match kind {
            Kind::AtMost => 1.0,
            Kind::AtLeast => -1.0,
            Kind::Equal => 0.0,
        };
        row[width - 1] = bound;
        if bound < 0.0 {
            multiply(&mut row, -1.0);
        }
        row[n + m + at] = 1.0;
        basis.push(n + m + at);
        tableau.push(row);
    }
    let mut phase_one = vec![0.0; width - 1];
    phase_one[n + m..].fill(-1.0);
    let shortfall = simplex(&mut tableau, &mut basis, &phase_one, width - 1);
    if shortfall < -ZERO {
        return None;
    }
    // Artificials still basic are 0: turn them out where their row has any other entry.
    for at in 0..m {
        if basis[at] >= n + m
            && let Some(column) = (0..n + m).find(|&column| tableau[at][column].abs() > ZERO)
        {
            pivot(&mut tableau, &mut basis, at, column);
        }
    }
    let mut phase_two = objective.to_vec();
    phase_two.resize(width - 1, 0.0);
    Some(simplex(&mut tableau, &mut basis, &phase_two, n + m))
}

/// Pivots until no column before `n_columns` improves; returns the value.
fn simplex(tableau: &mut [Vec<f64>], basis: &mut [usize], costs: &[f64], n_columns: usize) -> f64 {
    let last = costs.len();
    loop {
        let reduced = |column: usize| {
            let rows = tableau.iter().zip(basis.iter());
            costs[column] - rows.map(|(row, &basic)| costs[basic] * row[column]).sum::<f64>()
        };
        let Some(entering) = (0..n_columns).find(|&column| reduced(column) > ZERO) else {
            let rows = tableau.iter().zip(basis.iter());
            return rows.map(|(row, &basic)| costs[basic] * row[last]).sum();
        };
        let ratio = |row: &Vec<f64>| row[last] / row[entering];
        let leaving = (0..tableau.len())
            .filter(|&at| tableau[at][entering] > ZERO)
            .min_by(|&a, &b| {
                let (first, second) = (ratio(&tableau[a]), ratio(&tableau[b]));
                first.total_cmp(&second).then(basis[a].cmp(&basis[b]))
            })
            .expect("problem (1) is bounded");
        pivot(tableau, basis, leaving, entering);
    }
}

fn pivot(tableau: &mut [Vec<f64>], basis: &mut [usize], at: usize, column: usize) {
    let scale = 1.0 / tableau[at][column];
    multiply(&mut tableau[at], scale);
    let pivot_row = tableau[at].clone();
    for (other, row) in tableau.iter_mut().enumerate() {
        let factor = row[column];
        if other != at && factor != 0.0 {
            for (entry, from) in row.iter_mut().zip(&pivot_row) {
                *entry -= factor * from;
            }
        }
    }
    basis[at] = column;
}

fn multiply(entries: &mut [f64], factor: f64) {
    for entry in entries {
        *entry *= factor;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tollgate_core::{Meter, Row, Scope};

    use super::*;

    fn problem(choice: Choice, rows: Vec<Row>) -> Problem {
        Problem::builder(2, 2, choice)
            .table(Meter::Quality, Arc::from([0.5, 0.9, 0.6, 0.7]))
            .table(Meter::Cost, Arc::from([1.0, 3.0, 1.0, 3.0]))
            .objective(Meter::Quality, 1.0)
            .rows(rows)
            .build()
            .unwrap()
    }

    fn value(choice: Choice, rows: Vec<Row>) -> f64 {
        match solve(&problem(choice, rows)) {
            Answer::Optimal(value) => value,
            Answer::Infeasible => f64::NAN,
        }
    }

    /// Both queries on their best models are worth 1.6 and cost 6. Serving both cheaply
    /// is worth 1.1 and costs 2; the upgrade of query 0 adds 0.4 for 2, that of query 1
    /// adds 0.1 for 2.
    #[test]
    fn worked_on_paper() {
        let budget = |capacity| vec![Row::at_most(Meter::Cost, Scope::all(), capacity)];
        for (capacity, expected) in [(0.0, 0.0), (1.0, 0.6), (2.0, 1.1), (3.0, 1.3), (5.0, 1.55)] {
            assert!((value(Choice::AtMostOne, budget(capacity)) - expected).abs() < 1e-12);
        }
        let floor = vec![Row::at_least(Meter::Cost, Scope::model(0), 2.0)];
        assert!((value(Choice::AtMostOne, floor) - 1.1).abs() < 1e-12);
        // Exceeding a budget of 2 at 0.1 a unit: query 0 upgrades (0.4 for 0.2), query 1 not.
        let soft = vec![Row::at_most(Meter::Cost, Scope::all(), 2.0).soft(0.1)];
        assert!((value(Choice::AtMostOne, soft) - 1.3).abs() < 1e-12);
    }

    #[test]
    fn infeasible_is_an_answer() {
        let budget = vec![Row::at_most(Meter::Cost, Scope::all(), 1.9)];
        assert_eq!(solve(&problem(Choice::ExactlyOne, budget)), Answer::Infeasible);
    }
}
