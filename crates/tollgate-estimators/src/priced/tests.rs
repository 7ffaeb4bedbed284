use proptest::prelude::*;
use tollgate_core::{Purpose, TokenPrice};
use tollgate_testkit::estimator_conformance::{self, Growth};

use super::buckets::expect;
use super::*;
use crate::{Blend, BlendWeights, KnnConfig, Trained};

const MODES: [LengthMode; 3] =
    [LengthMode::Continuous, LengthMode::QuantileBuckets, LengthMode::FixedBuckets];

fn price(input: f64, output: f64) -> TokenPrice {
    TokenPrice { input, output }
}

fn knn(k: usize) -> Arc<dyn Fit> {
    Arc::new(KnnConfig::default().k(k).build().unwrap())
}

fn priced(recipe: Arc<dyn Fit>, prices: &PriceList, mode: LengthMode, buckets: usize) -> Priced {
    Priced::new(recipe, prices.clone()).lengths(mode, buckets).unwrap()
}

/// Estimates of prompts of one dimension, or two.
fn ask(estimator: &dyn Estimator, queries: Queries<'_>) -> EstimateTable {
    let mut table = EstimateTable::zeros(queries.len(), estimator.models().len());
    table.fill(|out| estimator.estimate_batch(queries, &mut Scratch::default(), out)).unwrap();
    table
}

/// The suite's models, and their names in reverse: one costs ten times the next, one has free
/// output, and short answers do not pay for long prompts.
fn suite_prices() -> PriceList {
    let [first, second, third] = [price(5e-5, 1e-4), price(3e-5, 1e-5), price(1e-6, 0.0)];
    let list = [("a", first), ("b", second), ("c", third)];
    PriceList::new(list.into_iter().chain([("x", third), ("y", second), ("z", first)])).unwrap()
}

#[test]
fn recipes_conform() {
    for mode in MODES {
        let both: Vec<Arc<dyn Fit>> = vec![knn(5), Arc::new(Trained::default())];
        let blend = Arc::new(Blend::new(both, BlendWeights::Learned).unwrap());
        for recipe in [knn(4), Arc::new(Trained::default()), blend as Arc<dyn Fit>] {
            let recipe = priced(recipe, &suite_prices(), mode, 4);
            estimator_conformance::check(&recipe);
            estimator_conformance::check_growth(&recipe, Growth::ChoicesStay);
        }
    }
}

/// Two prompts of 10 and 20 tokens at 2 a token, answered by 5 and 3 tokens at 8: 60 and 64. A
/// prompt of 100 tokens like the first costs 200 and 40. One of unknown length counts as 15.
#[test]
fn costs_by_hand() {
    let models = Models::new(["m"]).unwrap();
    let history =
        History::new(models, 2, vec![1.0, 0.0, 0.0, 1.0], vec![1.0, 0.0], vec![60.0, 64.0])
            .and_then(|history| history.with_input_tokens(vec![10.0, 20.0]))
            .unwrap();
    let list = PriceList::new([("m", price(2.0, 8.0)), ("other", price(1.0, 1.0))]).unwrap();
    let estimator = Priced::new(knn(1), list.clone()).fit(&history, Seed(0)).unwrap();
    let near = Queries::new(&[1.0, 0.1, 0.1, 1.0], 2);
    let table = ask(estimator.as_ref(), near.input_tokens(Some(&[100.0, 0.0])));
    assert_eq!(table.cost()[..], [240.0, 24.0]);
    assert_eq!(table.quality()[..], [1.0, 0.0]);
    assert_eq!(ask(estimator.as_ref(), near).cost()[..], [70.0, 54.0]);
    // The standard error of the length, at 8 a token; the prompt's share is certain.
    let lengths = history.with_cost(vec![5.0, 3.0]).unwrap();
    let plain = ask(knn(1).fit(&lengths, Seed(0)).unwrap().as_ref(), near);
    assert!((table.view().cost_se[0] - 8.0 * plain.view().cost_se[0]).abs() < 1e-12);
    // Without its own label each prompt is thought to be as the other.
    let held_out = Priced::new(knn(1), list).held_out(&history, Seed(0)).unwrap();
    assert_eq!(held_out.cost()[..], [20.0 + 24.0, 40.0 + 40.0]);
}

/// An answer that did not pay for its prompt has one token, and so have all whose output is free;
/// a gap stays one.
#[test]
fn lengths_that_costs_do_not_tell() {
    let models = Models::new(["free", "m"]).unwrap();
    let cost = vec![10.0, 5.0, 7.0, f64::NAN, 30.0, 28.0];
    let history = History::new(models, 1, vec![1.0; 3], vec![0.5; 6], cost)
        .and_then(|history| history.with_input_tokens(vec![10.0; 3]))
        .unwrap();
    let list = PriceList::new([("free", price(1.0, 0.0)), ("m", price(1.0, 6.0))]).unwrap();
    let tariff = Tariff::new(&list, &history, String::new).unwrap();
    let lengths = tariff.lengths(&history);
    assert_eq!(lengths.cost()[..3], [1.0, 1.0, 1.0]);
    assert!(lengths.cost()[3].is_nan() && lengths.quality()[3].is_nan());
    assert_eq!(lengths.cost()[4..], [1.0, 3.0]);
    for mode in MODES {
        let estimator = priced(knn(2), &list, mode, 3).fit(&history, Seed(0)).unwrap();
        let table = ask(estimator.as_ref(), Queries::new(&[1.0], 1).input_tokens(Some(&[7.0])));
        let row = table.row(0);
        assert_eq!((row.cost[0], row.cost_se[0]), (7.0, 0.0), "the price of the prompt");
        assert!(row.cost[1] >= 7.0 + 6.0, "and at least one token");
    }
}

