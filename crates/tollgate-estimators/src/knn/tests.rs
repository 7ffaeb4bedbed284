use proptest::prelude::*;
use tollgate_core::{Purpose, Seed};
use tollgate_testkit::estimator_conformance::{self, Growth};

use super::*;

const GAP: f64 = f64::NAN;

/// Four prompts in the plane at cosines 1, 0.8, 0.6 and 0 from the query (1, 0).
fn small_history(quality: [[f64; 2]; 4]) -> History {
    let models = Models::new(["large", "small"]).unwrap();
    let embeddings = vec![0.6, 0.8, 1.0, 0.0, 0.0, 1.0, 0.8, 0.6];
    let cost = quality.map(|row| row.map(|score| (score + 1.0) / 100.0));
    History::new(models, 2, embeddings, quality.concat(), cost.concat()).unwrap()
}

fn estimate(config: KnnConfig, history: &History) -> EstimateTable {
    let estimator = config.build().unwrap().fit(history, Seed(0)).unwrap();
    let mut table = EstimateTable::zeros(1, history.models().len());
    let query = Query::new(&[1.0, 0.0]);
    table.fill(|out| estimator.estimate_into(query, &mut Scratch::default(), out)).unwrap();
    table
}

fn assert_close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-7, "{got}, expected {expected}");
    }
}

/// Neighbors are rows 1, 3 and 0 in this order. Scores of `large`: 1, 0, 1, mean 2/3,
/// squared deviations 2/3 in all; all four labels 1, 1, 0, 0 have mean 1/2 and squared
/// deviations 1, so `v = (1 + 1/4) / 4 = 5/16` and `se^2 = (2/9 + 5/48) / 3`. Scores of
/// `small`: 1, 1, 1 of 1, 1, 1, 0: `v = (3/4 + 1/4) / 4 = 1/4`, `se^2 = (1/12) / 3`.
#[test]
fn means_and_errors_by_hand() {
    let history = small_history([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 1.0]]);
    let table = estimate(KnnConfig::default().k(3), &history);
    let row = table.row(0);
    assert_close(row.quality, &[2.0 / 3.0, 1.0]);
    let large: f64 = (2.0 / 9.0 + 5.0 / 48.0) / 3.0;
    assert_close(row.quality_se, &[large.sqrt(), (1.0_f64 / 36.0).sqrt()]);
    assert_close(row.cost, &[0.05 / 3.0, 0.02]);
}

/// Weights 1/0.1, 1/0.3 and 1/0.5 are 10, 10/3 and 2: the second neighbor of `large`
/// fails, so its mean is 12 of 46/3.
#[test]
fn similarity_weights_by_hand() {
    let history = small_history([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 1.0]]);
    let config = KnnConfig::default().k(3).weighting(Weighting::Similarity);
    let table = estimate(config, &history);
    assert_close(table.row(0).quality, &[36.0 / 46.0, 1.0]);
}

/// `large` is labelled on rows 0 and 2 only, `small` on 1, 2 and 3: each model has its own
/// two nearest.
#[test]
fn gaps_are_passed_over_model_by_model() {
    let history = small_history([[1.0, GAP], [GAP, 0.0], [0.0, 1.0], [GAP, 0.5]]);
    let table = estimate(KnnConfig::default().k(2), &history);
    assert_close(table.row(0).quality, &[0.5, 0.25]);
    let table = estimate(KnnConfig::default().k(9), &history);
    assert_close(table.row(0).quality, &[0.5, 0.5]);
}

#[test]
fn the_only_label_tells_nothing_about_itself() {
    let history = small_history([[1.0, 1.0], [GAP, 1.0], [GAP, 0.0], [GAP, 1.0]]);
    let recipe = KnnConfig::default().k(2).build().unwrap();
    let held_out = recipe.held_out(&history, Seed(0)).unwrap();
    assert_close(&[held_out.row(0).quality[0], held_out.row(0).quality_se[0]], &[0.5, 0.5]);
    assert_close(&[held_out.row(0).cost[0], held_out.row(0).cost_se[0]], &[0.02, 0.02]);
    assert_close(&[held_out.row(1).quality[0]], &[1.0]);
}

