use proptest::prelude::*;
use tollgate_core::{Models, Purpose};

use super::hash::{Shape, peak, penalty, small};
use super::*;

const DIM: usize = 16;

/// Rows in clusters.
#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
fn vectors(n: usize, spread: f64, seed: u64) -> Vec<f32> {
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    let centers: Vec<f64> = (0..30 * DIM).map(|_| rng.normal()).collect();
    (0..n)
        .flat_map(|_| {
            let center = rng.below(30) * DIM;
            (center..center + DIM)
                .map(|at| (centers[at] + spread * rng.normal()) as f32)
                .collect::<Vec<_>>()
        })
        .collect()
}

fn history(embeddings: Vec<f32>) -> History {
    let n = embeddings.len() / DIM;
    History::new(Models::new(["m"]).unwrap(), DIM, embeddings, vec![0.5; n], vec![0.01; n]).unwrap()
}

fn build(config: LshConfig, embeddings: Vec<f32>) -> Lsh {
    config.build().unwrap().always().index(&history(embeddings), Seed(4)).unwrap()
}

fn rows(index: &Lsh, query: &[f32], k: usize, exclude: Option<u32>) -> Vec<u32> {
    let mut scratch = Scratch::default();
    let query = Query::new(query);
    index.nearest_into(query, k, &RowSets::all(), exclude, &mut scratch).unwrap();
    scratch.child(0).scored.iter().map(|neighbor| neighbor.1).collect()
}

/// Projections (0.5, -2, 1): the nearest vertex is minus the second. To be the first
/// direction 0.5 would have to be 2, to be its opposite -0.5 would.
#[test]
fn digits_by_hand() {
    let projections = [0.5, -2.0, 1.0];
    assert_eq!(peak(&projections), (3, 2.0));
    let penalties: Vec<f32> = (0..6).map(|s| penalty(&projections, 2.0, s)).collect();
    assert_eq!(penalties, [2.25, 6.25, 16.0, 0.0, 1.0, 9.0]);
}

/// The projections are dot products with the directions, whatever is projected beside.
#[test]
fn projections_are_the_same_one_by_one_and_together() {
    let shape = Shape { tables: 3, digits: 2, width: 20 };
    let hasher = Hasher::new(shape, &[0.0; DIM], Seed(1));
    let data = vectors(4, 1.0, 3);
    let units: [&[f32]; 4] = std::array::from_fn(|at| &data[at * DIM..(at + 1) * DIM]);
    let mut together: [Vec<f32>; 4] = std::array::from_fn(|_| vec![0.0; hasher.padded()]);
    hasher.project(units, together.each_mut().map(|out| &mut **out));
    for (unit, together) in units.iter().zip(&together) {
        let mut alone = vec![0.0; hasher.padded()];
        hasher.project([*unit], [&mut alone]);
        assert_eq!(&alone, together);
        assert!(alone[..120].iter().all(|&y| y != 0.0) && alone[120..].iter().all(|&y| y == 0.0));
    }
    // Unit vectors pick out a coordinate of each direction: normal, up to rounding.
    let mut out = vec![0.0; hasher.padded()];
    let mut square = 0.0;
    for l in 0..DIM {
        let mut unit = [0.0; DIM];
        unit[l] = 1.0;
        hasher.project([&unit], [&mut out]);
        square += out.iter().map(|y| f64::from(y * y)).sum::<f64>();
    }
    let variance = square / (120.0 * DIM as f64);
    assert!((variance - 1.0).abs() < 5.0 * (2.0 / (120.0 * DIM as f64)).sqrt(), "{variance}");
}

