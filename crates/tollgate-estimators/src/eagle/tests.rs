use tollgate_core::{Models, Purpose};
use tollgate_testkit::estimator_conformance::{self, Growth};

use super::*;
use crate::calibration::coverage;

const GAP: f64 = f64::NAN;

fn assert_close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-9, "{got}, expected {expected}");
    }
}

/// Prompts in the plane, two models that cost 2 and 1 cents.
fn history(prompts: &[([f32; 2], [f64; 2])]) -> History {
    let embeddings = prompts.iter().flat_map(|(x, _)| *x).collect();
    let quality: Vec<f64> = prompts.iter().flat_map(|(_, y)| *y).collect();
    let cost = [0.02, 0.01].repeat(prompts.len());
    History::new(Models::new(["a", "b"]).unwrap(), 2, embeddings, quality, cost).unwrap()
}

const EAST: [f32; 2] = [1.0, 0.0];
const NORTH: [f32; 2] = [0.0, 1.0];

/// Three players, 32 / 2 points a game: each of the two winners draws with the other and
/// beats the third, 16 * (0 + 1/2) = 8; the third loses 16. Then only 0 and 2 play, for all
/// 32 points: `E = 1 / (1 + 10^(-24 / 400))`.
#[test]
fn rounds_by_hand() {
    let (mut ratings, mut moved) = ([START; 3], [0.0; 3]);
    let (mut powers, mut moves) = ([0.0; 3], [0.0; 3]);
    let mut play = Play { ratings: &mut ratings, moved: &mut moved };
    assert!(play.round(&[1.0, 1.0, 0.25], 32.0, &mut powers, &mut moves));
    assert_close(play.ratings, &[1508.0, 1508.0, 1484.0]);
    assert_close(play.moved, &[64.0, 64.0, 256.0]);
    assert!(play.round(&[0.0, GAP, 0.5], 32.0, &mut powers, &mut moves));
    let upset = 32.0 / (1.0 + 10_f64.powf(-24.0 / 400.0));
    assert_close(play.ratings, &[1508.0 - upset, 1508.0, 1484.0 + upset]);
    for no_game in [[GAP, 1.0, GAP], [GAP; 3]] {
        assert!(!play.round(&no_game, 32.0, &mut powers, &mut moves));
    }
    assert_close(play.ratings, &[1508.0 - upset, 1508.0, 1484.0 + upset]);
}

/// What is ranked by, before it becomes a score.
fn points(estimator: &EagleEstimator, embedding: [f32; 2]) -> Vec<f64> {
    let n_models = estimator.n_models();
    let mut table = EstimateTable::zeros(1, n_models);
    let mut scratch = Scratch::default();
    let (n, query) = (estimator.recipe.neighbors, Query::new(&embedding));
    estimator.index.nearest_into(query, n, &estimator.played, None, &mut scratch).unwrap();
    let neighbors = &scratch.child(0).scored;
    table.fill(|mut out| estimator.raw(&estimator.global, None, neighbors, &mut out));
    table.row(0).quality.to_vec()
}

/// The east is won by `a`, the north by `b`, in this order. Globally `a` is at 1516 and then
/// loses `32 E`, `E = 1 / (1 + 10^(-32 / 400))`; the mean of both is what counts. Near the
/// east only the first game is played.
#[test]
fn global_and_local_by_hand() {
    let history = history(&[(EAST, [1.0, 0.0]), (NORTH, [0.0, 1.0])]);
    let recipe = EagleConfig { neighbors: 1, global: 0.25, ..EagleConfig::default() };
    let (estimator, _) = recipe.build().unwrap().both(&history, Seed(0)).unwrap();
    let lost = 32.0 / (1.0 + 10_f64.powf(-32.0 / 400.0));
    let global = 1516.0 - lost / 2.0;
    assert_close(&[estimator.global.mean(0)], &[global]);
    let east = 0.25 * global + 0.75 * 1516.0;
    assert_close(&points(&estimator, EAST), &[east, 3000.0 - east]);
    let north = 0.25 * global + 0.75 * 1484.0;
    assert_close(&points(&estimator, NORTH), &[north, 3000.0 - north]);
}

