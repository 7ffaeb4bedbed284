//! Methods and rivals over many windows.

use rayon::prelude::*;
use serde::Serialize;
use statrs::distribution::{Beta, ContinuousCDF};
use tollgate::core::Seed;
use tollgate::data::Table;
use tollgate::{presets, registry};

use super::{Method, Outcome, Protocol, Rival, Top, Window};
use crate::{Interval, LabError, Observer, PairedTest, mean_interval, paired_test};

/// What every method came to at every floor, and every rival at equal quality.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The table's name.
    pub stream: String,
    /// How it was cut.
    pub protocol: Protocol,
    /// Queries of a window.
    pub n: usize,
    /// One for each floor and method.
    pub lines: Vec<Line>,
    /// One for each floor and rival; empty under capacities.
    pub versus: Vec<Versus>,
}

/// One method at one floor; every list has one entry a window.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The method's name.
    pub method: String,
    /// The floor, as a share of the way from the cheapest to the best.
    pub reach: f64,
    /// The floors.
    pub floors: Vec<f64>,
    /// What the method came to.
    pub outcomes: Vec<Outcome>,
    /// The mean cost of the hindsight rule, where it can meet the floor.
    pub hindsight: Vec<Option<f64>>,
    /// The mean cost below which nobody can meet it, who knows all scores.
    pub least: Vec<Option<f64>>,
}

/// A share of windows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The share.
    pub share: f64,
    /// The lower end of its exact 95 % confidence, one-sided (Clopper and Pearson, 1934).
    pub low: f64,
    /// The upper end, one-sided as well.
    pub high: f64,
}

impl Share {
    /// So many of so many.
    ///
    /// # Panics
    /// When more are met than there are.
    pub fn of(met: usize, n: usize) -> Self {
        let share = met as f64 / n.max(1) as f64;
        let missed = n - met;
        let end = |met: usize, missed: usize, tail: f64| {
            let beta = Beta::new(met as f64, missed as f64).expect("two numbers above 0");
            beta.inverse_cdf(tail)
        };
        let low = if met == 0 { 0.0 } else { end(met, missed + 1, 0.05) };
        let high = if missed == 0 { 1.0 } else { end(met + 1, missed, 0.95) };
        Self { share, low, high }
    }
}

impl Line {
    /// In how many windows the floor was met.
    pub fn met(&self) -> Share {
        let pairs = self.outcomes.iter().zip(&self.floors);
        let met = pairs.filter(|(outcome, floor)| outcome.quality >= **floor).count();
        Share::of(met, self.outcomes.len())
    }

    /// In how many windows the hindsight rule can meet it.
    pub fn possible(&self) -> Share {
        let possible = self.hindsight.iter().flatten().count();
        Share::of(possible, self.hindsight.len())
    }

    /// The cost of all windows in which the hindsight rule can meet the floor, over what it
    /// costs there; `None` where there is no such window.
    pub fn over_hindsight(&self) -> Option<f64> {
        let pairs = self.outcomes.iter().zip(&self.hindsight);
        let (ours, theirs) = pairs.fold((0.0, 0.0), |(ours, theirs), (outcome, hindsight)| {
            hindsight.map_or((ours, theirs), |cost| (ours + outcome.cost, theirs + cost))
        });
        (theirs > 0.0).then(|| ours / theirs)
    }

    /// The mean of something over the windows.
    pub fn mean(&self, of: impl Fn(&Outcome) -> f64) -> Option<Interval> {
        mean_interval(&self.outcomes.iter().map(of).collect::<Vec<_>>())
    }
}

/// The hindsight rule against a rival, both at a quality that both reach; every list has one
/// entry for each window in which they do.
#[derive(Clone, Debug, Serialize)]
pub struct Versus {
    /// The rival's name.
    pub rival: &'static str,
    /// The floor, as a share of the way; `None` where the rival has no knob, and both are at
    /// its quality.
    pub reach: Option<f64>,
    /// Mean costs in USD: ours.
    pub ours: Vec<f64>,
    /// The rival's.
    pub theirs: Vec<f64>,
    /// By how much our mean score is higher at the rival's cost.
    pub gains: Vec<f64>,
}

impl Versus {
    /// By what share we are cheaper, all windows together.
    pub fn saving(&self) -> Option<f64> {
        let theirs: f64 = self.theirs.iter().sum();
        (theirs > 0.0).then(|| 1.0 - self.ours.iter().sum::<f64>() / theirs)
    }

    /// The paired difference in cost, theirs less ours.
    pub fn test(&self) -> Option<PairedTest> {
        paired_test(&self.theirs, &self.ours)
    }

    /// The mean gain in score at equal cost.
    pub fn gain(&self) -> Option<Interval> {
        mean_interval(&self.gains)
    }
}

