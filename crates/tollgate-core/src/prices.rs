//! Prices, the scores they give to options, and the bound they prove.

use crate::{Budgets, Choice, Meter, ModelMask, Problem, Row};

/// Prices of all rows, collapsed into one coefficient per (query group, meter, model), so that
/// scoring an option costs `O(meters)` whatever the number of rows:
///
/// ```text
/// score_ij = sum_meters c[group(j)][meter][i] * meter_ij          (3)
/// c[g][m][i] = objective_m - sum_{r: meter m, covers (g, i)} s_r p_r
/// ```
///
/// Kept as a sum: what all groups share, what a group pays on every model, and, where some row
/// is about a group and some models, what it pays on those. A hundred tenants with a budget
/// each are then a hundred numbers a meter, and not a hundred rows of models.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficients {
    n_models: usize,
    objective: [f64; Meter::COUNT],
    /// `(meter, model)`, row-major.
    shared: Vec<f64>,
    /// `(group, meter)`, row-major: tolls of a group's rows on all models, negated.
    everywhere: Vec<f64>,
    /// `(group, meter, model)`, row-major: tolls of a group's rows on some models, negated;
    /// empty where there are no such rows.
    somewhere: Vec<f64>,
}

impl Coefficients {
    pub(crate) fn new(
        objective: &[f64; Meter::COUNT],
        rows: &[Row],
        prices: &[f64],
        n_groups: usize,
        n_models: usize,
    ) -> Self {
        assert_eq!(rows.len(), prices.len(), "one price a row");
        let shared = objective.iter().flat_map(|weight| std::iter::repeat_n(*weight, n_models));
        let partial = |row: &Row| row.scope.group.is_some() && row.scope.models != ModelMask::All;
        let somewhere = if rows.iter().any(partial) { n_groups * n_models } else { 0 };
        let mut coefficients = Self {
            n_models,
            objective: *objective,
            shared: shared.collect(),
            everywhere: vec![0.0; n_groups * Meter::COUNT],
            somewhere: vec![0.0; somewhere * Meter::COUNT],
        };
        for (row, price) in rows.iter().zip(prices) {
            let toll = row.sense.sign() * price;
            if toll != 0.0 {
                coefficients.charge(row, toll);
            }
        }
        coefficients
    }

    /// Takes the toll of a row from what it covers.
    fn charge(&mut self, row: &Row, toll: f64) {
        let (meter, n_models) = (row.meter.index(), self.n_models);
        let start = match (row.scope.group, &row.scope.models) {
            (None, _) => meter * n_models,
            (Some(group), ModelMask::All) => {
                // A group that no query is in charges nobody.
                if let Some(of) = self.everywhere.get_mut(group as usize * Meter::COUNT + meter) {
                    *of -= toll;
                }
                return;
            }
            (Some(group), _) => (group as usize * Meter::COUNT + meter) * n_models,
        };
        let values = if row.scope.group.is_none() { &mut self.shared } else { &mut self.somewhere };
        let Some(values) = values.get_mut(start..start + n_models) else { return };
        match &row.scope.models {
            ModelMask::All => values.iter_mut().for_each(|value| *value -= toll),
            ModelMask::One(model) => values[*model] -= toll,
            ModelMask::Some(mask) => {
                let covered = values.iter_mut().zip(mask.iter()).filter(|(_, covered)| **covered);
                covered.for_each(|(value, _)| *value -= toll);
            }
        }
    }

