use super::*;
use crate::testing::{Left, Oracle, Subgradient, arrival, models};

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

fn paced(batch: usize, left: &Left, horizon: u64) -> (Arc<dyn Policy>, Arc<Oracle>) {
    let solver = Oracle::priced(&[]);
    let policy = BatchSplitConfig { batch }.build_paced(Arc::clone(&solver) as Arc<_>).unwrap();
    let models = models(2);
    let policy = policy.adapt(&left.setup(&models, Some(horizon))).unwrap().unwrap();
    assert_eq!((policy.name(), policy.batch_size()), ("batch-paced".to_owned(), batch));
    (policy, solver)
}

/// Ten arrivals, a budget of 20 for model 0 and one of 10 for model 1: 2 and 1 an arrival.
#[test]
fn what_is_due_by_hand() {
    let mut left = Left::per_model(&[20.0, 10.0]);
    let (policy, solver) = paced(3, &left, 10);
    let mut capacities = |index, batch: usize, remaining: [f64; 2]| {
        left.remaining_estimated = remaining.to_vec();
        let arrivals = vec![arrival(index, &[0.5, 0.25], &[1.0, 1.0]); batch];
        let mut rankings = vec![Ranking::default(); batch];
        policy.rank_batch(&arrivals, &Prices::unset(), &left.view(), &mut rankings).unwrap();
        let (problem, ..) = solver.asked().pop().unwrap();
        problem.rows().iter().map(|row| row.capacity).collect::<Vec<_>>()
    };
    assert_eq!(capacities(0, 3, [20.0, 10.0]), [6.0, 3.0]);
    // Of 6 and 3, 2 and 3 were used: 4 are left over for the next batch.
    assert_eq!(capacities(3, 3, [18.0, 7.0]), [10.0, 3.0]);
    // 4 arrivals to come should have 8 and 4; 2 too few are spread over all of them.
    assert_eq!(capacities(6, 3, [6.0, 4.0]), [4.5, 3.0]);
    assert_eq!(capacities(9, 1, [7.0, 0.5]), [7.0, 0.5], "the last one has everything");
    assert_eq!(capacities(12, 3, [7.0, -1.0]), [7.0, 0.0], "and so has who comes too late");
    assert_eq!(capacities(6, 3, [-1.0, 4.0]), [0.0, 3.0], "overdrawn");
}

/// Two queries of three are worth 0.9 and 0.1; unpaced, the first batch spends on both.
#[test]
fn paced_the_first_batch_leaves_something() {
    let left = Left::per_model(&[2.0, 0.0]);
    let arrivals = [[0.9, 0.0], [0.1, 0.0]];
    let arrivals = arrivals.each_ref().map(|quality| arrival(0, quality, &[1.0, 1.0]));
    let served = |policy: &dyn Policy| {
        let mut out = vec![Ranking::default(); 2];
        policy.rank_batch(&arrivals, &Prices::unset(), &left.view(), &mut out).unwrap();
        out.iter().map(|ranking| ranking.best().is_some()).collect::<Vec<_>>()
    };
    assert_eq!(served(&policy(2)), [true, true]);
    assert_eq!(served(&*paced(2, &left, 4).0), [true, false]);
}

#[test]
fn refusals() {
    let error = BatchSplitConfig { batch: 0 }.build(Oracle::priced(&[])).unwrap_err();
    insta::assert_snapshot!(error, @"`batch` must be >= 1, got 0");
    let error = BatchSplitConfig { batch: 0 }.build_paced(Oracle::priced(&[])).unwrap_err();
    insta::assert_snapshot!(error, @"`batch` must be >= 1, got 0");
    let paced = BatchSplitConfig { batch: 2 }.build_paced(Oracle::priced(&[])).unwrap();
    let left = Left::per_model(&[1.0; 2]);
    let error = paced.adapt(&left.setup(&models(2), None)).map(drop).unwrap_err();
    insta::assert_snapshot!(error, @"policy `batch-paced` needs the number of arrivals in advance");
    let arrival = arrival(0, &[0.5; 2], &[1.0; 2]);
    let early = paced.rank(&arrival, &Prices::unset(), &left.view(), &mut Ranking::default());
    insta::assert_snapshot!(early.unwrap_err(), @"policy `batch-paced` needs to be adapted to a run before it ranks");
}

#[test]
fn conforms() {
    for batch in [1, 8, 256] {
        let policy = BatchSplitConfig { batch }.build(Arc::new(Subgradient)).unwrap();
        tollgate_testkit::policy_conformance::check(&policy);
    }
    let paced = BatchSplitConfig { batch: 8 }.build_paced(Arc::new(Subgradient)).unwrap();
    tollgate_testkit::policy_conformance::check(&paced);
}
