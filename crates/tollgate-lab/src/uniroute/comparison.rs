//! Methods against each other over many trials.

use rayon::prelude::*;
use tollgate::core::{DeferralCurve, Seed};
use tollgate::data::Table;

use super::{Method, Protocol, Scores, Trial};
use crate::{Interval, LabError, Observer, PairedTest, mean_interval, paired_test};

/// At how many costs a curve is read for figures: from nothing to the dearest route, evenly.
pub const PROFILE: usize = 101;

/// What every method came to in every trial.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The table's name.
    pub stream: String,
    /// How it was cut.
    pub protocol: Protocol,
    /// One trial each.
    pub seeds: Vec<Seed>,
    /// The sizes of a trial.
    pub sizes: Sizes,
    /// One for each method, in the order given.
    pub lines: Vec<Line>,
}

/// How much of a table has which part in a trial.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Sizes {
    /// Models that recipes learn from.
    pub seen: usize,
    /// Models that are routed among.
    pub unseen: usize,
    /// Prompts to learn from.
    pub training: usize,
    /// Prompts that unseen models are labelled on.
    pub validation: usize,
    /// Prompts that are routed.
    pub test: usize,
    /// Whether some option of the table has no label.
    pub gaps: bool,
}

/// One method.
#[derive(Clone, Debug)]
pub struct Line {
    /// The method's name.
    pub label: String,
    /// Its family.
    pub family: Option<&'static str>,
    /// Its scores, one a trial.
    pub trials: Vec<Scores>,
    /// For each trial the score at [`PROFILE`] costs.
    pub profiles: Vec<Vec<f64>>,
}

impl Line {
    /// The mean of a number over trials; `None` where no trial has it.
    pub fn mean(&self, of: impl Fn(&Scores) -> Option<f64>) -> Option<Interval> {
        mean_interval(&self.trials.iter().filter_map(of).collect::<Vec<_>>())
    }

    /// The mean Area.
    pub fn area(&self) -> f64 {
        self.trials.iter().map(|scores| scores.area).sum::<f64>() / self.trials.len() as f64
    }

    /// The paired difference in Area.
    pub fn against(&self, other: &Self) -> Option<PairedTest> {
        let area = |line: &Self| line.trials.iter().map(|scores| scores.area).collect::<Vec<_>>();
        paired_test(&area(self), &area(other))
    }

    /// The mean difference to another curve at each of [`PROFILE`] costs, paired by trial.
    pub fn profile_against(&self, other: &Self) -> Vec<Interval> {
        let at = |cost: usize| {
            let each = self.profiles.iter().zip(&other.profiles);
            mean_interval(&each.map(|(a, b)| a[cost] - b[cost]).collect::<Vec<_>>())
        };
        (0..PROFILE).filter_map(at).collect()
    }

    /// The mean curve, with the half-width of its 95 % interval where there is one: at each of
    /// [`PROFILE`] costs.
    pub fn profile(&self) -> Vec<Interval> {
        let at = |cost: usize| {
            let scores: Vec<f64> = self.profiles.iter().map(|profile| profile[cost]).collect();
            mean_interval(&scores)
        };
        (0..PROFILE).filter_map(at).collect()
    }
}

impl Comparison {
    /// The line of a method.
    pub fn line(&self, label: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.label == label)
    }

    /// Of a family, the line of the largest mean Area: the best in hindsight, chosen by the
    /// very results that it is judged by. Of equals the first.
    pub fn best(&self, family: &str) -> Option<&Line> {
        let family = self.lines.iter().filter(|line| line.family == Some(family));
        family.reduce(|best, next| if next.area() > best.area() { next } else { best })
    }

    /// The lines of tables: those without a family, and of each family the best.
    pub fn shown(&self) -> Vec<&Line> {
        let shown = |line: &&Line| match line.family {
            None => true,
            Some(family) => self.best(family).is_some_and(|best| best.label == line.label),
        };
        self.lines.iter().filter(shown).collect()
    }
}

/// Runs every method in one trial a seed, trials in parallel. The result does not depend on the
/// number of threads.
///
/// # Errors
/// [`LabError`] of the first trial that fails.
pub fn compare(
    stream: impl Into<String>,
    table: &Table,
    protocol: &Protocol,
    methods: &[Method],
    seeds: &[Seed],
    observer: &dyn Observer,
) -> Result<Comparison, LabError> {
    let total = seeds.len() * methods.len();
    let trial = |&seed: &Seed| -> Result<Vec<(Scores, Vec<f64>)>, LabError> {
        let trial = Trial::new(table, protocol, seed)?;
        let most = trial.yardstick().most;
        let run = |method: &Method| {
            let (curve, scores) = trial.scores(&trial.expected(&method.kind)?);
            observer.step(&method.label, total);
            Ok((scores, profile(&curve, most)))
        };
        methods.iter().map(run).collect()
    };
    let trials: Vec<_> = seeds.par_iter().map(trial).collect::<Result<_, _>>()?;
    let line = |(at, method): (usize, &Method)| Line {
        label: method.label.clone(),
        family: method.family,
        trials: trials.iter().map(|trial| trial[at].0).collect(),
        profiles: trials.iter().map(|trial| trial[at].1.clone()).collect(),
    };
    Ok(Comparison {
        stream: stream.into(),
        protocol: *protocol,
        seeds: seeds.to_vec(),
        sizes: sizes(table, protocol, seeds)?,
        lines: methods.iter().enumerate().map(line).collect(),
    })
}

/// Those of the first trial; all have the same, but for test prompts without a model.
fn sizes(table: &Table, protocol: &Protocol, seeds: &[Seed]) -> Result<Sizes, LabError> {
    let trial = Trial::new(table, protocol, seeds.first().copied().unwrap_or_default())?;
    let cut = trial.cut();
    Ok(Sizes {
        seen: cut.seen.len(),
        unseen: cut.unseen.len(),
        training: cut.training.len(),
        validation: cut.validation.len(),
        test: trial.n_prompts(),
        gaps: table.quality().iter().any(|score| score.is_nan()),
    })
}

fn profile(curve: &DeferralCurve, most: f64) -> Vec<f64> {
    let step = most / (PROFILE - 1) as f64;
    (0..PROFILE).map(|at| curve.quality_at(at as f64 * step)).collect()
}

#[cfg(test)]
#[path = "comparison/tests.rs"]
mod tests;
