use tollgate_core::{Models, Purpose, Queries, Query, Scratch, TokenPrice};
use tollgate_testkit::estimator_conformance::{self, Growth};

use super::*;

const ALL: [HybridParts; 3] = [HybridParts::Retrieval, HybridParts::Trained, HybridParts::Both];

fn recipe(parts: HybridParts, k: usize) -> HybridPredictor {
    HybridPredictorConfig::default().parts(parts).k(k).build().unwrap()
}

/// Prompts in the plane, two models. `a` is more often right in the east, which heads can tell,
/// and where the coordinates are of one sign, which only neighbors can, and costs are alike; `b`
/// is right on every third prompt, which nothing tells.
fn history(n: usize) -> History {
    let mut rng = Seed(3).stream(Purpose::Synthesis, 0);
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    let embeddings: Vec<f32> = (0..2 * n).map(|_| rng.normal() as f32).collect();
    let yes = |so: bool| f64::from(u8::from(so));
    let (mut quality, mut cost) = (Vec::new(), Vec::new());
    for (row, x) in embeddings.chunks_exact(2).enumerate() {
        let (east, alike) = (yes(x[0] > 0.0), yes(x[0] * x[1] > 0.0));
        quality.push(yes(rng.uniform() < 0.1 + 0.5 * east + 0.3 * alike));
        quality.push(yes(row % 3 == 0));
        cost.extend([1, 2].map(|_| 1e-3 * (1.0 + east + 0.5 * alike + 3.0 * rng.uniform())));
    }
    History::new(Models::new(["a", "b"]).unwrap(), 2, embeddings, quality, cost).unwrap()
}

fn estimates(recipe: &HybridPredictor, history: &History, embeddings: &[f32]) -> EstimateTable {
    let estimator = recipe.fit(history, Seed(0)).unwrap();
    let queries = Queries::new(embeddings, history.dim());
    let mut table = EstimateTable::zeros(queries.len(), history.models().len());
    table.fill(|out| estimator.estimate_batch(queries, &mut Scratch::default(), out)).unwrap();
    table
}

#[test]
fn recipes_conform() {
    for parts in ALL {
        estimator_conformance::check(&recipe(parts, 5));
        estimator_conformance::check_growth(&recipe(parts, 5), Growth::ChoicesStay);
    }
}

/// Prices of a full length, so that the suite's models are on the list under both of their names.
fn prices() -> PriceList {
    let price = |output| TokenPrice { input: 1e-6, output };
    let list = [("a", 1e-4), ("b", 1e-5), ("c", 1e-6), ("x", 1e-6), ("y", 1e-5), ("z", 1e-4)];
    PriceList::new(list.map(|(model, output)| (model, price(output)))).unwrap()
}

#[test]
fn recipes_through_lengths_conform() {
    for parts in ALL {
        for lengths in [LengthMode::Continuous, LengthMode::QuantileBuckets] {
            let config = HybridPredictorConfig::default().parts(parts).k(5);
            let recipe = config.lengths(lengths).prices(prices()).buckets(3).build().unwrap();
            estimator_conformance::check(&recipe);
            estimator_conformance::check_growth(&recipe, Growth::ChoicesStay);
        }
    }
}

/// The tokens of prompts are nothing to those who have no prices.
#[test]
fn tokens_count_where_there_are_prices() {
    let (bare, query) = (history(60), [0.6, 0.8]);
    let counted = bare.clone().with_input_tokens((0..60).map(f64::from).collect()).unwrap();
    for parts in ALL {
        let recipe = recipe(parts, 16);
        assert_eq!(estimates(&recipe, &bare, &query), estimates(&recipe, &counted, &query));
        let config = HybridPredictorConfig::default().parts(parts);
        let through = config.prices(prices()).build().unwrap();
        let direct = estimates(&recipe, &counted, &query);
        let through_lengths = estimates(&through, &counted, &query);
        assert_eq!(through_lengths.quality(), direct.quality(), "scores are the same");
        assert_ne!(through_lengths.cost(), direct.cost());
        assert!(matches!(through.fit(&bare, Seed(0)), Err(FitError::NoInputTokens { .. })));
    }
}

/// Three prompts in the east, one in the west where `a` was not run and answers are cheap.
/// Near the east `k = 2` takes two of the three; `a` has no label in the west, so that it
/// counts as nothing: neither as a score of 0 nor as a cost of 0.
#[test]
fn retrieval_by_hand() {
    let embeddings = vec![1.0, 0.0, 0.96, 0.28, 0.6, 0.8, -1.0, 0.0];
    let quality = vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0, f64::NAN, 1.0];
    let cost = vec![0.04, 0.01, 0.04, 0.01, 0.04, 0.01, f64::NAN, 0.01];
    let models = Models::new(["a", "b"]).unwrap();
    let history = History::new(models, 2, embeddings, quality, cost).unwrap();
    let table = estimates(&recipe(HybridParts::Retrieval, 2), &history, &[1.0, 0.1, -1.0, 0.1]);
    let close = |got: &[f64], want: &[f64]| {
        got.iter().zip(want).for_each(|(g, w)| assert!((g - w).abs() < 1e-12, "{got:?}"));
    };
    close(table.row(0).quality, &[0.5, 0.5]);
    close(table.row(0).cost, &[0.04, 0.01]);
    // From the west `a` is known by the third and the second prompt, `b` by the fourth and third.
    close(table.row(1).quality, &[0.5, 1.0]);
    close(table.row(1).cost, &[0.04, 0.01]);
}

