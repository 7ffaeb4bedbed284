//! How well the hybrid predictor knows lengths of answers, and whether costs are better estimated
//! through them.
//!
//! ```text
//! cargo run --release -p tollgate-lab --example lengths -- \
//!     --data DIR [--stream NAME] [--prices FILE] [--seeds N] [SPEC]...
//! ```
//!
//! The stream `DIR/NAME` (`zeroeval` by default) has a column of prompts, and FILE is the price
//! list its costs were made with (`DIR/NAME/models.csv` by default). For each of the seeds `0..N`
//! (five by default) 70 % of its rows, drawn at random, are the history, and the rest are
//! predicted by each SPEC (the three of the hybrid predictor by default): directly, and through
//! lengths in every mode. Printed are means over the seeds of
//!
//! * `fixed` and `+-1`: the share of answers whose predicted length is in the right bucket, and
//!   in the right one or next to it, of ten over 1,024 tokens; longer answers are in the last;
//! * `quantile` and `+-1`: the same for ten buckets that each model's answers in the history fill
//!   equally;
//! * `|rel|`: the mean over all answers of `|expected - real| / real` cost;
//! * `cost`: squared error of the cost over that of the model's mean cost in the history, the mean
//!   over models: 1 for one who knows the means only;
//! * `score`: squared error of the score, the mean over all answers;
//! * seconds to fit.
//!
//! The predicted length is what the expected cost buys after the prompt has been paid for, so that
//! those who estimate costs directly can be asked too. The first line expects the model's means.

#![expect(clippy::print_stdout, reason = "its output")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use tollgate::core::{EstimateTable, History, PriceList, Scratch, Seed};
use tollgate::data::{Split, Table, read_price_list};
use tollgate::estimators::LengthBuckets;
use tollgate::{Spec, registry};

/// Share of the rows that is predicted, in per cent.
const PREDICTED: usize = 30;

const BUCKETS: usize = 10;

/// Where fixed buckets end, in tokens.
const END: f64 = 1024.0;

const MODES: [&str; 4] = ["direct", "continuous", "quantile-buckets", "fixed-buckets"];

/// What is printed of one line.
type Measures = [f64; 8];

/// The rows that are predicted, and what is known of lengths beforehand.
struct Trial<'a> {
    prices: &'a PriceList,
    history: History,
    truth: History,
    /// By model: fixed, quantile.
    buckets: Vec<[LengthBuckets; 2]>,
    seed: Seed,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut data, mut stream, mut list) = (PathBuf::from("."), "zeroeval".to_owned(), None);
    let (mut seeds, mut specs): (_, Vec<Spec>) = (5, Vec::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("`{word}` needs a value"));
        match word.as_str() {
            "--data" => data = value()?.into(),
            "--stream" => stream = value()?,
            "--prices" => list = Some(PathBuf::from(value()?)),
            "--seeds" => seeds = value()?.parse()?,
            spec => specs.push(spec.parse()?),
        }
    }
    if specs.is_empty() {
        specs = ["eccos-r", "eccos-t", "hybrid-predictor"].map(Spec::named).to_vec();
    }
    let folder = data.join(stream);
    let table = Table::load(&folder)?;
    let prices = read_price_list(list.unwrap_or_else(|| folder.join("models.csv")))?;
    let prices = prices.select(table.models())?;
    println!("{} prompts, {} models, {seeds} seeds", table.len(), table.models().len());
    println!(
        "{:<42} fixed    +-1  quantile  +-1    |rel|    cost   score   fit s",
        "recipe, lengths"
    );
    let lines = specs.iter().flat_map(|spec| MODES.map(|mode| (spec, mode)));
    let mut sums = vec![[0.0; 8]; 1 + specs.len() * MODES.len()];
    for seed in (0..seeds).map(Seed) {
        let trial = Trial::new(&table, &prices, seed)?;
        add(&mut sums[0], trial.measures(&trial.means(), 0.0));
        for (sum, (spec, mode)) in sums[1..].iter_mut().zip(lines.clone()) {
            let (expected, seconds) = trial.predict(spec, mode)?;
            add(sum, trial.measures(&expected, seconds));
        }
    }
    let names = lines.map(|(spec, mode)| format!("{spec}, {mode}"));
    for (name, sum) in std::iter::once("the model's means".to_owned()).chain(names).zip(&sums) {
        let [fixed, fixed_1, quantile, quantile_1, relative, cost, score, seconds] =
            sum.map(|sum| sum / seeds as f64);
        println!(
            "{name:<42} {fixed:.3}  {fixed_1:.3}    {quantile:.3}  {quantile_1:.3}  \
             {relative:.4}  {cost:.4}  {score:.4}  {seconds:6.2}"
        );
    }
    Ok(())
}

fn add(sum: &mut Measures, measures: Measures) {
    sum.iter_mut().zip(measures).for_each(|(sum, measure)| *sum += measure);
}

