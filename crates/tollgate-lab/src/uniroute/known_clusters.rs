//! Routing by clusters that are known: UniRoute's rule without its K-means.
//!
//! # Problem
//! Prompts come from `K` latent clusters, and a router knows which: the nearest of `K` given
//! centers, by cosine. It expects of a model its mean score over its labels in the prompt's
//! cluster,
//!
//! ```text
//! q^(x, h) = mean { y : label y of h in cluster k(x) }                              (1)
//! ```
//!
//! and over all of its labels where the cluster has none. This is the rule that the paper's
//! second proposition bounds, with estimates for the clusters' true error rates; the theory
//! and the tests of the protocol need it, nobody else. Real prompts want K-means first.
//!
//! # References
//! Jitkrittum et al. (2025), Universal Model Routing for Efficient LLM Inference,
//! arXiv:2502.08773.

use std::sync::Arc;

use tollgate::core::{
    EstimateError, EstimateTable, EstimatesMut, Estimator, Fit, FitError, History, Label, ModelId,
    ModelPool, Models, PoolError, Prior, Prompt, Queries, Query, Scratch, Seed, check_known,
    check_labels, check_new_model, check_removal,
};

/// The recipe: centers, row-major `(K, dim)`.
#[derive(Clone, Debug)]
pub struct KnownClusters {
    centers: Arc<[f32]>,
    dim: usize,
}

/// Means by cluster.
#[derive(Clone, Debug)]
pub struct KnownClustersEstimator {
    recipe: KnownClusters,
    history: History,
    models: Models,
    /// For each model its labels.
    labels: Vec<Vec<Known>>,
    /// For each model and cluster the mean score and cost, then those of all clusters.
    means: Vec<Vec<[f64; 2]>>,
    prior: [f64; 2],
}

/// A label, with the representative prompt that it is of.
#[derive(Clone, Copy, Debug)]
struct Known {
    representative: Option<usize>,
    cluster: usize,
    worth: [f64; 2],
}

impl KnownClusters {
    /// Clusters around these centers.
    ///
    /// # Panics
    /// When there is no center.
    pub fn new(centers: impl Into<Arc<[f32]>>, dim: usize) -> Self {
        let centers = centers.into();
        assert!(dim > 0 && centers.len() >= dim, "there is at least one center");
        Self { centers, dim }
    }

    /// How many.
    pub fn n_clusters(&self) -> usize {
        self.centers.len() / self.dim
    }

    /// The cluster of a prompt; of equals the first.
    pub fn cluster(&self, embedding: &[f32]) -> usize {
        let dot = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>()
        };
        let cosine = |center: &[f32]| dot(center, embedding) / dot(center, center).sqrt();
        let all = self.centers.chunks_exact(self.dim).map(cosine).enumerate();
        all.reduce(|best, next| if next.1 > best.1 { next } else { best }).map_or(0, |best| best.0)
    }

    fn estimator(&self, history: &History) -> KnownClustersEstimator {
        let n_models = history.models().len();
        let of = |model: usize| -> Vec<Known> {
            let known = |prompt: usize| {
                let cell = prompt * n_models + model;
                let worth = [history.quality()[cell], history.cost()[cell]];
                let cluster = self.cluster(history.queries().query(prompt).embedding);
                let known = Known { representative: Some(prompt), cluster, worth };
                (!worth[0].is_nan()).then_some(known)
            };
            (0..history.len()).filter_map(known).collect()
        };
        let labels: Vec<_> = (0..n_models).map(of).collect();
        let prior = mean(labels.iter().flatten()).unwrap_or_default();
        let (recipe, history) = (self.clone(), history.clone());
        let models = history.models().clone();
        let means = Vec::new();
        KnownClustersEstimator { recipe, history, models, labels, means, prior }.with_means()
    }
}

impl Fit for KnownClusters {
    fn name(&self) -> String {
        format!("known-clusters(k={})", self.n_clusters())
    }

    fn fit(&self, history: &History, _seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
        Ok(Box::new(self.estimator(history)))
    }

    fn held_out(&self, history: &History, _seed: Seed) -> Result<EstimateTable, FitError> {
        let n_models = history.models().len();
        let full = self.estimator(history);
        let mut table = EstimateTable::zeros(history.len(), n_models);
        table.fill(|out| {
            for prompt in 0..history.len() {
                let cluster = self.cluster(history.queries().query(prompt).embedding);
                for model in 0..n_models {
                    let others = full.labels[model].iter();
                    let others = others.filter(|known| known.representative != Some(prompt));
                    let inside = mean(others.clone().filter(|known| known.cluster == cluster));
                    let worth = inside.or_else(|| mean(others)).unwrap_or(full.prior);
                    let cell = prompt * n_models + model;
                    (out.quality[cell], out.cost[cell]) = (worth[0], worth[1]);
                }
            }
        });
        Ok(table)
    }
}

