//! Parts of a router that say how long they took, so that a decision can be taken apart
//! where it happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tollgate::core::{
    Arrival, BudgetView, EstimateError, EstimateTable, EstimatesMut, Estimator, Explanation,
    Feedback, Fit, FitError, History, Horizon, Models, Policy, PolicyError, PriceUpdate, Pricer,
    Prices, Progress, Query, Ranking, RunSetup, Scratch, Seed, Solution,
};

/// What the parts of one decision took.
#[derive(Debug, Default)]
pub(super) struct Clock {
    estimate_ns: AtomicU64,
    rank_ns: AtomicU64,
    solved: AtomicBool,
}

impl Clock {
    /// Microseconds of the estimate and of the ranking, and whether prices were due; since
    /// the last time it was asked.
    pub(super) fn take(&self) -> (f64, f64, bool) {
        let micros = |ns: &AtomicU64| ns.swap(0, Ordering::Relaxed) as f64 / 1e3;
        let solved = self.solved.swap(false, Ordering::Relaxed);
        (micros(&self.estimate_ns), micros(&self.rank_ns), solved)
    }
}

fn timed<T>(ns: &AtomicU64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let answer = work();
    let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    ns.fetch_add(elapsed, Ordering::Relaxed);
    answer
}

/// A recipe whose estimator is timed.
#[derive(Debug)]
pub(super) struct WatchedRecipe {
    inner: Arc<dyn Fit>,
    clock: Arc<Clock>,
}

impl WatchedRecipe {
    pub(super) fn new(inner: Arc<dyn Fit>, clock: &Arc<Clock>) -> Self {
        Self { inner, clock: Arc::clone(clock) }
    }

    fn watch(&self, inner: Box<dyn Estimator>) -> Box<dyn Estimator> {
        Box::new(WatchedEstimator { inner, clock: Arc::clone(&self.clock) })
    }
}

impl Fit for WatchedRecipe {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn fit(&self, history: &History, seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
        self.inner.fit(history, seed).map(|inner| self.watch(inner))
    }

    fn held_out(&self, history: &History, seed: Seed) -> Result<EstimateTable, FitError> {
        self.inner.held_out(history, seed)
    }

    fn fit_and_hold_out(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(Box<dyn Estimator>, EstimateTable), FitError> {
        let (inner, table) = self.inner.fit_and_hold_out(history, seed)?;
        Ok((self.watch(inner), table))
    }
}

#[derive(Debug)]
struct WatchedEstimator {
    inner: Box<dyn Estimator>,
    clock: Arc<Clock>,
}

impl Estimator for WatchedEstimator {
    fn models(&self) -> &Models {
        self.inner.models()
    }

    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn choice(&self) -> Option<&str> {
        self.inner.choice()
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError> {
        let inner = self.inner.grow(history)?;
        Ok(Box::new(Self { inner, clock: Arc::clone(&self.clock) }))
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        scratch: &mut Scratch,
        out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        timed(&self.clock.estimate_ns, || self.inner.estimate_into(query, scratch, out))
    }
}

/// A policy whose rankings are timed, and whose solves are told.
#[derive(Debug)]
pub(super) struct WatchedPolicy<P> {
    inner: P,
    clock: Arc<Clock>,
}

impl<P> WatchedPolicy<P> {
    pub(super) fn new(inner: P, clock: &Arc<Clock>) -> Self {
        Self { inner, clock: Arc::clone(clock) }
    }
}

impl<P: Policy> Policy for WatchedPolicy<P> {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn needs_history(&self) -> bool {
        self.inner.needs_history()
    }

    fn pricer(&self, setup: &RunSetup<'_>) -> Result<Option<Box<dyn Pricer>>, PolicyError> {
        let watch = |inner| -> Box<dyn Pricer> {
            Box::new(WatchedPricer { inner, clock: Arc::clone(&self.clock) })
        };
        Ok(self.inner.pricer(setup)?.map(watch))
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        timed(&self.clock.rank_ns, || self.inner.rank(arrival, prices, budgets, out))
    }

    fn explain(&self, arrival: &Arrival<'_>, prices: &Prices, model: usize) -> Explanation {
        self.inner.explain(arrival, prices, model)
    }
}

#[derive(Debug)]
struct WatchedPricer {
    inner: Box<dyn Pricer>,
    clock: Arc<Clock>,
}

impl Pricer for WatchedPricer {
    fn before(&mut self, progress: &Progress<'_>) -> Result<PriceUpdate, PolicyError> {
        let update = self.inner.before(progress)?;
        if !matches!(update, PriceUpdate::Keep) {
            self.clock.solved.store(true, Ordering::Relaxed);
        }
        Ok(update)
    }

    fn install(&mut self, solution: Solution) -> Prices {
        self.inner.install(solution)
    }

    fn announce(&mut self, horizon: Horizon) {
        self.inner.announce(horizon);
    }

    fn observe(&mut self, feedback: &Feedback) {
        self.inner.observe(feedback);
    }
}
