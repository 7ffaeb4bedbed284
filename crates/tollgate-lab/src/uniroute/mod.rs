//! Routing among models that were not there when the router was made: UniRoute's protocol,
//! on any table with many models.
//!
//! # Problem
//! With expected scores `q^(x, h)` and a cost `c(h)` for each model, a prompt goes to
//!
//! ```text
//! r(x) = argmax_h  q^(x, h) - lambda c(h)                                         (1)
//! ```
//!
//! and `lambda` moves over everything: the deferral curve. The question is what `q^` is worth
//! for models that joined with a few hundred labels.
//!
//! # Method
//! A [`Trial`] draws which models are seen and which prompts train, label and test
//! ([`Cut`]: two thirds of the models, 60/10/30 per cent of the prompts). A recipe is fitted
//! to the seen models' labels on the training prompts; then, through
//! [`ModelPool`](tollgate::core::ModelPool), every unseen model is added by its labels on the
//! validation prompts, and the seen ones are removed. Test prompts are routed among unseen
//! models only. `c(h)` is a model's mean cost over its validation labels, in (1) and in the
//! curve ([`Costs`]). The curve has every `lambda`, not a grid of them; [`metrics`] sums it up.
//!
//! Beside pools stand ([`Kind`]): ZeroRouter, which expects the validation mean whatever the
//! prompt, so that (1) walks the corners of the convex frontier that the models span on
//! validation (RouterBench's and UniRoute's baseline, "Pareto-random"); any recipe *retrained*
//! on the validation labels alone, of which the k-NN router is one; any recipe fitted by a
//! *clairvoyant* who has the unseen models' labels on the training prompts; and the oracle,
//! who has those of the test prompts. A [`Comparison`] pairs them over trials.
//!
//! Trials cut the same table anew. An interval over them is about the cut, not about tables
//! that nobody has seen.
//!
//! # Tables with gaps
//! A prompt is routed among the unseen models that were run on it, and left out where there
//! are none; a model is labelled on those of the validation prompts that it was run on, and
//! `c(h)` is its mean over these. A model that was run on easy prompts alone has a high mean
//! for that reason, so ZeroRouter expects of a model what is left when the prompts' own
//! difficulty is taken out: `a_h` of the least squares fit `y_jh = a_h + b_j`, which is the
//! mean where there are no gaps. The dearest route sends every prompt to the dearest model
//! that was run on it.
//!
//! # Departures from the paper
//! The paper's labels are the tenth of the prompts; where that is fewer than are asked for,
//! training prompts make it up. Its embedding (Gecko) is whatever the table brings.
//!
//! # References
//! Jitkrittum et al. (2025), Universal Model Routing for Efficient LLM Inference,
//! arXiv:2502.08773. Hu et al. (2024), RouterBench, arXiv:2403.12031.

pub mod bars;
mod comparison;
mod known_clusters;
mod labels;
mod method;
pub mod metrics;
mod net;
mod protocol;
pub mod report;
pub mod theory;
mod trial;

pub use comparison::{Comparison, Line, PROFILE, Sizes, compare};
pub use known_clusters::{KnownClusters, KnownClustersEstimator};
pub use labels::{LabelCurve, label_curve};
pub use method::{KNN_ROUTER, Kind, Method, NEIGHBORS};
pub use metrics::{Recovery, Scores, Yardstick};
pub use net::{Net, NetConfig, NetEstimator};
pub use protocol::{Costs, Cut, Protocol};
pub use trial::Trial;

#[cfg(test)]
pub(crate) mod testing;
