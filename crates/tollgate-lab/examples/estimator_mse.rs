//! How well recipes predict prompts that they have not seen.
//!
//! ```text
//! cargo run --release -p tollgate-lab --example estimator_mse -- \
//!     --data DIR [--stream NAME]... [--seeds N] [--rows N] [SPEC]...
//! ```
//!
//! Every folder `DIR/NAME` is a stream (by default the three real ones). For each of the
//! seeds `0..N` (ten by default) 70 % of its rows, drawn at random, are the history, and
//! the rest are predicted. Printed are, for each recipe, means over the seeds of
//!
//! * `score`: squared error of the score, the mean over all options that have a label;
//! * `cost`: squared error of the cost over that of the model's mean cost, the mean over
//!   models: 1 for one who knows the means only;
//! * `relative`: squared error of the cost over the square of what the task mean expects,
//!   the mean over all options: large and small costs count the same;
//! * `covered`: share of the bins of at least 200 prompts whose mean score lies in the 90 %
//!   interval of their estimates;
//! * seconds to fit, and microseconds a query, in a batch on all threads.
//!
//! Two lines are for comparison: the mean of the model's labels, and the mean of its
//! labels on the prompt's own task, of which an estimator is not told.

#![expect(clippy::print_stdout, reason = "its output")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use tollgate::core::{EstimateTable, Scratch, Seed};
use tollgate::data::{Split, Table};
use tollgate::estimators::coverage;
use tollgate::{Spec, registry};

/// Share of the rows that is predicted, in per cent.
const PREDICTED: usize = 30;

/// Scores and costs, row-major `(rows, n_models)`.
struct Labels {
    quality: Vec<f64>,
    cost: Vec<f64>,
}

#[derive(Clone, Default)]
struct Sums {
    score: f64,
    cost: f64,
    relative: f64,
    fit_s: f64,
    query_us: f64,
    covered: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut data, mut streams, mut specs) = (PathBuf::from("."), Vec::new(), Vec::new());
    let (mut seeds, mut rows) = (10, usize::MAX);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("`{word}` needs a value"));
        match word.as_str() {
            "--data" => data = value()?.into(),
            "--stream" => streams.push(value()?),
            "--seeds" => seeds = value()?.parse()?,
            "--rows" => rows = value()?.parse()?,
            spec => specs.push(spec.parse()?),
        }
    }
    if streams.is_empty() {
        streams = ["routerbench", "zeroeval", "routellm"].map(str::to_owned).to_vec();
    }
    for stream in streams {
        let table = Table::load(data.join(&stream))?;
        let table = table.select_rows(&(0..table.len().min(rows)).collect::<Vec<_>>())?;
        println!("{stream}: {} prompts, {} models", table.len(), table.models().len());
        report(&table, seeds, &specs)?;
    }
    Ok(())
}

fn report(table: &Table, seeds: u64, specs: &[Spec]) -> Result<(), Box<dyn Error>> {
    let mut lines = vec![Sums::default(); specs.len() + 2];
    for seed in (0..seeds).map(Seed) {
        let split = Split::random(table.len(), table.len() * PREDICTED / 100, seed)?;
        let truth = labels(table, &split.stream);
        let [overall, by_task] = [false, true].map(|by_task| means(table, &split, by_task));
        lines[0].add(&overall, &truth, &overall, &by_task, table.models().len());
        lines[1].add(&by_task, &truth, &overall, &by_task, table.models().len());
        for (line, spec) in lines[2..].iter_mut().zip(specs) {
            let predicted = predict(table, &split, spec, seed, line)?;
            line.add(&predicted, &truth, &overall, &by_task, table.models().len());
        }
    }
    println!("  {:<60} score    cost   relative  covered   fit s   us/query", "");
    let names = ["train mean".to_owned(), "task mean".to_owned()].into_iter();
    for (name, line) in names.chain(specs.iter().map(Spec::to_string)).zip(&lines) {
        let [score, cost, relative, covered, fit, query] =
            [line.score, line.cost, line.relative, line.covered, line.fit_s, line.query_us]
                .map(|sum| sum / seeds as f64);
        println!(
            "  {name:<60} {score:.4}   {cost:.4}  {relative:.4}   {covered:.3}   {fit:7.3}  {query:7.1}"
        );
    }
    Ok(())
}

