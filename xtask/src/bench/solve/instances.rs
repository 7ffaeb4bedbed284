//! The instances of the table, and the same ones with capacities a per cent away.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use tollgate::core::{Meter, Problem, Row, Scope, Seed};
use tollgate_testkit::instances::{nudged, repeated, routing, split_budgets};

/// The models and rows of an instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// So many models with a budget each.
    Split(usize),
    /// Eleven models, one budget.
    Pooled,
    /// Eleven models with a budget each, and sixty distinct queries.
    Ties,
}

impl FromStr for Shape {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "pooled" => Ok(Self::Pooled),
            "ties" => Ok(Self::Ties),
            models => match models.parse() {
                Ok(models) if models > 0 => Ok(Self::Split(models)),
                _ => bail!("`{text}` is neither a number of models nor `pooled` nor `ties`"),
            },
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Split(models) => write!(f, "{models} x {models}"),
            Self::Pooled => f.write_str("1 x 11"),
            Self::Ties => f.write_str("11 x 11, ties"),
        }
    }
}

/// A problem, and one to solve again.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) shape: Shape,
    pub(super) problem: Problem,
    /// Capacities one per cent larger and smaller in turn.
    pub(super) changed: Problem,
}

/// Distinct queries where there are ties.
const DISTINCT: usize = 60;

impl Instance {
    pub(super) fn new(shape: Shape, n_queries: usize, seed: u64) -> Result<Self> {
        let models = if let Shape::Split(models) = shape { models } else { 11 };
        let base = match shape {
            Shape::Ties => repeated(&routing(DISTINCT, models, Seed(seed)), n_queries),
            _ => routing(n_queries, models, Seed(seed)),
        };
        let mut rows = split_budgets(&base, 1.0);
        if shape == Shape::Pooled {
            let capacity = 2.0 * rows.iter().map(|row| row.capacity).sum::<f64>();
            rows = vec![Row::at_most(Meter::Cost, Scope::all(), capacity)];
        }
        let problem = base.with_rows(rows)?;
        let changed = nudged(&problem);
        Ok(Self { shape, problem, changed })
    }
}
