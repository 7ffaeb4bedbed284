//! What an estimate costs: one query, and a batch of 256, over random unit vectors of 384
//! dimensions.

use divan::Bencher;
use divan::counter::ItemsCount;
use tollgate_core::{EstimateTable, Fit, History, Models, Purpose, Queries, Query, Scratch, Seed};
use tollgate_estimators::{KnnConfig, Ridge};

const DIM: usize = 384;
const BATCH: usize = 256;
const N_MODELS: usize = 11;
const SIZES: [usize; 2] = [5_000, 26_000];

fn main() {
    divan::main();
}

fn unit_vectors(n: usize, counter: u64) -> Vec<f32> {
    let mut rng = Seed(1).stream(Purpose::Synthesis, counter);
    let mut vectors = Vec::with_capacity(n * DIM);
    for _ in 0..n {
        let vector: Vec<f64> = (0..DIM).map(|_| rng.normal()).collect();
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        vectors.extend(vector.iter().map(|x| (x / norm) as f32));
    }
    vectors
}

fn history(n: usize) -> History {
    let mut rng = Seed(1).stream(Purpose::Synthesis, 0);
    let models = Models::new((0..N_MODELS).map(|model| format!("m{model:02}")));
    let quality = (0..n * N_MODELS).map(|_| (2.0 * rng.uniform()).floor()).collect();
    let cost = (0..n * N_MODELS).map(|_| 1e-3 * rng.uniform()).collect();
    History::new(models.expect("the names differ"), DIM, unit_vectors(n, 1), quality, cost)
        .expect("the tables are made to fit")
}

fn one(bencher: Bencher<'_, '_>, recipe: &dyn Fit, n: usize) {
    let estimator = recipe.fit(&history(n), Seed(1)).expect("random vectors are not zero");
    let queries = unit_vectors(BATCH, 2);
    let mut queries = queries.chunks_exact(DIM).cycle();
    let mut scratch = Scratch::default();
    let mut table = EstimateTable::zeros(1, N_MODELS);
    bencher.bench_local(|| {
        let query = Query::new(queries.next().expect("a cycle has no end"));
        table.fill(|out| estimator.estimate_into(query, &mut scratch, out))
    });
}

fn batch(bencher: Bencher<'_, '_>, recipe: &dyn Fit, n: usize) {
    let estimator = recipe.fit(&history(n), Seed(1)).expect("random vectors are not zero");
    let queries = unit_vectors(BATCH, 2);
    let queries = Queries::new(&queries, DIM);
    let mut scratch = Scratch::default();
    let mut table = EstimateTable::zeros(BATCH, N_MODELS);
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let one_thread = one_thread.expect("a thread can be started");
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        one_thread
            .install(|| table.fill(|out| estimator.estimate_batch(queries, &mut scratch, out)))
    });
}

#[divan::bench(args = SIZES)]
fn knn_one(bencher: Bencher<'_, '_>, n: usize) {
    one(bencher, &KnnConfig::default().build().expect("the default is valid"), n);
}

#[divan::bench(args = SIZES)]
fn knn_batch(bencher: Bencher<'_, '_>, n: usize) {
    batch(bencher, &KnnConfig::default().build().expect("the default is valid"), n);
}

#[divan::bench(args = SIZES)]
fn ridge_one(bencher: Bencher<'_, '_>, n: usize) {
    one(bencher, &Ridge::default(), n);
}

#[divan::bench(args = SIZES)]
fn ridge_batch(bencher: Bencher<'_, '_>, n: usize) {
    batch(bencher, &Ridge::default(), n);
}
