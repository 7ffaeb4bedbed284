//! PORT is PORT: on whole streams, to the decision.

use std::collections::BTreeSet;
use std::sync::Arc;

use tollgate::core::{
    Choice, EstimateTable, Meter, ModelId, Outcome, Policy, Problem, Query, Scratch, Seed,
    Solution, SolveOptions, Solver as _, Status, dual_bound,
};
use tollgate::data::{Split, Table};
use tollgate::estimators::{ExactScan, Index, RowSets};
use tollgate::policies::{Greedy, GreedyBy, PrefixObjective, PrefixPricesConfig, Scripted};
use tollgate::presets;
use tollgate::solvers::CuttingPlane;
use tollgate_lab::{Metrics, Options, Scenario, realize, replay};
use tollgate_tests::golden::{Hindsight, Port, PortRun, SINGLE, STREAMS};
use tollgate_tests::recorded::{Arrivals, Reference, splits, table};
use tollgate_tests::relative;

/// Neighbors whose similarities differ by less are tied: the reference compares sums of
/// single-precision products in an order of its own.
const TIE: f64 = 1e-6;

/// A stream as the published code saw it.
struct Recording {
    port: Port,
    table: Table,
    arrivals: Arrivals,
    scenario: Scenario,
    history: Vec<usize>,
}

impl Recording {
    fn read(stream: &str) -> Self {
        let port = Port::read(stream);
        let shares: Vec<f64> = port.runs.iter().map(|run| run.eps).collect();
        let arrivals = Arrivals::read(stream, &port.models, &shares);
        let table = table(stream);
        let all = Split::read_file(splits(stream), table.len()).unwrap();
        let split = all[&port.seed].clone();
        assert_eq!(split.stream, arrivals.rows, "{stream}: the recorded arrivals");
        let options = Options { splits: Some(all), ..Options::default() };
        let scenario = Scenario::prepare(&table, &options, Seed(port.seed)).unwrap();
        let names: Vec<&str> = scenario.models().iter().map(ModelId::as_str).collect();
        assert_eq!(names, port.models, "{stream}");
        assert_eq!((scenario.len(), split.history.len()), (port.n_stream, port.n_history));
        Self { port, table, arrivals, scenario, history: split.history }
    }

    fn all() -> impl Iterator<Item = Self> {
        STREAMS.iter().map(|stream| Self::read(stream))
    }

    fn estimates(&self) -> &EstimateTable {
        &self.arrivals.estimates
    }

    fn config(&self, run: &PortRun) -> PrefixPricesConfig {
        PrefixPricesConfig { eps: run.eps, alpha: self.port.alpha, ..PrefixPricesConfig::default() }
    }
}

#[test]
fn budgets_are_the_recorded_ones() {
    for recording in Recording::all() {
        let rows = recording.scenario.budgets().rows();
        let worst = rows.iter().zip(&recording.port.budgets);
        let worst = worst.map(|(row, usd)| relative(row.capacity, *usd)).fold(0.0, f64::max);
        println!("{}: budgets to {worst:.1e} relative", recording.port.stream);
        assert_eq!(rows.len(), recording.port.budgets.len());
        assert!(worst < 1e-12);
    }
}

