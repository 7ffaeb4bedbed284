use tollgate_core::{
    EstimateTable, Label, ModelId, Models, Prior, Prompt, Purpose, Queries, Scratch,
};
use tollgate_testkit::estimator_conformance::{self, Growth};
use tollgate_testkit::pool_conformance::{self, Others};

use super::*;

#[test]
fn recipes_conform() {
    for config in [ClustersConfig::default(), ClustersConfig::default().clusters(3)] {
        estimator_conformance::check(&config.build().unwrap());
    }
}

#[test]
fn snapshots_grow() {
    estimator_conformance::check_growth(&Clusters::default(), Growth::ChoicesStay);
}

#[test]
fn pools_conform() {
    for config in [ClustersConfig::default(), ClustersConfig::default().clusters(3)] {
        pool_conformance::check(&config.build().unwrap(), Others::Stay);
    }
}

#[test]
fn names_and_refusals() {
    let name = |config: ClustersConfig| config.build().unwrap().name();
    insta::assert_snapshot!(name(ClustersConfig::default()), @"clusters");
    insta::assert_snapshot!(
        name(ClustersConfig::default().clusters(7).labels(50)),
        @"clusters(clusters=7,labels=50)"
    );
    let refused = |config: ClustersConfig| config.build().unwrap_err().to_string();
    insta::assert_snapshot!(
        refused(ClustersConfig::default().clusters(0)),
        @"`clusters` must be >= 1, got 0"
    );
    insta::assert_snapshot!(
        refused(ClustersConfig::default().labels(0)),
        @"`labels` must be >= 1, got 0"
    );
}

const DIM: usize = 8;

/// Prompts around the eight axes, whose scores depend on nothing but the axis and the model.
struct World {
    /// Row-major `(models, axes)`.
    truth: Vec<f64>,
    seed: u64,
}

impl World {
    /// `common` is how much of what the axis does is the same for all models.
    fn new(n_models: usize, common: f64, seed: u64) -> Self {
        let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
        let shared: Vec<f64> = (0..DIM).map(|_| rng.uniform() - 0.5).collect();
        let truth = (0..n_models * DIM)
            .map(|at| {
                0.5 + 0.6 * (common * shared[at % DIM] + (1.0 - common) * (rng.uniform() - 0.5))
            })
            .collect();
        Self { truth, seed }
    }

    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    fn prompts(&self, n: usize, number: u64) -> (Vec<f32>, Vec<usize>) {
        let mut rng = Seed(self.seed).stream(Purpose::Synthesis, number);
        let mut embeddings = Vec::new();
        let axes: Vec<usize> = (0..n).map(|_| rng.below(DIM)).collect();
        for axis in &axes {
            embeddings
                .extend((0..DIM).map(|at| (f64::from(at == *axis) + 0.1 * rng.normal()) as f32));
        }
        (embeddings, axes)
    }

    /// The first `n_models` models on `n` prompts, and the axes of those.
    fn history(&self, n: usize, n_models: usize) -> (History, Vec<usize>) {
        let (embeddings, axes) = self.prompts(n, 1);
        let mut rng = Seed(self.seed).stream(Purpose::Synthesis, 2);
        let label = |at: usize| {
            let expected = self.truth[at % n_models * DIM + axes[at / n_models]];
            f64::from(u8::from(rng.uniform() < expected))
        };
        let quality = (0..n * n_models).map(label).collect();
        let models = Models::new((0..n_models).map(|model| format!("m{model:02}"))).unwrap();
        let cost = (0..n * n_models).map(|at| 1e-3 * (1 + axes[at / n_models]) as f64).collect();
        (History::new(models, DIM, embeddings, quality, cost).unwrap(), axes)
    }
}

/// Estimates of the prompts that are the axes.
fn on_axes(estimator: &dyn Estimator) -> EstimateTable {
    let mut axes = vec![0.0; DIM * DIM];
    (0..DIM).for_each(|axis| axes[axis * DIM + axis] = 1.0);
    let mut table = EstimateTable::zeros(DIM, estimator.models().len());
    let queries = Queries::new(&axes, DIM);
    table.fill(|out| estimator.estimate_batch(queries, &mut Scratch::default(), out)).unwrap();
    table
}

