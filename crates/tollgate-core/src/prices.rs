//! Prices, the scores they give to options, and the bound they prove.

use crate::{Choice, Meter, Problem, Row};

/// Prices of all rows, collapsed into one coefficient per (query group, meter,
/// model), so that scoring an option costs `O(meters)` whatever the number of rows:
///
/// ```text
/// score_ij = sum_meters c[group(j)][meter][i] * meter_ij          (3)
/// c[g][m][i] = objective_m - sum_{r: meter m, covers (g, i)} s_r p_r
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficients {
    n_models: usize,
    /// `(group, meter, model)`, row-major.
    values: Vec<f64>,
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
        let mut values = Vec::with_capacity(n_groups * Meter::COUNT * n_models);
        for _ in 0..n_groups {
            for weight in objective {
                values.extend(std::iter::repeat_n(*weight, n_models));
            }
        }
        for (row, price) in rows.iter().zip(prices) {
            let toll = row.sense.sign() * price;
            if toll == 0.0 {
                continue;
            }
            for group in 0..n_groups {
                let start = (group * Meter::COUNT + row.meter.index()) * n_models;
                for (model, value) in values[start..start + n_models].iter_mut().enumerate() {
                    #[expect(clippy::cast_possible_truncation, reason = "groups are u32")]
                    if row.scope.covers(group as u32, model) {
                        *value -= toll;
                    }
                }
            }
        }
        Self { n_models, values }
    }

    /// The coefficients of one meter for the queries of one group, shape `(n_models,)`.
    pub fn of(&self, group: u32, meter: Meter) -> &[f64] {
        let start = (group as usize * Meter::COUNT + meter.index()) * self.n_models;
        &self.values[start..start + self.n_models]
    }

    /// Adds `rates[model]` times the coefficients of one meter to those of another, and leaves
    /// 0 behind.
    fn fold(&mut self, from: Meter, to: Meter, rates: &[f64]) {
        let n = self.n_models;
        for group in self.values.chunks_exact_mut(Meter::COUNT * n) {
            for (model, rate) in rates.iter().enumerate() {
                let folded = std::mem::take(&mut group[from.index() * n + model]);
                group[to.index() * n + model] += rate * folded;
            }
        }
    }

    /// How many groups there are coefficients for.
    pub fn n_groups(&self) -> usize {
        self.values.len() / (Meter::COUNT * self.n_models)
    }

    /// How many models there are coefficients for.
    pub fn n_models(&self) -> usize {
        self.n_models
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
    let mut best = floor;
    for (model, constant) in coefficients.of(group, Meter::One).iter().enumerate() {
        let mut score = *constant;
        for (coefficients, readings) in &factors {
            if let Some(readings) = readings {
                score += coefficients[model] * readings[model];
            }
        }
        best = best.max(score);
    }
    best
}
