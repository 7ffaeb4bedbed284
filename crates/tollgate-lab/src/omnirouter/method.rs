//! Who keeps a floor how.

use tollgate::Spec;
use tollgate::core::{Assignment, Coefficients, Meter, Problem, SolveOptions};
use tollgate::policies::{FloorConfig, FloorStatus, Margin};
use tollgate::presets;

use super::{Outcome, Window};
use crate::{LabError, replay};

/// A way to keep a floor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Prices that follow what is achieved; the score of this share of the answers is told.
    Steered(f64),
    /// The window planned at once, with the margin.
    Planned(Margin),
    /// The published multiplier loop: its last multipliers decide.
    PublishedLoop,
    /// The cheapest model that is expected to score the floor on the very query, or the one
    /// expected to score the most: the public code's rule.
    PerQuery,
}

impl Method {
    /// Those of the tables.
    pub const ALL: [Self; 8] = [
        Self::Steered(1.0),
        Self::Steered(0.1),
        Self::Steered(0.0),
        Self::Planned(Margin::Normal),
        Self::Planned(Margin::Bootstrap),
        Self::Planned(Margin::None),
        Self::PublishedLoop,
        Self::PerQuery,
    ];

    /// Its name in tables.
    pub fn label(self) -> String {
        match self {
            Self::Steered(share) if share <= 0.0 => "floor, no scores told".to_owned(),
            Self::Steered(share) => format!("floor, {} % of scores told", 100.0 * share),
            Self::Planned(Margin::None) => "floor-batch without margin".to_owned(),
            Self::Planned(Margin::Normal) => "floor-batch".to_owned(),
            Self::Planned(Margin::Bootstrap) => "floor-batch, bootstrap".to_owned(),
            Self::PublishedLoop => "published loop".to_owned(),
            Self::PerQuery => "per query".to_owned(),
        }
    }

    /// Serves a window with a floor.
    ///
    /// # Errors
    /// [`LabError`] where a policy can't start or a solve breaks down.
    pub fn run(self, window: &Window, floor: f64, confidence: f64) -> Result<Outcome, LabError> {
        let config = FloorConfig { floor: Some(floor), confidence, ..FloorConfig::default() };
        match self {
            Self::Steered(share) => {
                let policy = presets::floor(config, presets::default_solver())?;
                let stream = window.stream().clone().with_scored(share)?;
                let history = Some(window.held_out());
                let run = replay(&stream, &policy, window.expected(), history)?;
                Ok(Outcome::of(&run.metrics, window.n()))
            }
            Self::Planned(margin) => {
                let floor = FloorConfig { margin, ..config }.build()?;
                let solver = presets::default_solver();
                let (expected, capacities) = (window.expected(), window.capacities());
                let plan = floor.plan(expected, window.rehearsal(), capacities, &*solver)?;
                let kept = matches!(plan.status, FloorStatus::Met | FloorStatus::Unsettled);
                Ok(Outcome { warned: !kept, ..window.realize(&plan.assignment)? })
            }
            Self::PublishedLoop => window.realize(&published(window, floor)?),
            Self::PerQuery => window.realize(&per_query(window, floor)),
        }
    }
}

/// The published loop on problem (1) of the floor's page, on estimates as they are.
fn published(window: &Window, floor: f64) -> Result<Assignment, LabError> {
    let expected = window.expected();
    let problem = window.floored(expected.quality(), expected.cost(), floor)?;
    let solver = tollgate::registry::solver(&Spec::named("lagrangian-published"))?;
    let solution = solver.solve(&problem, &SolveOptions::default(), None)?;
    Ok(argmax(&problem, &problem.coefficients(&solution.prices)))
}

/// Equation (25) of the paper: each query where value less price is highest.
fn argmax(problem: &Problem, coefficients: &Coefficients) -> Assignment {
    let column = |meter| coefficients.of(0, meter);
    let columns = [Meter::Quality, Meter::Cost, Meter::One].map(|meter| (meter, column(meter)));
    let score = |query: usize, model: usize| -> f64 {
        let term = |(meter, column): &(Meter, tollgate::core::Column<'_>)| {
            column.get(model) * problem.reading(*meter, query, model)
        };
        columns.iter().map(term).sum()
    };
    let best = |query: usize| {
        let models = 0..problem.n_models();
        let mut best = (0, f64::NEG_INFINITY);
        for model in models {
            let score = score(query, model);
            if score > best.1 {
                best = (model, score);
            }
        }
        u32::try_from(best.0).ok()
    };
    (0..problem.n_queries()).map(best).collect()
}

/// The public code's rule with `floor` as what is required of every query.
pub(super) fn per_query(window: &Window, floor: f64) -> Assignment {
    let expected = window.expected();
    let pick = |query: usize| {
        let row = expected.row(query);
        let models = || 0..expected.n_models();
        let enough = models().filter(|&model| row.quality[model] >= floor);
        let cheapest = enough.min_by(|&a, &b| row.cost[a].total_cmp(&row.cost[b]));
        let best = || models().min_by(|&a, &b| row.quality[b].total_cmp(&row.quality[a]));
        u32::try_from(cheapest.or_else(best)?).ok()
    };
    (0..expected.n_queries()).map(pick).collect()
}
