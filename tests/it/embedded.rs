//! The embedded stream stands like RouterBench, and tollgate leads on it.

use tollgate::data::Table;
use tollgate_lab::{Experiment, Options, Silent};
use tollgate_tests::golden::Paper;
use tollgate_tests::{compositions, performance, rp};

/// How far a baseline's RP may be from RouterBench's, in points.
const POINTS: f64 = 12.0;

const BASELINES: [&str; 4] = ["random", "greedy-perf", "greedy-cost", "batch-split"];

#[test]
fn baselines_stand_as_published_and_tollgate_leads() {
    let policies = [&BASELINES[..], &["port-reference", "port", "tollgate"]].concat();
    let table = Table::embedded();
    let compositions = compositions(&policies);
    let experiment = Experiment::new("embedded", &table, Options::default(), compositions).unwrap();
    let report = experiment.run(&Silent).unwrap();

    let published = &Paper::read().tables["routerbench"];
    for policy in BASELINES {
        let (ours, theirs) = (rp(&report, policy), published[policy].rp);
        println!("{policy}: RP {ours:.1}, on RouterBench {theirs:.1}");
        assert!((ours - theirs).abs() <= POINTS, "{policy}: {ours} against {theirs}");
    }
    let [reference, port, tollgate] =
        ["port-reference", "port", "tollgate"].map(|policy| performance(&report, policy));
    for (policy, value) in [("port-reference", reference), ("port", port), ("tollgate", tollgate)] {
        println!("{policy}: Performance {value:.1}, RP {:.1}", rp(&report, policy));
    }
    assert!(tollgate > port && tollgate > reference, "{tollgate} against {port} and {reference}");
}
