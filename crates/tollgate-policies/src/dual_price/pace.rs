//! What each budget may consume over some arrivals like those to come.
//!
//! # Problem
//! Budgets end at different times: one with the run, another with the day. A price problem
//! over `W` queries needs one capacity for each.
//!
//! # Method
//! A budget with `left_r` to last for `rest_r` more arrivals has a rate, and over `W` queries
//! the capacity
//!
//! ```text
//! b_r = W left_r / rest_r                                                            (1)
//! ```
//!
//! `rest_r` is the rest of the run; for a budget by the window, what is expected to arrive
//! before the window closes, and no more than the rest of the run. Where a window's leftovers
//! are carried over the coming windows' money is added, and the rate is that of the whole.
//! Pricing every budget by its rate is exact where later windows are like this one.
//!
//! A concurrent row of `b_r` is never used up: it bounds what is in flight. If an answer holds
//! its place for `S` seconds and `l` queries arrive a second, a share `x` of the traffic keeps
//! `l S x` places taken (Little, 1961), so that its rate is
//!
//! ```text
//! b_r / (l S)                                                                        (2)
//! ```
//!
//! places over the arrivals in the time that one is held. Where `S` is unknown, and before
//! `KNOWN` arrivals have shown what `l` is, the rate is 1: all traffic, which binds nothing. (2)
//! is a mean: a query that comes while all places happen to be taken goes elsewhere, so that
//! where nobody waits somewhat less than all places are used.
//!
//! # References
//! Little (1961), A proof for the queuing formula L = lambda W, doi:10.1287/opre.9.3.383.

use tollgate_core::{BudgetView, Hold, Horizon, Progress, Refill, Row, RunSetup};

/// Arrivals that have come before their rate is taken for known.
const KNOWN: u64 = 32;

/// The rows of a price problem over `weight` queries: equation (1).
pub(super) fn rows(horizon: Horizon, progress: &Progress<'_>, weight: f64) -> Vec<Row> {
    let now = (progress.arrival.index, progress.arrival.time);
    rows_at(horizon, now, progress.budgets, weight)
}

/// The same before the first arrival of a setup.
pub(super) fn rows_at_start(setup: &RunSetup<'_>, weight: f64) -> Vec<Row> {
    let budgets = setup.budgets;
    let whole: Vec<f64> = budgets.rows().iter().map(|row| row.capacity).collect();
    let view = BudgetView { budgets, remaining: &whole, remaining_estimated: &whole };
    let now = setup.so_far.map_or((0, 0.0), |so_far| (so_far.arrivals, so_far.time));
    rows_at(setup.horizon, now, &view, weight)
}

fn rows_at(horizon: Horizon, now: (u64, f64), view: &BudgetView<'_>, weight: f64) -> Vec<Row> {
    let rows = 0..view.budgets.rows().len();
    view.budgets.rows_with(rows.map(|row| rate_at(horizon, now, view, row) * weight))
}

/// The shortest window of any budget: its ordinal, and how many arrivals it is expected to have;
/// `None` where no budget comes anew.
pub(super) fn window(progress: &Progress<'_>) -> Option<(u64, f64)> {
    let arrival = progress.arrival;
    let refills = progress.budgets.budgets.refills().iter().flatten();
    let shortest = refills.min_by(|a, b| a.every.total_cmp(&b.every))?;
    let arrivals = window_arrivals(arrival.index, arrival.time, *shortest);
    Some((shortest.window(arrival.time), arrivals))
}

/// What a row may consume for each arrival, in its own unit.
pub(super) fn rate(horizon: Horizon, progress: &Progress<'_>, row: usize) -> f64 {
    let now = (progress.arrival.index, progress.arrival.time);
    rate_at(horizon, now, progress.budgets, row)
}

/// The same after `seen` arrivals, at the time `now` in seconds.
fn rate_at(horizon: Horizon, (seen, now): (u64, f64), view: &BudgetView<'_>, row: usize) -> f64 {
    let rest = horizon.rest(seen, now);
    if let Some(hold) = view.budgets.holds()[row] {
        return in_flight(seen, now, view.budgets.rows()[row].capacity, hold);
    }
    let left = view.remaining[row];
    let Some(refill) = view.budgets.refills()[row] else { return left / rest };
    let window = expected_until_close(seen, now, refill).min(rest);
    if !refill.carry_over {
        return left / window;
    }
    let coming = (rest - window) / window_arrivals(seen, now, refill);
    (left + coming * view.budgets.rows()[row].capacity) / rest
}

