//! Several numbers of neighbors at the price of one search.

use std::cmp::Reverse;

use tollgate_core::{
    EstimateError, EstimateTable, Estimates, EstimatesMut, Estimator, FitError, History, Models,
    Queries, Query, Scratch,
};

use super::{KnnEstimator, Near};
use crate::blend::{add, clear};
use crate::vector::check_queries;

impl KnnEstimator {
    /// Held-out estimates for several numbers of neighbors, none above its own.
    pub(crate) fn held_out_each(&self, history: &History, ks: &[usize]) -> Vec<EstimateTable> {
        let n_models = history.models().len();
        let order = widest_first(ks);
        let mut wide = EstimateTable::zeros(history.len(), ks.len() * n_models);
        wide.fill(|mut out| {
            self.blocks(history.queries(), true, &mut out, |near, out| {
                for &at in &order {
                    self.truncate(near.scratch, ks[at]);
                    let near = Near { scratch: &mut *near.scratch, work: &mut *near.work, ..near };
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

    /// Keeps the nearest `k` of every set.
    fn truncate(&self, scratch: &mut Scratch, k: usize) {
        for set in 0..self.labels.members.len() {
            scratch.child(set).scored.truncate(k);
        }
    }
}

/// Positions, the largest number first.
fn widest_first(ks: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ks.len()).collect();
    order.sort_by_key(|&at| Reverse(ks[at]));
    order
}

/// The weighted mean of several means of neighbors, which are found once.
#[derive(Debug)]
pub(crate) struct Several {
    /// Of the largest number.
    widest: KnnEstimator,
    /// Numbers of neighbors, descending, with their weights for scores and for costs.
    parts: Vec<(usize, [f64; 2])>,
}

impl Several {
    /// `ks` are at least one number, none above that of `widest`; the weights, for scores
    /// and for costs, each sum to 1.
    pub(crate) fn new(mut widest: KnnEstimator, ks: &[usize], weights: &[Vec<f64>; 2]) -> Self {
        let part = |at: usize| (ks[at], weights.each_ref().map(|weights| weights[at]));
        let parts: Vec<_> = widest_first(ks).into_iter().map(part).collect();
        widest.k = parts[0].0;
        Self { widest, parts }
    }

    /// Adds up the means of one query's neighbors, of which there are most in `near`.
    fn blend(&self, near: Near<'_>, out: &mut EstimatesMut<'_>) {
        let n_models = out.quality.len();
        let Near { query, own, scratch, work } = near;
        // Beyond the sets' own: these stay when the neighbors are looked at.
        let mut floats =
            std::mem::take(&mut scratch.child(self.widest.labels.members.len()).floats);
        floats.resize(4 * n_models, 0.0);
        clear(out);
        for &(k, weights) in &self.parts {
            self.widest.truncate(scratch, k);
            let (quality, rest) = floats.split_at_mut(n_models);
            let (quality_se, rest) = rest.split_at_mut(n_models);
            let (cost, cost_se) = rest.split_at_mut(n_models);
            let mut mean = EstimatesMut { quality, quality_se, cost, cost_se };
            let near = Near { query, own, scratch: &mut *scratch, work: &mut *work };
            self.widest.average(near, &mut mean);
            let EstimatesMut { quality, quality_se, cost, cost_se } = mean;
            add(out, weights, Estimates { quality, quality_se, cost, cost_se });
        }
        scratch.child(self.widest.labels.members.len()).floats = floats;
    }
}

impl Estimator for Several {
    fn models(&self) -> &Models {
        self.widest.models()
    }

    fn dim(&self) -> usize {
        self.widest.dim()
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError> {
        let widest = self.widest.grown(history)?;
        Ok(Box::new(Self { widest, parts: self.parts.clone() }))
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        self.widest.one(query, scratch, |near| self.blend(near, &mut out))
    }

    fn estimate_batch(
        &self,
        queries: Queries<'_>,
        _scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        check_queries(queries, self.dim())?;
        self.widest.blocks(queries, false, &mut out, |near, out| self.blend(near, out))
    }
}

#[cfg(test)]
mod tests {
    use tollgate_core::{Fit, Purpose, Seed};

    use super::*;
    use crate::blend::BlendEstimator;
    use crate::knn::{Knn, KnnConfig};

    const DIM: usize = 8;

    fn knn(k: usize) -> Knn {
        KnnConfig::default().k(k).build().unwrap()
    }

    /// Two models, of which one has gaps: two sets of rows.
    fn history(n: usize) -> History {
        let mut rng = Seed(3).stream(Purpose::Synthesis, 0);
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        let embeddings = (0..n * DIM).map(|_| rng.normal() as f32).collect();
        let gap = |cell: usize| cell % 2 == 1 && cell.is_multiple_of(3);
        let mut label = |cell| if gap(cell) { f64::NAN } else { rng.uniform() };
        let quality = (0..2 * n).map(&mut label).collect();
        let cost = (0..2 * n).map(label).collect();
        History::new(Models::new(["a", "b"]).unwrap(), DIM, embeddings, quality, cost).unwrap()
    }

    fn table(estimator: &dyn Estimator, queries: Queries<'_>) -> EstimateTable {
        let mut table = EstimateTable::zeros(queries.len(), 2);
        table.fill(|out| estimator.estimate_batch(queries, &mut Scratch::default(), out)).unwrap();
        table
    }

    fn near(a: &EstimateTable, b: &EstimateTable) -> bool {
        let columns = |t: &EstimateTable| {
            let view = t.view();
            [view.quality, view.quality_se, view.cost, view.cost_se].concat()
        };
        columns(a).iter().zip(columns(b)).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    /// One search says what a blend of three estimators says.
    #[test]
    fn as_a_blend_of_each() {
        let (history, ks) = (history(300), [40, 5, 20]);
        let weights = [vec![0.5, 0.3, 0.2], vec![0.0, 0.6, 0.4]];
        let widest = knn(64).fit_knn(&history, Seed(0)).unwrap();
        let several = Several::new(widest, &ks, &weights);
        assert_eq!(several.widest.k, 40, "no more are looked for than count");
        let each = ks.map(|k| knn(k).fit(&history, Seed(0)).unwrap());
        let blend = BlendEstimator::new(each.into(), weights);
        assert!(near(&table(&several, history.queries()), &table(&blend, history.queries())));
    }

    #[test]
    fn grown_as_made_at_once() {
        let (long, weights) = (history(300), [vec![0.5, 0.5], vec![1.0, 0.0]]);
        let short = long.select(&(0..200).collect::<Vec<_>>()).unwrap();
        let make = |history: &History| {
            Several::new(knn(9).fit_knn(history, Seed(0)).unwrap(), &[3, 9], &weights)
        };
        let grown = make(&short).grow(&long).unwrap();
        assert_eq!(table(grown.as_ref(), long.queries()), table(&make(&long), long.queries()));
    }
}
