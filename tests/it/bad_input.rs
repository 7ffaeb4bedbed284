//! Bad input and extreme input, end to end: a clear error or a clear result, never a crash.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use clap::Parser;
use npyz::WriterBuilder as _;
use tollgate::core::{EstimateTable, Query, Scratch, Seed};
use tollgate::data::Table;
use tollgate::estimators::Auto;
use tollgate::registry::POLICIES;
use tollgate::{Budget, Request, Router, presets};
use tollgate_cli::ReplayOptions;
use tollgate_lab::{Experiment, Options, Report, Scenario, Silent, Subset};
use tollgate_tests::{cells, compositions};

/// The command line, as the program parses it.
#[derive(Debug, Parser)]
#[command(name = "tollgate", no_binary_name = true)]
struct Cli {
    #[command(flatten)]
    options: ReplayOptions,
}

/// What the program says where it refuses: the error with its causes, on one line.
fn refusal(arguments: &[&str]) -> String {
    match Cli::try_parse_from(arguments) {
        Err(error) => error.to_string().lines().next().unwrap().to_owned(),
        Ok(cli) => format!("{:#}", tollgate_cli::run(&cli.options, None).unwrap_err()),
    }
}

/// A folder of its own, deleted with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tollgate-tests-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Twelve prompts of two models, whose line `row` is changed by `edit`; line 0 is the
    /// header.
    fn stream(edit: impl Fn(usize, String) -> String) -> Self {
        let folder = Self::new();
        let header = "eval_name,a,a|total_cost,b,b|total_cost".to_owned();
        let rows = (0..12).map(|row| format!("task,{},0.002,{},0.001", row % 2, (row + 1) % 2));
        let lines = std::iter::once(header).chain(rows).enumerate();
        let text: Vec<String> = lines.map(|(line, text)| edit(line, text)).collect();
        std::fs::write(folder.0.join("queries.csv"), text.join("\n") + "\n").unwrap();
        folder.embeddings(&[12, 3])
    }

    /// The stream as it should be.
    fn good() -> Self {
        Self::stream(|_, line| line)
    }

    fn embeddings(self, shape: &[u64]) -> Self {
        let file = std::fs::File::create(self.0.join("embeddings.npy")).unwrap();
        let options = npyz::WriteOptions::<f32>::new().default_dtype().shape(shape).writer(file);
        let mut writer = options.begin_nd().unwrap();
        for at in 0..shape.iter().product::<u64>() {
            writer.push(&(1.0 + (at % 5) as f32)).unwrap();
        }
        writer.finish().unwrap();
        self
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What the program says about this folder, with its name cut out.
    fn refusal(&self, arguments: &[&str]) -> String {
        let folder = self.0.to_str().unwrap();
        let message = refusal(&[&["--data", folder][..], arguments].concat());
        message.replace(&format!("{folder}/"), "").replace(folder, "DIR")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left-overs in the system's temporary folder harm nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_that_are_not_there() {
    insta::assert_snapshot!(Folder::new().refusal(&[]), @"`DIR` holds neither queries.parquet nor queries.csv");
    let folder = Folder::good();
    std::fs::remove_file(folder.0.join("embeddings.npy")).unwrap();
    insta::assert_snapshot!(folder.refusal(&[]), @"`embeddings.npy` does not exist");
    insta::assert_snapshot!(refusal(&["--splits", "no/such.csv"]), @"`no/such.csv` does not exist");
}

#[test]
fn tables_that_are_wrong_name_file_row_and_column() {
    let header = |text: &'static str| {
        Folder::stream(move |line, row| if line == 0 { text.to_owned() } else { row })
    };
    let twin = header("eval_name,a,a|total_cost,x,b|total_cost").refusal(&[]);
    insta::assert_snapshot!(twin, @"`queries.csv`: column `b|total_cost` has no twin column `b`");
    let row_4 = |text: &'static str| {
        Folder::stream(move |line, row| if line == 5 { text.to_owned() } else { row })
    };
    insta::assert_snapshot!(row_4("task,1,-0.002,0,0.001").refusal(&[]), @"`queries.csv`, row 4, column `a|total_cost`: a cost must be finite and >= 0, got -0.002");
    insta::assert_snapshot!(row_4("task,1,0.002,0,cheap").refusal(&[]), @"`queries.csv`, row 4, column `b|total_cost`: expected a number, got `cheap`");
    insta::assert_snapshot!(row_4("task,1.5,0.002,0,0.001").refusal(&[]), @"`queries.csv`, row 4, column `a`: a score must be in [0, 1], got 1.5");
}

