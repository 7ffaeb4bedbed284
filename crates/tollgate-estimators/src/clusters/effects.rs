//! What a label is made of: the model's mean, the cluster's part, theirs together, noise.
//! Equation numbers are those of [`super`].

use crate::labels::shrunk;

/// Rounds in which means of models and parts of clusters are set against each other.
const ROUNDS: usize = 10;

/// One label of a model, by the cluster of its prompt.
pub(super) type Labelled = (usize, f64);

/// What was learned of clusters from the models of the history.
#[derive(Clone, Debug)]
pub(super) struct Effects {
    /// `g_0`, the mean of the models' means.
    pub(super) mean: f64,
    /// `t_g^2`, their variance.
    pub(super) spread: f64,
    /// `d_k`.
    pub(super) clusters: Vec<f64>,
    /// `t_k^2`, by how much a new model differs from that.
    pub(super) apart: Vec<f64>,
    /// The largest variance that a label can be thought to have.
    prior: f64,
}

/// Sums over the labels of one model.
#[derive(Clone, Debug)]
struct Cells {
    counts: Vec<f64>,
    sums: Vec<f64>,
    squares: f64,
}

impl Cells {
    fn new(n_clusters: usize, labels: &[Labelled]) -> Self {
        let mut cells =
            Self { counts: vec![0.0; n_clusters], sums: vec![0.0; n_clusters], squares: 0.0 };
        for &(cluster, label) in labels {
            cells.counts[cluster] += 1.0;
            cells.sums[cluster] += label;
            cells.squares += label * label;
        }
        cells
    }

    fn n(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// How many clusters have a label.
    fn filled(&self) -> f64 {
        self.counts.iter().filter(|&&count| count > 0.0).count() as f64
    }

    /// Clusters with labels: number, count and mean.
    fn means(&self) -> impl Iterator<Item = (usize, f64, f64)> {
        let cells = self.counts.iter().zip(&self.sums).enumerate();
        cells.filter(|cell| *cell.1.0 > 0.0).map(|(at, (&count, sum))| (at, count, sum / count))
    }

    /// The squared deviations from the means of the clusters.
    fn within(&self) -> f64 {
        (self.squares - self.means().map(|(_, count, mean)| count * mean * mean).sum::<f64>())
            .max(0.0)
    }
}

impl Effects {
    /// From the labels of all models; `sizes` are the prompts of each cluster, `prior` the
    /// variance that is thought possible for a label.
    pub(super) fn learn(models: &[Vec<Labelled>], sizes: &[f64], prior: f64) -> Self {
        let cells: Vec<Cells> =
            models.iter().map(|labels| Cells::new(sizes.len(), labels)).collect();
        let (means, raw) = additive(&cells, sizes);
        let n = means.len() as f64;
        let mean = means.iter().sum::<f64>() / n.max(1.0);
        let squares: f64 = means.iter().map(|own| (own - mean).powi(2)).sum();
        let freedom: f64 = cells.iter().map(|cells| cells.n() - cells.filled()).sum();
        let noise = shrunk(cells.iter().map(Cells::within).sum(), freedom + 1.0, prior);
        let total = between(&cells, noise);
        let own = apart(&cells, &means, &raw, noise, total);
        // Where one model is all there is, half of what sets clusters apart is taken to be
        // its own; with each other one, what is seen of it counts as much.
        let apart = if n > 0.0 { (((n - 1.0) * own + 0.5 * total) / n).min(total) } else { 0.0 };
        let shared = total - apart;
        let (clusters, apart) = (0..sizes.len())
            .map(|cluster| {
                let (sum, squares) = cells
                    .iter()
                    .map(|cells| cells.counts[cluster])
                    .fold((0.0, 0.0), |(sum, squares), count| {
                        (sum + count, squares + count * count)
                    });
                if sum == 0.0 || shared <= 0.0 {
                    return (0.0, apart + shared.max(0.0));
                }
                let variance = (apart * squares / sum + noise) / sum;
                let trust = shared / (shared + variance);
                (trust * raw[cluster], apart + shared * (1.0 - trust))
            })
            .unzip();
        let spread = shrunk(squares, n.max(1.0), prior);
        Self { mean, spread, clusters, apart, prior }
    }

