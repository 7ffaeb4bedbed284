//! Several numbers of neighbors at the price of one search.

use std::cmp::Reverse;

use tollgate_core::{EstimateTable, FitError, History, Seed};

use super::{KnnConfig, KnnEstimator, Near};

/// Held-out plain means of several numbers of neighbors, each `>= 1`, which are found once.
pub(crate) fn held_out_each(
    history: &History,
    ks: &[usize],
) -> Result<Vec<EstimateTable>, FitError> {
    let most = ks.iter().copied().max().unwrap_or(1);
    let estimator = KnnConfig::default().k(most).build()?.fit_knn(history, Seed(0))?;
    Ok(estimator.held_out_each(history, ks))
}

impl KnnEstimator {
    /// Held-out estimates for several numbers of neighbors, none above its own.
    fn held_out_each(&self, history: &History, ks: &[usize]) -> Vec<EstimateTable> {
        let n_models = history.models().len();
        let mut order: Vec<usize> = (0..ks.len()).collect();
        order.sort_by_key(|&at| Reverse(ks[at]));
        let mut wide = EstimateTable::zeros(history.len(), ks.len() * n_models);
        wide.fill(|mut out| {
            self.blocks(history.queries(), true, &mut out, |near, out| {
                for &at in &order {
                    for set in 0..self.labels.members.len() {
                        near.scratch.child(set).scored.truncate(ks[at]);
                    }
                    let near = Near {
                        query: near.query,
                        own: near.own,
                        scratch: &mut *near.scratch,
                        work: &mut *near.work,
                    };
                    self.average(near, &mut out.rows(n_models, at, at + 1));
                }
            })
        })
        .expect("the fit has checked every embedding");
        let column = |all: &[f64], out: &mut [f64], at: usize| {
            let rows = all.chunks_exact(ks.len() * n_models).zip(out.chunks_exact_mut(n_models));
            rows.for_each(|(all, out)| out.copy_from_slice(&all[at * n_models..][..n_models]));
        };
        let narrow = |at: usize| {
            let mut table = EstimateTable::zeros(history.len(), n_models);
            let all = wide.view();
            table.fill(|out| {
                column(all.quality, out.quality, at);
                column(all.quality_se, out.quality_se, at);
                column(all.cost, out.cost, at);
                column(all.cost_se, out.cost_se, at);
            });
            table
        };
        (0..ks.len()).map(narrow).collect()
    }
}
