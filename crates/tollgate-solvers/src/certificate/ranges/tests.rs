use tollgate_core::{Meter, Row, Scope, Seed, SolveOptions, Solver, dual_bound};
use tollgate_testkit::instances::{routing, split_budgets, two_by_two};

use super::*;
use crate::CuttingPlane;

fn solve_exactly(problem: &Problem) -> Solution {
    CuttingPlane::default().solve(problem, &SolveOptions::default(), None).unwrap()
}

/// Query 0: 0.5 for 1 USD or 0.9 for 3; query 1: 0.6 for 1 or 0.7 for 3. Between 2 USD
/// (both cheap) and 4 (query 0 upgraded) a dollar buys 0.2.
#[test]
fn a_range_on_paper() {
    let rows = vec![
        Row::at_most(Meter::Cost, Scope::all(), 3.0),
        Row::at_most(Meter::One, Scope::all(), 2.5),
    ];
    let problem = two_by_two(Choice::AtMostOne, rows);
    let ranges = capacity_ranges(&problem, &solve_exactly(&problem)).unwrap();
    assert!((ranges[0].low - 2.0).abs() < 1e-9 && (ranges[0].high - 4.0).abs() < 1e-9);
    // Two queries are counted, and nobody minds more room.
    assert!((ranges[1].low - 2.0).abs() < 1e-9 && ranges[1].high == f64::INFINITY);
}

/// Inside a range the old prices still give the optimum; a little beyond it they don't.
#[test]
fn the_prices_hold_just_as_far_as_said() {
    for seed in 0..6 {
        let problem = routing(400, 5, Seed(seed));
        let mut rows = split_budgets(&problem, 1.0);
        rows.push(Row::at_least(Meter::One, Scope::model(0), 30.0));
        let problem = problem.with_rows(rows).unwrap();
        let solution = solve_exactly(&problem);
        let ranges = capacity_ranges(&problem, &solution).unwrap();
        let mut moved = 0;
        for (index, range) in ranges.iter().enumerate() {
            let capacity = problem.rows()[index].capacity;
            assert!(range.low <= capacity * (1.0 + 1e-9) && range.high >= capacity * (1.0 - 1e-9));
            let excess = |capacity: f64| {
                let mut rows = problem.rows().to_vec();
                rows[index].capacity = capacity;
                let changed = problem.with_rows(rows).unwrap();
                let optimum = solve_exactly(&changed).primal_value;
                if optimum == f64::NEG_INFINITY {
                    return f64::INFINITY; // There is no answer at all so far out.
                }
                (dual_bound(&changed, &solution.prices) - optimum) / optimum
            };
            for end in [range.low, range.high] {
                if end.is_finite() && end > 0.0 && range.high > range.low {
                    let beyond =
                        end + (end - capacity) * 0.5 + (end - capacity).signum() * 0.02 * capacity;
                    assert!(excess(end) < 2e-9, "row {index}: {range:?}");
                    assert!(excess(beyond) > 2e-9, "row {index}: {range:?}, {capacity}");
                    moved += 1;
                }
            }
        }
        assert!(moved >= 5, "only {moved} ends to look at");
    }
}
