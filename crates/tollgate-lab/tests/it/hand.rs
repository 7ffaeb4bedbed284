//! An instance small enough to work on paper.

use std::collections::BTreeMap;

use tollgate::core::{EstimateTable, Seed};
use tollgate::data::{Split, Table, TableParts};
use tollgate::policies::BudgetSplit;
use tollgate_lab::{BudgetLayout, Options, Scenario};

/// Scores of models `a` and `b` on the three queries, then on the one prompt of history.
pub(crate) const QUALITY: [f64; 8] = [0.4, 0.9, 0.4, 0.5, 0.1, 0.6, 0.5, 0.6];

/// Three queries and a prompt of history. Every answer of `a` costs 1 USD, of `b` 2 USD.
pub(crate) fn table() -> Table {
    Table::new(TableParts {
        name: "hand".to_owned(),
        models: ["a", "b"].map(str::to_owned).to_vec(),
        tasks: ["x", "y", "x", "x"].map(str::to_owned).to_vec(),
        quality: QUALITY.to_vec(),
        cost: [1.0, 2.0].repeat(4),
        dim: 2,
        embeddings: vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.5],
    })
    .unwrap()
}

/// The three queries in order; the budget is `multiple` times the 3 USD of model `a`.
pub(crate) fn options(multiple: f64, layout: BudgetLayout) -> Options {
    let split = Split { stream: vec![0, 1, 2], history: vec![3] };
    Options {
        seeds: vec![Seed(7)],
        splits: Some(BTreeMap::from([(7, split)])),
        budget: multiple,
        layout,
        ..Options::default()
    }
}

/// 3 USD for both models together.
pub(crate) fn pooled() -> Scenario {
    Scenario::prepare(&table(), &options(1.0, BudgetLayout::Pooled), Seed(7)).unwrap()
}

/// 1.5 USD for each model.
pub(crate) fn split() -> Scenario {
    let layout = BudgetLayout::Split(BudgetSplit::Uniform);
    Scenario::prepare(&table(), &options(1.0, layout), Seed(7)).unwrap()
}

/// Expects half of every cost, and a score of 0.5.
pub(crate) fn halved() -> EstimateTable {
    let mut table = EstimateTable::zeros(3, 2);
    table.fill(|out| {
        out.quality.fill(0.5);
        out.cost.copy_from_slice(&[0.5, 1.0].repeat(3));
    });
    table
}

/// Equal but for rounding.
pub(crate) fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}
