//! What every index promises, whatever it is made of: one suite, run by each.

use std::sync::Arc;

use tollgate_core::{EstimateError, FitError, History, Models, Purpose, Query, Scratch, Seed};

use super::file::tests::save;
use super::{
    Capabilities, ExactScan, HnswConfig, Index, IndexFileError, IndexKind, LshConfig, RowSets,
};
use crate::vector::dot;

const DIM: usize = 24;
const K: usize = 5;

/// Share of the nearest rows that an approximate index must find on every case below.
const RECALL: f64 = 0.99;

type Build<'a> = dyn Fn(&History) -> Result<Box<dyn Index>, FitError> + Sync + 'a;

#[test]
fn the_scan_conforms() {
    let build = |history: &History| Ok(Box::new(ExactScan::new(history)?) as Box<dyn Index>);
    check(&build);
}

#[cfg(feature = "kd-tree")]
#[test]
fn the_kd_tree_conforms() {
    let build = |history: &History| Ok(Box::new(super::KdTree::new(history)?) as Box<dyn Index>);
    check(&build);
}

#[test]
fn hnsw_conforms() {
    let recipe = HnswConfig::default().ef(20).ef_construction(60).m(8).build().unwrap();
    let build = |history: &History| Ok(Box::new(recipe.index(history, Seed(3))?) as Box<dyn Index>);
    check(&build);
}

#[test]
fn lsh_conforms() {
    let recipe = LshConfig::default().target_recall(0.999).build().unwrap().always();
    let build = |history: &History| Ok(Box::new(recipe.index(history, Seed(3))?) as Box<dyn Index>);
    check(&build);
}

/// With a beam that is wide for so few rows: see the page of the index for its recall.
#[cfg(feature = "hora")]
#[test]
fn hora_conforms() {
    let recipe = super::HoraConfig::default().ef(200).build().unwrap();
    let build = |history: &History| Ok(Box::new(recipe.index(history)?) as Box<dyn Index>);
    check(&build);
}

fn check(build: &Build<'_>) {
    for (name, rows) in cases() {
        let history = history(rows);
        let index = build(&history).unwrap();
        let Capabilities { exact, reproducible, insert: _, persist } = index.capabilities();
        let shape = (index.n_rows(), index.dim());
        assert_eq!(shape, (history.len(), DIM), "shape of {name}");
        let recall = if exact { 1.0 } else { RECALL };
        finds(index.as_ref(), history.embeddings(), recall, name);
        refuses(index.as_ref());
        let answer = answers(index.as_ref());
        if reproducible {
            for threads in [1, 2, 4] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let again = pool.install(|| build(&history).unwrap());
                assert_eq!(answers(again.as_ref()), answer, "{name} on {threads} threads");
            }
        }
        let more = clusters(300, 30, 0.3, 9);
        let labels = || vec![0.5; more.len() / DIM];
        let longer = history.append(&more, labels(), labels()).unwrap();
        let grown = index.grow(&longer).unwrap();
        finds(grown.as_ref(), longer.embeddings(), recall, &format!("{name}, grown"));
        assert_eq!(answers(index.as_ref()), answer, "{name}, grown from");
        if persist {
            persists(index.as_ref(), &answer, name);
            persists(grown.as_ref(), &answers(grown.as_ref()), &format!("{name}, grown"));
            let grown_on = reload(index.as_ref()).grow(&longer).unwrap();
            assert_eq!(answers(grown_on.as_ref()), answers(grown.as_ref()), "{name}, grown on");
            assert!(save(grown_on.as_ref()) == save(grown.as_ref()), "{name}: grown on, bytes");
        } else {
            let refused = index.save(&mut Vec::new());
            assert!(matches!(refused, Err(IndexFileError::NotSaved { .. })), "{name}");
        }
        assert!(matches!(grown.grow(&history), Err(FitError::Grown { .. })), "{name}, shorter");
    }
    let mut rows = clusters(10, 2, 0.3, 1);
    rows[3 * DIM..4 * DIM].fill(0.0);
    assert!(matches!(build(&history(rows)), Err(FitError::ZeroVector { query: 3 })));
}

fn cases() -> Vec<(&'static str, Vec<f32>)> {
    let copies = clusters(10, 10, 1.0, 2);
    vec![
        ("one point", clusters(1, 1, 0.3, 1)),
        ("a few points", clusters(7, 3, 0.3, 1)),
        ("clusters", clusters(2500, 40, 0.3, 1)),
        ("near duplicates", clusters(1500, 30, 0.01, 1)),
        ("copies", copies.chunks(DIM).flat_map(|row| row.repeat(150)).collect()),
        ("extreme lengths", clusters(800, 20, 0.3, 1).iter().map(|x| x * 1e-25).collect()),
    ]
}

/// Rows sorted by cluster.
#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
fn clusters(n: usize, n_clusters: usize, spread: f64, seed: u64) -> Vec<f32> {
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    let centers: Vec<f64> = (0..n_clusters * DIM).map(|_| rng.normal()).collect();
    (0..n * DIM)
        .map(|at| {
            let cluster = at / DIM * n_clusters / n;
            (centers[cluster * DIM + at % DIM] + spread * rng.normal()) as f32
        })
        .collect()
}

