use super::*;
use crate::testing::{Left, Oracle, Subgradient, arrival};

/// Three queries, two models, every answer costs 1 USD. The budgets pay for one answer of
/// each model.
const QUALITY: [[f64; 2]; 3] = [[0.9, 0.8], [0.8, 0.1], [0.3, 0.2]];

fn policy(batch: usize) -> BatchSplit {
    BatchSplitConfig { batch }.build(Oracle::priced(&[])).unwrap()
}

/// The model of each query, `None` where it is out of budget.
fn picks(quality: &[[f64; 2]], left: &Left) -> Vec<Option<usize>> {
    let arrivals: Vec<Arrival<'_>> =
        quality.iter().map(|quality| arrival(0, quality, &[1.0, 1.0])).collect();
    let mut rankings = vec![Ranking::default(); quality.len()];
    let view = left.view();
    policy(3).rank_batch(&arrivals, &Prices::unset(), &view, &mut rankings).unwrap();
    let pick = |(ranking, quality): (&Ranking, &[f64; 2])| {
        let best = ranking.best();
        assert_eq!(best.is_none(), ranking.is_unaffordable());
        let score = best.map(|entry| entry.score - quality[entry.model]);
        assert!(score.unwrap_or(0.0).abs() < 1e-12, "the score is the expected quality");
        best.map(|entry| entry.model)
    };
    rankings.iter().zip(quality).map(pick).collect()
}

/// Best is query 0 to model 1 and query 1 to model 0, worth 1.6; query 0 to its own
/// favorite, model 0, would leave 0.2 at best for the other budget: 1.1.
#[test]
fn a_batch_worked_by_hand() {
    let left = Left::per_model(&[1.0, 1.0]);
    assert_eq!(picks(&QUALITY, &left), [Some(1), Some(0), None]);
    // One by one, each query would take its favorite.
    assert_eq!(picks(&QUALITY[..1], &left), [Some(0)]);
}

#[test]
fn the_estimated_remainder_is_what_counts() {
    let mut left = Left::per_model(&[5.0, 5.0]);
    left.remaining_estimated = vec![1.5, -0.25];
    assert_eq!(picks(&QUALITY, &left), [Some(0), None, None]);
    left.remaining_estimated = vec![-1.0, -1.0];
    assert_eq!(picks(&QUALITY, &left), [None; 3]);
}

#[test]
fn the_whole_remainder_is_for_one_batch() {
    let solver = Oracle::priced(&[]);
    let batch = BatchSplitConfig { batch: 2 }.build(Arc::clone(&solver) as Arc<_>).unwrap();
    let left = Left::per_model(&[0.5, 2.0]);
    let arrivals = [arrival(0, &[0.5, 0.25], &[0.75, 0.125]); 2];
    let mut rankings = vec![Ranking::default(); 2];
    batch.rank_batch(&arrivals, &Prices::unset(), &left.view(), &mut rankings).unwrap();
    let (problem, ..) = &solver.asked()[0];
    assert_eq!(problem.rows(), left.budgets.rows());
    assert_eq!(problem.table(Meter::Quality).unwrap()[..], [0.5, 0.25, 0.5, 0.25]);
    assert_eq!(problem.table(Meter::Cost).unwrap()[..], [0.75, 0.125, 0.75, 0.125]);
    assert_eq!(problem.choice(), Choice::AtMostOne);
}

#[test]
fn refusals() {
    let error = BatchSplitConfig { batch: 0 }.build(Oracle::priced(&[])).unwrap_err();
    insta::assert_snapshot!(error, @"`batch` must be >= 1, got 0");
}

#[test]
fn conforms() {
    for batch in [1, 8, 256] {
        let policy = BatchSplitConfig { batch }.build(Arc::new(Subgradient)).unwrap();
        tollgate_testkit::policy_conformance::check(&policy);
    }
}
