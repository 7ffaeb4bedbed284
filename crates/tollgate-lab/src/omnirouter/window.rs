//! One cut of a table: a history, a window, and what is expected of both.

use std::sync::Arc;

use serde::Serialize;
use tollgate::core::{
    Assignment, Budgets, Choice, DeferralCurve, EstimateTable, Fit, Meter, Primal, Problem, Row,
    Scope, Seed, SolveOptions, Solver, Status,
};
use tollgate::data::Table;
use tollgate::policies::{Floor, FloorConfig, Margin, Rehearsal};

use crate::{BudgetLayout, LabError, Metrics, Options, Scenario, Stream, realize};

/// How many queries of a window each model can take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Capacity {
    /// As many as there are.
    Unlimited,
    /// So many times an equal share, the same for each model.
    Equal(f64),
}

impl std::fmt::Display for Capacity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Equal(times) => write!(f, "{times} x N/M"),
        }
    }
}

impl Capacity {
    /// The rows of a window of `n` queries.
    fn rows(self, n: usize, n_models: usize) -> Vec<Row> {
        let Self::Equal(times) = self else { return Vec::new() };
        let each = (times * n as f64 / n_models as f64).ceil();
        (0..n_models).map(|model| Row::at_most(Meter::One, Scope::model(model), each)).collect()
    }
}

/// What one method came to at one floor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The mean score over all queries of the window; who is not served scores nothing.
    pub quality: f64,
    /// The mean cost in USD.
    pub cost: f64,
    /// The share of the queries that was served.
    pub served: f64,
    /// Whether the method said beforehand that the floor cannot be met.
    pub warned: bool,
}

impl Outcome {
    /// Sums as means.
    pub fn of(metrics: &Metrics, n: usize) -> Self {
        let n = n as f64;
        let (quality, cost) = (metrics.performance / n, metrics.cost / n);
        Self { quality, cost, served: metrics.served as f64 / n, warned: false }
    }
}

/// A history and a window, with the estimates of one recipe.
#[derive(Debug)]
pub struct Window {
    scenario: Scenario,
    stream: Stream,
    expected: EstimateTable,
    rehearsal: Rehearsal,
    held_out: EstimateTable,
    capacities: Vec<Row>,
    /// Mean scores on the history: the cheapest, the best.
    range: (f64, f64),
}

impl Window {
    /// Cuts a table in two halves by a seed.
    ///
    /// # Errors
    /// [`LabError`] where the table has gaps or the recipe refuses it, or
    /// [`LabError::Oracle`] where the capacities cannot take the history.
    pub fn new(
        table: &Table,
        recipe: &dyn Fit,
        capacity: Capacity,
        seed: Seed,
        solver: &dyn Solver,
    ) -> Result<Self, LabError> {
        let options = Options { layout: BudgetLayout::Pooled, ..Options::default() };
        let scenario = Scenario::prepare(table, &options, seed)?;
        let (expected, held_out) = scenario.estimate_and_hold_out(recipe)?;
        let n_models = table.models().len();
        let capacities = capacity.rows(expected.n_queries(), n_models);
        let budgets = Budgets::new(capacities.clone(), n_models, 1)?;
        let stream = scenario.stream().clone().with_budgets(budgets)?;
        let rows = capacity.rows(held_out.n_queries(), n_models);
        let range = range(&held_out, &rows, solver)?;
        let rehearsal = Rehearsal::new(held_out.clone());
        Ok(Self { scenario, stream, expected, rehearsal, held_out, capacities, range })
    }

    /// How many queries.
    pub fn n(&self) -> usize {
        self.stream.len()
    }

    /// The same window with the way from the cheapest ending at the highest floor that can be
    /// promised with this confidence.
    ///
    /// # Errors
    /// [`LabError::Param`] for a confidence that is none.
    pub fn promising(mut self, confidence: f64) -> Result<Self, LabError> {
        let floor = FloorConfig { confidence, ..FloorConfig::default() }.build()?;
        let best = self.rehearsal.of_best();
        let margin = best.expected + best.bias - floor.promise(&self.rehearsal, self.n());
        self.range.1 -= margin;
        Ok(self)
    }

    /// The floor at a share of the way from the cheapest to the best.
    pub fn floor(&self, reach: f64) -> f64 {
        self.range.0 + reach * (self.range.1 - self.range.0)
    }

    /// What is replayed, with capacities for budgets.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// What is expected of the window.
    pub fn expected(&self) -> &EstimateTable {
        &self.expected
    }

    /// What was expected of the history, held out, with its scores.
    pub fn held_out(&self) -> &EstimateTable {
        &self.held_out
    }

    /// The history to rehearse prices on.
    pub fn rehearsal(&self) -> &Rehearsal {
        &self.rehearsal
    }

    /// The rows that the window's capacities are.
    pub fn capacities(&self) -> &[Row] {
        &self.capacities
    }

    /// The history.
    pub fn history(&self) -> &tollgate::core::History {
        self.scenario.history()
    }

    /// What an assignment really comes to, in the order of arrival and within capacities.
    ///
    /// # Errors
    /// [`LabError`] where a cost is not an amount of money.
    pub fn realize(&self, assignment: &Assignment) -> Result<Outcome, LabError> {
        Ok(Outcome::of(&realize(&self.stream, assignment)?, self.n()))
    }

