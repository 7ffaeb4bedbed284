//! What every pool of models that come and go promises, whatever it learns.
//!
//! A test of a recipe is one line, `check(&recipe, others)`, beside the suite for estimators;
//! a failure names the recipe and the promise.

use tollgate_core::{
    EstimateTable, Estimator, Fit, FitError, History, Label, ModelId, ModelPool, PoolError, Prior,
    Prompt, Purpose,
};

use crate::estimator_conformance::{
    DIM, NAMES, SEED, columns, fit, is_sane, overwrites_everything, same_bits, table, tokens,
};

/// What a change of one model does to what is estimated of the others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Others {
    /// Nothing, bit for bit.
    Stay,
    /// They are fitted anew together with it.
    Follow,
}

/// Runs the whole suite.
///
/// # Panics
/// When the recipe breaks a promise.
pub fn check(recipe: &dyn Fit, others: Others) {
    let gaps = |row: usize, model: usize| !(row + model).is_multiple_of(model + 2);
    let cases = [
        ("a full history", table(70, |_, _| true)),
        ("a history with gaps", table(70, gaps)),
        ("three prompts", table(3, |_, _| true)),
        ("one prompt", table(1, |_, _| true)),
    ];
    for (name, table) in cases {
        let history = table.history(&NAMES);
        let context = format!("{} on {name}", recipe.name());
        let case = Case { estimator: fit(recipe, &history), history, context, others };
        case.has_representatives();
        case.orders_prompts();
        case.takes_a_model();
        case.takes_models_in_any_order();
        case.takes_labels_in_any_order();
        case.begins_with_a_prior();
        case.learns_from_labels();
        case.forgets_a_model();
        case.refuses();
        case.answers_beside_changes();
        case.grows();
    }
}

struct Case {
    estimator: Box<dyn Estimator>,
    history: History,
    context: String,
    others: Others,
}

/// A label whose embedding, where it has one, is its own.
#[derive(Clone)]
struct Own {
    row: Option<usize>,
    embedding: Vec<f32>,
    quality: f64,
    cost: f64,
}

fn labels(own: &[Own]) -> Vec<Label<'_>> {
    own.iter().map(Own::label).collect()
}

impl Own {
    fn label(&self) -> Label<'_> {
        let prompt = self.row.map_or(Prompt::Embedding(&self.embedding), Prompt::Representative);
        Label { prompt, quality: self.quality, cost: self.cost }
    }
}

fn pool(estimator: &dyn Estimator) -> &dyn ModelPool {
    estimator.pool().expect("a pool is one after every change")
}

fn id(name: &str) -> ModelId {
    ModelId::new(name)
}

impl Case {
    fn pool(&self) -> &dyn ModelPool {
        pool(self.estimator.as_ref())
    }

    fn estimates(&self, estimator: &dyn Estimator, what: &str) -> EstimateTable {
        let context = format!("{}, {what}", self.context);
        let estimates = overwrites_everything(estimator, &context);
        is_sane(estimates.view(), &context);
        estimates
    }

    /// Labels on every second prompt of the history and on three others, one of them twice.
    fn some(&self, number: u64, quality: impl Fn(f64) -> f64) -> Vec<Own> {
        let mut rng = SEED.stream(Purpose::Policy, number);
        let mut own = Vec::new();
        for row in (0..self.history.len()).step_by(2) {
            let (quality, cost) = (quality(rng.uniform()), 0.001 + 0.01 * rng.uniform());
            own.push(Own { row: Some(row), embedding: Vec::new(), quality, cost });
        }
        let fresh = table(5, |_, _| true).embeddings;
        for at in [0, 1, 2, 2] {
            let (quality, cost) = (quality(rng.uniform()), 0.001 + 0.01 * rng.uniform());
            let embedding = fresh[at * DIM..(at + 1) * DIM].to_vec();
            own.push(Own { row: None, embedding, quality, cost });
        }
        own
    }

