//! The published reference's decision, restated in Python: what ours are compared with.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::super::python::{Pipe, hand_over};
use super::super::quantile;
use super::{N_MODELS, World};
use crate::book;

const SCRIPT: &str = "xtask/compare/route.py";

/// Queries at a time: one, and as many as the published runs take together.
const BLOCKS: [usize; 2] = [1, 256];

/// Blocks that are one decision may round otherwise than decisions by themselves, and so
/// break a tie otherwise; no more than this share of them.
const TIES: f64 = 0.01;

/// Microseconds of every query, the least of the turns.
#[derive(Debug, Default)]
pub(super) struct Times {
    pub(super) whole: Vec<f64>,
    pub(super) estimate: Vec<f64>,
    pub(super) rank: Vec<f64>,
}

impl Times {
    fn take(&mut self, [search, mean, choice]: [f64; 3], at: usize) {
        let all = [&mut self.whole, &mut self.estimate, &mut self.rank];
        for (all, value) in all.into_iter().zip([search + mean + choice, search + mean, choice]) {
            if all.len() <= at {
                all.resize(at + 1, f64::INFINITY);
            }
            all[at] = all[at].min(value);
        }
    }

    /// A line of the table.
    fn show(&self, block: usize) -> String {
        let name = match block {
            1 => "published".to_owned(),
            _ => format!("published, {block} at once"),
        };
        let median = |values: &[f64]| quantile(values, 0.5);
        format!(
            "{name:<24} {:>8.2} {:>8.2} {:>10.2} {:>7.2}",
            median(&self.whole),
            quantile(&self.whole, 0.99),
            median(&self.estimate),
            median(&self.rank),
        )
    }
}

/// The process, and its times so far.
pub(super) struct Published {
    pipe: Pipe,
    note: String,
    times: [Times; BLOCKS.len()],
}

impl Published {
    /// Hands over the history and builds the graph; `None`, and a line that says why, where
    /// the packages cannot be had.
    pub(super) fn start(world: &World) -> Result<Option<Self>> {
        let python = match book::install(&["numpy", "hnswlib"]) {
            Ok(python) => python,
            Err(error) => {
                println!("skipped the published reference: {error:#}");
                return Ok(None);
            }
        };
        let mut pipe = Pipe::open(&python, SCRIPT)?;
        let hello = pipe.ask(&json!({ "do": "hello" }))?;
        let note = hello["note"].as_str().context("no note")?.to_owned();
        let history = &world.history;
        let vectors = |name: &str, values: &[f32]| {
            hand_over(name, values.iter().map(|value| value.to_le_bytes()))
        };
        let labels = |name: &str, values: &[f64]| {
            hand_over(name, values.iter().map(|value| value.to_le_bytes()))
        };
        pipe.ask(&json!({
            "do": "build",
            "rows": vectors("rows.f32", history.embeddings())?,
            "queries": vectors("queries.f32", &world.queries)?,
            "quality": labels("quality.f64", history.quality())?,
            "cost": labels("cost.f64", history.cost())?,
            "dim": history.dim(),
            "models": N_MODELS,
        }))?;
        Ok(Some(Self { pipe, note, times: Default::default() }))
    }

    /// All queries once, one at a time and in blocks.
    pub(super) fn turn(&mut self) -> Result<()> {
        let mut chosen: Vec<Vec<usize>> = Vec::new();
        for (block, times) in BLOCKS.into_iter().zip(&mut self.times) {
            let answer = self.pipe.ask(&json!({ "do": "turn", "block": block }))?;
            let parts = |field: &str| -> Result<Value> {
                answer.get(field).cloned().with_context(|| format!("no {field}"))
            };
            let micros: Vec<[f64; 3]> = serde_json::from_value(parts("micros")?)?;
            micros.into_iter().enumerate().for_each(|(at, parts)| times.take(parts, at));
            chosen.push(serde_json::from_value(parts("models")?)?);
        }
        let others = chosen[0].iter().zip(&chosen[1]).filter(|(one, other)| one != other).count();
        ensure!(
            others as f64 <= TIES * chosen[0].len() as f64,
            "{others} of {} decisions of the reference differ from one at a time to blocks",
            chosen[0].len()
        );
        Ok(())
    }

    /// Its lines of the table, and what share of its medians ours are.
    pub(super) fn report(&self, ours: &[(String, f64)]) {
        for (block, times) in BLOCKS.into_iter().zip(&self.times) {
            println!("{}", times.show(block));
        }
        println!(
            "\npublished: k = 5 by a graph, means, argmax at given prices, restated in Python \
             ({})\nour median as a share of its own, one query at a time and {} at once:",
            self.note, BLOCKS[1]
        );
        for (name, p50) in ours {
            let [one, block] = self.times.each_ref().map(|times| p50 / quantile(&times.whole, 0.5));
            println!("{name:<24} {one:>8.2} {block:>8.2}");
        }
    }
}
