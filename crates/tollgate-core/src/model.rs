//! Models: stable ids, and the order in which ties are broken.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ModelsError;

/// The stable name of a model; ordered bytewise.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ModelId(Arc<str>);

impl ModelId {
    /// A model's id is its name.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self(Arc::from(name.as_ref()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The models of one snapshot, sorted bytewise by name, without repeats.
///
/// A *model index* in `0..len()` means something only together with the `Models`
/// that it was taken from; what outlives a snapshot is the [`ModelId`]. Wherever
/// two models score the same, the lower index wins, so a tie goes to the model
/// whose name sorts first, whatever the order of a table's columns was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Models(Arc<[ModelId]>);

impl Models {
    /// Sorts the names.
    ///
    /// # Errors
    /// [`ModelsError`] when there are no models, a name is empty, or one repeats.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, ModelsError> {
        let mut ids: Vec<ModelId> = names.into_iter().map(ModelId::new).collect();
        ids.sort();
        if ids.is_empty() {
            return Err(ModelsError::Empty);
        }
        if ids[0].as_str().is_empty() {
            return Err(ModelsError::Unnamed);
        }
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ModelsError::Duplicate { model: pair[0].clone() });
        }
        Ok(Self(ids.into()))
    }

    /// How many models there are; never 0.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one model")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The index of a model by its name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.0.binary_search_by(|id| id.as_str().cmp(name)).ok()
    }

    /// The model at `index`.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    pub fn id(&self, index: usize) -> &ModelId {
        &self.0[index]
    }

    /// The ids in index order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ModelId> {
        self.0.iter()
    }

    /// The ids in index order.
    pub fn as_slice(&self) -> &[ModelId] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_bytewise() {
        let models = Models::new(["b", "a", "Z"]).unwrap();
        let names: Vec<_> = models.iter().map(ModelId::as_str).collect();
        assert_eq!(names, ["Z", "a", "b"]);
        assert_eq!(models.index_of("a"), Some(1));
        assert_eq!(models.index_of("c"), None);
    }

    #[test]
    fn refusals() {
        let message = |names: &[&str]| Models::new(names).unwrap_err().to_string();
        insta::assert_snapshot!(message(&[]), @"there are no models");
        insta::assert_snapshot!(message(&["a", ""]), @"a model has an empty name");
        insta::assert_snapshot!(message(&["a", "b", "a"]), @"model `a` is named twice");
    }
}