    fn add(&self, to: &dyn Estimator, name: &str, own: &[Own]) -> Box<dyn Estimator> {
        let added = pool(to).add_model(&id(name), Prior::default(), &labels(own));
        added.expect(&self.context)
    }

    /// The columns of some models are those of `before`, where they are to stay.
    fn others_stay(
        &self,
        before: (&dyn Estimator, &EstimateTable),
        after: (&dyn Estimator, &EstimateTable),
        what: &str,
    ) {
        if self.others == Others::Follow {
            return;
        }
        for (old, name) in before.0.models().iter().enumerate() {
            let Some(new) = after.0.models().index_of(name.as_str()) else { continue };
            for query in 0..before.1.n_queries() {
                let pairs =
                    columns(before.1.row(query)).into_iter().zip(columns(after.1.row(query)));
                for ((column, before), (_, after)) in pairs {
                    let (before, after) = (before[old], after[new]);
                    assert!(
                        before.to_bits() == after.to_bits(),
                        "{column} of `{name}` on query {query} goes from {before} to {after}: \
                         {what} of {}",
                        self.context
                    );
                }
            }
        }
    }

    fn has_representatives(&self) {
        let (got, expected) = (self.pool().representatives(), self.history.queries());
        assert_eq!(got.dim, expected.dim, "dimension of the representatives of {}", self.context);
        let same =
            got.embeddings.iter().zip(expected.embeddings).all(|(a, b)| a.to_bits() == b.to_bits());
        let same = same && got.len() == expected.len();
        assert!(same, "the representatives of {} are the history's prompts", self.context);
    }