    /// The coefficients of one meter for the queries of one group.
    pub fn of(&self, group: u32, meter: Meter) -> Column<'_> {
        let (meter, n) = (meter.index(), self.n_models);
        let own = group as usize * Meter::COUNT + meter;
        Column {
            shared: &self.shared[meter * n..(meter + 1) * n],
            everywhere: self.everywhere[own],
            somewhere: self.somewhere.get(own * n..(own + 1) * n),
        }
    }

    /// Adds `rates[model]` times the coefficients of one meter to those of another, and leaves
    /// 0 behind.
    fn fold(&mut self, from: Meter, to: Meter, rates: &[f64]) {
        let n = self.n_models;
        if self.somewhere.is_empty() && self.everywhere.iter().any(|toll| *toll != 0.0) {
            // A toll on tokens is another one on the cost of each model.
            self.somewhere = vec![0.0; self.everywhere.len() * n];
        }
        for (model, rate) in rates.iter().enumerate() {
            let folded = std::mem::take(&mut self.shared[from.index() * n + model]);
            self.shared[to.index() * n + model] += rate * folded;
        }
        for group in 0..self.n_groups() {
            let [from, to] = [from, to].map(|meter| group * Meter::COUNT + meter.index());
            let everywhere = std::mem::take(&mut self.everywhere[from]);
            if self.somewhere.is_empty() {
                continue;
            }
            for (model, rate) in rates.iter().enumerate() {
                let own = std::mem::take(&mut self.somewhere[from * n + model]);
                self.somewhere[to * n + model] += rate * (own + everywhere);
            }
        }
    }

    /// How many groups there are coefficients for.
    pub fn n_groups(&self) -> usize {
        self.everywhere.len() / Meter::COUNT
    }

    /// How many models there are coefficients for.
    pub fn n_models(&self) -> usize {
        self.n_models
    }
}

/// The coefficients of one meter for the queries of one group, a model each.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    shared: &'a [f64],
    everywhere: f64,
    somewhere: Option<&'a [f64]>,
}

impl Column<'_> {
    /// The coefficient of a model.
    ///
    /// # Panics
    /// When there is no such model.
    #[inline]
    pub fn get(&self, model: usize) -> f64 {
        let shared = self.shared[model] + self.everywhere;
        self.somewhere.map_or(shared, |own| shared + own[model])
    }
}

/// What a dual-price policy charges, and how good those prices are.
#[derive(Clone, Debug, PartialEq)]
pub struct Prices {
    rows: Vec<f64>,
    coefficients: Option<Coefficients>,
    /// The dual bound `D(p)` on the problem that they were solved for.
    dual_bound: Option<f64>,
    /// See [`Prices::tie_shares`].
    tie_shares: Option<Vec<f64>>,
}

impl Prices {
    /// Not priced yet: a policy that needs prices explores.
    pub fn unset() -> Self {
        Self { rows: Vec::new(), coefficients: None, dual_bound: None, tie_shares: None }
    }

    /// Prices `p_r >= 0` of the rows of `problem`, with the bound they prove on it.
    ///
    /// # Panics
    /// When `prices` does not have one entry a row.
    pub fn of(problem: &Problem, prices: Vec<f64>, dual_bound: f64) -> Self {
        let coefficients = Some(problem.coefficients(&prices));
        Self { rows: prices, coefficients, dual_bound: Some(dual_bound), tie_shares: None }
    }

    /// Prices `p_r >= 0` of the rows of `problem` that nobody has solved for: they bound every
    /// problem by [`dual_bound`], once somebody asks.
    ///
    /// # Panics
    /// When `prices` does not have one entry a row.
    pub fn steered(problem: &Problem, prices: Vec<f64>) -> Self {
        let coefficients = Some(problem.coefficients(&prices));
        Self { rows: prices, coefficients, dual_bound: None, tie_shares: None }
    }

    /// The prices after a change of the pool, with the same objective: rows that stay keep
    /// theirs, and a row that is new starts from the mean of those on the same meter that are
    /// about single models as it is, or from 0. `kept` as [`Budgets::after`] answers it.
    #[must_use]
    pub fn after(&self, before: &Budgets, after: &Budgets, kept: &[Option<usize>]) -> Self {
        let Some(coefficients) = &self.coefficients else { return Self::unset() };
        let single = |row: &Row| matches!(row.scope.models, ModelMask::One(_));
        let start = |new: &Row| {
            let like = |old: &Row| old.meter == new.meter && single(old) && single(new);
            let like = before.rows().iter().zip(&self.rows).filter(|(old, _)| like(old));
            let (n, sum) = like.fold((0.0, 0.0), |(n, sum), (_, price)| (n + 1.0, sum + price));
            if n > 0.0 { sum / n } else { 0.0 }
        };
        let rows = after.rows().iter().zip(kept);
        let rows: Vec<f64> =
            rows.map(|(row, kept)| kept.map_or_else(|| start(row), |old| self.rows[old])).collect();
        let (n_groups, n_models) = (after.n_groups(), after.n_models());
        let coefficients =
            Coefficients::new(&coefficients.objective, after.rows(), &rows, n_groups, n_models);
        let prices =
            Self { rows, coefficients: Some(coefficients), dual_bound: None, tie_shares: None };
        match after.tokens_per_usd() {
            Some(rates) => prices.tokens_by_cost(rates),
            None => prices,
        }
    }

