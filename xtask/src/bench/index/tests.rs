use tollgate::core::{History, Models};

use super::bars::Bar;
use super::plain::PlainScan;
use super::*;
use crate::bench::points::Kind;

/// Four rows in the plane, the first two the same; `(1, 0)` asks.
fn square() -> Points {
    let rows = vec![1.0, 0.0, 1.0, 0.0, 0.0, 1.0, -1.0, 0.0];
    let models = Models::new(["any"]).unwrap();
    let history = History::new(models, 2, rows, vec![0.5; 4], vec![0.01; 4]).unwrap();
    Points { name: "square".to_owned(), kind: Kind::Clustered, history, queries: vec![1.0, 0.0] }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

#[test]
fn a_row_counts_once_and_only_if_it_is_there() {
    let points = square();
    let truth = Truth::new(&points).unwrap();
    let recall = |rows: &[u32]| truth.recall(&[Some(rows.to_vec())]);
    // All four rows are among the five nearest of four.
    assert!(same(recall(&[0, 1, 2, 3]), 1.0));
    assert!(same(recall(&[0, 0, 0, 2]), 0.5));
    assert!(same(recall(&[]), 0.0));
    // A query that was never asked says nothing.
    assert!(same(truth.recall(&[Some(vec![3]), None]), 0.25));
}

/// Equal rows stand for each other: any five of ten copies are the five nearest.
#[test]
fn copies_stand_for_each_other() {
    let points = points::copies(8).unwrap();
    let truth = Truth::new(&points).unwrap();
    let queries = points.queries();
    let of = |query: &[f32]| {
        let copy = |&first: &usize| cosine(query, points.history.queries().query(first).embedding);
        (0..5_000).step_by(500).max_by(|a, b| copy(a).total_cmp(&copy(b))).unwrap()
    };
    let last = |at: usize| {
        let first = u32::try_from(of(queries.query(at).embedding)).unwrap();
        Some((first + 490..first + 495).collect())
    };
    assert!(same(truth.recall(&(0..8).map(last).collect::<Vec<_>>()), 1.0));
    let wrong = |at: usize| {
        last(at).map(|rows: Vec<u32>| rows.iter().map(|row| (row + 500) % 5_000).collect())
    };
    assert!(same(truth.recall(&(0..8).map(wrong).collect::<Vec<_>>()), 0.0));
}

#[test]
fn the_yardstick_finds_what_the_exact_scan_finds() {
    let points = points::clustered(700, 50).unwrap();
    let truth = Truth::new(&points).unwrap();
    let (plain, sets, mut scratch) =
        (PlainScan::new(&points.history), RowSets::all(), Scratch::default());
    let mut found = Vec::new();
    for at in 0..50 {
        plain.nearest_into(points.queries().query(at), K, &sets, None, &mut scratch).unwrap();
        let scored = &scratch.child(0).scored;
        assert!(scored.is_sorted_by(|a, b| a.0 >= b.0));
        found.push(Some(scored.iter().map(|&(_, row)| row).collect()));
    }
    assert!(truth.recall(&found) > 0.999, "rounding in f32 may swap a pair");
}

#[test]
fn every_contender_of_ours_answers() {
    let points = points::clustered(400, 20).unwrap();
    let ours = contenders::OURS.iter().map(|recipe| Ours::boxed(recipe, &points)).collect();
    let lines = measure(&points, ours, 1).unwrap();
    for Line { index, build_s, p50_us, p99_us, recall, .. } in &lines {
        assert!(*build_s >= 0.0 && *p50_us > 0.0 && p50_us <= p99_us, "{index}");
        assert!(*recall > 0.99, "{index}: {recall}");
    }
}

#[test]
fn a_bar_has_some_slack() {
    let (time, recall) = (Bar::AtMost(0.4), Bar::AtLeast(0.999));
    assert!(time.holds(0.4) && !time.holds(0.41) && time.nearly_holds(0.59));
    assert!(!time.nearly_holds(0.61) && !time.nearly_holds(f64::NAN));
    assert!(recall.holds(0.999) && !recall.holds(0.9989) && recall.nearly_holds(0.9981));
    assert!(!recall.nearly_holds(0.9979) && !recall.nearly_holds(f64::NAN));
}