#[test]
fn a_gap_is_history_but_cannot_be_served() {
    let folder =
        Folder::stream(|line, row| if line == 5 { "task,1,0.002,0,NaN".to_owned() } else { row });
    // Under seed 7 row 4 is served; under seed 8 it is history.
    let splits = "seed,position,index\n7,0,0\n7,1,4\n7,2,1\n8,0,0\n8,1,5\n8,2,1\n";
    let splits = folder.file("splits.csv", splits);
    let served = folder.refusal(&["--splits", &splits, "--seeds", "7"]);
    insta::assert_snapshot!(served, @"`queries.csv`, row 4, column `b|total_cost`: a served row must have every score and cost");
    let table = Table::load(&folder.0).unwrap();
    let splits = tollgate::data::Split::read_file(&splits, table.len()).unwrap();
    let options = Options { splits: Some(splits), seeds: vec![Seed(8)], ..Options::default() };
    let report = run(&table, options, &["tollgate"]);
    assert_eq!(cells(&report, "tollgate")[0].queries, 3);
}

#[test]
fn embeddings_that_do_not_fit() {
    insta::assert_snapshot!(Folder::good().embeddings(&[11, 3]).refusal(&[]), @"`embeddings.npy` has 11 embeddings, its table has 12 rows");
    insta::assert_snapshot!(Folder::good().embeddings(&[36]).refusal(&[]), @"`embeddings.npy` must have the shape (rows, dimension), dimension > 0, got [36]");
    insta::assert_snapshot!(Folder::good().embeddings(&[12, 0]).refusal(&[]), @"`embeddings.npy` must have the shape (rows, dimension), dimension > 0, got [12, 0]");

    let table = Table::embedded();
    let router = Router::builder()
        .history(table.history(&(0..100).collect::<Vec<_>>()).unwrap())
        .estimator(Auto::default())
        .policy(presets::tollgate())
        .budget(Budget::pooled(0.1).horizon(10))
        .build()
        .unwrap();
    let refused = router.route(&Request::new(&[1.0, 0.0])).unwrap_err();
    insta::assert_snapshot!(refused, @"the embedding has 2 dimensions, the history 40");
    let mut one = EstimateTable::zeros(1, table.models().len());
    let query = Query::new(&[0.0; 40]);
    let zero =
        one.fill(|out| router.estimator().estimate_into(query, &mut Scratch::default(), out));
    insta::assert_snapshot!(zero.unwrap_err(), @"the embedding is the zero vector");
}

#[test]
fn sizes_and_amounts_out_of_range() {
    insta::assert_snapshot!(Folder::good().refusal(&["--queries", "12"]), @"`queries` must be >= 1 and less than the rows, so that a history is left, got 12");
    insta::assert_snapshot!(refusal(&["--queries", "4000"]), @"`queries` must be >= 1 and less than the rows, so that a history is left, got 4000");
    insta::assert_snapshot!(refusal(&["--queries", "0"]), @"`queries` must be >= 1 and less than the rows, so that a history is left, got 0");
    insta::assert_snapshot!(refusal(&["--budget=-1"]), @"`budget` must be finite and >= 0, got -1");
    insta::assert_snapshot!(refusal(&["--budget", "nan"]), @"`budget` must be finite and >= 0, got NaN");
    insta::assert_snapshot!(refusal(&["--model-fraction", "0"]), @"`model-fraction` must be in (0, 1], got 0");
}