/// Weights of the plane through two neighbors, by its normal equations in the plane: the
/// other form of the same penalized least squares.
#[test]
fn a_local_plane_by_its_normal_equations() {
    let history = small_history([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 1.0]]);
    let Weigher::Linear(rows) = Weigher::new(Weighting::Linear, &history).unwrap() else {
        panic!("linear weights need the rows")
    };
    let query = [0.96_f32, 0.28];
    let neighbors = [(0.96 * 0.8 + 0.28 * 0.6, 3_u32), (0.96, 1), (0.96 * 0.6 + 0.28 * 0.8, 0)];
    let points = [[0.8, 0.6], [1.0, 0.0], [0.6, 0.8]];
    let labels = [0.3, 0.9, 0.4];
    let mut work = vec![f64::NAN; 2];
    let weights = Weigher::Linear(rows).weigh(&query, &neighbors, &mut work).to_vec();
    assert_close(&[weights.iter().sum()], &[1.0]);

    let raw = neighbors.map(|(similarity, _)| 1.0 / (1.1 - similarity));
    let v = raw.map(|weight| weight / raw.iter().sum::<f64>());
    let mean = |of: &dyn Fn(usize) -> f64| (0..3).map(|r| v[r] * of(r)).sum::<f64>();
    let center = [0, 1].map(|axis| mean(&|r| points[r][axis]));
    let y = mean(&|r| labels[r]);
    let offset = [f64::from(query[0]) - center[0], f64::from(query[1]) - center[1]];
    let moment =
        |a: usize, b: usize| mean(&|r| (points[r][a] - center[a]) * (points[r][b] - center[b]));
    let penalty = 0.1 * (moment(0, 0) + moment(1, 1) + offset[0].powi(2) + offset[1].powi(2));
    let (a, b, d) = (moment(0, 0) + penalty, moment(0, 1), moment(1, 1) + penalty);
    let right = [0, 1].map(|axis| mean(&|r| (points[r][axis] - center[axis]) * (labels[r] - y)));
    let det = a * d - b * b;
    let slope = [(d * right[0] - b * right[1]) / det, (a * right[1] - b * right[0]) / det];
    let expected = y + slope[0] * offset[0] + slope[1] * offset[1];
    let got: f64 = weights.iter().zip(labels).map(|(weight, label)| weight * label).sum();
    assert_close(&[got], &[expected]);
}

/// Means 2/3 and 1 of three neighbors, 1/2 and 3/4 of all; a strength of 1 beside 3
/// neighbors is a quarter of the way.
#[test]
fn shrinkage_by_hand() {
    let history = small_history([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 1.0]]);
    let table = estimate(KnnConfig::default().k(3).shrinkage(Shrinkage::Labels(1.0)), &history);
    assert_close(table.row(0).quality, &[2.0 / 3.0 - 1.0 / 24.0, 1.0 - 1.0 / 16.0]);
    let plain = estimate(KnnConfig::default().k(3), &history);
    let none = estimate(KnnConfig::default().k(3).shrinkage(Shrinkage::Labels(0.0)), &history);
    assert_eq!(plain, none);
}

/// Costs of 1, 2, 4 and 8 thousandths, all of them averaged: `2^1.5` thousandths, times
/// the mean of `2^e` over the errors -2, -2/3, 2/3 and 2 of the mean of the other three.
/// The other model was free once and stays in USD.
#[test]
fn log_costs_by_hand() {
    let models = Models::new(["free", "paid"]).unwrap();
    let embeddings = vec![0.6, 0.8, 1.0, 0.0, 0.0, 1.0, 0.8, 0.6];
    let cost = vec![0.0, 0.001, 0.3, 0.002, 0.1, 0.004, 0.2, 0.008];
    let history = History::new(models, 2, embeddings, vec![1.0; 8], cost).unwrap();
    let config = KnnConfig::default().cost_domain(CostDomain::Log);
    let errors = [-2.0_f64, -2.0 / 3.0, 2.0 / 3.0, 2.0];
    let smear = errors.iter().map(|error| error.exp2()).sum::<f64>() / 4.0;
    assert_close(estimate(config, &history).row(0).cost, &[0.15, 0.001 * 1.5_f64.exp2() * smear]);
}

