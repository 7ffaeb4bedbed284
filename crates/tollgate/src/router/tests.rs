use std::thread;

use tollgate_core::{
    Budgets, EstimatesMut, Fit, FitError, History, Meter, Models, PicoUsd, Row, Scope,
};
use tollgate_estimators::KnnConfig;
use tollgate_policies::{
    BudgetSplit, DualPrice, Greedy, GreedyBy, Guard, Outlook, Random, ResolveConfig,
};

use super::*;
use crate::presets;

/// Two prompts, two models that cost 1 and 4 cents: `big` is right on both, `small` on
/// the first alone, and there by three quarters.
const NEAR: [f32; 2] = [1.0, 0.0];
const FAR: [f32; 2] = [0.0, 1.0];
const BIG: usize = 0;
const SMALL: usize = 1;

fn history() -> History {
    let models = Models::new(["small", "big"]).unwrap();
    let embeddings = [NEAR, FAR].concat();
    let (quality, cost) = (vec![1.0, 0.75, 1.0, 0.0], vec![0.04, 0.01, 0.04, 0.01]);
    History::new(models, 2, embeddings, quality, cost).unwrap()
}

/// Knows the labels of both prompts, without error; refuses as an estimator should.
#[derive(Clone, Debug)]
struct Known(History);

impl Estimator for Known {
    fn models(&self) -> &Models {
        self.0.models()
    }

    fn dim(&self) -> usize {
        2
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError> {
        Ok(Box::new(Self(history.clone())))
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        _scratch: &mut Scratch,
        out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        let [x, y] = query.embedding else {
            return Err(EstimateError::Dimension { expected: 2, got: query.embedding.len() });
        };
        if let Some((at, &got)) = [*x, *y].iter().enumerate().find(|(_, x)| !x.is_finite()) {
            return Err(EstimateError::NotFinite { at, got });
        }
        let from = if x > y { 0 } else { 2 };
        out.quality.copy_from_slice(&self.0.quality()[from..from + 2]);
        out.cost.copy_from_slice(&self.0.cost()[from..from + 2]);
        out.quality_se.fill(0.0);
        out.cost_se.fill(0.0);
        Ok(())
    }
}

#[derive(Debug)]
struct Knows;

impl Fit for Knows {
    fn name(&self) -> String {
        "knows".to_owned()
    }

    fn fit(&self, history: &History, _seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
        Ok(Box::new(Known(history.clone())))
    }

