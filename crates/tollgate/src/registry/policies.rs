//! Every policy by its name: a preset of estimator, price source, solver and guard.

use std::sync::Arc;

use tollgate_core::{Policy, Solver};
use tollgate_policies::{
    Balance, BatchSplitConfig, DescentConfig, ExpThresholdConfig, ExploringConfig, FixedConfig,
    FloorConfig, Greedy, GreedyBy, Outlook, PrefixPricesConfig, Random, ResolveConfig, RoundRobin,
    Schedule, ShortestWait, ThresholdConfig,
};

use super::{NoParams, POLICY, refuse};
use crate::{Spec, SpecError, presets};

/// One policy of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    pub(super) estimator: EstimatorSlot,
    uses_solver: bool,
    pub(super) make: Make,
}

impl Preset {
    /// Whether an estimator given beside the name replaces the preset's own.
    pub fn takes_estimator(&self) -> bool {
        matches!(self.estimator, EstimatorSlot::Default(_))
    }

    /// Whether it solves for anything.
    pub fn uses_solver(&self) -> bool {
        self.uses_solver
    }
}

pub(super) type Make = fn(&Spec, &Arc<dyn Solver>) -> Result<Arc<dyn Policy>, SpecError>;

#[derive(Clone, Copy, Debug)]
pub(super) enum EstimatorSlot {
    /// It looks at no estimate.
    None,
    /// Its own, whatever is asked for.
    Pinned(&'static str),
    /// Its own, unless another is asked for.
    Default(&'static str),
}

const KNN_5: &str = "knn:k=5";
const TRAINED: &str = "trained";
const AUTO: &str = "auto";
const EAGLE: &str = "eagle";

/// Every policy, in the order of tables: the baselines, the published, our own.
pub const POLICIES: &[Preset] = &[
    Preset {
        name: "random",
        summary: "any model, uniformly",
        estimator: EstimatorSlot::None,
        uses_solver: false,
        make: |spec, _| no_params(spec).map(|()| Arc::new(Random) as Arc<dyn Policy>),
    },
    Preset {
        name: "round-robin",
        summary: "each model in its turn, or the next that can be paid for",
        estimator: EstimatorSlot::Default(KNN_5),
        uses_solver: false,
        make: |spec, _| no_params(spec).map(|()| Arc::new(RoundRobin) as Arc<dyn Policy>),
    },
    Preset {
        name: "balance",
        summary: "the largest free share of its slots, or of its budget",
        estimator: EstimatorSlot::Default(KNN_5),
        uses_solver: false,
        make: |spec, _| no_params(spec).map(|()| Arc::new(Balance) as Arc<dyn Policy>),
    },
    Preset {
        name: "shortest-wait",
        summary: "the soonest expected answer, or the cheapest where nobody measures",
        estimator: EstimatorSlot::Default(KNN_5),
        uses_solver: false,
        make: |spec, _| no_params(spec).map(|()| Arc::new(ShortestWait) as Arc<dyn Policy>),
    },
    Preset {
        name: "fixed",
        summary: "one model: `model=NAME`, or the best for the budget",
        estimator: EstimatorSlot::Default(KNN_5),
        uses_solver: false,
        make: |spec, _| {
            let config: FixedConfig = spec.config(POLICY)?;
            Ok(Arc::new(config.build()))
        },
    },
    Preset {
        name: "greedy-perf",
        summary: "the highest expected score, affordable or not",
        estimator: EstimatorSlot::Default(KNN_5),
        uses_solver: false,
        make: |spec, _| greedy(spec, GreedyBy::Quality),
    },
    Preset {
        name: "greedy-cost",
        summary: "the largest estimated remaining budget",
        estimator: EstimatorSlot::Default(KNN_5),
        uses_solver: false,
        make: |spec, _| greedy(spec, GreedyBy::Budget),
    },
    Preset {
        name: "greedy-density",
        summary: "the highest expected score per USD, affordable or not",
        estimator: EstimatorSlot::Default(KNN_5),
        uses_solver: false,
        make: |spec, _| greedy(spec, GreedyBy::Density),
    },
    Preset {
        name: "knn-perf",
        summary: "greedy-perf on exact neighbors",
        estimator: EstimatorSlot::Pinned(KNN_5),
        uses_solver: false,
        make: |spec, _| greedy(spec, GreedyBy::Quality),
    },
    Preset {
        name: "knn-cost",
        summary: "greedy-cost on exact neighbors",
        estimator: EstimatorSlot::Pinned(KNN_5),
        uses_solver: false,
        make: |spec, _| greedy(spec, GreedyBy::Budget),
    },
    Preset {
        name: "trained-perf",
        summary: "greedy-perf on trained heads",
        estimator: EstimatorSlot::Pinned(TRAINED),
        uses_solver: false,
        make: |spec, _| greedy(spec, GreedyBy::Quality),
    },
    Preset {
        name: "trained-cost",
        summary: "greedy-cost on trained heads",
        estimator: EstimatorSlot::Pinned(TRAINED),
        uses_solver: false,
        make: |spec, _| greedy(spec, GreedyBy::Budget),
    },
    Preset {
        name: "eagle",
        summary: "the highest rating within what is left, global and local ELO",
        estimator: EstimatorSlot::Pinned(EAGLE),
        uses_solver: false,
        make: |spec, _| {
            no_params(spec)?;
            Ok(Arc::new(presets::eagle()))
        },
    },
    Preset {
        name: "threshold",
        summary: "the cheapest that is good enough, calibrated to spend the budget",
        estimator: EstimatorSlot::Default(KNN_5),
        uses_solver: false,
        make: |spec, _| {
            let config: ThresholdConfig = spec.config(POLICY)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(POLICY, spec, &e))?))
        },
    },
    Preset {
        name: "exp-threshold",
        summary: "prices that rise with what is spent: safe in any order",
        estimator: EstimatorSlot::Default(KNN_5),
        uses_solver: false,
        make: |spec, _| {
            let config: ExpThresholdConfig = spec.config(POLICY)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(POLICY, spec, &e))?))
        },
    },
    Preset {
        name: "batch-split",
        summary: "each batch of 256 as if it were the last",
        estimator: EstimatorSlot::Default(KNN_5),
        uses_solver: true,
        make: |spec, solver| {
            let config: BatchSplitConfig = spec.config(POLICY)?;
            Ok(Arc::new(config.build(Arc::clone(solver)).map_err(|e| refuse(POLICY, spec, &e))?))
        },
    },
    Preset {
        name: "batch-paced",
        summary: "each batch of 256 for the share of the budget that is due",
        estimator: EstimatorSlot::Default(KNN_5),
        uses_solver: true,
        make: |spec, solver| {
            let config: BatchSplitConfig = spec.config(POLICY)?;
            let policy = config.build_paced(Arc::clone(solver));
            Ok(Arc::new(policy.map_err(|e| refuse(POLICY, spec, &e))?))
        },
    },
    Preset {
        name: "port-reference",
        summary: "PORT as its code has it: prices in a box, never declines, no fallback",
        estimator: EstimatorSlot::Default(KNN_5),
        uses_solver: true,
        make: |spec, solver| {
            let config = prefix(spec)?;
            let policy = presets::port_reference(config, Arc::clone(solver));
            Ok(Arc::new(policy.map_err(|e| refuse(POLICY, spec, &e))?))
        },
    },
    Preset {
        name: "port",
        summary: "PORT as its theory has it: hinge, no box, declines",
        estimator: EstimatorSlot::Default(KNN_5),
        uses_solver: true,
        make: |spec, solver| {
            let config = prefix(spec)?;
            let policy = presets::port(config, Arc::clone(solver));
            Ok(Arc::new(policy.map_err(|e| refuse(POLICY, spec, &e))?))
        },
    },
    Preset {
        name: "geometric",
        summary: "prices from the arrivals, solved at a doubling number of them, declines",
        estimator: EstimatorSlot::Default(KNN_5),
        uses_solver: true,
        make: |spec, solver| {
            let policy = presets::geometric(spec.config(POLICY)?, Arc::clone(solver));
            Ok(Arc::new(policy.map_err(|e| refuse(POLICY, spec, &e))?))
        },
    },
    Preset {
        name: "descent",
        summary: "prices that follow what is spent, next best with decline",
        estimator: EstimatorSlot::Default(AUTO),
        uses_solver: true,
        make: |spec, solver| descent(spec, &DescentConfig::default(), solver),
    },
    Preset {
        name: "hybrid",
        summary: "prices re-solved every 500 arrivals, following what is spent in between",
        estimator: EstimatorSlot::Default(AUTO),
        uses_solver: true,
        make: |spec, solver| descent(spec, &DescentConfig::hybrid(), solver),
    },
    Preset {
        name: "resolve",
        summary: "prices re-solved on what is left, from the arrivals so far",
        estimator: EstimatorSlot::Default(AUTO),
        uses_solver: true,
        make: |spec, solver| resolve(spec, Outlook::Arrivals, Schedule::Adaptive, solver),
    },
    Preset {
        name: "history",
        summary: "prices from history, solved once",
        estimator: EstimatorSlot::Default(AUTO),
        uses_solver: true,
        make: |spec, solver| resolve(spec, Outlook::History, Schedule::Once, solver),
    },
    Preset {
        name: "history-resolve",
        summary: "prices from history, re-solved on what is left every 100 arrivals",
        estimator: EstimatorSlot::Default(AUTO),
        uses_solver: true,
        make: |spec, solver| resolve(spec, Outlook::History, Schedule::Every, solver),
    },
    Preset {
        name: "window-resolve",
        summary: "the same, from history and the latest arrivals",
        estimator: EstimatorSlot::Default(AUTO),
        uses_solver: true,
        make: |spec, solver| resolve(spec, Outlook::Both, Schedule::Every, solver),
    },
    Preset {
        name: "explore",
        summary: "tollgate, with a share of the traffic for the model known the least",
        estimator: EstimatorSlot::Default(AUTO),
        uses_solver: true,
        make: |spec, solver| {
            let config: ExploringConfig = spec.config(POLICY)?;
            let tollgate = presets::tollgate_with(ResolveConfig::default(), Arc::clone(solver));
            let tollgate = Arc::new(tollgate.map_err(|e| refuse(POLICY, spec, &e))?);
            let policy = config.build(tollgate);
            Ok(Arc::new(policy.map_err(|e| refuse(POLICY, spec, &e))?))
        },
    },
    Preset {
        name: "floor",
        summary: "a floor under the mean score at the least cost, steered as scores are told",
        estimator: EstimatorSlot::Default(AUTO),
        uses_solver: true,
        make: |spec, solver| {
            let policy = presets::floor(spec.config(POLICY)?, Arc::clone(solver));
            Ok(Arc::new(policy.map_err(|e| refuse(POLICY, spec, &e))?))
        },
    },
    Preset {
        name: "floor-batch",
        summary: "a floor under the mean score at the least cost, each window planned at once",
        estimator: EstimatorSlot::Default(AUTO),
        uses_solver: true,
        make: |spec, solver| {
            let config: FloorConfig = spec.config(POLICY)?;
            let policy = config.build_batch(Arc::clone(solver));
            Ok(Arc::new(policy.map_err(|e| refuse(POLICY, spec, &e))?))
        },
    },
    Preset {
        name: "tollgate",
        summary: "prices re-solved on what is left and on what is still expected of the history",
        estimator: EstimatorSlot::Default(AUTO),
        uses_solver: true,
        make: |spec, solver| {
            let config: ResolveConfig = spec.config(POLICY)?;
            let policy = presets::tollgate_with(config, Arc::clone(solver));
            Ok(Arc::new(policy.map_err(|e| refuse(POLICY, spec, &e))?))
        },
    },
];

