//! A pool that changes while it serves, under every policy of the registry.

use std::collections::BTreeMap;

use tollgate::core::{Label, ModelId, Outcome, Prompt};
use tollgate::data::Table;
use tollgate::registry::{self, POLICIES};
use tollgate::{Budget, NewModel, Request, Router};
use tollgate_tests::small_table;

/// Prompts of the history; the stream comes after them.
const HISTORY: usize = 600;
/// Arrivals before a model comes, before another goes, and after.
const LEG: usize = 100;
/// Labels of the model that comes.
const LABELS: usize = 60;

/// What was decided, arrival by arrival, and what was spent of each account in the end.
type Run = (Vec<(u64, Option<String>)>, Vec<u64>);

/// The whole table without its last model, which comes after a hundred arrivals; the first goes
/// after two hundred.
fn run(policy: &str, estimator: &str, table: &Table, per_model: bool) -> Run {
    let names: Vec<&str> = table.models().iter().map(ModelId::as_str).collect();
    let (newcomer, leaver) = (names[names.len() - 1], names[0]);
    let known = table.select_models(&names[..names.len() - 1]).unwrap();
    let history = known.history(&(0..HISTORY).collect::<Vec<_>>()).unwrap();
    let made = registry::compose(&policy.parse().unwrap(), None, None).unwrap();
    let recipe = registry::estimator(&estimator.parse().unwrap()).unwrap();
    let usd = 0.02;
    let budget = if per_model {
        let each = usd / names.len() as f64;
        Budget::per_model(known.models().iter().map(|model| (model.as_str().to_owned(), each)))
    } else {
        Budget::pooled(usd)
    };
    let router = Router::builder()
        .history(history)
        .estimator_arc(recipe)
        .policy_arc(made.policy)
        .budget(budget.horizon(3 * LEG as u64))
        .seed(3)
        .build()
        .unwrap();
    let n_models = names.len();
    let truth = |row: usize, model: &str| {
        let cell = row * n_models + table.models().index_of(model).unwrap();
        (table.quality()[cell], table.cost()[cell])
    };
    let mut decisions = Vec::new();
    let mut leg = |from: usize| {
        for row in HISTORY + from..HISTORY + from + LEG {
            let request = Request::new(table.queries().query(row).embedding);
            // An answer costs no more than was held for it.
            let truth_of_row = &table.cost()[row * n_models..(row + 1) * n_models];
            let routed = router.route(&request.bounds(table.models(), truth_of_row)).unwrap();
            let model = routed.model().map(|model| model.as_str().to_owned());
            decisions.push((routed.decision.arrival, model.clone()));
            if let (Outcome::Served(_), Some(held)) = (routed.decision.outcome, routed.reservation)
            {
                router.settle(held, truth(row, &model.unwrap()).1).unwrap();
            }
        }
    };
    leg(0);
    let labels: Vec<Label<'_>> = (0..LABELS)
        .map(|row| {
            let (quality, cost) = truth(row, newcomer);
            Label { prompt: Prompt::Embedding(table.queries().query(row).embedding), quality, cost }
        })
        .collect();
    let new = NewModel::new(newcomer).labels(&labels);
    let new = if per_model { new.budget(usd / n_models as f64) } else { new };
    router.add_model(&new).unwrap();
    assert_eq!(router.models().len(), n_models, "{policy}");
    leg(LEG);
    router.remove_model(&ModelId::new(leaver)).unwrap();
    leg(2 * LEG);
    let ledger = router.ledger();
    for account in ledger.accounts() {
        assert!(account.spent + account.reserved <= account.limit, "{policy}: {account:?}");
        assert_eq!((account.reserved, account.overrun), (0, 0), "{policy}: all settled in full");
    }
    if !router.prices().is_empty() {
        assert_eq!(router.prices().len(), ledger.budgets().rows().len(), "{policy}: a price a row");
    }
    let spent = ledger.accounts().iter().map(|account| account.spent).collect();
    (decisions, spent)
}

/// Every policy goes on when models come and go: arrivals are counted on, nobody is sent to a
/// model that is not there, budgets hold, and the same run gives the same decisions.
#[test]
fn every_policy_lives_with_it() {
    let table = small_table();
    let names: Vec<&str> = table.models().iter().map(ModelId::as_str).collect();
    let (newcomer, leaver) = (names[names.len() - 1], names[0]);
    let mut asked = BTreeMap::<bool, usize>::new();
    for preset in POLICIES {
        for per_model in [false, true] {
            let name = preset.name;
            let (decisions, spent) = run(name, "clusters", &table, per_model);
            assert_eq!(decisions.len(), 3 * LEG);
            let numbers = decisions.iter().map(|(arrival, _)| *arrival);
            assert!(numbers.eq(0..3 * LEG as u64), "{name}: no arrival is lost");
            let picks = |of: &str, from: usize, to: usize| {
                let picks = decisions[from..to].iter().filter_map(|(_, model)| model.as_deref());
                picks.filter(|model| *model == of).count()
            };
            assert_eq!(picks(newcomer, 0, LEG), 0, "{name}: before it came");
            assert_eq!(picks(leaver, 2 * LEG, 3 * LEG), 0, "{name}: after it went");
            let served = decisions.iter().filter(|(_, model)| model.is_some()).count();
            let of_new = picks(newcomer, LEG, 3 * LEG);
            println!("{name}, per model {per_model}: {served} served, {of_new} by the newcomer");
            *asked.entry(of_new > 0).or_default() += 1;
            let again = run(name, "clusters", &table, per_model);
            assert_eq!((&decisions, &spent), (&again.0, &again.1), "{name}: the same again");
        }
    }
    assert!(asked[&true] > asked.get(&false).copied().unwrap_or(0), "{asked:?}");
}

/// Every estimator that is a pool, and any other as one that is fitted again.
#[test]
fn every_pool_serves() {
    let table = small_table();
    for estimator in ["clusters", "learned-map", "factors", "random-slopes", "ensemble", "refit"] {
        let (decisions, _) = run("tollgate", estimator, &table, true);
        let served = decisions.iter().filter(|(_, model)| model.is_some()).count();
        println!("{estimator}: {served} of {} served", decisions.len());
        assert!(served > LEG, "{estimator}: {served}");
    }
}
