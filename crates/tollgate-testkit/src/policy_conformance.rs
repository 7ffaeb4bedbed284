//! What every policy promises, whatever it ranks by.
//!
//! A test of a policy is one line, `check(&policy)`, or [`check_falling_back`] for one that
//! ranks only what can be paid for; a failure names the policy, the case and the promise.

use std::thread;

use tollgate_core::{
    Arrival, BudgetView, Budgets, EstimateTable, Feedback, Horizon, Meter, Models, Policy,
    PolicyError, PriceUpdate, Pricer, Prices, Progress, Purpose, Ranking, Row, RunSetup, Scope,
    Seed,
};

const SEED: Seed = Seed(29);
/// Arrivals of a case.
const ARRIVALS: usize = 60;
/// Prompts of its history.
const HISTORY: usize = 25;

/// Runs the whole suite.
///
/// # Panics
/// When the policy breaks a promise.
pub fn check(policy: &dyn Policy) {
    run(policy, false);
}

/// Runs the whole suite and checks that everything ranked at given prices fits what is
/// left, and that a query which must be served is, while some model fits.
///
/// # Panics
/// When the policy breaks a promise.
pub fn check_falling_back(policy: &dyn Policy) {
    run(policy, true);
}

fn run(policy: &dyn Policy, falls_back: bool) {
    assert!(!policy.name().is_empty(), "{policy:?} has no name");
    for case in cases() {
        let context = format!("{} on {}", policy.name(), case.name);
        let Some(adapted) = refusable(policy.adapt(&case.setup(policy)), &context) else {
            continue;
        };
        let policy = adapted.as_deref().unwrap_or(policy);
        assert!(policy.batch_size() >= 1, "{} wants batches of none", policy.name());
        let Some(priced) = prices_of(policy, &case, Observed::InTime, &context) else { continue };
        let charges = policy.pricer(&case.setup(policy)).expect(&context).is_some();
        for observed in [Observed::LateAndReversed, Observed::Never, Observed::InTime] {
            // Feedback may change later prices; that it is digested is the promise. Seen
            // alike, it changes nothing.
            let again = prices_of(policy, &case, observed, &context);
            if matches!(observed, Observed::InTime) {
                assert_eq!(Some(&priced), again.as_ref(), "prices of {context}, run again");
            }
        }
        for prices in [&Prices::unset(), &priced] {
            let first = rankings(policy, &case, prices, (0..ARRIVALS).collect());
            let reversed = rankings(policy, &case, prices, (0..ARRIVALS).rev().collect());
            assert_eq!(first, reversed, "rankings of {context} depend on the order of the calls");
            let elsewhere = thread::scope(|scope| {
                let run = || rankings(policy, &case, prices, (0..ARRIVALS).collect());
                scope.spawn(run).join().expect("ranking does not panic")
            });
            assert_eq!(first, elsewhere, "rankings of {context} depend on the thread");
            for (index, ranking) in first.iter().enumerate() {
                is_sane(ranking, case.n_models, &format!("{context}, arrival {index}"));
            }
            batches_agree(policy, &case, prices, &first, &context);
            // While a policy that charges has no prices yet, it explores.
            if falls_back && (prices.coefficients().is_some() || !charges) {
                only_what_fits(&case, &first, &context);
                serves_while_it_can(policy, &case, prices, &context);
            }
        }
    }
}

/// What a policy makes of a setup; `None` where it refuses it, as it may.
fn refusable<T>(made: Result<T, PolicyError>, context: &str) -> Option<T> {
    match made {
        Err(PolicyError::Needs { .. } | PolicyError::Problem(_)) => None,
        made => Some(made.expect(context)),
    }
}

struct Case {
    name: &'static str,
    models: Models,
    n_models: usize,
    budgets: Budgets,
    stream: EstimateTable,
    history: EstimateTable,
    /// What is left of each row.
    remaining: Vec<f64>,
    /// The same by estimates, which may be overdrawn.
    remaining_estimated: Vec<f64>,
}

impl Case {
    fn view(&self) -> BudgetView<'_> {
        BudgetView {
            budgets: &self.budgets,
            remaining: &self.remaining,
            remaining_estimated: &self.remaining_estimated,
        }
    }

    fn setup(&self, policy: &dyn Policy) -> RunSetup<'_> {
        RunSetup {
            models: &self.models,
            budgets: &self.budgets,
            horizon: Horizon::Arrivals(ARRIVALS as u64),
            history: policy.needs_history().then_some(&self.history),
            so_far: None,
            seed: SEED,
        }
    }

    fn fits(&self, index: usize, model: usize) -> bool {
        self.view().fits(0, model, &self.stream.row(index))
    }

    fn arrival(&self, index: usize) -> Arrival<'_> {
        Arrival {
            index: index as u64,
            time: index as f64,
            group: 0,
            estimates: self.stream.row(index),
            latency: None,
            must_serve: false,
            seed: SEED,
        }
    }
}

