use tollgate_core::{Models, Purpose};

use super::*;

/// Four prompts in cluster 0, two in cluster 1: the medoids first of all, and after any
/// number of prompts no cluster is a whole prompt behind its share.
#[test]
fn clusters_in_proportion_and_medoids_first() {
    let nearest = [(0, 0.1), (1, 0.3), (0, 0.4), (0, 0.4), (1, 0.2), (0, 0.3)];
    for seed in 0..5 {
        let order = by_clusters(&nearest, 3, Seed(seed));
        assert_eq!(order[..2], [2, 1]);
        for taken in 1..=6 {
            let of_0 = order[..taken].iter().filter(|&&row| nearest[row].0 == 0);
            let share = taken as f64 * 4.0 / 6.0;
            assert!((of_0.count() as f64 - share).abs() < 1.0, "{order:?}");
        }
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
    }
}

/// Three prompts far out on one axis, one on the other: the far ones tell most, but the second
/// of them tells less than the first on the other axis.
#[test]
fn leverage_by_hand() {
    let features = [2.0, 0.0, 2.1, 0.0, 0.0, 1.5, 0.0, 0.1];
    let prior = Mat::<f64>::identity(2, 2);
    for seed in 0..5 {
        // Known after the first: 4 / (1 + 4.41) is less than 1.5^2.
        assert_eq!(by_leverage(&features, 2, (&prior, 1.0), Seed(seed))[..3], [1, 2, 0]);
    }
}

/// Points 0, 1, 2, 9, of mean 3: 2 is nearest to it; with 1 the sum would be 3 short, with 0 four
/// short, with 9 five beyond, so 1 is next; 9 is then three beyond and 0 six short.
#[test]
fn likeness_by_hand() {
    for seed in 0..5 {
        assert_eq!(by_likeness(&[0.0, 1.0, 2.0, 9.0], 1, Seed(seed)), [2, 1, 3, 0]);
    }
}

/// Every way orders all prompts, and every seed in a way of its own.
#[test]
fn every_way_orders_all_prompts() {
    let mut rng = Seed(4).stream(Purpose::Synthesis, 0);
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    let embeddings = (0..60 * 5).map(|_| rng.normal() as f32).collect();
    let mut column = || (0..60 * 3).map(|_| 0.5 * rng.uniform()).collect();
    let models = Models::new(["a", "b", "c"]).unwrap();
    let history = History::new(models, 5, embeddings, column(), column()).unwrap();
    for way in [
        Labelling::Random,
        Labelling::Medoids { clusters: 7 },
        Labelling::Leverage,
        Labelling::Likeness,
    ] {
        let order = way.order(&history, Seed(0)).unwrap();
        assert_eq!(order, way.order(&history, Seed(0)).unwrap(), "{way:?}");
        let mut sorted = order;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..60), "{way:?}");
    }
}
