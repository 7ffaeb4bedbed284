use super::*;
use crate::{Split, Table};

const COMMITTED_SUMS: &str = include_str!("../../../../fixtures/stream/SHA256SUMS");

fn committed() -> SyntheticStream {
    SyntheticStream { queries_csv: EMBEDDED_CSV.into(), embeddings_npy: EMBEDDED_NPY.into() }
}

#[test]
fn the_committed_files_have_the_committed_checksums() {
    assert_eq!(committed().checksums(), COMMITTED_SUMS);
    let size = EMBEDDED_CSV.len() + EMBEDDED_NPY.len();
    assert!(size < 2 << 20, "{size} bytes are more than 2 MiB");
}

#[test]
fn the_committed_files_are_what_the_generator_makes() {
    let made = generate(&SyntheticConfig::default(), EMBEDDED_SEED).unwrap();
    assert_eq!(made.checksums(), COMMITTED_SUMS);
    assert!(made == committed(), "the bytes differ");
}

/// The test vector of FIPS 180-2.
#[test]
fn checksums_are_sha256() {
    insta::assert_snapshot!(
        checksum(b"abc"),
        @"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn means_are_the_published_ones() {
    let table = Table::embedded();
    assert_eq!((table.len(), table.dim()), (4_000, 40));
    assert_eq!(table.task_names(), TASKS);
    let means = table.means();
    for (model, &(name, quality, cost)) in MODELS.iter().enumerate() {
        assert_eq!(table.models().id(model).as_str(), name);
        // To within a prompt, and to within the digits that are written.
        assert!((means.quality[model] - quality).abs() <= 0.5 / 4_000.0 + 1e-12, "{name}");
        assert!((means.cost[model] / cost - 1.0).abs() < 1e-5, "{name}");
    }
}

#[test]
fn embeddings_have_length_one() {
    let table = Table::embedded();
    for row in 0..table.len() {
        let embedding = table.queries().query(row).embedding;
        let square: f64 = embedding.iter().map(|&x| f64::from(x).powi(2)).sum();
        assert!((square - 1.0).abs() < 1e-6, "row {row}: {square}");
    }
}

/// Ten neighbors predict scores better than the mean does, and not by much: as on the
/// real streams, where the ratio is 0.81 to 1.00.
#[test]
fn neighbors_help_a_little() {
    let table = Table::embedded();
    let ratios: Vec<f64> = (0..3)
        .map(|seed| {
            let split = Split::random(table.len(), 1_200, Seed(seed)).unwrap();
            let mean = table.select_rows(&split.history).unwrap().means().quality;
            let near = |row| mean_of_nearest(&table, &split.history, row, 10);
            squared_error(&table, &split.stream, near)
                / squared_error(&table, &split.stream, |_| mean.clone())
        })
        .collect();
    assert!(ratios.iter().all(|ratio| (0.88..0.97).contains(ratio)), "{ratios:?}");
}

/// Mean scores of the `k` rows of `history` with the greatest inner products.
fn mean_of_nearest(table: &Table, history: &[usize], row: usize, k: usize) -> Vec<f64> {
    let queries = table.queries();
    let query = queries.query(row).embedding;
    let mut near: Vec<(f32, usize)> = history
        .iter()
        .map(|&row| {
            let product = query.iter().zip(queries.query(row).embedding).map(|(a, b)| a * b).sum();
            (product, row)
        })
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let rows: Vec<usize> = near[..k].iter().map(|&(_, row)| row).collect();
    let n_models = table.models().len();
    (0..n_models)
        .map(|model| {
            rows.iter().map(|row| table.quality()[row * n_models + model]).sum::<f64>() / k as f64
        })
        .collect()
}

fn squared_error(table: &Table, rows: &[usize], predict: impl Fn(usize) -> Vec<f64>) -> f64 {
    let n_models = table.models().len();
    rows.iter()
        .map(|&row| {
            let truth = &table.quality()[row * n_models..(row + 1) * n_models];
            predict(row).iter().zip(truth).map(|(p, t)| (p - t).powi(2)).sum::<f64>()
        })
        .sum()
}

#[test]
fn a_seed_makes_one_stream() {
    let config = SyntheticConfig { n_queries: 50, dim: 3, n_topics: 9, ..Default::default() };
    let make = |seed| generate(&config, Seed(seed)).unwrap();
    assert_eq!(make(7), make(7));
    assert_ne!(make(7).queries_csv, make(8).queries_csv);
    assert_ne!(make(7).embeddings_npy, make(8).embeddings_npy);
}

/// With every spread at 0, (2) is the published mean in every row, and (3) without a
/// task's share and without noise is the topic's own direction.
#[test]
fn without_spread_costs_are_constant() {
    let config = SyntheticConfig {
        n_queries: 4,
        dim: 2,
        n_topics: 1,
        task_length: 0.0,
        topic_length: 0.0,
        prompt_length: 0.0,
        topic_verbosity: 0.0,
        answer_length: 0.0,
        embedding_noise: 0.0,
        ..SyntheticConfig::default()
    };
    let stream = generate(&config, Seed(1)).unwrap();
    let text = String::from_utf8(stream.queries_csv).unwrap();
    let costs: Vec<&str> =
        text.lines().skip(1).map(|line| line.split(',').nth(4).unwrap()).collect();
    assert_eq!(costs, ["7.27032e-5"; 4]);
    // Of four prompts, round(0.432 * 4) = 2 are answered well.
    let good = text.lines().skip(1).filter(|line| line.split(',').nth(3).unwrap() == "1").count();
    assert_eq!(good, 2);
    let rows = &stream.embeddings_npy[stream.embeddings_npy.len() - 4 * 2 * 4..];
    assert!(rows.chunks(8).all(|row| row == &rows[..8]), "one topic, no noise: one vector");
}

#[test]
fn refusals() {
    let message = |config: SyntheticConfig| generate(&config, Seed(1)).unwrap_err().to_string();
    let default = SyntheticConfig::default;
    insta::assert_snapshot!(
        message(SyntheticConfig { n_queries: 0, ..default() }),
        @"`n_queries` must be >= 1, got 0");
    insta::assert_snapshot!(
        message(SyntheticConfig { dim: 0, ..default() }), @"`dim` must be >= 1, got 0");
    insta::assert_snapshot!(
        message(SyntheticConfig { n_topics: 0, ..default() }),
        @"`n_topics` must be >= 1, got 0");
    insta::assert_snapshot!(
        message(SyntheticConfig { topic_skill: f64::NAN, ..default() }),
        @"`topic_skill` must be in [0, 10], got NaN");
    insta::assert_snapshot!(
        message(SyntheticConfig { answer_length: -0.1, ..default() }),
        @"`answer_length` must be in [0, 10], got -0.1");
    insta::assert_snapshot!(
        message(SyntheticConfig { embedding_noise: f64::INFINITY, ..default() }),
        @"`embedding_noise` must be in [0, 10], got inf");
}

#[test]
fn unknown_knobs_are_refused() {
    let read = serde_json::from_str::<SyntheticConfig>;
    assert_eq!(read("{}").unwrap(), SyntheticConfig::default());
    assert!(read(r#"{"n_prompts": 3}"#).unwrap_err().to_string().contains("unknown field"));
}
