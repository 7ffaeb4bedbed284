//! The parts by name, as the command line and configuration files call them.
//!
//! A policy's name stands for a whole composition: estimator, price source, solver and
//! guard. An estimator or solver given beside it replaces the preset's own, except
//! where the preset pins it (KNN-Perf *is* its five exact neighbors).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{Fit, Policy, Solver};
use tollgate_estimators::{
    Auto, Blend, BlendWeights, EagleConfig, KernelRidgeConfig, KnnConfig, RidgeConfig,
    TrainedConfig,
};
use tollgate_policies::{
    BatchSplitConfig, DescentConfig, ExpThresholdConfig, FixedConfig, Greedy, GreedyBy, Outlook,
    PrefixPricesConfig, Random, ResolveConfig, RoundRobin, Schedule, ThresholdConfig,
};
use tollgate_solvers::{
    CuttingPlaneConfig, LagrangianConfig, PrimalDualConfig, SimplexConfig, SmoothedLbfgsConfig,
    SubgradientConfig,
};

use crate::{Spec, SpecError, presets};

/// A policy with every part in place.
#[derive(Clone, Debug)]
pub struct Composition {
    /// What it was asked for as: the name in tables.
    pub label: String,
    /// The policy.
    pub policy: Arc<dyn Policy>,
    /// The recipe of its estimator; `None` for a policy that looks at no estimate.
    pub estimator: Option<Arc<dyn Fit>>,
    /// The name of its solver; `None` for a policy that solves nothing.
    pub solver: Option<String>,
}

/// One policy of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    estimator: EstimatorSlot,
    uses_solver: bool,
    make: Make,
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

type Make = fn(&Spec, &Arc<dyn Solver>) -> Result<Arc<dyn Policy>, SpecError>;

#[derive(Clone, Copy, Debug)]
enum EstimatorSlot {
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

const POLICY: &str = "policy";
const ESTIMATOR: &str = "estimator";
const SOLVER: &str = "solver";

/// The names of all estimators.
pub const ESTIMATORS: &[&str] =
    &["knn", "ridge", "kernel-ridge", "trained", "eagle", "blend", "auto"];

/// The names of all solvers.
pub const SOLVERS: &[&str] = &[
    "auto",
    "simplex",
    "cutting-plane",
    "subgradient",
    "primal-dual",
    "smoothed-lbfgs",
    "lagrangian",
    "lagrangian-published",
];

/// The preset of this name.
///
/// # Errors
/// [`SpecError::Unknown`] lists the names there are.
pub fn preset(name: &str) -> Result<&'static Preset, SpecError> {
    let names = || POLICIES.iter().map(|preset| preset.name);
    POLICIES.iter().find(|preset| preset.name == name).ok_or_else(|| unknown(POLICY, name, names()))
}

/// Puts a policy together; `estimator` and `solver` replace the preset's own where it
/// does not pin them.
///
/// # Errors
/// [`SpecError`] for an unknown name or a parameter out of range.
pub fn compose(
    spec: &Spec,
    estimator: Option<&Spec>,
    solver: Option<&Spec>,
) -> Result<Composition, SpecError> {
    let preset = preset(&spec.name)?;
    let recipe = match (preset.estimator, estimator) {
        (EstimatorSlot::None, _) => None,
        (EstimatorSlot::Pinned(own), _) | (EstimatorSlot::Default(own), None) => {
            Some(self::estimator(&own.parse()?)?)
        }
        (EstimatorSlot::Default(_), Some(given)) => Some(self::estimator(given)?),
    };
    let solver = solver.map_or_else(|| Ok(presets::default_solver()), self::solver)?;
    Ok(Composition {
        label: spec.to_string(),
        policy: (preset.make)(spec, &solver)?,
        estimator: recipe,
        solver: preset.uses_solver.then(|| solver.name().to_owned()),
    })
}

