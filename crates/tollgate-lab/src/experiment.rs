//! Policies against each other, on the same streams, seed by seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;
use thiserror::Error;
use tollgate::core::{
    EstimateError, EstimateTable, Fit, FitError, HistoryError, LedgerError, ModelId, MoneyError,
    ParamError, PolicyError, PoolError, ProblemError, Seed, SolveError, Status,
};
use tollgate::data::{DataError, Table};
use tollgate::presets;
use tollgate::registry::Composition;

use crate::replay::micros;
use crate::scenario::narrow;
use crate::{Metrics, Options, Oracle, Replay, Scenario, Timings, replay};

/// Something that can go wrong with an experiment.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LabError {
    /// A table that can't be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A history that can't be used.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A parameter out of range.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// An estimator that can't be fitted.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// A query that an estimator refuses.
    #[error(transparent)]
    Estimate(#[from] EstimateError),
    /// A model that can't join a pool or leave it.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// A recipe whose estimator takes its models from the history alone.
    #[error("`{recipe}` takes its models from its history: none can be added")]
    NoPool {
        /// The recipe.
        recipe: String,
    },
    /// A policy that can't start or go on.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Budgets out of range.
    #[error(transparent)]
    Budget(#[from] ProblemError),
    /// A budget beyond an account.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A cost that is not an amount of money.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// A solve that broke down.
    #[error(transparent)]
    Solve(#[from] SolveError),
    /// Parts of a stream that do not fit each other.
    #[error("{expected} {what} expected, got {got}")]
    Shape {
        /// Of what there are too many or too few.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// A time that runs backwards.
    #[error("arrival {arrival} comes at {got} s, after one at {last} s")]
    Time {
        /// The arrival.
        arrival: usize,
        /// Its time.
        got: f64,
        /// The latest time before it.
        last: f64,
    },
    /// An option out of range.
    #[error("`{name}` must be {rule}, got {got}")]
    Option {
        /// The option.
        name: &'static str,
        /// Its range.
        rule: &'static str,
        /// The value.
        got: f64,
    },
    /// Options that exclude each other.
    #[error("{why}")]
    Conflict {
        /// Which, and why.
        why: &'static str,
    },
    /// A seed that the splits file does not have.
    #[error("the splits file has no seed {seed}")]
    NoSplit {
        /// The seed.
        seed: u64,
    },
    /// A budget that was not kept, by sums that the ledger has no part in.
    #[error("{spent} USD spent on model `{model}`, of a budget of {budget}")]
    Overspent {
        /// Whose budget.
        model: ModelId,
        /// In USD.
        spent: f64,
        /// In USD.
        budget: f64,
    },
    /// A run that is worth more than its dual bound allows.
    #[error("a run is worth {value}, above its dual bound of {bound}")]
    AboveBound {
        /// What it is worth.
        value: f64,
        /// The bound.
        bound: f64,
    },
    /// A policy that the registry does not have, or not with these parameters.
    #[error(transparent)]
    Spec(#[from] tollgate::SpecError),
    /// A fit that has too few points, or points without a logarithm.
    #[error("no slope through {points} points")]
    Slope {
        /// How many there are.
        points: usize,
    },
    /// An oracle that did not finish.
    #[error("{oracle} ended as: {status}")]
    Oracle {
        /// Which.
        oracle: &'static str,
        /// How.
        status: Status,
    },
}

/// A table, options, and the policies to compare.
#[derive(Debug)]
pub struct Experiment {
    table: Table,
    name: String,
    options: Options,
    compositions: Vec<Composition>,
}

/// Who stands in one line of the report.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Entrant {
    /// The policy's name as it was asked for, or the oracle's.
    pub policy: String,
    /// The estimator's name; `-` where none is looked at.
    pub estimator: String,
    /// The solver's name; `-` where nothing is solved.
    pub solver: String,
    /// Whether it sees the future.
    pub oracle: bool,
}

/// One entrant on one seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// The seed.
    pub seed: Seed,
    /// Arrivals.
    pub queries: usize,
    /// What it came to.
    pub metrics: Metrics,
    /// Per cent of the approximate optimum's Performance; `None` where that is 0.
    pub rp: Option<f64>,
    /// The value of the linear program on the truth: no Performance is above it.
    pub lp_bound: f64,
    /// Where the time went; zero for oracles.
    #[serde(skip)]
    pub timings: Timings,
}

/// Everything an experiment measured: for each entrant one cell a seed.
#[derive(Debug)]
pub struct Report {
    /// The stream's name.
    pub stream: String,
    /// The options it ran under.
    pub options: Options,
    /// In the order of tables: policies as asked for, then the oracles.
    pub entrants: Vec<(Entrant, Vec<Cell>)>,
    /// What estimators picked for themselves, by name and then in the order of the seeds.
    pub choices: Vec<Choice>,
}

/// What an estimator picked for itself on the history of one seed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Choice {
    /// The estimator's name.
    pub estimator: String,
    /// The seed.
    pub seed: Seed,
    /// What, and why: its [`Estimator::choice`](tollgate::core::Estimator::choice).
    pub picked: String,
}

/// Is told how far an experiment is.
pub trait Observer: Sync {
    /// One of `total` steps is done.
    fn step(&self, done: &str, total: usize);
}

/// Looks away.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Observer for Silent {
    fn step(&self, _done: &str, _total: usize) {}
}

