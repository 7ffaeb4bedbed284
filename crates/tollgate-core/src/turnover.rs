//! Models that come and go: which of those after a change were there before, and where.
//!
//! Everything of a run that is by model, or by row of the budgets, goes on under other
//! indices: budgets ([`Budgets::after`](crate::Budgets::after)), prices
//! ([`Prices::after`](crate::Prices::after)), cost ratios
//! ([`CostRatios::after`](crate::CostRatios::after)) and estimates of the history
//! ([`EstimateTable::after`](crate::EstimateTable::after)).

use crate::{ModelId, ModelMask, Models, Row, Scope};

/// For each model after a change its index before; `None` for a newcomer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Turnover {
    before: Vec<Option<usize>>,
}

impl Turnover {
    /// From these models to those.
    pub fn new(before: &Models, after: &Models) -> Self {
        let before = after.iter().map(|model| before.index_of(model.as_str())).collect();
        Self { before }
    }

    /// The same, with some models to be taken for newcomers although they were there.
    #[must_use]
    pub fn renewing(mut self, after: &Models, models: &[ModelId]) -> Self {
        for model in models {
            if let Some(index) = after.index_of(model.as_str()) {
                self.before[index] = None;
            }
        }
        self
    }

    /// How many models there are after it.
    pub fn n_models(&self) -> usize {
        self.before.len()
    }

    /// What a model's index was before; `None` for a newcomer.
    ///
    /// # Panics
    /// When there is no such model after the change.
    pub fn before(&self, model: usize) -> Option<usize> {
        self.before[model]
    }

    /// One entry a model, from one entry a model before; newcomers have `new`.
    ///
    /// # Panics
    /// When `values` does not have an entry for each model before.
    pub fn carry<T: Clone>(&self, values: &[T], new: &T) -> Vec<T> {
        let value = |before: &Option<usize>| before.map_or(new, |before| &values[before]).clone();
        self.before.iter().map(value).collect()
    }

