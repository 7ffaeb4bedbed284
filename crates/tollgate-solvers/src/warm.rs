//! What one solve leaves to the next: prices, which any solver of this crate can start
//! from, and whatever else the solver that left them can use.

use std::any::Any;

use tollgate_core::{Problem, Row, WarmState};

/// Prices with the rows they belong to, inside every [`WarmState`] of this crate.
///
/// ```
/// use tollgate_core::{Meter, Row, Scope};
/// use tollgate_solvers::Warm;
///
/// let budget = |model: usize, usd: f64| Row::at_most(Meter::Cost, Scope::model(model), usd);
/// let state = Warm::of_prices(vec![budget(0, 1.0), budget(1, 2.0)], vec![0.5, 0.25]);
/// // Another capacity, another order, and a row that nobody knows yet.
/// let next = [budget(1, 1.9), budget(0, 1.0), budget(2, 1.0)];
/// let known = Warm::in_state(&state).unwrap().prices_for(&next);
/// assert_eq!(known, [Some(0.25), Some(0.5), None]);
/// ```
#[derive(Debug)]
pub struct Warm {
    rows: Vec<Row>,
    prices: Vec<f64>,
    own: Option<WarmState>,
}

impl Warm {
    /// Prices alone, one a row; wherever they come from.
    ///
    /// # Panics
    /// When there is not one price a row.
    pub fn of_prices(rows: Vec<Row>, prices: Vec<f64>) -> WarmState {
        assert_eq!(rows.len(), prices.len(), "one price a row");
        WarmState::new(Self { rows, prices, own: None })
    }

    /// Prices, and what only the solver that found them understands.
    pub(crate) fn state<T: Any + Send + Sync>(
        rows: Vec<Row>,
        prices: Vec<f64>,
        own: T,
    ) -> WarmState {
        WarmState::new(Self { rows, prices, own: Some(WarmState::new(own)) })
    }

    /// The prices inside a state, if a solver of this crate left it.
    pub fn in_state(state: &WarmState) -> Option<&Self> {
        state.get()
    }

    /// What the solver kept for itself, if it is of this type.
    pub(crate) fn own<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.own.as_ref().and_then(WarmState::get)
    }

    /// The rows that the prices belong to.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// One price a row of another problem; `None` for a row without a counterpart. Rows
    /// correspond that limit the same meter over the same scope on the same side,
    /// whatever their capacity; of several the one in the same place, or the first.
    pub fn prices_for(&self, rows: &[Row]) -> Vec<Option<f64>> {
        let known = |(place, row): (usize, &Row)| {
            let here = self.rows.get(place).is_some_and(|known| corresponds(known, row));
            let place = if here {
                Some(place)
            } else {
                self.rows.iter().position(|known| corresponds(known, row))
            };
            place.map(|place| self.prices[place])
        };
        rows.iter().enumerate().map(known).collect()
    }
}

/// The prices that a state knows of a problem's rows, 0 for the others.
pub(crate) fn known_prices(problem: &Problem, state: Option<&WarmState>) -> Vec<f64> {
    match state.and_then(Warm::in_state) {
        Some(warm) => {
            let known = warm.prices_for(problem.rows());
            known.into_iter().map(|price| price.unwrap_or(0.0)).collect()
        }
        None => vec![0.0; problem.rows().len()],
    }
}

/// Whether two rows limit the same thing.
pub(crate) fn corresponds(a: &Row, b: &Row) -> bool {
    a.meter == b.meter && a.sense == b.sense && a.scope == b.scope
}
