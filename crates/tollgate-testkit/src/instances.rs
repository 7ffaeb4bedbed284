//! Synthetic problems that look like the real ones.

use std::sync::Arc;

use tollgate_core::{Choice, Meter, Problem, Purpose, Row, Scope, Seed, StreamRng};

/// Mean cost of an answer in USD and mean score, of eleven models.
const MODELS: [(f64, f64); 11] = [
    (7.27e-5, 0.43),
    (2.32e-4, 0.60),
    (2.14e-3, 0.63),
    (2.41e-3, 0.64),
    (2.42e-4, 0.62),
    (3.28e-3, 0.78),
    (1.71e-4, 0.20),
    (2.02e-4, 0.33),
    (4.56e-5, 0.31),
    (1.34e-4, 0.55),
    (1.85e-4, 0.65),
];
const CLUSTERS: usize = 60;

/// A routing problem with a quality and a cost table and no rows: prompts in clusters,
/// quality a mean of five 0/1 answers (so a multiple of 0.2, with many ties), cost
/// log-normal about the model's mean. Objective: quality.
///
/// # Panics
/// When `n_models` is 0.
pub fn routing(n_queries: usize, n_models: usize, seed: Seed) -> Problem {
    let mut rng = seed.stream(Purpose::Synthesis, 0);
    let model = |model: usize| {
        let ((cost, quality), round) = (MODELS[model % MODELS.len()], model / MODELS.len());
        (cost * 1.3_f64.powf(round as f64), quality)
    };
    let difficulty: Vec<f64> = (0..CLUSTERS).map(|_| 1.3 * rng.normal()).collect();
    let length: Vec<f64> = (0..CLUSTERS).map(|_| (0.6 * rng.normal()).exp()).collect();
    let special: Vec<f64> = (0..CLUSTERS * n_models).map(|_| 0.9 * rng.normal()).collect();
    let mut quality = Vec::with_capacity(n_queries * n_models);
    let mut cost = Vec::with_capacity(n_queries * n_models);
    for _ in 0..n_queries {
        let cluster = rng.below(CLUSTERS);
        for index in 0..n_models {
            let (mean_cost, mean_quality) = model(index);
            let logit = 1.2 * (mean_quality / (1.0 - mean_quality)).ln()
                + difficulty[cluster]
                + special[cluster * n_models + index];
            quality.push(mean_of_five(&mut rng, 1.0 / (1.0 + (-logit).exp())));
            cost.push(mean_cost * length[cluster] * (0.11 * rng.normal()).exp());
        }
    }
    Problem::builder(n_queries, n_models, Choice::AtMostOne)
        .table(Meter::Quality, Arc::from(quality))
        .table(Meter::Cost, Arc::from(cost))
        .objective(Meter::Quality, 1.0)
        .build()
        .expect("lengths and readings are right by construction")
}

/// One budget a model, in USD: all together `fraction` of what the cheapest model costs
/// on every query, shared out by the root of quality per cost.
pub fn split_budgets(problem: &Problem, fraction: f64) -> Vec<Row> {
    let mean = |meter: Meter, model: usize| {
        let total: f64 =
            (0..problem.n_queries()).map(|query| problem.reading(meter, query, model)).sum();
        total / problem.n_queries().max(1) as f64
    };
    let models = 0..problem.n_models();
    let costs: Vec<f64> = models.clone().map(|model| mean(Meter::Cost, model)).collect();
    let worth: Vec<f64> =
        models.map(|model| (mean(Meter::Quality, model) / costs[model]).sqrt()).collect();
    let cheapest = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let total = fraction * cheapest * problem.n_queries() as f64;
    let all: f64 = worth.iter().sum();
    let budget = |(model, worth): (usize, &f64)| {
        Row::at_most(Meter::Cost, Scope::model(model), total * worth / all)
    };
    worth.iter().enumerate().map(budget).collect()
}

/// Two queries and two models, to be solved by hand: query 0 is answered at 0.5 for 1 USD
/// or 0.9 for 3, query 1 at 0.6 for 1 or 0.7 for 3. Objective: quality.
///
/// # Panics
/// When a row is out of range.
pub fn two_by_two(choice: Choice, rows: Vec<Row>) -> Problem {
    Problem::builder(2, 2, choice)
        .table(Meter::Quality, Arc::from([0.5, 0.9, 0.6, 0.7]))
        .table(Meter::Cost, Arc::from([1.0, 3.0, 1.0, 3.0]))
        .objective(Meter::Quality, 1.0)
        .rows(rows)
        .build()
        .expect("two models and rows in range")
}

/// The same queries under capacities one per cent larger and smaller in turn.
///
/// # Panics
/// Never: a capacity stays finite.
pub fn nudged(problem: &Problem) -> Problem {
    let factor = |at: usize| if at.is_multiple_of(2) { 1.01 } else { 0.99 };
    let rows = problem.rows().iter().enumerate();
    let rows = rows.map(|(at, row)| Row { capacity: factor(at) * row.capacity, ..row.clone() });
    problem.with_rows(rows.collect()).expect("as finite as before")
}

/// The queries of a problem over and over, `n_queries` in all, without its rows. Objective:
/// quality.
///
/// # Panics
/// When the problem has no quality or no cost table, or no query.
pub fn repeated(problem: &Problem, n_queries: usize) -> Problem {
    let table = |meter: Meter| -> Arc<[f64]> {
        let table = problem.table(meter).expect("a quality and a cost table");
        table.iter().copied().cycle().take(n_queries * problem.n_models()).collect()
    };
    Problem::builder(n_queries, problem.n_models(), problem.choice())
        .table(Meter::Quality, table(Meter::Quality))
        .table(Meter::Cost, table(Meter::Cost))
        .objective(Meter::Quality, 1.0)
        .build()
        .expect("the problem's own readings")
}

/// 2,000 queries of `n_tenants` in turn, with weights 0, 1 and 2, and budgets in layers: 0.2
/// USD for all, and `step` USD times its number for each tenant, so nothing for the first.
///
/// # Panics
/// When `step` is not finite.
pub fn tenants(n_tenants: u32, step: f64, seed: Seed) -> Problem {
    let base = routing(2000, 5, seed);
    let own =
        |tenant: u32| Row::at_most(Meter::Cost, Scope::group(tenant), step * f64::from(tenant));
    let pooled = Row::at_most(Meter::Cost, Scope::all(), 0.2);
    let mut builder = Problem::builder(2000, 5, Choice::AtMostOne)
        .objective(Meter::Quality, 1.0)
        .groups((0..2000).map(|query| query * 7 % n_tenants).collect())
        .weights((0..2000).map(|query| f64::from(query % 3)).collect())
        .rows(std::iter::once(pooled).chain((0..n_tenants).map(own)));
    for meter in [Meter::Quality, Meter::Cost] {
        builder = builder.table(meter, Arc::clone(base.table(meter).expect("it has both")));
    }
    builder.build().expect("budgets are finite")
}

fn mean_of_five(rng: &mut StreamRng, probability: f64) -> f64 {
    (0..5).map(|_| 0.2 * f64::from(u8::from(rng.uniform() < probability))).sum()
}