/// Clusters of prompts; `cost(cluster, normal, uniform)` of each.
#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
fn clusters(n: usize, seed: u64, cost: impl Fn(usize, f64, f64) -> f64) -> (History, Vec<f64>) {
    const CLUSTERS: usize = 20;
    const DIM: usize = 16;
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 1);
    let centers: Vec<f64> = (0..CLUSTERS * DIM).map(|_| rng.normal()).collect();
    let expected: Vec<f64> =
        (0..CLUSTERS).map(|_| (0.5 + 0.2 * rng.normal()).clamp(0.05, 0.95)).collect();
    let (mut embeddings, mut quality, mut costs, mut truth) = (vec![], vec![], vec![], vec![]);
    for row in 0..n {
        let cluster = row % CLUSTERS;
        let center = &centers[cluster * DIM..(cluster + 1) * DIM];
        embeddings.extend(center.iter().map(|x| (x + 0.1 * rng.normal()) as f32));
        quality.push(f64::from(u8::from(rng.uniform() < expected[cluster])));
        costs.push(cost(cluster, rng.normal(), rng.uniform()));
        truth.push(expected[cluster]);
    }
    let models = Models::new(["m"]).unwrap();
    (History::new(models, DIM, embeddings, quality, costs).unwrap(), truth)
}

/// How often the truth lies within 1.96 standard errors: 95 % where all is normal and the
/// prompts are many. Each seed has twenty clusters, and so about twenty answers that are
/// independent: 40 seeds have 800, and a share that is off by 0.8 points (one sigma).
#[test]
fn standard_errors_cover_whatever_the_shrinkage() {
    let share = |shrinkage: Shrinkage, weighting: Weighting| {
        let (mut inside, mut all) = (0_u32, 0_u32);
        for seed in 0..40 {
            let (history, truth) = clusters(600, seed, |_, _, _| 0.01);
            let recipe = KnnConfig::default().k(20).shrinkage(shrinkage).weighting(weighting);
            let held_out = recipe.build().unwrap().held_out(&history, Seed(0)).unwrap();
            let rows = held_out.view();
            for ((q, se), truth) in rows.quality.iter().zip(rows.quality_se).zip(&truth) {
                inside += u32::from((q - truth).abs() <= 1.96 * se);
                all += 1;
            }
        }
        f64::from(inside) / f64::from(all)
    };
    let strengths = [0.0, 2.0, 20.0, 200.0].map(Shrinkage::Labels);
    for shrinkage in strengths.into_iter().chain([Shrinkage::Auto]) {
        for weighting in [Weighting::Uniform, Weighting::Linear] {
            let share = share(shrinkage, weighting);
            assert!((0.92..0.985).contains(&share), "{shrinkage} {weighting}: {share}");
        }
    }
}

/// Five noisy neighbors are worse than many: the more the labels' noise, the stronger the
/// pull, and the error of what is chosen is below that of no pull.
#[test]
fn auto_shrinks_where_it_helps() {
    let (history, truth) = clusters(600, 3, |_, _, _| 0.01);
    let error = |shrinkage| {
        let recipe = KnnConfig::default().shrinkage(shrinkage).build().unwrap();
        let held_out = recipe.held_out(&history, Seed(0)).unwrap();
        let errors = held_out.quality().iter().zip(&truth).map(|(q, truth)| (q - truth).powi(2));
        errors.sum::<f64>()
    };
    assert!(error(Shrinkage::Auto) < 0.8 * error(Shrinkage::None));
}

