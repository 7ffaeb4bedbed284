//! UniRoute's protocol on the embedded stream, from names to bars and tables.

use std::sync::Arc;

use tollgate::core::Seed;
use tollgate::data::Table;
use tollgate_lab::Silent;
use tollgate_lab::uniroute::report::{csv, headline, table};
use tollgate_lab::uniroute::{
    Comparison, KNN_ROUTER, KnownClusters, Method, Protocol, bars, compare, label_curve,
};

/// Prompts of the embedded stream stand for centers, every hundredth of them.
fn clusters(table: &Table) -> Method {
    let prompts = (0..table.len()).step_by(100);
    let centers: Vec<f32> =
        prompts.flat_map(|row| table.queries().query(row).embedding.to_vec()).collect();
    Method::pool("clusters", Arc::new(KnownClusters::new(centers, table.dim())))
}

fn run(threads: usize) -> Comparison {
    let table = Table::embedded();
    let names = ["zero-router", KNN_ROUTER, "clairvoyant/ridge", "oracle"];
    let mut methods: Vec<Method> =
        names.iter().flat_map(|name| Method::parse(name).unwrap()).collect();
    methods.push(clusters(&table));
    let seeds: Vec<Seed> = (1..9).map(Seed).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let protocol = Protocol::default();
    pool.install(|| compare("embedded", &table, &protocol, &methods, &seeds, &Silent)).unwrap()
}

/// Eight cuts: the clairvoyant's head and neighbors are above whoever looks at no prompt, and
/// all are below the oracle in every single one. Files are the same on any number of threads.
#[test]
fn the_embedded_stream_from_names_to_tables() {
    let found = run(2);
    insta::assert_snapshot!(
        headline(&found),
        @"embedded: 7 models seen, 4 unseen; prompts 2400 to train, 400 to label, 1200 to route; 8 trials from seed 1"
    );
    let area = |label: &str| found.line(label).unwrap().area();
    assert!(area("clairvoyant/ridge") > area("zero-router"));
    assert!(found.best(KNN_ROUTER).unwrap().area() > area("zero-router"));
    for line in &found.lines {
        let oracle = &found.line("oracle").unwrap().trials;
        for (ours, oracle) in line.trials.iter().zip(oracle) {
            assert!(ours.area <= oracle.area + 1e-12 && ours.peak <= oracle.peak + 1e-12);
            assert!(ours.aiq >= 0.0 && ours.half_area <= ours.peak);
        }
    }
    // A line a method, and one for all neighbors.
    assert_eq!(table(&found).lines().count(), 2 + 5);
    let checks = bars::bars(&found, &["clusters"], "clusters");
    assert_eq!(checks.len(), 3);
    let files = |found: &Comparison| csv(std::slice::from_ref(found)).unwrap();
    assert_eq!(files(&found), files(&run(1)));
}

/// All representative prompts: what is chosen is what is drawn.
#[test]
fn with_all_labels_there_is_nothing_to_choose() {
    let rows: Vec<usize> = (0..600).collect();
    let table = Table::embedded().select_rows(&rows).unwrap();
    let protocol = Protocol { labels: 60, ..Protocol::default() };
    let seeds: Vec<Seed> = (1..4).map(Seed).collect();
    let method = clusters(&table);
    let curve = label_curve(&table, &protocol, &method, &[20, 10_000], &seeds, &Silent).unwrap();
    for (chosen, random) in curve.chosen[1].iter().zip(&curve.random[1]) {
        assert!((chosen - random).abs() < 1e-12, "{chosen} and {random}");
    }
    assert!(curve.chosen[0] != curve.random[0]);
}
