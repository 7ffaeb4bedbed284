//! PORT is PORT, on excerpts of its recorded runs; the whole runs need the real streams.

use std::sync::Arc;

use tollgate::core::{
    Arrival, BudgetView, Budgets, EstimateTable, Horizon, Models, Policy, PriceUpdate, Pricer,
    Prices, Progress, Ranking, RunSetup, Seed, SolveOptions, Solver, Status, dual_bound,
};
use tollgate::policies::{PrefixObjective, PrefixPricesConfig};
use tollgate::presets;
use tollgate_lab::report::{PUBLISHED, PUBLISHED_WITHOUT_ROBERTA, Ratios};
use tollgate_tests::golden::{Paper, Port, SINGLE, STREAMS};
use tollgate_tests::relative;

/// The recorded estimates as arrivals, without a ledger: the published policy never
/// looks at what is left.
struct Recorded {
    port: Port,
    models: Models,
    budgets: Budgets,
    estimates: EstimateTable,
}

impl Recorded {
    fn read(stream: &str) -> Self {
        let port = Port::read(stream);
        let models = Models::new(&port.models).unwrap();
        let budgets = Budgets::per_model(&port.budgets).unwrap();
        let estimates = port.excerpt.estimates();
        Self { port, models, budgets, estimates }
    }

    fn learn(&self) -> usize {
        self.port.run(self.port.excerpt.eps).learn
    }

    fn arrival(&self, index: usize) -> Arrival<'_> {
        Arrival {
            index: index as u64,
            time: 0.0,
            group: 0,
            estimates: self.estimates.row(index),
            latency: None,
            must_serve: false,
            seed: Seed(self.port.seed),
        }
    }

    fn setup(&self) -> RunSetup<'_> {
        RunSetup {
            models: &self.models,
            budgets: &self.budgets,
            horizon: Horizon::Arrivals(self.port.n_stream as u64),
            history: None,
            so_far: None,
            seed: Seed(self.port.seed),
        }
    }

    fn view(&self) -> BudgetView<'_> {
        let left = &self.port.budgets;
        BudgetView { budgets: &self.budgets, remaining: left, remaining_estimated: left }
    }

    /// Feeds the prefix to a price source; answers what it does about the arrival after.
    fn after_prefix(&self, pricer: &mut dyn Pricer) -> PriceUpdate {
        let learn = self.learn();
        for index in 0..learn {
            let update = self.before(pricer, index);
            assert!(matches!(update, PriceUpdate::Keep), "priced at arrival {index} of {learn}");
        }
        self.before(pricer, learn)
    }

    fn before(&self, pricer: &mut dyn Pricer, index: usize) -> PriceUpdate {
        let (arrival, budgets) = (self.arrival(index), self.view());
        pricer
            .before(&Progress {
                arrival: &arrival,
                budgets: &budgets,
                cost_ratios: &[1.0; 32][..arrival.estimates.cost.len()],
            })
            .unwrap()
    }
}

#[test]
fn the_objective_is_the_published_one_and_its_minimum_no_higher() {
    for stream in STREAMS {
        let recorded = Recorded::read(stream);
        let run = recorded.port.run(recorded.port.excerpt.eps);
        let config = PrefixPricesConfig { eps: run.eps, ..PrefixPricesConfig::default() };
        let policy = presets::port_reference(config.clone(), presets::default_solver()).unwrap();
        let mut pricer = policy.pricer(&recorded.setup()).unwrap().unwrap();
        let PriceUpdate::Solve(request) = recorded.after_prefix(pricer.as_mut()) else {
            panic!("{stream}: prices are due after {} arrivals", run.learn);
        };
        let theirs = dual_bound(&request.problem, &run.gamma);
        let solution = request.run().unwrap();
        println!(
            "{stream}: objective {:e} recorded, {theirs:e} recomputed, {:e} our minimum ({:+.2} %)",
            run.objective,
            solution.dual_bound,
            100.0 * (solution.dual_bound / run.objective - 1.0),
        );
        assert!(relative(theirs, run.objective) < SINGLE, "{stream}: another objective");
        assert_eq!(solution.status, Status::Optimal, "{stream}");
        assert!(solution.dual_bound <= run.objective * (1.0 + SINGLE), "{stream}");

        // The same problem by the front door.
        let config = PrefixPricesConfig { objective: PrefixObjective::Published, ..config };
        let source = config.build(presets::default_solver()).unwrap();
        let prefix = {
            let excerpt = &recorded.port.excerpt;
            tollgate_tests::golden::estimates(
                &excerpt.quality[..run.learn],
                &excerpt.cost[..run.learn],
            )
        };
        let problem = source.problem_on(&prefix, &recorded.budgets).unwrap();
        let solver: Arc<dyn Solver> = presets::default_solver();
        let direct = solver.solve(&problem, &SolveOptions::default(), None).unwrap();
        assert_eq!(direct.prices, solution.prices, "{stream}: one problem, two answers");
    }
}

