//! Clusters of prompts, and what models are in them.

use tollgate_core::{EstimatesMut, FitError, History, Prior, Scratch, Seed};

use super::centers::Centers;
use super::costs::{Costs, column};
use super::effects::{Effects, Labelled};
use crate::kmeans;
use crate::labelling;
use crate::labels::{Labels, QUALITY_PRIOR};
use crate::pool::{Answers, At, Lore, anonymous};
use crate::vector::directions;

/// What was learned of prompts.
#[derive(Clone, Debug)]
pub(crate) struct Clustering {
    centers: Centers,
    /// The cluster of each prompt of the history.
    pub(crate) of_row: Vec<usize>,
    quality: Effects,
    costs: Costs,
    order: Vec<usize>,
    seed: Seed,
    pub(crate) choice: Option<String>,
}

/// What is known of a model in each cluster.
#[derive(Debug)]
pub(crate) struct Means {
    /// Expected score, and its standard error.
    pub(crate) quality: Vec<(f64, f64)>,
    /// Expected cost in USD, and its standard error.
    pub(crate) cost: Vec<(f64, f64)>,
}

impl Clustering {
    /// At most `n_clusters` of a history's prompts.
    pub(crate) fn new(history: &History, n_clusters: usize, seed: Seed) -> Result<Self, FitError> {
        let directions = directions(history)?;
        let dim = history.dim();
        let centers = Centers::new(kmeans::spread(&directions, dim, n_clusters, seed), dim);
        let nearest = centers.nearest_each(&directions);
        Ok(Self::learn(history, centers, &nearest, seed))
    }

    /// From centers and, of each prompt, the nearest.
    pub(super) fn learn(
        history: &History,
        centers: Centers,
        nearest: &[(usize, f32)],
        seed: Seed,
    ) -> Self {
        let of_row: Vec<usize> = nearest.iter().map(|near| near.0).collect();
        let sizes = sizes(&of_row, centers.len());
        let labels = Labels::new(&anonymous(history));
        let n_models = labels.models.len();
        let models: Vec<Vec<Labelled>> =
            (0..n_models).map(|model| column(&labels.quality, n_models, model, &of_row)).collect();
        let quality = Effects::learn(&models, &sizes, QUALITY_PRIOR);
        let costs = Costs::learn(&labels, &of_row, &sizes);
        let order = labelling::by_clusters(nearest, centers.len(), seed);
        Self { centers, of_row, quality, costs, order, seed, choice: None }
    }

    pub(crate) fn n_clusters(&self) -> usize {
        self.centers.len()
    }

    /// Every center, and half of its squared length.
    pub(crate) fn centers(&self) -> impl Iterator<Item = (&[f32], f32)> {
        self.centers.iter()
    }

    /// The cluster of a prompt.
    pub(crate) fn cluster(&self, at: At<'_>) -> usize {
        match at {
            At::Row(row) => self.of_row[row],
            At::Direction(direction) => {
                self.centers.nearest(direction, &mut vec![0.0; self.centers.len()]).0
            }
        }
    }
}

impl Lore for Clustering {
    type Known = Means;
    type Tables = Tables;

    fn know(&self, answers: &Answers, prior: Prior) -> Means {
        let labels = answers.iter().map(|answer| {
            let cluster = self.cluster(answer.at);
            ((cluster, answer.quality), (cluster, answer.cost))
        });
        let (scores, costs): (Vec<Labelled>, Vec<Labelled>) = labels.unzip();
        let mean = prior.quality.unwrap_or(self.quality.mean);
        let score = |(mean, variance): (f64, f64)| (mean.clamp(0.0, 1.0), variance.sqrt().min(0.5));
        Means {
            quality: self.quality.know(&scores, mean).into_iter().map(score).collect(),
            cost: self.costs.know(&costs, prior.cost),
        }
    }

    fn tabulate(&self, known: &[&Means]) -> Tables {
        let n_models = known.len();
        let mut table = Vec::with_capacity(4 * n_models * self.n_clusters());
        for cluster in 0..self.n_clusters() {
            table.extend(known.iter().map(|means| means.quality[cluster].0));
            table.extend(known.iter().map(|means| means.quality[cluster].1));
            table.extend(known.iter().map(|means| means.cost[cluster].0));
            table.extend(known.iter().map(|means| means.cost[cluster].1));
        }
        Tables { n_models, table }
    }

    fn estimate(
        &self,
        tables: &Tables,
        direction: &[f32],
        scratch: &mut Scratch,
        out: &mut EstimatesMut<'_>,
    ) {
        scratch.floats.resize(self.n_clusters().div_ceil(2), 0.0);
        let products = &mut bytemuck::cast_slice_mut(&mut scratch.floats)[..self.n_clusters()];
        let (cluster, _) = self.centers.nearest(direction, products);
        let row = &tables.table[4 * tables.n_models * cluster..][..4 * tables.n_models];
        let mut columns = row.chunks_exact(tables.n_models);
        for out in [&mut *out.quality, out.quality_se, out.cost, out.cost_se] {
            out.copy_from_slice(columns.next().expect("there are four columns"));
        }
    }

    fn grow(&self, history: &History) -> Result<Self, FitError> {
        let directions = directions(history)?;
        let nearest = self.centers.nearest_each(&directions);
        let grown = Self::learn(history, self.centers.clone(), &nearest, self.seed);
        Ok(Self { choice: self.choice.clone(), ..grown })
    }

    fn worth_labelling(&self) -> &[usize] {
        &self.order
    }

    fn choice(&self) -> Option<&str> {
        self.choice.as_deref()
    }
}

/// Row-major `(clusters, 4, n_models)`: the four columns of estimates.
#[derive(Debug)]
pub(crate) struct Tables {
    n_models: usize,
    table: Vec<f64>,
}

fn sizes(of_row: &[usize], n_clusters: usize) -> Vec<f64> {
    let mut sizes = vec![0.0; n_clusters];
    for &cluster in of_row {
        sizes[cluster] += 1.0;
    }
    sizes
}
