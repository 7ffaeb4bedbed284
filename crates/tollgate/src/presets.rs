//! Policies by the names they are known by: each is a composition of parts.

use std::sync::Arc;

use tollgate_core::{ParamError, Solver};
use tollgate_policies::{
    DescentConfig, DualPrice, FloorConfig, GeometricConfig, Greedy, GreedyBy, Guard,
    PrefixObjective, PrefixPricesConfig, ResolveConfig,
};
use tollgate_solvers::Auto;

/// The default policy: prices solved every 100 arrivals on what is left and on what is still
/// expected of the history, costs corrected by what answers have cost, next best with
/// decline.
///
/// # Panics
/// Never: its defaults are in range.
pub fn tollgate() -> DualPrice {
    tollgate_with(ResolveConfig::default(), default_solver()).expect("the defaults are in range")
}

/// [`tollgate`] with other knobs or another solver.
///
/// # Errors
/// [`ParamError`] names the first knob out of range.
pub fn tollgate_with(
    config: ResolveConfig,
    solver: Arc<dyn Solver>,
) -> Result<DualPrice, ParamError> {
    resolve("tollgate", config, solver).map(DualPrice::corrects_costs)
}

/// Prices solved on what is left, under a name; next best with decline.
///
/// # Errors
/// [`ParamError`] names the first knob out of range.
pub fn resolve(
    name: &str,
    config: ResolveConfig,
    solver: Arc<dyn Solver>,
) -> Result<DualPrice, ParamError> {
    Ok(DualPrice::new(name, config.build(solver)?).guard(Guard::NextBestOrDecline))
}

/// Prices at a doubling number of arrivals, as their theory has them: declines, and no
/// fallback.
///
/// # Errors
/// [`ParamError`] names the first knob out of range.
pub fn geometric(
    config: GeometricConfig,
    solver: Arc<dyn Solver>,
) -> Result<DualPrice, ParamError> {
    Ok(DualPrice::new("geometric", config.build(solver)?).guard(Guard::Decline))
}

/// Prices that follow what is spent, under a name; next best with decline.
///
/// # Errors
/// [`ParamError`] names the first knob out of range.
pub fn descent(
    name: &str,
    config: DescentConfig,
    solver: Arc<dyn Solver>,
) -> Result<DualPrice, ParamError> {
    Ok(DualPrice::new(name, config.build(solver)?).guard(Guard::NextBestOrDecline))
}

/// PORT as its theory has it: the dual with its hinge, no box, decline at a score of 0
/// or below, no fallback.
///
/// # Errors
/// [`ParamError`] names the first knob out of range.
pub fn port(config: PrefixPricesConfig, solver: Arc<dyn Solver>) -> Result<DualPrice, ParamError> {
    let config = PrefixPricesConfig { objective: PrefixObjective::Theory, ..config };
    Ok(DualPrice::new("port", config.build(solver)?).guard(Guard::Decline))
}

/// PORT as published: no hinge, prices in a box, no decline, an exhausted pick is lost.
///
/// # Errors
/// [`ParamError`] names the first knob out of range.
pub fn port_reference(
    config: PrefixPricesConfig,
    solver: Arc<dyn Solver>,
) -> Result<DualPrice, ParamError> {
    let config = PrefixPricesConfig { objective: PrefixObjective::Published, ..config };
    Ok(DualPrice::new("port-reference", config.build(solver)?).guard(Guard::None))
}

/// A floor under the mean score at the least cost, steered as scores are told: next best, never
/// declines, costs corrected by what answers have cost.
///
/// # Errors
/// [`ParamError`] names the first knob out of range.
pub fn floor(config: FloorConfig, solver: Arc<dyn Solver>) -> Result<DualPrice, ParamError> {
    let prices = config.build_prices(solver)?;
    Ok(DualPrice::new("floor", prices).guard(Guard::NextBest).corrects_costs())
}

/// What Eagle does with its ratings: the best estimate that what is left can pay for. To go
/// with the estimator [`Eagle`](tollgate_estimators::Eagle), which it is named after.
pub fn eagle() -> Greedy {
    Greedy::new(GreedyBy::Quality).within_budget()
}

/// The solver that a preset uses unless it is given another.
pub fn default_solver() -> Arc<dyn Solver> {
    Arc::new(Auto::default())
}