/// The nearest is played last, and counts the most: nobody won both, but `b` won here.
#[test]
fn the_nearest_is_played_last() {
    let history = history(&[(EAST, [1.0, 0.0]), (NORTH, [0.0, 1.0])]);
    let recipe = EagleConfig { global: 0.0, ..EagleConfig::default() }.build().unwrap();
    let (estimator, _) = recipe.both(&history, Seed(0)).unwrap();
    let lost = 32.0 / (1.0 + 10_f64.powf(-32.0 / 400.0));
    assert_close(&points(&estimator, NORTH), &[1516.0 - lost, 1484.0 + lost]);
    assert_close(&points(&estimator, EAST), &[1484.0 + lost, 1516.0 - lost]);
}

/// The quarter of a share of a full turn, from 0.
fn quarter(turn: f64) -> usize {
    [0.25, 0.5, 0.75].iter().filter(|&&end| turn >= end).count()
}

/// Prompts in four quarters of the plane; model `i` is good in quarter `i` and `d` nowhere,
/// each with its own luck.
fn world(n: usize, seed: u64) -> History {
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    let (mut embeddings, mut quality, mut cost) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..n {
        let turn = rng.uniform();
        let angle = turn * std::f64::consts::TAU;
        let vector = [angle.cos(), angle.sin(), 0.0, 0.0];
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        embeddings.extend(vector.map(|x| (x + 0.05 * rng.normal()) as f32));
        for model in 0..4 {
            let home = model < 3 && quarter(turn) == model;
            quality.push(f64::from(rng.uniform() < if home { 0.9 } else { 0.4 }));
            cost.push(1e-3 * (0.5 + rng.uniform()) * if home { 2.0 } else { 1.0 });
        }
    }
    let models = Models::new(["a", "b", "c", "d"]).unwrap();
    History::new(models, 4, embeddings, quality, cost).unwrap()
}

fn estimates(estimator: &dyn Estimator, of: &History) -> EstimateTable {
    let mut table = EstimateTable::zeros(of.len(), of.models().len());
    table.fill(|out| estimator.estimate_batch(of.queries(), &mut Scratch::default(), out)).unwrap();
    table
}

/// Whoever is at home is picked, nine times in ten.
#[test]
fn the_local_champion_is_found() {
    let estimator = Eagle::default().fit(&world(2_000, 1), Seed(0)).unwrap();
    let (mut right, mut asked) = (0, 0);
    for step in 0..300_u32 {
        let turn = f64::from(step) / 400.0;
        // Near a border nobody knows.
        if !(0.1..0.9).contains(&(turn * 4.0).fract()) {
            continue;
        }
        let angle = turn * std::f64::consts::TAU;
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        let embedding = [angle.cos() as f32, angle.sin() as f32, 0.0, 0.0];
        let mut table = EstimateTable::zeros(1, 4);
        let query = Query::new(&embedding);
        table.fill(|out| estimator.estimate_into(query, &mut Scratch::default(), out)).unwrap();
        let quality = table.row(0).quality;
        let best = (0..4).max_by(|&a, &b| quality[a].total_cmp(&quality[b])).unwrap();
        right += usize::from(best == quarter(turn));
        asked += 1;
    }
    assert!(asked > 200 && 10 * right >= 9 * asked, "{right} of {asked}");
}

/// Expected scores are on the scale of scores: right on average, and their standard errors
/// hold over bins of prompts that were never seen.
#[test]
fn scores_and_errors_are_honest() {
    let (history, fresh) = (world(3_000, 2), world(3_000, 3));
    let estimator = Eagle::default().fit(&history, Seed(0)).unwrap();
    let table = estimates(&*estimator, &fresh);
    let mean = |column: &[f64]| column.iter().sum::<f64>() / column.len() as f64;
    let (got, truth) = (mean(table.view().quality), mean(fresh.quality()));
    assert!((got - truth).abs() < 0.02, "{got}, {truth}");
    let covered = coverage(&table, &fresh).unwrap();
    assert!(covered >= 0.8, "{covered}");
    let largest = table.view().quality_se.iter().copied().fold(0.0, f64::max);
    assert!(largest < 0.25, "{largest} says nothing");
}

/// Flipping the scores of one prompt moves what is held out for others, and not for itself.
#[test]
fn a_prompt_does_not_play_for_itself() {
    let before = world(120, 4);
    let mut quality = before.quality().to_vec();
    quality[7 * 4..8 * 4].iter_mut().for_each(|score| *score = 1.0 - *score);
    let (embeddings, cost) = (before.embeddings().to_vec(), before.cost().to_vec());
    let after = History::new(before.models().clone(), 4, embeddings, quality, cost).unwrap();
    let raw = |history: &History| {
        let (estimator, _) = Eagle::default().both(history, Seed(0)).unwrap();
        estimator.raw_held_out(history)
    };
    let (before, after) = (raw(&before), raw(&after));
    assert_eq!(before.row(7).quality, after.row(7).quality);
    let others = (0..120).filter(|&row| before.row(row).quality != after.row(row).quality);
    assert!(others.count() > 100, "its part apart, all play against it");
}

