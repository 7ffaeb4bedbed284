//! Who is compared: routers by name, each in one of four roles.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tollgate::core::Fit;
use tollgate::{Spec, SpecError, registry};

use super::NetConfig;

/// A router of the comparison.
#[derive(Clone, Debug)]
pub struct Method {
    /// What it was asked for as: its name in tables.
    pub label: String,
    /// What it is.
    pub kind: Kind,
    /// Those of one family are told apart by a knob, and the best of them in hindsight gets a
    /// line of its own.
    pub family: Option<&'static str>,
}

/// What a router knows, and when.
#[derive(Clone, Debug)]
pub enum Kind {
    /// One expectation a model, whatever the prompt.
    ZeroRouter,
    /// The true labels of the test prompts.
    Oracle,
    /// Learns from the seen models on the training prompts; the unseen ones are added by
    /// their validation labels.
    Pool(Arc<dyn Fit>),
    /// Learns from the validation labels of the unseen models, and nothing else.
    Retrained(Arc<dyn Fit>),
    /// Learns from the unseen models' labels on the training prompts, which nobody has.
    Clairvoyant(Arc<dyn Fit>),
}

/// Neighbors that the k-NN router is tried with.
pub const NEIGHBORS: [usize; 9] = [3, 5, 10, 20, 40, 80, 120, 200, 300];

/// The family of the k-NN router.
pub const KNN_ROUTER: &str = "knn-router";

const RETRAINED: &str = "retrained/";
pub(super) const CLAIRVOYANT: &str = "clairvoyant/";

impl Method {
    /// Reads one name: `zero-router`, `oracle`, `retrained/RECIPE`, `clairvoyant/RECIPE`, or
    /// the `RECIPE` of a pool. A recipe is an estimator of the registry, `mlp` or `matrix`,
    /// with its parameters. `knn-router` is one method for each number of [`NEIGHBORS`].
    ///
    /// # Errors
    /// [`SpecError`] for a name that nothing answers to, or parameters out of range.
    pub fn parse(text: &str) -> Result<Vec<Self>, SpecError> {
        let one = |kind| Ok(vec![Self { label: text.to_owned(), kind, family: None }]);
        if text == KNN_ROUTER {
            return NEIGHBORS.iter().map(|&k| neighbors(k)).collect();
        }
        match text {
            "zero-router" => one(Kind::ZeroRouter),
            "oracle" => one(Kind::Oracle),
            _ => match (text.strip_prefix(RETRAINED), text.strip_prefix(CLAIRVOYANT)) {
                (Some(name), _) => one(Kind::Retrained(recipe(name)?)),
                (_, Some(name)) => one(Kind::Clairvoyant(recipe(name)?)),
                _ => one(Kind::Pool(recipe(text)?)),
            },
        }
    }

    /// A pool by its recipe.
    pub fn pool(label: impl Into<String>, recipe: Arc<dyn Fit>) -> Self {
        Self { label: label.into(), kind: Kind::Pool(recipe), family: None }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

/// The mean score of the `k` nearest validation prompts.
fn neighbors(k: usize) -> Result<Method, SpecError> {
    let recipe = recipe(&format!("knn:k={k}"))?;
    let label = format!("{KNN_ROUTER}, k = {k}");
    Ok(Method { label, kind: Kind::Retrained(recipe), family: Some(KNN_ROUTER) })
}

fn recipe(name: &str) -> Result<Arc<dyn Fit>, SpecError> {
    const KIND: &str = "estimator";
    let spec = Spec::from_str(name)?;
    let own = match spec.name.as_str() {
        "mlp" => NetConfig::mlp(),
        "matrix" => NetConfig::matrix(),
        _ => return registry::estimator(&spec),
    };
    // Whether it is curved is in the name, and no parameter.
    let config = NetConfig { curved: own.curved, ..spec.config_over(KIND, &own)? };
    let refused = |error: tollgate::core::ParamError| SpecError::Param {
        kind: KIND,
        name: spec.name.clone(),
        why: error.to_string(),
    };
    Ok(Arc::new(config.build().map_err(refused)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Vec<String> {
        Method::parse(text).unwrap().into_iter().map(|method| method.label).collect()
    }

    #[test]
    fn roles_are_read_from_names() {
        let kind = |text: &str| Method::parse(text).unwrap().remove(0).kind;
        assert!(matches!(kind("zero-router"), Kind::ZeroRouter));
        assert!(matches!(kind("oracle"), Kind::Oracle));
        assert!(matches!(kind("retrained/ridge"), Kind::Retrained(_)));
        let Kind::Clairvoyant(recipe) = kind("clairvoyant/mlp:hidden=8") else { panic!("role") };
        assert_eq!(recipe.name(), "mlp(hidden=8)");
        let Kind::Pool(recipe) = kind("knn:k=7") else { panic!("role") };
        assert_eq!(recipe.name(), "knn(k=7)");
        assert_eq!(labels("knn-router")[..2], ["knn-router, k = 3", "knn-router, k = 5"]);
        let Kind::Retrained(recipe) = kind("retrained/matrix") else { panic!("role") };
        assert_eq!(recipe.name(), "matrix(hidden=16)");
    }

    #[test]
    fn refusals() {
        let message = |text| Method::parse(text).unwrap_err().to_string();
        insta::assert_snapshot!(
            message("clairvoyant/mlp:hidden=0"),
            @"estimator `mlp`: `hidden` must be >= 1, got 0"
        );
        insta::assert_snapshot!(
            message("retrained/knn:kk=1"),
            @"estimator `knn`: unknown field `kk`, expected one of `k`, `weighting`, `index`, `shrinkage`, `cost_domain`"
        );
        assert!(message("clusterz").starts_with("no estimator is called `clusterz`"));
    }
}
