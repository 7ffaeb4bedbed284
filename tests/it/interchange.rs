//! Every part works with every other: each registered estimator, solver and policy replays a
//! piece of the embedded stream, in all combinations.

use std::collections::BTreeMap;

use tollgate::Spec;
use tollgate::core::{EstimateTable, Outcome, Seed};
use tollgate::data::Table;
use tollgate::presets;
use tollgate::registry::{self, Composition, ESTIMATORS, POLICIES, SOLVERS};
use tollgate_lab::{Options, Replay, Scenario, lp_bound, replay};
use tollgate_tests::relative;

/// Enough for a batch of 256 to be short, a prefix to be learned from and prices to be solved
/// for several times.
const ARRIVALS: usize = 60;
const HISTORY: usize = 120;

/// Solvers whose prices are exact.
const EXACT: [&str; 3] = ["auto", "simplex", "cutting-plane"];

fn scenario() -> Scenario {
    let rows: Vec<usize> = (0..ARRIVALS + HISTORY).collect();
    let table = Table::embedded().select_rows(&rows).unwrap();
    let options = Options { queries: Some(ARRIVALS), ..Options::default() };
    Scenario::prepare(&table, &options, Seed(42)).unwrap()
}

fn spec(text: &str) -> Spec {
    text.parse().unwrap()
}

/// A policy's name with what it takes to run: `fixed` must be told which model, and the
/// published box of prices is meant for another scale.
fn asked_for(name: &str) -> Spec {
    let model = Table::embedded().models().iter().next().unwrap().to_string();
    spec(&if name == "fixed" { format!("fixed:model={model}") } else { name.to_owned() })
}

struct Estimated {
    stream: EstimateTable,
    history: EstimateTable,
}

/// What must hold whatever the parts: every query becomes one thing, no account is overspent,
/// nothing is served that was not paid for, and no Performance is above the program's bound.
fn holds(run: &Replay, bound: f64, composition: &Composition) {
    let metrics = &run.metrics;
    let sum = metrics.served + metrics.declined + metrics.lost + metrics.unaffordable;
    assert_eq!(sum, ARRIVALS as u64, "{composition:?}");
    assert_eq!(run.outcomes.len(), ARRIVALS);
    for account in run.ledger.accounts() {
        assert!(account.spent <= account.limit, "{composition:?} overspends: {account:?}");
        assert_eq!((account.reserved, account.overrun), (0, 0), "{composition:?}");
    }
    let served = run.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Served(_)));
    assert_eq!(served.count() as u64, metrics.served);
    assert!(metrics.performance <= bound + 1e-6, "{composition:?} beats the bound");
}

#[test]
fn every_estimator_solver_and_policy() {
    let scenario = scenario();
    let bound = lp_bound(scenario.stream(), presets::default_solver().as_ref()).unwrap();
    let mut served = BTreeMap::new();
    let mut runs = 0;
    for estimator in ESTIMATORS {
        let recipe = registry::estimator(&spec(estimator)).unwrap();
        let (stream, history) = scenario.estimate_and_hold_out(recipe.as_ref()).unwrap();
        let estimated = Estimated { stream, history };
        for preset in POLICIES {
            // A policy that brings its own estimates, or none, meets every estimator once.
            let solvers = if preset.uses_solver() { SOLVERS } else { &SOLVERS[..1] };
            for solver in solvers {
                let asked = asked_for(preset.name);
                let estimator = spec(estimator);
                let composition =
                    registry::compose(&asked, Some(&estimator), Some(&spec(solver))).unwrap();
                let Estimated { stream, history } = &estimated;
                let run =
                    replay(scenario.stream(), composition.policy.as_ref(), stream, Some(history));
                let run = run.unwrap();
                holds(&run, bound, &composition);
                *served.entry(preset.name).or_insert(0) += run.metrics.served;
                runs += 1;
            }
        }
    }
    let with = POLICIES.iter().filter(|preset| preset.uses_solver()).count();
    let expected = ESTIMATORS.len() * (with * SOLVERS.len() + POLICIES.len() - with);
    println!("{runs} compositions replayed {ARRIVALS} arrivals each");
    assert_eq!(runs, expected);
    for (policy, served) in &served {
        assert!(*served > 0, "{policy} serves nobody, whatever its estimates");
    }
}

/// Exact solvers find the same bound for the same program, whoever asks for it. Prices may
/// differ where several are optimal, so only the first program is the same for all: that of
/// `history`, solved once.
#[test]
fn exact_solvers_agree() {
    let scenario = scenario();
    for estimator in ["knn:k=5", "ridge"] {
        let recipe = registry::estimator(&spec(estimator)).unwrap();
        let (stream, history) = scenario.estimate_and_hold_out(recipe.as_ref()).unwrap();
        let bounds: BTreeMap<&str, f64> = EXACT
            .iter()
            .map(|solver| {
                let asked = spec("history:gap=1e-10");
                let composition = registry::compose(&asked, None, Some(&spec(solver))).unwrap();
                let policy = composition.policy.as_ref();
                let run = replay(scenario.stream(), policy, &stream, Some(&history)).unwrap();
                assert_eq!(run.timings.unfinished_solves, 0, "{solver}");
                (*solver, run.prices.dual_bound().unwrap())
            })
            .collect();
        let first = bounds["auto"];
        for (solver, bound) in &bounds {
            assert!(relative(*bound, first) < 1e-9, "{estimator}, {solver}: {bounds:?}");
        }
    }
}
