//! Policies by the names they are known by: each is a composition of parts.

use std::sync::Arc;

use tollgate_core::{ParamError, Solver};
use tollgate_policies::{
    DualPrice, Guard, HistoryPricesConfig, PrefixObjective, PrefixPricesConfig,
};
use tollgate_solvers::Auto;

/// The default policy: prices from the history, solved again every 100 arrivals on what
/// is left, next best with decline.
///
/// # Panics
/// Never: its defaults are in range.
pub fn tollgate() -> DualPrice {
    tollgate_with(HistoryPricesConfig::default(), default_solver())
        .expect("the defaults are in range")
}

/// [`tollgate`] with other knobs or another solver.
///
/// # Errors
/// [`ParamError`] names the first knob out of range.
pub fn tollgate_with(
    config: HistoryPricesConfig,
    solver: Arc<dyn Solver>,
) -> Result<DualPrice, ParamError> {
    Ok(DualPrice::new("tollgate", config.build(solver)?).guard(Guard::NextBestOrDecline))
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

/// The solver that a preset uses unless it is given another.
pub fn default_solver() -> Arc<dyn Solver> {
    Arc::new(Auto::default())
}