fn no_params(spec: &Spec) -> Result<(), SpecError> {
    spec.config(POLICY).map(|NoParams {}| ())
}

fn greedy(spec: &Spec, by: GreedyBy) -> Result<Arc<dyn Policy>, SpecError> {
    no_params(spec)?;
    Ok(Arc::new(Greedy::new(by)))
}

fn resolve(
    spec: &Spec,
    outlook: Outlook,
    schedule: Schedule,
    solver: &Arc<dyn Solver>,
) -> Result<Arc<dyn Policy>, SpecError> {
    let config = ResolveConfig { outlook, schedule, ..ResolveConfig::default() };
    let config = spec.config_over(POLICY, &config)?;
    let policy = presets::resolve(&spec.name, config, Arc::clone(solver));
    Ok(Arc::new(policy.map_err(|e| refuse(POLICY, spec, &e))?))
}

fn descent(
    spec: &Spec,
    defaults: &DescentConfig,
    solver: &Arc<dyn Solver>,
) -> Result<Arc<dyn Policy>, SpecError> {
    let config = spec.config_over(POLICY, defaults)?;
    let policy = presets::descent(&spec.name, config, Arc::clone(solver));
    Ok(Arc::new(policy.map_err(|e| refuse(POLICY, spec, &e))?))
}

/// The knobs of both PORTs. The objective is what their names tell apart.
fn prefix(spec: &Spec) -> Result<PrefixPricesConfig, SpecError> {
    if spec.params.contains_key("objective") {
        let why = "`objective` goes with the name: theory is `port`, published `port-reference`";
        return Err(SpecError::Param {
            kind: POLICY,
            name: spec.name.clone(),
            why: why.to_owned(),
        });
    }
    spec.config(POLICY)
}