    /// With a share for each option where scores tie: the models in their order, and last
    /// declining.
    #[must_use]
    pub fn with_tie_shares(self, shares: Vec<f64>) -> Self {
        Self { tie_shares: Some(shares), ..self }
    }

    /// With the tolls on tokens charged as tolls on cost, by each model's tokens per USD: an
    /// answer's tokens are not estimated apart from its cost.
    #[must_use]
    pub fn tokens_by_cost(mut self, tokens_per_usd: &[f64]) -> Self {
        if let Some(coefficients) = &mut self.coefficients {
            coefficients.fold(Meter::Tokens, Meter::Cost, tokens_per_usd);
        }
        self
    }

    /// How the program's own answer divides queries between options of the same score, one
    /// entry a model and one for declining, each `>= 0`; only their proportions count. `None`
    /// where hardly any two queries are alike, and ties do not matter.
    pub fn tie_shares(&self) -> Option<&[f64]> {
        self.tie_shares.as_deref()
    }

    /// One price a row, `>= 0`, in objective per unit of the row's meter; empty when unset.
    pub fn rows(&self) -> &[f64] {
        &self.rows
    }

    /// The scoring coefficients; `None` when unset.
    pub fn coefficients(&self) -> Option<&Coefficients> {
        self.coefficients.as_ref()
    }

    /// The dual bound that came with them.
    pub fn dual_bound(&self) -> Option<f64> {
        self.dual_bound
    }
}

/// `D(p)`, equation (2) of the crate page: an upper bound on the optimum of
/// `problem` for any prices `p >= 0`, in one pass over the options.
///
/// A price above the penalty of its soft row is cut to the penalty, and a negative
/// one to 0, so the bound holds whatever the caller passes.
///
/// # Panics
/// When `prices` does not have one entry a row.
pub fn dual_bound(problem: &Problem, prices: &[f64]) -> f64 {
    assert_eq!(prices.len(), problem.rows().len(), "one price a row");
    let prices: Vec<f64> = problem
        .rows()
        .iter()
        .zip(prices)
        .map(|(row, price)| price.max(0.0).min(row.penalty.unwrap_or(f64::INFINITY)))
        .collect();
    let coefficients = problem.coefficients(&prices);
    let floor = match problem.choice() {
        Choice::AtMostOne => 0.0,
        Choice::ExactlyOne => f64::NEG_INFINITY,
    };
    let tolls: f64 = problem
        .rows()
        .iter()
        .zip(&prices)
        .map(|(row, price)| row.sense.sign() * price * row.capacity)
        .sum();
    let gains: f64 = (0..problem.n_queries())
        .map(|query| problem.weight(query) * best_score(problem, &coefficients, query, floor))
        .sum();
    tolls + gains
}

/// The best score of a query's options, at least `floor`.
fn best_score(problem: &Problem, coefficients: &Coefficients, query: usize, floor: f64) -> f64 {
    let (group, n_models) = (problem.group(query), problem.n_models());
    let factors = Meter::TABLED.map(|meter| {
        let readings = problem.table(meter).map_or(&[][..], |table| table);
        // Without a table the meter reads 0.
        let of_query = readings.get(query * n_models..(query + 1) * n_models);
        (coefficients.of(group, meter), of_query)
    });
    let constants = coefficients.of(group, Meter::One);
    let mut best = floor;
    for model in 0..n_models {
        let mut score = constants.get(model);
        for (coefficients, readings) in &factors {
            if let Some(readings) = readings {
                score += coefficients.get(model) * readings[model];
            }
        }
        best = best.max(score);
    }
    best
}

#[cfg(test)]
mod tests;
