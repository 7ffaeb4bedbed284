//! The solver for the problem at hand.
//!
//! # Problem
//! Seven solvers to choose from are a burden for whoever just wants prices.
//!
//! # Method
//! The rule, from the tables of `cargo xtask bench solve` (250 to a million queries, one to
//! 64 rows, with ties and without, cold and warm, gaps of 1e-2 to 1e-9):
//!
//! 1. The simplex method, whatever the number of queries and rows, the gap and the start.
//!    It was the fastest in nearly every line, cutting planes came within a factor of two
//!    of it for one or two rows, and a loose gap does not make the others catch up: they
//!    need more passes to 1e-2 than it needs in all.
//! 2. If arithmetic leaves it with an open gap, or breaks down, cutting planes go on from
//!    its prices, and the better of both answers is returned.
//!
//! A problem that the simplex method has refuted, or a limit that was set, is left alone.
//!
//! # Departures
//! None: there is no paper to depart from.

use tollgate_core::{Problem, Solution, SolveError, SolveOptions, Solver, Status, WarmState};

use crate::{CuttingPlane, Simplex};

/// See the module page. One thread, and the same bits on every machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Auto {
    simplex: Simplex,
    cutting_plane: CuttingPlane,
}

impl Solver for Auto {
    fn name(&self) -> &'static str {
        "auto"
    }

    fn solve(
        &self,
        problem: &Problem,
        options: &SolveOptions,
        warm: Option<&WarmState>,
    ) -> Result<Solution, SolveError> {
        let first = self.simplex.solve(problem, options, warm);
        if !is_open(first.as_ref(), options) {
            return first;
        }
        let start = first.as_ref().ok().and_then(|solution| solution.warm.as_ref()).or(warm);
        let second = self.cutting_plane.solve(problem, options, start);
        match (first, second) {
            (Err(first), Err(_)) => Err(first),
            (Err(_), Ok(second)) => Ok(second),
            (Ok(first), Err(_)) => Ok(first),
            (Ok(first), Ok(second)) => {
                Ok(if second.gap < first.gap || proves(&second) { second } else { first })
            }
        }
    }
}

/// Whether arithmetic, not a limit, kept the simplex method from its end.
fn is_open(first: Result<&Solution, &SolveError>, options: &SolveOptions) -> bool {
    match first {
        Err(SolveError::Breakdown { .. }) => true,
        Ok(solution) => {
            solution.status == Status::LimitReached && solution.iterations < options.max_iterations
        }
        Err(_) => false,
    }
}

fn proves(solution: &Solution) -> bool {
    matches!(solution.status, Status::Infeasible { .. })
}

#[cfg(test)]
mod tests {
    use tollgate_core::Seed;
    use tollgate_testkit::instances::{routing, split_budgets};
    use tollgate_testkit::solver_conformance as conformance;

    use super::*;

    #[test]
    fn conforms() {
        conformance::check(&Auto::default());
    }

    #[test]
    fn agrees_with_the_textbook() {
        conformance::small_problems(&Auto::default(), 1000);
    }

    /// A limit is a limit: nobody takes over.
    #[test]
    fn a_limit_is_kept() {
        let problem = routing(2000, 6, Seed(3));
        let problem = problem.with_rows(split_budgets(&problem, 1.0)).unwrap();
        let few = SolveOptions { max_iterations: 3, ..SolveOptions::default() };
        let solution = Auto::default().solve(&problem, &few, None).unwrap();
        assert_eq!(solution.status, Status::LimitReached);
        assert!(solution.iterations <= 3);
    }
}