/// A model that nobody has seen, from `n` labels: the mean squared error over worlds, and the
/// share of estimates within 1.645 standard errors.
fn new_model(common: f64, n: usize) -> (f64, f64) {
    let (mut squares, mut covered, mut all) = (0.0, 0.0, 0.0);
    for seed in 0..12 {
        let world = World::new(9, common, seed);
        let (history, axes) = world.history(1_200, 8);
        let recipe = ClustersConfig::default().clusters(3 * DIM).build().unwrap();
        let estimator = recipe.fit(&history, Seed(seed)).unwrap();
        let pool = estimator.pool().unwrap();
        let mut rng = Seed(seed).stream(Purpose::Policy, 0);
        let label = |row: usize| Label {
            prompt: Prompt::Representative(row),
            quality: f64::from(u8::from(rng.uniform() < world.truth[8 * DIM + axes[row]])),
            cost: 0.01 * (1 + axes[row]) as f64,
        };
        let labels: Vec<Label<'_>> = (0..n).map(label).collect();
        let prior = Prior { quality: None, cost: Some(0.045) };
        let added = pool.add_model(&ModelId::new("new"), prior, &labels).unwrap();
        let at = added.models().index_of("new").unwrap();
        let table = on_axes(added.as_ref());
        for axis in 0..DIM {
            let row = table.row(axis);
            let off = row.quality[at] - world.truth[8 * DIM + axis];
            squares += off * off;
            covered += f64::from(u8::from(off.abs() <= 1.645 * row.quality_se[at]));
            all += 1.0;
            let cost = row.cost[at] / (0.01 * (1 + axis) as f64);
            // What costs in proportion to the axis does so for a new model too.
            assert!((0.7..1.4).contains(&cost), "{cost} times the cost, axis {axis}");
        }
    }
    (squares / all, covered / all)
}

/// Where errors are constant within clusters, estimates come near the truth as labels come in,
/// and know how near. The truth itself has a variance of 0.03 where all of it is common, and of
/// 0.015 where half of it is; 30 labels are one or two for each of the 24 clusters.
#[test]
fn new_models_are_known_from_few_labels() {
    for (common, errors) in [(1.0, [0.008, 0.005, 0.002]), (0.5, [0.018, 0.010, 0.004])] {
        for (n, most) in [30, 100, 1_000].into_iter().zip(errors) {
            let (error, covered) = new_model(common, n);
            assert!(error < most, "{error} from {n} labels, {common} of it common");
            assert!((0.8..=1.0).contains(&covered), "{covered} covered from {n}, {common}");
        }
    }
}

/// Eight clusters of prompts are there to be found, and five are too few.
#[test]
fn finds_how_many_clusters() {
    let world = World::new(6, 0.0, 3);
    let (history, _) = world.history(900, 6);
    let estimator = Clusters::default().fit(&history, Seed(0)).unwrap();
    let choice = estimator.choice().unwrap();
    assert!(choice.starts_with("10 clusters, "), "{choice}");
}

#[test]
fn threads_do_not_matter() {
    let (history, _) = World::new(4, 0.5, 1).history(300, 4);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (estimator, held_out) =
                Clusters::default().fit_and_hold_out(&history, Seed(0)).unwrap();
            (on_axes(estimator.as_ref()), held_out)
        })
    };
    assert_eq!(on(1), on(3));
}

/// What is held out does not know its own label: with labels drawn at random there is nothing to
/// be learned, and estimates are no nearer to their own labels than the mean is.
#[test]
fn held_out_is_held_out() {
    let mut world = World::new(5, 0.5, 2);
    world.truth.fill(0.5);
    let (history, _) = world.history(500, 5);
    let recipe = ClustersConfig::default().clusters(250).build().unwrap();
    let table = recipe.held_out(&history, Seed(0)).unwrap();
    let pairs = || table.view().quality.iter().zip(history.quality().iter());
    let error = pairs().map(|(q, y)| (q - y).powi(2)).sum::<f64>() / pairs().count() as f64;
    assert!(error > 0.249, "{error}");
}