#[test]
fn tables_by_hand() {
    let table = Buckets::empty(3).extended(0, &[2, 0, 2]).extended(3, &[0, 1, 2]);
    let rows: Vec<&[u32]> = (0..3).map(|bucket| table.rows(bucket)).collect();
    assert_eq!(rows, [&[1, 3][..], &[4], &[0, 2, 5]]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// What a probe finds are the rows whose bucket has a penalty within the radius in some
    /// table: computed here for every row, without enumerating anything.
    #[test]
    fn a_probe_finds_what_is_within(
        digits in 1_usize..5,
        width in prop::sample::select(vec![1_usize, 2, 3]),
        radii in (0.0_f32..3.0, 0.0_f32..9.0),
        seed in 0_u64..1000,
    ) {
        let shape = Shape { tables: 3, digits, width };
        let hasher = Hasher::new(shape, &[0.1; DIM], Seed(seed));
        let history = history(vectors(300, 1.0, seed));
        let scan = ExactScan::new(&history).unwrap();
        let tables = vec![Buckets::empty(shape.n_buckets()); 3];
        let tables = extended(&tables, &hasher, &scan, 0);
        let mut prober = Prober::default();
        prober.begin(&hasher, scan.row(7), scan.inverse_norm(7), 300);
        let projected = prober.projected.clone();
        let least = |row: usize| {
            let mut other = Prober::default();
            other.begin(&hasher, scan.row(row), scan.inverse_norm(row), 0);
            let of = |table: usize| -> f64 {
                (0..digits)
                    .map(|digit| {
                        let mine = shape.digit(&projected, digits * width, table, digit);
                        let (symbol, _) = peak(shape.digit(&other.projected, digits * width, table, digit));
                        f64::from(penalty(mine, peak(mine).1, symbol))
                    })
                    .sum()
            };
            (0..3).map(of).fold(f64::INFINITY, f64::min)
        };
        let mut inner = -1.0;
        let mut found: Vec<u32> = Vec::new();
        for radius in [radii.0, radii.0 + radii.1] {
            prober.probe(&hasher, &tables, [inner, radius], f64::INFINITY).unwrap();
            inner = radius;
            prop_assert!(prober.fresh.is_sorted() && prober.fresh.iter().all(|row| !found.contains(row)));
            found.extend_from_slice(&prober.fresh);
            for row in 0..300 {
                let (least, radius) = (least(row as usize), f64::from(radius));
                // Sums in another order may differ in the last place.
                prop_assume!((least - radius).abs() > 1e-4 * (1.0 + radius));
                prop_assert_eq!(found.contains(&row), least <= radius, "row {}", row);
            }
        }
        prop_assert!(found.contains(&7), "the query's own bucket");
    }
}

/// Recall is what was asked for, on queries that had no part in choosing, without looking
/// at everything; and it is what the report says, by a count of its own.
#[test]
fn recall_is_the_target() {
    for family in [LshFamily::Hyperplanes, LshFamily::CrossPolytope] {
        let mut last = 0.0;
        for target in [0.6, 0.95] {
            let data = vectors(4300, 0.4, 1);
            let (data, queries) = data.split_at(4000 * DIM);
            let config = LshConfig::default().family(family).target_recall(target);
            let index = build(config, data.to_vec());
            let exact = ExactScan::new(&history(data.to_vec())).unwrap();
            let (mut found, mut scored) = (0, 0);
            let sets = RowSets::all();
            for query in queries.chunks(DIM) {
                let mut scratch = Scratch::default();
                let embedding = Query::new(query);
                exact.nearest_into(embedding, 5, &sets, None, &mut scratch).unwrap();
                let wanted = scratch.child(0).scored.clone();
                scored += index.nearest_counted(embedding, 5, &sets, None, &mut scratch).unwrap();
                let got = &scratch.child(0).scored;
                found += wanted.iter().filter(|row| got.contains(row)).count();
            }
            let recall = f64::from(u32::try_from(found).unwrap()) / 1500.0;
            let examined = scored as f64 / (300.0 * 4000.0);
            let report = index.report();
            assert!(recall > target - 0.02, "{family:?} at {target}: {recall}");
            assert!((recall - report.recall).abs() < 0.05, "{recall}, {report:?}");
            assert!((examined - report.examined).abs() < 0.05, "{examined}, {report:?}");
            assert!(examined > last && examined < 0.5, "{family:?} at {target}: {examined}");
            last = examined;
        }
    }
}

/// A few rows are scanned, and the report says so.
#[test]
fn few_rows_are_scanned() {
    let recipe = LshConfig::default().build().unwrap();
    let index = recipe.index(&history(vectors(200, 0.4, 1)), Seed(4)).unwrap();
    let report = index.report();
    assert_eq!((report.tables, report.n_rows, report.queries), (0, 200, 0));
    let query = vectors(1, 0.4, 2);
    assert_eq!(rows(&index, &query, 200, None).len(), 200);
}

/// More rows go into the tables that are there; when they have doubled, into new ones.
#[test]
fn what_was_chosen_stays_until_the_rows_double() {
    let data = vectors(6000, 0.4, 1);
    let index = build(LshConfig::default(), data[..3000 * DIM].to_vec());
    let reports = [5999, 6000].map(|n| {
        let grown = index.grow(&history(data[..n * DIM].to_vec())).unwrap();
        let new = data[(n - 1) * DIM..n * DIM].to_vec();
        let mut scratch = Scratch::default();
        let query = Query::new(&new);
        grown.nearest_into(query, 1, &RowSets::all(), None, &mut scratch).unwrap();
        assert_eq!(scratch.child(0).scored[0].1, small(n - 1), "a new row finds itself");
        format!("{grown:?}").contains("n_rows: 3000")
    });
    assert_eq!(reports, [true, false]);
}

/// More neighbors than there are within any radius, and one row passed over.
#[test]
fn all_rows_can_be_had() {
    let index = build(LshConfig::default(), vectors(1500, 0.4, 1));
    let query = vectors(1, 0.4, 9);
    let mut all = rows(&index, &query, 5000, Some(17));
    all.sort_unstable();
    assert!(all.iter().copied().eq((0..1500).filter(|&row| row != 17)));
}

/// Pins what is chosen and found: of a change that moves it, the changelog must speak.
#[test]
fn the_choice_is_stable() {
    let index = build(LshConfig::default(), vectors(3000, 0.4, 1));
    let report = index.report();
    let query = vectors(1, 0.4, 9);
    let found = rows(&index, &query, 5, None);
    insta::assert_snapshot!(
        format!("{} tables of {} digits, width {}: {found:?}", report.tables, report.digits, report.width),
        @"2 tables of 3 digits, width 8: [818, 2873, 1495, 452, 1062]"
    );
}

#[test]
fn knobs_out_of_range() {
    let refuse = |config: LshConfig| config.build().unwrap_err().to_string();
    let config = LshConfig::default;
    insta::assert_snapshot!(refuse(config().target_recall(1.0)), @"`target_recall` must be > 0 and < 1, got 1");
    insta::assert_snapshot!(refuse(config().target_recall(f64::NAN)), @"`target_recall` must be > 0 and < 1, got NaN");
    insta::assert_snapshot!(refuse(config().k(0)), @"`k` must be in 1..=1024, got 0");
    insta::assert_snapshot!(refuse(config().k(2000)), @"`k` must be in 1..=1024, got 2000");
}
