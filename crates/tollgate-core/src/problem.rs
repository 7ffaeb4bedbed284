//! The one problem of tollgate, equation (1) of the crate page, and the check of
//! a proposed answer against it.

mod answer;

use std::sync::Arc;

use crate::{Coefficients, Meter, ProblemError, Row};

pub use self::answer::{Assignment, Feasibility, Primal};

/// Whether a query may be declined.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Choice {
    /// `sum_i x_ij <= 1`: declining is worth 0.
    AtMostOne,
    /// `sum_i x_ij = 1`: every query must be served.
    ExactlyOne,
}

/// A validated instance of problem (1).
///
/// The tables are shared, so a clone, or the same queries under other rows
/// ([`with_rows`](Self::with_rows)), costs no copy of them.
#[derive(Clone, Debug)]
pub struct Problem {
    n_queries: usize,
    n_models: usize,
    n_groups: usize,
    choice: Choice,
    /// By meter; `None` where the problem does not use it. `One` never has a table.
    tables: [Option<Arc<[f64]>>; Meter::COUNT],
    /// By meter.
    objective: [f64; Meter::COUNT],
    rows: Vec<Row>,
    groups: Option<Arc<[u32]>>,
    weights: Option<Arc<[f64]>>,
}

impl Problem {
    /// Starts a problem of `n_queries` x `n_models` options.
    pub fn builder(n_queries: usize, n_models: usize, choice: Choice) -> ProblemBuilder {
        ProblemBuilder(Self {
            n_queries,
            n_models,
            n_groups: 1,
            choice,
            tables: Default::default(),
            objective: [0.0; Meter::COUNT],
            rows: Vec::new(),
            groups: None,
            weights: None,
        })
    }

    /// The same queries and objective under other rows: a re-solve.
    ///
    /// # Errors
    /// [`ProblemError`] as [`ProblemBuilder::build`], for the rows alone.
    pub fn with_rows(&self, rows: Vec<Row>) -> Result<Self, ProblemError> {
        let problem = Self { rows, ..self.clone() };
        problem.check_rows()?;
        Ok(problem)
    }

    /// The same problem with other query weights, shape `(n_queries,)`.
    ///
    /// # Errors
    /// [`ProblemError`] when a weight is negative or not finite, or the length is wrong.
    pub fn with_weights(&self, weights: Arc<[f64]>) -> Result<Self, ProblemError> {
        let problem = Self { weights: Some(weights), ..self.clone() };
        problem.check_weights()?;
        Ok(problem)
    }

    /// The same queries, without rows, for another purpose: other weights of the meters in the
    /// objective, those not named being 0, and another choice. Tables stay shared.
    #[must_use]
    pub fn restated(&self, objective: &[(Meter, f64)], choice: Choice) -> Self {
        let mut restated = Self { choice, rows: Vec::new(), ..self.without_objective() };
        for &(meter, weight) in objective {
            restated.objective[meter.index()] = weight;
        }
        restated
    }

    /// Whether `other` has the very same queries: tables, groups and weights by address, and
    /// the same choice. Rows and objective may differ.
    pub fn shares_queries(&self, other: &Self) -> bool {
        let address = |table: &Option<Arc<[f64]>>| table.as_ref().map(Arc::as_ptr);
        self.n_queries == other.n_queries
            && self.n_models == other.n_models
            && self.choice == other.choice
            && self.tables.each_ref().map(address) == other.tables.each_ref().map(address)
            && address(&self.weights) == address(&other.weights)
            && self.groups.as_ref().map(Arc::as_ptr) == other.groups.as_ref().map(Arc::as_ptr)
    }

    /// The same problem with another weight of one meter in the objective.
    ///
    /// # Errors
    /// [`ProblemError`] when the weight is not finite, or the meter has no table and needs one.
    pub fn with_objective(&self, meter: Meter, weight: f64) -> Result<Self, ProblemError> {
        let mut problem = self.clone();
        problem.objective[meter.index()] = weight;
        problem.check_tables()?;
        Ok(problem)
    }

    /// The same queries and rows with nothing to gain: what remains is whether the rows
    /// can be kept. Penalties of soft rows stay.
    #[must_use]
    pub fn without_objective(&self) -> Self {
        Self { objective: [0.0; Meter::COUNT], ..self.clone() }
    }

    /// `N`.
    pub fn n_queries(&self) -> usize {
        self.n_queries
    }

    /// `M`.
    pub fn n_models(&self) -> usize {
        self.n_models
    }

    /// How many query groups there are; groups are `0..n_groups`.
    pub fn n_groups(&self) -> usize {
        self.n_groups
    }

    /// Whether a query may be declined.
    pub fn choice(&self) -> Choice {
        self.choice
    }

