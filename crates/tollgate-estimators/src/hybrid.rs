//! The hybrid predictor: similar prompts and trained heads, blended.
//!
//! # Problem
//!
//! A router needs the chance that a model answers well, and what the answer will cost.
//! Similar prompts of the past know the topic; heads trained on all prompts know what
//! goes through them all. Which is right more often depends on the stream.
//!
//! # Method
//!
//! * **Retrieval** (`eccos-r`): [`Knn`], the mean over the `k` nearest prompts that the
//!   model is labelled on, 16 by default; of costs the logarithms are averaged.
//! * **Trained** (`eccos-t`): [`Trained`], a logistic head for each model's scores and a
//!   linear one for its log costs.
//! * **Both** (`hybrid-predictor`): [`Blend`] of the two, with the weights that have the
//!   least squared error on held-out estimates; one pair for scores and one for costs.
//!
//! Costs are estimated directly, as means: what is averaged in logarithms is smeared back
//! without bias (Duan 1983).
//!
//! Standard errors are those of the part. Those of both are blended as in [`Blend`], times one
//! factor for scores and one for costs that make them right over bins of held-out prompts (see
//! [`coverage`](crate::coverage)). Without it they are too large: those of heads are about one
//! prompt with hundreds of directions of its own, which average out over like prompts, and the
//! errors of the two parts are added up as if they were one.
//!
//! With a price list costs are estimated as in the paper, through the length of the answer: see
//! [`Priced`], which lets the same parts predict lengths, as numbers or as shares of buckets.
//!
//! # Departures from the paper
//!
//! * The published code averages the 16 neighbors' token counts; here the same neighbors'
//!   log costs or log lengths, which are less at the mercy of one long answer.
//! * There, a model that a neighbor was not run on counts as a score of 0 and a length of
//!   0, so as bad and as free. Here gaps are passed over: `k` labels are averaged for each
//!   model.
//! * The published code has no trained predictor. The paper's is a fine-tuned encoder;
//!   tollgate is given embeddings, so only the heads are trained.
//! * The paper's mixing weights are not known; a re-implementation fixed .6 and .4. Here
//!   they are learned from the history.
//!
//! # References
//!
//! Mei et al., "OmniRouter: budget and performance controllable multi-LLM routing", 2025,
//! arXiv:2502.20576 (ECCOS in its first versions). Duan, "Smearing estimate: a
//! nonparametric retransformation method", 1983, doi:10.1080/01621459.1983.10478017.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_core::{
    EstimateTable, Estimator, Fit, FitError, History, ParamError, PriceList, Seed,
};

use crate::blend::{Blend, BlendWeights};
use crate::calibrated::Calibrated;
use crate::index::IndexKind;
use crate::knn::{CostDomain, Knn, KnnConfig};
use crate::priced::{LengthMode, Priced};
use crate::trained::Trained;

/// Neighbors, as the published code has them.
const NEIGHBORS: usize = 16;

/// Buckets of lengths, as well.
const BUCKETS: usize = 10;

/// What a [`HybridPredictor`] listens to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HybridParts {
    /// Similar prompts only.
    Retrieval,
    /// Trained heads only.
    Trained,
    /// Both, in learned shares.
    #[default]
    Both,
}

/// Knobs of [`HybridPredictor`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HybridPredictorConfig {
    /// What it listens to. Default [`HybridParts::Both`].
    pub parts: HybridParts,
    /// Similar prompts to average, `>= 1`. Default 16. Nothing to trained heads.
    pub k: usize,
    /// What finds them. Default [`IndexKind::Scan`].
    pub index: IndexKind,
    /// How lengths are predicted, where there are prices. Default [`LengthMode::Continuous`].
    pub lengths: LengthMode,
    /// Buckets of lengths, 1 to 100. Default 10. Nothing to continuous lengths.
    pub buckets: usize,
    /// What tokens cost: with it costs are estimated through lengths, and a history has to say
    /// how many tokens its prompts have. Default: none, costs are estimated directly.
    pub prices: Option<PriceList>,
}

impl Default for HybridPredictorConfig {
    fn default() -> Self {
        Self {
            parts: HybridParts::default(),
            k: NEIGHBORS,
            index: IndexKind::default(),
            lengths: LengthMode::default(),
            buckets: BUCKETS,
            prices: None,
        }
    }
}

impl HybridPredictorConfig {
    /// Sets what it listens to.
    #[must_use]
    pub fn parts(mut self, parts: HybridParts) -> Self {
        self.parts = parts;
        self
    }