fn cases() -> Vec<Case> {
    let per_model = |usd: &[f64]| Budgets::per_model(usd).expect("in range");
    let layered = |n_models: usize| {
        let rows = vec![
            Row::at_most(Meter::Cost, Scope::all(), 0.05),
            Row::at_most(Meter::Cost, Scope::model(n_models - 1), 0.01),
            Row::at_most(Meter::One, Scope::model(0), 12.0),
        ];
        Budgets::new(rows, n_models, 1).expect("in range")
    };
    let case = |name, n_models, budgets: Budgets, left: fn(usize) -> f64| {
        let rows = budgets.rows().iter().enumerate();
        let remaining: Vec<f64> = rows.map(|(row, r)| left(row) * r.capacity).collect();
        let models = Models::new((0..n_models).map(|model| format!("m{model:02}")));
        Case {
            name,
            models: models.expect("the names differ"),
            n_models,
            budgets,
            stream: estimates(ARRIVALS, n_models, 1),
            history: estimates(HISTORY, n_models, 2),
            remaining_estimated: remaining.iter().map(|left| left - 0.001).collect(),
            remaining,
        }
    };
    let mut free = case("models that cost nothing", 3, per_model(&[0.01; 3]), |_| 1.0);
    for table in [&mut free.stream, &mut free.history] {
        table.fill(|out| out.cost.fill(0.0));
    }
    let mut equal = case("models that are all equal", 4, per_model(&[0.01; 4]), |_| 1.0);
    for table in [&mut equal.stream, &mut equal.history] {
        table.fill(|out| {
            out.quality.fill(0.5);
            out.cost.fill(1e-3);
        });
    }
    vec![
        case("budgets per model", 5, per_model(&[0.02, 0.02, 0.01, 0.01, 0.05]), |_| 0.7),
        case("a pooled budget", 3, Budgets::pooled(0.03, 3).expect("in range"), |_| 1.0),
        case("layered budgets", 4, layered(4), |row| [0.5, 1.0, 0.9][row]),
        case("every other budget gone", 6, per_model(&[0.01; 6]), |row| [0.0, 0.8][row % 2]),
        case("nothing left", 3, per_model(&[0.01; 3]), |_| 0.0),
        case("budgets of nothing", 3, per_model(&[0.0; 3]), |_| 1.0),
        case("one model", 1, per_model(&[0.02]), |_| 1.0),
        free,
        equal,
    ]
}

/// Scores on a grid, so that ties abound; costs over two powers of ten.
fn estimates(n_queries: usize, n_models: usize, counter: u64) -> EstimateTable {
    let mut rng = SEED.stream(Purpose::Synthesis, counter);
    let mut table = EstimateTable::zeros(n_queries, n_models);
    table.fill(|out| {
        for at in 0..n_queries * n_models {
            out.quality[at] = 0.2 * rng.below(6) as f64;
            out.quality_se[at] = 0.1;
            out.cost[at] = 1e-4 * 10_f64.powf(2.0 * rng.uniform());
            out.cost_se[at] = 1e-5;
        }
    });
    table
}

/// What a price source gets to hear.
#[derive(Clone, Copy)]
enum Observed {
    InTime,
    /// In blocks of ten, the last first, some twice, some never, some without a score.
    LateAndReversed,
    Never,
}

/// Plays all arrivals through the policy's price source, solving at once; half way the
/// source moves to another thread. The prices in force at the end; `None` where the
/// policy refuses the setup, as it may.
fn prices_of(
    policy: &dyn Policy,
    case: &Case,
    observed: Observed,
    context: &str,
) -> Option<Prices> {
    let pricer = refusable(policy.pricer(&case.setup(policy)), context)?;
    let mut prices = Prices::unset();
    let Some(mut pricer) = pricer else { return Some(prices) };
    for index in 0..ARRIVALS / 2 {
        step(pricer.as_mut(), case, index, observed, &mut prices, context);
    }
    thread::scope(|scope| {
        let rest = || {
            for index in ARRIVALS / 2..ARRIVALS {
                step(pricer.as_mut(), case, index, observed, &mut prices, context);
            }
        };
        scope.spawn(rest).join().expect("the price source does not panic");
    });
    Some(prices)
}

fn step(
    pricer: &mut dyn Pricer,
    case: &Case,
    index: usize,
    observed: Observed,
    prices: &mut Prices,
    context: &str,
) {
    let budgets = case.view();
    let arrival = case.arrival(index);
    // The last model costs a fifth more than expected.
    let mut cost_ratios = vec![1.0; case.n_models];
    cost_ratios[case.n_models - 1] = 1.2;
    let progress = Progress { arrival: &arrival, budgets: &budgets, cost_ratios: &cost_ratios };
    match pricer.before(&progress).expect(context) {
        PriceUpdate::Keep => {}
        PriceUpdate::Install(new) => *prices = new,
        PriceUpdate::Solve(request) => {
            *prices = pricer.install(request.run().expect(context));
        }
    }
    if prices.coefficients().is_some() {
        assert_eq!(prices.rows().len(), case.budgets.rows().len(), "a price a row in {context}");
    }
    let valid = prices.rows().iter().all(|price| *price >= 0.0 && price.is_finite());
    assert!(valid, "prices of {context}: {:?}", prices.rows());
    let feedback = |index: usize, quality| Feedback {
        arrival: index as u64,
        model: index % case.n_models,
        cost: 1e-3,
        quality,
    };
    match observed {
        Observed::InTime => pricer.observe(&feedback(index, Some(0.5))),
        Observed::LateAndReversed if index % 10 == 9 => {
            for late in (index - 9..=index).rev().filter(|late| late % 3 != 0) {
                pricer.observe(&feedback(late, (late % 2 == 0).then_some(1.0)));
            }
            pricer.observe(&feedback(index, None));
        }
        Observed::LateAndReversed | Observed::Never => {}
    }
}