/// The mean score and cost of some labels; `None` for none.
fn mean<'a>(labels: impl Iterator<Item = &'a Known>) -> Option<[f64; 2]> {
    let (sum, n) = labels.fold(([0.0; 2], 0.0), |(sum, n), known| {
        ([sum[0] + known.worth[0], sum[1] + known.worth[1]], n + 1.0)
    });
    (n > 0.0).then(|| [sum[0] / n, sum[1] / n])
}

impl KnownClustersEstimator {
    fn with_means(mut self) -> Self {
        let clusters = self.recipe.n_clusters();
        let of = |labels: &Vec<Known>| {
            let all = mean(labels.iter()).unwrap_or(self.prior);
            let inside = |cluster| {
                mean(labels.iter().filter(|known| known.cluster == cluster)).unwrap_or(all)
            };
            (0..clusters).map(inside).collect()
        };
        self.means = self.labels.iter().map(of).collect();
        self
    }

    /// These labels after those there are, of which a later one of the same representative
    /// prompt takes the place.
    fn join(
        &self,
        known: &mut Vec<Known>,
        model: &ModelId,
        labels: &[Label<'_>],
    ) -> Result<(), PoolError> {
        for (index, &Label { prompt, quality, cost }) in labels.iter().enumerate() {
            let (representative, embedding) = match prompt {
                Prompt::Representative(at) => {
                    (Some(at), self.history.queries().query(at).embedding)
                }
                Prompt::Embedding(embedding) => (None, embedding),
            };
            if let Err(why) = check(embedding, self.recipe.dim) {
                let (model, label) = (model.clone(), index);
                return Err(PoolError::Embedding { model, label, why });
            }
            let cluster = self.recipe.cluster(embedding);
            if representative.is_some() {
                known.retain(|old| old.representative != representative);
            }
            known.push(Known { representative, cluster, worth: [quality, cost] });
        }
        Ok(())
    }
}

fn check(embedding: &[f32], dim: usize) -> Result<(), EstimateError> {
    if embedding.len() != dim {
        return Err(EstimateError::Dimension { expected: dim, got: embedding.len() });
    }
    if let Some(at) = embedding.iter().position(|x| !x.is_finite()) {
        return Err(EstimateError::NotFinite { at, got: embedding[at] });
    }
    if embedding.iter().all(|x| *x == 0.0) {
        return Err(EstimateError::ZeroVector);
    }
    Ok(())
}

impl Estimator for KnownClustersEstimator {
    fn models(&self) -> &Models {
        &self.models
    }

    fn dim(&self) -> usize {
        self.recipe.dim
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError> {
        if *history.models() != self.models || history.len() < self.history.len() {
            let (expected, got) = (self.history.len(), history.len());
            return Err(FitError::Grown { what: "the list of models or prompts", expected, got });
        }
        Ok(Box::new(self.recipe.estimator(history)))
    }

    fn pool(&self) -> Option<&dyn ModelPool> {
        Some(self)
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        _scratch: &mut Scratch,
        out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        check(query.embedding, self.recipe.dim)?;
        let cluster = self.recipe.cluster(query.embedding);
        for (model, means) in self.means.iter().enumerate() {
            (out.quality[model], out.cost[model]) = (means[cluster][0], means[cluster][1]);
            // Nothing is claimed of how sure they are.
            (out.quality_se[model], out.cost_se[model]) = (0.0, 0.0);
        }
        Ok(())
    }
}

impl ModelPool for KnownClustersEstimator {
    fn representatives(&self) -> Queries<'_> {
        self.history.queries()
    }

    /// As many of each cluster as there are, in turns.
    fn worth_labelling(&self, n: usize) -> Vec<usize> {
        let mut seen = vec![0_usize; self.recipe.n_clusters()];
        let mut turns: Vec<(usize, usize)> = (0..self.history.len())
            .map(|prompt| {
                let turn =
                    &mut seen[self.recipe.cluster(self.history.queries().query(prompt).embedding)];
                *turn += 1;
                (*turn, prompt)
            })
            .collect();
        turns.sort_unstable();
        turns.into_iter().take(n).map(|(_, prompt)| prompt).collect()
    }