impl Sums {
    fn add(
        &mut self,
        predicted: &Labels,
        truth: &Labels,
        overall: &Labels,
        by_task: &Labels,
        n_models: usize,
    ) {
        let (mut score, mut relative, mut count) = (0.0, 0.0, 0.0);
        let (mut errors, mut spreads) = (vec![0.0; n_models], vec![0.0; n_models]);
        for (at, &cost) in truth.cost.iter().enumerate().filter(|(_, cost)| !cost.is_nan()) {
            let error = (predicted.cost[at] - cost).powi(2);
            errors[at % n_models] += error;
            spreads[at % n_models] += (overall.cost[at] - cost).powi(2);
            relative += error / by_task.cost[at].powi(2);
            score += (predicted.quality[at] - truth.quality[at]).powi(2);
            count += 1.0;
        }
        let ratios = errors.iter().zip(&spreads).map(|(error, spread)| error / spread);
        self.score += score / count;
        self.cost += ratios.sum::<f64>() / n_models as f64;
        self.relative += relative / count;
    }
}

fn predict(
    table: &Table,
    split: &Split,
    spec: &Spec,
    seed: Seed,
    line: &mut Sums,
) -> Result<Labels, Box<dyn Error>> {
    let recipe = registry::estimator(spec)?;
    let history = table.history(&split.history)?;
    let test = table.select_rows(&split.stream)?;
    let start = Instant::now();
    let estimator = recipe.fit(&history, seed)?;
    line.fit_s += start.elapsed().as_secs_f64();
    let queries = test.queries();
    let mut estimates = EstimateTable::zeros(queries.len(), table.models().len());
    let start = Instant::now();
    estimates.fill(|out| estimator.estimate_batch(queries, &mut Scratch::default(), out))?;
    line.query_us += start.elapsed().as_secs_f64() * 1e6 / queries.len() as f64;
    line.covered += coverage(&estimates, &table.history(&split.stream)?).unwrap_or(f64::NAN);
    Ok(Labels { quality: estimates.quality().to_vec(), cost: estimates.cost().to_vec() })
}

fn labels(table: &Table, rows: &[usize]) -> Labels {
    let n_models = table.models().len();
    let pick = |from: &[f64]| -> Vec<f64> {
        rows.iter().flat_map(|&r| &from[r * n_models..(r + 1) * n_models]).copied().collect()
    };
    Labels { quality: pick(table.quality()), cost: pick(table.cost()) }
}

/// For every prompt of the stream, each model's means over the history, or over those of
/// its prompts that are of the same task; where there are none, over all.
fn means(table: &Table, split: &Split, by_task: bool) -> Labels {
    let n_models = table.models().len();
    let group = |row: usize| if by_task { 1 + table.tasks()[row] as usize } else { 0 };
    let mut sums = vec![[0.0; 3]; (1 + table.task_names().len()) * n_models];
    for &row in &split.history {
        for model in 0..n_models {
            let (quality, cost) =
                (table.quality()[row * n_models + model], table.cost()[row * n_models + model]);
            if quality.is_nan() {
                continue;
            }
            let groups = if by_task { vec![0, group(row)] } else { vec![0] };
            for group in groups {
                let sum = &mut sums[group * n_models + model];
                *sum = [sum[0] + quality, sum[1] + cost, sum[2] + 1.0];
            }
        }
    }
    let cells = split.stream.iter().flat_map(|&row| (0..n_models).map(move |model| (row, model)));
    let (quality, cost) = cells
        .map(|(row, model)| {
            let own = sums[group(row) * n_models + model];
            let [quality, cost, count] = if own[2] > 0.0 { own } else { sums[model] };
            (quality / count, cost / count)
        })
        .unzip();
    Labels { quality, cost }
}