#[test]
fn names_that_nothing_answers_to_list_those_there_are() {
    insta::assert_snapshot!(refusal(&["--policy", "prot"]), @"no policy is called `prot`; there are random, round-robin, balance, shortest-wait, fixed, greedy-perf, greedy-cost, greedy-density, knn-perf, knn-cost, trained-perf, trained-cost, eagle, threshold, exp-threshold, batch-split, batch-paced, port-reference, port, geometric, descent, hybrid, resolve, history, history-resolve, window-resolve, explore, floor, floor-batch, tollgate");
    insta::assert_snapshot!(refusal(&["--estimator", "knm"]), @"no estimator is called `knm`; there are knn, ridge, kernel-ridge, trained, eagle, clusters, learned-map, factors, random-slopes, ensemble, refit, blend, eccos-r, eccos-t, hybrid-predictor, auto");
    insta::assert_snapshot!(refusal(&["--solver", "simplexx"]), @"no solver is called `simplexx`; there are auto, simplex, cutting-plane, subgradient, primal-dual, smoothed-lbfgs, lagrangian, lagrangian-published");
    insta::assert_snapshot!(refusal(&["--order", "backwards"]), @"error: invalid value 'backwards' for '--order <NAME>': no order is called `backwards`; there are split, as-given, shuffled, ascending-density, descending-density, expensive-first, cheap-first, noisy-drift");
    insta::assert_snapshot!(refusal(&["--split", "extreme:0"]), @"error: invalid value 'extreme:0' for '--split <SPLIT>': no budget split is called `extreme:0`; there are weighted, cost, perf, uniform, random and extreme:h with h >= 1");
    insta::assert_snapshot!(refusal(&["--models", "claude-v2,gpt-9"]), @"`embedded` has no model `gpt-9`; it has WizardLM/WizardLM-13B-V1.2, claude-instant-v1, claude-v1, claude-v2, gpt-3.5-turbo-1106, gpt-4-1106-preview, meta/code-llama-instruct-34b-chat, meta/llama-2-70b-chat, mistralai/mistral-7b-chat, mistralai/mixtral-8x7b-chat, zero-one-ai/Yi-34B-Chat");
    insta::assert_snapshot!(refusal(&["--task", "law"]), @"`embedded` has no task `law`; it has synthetic-arithmetic, synthetic-code, synthetic-commonsense, synthetic-dialogue, synthetic-law, synthetic-reading, synthetic-science, synthetic-translation");
}

#[test]
fn parameters_that_a_name_does_not_take() {
    insta::assert_snapshot!(refusal(&["--policy", "port:epsilon=0.1"]), @"policy `port`: unknown field `epsilon`, expected one of `eps`, `alpha`, `objective`, `prices`");
    insta::assert_snapshot!(refusal(&["--policy", "port:eps=2"]), @"policy `port`: `eps` must be in (0, 1], got 2");
    insta::assert_snapshot!(refusal(&["--policy", "random:k=5"]), @"policy `random`: unknown field `k`, there are no fields");
    insta::assert_snapshot!(refusal(&["--policy", "port:eps"]), @"error: invalid value 'port:eps' for '--policy <SPEC>': `port:eps` is not NAME[:key=value,...]: a parameter has no `=`");
}

#[test]
fn seeds_and_splits_that_cannot_be_meant() {
    insta::assert_snapshot!(refusal(&["--seeds", "1,2..4,3"]), @"seed 3 is given twice in --seeds");
    insta::assert_snapshot!(refusal(&["--seeds", "4..2"]), @"`4..2` in --seeds is an empty range");
    insta::assert_snapshot!(refusal(&["--seeds", "one"]), @"`one` in --seeds is not a number: invalid digit found in string");
    let folder = Folder::good();
    let splits = folder.file("splits.csv", "seed,position,index\n7,0,0\n7,1,1\n");
    insta::assert_snapshot!(folder.refusal(&["--splits", &splits, "--seeds", "8"]), @"the splits file has no seed 8");
    let both = folder.refusal(&["--splits", &splits, "--seeds", "7", "--task", "task"]);
    insta::assert_snapshot!(both, @"a splits file names rows of the whole table, and can't be combined with a task");
}

fn run(table: &Table, options: Options, policies: &[&str]) -> Report {
    let experiment = Experiment::new("stream", table, options, compositions(policies)).unwrap();
    experiment.run(&Silent).unwrap()
}

fn run_all(options: Options) -> Report {
    let policies: Vec<&str> = POLICIES.iter().map(|preset| preset.name).collect();
    run(&Table::embedded(), options, &policies)
}

/// A few arrivals.
fn few(queries: usize) -> Options {
    Options { queries: Some(queries), seeds: vec![Seed(42)], ..Options::default() }
}

