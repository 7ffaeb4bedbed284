//! Meters measure options, rows limit meters.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What is measured about an option, "query `j` to model `i`".
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Meter {
    /// The score of the answer, in `[0, 1]`.
    Quality,
    /// What the answer costs, in USD.
    Cost,
    /// Tokens read and written.
    Tokens,
    /// The constant one: counts queries.
    One,
    /// How long until the answer is complete, in seconds.
    Latency,
}

impl Meter {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Quality, Self::Cost, Self::Tokens, Self::One, Self::Latency];
    /// Those that are read from a table.
    pub const TABLED: [Self; 4] = [Self::Quality, Self::Cost, Self::Tokens, Self::Latency];
    /// How many meters there are.
    pub(crate) const COUNT: usize = Self::ALL.len();

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Quality => 0,
            Self::Cost => 1,
            Self::Tokens => 2,
            Self::One => 3,
            Self::Latency => 4,
        }
    }
}

/// Which models a row covers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ModelMask {
    /// Every model.
    All,
    /// The model with this index.
    One(usize),
    /// The models whose entry is true; shape `(n_models,)`.
    Some(Arc<[bool]>),
}

impl ModelMask {
    /// Whether the model with this index is covered.
    pub fn covers(&self, model: usize) -> bool {
        match self {
            Self::All => true,
            Self::One(only) => *only == model,
            Self::Some(mask) => mask.get(model).copied().unwrap_or(false),
        }
    }
}

/// Which options a row covers: some models, for some queries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scope {
    /// The models covered.
    pub models: ModelMask,
    /// The query group covered (a tenant, a window), or all of them.
    pub group: Option<u32>,
}

impl Scope {
    /// Every option.
    pub fn all() -> Self {
        Self { models: ModelMask::All, group: None }
    }

    /// Every option of one model.
    pub fn model(index: usize) -> Self {
        Self { models: ModelMask::One(index), group: None }
    }

    /// Every option of one query group.
    pub fn group(group: u32) -> Self {
        Self { models: ModelMask::All, group: Some(group) }
    }

    /// Whether the scope covers a query of `group` sent to `model`.
    pub fn covers(&self, group: u32, model: usize) -> bool {
        self.group.is_none_or(|only| only == group) && self.models.covers(model)
    }
}

/// On which side of its capacity a row must stay.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sense {
    /// `sum <= capacity`.
    AtMost,
    /// `sum >= capacity`.
    AtLeast,
}

impl Sense {
    /// The sign `s_r` of equation (2): `+1` for `<=`, `-1` for `>=`.
    pub fn sign(self) -> f64 {
        match self {
            Self::AtMost => 1.0,
            Self::AtLeast => -1.0,
        }
    }
}

/// One constraint: a meter, summed over a scope, against a capacity.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What is summed.
    pub meter: Meter,
    /// Over which options.
    pub scope: Scope,
    /// On which side of the capacity the sum must stay.
    pub sense: Sense,
    /// The capacity `b_r`, in the unit of the meter; finite.
    pub capacity: f64,
    /// A *soft* row may be violated at this much objective per unit, which caps
    /// its price; `None` is a hard row.
    pub penalty: Option<f64>,
}

impl Row {
    /// A hard `<=` row.
    pub fn at_most(meter: Meter, scope: Scope, capacity: f64) -> Self {
        Self { meter, scope, sense: Sense::AtMost, capacity, penalty: None }
    }

    /// A hard `>=` row.
    pub fn at_least(meter: Meter, scope: Scope, capacity: f64) -> Self {
        Self { sense: Sense::AtLeast, ..Self::at_most(meter, scope, capacity) }
    }

    /// The same row, violable at `penalty` objective per unit.
    #[must_use]
    pub fn soft(mut self, penalty: f64) -> Self {
        self.penalty = Some(penalty);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_what_it_says() {
        let tenant = Scope { models: ModelMask::Some([true, false].into()), group: Some(3) };
        assert!(tenant.covers(3, 0));
        assert!(!tenant.covers(3, 1), "masked model");
        assert!(!tenant.covers(2, 0), "other group");
        assert!(!tenant.covers(3, 2), "beyond the mask");
        assert!(Scope::all().covers(9, 9));
        assert!(Scope::model(1).covers(0, 1) && !Scope::model(1).covers(0, 0));
    }
}
