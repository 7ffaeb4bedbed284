//! The parts by name, as the command line and configuration files call them.
//!
//! A policy's name stands for a whole composition: estimator, price source, solver and
//! guard. An estimator or solver given beside it replaces the preset's own, except
//! where the preset pins it (KNN-Perf *is* its five exact neighbors).

mod policies;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{Fit, Policy, PriceList, Solver};
use tollgate_estimators::{
    Auto, Blend, BlendWeights, ClustersConfig, EagleConfig, Ensemble, FactorsConfig, HybridParts,
    HybridPredictorConfig, IndexKind, KernelRidgeConfig, KnnConfig, LearnedMapConfig, LengthMode,
    RandomSlopesConfig, Refit, RidgeConfig, TrainedConfig,
};
use tollgate_solvers::{
    CuttingPlaneConfig, LagrangianConfig, PrimalDualConfig, SimplexConfig, SmoothedLbfgsConfig,
    SubgradientConfig,
};

use self::policies::EstimatorSlot;
use crate::{Spec, SpecError, presets};

pub use self::policies::{POLICIES, Preset};

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

const POLICY: &str = "policy";
const ESTIMATOR: &str = "estimator";
const SOLVER: &str = "solver";

/// The names of all estimators.
pub const ESTIMATORS: &[&str] = &[
    "knn",
    "ridge",
    "kernel-ridge",
    "trained",
    "eagle",
    "clusters",
    "learned-map",
    "factors",
    "random-slopes",
    "ensemble",
    "refit",
    "blend",
    "eccos-r",
    "eccos-t",
    "hybrid-predictor",
    "auto",
];

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
    compose_with(spec, estimator, solver, None)
}

/// The same with a price list, as [`estimator_with`] takes it.
///
/// # Errors
/// As [`compose`].
pub fn compose_with(
    spec: &Spec,
    estimator: Option<&Spec>,
    solver: Option<&Spec>,
    prices: Option<&PriceList>,
) -> Result<Composition, SpecError> {
    let preset = preset(&spec.name)?;
    let recipe = match (preset.estimator, estimator) {
        (EstimatorSlot::None, _) => None,
        (EstimatorSlot::Pinned(own), _) | (EstimatorSlot::Default(own), None) => {
            Some(estimator_with(&own.parse()?, prices)?)
        }
        (EstimatorSlot::Default(_), Some(given)) => Some(estimator_with(given, prices)?),
    };
    let solver = solver.map_or_else(|| Ok(presets::default_solver()), self::solver)?;
    Ok(Composition {
        label: spec.to_string(),
        policy: (preset.make)(spec, &solver)?,
        estimator: recipe,
        solver: preset.uses_solver().then(|| solver.name().to_owned()),
    })
}

/// An estimator's recipe by name: one of [`ESTIMATORS`].
///
/// # Errors
/// [`SpecError`] for an unknown name or a parameter out of range.
pub fn estimator(spec: &Spec) -> Result<Arc<dyn Fit>, SpecError> {
    estimator_with(spec, None)
}

