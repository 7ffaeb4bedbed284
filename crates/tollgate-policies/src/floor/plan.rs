//! A window whose queries are all known, planned at once.
//!
//! # Method
//! Problem (1) of the floor's page on the estimates, at the target of its equation (3), found
//! by solving, rehearsing the prices on the history and solving again, each time from where the
//! last solve ended, until the target stays. The answer is rounded to one model a query
//! ([`round`]), and the dual bound says how much cheaper any other could be.
//!
//! Where there is no answer, two more programs say why: as many queries as the capacities can
//! take, and, where that is all of them, the best mean score within the capacities. The plan
//! then is the best there is.

use std::sync::Arc;

use tollgate_core::{
    Assignment, Choice, Coefficients, EstimateTable, Meter, PolicyError, Problem, Row, Scope,
    Solution, SolveOptions, Solver, Status, round,
};

use super::margin::Errors;
use super::{Floor, Rehearsal};

/// How a plan ended.
#[derive(Clone, Debug, PartialEq)]
pub enum FloorStatus {
    /// The floor is met on the estimates, with its margin.
    Met,
    /// The floor is met on the estimates, but no further solve was allowed and the target may
    /// still move.
    Unsettled,
    /// The floor cannot be met with the confidence asked for; the plan has the best mean score
    /// that capacities allow.
    Unattainable {
        /// The highest floor that could be met with that confidence.
        attainable: f64,
    },
    /// The capacities cannot take all queries; the plan has as many as they can.
    Overloaded {
        /// Queries that can be served.
        served: f64,
        /// The rows that cannot be kept together, as in the problem.
        rows: Vec<usize>,
    },
}

/// What to do with the queries of a window.
#[derive(Clone, Debug)]
pub struct FloorPlan {
    /// How it ended.
    pub status: FloorStatus,
    /// `alpha`.
    pub floor: f64,
    /// The mean expectation that was asked of the program: equation (3).
    pub target: f64,
    /// What these prices do on the history.
    pub errors: Errors,
    /// One model for each query; `None` where capacities do not suffice.
    pub assignment: Assignment,
    /// The mean score that is expected of the assignment, before the bias.
    pub expected_quality: f64,
    /// What the assignment is expected to cost, in USD for all queries.
    pub expected_cost: f64,
    /// No answer that keeps the rows is expected to cost less than this, in USD.
    pub least_cost: f64,
    /// The program that was solved last, with the floor as its last row.
    pub problem: Problem,
    /// Its solution.
    pub solution: Solution,
    /// Full passes over the options, all solves together.
    pub passes: u64,
}

/// Solves until the target stays.
const ROUNDS: u32 = 8;
/// A target that moves by less than this stays.
const STAYS: f64 = 1e-4;

impl Floor {
    /// Plans a window: `queries` are the estimates of all that are to be served, `capacities`
    /// are `<=` rows on what they consume.
    ///
    /// # Errors
    /// [`PolicyError`] where a capacity is refused, or a solve breaks down.
    pub fn plan(
        &self,
        queries: &EstimateTable,
        rehearsal: &Rehearsal,
        capacities: &[Row],
        solver: &dyn Solver,
    ) -> Result<FloorPlan, PolicyError> {
        let window = Window::new(queries, capacities)?;
        let n = window.n;
        let alpha = self.alpha(rehearsal);
        let z = self.quantile(rehearsal, queries.n_queries());
        let asked = |errors: &Errors| alpha - errors.bias + z * errors.of_mean(n);
        let mut errors = rehearsal.of_best();
        let mut target = alpha;
        let (mut warm, mut passes) = (None, 0);
        for turn in 0..=ROUNDS {
            let problem = window.with_floor(target)?;
            let options = SolveOptions { gap: self.config().gap, ..SolveOptions::default() };
            let solution = solver.solve(&problem, &options, warm.as_ref())?;
            passes += solution.passes;
            if matches!(solution.status, Status::Infeasible { .. }) {
                let best = window.best(solver, passes)?;
                return Ok(best
                    .plan(alpha, target, rehearsal, |errors| errors.bias - z * errors.of_mean(n)));
            }
            errors = rehearsal.at(&problem.coefficients(&solution.prices));
            let next = asked(&errors);
            let settled = (next - target).abs() <= STAYS;
            // Between two targets that lead to each other, the higher one.
            if settled || turn == ROUNDS && next <= target {
                let status = if settled { FloorStatus::Met } else { FloorStatus::Unsettled };
                return Ok(assemble(status, alpha, target, errors, (problem, solution), passes));
            }
            warm.clone_from(&solution.warm);
            target = next;
        }
        let problem = window.with_floor(target)?;
        let solution = solver.solve(&problem, &SolveOptions::default(), warm.as_ref())?;
        passes += solution.passes;
        let status = FloorStatus::Unsettled;
        Ok(assemble(status, alpha, target, errors, (problem, solution), passes))
    }
}

