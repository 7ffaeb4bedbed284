//! Replays every policy on every case, and says how sure the means are.

use std::fmt;

use rayon::prelude::*;
use serde::Serialize;
use tollgate::core::Seed;
use tollgate::presets;

use super::{Bounds, Instance, Line, Ratios};
use crate::{Interval, LabError, Observer, mean_interval};

/// How an instance, with what hindsight allows on it, is made from a seed.
pub type Make = Box<dyn Fn(Seed) -> Result<(Instance, Bounds), LabError> + Send + Sync>;

/// One column of a table: instances that differ by their seed, and who is measured on them.
pub struct Case {
    /// The table.
    pub part: &'static str,
    /// The column.
    pub case: String,
    /// What is swept; 0 in a table that sweeps nothing.
    pub x: f64,
    /// Who.
    pub lines: Vec<Line>,
    /// One run a seed.
    pub seeds: Vec<Seed>,
    /// The runs.
    pub make: Make,
    /// The run that the same policy is compared with, seed by seed, where there is one.
    pub reference: Option<Make>,
}

/// One policy in one case: means over the seeds, `None` where a ratio has no denominator.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The table.
    pub part: &'static str,
    /// The column.
    pub case: String,
    /// What is swept.
    pub x: f64,
    /// The policy.
    pub policy: String,
    /// The smallest `k = min_i B_i / max_j g_ij` of the runs.
    pub k: f64,
    /// Against the program on the estimates, where answers are as estimated.
    pub online: Option<Interval>,
    /// Against the approximate optimum, in the order in which the queries were drawn.
    pub rp: Option<Interval>,
    /// Against the program on the truth.
    pub truth: Option<Interval>,
    /// Against the same policy on the reference run.
    pub relative: Option<Interval>,
    /// Performance.
    pub performance: Option<Interval>,
    /// Why there is nothing to show: a policy that could not start or go on.
    pub failed: Option<String>,
}

/// One policy on one run.
#[derive(Clone, Debug)]
struct Run {
    /// `Err` for a policy that could not start or go on.
    ratios: Result<Ratios, String>,
    relative: Option<f64>,
}

/// What a policy can't do is a cell of the table; a broken promise is an error.
fn excused<T>(result: Result<T, LabError>) -> Result<Result<T, String>, LabError> {
    match result {
        Err(error @ (LabError::Policy(_) | LabError::Solve(_))) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
        Ok(value) => Ok(Ok(value)),
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, case, x, lines, seeds, make: _, reference: _ } = self;
        let mut shown = f.debug_struct("Case");
        shown.field("part", part).field("case", case).field("x", x);
        shown.field("lines", lines).field("seeds", seeds).finish_non_exhaustive()
    }
}

/// Measures every case; runs in parallel, with results that do not depend on the number
/// of threads.
///
/// # Errors
/// [`LabError`] of the first run that fails: infeasible runs and broken bounds among them.
pub fn measure(cases: &[Case], observer: &dyn Observer) -> Result<Vec<Row>, LabError> {
    let jobs: Vec<(&Case, Seed)> =
        cases.iter().flat_map(|case| case.seeds.iter().map(move |&seed| (case, seed))).collect();
    let total = jobs.len();
    let results: Vec<(f64, Vec<Run>)> = jobs
        .into_par_iter()
        .map(|(case, seed)| {
            let runs = case.run(seed)?;
            observer.step(&format!("{}, {}, seed {}", case.part, case.case, seed.0), total);
            Ok(runs)
        })
        .collect::<Result<_, LabError>>()?;
    let mut rows = Vec::new();
    let mut rest = results.as_slice();
    for case in cases {
        let (here, after) = rest.split_at(case.seeds.len());
        rows.extend(case.rows(here));
        rest = after;
    }
    Ok(rows)
}

impl Case {
    /// All policies on the run of one seed, and its `k`.
    fn run(&self, seed: Seed) -> Result<(f64, Vec<Run>), LabError> {
        let (instance, bounds) = (self.make)(seed)?;
        let reference = self.reference.as_ref().map(|make| make(seed)).transpose()?;
        let run = |line: &Line| {
            let policy = line.composition.policy.as_ref();
            let ratios = excused(instance.ratios(policy, &bounds, seed))?;
            let known = match &reference {
                None => None,
                Some((known, _)) => excused(known.replay(policy, seed))?.ok(),
            };
            let relative = known
                .zip(ratios.as_ref().ok())
                .map(|(known, ratios)| ratios.metrics.performance / known.metrics.performance);
            Ok(Run { ratios, relative })
        };
        let runs = self.lines.iter().map(run).collect::<Result<_, LabError>>()?;
        Ok((instance.k(), runs))
    }

    fn rows(&self, runs: &[(f64, Vec<Run>)]) -> Vec<Row> {
        let k = runs.iter().map(|(k, _)| *k).fold(f64::INFINITY, f64::min);
        let row = |(index, line): (usize, &Line)| {
            let mean = |reading: &dyn Fn(&Run) -> Option<f64>| {
                let values: Option<Vec<f64>> =
                    runs.iter().map(|(_, runs)| reading(&runs[index])).collect();
                // A ratio to nothing is no ratio.
                values
                    .filter(|values| values.iter().all(|value| value.is_finite()))
                    .and_then(|values| mean_interval(&values))
            };
            Row {
                part: self.part,
                case: self.case.clone(),
                x: self.x,
                policy: line.label.to_owned(),
                k,
                online: mean(&|run| Some(run.ratios.as_ref().ok()?.online)),
                rp: mean(&|run| Some(run.ratios.as_ref().ok()?.rp)),
                truth: mean(&|run| Some(run.ratios.as_ref().ok()?.truth)),
                relative: mean(&|run| run.relative),
                performance: mean(&|run| Some(run.ratios.as_ref().ok()?.metrics.performance)),
                failed: runs.iter().find_map(|(_, runs)| runs[index].ratios.clone().err()),
            }
        };
        self.lines.iter().enumerate().map(row).collect()
    }
}

/// A case whose runs are random orders of one multiset.
///
/// # Errors
/// [`LabError`] where its programs can't be solved.
pub fn shuffles(
    part: &'static str,
    (case, x): (String, f64),
    instance: Instance,
    lines: Vec<Line>,
    seeds: &[Seed],
) -> Result<Case, LabError> {
    let bounds = instance.bounds(presets::default_solver().as_ref())?;
    let make: Make = Box::new(move |seed| Ok((instance.shuffled(seed), bounds)));
    Ok(Case { part, case, x, lines, seeds: seeds.to_vec(), make, reference: None })
}

/// Runs that are drawn anew for each seed and then put in order; hindsight is that of the
/// order drawn.
pub(super) fn draws(
    draw: impl Fn(Seed) -> Instance + Send + Sync + 'static,
    arrange: impl Fn(Instance, Seed) -> Result<Instance, LabError> + Send + Sync + 'static,
) -> Make {
    Box::new(move |seed| {
        let instance = draw(seed);
        let bounds = instance.bounds(presets::default_solver().as_ref())?;
        Ok((arrange(instance, seed)?, bounds))
    })
}