const ORACLES: [Oracle; 2] = [Oracle::ApproximateOptimum, Oracle::Optimum];

impl Experiment {
    /// Narrows the table to the options' task and models; `stream` is its name in reports.
    ///
    /// # Errors
    /// [`LabError`] for unknown names, or options that exclude each other.
    pub fn new(
        stream: impl Into<String>,
        table: &Table,
        options: Options,
        compositions: Vec<Composition>,
    ) -> Result<Self, LabError> {
        if options.splits.is_some() && options.subset.task.is_some() {
            let why =
                "a splits file names rows of the whole table, and can't be combined with a task";
            return Err(LabError::Conflict { why });
        }
        let table = narrow(table, &options.subset)?;
        Ok(Self { table, name: stream.into(), options, compositions })
    }

    /// Runs every entrant on every seed, seeds in parallel. The report does not depend
    /// on the number of threads.
    ///
    /// # Errors
    /// [`LabError`] of the first seed that fails.
    pub fn run(&self, observer: &dyn Observer) -> Result<Report, LabError> {
        let total = self.options.seeds.len() * (self.compositions.len() + 1);
        let by_seed: Vec<(Vec<Cell>, Vec<Choice>)> = self
            .options
            .seeds
            .par_iter()
            .map(|&seed| self.run_seed(seed, &|done| observer.step(done, total)))
            .collect::<Result<_, _>>()?;
        let (by_seed, choices): (Vec<Vec<Cell>>, Vec<_>) = by_seed.into_iter().unzip();
        let entrants = self.entrants().into_iter().enumerate();
        let entrants = entrants
            .map(|(index, entrant)| (entrant, by_seed.iter().map(|cells| cells[index]).collect()))
            .collect();
        let mut choices = choices.concat();
        // Stable: of one estimator the seeds stay in their order.
        choices.sort_by(|a, b| a.estimator.cmp(&b.estimator));
        Ok(Report { stream: self.name.clone(), options: self.options.clone(), entrants, choices })
    }

    fn entrants(&self) -> Vec<Entrant> {
        let dash = || "-".to_owned();
        let policies = self.compositions.iter().map(|composition| Entrant {
            policy: composition.label.clone(),
            estimator: composition.estimator.as_ref().map_or_else(dash, |recipe| recipe.name()),
            solver: composition.solver.clone().unwrap_or_else(dash),
            oracle: false,
        });
        let solver = presets::default_solver();
        let oracles = ORACLES.iter().map(|oracle| Entrant {
            policy: oracle.name().to_owned(),
            estimator: match oracle {
                Oracle::ApproximateOptimum => "knn(k=5)".to_owned(),
                Oracle::Optimum => "truth".to_owned(),
            },
            solver: solver.name().to_owned(),
            oracle: true,
        });
        policies.chain(oracles).collect()
    }

