//! What a run replays: arrivals with their truth, and the budgets they share.

use std::sync::Arc;

use tollgate::core::{Budgets, Horizon, Models, Purpose, Seed};

use crate::LabError;

/// Arrivals in order, with what each model would really have scored and cost, the budgets,
/// and what the run is told of its own length.
///
/// A [`Scenario`](crate::Scenario) cuts one from a table; the theory laboratory makes them.
#[derive(Clone, Debug)]
pub struct Stream {
    models: Models,
    seed: Seed,
    len: usize,
    true_quality: Arc<[f64]>,
    true_cost: Arc<[f64]>,
    budgets: Budgets,
    groups: Option<Arc<[u32]>>,
    times: Option<Arc<[f64]>>,
    horizon: Horizon,
    told: Vec<(usize, Horizon)>,
    scored: f64,
}

impl Stream {
    /// Arrivals with their true scores and costs (USD), both row-major `(n, n_models)`. The
    /// number of arrivals is announced, as in the papers' experiments.
    ///
    /// # Errors
    /// [`LabError::Shape`] where tables and budgets speak of other shapes.
    pub fn new(
        models: Models,
        true_quality: Arc<[f64]>,
        true_cost: Arc<[f64]>,
        budgets: Budgets,
        seed: Seed,
    ) -> Result<Self, LabError> {
        let n_models = models.len();
        let len = true_quality.len() / n_models;
        same("true scores", len * n_models, true_quality.len())?;
        same("true costs", len * n_models, true_cost.len())?;
        same("models of the budgets", n_models, budgets.n_models())?;
        let horizon = Horizon::Arrivals(len as u64);
        let (groups, times, told, scored) = (None, None, Vec::new(), 1.0);
        Ok(Self {
            models,
            seed,
            len,
            true_quality,
            true_cost,
            budgets,
            groups,
            times,
            horizon,
            told,
            scored,
        })
    }

    /// The same arrivals under other budgets.
    ///
    /// # Errors
    /// [`LabError::Shape`] where they are for another number of models.
    pub fn with_budgets(mut self, budgets: Budgets) -> Result<Self, LabError> {
        same("models of the budgets", self.models.len(), budgets.n_models())?;
        self.budgets = budgets;
        Ok(self)
    }

    /// The query group (tenant) of each arrival, below the budgets' number of groups.
    ///
    /// # Errors
    /// [`LabError::Shape`] where there is not one an arrival, or a group has no budget.
    pub fn with_groups(mut self, groups: Arc<[u32]>) -> Result<Self, LabError> {
        same("groups", self.len, groups.len())?;
        if let Some(&most) = groups.iter().max()
            && most as usize >= self.budgets.n_groups()
        {
            let (expected, got) = (self.budgets.n_groups(), most as usize + 1);
            return Err(LabError::Shape { what: "groups of the budgets", expected, got });
        }
        self.groups = Some(groups);
        Ok(self)
    }

    /// When each arrival comes, in seconds since the start, ascending.
    ///
    /// # Errors
    /// [`LabError::Shape`] where there is not one an arrival; [`LabError::Time`] for one that
    /// is before the last, or no number.
    pub fn with_times(mut self, times: Arc<[f64]>) -> Result<Self, LabError> {
        same("times", self.len, times.len())?;
        let mut last = 0.0;
        for (arrival, &time) in times.iter().enumerate() {
            // Written so that NaN fails.
            if !(time >= last && time.is_finite()) {
                return Err(LabError::Time { arrival, got: time, last });
            }
            last = time;
        }
        self.times = Some(times);
        Ok(self)
    }

    /// Another announcement of the run's length than the true one.
    #[must_use]
    pub fn announced(self, horizon: Horizon) -> Self {
        Self { horizon, ..self }
    }

    /// Before the arrival `at` the run is told another length.
    #[must_use]
    pub fn told(mut self, at: usize, horizon: Horizon) -> Self {
        self.told.push((at, horizon));
        self
    }

