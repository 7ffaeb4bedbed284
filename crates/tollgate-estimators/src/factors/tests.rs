use tollgate_core::{
    EstimateTable, Label, ModelId, Models, Prior, Prompt, Purpose, Queries, Scratch,
};
use tollgate_testkit::estimator_conformance::{self, Growth};
use tollgate_testkit::pool_conformance::{self, Others};

use super::*;

#[test]
fn recipes_conform() {
    for config in [FactorsConfig::default(), FactorsConfig::default().factors(3)] {
        estimator_conformance::check(&config.build().unwrap());
    }
}

#[test]
fn snapshots_grow() {
    estimator_conformance::check_growth(&Factors::default(), Growth::ChoicesStay);
}

#[test]
fn pools_conform() {
    for config in [FactorsConfig::default(), FactorsConfig::default().factors(0)] {
        pool_conformance::check(&config.build().unwrap(), Others::Stay);
    }
}

#[test]
fn names_and_refusals() {
    let name = |config: FactorsConfig| config.build().unwrap().name();
    insta::assert_snapshot!(name(FactorsConfig::default()), @"factors");
    insta::assert_snapshot!(
        name(FactorsConfig::default().factors(3).labels(50)),
        @"factors(factors=3,labels=50)"
    );
    let refused = |config: FactorsConfig| config.build().unwrap_err().to_string();
    insta::assert_snapshot!(
        refused(FactorsConfig::default().factors(17)),
        @"`factors` must be at most 16, got 17"
    );
    insta::assert_snapshot!(
        refused(FactorsConfig::default().labels(0)),
        @"`labels` must be >= 1, got 0"
    );
}

const DIM: usize = 24;

/// Scores that are linear in two directions of the embedding, the same for all models, which
/// differ in how much of each they take; costs whose logarithms are linear in the first.
struct World {
    /// A mean and two slopes for each model.
    models: Vec<[f64; 3]>,
    seed: u64,
}

impl World {
    fn new(n_models: usize, seed: u64) -> Self {
        let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
        let mut model =
            || [0.4 + 0.2 * rng.uniform(), 0.5 + 0.5 * rng.normal(), 0.7 * rng.normal()];
        Self { models: (0..n_models).map(|_| model()).collect(), seed }
    }

    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    fn prompts(&self, n: usize, number: u64) -> Vec<f32> {
        let mut rng = Seed(self.seed).stream(Purpose::Synthesis, number);
        let mut prompt = || {
            let x: Vec<f64> = (0..DIM).map(|_| rng.normal()).collect();
            let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
            x.into_iter().map(move |x| (x / norm) as f32)
        };
        (0..n).flat_map(|_| prompt().collect::<Vec<_>>()).collect()
    }

    fn expected(&self, model: usize, prompt: &[f32]) -> f64 {
        let [mean, a, b] = self.models[model];
        (mean + a * f64::from(prompt[0]) + b * f64::from(prompt[1])).clamp(0.0, 1.0)
    }

    fn cost(prompt: &[f32]) -> f64 {
        1e-3 * (2.0 * f64::from(prompt[0])).exp()
    }

    fn history(&self, n: usize, n_models: usize) -> History {
        let embeddings = self.prompts(n, 1);
        let mut rng = Seed(self.seed).stream(Purpose::Synthesis, 2);
        let (mut quality, mut cost) = (Vec::new(), Vec::new());
        for prompt in embeddings.chunks_exact(DIM) {
            for model in 0..n_models {
                quality.push(f64::from(u8::from(rng.uniform() < self.expected(model, prompt))));
                cost.push(Self::cost(prompt) * (1 + model) as f64 * (0.2 * rng.normal()).exp());
            }
        }
        let models = Models::new((0..n_models).map(|model| format!("m{model:02}"))).unwrap();
        History::new(models, DIM, embeddings, quality, cost).unwrap()
    }

    /// Labels of a model on some prompts of the history, twenty times as dear.
    fn labels(&self, history: &History, model: usize, rows: &[usize]) -> Vec<Label<'static>> {
        let mut rng = Seed(self.seed).stream(Purpose::Policy, 0);
        let label = |&row: &usize| {
            let prompt = history.queries().query(row).embedding;
            let quality = f64::from(u8::from(rng.uniform() < self.expected(model, prompt)));
            Label { prompt: Prompt::Representative(row), quality, cost: 20.0 * Self::cost(prompt) }
        };
        rows.iter().map(label).collect()
    }
}

