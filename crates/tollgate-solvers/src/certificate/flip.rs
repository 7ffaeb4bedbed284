//! Which budget would have sent a query elsewhere.
//!
//! # Method
//! The capacity is moved outwards in steps that double, the problem is solved again from
//! the prices known, and when the query's best option has changed the interval is halved
//! until the flip is pinned down. Any [`Solver`] will do.
//!
//! # Departures
//! Parametric simplex (Gass and Saaty, 1955) walks from breakpoint to breakpoint and can't
//! miss one; a query that flips and flips back within one step is missed here, which for
//! "what would it take" is the lesser evil beside a method for one solver only.

use tollgate_core::{Problem, Solution, SolveError, SolveOptions, Solver, Status};

use super::explain;

/// A capacity at which a query goes elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flip {
    /// The least known change's capacity, in the unit of the row's meter.
    pub capacity: f64,
    /// What is chosen there; `None` for declining.
    pub to: Option<usize>,
}

/// The first step, relative to the capacity, and how far outwards the search goes.
const STEP: f64 = 0.01;
const DOUBLINGS: i32 = 10;
/// How closely a flip is pinned down, relative to the capacity.
const PRECISION: f64 = 1e-4;

/// The nearest known capacities of `row`, below and above the present one, at which
/// `query` goes elsewhere than at the prices of `solution`. At most about ten times the
/// capacity is tried, and nothing below 0.
///
/// # Errors
/// [`SolveError`] as the solver's.
///
/// # Panics
/// When there is no such row or query, or the solution is of another problem.
pub fn flip(
    solver: &dyn Solver,
    problem: &Problem,
    solution: &Solution,
    query: usize,
    row: usize,
) -> Result<[Option<Flip>; 2], SolveError> {
    let search = Search { solver, problem, solution, query, row };
    Ok([search.outwards(-1.0)?, search.outwards(1.0)?])
}

struct Search<'s> {
    solver: &'s dyn Solver,
    problem: &'s Problem,
    solution: &'s Solution,
    query: usize,
    row: usize,
}

impl Search<'_> {
    fn outwards(&self, direction: f64) -> Result<Option<Flip>, SolveError> {
        let capacity = self.problem.rows()[self.row].capacity;
        let now = explain(self.problem, &self.solution.prices, self.query).choice();
        let mut inside = capacity;
        for doubling in 0..=DOUBLINGS {
            let step = STEP * 2_f64.powi(doubling) * capacity.abs();
            let outside = capacity + direction * step;
            // A budget below 0 is none; 0 itself is a fair question.
            let outside = if capacity >= 0.0 { outside.max(0.0) } else { outside };
            if (outside - inside).abs() <= f64::MIN_POSITIVE {
                return Ok(None);
            }
            let Some(there) = self.at(outside)? else { return Ok(None) };
            if there.to != now {
                return self.between(inside, there, now).map(Some);
            }
            inside = outside;
        }
        Ok(None)
    }

    /// Halves the interval between a capacity without and one with a flip.
    fn between(
        &self,
        mut inside: f64,
        mut flip: Flip,
        now: Option<usize>,
    ) -> Result<Flip, SolveError> {
        let precision = PRECISION * self.problem.rows()[self.row].capacity.abs();
        while (flip.capacity - inside).abs() > precision {
            let middle = f64::midpoint(inside, flip.capacity);
            match self.at(middle)? {
                Some(there) if there.to != now => flip = there,
                _ => inside = middle,
            }
        }
        Ok(flip)
    }

    /// The query's best option at another capacity; `None` where there is no answer.
    fn at(&self, capacity: f64) -> Result<Option<Flip>, SolveError> {
        let mut rows = self.problem.rows().to_vec();
        rows[self.row].capacity = capacity;
        let Ok(changed) = self.problem.with_rows(rows) else { return Ok(None) };
        let options = SolveOptions::default();
        let solution = self.solver.solve(&changed, &options, self.solution.warm.as_ref())?;
        if matches!(solution.status, Status::Infeasible { .. }) {
            return Ok(None);
        }
        let to = explain(&changed, &solution.prices, self.query).choice();
        Ok(Some(Flip { capacity, to }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tollgate_core::{Choice, Meter, Row, Scope};

    use super::*;
    use crate::CuttingPlane;

    /// One budget of 5 USD for three queries, each 1 USD on model 0 or 3 on model 1. The
    /// upgrades are worth 0.4, 0.3 and 0.1: the first is bought, the second from 5 to 7 USD
    /// in part, the third beyond 7. Query 2 flips when the price falls below 0.05, which
    /// it does at 7; query 0 when it rises above 0.2, below 5 USD (0.2 exactly from 3 to 5).
    #[test]
    fn a_flip_on_paper() {
        let problem = Problem::builder(3, 2, Choice::ExactlyOne)
            .table(Meter::Quality, Arc::from([0.5, 0.9, 0.5, 0.8, 0.5, 0.6]))
            .table(Meter::Cost, Arc::from([1.0, 3.0, 1.0, 3.0, 1.0, 3.0]))
            .objective(Meter::Quality, 1.0)
            .rows([Row::at_most(Meter::Cost, Scope::all(), 6.0)])
            .build()
            .unwrap();
        let solver = CuttingPlane::default();
        let solution = solver.solve(&problem, &SolveOptions::default(), None).unwrap();
        let [below, above] = flip(&solver, &problem, &solution, 2, 0).unwrap();
        assert_eq!(below, None);
        let above = above.unwrap();
        assert_eq!(above.to, Some(1));
        assert!(above.capacity >= 7.0 && above.capacity < 9.01, "{above:?}");
        // Never cheaper by more money, and at 3 USD or less there is nothing to spend.
        let [below, above] = flip(&solver, &problem, &solution, 0, 0).unwrap();
        assert_eq!(above, None);
        let below = below.unwrap();
        assert_eq!(below.to, Some(0));
        assert!(below.capacity <= 5.0 && below.capacity >= 3.0 - 1e-9, "{below:?}");
    }
}
