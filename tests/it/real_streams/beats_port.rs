//! tollgate beats the published code at its best, on five seeds of four streams.

use tollgate::data::{Split, Table};
use tollgate_lab::{BudgetLayout, Experiment, Options, Report, Silent};
use tollgate_tests::recorded::{Reference, splits, table};
use tollgate_tests::{compositions, performance, relative, rp};

/// What is promised on one stream, over the five recorded seeds.
struct Claim {
    stream: &'static str,
    /// Mean Performance over that of the published code at its best learning share, at least.
    ratio: f64,
    /// Mean RP in per cent, at least.
    rp: f64,
    /// The ratio where all models share one budget, at least.
    pooled: f64,
}

fn run(claim: &Claim, table: &Table, layout: BudgetLayout, policies: &[&str]) -> Report {
    let splits = Split::read_file(splits(claim.stream), table.len()).unwrap();
    let options = Options { splits: Some(splits), layout, ..Options::default() };
    let experiment = Experiment::new(claim.stream, table, options, compositions(policies)).unwrap();
    experiment.run(&Silent).unwrap()
}

fn check(claim: &Claim) {
    let table = table(claim.stream);
    let reference = Reference::read(claim.stream);
    let (best, published) = reference.best_published();

    let baselines = ["greedy-perf", "greedy-cost"];
    let policies = [&["tollgate"][..], &baselines].concat();
    let split = run(claim, &table, Options::default().layout, &policies);
    let pooled = run(claim, &table, BudgetLayout::Pooled, &["tollgate"]);
    let ratio = performance(&split, "tollgate") / published;
    let rp = rp(&split, "tollgate");
    let pooled_ratio = performance(&pooled, "tollgate") / published;

    println!("{}: {best} {published:.1}", claim.stream);
    println!(
        "{}: tollgate {:.1}, {ratio:.3} x (>= {}), RP {rp:.1} (>= {})",
        claim.stream,
        performance(&split, "tollgate"),
        claim.ratio,
        claim.rp,
    );
    println!(
        "{}: tollgate on one pooled budget {:.1}, {pooled_ratio:.3} x (>= {})",
        claim.stream,
        performance(&pooled, "tollgate"),
        claim.pooled,
    );
    for method in baselines.iter().chain(&["approximate-optimum"]) {
        let (ours, theirs) = (performance(&split, method), reference.performance(method));
        println!("{}: {method} {ours:.1}, recorded {theirs:.1}", claim.stream);
        assert!(relative(ours, theirs) <= 0.005, "{method}: {ours} against {theirs}");
    }
    assert!(ratio >= claim.ratio, "{}: {ratio} < {}", claim.stream, claim.ratio);
    assert!(rp >= claim.rp, "{}: RP {rp} < {}", claim.stream, claim.rp);
    assert!(pooled_ratio >= claim.pooled, "{}: {pooled_ratio} < {}", claim.stream, claim.pooled);
}

#[test]
fn on_routerbench() {
    check(&Claim { stream: "routerbench", ratio: 1.17, rp: 105.0, pooled: 2.16 });
}

#[test]
fn on_zeroeval() {
    check(&Claim { stream: "zeroeval", ratio: 1.84, rp: 105.0, pooled: 2.52 });
}

#[test]
fn on_routellm() {
    check(&Claim { stream: "routellm", ratio: 1.185, rp: 102.0, pooled: 1.225 });
}

#[test]
fn on_the_semi_real_leaderboard() {
    check(&Claim { stream: "ollv2_semi", ratio: 1.51, rp: 114.0, pooled: 1.95 });
}
