//! Generator C: recorded streams, in the same orders.
//!
//! Each policy keeps the estimator that it has in the registry; orders go by the estimates
//! of five exact neighbors, on which the approximate optimum is defined, too. The estimator
//! is fitted once for a seed, and its estimates are then rearranged.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use tollgate::core::{EstimateTable, Seed};
use tollgate::data::Table;
use tollgate::presets;

use super::plan::ORDERS;
use super::{Bounds, Instance, Line, Ratios, Row};
use crate::{LabError, Observer, Options, Scenario, mean_interval};

/// Every policy under every order, halves of the table as stream and history.
///
/// # Errors
/// [`LabError`] of the first run that fails.
pub fn recorded(
    stream: &str,
    table: &Table,
    seeds: &[Seed],
    lines: &[Line],
    observer: &dyn Observer,
) -> Result<Vec<Row>, LabError> {
    let by_seed: Vec<Vec<Vec<Ratios>>> = seeds
        .par_iter()
        .map(|&seed| {
            let made = of_seed(table, seed, lines)?;
            observer.step(&format!("{stream}, seed {}", seed.0), seeds.len());
            Ok(made)
        })
        .collect::<Result<_, LabError>>()?;
    let mut rows = Vec::new();
    for (column, (_, name)) in ORDERS.iter().enumerate() {
        for (index, line) in lines.iter().enumerate() {
            let mean = |reading: &dyn Fn(&Ratios) -> f64| {
                let values: Vec<f64> =
                    by_seed.iter().map(|orders| reading(&orders[column][index])).collect();
                mean_interval(&values)
            };
            rows.push(Row {
                part: "recorded",
                case: format!("{stream}, {name}"),
                x: 0.0,
                policy: line.label.to_owned(),
                k: f64::NAN,
                online: mean(&|ratios| ratios.online),
                rp: mean(&|ratios| ratios.rp),
                truth: mean(&|ratios| ratios.truth),
                relative: None,
                performance: mean(&|ratios| ratios.metrics.performance),
                failed: None,
            });
        }
    }
    Ok(rows)
}

/// By order, then by policy.
fn of_seed(table: &Table, seed: Seed, lines: &[Line]) -> Result<Vec<Vec<Ratios>>, LabError> {
    let scenario = Scenario::prepare(table, &Options::default(), seed)?;
    let knn5 = instance(&scenario, scenario.knn5().clone(), None);
    let solver = presets::default_solver();
    let known = knn5.bounds(solver.as_ref())?;
    let mut by_recipe: BTreeMap<String, (Instance, Bounds)> = BTreeMap::new();
    for line in lines {
        let Some(recipe) = &line.composition.estimator else { continue };
        if by_recipe.contains_key(&recipe.name()) {
            continue;
        }
        let (estimates, history) = scenario.estimate_and_hold_out(recipe.as_ref())?;
        let made = instance(&scenario, estimates, Some(history));
        // The denominator of RP stays with the five neighbors.
        let bounds = Bounds { estimates: made.bounds(solver.as_ref())?.estimates, ..known };
        by_recipe.insert(recipe.name(), (made, bounds));
    }
    let mut orders = Vec::new();
    for (order, _) in ORDERS {
        let rows = knn5.rows_in(order, seed)?;
        let mut arranged: BTreeMap<&str, (Instance, Bounds)> = BTreeMap::new();
        for (name, (instance, bounds)) in &by_recipe {
            arranged.insert(name, (instance.rearranged(&rows), *bounds));
        }
        let blind = (knn5.rearranged(&rows), known);
        let ratios = |line: &Line| {
            let recipe = line.composition.estimator.as_ref().map(|recipe| recipe.name());
            let (instance, bounds) =
                recipe.and_then(|name| arranged.get(name.as_str())).unwrap_or(&blind);
            instance.ratios(line.composition.policy.as_ref(), bounds, seed)
        };
        orders.push(lines.iter().map(ratios).collect::<Result<_, LabError>>()?);
    }
    Ok(orders)
}

fn instance(scenario: &Scenario, seen: EstimateTable, past: Option<EstimateTable>) -> Instance {
    let n_models = scenario.models().len();
    Instance {
        models: scenario.models().clone(),
        quality: Arc::clone(scenario.true_quality()),
        cost: Arc::clone(scenario.true_cost()),
        estimates: seen,
        history: past.unwrap_or_else(|| EstimateTable::zeros(0, n_models)),
        budgets: scenario.budgets().rows().iter().map(|row| row.capacity).collect(),
        announced: None,
        told: None,
    }
}