#[test]
fn exact_neighbors_are_the_recorded_ones() {
    for recording in Recording::all() {
        let Recording { port, table, arrivals, scenario, history } = &recording;
        let index = ExactScan::new(scenario.history()).unwrap();
        let mut scratch = Scratch::default();
        let n_models = port.models.len();
        let (mut tied, mut worst) = (0, 0.0_f64);
        for (arrival, theirs) in arrivals.neighbors.iter().enumerate() {
            let embedding = table.queries().query(arrivals.rows[arrival]).embedding;
            let query = Query::new(embedding);
            index.nearest_into(query, port.k, &RowSets::all(), None, &mut scratch).unwrap();
            let nearest = &scratch.child(0).scored;
            let ours: BTreeSet<usize> =
                nearest.iter().map(|&(_, row)| history[row as usize]).collect();
            let theirs: BTreeSet<usize> = theirs.iter().copied().collect();
            let farthest = nearest.last().unwrap().0;
            for &row in ours.symmetric_difference(&theirs) {
                let similarity = cosine(embedding, table.queries().query(row).embedding);
                assert!(
                    (similarity - farthest).abs() < TIE,
                    "{}: arrival {arrival}, row {row} at {similarity}, the fifth at {farthest}",
                    port.stream,
                );
            }
            if ours != theirs {
                tied += 1;
                continue;
            }
            let (knn, recorded) =
                (scenario.knn5().row(arrival), recording.estimates().row(arrival));
            for model in 0..n_models {
                worst = worst.max((knn.quality[model] - recorded.quality[model]).abs());
                worst = worst.max((knn.cost[model] - recorded.cost[model]).abs());
            }
        }
        println!(
            "{}: neighbors agree on {} of {} arrivals, {tied} with a tie for the fifth place; \
             estimates to {worst:.1e}",
            port.stream,
            scenario.len() - tied,
            scenario.len(),
        );
        assert!(tied * 200 <= scenario.len(), "{}: {tied} ties", port.stream);
        assert!(worst < 1e-12, "{}: estimates differ by {worst}", port.stream);
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| -> f64 {
        x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn given_the_published_prices_every_outcome_is_the_published_one() {
    for recording in Recording::all() {
        for run in &recording.port.runs {
            decisions(&recording, run);
        }
    }
}

/// The prefix is random in the published code, so its picks are taken as recorded.
fn decisions(recording: &Recording, run: &PortRun) {
    let n_models = recording.port.models.len();
    let choices = &recording.arrivals.choices[&run.eps.to_string()];
    let script: Vec<Option<usize>> =
        choices[..run.learn].iter().map(|&(arm, _)| (arm < n_models).then_some(arm)).collect();
    let config = PrefixPricesConfig { prices: Some(run.gamma.clone()), ..recording.config(run) };
    let policy = presets::port_reference(config, presets::default_solver()).unwrap();
    let policy = Scripted::new(script, Arc::new(policy));
    let replayed =
        replay(recording.scenario.stream(), &policy, recording.estimates(), None).unwrap();

    let expected: Vec<Outcome> = choices
        .iter()
        .map(|&(arm, served)| match (arm == n_models, served) {
            (true, _) => Outcome::Declined,
            (false, true) => Outcome::Served(arm),
            (false, false) => Outcome::Lost(arm),
        })
        .collect();
    let pairs = replayed.outcomes.iter().zip(&expected).enumerate();
    let first = pairs.into_iter().find(|(_, (ours, theirs))| ours != theirs);
    let Metrics { performance, cost, served, .. } = replayed.metrics;
    println!(
        "{}, eps {}: {} outcomes, Performance {performance} ({}), Cost {cost:.9} ({:.9}), \
         Throughput {served} ({}), first difference {first:?}",
        recording.port.stream,
        run.eps,
        expected.len(),
        run.performance,
        run.cost,
        run.served,
    );
    assert_eq!(first, None, "{}, eps {}", recording.port.stream, run.eps);
    assert_eq!(served, run.served);
    assert!(relative(performance, run.performance) < 1e-12);
    assert!(relative(cost, run.cost) < 1e-9);
}

#[test]
fn our_minimum_of_the_published_objective_is_no_higher() {
    for recording in Recording::all() {
        for run in &recording.port.runs {
            let objective = PrefixObjective::Published;
            let config = PrefixPricesConfig { objective, ..recording.config(run) };
            let source = config.build(presets::default_solver()).unwrap();
            let prefix = prefix(recording.estimates(), run.learn);
            let problem = source.problem_on(&prefix, recording.scenario.budgets()).unwrap();
            let theirs = dual_bound(&problem, &run.gamma);
            let solution = solve(&problem);
            println!(
                "{}, eps {}: objective {:.9e} recorded, {:.9e} our minimum ({:+.3} %), gap {:.0e}",
                recording.port.stream,
                run.eps,
                run.objective,
                solution.dual_bound,
                100.0 * (solution.dual_bound / run.objective - 1.0),
                solution.gap,
            );
            assert!(relative(theirs, run.objective) < SINGLE, "another objective: {theirs}");
            assert!(solution.dual_bound <= run.objective * (1.0 + SINGLE));
        }
    }
}

fn prefix(estimates: &EstimateTable, learn: usize) -> EstimateTable {
    let mut prefix = EstimateTable::zeros(learn, estimates.n_models());
    prefix.fill(|out| {
        let values = out.quality.len();
        out.quality.copy_from_slice(&estimates.quality()[..values]);
        out.cost.copy_from_slice(&estimates.cost()[..values]);
    });
    prefix
}

fn solve(problem: &Problem) -> Solution {
    // Ten times closer than what is asserted.
    let options = SolveOptions { gap: 1e-10, ..SolveOptions::default() };
    let solution = presets::default_solver().solve(problem, &options, None).unwrap();
    assert_eq!(solution.status, Status::Optimal);
    let other = CuttingPlane::default().solve(problem, &options, None).unwrap();
    assert_eq!(other.status, Status::Optimal);
    assert!(relative(other.primal_value, solution.primal_value) < 1e-9, "exact solvers differ");
    solution
}

/// The linear program of hindsight on these scores and costs.
fn hindsight(scenario: &Scenario, quality: &Arc<[f64]>, cost: &Arc<[f64]>) -> Solution {
    let problem = Problem::builder(scenario.len(), scenario.models().len(), Choice::AtMostOne)
        .table(Meter::Quality, Arc::clone(quality))
        .table(Meter::Cost, Arc::clone(cost))
        .objective(Meter::Quality, 1.0)
        .rows(scenario.budgets().rows().iter().cloned());
    solve(&problem.build().unwrap())
}

#[test]
fn linear_programs_come_to_the_recorded_values() {
    for recording in Recording::all() {
        let Recording { port, scenario, .. } = &recording;
        let estimates = recording.estimates();
        let program = |name: &str, quality, cost, recorded: &Hindsight| {
            let solution = hindsight(scenario, quality, cost);
            let realized = realize(scenario.stream(), &solution.primal.unwrap().round()).unwrap();
            let error = relative(solution.dual_bound, recorded.lp_value);
            println!(
                "{}, {name}: program {:.9} recorded {:.9} ({error:.1e}); realized Performance \
                 {} ({}), Throughput {} ({})",
                port.stream,
                solution.dual_bound,
                recorded.lp_value,
                realized.performance,
                recorded.performance,
                realized.served,
                recorded.served,
            );
            assert!(error < 1e-9, "{}, {name}", port.stream);
            // Optima of one program are realized alike, not equally.
            assert!(relative(realized.performance, recorded.performance) < 0.02);
        };
        let approximate = &port.approx_optimum;
        program("approximate optimum", estimates.quality(), estimates.cost(), approximate);
        program("optimum", scenario.true_quality(), scenario.true_cost(), &port.optimum);
    }
}

#[test]
fn greedy_baselines_come_to_the_recorded_values() {
    for recording in Recording::all() {
        let port = &recording.port;
        let reference = Reference::read(&port.stream);
        for (by, recorded) in
            [(GreedyBy::Quality, port.greedy_perf), (GreedyBy::Budget, port.greedy_cost)]
        {
            let policy = Greedy::new(by);
            let run =
                replay(recording.scenario.stream(), &policy, recording.estimates(), None).unwrap();
            let Metrics { performance, cost, served, .. } = run.metrics;
            let counted = reference.of(&policy.name(), port.seed).served;
            println!(
                "{}, {}: Performance {performance} ({}), Cost {cost:.9} ({:.9}), \
                 Throughput {served} ({counted})",
                port.stream,
                policy.name(),
                recorded.performance,
                recorded.cost,
            );
            assert!(relative(performance, recorded.performance) < 1e-12);
            assert!(relative(cost, recorded.cost) < 1e-9);
            assert_eq!(served, counted);
        }
    }
}
