//! hnswlib and faiss, in a Python process.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::super::python::{Pipe, hand_over};
use super::contenders::{Answer, Built, Contender};
use super::{K, Points};
use crate::book;

pub(super) const HNSWLIB: &str = "hnswlib";
pub(super) const FLAT: &str = "faiss flat";
pub(super) const FLAT_BATCHED: &str = "faiss flat, 256";
const FAISS_HNSW: &str = "faiss hnsw";

/// Every index of theirs, in the order of the table.
const THEIRS: &[&str] = &[HNSWLIB, FLAT, FLAT_BATCHED, FAISS_HNSW];

const SCRIPT: &str = "xtask/compare/index.py";

/// The process.
pub(super) struct Python {
    pipe: Rc<RefCell<Pipe>>,
    /// What it can build.
    offers: Vec<String>,
    note: String,
}

impl Python {
    /// `None`, and a line that says why, where the packages cannot be had.
    pub(super) fn start() -> Result<Option<Self>> {
        let mut python = None;
        // hnswlib is built from source, which takes a compiler: the others go without it.
        for packages in [&["numpy", "faiss-cpu"][..], &["hnswlib"]] {
            match book::install(packages) {
                Ok(program) => python = Some(program),
                Err(error) => println!("skipped {}: {error:#}", packages.join(", ")),
            }
        }
        let Some(python) = python else { return Ok(None) };
        let mut pipe = Pipe::open(&python, SCRIPT)?;
        let hello = pipe.ask(&json!({ "do": "hello" }))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let offers = hello["offers"].as_array().context("no offers")?.iter().map(text).collect();
        let note = text(&hello["note"]);
        Ok(Some(Self { pipe: Rc::new(RefCell::new(pipe)), offers, note }))
    }

    /// Versions, and what a call from Python takes by itself.
    pub(super) fn note(&self) -> &str {
        &self.note
    }
}

/// Hands over the points, and names who searches them.
pub(super) fn theirs<'a>(
    python: Option<&Python>,
    points: &Points,
) -> Result<Vec<Box<dyn Contender + 'a>>> {
    let Some(Python { pipe, offers, .. }) = python else { return Ok(Vec::new()) };
    let write = |name: &str, values: &[f32]| {
        hand_over(name, values.iter().map(|value| value.to_le_bytes()))
    };
    pipe.borrow_mut().ask(&json!({
        "do": "load",
        "rows": write("rows.f32", points.history.embeddings())?,
        "queries": write("queries.f32", &points.queries)?,
        "dim": points.history.dim(),
    }))?;
    let offered = THEIRS.iter().filter(|name| offers.iter().any(|offer| offer == *name));
    Ok(offered
        .map(|name| Box::new(Foreign { name, pipe: Rc::clone(pipe) }) as Box<dyn Contender>)
        .collect())
}

/// One of [`THEIRS`].
struct Foreign {
    name: &'static str,
    pipe: Rc<RefCell<Pipe>>,
}

impl Contender for Foreign {
    fn label(&self) -> &str {
        self.name
    }

    fn build(&mut self) -> Result<Built> {
        let answer = self.pipe.borrow_mut().ask(&json!({ "do": "build", "index": self.name }))?;
        let seconds = answer["seconds"].as_f64().context("no seconds")?;
        let bytes = answer["bytes"].as_u64().context("no bytes")?;
        Ok(Built { seconds, bytes: usize::try_from(bytes)? })
    }

    fn search(&mut self, block: Range<usize>, turn: Duration) -> Result<Vec<Answer>> {
        let answer = self.pipe.borrow_mut().ask(&json!({
            "do": "search",
            "index": self.name,
            "from": block.start,
            "to": block.end,
            "k": K,
            "turn": turn.as_secs_f64(),
        }))?;
        let micros: Vec<f64> = serde_json::from_value(answer["micros"].clone())?;
        let found: Vec<Vec<u32>> = serde_json::from_value(answer["found"].clone())?;
        let pairs = micros.into_iter().zip(found);
        Ok(pairs.map(|(micros, rows)| Answer { micros, rows }).collect())
    }
}