    fn held_out(&self, history: &History, _seed: Seed) -> Result<EstimateTable, FitError> {
        let mut table = EstimateTable::zeros(history.len(), 2);
        table.fill(|out| {
            out.quality.copy_from_slice(history.quality());
            out.cost.copy_from_slice(history.cost());
        });
        Ok(table)
    }
}

fn build(policy: impl Policy + 'static, budget: Budget) -> Result<Router, BuildError> {
    let builder = Router::builder().history(history()).estimator(Knows);
    builder.policy(policy).budget(budget).build()
}

fn greedy(budget: Budget) -> Router {
    build(Greedy::new(GreedyBy::Quality), budget).unwrap()
}

fn cents(big: f64, small: f64) -> Budget {
    Budget::per_model([("small", small / 100.0), ("big", big / 100.0)])
}

/// Free and reserved on each account, in cents.
fn books(router: &Router) -> Vec<(u64, u64)> {
    let cent = 10_000_000_000;
    let accounts = router.ledger().accounts();
    accounts.iter().map(|account| (account.free() / cent, account.reserved / cent)).collect()
}

fn explained(router: &Router, prompt: &[f32], routed: &Routed) -> Explanation {
    router.explain(&Request::new(prompt), routed).unwrap()
}

fn outcome(router: &Router, prompt: &[f32]) -> Outcome {
    router.route(&Request::new(prompt)).unwrap().decision.outcome
}

#[test]
fn a_decision_holds_money_until_it_is_settled() {
    let router = greedy(cents(10.0, 3.0));
    let routed = router.route(&Request::new(&FAR)).unwrap();
    assert_eq!(routed.decision.outcome, Outcome::Served(BIG));
    assert_eq!(router.models().id(BIG).as_str(), "big");
    assert_eq!(books(&router), [(6, 4), (3, 0)]);
    // It cost half of what was held.
    let settlement = router.settle(routed.reservation.unwrap(), 0.02).unwrap();
    assert_eq!(settlement, Settlement::default());
    assert_eq!(books(&router), [(8, 0), (3, 0)]);
}

#[test]
fn dropping_a_decision_gives_the_money_back() {
    let router = greedy(cents(10.0, 3.0));
    drop(router.route(&Request::new(&FAR)).unwrap());
    assert_eq!(books(&router), [(10, 0), (3, 0)]);
    let routed = router.route(&Request::new(&FAR)).unwrap();
    assert_eq!(routed.decision.arrival, 1, "it was an arrival all the same");
    // A cost that is none releases as well.
    assert!(router.settle(routed.reservation.unwrap(), f64::NAN).is_err());
    assert_eq!(books(&router), [(10, 0), (3, 0)]);
}

#[test]
fn bounds_are_what_is_held() {
    let router = greedy(cents(10.0, 3.0));
    let (models, bounds) = (router.models(), [0.07, 0.01]);
    let routed = router.route(&Request::new(&FAR).bounds(&models, &bounds)).unwrap();
    assert_eq!(books(&router), [(3, 7), (3, 0)]);
    // Breaking the bound: 10 cents are spent, one is overrun and said to be.
    let settlement = router.settle(routed.reservation.unwrap(), 0.11).unwrap();
    assert_eq!(settlement.overrun, PicoUsd(10_000_000_000));
    assert_eq!(books(&router), [(0, 0), (3, 0)]);
}

/// The expected cost and three standard errors: the neighbors cost 2 and 4 cents.
#[test]
fn without_bounds_the_standard_error_is_held_too() {
    let models = Models::new(["only"]).unwrap();
    let history =
        History::new(models, 2, [NEAR, NEAR].concat(), vec![1.0; 2], vec![0.02, 0.04]).unwrap();
    let recipe = KnnConfig::default().k(2).build().unwrap();
    let router = Router::builder()
        .history(history)
        .estimator(recipe)
        .policy(Random)
        .budget(Budget::pooled(1.0))
        .build()
        .unwrap();
    let mut table = EstimateTable::zeros(1, 1);
    let query = Query::new(&NEAR);
    table
        .fill(|out| router.estimator().estimate_into(query, &mut Scratch::default(), out))
        .unwrap();
    let (cost, error) = (table.row(0).cost[0], table.row(0).cost_se[0]);
    assert!((cost - 0.03).abs() < 1e-12 && error > 0.0, "{cost} +- {error}");
    let routed = router.route(&Request::new(&NEAR)).unwrap();
    let held = routed.reservation.unwrap().bound().cost.to_usd();
    assert!((held - (cost + 3.0 * error)).abs() < 1e-11, "{held}");
}

/// `big` costs 4 cents of 3: its favorites must take `small`, and then nothing.
#[test]
fn by_default_every_prompt_is_served_while_it_can_be() {
    let router = greedy(cents(3.0, 2.0));
    let routed = router.route(&Request::new(&FAR)).unwrap();
    assert_eq!(routed.decision.outcome, Outcome::Served(SMALL));
    insta::assert_snapshot!(explained(&router, &FAR, &routed), @"must be served: the cheapest that is affordable, USD held = 0.01");
    router.settle(routed.reservation.unwrap(), 0.01).unwrap();
    assert_eq!(books(&router), [(3, 0), (1, 0)]);
    let last = router.route(&Request::new(&FAR)).unwrap();
    assert_eq!(last.decision.outcome, Outcome::Served(SMALL));
    let none = router.route(&Request::new(&FAR)).unwrap();
    assert_eq!(none.decision.outcome, Outcome::Unaffordable);
    assert!(none.reservation.is_none() && none.decision.outcome.model().is_none());
    insta::assert_snapshot!(explained(&router, &FAR, &none), @"nothing worth trying is affordable = 0");
}

/// On `FAR` `small` is worth nothing, so nobody but a must-serve router takes it there.
#[test]
fn declining_is_opt_in() {
    let policy = || presets::tollgate();
    let budget = || cents(0.0, 2.0).horizon(2);
    let serves = build(policy(), budget()).unwrap();
    assert_eq!(outcome(&serves, &FAR), Outcome::Served(SMALL));
    let builder = Router::builder().history(history()).estimator(Knows);
    let declines = builder.policy(policy()).budget(budget()).allow_declining().build().unwrap();
    let routed = declines.route(&Request::new(&FAR)).unwrap();
    // A budget of nothing has a price beyond what `big` is worth.
    assert_eq!(routed.decision.outcome, Outcome::Declined);
    insta::assert_snapshot!(explained(&declines, &FAR, &routed), @"no model is worth its price = 0");
    assert_eq!(books(&declines), [(0, 0), (2, 0)]);

    // Money for one prompt of two, on a history that says half of them are worthless.
    let builder = Router::builder().history(history()).estimator(Knows);
    let pooled = Budget::pooled(0.01).horizon(2);
    let declines = builder.policy(policy()).budget(pooled).allow_declining().build().unwrap();
    let routed =
        declines.route(&Request::new(&FAR).bounds(&declines.models(), &[0.01, 0.01])).unwrap();
    assert!(routed.reservation.is_none(), "{:?}", routed.decision);
    assert!(matches!(outcome(&declines, &NEAR), Outcome::Served(SMALL)));
}

#[test]
fn prices_are_in_force_from_the_first_prompt_and_explain_the_decision() {
    let router = build(presets::tollgate(), Budget::pooled(0.02).horizon(2)).unwrap();
    assert!(router.prices().is_empty());
    let routed = router.route(&Request::new(&NEAR)).unwrap();
    assert_eq!(routed.decision.outcome, Outcome::Served(SMALL));
    let [price] = router.prices()[..] else { panic!("one budget, one price") };
    // Two cents for two prompts: the best use of the last cent is a quarter point of `big`
    // for three cents, and of the first one `small` on `NEAR`.
    assert!((0.0..=100.0).contains(&price) && price > 0.0, "{price}");
    assert!((routed.decision.score - (0.75 - 0.01 * price)).abs() < 1e-9);
    router.observe(&Feedback { arrival: 0, model: SMALL, cost: 0.01, quality: None });
    router.observe(&Feedback { arrival: 99, model: BIG, cost: 0.01, quality: Some(1.0) });
}

/// Prices that are solved for again at every arrival: an explanation is by those that its
/// decision was made by, and adds up to the decision's score. With 9.6 cents for 4 prompts
/// the last cent goes to `big` on `FAR`, 25 points a dollar; once `small` has answered for
/// one cent it goes to `big` in place of `small` on `NEAR`, a quarter point for 3 cents.
#[test]
fn a_decision_is_explained_by_its_own_prices() {
    let config = ResolveConfig { every: 1, outlook: Outlook::History, ..ResolveConfig::default() };
    let policy = presets::tollgate_with(config, presets::default_solver()).unwrap();
    let router = build(policy, Budget::pooled(0.096).horizon(4)).unwrap();
    let first = router.route(&Request::new(&NEAR)).unwrap();
    assert!((router.prices()[0] - 25.0).abs() < 1e-9, "{:?}", router.prices());
    let second = router.route(&Request::new(&NEAR)).unwrap();
    assert!((router.prices()[0] - 0.25 / 0.03).abs() < 1e-9, "{:?}", router.prices());
    for routed in [&first, &second] {
        let explanation = explained(&router, &NEAR, routed);
        assert!((explanation.value - routed.decision.score).abs() < 1e-12, "{explanation}");
    }
    insta::assert_snapshot!(explained(&router, &NEAR, &first), @"
    score = 0.5
      value = 0.75
        expected quality = 0.75
        value per quality = 1
      toll = -0.25
        expected cost, USD = 0.01
        price per USD = 25
        price per query = 0
    ");
    // A request that does not fit the models is refused, as it would be by `route`.
    let refused =
        router.explain(&Request::new(&NEAR).bounds(first.models(), &[0.1]), &first).unwrap_err();
    insta::assert_snapshot!(refused, @"1 cost bounds for 2 models");
}

#[test]
fn the_same_seed_routes_alike() {
    let run = |seed: u64| -> Vec<Outcome> {
        let builder = Router::builder().history(history()).estimator(Knows).seed(seed);
        let router = builder.policy(Random).budget(cents(1e6, 1e6)).build().unwrap();
        (0..64).map(|_| outcome(&router, &NEAR)).collect()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

/// Four threads, two hundred prompts each, money for some of them: what is settled never
/// passes the budget, at any moment, and everything that could be spent is.
#[test]
fn four_threads_never_overspend() {
    let router = build(presets::tollgate(), Budget::pooled(1.0).horizon(800)).unwrap();
    let served: u64 = thread::scope(|scope| {
        let work = |thread: usize| {
            let router = &router;
            move || {
                let mut served = 0;
                for prompt in 0..200 {
                    let embedding = if (thread + prompt).is_multiple_of(2) { &NEAR } else { &FAR };
                    let routed = router.route(&Request::new(embedding)).unwrap();
                    let [account] = router.ledger().accounts()[..] else { panic!("one account") };
                    assert!(account.spent + account.reserved <= account.limit, "{account:?}");
                    let Some(held) = routed.reservation else { continue };
                    served += 1;
                    // Some answers cost less than expected, some never come.
                    match prompt % 3 {
                        0 => drop(held),
                        1 => drop(router.settle(held, 0.005).unwrap()),
                        _ => drop(router.settle(held, 0.01).unwrap()),
                    }
                }
                served
            }
        };
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(work(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let [account] = router.ledger().accounts()[..] else { panic!("one account") };
    assert!(account.spent <= account.limit && account.reserved == 0 && account.overrun == 0);
    assert!(account.free() < 4 * 10_000_000_000 || served == 800, "{account:?}, {served} served");
}

#[test]
fn tenants_have_budgets_of_their_own() {
    let rows = vec![
        Row::at_most(Meter::Cost, Scope::all(), 0.05),
        Row::at_most(Meter::Cost, Scope::group(1), 0.04),
    ];
    let budget = Budget::rows(Budgets::new(rows, 2, 2).unwrap());
    let router = greedy(budget);
    let first = router.route(&Request::new(&FAR).group(1)).unwrap();
    assert_eq!(first.decision.outcome, Outcome::Served(BIG));
    assert_eq!(books(&router), [(1, 4), (0, 4)]);
    // Tenant 1 has nothing left, tenant 0 the rest of the pool.
    let second = router.route(&Request::new(&FAR).group(1)).unwrap();
    assert_eq!(second.decision.outcome, Outcome::Unaffordable);
    let third = router.route(&Request::new(&FAR)).unwrap();
    assert_eq!(third.decision.outcome, Outcome::Served(SMALL));
}

#[test]
fn refused_requests() {
    let router = greedy(cents(10.0, 3.0));
    let models = router.models();
    let refused = |request: Request<'_>| router.route(&request).unwrap_err().to_string();
    insta::assert_snapshot!(refused(Request::new(&NEAR).group(1)), @"query group 1 is unknown, the budgets have 1");
    insta::assert_snapshot!(refused(Request::new(&NEAR).bounds(&models, &[0.1])), @"1 cost bounds for 2 models");
    // Of the model that would not be picked, too.
    insta::assert_snapshot!(refused(Request::new(&NEAR).bounds(&models, &[0.04, f64::NAN])), @"an amount of money must be in [0, 18.4 million] USD, got NaN");
    insta::assert_snapshot!(refused(Request::new(&NEAR).bounds(&models, &[-0.04, 0.01])), @"an amount of money must be in [0, 18.4 million] USD, got -0.04");
    insta::assert_snapshot!(refused(Request::new(&[1.0])), @"the embedding has 1 dimensions, the history 2");
    insta::assert_snapshot!(refused(Request::new(&[f32::NAN, 0.0])), @"the embedding has a value that is not finite at dimension 0: NaN");
    let routed = router.route(&Request::new(&NEAR)).unwrap();
    assert_eq!(routed.decision.arrival, 0, "a refused request is no arrival");
    let refused = router.settle(routed.reservation.unwrap(), -1.0).unwrap_err();
    insta::assert_snapshot!(refused, @"an amount of money must be in [0, 18.4 million] USD, got -1");
    assert_eq!(books(&router), [(10, 0), (3, 0)]);
}

fn unbuilt(policy: impl Policy + 'static, budget: Budget) -> String {
    let error = build(policy, budget).unwrap_err();
    match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[test]
fn parts_that_do_not_fit() {
    let unspent = |budget| unbuilt(Random, budget);
    insta::assert_snapshot!(unspent(Budget::per_model([("big", 1.0)])), @"model `small` has no budget; give it 0 to leave it out");
    insta::assert_snapshot!(unspent(Budget::per_model([("big", 1.0), ("huge", 1.0)])), @"there is a budget for model `huge`, which is not in the history");
    let twice = Budget::per_model([("big", 1.0), ("small", 1.0), ("big", 2.0)]);
    insta::assert_snapshot!(unspent(twice), @"model `big` has two budgets");
    insta::assert_snapshot!(unspent(Budget::pooled(f64::NAN)), @"the capacity of row 0 must be finite, and >= 0 in a budget, got NaN");
    insta::assert_snapshot!(unspent(Budget::pooled(-1.0)), @"the capacity of row 0 must be finite, and >= 0 in a budget, got -1");
    insta::assert_snapshot!(unspent(Budget::pooled(1e8)), @"the capacity of row 0 is beyond what an account can hold: 100000000");
    let split = |cost| Budget::split(1.0, BudgetSplit::Cost, vec![0.5; 2], cost);
    insta::assert_snapshot!(unspent(split(vec![0.1; 3])), @"the budget speaks of 3 models, the history of 2");
    let three = Budget::rows(Budgets::per_model(&[1.0; 3]).unwrap());
    insta::assert_snapshot!(unspent(three), @"the budget speaks of 3 models, the history of 2");
}

#[test]
fn an_estimator_that_refuses_the_history() {
    let models = Models::new(["only"]).unwrap();
    let history = History::new(models, 2, vec![0.0; 2], vec![1.0], vec![0.02]).unwrap();
    let recipe = KnnConfig::default().build().unwrap();
    let builder = Router::builder().history(history).estimator(recipe);
    let error = builder.policy(Random).budget(Budget::pooled(1.0)).build().unwrap_err();
    insta::assert_snapshot!(error, @"the embedding of history prompt 0 is the zero vector");
}

/// Equal shares of four cents: two each.
#[test]
fn a_total_is_split_by_rule() {
    let split = Budget::split(0.04, BudgetSplit::Uniform, vec![0.5; 2], vec![0.1; 2]);
    assert_eq!(books(&greedy(split)), [(2, 0), (2, 0)]);
}

/// A policy without a fallback picks what can't be held: it is served by default, and not
/// once declining is allowed.
#[test]
fn a_policy_without_a_fallback_gets_one() {
    let policy = || {
        let config = ResolveConfig::default();
        let source = config.build(presets::default_solver()).unwrap();
        DualPrice::new("bare", source).guard(Guard::Decline)
    };
    let budget = || cents(0.0, 2.0).horizon(1);
    assert_eq!(outcome(&build(policy(), budget()).unwrap(), &FAR), Outcome::Served(SMALL));
    let builder = Router::builder().history(history()).estimator(Knows);
    let declines = builder.policy(policy()).budget(budget()).allow_declining().build().unwrap();
    assert_eq!(outcome(&declines, &FAR), Outcome::Declined);
}

/// What is learned while prompts are routed counts from the next prompt on, and what was
/// decided before is explained by what was known then.
#[test]
fn learning_while_serving() {
    let history = history();
    let knn = KnnConfig::default().k(1).build().unwrap();
    let router = Router::builder()
        .history(history.clone())
        .estimator(knn)
        .policy(Greedy::new(GreedyBy::Quality))
        .budget(Budget::pooled(1.0))
        .build()
        .unwrap();
    let request = Request::new(&FAR);
    let before = router.route(&request).unwrap();
    assert_eq!(before.decision.outcome, Outcome::Served(BIG));
    // A prompt a little nearer to (0, 1), on which `small` was right and `big` was not.
    let query = [0.1, 0.9];
    let longer = history.append(&query, vec![0.0, 1.0], vec![0.04, 0.01]).unwrap();
    let explained = router.explain(&request, &before).unwrap().to_string();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let routed = router.route(&Request::new(&query)).unwrap();
                    assert!(matches!(routed.decision.outcome, Outcome::Served(BIG | SMALL)));
                }
            });
        }
        router.learn(&longer).unwrap();
    });
    let after = router.route(&Request::new(&query)).unwrap();
    assert_eq!(after.decision.outcome, Outcome::Served(SMALL));
    assert_eq!(router.explain(&request, &before).unwrap().to_string(), explained);
    let refused = router.learn(&history).unwrap_err();
    insta::assert_snapshot!(refused, @"the number of prompts of the longer history is 2, of the one fitted 3");
}
