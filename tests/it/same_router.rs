//! A name of the registry and the typed builder with the same parts make the same router.

use std::sync::Arc;

use tollgate::core::{Fit, History, Outcome, Policy};
use tollgate::data::Table;
use tollgate::estimators::{Auto, Eagle, KnnConfig, TrainedConfig};
use tollgate::policies::{
    Balance, BatchSplitConfig, DescentConfig, DualPrice, ExpThresholdConfig, ExploringConfig,
    FixedConfig, FloorConfig, GeometricConfig, Greedy, GreedyBy, Outlook, PrefixPricesConfig,
    Random, ResolveConfig, RoundRobin, Schedule, ShortestWait, ThresholdConfig,
};
use tollgate::registry::{self, POLICIES};
use tollgate::{Budget, Missing, Request, Router, RouterBuilder, Set, presets};
use tollgate_tests::small_table;

/// Prompts of the history, and of the stream behind it.
const HISTORY: usize = 800;
const ARRIVALS: usize = 200;

/// Estimator and policy in place.
type Half = RouterBuilder<Missing, Set<Arc<dyn Fit>>, Set<Arc<dyn Policy>>, Missing>;

fn from_the_registry(name: &str) -> Half {
    let made = registry::compose(&name.parse().unwrap(), None, None).unwrap();
    // A policy that looks at no estimate needs some all the same, to be charged by.
    let recipe = made.estimator.unwrap_or_else(|| Arc::new(KnnConfig::default().build().unwrap()));
    Router::builder().estimator_arc(recipe).policy_arc(made.policy)
}

fn from_its_parts(name: &str) -> Half {
    let solver = presets::default_solver;
    let by_knn = || Router::builder().estimator(KnnConfig::default().build().unwrap());
    let by_heads = || Router::builder().estimator(TrainedConfig::default().build().unwrap());
    let port = PrefixPricesConfig::default;
    match name {
        "random" => by_knn().policy(Random),
        "round-robin" => by_knn().policy(RoundRobin),
        "balance" => by_knn().policy(Balance),
        "shortest-wait" => by_knn().policy(ShortestWait),
        "fixed" => by_knn().policy(FixedConfig::default().build()),
        "greedy-perf" | "knn-perf" => by_knn().policy(Greedy::new(GreedyBy::Quality)),
        "greedy-cost" | "knn-cost" => by_knn().policy(Greedy::new(GreedyBy::Budget)),
        "greedy-density" => by_knn().policy(Greedy::new(GreedyBy::Density)),
        "trained-perf" => by_heads().policy(Greedy::new(GreedyBy::Quality)),
        "trained-cost" => by_heads().policy(Greedy::new(GreedyBy::Budget)),
        "eagle" => Router::builder().estimator(Eagle::default()).policy(presets::eagle()),
        "threshold" => by_knn().policy(ThresholdConfig::default().build().unwrap()),
        "exp-threshold" => by_knn().policy(ExpThresholdConfig::default().build().unwrap()),
        "batch-split" => by_knn().policy(BatchSplitConfig::default().build(solver()).unwrap()),
        "batch-paced" => {
            by_knn().policy(BatchSplitConfig::default().build_paced(solver()).unwrap())
        }
        "port-reference" => by_knn().policy(presets::port_reference(port(), solver()).unwrap()),
        "port" => by_knn().policy(presets::port(port(), solver()).unwrap()),
        "geometric" => {
            by_knn().policy(presets::geometric(GeometricConfig::default(), solver()).unwrap())
        }
        "descent" => descending(name, DescentConfig::default()),
        "hybrid" => descending(name, DescentConfig::hybrid()),
        "resolve" => resolving(name, Outlook::Arrivals, Schedule::Adaptive),
        "history" => resolving(name, Outlook::History, Schedule::Once),
        "history-resolve" => resolving(name, Outlook::History, Schedule::Every),
        "window-resolve" => resolving(name, Outlook::Both, Schedule::Every),
        "explore" => {
            let ours = Arc::new(presets::tollgate());
            let policy = ExploringConfig::default().build(ours).unwrap();
            Router::builder().estimator(Auto::default()).policy(policy)
        }
        "floor" => {
            let policy = presets::floor(FloorConfig::default(), presets::default_solver());
            Router::builder().estimator(Auto::default()).policy(policy.unwrap())
        }
        "floor-batch" => {
            let policy = FloorConfig::default().build_batch(presets::default_solver());
            Router::builder().estimator(Auto::default()).policy(policy.unwrap())
        }
        "tollgate" => {
            let ours: DualPrice = presets::tollgate();
            Router::builder().estimator(Auto::default()).policy(ours)
        }
        other => panic!("put `{other}` together from its parts here"),
    }
}

fn descending(name: &str, config: DescentConfig) -> Half {
    let policy = presets::descent(name, config, presets::default_solver()).unwrap();
    Router::builder().estimator(Auto::default()).policy(policy)
}

fn resolving(name: &str, outlook: Outlook, schedule: Schedule) -> Half {
    let config = ResolveConfig { outlook, schedule, ..ResolveConfig::default() };
    let policy = presets::resolve(name, config, presets::default_solver()).unwrap();
    Router::builder().estimator(Auto::default()).policy(policy)
}

/// Routes the stream, each answer settled at its true cost; the prices at the end.
fn decisions(half: Half, table: &Table, history: &History) -> (Vec<(Outcome, u64)>, Vec<f64>) {
    let router = half
        .history(history.clone())
        .budget(Budget::pooled(0.01).horizon(ARRIVALS as u64))
        .seed(7)
        .allow_declining()
        .build()
        .unwrap();
    let n_models = table.models().len();
    let mut decisions = Vec::new();
    for row in HISTORY..HISTORY + ARRIVALS {
        let routed = router.route(&Request::new(table.queries().query(row).embedding)).unwrap();
        if let (Outcome::Served(model), Some(reservation)) =
            (routed.decision.outcome, routed.reservation)
        {
            router.settle(reservation, table.cost()[row * n_models + model]).unwrap();
        }
        decisions.push((routed.decision.outcome, routed.decision.score.to_bits()));
    }
    (decisions, router.prices())
}

#[test]
fn every_name_is_what_its_parts_are() {
    let table = small_table();
    let history = table.history(&(0..HISTORY).collect::<Vec<_>>()).unwrap();
    for preset in POLICIES {
        let name = preset.name;
        let (built, prices) = decisions(from_its_parts(name), &table, &history);
        let named = decisions(from_the_registry(name), &table, &history);
        assert_eq!((&built, &prices), (&named.0, &named.1), "{name}");
        let served = built.iter().filter(|(outcome, _)| matches!(outcome, Outcome::Served(_)));
        let served = served.count();
        println!("{name}: the same {} decisions, {served} served", built.len());
        assert!(served > 0, "{name}: decisions to serve are worth comparing");
    }
}
