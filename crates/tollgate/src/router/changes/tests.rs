use std::collections::BTreeMap;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use tollgate_core::{
    Budgets, EstimatesMut, Feedback, Fit, Outcome, Prompt, Query, Seed, check_known, check_labels,
    check_new_model, check_removal,
};
use tollgate_policies::{Exploring, ExploringConfig, FloorConfig, Greedy, GreedyBy, Margin};

use super::*;
use crate::{Budget, Request, Routed, presets};

const PROMPT: [f32; 2] = [1.0, 0.0];

/// The mean label of each model, whatever the prompt: the least that a pool can be.
#[derive(Clone, Debug)]
struct Means {
    models: Models,
    /// The labels of each model.
    labels: Vec<Vec<[f64; 2]>>,
    representatives: Vec<f32>,
}

impl Means {
    fn with(
        &self,
        names: impl Iterator<Item = ModelId>,
        new: &BTreeMap<ModelId, Vec<[f64; 2]>>,
    ) -> Self {
        let models = Models::new(names.map(|id| id.to_string())).unwrap();
        let of = |id: &ModelId| {
            let old = self.models.index_of(id.as_str()).map(|index| self.labels[index].clone());
            let new = new.get(id).cloned().unwrap_or_default();
            [old.unwrap_or_default(), new].concat()
        };
        let labels = models.iter().map(of).collect();
        Self { models, labels, representatives: self.representatives.clone() }
    }
}

