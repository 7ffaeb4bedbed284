use tollgate_core::{
    Budgets, Choice, Problem, Purpose, Row, Scope, Seed, SolveOptions, Solver, StreamRng,
};

use super::*;
use crate::testing::{Left, Subgradient, arrival, models, rank, table};

const E: f64 = std::f64::consts::E;

fn config(lower: f64, upper: f64, by: ExpThresholdBy) -> ExpThreshold {
    ExpThresholdConfig { lower: Some(lower), upper: Some(upper), by }.build().unwrap()
}

fn adapted(policy: &ExpThreshold, left: &Left, history: Option<&EstimateTable>) -> Arc<dyn Policy> {
    let models = models(left.budgets.n_models());
    let setup = RunSetup { history, ..left.setup(&models, None) };
    policy.adapt(&setup).unwrap().expect("it always learns")
}

/// With `U = e L` the rate is 2: flat up to a half, then `L e^(2z - 1)`.
#[test]
fn the_price_by_hand() {
    let curve = Curve::new(3.0, 3.0 * E);
    for (used, price) in
        [(0.0, 3.0), (0.25, 3.0), (0.5, 3.0), (0.75, 3.0 * E.sqrt()), (1.0, 3.0 * E)]
    {
        assert!((curve.price(used) - price).abs() < 1e-12, "{used}: {}", curve.price(used));
    }
    assert!((Curve::new(2.0, 2.0).price(1.0) - 2.0).abs() < 1e-12, "no range, one price");
}

#[test]
fn of_what_passes_the_best_or_the_one_with_the_most_to_spare() {
    // The price is 1: model 0 has 0.01 to spare, model 1 nothing, model 2 falls short.
    let left = Left::per_model(&[100.0; 3]);
    let arrival = arrival(0, &[0.02, 0.5, 0.9], &[0.01, 0.5, 1.0]);
    let ranked = |by| {
        let policy = adapted(&config(1.0, 9.0, by), &left, None);
        let (entries, unaffordable) = rank(&*policy, &arrival, &Prices::unset(), &left);
        assert!(!unaffordable);
        entries.into_iter().map(|(model, _)| model).collect::<Vec<_>>()
    };
    assert_eq!(ranked(ExpThresholdBy::Value), [1, 0]);
    assert_eq!(ranked(ExpThresholdBy::Surplus), [0, 1]);
}

#[test]
fn what_is_left_makes_the_price() {
    let policy = config(1.0, E, ExpThresholdBy::Surplus);
    let mut left = Left::per_model(&[4.0, 4.0]);
    let policy = adapted(&policy, &left, None);
    let scores = |left: &Left| {
        rank(&*policy, &arrival(0, &[0.9, 0.75], &[0.5, 0.5]), &Prices::unset(), left)
    };
    assert_eq!(scores(&left), (vec![(0, 0.4), (1, 0.25)], false));
    // A quarter left: sqrt(e) a USD, 0.824 for half of one.
    left.remaining = vec![4.0, 1.0];
    assert_eq!(scores(&left), (vec![(0, 0.4)], false));
    left.remaining = vec![0.0, 1.0];
    assert_eq!(scores(&left), (vec![], false), "declined: e / 2 is more than 0.9");
    // Estimates of what is left do not count.
    left.remaining = vec![4.0, 4.0];
    left.remaining_estimated = vec![0.0, 0.0];
    assert_eq!(scores(&left).0.len(), 2);
}

#[test]
fn prices_of_all_budgets_on_an_option_add_up() {
    let rows = vec![
        Row::at_most(Meter::Cost, Scope::all(), 8.0),
        Row::at_most(Meter::Cost, Scope::model(1), 8.0),
    ];
    let left = Left::of(Budgets::new(rows, 2, 1).unwrap());
    let policy = adapted(&config(1.0, 9.0, ExpThresholdBy::Surplus), &left, None);
    let arrival = arrival(0, &[0.75, 0.75], &[0.25, 0.25]);
    let (entries, _) = rank(&*policy, &arrival, &Prices::unset(), &left);
    assert_eq!(entries, [(0, 0.5), (1, 0.25)]);
}

#[test]
fn unaffordable_worthless_free() {
    let mut left = Left::per_model(&[1.0, 1.0]);
    let policy = adapted(&config(1e-3, 1.0, ExpThresholdBy::Value), &left, None);
    let ranked = |quality: [f64; 2], cost: [f64; 2], left: &Left| {
        let arrival = arrival(0, &quality, &cost);
        let (entries, unaffordable) = rank(&*policy, &arrival, &Prices::unset(), left);
        (entries.iter().map(|entry| entry.0).collect::<Vec<_>>(), unaffordable)
    };
    assert_eq!(ranked([0.5, 0.5], [2.0, 2.0], &left), (vec![], true));
    assert_eq!(ranked([0.0, 0.0], [0.0, 0.0], &left), (vec![], false), "worth nothing");
    left.remaining = vec![0.0, 0.0];
    assert_eq!(ranked([0.5, 0.25], [0.0, 0.0], &left), (vec![0, 1], false), "free is free");
    let must = Arrival { must_serve: true, ..arrival(0, &[0.0, 0.1], &[0.5, 0.9]) };
    left.remaining = vec![1.0, 1.0];
    let (entries, _) = rank(&*policy, &must, &Prices::unset(), &left);
    assert_eq!(entries[0].0, 1, "what passes comes first");
    assert_eq!(entries.len(), 2, "and then the rest");
}