/// The queries of a window as a problem without rows, and the rows of their capacities.
struct Window {
    queries: Problem,
    capacities: Vec<Row>,
    n: f64,
}

impl Window {
    fn new(queries: &EstimateTable, capacities: &[Row]) -> Result<Self, PolicyError> {
        let (n, n_models) = (queries.n_queries(), queries.n_models());
        let queries = Problem::builder(n, n_models, Choice::ExactlyOne)
            .table(Meter::Quality, Arc::clone(queries.quality()))
            .table(Meter::Cost, Arc::clone(queries.cost()))
            .objective(Meter::Cost, -1.0)
            .build()?;
        Ok(Self { queries, capacities: capacities.to_vec(), n: n as f64 })
    }

    fn with_floor(&self, target: f64) -> Result<Problem, PolicyError> {
        let floor = Row::at_least(Meter::Quality, Scope::all(), target * self.n);
        let rows = self.capacities.iter().cloned().chain([floor]).collect();
        Ok(self.queries.with_rows(rows)?)
    }

    /// The best mean score within the capacities, or, where they cannot take all queries, as
    /// many as they can.
    fn best(&self, solver: &dyn Solver, passes: u64) -> Result<Best, PolicyError> {
        let solve = |problem: &Problem| solver.solve(problem, &SolveOptions::default(), None);
        let quality = self.queries.restated(&[(Meter::Quality, 1.0)], Choice::ExactlyOne);
        let quality = quality.with_rows(self.capacities.clone())?;
        let best = solve(&quality)?;
        let mut passes = passes + best.passes;
        let Status::Infeasible { rows, .. } = best.status.clone() else {
            return Ok(Best { problem: quality, solution: best, passes, overloaded: None });
        };
        let count = self.queries.restated(&[(Meter::One, 1.0)], Choice::AtMostOne);
        let count = count.with_rows(self.capacities.clone())?;
        let most = solve(&count)?;
        passes += most.passes;
        let overloaded = Some((most.primal_value, rows));
        Ok(Best { problem: count, solution: most, passes, overloaded })
    }
}

/// What remains where the floor cannot be met.
struct Best {
    problem: Problem,
    solution: Solution,
    passes: u64,
    /// How many queries can be served, and which rows stand in the way.
    overloaded: Option<(f64, Vec<usize>)>,
}

impl Best {
    /// `allowance` is how far the mean score is sure to be from its expectation.
    fn plan(
        self,
        alpha: f64,
        target: f64,
        rehearsal: &Rehearsal,
        allowance: impl Fn(&Errors) -> f64,
    ) -> FloorPlan {
        let Self { problem, solution, passes, overloaded } = self;
        let coefficients: Coefficients = problem.coefficients(&solution.prices);
        let errors = rehearsal.at(&coefficients);
        let status = if let Some((served, rows)) = overloaded {
            FloorStatus::Overloaded { served, rows }
        } else {
            let expected = solution.primal_value / problem.n_queries() as f64;
            FloorStatus::Unattainable { attainable: expected + allowance(&errors) }
        };
        assemble(status, alpha, target, errors, (problem, solution), passes)
    }
}

fn assemble(
    status: FloorStatus,
    floor: f64,
    target: f64,
    errors: Errors,
    (problem, solution): (Problem, Solution),
    passes: u64,
) -> FloorPlan {
    let assignment = round(&problem, &solution).map(|rounded| rounded.assignment);
    let assignment = assignment.unwrap_or_else(|| vec![None; problem.n_queries()]);
    let sum = |meter: Meter| -> f64 {
        let answers = assignment.iter().enumerate();
        answers
            .filter_map(|(query, model)| Some(problem.reading(meter, query, (*model)? as usize)))
            .sum()
    };
    let expected_quality = sum(Meter::Quality) / problem.n_queries() as f64;
    let expected_cost = sum(Meter::Cost);
    let bounded = matches!(status, FloorStatus::Met | FloorStatus::Unsettled);
    let least_cost = if bounded { 0.0 - solution.dual_bound } else { expected_cost };
    FloorPlan {
        status,
        floor,
        target,
        errors,
        assignment,
        expected_quality,
        expected_cost,
        least_cost,
        problem,
        solution,
        passes,
    }
}
