//! What policies read from the setup of a run, each in one place.

use std::collections::BTreeSet;
use std::ops::Range;

use tollgate_core::{Budgets, EstimateTable, Horizon, Meter, PolicyError, RunSetup};

/// How many arrivals there will be, or are expected to be.
pub(crate) fn horizon(
    setup: &RunSetup<'_>,
    policy: impl FnOnce() -> String,
) -> Result<u64, PolicyError> {
    let what = "the number of arrivals in advance";
    match setup.horizon {
        Horizon::Arrivals(arrivals) => Ok(arrivals),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 1, cut at the end of the range"
        )]
        Horizon::Deadline { .. } => Ok(setup.horizon.rest(0, 0.0) as u64),
        Horizon::Unknown => Err(PolicyError::Needs { policy: policy(), what }),
    }
}

/// Held-out estimates of the history.
pub(crate) fn history<'a>(
    setup: &RunSetup<'a>,
    policy: impl FnOnce() -> String,
) -> Result<&'a EstimateTable, PolicyError> {
    let what = "held-out estimates of the history";
    setup.history.ok_or_else(|| PolicyError::Needs { policy: policy(), what })
}

/// A bound on what these models can use of a meter, all query groups together; `+inf`
/// where some option of theirs has no budget.
///
/// Any set of rows that together cover the options is a bound. Looked at are each row
/// that covers all of them, and the tightest row of every option: exact for one budget a
/// model, for a pooled one, and for both together.
pub(crate) fn spendable(budgets: &Budgets, meter: Meter, models: Range<usize>) -> f64 {
    let n_groups = u32::try_from(budgets.n_groups()).unwrap_or(u32::MAX);
    let options = || (0..n_groups).flat_map(|group| models.clone().map(move |m| (group, m)));
    let rows = budgets.rows();
    // What comes back when the answer is there is never used up.
    let spends = |row: usize| rows[row].meter == meter && budgets.holds()[row].is_none();
    let mut cover = BTreeSet::new();
    let mut apart = 0.0;
    for (group, model) in options() {
        let own = budgets.touching(group, model).iter().map(|&row| row as usize);
        let own = own.filter(|&row| spends(row));
        match own.min_by(|&a, &b| rows[a].capacity.total_cmp(&rows[b].capacity)) {
            Some(row) if cover.insert(row) => apart += rows[row].capacity,
            Some(_) => {}
            None => apart = f64::INFINITY,
        }
    }
    let covers_all =
        |row: &usize| options().all(|(group, model)| rows[*row].scope.covers(group, model));
    let over_all = (0..rows.len()).filter(|&row| spends(row)).filter(covers_all);
    over_all.map(|row| rows[row].capacity).fold(apart, f64::min)
}

#[cfg(test)]
mod tests {
    use tollgate_core::{Hold, Row, Scope};

    use super::*;
    use crate::testing::{Left, models};

    #[test]
    fn the_least_of_the_covers_counts() {
        let own = |model, usd| Row::at_most(Meter::Cost, Scope::model(model), usd);
        let of = |rows: Vec<Row>, n_groups, models| {
            spendable(&Budgets::new(rows, 3, n_groups).unwrap(), Meter::Cost, models).to_string()
        };
        let apart = || vec![own(0, 1.0), own(1, 2.0), own(2, 4.0)];
        assert_eq!(of(apart(), 1, 0..3), "7");
        assert_eq!(of(apart(), 1, 1..2), "2");
        assert_eq!(of(vec![Row::at_most(Meter::Cost, Scope::all(), 5.0)], 1, 0..3), "5");
        // The pool of 5 is the tightest row of model 2 alone, and binds all three; a pool of
        // 6 leaves 1 + 2 + 4 as it is, but for the pool itself.
        let with_pool = |usd| {
            let mut rows = vec![own(0, 1.0), own(1, 2.0), own(2, 9.0)];
            rows.push(Row::at_most(Meter::Cost, Scope::all(), usd));
            rows
        };
        assert_eq!(of(with_pool(5.0), 1, 0..3), "5");
        assert_eq!(of(with_pool(40.0), 1, 0..3), "12");
        assert_eq!(of(with_pool(5.0), 1, 2..3), "5");
        // Two tenants, one model without a budget of its own.
        let tenants = vec![
            Row::at_most(Meter::Cost, Scope::group(0), 3.0),
            Row::at_most(Meter::Cost, Scope::group(1), 0.5),
        ];
        assert_eq!(of(tenants, 2, 0..3), "3.5");
        assert_eq!(of(vec![own(0, 1.0)], 1, 0..3), "inf", "two models may spend what they like");
        let slots = Row::at_most(Meter::One, Scope::all(), 2.0);
        let slots = Budgets::new(vec![slots], 3, 1).unwrap().concurrent(0, Hold::default());
        assert_eq!(spendable(&slots.unwrap(), Meter::One, 0..3).to_string(), "inf", "they return");
        let counts = vec![Row::at_most(Meter::One, Scope::all(), 2.0)];
        assert_eq!(of(counts, 1, 0..3), "inf", "answers are not dollars");
    }

    #[test]
    fn what_a_run_does_not_know_is_named() {
        let left = Left::per_model(&[1.0]);
        let models = models(1);
        let setup = left.setup(&models, None);
        let error = horizon(&setup, || "p".to_owned()).unwrap_err();
        insta::assert_snapshot!(error, @"policy `p` needs the number of arrivals in advance");
        let error = history(&setup, || "p".to_owned()).unwrap_err();
        insta::assert_snapshot!(error, @"policy `p` needs held-out estimates of the history");
    }
}