/// Densities 1, 2, ..., 1001: the quantiles are 21 and 1000. Free and worthless options say
/// nothing.
#[test]
fn bounds_from_the_history() {
    let mut quality: Vec<[f64; 1]> =
        (1..=1001_u32).rev().map(|d| [f64::from(d) / 1024.0]).collect();
    let mut cost = vec![[1.0 / 1024.0]; 1001];
    quality.extend([[0.0], [0.5]]);
    cost.extend([[0.5], [0.0]]);
    let curve = curve(&table(&quality, &cost), Meter::Cost).unwrap();
    assert!((curve.price(0.0) - 21.0).abs() < 1e-9 && (curve.price(1.0) - 1000.0).abs() < 1e-9);
    let free = table(&[[0.5]], &[[0.0]]);
    assert!(super::curve(&free, Meter::Cost).is_none(), "nothing to tell from, no price");
    let one = super::curve(&free, Meter::One).unwrap();
    assert!((one.price(0.7) - 0.5).abs() < 1e-12, "an answer is one, free or not");
}

#[test]
fn refusals() {
    let refuse = |lower, upper| {
        let config = ExpThresholdConfig { lower, upper, ..ExpThresholdConfig::default() };
        config.build().unwrap_err().to_string()
    };
    insta::assert_snapshot!(refuse(Some(1.0), None), @"`lower` must be given together with `upper`, got 1");
    insta::assert_snapshot!(refuse(None, Some(2.0)), @"`upper` must be given together with `lower`, got 2");
    insta::assert_snapshot!(refuse(Some(0.0), Some(2.0)), @"`lower` must be finite and > 0, got 0");
    insta::assert_snapshot!(refuse(Some(f64::NAN), Some(2.0)), @"`lower` must be finite and > 0, got NaN");
    insta::assert_snapshot!(refuse(Some(2.0), Some(1.0)), @"`upper` must be finite and at least `lower`, got 1");
    insta::assert_snapshot!(refuse(Some(2.0), Some(f64::NAN)), @"`upper` must be finite and at least `lower`, got NaN");
    let models = models(2);
    let counted = vec![Row::at_most(Meter::One, Scope::all(), 3.0)];
    let left = Left::of(Budgets::new(counted, 2, 1).unwrap());
    let adapt = |policy: &ExpThreshold| {
        policy.adapt(&left.setup(&models, None)).map(drop).unwrap_err().to_string()
    };
    let learning = ExpThresholdConfig::default().build().unwrap();
    insta::assert_snapshot!(adapt(&learning), @"policy `exp-threshold` needs held-out estimates of the history");
    insta::assert_snapshot!(adapt(&config(1.0, 2.0, ExpThresholdBy::Value)), @"policy `exp-threshold` needs budgets in USD alone where `lower` and `upper` are given");
    let arrival = arrival(0, &[0.5; 2], &[1.0; 2]);
    let early = learning.rank(&arrival, &Prices::unset(), &left.view(), &mut Ranking::default());
    insta::assert_snapshot!(early.unwrap_err(), @"policy `exp-threshold` needs to be adapted to a run before it ranks");
}

#[test]
fn conforms() {
    for by in [ExpThresholdBy::Value, ExpThresholdBy::Surplus] {
        let learned = ExpThresholdConfig { by, ..ExpThresholdConfig::default() };
        let learned = learned.build().unwrap();
        tollgate_testkit::policy_conformance::check_falling_back(&learned);
        tollgate_testkit::policy_conformance::check_falling_back(&config(1.0, 1e4, by));
    }
}

/// Queries in the order of their arrival, three models.
struct Stream {
    quality: Vec<[f64; 3]>,
    cost: Vec<[f64; 3]>,
}

impl Stream {
    fn push(&mut self, options: [(f64, f64); 3]) {
        self.cost.push(options.map(|(cost, _)| cost));
        self.quality.push(options.map(|(cost, density)| cost * density));
    }

    /// What the policy earns on it.
    fn play(&self, policy: &ExpThreshold, budgets: &Budgets) -> f64 {
        let mut left = Left::of(budgets.clone());
        let policy = adapted(policy, &left, None);
        let mut earned = 0.0;
        for (quality, cost) in self.quality.iter().zip(&self.cost) {
            let arrival = arrival(0, quality, cost);
            let Some(&(model, _)) = rank(&*policy, &arrival, &Prices::unset(), &left).0.first()
            else {
                continue;
            };
            earned += quality[model];
            for &row in budgets.touching(0, model) {
                left.remaining[row as usize] -= cost[model];
            }
        }
        earned
    }