    /// Sets the number of similar prompts.
    #[must_use]
    pub fn k(mut self, k: usize) -> Self {
        self.k = k;
        self
    }

    /// Sets what finds them.
    #[must_use]
    pub fn index(mut self, index: IndexKind) -> Self {
        self.index = index;
        self
    }

    /// Sets what tokens cost, so that costs are estimated through lengths.
    #[must_use]
    pub fn prices(mut self, prices: PriceList) -> Self {
        self.prices = Some(prices);
        self
    }

    /// Sets how lengths are predicted.
    #[must_use]
    pub fn lengths(mut self, lengths: LengthMode) -> Self {
        self.lengths = lengths;
        self
    }

    /// Sets the number of buckets.
    #[must_use]
    pub fn buckets(mut self, buckets: usize) -> Self {
        self.buckets = buckets;
        self
    }

    /// The recipe.
    ///
    /// # Errors
    /// [`ParamError`] when `k` is 0, or there are prices and `buckets` is out of range.
    pub fn build(self) -> Result<HybridPredictor, ParamError> {
        let knobs = self.knobs();
        let Self { parts, k, index, lengths, buckets, prices } = self;
        let knn = KnnConfig::default().k(k).index(index).cost_domain(CostDomain::Log).build()?;
        let mut inner = inner(parts, knn);
        if let Some(prices) = prices {
            inner = Arc::new(Priced::new(inner, prices).lengths(lengths, buckets)?);
        }
        if parts == HybridParts::Both {
            inner = Arc::new(Calibrated::new(inner));
        }
        Ok(HybridPredictor { parts, knobs, inner })
    }

    /// What is not the default, as names have it.
    fn knobs(&self) -> String {
        let Self { parts, k, index, lengths, buckets, prices } = self;
        let retrieves = *parts != HybridParts::Trained;
        let bucketed = prices.is_some() && *lengths != LengthMode::Continuous;
        let changed = [
            (retrieves && *k != NEIGHBORS).then(|| format!("k={k}")),
            (retrieves && *index != IndexKind::default()).then(|| format!("index={index}")),
            prices.is_some().then(|| format!("lengths={}", lengths.name())),
            (bucketed && *buckets != BUCKETS).then(|| format!("buckets={buckets}")),
        ];
        in_brackets(&changed.into_iter().flatten().collect::<Vec<_>>())
    }
}

fn in_brackets(knobs: &[String]) -> String {
    if knobs.is_empty() { String::new() } else { format!("({})", knobs.join(",")) }
}

/// The recipe that does the work.
fn inner(parts: HybridParts, knn: Knn) -> Arc<dyn Fit> {
    match parts {
        HybridParts::Retrieval => Arc::new(knn),
        HybridParts::Trained => Arc::new(Trained::default()),
        HybridParts::Both => {
            let parts: Vec<Arc<dyn Fit>> = vec![Arc::new(knn), Arc::new(Trained::default())];
            let blend = Blend::new(parts, BlendWeights::Learned);
            Arc::new(blend.expect("a blend may have two parts"))
        }
    }
}

/// The recipe of the hybrid predictor. The default listens to 16 similar prompts and to
/// trained heads, in learned shares.
#[derive(Clone, Debug)]
pub struct HybridPredictor {
    parts: HybridParts,
    /// In brackets, or nothing.
    knobs: String,
    inner: Arc<dyn Fit>,
}

impl Default for HybridPredictor {
    fn default() -> Self {
        HybridPredictorConfig::default().build().expect("the defaults are in range")
    }
}

impl Fit for HybridPredictor {
    fn name(&self) -> String {
        let kind = match self.parts {
            HybridParts::Retrieval => "eccos-r",
            HybridParts::Trained => "eccos-t",
            HybridParts::Both => "hybrid-predictor",
        };
        format!("{kind}{}", self.knobs)
    }

    fn fit(&self, history: &History, seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
        self.inner.fit(history, seed)
    }

    fn held_out(&self, history: &History, seed: Seed) -> Result<EstimateTable, FitError> {
        self.inner.held_out(history, seed)
    }

    fn fit_and_hold_out(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(Box<dyn Estimator>, EstimateTable), FitError> {
        self.inner.fit_and_hold_out(history, seed)
    }
}

#[cfg(test)]
#[path = "hybrid/tests.rs"]
mod tests;
