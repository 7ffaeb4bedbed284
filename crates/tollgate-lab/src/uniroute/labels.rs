//! How many labels a new model needs, and on which prompts.
//!
//! # Problem
//! Labels cost money: an answer each, and somebody who scores it. A pool says which of the
//! prompts that it knows are worth a label; drawing them at random costs no thought. How much
//! Area do `n` labels of every unseen model buy either way?
//!
//! # Method
//! A recipe is fitted once a trial. Then for each number the unseen models are added by their
//! labels on the first `n` of [`worth_labelling`](tollgate::core::ModelPool::worth_labelling),
//! and on the first `n` of one random order of the same prompts. Those are training prompts;
//! test prompts, and the price of each model, are as everywhere in the protocol, so that both
//! ways are measured by one yardstick. In a table with gaps a model is labelled on those of
//! the prompts that it was run on.

use rayon::prelude::*;
use tollgate::core::{Label, Prompt, Purpose, Seed};
use tollgate::data::Table;

use super::trial::pool;
use super::{Kind, Method, Protocol, Trial};
use crate::{Interval, LabError, Observer, PairedTest, mean_interval, paired_test};

/// Areas by number of labels, for one recipe.
#[derive(Clone, Debug)]
pub struct LabelCurve {
    /// The recipe's name.
    pub label: String,
    /// Numbers of labels.
    pub sizes: Vec<usize>,
    /// Areas with labels that the pool chose: by size, then by trial.
    pub chosen: Vec<Vec<f64>>,
    /// Areas with labels drawn at random, likewise.
    pub random: Vec<Vec<f64>>,
}

impl LabelCurve {
    /// Mean Areas at a size: chosen, and at random.
    pub fn means(&self, size: usize) -> Option<[Interval; 2]> {
        let at = self.sizes.iter().position(|&n| n == size)?;
        Some([mean_interval(&self.chosen[at])?, mean_interval(&self.random[at])?])
    }

    /// The Area with `chosen` labels less that with `random` ones, paired.
    pub fn difference(&self, chosen: usize, random: usize) -> Option<PairedTest> {
        let at = |size: usize| self.sizes.iter().position(|&n| n == size);
        paired_test(&self.chosen[at(chosen)?], &self.random[at(random)?])
    }
}

/// Areas with every number of labels, for one pool, trials in parallel. The result does not
/// depend on the number of threads.
///
/// # Errors
/// [`LabError`] of the first trial that fails; for a method that is no pool.
pub fn label_curve(
    table: &Table,
    protocol: &Protocol,
    method: &Method,
    sizes: &[usize],
    seeds: &[Seed],
    observer: &dyn Observer,
) -> Result<LabelCurve, LabError> {
    let trial = |&seed: &Seed| {
        let areas = areas(&Trial::new(table, protocol, seed)?, method, sizes)?;
        observer.step(&method.label, seeds.len());
        Ok(areas)
    };
    let trials: Vec<[Vec<f64>; 2]> =
        seeds.par_iter().map(trial).collect::<Result<_, LabError>>()?;
    let by_size = |way: usize| {
        let of = |at: usize| trials.iter().map(|trial| trial[way][at]).collect();
        (0..sizes.len()).map(of).collect()
    };
    let label = method.label.clone();
    Ok(LabelCurve { label, sizes: sizes.to_vec(), chosen: by_size(0), random: by_size(1) })
}

/// Areas by size: with the labels that the pool chose, and at random.
fn areas(trial: &Trial<'_>, method: &Method, sizes: &[usize]) -> Result<[Vec<f64>; 2], LabError> {
    let Kind::Pool(recipe) = &method.kind else {
        return Err(LabError::NoPool { recipe: method.label.clone() });
    };
    let fitted = recipe.fit(&trial.seen()?, trial.seed())?;
    let representatives = pool(recipe.as_ref(), fitted.as_ref())?;
    let (n, rows) = (representatives.representatives().len(), trial.seen_rows());
    let (what, expected) = ("representative prompts", rows.len());
    if n != expected {
        return Err(LabError::Shape { what, expected, got: n });
    }
    let mut random: Vec<usize> = (0..n).collect();
    trial.seed().stream(Purpose::Split, 1).shuffle(&mut random);
    let area = |prompts: &[usize]| -> Result<f64, LabError> {
        let labels = labels(trial, &rows, prompts);
        let exchanged = trial.exchange(recipe.as_ref(), fitted.as_ref(), &labels)?;
        let curve = trial.curve(&trial.estimate(exchanged.as_ref())?);
        Ok(curve.area(trial.yardstick().most))
    };
    let mut found = [Vec::new(), Vec::new()];
    for &size in sizes {
        found[0].push(area(&representatives.worth_labelling(size))?);
        found[1].push(area(&random[..size.min(n)])?);
    }
    Ok(found)
}

/// The labels of every unseen model on some of the training prompts, which are `rows`.
fn labels(trial: &Trial<'_>, rows: &[usize], prompts: &[usize]) -> Vec<Vec<Label<'static>>> {
    let table = trial.table();
    let n_models = table.models().len();
    let label = |prompt: usize, model: usize| {
        let cell = rows[prompt] * n_models + model;
        let (quality, cost) = (table.quality()[cell], table.cost()[cell]);
        let prompt = Prompt::Representative(prompt);
        (!quality.is_nan()).then_some(Label { prompt, quality, cost })
    };
    let of = |&model: &usize| prompts.iter().filter_map(|&prompt| label(prompt, model)).collect();
    trial.cut().unseen.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{recipe, table};
    use super::*;
    use crate::Silent;

    /// The pool takes clusters in turns, so two labels tell all there is to know: from the
    /// second on the Area is that of the oracle. At random it may take more.
    #[test]
    fn two_chosen_labels_are_enough_for_two_clusters() {
        let table = table();
        let protocol = Protocol { test_models: 0.5, labels: 2, ..Protocol::default() };
        let seeds: Vec<Seed> = (1..9).map(Seed).collect();
        let method = Method::pool("clusters", recipe());
        let found = label_curve(&table, &protocol, &method, &[1, 2, 6], &seeds, &Silent).unwrap();
        for (at, &seed) in seeds.iter().enumerate() {
            let trial = Trial::new(&table, &protocol, seed).unwrap();
            let (_, oracle) = trial.scores(&trial.expected(&Kind::Oracle).unwrap());
            for size in 1..3 {
                assert!((found.chosen[size][at] - oracle.area).abs() < 1e-12, "{seed:?}");
            }
            assert!(found.random[0][at] <= oracle.area + 1e-12);
            // With all prompts there is nothing to choose.
            assert!((found.random[2][at] - oracle.area).abs() < 1e-12);
        }
        let gain = found.difference(2, 1).unwrap().difference.mean;
        assert!(gain > 0.0, "{gain}");
        assert!(found.difference(3, 1).is_none() && found.means(2).is_some());
    }

    #[test]
    fn what_is_no_pool_is_refused() {
        let protocol = Protocol { test_models: 0.5, labels: 2, ..Protocol::default() };
        let method = Method::parse("zero-router").unwrap().remove(0);
        let error = label_curve(&table(), &protocol, &method, &[1], &[Seed(1)], &Silent);
        insta::assert_snapshot!(
            error.unwrap_err(),
            @"`zero-router` takes its models from its history: none can be added"
        );
    }
}
