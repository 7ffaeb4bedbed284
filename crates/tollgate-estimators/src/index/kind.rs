//! Indexes by name.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tollgate_core::{FitError, History, Seed};

#[cfg(feature = "hora")]
use super::HoraConfig;
#[cfg(feature = "kd-tree")]
use super::KdTree;
use super::{ExactScan, HnswConfig, Index, LshConfig};

/// Which index finds the neighbors. A new index is a variant here, a name in
/// `IndexName`, and a line in each `match` below.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", try_from = "IndexName")]
pub enum IndexKind {
    /// [`ExactScan`].
    #[default]
    Scan,
    /// [`Hnsw`](super::Hnsw) with the default [`HnswConfig`], built from the seed of the fit.
    Hnsw,
    /// [`Lsh`](super::Lsh) with the default [`LshConfig`], built from the seed of the fit.
    Lsh,
    /// [`HoraIndex`](super::HoraIndex) with the default [`HoraConfig`]; not reproducible.
    #[cfg(feature = "hora")]
    Hora,
    /// [`KdTree`].
    #[cfg(feature = "kd-tree")]
    KdTree,
}

/// From how many rows on some tens of neighbors are worth a graph.
const GRAPH_ROWS: usize = 8_192;

impl IndexKind {
    /// The index for some tens of neighbors and more among `n_rows` prompts, where a few may
    /// be missed: the scan, and from 8,192 rows on the graph.
    ///
    /// Of 8,000 clustered rows of 384 dimensions the graph finds 40 neighbors in 0.3 of the
    /// scan's time and 160 in 0.6, of 26,000 in 0.15 and 0.33, with a recall of 0.999 and
    /// 0.997. Fewer rows are scanned in less than 0.3 ms, exactly and without a build.
    pub fn for_rows(n_rows: usize) -> Self {
        if n_rows < GRAPH_ROWS { Self::Scan } else { Self::Hnsw }
    }

    /// An index of the history's prompts.
    ///
    /// # Errors
    /// [`FitError`] as the index has it: a prompt whose embedding has no direction, or
    /// too many prompts.
    pub fn build(&self, history: &History, seed: Seed) -> Result<Box<dyn Index>, FitError> {
        Ok(match self {
            Self::Scan => Box::new(ExactScan::new(history)?),
            Self::Hnsw => Box::new(HnswConfig::default().build()?.index(history, seed)?),
            Self::Lsh => Box::new(LshConfig::default().build()?.index(history, seed)?),
            #[cfg(feature = "hora")]
            Self::Hora => Box::new(HoraConfig::default().build()?.index(history)?),
            #[cfg(feature = "kd-tree")]
            Self::KdTree => Box::new(KdTree::new(history)?),
        })
    }
}

impl fmt::Display for IndexKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scan => "scan",
            Self::Hnsw => "hnsw",
            Self::Lsh => "lsh",
            #[cfg(feature = "hora")]
            Self::Hora => "hora",
            #[cfg(feature = "kd-tree")]
            Self::KdTree => "kd-tree",
        })
    }
}

/// Every index there is, in this build or not.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum IndexName {
    Scan,
    Hnsw,
    Lsh,
    Hora,
    KdTree,
}

/// An index that this build does not have.
#[derive(Debug, Error)]
#[error("the index `{name}` needs the feature `{name}`, which this build does not have")]
struct MissingIndex {
    name: &'static str,
}

impl TryFrom<IndexName> for IndexKind {
    type Error = MissingIndex;

    fn try_from(name: IndexName) -> Result<Self, Self::Error> {
        match name {
            IndexName::Scan => Ok(Self::Scan),
            IndexName::Hnsw => Ok(Self::Hnsw),
            IndexName::Lsh => Ok(Self::Lsh),
            #[cfg(feature = "hora")]
            IndexName::Hora => Ok(Self::Hora),
            #[cfg(not(feature = "hora"))]
            IndexName::Hora => Err(MissingIndex { name: "hora" }),
            #[cfg(feature = "kd-tree")]
            IndexName::KdTree => Ok(Self::KdTree),
            #[cfg(not(feature = "kd-tree"))]
            IndexName::KdTree => Err(MissingIndex { name: "kd-tree" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::Error;

    use super::*;

    fn read(name: &str) -> Result<IndexKind, Error> {
        IndexKind::deserialize(name.into_deserializer())
    }

    #[test]
    fn names_go_there_and_back() {
        for name in ["scan", "hnsw", "lsh"] {
            assert_eq!(read(name).unwrap().to_string(), name);
        }
        insta::assert_snapshot!(read("tree").unwrap_err(), @"unknown variant `tree`, expected one of `scan`, `hnsw`, `lsh`, `hora`, `kd-tree`");
    }

    #[test]
    fn long_histories_have_a_graph() {
        let kinds = [0, 8_191, 8_192].map(IndexKind::for_rows);
        assert_eq!(kinds, [IndexKind::Scan, IndexKind::Scan, IndexKind::Hnsw]);
    }

    #[cfg(feature = "kd-tree")]
    #[test]
    fn the_kd_tree_is_there() {
        assert_eq!(read("kd-tree").unwrap().to_string(), "kd-tree");
    }

    #[cfg(not(feature = "kd-tree"))]
    #[test]
    fn what_a_build_does_not_have_is_named() {
        insta::assert_snapshot!(read("kd-tree").unwrap_err(), @"the index `kd-tree` needs the feature `kd-tree`, which this build does not have");
    }
}
