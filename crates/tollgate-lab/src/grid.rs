//! Compositions against each other over a grid of budgets and splits.
//!
//! # Problem
//! A composition that is best under one budget may be poor under another, and whoever runs
//! one of them does not know which world it is in. What counts is how far the *same*
//! composition is from the best of each cell in hindsight, over all cells.
//!
//! # Method
//! For each seed the table is cut once, and every recipe is fitted and estimates the stream
//! once; a cell is the same stream under other budgets. A composition's loss in a cell is
//! paired by seed with the composition that is best in the mean of that cell, which is chosen
//! by the very results that it is judged by: with `C` equals among the competitors the best of
//! them is expected to be above ours by chance, so a loss of 0 is out of reach.

use rayon::prelude::*;
use tollgate::core::Seed;
use tollgate::data::Table;
use tollgate::registry::Composition;

use crate::experiment::Estimated;
use crate::scenario::budgets;
use crate::{BudgetLayout, LabError, Options, Scenario, replay};

/// One budget and split, with what every composition came to.
#[derive(Clone, Debug)]
pub struct GridCell {
    /// The total, as a multiple of what the cheapest model costs on the stream.
    pub budget: f64,
    /// How it is laid out.
    pub layout: BudgetLayout,
    /// Performance by composition, then by seed.
    pub performance: Vec<Vec<f64>>,
}

impl GridCell {
    /// The mean Performance of a composition.
    pub fn mean(&self, composition: usize) -> f64 {
        let values = &self.performance[composition];
        values.iter().sum::<f64>() / values.len() as f64
    }

    /// The composition that is best in the mean; of equals the first.
    pub fn best(&self) -> usize {
        let means = (0..self.performance.len()).map(|at| self.mean(at));
        let best = means.enumerate().fold((0, f64::NEG_INFINITY), |best, (at, mean)| {
            if mean > best.1 { (at, mean) } else { best }
        });
        best.0
    }

    /// By how much a composition is below the best, in per cent of the best's mean; 0 where
    /// nobody came to anything.
    pub fn loss(&self, composition: usize) -> f64 {
        let best = self.mean(self.best());
        if best > 0.0 { 100.0 * (1.0 - self.mean(composition) / best) } else { 0.0 }
    }
}

/// Replays every composition in every cell of `multiples` x `layouts`, on every seed of the
/// options. The answer does not depend on the number of threads.
///
/// # Errors
/// [`LabError`] of the first cell that fails.
pub fn grid(
    table: &Table,
    options: &Options,
    multiples: &[f64],
    layouts: &[BudgetLayout],
    compositions: &[Composition],
) -> Result<Vec<GridCell>, LabError> {
    let cells: Vec<(f64, BudgetLayout)> = multiples
        .iter()
        .flat_map(|&multiple| layouts.iter().map(move |&layout| (multiple, layout)))
        .collect();
    let by_seed: Vec<Vec<Vec<f64>>> = options
        .seeds
        .par_iter()
        .map(|&seed| one_seed(table, options, seed, &cells, compositions))
        .collect::<Result<_, _>>()?;
    let cell = |(at, &(budget, layout)): (usize, &(f64, BudgetLayout))| {
        let of = |composition: usize| by_seed.iter().map(|cells| cells[at][composition]).collect();
        GridCell { budget, layout, performance: (0..compositions.len()).map(of).collect() }
    };
    Ok(cells.iter().enumerate().map(cell).collect())
}

/// Performance by cell, then by composition.
fn one_seed(
    table: &Table,
    options: &Options,
    seed: Seed,
    cells: &[(f64, BudgetLayout)],
    compositions: &[Composition],
) -> Result<Vec<Vec<f64>>, LabError> {
    let scenario = Scenario::prepare(table, options, seed)?;
    let mut estimates = Estimated::default();
    // Those that need the held-out estimates first: a recipe is then fitted once.
    let mut order: Vec<&Composition> = compositions.iter().collect();
    order.sort_by_key(|composition| !composition.policy.needs_history());
    for composition in order {
        estimates.prepare(&scenario, composition)?;
    }
    cells
        .par_iter()
        .map(|&(multiple, layout)| {
            let truth = scenario.true_cost();
            let of = Options { budget: multiple, layout, ..options.clone() };
            let budgets = budgets(table, truth, &of, seed)?;
            let stream = scenario.stream().clone().with_budgets(budgets)?;
            let run = |composition: &Composition| {
                let (estimated, history) = estimates.tables(&scenario, composition);
                let run = replay(&stream, composition.policy.as_ref(), estimated, history)?;
                Ok(run.metrics.performance)
            };
            compositions.iter().map(run).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use tollgate::Spec;
    use tollgate::policies::BudgetSplit;
    use tollgate::registry;

    use super::*;
    use crate::{Experiment, Silent};

    fn compositions() -> Vec<Composition> {
        ["greedy-perf", "history:every=0"]
            .iter()
            .map(|name| registry::compose(&name.parse::<Spec>().unwrap(), None, None).unwrap())
            .map(|composition| {
                let recipe = registry::estimator(&"knn:k=5".parse().unwrap()).unwrap();
                Composition { estimator: Some(recipe), ..composition }
            })
            .collect()
    }

    /// A cell of the grid is the experiment under its options.
    #[test]
    fn a_cell_is_an_experiment() {
        let rows: Vec<usize> = (0..400).collect();
        let table = Table::embedded().select_rows(&rows).unwrap();
        let options = Options { seeds: vec![Seed(1), Seed(2)], ..Options::default() };
        let layouts = [BudgetLayout::Split(BudgetSplit::Uniform), BudgetLayout::Pooled];
        let cells = grid(&table, &options, &[0.5, 2.0], &layouts, &compositions()).unwrap();
        assert_eq!(cells.len(), 4);
        for cell in &cells {
            let options = Options { budget: cell.budget, layout: cell.layout, ..options.clone() };
            let experiment = Experiment::new("test", &table, options, compositions()).unwrap();
            let report = experiment.run(&Silent).unwrap();
            for (at, performance) in cell.performance.iter().enumerate() {
                let expected: Vec<f64> =
                    report.entrants[at].1.iter().map(|cell| cell.metrics.performance).collect();
                assert_eq!(performance, &expected, "{} {}", cell.budget, cell.layout);
            }
        }
    }

    #[test]
    fn losses_worked_by_hand() {
        let performance = vec![vec![4.0, 2.0], vec![3.0, 5.0], vec![0.0, 2.0]];
        let cell = GridCell { budget: 1.0, layout: BudgetLayout::Pooled, performance };
        assert_eq!(cell.best(), 1);
        assert!((cell.loss(0) - 25.0).abs() < 1e-12 && cell.loss(1).abs() < 1e-12);
        assert!((cell.loss(2) - 75.0).abs() < 1e-12);
        let nothing = GridCell { performance: vec![vec![0.0]; 2], ..cell };
        assert!(nothing.loss(1).abs() < 1e-12);
    }
}
