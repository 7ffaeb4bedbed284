use tollgate::data::TableParts;

use super::super::testing::{recipe, table};
use super::*;

/// Models `b` and `c` are unseen, and prompts 8 to 11 routed.
fn cut() -> Cut {
    Cut {
        seen: vec![0, 3],
        unseen: vec![1, 2],
        training: (0..4).collect(),
        validation: (4..8).collect(),
        test: (8..12).collect(),
    }
}

fn trial(table: &Table) -> Trial<'_> {
    Trial::of(table, cut(), Costs::PerModel, Seed(1)).unwrap()
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} and {b}");
}

/// `c` at 4 USD answers the first cluster, `b` at 2 USD the second: each is right on half of
/// the prompts, and a router that knows the clusters on all, for 3 USD. Only when the price
/// is above 1 / 2 do all go to `b`.
#[test]
fn clusters_by_hand() {
    let table = table();
    let trial = trial(&table);
    assert_eq!(trial.price_list(), [2.0, 4.0]);
    let expected = trial.expected(&Kind::Pool(recipe())).unwrap();
    assert_eq!(expected, [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    assert_eq!(expected, trial.expected(&Kind::Oracle).unwrap());
    assert_eq!(expected, trial.expected(&Kind::Clairvoyant(recipe())).unwrap());
    assert_eq!(expected, trial.expected(&Kind::Retrained(recipe())).unwrap());
    let by = trial.yardstick();
    assert_eq!(by, Yardstick { least: 2.0, most: 4.0, best: Some((0.5, 2.0)) });
    let (curve, scores) = trial.scores(&expected);
    let points: Vec<_> = curve.points().iter().map(|p| (p.price, p.cost, p.quality)).collect();
    assert_eq!(points, [(0.0, 3.0, 1.0), (0.5, 2.0, 0.5)]);
    // 0.5 up to 2 USD, then 0.75 up to 3, then 1.
    close(scores.area, (1.0 + 0.75 + 1.0) / 4.0);
    close(scores.half_area, 0.5);
    close(scores.neutral_cost.unwrap(), 1.0);
    close(scores.peak, 1.0);
    close(scores.aiq, 0.875);
}

/// Both models have the same mean: the cheaper one is all there is.
#[test]
fn zero_router_by_hand() {
    let table = table();
    let (curve, scores) = trial(&table).scores(&trial(&table).expected(&Kind::ZeroRouter).unwrap());
    assert_eq!(curve.points().len(), 1);
    close(scores.area, 0.5);
    close(scores.peak, 0.5);
    // Equal on validation, so there is no strong model beside the weak one.
    assert_eq!(scores.recovery, None);
}

#[test]
fn realised_costs_are_those_of_the_prompts() {
    let table = table();
    let cost = table.cost().iter().enumerate().map(|(cell, usd)| {
        // The last prompt is ten times as dear on every model.
        if cell / 4 == 11 { 10.0 * usd } else { *usd }
    });
    let parts = TableParts {
        name: "test".to_owned(),
        models: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
        tasks: Vec::new(),
        quality: table.quality().to_vec(),
        cost: cost.collect(),
        dim: 2,
        embeddings: table.embeddings().to_vec(),
    };
    let table = Table::new(parts).unwrap();
    let trial = Trial::of(&table, cut(), Costs::Realised, Seed(1)).unwrap();
    let (curve, _) = trial.scores(&trial.expected(&Kind::Oracle).unwrap());
    // 4 + 2 + 4 + 20 over four prompts.
    close(curve.points()[0].cost, 7.5);
    let by = trial.yardstick();
    assert_eq!((by.least, by.most), ((2.0 * 3.0 + 20.0) / 4.0, (4.0 * 3.0 + 40.0) / 4.0));
}

/// As [`table`], with `b` run on the second cluster alone, where it is always right, and prompt
/// 8 on no unseen model.
fn gapped() -> Table {
    let table = table();
    let gap = |cell: usize| {
        let (prompt, model) = (cell / 4, cell % 4);
        model == 1 && prompt % 2 == 0 || model == 2 && prompt == 8
    };
    let with_gaps = |values: &[f64]| -> Vec<f64> {
        let cells = values.iter().enumerate();
        cells.map(|(cell, x)| if gap(cell) { f64::NAN } else { *x }).collect()
    };
    let parts = TableParts {
        name: "test".to_owned(),
        models: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
        tasks: Vec::new(),
        quality: with_gaps(table.quality()),
        cost: with_gaps(table.cost()),
        dim: 2,
        embeddings: table.embeddings().to_vec(),
    };
    Table::new(parts).unwrap()
}

#[test]
fn gaps_are_no_options() {
    let table = gapped();
    let trial = trial(&table);
    assert_eq!(trial.n_prompts(), 3);
    let shape = |expected: &[f64]| expected.iter().map(|x| x.is_nan()).collect::<Vec<_>>();
    let gaps = [false, false, true, false, false, false];
    for kind in [Kind::ZeroRouter, Kind::Oracle, Kind::Pool(recipe()), Kind::Retrained(recipe())] {
        assert_eq!(shape(&trial.expected(&kind).unwrap()), gaps, "{kind:?}");
    }
    let by = trial.yardstick();
    // Prompts 9, 10, 11: on prompt 10 there is `c` alone. `c` was run on all three, and is
    // right on that one.
    close(by.least, (2.0 + 4.0 + 2.0) / 3.0);
    close(by.most, 4.0);
    let (quality, cost) = by.best.unwrap();
    close(quality, 1.0 / 3.0);
    close(cost, 4.0);
    let (_, scores) = trial.scores(&trial.expected(&Kind::Pool(recipe())).unwrap());
    close(scores.peak, 1.0);
}

/// Scores 1, 1 on the first prompt, 0, 0 on the second; the third model was run on the first
/// alone, and is no better than the others there: neither is it expected to be.
#[test]
fn easy_prompts_are_no_merit() {
    let nan = f64::NAN;
    let quality: Arc<[f64]> = [1.0, 1.0, 1.0, 0.0, 0.0, nan, 1.0, 0.0, nan].into();
    let worth = adjusted_means(&quality, 3);
    assert!((worth[0] - worth[1] - 1.0 / 3.0).abs() < 1e-9, "{worth:?}");
    // On its prompt all three are right: `a` is worth `b_1` less than 1 there, and so on. By
    // the normal equations its worth is the mean of the other two.
    assert!((worth[2] - f64::midpoint(worth[0], worth[1])).abs() < 1e-9, "{worth:?}");
    let complete: Arc<[f64]> = [1.0, 0.5, 0.0, 0.5].into();
    assert_eq!(adjusted_means(&complete, 2), [0.5, 0.5]);
}

#[test]
fn a_recipe_that_is_no_pool_is_named() {
    let table = table();
    let knn = tollgate::registry::estimator(&"knn:k=2".parse().unwrap()).unwrap();
    let error = trial(&table).expected(&Kind::Pool(knn)).unwrap_err();
    insta::assert_snapshot!(
        error,
        @"`knn(k=2)` takes its models from its history: none can be added"
    );
}
