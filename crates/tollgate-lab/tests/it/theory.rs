//! The theory laboratory in small: ratio tables pinned to six significant digits, and the
//! inequalities that hold at any size. `cargo xtask theory --full` has the sizes that the
//! bars are for.
//!
//! *Proved* is what the cited authors prove under the cited assumptions; everything else is
//! *measured*, and the page of each test says which is which.

use std::fmt::Write as _;

use tollgate::core::{Choice, Meter, Problem, Row as BudgetRow, Scope, SolveOptions, dual_bound};
use tollgate::presets;
use tollgate_lab::Silent;
use tollgate_lab::theory::checks::{self, Check, slope_of};
use tollgate_lab::theory::plan::{self, Scale};
use tollgate_lab::theory::report::{csv, sig6};
use tollgate_lab::theory::{Absent, Case, Row, TheoremRegime, alphas, measure};

/// Who is pinned: the policies that the theorems speak of, and both PORTs.
const PINNED: [&str; 7] =
    ["port-reference", "port", "one-shot", "geometric", "descent", "resolve", "tollgate"];

/// Measures those of the cases' policies that are pinned.
fn measured((mut cases, _): (Vec<Case>, Vec<Absent>)) -> Vec<Row> {
    for case in &mut cases {
        case.lines.retain(|line| PINNED.contains(&line.label));
    }
    measure(&cases, &Silent).unwrap()
}

/// A line a row: part and case, policy, and one ratio to six significant digits.
fn shown(rows: &[Row], reading: impl Fn(&Row) -> Option<f64>) -> String {
    let mut text = String::new();
    for row in rows {
        let ratio = reading(row).map_or_else(|| "-".to_owned(), sig6);
        let case = format!("{}: {}", row.part, row.case);
        writeln!(text, "{case:<46} {:<16} {ratio}", row.policy).unwrap();
    }
    text
}

fn truth(row: &Row) -> Option<f64> {
    row.truth.map(|ratio| ratio.mean)
}

fn rp(row: &Row) -> Option<f64> {
    row.rp.map(|ratio| ratio.mean)
}

