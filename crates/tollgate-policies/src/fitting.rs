//! Rankings of what can be paid for.

use tollgate_core::{Arrival, BudgetView, Ranking};

/// How many models a ranking names at the most: the pick, and spares for a reservation
/// that is refused because another thread was faster.
pub(crate) const DEPTH: usize = 3;

/// Overwrites `out` with the best of the `models` whose estimate fits what is left, ties to
/// the one named first; says so where none does.
pub(crate) fn rank_what_fits(
    arrival: &Arrival<'_>,
    budgets: &BudgetView<'_>,
    models: impl IntoIterator<Item = usize>,
    score: impl Fn(usize) -> f64,
    out: &mut Ranking,
) {
    out.clear();
    for model in models {
        if budgets.fits(arrival.group, model, &arrival.estimates) {
            out.offer(model, score(model), DEPTH);
        }
    }
    if out.best().is_none() {
        out.set_unaffordable();
    }
}
