//! The options of a problem, laid out for passes: blocks of eight queries of one
//! group, model-major inside a block, so that a pass is a sequence of eight-wide
//! multiply-adds and comparisons.
#![expect(clippy::inline_always, reason = "a pass is compiled anew for each instruction set")]

use std::sync::Arc;

use pulp::{Arch, Simd, WithSimd};
use tollgate_core::{Choice, Meter, Problem};

/// Queries a block.
pub(crate) const LANES: usize = 8;
/// The query of a lane that pads its block.
pub(crate) const PADDING: u32 = u32::MAX;

/// One number a lane.
pub(crate) type Lanes = [f64; LANES];

/// Blocks of queries. Copies what it lays out and keeps the tables it came from, by
/// which it knows whether it still fits a problem.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Whose queries these are.
    of: Problem,
    tables: Vec<(Meter, Arc<[f64]>)>,
    /// Of each block.
    pub(crate) groups: Vec<u32>,
    /// Of each block, `(n_models + 1, n_tables)`; the last model is "declined": zeros.
    pub(crate) readings: Vec<Lanes>,
    /// Of each block; 0 in a padding lane.
    pub(crate) weights: Vec<Lanes>,
    /// Of each block: which queries they are.
    pub(crate) queries: Vec<[u32; LANES]>,
    n_queries: usize,
    /// The weighted sum of absolute readings of each total; empty in a subset.
    magnitudes: Vec<f64>,
}

impl Layout {
    /// Lays out the meters that the objective or a row of `problem` uses.
    pub(crate) fn new(problem: &Problem) -> Self {
        let tables = used_tables(problem);
        let mut layout = Self {
            of: problem.clone(),
            groups: Vec::new(),
            readings: Vec::new(),
            weights: Vec::new(),
            queries: Vec::new(),
            n_queries: 0,
            magnitudes: Vec::new(),
            tables,
        };
        let mut sums = vec![[0.0; LANES]; layout.n_totals()];
        let n_queries = problem.n_queries();
        layout.reserve(n_queries.div_ceil(LANES) + problem.n_groups().min(n_queries));
        let mut by_group: Vec<u32> = (0..query_number(n_queries)).collect();
        if problem.n_groups() > 1 {
            by_group.sort_by_key(|&query| problem.group(query as usize));
        }
        let group = |&query: &u32| problem.group(query as usize);
        for queries in by_group.chunk_by(|a, b| problem.n_groups() == 1 || group(a) == group(b)) {
            let weights: Vec<f64> =
                queries.iter().map(|&query| problem.weight(query as usize)).collect();
            let group = group(&queries[0]);
            layout.append(group, queries, &weights, Some(&mut sums));
        }
        layout.magnitudes = sums.iter().map(|lanes| lanes.iter().sum()).collect();
        layout
    }

    fn reserve(&mut self, n_blocks: usize) {
        self.readings.reserve_exact(n_blocks * self.block_len());
        self.groups.reserve_exact(n_blocks);
        self.weights.reserve_exact(n_blocks);
        self.queries.reserve_exact(n_blocks);
    }

    /// Appends some queries of one group with their weights; adds their weighted absolute
    /// readings to `sums`, lane by lane.
    fn append(
        &mut self,
        group: u32,
        queries: &[u32],
        weights: &[f64],
        sums: Option<&mut Vec<Lanes>>,
    ) {
        let arch = Arch::new();
        let layout = self;
        match layout.n_tables() {
            1 => arch.dispatch(Append::<1> { layout, group, queries, weights, sums }),
            2 => arch.dispatch(Append::<2> { layout, group, queries, weights, sums }),
            3 => arch.dispatch(Append::<3> { layout, group, queries, weights, sums }),
            _ => arch.dispatch(Append::<4> { layout, group, queries, weights, sums }),
        }
    }

    /// Whether this is the layout of `problem`: of the same queries, and of all meters that
    /// it uses.
    pub(crate) fn fits(&self, problem: &Problem) -> bool {
        let meters = |tables: &[(Meter, Arc<[f64]>)]| -> Vec<Meter> {
            tables.iter().map(|(meter, _)| *meter).collect()
        };
        self.of.shares_queries(problem) && meters(&self.tables) == meters(&used_tables(problem))
    }