/// The share of an arrival that a concurrent row of `places` has room for, at most 1: (2).
fn in_flight(seen: u64, now: f64, places: f64, hold: Hold) -> f64 {
    let Some(seconds) = hold.seconds else { return 1.0 };
    if seen < KNOWN || now <= 0.0 {
        return 1.0;
    }
    (places / (seen as f64 / now * seconds)).min(1.0)
}

/// Arrivals before the window closes, this one included.
fn expected_until_close(seen: u64, now: f64, refill: Refill) -> f64 {
    let open = (refill.window(now) + 1) as f64 * refill.every - now;
    (window_arrivals(seen, now, refill) * open / refill.every).max(1.0)
}

/// Arrivals in a whole window, at the rate so far. Before a tenth of a window has gone by
/// nobody can tell, and it is taken to have.
fn window_arrivals(seen: u64, now: f64, refill: Refill) -> f64 {
    let elapsed = now.max(0.1 * refill.every);
    ((seen as f64 + 1.0) * refill.every / elapsed).max(1.0)
}

#[cfg(test)]
mod tests {
    use tollgate_core::{Budgets, Meter, Scope};

    use super::*;
    use crate::testing::{Left, arrival};

    fn rate_of(refill: Option<Refill>, index: u64, time: f64, left: f64, n: u64) -> f64 {
        let row = Row::at_most(Meter::Cost, Scope::all(), 6.0);
        let budgets = Budgets::new(vec![row], 2, 1).unwrap();
        let budgets = match refill {
            Some(refill) => budgets.refilled(0, refill).unwrap(),
            None => budgets,
        };
        let mut of = Left::of(budgets);
        of.remaining = vec![left];
        let arrival = tollgate_core::Arrival { time, ..arrival(index, &[0.5; 2], &[1.0; 2]) };
        let view = of.view();
        let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] };
        rate(Horizon::Arrivals(n), &progress, 0)
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} and {b}");
    }

    #[test]
    fn a_budget_for_the_run_lasts_for_the_run() {
        close(rate_of(None, 10, 0.0, 4.5, 100), 0.05);
    }

    /// Windows of 10 s. At 15 s, 29 have come and this is the thirtieth: 2 a second, so 10
    /// before the window closes; 3 USD are left for them.
    #[test]
    fn a_budget_by_the_window_lasts_for_the_window() {
        let day = Refill { every: 10.0, carry_over: false };
        close(rate_of(Some(day), 29, 15.0, 3.0, 1_000), 0.3);
        // Only four more will come at all.
        close(rate_of(Some(day), 29, 15.0, 3.0, 33), 0.75);
    }

    /// 80 arrivals in 10 s, each held for half a second: 4 arrivals a hold, so a place for half
    /// of them in 2 places, and for all in 5. What is free at the moment does not count.
    #[test]
    fn places_are_for_the_traffic_of_one_hold() {
        let rate_of = |places: f64, seconds, index, left| {
            let row = Row::at_most(Meter::One, Scope::all(), places);
            let budgets = Budgets::new(vec![row], 2, 1).unwrap();
            let mut of = Left::of(budgets.concurrent(0, Hold { seconds }).unwrap());
            of.remaining = vec![left];
            let arrival =
                tollgate_core::Arrival { time: 10.0, ..arrival(index, &[0.5; 2], &[1.0; 2]) };
            let view = of.view();
            let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] };
            rate(Horizon::Arrivals(1_000), &progress, 0)
        };
        close(rate_of(2.0, Some(0.5), 80, 2.0), 0.5);
        close(rate_of(2.0, Some(0.5), 80, 0.0), 0.5);
        close(rate_of(5.0, Some(0.5), 80, 5.0), 1.0);
        close(rate_of(2.0, None, 80, 2.0), 1.0);
        close(rate_of(2.0, Some(0.5), KNOWN - 1, 2.0), 1.0);
    }

    /// As above, 70 to come: 10 in this window and three windows of 20 more with 6 USD each.
    #[test]
    fn what_is_carried_over_is_spread() {
        let day = Refill { every: 10.0, carry_over: true };
        close(rate_of(Some(day), 29, 15.0, 3.0, 99), (3.0 + 3.0 * 6.0) / 70.0);
    }
}