fn all_met(checks: &[Check]) {
    let missed: Vec<&Check> = checks.iter().filter(|check| !check.met).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

/// Proved: one-shot prices lose `O(N^-1/3)` (Devanur and Hayes, 2009; Agrawal, Wang and Ye,
/// 2014, theorem 1), descent `O(N^-1/2)` (Li, Sun and Ye, 2020; Balseiro, Lu and Mirrokni,
/// 2023, theorem 1), re-solving on what is left `O(log N / N)` up to `log log N` (Li and Ye,
/// 2022), all for `k` in proportion to `N`, under random order or independent draws, and the
/// last without degeneracy. Measured: the powers, which are wider apart here than the bars of
/// the full sizes, since 1,000 arrivals are few.
#[test]
fn losses_fall_as_the_theorems_order_them() {
    let rows = measured(plan::by_n(5, &Scale::small()).unwrap());
    insta::assert_snapshot!("by_n", shown(&rows, truth));
    let power = |policy| slope_of(&rows, "n", policy).unwrap().power;
    let (one_shot, descent, resolve) = (power("one-shot"), power("descent"), power("resolve"));
    assert!((-0.6..=-0.2).contains(&one_shot), "one-shot: {one_shot}");
    assert!((-0.75..=-0.3).contains(&descent), "descent: {descent}");
    assert!(resolve <= -0.6, "resolve: {resolve}");
    all_met(&checks::ordering(&rows)[..1]);
    all_met(&checks::sound(&rows));
}

/// Proved: a loss of at most `eps` for learning and `sqrt(M log N / (eps k))` for what is not
/// learned (Agrawal, Wang and Ye, 2014, theorem 1, by its proof). Measured: that the sum is a
/// valley, and that its right side is the share itself.
#[test]
fn the_share_learned_from_has_a_best() {
    let rows = measured((plan::by_eps(&Scale::small()).unwrap(), Vec::new()));
    let rows: Vec<Row> = rows.into_iter().filter(|row| row.part == "eps").collect();
    insta::assert_snapshot!("by_eps", shown(&rows, truth));
    let losses: Vec<f64> = rows.iter().map(|row| 1.0 - truth(row).unwrap()).collect();
    let floor = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(losses[0] > 1.2 * floor && losses[losses.len() - 1] > 1.2 * floor, "{losses:?}");
}

/// Proved: every guarantee needs a large `k = min_i B_i / max_j g_ij` (for adwords `1 -
/// O(1 / sqrt k)` is best possible: Devanur, Sivan and Azar, 2012; Kesselheim et al., 2014).
/// Measured: that each policy loses more at the smallest `k` than at the largest.
#[test]
fn small_budgets_cost_more() {
    let rows = measured(plan::by_k(&Scale::small()).unwrap());
    insta::assert_snapshot!("by_k", shown(&rows, truth));
    for policy in ["one-shot", "descent", "resolve"] {
        let losses: Vec<f64> = rows
            .iter()
            .filter(|row| row.policy == policy)
            .map(|row| 1.0 - truth(row).unwrap())
            .collect();
        assert!(losses[losses.len() - 1] > losses[0], "{policy}: {losses:?}");
    }
}

/// Elementary, and PORT's own statement (Wu and Silwal, 2025): estimates that are wrong by
/// `delta` on average cost at most `2 delta` a query, whatever the size. Measured: how much
/// less.
#[test]
fn wrong_estimates_cost_in_proportion() {
    let rows = measured(plan::by_noise(&Scale::small()).unwrap());
    insta::assert_snapshot!("by_noise", shown(&rows, truth));
    let bounded = checks::noise(&rows);
    let bounded = bounded.iter().filter(|check| check.name.contains("a unit of noise"));
    all_met(&bounded.cloned().collect::<Vec<_>>());
}

/// Elementary: the dual without a box is homogeneous in the values, so `alpha` is a unit.
/// The published code keeps prices in `[0, 1]`, and must not pass.
#[test]
fn the_unit_of_value_changes_nothing_without_a_box() {
    let (port, reference) =
        (alphas("port", 1_000).unwrap(), alphas("port-reference", 1_000).unwrap());
    all_met(&checks::alpha(&port, &reference));
}

/// Proved: nothing, the order is not random. Measured: what sorted orders do to policies that
/// learn from the first arrivals.
#[test]
fn unkind_orders() {
    let rows = measured(plan::attacks(&Scale::small()));
    insta::assert_snapshot!("attacks", shown(&rows, rp));
    all_met(&checks::never_below_port(&rows));
    all_met(&checks::sound(&rows));
}

/// Proved: nothing. Measured: what an instance does that is made to mislead.
#[test]
fn traps() {
    let rows = measured(plan::traps(&Scale::small()));
    insta::assert_snapshot!("traps", shown(&rows, truth));
    all_met(&checks::sound(&rows));
}

/// Proved: nothing. Measured: a population that changes at half time, wrong announcements,
/// wrong prices. The second column of ratios is against the same policy that knows.
#[test]
fn what_goes_wrong_in_service() {
    let scale = Scale::small();
    for (name, plan) in [
        ("drift", plan::drift(&scale)),
        ("horizon", plan::horizon(&scale)),
        ("costs", plan::costs(&scale)),
    ] {
        let rows = measured(plan);
        insta::assert_snapshot!(name, shown(&rows, |row| row.relative.map(|ratio| ratio.mean)));
        all_met(&checks::sound(&rows));
    }
}

/// Elementary: a budget is kept and no run passes its dual bound, however small the budgets
/// are and however many queries tie. Each run is audited; a run that breaks either is an
/// error.
#[test]
fn budgets_that_are_none() {
    let rows = measured(plan::extremes(&Scale::small()));
    insta::assert_snapshot!("extremes", shown(&rows, truth));
    all_met(&checks::sound(&rows));
}

/// Elementary: the dual `F(p) = sum_i p_i B_i + sum_j max(0, max_i d_ij - p_i g_ij)` is
/// convex, its minimum is at `p >= 0`, and at the minimum the spend of a model with a price is
/// its budget up to the `M` queries that a vertex splits, `M max g` in all (theory of linear
/// programming; Devanur and Hayes, 2009, lemma 1).
#[test]
fn prices_of_a_sample_balance_its_budgets() {
    let instance = TheoremRegime::of(2_000).instance();
    let (eps, n_models, sample) = (0.1, 5, 200);
    let cut = |table: &[f64]| table[..sample * n_models].to_vec();
    let (quality, cost) = (cut(&instance.quality), cut(&instance.cost));
    let rows =
        instance.budgets.iter().enumerate().map(|(model, budget)| {
            BudgetRow::at_most(Meter::Cost, Scope::model(model), eps * budget)
        });
    let problem = Problem::builder(sample, n_models, Choice::AtMostOne)
        .table(Meter::Quality, quality.as_slice().into())
        .table(Meter::Cost, cost.as_slice().into())
        .objective(Meter::Quality, 1.0)
        .rows(rows)
        .build()
        .unwrap();
    let solver = presets::default_solver();
    let prices = solver.solve(&problem, &SolveOptions::default(), None).unwrap().prices;
    assert!(prices.iter().all(|price| *price >= 0.0), "{prices:?}");
    let mut spent = vec![0.0; n_models];
    for (quality, cost) in quality.chunks(n_models).zip(cost.chunks(n_models)) {
        let score = |model: usize| quality[model] - prices[model] * cost[model];
        let best = (0..n_models).max_by(|&a, &b| score(a).total_cmp(&score(b))).unwrap();
        if score(best) > 0.0 {
            spent[best] += cost[best];
        }
    }
    let dearest = cost.iter().copied().fold(0.0, f64::max);
    for (model, price) in prices.iter().enumerate().filter(|(_, price)| **price > 1e-9) {
        let off = (spent[model] - eps * instance.budgets[model]).abs();
        assert!(off <= n_models as f64 * dearest, "model {model} at {price}: off by {off}");
    }
    let bound = |prices: &[f64]| dual_bound(&problem, prices);
    let other = [0.9, 0.1, 0.4, 0.0, 0.6];
    for share in [0.1, 0.5, 0.9] {
        let mixed: Vec<f64> =
            prices.iter().zip(other).map(|(a, b)| share * a + (1.0 - share) * b).collect();
        let chord = share * bound(&prices) + (1.0 - share) * bound(&other);
        assert!(bound(&mixed) <= chord + 1e-9, "at {share}");
        assert!(bound(&mixed) >= bound(&prices) - 1e-6, "the minimum is at the prices");
    }
}

/// The same rows on one thread and on three.
#[test]
fn rows_do_not_depend_on_threads() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| csv(&measured(plan::traps(&Scale::small()))).unwrap())
    };
    assert_eq!(run(1), run(3));
}