/// What one window came to, in the order of floors and methods, and of floors and rivals.
struct Cut {
    n: usize,
    lines: Vec<(f64, Outcome, Option<f64>, Option<f64>)>,
    versus: Vec<Option<[f64; 3]>>,
}

/// Runs every method in one window a seed, windows in parallel. The result does not depend on
/// the number of threads.
///
/// # Errors
/// [`LabError`] of the first window that fails.
pub fn compare(
    stream: impl Into<String>,
    table: &Table,
    protocol: &Protocol,
    methods: &[Method],
    observer: &dyn Observer,
) -> Result<Comparison, LabError> {
    let total = protocol.seeds.len();
    let cut = |&seed: &Seed| {
        let cut = cut(table, protocol, methods, seed);
        observer.step("window", total);
        cut
    };
    let cuts: Vec<Cut> = protocol.seeds.par_iter().map(cut).collect::<Result<_, _>>()?;
    let reaches = protocol.reaches.iter();
    let cells = reaches.flat_map(|&reach| methods.iter().map(move |&method| (reach, method)));
    let line = |(at, (reach, method)): (usize, (f64, Method))| Line {
        method: method.label(),
        reach,
        floors: cuts.iter().map(|cut| cut.lines[at].0).collect(),
        outcomes: cuts.iter().map(|cut| cut.lines[at].1).collect(),
        hindsight: cuts.iter().map(|cut| cut.lines[at].2).collect(),
        least: cuts.iter().map(|cut| cut.lines[at].3).collect(),
    };
    let versus = |(at, (reach, rival)): (usize, (Option<f64>, Rival))| {
        let met = || cuts.iter().filter_map(|cut| cut.versus[at]);
        Versus {
            rival: rival.label(),
            reach,
            ours: met().map(|[ours, ..]| ours).collect(),
            theirs: met().map(|[_, theirs, _]| theirs).collect(),
            gains: met().map(|[.., gain]| gain).collect(),
        }
    };
    let limited = !matches!(protocol.capacity, super::Capacity::Unlimited);
    let rivals = if limited { Vec::new() } else { duels(protocol) };
    Ok(Comparison {
        stream: stream.into(),
        protocol: protocol.clone(),
        n: cuts.first().map_or(0, |cut| cut.n),
        lines: cells.enumerate().map(line).collect(),
        versus: rivals.into_iter().enumerate().map(versus).collect(),
    })
}

/// Every rival with a knob at every floor, then those without.
fn duels(protocol: &Protocol) -> Vec<(Option<f64>, Rival)> {
    let knobs = || Rival::ALL.into_iter().filter(|rival| rival.has_knob());
    let at = |&reach: &f64| knobs().map(move |rival| (Some(reach), rival));
    let without = Rival::ALL.into_iter().filter(|rival| !rival.has_knob());
    protocol.reaches.iter().flat_map(at).chain(without.map(|rival| (None, rival))).collect()
}

fn cut(
    table: &Table,
    protocol: &Protocol,
    methods: &[Method],
    seed: Seed,
) -> Result<Cut, LabError> {
    let recipe = registry::estimator_with(&protocol.predictor.parse()?, protocol.prices.as_ref())?;
    let solver = presets::default_solver();
    let window = Window::new(table, recipe.as_ref(), protocol.capacity, seed, &*solver)?;
    let window = match protocol.top {
        Top::Best => window,
        Top::Promised => window.promising(protocol.confidence)?,
    };
    let mut lines = Vec::new();
    for &reach in &protocol.reaches {
        let floor = window.floor(reach);
        let hindsight = window.hindsight(floor, &*solver)?;
        let least = window.least_cost(floor, &*solver)?;
        for method in methods {
            let outcome = method.run(&window, floor, protocol.confidence)?;
            lines.push((floor, outcome, hindsight, least));
        }
    }
    let versus = match protocol.capacity {
        super::Capacity::Unlimited => duel(&window, protocol),
        super::Capacity::Equal(_) => Vec::new(),
    };
    Ok(Cut { n: window.n(), lines, versus })
}

/// Costs at equal quality, ours and theirs, and our gain at equal cost.
fn duel(window: &Window, protocol: &Protocol) -> Vec<Option<[f64; 3]>> {
    let ours = window.curve();
    let curves = Rival::ALL.map(|rival| (rival, rival.curve(window)));
    let theirs = |rival: Rival| {
        let found = curves.iter().find(|(of, _)| *of == rival);
        &found.expect("all of them are there").1
    };
    let at = |(reach, rival): (Option<f64>, Rival)| {
        let theirs = theirs(rival);
        let quality = reach.map_or_else(|| theirs.peak(), |reach| window.floor(reach));
        let (cost, rival_cost) = (ours.cost_of(quality)?, theirs.cost_of(quality)?);
        Some([cost, rival_cost, ours.quality_at(rival_cost) - quality])
    };
    duels(protocol).into_iter().map(at).collect()
}