    /// The rows, in the order of the prices.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The table of a meter, row-major `(n_queries, n_models)`; `None` for
    /// [`Meter::One`] and for meters the problem does not use.
    pub fn table(&self, meter: Meter) -> Option<&Arc<[f64]>> {
        self.tables[meter.index()].as_ref()
    }

    /// The weight of a meter in the objective.
    pub fn objective(&self, meter: Meter) -> f64 {
        self.objective[meter.index()]
    }

    /// The group of a query.
    pub fn group(&self, query: usize) -> u32 {
        self.groups.as_ref().map_or(0, |groups| groups[query])
    }

    /// The weight `w_j` of a query: how many queries it stands for.
    pub fn weight(&self, query: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[query])
    }

    /// The sum of all weights.
    pub fn total_weight(&self) -> f64 {
        self.weights.as_ref().map_or(self.n_queries as f64, |weights| weights.iter().sum())
    }

    /// What `meter` reads for an option.
    pub fn reading(&self, meter: Meter, query: usize, model: usize) -> f64 {
        match &self.tables[meter.index()] {
            Some(table) => table[query * self.n_models + model],
            None => f64::from(u8::from(meter == Meter::One)),
        }
    }

    /// The value `v_ij` of an option in the objective, for a weight of one.
    pub fn value(&self, query: usize, model: usize) -> f64 {
        let mut value = self.objective(Meter::One);
        for meter in Meter::TABLED {
            let weight = self.objective(meter);
            if weight != 0.0 {
                value += weight * self.reading(meter, query, model);
            }
        }
        value
    }

    /// The collapsed scoring coefficients at these prices: see [`Coefficients`].
    ///
    /// # Panics
    /// When `prices` does not have one entry a row.
    pub fn coefficients(&self, prices: &[f64]) -> Coefficients {
        Coefficients::new(&self.objective, &self.rows, prices, self.n_groups, self.n_models)
    }

    /// Checks a fractional answer: its value and its worst violation.
    ///
    /// # Panics
    /// When the answer has another shape than the problem.
    pub fn check(&self, primal: &Primal) -> Feasibility {
        assert_eq!(primal.n_queries(), self.n_queries, "one entry a query");
        // By (group, model, meter): rows sum these, however many rows there are.
        let mut totals = vec![0.0; self.n_groups * self.n_models * Meter::COUNT];
        let mut choice_violation = 0.0_f64;
        for query in 0..self.n_queries {
            let group = self.group(query) as usize;
            let mut share = 0.0;
            for &(model, fraction) in primal.of(query) {
                let model = model as usize;
                share += fraction;
                choice_violation = choice_violation.max(-fraction);
                let weight = self.weight(query) * fraction;
                let option = (group * self.n_models + model) * Meter::COUNT;
                let totals = &mut totals[option..option + Meter::COUNT];
                for (total, table) in totals.iter_mut().zip(&self.tables) {
                    if let Some(table) = table {
                        *total += weight * table[query * self.n_models + model];
                    }
                }
                totals[Meter::One.index()] += weight;
            }
            let short = if self.choice == Choice::ExactlyOne { 1.0 - share } else { 0.0 };
            choice_violation = choice_violation.max(share - 1.0).max(short);
        }
        let value = totals
            .chunks_exact(Meter::COUNT)
            .flat_map(|totals| totals.iter().zip(&self.objective))
            .map(|(total, weight)| total * weight)
            .sum();
        let used = self.rows.iter().map(|row| self.used(row, &totals)).collect();
        self.judge(value, used, choice_violation)
    }

    /// What a row uses of totals of the shape `(n_groups, n_models, meters)`.
    fn used(&self, row: &Row, totals: &[f64]) -> f64 {
        let groups = match row.scope.group {
            Some(group) => group as usize..(group as usize + 1).min(self.n_groups),
            None => 0..self.n_groups,
        };
        let covered = |&model: &usize| row.scope.models.covers(model);
        let total = |group: usize, model: usize| {
            totals[(group * self.n_models + model) * Meter::COUNT + row.meter.index()]
        };
        groups
            .map(|group| (0..self.n_models).filter(covered).map(|m| total(group, m)).sum::<f64>())
            .sum()
    }

    fn judge(&self, mut value: f64, used: Vec<f64>, choice_violation: f64) -> Feasibility {
        let mut worst = None;
        let mut violation = 0.0;
        for (index, (row, &used)) in self.rows.iter().zip(&used).enumerate() {
            let excess = (row.sense.sign() * (used - row.capacity)).max(0.0);
            if let Some(penalty) = row.penalty {
                value -= penalty * excess;
            } else if excess > violation {
                violation = excess;
                worst = Some(index);
            }
        }
        Feasibility { value, used, violation, worst_row: worst, choice_violation }
    }

    fn check_rows(&self) -> Result<(), ProblemError> {
        for (index, row) in self.rows.iter().enumerate() {
            if !row.capacity.is_finite() {
                return Err(ProblemError::Capacity { row: index, got: row.capacity });
            }
            if let Some(penalty) = row.penalty.filter(|p| !(*p >= 0.0 && p.is_finite())) {
                return Err(ProblemError::Penalty { row: index, got: penalty });
            }
            if row.meter != Meter::One && self.table(row.meter).is_none() {
                return Err(ProblemError::NoTable { meter: row.meter });
            }
            if let crate::ModelMask::One(model) = row.scope.models
                && model >= self.n_models
            {
                return Err(ProblemError::RowModel { row: index, model, n_models: self.n_models });
            }
        }
        Ok(())
    }

    fn check_weights(&self) -> Result<(), ProblemError> {
        let Some(weights) = &self.weights else { return Ok(()) };
        if weights.len() != self.n_queries {
            return Err(ProblemError::Length {
                what: "weights",
                expected: self.n_queries,
                got: weights.len(),
            });
        }
        match weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
            Some(query) => Err(ProblemError::Weight { query, got: weights[query] }),
            None => Ok(()),
        }
    }

    fn check_tables(&self) -> Result<(), ProblemError> {
        for meter in Meter::TABLED {
            let weight = self.objective(meter);
            if !weight.is_finite() {
                return Err(ProblemError::Objective { meter, got: weight });
            }
            let Some(table) = self.table(meter) else {
                // How long a query of the future will wait nobody knows before it comes: the
                // weight is for scores at arrival.
                if weight != 0.0 && meter != Meter::Latency {
                    return Err(ProblemError::NoTable { meter });
                }
                continue;
            };
            let expected = self.n_queries * self.n_models;
            if table.len() != expected {
                return Err(ProblemError::Length {
                    what: "a meter's table",
                    expected,
                    got: table.len(),
                });
            }
            if let Some(at) = table.iter().position(|reading| !reading.is_finite()) {
                return Err(ProblemError::Reading {
                    meter,
                    query: at / self.n_models,
                    model: at % self.n_models,
                    got: table[at],
                });
            }
        }
        Ok(())
    }
}