/// The same with a price list, by which `eccos-r`, `eccos-t` and `hybrid-predictor` estimate
/// costs through lengths; it is nothing to the others.
///
/// # Errors
/// [`SpecError`] for an unknown name or a parameter out of range, or lengths without a list.
pub fn estimator_with(spec: &Spec, prices: Option<&PriceList>) -> Result<Arc<dyn Fit>, SpecError> {
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
        "clusters" => {
            let config: ClustersConfig = spec.config(ESTIMATOR)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(ESTIMATOR, spec, &e))?))
        }
        "learned-map" => {
            let config: LearnedMapConfig = spec.config(ESTIMATOR)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(ESTIMATOR, spec, &e))?))
        }
        "factors" => {
            let config: FactorsConfig = spec.config(ESTIMATOR)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(ESTIMATOR, spec, &e))?))
        }
        "random-slopes" => {
            let config: RandomSlopesConfig = spec.config(ESTIMATOR)?;
            Ok(Arc::new(config.build().map_err(|e| refuse(ESTIMATOR, spec, &e))?))
        }
        "ensemble" => {
            spec.config(ESTIMATOR).map(|NoParams {}| Arc::new(Ensemble::default()) as Arc<dyn Fit>)
        }
        "refit" => {
            let RefitParams { of } = spec.config(ESTIMATOR)?;
            Ok(Arc::new(Refit::new(estimator_with(&of.parse()?, prices)?)))
        }
        "blend" => {
            let BlendParams { k, weights } = spec.config(ESTIMATOR)?;
            let knn = KnnConfig { k, ..KnnConfig::default() };
            let knn = knn.build().map_err(|e| refuse(ESTIMATOR, spec, &e))?;
            Ok(Arc::new(Blend::ridge_and(knn, weights.into())))
        }
        "eccos-r" => retrieval(spec, HybridParts::Retrieval, prices),
        "eccos-t" => {
            let params: TrainedParams = spec.config(ESTIMATOR)?;
            let config = HybridPredictorConfig::default().parts(HybridParts::Trained);
            through_lengths(spec, config, (params.lengths, params.buckets), prices)
        }
        "hybrid-predictor" => retrieval(spec, HybridParts::Both, prices),
        other => Err(unknown(ESTIMATOR, other, ESTIMATORS.iter().copied())),
    }
}

/// The hybrid predictor with similar prompts among its parts.
fn retrieval(
    spec: &Spec,
    parts: HybridParts,
    prices: Option<&PriceList>,
) -> Result<Arc<dyn Fit>, SpecError> {
    let RetrievalParams { k, index, lengths, buckets } = spec.config(ESTIMATOR)?;
    let config = HybridPredictorConfig { parts, k, index, ..HybridPredictorConfig::default() };
    through_lengths(spec, config, (lengths, buckets), prices)
}

/// The hybrid predictor, its costs through lengths where there is a price list.
fn through_lengths(
    spec: &Spec,
    mut config: HybridPredictorConfig,
    (lengths, buckets): (Option<LengthMode>, Option<usize>),
    prices: Option<&PriceList>,
) -> Result<Arc<dyn Fit>, SpecError> {
    if prices.is_none() && (lengths.is_some() || buckets.is_some()) {
        let why = "`lengths` and `buckets` need a price list".to_owned();
        return Err(SpecError::Param { kind: ESTIMATOR, name: spec.name.clone(), why });
    }
    config.prices = prices.cloned();
    config.lengths = lengths.unwrap_or(config.lengths);
    config.buckets = buckets.unwrap_or(config.buckets);
    Ok(Arc::new(config.build().map_err(|e| refuse(ESTIMATOR, spec, &e))?))
}

/// The knobs of `eccos-t`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TrainedParams {
    lengths: Option<LengthMode>,
    buckets: Option<usize>,
}

/// The knobs of `eccos-r` and `hybrid-predictor`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct RetrievalParams {
    k: usize,
    index: IndexKind,
    lengths: Option<LengthMode>,
    buckets: Option<usize>,
}

impl Default for RetrievalParams {
    fn default() -> Self {
        let HybridPredictorConfig { k, index, .. } = HybridPredictorConfig::default();
        Self { k, index, lengths: None, buckets: None }
    }
}

/// The knob of `refit`: the recipe that is fitted anew for every change of the pool.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct RefitParams {
    of: String,
}

impl Default for RefitParams {
    fn default() -> Self {
        Self { of: "auto".to_owned() }
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

fn refuse(kind: &'static str, spec: &Spec, error: &dyn std::error::Error) -> SpecError {
    SpecError::Param { kind, name: spec.name.clone(), why: error.to_string() }
}

fn unknown<'a>(kind: &'static str, got: &str, names: impl Iterator<Item = &'a str>) -> SpecError {
    let valid = names.collect::<Vec<_>>().join(", ");
    SpecError::Unknown { kind, got: got.to_owned(), valid }
}

#[cfg(test)]
mod tests;
