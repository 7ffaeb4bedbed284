//! The options of a problem, laid out for passes: blocks of eight queries of one
//! group, model-major inside a block, so that a pass is a sequence of eight-wide
//! multiply-adds and comparisons.

use std::sync::Arc;

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
        let (n_queries, stride) = (problem.n_queries(), layout.block_len());
        let n_blocks = n_queries.div_ceil(LANES) + problem.n_groups().min(n_queries);
        layout.readings.reserve_exact(n_blocks * stride);
        let mut by_group: Vec<u32> = (0..query_number(n_queries)).collect();
        if problem.n_groups() > 1 {
            by_group.sort_by_key(|&query| problem.group(query as usize));
        }
        for queries in
            by_group.chunk_by(|&a, &b| problem.group(a as usize) == problem.group(b as usize))
        {
            for queries in queries.chunks(LANES) {
                layout.push_block(problem, queries, &mut sums);
            }
        }
        layout.magnitudes = sums.iter().map(|lanes| lanes.iter().sum()).collect();
        layout
    }

    /// Appends a block of at most eight queries of one group.
    fn push_block(&mut self, problem: &Problem, queries: &[u32], sums: &mut [Lanes]) {
        let (n_models, n_tables) = (self.n_models(), self.n_tables());
        let start = self.readings.len();
        self.readings.resize(start + self.block_len(), [0.0; LANES]);
        let block = &mut self.readings[start..];
        for (slot, (_, table)) in self.tables.iter().enumerate() {
            let row = |query: u32| &table[query as usize * n_models..][..n_models];
            if let &[a, b, c, d, e, f, g, h] = queries {
                let [a, b, c, d, e, f, g, h] = [a, b, c, d, e, f, g, h].map(row);
                for model in 0..n_models {
                    block[model * n_tables + slot] = [
                        a[model], b[model], c[model], d[model], e[model], f[model], g[model],
                        h[model],
                    ];
                }
                continue;
            }
            for (lane, &query) in queries.iter().enumerate() {
                for (model, &reading) in row(query).iter().enumerate() {
                    block[model * n_tables + slot][lane] = reading;
                }
            }
        }
        let mut weights = [0.0; LANES];
        let mut lanes = [PADDING; LANES];
        for (lane, &query) in queries.iter().enumerate() {
            weights[lane] = problem.weight(query as usize);
            lanes[lane] = query;
        }
        let group = problem.group(queries[0] as usize);
        self.groups.push(group);
        self.weights.push(weights);
        self.queries.push(lanes);
        self.n_queries += queries.len();
        self.add_magnitudes(group, &weights, start, sums);
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
        subset.readings.reserve_exact((keep.len().div_ceil(LANES) + 1) * self.block_len());
        let group = |&(block, _): &(u32, u8)| self.groups[block as usize];
        for keep in keep.chunk_by(|a, b| group(a) == group(b)) {
            for keep in keep.chunks(LANES) {
                subset.gather(self, keep, factor);
            }
        }
        subset
    }

    /// Appends a block of at most eight queries of one group of another layout.
    fn gather(&mut self, from: &Self, keep: &[(u32, u8)], factor: f64) {
        let stride = from.block_len();
        let mut weights = [0.0; LANES];
        let mut queries = [PADDING; LANES];
        for (to, &(block, lane)) in keep.iter().enumerate() {
            weights[to] = from.weights[block as usize][usize::from(lane)] * factor;
            queries[to] = from.queries[block as usize][usize::from(lane)];
        }
        let source = |&(block, lane): &(u32, u8)| {
            (&from.readings[block as usize * stride..][..stride], usize::from(lane))
        };
        if let [a, b, c, d, e, f, g, h] = keep {
            let [a, b, c, d, e, f, g, h] = [a, b, c, d, e, f, g, h].map(source);
            self.readings.extend(
                (0..stride)
                    .map(|at| [a, b, c, d, e, f, g, h].map(|(readings, lane)| readings[at][lane])),
            );
        } else {
            let start = self.readings.len();
            self.readings.resize(start + stride, [0.0; LANES]);
            for (to, (readings, lane)) in keep.iter().map(source).enumerate() {
                for (into, readings) in self.readings[start..].iter_mut().zip(readings) {
                    into[to] = readings[lane];
                }
            }
        }
        self.groups.push(from.groups[keep[0].0 as usize]);
        self.weights.push(weights);
        self.queries.push(queries);
        self.n_queries += keep.len();
    }

    /// Every `stride`-th query, standing for `stride`.
    pub(crate) fn sample(&self, stride: usize) -> Self {
        let keep: Vec<(u32, u8)> =
            self.lanes().step_by(stride).map(|(block, lane, _)| at(block, lane)).collect();
        self.subset(&keep, self.n_queries as f64 / keep.len().max(1) as f64)
    }

    pub(crate) fn block_len(&self) -> usize {
        (self.n_models() + 1) * self.n_tables()
    }

    /// Readings an option: one a table, and a zero where there is none.
    pub(crate) fn n_tables(&self) -> usize {
        self.tables.len().max(1)
    }

    /// `(block, lane, query)` of every query.
    fn lanes(&self) -> impl Iterator<Item = (usize, usize, u32)> {
        self.queries.iter().enumerate().flat_map(|(block, lanes)| {
            let used = lanes.iter().take_while(|&&query| query != PADDING);
            used.enumerate().map(move |(lane, &query)| (block, lane, query))
        })
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

    /// Adds the last block's weighted absolute readings, lane by lane.
    fn add_magnitudes(&self, group: u32, weights: &Lanes, start: usize, sums: &mut [Lanes]) {
        let (n_tables, group_len) = (self.n_tables(), self.group_len());
        let sums = &mut sums[group as usize * group_len..][..group_len];
        let readings = self.readings[start..].chunks_exact(n_tables).take(self.n_models());
        for (sums, readings) in sums.chunks_exact_mut(n_tables + 1).zip(readings) {
            for (sum, readings) in sums.iter_mut().zip(readings) {
                for lane in 0..LANES {
                    sum[lane] += weights[lane] * readings[lane].abs();
                }
            }
            for lane in 0..LANES {
                sums[n_tables][lane] += weights[lane];
            }
        }
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