/// Builds a [`Problem`]; nothing is checked before [`build`](Self::build).
#[derive(Clone, Debug)]
pub struct ProblemBuilder(Problem);

impl ProblemBuilder {
    /// The readings of a meter, row-major `(n_queries, n_models)`.
    ///
    /// # Panics
    /// For [`Meter::One`], which is the constant one and has no table.
    #[must_use]
    pub fn table(mut self, meter: Meter, readings: Arc<[f64]>) -> Self {
        assert!(meter != Meter::One, "the constant one has no table");
        self.0.tables[meter.index()] = Some(readings);
        self
    }

    /// Adds `weight` times a meter to the objective, which is maximized. Every meter but the
    /// constant one and latency needs a table then; without one, latency reads 0.
    #[must_use]
    pub fn objective(mut self, meter: Meter, weight: f64) -> Self {
        self.0.objective[meter.index()] = weight;
        self
    }

    /// Adds rows.
    #[must_use]
    pub fn rows(mut self, rows: impl IntoIterator<Item = Row>) -> Self {
        self.0.rows.extend(rows);
        self
    }

    /// The group of every query, shape `(n_queries,)`; without it all are in group 0.
    #[must_use]
    pub fn groups(mut self, groups: Arc<[u32]>) -> Self {
        let last = groups.iter().max().map_or(1, |&last| last as usize + 1);
        self.0.n_groups = self.0.n_groups.max(last);
        self.0.groups = Some(groups);
        self
    }

    /// Groups that there are, whether or not a query is in them: there will be prices for
    /// `0..n` at least.
    #[must_use]
    pub fn n_groups(mut self, n: usize) -> Self {
        self.0.n_groups = self.0.n_groups.max(n);
        self
    }

    /// How many queries each query stands for, shape `(n_queries,)`, `>= 0`.
    #[must_use]
    pub fn weights(mut self, weights: Arc<[f64]>) -> Self {
        self.0.weights = Some(weights);
        self
    }

    /// Checks everything once.
    ///
    /// # Errors
    /// [`ProblemError`] names the first length, reading, weight, capacity or
    /// penalty that is out of range.
    pub fn build(self) -> Result<Problem, ProblemError> {
        let problem = self.0;
        if problem.n_models == 0 {
            return Err(ProblemError::NoModels);
        }
        if let Some(groups) = &problem.groups
            && groups.len() != problem.n_queries
        {
            return Err(ProblemError::Length {
                what: "groups",
                expected: problem.n_queries,
                got: groups.len(),
            });
        }
        problem.check_tables()?;
        problem.check_weights()?;
        problem.check_rows()?;
        Ok(problem)
    }
}

#[cfg(test)]
#[path = "problem/tests.rs"]
mod tests;
