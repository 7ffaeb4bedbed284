use serde_json::json;
use tollgate::core::Seed;

use crate::{Cell, Choice, Entrant, Metrics, Options, Report, Timings};

fn cell(seed: u64, performance: f64, cost: f64, served: u64) -> Cell {
    let declined = 10 - served;
    Cell {
        seed: Seed(seed),
        queries: 10,
        metrics: Metrics { performance, cost, served, declined, lost: 0, unaffordable: 0 },
        rp: Some(100.0 * performance / 8.0),
        lp_bound: 9.0,
        timings: Timings {
            arrivals: 10,
            estimate_us: 20.0,
            route_us: 5.0,
            solve_us: 9.0,
            solves: 3,
            unfinished_solves: 1,
        },
    }
}

fn entrant(policy: &str, estimator: &str, solver: &str, oracle: bool) -> Entrant {
    let [policy, estimator, solver] = [policy, estimator, solver].map(str::to_owned);
    Entrant { policy, estimator, solver, oracle }
}

/// Two seeds; a policy that served nothing, one with a comma in its name, one that is a
/// headline, and both oracles.
fn report() -> Report {
    let knn = "knn(k=5)";
    let nothing = |seed| Cell { rp: None, ..cell(seed, 0.0, 0.0, 0) };
    let both = |a: Cell, b: Cell| vec![a, b];
    let choice = |seed, picked: &str| Choice {
        estimator: "auto".to_owned(),
        seed: Seed(seed),
        picked: picked.to_owned(),
    };
    Report {
        stream: "tiny".to_owned(),
        options: Options { seeds: vec![Seed(1), Seed(2)], ..Options::default() },
        entrants: vec![
            (entrant("random", "-", "-", false), both(nothing(1), nothing(2))),
            (
                entrant("greedy-perf", knn, "-", false),
                both(cell(1, 2.0, 0.5, 3), cell(2, 4.0, 1.0, 5)),
            ),
            (
                entrant("port:alpha=0.5,eps=0.1", knn, "cutting-plane", false),
                both(cell(1, 5.0, 0.5, 6), cell(2, 5.5, 0.5, 7)),
            ),
            (
                entrant("tollgate", "blend", "cutting-plane", false),
                both(cell(1, 6.0, 0.5, 8), cell(2, 6.0, 0.5, 8)),
            ),
            (
                entrant("approximate-optimum", knn, "cutting-plane", true),
                both(cell(1, 8.0, 1.0, 9), cell(2, 8.0, 1.0, 9)),
            ),
        ],
        choices: vec![choice(1, "scores by 1.00*ridge"), choice(2, "scores by 1.00*knn(k=5)")],
    }
}

#[test]
fn the_table() {
    insta::assert_snapshot!("table", report().table("greedy-perf"));
}

/// One seed has no interval, no baseline no difference, no headline no ratios.
#[test]
fn the_table_of_one_seed() {
    let mut report = report();
    report.options.seeds.truncate(1);
    report.entrants.truncate(2);
    report.choices.clear();
    report.entrants.iter_mut().for_each(|(_, cells)| cells.truncate(1));
    insta::assert_snapshot!("table_of_one_seed", report.table("port"));
}

#[test]
fn the_csv() {
    let csv = report().csv().unwrap();
    insta::assert_snapshot!(csv, @r#"
    policy,estimator,solver,stream,seed,queries,budget,split,order,performance,cost,ppc,throughput,rp,lp_bound
    random,-,-,tiny,1,10,1,weighted,split,0,0,,0,,9
    random,-,-,tiny,2,10,1,weighted,split,0,0,,0,,9
    greedy-perf,knn(k=5),-,tiny,1,10,1,weighted,split,2,0.5,4,3,25,9
    greedy-perf,knn(k=5),-,tiny,2,10,1,weighted,split,4,1,4,5,50,9
    "port:alpha=0.5,eps=0.1",knn(k=5),cutting-plane,tiny,1,10,1,weighted,split,5,0.5,10,6,62.5,9
    "port:alpha=0.5,eps=0.1",knn(k=5),cutting-plane,tiny,2,10,1,weighted,split,5.5,0.5,11,7,68.75,9
    tollgate,blend,cutting-plane,tiny,1,10,1,weighted,split,6,0.5,12,8,75,9
    tollgate,blend,cutting-plane,tiny,2,10,1,weighted,split,6,0.5,12,8,75,9
    approximate-optimum,knn(k=5),cutting-plane,tiny,1,10,1,weighted,split,8,1,8,9,100,9
    approximate-optimum,knn(k=5),cutting-plane,tiny,2,10,1,weighted,split,8,1,8,9,100,9
    "#);
    let header = "policy,estimator,solver,stream,seed,queries,budget,split,order,performance,\
                  cost,ppc,throughput,rp,lp_bound";
    assert_eq!(csv.lines().next(), Some(header));
}

#[test]
fn the_timings() {
    insta::assert_snapshot!(report().timings_csv().unwrap(), @r#"
    policy,estimator,solver,seed,arrivals,estimate_us_per_query,route_us_per_query,solve_us_per_solve,solves,unfinished_solves
    random,-,-,1,10,2.000,0.500,3.000,3,1
    random,-,-,2,10,2.000,0.500,3.000,3,1
    greedy-perf,knn(k=5),-,1,10,2.000,0.500,3.000,3,1
    greedy-perf,knn(k=5),-,2,10,2.000,0.500,3.000,3,1
    "port:alpha=0.5,eps=0.1",knn(k=5),cutting-plane,1,10,2.000,0.500,3.000,3,1
    "port:alpha=0.5,eps=0.1",knn(k=5),cutting-plane,2,10,2.000,0.500,3.000,3,1
    tollgate,blend,cutting-plane,1,10,2.000,0.500,3.000,3,1
    tollgate,blend,cutting-plane,2,10,2.000,0.500,3.000,3,1
    "#);
}

#[test]
fn the_json() {
    let mut json = report().json();
    assert_eq!(json["tollgate"].take(), env!("CARGO_PKG_VERSION"));
    assert_eq!(json["results"][0]["runs"][0]["ppc"], json!(null), "nothing was spent");
    assert_eq!(json["results"][0]["mean"]["rp"], json!(null));
    assert_eq!(json["results"][2]["policy"], "port:alpha=0.5,eps=0.1");
    assert_eq!(json["ratios"]["port-reference"], json!(null), "it is not in the report");
    let text = serde_json::to_string_pretty(&json).unwrap();
    insta::assert_snapshot!("json", text);
    assert!(!text.contains("_us"), "times are no part of the results");
}

/// Means over two seeds: ours 6 of quality for 0.5 USD (12 per USD) and 8 served; greedy
/// 3 for 0.75 (mean PPC 4) and 4; random 0, nothing, 0: left out of every ratio.
#[test]
fn the_headline_worked_by_hand() {
    let headline = report().headline("tollgate").unwrap();
    assert_eq!(headline.baselines, ["random", "greedy-perf"]);
    assert_eq!(headline.mean, headline.best);
    let ratios = [headline.best.performance, headline.best.ppc, headline.best.throughput];
    assert_eq!(ratios, [Some(2.0), Some(3.0), Some(2.0)]);
    assert_eq!(report().headline("port-reference"), None);
}