/// Whatever happens to a query, it happens once; no total is overspent, no bound passed.
fn check(report: &Report) {
    let scenario = Scenario::prepare(&narrowed(report), &report.options, Seed(42)).unwrap();
    let total: f64 = scenario.budgets().rows().iter().map(|row| row.capacity).sum();
    for (entrant, cells) in &report.entrants {
        for cell in cells {
            let (queries, m) = (cell.queries as u64, cell.metrics);
            let fates = m.served + m.declined + m.lost + m.unaffordable;
            assert_eq!(fates, queries, "{}: each query has one fate", entrant.policy);
            // The ledger rounds each cost to 10^-12 USD.
            let slack = 1e-12 * (queries + 1) as f64;
            assert!(m.cost <= total + slack, "{}: {} of {total} USD", entrant.policy, m.cost);
            let bound = cell.lp_bound;
            assert!(m.performance <= bound + 1e-6, "{}: above the bound", entrant.policy);
        }
    }
}

/// The embedded stream with the models of the report.
fn narrowed(report: &Report) -> Table {
    let table = Table::embedded();
    match &report.options.subset.models {
        None => table,
        Some(models) => {
            table.select_models(&models.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
        }
    }
}

#[test]
fn without_a_budget_nothing_is_served() {
    let report = run_all(Options { budget: 0.0, ..few(200) });
    check(&report);
    for (entrant, cells) in &report.entrants {
        for cell in cells {
            assert_eq!((cell.metrics.served, cell.rp), (0, None), "{}", entrant.policy);
            assert!(cell.metrics.performance == 0.0 && cell.lp_bound.abs() < 1e-9);
        }
    }
    for cell in cells(&report, "tollgate") {
        assert_eq!(cell.metrics.lost, 0, "it knows that nothing is left");
    }
    // An RP of nothing is undefined: a dash in the table, an empty field in the file.
    let table = report.table("port-reference");
    let line = table.lines().find(|line| line.starts_with("port ")).unwrap();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    insta::assert_snapshot!(line, @"port knn(k=5) 0.0 0.0000 - 0 - +0.0");
    let csv = report.csv().unwrap();
    let line = csv.lines().find(|line| line.starts_with("port,")).unwrap();
    insta::assert_snapshot!(line, @"port,knn(k=5),auto,stream,42,200,0,weighted,split,0,0,,0,,0.0000000000000007645399465032328");
}

#[test]
fn with_budget_for_everything_nothing_is_lost() {
    let report = run_all(Options { budget: 1e4, ..few(200) });
    check(&report);
    for (entrant, cells) in &report.entrants {
        for cell in cells {
            let metrics = cell.metrics;
            assert_eq!((metrics.lost, metrics.unaffordable), (0, 0), "{}", entrant.policy);
        }
    }
    // Without prices the approximate optimum is greedy too, up to ties between estimates.
    for cell in cells(&report, "greedy-perf") {
        assert_eq!(cell.metrics.served, 200);
        assert!((cell.rp.unwrap() - 100.0).abs() < 5.0, "RP {:?}", cell.rp);
    }
}

#[test]
fn one_model_is_enough() {
    let models = Some(vec!["gpt-4-1106-preview".to_owned()]);
    let subset = Subset { models, ..Subset::default() };
    // A little more than it costs to serve everything.
    let report = run_all(Options { subset, budget: 1.001, ..few(200) });
    check(&report);
    for policy in [
        "random",
        "greedy-perf",
        "greedy-cost",
        "knn-perf",
        "knn-cost",
        "trained-perf",
        "trained-cost",
    ] {
        for (cell, all) in cells(&report, policy).iter().zip(cells(&report, "optimum")) {
            assert_eq!(cell.metrics.served, 200, "{policy}");
            assert!((cell.metrics.performance - all.metrics.performance).abs() < 1e-9, "{policy}");
        }
    }
}

#[test]
fn one_query_is_enough() {
    let report = run_all(few(1));
    check(&report);
    // The cheapest model's cost, split over eleven, pays for no model.
    for (entrant, cells) in &report.entrants {
        assert!(cells.iter().all(|cell| cell.metrics.served == 0), "{}", entrant.policy);
    }
    let report = run_all(Options { budget: 1e3, ..few(1) });
    check(&report);
    for cell in cells(&report, "greedy-perf") {
        assert_eq!(cell.metrics.served, 1);
    }
}
