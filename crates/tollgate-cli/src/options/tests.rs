use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    options: ReplayOptions,
}

fn options(args: &[&str]) -> ReplayOptions {
    Cli::try_parse_from(std::iter::once(&"replay").chain(args)).unwrap().options
}

fn seeds(list: &str) -> Vec<u64> {
    parse_seeds(list).unwrap().into_iter().map(|seed| seed.0).collect()
}

#[test]
fn seeds_are_numbers_and_ranges_in_the_order_given() {
    assert_eq!(seeds("42,1,2"), [42, 1, 2]);
    assert_eq!(seeds("100..103"), [100, 101, 102, 103]);
    assert_eq!(seeds(" 7 , 3..4,18446744073709551615"), [7, 3, 4, u64::MAX]);
    assert_eq!(seeds("5..5"), [5]);
    let default = options(&[]).lab_options(&Table::embedded()).unwrap();
    assert_eq!(default.seeds, [42, 1, 2, 3, 4].map(Seed));
}

#[test]
fn seeds_that_are_none() {
    let refused = |list: &str| format!("{:#}", parse_seeds(list).unwrap_err());
    insta::assert_snapshot!(refused(""), @"`` in --seeds is not a number: cannot parse integer from empty string");
    insta::assert_snapshot!(refused("1,,2"), @"`` in --seeds is not a number: cannot parse integer from empty string");
    insta::assert_snapshot!(refused("one"), @"`one` in --seeds is not a number: invalid digit found in string");
    insta::assert_snapshot!(refused("-1"), @"`-1` in --seeds is not a number: invalid digit found in string");
    insta::assert_snapshot!(refused("1.."), @"`` in --seeds is not a number: cannot parse integer from empty string");
    insta::assert_snapshot!(refused("1..2..3"), @"`2..3` in --seeds is not a number: invalid digit found in string");
    insta::assert_snapshot!(refused("4..3"), @"`4..3` in --seeds is an empty range");
    insta::assert_snapshot!(refused("1,2,1"), @"seed 1 is given twice in --seeds");
    insta::assert_snapshot!(refused("1..5,3"), @"seed 3 is given twice in --seeds");
    insta::assert_snapshot!(refused("0..18446744073709551615"), @"`0..18446744073709551615` in --seeds is more than 1000000 seeds");
}

/// `policy/estimator/solver`, `-` where there is none.
fn compositions(args: &[&str]) -> Vec<String> {
    let made = options(args).compositions().unwrap();
    let show = |composition: &Composition| {
        let estimator = composition.estimator.as_ref().map(|recipe| recipe.name());
        let part = |name: Option<&str>| name.unwrap_or("-").to_owned();
        let solver = part(composition.solver.as_deref());
        format!("{}/{}/{solver}", composition.label, part(estimator.as_deref()))
    };
    made.iter().map(show).collect()
}

#[test]
fn without_policies_there_are_all() {
    let labels: Vec<String> =
        options(&[]).compositions().unwrap().into_iter().map(|made| made.label).collect();
    assert_eq!(labels, registry::POLICIES.iter().map(|preset| preset.name).collect::<Vec<_>>());
}

#[test]
fn a_repeated_estimator_makes_a_product_and_pinned_ones_appear_once() {
    let policies = ["--policy", "random", "--policy", "knn-perf", "--policy", "port:eps=0.1"];
    let estimators = ["--estimator", "ridge", "--estimator", "knn:k=9"];
    let product = compositions(&[&policies[..], &estimators[..]].concat());
    let expected = [
        "random/-/-",
        "knn-perf/knn(k=5)/-",
        "port:eps=0.1/ridge/auto",
        "port:eps=0.1/knn(k=9)/auto",
    ];
    assert_eq!(product, expected);
    let twice = ["--solver", "cutting-plane", "--solver", "cutting-plane:vertex=false"];
    let product = compositions(&[&policies[..], &estimators[..], &twice[..]].concat());
    assert_eq!(product.len(), 1 + 1 + 2 * 2);
}

#[test]
fn a_name_is_checked_even_where_nobody_uses_it() {
    let refused = |args: &[&str]| options(args).compositions().unwrap_err().to_string();
    insta::assert_snapshot!(refused(&["--policy", "random", "--estimator", "oracle"]), @"no estimator is called `oracle`; there are knn, ridge, kernel-ridge, trained, eagle, clusters, learned-map, factors, random-slopes, ensemble, refit, blend, eccos-r, eccos-t, hybrid-predictor, auto");
    insta::assert_snapshot!(refused(&["--policy", "random", "--solver", "guess"]), @"no solver is called `guess`; there are auto, simplex, cutting-plane, subgradient, primal-dual, smoothed-lbfgs, lagrangian, lagrangian-published");
    insta::assert_snapshot!(refused(&["--policy", "guess"]), @"no policy is called `guess`; there are random, round-robin, balance, shortest-wait, fixed, greedy-perf, greedy-cost, greedy-density, knn-perf, knn-cost, trained-perf, trained-cost, eagle, threshold, exp-threshold, batch-split, batch-paced, port-reference, port, geometric, descent, hybrid, resolve, history, history-resolve, window-resolve, explore, floor, floor-batch, tollgate");
    insta::assert_snapshot!(refused(&["--policy", "port:eps=7"]), @"policy `port`: `eps` must be in (0, 1], got 7");
}

#[test]
fn a_baseline_is_a_policy_or_an_oracle() {
    for name in ["port-reference", "port:eps=0.1", "optimum", "approximate-optimum"] {
        options(&["--baseline", name]).check_baseline().unwrap();
    }
    assert!(options(&["--baseline", "prot"]).check_baseline().is_err());
}

#[test]
fn options_reach_the_laboratory() {
    let args = ["--queries", "99", "--budget", "0.5", "--pooled", "--order", "cheap-first"];
    let lab = options(&args).lab_options(&Table::embedded()).unwrap();
    assert_eq!(
        (lab.queries, lab.order, lab.layout),
        (Some(99), Order::CheapFirst, BudgetLayout::Pooled)
    );
    assert!((lab.budget - 0.5).abs() < f64::MIN_POSITIVE);
    let lab = options(&["--split", "extreme:2", "--models", "a,b", "--task", "t"]);
    let lab = lab.lab_options(&Table::embedded()).unwrap();
    assert_eq!(lab.layout, BudgetLayout::Split(BudgetSplit::Extreme(2)));
    let layered = options(&["--layered", "--split", "cost"]);
    let layered = layered.lab_options(&Table::embedded()).unwrap().layout;
    assert_eq!(layered, BudgetLayout::Layered(BudgetSplit::Cost));
    assert_eq!(lab.subset.models, Some(["a", "b"].map(str::to_owned).to_vec()));
    assert_eq!(lab.subset.task.as_deref(), Some("t"));
    assert_eq!(options(&[]).stream_name(), "embedded");
    assert_eq!(options(&["--data", "some/where/stream"]).stream_name(), "stream");
}

#[test]
fn options_that_exclude_each_other() {
    for args in [
        ["--pooled", "--split", "cost"].as_slice(),
        &["--pooled", "--layered"],
        &["--models", "a", "--model-fraction", "0.5"],
        &["--split", "even"],
        &["--order", "random"],
        &["--policy", ":eps=1"],
    ] {
        let parsed = Cli::try_parse_from(std::iter::once(&"replay").chain(args));
        assert!(parsed.is_err(), "{args:?}");
    }
}
