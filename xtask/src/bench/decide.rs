//! Decisions per second, estimates given.

use anyhow::{Context, Result, ensure};
use tollgate::core::Seed;
use tollgate::data::Table;
use tollgate::{Spec, registry};
use tollgate_lab::{Options, Scenario, replay};

/// The replay loop over the embedded stream without its solves, prices from history: 11
/// models, one account each, the fastest of some replays.
pub(super) fn run(at_least: f64) -> Result<()> {
    const REPLAYS: usize = 50;
    let options = Options::default();
    let scenario = Scenario::prepare(&Table::embedded(), &options, Seed(42))?;
    let composition = registry::compose(&Spec::named("tollgate"), None, None)?;
    let recipe = composition.estimator.context("the default policy has an estimator")?;
    let (estimates, history) = scenario.estimate_and_hold_out(recipe.as_ref())?;
    let mut fastest = f64::INFINITY;
    for _ in 0..REPLAYS {
        let run =
            replay(scenario.stream(), composition.policy.as_ref(), &estimates, Some(&history))?;
        fastest = fastest.min(run.timings.route_us / scenario.len() as f64);
    }
    let per_second = 1e6 / fastest;
    println!("{per_second:.3e} decisions per second, {:.0} ns each, 11 models", 1e3 * fastest);
    ensure!(per_second >= at_least, "fewer than {at_least:e} decisions per second");
    Ok(())
}
