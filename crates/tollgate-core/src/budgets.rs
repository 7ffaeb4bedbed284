//! The rows that are known before traffic starts, and what is left of them.

use std::sync::Arc;

use crate::{Estimates, Meter, ModelMask, ProblemError, Row, Scope, Sense, Turnover};

/// When a row's capacity comes anew: a budget by the day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refill {
    /// The length of a window, in seconds, `> 0`. Windows begin at 0.
    pub every: f64,
    /// Whether what one window leaves is added to the next; else it lapses.
    pub carry_over: bool,
}

impl Refill {
    /// The window that a moment is in, counted from 0.
    pub fn window(&self, now: f64) -> u64 {
        // Times before 0, and no time at all, are in the first window.
        let window = (now / self.every).floor().max(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count, cut at the ends of its range"
        )]
        let window = window as u64;
        window
    }
}

/// How long an answer holds what it takes of a concurrent row: a slot of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hold {
    /// Seconds from the reservation to the settlement, on average while the row is full,
    /// `> 0`; `None` where nobody knows. Prices need it, the ledger does not.
    pub seconds: Option<f64>,
}

/// The capacities of a run: `<=` rows on what is consumed (cost, tokens, queries).
///
/// The same rows become the ledger's accounts, the constraints of every price
/// problem, and what a policy is told is left.
#[derive(Clone, Debug, PartialEq)]
pub struct Budgets {
    rows: Vec<Row>,
    n_models: usize,
    n_groups: usize,
    /// By row; `None` where the capacity is for the whole run.
    refills: Vec<Option<Refill>>,
    /// By row; `None` where what is taken is spent.
    holds: Vec<Option<Hold>>,
    /// Tokens for a USD of each model's answers.
    tokens_per_usd: Option<Arc<[f64]>>,
    /// Rows that touch option `(group, model)`:
    /// `touching[offsets[group * n_models + model]..]`.
    offsets: Vec<usize>,
    touching: Vec<u32>,
}

impl Budgets {
    /// Any set of rows, for models `0..n_models` and query groups `0..n_groups`.
    ///
    /// # Errors
    /// [`ProblemError`] when a row is not a `<=` row on something consumed, its capacity is
    /// negative, NaN or infinite, or it speaks of a model or group that does not exist.
    pub fn new(rows: Vec<Row>, n_models: usize, n_groups: usize) -> Result<Self, ProblemError> {
        for (index, row) in rows.iter().enumerate() {
            let consumed = !matches!(row.meter, Meter::Quality | Meter::Latency);
            if row.sense != Sense::AtMost || !consumed {
                return Err(ProblemError::NotABudget { row: index });
            }
            if !(row.capacity >= 0.0 && row.capacity.is_finite()) {
                return Err(ProblemError::Capacity { row: index, got: row.capacity });
            }
            // Such a row would bind nothing, and its budget would protect nothing.
            if let ModelMask::One(model) = row.scope.models
                && model >= n_models
            {
                return Err(ProblemError::RowModel { row: index, model, n_models });
            }
            if let Some(group) = row.scope.group
                && group as usize >= n_groups
            {
                return Err(ProblemError::RowGroup { row: index, group, n_groups });
            }
        }
        let mut offsets = vec![0];
        let mut touching = Vec::new();
        for group in 0..n_groups {
            for model in 0..n_models {
                for (index, row) in rows.iter().enumerate() {
                    #[expect(clippy::cast_possible_truncation, reason = "groups and rows are few")]
                    if row.scope.covers(group as u32, model) {
                        touching.push(index as u32);
                    }
                }
                offsets.push(touching.len());
            }
        }
        let (refills, holds) = (vec![None; rows.len()], vec![None; rows.len()]);
        let tokens_per_usd = None;
        Ok(Self { rows, n_models, n_groups, refills, holds, tokens_per_usd, offsets, touching })
    }