/// Lengths of 10, 20, 30 and 40: two buckets, with means of 15 and 35. The two prompts that are
/// nearest have one each.
#[test]
fn shares_by_hand() {
    let models = Models::new(["m"]).unwrap();
    let embeddings = vec![1.0, 0.0, 0.8, 0.6, 0.6, 0.8, 0.0, 1.0];
    let cost = vec![10.0, 20.0, 30.0, 40.0];
    let history = History::new(models, 2, embeddings, vec![1.0; 4], cost)
        .and_then(|history| history.with_input_tokens(vec![0.0; 4]))
        .unwrap();
    let list = PriceList::new([("m", price(0.0, 1.0))]).unwrap();
    let of = |mode, buckets, k, query: &[f32; 2]| {
        let estimator = priced(knn(k), &list, mode, buckets).fit(&history, Seed(0)).unwrap();
        ask(estimator.as_ref(), Queries::new(query, 2)).cost().clone()
    };
    let quantiles = LengthMode::QuantileBuckets;
    assert_eq!(of(quantiles, 2, 2, &[1.0, 1.0])[..], [25.0]);
    assert_eq!(of(quantiles, 2, 2, &[0.0, 1.0])[..], [35.0]);
    assert_eq!(of(quantiles, 2, 4, &[0.0, 1.0])[..], [25.0]);
    // Over 1,024 tokens all are in the first of ten, whose mean is 25.
    assert_eq!(of(LengthMode::FixedBuckets, 10, 1, &[0.0, 1.0])[..], [25.0]);
    // In 50 buckets of 20.48 they are two and two, as they are in 40 of 25.6.
    assert_eq!(of(LengthMode::FixedBuckets, 50, 1, &[0.0, 1.0])[..], [35.0]);
}

/// By (4): 25 +- 10 times 0.1 and 0.2 are sqrt(1 + 4), in any unit of shares.
#[test]
fn errors_of_shares_by_hand() {
    let buckets = LengthBuckets::quantiles(&[10.0, 20.0, 30.0, 40.0], 2).unwrap();
    let close = |(length, se): (f64, f64), want: (f64, f64)| {
        assert!((length - want.0).abs() < 1e-12 && (se - want.1).abs() < 1e-12, "{length} +- {se}");
    };
    close(expect(&buckets, &[0.5, 0.5], &[0.1, 0.2]), (25.0, 5.0_f64.sqrt()));
    close(expect(&buckets, &[1.0, 1.0], &[0.2, 0.4]), (25.0, 5.0_f64.sqrt()));
    close(expect(&buckets, &[1.0, 0.0], &[0.0, 0.0]), (15.0, 0.0));
    close(expect(&buckets, &[0.0, 0.0], &[0.1, 0.2]), (25.0, 5.0_f64.sqrt()));
}

/// Prompts of random lengths, answers of about 100 tokens: a third of the variance is left of
/// what a recipe leaves that has to guess how long the prompt was.
#[test]
fn what_prompts_cost_is_known() {
    let mut rng = Seed(5).stream(Purpose::Synthesis, 0);
    let n = 200;
    #[expect(clippy::cast_possible_truncation, reason = "any f32 will do")]
    let embeddings: Vec<f32> = (0..2 * n).map(|_| rng.normal() as f32).collect();
    let tokens: Vec<f64> = (0..n).map(|_| 1000.0 * rng.uniform()).collect();
    let cost: Vec<f64> = tokens.iter().map(|t| t + 95.0 + 10.0 * rng.uniform()).collect();
    let history = History::new(Models::new(["m"]).unwrap(), 2, embeddings, vec![1.0; n], cost)
        .and_then(|history| history.with_input_tokens(tokens))
        .unwrap();
    let list = PriceList::new([("m", price(1.0, 1.0))]).unwrap();
    let error = |recipe: &dyn Fit| {
        let table = recipe.held_out(&history, Seed(0)).unwrap();
        let pairs = table.cost().iter().zip(history.cost().iter());
        pairs.map(|(expected, real)| (expected - real).powi(2)).sum::<f64>() / n as f64
    };
    let direct = error(knn(16).as_ref());
    assert!(direct > 5e4, "about 1000^2 / 12: {direct}");
    for mode in MODES {
        let through = error(&priced(knn(16), &list, mode, 10));
        // 10^2 / 12, and a little for the mean; within a bucket nothing is told apart.
        assert!(through < 12.0, "{}: {through}", mode.name());
    }
}

