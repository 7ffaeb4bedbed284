//! Shares of buckets, and the lengths that come of them: equations (3) and (4).

use std::sync::Arc;

use tollgate_core::{
    EstimateError, Estimates, EstimatesMut, Estimator, FitError, History, Models, Scratch,
};

use crate::lengths::LengthBuckets;

/// The buckets of each model's lengths.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    /// By model index.
    models: Arc<[LengthBuckets]>,
}

impl Buckets {
    /// Those of each model, by its index.
    pub(super) fn new(models: Vec<LengthBuckets>) -> Self {
        Self { models: models.into() }
    }

    /// A column for each bucket of each model.
    fn n_columns(&self) -> usize {
        self.models.iter().map(LengthBuckets::len).sum()
    }

    /// A history whose models are the buckets of models and whose scores say which answer is
    /// in which. It has nothing to say of costs.
    pub(super) fn history(&self, lengths: &History) -> History {
        let n_models = self.models.len();
        let mut names = Vec::new();
        for (model, buckets) in self.models.iter().enumerate() {
            names.extend((0..buckets.len()).map(|bucket| format!("{model:06} {bucket:03}")));
        }
        let (mut scores, mut costs) = (Vec::new(), Vec::new());
        for (at, &length) in lengths.cost().iter().enumerate() {
            let buckets = &self.models[at % n_models];
            let own = buckets.bucket(length);
            let score = |bucket| if bucket == own { 1.0 } else { 0.0 };
            let gap = |label| if length.is_nan() { f64::NAN } else { label };
            scores.extend((0..buckets.len()).map(|bucket| gap(score(bucket))));
            costs.extend((0..buckets.len()).map(|_| gap(0.0)));
        }
        let names = Models::new(names).expect("numbers differ");
        let (dim, embeddings) = (lengths.dim(), lengths.embeddings().to_vec());
        let history = History::new(names, dim, embeddings, scores, costs);
        history.expect("every model has a label, and so have its buckets")
    }

    /// Equations (3) and (4), of all queries there are, into the columns of costs.
    pub(super) fn expect(&self, shares: Estimates<'_>, out: &mut EstimatesMut<'_>) {
        let columns = self.models.iter().cycle();
        let (mut first, cells) = (0, out.cost.iter_mut().zip(&mut *out.cost_se));
        for (buckets, (length, se)) in columns.zip(cells) {
            let own = first..first + buckets.len();
            first = own.end;
            (*length, *se) = expect(buckets, &shares.quality[own.clone()], &shares.quality_se[own]);
        }
    }
}

/// Equations (3) and (4) of one answer.
pub(super) fn expect(buckets: &LengthBuckets, shares: &[f64], errors: &[f64]) -> (f64, f64) {
    let length = buckets.expected(shares);
    let sum: f64 = shares.iter().sum();
    // Without any share there is nothing to divide by, and the length is a guess.
    let sum = if sum > 0.0 { sum } else { 1.0 };
    let off = buckets.means().iter().zip(errors).map(|(mean, se)| ((mean - length) * se).powi(2));
    (length, off.sum::<f64>().sqrt() / sum)
}

/// What says the shares of buckets.
#[derive(Debug)]
pub(super) struct Shares {
    estimator: Box<dyn Estimator>,
    buckets: Buckets,
}

impl Shares {
    /// `estimator` has learned from [`Buckets::history`].
    pub(super) fn new(estimator: Box<dyn Estimator>, buckets: Buckets) -> Self {
        Self { estimator, buckets }
    }

    /// From a longer history, of lengths; the buckets stay.
    pub(super) fn grow(&self, lengths: &History) -> Result<Self, FitError> {
        let estimator = self.estimator.grow(&self.buckets.history(lengths))?;
        Ok(Self::new(estimator, self.buckets.clone()))
    }

    /// Has `estimate` write the shares of `n` queries, and makes lengths of them.
    pub(super) fn expect(
        &self,
        n: usize,
        scratch: &mut Scratch,
        out: &mut EstimatesMut<'_>,
        estimate: impl FnOnce(
            &dyn Estimator,
            &mut Scratch,
            EstimatesMut<'_>,
        ) -> Result<(), EstimateError>,
    ) -> Result<(), EstimateError> {
        let n_cells = n * self.buckets.n_columns();
        let mut floats = std::mem::take(&mut scratch.floats);
        floats.resize(4 * n_cells, 0.0);
        let (quality, rest) = floats.split_at_mut(n_cells);
        let (quality_se, rest) = rest.split_at_mut(n_cells);
        let (cost, cost_se) = rest.split_at_mut(n_cells);
        let mut own = EstimatesMut { quality, quality_se, cost, cost_se: &mut cost_se[..n_cells] };
        let outcome = estimate(self.estimator.as_ref(), scratch.child(1), own.reborrow());
        if outcome.is_ok() {
            let EstimatesMut { quality, quality_se, cost, cost_se } = own;
            self.buckets.expect(Estimates { quality, quality_se, cost, cost_se }, out);
        }
        scratch.floats = floats;
        outcome
    }
}