impl<'a> Trial<'a> {
    fn new(table: &Table, prices: &'a PriceList, seed: Seed) -> Result<Self, Box<dyn Error>> {
        let split = Split::random(table.len(), table.len() * PREDICTED / 100, seed)?;
        let (history, truth) = (table.history(&split.history)?, table.history(&split.stream)?);
        let buckets = lengths(prices, &history)?
            .iter()
            .map(|lengths| {
                let fixed = LengthBuckets::fixed(lengths, BUCKETS, END)?;
                Ok([fixed, LengthBuckets::quantiles(lengths, BUCKETS)?])
            })
            .collect::<Result<_, Box<dyn Error>>>()?;
        Ok(Self { prices, history, truth, buckets, seed })
    }

    /// Expects of every answer what the model's were in the history.
    fn means(&self) -> EstimateTable {
        let n_models = self.truth.models().len();
        let mut table = EstimateTable::zeros(self.truth.len(), n_models);
        table.fill(|out| {
            for model in 0..n_models {
                let [quality, cost] = [self.history.quality(), self.history.cost()]
                    .map(|of| mean(of, n_models, model));
                for at in (model..out.cost.len()).step_by(n_models) {
                    (out.quality[at], out.cost[at]) = (quality, cost);
                }
            }
        });
        table
    }

    /// The estimates of a recipe, and the seconds its fit took.
    fn predict(&self, spec: &Spec, mode: &str) -> Result<(EstimateTable, f64), Box<dyn Error>> {
        let recipe = if mode == MODES[0] {
            registry::estimator(spec)?
        } else {
            let mut spec = spec.clone();
            spec.params.insert("lengths".to_owned(), mode.to_owned());
            registry::estimator_with(&spec, Some(self.prices))?
        };
        let start = Instant::now();
        let estimator = recipe.fit(&self.history, self.seed)?;
        let seconds = start.elapsed().as_secs_f64();
        let mut table = EstimateTable::zeros(self.truth.len(), self.truth.models().len());
        let queries = self.truth.queries();
        table.fill(|out| estimator.estimate_batch(queries, &mut Scratch::default(), out))?;
        Ok((table, seconds))
    }

    fn measures(&self, expected: &EstimateTable, seconds: f64) -> Measures {
        let n_models = self.truth.models().len();
        let (mut in_bucket, mut relative, mut cost, mut score) = ([0.0; 4], 0.0, 0.0, 0.0);
        for model in 0..n_models {
            let cells = (model..self.truth.cost().len()).step_by(n_models);
            let cells: Vec<usize> = cells.filter(|&at| !self.truth.cost()[at].is_nan()).collect();
            let mean = |of: &dyn Fn(usize) -> f64| {
                cells.iter().map(|&at| of(at)).sum::<f64>() / cells.len() as f64
            };
            let off = |at: usize| expected.cost()[at] - self.truth.cost()[at];
            let known = self::mean(self.history.cost(), n_models, model);
            relative += mean(&|at| off(at).abs() / self.truth.cost()[at]);
            cost +=
                mean(&|at| off(at).powi(2)) / mean(&|at| (known - self.truth.cost()[at]).powi(2));
            score += mean(&|at| (expected.quality()[at] - self.truth.quality()[at]).powi(2));
            let tokens = self.truth.queries().input_tokens.unwrap_or_default();
            let length = |costs: &[f64]| -> Vec<f64> {
                let length = |&at: &usize| {
                    self.prices.output_tokens(model, tokens[at / n_models], costs[at])
                };
                cells.iter().map(|at| length(at).unwrap_or(f64::NAN)).collect()
            };
            let (predicted, real) = (length(expected.cost()), length(self.truth.cost()));
            for (kind, buckets) in self.buckets[model].iter().enumerate() {
                let shares = buckets.accuracy(&predicted, &real).unwrap_or([f64::NAN; 2]);
                in_bucket[2 * kind] += shares[0];
                in_bucket[2 * kind + 1] += shares[1];
            }
        }
        let [fixed, fixed_1, quantile, quantile_1] = in_bucket.map(|sum| sum / n_models as f64);
        let [relative, cost, score] = [relative, cost, score].map(|sum| sum / n_models as f64);
        [fixed, fixed_1, quantile, quantile_1, relative, cost, score, seconds]
    }
}

/// The lengths of each model's answers.
fn lengths(prices: &PriceList, history: &History) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    let n_models = history.models().len();
    let tokens = history.input_tokens().ok_or("the stream has no column of prompts")?;
    let of = |model: usize| {
        let cells = history.cost().iter().skip(model).step_by(n_models).zip(tokens.iter());
        let length = |(&cost, &tokens): (&f64, &f64)| prices.output_tokens(model, tokens, cost);
        cells.map(length).map(|length| length.unwrap_or(f64::NAN)).collect()
    };
    Ok((0..n_models).map(of).collect())
}

/// The mean of a model's labels.
fn mean(labels: &[f64], n_models: usize, model: usize) -> f64 {
    let labels = labels.iter().skip(model).step_by(n_models).filter(|label| !label.is_nan());
    let (sum, count) = labels.fold((0.0, 0.0), |(sum, count), label| (sum + label, count + 1.0));
    sum / count
}