#[test]
fn given_the_published_prices_every_decision_is_the_published_one() {
    for stream in STREAMS {
        let recorded = Recorded::read(stream);
        let run = recorded.port.run(recorded.port.excerpt.eps);
        let prices = Some(run.gamma.clone());
        let config = PrefixPricesConfig { eps: run.eps, prices, ..PrefixPricesConfig::default() };
        let policy = presets::port_reference(config, presets::default_solver()).unwrap();
        let mut pricer = policy.pricer(&recorded.setup()).unwrap().unwrap();
        let PriceUpdate::Install(prices) = recorded.after_prefix(pricer.as_mut()) else {
            panic!("{stream}: given prices are installed");
        };
        let choices = &recorded.port.excerpt.choice;
        let ours: Vec<usize> = (0..choices.len())
            .map(|at| pick(&recorded, &policy, &prices, run.learn + at))
            .collect();
        assert_eq!(&ours, choices, "{stream}");
        let distinct = choices.iter().collect::<std::collections::BTreeSet<_>>().len();
        println!("{stream}: {} decisions over {distinct} models agree", choices.len());
    }
}

fn pick(recorded: &Recorded, policy: &dyn Policy, prices: &Prices, index: usize) -> usize {
    let mut ranking = Ranking::default();
    policy.rank(&recorded.arrival(index), prices, &recorded.view(), &mut ranking).unwrap();
    ranking.best().expect("the published policy never declines").model
}

/// The constants that every report prints are the means over the paper's own table.
#[test]
fn the_published_ratios_follow_from_the_published_table() {
    let paper = Paper::read();
    assert_eq!(paper.tables.len(), 3);
    let all = mean_ratios(&paper, &[]);
    println!("PORT / baseline, mean of 24: {all:.3?}");
    assert_eq!(all.map(hundredths), headline(PUBLISHED));
    let Paper { headline: quoted, .. } = paper;
    let quoted = [quoted.performance, quoted.ppc, quoted.throughput];
    assert_eq!(all.map(hundredths), quoted.map(hundredths));
    let without = mean_ratios(&paper, &["roberta-perf", "roberta-cost"]);
    println!("the same without RoBERTa, mean of 18: {without:.3?}");
    assert_eq!(without.map(hundredths), headline(PUBLISHED_WITHOUT_ROBERTA));
}

/// Mean of PORT over each baseline but `skipped`: Performance, PPC, Throughput.
fn mean_ratios(paper: &Paper, skipped: &[&str]) -> [f64; 3] {
    let not_baselines = ["port", "approximate-optimum", "optimum"];
    let mut sums = [0.0; 3];
    let mut count = 0.0;
    for table in paper.tables.values() {
        let port = table["port"];
        for (name, row) in table {
            if not_baselines.contains(&name.as_str()) || skipped.contains(&name.as_str()) {
                continue;
            }
            sums[0] += port.performance / row.performance;
            sums[1] += port.ppc / row.ppc;
            sums[2] += port.throughput / row.throughput;
            count += 1.0;
        }
    }
    sums.map(|sum| sum / count)
}

fn headline(ratios: Ratios) -> [i64; 3] {
    [ratios.performance, ratios.ppc, ratios.throughput].map(|ratio| hundredths(ratio.unwrap()))
}

#[expect(clippy::cast_possible_truncation, reason = "a ratio of a few units")]
fn hundredths(ratio: f64) -> i64 {
    (100.0 * ratio).round() as i64
}