    fn orders_prompts(&self) {
        let n = self.history.len();
        let all = self.pool().worth_labelling(n);
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..n), "{} orders {sorted:?}", self.context);
        for fewer in [0, 1, n / 2, n + 5] {
            let got = self.pool().worth_labelling(fewer);
            assert_eq!(got, all[..fewer.min(n)], "the first {fewer} of {}", self.context);
        }
    }

    fn takes_a_model(&self) {
        let before = self.estimates(self.estimator.as_ref(), "as fitted");
        let added = self.add(self.estimator.as_ref(), "bb", &self.some(0, |u| u));
        let names: Vec<_> = added.models().iter().map(ModelId::as_str).collect();
        assert_eq!(names, ["a", "b", "bb", "c"], "models of {}", self.context);
        assert_eq!(added.dim(), DIM, "dimension of {}", self.context);
        let after = self.estimates(added.as_ref(), "with a model more");
        let original = self.estimator.as_ref();
        self.others_stay((original, &before), (added.as_ref(), &after), "a model more");
    }

    fn takes_models_in_any_order(&self) {
        let (one, two) = (self.some(1, |u| u), self.some(2, f64::sqrt));
        let original = self.estimator.as_ref();
        let there = self.add(self.add(original, "x", &one).as_ref(), "aa", &two);
        let back = self.add(self.add(original, "aa", &two).as_ref(), "x", &one);
        same_bits(
            self.estimates(there.as_ref(), "x and aa").view(),
            self.estimates(back.as_ref(), "aa and x").view(),
            &format!("models in any order, {}", self.context),
        );
        let removed = pool(there.as_ref()).remove_model(&id("x")).expect("it is there");
        let again = pool(removed.as_ref()).remove_model(&id("aa")).expect("it is there");
        same_bits(
            self.estimates(original, "as fitted").view(),
            self.estimates(again.as_ref(), "models that came and went").view(),
            &format!("models that came and went, {}", self.context),
        );
    }

    fn takes_labels_in_any_order(&self) {
        let own = self.some(3, |u| u);
        let all = self.add(self.estimator.as_ref(), "x", &own);
        let all = self.estimates(all.as_ref(), "all labels");
        let mut turned = own.clone();
        turned.reverse();
        // An older label of a prompt that is labelled again does not count.
        turned.insert(0, Own { quality: 0.123, cost: 9.0, ..own[0].clone() });
        let turned = self.add(self.estimator.as_ref(), "x", &turned);
        let context = format!("labels in any order, {}", self.context);
        same_bits(all.view(), self.estimates(turned.as_ref(), "turned").view(), &context);
        let (first, second) = own.split_at(own.len() / 2 + 1);
        let half = self.add(self.estimator.as_ref(), "x", second);
        let both = pool(half.as_ref()).update_labels(&id("x"), &labels(first));
        let both = self.estimates(both.expect("it is there").as_ref(), "both halves");
        same_bits(all.view(), both.view(), &format!("labels in two parts, {}", self.context));
    }

    fn begins_with_a_prior(&self) {
        let add = |quality: Option<f64>, cost: f64| {
            let prior = Prior { quality, cost: Some(cost) };
            self.pool().add_model(&id("x"), prior, &[]).expect("a prior is enough")
        };
        let known = |estimator: &dyn Estimator| {
            let at = estimator.models().index_of("x").expect("it has been added");
            let estimates = self.estimates(estimator, "by its prior");
            (0..estimates.n_queries())
                .map(|query| {
                    let row = estimates.row(query);
                    [row.quality[at], row.quality_se[at], row.cost[at], row.cost_se[at]]
                })
                .collect::<Vec<_>>()
        };
        let (low, high) = (add(Some(0.2), 0.001), add(Some(0.8), 0.1));
        for (low, high) in known(low.as_ref()).iter().zip(known(high.as_ref())) {
            let context = format!("{low:?} and {high:?} of {}", self.context);
            assert!(low[0] <= high[0] && low[2] < high[2], "priors tell: {context}");
            assert!(low[1].min(low[3]) > 0.0, "priors are not certain: {context}");
        }
        let sum = |of: &dyn Estimator| known(of).iter().map(|of| of[0]).sum::<f64>();
        assert!(sum(low.as_ref()) < sum(high.as_ref()), "priors tell: {}", self.context);
        for of in known(add(None, 0.01).as_ref()) {
            assert!(of[1] > 0.0, "{of:?} is certain in {}", self.context);
        }
        // With labels it is what it would have been with both at once.
        let own = self.some(4, |u| u);
        let later = pool(high.as_ref()).update_labels(&id("x"), &labels(&own));
        let prior = Prior { quality: Some(0.8), cost: Some(0.1) };
        let at_once = self.pool().add_model(&id("x"), prior, &labels(&own));
        same_bits(
            self.estimates(later.expect("it is there").as_ref(), "labels later").view(),
            self.estimates(at_once.expect("it is new").as_ref(), "labels at once").view(),
            &format!("a prior and then labels, {}", self.context),
        );
    }

    fn learns_from_labels(&self) {
        let mean = |name: &str, estimator: &dyn Estimator| {
            let at = estimator.models().index_of(name).expect("it is there");
            let estimates = self.estimates(estimator, "with labels");
            let column = estimates.view().quality.iter().skip(at);
            column.step_by(estimator.models().len()).sum::<f64>() / estimates.n_queries() as f64
        };
        let (good, bad) = (self.some(5, |_| 1.0), self.some(5, |_| 0.0));
        let [well, ill] = [&good, &bad]
            .map(|own| mean("x", self.add(self.estimator.as_ref(), "x", own).as_ref()));
        assert!(well > ill + 0.05, "{well} of good labels, {ill} of bad: {}", self.context);
        // A model of the history learns too.
        let [well, ill] = [&good, &bad].map(|own| {
            let updated = self.pool().update_labels(&id("b"), &labels(own));
            mean("b", updated.expect("it is there").as_ref())
        });
        assert!(well > ill, "{well} of good labels, {ill} of bad: `b` of {}", self.context);
    }

    fn forgets_a_model(&self) {
        let original = self.estimator.as_ref();
        let before = self.estimates(original, "as fitted");
        let fewer = self.pool().remove_model(&id("b")).expect("there are others");
        let names: Vec<_> = fewer.models().iter().map(ModelId::as_str).collect();
        assert_eq!(names, ["a", "c"], "models of {}", self.context);
        let after = self.estimates(fewer.as_ref(), "with a model less");
        self.others_stay((original, &before), (fewer.as_ref(), &after), "a model less");
        // Under its old name it is a new one: what was known of it is gone.
        let own = self.some(6, |u| u);
        let again = self.add(fewer.as_ref(), "b", &own);
        let twin = self.add(again.as_ref(), "bb", &own);
        let estimates = self.estimates(twin.as_ref(), "with twins");
        for query in 0..estimates.n_queries() {
            for (name, column) in columns(estimates.row(query)) {
                let (b, twin) = (column[1], column[2]);
                // Fitted together, they may be told apart by rounding.
                let close = (b - twin).abs() <= 1e-9 * b.abs().max(twin.abs());
                assert!(close, "{name} of twins is {b} and {twin}: {}", self.context);
            }
        }
        let last = pool(fewer.as_ref()).remove_model(&id("a")).expect("there is another");
        self.estimates(last.as_ref(), "with one model");
        let error = pool(last.as_ref()).remove_model(&id("c")).map(drop);
        let named = matches!(&error, Err(PoolError::Last { model }) if *model == id("c"));
        assert!(named, "{} lets go of the last: {error:?}", self.context);
    }

    fn refuses(&self) {
        let before = self.estimates(self.estimator.as_ref(), "as fitted");
        let n = self.history.len();
        let fine = Own { row: Some(0), embedding: Vec::new(), quality: 0.5, cost: 0.01 };
        let other =
            |embedding: &[f32]| Own { row: None, embedding: embedding.to_vec(), ..fine.clone() };
        let mut spoiled = [1.0; DIM];
        spoiled[4] = f32::NAN;
        let bad_labels = [
            (
                Own { row: Some(n), ..fine.clone() },
                format!("label 1 of model `x` is of representative prompt {n}, there are {n}"),
            ),
            (
                Own { quality: 1.5, ..fine.clone() },
                "score of label 1 of model `x` must be in [0, 1], got 1.5".to_owned(),
            ),
            (
                Own { cost: f64::NAN, ..fine.clone() },
                "cost of label 1 of model `x` must be finite and >= 0, got NaN".to_owned(),
            ),
            (
                other(&[1.0; DIM - 1]),
                "label 1 of model `x` has an embedding that is refused: the embedding has 11 \
                 dimensions, the history 12"
                    .to_owned(),
            ),
            (
                other(&spoiled),
                "label 1 of model `x` has an embedding that is refused: the embedding has a value \
                 that is not finite at dimension 4: NaN"
                    .to_owned(),
            ),
            (
                other(&[0.0; DIM]),
                "label 1 of model `x` has an embedding that is refused: the embedding is the zero \
                 vector"
                    .to_owned(),
            ),
        ];
        let with_x = self.add(self.estimator.as_ref(), "x", std::slice::from_ref(&fine));
        for (bad, message) in bad_labels {
            let own = [fine.clone(), bad];
            let refused = [
                self.pool().add_model(&id("x"), Prior::default(), &labels(&own)),
                pool(with_x.as_ref()).update_labels(&id("x"), &labels(&own)),
            ];
            for refused in refused {
                let got = refused.map(drop).expect_err(&message).to_string();
                assert_eq!(got, message, "{}", self.context);
            }
        }
        let prior = |quality: Option<f64>, cost: Option<f64>| Prior { quality, cost };
        let bad_models = [
            ("", prior(None, Some(0.1)), "a model has an empty name"),
            ("a", prior(None, Some(0.1)), "model `a` is in the pool already"),
            (
                "x",
                prior(Some(0.5), None),
                "model `x` needs a label or a prior cost: nothing says what its answers cost",
            ),
            (
                "x",
                prior(Some(-0.5), Some(0.1)),
                "prior score of model `x` must be in [0, 1], got -0.5",
            ),
        ];
        for (name, prior, message) in bad_models {
            let got = self.pool().add_model(&id(name), prior, &[]).map(drop);
            assert_eq!(got.expect_err(message).to_string(), message, "{}", self.context);
        }
        let unknown = [
            self.pool().remove_model(&id("x")).map(drop),
            self.pool().update_labels(&id("x"), &[]).map(drop),
        ];
        for got in unknown {
            let got = got.expect_err("there is no such model").to_string();
            assert_eq!(got, "model `x` is not in the pool", "{}", self.context);
        }
        let after = self.estimates(self.estimator.as_ref(), "after refusals");
        same_bits(before.view(), after.view(), &format!("{} after refusals", self.context));
    }

    /// Two readers of the old version while a third party makes new ones.
    fn answers_beside_changes(&self) {
        let before = self.estimates(self.estimator.as_ref(), "as fitted");
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let now = self.estimates(self.estimator.as_ref(), "read beside");
                    same_bits(before.view(), now.view(), &format!("read beside {}", self.context));
                });
            }
            let own = self.some(7, |u| u);
            let added = self.add(self.estimator.as_ref(), "x", &own);
            pool(added.as_ref()).remove_model(&id("a")).expect("there are others");
        });
        let after = self.estimates(self.estimator.as_ref(), "after changes");
        same_bits(before.view(), after.view(), &format!("{} after changes", self.context));
    }

    /// A longer history is one of the models that the pool was fitted on, and changes nothing
    /// about who is in it.
    fn grows(&self) {
        let more = table(31, |row, model| row % 7 != model);
        let longer = self.history.append(&more.embeddings, more.quality, more.cost);
        let longer = longer.and_then(|longer| {
            let tokens = (0..longer.len()).map(tokens).collect();
            longer.with_input_tokens(tokens)
        });
        let longer = longer.expect("the table is made to be valid");
        let added = self.add(self.estimator.as_ref(), "bb", &self.some(8, |u| u));
        let changed = pool(added.as_ref()).remove_model(&id("a")).expect("there are others");
        let before = self.estimates(changed.as_ref(), "changed");
        let grow = || changed.grow(&longer).expect(&self.context);
        let grown = grow();
        let names: Vec<_> = grown.models().iter().map(ModelId::as_str).collect();
        assert_eq!(names, ["b", "bb", "c"], "models of {}, grown", self.context);
        let n = pool(grown.as_ref()).representatives().len();
        assert_eq!(n, longer.len(), "representatives of {}, grown", self.context);
        let estimates = self.estimates(grown.as_ref(), "grown");
        let again = self.estimates(grow().as_ref(), "grown again");
        same_bits(estimates.view(), again.view(), &format!("{}, grown again", self.context));
        let after = self.estimates(changed.as_ref(), "after growth");
        same_bits(before.view(), after.view(), &format!("{} after growth", self.context));
        // It goes on living: the order of changes does not matter to what has grown either.
        let back = self.estimator.grow(&longer).expect("a longer history is learned from");
        let back = self.add(back.as_ref(), "bb", &self.some(8, |u| u));
        let back = pool(back.as_ref()).remove_model(&id("a")).expect("there are others");
        if self.others == Others::Stay {
            same_bits(
                estimates.view(),
                self.estimates(back.as_ref(), "grown and then changed").view(),
                &format!("changed and grown, grown and changed, {}", self.context),
            );
        }
        let error = changed.grow(&table(140, |_, _| true).history(&["b", "bb", "c"])).map(drop);
        let refused = matches!(error, Err(FitError::Grown { .. }));
        assert!(refused, "{} grows by the models of now: {error:?}", self.context);
    }
}