/// Both at once are what they are by themselves.
#[test]
fn fitted_and_held_out_together() {
    let history = random(60, 3);
    for mode in MODES {
        let recipe = priced(knn(5), &suite_prices(), mode, 4);
        let (estimator, held_out) = recipe.fit_and_hold_out(&history, Seed(0)).unwrap();
        assert_eq!(held_out, recipe.held_out(&history, Seed(0)).unwrap(), "{}", mode.name());
        let alone = recipe.fit(&history, Seed(0)).unwrap();
        let queries = history.queries();
        assert_eq!(ask(estimator.as_ref(), queries), ask(alone.as_ref(), queries));
    }
}

/// Two models with gaps.
fn random(n: usize, seed: u64) -> History {
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    #[expect(clippy::cast_possible_truncation, reason = "any f32 will do")]
    let embeddings: Vec<f32> = (0..2 * n).map(|_| rng.normal() as f32).collect();
    let mut column = |gaps: usize, scale: f64| -> Vec<f64> {
        let cell = |cell: usize| if cell % 7 == gaps { f64::NAN } else { scale * rng.uniform() };
        (0..2 * n).map(cell).collect()
    };
    let (quality, cost) = (column(3, 1.0), column(3, 0.01));
    let tokens = (0..n).map(|row| (row % 50) as f64).collect();
    History::new(Models::new(["a", "b"]).unwrap(), 2, embeddings, quality, cost)
        .and_then(|history| history.with_input_tokens(tokens))
        .unwrap()
}

proptest! {
    /// Where prompts are free and answers are longer than a token, lengths are costs in another
    /// unit.
    #[test]
    fn free_prompts_change_nothing(seed in 0_u64..1000, unit in 1e-9..1e-6) {
        let history = random(30, seed);
        let costs = history.cost().iter().map(|cost| cost + 1e-6).collect();
        let history = history.with_cost(costs).unwrap();
        let list = PriceList::new([("a", price(0.0, unit)), ("b", price(0.0, unit))]).unwrap();
        let table = Priced::new(knn(3), list).held_out(&history, Seed(0)).unwrap();
        let plain = knn(3).held_out(&history, Seed(0)).unwrap();
        prop_assert_eq!(table.quality(), plain.quality());
        for (a, b) in table.cost().iter().zip(plain.cost().iter()) {
            prop_assert!((a - b).abs() <= 1e-12, "{} and {}", a, b);
        }
        for (a, b) in table.view().cost_se.iter().zip(plain.view().cost_se) {
            prop_assert!((a - b).abs() <= 1e-12, "{} and {}", a, b);
        }
    }
}

#[test]
fn names_and_refusals() {
    let list = suite_prices();
    let name = |mode| priced(knn(5), &list, mode, 4).name();
    insta::assert_snapshot!(name(LengthMode::Continuous), @"priced(knn(k=5))");
    insta::assert_snapshot!(name(LengthMode::FixedBuckets), @"priced(knn(k=5),lengths=fixed-buckets,buckets=4)");
    let buckets = |count| {
        let recipe = Priced::new(knn(5), list.clone());
        recipe.lengths(LengthMode::QuantileBuckets, count).unwrap_err().to_string()
    };
    insta::assert_snapshot!(buckets(0), @"`buckets` must be >= 1 and <= 100, got 0");
    insta::assert_snapshot!(buckets(101), @"`buckets` must be >= 1 and <= 100, got 101");

    let history = random(20, 1);
    let recipe = Priced::new(knn(5), list);
    let bare = history.with_cost(history.cost().to_vec()).unwrap();
    let bare = bare.append(&[1.0, 0.0], vec![1.0; 2], vec![1.0; 2]).unwrap();
    let message = |history: &History| recipe.fit(history, Seed(0)).unwrap_err().to_string();
    insta::assert_snapshot!(message(&bare), @"priced(knn(k=5)) prices lengths, and the history does not say how many tokens its prompts have");
    let grown = recipe.fit(&history, Seed(0)).unwrap().grow(&bare).unwrap_err();
    assert!(matches!(grown, FitError::NoInputTokens { .. }), "{grown}");
    let models = Models::new(["a", "unlisted"]).unwrap();
    let other = History::new(models, 1, vec![1.0], vec![1.0; 2], vec![1.0; 2]).unwrap();
    insta::assert_snapshot!(message(&other), @"model `unlisted` is not on the price list");

    let estimator = recipe.fit(&history, Seed(0)).unwrap();
    for got in [-1.0, f64::NAN, f64::INFINITY] {
        let (tokens, mut table) = ([5.0, got], EstimateTable::zeros(2, 2));
        let queries = Queries::new(&[1.0, 0.0, 0.0, 1.0], 2).input_tokens(Some(&tokens));
        let scratch = &mut Scratch::default();
        let batch = table.fill(|out| estimator.estimate_batch(queries, scratch, out));
        assert!(matches!(batch, Err(EstimateError::InputTokens { .. })), "{batch:?}");
        let mut table = EstimateTable::zeros(1, 2);
        let single = table.fill(|out| estimator.estimate_into(queries.query(1), scratch, out));
        assert_eq!(single.unwrap_err().to_string(), batch.unwrap_err().to_string());
    }
}
