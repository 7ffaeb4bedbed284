use super::*;
use crate::testing::{Left, Oracle, arrival, models};

/// Of 100 arrivals, `eps = 0.1`: solves after 10, 20, 40 and 80, on all that have come, with
/// `(1 - 0.1 sqrt(100 / l)) l / 100` of the budget of 8; nothing is routed before the first.
#[test]
fn solves_at_a_doubling_number_with_a_margin() {
    let solver = Oracle::priced(&[0.25]);
    let config = GeometricConfig { eps: 0.1 };
    let source = config.build(Arc::clone(&solver) as Arc<_>).unwrap();
    let (models, budgets) = (models(2), Left::of(Budgets::pooled(8.0, 2).unwrap()));
    let mut pricer = source.start(&budgets.setup(&models, Horizon::Arrivals(100))).unwrap();
    for index in 0..100 {
        let arrival = arrival(index, &[1.0; 2], &[1.0; 2]);
        let view = budgets.view();
        let progress = Progress { arrival: &arrival, budgets: &view, cost_ratios: &[1.0; 2] };
        match pricer.before(&progress).unwrap() {
            PriceUpdate::Keep => {}
            PriceUpdate::Install(prices) => {
                assert_eq!(index, 0);
                assert!(prices.rows()[0] > 1e100, "nobody is worth that");
            }
            PriceUpdate::Solve(request) => {
                assert_eq!(request.problem.n_queries() as u64, index);
                assert_eq!(pricer.install(request.run().unwrap()).rows(), [0.25]);
            }
        }
    }
    let asked = solver.asked();
    let sizes: Vec<usize> = asked.iter().map(|(problem, ..)| problem.n_queries()).collect();
    assert_eq!(sizes, [10, 20, 40, 80]);
    for (problem, ..) in &asked {
        let share = problem.n_queries() as f64 / 100.0;
        let expected = 8.0 * share * (1.0 - 0.1 / share.sqrt());
        assert!((problem.rows()[0].capacity - expected).abs() < 1e-12);
    }
}

#[test]
fn refusals() {
    let refused = |eps| GeometricConfig { eps }.build(Oracle::priced(&[])).unwrap_err();
    insta::assert_snapshot!(refused(0.0), @"`eps` must be in (0, 1], got 0");
    insta::assert_snapshot!(refused(f64::NAN), @"`eps` must be in (0, 1], got NaN");
    let source = GeometricConfig::default().build(Oracle::priced(&[])).unwrap();
    let (models, left) = (models(2), Left::per_model(&[1.0; 2]));
    let error = source.start(&left.setup(&models, Horizon::Unknown)).unwrap_err();
    insta::assert_snapshot!(error, @"policy `geometric(eps=0.02)` needs the number of arrivals in advance");
}
