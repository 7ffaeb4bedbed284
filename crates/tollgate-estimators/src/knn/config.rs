//! The knobs of [`Knn`].

use std::fmt;

use serde::{Deserialize, Serialize};
use tollgate_core::ParamError;

use super::{Knn, Weighting};
use crate::index::IndexKind;

/// How strongly estimates are drawn toward the mean of all of a model's labels.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(from = "Written", into = "Written")]
pub enum Shrinkage {
    /// Not at all.
    #[default]
    None,
    /// As it predicts the history best, by leave-one-out: one strength for scores and one
    /// for costs.
    Auto,
    /// As if the mean were the label of so many neighbors more; finite and `>= 0`.
    Labels(f64),
}

impl Shrinkage {
    pub(super) fn is_none(self) -> bool {
        matches!(self, Self::None)
    }
}

impl fmt::Display for Shrinkage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Auto => f.write_str("auto"),
            Self::Labels(strength) => write!(f, "{strength}"),
        }
    }
}

/// A [`Shrinkage`] in configuration files.
#[derive(Deserialize, Serialize)]
#[serde(untagged, expecting = "`shrinkage` is `none`, `auto` or a number of labels")]
enum Written {
    Word(Word),
    Labels(f64),
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    None,
    Auto,
}

impl From<Written> for Shrinkage {
    fn from(written: Written) -> Self {
        match written {
            Written::Word(Word::None) => Self::None,
            Written::Word(Word::Auto) => Self::Auto,
            Written::Labels(strength) => Self::Labels(strength),
        }
    }
}

impl From<Shrinkage> for Written {
    fn from(shrinkage: Shrinkage) -> Self {
        match shrinkage {
            Shrinkage::None => Self::Word(Word::None),
            Shrinkage::Auto => Self::Word(Word::Auto),
            Shrinkage::Labels(strength) => Self::Labels(strength),
        }
    }
}

/// What is averaged to predict a cost. What is predicted is the expected cost in USD
/// either way.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostDomain {
    /// Costs.
    #[default]
    Usd,
    /// Their logarithms; costs where a model has been free.
    Log,
    /// The one that predicts the history better, by leave-one-out.
    Auto,
}

impl fmt::Display for CostDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usd => "usd",
            Self::Log => "log",
            Self::Auto => "auto",
        })
    }
}

/// Knobs of [`Knn`]. Unchecked until [`build`](Self::build). The default is what is
/// published: plain means of five exact neighbors.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct KnnConfig {
    /// Neighbors to average, `>= 1`. Default 5.
    pub k: usize,
    /// How they are weighted. Default [`Weighting::Uniform`].
    pub weighting: Weighting,
    /// What finds them. Default [`IndexKind::Scan`].
    pub index: IndexKind,
    /// How strongly the mean of all labels pulls. Default [`Shrinkage::None`].
    pub shrinkage: Shrinkage,
    /// What is averaged to predict a cost. Default [`CostDomain::Usd`].
    pub cost_domain: CostDomain,
}

impl Default for KnnConfig {
    fn default() -> Self {
        Self {
            k: 5,
            weighting: Weighting::Uniform,
            index: IndexKind::Scan,
            shrinkage: Shrinkage::None,
            cost_domain: CostDomain::Usd,
        }
    }
}

impl KnnConfig {
    /// Sets the number of neighbors.
    #[must_use]
    pub fn k(mut self, k: usize) -> Self {
        self.k = k;
        self
    }

    /// Sets how neighbors are weighted.
    #[must_use]
    pub fn weighting(mut self, weighting: Weighting) -> Self {
        self.weighting = weighting;
        self
    }

    /// Sets what finds the neighbors.
    #[must_use]
    pub fn index(mut self, index: IndexKind) -> Self {
        self.index = index;
        self
    }

    /// Sets how strongly the mean of all labels pulls.
    #[must_use]
    pub fn shrinkage(mut self, shrinkage: Shrinkage) -> Self {
        self.shrinkage = shrinkage;
        self
    }

    /// Sets what is averaged to predict a cost.
    #[must_use]
    pub fn cost_domain(mut self, cost_domain: CostDomain) -> Self {
        self.cost_domain = cost_domain;
        self
    }

    /// The recipe.
    ///
    /// # Errors
    /// [`ParamError`] when `k` is 0, or a strength is not finite and `>= 0`.
    pub fn build(self) -> Result<Knn, ParamError> {
        let Self { k, weighting, index, shrinkage, cost_domain } = self;
        if k == 0 {
            return Err(ParamError { field: "k", rule: ">= 1", got: 0.0 });
        }
        match shrinkage {
            Shrinkage::Labels(got) if !(got >= 0.0 && got.is_finite()) => {
                let rule = "`none`, `auto`, or finite and >= 0";
                Err(ParamError { field: "shrinkage", rule, got })
            }
            _ => Ok(Knn { k, weighting, index, shrinkage, cost_domain }),
        }
    }
}