    /// The capacity of one row comes anew in every window; until then it was for the whole run.
    ///
    /// # Errors
    /// [`ProblemError`] when there is no such row, or a window has no length.
    pub fn refilled(mut self, row: usize, refill: Refill) -> Result<Self, ProblemError> {
        if row >= self.rows.len() {
            return Err(ProblemError::NoRow { row, n_rows: self.rows.len() });
        }
        if !(refill.every > 0.0 && refill.every.is_finite()) {
            return Err(ProblemError::Window { row, got: refill.every });
        }
        if self.holds[row].is_some() {
            return Err(ProblemError::ConcurrentWindow { row });
        }
        self.refills[row] = Some(refill);
        Ok(self)
    }

    /// One row bounds how many queries are in flight at once: what an answer takes of it comes
    /// back when it has arrived. Until then the row was for the whole run.
    ///
    /// # Errors
    /// [`ProblemError`] when there is no such row, it counts something else than queries, it
    /// comes anew by the window, or the time it is held for is not a length of time.
    pub fn concurrent(mut self, row: usize, hold: Hold) -> Result<Self, ProblemError> {
        let Some(limit) = self.rows.get(row) else {
            return Err(ProblemError::NoRow { row, n_rows: self.rows.len() });
        };
        if limit.meter != Meter::One {
            return Err(ProblemError::NotACount { row, meter: limit.meter });
        }
        if self.refills[row].is_some() {
            return Err(ProblemError::ConcurrentWindow { row });
        }
        if let Some(got) = hold.seconds.filter(|seconds| !(*seconds > 0.0 && seconds.is_finite())) {
            return Err(ProblemError::Hold { row, got });
        }
        self.holds[row] = Some(hold);
        Ok(self)
    }

    /// How many tokens each model reads and writes for a USD, from its price list, shape
    /// `(n_models,)`: what a row on tokens counts an answer as.
    ///
    /// # Errors
    /// [`ProblemError`] when there is not one a model, or one is negative or not finite.
    pub fn with_tokens_per_usd(mut self, rates: Arc<[f64]>) -> Result<Self, ProblemError> {
        let (what, expected, got) = ("token rates", self.n_models, rates.len());
        if got != expected {
            return Err(ProblemError::Length { what, expected, got });
        }
        if let Some(model) = rates.iter().position(|rate| !(*rate >= 0.0 && rate.is_finite())) {
            return Err(ProblemError::TokenRate { model, got: rates[model] });
        }
        self.tokens_per_usd = Some(rates);
        Ok(self)
    }

    /// When the capacity of each row comes anew, by row.
    pub fn refills(&self) -> &[Option<Refill>] {
        &self.refills
    }

    /// For how long each row is held, by row; `None` where what is taken is spent.
    pub fn holds(&self) -> &[Option<Hold>] {
        &self.holds
    }

    /// Tokens for a USD of each model's answers, where somebody has said so.
    pub fn tokens_per_usd(&self) -> Option<&Arc<[f64]>> {
        self.tokens_per_usd.as_ref()
    }

    /// What a meter is expected to read of sending a query to `model`: one where it is a
    /// count, tokens by the model's rate, and 1 where there is none.
    pub fn amount(&self, meter: Meter, model: usize, estimates: &Estimates<'_>) -> f64 {
        match (estimates.meter(meter), meter, &self.tokens_per_usd) {
            (Some(readings), ..) => readings[model],
            (None, Meter::Tokens, Some(rates)) => estimates.cost[model] * rates[model],
            (None, ..) => 1.0,
        }
    }