/// A cost that is spread by factors is averaged in logarithms; one that is nearly nothing
/// half of the time is not.
#[test]
fn auto_takes_the_better_domain() {
    let factors = clusters(600, 5, |cluster, z, _| 1e-3 * (0.3 * cluster as f64 + 1.2 * z).exp()).0;
    let half = clusters(600, 5, |_, _, u| if u < 0.5 { 1e-9 } else { 1e-3 }).0;
    for (history, expected) in [(factors, CostDomain::Log), (half, CostDomain::Usd)] {
        let held_out = |domain| {
            let recipe = KnnConfig::default().k(10).cost_domain(domain).build().unwrap();
            recipe.held_out(&history, Seed(0)).unwrap()
        };
        assert_eq!(held_out(CostDomain::Auto), held_out(expected));
        assert_ne!(held_out(CostDomain::Usd), held_out(CostDomain::Log));
    }
}

/// The mean of predicted costs is the mean of costs, which the exp of a mean log is not.
#[test]
fn log_costs_are_means() {
    let (history, _) = clusters(2000, 7, |cluster, z, _| 1e-3 * (0.1 * cluster as f64 + z).exp());
    let recipe = KnnConfig::default().k(20).cost_domain(CostDomain::Log).build().unwrap();
    let held_out = recipe.held_out(&history, Seed(0)).unwrap();
    let ratio = held_out.cost().iter().sum::<f64>() / history.cost().iter().sum::<f64>();
    assert!((0.95..1.05).contains(&ratio), "{ratio}");
}

fn variants() -> Vec<KnnConfig> {
    let of = KnnConfig::default;
    #[cfg_attr(not(feature = "kd-tree"), expect(unused_mut, reason = "grows with features"))]
    let mut variants = vec![
        of().k(1),
        of(),
        of().k(40),
        of().weighting(Weighting::Similarity),
        of().k(40).weighting(Weighting::Similarity),
        of().k(1).weighting(Weighting::Linear),
        of().k(20).weighting(Weighting::Linear),
        of().index(IndexKind::Hnsw),
        of().shrinkage(Shrinkage::Labels(3.0)),
        of().shrinkage(Shrinkage::Auto),
        of().cost_domain(CostDomain::Log),
        of().cost_domain(CostDomain::Auto),
        of().k(20)
            .weighting(Weighting::Linear)
            .shrinkage(Shrinkage::Auto)
            .cost_domain(CostDomain::Auto),
    ];
    #[cfg(feature = "kd-tree")]
    variants.push(of().index(IndexKind::KdTree));
    variants
}

#[test]
fn recipes_conform() {
    for config in variants() {
        estimator_conformance::check(&config.build().unwrap());
    }
}

#[test]
fn snapshots_grow() {
    for config in variants() {
        let chosen = config.shrinkage != Shrinkage::None || config.cost_domain != CostDomain::Usd;
        let growth = if chosen || config.index == IndexKind::Hnsw {
            Growth::ChoicesStay
        } else {
            Growth::AsFitted
        };
        estimator_conformance::check_growth(&config.build().unwrap(), growth);
    }
}

#[test]
fn names_and_refusals() {
    let name = |config: KnnConfig| config.build().unwrap().name();
    insta::assert_snapshot!(name(KnnConfig::default()), @"knn(k=5)");
    let weighted = KnnConfig::default().k(40).weighting(Weighting::Similarity);
    insta::assert_snapshot!(name(weighted.clone()), @"knn(k=40,weighting=similarity)");
    let all = weighted.index(IndexKind::Hnsw).cost_domain(CostDomain::Auto);
    insta::assert_snapshot!(name(all.shrinkage(Shrinkage::Labels(2.5))), @"knn(k=40,weighting=similarity,index=hnsw,shrinkage=2.5,cost_domain=auto)");
    let refused = |config: KnnConfig| config.build().unwrap_err().to_string();
    insta::assert_snapshot!(refused(KnnConfig::default().k(0)), @"`k` must be >= 1, got 0");
    for got in [f64::NAN, f64::INFINITY, -1.0] {
        let config = KnnConfig::default().shrinkage(Shrinkage::Labels(got));
        let rule = "`shrinkage` must be `none`, `auto`, or finite and >= 0, got";
        assert_eq!(refused(config), format!("{rule} {got}"));
    }
}

