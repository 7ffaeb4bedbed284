use tollgate::data::Table;

use super::*;

/// Forty prompts on the circle; model `a` is right on one half of it, `b` on the quarters that
/// lie across, which no straight line tells apart, and `c` on none.
fn circle() -> History {
    let (mut embeddings, mut quality) = (Vec::new(), Vec::new());
    for prompt in 0_u8..40 {
        let angle = std::f64::consts::TAU * (f64::from(prompt) + 0.5) / 40.0;
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        embeddings.extend([angle.cos() as f32, angle.sin() as f32]);
        let is = |yes: bool| f64::from(u8::from(yes));
        quality.extend([is(angle.sin() > 0.0), is((2.0 * angle).sin() > 0.0), 0.0]);
    }
    let cost = (0..120).map(|cell| f64::from(u8::from(cell % 3 == 1)) + 1.0).collect();
    History::new(Models::new(["a", "b", "c"]).unwrap(), 2, embeddings, quality, cost).unwrap()
}

/// The share of labels on whose side of one half the estimates are, by model.
fn right(config: NetConfig) -> Vec<f64> {
    let history = circle();
    let fitted = config.build().unwrap().fit(&history, Seed(1)).unwrap();
    let mut table = EstimateTable::zeros(40, 3);
    table
        .fill(|out| fitted.estimate_batch(history.queries(), &mut Scratch::default(), out))
        .unwrap();
    let hit = |cell: &usize| (table.quality()[*cell] > 0.5) == (history.quality()[*cell] > 0.5);
    (0..3)
        .map(|model| (0..40).map(|row| 3 * row + model).filter(hit).count() as f64 / 40.0)
        .collect()
}

#[test]
fn the_network_bends_and_the_factorization_does_not() {
    let mlp = right(NetConfig { hidden: 8, ..NetConfig::mlp() });
    assert!(mlp.iter().all(|share| *share >= 0.9), "{mlp:?}");
    let matrix = right(NetConfig::matrix());
    assert!(matrix[0] >= 0.9 && matrix[1] <= 0.6 && matrix[2] >= 1.0, "{matrix:?}");
}

#[test]
fn costs_are_the_means_and_the_same_seed_is_the_same_network() {
    let history = circle();
    let recipe = NetConfig { hidden: 3, ..NetConfig::mlp() }.build().unwrap();
    let estimate = |seed: u64| {
        let fitted = recipe.fit(&history, Seed(seed)).unwrap();
        let mut table = EstimateTable::zeros(1, 3);
        let query = history.queries().query(7);
        table.fill(|out| fitted.estimate_into(query, &mut Scratch::default(), out)).unwrap();
        table
    };
    assert_eq!(estimate(1), estimate(1));
    assert_ne!(estimate(1), estimate(2));
    assert_eq!(estimate(1).cost()[..], [1.0, 2.0, 1.0]);
}

#[test]
fn held_out_estimates_know_nothing_of_their_prompt() {
    let rows: Vec<usize> = (0..60).collect();
    let history = Table::embedded().history(&rows).unwrap();
    let recipe = NetConfig { hidden: 2, ..NetConfig::matrix() }.build().unwrap();
    let held_out = recipe.held_out(&history, Seed(1)).unwrap();
    // Prompt 0 is in the first fold: learned from the other four, under the same penalty.
    let penalty = recipe.choose(&history, Seed(1)).unwrap();
    let others: Vec<usize> = (0..60).filter(|row| row % FOLDS != 0).collect();
    let learned = recipe.learn(&history, &others, penalty, Seed(1)).unwrap();
    let mut table = EstimateTable::zeros(1, 11);
    let query = history.queries().query(0);
    table.fill(|out| learned.estimate_into(query, &mut Scratch::default(), out)).unwrap();
    assert_eq!(held_out.row(0).quality, &table.quality()[..]);
}

#[test]
fn refusals() {
    let history = circle();
    let fitted = NetConfig::mlp().build().unwrap().fit(&history, Seed(1)).unwrap();
    let refuse = |embedding: &[f32]| {
        let mut table = EstimateTable::zeros(1, 3);
        let query = Query::new(embedding);
        table.fill(|out| fitted.estimate_into(query, &mut Scratch::default(), out)).unwrap_err()
    };
    insta::assert_snapshot!(refuse(&[1.0]), @"the embedding has 1 dimensions, the history 2");
    insta::assert_snapshot!(refuse(&[0.0, 0.0]), @"the embedding is the zero vector");
    insta::assert_snapshot!(
        refuse(&[0.0, f32::NAN]),
        @"the embedding has a value that is not finite at dimension 1: NaN"
    );
    let few = history.select(&(0..10).collect::<Vec<_>>()).unwrap();
    insta::assert_snapshot!(
        fitted.grow(&few).unwrap_err(),
        @"the list of models or prompts of the longer history is 10, of the one fitted 40"
    );
}