fn pairs(labels: &[Label<'_>]) -> Vec<[f64; 2]> {
    labels.iter().map(|label| [label.quality, label.cost]).collect()
}

impl ModelPool for Means {
    fn representatives(&self) -> Queries<'_> {
        Queries::new(&self.representatives, 2)
    }

    fn worth_labelling(&self, n: usize) -> Vec<usize> {
        (0..n.min(self.representatives().len())).collect()
    }

    fn add_model(
        &self,
        model: &ModelId,
        prior: Prior,
        labels: &[Label<'_>],
    ) -> Result<Box<dyn Estimator>, PoolError> {
        check_new_model(&self.models, self.representatives().len(), model, prior, labels)?;
        let guess = prior.cost.map(|cost| [prior.quality.unwrap_or(0.5), cost]);
        let known = guess.into_iter().chain(pairs(labels)).collect();
        let names = self.models.iter().chain([model]).cloned();
        Ok(Box::new(self.with(names, &[(model.clone(), known)].into())))
    }

    fn remove_model(&self, model: &ModelId) -> Result<Box<dyn Estimator>, PoolError> {
        check_removal(&self.models, model)?;
        let names = self.models.iter().filter(|id| *id != model).cloned();
        Ok(Box::new(self.with(names, &BTreeMap::new())))
    }

    fn update_labels(
        &self,
        model: &ModelId,
        labels: &[Label<'_>],
    ) -> Result<Box<dyn Estimator>, PoolError> {
        check_known(&self.models, model)?;
        check_labels(self.representatives().len(), model, labels)?;
        let new = [(model.clone(), pairs(labels))].into();
        Ok(Box::new(self.with(self.models.iter().cloned(), &new)))
    }
}

impl Estimator for Means {
    fn models(&self) -> &Models {
        &self.models
    }

    fn dim(&self) -> usize {
        2
    }

    fn grow(&self, _history: &History) -> Result<Box<dyn Estimator>, FitError> {
        Ok(Box::new(self.clone()))
    }

    fn pool(&self) -> Option<&dyn ModelPool> {
        Some(self)
    }

    fn estimate_into(
        &self,
        _query: Query<'_>,
        _scratch: &mut Scratch,
        out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        for (model, labels) in self.labels.iter().enumerate() {
            let n = labels.len() as f64;
            let mean = |column: usize| labels.iter().map(|label| label[column]).sum::<f64>() / n;
            out.quality[model] = mean(0);
            out.quality_se[model] = 0.5 / n.sqrt();
            out.cost[model] = mean(1);
            out.cost_se[model] = 0.0;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct FitMeans;

impl Fit for FitMeans {
    fn name(&self) -> String {
        "means".to_owned()
    }

    fn fit(&self, history: &History, _seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
        let n = history.models().len();
        let column = |model: usize| {
            let cells = history.quality().iter().zip(history.cost().iter());
            cells.skip(model).step_by(n).map(|(quality, cost)| [*quality, *cost]).collect()
        };
        Ok(Box::new(Means {
            models: history.models().clone(),
            labels: (0..n).map(column).collect(),
            representatives: history.embeddings().to_vec(),
        }))
    }

    fn held_out(&self, history: &History, seed: Seed) -> Result<EstimateTable, FitError> {
        let fitted = self.fit(history, seed)?;
        let mut table = EstimateTable::zeros(history.len(), history.models().len());
        let estimated = table
            .fill(|out| fitted.estimate_batch(history.queries(), &mut Scratch::default(), out));
        estimated
            .map_err(|source| FitError::Other { recipe: self.name(), source: source.into() })?;
        Ok(table)
    }
}

/// 40 prompts; `good` is right on three of four and costs 4 cents, `poor` on one of four for 1.
fn history() -> History {
    let models = Models::new(["good", "poor"]).unwrap();
    let quality = (0..40)
        .flat_map(|row| [f64::from(u8::from(row % 4 != 0)), f64::from(u8::from(row % 4 == 0))]);
    let cost = (0..40).flat_map(|_| [0.04, 0.01]);
    let embeddings = std::iter::repeat_n(PROMPT, 40).flatten().collect();
    History::new(models, 2, embeddings, quality.collect(), cost.collect()).unwrap()
}

fn build(policy: impl Policy + 'static, budget: Budget) -> Router {
    let builder = Router::builder().history(history()).estimator(FitMeans).policy(policy);
    builder.budget(budget).build().unwrap()
}

fn greedy() -> Router {
    build(Greedy::new(GreedyBy::Quality), Budget::pooled(100.0))
}

fn label(quality: f64, cost: f64) -> Label<'static> {
    Label { prompt: Prompt::Representative(0), quality, cost }
}

fn route(router: &Router) -> Routed {
    router.route(&Request::new(&PROMPT)).unwrap()
}

fn name(routed: &Routed) -> &str {
    routed.model().unwrap().as_str()
}

/// `best` comes, is chosen, and goes again; what was decided before is explained as before and
/// settles, although indices have moved.
#[test]
fn a_model_comes_and_goes() {
    let router = greedy();
    let before = route(&router);
    assert_eq!((name(&before), before.decision.outcome), ("good", Outcome::Served(0)));
    let why = router.explain(&Request::new(&PROMPT), &before).unwrap().to_string();
    router.add_model(&NewModel::new("best").labels(&[label(1.0, 0.02)])).unwrap();
    let after = route(&router);
    assert_eq!((name(&after), after.decision.outcome), ("best", Outcome::Served(0)));
    assert_eq!(after.decision.arrival, 1, "the run goes on");
    assert_eq!(router.explain(&Request::new(&PROMPT), &before).unwrap().to_string(), why);
    assert_eq!(name(&before), "good", "by the models of its own version");
    router.remove_model(&ModelId::new("best")).unwrap();
    assert_eq!(name(&route(&router)), "good");
    for (routed, cost) in [(before, 0.03), (after, 0.01)] {
        router.settle(routed.reservation.unwrap(), cost).unwrap();
    }
    let account = router.ledger().accounts()[0];
    assert_eq!((account.spent, account.reserved), (40_000_000_000, 0));
}

/// Half of a window has scored all that was asked of the whole: whatever comes then is answered
/// at the least cost, and a change of the pool makes nobody forget it.
#[test]
fn a_floor_remembers_what_was_achieved() {
    let (floor, margin) = (Some(0.5), Margin::None);
    let config = FloorConfig { floor, margin, ..FloorConfig::default() };
    let policy = presets::floor(config, presets::default_solver()).unwrap();
    let router = build(policy, Budget::pooled(100.0).horizon(60));
    let answer = |score: f64| {
        let routed = route(&router);
        let Outcome::Served(model) = routed.decision.outcome else { panic!("not served") };
        let (arrival, cost) = (routed.decision.arrival, 0.01);
        router.observe(&Feedback { arrival, model, cost, quality: Some(score) });
        name(&routed).to_owned()
    };
    let first: Vec<String> = (0..30).map(|_| answer(1.0)).collect();
    assert!(first.iter().any(|model| model == "good"), "there was something to achieve");
    router.add_model(&NewModel::new("dear").labels(&[label(0.9, 0.5)])).unwrap();
    let rest: Vec<String> = (0..30).map(|_| answer(0.0)).collect();
    assert!(rest.iter().all(|model| model == "poor"), "{rest:?}");
}

/// A prior, then labels that contradict it.
#[test]
fn a_guess_gives_way_to_labels() {
    let router = greedy();
    let new = NewModel::new("new").prior_quality(1.0).prior_cost(0.01);
    router.add_model(&new).unwrap();
    assert_eq!(name(&route(&router)), "new");
    router.update_labels(&ModelId::new("new"), &[label(0.0, 0.01), label(0.0, 0.01)]).unwrap();
    assert_eq!(name(&route(&router)), "good");
}

/// Bounds speak of the models that they bring, whichever are in force.
#[test]
fn bounds_follow_their_models() {
    let router = greedy();
    let (models, bounds) = (router.models(), [0.07, 0.02]);
    router.add_model(&NewModel::new("best").labels(&[label(1.0, 0.02)])).unwrap();
    let held = |router: &Router| {
        let routed = router.route(&Request::new(&PROMPT).bounds(&models, &bounds)).unwrap();
        (name(&routed).to_owned(), routed.reservation.unwrap().bound().cost.to_usd())
    };
    // Not among them: what is expected, without error here.
    assert_eq!(held(&router), ("best".to_owned(), 0.02));
    router.remove_model(&ModelId::new("best")).unwrap();
    router.remove_model(&ModelId::new("good")).unwrap();
    assert_eq!(held(&router), ("poor".to_owned(), 0.02));
}

#[test]
fn refusals_leave_everything_as_it_was() {
    let router = build(presets::tollgate(), Budget::per_model([("good", 1.0), ("poor", 1.0)]));
    let refused = |new: &NewModel<'_>| router.add_model(new).unwrap_err().to_string();
    let (twice, unknown) =
        ([label(2.0, 0.1)], [Label { prompt: Prompt::Representative(40), ..label(1.0, 0.1) }]);
    insta::assert_snapshot!(refused(&NewModel::new("good").labels(&[label(1.0, 0.1)])), @"model `good` is in the pool already");
    insta::assert_snapshot!(refused(&NewModel::new("new")), @"model `new` needs a label or a prior cost: nothing says what its answers cost");
    insta::assert_snapshot!(refused(&NewModel::new("new").labels(&twice)), @"score of label 0 of model `new` must be in [0, 1], got 2");
    insta::assert_snapshot!(refused(&NewModel::new("new").labels(&unknown)), @"label 0 of model `new` is of representative prompt 40, there are 40");
    let known = NewModel::new("new").prior_cost(0.1);
    insta::assert_snapshot!(refused(&known), @"model `new` would have no budget: none covers all models, and it brings none");
    insta::assert_snapshot!(refused(&known.clone().budget(-1.0)), @"the capacity of row 2 must be finite, and >= 0 in a budget, got -1");
    insta::assert_snapshot!(refused(&known.clone().budget(1e9)), @"the capacity of row 2 is beyond what an account can hold: 1000000000");
    let gone = router.remove_model(&ModelId::new("other")).unwrap_err();
    insta::assert_snapshot!(gone, @"model `other` is not in the pool");
    let refused = router.update_labels(&ModelId::new("other"), &[]).unwrap_err();
    insta::assert_snapshot!(refused, @"model `other` is not in the pool");
    assert_eq!(router.models(), *history().models());
    assert_eq!(router.ledger().accounts().len(), 2);
    router.remove_model(&ModelId::new("good")).unwrap();
    let last = router.remove_model(&ModelId::new("poor")).unwrap_err();
    insta::assert_snapshot!(last, @"model `poor` is the last of the pool and can't be removed");
    assert_eq!(name(&route(&router)), "poor");
}

#[test]
fn tokens_need_a_rate() {
    let rows = vec![Row::at_most(Meter::Tokens, Scope::all(), 1_000.0)];
    let budgets = Budgets::new(rows, 2, 1).unwrap();
    let budgets = budgets.with_tokens_per_usd([100.0, 200.0].into()).unwrap();
    let router = build(presets::tollgate(), Budget::rows(budgets));
    let new = NewModel::new("new").labels(&[]).prior_cost(0.1).prior_quality(1.0);
    insta::assert_snapshot!(router.add_model(&new).unwrap_err(), @"model `new` needs its tokens per USD, since a budget counts tokens");
    router.add_model(&new.tokens_per_usd(300.0)).unwrap();
    let ledger = router.ledger();
    assert_eq!(ledger.budgets().tokens_per_usd().unwrap()[..], [100.0, 300.0, 200.0]);
}

#[test]
fn an_estimator_of_the_history_alone() {
    let knn = tollgate_estimators::KnnConfig::default().build().unwrap();
    let builder = Router::builder().history(history()).estimator(knn);
    let router = builder.policy(presets::tollgate()).budget(Budget::pooled(1.0)).build().unwrap();
    let new = NewModel::new("new").prior_cost(0.1);
    insta::assert_snapshot!(router.add_model(&new).unwrap_err(), @"the estimator takes its models from the history alone: none may come or go");
    let scored = router.score(&Request::new(&PROMPT), &ModelId::new("good"), 1.0, 0.1);
    insta::assert_snapshot!(scored.unwrap_err(), @"the estimator takes its models from the history alone: none may come or go");
}

/// The newcomer's own budget binds it from its first prompt on, and is priced; with the model
/// its row goes, and the others' accounts stay.
#[test]
fn a_budget_of_its_own_appears_and_goes() {
    let budget = Budget::per_model([("good", 1.0), ("poor", 1.0)]).horizon(100);
    let router = build(presets::tollgate(), budget);
    let spend = |n: usize| {
        let mut picks = BTreeMap::<String, usize>::new();
        for _ in 0..n {
            let routed = route(&router);
            let model = routed.model().unwrap().to_string();
            let cost = if model == "poor" { 0.01 } else { 0.04 };
            router.settle(routed.reservation.unwrap(), cost).unwrap();
            *picks.entry(model).or_default() += 1;
        }
        picks
    };
    spend(20);
    let spent: Vec<u64> = router.ledger().accounts().iter().map(|account| account.spent).collect();
    router.add_model(&NewModel::new("best").labels(&[label(1.0, 0.04)]).budget(0.40)).unwrap();
    assert_eq!(router.ledger().accounts().len(), 3);
    assert_eq!(router.prices().len(), if router.prices().is_empty() { 0 } else { 3 });
    let picks = spend(40);
    assert!(picks["best"] > 0, "{picks:?}");
    assert!(picks["best"] <= 10, "ten are what 40 cents pay: {picks:?}");
    router.remove_model(&ModelId::new("best")).unwrap();
    assert_eq!(router.prices().len(), 2);
    let left = spend(10);
    assert!(!left.contains_key("best"));
    let accounts = router.ledger().accounts();
    assert_eq!(accounts.len(), 2);
    assert!(accounts.iter().zip(spent).all(|(account, then)| account.spent >= then));
}

/// A model that is thought to be worthless, and is not, is found out by a share of the traffic
/// whose answers are scored; without exploring it never is.
#[test]
fn exploration_finds_out_what_a_prior_hides() {
    let found = |policy: Arc<dyn Policy>| {
        let builder = Router::builder().history(history()).estimator(FitMeans);
        let router = builder.policy_arc(policy).budget(Budget::pooled(100.0)).build().unwrap();
        let new = NewModel::new("new").prior_quality(0.0).prior_cost(0.02);
        router.add_model(&new).unwrap();
        let mut picks = 0;
        for _ in 0..1_500 {
            let request = Request::new(&PROMPT);
            let routed = router.route(&request).unwrap();
            let model = routed.model().unwrap().clone();
            if model.as_str() == "new" {
                picks += 1;
                router.score(&request, &model, 1.0, 0.02).unwrap();
            }
        }
        (picks, name(&route(&router)).to_owned())
    };
    let inner: Arc<dyn Policy> = Arc::new(presets::tollgate());
    assert_eq!(found(Arc::clone(&inner)), (0, "good".to_owned()));
    let exploring: Exploring = ExploringConfig::default().build(inner).unwrap();
    let (picks, last) = found(Arc::new(exploring));
    assert_eq!(last, "new");
    assert!(picks > 500, "explored, then chosen: {picks}");
}

/// Scores are refused one by one, and what is refused does not spoil the others.
#[test]
fn refused_scores() {
    let router = greedy();
    let refused = |embedding: &[f32], model: &str, quality, cost| {
        let model = ModelId::new(model);
        router.score(&Request::new(embedding), &model, quality, cost).unwrap_err().to_string()
    };
    insta::assert_snapshot!(refused(&PROMPT, "new", 1.0, 0.1), @"model `new` is not in the pool");
    insta::assert_snapshot!(refused(&PROMPT, "good", f64::NAN, 0.1), @"score of label 0 of model `good` must be in [0, 1], got NaN");
    insta::assert_snapshot!(refused(&[1.0], "good", 1.0, 0.1), @"label 0 of model `good` has an embedding that is refused: the embedding has 1 dimensions, the history 2");
    insta::assert_snapshot!(refused(&[0.0; 2], "good", 1.0, 0.1), @"label 0 of model `good` has an embedding that is refused: the embedding is the zero vector");
    // Fifty scores of 0 for `good`, and it is no longer the best.
    for _ in 0..50 {
        router.score(&Request::new(&PROMPT), &ModelId::new("good"), 0.0, 0.04).unwrap();
        router.score(&Request::new(&PROMPT), &ModelId::new("poor"), 1.0, 0.01).unwrap();
    }
    router.learn_scores().unwrap();
    assert_eq!(name(&route(&router)), "poor");
}

/// Two threads route while models come and go some hundreds of times: every decision is made,
/// by models that belong together, all money is settled, and no former version is kept.
#[test]
fn nothing_is_lost_while_the_pool_changes() {
    let router = build(presets::tollgate(), Budget::pooled(1_000_000.0));
    let (done, decided) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut former: Vec<Weak<dyn Estimator>> = Vec::new();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let routed = route(&router);
                    let known = ["good", "poor", "new"].contains(&name(&routed));
                    assert!(known && routed.models().len() >= 2);
                    let cost = if name(&routed) == "poor" { 0.01 } else { 0.04 };
                    router.settle(routed.reservation.unwrap(), cost).unwrap();
                    decided.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..150 {
            former.push(Arc::downgrade(&router.estimator()));
            router.add_model(&NewModel::new("new").labels(&[label(1.0, 0.04)])).unwrap();
            former.push(Arc::downgrade(&router.estimator()));
            router.remove_model(&ModelId::new("new")).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    let decided = decided.into_inner() as u64;
    assert_eq!(route(&router).decision.arrival, decided, "each arrival is one decision");
    let account = router.ledger().accounts()[0];
    assert_eq!((account.reserved, account.overrun), (0, 0));
    assert!(former[1..].iter().all(|version| version.upgrade().is_none()), "freed");
}