/// How well a new model is known on fresh prompts: the mean squared error of scores, the share
/// of those within 1.645 standard errors, and the mean error of log costs.
type Known = [f64; 3];

/// That of a model which is known by labels on each of some lists of prompts.
fn new_model<const N: usize>(
    n_old: usize,
    worlds: u64,
    lists: impl Fn(&dyn Estimator) -> [Vec<usize>; N],
) -> [Known; N] {
    let mut known = [[0.0; 3]; N];
    for seed in 0..worlds {
        let world = World::new(n_old + 1, seed);
        let history = world.history(700, n_old);
        let estimator = Factors::default().fit(&history, Seed(seed)).unwrap();
        let fresh = world.prompts(200, 3);
        for (known, rows) in known.iter_mut().zip(lists(estimator.as_ref())) {
            let labels = world.labels(&history, n_old, &rows);
            let prior = Prior { quality: None, cost: Some(0.02) };
            let added = estimator.pool().unwrap().add_model(&ModelId::new("new"), prior, &labels);
            let added = added.unwrap();
            let at = added.models().index_of("new").unwrap();
            let queries = Queries::new(&fresh, DIM);
            let mut table = EstimateTable::zeros(queries.len(), n_old + 1);
            table.fill(|out| added.estimate_batch(queries, &mut Scratch::default(), out)).unwrap();
            for (query, prompt) in fresh.chunks_exact(DIM).enumerate() {
                let row = table.row(query);
                let off = row.quality[at] - world.expected(n_old, prompt);
                let covered = f64::from(u8::from(off.abs() <= 1.645 * row.quality_se[at]));
                let off_cost = (row.cost[at] / (20.0 * World::cost(prompt))).ln().abs();
                let n = (worlds * 200) as f64;
                for (sum, x) in known.iter_mut().zip([off * off, covered, off_cost]) {
                    *sum += x / n;
                }
            }
        }
    }
    known
}

fn first(n: usize) -> Vec<usize> {
    (0..n).collect()
}

/// Fresh models are known from few labels, and it is known how well.
#[test]
fn new_models_are_known_from_few_labels() {
    let all = new_model(10, 16, |_| [first(0), first(30), first(100), first(600)]);
    for ([error, covered, off_cost], most) in all.into_iter().zip([0.05, 0.03, 0.015, 0.006]) {
        println!("{error:.4} {covered:.3} {off_cost:.3}");
        assert!(error < most, "{error}, at most {most}");
        assert!((0.7..=1.0).contains(&covered), "{covered} covered where errors are {error}");
        assert!(off_cost < 0.2, "costs off by {off_cost} where errors are {error}");
    }
}

/// One or two models to learn from are few, but better than none.
#[test]
fn few_models_are_enough_to_begin_with() {
    for n_old in [1, 2] {
        let [[unlabelled, ..], [error, covered, _]] =
            new_model(n_old, 6, |_| [first(0), first(300)]);
        println!("{n_old}: {error:.4} {unlabelled:.4} {covered:.3}");
        assert!(error < 0.8 * unlabelled, "{error} of {unlabelled} with {n_old} models");
        assert!(covered > 0.6, "{covered} with {n_old} models");
    }
}

/// Prompts that are picked tell more than as many drawn at random.
#[test]
fn prompts_that_are_picked_tell_more() {
    let lists =
        |estimator: &dyn Estimator| [estimator.pool().unwrap().worth_labelling(40), first(40)];
    let [[picked, ..], [random, ..]] = new_model(10, 10, lists);
    println!("{picked:.4} {random:.4}");
    assert!(picked < 0.8 * random, "{picked} of those picked, {random} of any");
}

#[test]
fn threads_do_not_matter() {
    let history = World::new(5, 1).history(300, 5);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Factors::default().held_out(&history, Seed(0)).unwrap())
    };
    assert_eq!(on(1), on(3));
}
