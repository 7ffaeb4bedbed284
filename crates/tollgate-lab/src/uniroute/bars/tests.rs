use super::super::testing::comparison;
use super::*;

fn judged(factors: &[f64]) -> Vec<(String, bool)> {
    let found = comparison(&[
        ("zero-router", None, &[0.50, 0.60, 0.55]),
        ("knn-router, k = 3", Some(KNN_ROUTER), &[0.51, 0.61, 0.56]),
        ("knn-router, k = 5", Some(KNN_ROUTER), &[0.52, 0.62, 0.57]),
        ("factors", None, factors),
        ("clairvoyant/ridge", None, &[0.53, 0.63, 0.59]),
        ("clairvoyant/trained", None, &[0.54, 0.64, 0.59]),
    ]);
    let checks = bars(&found, &["factors"], "factors");
    checks.into_iter().map(|check| (format!("{}: {}", check.name, check.got), check.met)).collect()
}

#[test]
fn met_and_missed_by_hand() {
    let lines = judged(&[0.539, 0.637, 0.588]);
    let lines: Vec<String> = lines.iter().map(|(line, met)| format!("{met}: {line}")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    true: test: factors above ZeroRouter in mean Area: +0.03800 ± 0.00248
    true: test: factors above knn-router, k = 5 (its best) in mean Area: +0.01800 ± 0.00248
    true: test: factors in per cent of clairvoyant/trained (the best head): 99.66
    ");
    let met = |factors: &[f64]| judged(factors).into_iter().map(|line| line.1).collect::<Vec<_>>();
    // Below the head by one per cent.
    assert_eq!(met(&[0.534, 0.634, 0.584]), [true, true, false]);
    // Above in the mean, by one trial of the three.
    assert_eq!(met(&[0.50, 0.60, 0.90]), [false, false, true]);
}

#[test]
fn what_was_not_run_is_missed() {
    let found = comparison(&[("zero-router", None, &[0.5, 0.6])]);
    let checks = bars(&found, &["clusters"], "factors");
    assert!(checks.iter().all(|check| !check.met && check.got == "not measured"), "{checks:?}");
}

#[test]
fn labels_by_hand() {
    let curve = LabelCurve {
        label: "factors".to_owned(),
        sizes: vec![100, 150],
        chosen: vec![vec![0.5, 0.75], vec![0.75, 0.75]],
        random: vec![vec![0.25, 0.5], vec![0.5, 0.5]],
    };
    let check = labels("test", &curve, 100, 150);
    assert!(check.met);
    insta::assert_snapshot!(
        format!("{}: {}", check.name, check.got),
        @"test: factors with 100 chosen labels less with 150 random ones, in mean Area: +0.12500 ± 1.58828"
    );
    assert!(!labels("test", &curve, 100, 200).met);
}
