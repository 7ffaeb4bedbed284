use super::*;

fn curve(expected: &[f64], truth: &[f64], cost: &[f64]) -> DeferralCurve {
    DeferralCurve::new(cost.len(), [expected, cost], [truth, cost])
}

/// Models at 1 and 2 USD are right with 0.5 and 0.8, and taken for 0.5 and 0.6. The dear one is
/// worth its price up to 0.3, and dropped at 0.1: there 0.2 are lost, and less after it.
#[test]
fn excess_by_hand() {
    let (truth, cost) = ([0.5, 0.8], [1.0, 2.0]);
    let excess = |expected: &[f64]| worst_excess(&curve(expected, &truth, &cost), &truth, &cost);
    assert!((excess(&[0.5, 0.6]) - 0.2).abs() < 1e-12);
    assert!(excess(&truth).abs() < 1e-12);
    // Taken for worse than the cheap one, it is never picked: at a price of 0 that costs 0.3.
    assert!((excess(&[0.5, 0.4]) - 0.3).abs() < 1e-12);
    // Kept up to 0.5, at 0.5 it is 0.2 too dear.
    assert!((excess(&[0.5, 1.0]) - 0.2).abs() < 1e-12);
}

/// Nothing that was tried at random is above what is found at the corners.
#[test]
fn no_price_is_worse_than_the_worst() {
    let mut rng = Seed(3).stream(Purpose::Synthesis, 0);
    for _ in 0..50 {
        let mut draw = |n: usize| (0..n).map(|_| rng.uniform()).collect::<Vec<f64>>();
        let (expected, truth, cost) = (draw(6), draw(6), draw(3));
        let table = [&cost[..], &cost].concat();
        let ours = DeferralCurve::new(3, [&expected, &table], [&truth, &table]);
        let worst = worst_excess(&ours, &truth, &cost);
        for step in 0..200 {
            let price = 0.02 * f64::from(step);
            let lost = (0..2).map(|kind| {
                let row = 3 * kind..3 * kind + 3;
                let worth = |of: &[f64], at: usize| of[row.clone()][at] - price * cost[at];
                let best = |of: &[f64]| {
                    (0..3).max_by(|&a, &b| worth(of, a).total_cmp(&worth(of, b))).unwrap()
                };
                worth(&truth, best(&truth)) - worth(&truth, best(&expected))
            });
            let lost = lost.sum::<f64>() / 2.0;
            assert!(lost <= worst + 1e-12, "{lost} at {price}, worst {worst}");
        }
    }
}

fn seeds(n: u64) -> Vec<Seed> {
    (1..=n).map(Seed).collect()
}

/// The full form is `cargo xtask ablate --suite uniroute --theory`.
#[test]
fn known_clusters_are_as_the_theory_says() {
    let sizes = [200, 400, 800, 1_600, 3_200];
    let steps = sweep(Router::Known, Latent::default(), &sizes, &seeds(60)).unwrap();
    for check in checks("known clusters", &steps) {
        assert!(check.met, "{check:?}");
    }
    let last = steps.last().unwrap();
    assert!(last.trials.iter().all(|found| found.excess >= 0.0 && found.area_gap > -1e-12));
}

/// What clusters leave out stays, however many labels there are, and the bound allows for it.
#[test]
fn what_clusters_leave_out_stays_within_the_bound() {
    let latent = Latent { delta: 0.1, ..Latent::default() };
    let steps = sweep(Router::Known, latent, &[100, 6_400], &seeds(20)).unwrap();
    for found in steps.iter().flat_map(|step| &step.trials) {
        assert!(found.excess <= found.bound, "{found:?}");
    }
    let excess = steps[1].trials.iter().map(|found| found.excess).sum::<f64>() / 20.0;
    assert!(excess > 0.02, "{excess}");
}

#[test]
fn one_cluster_walks_the_points_of_zero_router() {
    assert_eq!(one_cluster_is_zero_router(&seeds(3)).unwrap(), [true; 3]);
}

#[test]
fn a_cluster_without_labels_has_no_bound() {
    let steps = sweep(Router::Known, Latent::default(), &[1], &seeds(1)).unwrap();
    assert!(steps[0].trials[0].bound.is_infinite());
    // Two steps are too few for a power.
    assert!(!checks("short", &steps)[1].met);
}