    /// Equations (2) and (3) for a model of these labels: what is expected in each cluster, and its
    /// variance. `mean` is what is thought of the model before its first label.
    pub(super) fn know(&self, labels: &[Labelled], mean: f64) -> Vec<(f64, f64)> {
        let rest: Vec<Labelled> =
            labels.iter().map(|&(at, label)| (at, label - self.clusters[at])).collect();
        let cells = Cells::new(self.clusters.len(), &rest);
        let n = cells.n();
        let center = cells.sums.iter().sum::<f64>() / n.max(1.0);
        let squares = (cells.squares - n * center * center).max(0.0);
        let noise = shrunk(squares, n.max(1.0), self.prior);
        let variance = |count: f64, cluster: usize| self.apart[cluster] + noise / count;
        let (mut weight, mut sum) = (1.0 / self.spread, mean / self.spread);
        for (cluster, count, mean) in cells.means() {
            let w = 1.0 / variance(count, cluster);
            (weight, sum) = (weight + w, sum + w * mean);
        }
        let mean = sum / weight;
        let own = |cluster: usize| {
            let (count, apart) = (cells.counts[cluster], self.apart[cluster]);
            if count == 0.0 {
                return (self.clusters[cluster] + mean, 1.0 / weight + apart);
            }
            let drawn = noise / count / variance(count, cluster);
            let value = drawn * mean + (1.0 - drawn) * cells.sums[cluster] / count;
            (self.clusters[cluster] + value, drawn * drawn / weight + apart * drawn)
        };
        (0..self.clusters.len()).map(own).collect()
    }
}

/// The models' means and the clusters' parts whose sums are nearest to the labels; parts
/// are 0 in the mean over prompts.
fn additive(cells: &[Cells], sizes: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let mut means = vec![0.0; cells.len()];
    let mut parts = vec![0.0; sizes.len()];
    for _ in 0..ROUNDS {
        for (mean, cells) in means.iter_mut().zip(cells) {
            let rest = cells.means().map(|(at, count, own)| count * (own - parts[at]));
            *mean = rest.sum::<f64>() / cells.n();
        }
        for (cluster, part) in parts.iter_mut().enumerate() {
            let (mut sum, mut n) = (0.0, 0.0);
            for (mean, cells) in means.iter().zip(cells) {
                sum += cells.sums[cluster] - cells.counts[cluster] * mean;
                n += cells.counts[cluster];
            }
            *part = if n > 0.0 { sum / n } else { 0.0 };
        }
        let total: f64 = sizes.iter().sum();
        let center = parts.iter().zip(sizes).map(|(part, size)| part * size).sum::<f64>() / total;
        for part in &mut parts {
            *part -= center;
        }
    }
    // Once more, for the parts as they are now.
    for (mean, cells) in means.iter_mut().zip(cells) {
        let rest = cells.means().map(|(at, count, own)| count * (own - parts[at]));
        *mean = rest.sum::<f64>() / cells.n();
    }
    (means, parts)
}

/// The variance between clusters within a model, by its moments.
fn between(cells: &[Cells], noise: f64) -> f64 {
    let (mut measured, mut counted) = (0.0, 0.0);
    for cells in cells {
        let n = cells.n();
        let mean = cells.sums.iter().sum::<f64>() / n;
        for (_, count, own) in cells.means() {
            measured += count * (own - mean).powi(2);
            counted += count * (1.0 - count / n);
        }
        measured -= noise * (cells.filled() - 1.0);
    }
    if counted > 0.0 { (measured / counted).max(0.0) } else { 0.0 }
}

/// The variance of what is left of the cells' means, likewise; half of `total` where
/// nothing is left.
fn apart(cells: &[Cells], means: &[f64], parts: &[f64], noise: f64, total: f64) -> f64 {
    let (mut measured, mut counted, mut n_cells) = (0.0, 0.0, 0.0);
    for (mean, cells) in means.iter().zip(cells) {
        for (cluster, count, own) in cells.means() {
            measured += count * (own - mean - parts[cluster]).powi(2);
            counted += count;
            n_cells += 1.0;
        }
    }
    let filled = |cluster: &usize| cells.iter().any(|cells| cells.counts[*cluster] > 0.0);
    let n_clusters = (0..parts.len()).filter(filled).count() as f64;
    let freedom = n_cells - cells.len() as f64 - n_clusters + 1.0;
    if freedom <= 0.0 {
        return 0.5 * total;
    }
    ((measured - noise * freedom) / (counted * freedom / n_cells)).max(0.0)
}

#[cfg(test)]
#[path = "effects/tests.rs"]
mod tests;