/// An estimator's recipe by name: one of [`ESTIMATORS`].
///
/// # Errors
/// [`SpecError`] for an unknown name or a parameter out of range.
pub fn estimator(spec: &Spec) -> Result<Arc<dyn Fit>, SpecError> {
    match spec.name.as_str() {
        "knn" => {
            let config: KnnConfig = spec.config(ESTIMATOR)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(ESTIMATOR, spec, &e))?))
        }
        "ridge" => {
            let config: RidgeConfig = spec.config(ESTIMATOR)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(ESTIMATOR, spec, &e))?))
        }
        "kernel-ridge" => {
            let config: KernelRidgeConfig = spec.config(ESTIMATOR)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(ESTIMATOR, spec, &e))?))
        }
        "auto" => {
            spec.config(ESTIMATOR).map(|NoParams {}| Arc::new(Auto::default()) as Arc<dyn Fit>)
        }
        "trained" => {
            let config: TrainedConfig = spec.config(ESTIMATOR)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(ESTIMATOR, spec, &e))?))
        }
        "eagle" => {
            let config: EagleConfig = spec.config(ESTIMATOR)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(ESTIMATOR, spec, &e))?))
        }
        "blend" => {
            let BlendParams { k, weights } = spec.config(ESTIMATOR)?;
            let knn = KnnConfig { k, ..KnnConfig::default() };
            let knn = knn.build().map_err(|e| refuse(ESTIMATOR, spec, &e))?;
            Ok(Arc::new(Blend::ridge_and(knn, weights.into())))
        }
        other => Err(unknown(ESTIMATOR, other, ESTIMATORS.iter().copied())),
    }
}

/// The knobs of `blend`: ridge and the mean of `k` neighbors, in learned or equal shares.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct BlendParams {
    k: usize,
    weights: WeightsParam,
}

impl Default for BlendParams {
    fn default() -> Self {
        Self { k: 40, weights: WeightsParam::Learned }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum WeightsParam {
    Equal,
    Learned,
}

impl From<WeightsParam> for BlendWeights {
    fn from(weights: WeightsParam) -> Self {
        match weights {
            WeightsParam::Equal => Self::Equal,
            WeightsParam::Learned => Self::Learned,
        }
    }
}

/// A solver by name: `cutting-plane`.
///
/// # Errors
/// [`SpecError`] for an unknown name or a parameter out of range.
pub fn solver(spec: &Spec) -> Result<Arc<dyn Solver>, SpecError> {
    match spec.name.as_str() {
        "auto" => {
            let found = tollgate_solvers::Auto::default();
            spec.config(SOLVER).map(|NoParams {}| Arc::new(found) as Arc<dyn Solver>)
        }
        "simplex" => {
            let config: SimplexConfig = spec.config(SOLVER)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(SOLVER, spec, &e))?))
        }
        "cutting-plane" => {
            let config: CuttingPlaneConfig = spec.config(SOLVER)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(SOLVER, spec, &e))?))
        }
        "subgradient" => {
            let config: SubgradientConfig = spec.config(SOLVER)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(SOLVER, spec, &e))?))
        }
        "primal-dual" => {
            let config: PrimalDualConfig = spec.config(SOLVER)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(SOLVER, spec, &e))?))
        }
        "smoothed-lbfgs" => {
            let config: SmoothedLbfgsConfig = spec.config(SOLVER)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(SOLVER, spec, &e))?))
        }
        "lagrangian" => {
            let config: LagrangianConfig = spec.config(SOLVER)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(SOLVER, spec, &e))?))
        }
        "lagrangian-published" => {
            let PublishedLoop { floor_step, capacity_step, iterations } = spec.config(SOLVER)?;
            let config = LagrangianConfig::published().floor_step(floor_step);
            let config = LagrangianConfig { capacity_step, iterations, ..config };
            Ok(Arc::new(config.build().map_err(|e| refuse(SOLVER, spec, &e))?))
        }
        other => Err(unknown(SOLVER, other, SOLVERS.iter().copied())),
    }
}

/// The knobs of `lagrangian-published`, whose defaults are not those of `lagrangian`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct PublishedLoop {
    floor_step: f64,
    capacity_step: f64,
    iterations: u64,
}

impl Default for PublishedLoop {
    fn default() -> Self {
        let LagrangianConfig { floor_step, capacity_step, iterations, .. } =
            LagrangianConfig::published();
        Self { floor_step, capacity_step, iterations }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParams {}

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

fn refuse(kind: &'static str, spec: &Spec, error: &dyn std::error::Error) -> SpecError {
    SpecError::Param { kind, name: spec.name.clone(), why: error.to_string() }
}

fn unknown<'a>(kind: &'static str, got: &str, names: impl Iterator<Item = &'a str>) -> SpecError {
    let valid = names.collect::<Vec<_>>().join(", ");
    SpecError::Unknown { kind, got: got.to_owned(), valid }
}

#[cfg(test)]
mod tests;