/// The blend's held-out error is no more than that of either part, in scores and in costs.
#[test]
fn both_are_no_worse_than_either_on_history() {
    let history = history(300);
    let errors = ALL.map(|parts| {
        let table = recipe(parts, 16).held_out(&history, Seed(0)).unwrap();
        let pairs = table.view().quality.iter().zip(history.quality().iter());
        pairs.map(|(estimate, label)| (estimate - label).powi(2)).sum::<f64>()
    });
    let [retrieval, trained, both] = errors;
    // Weights are learned in units of each model's spread, hence the per cent.
    assert!(both <= 1.01 * retrieval.min(trained), "{errors:?}");
    assert!((retrieval - trained).abs() > 0.1, "the parts differ: {errors:?}");
}

/// Of 400 prompts there are bins to tell from: the standard errors of both are the blend's times
/// one factor for scores and one for costs, and the estimates are the blend's own.
#[test]
fn standard_errors_of_both_are_set_right() {
    let history = history(400);
    let knn = KnnConfig::default().k(16).cost_domain(CostDomain::Log).build().unwrap();
    let plain = inner(HybridParts::Both, knn).held_out(&history, Seed(0)).unwrap();
    let both = recipe(HybridParts::Both, 16).held_out(&history, Seed(0)).unwrap();
    assert_eq!((plain.quality(), plain.cost()), (both.quality(), both.cost()));
    let (plain, both) = (plain.view(), both.view());
    for (plain, both) in [(plain.quality_se, both.quality_se), (plain.cost_se, both.cost_se)] {
        let factor = both[0] / plain[0];
        assert!((factor - 1.0).abs() > 0.05, "{factor}");
        let same = |(both, plain): (&f64, &f64)| (both - factor * plain).abs() <= 1e-12 * plain;
        assert!(both.iter().zip(plain).all(same), "not all by {factor}");
    }
}

/// What is computed stays what it was.
#[test]
fn values_are_stable() {
    let history = history(80);
    let mut lines = String::new();
    for parts in ALL {
        let table = estimates(&recipe(parts, 16), &history, &[0.6, 0.8]);
        let row = table.row(0);
        let line = format!(
            "{:.6?} +- {:.6?}, {:.9?} +- {:.9?}\n",
            row.quality, row.quality_se, row.cost, row.cost_se
        );
        lines.push_str(&line);
    }
    insta::assert_snapshot!(lines, @r"
    [0.812500, 0.375000] +- [0.102508, 0.124636], [0.003472318, 0.004056248] +- [0.000181790, 0.000230086]
    [0.661244, 0.381950] +- [0.091873, 0.095548], [0.003115277, 0.003795557] +- [0.000180915, 0.000212350]
    [0.661244, 0.381950] +- [0.091873, 0.095548], [0.003314982, 0.003941371] +- [0.000181404, 0.000222270]
    ");
}

#[test]
fn names_and_refusals() {
    let config = HybridPredictorConfig::default;
    let name = |config: HybridPredictorConfig| config.build().unwrap().name();
    insta::assert_snapshot!(HybridPredictor::default().name(), @"hybrid-predictor");
    insta::assert_snapshot!(name(config().parts(HybridParts::Retrieval)), @"eccos-r");
    insta::assert_snapshot!(name(config().parts(HybridParts::Trained).k(3)), @"eccos-t");
    insta::assert_snapshot!(name(config().k(50).index(IndexKind::Hnsw)), @"hybrid-predictor(k=50,index=hnsw)");
    let config = || HybridPredictorConfig::default().prices(prices());
    insta::assert_snapshot!(name(config()), @"hybrid-predictor(lengths=continuous)");
    insta::assert_snapshot!(name(config().lengths(LengthMode::FixedBuckets).parts(HybridParts::Trained)), @"eccos-t(lengths=fixed-buckets)");
    insta::assert_snapshot!(name(config().k(3).lengths(LengthMode::QuantileBuckets).buckets(5)), @"hybrid-predictor(k=3,lengths=quantile-buckets,buckets=5)");
    insta::assert_snapshot!(config().buckets(0).build().unwrap_err(), @"`buckets` must be >= 1 and <= 100, got 0");
    insta::assert_snapshot!(config().k(0).build().unwrap_err(), @"`k` must be >= 1, got 0");
}

/// An estimate of a query by itself, so that the snapshot above is of what serves.
#[test]
fn one_query_equals_a_batch() {
    let history = history(60);
    let estimator = HybridPredictor::default().fit(&history, Seed(0)).unwrap();
    let mut one = EstimateTable::zeros(1, 2);
    let query = Query::new(&[0.6, 0.8]);
    one.fill(|out| estimator.estimate_into(query, &mut Scratch::default(), out)).unwrap();
    let batch = estimates(&HybridPredictor::default(), &history, &[0.6, 0.8]);
    assert_eq!(one.row(0).quality, batch.row(0).quality);
    assert_eq!(one.row(0).cost, batch.row(0).cost);
}
