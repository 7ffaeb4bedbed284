//! A window of queries that slides, solved again from where it was.
//!
//! Queries come in and go out, capacities follow what is left of a budget, models join
//! and leave. Each [`solve`](Window::solve) starts from the prices of the last one, row
//! by row, so it costs a few passes while little has changed.

use std::collections::VecDeque;
use std::sync::Arc;

use tollgate_core::{
    Choice, Meter, ModelMask, Problem, ProblemError, Row, Solution, SolveError, SolveOptions,
    Solver,
};

use crate::warm::{Warm, place};

/// One query: a row of readings for each meter of the window, `(n_models,)`.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'q> {
    /// In the order of the window's meters.
    pub readings: &'q [&'q [f64]],
    /// The group that rows may be limited to.
    pub group: u32,
    /// How many queries it stands for, `>= 0`.
    pub weight: f64,
}

/// Why a window could not be solved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// A query or a model that comes in has readings for another number of meters, models
    /// or queries.
    #[error("{what}: {expected} expected, got {got}")]
    Shape {
        /// Of what there are too many or too few.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// There is no such model.
    #[error("there is no model {model}; there are {n_models}")]
    NoModel {
        /// Its index.
        model: usize,
        /// How many there are.
        n_models: usize,
    },
    /// The window is no problem, for a reading or a row out of range.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// The solver's arithmetic broke down.
    #[error(transparent)]
    Solve(#[from] SolveError),
}

/// See the module page.
///
/// ```
/// use std::sync::Arc;
/// use tollgate_core::{Choice, Meter, Row, Scope, SolveOptions};
/// use tollgate_solvers::{CuttingPlane, Incoming, Window};
///
/// # fn main() -> Result<(), tollgate_solvers::WindowError> {
/// let meters = vec![(Meter::Quality, 1.0), (Meter::Cost, 0.0)];
/// let mut window = Window::new(Arc::new(CuttingPlane::default()), Choice::AtMostOne, meters, 2);
/// for quality in [0.9, 0.8] {
///     window.push(Incoming { readings: &[&[0.5, quality], &[1.0, 3.0]], group: 0, weight: 1.0 })?;
/// }
/// window.set_rows(vec![Row::at_most(Meter::Cost, Scope::all(), 4.0)]);
/// assert!((window.solve(&SolveOptions::default())?.primal_value - 1.4).abs() < 1e-9);
/// window.pop();
/// assert!((window.solve(&SolveOptions::default())?.primal_value - 0.8).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Window {
    solver: Arc<dyn Solver>,
    choice: Choice,
    /// With their weights in the objective.
    meters: Vec<(Meter, f64)>,
    /// Of each meter, row-major `(n_queries, n_models)`.
    tables: Vec<VecDeque<f64>>,
    groups: VecDeque<u32>,
    weights: VecDeque<f64>,
    n_models: usize,
    rows: Vec<Row>,
    /// Of the last solve, by row; `None` where the row is new.
    prices: Vec<Option<f64>>,
}

impl Window {
    /// An empty window; `meters` with their weights in the objective.
    pub fn new(
        solver: Arc<dyn Solver>,
        choice: Choice,
        meters: Vec<(Meter, f64)>,
        n_models: usize,
    ) -> Self {
        Self {
            solver,
            choice,
            tables: vec![VecDeque::new(); meters.len()],
            meters,
            groups: VecDeque::new(),
            weights: VecDeque::new(),
            n_models,
            rows: Vec::new(),
            prices: Vec::new(),
        }
    }

    /// How many queries there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// How many models there are.
    pub fn n_models(&self) -> usize {
        self.n_models
    }

    /// The rows, in the order of the prices.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// A query comes in.
    ///
    /// # Errors
    /// [`WindowError::Shape`] for another number of meters or models. Readings are
    /// checked by [`solve`](Self::solve).
    pub fn push(&mut self, query: Incoming<'_>) -> Result<(), WindowError> {
        same("meters of a query", self.meters.len(), query.readings.len())?;
        for readings in query.readings {
            same("models of a query", self.n_models, readings.len())?;
        }
        for (table, readings) in self.tables.iter_mut().zip(query.readings) {
            table.extend(readings.iter());
        }
        self.groups.push_back(query.group);
        self.weights.push_back(query.weight);
        Ok(())
    }

    /// The oldest query goes out; false where there is none.
    pub fn pop(&mut self) -> bool {
        for table in &mut self.tables {
            table.drain(..self.n_models.min(table.len()));
        }
        self.weights.pop_front();
        self.groups.pop_front().is_some()
    }