/// Growing goes on with the games: bit for bit the ratings of the longer history.
#[test]
fn ratings_go_on() {
    let (short, more) = (world(200, 5), world(50, 6));
    let longer =
        short.append(more.embeddings(), more.quality().to_vec(), more.cost().to_vec()).unwrap();
    let mut ratings = Ratings::new(4);
    for scores in longer.quality().chunks(4) {
        ratings.play(scores, 32.0);
    }
    let (fitted, _) = Eagle::default().both(&longer, Seed(0)).unwrap();
    for model in 0..4 {
        assert_eq!(ratings.mean(model).to_bits(), fitted.global.mean(model).to_bits());
    }
    // The grown snapshot differs by the map alone, which stays: the order of the models is
    // that of the points.
    let grown = Eagle::default().fit(&short, Seed(0)).unwrap().grow(&longer).unwrap();
    let (grown, fitted) = (estimates(&*grown, &more), estimates(&fitted, &more));
    let order = |row: &[f64]| {
        let mut order: Vec<usize> = (0..4).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        order
    };
    for row in 0..50 {
        assert_eq!(order(grown.row(row).quality), order(fitted.row(row).quality), "{row}");
        assert_eq!(grown.row(row).cost, fitted.row(row).cost, "{row}");
    }
}

#[test]
fn costs_by_hand_and_of_models_that_are_not_near() {
    // Nobody near the east has asked `b`; two others have, at 1 and 3 cents.
    let embeddings = [EAST, EAST, NORTH, NORTH].concat();
    let quality = vec![1.0, GAP, 0.0, GAP, 1.0, 0.0, 0.0, 1.0];
    let cost = vec![0.02, GAP, 0.04, GAP, 0.06, 0.01, 0.08, 0.03];
    let models = Models::new(["a", "b"]).unwrap();
    let history = History::new(models, 2, embeddings, quality, cost).unwrap();
    let recipe = EagleConfig { neighbors: 2, ..EagleConfig::default() }.build().unwrap();
    let (estimator, _) = recipe.both(&history, Seed(0)).unwrap();
    // Only rows 2 and 3 are games, so they are the two that are nearest.
    let mut table = EstimateTable::zeros(1, 2);
    let query = Query::new(&EAST);
    table.fill(|out| estimator.estimate_into(query, &mut Scratch::default(), out)).unwrap();
    assert_close(table.row(0).cost, &[0.07, 0.02]);
    assert_close(&[estimator.cost(1, None, &[(1.0, 0)]).0], &[0.02]);
    assert_close(&[estimator.cost(1, Some(3), &[(1.0, 0)]).0], &[0.01]);
}

#[test]
fn refusals() {
    let refuse = |neighbors, global, points| {
        let config = EagleConfig { neighbors, global, points, index: IndexKind::Scan };
        config.build().unwrap_err().to_string()
    };
    insta::assert_snapshot!(refuse(0, 0.5, 32.0), @"`neighbors` must be >= 1, got 0");
    insta::assert_snapshot!(refuse(20, 1.5, 32.0), @"`global` must be in [0, 1], got 1.5");
    insta::assert_snapshot!(refuse(20, f64::NAN, 32.0), @"`global` must be in [0, 1], got NaN");
    insta::assert_snapshot!(refuse(20, 0.5, 0.0), @"`points` must be in (0, 400], got 0");
    insta::assert_snapshot!(refuse(20, 0.5, f64::NAN), @"`points` must be in (0, 400], got NaN");
}

#[test]
fn names_say_what_differs() {
    let name = |config: EagleConfig| config.build().unwrap().name();
    assert_eq!(name(EagleConfig::default()), "eagle");
    let other = EagleConfig { neighbors: 40, global: 0.25, points: 16.0, index: IndexKind::Hnsw };
    assert_eq!(name(other), "eagle(neighbors=40,global=0.25,points=16,index=hnsw)");
}

#[test]
fn it_conforms() {
    estimator_conformance::check(&Eagle::default());
    let local = EagleConfig { neighbors: 3, global: 0.0, ..EagleConfig::default() };
    estimator_conformance::check(&local.build().unwrap());
}

#[test]
fn it_grows() {
    estimator_conformance::check_growth(&Eagle::default(), Growth::ChoicesStay);
}
