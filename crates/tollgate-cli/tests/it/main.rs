//! The program, run as a user runs it.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop there")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs `tollgate` without the caller's own log filter.
fn tollgate(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(args).env_remove("TOLLGATE_LOG").env_remove("RUST_BACKTRACE");
    command.output().unwrap()
}

fn replay(args: &[&str]) -> Output {
    let quick = ["replay", "--queries", "200", "--seeds", "1"];
    tollgate(&[&quick[..], args].concat())
}

fn stdout(output: &Output) -> &str {
    assert!(output.status.success(), "{}", stderr(output));
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

const HEADER: &str = "policy,estimator,solver,stream,seed,queries,budget,split,order,\
                      performance,cost,ppc,throughput,rp,lp_bound";

#[test]
fn csv_on_stdout_and_nothing_on_stderr() {
    let output = replay(&["--policy", "random", "--format", "csv"]);
    let lines: Vec<&str> = stdout(&output).lines().collect();
    assert_eq!(lines[0], HEADER);
    let starts: Vec<&str> = lines[1..].iter().map(|line| &line[..line.len().min(24)]).collect();
    assert_eq!(lines.len(), 4, "random and two oracles: {starts:?}");
    assert!(lines[1].starts_with("random,-,-,embedded,1,200,1,weighted,split,"), "{}", lines[1]);
    assert_eq!(stderr(&output), "");
}

#[test]
fn logs_never_reach_stdout() {
    let quiet = replay(&["--policy", "tollgate", "--format", "csv"]);
    let loud = ["--policy", "tollgate", "--format", "csv", "-vv", "--log-format", "json"];
    let loud = replay(&loud);
    assert_eq!(stdout(&loud), stdout(&quiet));
    let events: Vec<Value> =
        stderr(&loud).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let levels: Vec<&str> = events.iter().map(|event| event["level"].as_str().unwrap()).collect();
    assert!(levels.contains(&"INFO") && levels.contains(&"DEBUG"), "{levels:?}");
    let span = |event: &Value| event["span"]["name"] == "replay";
    assert!(events.iter().any(span), "the replay is a span");
    let text = replay(&["--policy", "tollgate", "--format", "csv", "-vv"]);
    assert_eq!(stdout(&text), stdout(&quiet));
    assert!(stderr(&text).contains("installed prices"), "{}", stderr(&text));
}

#[test]
fn results_do_not_depend_on_the_threads() {
    let on = |threads| {
        let args = ["--seeds", "1..3", "--policy", "port", "--format", "csv", "--threads", threads];
        stdout(&tollgate(&[&["replay", "--queries", "200"], &args[..]].concat())).to_owned()
    };
    assert_eq!(on("1"), on("3"));
}

/// A price list for two models of the embedded stream, whose prompts are texts.
#[test]
fn a_price_list_is_for_those_who_read_it() {
    let list = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("prices.csv");
    let lines = "model,usd_per_mtok_in,usd_per_mtok_out\nclaude-v1,8,24\nclaude-v2,8,24\n";
    fs::write(&list, lines).unwrap();
    let (list, models) = (list.to_str().unwrap(), "claude-v1,claude-v2");
    let args = ["--prices", list, "--models", models, "--policy", "greedy-cost", "--format", "csv"];
    let with = |more: &[&str]| stdout(&replay(&[&args[..], more].concat())).to_owned();
    let through = with(&["--estimator", "hybrid-predictor", "--estimator", "ridge"]);
    let line = |row: usize| through.lines().nth(row).unwrap();
    assert!(line(1).starts_with("greedy-cost,hybrid-predictor(lengths=continuous),"), "{through}");
    assert!(line(2).starts_with("greedy-cost,ridge,"), "{through}");
    let bucketed = with(&["--estimator", "eccos-r:lengths=quantile-buckets,buckets=5"]);
    assert!(bucketed.contains("eccos-r(lengths=quantile-buckets,buckets=5)"), "{bucketed}");

    let eccos = ["--estimator", "eccos-r", "--queries", "200", "--seeds", "1", "--prices"];
    fails(
        &[&eccos[..], &[list]].concat(),
        &["model `WizardLM/WizardLM-13B-V1.2` is not on the price list"],
    );
    fails(&[&eccos[..], &["none.csv"]].concat(), &["`none.csv` does not exist"]);
    fails(&["--estimator", "eccos-r:buckets=5"], &["`lengths` and `buckets` need a price list"]);
}

#[test]
fn the_table_and_the_files() {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("the_table_and_the_files");
    let folder = out.to_str().unwrap();
    let args = ["--policy", "greedy-perf", "--policy", "knn-perf", "--baseline", "knn-perf"];
    let output = replay(&[&args[..], &["--out", folder]].concat());
    assert!(stdout(&output).starts_with("embedded: 200 queries, budget 1 x"), "{output:?}");
    // Equal parts, equal results; the baseline is not compared to itself.
    let row = |name: &str| -> Vec<String> {
        let line = stdout(&output).lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row("greedy-perf").last().map(String::as_str), Some("+0.0"));
    assert_eq!(row("knn-perf").last().map(String::as_str), Some("-"));
    assert_eq!(row("greedy-perf")[1..7], row("knn-perf")[1..7]);

    let read = |name| fs::read_to_string(out.join(name)).unwrap();
    let csv = replay(&[&args[..], &["--format", "csv"]].concat());
    assert_eq!(read("results.csv"), stdout(&csv));
    let json: Value = serde_json::from_str(&read("results.json")).unwrap();
    assert_eq!(json["parameters"]["queries"], 200);
    assert_eq!(json["results"].as_array().unwrap().len(), 4);
    assert!(read("timings.csv").starts_with("policy,estimator,solver,seed,arrivals,"));
    assert_eq!(read("timings.csv").lines().count(), 3, "oracles take no time");
}

/// What is wrong is said on stderr, with the names there are, and the program fails.
#[track_caller]
fn fails(args: &[&str], needles: &[&str]) {
    let output = tollgate(&[&["replay"], args].concat());
    assert!(!output.status.success(), "{args:?} is accepted");
    assert_eq!(output.stdout, b"", "{args:?}");
    for needle in needles {
        assert!(stderr(&output).contains(needle), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn unknown_names_fail_with_the_list() {
    fails(&["--policy", "prot"], &["no policy is called `prot`", "port-reference", "tollgate"]);
    fails(
        &["--estimator", "oracle"],
        &[
            "no estimator is called `oracle`",
            "knn, ridge, kernel-ridge, trained, eagle, clusters, learned-map, factors, random-slopes, ensemble, refit, blend, eccos-r, eccos-t, hybrid-predictor, auto",
        ],
    );
    fails(&["--solver", "guess"], &["no solver is called `guess`", "cutting-plane"]);
    fails(&["--policy", "port:epsilon=1"], &["unknown field `epsilon`", "`eps`"]);
    fails(&["--split", "even"], &["no budget split is called `even`", "extreme:h"]);
    fails(&["--order", "random"], &["no order is called `random`", "noisy-drift"]);
    fails(&["--baseline", "prot"], &["no policy is called `prot`", "port-reference"]);
    fails(&["--models", "gpt-nothing"], &["gpt-nothing"]);
    fails(&["--task", "nothing"], &["nothing"]);
    fails(&["--seeds", "one"], &["`one` in --seeds is not a number"]);
    fails(&["--budget=-1"], &["`budget` must be finite and >= 0, got -1"]);
    fails(&["--data", "/nowhere/at/all"], &["/nowhere/at/all"]);
}

#[test]
fn a_log_filter_that_is_none() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let output = command.args(["replay"]).env("TOLLGATE_LOG", "a=b=c").output().unwrap();
    assert!(!output.status.success());
    assert!(stderr(&output).contains("TOLLGATE_LOG is not a filter: `a=b=c`"), "{output:?}");
}