    /// Some of the queries, `(block, lane)` in order, their weights times `factor`.
    pub(crate) fn subset(&self, keep: &[(u32, u8)], factor: f64) -> Self {
        let mut subset = Self {
            groups: Vec::new(),
            readings: Vec::new(),
            weights: Vec::new(),
            queries: Vec::new(),
            n_queries: 0,
            magnitudes: Vec::new(),
            tables: self.tables.clone(),
            of: self.of.clone(),
        };
        subset.reserve(keep.len().div_ceil(LANES) + 1);
        let group = |&(block, _): &(u32, u8)| self.groups[block as usize];
        let (mut queries, mut weights) = (Vec::new(), Vec::new());
        for keep in keep.chunk_by(|a, b| group(a) == group(b)) {
            queries.clear();
            weights.clear();
            for &(block, lane) in keep {
                let (block, lane) = (block as usize, usize::from(lane));
                queries.push(self.queries[block][lane]);
                weights.push(self.weights[block][lane] * factor);
            }
            // From the tables: a query lies together there, and is all over a block here.
            subset.append(group(&keep[0]), &queries, &weights, None);
        }
        subset
    }

    /// Every `stride`-th query, standing for `stride`.
    pub(crate) fn sample(&self, stride: usize) -> Self {
        let mut keep = Vec::with_capacity(self.n_queries.div_ceil(stride));
        let (mut ordinal, mut next) = (0, 0);
        for block in 0..self.queries.len() {
            let used = self.used(block);
            while next < ordinal + used {
                keep.push(at(block, next - ordinal));
                next += stride;
            }
            ordinal += used;
        }
        self.subset(&keep, self.n_queries as f64 / keep.len().max(1) as f64)
    }

    /// How many queries a block has.
    #[inline(always)]
    pub(crate) fn used(&self, block: usize) -> usize {
        let queries = &self.queries[block];
        if queries[LANES - 1] == PADDING {
            queries.iter().take_while(|&&query| query != PADDING).count()
        } else {
            LANES
        }
    }

    /// What every table reads for a query, each `(n_models,)`.
    pub(crate) fn rows(&self, query: u32) -> impl Iterator<Item = &[f64]> {
        let (start, n_models) = (query as usize * self.n_models(), self.n_models());
        self.tables.iter().map(move |(_, table)| &table[start..start + n_models])
    }

    pub(crate) fn block_len(&self) -> usize {
        (self.n_models() + 1) * self.n_tables()
    }

    /// Readings an option: one a table, and a zero where there is none.
    pub(crate) fn n_tables(&self) -> usize {
        self.tables.len().max(1)
    }

    /// `(block, lane)` of every query: its place, by ordinal.
    pub(crate) fn places(&self) -> Vec<(u32, u8)> {
        let mut places = Vec::with_capacity(self.n_queries);
        for block in 0..self.queries.len() {
            places.extend((0..self.used(block)).map(|lane| at(block, lane)));
        }
        places
    }

    pub(crate) fn n_queries(&self) -> usize {
        self.n_queries
    }

    pub(crate) fn n_models(&self) -> usize {
        self.of.n_models()
    }

    pub(crate) fn n_groups(&self) -> usize {
        self.of.n_groups()
    }

    /// The meter of each slot of an option, in order; the constant one comes last.
    pub(crate) fn slots(&self) -> impl ExactSizeIterator<Item = Meter> {
        // A problem without tables has no use for the quality that stands in.
        let tabled = self.tables.iter().map(|(meter, _)| *meter).chain([Meter::Quality]);
        tabled.take(self.n_tables()).chain([Meter::One]).collect::<Vec<_>>().into_iter()
    }

    /// The weighted sum of absolute readings of each total; of the whole problem only.
    pub(crate) fn magnitudes(&self) -> &[f64] {
        &self.magnitudes
    }

    /// How many totals or coefficients there are: `(n_groups, n_models + 1, n_slots)`.
    pub(crate) fn n_totals(&self) -> usize {
        self.n_groups() * self.group_len()
    }

    pub(crate) fn group_len(&self) -> usize {
        (self.n_models() + 1) * (self.n_tables() + 1)
    }

