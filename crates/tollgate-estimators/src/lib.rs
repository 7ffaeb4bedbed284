//! Estimates of quality and cost from a history of labelled prompts.
//!
//! A history holds `n` prompts, each with an embedding `x_r` in `R^d`, and for each
//! model `i` a score `y_ri` in `[0, 1]` and a cost `c_ri` in USD, or a gap. An estimator
//! predicts both for a new prompt `x`, each with the standard error of the prediction:
//!
//! ```text
//! q_i(x) ~ E[y_i | x],   c_i(x) ~ E[c_i | x]   for every model i
//! ```
//!
//! Only the direction of an embedding counts: lengths are divided out, and a vector
//! without a direction is refused.
//!
//! ```
//! use tollgate_core::{EstimateTable, Fit, History, Models, Query, Scratch, Seed};
//! use tollgate_estimators::KnnConfig;
//!
//! let models = Models::new(["large", "small"])?;
//! let embeddings = vec![1.0, 0.0, 0.8, 0.6, 0.0, 1.0]; // three prompts in the plane
//! let quality = vec![1.0, 1.0, 1.0, 0.0, 1.0, 0.0]; // one row a prompt
//! let cost = vec![0.02, 0.001, 0.02, 0.001, 0.03, 0.002];
//! let history = History::new(models, 2, embeddings, quality, cost)?;
//!
//! let estimator = KnnConfig::default().k(2).build()?.fit(&history, Seed(0))?;
//! let mut table = EstimateTable::zeros(1, 2);
//! let query = Query::new(&[0.9, 0.1]);
//! table.fill(|out| estimator.estimate_into(query, &mut Scratch::default(), out))?;
//! assert_eq!(table.row(0).quality, [1.0, 0.5]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Useful for** a few thousand to a few hundred thousand labelled prompts of one kind
//! of traffic. **Not useful for** traffic unlike the history: an estimator does not know
//! that a prompt is of a new kind, only that it lies far from the others.
//!
//! # What is here
//!
//! * [`Knn`]: means of the nearest labelled prompts, found by an [`Index`]; or the plane
//!   through them, means drawn toward those of all prompts, means of log costs.
//! * [`ExactScan`]: the index that looks at every row; with the feature `kd-tree`, `KdTree`
//!   looks at fewer. [`Hnsw`]: the index that follows a graph, approximate, for large
//!   histories. [`Lsh`]: the index that looks at rows that hash alike, approximate too,
//!   its recall chosen. With the feature `hora`, `HoraIndex`, for comparison.
//! * [`Ridge`]: linear in the embedding, its penalties chosen by exact leave-one-out.
//! * [`KernelRidge`]: smooth in the embedding, by kernels at landmarks.
//! * [`Trained`]: logistic heads for scores and linear ones for log costs.
//! * [`Eagle`]: ratings of the models, global and near the prompt, from who beat whom.
//! * [`Clusters`]: what a model is in each cluster of prompts, for models that come and go.
//! * [`LearnedMap`]: the same with soft borders, trained on the models of the history.
//! * [`Factors`]: what sets models apart, learned from some and fitted to others.
//! * [`RandomSlopes`]: what a model's own labels say, drawn toward what is common to all.
//! * [`Ensemble`]: the mean of factors and random slopes.
//! * [`Refit`]: any recipe, fitted anew for every model that comes or goes.
//! * [`Priced`]: any recipe, its costs through lengths and a price list.
//! * [`LengthBuckets`]: lengths of answers in buckets, and how often the bucket is right.
//! * [`Labelling`]: orders of prompts, the most telling first, to label a new model on.
//! * [`Blend`]: weighted means of other recipes.
//! * [`HybridPredictor`]: similar prompts and trained heads, in learned shares.
//! * [`Auto`]: the default one; picks parts and weights on the history, and says why.

mod auto;
mod axes;
mod blend;
mod blocks;
mod calibrated;
mod calibration;
mod clusters;
mod eagle;
mod ensemble;
mod exp;
mod factors;
mod fitting;
mod hybrid;
mod index;
mod kernel_ridge;
mod kernels;
mod kmeans;
mod knn;
mod labelling;
mod labels;
mod learned_map;
mod lengths;
mod linear;
mod log_costs;
mod pool;
mod priced;
mod refit;
mod regression;
mod ridge;
mod shuffled;
mod slopes;
mod trained;
mod vector;

pub use auto::Auto;
pub use blend::{Blend, BlendError, BlendWeights};
pub use calibration::coverage;
pub use clusters::{Clusters, ClustersConfig};
pub use eagle::{Eagle, EagleConfig};
pub use ensemble::Ensemble;
pub use factors::{Factors, FactorsConfig};
pub use hybrid::{HybridParts, HybridPredictor, HybridPredictorConfig};
#[cfg(feature = "kd-tree")]
pub use index::KdTree;
pub use index::{
    Capabilities, ExactScan, Hnsw, HnswConfig, HnswRecipe, Index, IndexFileError, IndexKind, Lsh,
    LshConfig, LshFamily, LshRecipe, LshReport, RowSets,
};
#[cfg(feature = "hora")]
pub use index::{HoraConfig, HoraIndex, HoraRecipe};
pub use kernel_ridge::{KernelRidge, KernelRidgeConfig};
pub use knn::{CostDomain, Knn, KnnConfig, KnnEstimator, Shrinkage, Weighting};
pub use labelling::Labelling;
pub use learned_map::{LearnedMap, LearnedMapConfig};
pub use lengths::LengthBuckets;
pub use priced::{LengthMode, Priced};
pub use refit::Refit;
pub use regression::RegressionEstimator;
pub use ridge::{Ridge, RidgeConfig};
pub use slopes::{RandomSlopes, RandomSlopesConfig};
pub use trained::{Trained, TrainedConfig, TrainedEstimator};
