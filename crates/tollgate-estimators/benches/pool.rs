//! What a pool costs: one estimate of 256 models, and a model that joins with 400 labels; 384
//! dimensions, 300 clusters, 16 factors.

use divan::{AllocProfiler, Bencher};
use tollgate_core::{
    EstimateTable, Estimator, Fit, History, Label, ModelId, Models, Prior, Prompt, Purpose, Query,
    Scratch, Seed,
};
use tollgate_estimators::{
    ClustersConfig, Ensemble, Factors, FactorsConfig, LearnedMap, LearnedMapConfig, RandomSlopes,
    RandomSlopesConfig,
};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const DIM: usize = 384;
const N_PROMPTS: usize = 2_000;
/// Models of the history; the others join.
const N_FITTED: usize = 24;
const N_MODELS: usize = 256;
const N_LABELS: usize = 400;
const RECIPES: [&str; 5] = ["clusters", "learned-map", "factors", "random-slopes", "ensemble"];

fn main() {
    divan::main();
}

fn recipe(name: &str) -> Box<dyn Fit> {
    match name {
        "clusters" => {
            Box::new(ClustersConfig::default().clusters(300).build().expect("300 is in range"))
        }
        "learned-map" => Box::new(map()),
        "factors" => Box::new(factors()),
        "random-slopes" => Box::new(slopes()),
        _ => Box::new(Ensemble::of(factors(), slopes())),
    }
}

fn map() -> LearnedMap {
    let config = LearnedMapConfig::default().clusters(300).penalty(0.1);
    config.build().expect("300 and 0.1 are in range")
}

fn factors() -> Factors {
    FactorsConfig::default().factors(16).build().expect("16 is in range")
}

fn slopes() -> RandomSlopes {
    RandomSlopesConfig::default().penalty(10.0).build().expect("10 is in range")
}

/// Prompts in forty loose groups.
#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
fn embeddings(n: usize, counter: u64) -> Vec<f32> {
    let mut rng = Seed(1).stream(Purpose::Synthesis, 0);
    let groups: Vec<f64> = (0..40 * DIM).map(|_| rng.normal()).collect();
    let mut rng = Seed(1).stream(Purpose::Synthesis, counter);
    let mut all = Vec::with_capacity(n * DIM);
    for _ in 0..n {
        let group = rng.below(40);
        let center = &groups[group * DIM..(group + 1) * DIM];
        all.extend(center.iter().map(|x| (x + rng.normal()) as f32));
    }
    all
}

fn history() -> History {
    let mut rng = Seed(2).stream(Purpose::Synthesis, 0);
    let models = Models::new((0..N_FITTED).map(|model| format!("h{model:02}")));
    let quality = (0..N_PROMPTS * N_FITTED).map(|_| (2.0 * rng.uniform()).floor()).collect();
    let cost = (0..N_PROMPTS * N_FITTED).map(|_| 1e-3 * (0.1 + rng.uniform())).collect();
    let models = models.expect("the names differ");
    History::new(models, DIM, embeddings(N_PROMPTS, 1), quality, cost)
        .expect("the tables are made to fit")
}

fn labels(number: u64) -> Vec<Label<'static>> {
    let mut rng = Seed(number).stream(Purpose::Synthesis, 1);
    (0..N_LABELS)
        .map(|at| Label {
            prompt: Prompt::Representative(at * N_PROMPTS / N_LABELS),
            quality: (2.0 * rng.uniform()).floor(),
            cost: 1e-3 * (0.1 + rng.uniform()),
        })
        .collect()
}

fn join(to: &dyn Estimator, number: usize) -> Box<dyn Estimator> {
    let model = ModelId::new(format!("n{number:03}"));
    let pool = to.pool().expect("it is a pool");
    pool.add_model(&model, Prior::default(), &labels(number as u64)).expect("it is new")
}

/// A pool of so many models.
fn pool(name: &str, n_models: usize) -> Box<dyn Estimator> {
    let fitted = recipe(name).fit(&history(), Seed(1)).expect("random vectors are not zero");
    (N_FITTED..n_models).fold(fitted, |pool, number| join(pool.as_ref(), number))
}

#[divan::bench(args = RECIPES)]
fn estimate_one(bencher: Bencher<'_, '_>, name: &str) {
    let pool = pool(name, N_MODELS);
    let queries = embeddings(256, 2);
    let mut queries = queries.chunks_exact(DIM).cycle();
    let mut scratch = Scratch::default();
    let mut table = EstimateTable::zeros(1, N_MODELS);
    bencher.bench_local(|| {
        let query = Query::new(queries.next().expect("a cycle has no end"));
        table.fill(|out| pool.estimate_into(query, &mut scratch, out))
    });
}

#[divan::bench(args = RECIPES)]
fn add_model(bencher: Bencher<'_, '_>, name: &str) {
    let pool = pool(name, N_MODELS - 1);
    bencher.bench_local(|| join(pool.as_ref(), N_MODELS));
}
