//! Who takes part.

use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use cpu_time::ThreadTime;
use rayon::ThreadPoolBuilder;
use tollgate::core::{FitError, History, Queries, Scratch, Seed};
use tollgate::estimators::{ExactScan, HnswConfig, Index, KdTree, LshConfig, RowSets};

use super::super::memory;
use super::plain::PlainScan;
use super::{K, Points, micros};

/// Something that finds neighbors: one of ours, or another program's.
pub(super) trait Contender {
    fn label(&self) -> &str;

    /// Builds it anew.
    fn build(&mut self) -> Result<Built>;

    /// Answers a block of queries, as many of them as the turn is long for.
    fn search(&mut self, block: Range<usize>, turn: Duration) -> Result<Vec<Answer>>;
}

/// A build.
#[derive(Clone, Copy, Debug)]
pub(super) struct Built {
    /// Of the thread that built, not of the clock on the wall.
    pub(super) seconds: f64,
    pub(super) bytes: usize,
}

/// One query.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) micros: f64,
    pub(super) rows: Vec<u32>,
}

/// An index of ours.
pub(super) struct Recipe {
    pub(super) label: &'static str,
    /// By blocks, not query by query.
    batched: bool,
    make: fn(&History) -> Result<Box<dyn Index>, FitError>,
}

pub(super) const PLAIN: &str = "plain f32 scan";
pub(super) const SCAN: &str = "scan";
pub(super) const BATCHED: &str = "scan, 256 at once";
pub(super) const HNSW: &str = "hnsw";
pub(super) const LSH: &str = "lsh";

/// Every index of ours, in the order of the table. The first is the yardstick.
pub(super) const OURS: &[Recipe] = &[
    one(PLAIN, |history| Ok(Box::new(PlainScan::new(history)))),
    one(SCAN, |history| Ok(Box::new(ExactScan::new(history)?))),
    batched(BATCHED, |history| Ok(Box::new(ExactScan::new(history)?))),
    one("kd-tree", |history| Ok(Box::new(KdTree::new(history)?))),
    one(LSH, |history| Ok(Box::new(LshConfig::default().build()?.index(history, Seed(1))?))),
    one(HNSW, |history| Ok(Box::new(HnswConfig::default().build()?.index(history, Seed(1))?))),
];

const fn one(
    label: &'static str,
    make: fn(&History) -> Result<Box<dyn Index>, FitError>,
) -> Recipe {
    Recipe { label, batched: false, make }
}

const fn batched(
    label: &'static str,
    make: fn(&History) -> Result<Box<dyn Index>, FitError>,
) -> Recipe {
    Recipe { label, batched: true, make }
}

/// One of [`OURS`] on a set of points.
pub(super) struct Ours<'a> {
    recipe: &'a Recipe,
    points: &'a Points,
    index: Option<Box<dyn Index>>,
    sets: RowSets,
    scratch: Scratch,
}

impl<'a> Ours<'a> {
    pub(super) fn boxed(recipe: &'a Recipe, points: &'a Points) -> Box<dyn Contender + 'a> {
        let (sets, scratch) = (RowSets::all(), Scratch::default());
        Box::new(Self { recipe, points, index: None, sets, scratch })
    }
}

impl Contender for Ours<'_> {
    fn label(&self) -> &str {
        self.recipe.label
    }

    fn build(&mut self) -> Result<Built> {
        self.index = None;
        let before = memory::held();
        let Recipe { make, .. } = self.recipe;
        let history = &self.points.history;
        // A thread of its own that is waited for: what the build leaves in thread-local
        // buffers is freed before anybody looks at the memory.
        let (index, seconds) = thread::scope(|scope| {
            let work = || -> Result<_> {
                let one = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build()?;
                let start = ThreadTime::now();
                let index = one.install(|| make(history))?;
                Ok((index, start.elapsed().as_secs_f64()))
            };
            scope.spawn(work).join().map_err(|_panic| anyhow!("the build has panicked"))?
        })?;
        let bytes = memory::held().saturating_sub(before);
        self.index = Some(index);
        Ok(Built { seconds, bytes })
    }

    fn search(&mut self, block: Range<usize>, turn: Duration) -> Result<Vec<Answer>> {
        let Self { recipe, points, index, sets, scratch } = self;
        let index = index.as_ref().context("it is built before it is searched")?;
        let rows = |scratch: &mut Scratch| {
            scratch.child(0).scored.iter().map(|&(_, row)| row).collect::<Vec<_>>()
        };
        let (queries, begun) = (points.queries(), Instant::now());
        let mut answers = Vec::with_capacity(block.len());
        if recipe.batched {
            let embeddings =
                &queries.embeddings[block.start * queries.dim..block.end * queries.dim];
            let queries = Queries::new(embeddings, queries.dim);
            index.nearest_block(queries, K, sets, None, scratch)?;
            let micros = micros(begun) / block.len() as f64;
            for at in 0..block.len() {
                answers.push(Answer { micros, rows: rows(scratch.child(at)) });
            }
            return Ok(answers);
        }
        for at in block {
            let start = Instant::now();
            index.nearest_into(queries.query(at), K, sets, None, scratch)?;
            answers.push(Answer { micros: micros(start), rows: rows(scratch) });
            if begun.elapsed() > turn {
                break;
            }
        }
        Ok(answers)
    }
}
