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

fn mean_of_five(rng: &mut StreamRng, probability: f64) -> f64 {
    (0..5).map(|_| 0.2 * f64::from(u8::from(rng.uniform() < probability))).sum()
}