    fn add_model(
        &self,
        model: &ModelId,
        prior: Prior,
        labels: &[Label<'_>],
    ) -> Result<Box<dyn Estimator>, PoolError> {
        check_new_model(&self.models, self.history.len(), model, prior, labels)?;
        let mut next = self.clone();
        let mut known = Vec::new();
        self.join(&mut known, model, labels)?;
        if known.is_empty() {
            // The prior is all there is: one label of it, in no cluster.
            let quality = prior.quality.unwrap_or(self.prior[0]);
            let worth = [quality, prior.cost.unwrap_or(self.prior[1])];
            known.push(Known { representative: None, cluster: usize::MAX, worth });
        }
        let names = self.models.iter().chain([model]).map(ModelId::as_str);
        next.models = Models::new(names).expect("a new name beside distinct ones");
        let at = next.models.index_of(model.as_str()).expect("it has just been added");
        next.labels.insert(at, known);
        Ok(Box::new(next.with_means()))
    }

    fn remove_model(&self, model: &ModelId) -> Result<Box<dyn Estimator>, PoolError> {
        let at = check_removal(&self.models, model)?;
        let mut next = self.clone();
        let rest = self.models.iter().filter(|id| *id != model).map(ModelId::as_str);
        next.models = Models::new(rest).expect("one is left");
        next.labels.remove(at);
        Ok(Box::new(next.with_means()))
    }

    fn update_labels(
        &self,
        model: &ModelId,
        labels: &[Label<'_>],
    ) -> Result<Box<dyn Estimator>, PoolError> {
        let at = check_known(&self.models, model)?;
        check_labels(self.history.len(), model, labels)?;
        let mut next = self.clone();
        let mut known = std::mem::take(&mut next.labels[at]);
        known.retain(|label| label.cluster != usize::MAX);
        self.join(&mut known, model, labels)?;
        next.labels[at] = known;
        Ok(Box::new(next.with_means()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four prompts in two clusters; model `a` is right in the first, `b` in the second.
    fn fitted() -> Box<dyn Estimator> {
        let models = Models::new(["a", "b"]).unwrap();
        let embeddings = vec![1.0, 0.1, 1.0, -0.1, 0.1, 1.0, -0.1, 1.0];
        let quality = vec![1.0, 0.0, 1.0, 0.5, 0.0, 1.0, 0.5, 1.0];
        let history = History::new(models, 2, embeddings, quality, vec![0.1; 8]).unwrap();
        recipe().fit(&history, Seed(0)).unwrap()
    }

    fn recipe() -> KnownClusters {
        KnownClusters::new([1.0, 0.0, 0.0, 1.0], 2)
    }

    fn quality(estimator: &dyn Estimator, embedding: &[f32]) -> Vec<f64> {
        let mut table = EstimateTable::zeros(1, estimator.models().len());
        let query = Query::new(embedding);
        table.fill(|out| estimator.estimate_into(query, &mut Scratch::default(), out)).unwrap();
        table.quality().to_vec()
    }

    #[test]
    fn models_come_with_labels_and_go() {
        let fitted = fitted();
        assert_eq!(quality(fitted.as_ref(), &[2.0, 0.1]), [1.0, 0.25]);
        let label = |prompt, quality| Label { prompt, quality, cost: 0.2 };
        let pool = fitted.pool().unwrap();
        let labels = [
            label(Prompt::Representative(0), 0.0),
            label(Prompt::Representative(0), 1.0),
            label(Prompt::Embedding(&[0.9, 0.0]), 0.5),
        ];
        let joined = pool.add_model(&ModelId::new("aa"), Prior::default(), &labels).unwrap();
        // The later label of prompt 0 counts; in the second cluster there is none.
        assert_eq!(quality(joined.as_ref(), &[2.0, 0.1]), [1.0, 0.75, 0.25]);
        assert_eq!(quality(joined.as_ref(), &[0.0, 1.0]), [0.25, 0.75, 1.0]);
        let more = [label(Prompt::Representative(3), 0.0)];
        let more = joined.pool().unwrap().update_labels(&ModelId::new("aa"), &more).unwrap();
        assert_eq!(quality(more.as_ref(), &[0.0, 1.0]), [0.25, 0.0, 1.0]);
        let fewer = more.pool().unwrap().remove_model(&ModelId::new("a")).unwrap();
        assert_eq!(quality(fewer.as_ref(), &[0.0, 1.0]), [0.0, 1.0]);
        assert_eq!(pool.worth_labelling(3), [0, 2, 1]);
    }

    #[test]
    fn refusals_change_nothing() {
        let fitted = fitted();
        let pool = fitted.pool().unwrap();
        let label = Label { prompt: Prompt::Embedding(&[1.0]), quality: 1.0, cost: 0.1 };
        insta::assert_snapshot!(
            pool.add_model(&ModelId::new("c"), Prior::default(), &[label]).unwrap_err(),
            @"label 0 of model `c` has an embedding that is refused: the embedding has 1 dimensions, the history 2"
        );
        assert!(pool.add_model(&ModelId::new("a"), Prior::default(), &[]).is_err());
        assert_eq!(fitted.models().len(), 2);
    }

    #[test]
    fn held_out_leaves_the_prompt_out() {
        let models = Models::new(["a"]).unwrap();
        let embeddings = vec![1.0, 0.1, 1.0, -0.1, 0.1, 1.0];
        let history =
            History::new(models, 2, embeddings, vec![1.0, 0.0, 0.5], vec![0.1; 3]).unwrap();
        let got = recipe().held_out(&history, Seed(0)).unwrap();
        // The third has no other of its cluster: the mean of the two.
        assert_eq!(got.quality()[..], [0.0, 1.0, 0.5]);
    }
}