/// Ranks the arrivals one by one in the order of the calls, each twice: into a new ranking
/// and into a used one, which must come to the same. Answers in the order of arrival.
fn rankings(policy: &dyn Policy, case: &Case, prices: &Prices, calls: Vec<usize>) -> Vec<Ranking> {
    let budgets = case.view();
    let mut used = used();
    let mut answers = vec![Ranking::default(); calls.len()];
    for index in calls {
        let arrival = case.arrival(index);
        policy.rank(&arrival, prices, &budgets, &mut answers[index]).expect("it ranks");
        policy.rank(&arrival, prices, &budgets, &mut used).expect("it ranks");
        let context = format!("{} on {}, arrival {index}", policy.name(), case.name);
        assert_eq!(answers[index], used, "{context}: something is left of the last ranking");
    }
    answers
}

/// A ranking that no policy would make: a model that does not exist, and out of budget.
fn used() -> Ranking {
    let mut used = Ranking::default();
    for _ in 0..4 {
        used.push(usize::MAX, f64::NAN);
    }
    used.set_unaffordable();
    used
}

fn is_sane(ranking: &Ranking, n_models: usize, context: &str) {
    let entries = ranking.entries();
    for (at, entry) in entries.iter().enumerate() {
        assert!(entry.model < n_models, "{context}: model {} of {n_models}", entry.model);
        assert!(entry.score.is_finite(), "{context}: a score of {}", entry.score);
        let repeated = entries[..at].iter().any(|earlier| earlier.model == entry.model);
        assert!(!repeated, "{context}: model {} is named twice", entry.model);
    }
    let sorted = entries.is_sorted_by(|a, b| a.score >= b.score);
    assert!(sorted, "{context}: not best first: {entries:?}");
    let spoken_for = ranking.is_unaffordable() && !entries.is_empty();
    assert!(!spoken_for, "{context}: out of budget, and yet {entries:?}");
}

/// Batches of one are ranked as by `rank`. Larger ones, as large as the policy takes, are
/// overwritten and sane.
fn batches_agree(
    policy: &dyn Policy,
    case: &Case,
    prices: &Prices,
    single: &[Ranking],
    context: &str,
) {
    let budgets = case.view();
    let arrivals: Vec<Arrival<'_>> = (0..ARRIVALS).map(|index| case.arrival(index)).collect();
    for size in [1, 7, ARRIVALS].map(|size| size.min(policy.batch_size())) {
        for (batch, expected) in arrivals.chunks(size).zip(single.chunks(size)) {
            let mut clean = vec![Ranking::default(); batch.len()];
            let mut dirty = vec![used(); batch.len()];
            policy.rank_batch(batch, prices, &budgets, &mut clean).expect("it ranks");
            policy.rank_batch(batch, prices, &budgets, &mut dirty).expect("it ranks");
            assert_eq!(clean, dirty, "{context}: something is left of the last batch");
            if size == 1 {
                assert_eq!(clean, expected, "{context}: a batch of one differs from `rank`");
            }
            for ranking in &clean {
                is_sane(ranking, case.n_models, &format!("{context}, in a batch of {size}"));
            }
        }
    }
}

fn only_what_fits(case: &Case, rankings: &[Ranking], context: &str) {
    for (index, ranking) in rankings.iter().enumerate() {
        for entry in ranking.entries() {
            let fits = case.fits(index, entry.model);
            assert!(fits, "{context}: arrival {index} can't pay for model {}", entry.model);
        }
        let none = (0..case.n_models).all(|model| !case.fits(index, model));
        assert!(!none || ranking.best().is_none(), "{context}: arrival {index} can't be paid for");
    }
}

fn serves_while_it_can(policy: &dyn Policy, case: &Case, prices: &Prices, context: &str) {
    let budgets = case.view();
    let mut ranking = Ranking::default();
    for index in 0..ARRIVALS {
        let arrival = Arrival { must_serve: true, ..case.arrival(index) };
        policy.rank(&arrival, prices, &budgets, &mut ranking).expect("it ranks");
        let payable = (0..case.n_models).any(|model| case.fits(index, model));
        let served = ranking.best().is_some();
        assert_eq!(served, payable, "{context}: arrival {index} must be served where it can be");
        assert_eq!(ranking.is_unaffordable(), !payable, "{context}: arrival {index}");
    }
}