fn random_history(n: usize, seed: u64) -> History {
    let (dim, n_models) = (6, 3);
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    let embeddings = (0..n * dim).map(|_| rng.below(5) as f32 - 1.9).collect();
    let mut gap = |row: usize, value: f64| if row > 0 && rng.below(4) == 0 { GAP } else { value };
    let quality: Vec<f64> =
        (0..n * n_models).map(|at| gap(at / n_models, f64::from(u8::from(at % 5 < 3)))).collect();
    let cost =
        quality.iter().enumerate().map(|(at, q)| q * 0.0 + 1e-3 * (at % 11) as f64).collect();
    History::new(Models::new(["a", "b", "c"]).unwrap(), dim, embeddings, quality, cost).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Leave-one-out is what is left when the row is really left out.
    #[test]
    fn held_out_is_a_fit_without_the_row(n in 8_usize..40, k in 1_usize..6, seed in 0_u64..500) {
        let history = random_history(n, seed);
        let drawn = KnnConfig::default().shrinkage(Shrinkage::Labels(2.0));
        let plane = KnnConfig::default().weighting(Weighting::Linear);
        for (config, tolerance) in [(KnnConfig::default(), 0.0), (drawn, 1e-12), (plane, 1e-12)] {
        let recipe = config.k(k).build().unwrap();
        let held_out = recipe.held_out(&history, Seed(0)).unwrap();
        for row in 1..n {
            let others: Vec<usize> = (0..n).filter(|&other| other != row).collect();
            let rest = history.select(&others).unwrap();
            let estimator = recipe.fit(&rest, Seed(0)).unwrap();
            let mut table = EstimateTable::zeros(1, 3);
            let query = history.queries().query(row);
            table.fill(|out| estimator.estimate_into(query, &mut Scratch::default(), out)).unwrap();
            let (left, right) = (table.row(0), held_out.row(row));
            let pairs = left.quality.iter().zip(right.quality);
            for (left, right) in pairs.chain(left.cost.iter().zip(right.cost)) {
                prop_assert!((left - right).abs() <= tolerance, "{left} and {right} in {row}");
            }
        }
        }
    }

    /// A batch on one thread and on three.
    #[test]
    fn threads_do_not_matter(seed in 0_u64..500) {
        let history = random_history(300, seed);
        let recipe = KnnConfig::default().build().unwrap();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| recipe.held_out(&history, Seed(0)).unwrap())
        };
        prop_assert_eq!(on(1), on(3));
    }
}

/// One search for the most neighbors answers for every smaller number.
#[test]
fn several_numbers_at_once() {
    let mut rng = Seed(4).stream(Purpose::Synthesis, 0);
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    let embeddings: Vec<f32> = (0..60 * 3).map(|_| rng.normal() as f32).collect();
    let mut quality: Vec<f64> = (0..120).map(|_| rng.uniform()).collect();
    quality[7] = f64::NAN;
    let models = Models::new(["a", "b"]).unwrap();
    let history = History::new(models, 3, embeddings, quality, vec![0.01; 120]).unwrap();
    let ks = [5, 70, 1];
    let widest = KnnConfig::default().k(70).build().unwrap().fit_knn(&history, Seed(0)).unwrap();
    for (k, table) in ks.into_iter().zip(widest.held_out_each(&history, &ks)) {
        let alone = KnnConfig::default().k(k).build().unwrap();
        assert_eq!(table, alone.held_out(&history, Seed(0)).unwrap(), "k = {k}");
    }
}
