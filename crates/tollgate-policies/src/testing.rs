//! What the tests of policies share: two plain solvers, and a world to rank in.

use std::sync::{Arc, Mutex};

use tollgate_core::{
    Arrival, BudgetView, Budgets, Choice, EstimateTable, Estimates, Horizon, Meter, Models, Policy,
    Prices, Primal, Problem, Ranking, RunSetup, Seed, Sense, Solution, SolveError, SolveOptions,
    Solver, Status, WarmState, dual_bound,
};

/// Answers every problem with the prices it was given and the best whole assignment, found
/// by trying all of them where they are few. Remembers what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    prices: Vec<f64>,
    asked: Mutex<Vec<(Problem, SolveOptions, bool)>>,
}

impl Oracle {
    pub(crate) fn priced(prices: &[f64]) -> Arc<Self> {
        Arc::new(Self { prices: prices.to_vec(), asked: Mutex::default() })
    }

    /// Problem, options, and whether there was a warm state, solve by solve.
    pub(crate) fn asked(&self) -> Vec<(Problem, SolveOptions, bool)> {
        self.asked.lock().unwrap().clone()
    }
}

impl Solver for Oracle {
    fn name(&self) -> &'static str {
        "oracle"
    }

    fn solve(
        &self,
        problem: &Problem,
        options: &SolveOptions,
        warm: Option<&WarmState>,
    ) -> Result<Solution, SolveError> {
        self.asked.lock().unwrap().push((problem.clone(), options.clone(), warm.is_some()));
        let mut prices = self.prices.clone();
        prices.resize(problem.rows().len(), 0.0);
        let dual_bound = dual_bound(problem, &prices);
        let primal = enumerate(problem);
        let primal_value = problem.check(&primal).value;
        Ok(Solution {
            status: Status::Optimal,
            prices,
            dual_bound,
            primal_value,
            primal: Some(primal),
            gap: Solution::relative_gap(dual_bound, primal_value),
            iterations: 1,
            passes: 1,
            warm: Some(WarmState::new(())),
        })
    }
}

/// The most valuable assignment that keeps every row, among all of them.
fn enumerate(problem: &Problem) -> Primal {
    let arms = problem.n_models() + usize::from(problem.choice() == Choice::AtMostOne);
    let n_queries = u32::try_from(problem.n_queries()).unwrap();
    let count = arms.checked_pow(n_queries).filter(|&count| count <= 100_000);
    let nothing = || Primal::from_queries(vec![vec![]; n_queries as usize]);
    let Some(count) = count else { return nothing() };
    let answer = |code: usize| -> Primal {
        let arm = |query| u32::try_from(code / arms.pow(query) % arms).unwrap();
        (0..n_queries)
            .map(|q| Some(arm(q)).filter(|&a| (a as usize) < problem.n_models()))
            .collect()
    };
    let feasible = (0..count).map(|code| (problem.check(&answer(code)), code));
    let feasible = feasible.filter(|(check, _)| check.violation <= 0.0);
    let best = feasible.max_by(|a, b| a.0.value.total_cmp(&b.0.value));
    best.map_or_else(nothing, |(_, code)| answer(code))
}

/// Prices by 300 steps of projected subgradient, each row in its own scale: good to a
/// few per cent, which is enough to route by.
#[derive(Debug)]
pub(crate) struct Subgradient;

impl Solver for Subgradient {
    fn name(&self) -> &'static str {
        "subgradient"
    }

    fn solve(
        &self,
        problem: &Problem,
        _options: &SolveOptions,
        _warm: Option<&WarmState>,
    ) -> Result<Solution, SolveError> {
        assert!(problem.rows().iter().all(|row| row.sense == Sense::AtMost));
        let scales: Vec<f64> = problem.rows().iter().map(|row| row.capacity.max(1e-3)).collect();
        let mut prices = vec![0.0; problem.rows().len()];
        let mut best = (dual_bound(problem, &prices), prices.clone());
        for step in 1..=300_u32 {
            let check = problem.check(&picks(problem, &prices));
            for (row, price) in prices.iter_mut().enumerate() {
                let excess = (check.used[row] - problem.rows()[row].capacity) / scales[row];
                let length = best.0 / scales[row] / f64::from(step);
                let cap = problem.rows()[row].penalty.unwrap_or(1e9);
                *price = (*price + length * excess.clamp(-1.0, 1.0)).clamp(0.0, cap);
            }
            let bound = dual_bound(problem, &prices);
            if bound < best.0 {
                best = (bound, prices.clone());
            }
        }
        let nothing = Primal::from_queries(vec![vec![]; problem.n_queries()]);
        Ok(Solution {
            status: Status::LimitReached,
            prices: best.1,
            dual_bound: best.0,
            primal_value: 0.0,
            primal: Some(nothing),
            gap: 1.0,
            iterations: 300,
            passes: 600,
            warm: None,
        })
    }
}