fn history(embeddings: Vec<f32>) -> History {
    let n = embeddings.len() / DIM;
    let models = Models::new(["m"]).unwrap();
    History::new(models, DIM, embeddings, vec![0.5; n], vec![0.01; n]).unwrap()
}

/// All rows, every third, a few at the end, and none; one row excluded or none.
fn sets(n: usize) -> RowSets {
    let set = |keep: &dyn Fn(usize) -> bool| (0..n).map(keep).collect::<Box<[bool]>>();
    RowSets::new(vec![
        set(&|_| true),
        set(&|row| row % 3 == 1),
        set(&|row| row + 4 > n),
        set(&|_| false),
    ])
}

fn queries(n: usize) -> Arc<[f32]> {
    let mut queries = clusters(30, 15, 0.3, 1);
    queries.extend(clusters(n.min(30), n.min(15), 0.3, 2));
    queries.into()
}

type Answer = Vec<(u64, u32)>;

fn search(index: &dyn Index, query: &[f32], k: usize, exclude: Option<u32>) -> Vec<Answer> {
    let sets = sets(index.n_rows());
    let mut scratch = Scratch::default();
    index.nearest_into(Query::new(query), k, &sets, exclude, &mut scratch).unwrap();
    (0..sets.n_sets())
        .map(|set| scratch.child(set).scored.iter().map(|a| (a.0.to_bits(), a.1)).collect())
        .collect()
}

fn answers(index: &dyn Index) -> Vec<Vec<Answer>> {
    let queries = queries(index.n_rows());
    queries.chunks(DIM).map(|query| search(index, query, K, Some(2))).collect()
}

/// Compares with scoring everything: as many rows as there are, in order, with canonical
/// similarities, and nearly all of the right ones.
fn finds(index: &dyn Index, rows: &[f32], recall: f64, context: &str) {
    let n = index.n_rows();
    let sets = sets(n);
    let length = |x: &[f32]| 1.0 / dot(x, x).sqrt();
    let (mut wanted, mut found) = (0_usize, 0_usize);
    for query in queries(n).chunks(DIM) {
        let similarity: Vec<f64> =
            rows.chunks(DIM).map(|x| dot(query, x) * length(x) * length(query)).collect();
        for (k, exclude) in [(K, None), (K, Some(0)), (1, None), (n + 10, Some(1)), (0, None)] {
            for (set, answer) in search(index, query, k, exclude).into_iter().enumerate() {
                let counts =
                    |&row: &usize| sets.contains(set, row) && exclude != u32::try_from(row).ok();
                let mut expected: Vec<(f64, u32)> = (0_u32..)
                    .zip(&similarity)
                    .filter(|(row, _)| counts(&(*row as usize)))
                    .map(|(row, &similarity)| (similarity, row))
                    .collect();
                expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                expected.truncate(k);
                assert_eq!(answer.len(), expected.len(), "{context}: set {set}, k = {k}");
                for &(bits, row) in &answer {
                    assert!(counts(&(row as usize)), "{context}: row {row} in set {set}");
                    assert_eq!(bits, similarity[row as usize].to_bits(), "{context}: row {row}");
                }
                let nearer = |a: &(u64, u32), b: &(u64, u32)| {
                    (f64::from_bits(a.0), b.1) > (f64::from_bits(b.0), a.1)
                };
                assert!(answer.is_sorted_by(nearer), "{context}: order of set {set}, k = {k}");
                wanted += expected.len();
                found += expected.iter().filter(|row| answer.iter().any(|a| a.1 == row.1)).count();
            }
        }
    }
    let got = found as f64 / wanted as f64;
    assert!(got >= recall, "{context}: recall {got}");
}

/// Saved and loaded, it answers bit for bit as before, and would be saved as the same bytes.
fn persists(index: &dyn Index, answer: &[Vec<Answer>], context: &str) {
    let loaded = reload(index);
    assert_eq!(loaded.name(), index.name(), "{context}: loaded");
    assert_eq!(loaded.capabilities(), index.capabilities(), "{context}: loaded");
    assert_eq!(answers(loaded.as_ref()), answer, "{context}: loaded");
    assert!(save(loaded.as_ref()) == save(index), "{context}: saved again, the bytes differ");
}

fn reload(index: &dyn Index) -> Box<dyn Index> {
    IndexKind::load(save(index).as_slice()).unwrap()
}

fn refuses(index: &dyn Index) {
    let refuse = |query: &[f32]| {
        let query = Query::new(query);
        index.nearest_into(query, K, &RowSets::all(), None, &mut Scratch::default()).unwrap_err()
    };
    assert!(matches!(refuse(&[0.0; DIM]), EstimateError::ZeroVector));
    assert!(matches!(refuse(&[1.0; DIM - 1]), EstimateError::Dimension { .. }));
    assert!(matches!(refuse(&[f32::NAN; DIM]), EstimateError::NotFinite { .. }));
}