    /// One cell an entrant, in the order of [`entrants`](Self::entrants), and what
    /// estimators picked.
    fn run_seed(
        &self,
        seed: Seed,
        done: &dyn Fn(&str),
    ) -> Result<(Vec<Cell>, Vec<Choice>), LabError> {
        let scenario = Scenario::prepare(&self.table, &self.options, seed)?;
        let solver = presets::default_solver();
        let oracles = ORACLES
            .iter()
            .map(|oracle| oracle.run(scenario.stream(), scenario.knn5(), solver.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        done("oracles");
        let approximate = oracles[0].metrics.performance;
        let lp_bound = oracles[1].lp_bound;
        let cell = |metrics: Metrics, timings: Timings| Cell {
            seed,
            queries: scenario.len(),
            metrics,
            rp: (approximate > 0.0).then(|| 100.0 * metrics.performance / approximate),
            lp_bound,
            timings,
        };
        let mut estimates = Estimated::default();
        let mut cells = Vec::new();
        for composition in &self.compositions {
            let run = estimates.replay(&scenario, composition)?;
            cells.push(cell(run.metrics, run.timings));
            done(&composition.label);
        }
        cells.extend(oracles.iter().map(|oracle| cell(oracle.metrics, Timings::default())));
        Ok((cells, estimates.choices(seed)))
    }
}

/// The estimates of one scenario by recipe, made once and shared between policies.
#[derive(Debug, Default)]
pub(crate) struct Estimated(BTreeMap<String, ByRecipe>);

#[derive(Clone, Debug)]
struct ByRecipe {
    stream: Arc<EstimateTable>,
    /// Held-out estimates of the history, once some policy has asked for them.
    history: Option<Arc<EstimateTable>>,
    /// What the estimator picked for itself.
    choice: Option<String>,
    micros: f64,
}

impl Estimated {
    /// Makes what a composition will ask for.
    pub(crate) fn prepare(
        &mut self,
        scenario: &Scenario,
        composition: &Composition,
    ) -> Result<(), LabError> {
        let Some(recipe) = &composition.estimator else { return Ok(()) };
        self.of(scenario, recipe.as_ref(), composition.policy.needs_history()).map(drop)
    }

    /// Estimates of the stream, and held-out ones of the history, as a composition wants them.
    ///
    /// # Panics
    /// When they have not been [`prepare`](Self::prepare)d.
    pub(crate) fn tables<'a>(
        &'a self,
        scenario: &'a Scenario,
        composition: &Composition,
    ) -> (&'a EstimateTable, Option<&'a EstimateTable>) {
        let Some(recipe) = &composition.estimator else { return (scenario.knn5(), None) };
        let made = self.0.get(&recipe.name()).expect("it has been prepared");
        let history = made.history.as_deref().filter(|_| composition.policy.needs_history());
        (&made.stream, history)
    }

    fn replay(
        &mut self,
        scenario: &Scenario,
        composition: &Composition,
    ) -> Result<Replay, LabError> {
        let policy = composition.policy.as_ref();
        let Some(recipe) = &composition.estimator else {
            return replay(scenario.stream(), policy, scenario.knn5(), None);
        };
        let estimates = self.of(scenario, recipe.as_ref(), policy.needs_history())?;
        let stream = scenario.stream();
        let mut run = replay(stream, policy, &estimates.stream, estimates.history.as_deref())?;
        run.timings.estimate_us = estimates.micros;
        Ok(run)
    }

    fn of(
        &mut self,
        scenario: &Scenario,
        recipe: &dyn Fit,
        needs_history: bool,
    ) -> Result<ByRecipe, LabError> {
        let name = recipe.name();
        if let Some(known) = self.0.get(&name)
            && (known.history.is_some() || !needs_history)
        {
            return Ok(known.clone());
        }
        let start = Instant::now();
        let (fitted, history) = if needs_history {
            let (fitted, history) = scenario.fit_and_hold_out(recipe)?;
            (fitted, Some(Arc::new(history)))
        } else {
            (scenario.fit(recipe)?, None)
        };
        let stream = Arc::new(scenario.estimate_with(fitted.as_ref())?);
        let micros = micros(start.elapsed());
        let choice = fitted.choice().map(str::to_owned);
        let made = ByRecipe { stream, history, choice, micros };
        self.0.insert(name, made.clone());
        Ok(made)
    }

    /// What was picked, by estimators that had something to pick.
    fn choices(self, seed: Seed) -> Vec<Choice> {
        let choice = |(estimator, made): (String, ByRecipe)| {
            Some(Choice { estimator, seed, picked: made.choice? })
        };
        self.0.into_iter().filter_map(choice).collect()
    }
}
