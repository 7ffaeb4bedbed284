use super::super::testing::comparison;
use super::*;

fn found() -> Comparison {
    comparison(&[
        (ZERO_ROUTER, None, &[0.40, 0.50, 0.60]),
        ("knn-router, k = 3", Some(KNN_ROUTER), &[0.41, 0.51, 0.60]),
        ("knn-router, k = 5", Some(KNN_ROUTER), &[0.42, 0.52, 0.61]),
        ("factors", None, &[0.4501, 0.5502, 0.6500]),
    ])
}

#[test]
fn the_papers_table() {
    insta::assert_snapshot!(headline(&found()), @"test: 2 models seen, 1 unseen; prompts 6 to train, 1 to label, 3 to route; 3 trials from seed 1");
    insta::assert_snapshot!(table(&found()), @r"
    | method | QNC % | never | Area | Area(50 %) | peak | - ZeroRouter | - k-NN |
    |---|---:|---:|---:|---:|---:|---:|---:|
    | zero-router | 83.3 ± 35.9 | 1 | 0.5000 ± 0.2484 | 0.2500 ± 0.1242 | 0.5000 ± 0.2484 | - | -16.7 ± 14.3 |
    | knn-router, k = 5 | 83.3 ± 35.9 | 1 | 0.5167 ± 0.2361 | 0.2583 ± 0.1181 | 0.5167 ± 0.2361 | +16.7 ± 14.3 | - |
    | factors | 83.3 ± 35.9 | 1 | 0.5501 ± 0.2483 | 0.2751 ± 0.1241 | 0.5501 ± 0.2483 | +50.1 ± 0.2 * | +33.4 ± 14.1 * |
    ");
    insta::assert_snapshot!(others(&found()), @r"
    | method | AIQ | APGR | CPT(50 %) % | CPT(80 %) % |
    |---|---:|---:|---:|---:|
    | zero-router | 0.5000 ± 0.2484 | 0.550 ± 0.635 | 25.0 ± 0.0 | 50.0 ± 0.0 |
    | knn-router, k = 5 | 0.5167 ± 0.2361 | 0.565 ± 0.572 | 25.0 ± 0.0 | 50.0 ± 0.0 |
    | factors | 0.5501 ± 0.2483 | 0.600 ± 0.634 | 25.0 ± 0.0 | 50.0 ± 0.0 |
    ");
}

#[test]
fn every_trial_is_in_the_csv() {
    let text = csv(&[found()]).unwrap();
    assert_eq!(text.lines().count(), 1 + 4 * 3);
    insta::assert_snapshot!(text.lines().nth(1).unwrap(), @"test,zero-router,,1,0.4,0.2,,0.4,0.4,,,");
    let value = json(&[found()]);
    assert_eq!(value[0]["best_knn_router"], "knn-router, k = 5");
    assert_eq!(value[0]["methods"][3]["trials"][1]["area"], 0.5502);
}