    /// Only of this share of the answers, drawn by the run's seed, is the score told to the price
    /// source; by default of all.
    ///
    /// # Errors
    /// [`LabError::Option`] for a share that is none.
    pub fn with_scored(self, share: f64) -> Result<Self, LabError> {
        if !(0.0..=1.0).contains(&share) {
            return Err(LabError::Option { name: "scored", rule: "in [0, 1]", got: share });
        }
        Ok(Self { scored: share, ..self })
    }

    /// Whether the score of an arrival's answer is told.
    pub fn is_scored(&self, arrival: usize) -> bool {
        // A draw of 1 does not occur, and one of 0 may.
        self.seed.stream(Purpose::Feedback, arrival as u64).uniform() < self.scored
    }

    /// How many arrivals.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The models.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The seed of the run.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// The budgets.
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// What is announced before the first arrival.
    pub fn horizon(&self) -> Horizon {
        self.horizon
    }

    /// What is announced before an arrival, where something is.
    pub fn news(&self, arrival: usize) -> Option<Horizon> {
        self.told.iter().rev().find(|(at, _)| *at == arrival).map(|&(_, horizon)| horizon)
    }

    /// The query group of an arrival.
    pub fn group(&self, arrival: usize) -> u32 {
        self.groups.as_ref().map_or(0, |groups| groups[arrival])
    }

    /// When an arrival comes, in seconds since the start; 0 where nobody keeps time.
    pub fn time(&self, arrival: usize) -> f64 {
        self.times.as_ref().map_or(0.0, |times| times[arrival])
    }

    /// The true score and cost (USD) of an option.
    pub fn truth(&self, arrival: usize, model: usize) -> (f64, f64) {
        let at = arrival * self.models.len() + model;
        (self.true_quality[at], self.true_cost[at])
    }

    /// True scores, row-major `(len, n_models)`.
    pub fn true_quality(&self) -> &Arc<[f64]> {
        &self.true_quality
    }

    /// True costs in USD, row-major `(len, n_models)`.
    pub fn true_cost(&self) -> &Arc<[f64]> {
        &self.true_cost
    }
}

fn same(what: &'static str, expected: usize, got: usize) -> Result<(), LabError> {
    if expected == got { Ok(()) } else { Err(LabError::Shape { what, expected, got }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        let models = Models::new(["a", "b"]).unwrap();
        let table: Arc<[f64]> = [0.5, 1.0, 0.0, 1.0].into();
        let budgets = Budgets::pooled(1.0, 2).unwrap();
        Stream::new(models, Arc::clone(&table), table, budgets, Seed(1)).unwrap()
    }

    #[test]
    fn shapes_are_checked() {
        let message = |error: LabError| error.to_string();
        insta::assert_snapshot!(message(stream().with_times([0.0].into()).unwrap_err()), @"2 times expected, got 1");
        insta::assert_snapshot!(message(stream().with_times([1.0, 0.5].into()).unwrap_err()), @"arrival 1 comes at 0.5 s, after one at 1 s");
        insta::assert_snapshot!(message(stream().with_times([f64::NAN, 0.5].into()).unwrap_err()), @"arrival 0 comes at NaN s, after one at 0 s");
        insta::assert_snapshot!(message(stream().with_groups([0, 1].into()).unwrap_err()), @"1 groups of the budgets expected, got 2");
        let three = Budgets::pooled(1.0, 3).unwrap();
        insta::assert_snapshot!(message(stream().with_budgets(three).unwrap_err()), @"2 models of the budgets expected, got 3");
    }

    #[test]
    fn the_last_news_of_an_arrival_counts() {
        let (four, eight) = (Horizon::Arrivals(4), Horizon::Arrivals(8));
        let stream = stream().announced(Horizon::Unknown).told(1, four).told(1, eight);
        assert_eq!(stream.horizon(), Horizon::Unknown);
        assert_eq!([stream.news(0), stream.news(1)], [None, Some(eight)]);
    }
}
