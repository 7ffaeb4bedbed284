//! Held-out estimates of a pool, by folds.

use tollgate_core::{
    EstimateTable, EstimatesMut, Estimator, FitError, History, Models, Prior, Scratch,
};

use super::{Answers, Lore, Pool, tabulate, with_tokens};

/// Parts that a history is cut into.
const FOLDS: usize = 5;

/// Estimates of every prompt by a pool of the prompts that are not in its fold; `learn`
/// makes what is learned of prompts.
pub(super) fn held_out<L: Lore>(
    history: &History,
    learn: &dyn Fn(&History) -> Result<L, FitError>,
) -> Result<EstimateTable, FitError> {
    let (n, n_models) = (history.len(), history.models().len());
    let mut table = EstimateTable::zeros(n, n_models);
    let mut scratch = Scratch::default();
    for fold in 0..FOLDS.min(n) {
        let (own, others): (Vec<usize>, Vec<usize>) =
            (0..n).partition(|row| row % FOLDS.min(n) == fold);
        let pool = pool_of(history, &others, learn)?;
        table.fill(|mut out| {
            for row in own {
                let mut cells = out.rows(n_models, row, row + 1);
                match &pool {
                    Some(pool) => pool
                        .estimate_into(history.queries().query(row), &mut scratch, cells)
                        .expect("the fit has checked every embedding"),
                    None => guess(history, &mut cells),
                }
            }
        });
    }
    Ok(table)
}

/// Where no other fold has a label at all: as [`Knn`](crate::Knn) has it.
fn guess(history: &History, out: &mut EstimatesMut<'_>) {
    out.quality.fill(0.5);
    out.quality_se.fill(0.5);
    for model in 0..history.models().len() {
        out.cost[model] = mean_cost(history, model);
        out.cost_se[model] = out.cost[model];
    }
}

fn mean_cost(history: &History, model: usize) -> f64 {
    let column = history.cost().iter().skip(model).step_by(history.models().len());
    let (sum, count) = column
        .filter(|cost| !cost.is_nan())
        .fold((0.0, 0.0), |(sum, count), cost| (sum + cost, count + 1.0));
    sum / count
}

/// The pool of some prompts, with all models of the history; `None` where none has a label.
fn pool_of<L: Lore>(
    history: &History,
    rows: &[usize],
    learn: &dyn Fn(&History) -> Result<L, FitError>,
) -> Result<Option<Pool<L>>, FitError> {
    let n_models = history.models().len();
    let labelled =
        |model: &usize| rows.iter().any(|row| !history.quality()[row * n_models + model].is_nan());
    let (known, unknown): (Vec<usize>, Vec<usize>) = (0..n_models).partition(labelled);
    if known.is_empty() {
        return Ok(None);
    }
    let part = select(history, rows, &known);
    let mut pool = Pool::new(learn(&part)?, &part);
    for model in unknown {
        let prior = Prior { quality: None, cost: Some(mean_cost(history, model)) };
        pool.members.insert(model, pool.member(Answers::default(), prior, false));
    }
    pool.models = history.models().clone();
    pool.tables = tabulate(pool.lore.as_ref(), &pool.members);
    Ok(Some(pool))
}

/// Some rows of some models, each of which has a label there, with the tokens of the prompts.
pub(crate) fn select(history: &History, rows: &[usize], models: &[usize]) -> History {
    let (n_models, dim) = (history.models().len(), history.dim());
    let pick = |table: &[f64]| -> Vec<f64> {
        let cell = |&row: &usize| models.iter().map(move |model| table[row * n_models + model]);
        rows.iter().flat_map(cell).collect()
    };
    let embeddings = rows.iter().flat_map(|row| &history.embeddings()[row * dim..][..dim]);
    let names = models.iter().map(|&model| history.models().id(model).as_str());
    let names = Models::new(names).expect("names of a history differ, and there is a label");
    let tables = [pick(history.quality()), pick(history.cost())];
    let [quality, cost] = tables;
    let part = History::new(names, dim, embeddings.copied().collect(), quality, cost)
        .expect("every model that was picked has a label");
    let tokens = history.input_tokens().map(|tokens| rows.iter().map(|&row| tokens[row]).collect());
    with_tokens(part, tokens)
}