    /// The score of declining.
    pub(crate) fn floor(&self) -> f64 {
        match self.of.choice() {
            Choice::AtMostOne => 0.0,
            Choice::ExactlyOne => f64::NEG_INFINITY,
        }
    }
}

/// See [`Layout::append`]; `T` tables, known to the compiler.
struct Append<'a, const T: usize> {
    layout: &'a mut Layout,
    group: u32,
    queries: &'a [u32],
    weights: &'a [f64],
    sums: Option<&'a mut Vec<Lanes>>,
}

impl<const T: usize> WithSimd for Append<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<I: Simd>(self, _: I) {
        let Self { layout, group, queries, weights, sums } = self;
        let (n_models, group_len) = (layout.n_models(), layout.group_len());
        let first = group as usize * group_len;
        let mut sums = sums.map(|sums| &mut sums[first..first + group_len]);
        // The last model is declining, and stays 0.
        let mut block = vec![[[0.0; LANES]; T]; n_models + 1];
        for (queries, weights) in queries.chunks(LANES).zip(weights.chunks(LANES)) {
            for (slot, (_, table)) in layout.tables.iter().enumerate() {
                transpose(table, queries, n_models, &mut block, slot);
            }
            layout.readings.extend_from_slice(block.as_flattened());
            let mut lanes = ([0.0; LANES], [PADDING; LANES]);
            lanes.0[..weights.len()].copy_from_slice(weights);
            lanes.1[..queries.len()].copy_from_slice(queries);
            layout.groups.push(group);
            layout.weights.push(lanes.0);
            layout.queries.push(lanes.1);
            if let Some(sums) = &mut sums {
                add_magnitudes(&block[..n_models], &lanes.0, sums);
            }
        }
        layout.n_queries += queries.len();
    }
}

/// Writes what a table reads of at most eight queries into its slot of a block.
#[inline(always)]
fn transpose<const T: usize>(
    table: &[f64],
    queries: &[u32],
    n_models: usize,
    block: &mut [[Lanes; T]],
    slot: usize,
) {
    let row = |query: u32| &table[query as usize * n_models..][..n_models];
    let places = &mut block[..n_models];
    if let &[a, b, c, d, e, f, g, h] = queries {
        let (a, b, c, d) = (row(a), row(b), row(c), row(d));
        let (e, f, g, h) = (row(e), row(f), row(g), row(h));
        for (model, place) in places.iter_mut().enumerate() {
            place[slot] =
                [a[model], b[model], c[model], d[model], e[model], f[model], g[model], h[model]];
        }
        return;
    }
    for (model, place) in places.iter_mut().enumerate() {
        place[slot] = [0.0; LANES];
        for (lane, &query) in queries.iter().enumerate() {
            place[slot][lane] = row(query)[model];
        }
    }
}

/// Adds a block's weighted absolute readings, lane by lane.
#[inline(always)]
fn add_magnitudes<const T: usize>(block: &[[Lanes; T]], weights: &Lanes, sums: &mut [Lanes]) {
    for (sums, readings) in sums.chunks_exact_mut(T + 1).zip(block) {
        for (sum, readings) in sums.iter_mut().zip(readings) {
            // By value: eight lanes at a time need to know that nothing else is written.
            let mut next = *sum;
            for lane in 0..LANES {
                next[lane] += weights[lane] * readings[lane].abs();
            }
            *sum = next;
        }
        let mut next = sums[T];
        for lane in 0..LANES {
            next[lane] += weights[lane];
        }
        sums[T] = next;
    }
}

fn query_number(query: usize) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "a query index; beyond 2^32 no memory")]
    (query as u32)
}

pub(crate) fn at(block: usize, lane: usize) -> (u32, u8) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "fewer blocks than queries, and eight lanes"
    )]
    (block as u32, lane as u8)
}

fn used_tables(problem: &Problem) -> Vec<(Meter, Arc<[f64]>)> {
    let used = |meter: &Meter| {
        problem.objective(*meter) != 0.0 || problem.rows().iter().any(|row| row.meter == *meter)
    };
    Meter::TABLED
        .into_iter()
        .filter(used)
        .filter_map(|meter| Some((meter, Arc::clone(problem.table(meter)?))))
        .collect()
}