    /// Other rows, or the same ones with other capacities: prices stay with the rows that
    /// limit the same.
    pub fn set_rows(&mut self, rows: Vec<Row>) {
        let known = |at: usize| place(&self.rows, &rows, at).and_then(|place| self.prices[place]);
        self.prices = (0..rows.len()).map(known).collect();
        self.rows = rows;
    }

    /// A model joins as the last one, with its readings of every query in the window for
    /// each meter, `(n_queries,)`. Rows that cover all models cover it; rows of some do not.
    ///
    /// # Errors
    /// [`WindowError::Shape`] for another number of meters or queries.
    pub fn add_model(&mut self, readings: &[&[f64]]) -> Result<(), WindowError> {
        same("meters of a model", self.meters.len(), readings.len())?;
        for readings in readings {
            same("queries of a model", self.len(), readings.len())?;
        }
        for (table, readings) in self.tables.iter_mut().zip(readings) {
            let old = std::mem::take(table);
            let mut old = old.into_iter();
            for reading in *readings {
                table.extend(old.by_ref().take(self.n_models));
                table.push_back(*reading);
            }
        }
        self.n_models += 1;
        Ok(())
    }

    /// A model leaves, and with it the rows of it alone; the models behind it move up.
    ///
    /// # Errors
    /// [`WindowError::NoModel`].
    pub fn remove_model(&mut self, model: usize) -> Result<(), WindowError> {
        if model >= self.n_models {
            return Err(WindowError::NoModel { model, n_models: self.n_models });
        }
        for table in &mut self.tables {
            let mut at = 0;
            table.retain(|_| {
                at += 1;
                (at - 1) % self.n_models != model
            });
        }
        self.n_models -= 1;
        let rows = std::mem::take(&mut self.rows);
        let prices = std::mem::take(&mut self.prices);
        for (mut row, price) in rows.into_iter().zip(prices) {
            if let Some(models) = without(&row.scope.models, model) {
                row.scope.models = models;
                self.rows.push(row);
                self.prices.push(price);
            }
        }
        Ok(())
    }

    /// The problem as it stands.
    ///
    /// # Errors
    /// [`ProblemError`] for a reading, weight or row out of range.
    pub fn problem(&self) -> Result<Problem, ProblemError> {
        let mut builder = Problem::builder(self.len(), self.n_models, self.choice)
            .groups(self.groups.iter().copied().collect())
            .weights(self.weights.iter().copied().collect())
            .rows(self.rows.iter().cloned());
        for ((meter, weight), table) in self.meters.iter().zip(&self.tables) {
            builder = builder.objective(*meter, *weight);
            if *meter != Meter::One {
                builder = builder.table(*meter, table.iter().copied().collect());
            }
        }
        builder.build()
    }

    /// Solves the window, starting from the last prices.
    ///
    /// # Errors
    /// [`WindowError`] for a reading, weight or row out of range, or where the solver's
    /// arithmetic broke down.
    pub fn solve(&mut self, options: &SolveOptions) -> Result<Solution, WindowError> {
        let problem = self.problem()?;
        let known = self.rows.iter().zip(&self.prices);
        let (rows, prices): (Vec<Row>, Vec<f64>) =
            known.filter_map(|(row, price)| Some((row.clone(), (*price)?))).unzip();
        let warm = (!rows.is_empty()).then(|| Warm::of_prices(rows, prices));
        let solution = self.solver.solve(&problem, options, warm.as_ref())?;
        self.prices = solution.prices.iter().copied().map(Some).collect();
        Ok(solution)
    }
}

fn same(what: &'static str, expected: usize, got: usize) -> Result<(), WindowError> {
    if expected == got { Ok(()) } else { Err(WindowError::Shape { what, expected, got }) }
}

/// A mask after a model has left; `None` where it was the only one.
fn without(models: &ModelMask, model: usize) -> Option<ModelMask> {
    match models {
        ModelMask::All => Some(ModelMask::All),
        ModelMask::One(only) if *only == model => None,
        ModelMask::One(only) => Some(ModelMask::One(only - usize::from(*only > model))),
        ModelMask::Some(mask) => {
            let left: Arc<[bool]> = mask
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != model)
                .map(|(_, covered)| *covered)
                .collect();
            left.contains(&true).then_some(ModelMask::Some(left))
        }
    }
}

#[cfg(test)]
#[path = "window/tests.rs"]
mod tests;
