use tollgate_core::{Models, Purpose};
use tollgate_testkit::estimator_conformance::{self, Growth};

use super::*;

/// Scores of one model, as `of` says of the direction; two dimensions and some noise in
/// four more.
fn world(n: usize, of: impl Fn(f64) -> f64) -> History {
    let mut rng = Seed(9).stream(Purpose::Synthesis, 0);
    let (mut embeddings, mut quality) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let angle = rng.uniform() * std::f64::consts::TAU;
        let vector = [angle.cos(), angle.sin(), 0.0, 0.0, 0.0, 0.0];
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        embeddings.extend(vector.map(|x| (x + 0.05 * rng.normal()) as f32));
        quality.push(f64::from(rng.uniform() < of(angle)));
    }
    History::new(Models::new(["m"]).unwrap(), 6, embeddings, quality, vec![1e-3; n]).unwrap()
}

fn choice(history: &History) -> String {
    let estimator = Auto::default().fit(history, Seed(0)).unwrap();
    estimator.choice().unwrap().to_owned()
}

/// A plane is what ridge is for; nothing beside it is worth its time.
#[test]
fn a_linear_world_takes_ridge() {
    let choice = choice(&world(800, |angle| 0.5 + 0.45 * angle.cos()));
    insta::assert_snapshot!(choice, @"scores by 0.31*knn(k=40) + 0.69*ridge, which held out leaves 0.597 of their variance (alone at best 0.598, ridge); costs by 1.00*ridge, which held out leaves 0.000 of their variance (alone at best 0.000, knn(k=5))");
}

/// Eight sectors, right and wrong in turn: no plane, and too sharp for many neighbors.
#[test]
fn a_world_of_sectors_takes_neighbors_or_kernels() {
    let choice =
        choice(&world(800, |angle| if (angle * 4.0 / 3.2).fract() < 0.5 { 0.95 } else { 0.05 }));
    insta::assert_snapshot!(choice, @"scores by 0.30*knn(k=5) + 0.51*knn(k=20) + 0.19*kernel-ridge, which held out leaves 0.484 of their variance (alone at best 0.497, knn(k=20)); costs by 1.00*kernel-ridge, which held out leaves 0.000 of their variance (alone at best 0.000, knn(k=5))");
}

/// What is picked is within a five-hundredth of the best blend of all parts.
#[test]
fn little_is_given_up_for_fewer_parts() {
    let history = world(500, |angle| 0.5 + 0.3 * (3.0 * angle).sin());
    let widest = neighbors(160, IndexKind::Scan).fit_knn(&history, Seed(0)).unwrap();
    let mut tables = widest.held_out_each(&history, &NEIGHBORS);
    for other in Auto::default().others {
        tables.push(other.held_out(&history, Seed(0)).unwrap());
    }
    let losses = Losses::new(&history, &tables);
    let picked = Picked::new(&losses);
    let all = losses.supports().pop().unwrap();
    assert_eq!(all[0].on.len(), tables.len());
    assert!(picked.losses[0] <= all[0].loss * 1.002 + 1e-12);
    assert!(picked.on.len() < tables.len());
}

#[test]
fn it_conforms() {
    estimator_conformance::check(&Auto::default());
}

#[test]
fn it_grows() {
    estimator_conformance::check_growth(&Auto::default(), Growth::ChoicesStay);
}
