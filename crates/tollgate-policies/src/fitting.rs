//! Rankings of what can be paid for.

use tollgate_core::{Arrival, Assignment, BudgetView, Problem, Ranking};

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

/// Overwrites each of `out` with the one model that its query is assigned, at its value in the
/// objective; who is assigned none is unaffordable.
pub(crate) fn rank_assigned(problem: &Problem, assignment: &Assignment, out: &mut [Ranking]) {
    for (query, (ranking, pick)) in out.iter_mut().zip(assignment).enumerate() {
        ranking.clear();
        match pick {
            Some(model) => ranking.push(*model as usize, problem.value(query, *model as usize)),
            None => ranking.set_unaffordable(),
        }
    }
}