    /// A row as it is after the change; `None` where it was about models that have all gone.
    /// A row about some models does not cover newcomers, one about all does.
    pub fn row(&self, row: &Row) -> Option<Row> {
        let models = match &row.scope.models {
            ModelMask::All => ModelMask::All,
            ModelMask::One(model) => {
                ModelMask::One(self.before.iter().position(|before| *before == Some(*model))?)
            }
            ModelMask::Some(mask) => {
                let covered = |before: &Option<usize>| before.is_some_and(|model| mask[model]);
                let mask: Vec<bool> = self.before.iter().map(covered).collect();
                if !mask.contains(&true) {
                    return None;
                }
                ModelMask::Some(mask.into())
            }
        };
        Some(Row { scope: Scope { models, group: row.scope.group }, ..row.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Budgets, CostRatios, EstimateTable, Meter, Prices, Problem, Refill, dual_bound};

    /// `b` goes, `a2` and `d` come: `a, b, c` become `a, a2, c, d`.
    fn turnover() -> Turnover {
        let models = |names: &[&str]| Models::new(names).unwrap();
        Turnover::new(&models(&["a", "b", "c"]), &models(&["a", "a2", "c", "d"]))
    }

    fn cost(models: ModelMask, capacity: f64) -> Row {
        Row::at_most(Meter::Cost, Scope { models, group: None }, capacity)
    }

    #[test]
    fn values_follow_their_models() {
        assert_eq!(turnover().carry(&[1, 2, 3], &0), [1, 0, 3, 0]);
        let after = Models::new(["a", "a2", "c", "d"]).unwrap();
        let renewed = turnover().renewing(&after, &[ModelId::new("c"), ModelId::new("e")]);
        assert_eq!(renewed.carry(&[1, 2, 3], &0), [1, 0, 0, 0]);
        let mut ratios = CostRatios::new(3);
        (0..1_000).for_each(|_| ratios.observe(2, 1.0, 2.0));
        let after = ratios.after(&turnover());
        assert_eq!(after.ratios()[2].to_bits(), ratios.ratios()[2].to_bits());
        assert!([1, 3].iter().all(|model| (after.ratios()[*model] - 1.0).abs() < 1e-12));
    }

    /// Rows of `a`, of `b`, of `b` and `c`, of `b` alone in a mask, and of all; a new one of
    /// `d`. The row of the pool comes anew every day.
    #[test]
    fn rows_follow_their_models() {
        let mask = |mask: &[bool]| ModelMask::Some(mask.into());
        let rows = vec![
            cost(ModelMask::One(0), 1.0),
            cost(ModelMask::One(1), 2.0),
            cost(mask(&[false, true, true]), 3.0),
            cost(mask(&[false, true, false]), 4.0),
            cost(ModelMask::All, 5.0),
        ];
        let day = Refill { every: 10.0, carry_over: true };
        let before = Budgets::new(rows, 3, 1).unwrap().refilled(4, day).unwrap();
        let before = before.with_tokens_per_usd([1.0, 2.0, 3.0].into()).unwrap();
        let newcomers = vec![cost(ModelMask::One(3), 6.0)];
        let (after, kept) = before.after(&turnover(), newcomers, 7.0).unwrap();
        assert_eq!(kept, [Some(0), Some(2), Some(4), None]);
        assert_eq!(after.tokens_per_usd().unwrap()[..], [1.0, 7.0, 3.0, 7.0]);
        assert_eq!(after.refills(), [None, None, Some(day), None]);
        let scopes: Vec<_> = after.rows().iter().map(|row| row.scope.models.clone()).collect();
        assert_eq!(
            scopes,
            [
                ModelMask::One(0),
                mask(&[false, false, true, false]),
                ModelMask::All,
                ModelMask::One(3)
            ]
        );
    }

    /// Prices of kept rows stay, that of a newcomer is the mean of its like, and scores of the
    /// models that stay do not move.
    #[test]
    fn prices_follow_their_rows() {
        let rows = (0..3).map(|model| cost(ModelMask::One(model), 1.0)).collect();
        let before = Budgets::new(rows, 3, 1).unwrap();
        let problem = Problem::builder(1, 3, crate::Choice::AtMostOne)
            .table(Meter::Quality, [0.5; 3].into())
            .table(Meter::Cost, [0.1; 3].into())
            .objective(Meter::Quality, 2.0)
            .rows(before.rows().to_vec())
            .build()
            .unwrap();
        let prices = vec![3.0, 5.0, 10.0];
        let bound = dual_bound(&problem, &prices);
        let prices = Prices::of(&problem, prices, bound);
        let newcomers = vec![cost(ModelMask::One(3), 1.0)];
        let (after, kept) = before.after(&turnover(), newcomers, 0.0).unwrap();
        let carried = prices.after(&before, &after, &kept);
        assert_eq!(carried.rows(), [3.0, 10.0, 6.0]);
        let of =
            |prices: &Prices, meter, model| prices.coefficients().unwrap().of(0, meter).get(model);
        for meter in [Meter::Quality, Meter::Cost] {
            for (model, then) in [(0, 0), (2, 2)] {
                assert_eq!(
                    of(&carried, meter, model).to_bits(),
                    of(&prices, meter, then).to_bits()
                );
            }
        }
        assert_eq!(of(&carried, Meter::Quality, 3).to_bits(), 2.0_f64.to_bits());
        assert_eq!(carried.dual_bound(), None, "nothing is proven of what is to come");
        let unset = Prices::unset().after(&before, &after, &kept);
        assert_eq!(unset, Prices::unset());
    }

    #[test]
    fn estimates_follow_their_models() {
        let table = |n_models: usize, first: f64| {
            let mut table = EstimateTable::zeros(2, n_models);
            table.fill(|out| {
                for column in [out.quality, out.quality_se, out.cost, out.cost_se] {
                    column.iter_mut().enumerate().for_each(|(at, x)| *x = first + at as f64);
                }
            });
            table
        };
        let after = table(3, 0.0).after(&turnover(), &table(4, 100.0));
        let want = [0.0, 101.0, 2.0, 103.0, 3.0, 105.0, 5.0, 107.0];
        assert_eq!(after.view().quality, want);
        assert_eq!(after.view().cost_se, want);
    }
}
