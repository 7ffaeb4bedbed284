use tollgate_core::Purpose;
use tollgate_testkit::estimator_conformance::{self, Growth};

use super::*;

const DIM: usize = 8;

/// Scores with log odds that are linear in the embedding, costs whose logarithms are, up to
/// noise; the second model is labelled on every third prompt. Answers the expected scores.
#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
fn linear_history(n: usize, seed: u64) -> (History, Vec<f64>) {
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    let (mut embeddings, mut quality, mut cost, mut truth) = (vec![], vec![], vec![], vec![]);
    for row in 0..n {
        let raw: Vec<f64> = (0..DIM).map(|_| rng.normal()).collect();
        let norm = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
        embeddings.extend(raw.iter().map(|&x| x as f32));
        for (model, x) in raw[..2].iter().enumerate() {
            let direction = x / norm;
            let expected = 1.0 / (1.0 + (-4.0 * direction).exp());
            let usd = 1e-3 * (2.0 * direction + 0.5 * rng.normal()).exp();
            let gap = model == 1 && row % 3 != 0;
            let label = |value: f64| if gap { f64::NAN } else { value };
            quality.push(label(f64::from(u8::from(rng.uniform() < expected))));
            cost.push(label(usd));
            truth.push(expected);
        }
    }
    let models = Models::new(["a", "b"]).unwrap();
    (History::new(models, DIM, embeddings, quality, cost).unwrap(), truth)
}

#[test]
fn recipes_conform() {
    for config in [TrainedConfig::default(), TrainedConfig::default().penalty(0.3)] {
        estimator_conformance::check(&config.build().unwrap());
    }
}

#[test]
fn snapshots_grow() {
    estimator_conformance::check_growth(&Trained::default(), Growth::ChoicesStay);
    let given = TrainedConfig::default().penalty(0.3).build().unwrap();
    estimator_conformance::check_growth(&given, Growth::AsFitted);
}

/// What is held out is what is predicted when a prompt is really left out: for costs up to
/// the noise and the smearing factor, which are those of all prompts; for scores up to the
/// change of curvature.
#[test]
fn held_out_is_a_fit_without_the_row() {
    let (history, _) = linear_history(90, 1);
    let recipe = TrainedConfig::default().penalty(1.0).build().unwrap();
    let held_out = recipe.held_out(&history, Seed(0)).unwrap();
    let all = recipe.fit_trained(&history).unwrap();
    for row in (0..90).step_by(7) {
        let others: Vec<usize> = (0..90).filter(|&other| other != row).collect();
        let rest = history.select(&others).unwrap();
        // The same penalty, whose unit is another without the row.
        let unit = |fit: &TrainedEstimator| fit.sets[0].spectrum.scale();
        let penalty = unit(&all) / unit(&recipe.fit_trained(&rest).unwrap());
        let fit = TrainedConfig::default().penalty(penalty).build().unwrap();
        let fit = fit.fit_trained(&rest).unwrap();
        let mut table = EstimateTable::zeros(1, 2);
        let query = history.queries().query(row);
        table.fill(|out| fit.estimate_into(query, &mut Scratch::default(), out)).unwrap();
        let smear = |fit: &TrainedEstimator| match fit.sets[0].heads[0].costs.unit {
            Unit::Log { smear } => smear,
            Unit::Usd { .. } => panic!("no answer was free"),
        };
        let (got, expected) = (held_out.row(row), table.row(0));
        let ratio = got.cost[0] / expected.cost[0] * smear(&fit) / smear(&all);
        assert!((ratio - 1.0).abs() < 1e-5, "{ratio}");
        let off = (got.quality[0] - expected.quality[0]).abs();
        assert!(off < 0.02, "row {row} is off by {off}");
    }
}

/// On what it assumes, it is right, and knows how nearly.
#[test]
fn learns_what_is_linear() {
    let (mut inside, mut all, mut squares) = (0_u32, 0_u32, 0.0);
    for seed in 0..10 {
        let (history, _) = linear_history(900, seed);
        let estimator = Trained::default().fit_trained(&history).unwrap();
        let (fresh, truth) = linear_history(90, seed + 100);
        let mut table = EstimateTable::zeros(90, 2);
        table
            .fill(|out| estimator.estimate_batch(fresh.queries(), &mut Scratch::default(), out))
            .unwrap();
        let rows = table.view();
        for ((q, se), truth) in rows.quality.iter().zip(rows.quality_se).zip(&truth) {
            inside += u32::from((q - truth).abs() <= 1.96 * se);
            all += 1;
            squares += (q - truth).powi(2);
        }
        let costs = rows.cost.iter().zip(fresh.cost().iter()).filter(|pair| !pair.1.is_nan());
        let (predicted, real) = costs.fold((0.0, 0.0), |sum, (p, r)| (sum.0 + p, sum.1 + r));
        assert!((predicted / real - 1.0).abs() < 0.2, "costs are off by {}", predicted / real);
    }
    // Nine numbers from 900 labels and from 300 are good to `q (1 - q) sqrt(9 / (n s))`,
    // 0.045 and 0.08 with a curvature `s` of 0.2.
    let rmse = (squares / f64::from(all)).sqrt();
    assert!(rmse < 0.07, "{rmse}");
    let share = f64::from(inside) / f64::from(all);
    assert!((0.9..0.99).contains(&share), "{share}");
}

#[test]
fn threads_do_not_matter() {
    let (history, _) = linear_history(200, 2);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Trained::default().held_out(&history, Seed(0)).unwrap())
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn names_and_refusals() {
    let name = |config: TrainedConfig| config.build().unwrap().name();
    insta::assert_snapshot!(name(TrainedConfig::default()), @"trained");
    insta::assert_snapshot!(name(TrainedConfig::default().penalty(3.0)), @"trained(penalty=3)");
    for got in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = TrainedConfig::default().penalty(got).build().unwrap_err();
        assert_eq!(error.to_string(), format!("`penalty` must be finite and > 0, got {got}"));
    }
}
