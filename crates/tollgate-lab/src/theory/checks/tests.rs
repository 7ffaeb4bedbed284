use super::*;
use crate::mean_interval;

fn row(part: &'static str, case: &str, x: f64, policy: &str, ratio: f64) -> Row {
    let ratio = mean_interval(&[ratio]);
    let (case, policy) = (case.to_owned(), policy.to_owned());
    Row {
        part,
        case,
        x,
        policy,
        k: 1.0,
        online: ratio,
        rp: ratio,
        truth: ratio,
        relative: ratio,
        performance: ratio,
        failed: None,
    }
}

/// `1 - ratio = N^power`.
fn sweep(policy: &str, power: f64) -> Vec<Row> {
    let at = |n: f64| row("n", &format!("N={n}"), n, policy, 1.0 - n.powf(power));
    [100.0, 1_000.0, 10_000.0].map(at).into()
}

/// A power inside its interval is met, one outside and one that is absent are not.
#[test]
fn slopes_are_judged() {
    let judged = |rows: &[Row]| slopes(rows).iter().map(|check| check.met).collect::<Vec<_>>();
    let good = [sweep("one-shot", -0.33), sweep("descent", -0.5), sweep("resolve", -0.95)];
    assert_eq!(judged(&good.concat()), [true, true, true]);
    let bad = [sweep("one-shot", -0.1), sweep("descent", -0.9), sweep("resolve", -0.5)];
    assert_eq!(judged(&bad.concat()), [false, false, false]);
    assert_eq!(judged(&[]), [false, false, false]);
}

#[test]
fn bars_are_judged() {
    let rows = |ratio| [row("attacks", "ascending", 0.0, "tollgate", ratio)];
    let ascending = |ratio: f64| orders(&rows(ratio)).remove(1);
    assert!(ascending(0.86).met && !ascending(0.859).met);
    insta::assert_snapshot!(format!("{} {} {}", ascending(0.8).name, ascending(0.8).bar, ascending(0.8).got), @"attacks: ascending >= 86 80.00");
    assert!(orders(&rows(1.0)).iter().filter(|check| check.met).count() == 1, "absent is missed");
}

/// One case above port, one below.
#[test]
fn every_case_is_held_against_port() {
    let rows = [
        row("traps", "a", 0.0, "tollgate", 0.5),
        row("traps", "a", 0.0, "port", 0.4),
        row("recorded", "b", 0.0, "tollgate", 0.5),
        row("recorded", "b", 0.0, "port", 0.6),
        row("extremes", "c", 0.0, "tollgate", 0.1),
    ];
    let met: Vec<bool> = never_below_port(&rows).iter().map(|check| check.met).collect();
    assert_eq!(met, [true, false]);
}
