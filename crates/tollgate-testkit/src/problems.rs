//! Small problems of every kind, for property tests.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use tollgate_core::{Choice, Meter, ModelMask, Problem, Row, Scope, Sense};

/// Everything about a row but its numbers' units.
#[derive(Clone, Debug)]
struct Draft {
    meter: usize,
    mask: u8,
    group: Option<u32>,
    sense: Sense,
    /// Capacity as tenths of what the row would use with every query on its first model.
    tenths: i32,
    /// Penalty as tenths of objective per usage.
    penalty: Option<u32>,
}

/// Problems of up to 7 queries, 4 models and 6 rows, one in nine up to 40: both choices, all meters and
/// senses, masks, groups, weights (also 0), soft rows, empty capacities, readings on a
/// coarse grid so that ties abound, and models whose costs differ by powers of ten.
///
/// # Panics
/// Never: what is drawn is valid.
pub fn problems() -> impl Strategy<Value = Problem> {
    (0_usize..=7, 1_usize..=4).prop_flat_map(|(n_queries, n_models)| {
        let n_options = n_queries * n_models;
        (
            Just((n_queries, n_models)),
            any::<bool>(),
            vec(0_u8..=5, n_options),
            vec(0_u8..=4, n_options),
            vec(-1_i8..=4, n_options),
            vec(0_u32..3, n_queries),
            proptest::option::of(vec(0_u8..=4, n_queries)),
            (0_usize..6, -5_i32..=2),
            prop_oneof![8 => vec(draft(), 0..=6), 1 => vec(draft(), 7..=40)],
        )
            .prop_map(
                |(
                    (n_queries, n_models),
                    serve,
                    quality,
                    cost,
                    tokens,
                    groups,
                    weights,
                    (objective, power),
                    drafts,
                )| {
                    let choice = if serve { Choice::ExactlyOne } else { Choice::AtMostOne };
                    let grid = |values: Vec<u8>, unit: f64| -> Arc<[f64]> {
                        values.into_iter().map(|value| unit * f64::from(value)).collect()
                    };
                    let cost: Arc<[f64]> = cost
                        .into_iter()
                        .enumerate()
                        .map(|(at, value)| {
                            let model = i32::try_from(at % n_models).unwrap_or(0);
                            f64::from(value) * 10_f64.powi(power + model)
                        })
                        .collect();
                    // Another order of the same numbers: unlike the tokens of any one query.
                    let latency = tokens.iter().rev().map(|n| 0.25 * f64::from(*n)).collect();
                    let tokens = tokens.into_iter().map(f64::from).collect();
                    let mut builder = Problem::builder(n_queries, n_models, choice)
                        .table(Meter::Quality, grid(quality, 0.2))
                        .table(Meter::Cost, cost)
                        .table(Meter::Tokens, tokens)
                        .table(Meter::Latency, latency)
                        .groups(groups.into());
                    if let Some(weights) = weights {
                        builder = builder.weights(grid(weights, 0.5));
                    }
                    builder = match objective {
                        0 => builder.objective(Meter::Quality, 1.0),
                        1 => builder.objective(Meter::Quality, 1e-4),
                        2 => builder.objective(Meter::Cost, -1.0),
                        3 => builder.objective(Meter::Quality, 1.0).objective(Meter::Cost, -0.3),
                        4 => builder.objective(Meter::One, 2.0).objective(Meter::Latency, -0.5),
                        _ => builder.objective(Meter::One, 2.0).objective(Meter::Tokens, -1.0),
                    };
                    let problem = builder.build().expect("all readings are finite");
                    let rows = drafts.iter().map(|draft| row(&problem, draft)).collect();
                    problem.with_rows(rows).expect("all meters have tables")
                },
            )
    })
}

fn draft() -> impl Strategy<Value = Draft> {
    (
        0_usize..5,
        1_u8..16,
        proptest::option::of(0_u32..3),
        prop_oneof![2 => Just(Sense::AtMost), 1 => Just(Sense::AtLeast)],
        prop_oneof![6 => 0_i32..=12, 1 => Just(-2)],
        proptest::option::weighted(0.3, 0_u32..=30),
    )
        .prop_map(|(meter, mask, group, sense, tenths, penalty)| Draft {
            meter,
            mask,
            group,
            sense,
            tenths,
            penalty,
        })
}

fn row(problem: &Problem, draft: &Draft) -> Row {
    let meter = Meter::ALL[draft.meter];
    let models = match draft.mask {
        15 => ModelMask::All,
        mask if mask.is_power_of_two() && (mask.trailing_zeros() as usize) < problem.n_models() => {
            ModelMask::One(mask.trailing_zeros() as usize)
        }
        mask => ModelMask::Some((0..problem.n_models()).map(|at| mask >> at & 1 == 1).collect()),
    };
    let scope = Scope { models, group: draft.group };
    let (mut usage, mut value) = (0.0, 0.0);
    for query in 0..problem.n_queries() {
        let covers = |&model: &usize| scope.covers(problem.group(query), model);
        if let Some(model) = (0..problem.n_models()).find(covers) {
            usage += problem.weight(query) * problem.reading(meter, query, model).abs();
            value += problem.weight(query) * problem.value(query, model).abs();
        }
    }
    let usage = if usage > 0.0 { usage } else { 1.0 };
    Row {
        meter,
        scope,
        sense: draft.sense,
        capacity: f64::from(draft.tenths) * 0.1 * usage,
        penalty: draft.penalty.map(|tenths| f64::from(tenths) * 0.1 * value / usage),
    }
}