/// The option of the highest score for each query.
fn picks(problem: &Problem, prices: &[f64]) -> Primal {
    let coefficients = problem.coefficients(prices);
    let score = |query, model: usize| -> f64 {
        let of = |meter| {
            coefficients.of(problem.group(query), meter).get(model)
                * problem.reading(meter, query, model)
        };
        of(Meter::Quality) + of(Meter::Cost) + of(Meter::One)
    };
    let pick = |query| {
        let scored = (0..problem.n_models()).map(|model| (score(query, model), model));
        let best = scored.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        let taken = best.0 > 0.0 || problem.choice() == Choice::ExactlyOne;
        taken.then(|| u32::try_from(best.1).unwrap())
    };
    (0..problem.n_queries()).map(pick).collect()
}

/// Budgets with what is left of them.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    pub(crate) budgets: Budgets,
    pub(crate) remaining: Vec<f64>,
    pub(crate) remaining_estimated: Vec<f64>,
}

impl Left {
    /// A budget for each model, all of it left.
    pub(crate) fn per_model(usd: &[f64]) -> Self {
        Self::of(Budgets::per_model(usd).unwrap())
    }

    pub(crate) fn of(budgets: Budgets) -> Self {
        let left: Vec<f64> = budgets.rows().iter().map(|row| row.capacity).collect();
        Self { budgets, remaining: left.clone(), remaining_estimated: left }
    }

    pub(crate) fn view(&self) -> BudgetView<'_> {
        BudgetView {
            budgets: &self.budgets,
            remaining: &self.remaining,
            remaining_estimated: &self.remaining_estimated,
        }
    }

    /// A run of `horizon` arrivals, without a history.
    pub(crate) fn setup<'a>(
        &'a self,
        models: &'a Models,
        horizon: impl Into<Horizon>,
    ) -> RunSetup<'a> {
        RunSetup {
            models,
            budgets: &self.budgets,
            horizon: horizon.into(),
            history: None,
            so_far: None,
            seed: Seed(5),
        }
    }
}

/// `m0`, `m1` and so on.
pub(crate) fn models(n: usize) -> Models {
    Models::new((0..n).map(|model| format!("m{model}"))).unwrap()
}

/// Arrival `index` with these expectations, and no errors.
pub(crate) fn arrival<'a>(index: u64, quality: &'a [f64], cost: &'a [f64]) -> Arrival<'a> {
    let estimates = Estimates { quality, quality_se: &[], cost, cost_se: &[] };
    let (time, group, latency) = (index as f64, 0, None);
    Arrival { index, time, group, estimates, latency, must_serve: false, seed: Seed(5) }
}

/// The ranked models with their scores, best first, and whether it is empty for want of
/// budget.
pub(crate) fn rank(
    policy: &dyn Policy,
    arrival: &Arrival<'_>,
    prices: &Prices,
    left: &Left,
) -> (Vec<(usize, f64)>, bool) {
    let mut out = Ranking::default();
    policy.rank(arrival, prices, &left.view(), &mut out).unwrap();
    let entries = out.entries().iter().map(|entry| (entry.model, entry.score)).collect();
    (entries, out.is_unaffordable())
}

/// Estimates of some prompts, without errors.
pub(crate) fn table<const M: usize>(quality: &[[f64; M]], cost: &[[f64; M]]) -> EstimateTable {
    let mut table = EstimateTable::zeros(quality.len(), M);
    table.fill(|out| {
        out.quality.copy_from_slice(quality.as_flattened());
        out.cost.copy_from_slice(cost.as_flattened());
    });
    table
}