    /// A bound on what anybody could earn: the dual function, at prices that a subgradient
    /// method is content with.
    fn bound(&self, budgets: &Budgets) -> f64 {
        let problem = Problem::builder(self.quality.len(), 3, Choice::AtMostOne)
            .table(Meter::Quality, self.quality.as_flattened().into())
            .table(Meter::Cost, self.cost.as_flattened().into())
            .objective(Meter::Quality, 1.0)
            .rows(budgets.rows().iter().cloned())
            .build()
            .unwrap();
        Subgradient.solve(&problem, &SolveOptions::default(), None).unwrap().dual_bound
    }
}

const LOWER: f64 = 1.0;

/// Somebody unfriendly, in several ways; every option costs at most 1 / 300 of a budget of
/// 1, and is worth `LOWER` to `upper` per USD.
fn unfriendly(kind: usize, upper: f64, rng: &mut StreamRng) -> Stream {
    let n = 300 + rng.below(600);
    let between = |share: f64| LOWER * (upper / LOWER).powf(share);
    let mut stream = Stream { quality: Vec::new(), cost: Vec::new() };
    for at in 0..n {
        let share = at as f64 / n as f64;
        let mut cost = || (0.2 + 0.8 * rng.uniform()) / 300.0;
        let costs = [cost(), cost(), cost()];
        let densities = match kind {
            // No order at all.
            0 => [(); 3].map(|()| between(rng.uniform())),
            // Ever better, cut off somewhere.
            1 => [(); 3].map(|()| between(share * rng.uniform().max(0.9))),
            // Ever worse.
            2 => [(); 3].map(|()| between((1.0 - share) * rng.uniform().max(0.9))),
            // Two phases: what is worth the least, then what is worth the most.
            3 => [between(if 2 * at < n { 0.0 } else { 1.0 }); 3],
            // One model is wanted for everything, then only it is any good.
            4 if 2 * at < n => [between(0.5), between(0.4), between(0.4)],
            4 => [upper, LOWER, LOWER],
            // Small change: model 0 is the densest, and worth next to nothing.
            _ => [1.02 * LOWER, LOWER, LOWER],
        };
        let costs = if kind == 5 { [costs[0] / 50.0, costs[1], costs[2]] } else { costs };
        // Rounding must not take a density below the lowest.
        let option = |model: usize| (costs[model], densities[model].max(LOWER * (1.0 + 1e-12)));
        stream.push([0, 1, 2].map(option));
    }
    stream
}

/// `OPT <= (ln(U / L) + 2) ALG` in any order, where costs are small beside budgets. What is
/// compared with is above OPT, so that the test asks for more than is promised.
#[test]
fn the_guarantee_in_unfriendly_orders() {
    let apart = Budgets::per_model(&[1.0; 3]).unwrap();
    let pooled = Budgets::pooled(1.0, 3).unwrap();
    let mut worst = 0.0_f64;
    for case in 0..72 {
        let mut rng = Seed(17).stream(Purpose::Synthesis, case as u64);
        let upper = [2.0, 10.0, 100.0][case % 3];
        let stream = unfriendly(case / 3 % 6, upper, &mut rng);
        let policy = config(LOWER, upper, ExpThresholdBy::Value);
        for budgets in [&apart, &pooled] {
            let (earned, bound) = (stream.play(&policy, budgets), stream.bound(budgets));
            let promised = (upper / LOWER).ln() + 2.0;
            assert!(bound <= promised * earned, "case {case}: {earned} of {bound}, {promised}");
            worst = worst.max(bound / (promised * earned));
        }
    }
    assert!(worst > 0.6, "orders that are no trouble prove nothing: {worst}");
}

/// The most surplus is no guarantee: 600 queries, whose best answers fit the budget all
/// together, are answered by what is worth a fiftieth.
#[test]
fn small_change_defeats_the_surplus() {
    let mut stream = Stream { quality: Vec::new(), cost: Vec::new() };
    for _ in 0..600 {
        let cost = 1.0 / 1_200.0;
        stream.push([(cost / 50.0, 1.02), (cost, 1.0 + 1e-12), (cost, 1.0 + 1e-12)]);
    }
    let budgets = Budgets::per_model(&[1.0; 3]).unwrap();
    let of = |by| stream.play(&config(1.0, 2.0, by), &budgets);
    let (value, surplus) = (of(ExpThresholdBy::Value), of(ExpThresholdBy::Surplus));
    assert!((value - 0.5).abs() < 1e-9, "{value}");
    assert!(surplus * (2.0_f64.ln() + 2.0) < value, "{surplus} is no share of {value}");
}