    /// One budget in USD for each model.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn per_model(usd: &[f64]) -> Result<Self, ProblemError> {
        let rows = usd
            .iter()
            .enumerate()
            .map(|(model, &budget)| Row::at_most(Meter::Cost, Scope::model(model), budget))
            .collect();
        Self::new(rows, usd.len(), 1)
    }

    /// One budget in USD for all models together.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn pooled(usd: f64, n_models: usize) -> Result<Self, ProblemError> {
        Self::new(vec![Row::at_most(Meter::Cost, Scope::all(), usd)], n_models, 1)
    }

    /// These budgets after a change of the pool, and for each of their rows which one of these
    /// it goes on from. Rows of models that have gone go with them; `newcomers` are added after
    /// those that stay, and `rate` is the newcomers' tokens per USD where rates are known.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn after(
        &self,
        turnover: &Turnover,
        newcomers: Vec<Row>,
        rate: f64,
    ) -> Result<(Self, Vec<Option<usize>>), ProblemError> {
        let stay = self.rows.iter().enumerate();
        let stay = stay.filter_map(|(row, old)| turnover.row(old).map(|new| (new, Some(row))));
        let new = newcomers.into_iter().map(|row| (row, None));
        let (rows, kept): (Vec<Row>, Vec<Option<usize>>) = stay.chain(new).unzip();
        let mut after = Self::new(rows, turnover.n_models(), self.n_groups)?;
        after.refills = kept.iter().map(|row| self.refills[(*row)?]).collect();
        after.holds = kept.iter().map(|row| self.holds[(*row)?]).collect();
        if let Some(rates) = &self.tokens_per_usd {
            after = after.with_tokens_per_usd(turnover.carry(rates, &rate).into())?;
        }
        Ok((after, kept))
    }

    /// The same rows with these capacities, negative ones cut to 0: what is left of them, say.
    ///
    /// # Panics
    /// When there is not one capacity a row.
    #[must_use]
    pub fn with_capacities(&self, capacities: impl IntoIterator<Item = f64>) -> Self {
        Self { rows: self.rows_with(capacities), ..self.clone() }
    }

    /// The rows, in the order of accounts and prices.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// How many models the rows speak of.
    pub fn n_models(&self) -> usize {
        self.n_models
    }

    /// How many query groups the rows speak of.
    pub fn n_groups(&self) -> usize {
        self.n_groups
    }

    /// The rows that an option consumes from.
    ///
    /// # Panics
    /// When the group or the model is out of range.
    pub fn touching(&self, group: u32, model: usize) -> &[u32] {
        assert!(model < self.n_models, "a model index below {}, got {model}", self.n_models);
        let option = group as usize * self.n_models + model;
        &self.touching[self.offsets[option]..self.offsets[option + 1]]
    }

    /// The rows with these capacities in place of their own, negative ones cut to 0.
    ///
    /// # Panics
    /// When there is not one capacity a row.
    pub fn rows_with(&self, capacities: impl IntoIterator<Item = f64>) -> Vec<Row> {
        let mut capacities = capacities.into_iter();
        let rows = self
            .rows
            .iter()
            .map(|row| {
                let capacity = capacities.next().expect("one capacity a row").max(0.0);
                Row { capacity, ..row.clone() }
            })
            .collect();
        assert!(capacities.next().is_none(), "one capacity a row");
        rows
    }
}

/// What is left of the budgets, as a policy may know it.
#[derive(Clone, Copy, Debug)]
pub struct BudgetView<'a> {
    /// The budgets this is a view of.
    pub budgets: &'a Budgets,
    /// Capacity less what is spent and reserved, one entry a row, in the row's unit.
    pub remaining: &'a [f64],
    /// Capacity less the *estimates* of everything picked, lost picks included; may
    /// be negative. One entry a row.
    pub remaining_estimated: &'a [f64],
}

impl BudgetView<'_> {
    /// Whether the expected consumption of sending the query to `model` fits what
    /// is left in every row it touches.
    pub fn fits(&self, group: u32, model: usize, estimates: &Estimates<'_>) -> bool {
        self.budgets.touching(group, model).iter().all(|&row| {
            let row = row as usize;
            let amount = self.budgets.amount(self.budgets.rows[row].meter, model, estimates);
            amount <= self.remaining[row]
        })
    }

    /// The least that is left, by estimates, in any row that `model` touches; `+inf`
    /// where it touches none.
    pub fn least_estimated(&self, group: u32, model: usize) -> f64 {
        self.budgets
            .touching(group, model)
            .iter()
            .map(|&row| self.remaining_estimated[row as usize])
            .fold(f64::INFINITY, f64::min)
    }
}