    /// Realized mean score against realized mean cost as the price on cost moves, without
    /// capacities: the points of prices that are the same for the whole window.
    pub fn curve(&self) -> DeferralCurve {
        let expected = [&self.expected.quality()[..], &self.expected.cost()[..]];
        let real = [&self.stream.true_quality()[..], &self.stream.true_cost()[..]];
        DeferralCurve::new(self.expected.n_models(), expected, real)
    }

    /// The mean cost of the hindsight rule: the least target of the program on the estimates
    /// at which the realized mean score is at least `floor`; `None` where no target reaches it.
    ///
    /// # Errors
    /// [`LabError`] where a solve breaks down.
    pub fn hindsight(&self, floor: f64, solver: &dyn Solver) -> Result<Option<f64>, LabError> {
        if self.capacities.is_empty() {
            let curve = self.curve();
            // The cheapest first, and each better than all before it.
            let met = curve.frontier().iter().find(|point| point.quality >= floor);
            return Ok(met.map(|point| point.cost));
        }
        let mut met = self.planned(1.0, solver)?;
        if met.quality < floor {
            return Ok(None);
        }
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            let outcome = self.planned(middle, solver)?;
            if outcome.quality >= floor {
                (high, met) = (middle, outcome);
            } else {
                low = middle;
            }
        }
        Ok(Some(met.cost))
    }

    /// What the plan for a mean score of `target`, without a margin, really comes to.
    fn planned(&self, target: f64, solver: &dyn Solver) -> Result<Outcome, LabError> {
        let plan = without_margin(target)?.plan(
            &self.expected,
            &self.rehearsal,
            &self.capacities,
            solver,
        )?;
        self.realize(&plan.assignment)
    }

    /// The least mean cost in USD at which *any* assignment within the capacities has a mean
    /// score of `floor`, if all scores and costs were known: a dual bound. `None` where not
    /// even that can be done.
    ///
    /// # Errors
    /// [`LabError`] where the solve breaks down.
    pub fn least_cost(&self, floor: f64, solver: &dyn Solver) -> Result<Option<f64>, LabError> {
        let n = self.n() as f64;
        let truth = self.floored(self.stream.true_quality(), self.stream.true_cost(), floor)?;
        let solution = solver.solve(&truth, &SolveOptions::default(), None)?;
        let infeasible = matches!(solution.status, Status::Infeasible { .. });
        Ok((!infeasible).then_some((0.0 - solution.dual_bound).max(0.0) / n))
    }

    /// The least cost at which the mean of these scores is `floor`, within the capacities, as a
    /// program; tables are row-major.
    pub(super) fn floored(
        &self,
        quality: &Arc<[f64]>,
        cost: &Arc<[f64]>,
        floor: f64,
    ) -> Result<Problem, LabError> {
        let problem = program(quality, cost, self.expected.n_models(), (Meter::Cost, -1.0))?;
        let floor = Row::at_least(Meter::Quality, Scope::all(), floor * self.n() as f64);
        let rows = self.capacities.iter().cloned().chain([floor]).collect();
        Ok(problem.with_rows(rows)?)
    }
}

fn without_margin(floor: f64) -> Result<Floor, LabError> {
    let config = FloorConfig { floor: Some(floor), margin: Margin::None, ..FloorConfig::default() };
    Ok(config.build()?)
}

/// Bisections of the hindsight rule where there are capacities: far finer than one query.
const HALVINGS: u32 = 14;

/// Mean scores of the cheapest and of the best assignment within the rows, expected and then
/// scored.
fn range(
    held_out: &EstimateTable,
    rows: &[Row],
    solver: &dyn Solver,
) -> Result<(f64, f64), LabError> {
    let scored = |objective: (Meter, f64)| -> Result<f64, LabError> {
        let problem = program(held_out.quality(), held_out.cost(), held_out.n_models(), objective)?;
        let problem = problem.with_rows(rows.to_vec())?;
        let solution = solver.solve(&problem, &SolveOptions::default(), None)?;
        let status = solution.status;
        let primal = solution
            .primal
            .ok_or(LabError::Oracle { oracle: "the range of floors on the history", status })?;
        Ok(mean_score(held_out, &primal))
    };
    Ok((scored((Meter::Cost, -1.0))?, scored((Meter::Quality, 1.0))?))
}

fn program(
    quality: &Arc<[f64]>,
    cost: &Arc<[f64]>,
    n_models: usize,
    (meter, weight): (Meter, f64),
) -> Result<Problem, LabError> {
    Ok(Problem::builder(quality.len() / n_models, n_models, Choice::ExactlyOne)
        .table(Meter::Quality, Arc::clone(quality))
        .table(Meter::Cost, Arc::clone(cost))
        .objective(meter, weight)
        .build()?)
}

/// The mean score of an answer on a history; where one is not known its expectation counts.
fn mean_score(held_out: &EstimateTable, primal: &Primal) -> f64 {
    let n_models = held_out.n_models();
    let scores = held_out.scores().map_or(&[][..], |scores| scores);
    let of = |at: usize| match scores.get(at) {
        Some(score) if !score.is_nan() => *score,
        _ => held_out.quality()[at],
    };
    let n = held_out.n_queries();
    let sum: f64 = (0..n)
        .flat_map(|query| primal.of(query).iter().map(move |share| (query, share)))
        .map(|(query, &(model, share))| share * of(query * n_models + model as usize))
        .sum();
    sum / n as f64
}
