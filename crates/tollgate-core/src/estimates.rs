//! Estimates in columns: what is expected of each model on each query, and how
//! surely it is known.

use std::sync::Arc;

use crate::{Meter, Turnover};

/// Borrowed estimates of some queries; every slice is row-major `(n_queries, n_models)`.
#[derive(Clone, Copy, Debug)]
pub struct Estimates<'a> {
    /// Expected score, in `[0, 1]` up to the estimator's own error.
    pub quality: &'a [f64],
    /// Standard error of the expected score, `>= 0`.
    pub quality_se: &'a [f64],
    /// Expected cost in USD, `>= 0`.
    pub cost: &'a [f64],
    /// Standard error of the expected cost in USD, `>= 0`.
    pub cost_se: &'a [f64],
}

impl<'a> Estimates<'a> {
    /// The expected readings of a meter; `None` for one that is not estimated.
    pub fn meter(&self, meter: Meter) -> Option<&'a [f64]> {
        match meter {
            Meter::Quality => Some(self.quality),
            Meter::Cost => Some(self.cost),
            Meter::Tokens | Meter::One | Meter::Latency => None,
        }
    }
}

/// Where an estimator writes; every slice is row-major `(n_queries, n_models)`.
#[derive(Debug)]
pub struct EstimatesMut<'a> {
    /// Expected score.
    pub quality: &'a mut [f64],
    /// Standard error of the expected score.
    pub quality_se: &'a mut [f64],
    /// Expected cost in USD.
    pub cost: &'a mut [f64],
    /// Standard error of the expected cost in USD.
    pub cost_se: &'a mut [f64],
}

impl EstimatesMut<'_> {
    /// The same slices, for a shorter time.
    pub fn reborrow(&mut self) -> EstimatesMut<'_> {
        EstimatesMut {
            quality: self.quality,
            quality_se: self.quality_se,
            cost: self.cost,
            cost_se: self.cost_se,
        }
    }

    /// The part that belongs to queries `from..to`.
    pub fn rows(&mut self, n_models: usize, from: usize, to: usize) -> EstimatesMut<'_> {
        let range = from * n_models..to * n_models;
        EstimatesMut {
            quality: &mut self.quality[range.clone()],
            quality_se: &mut self.quality_se[range.clone()],
            cost: &mut self.cost[range.clone()],
            cost_se: &mut self.cost_se[range],
        }
    }
}

/// Owned estimates of some queries.
#[derive(Clone, Debug, PartialEq)]
pub struct EstimateTable {
    n_queries: usize,
    n_models: usize,
    quality: Arc<[f64]>,
    quality_se: Arc<[f64]>,
    cost: Arc<[f64]>,
    cost_se: Arc<[f64]>,
    /// What the answers really scored, NaN for a gap, where these are prompts of a history.
    scores: Option<Arc<[f64]>>,
}

impl EstimateTable {
    /// All zeros, to be written to by [`fill`](Self::fill).
    pub fn zeros(n_queries: usize, n_models: usize) -> Self {
        let zeros = || Arc::from(vec![0.0; n_queries * n_models]);
        Self {
            n_queries,
            n_models,
            quality: zeros(),
            quality_se: zeros(),
            cost: zeros(),
            cost_se: zeros(),
            scores: None,
        }
    }

    /// With what the answers really scored beside what was expected of them, so that whoever
    /// reads the table can tell by how much estimates err: row-major like the rest, NaN for an
    /// answer that nobody has.
    ///
    /// # Panics
    /// When there is not one entry for each query and model.
    #[must_use]
    pub fn with_scores(self, scores: Arc<[f64]>) -> Self {
        assert_eq!(scores.len(), self.n_queries * self.n_models, "a score or a gap an option");
        Self { scores: Some(scores), ..self }
    }

    /// What the answers really scored, row-major `(n_queries, n_models)` with NaN for a gap;
    /// `None` where nobody has said so.
    pub fn scores(&self) -> Option<&Arc<[f64]>> {
        self.scores.as_ref()
    }

    /// The same queries after a change of the pool: models that stay keep their estimates,
    /// those of newcomers are taken from `fresh`, of shape `(n_queries, turnover.n_models())`.
    /// What newcomers scored is a gap, unless `fresh` says so.
    ///
    /// # Panics
    /// When `fresh` has another shape.
    #[must_use]
    pub fn after(&self, turnover: &Turnover, fresh: &Self) -> Self {
        assert_eq!(fresh.n_queries, self.n_queries, "the same queries");
        assert_eq!(fresh.n_models, turnover.n_models(), "an estimate of each model");
        let n_models = fresh.n_models;
        let column = |before: &[f64], fresh: &[f64]| -> Arc<[f64]> {
            let rows = before.chunks_exact(self.n_models).zip(fresh.chunks_exact(n_models));
            let cells = rows.flat_map(|(before, fresh)| {
                let of = |(model, fresh): (usize, &f64)| {
                    turnover.before(model).map_or(*fresh, |index| before[index])
                };
                fresh.iter().enumerate().map(of)
            });
            cells.collect()
        };
        Self {
            n_queries: self.n_queries,
            n_models,
            quality: column(&self.quality, &fresh.quality),
            quality_se: column(&self.quality_se, &fresh.quality_se),
            cost: column(&self.cost, &fresh.cost),
            cost_se: column(&self.cost_se, &fresh.cost_se),
            scores: self.scores.as_ref().map(|scores| {
                let gaps = vec![f64::NAN; fresh.n_queries * n_models];
                column(scores, fresh.scores.as_deref().unwrap_or(&gaps))
            }),
        }
    }

    /// How many queries.
    pub fn n_queries(&self) -> usize {
        self.n_queries
    }

    /// How many models.
    pub fn n_models(&self) -> usize {
        self.n_models
    }

    /// Lets `write` overwrite the columns. Copies them first where they are shared.
    pub fn fill<T>(&mut self, write: impl FnOnce(EstimatesMut<'_>) -> T) -> T {
        write(EstimatesMut {
            quality: Arc::make_mut(&mut self.quality),
            quality_se: Arc::make_mut(&mut self.quality_se),
            cost: Arc::make_mut(&mut self.cost),
            cost_se: Arc::make_mut(&mut self.cost_se),
        })
    }

    /// All queries.
    pub fn view(&self) -> Estimates<'_> {
        Estimates {
            quality: &self.quality,
            quality_se: &self.quality_se,
            cost: &self.cost,
            cost_se: &self.cost_se,
        }
    }

    /// One query, every slice of shape `(n_models,)`.
    pub fn row(&self, query: usize) -> Estimates<'_> {
        let range = query * self.n_models..(query + 1) * self.n_models;
        Estimates {
            quality: &self.quality[range.clone()],
            quality_se: &self.quality_se[range.clone()],
            cost: &self.cost[range.clone()],
            cost_se: &self.cost_se[range],
        }
    }

    /// The expected scores, shared: what a [`Problem`](crate::Problem) takes.
    pub fn quality(&self) -> &Arc<[f64]> {
        &self.quality
    }

    /// The expected costs in USD, shared: what a [`Problem`](crate::Problem) takes.
    pub fn cost(&self) -> &Arc<[f64]> {
        &self.cost
    }
}
