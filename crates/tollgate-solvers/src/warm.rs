//! What one solve leaves to the next: prices, which any solver of this crate can start
//! from, and whatever else the solver that left them can use.

use std::any::Any;

use tollgate_core::{Problem, Row, WarmState};

/// The error expected of the prices of an earlier solve, relative.
pub(crate) const WARM_ERROR: f64 = 0.05;

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
        let known = |at: usize| place(&self.rows, rows, at).map(|place| self.prices[place]);
        (0..rows.len()).map(known).collect()
    }

    /// The same where most rows have a counterpart: with most of them new, the old prices
    /// say little about the others.
    pub(crate) fn prices_for_most(&self, rows: &[Row]) -> Option<Vec<Option<f64>>> {
        let prices = self.prices_for(rows);
        (2 * prices.iter().flatten().count() > prices.len()).then_some(prices)
    }

    /// Whether these rows limit what the known ones do, one by one.
    pub(crate) fn has_rows(&self, rows: &[Row]) -> bool {
        self.rows.len() == rows.len() && self.rows.iter().zip(rows).all(|(a, b)| corresponds(a, b))
    }
}

/// Which of the `known` rows corresponds to `rows[at]`: that in the same place, or the first.
pub(crate) fn place(known: &[Row], rows: &[Row], at: usize) -> Option<usize> {
    let row = &rows[at];
    if known.get(at).is_some_and(|known| corresponds(known, row)) {
        return Some(at);
    }
    known.iter().position(|known| corresponds(known, row))
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
fn corresponds(a: &Row, b: &Row) -> bool {
    a.meter == b.meter && a.sense == b.sense && a.scope == b.scope
}
