//! The options of a problem, laid out for passes: blocks of eight queries of one
//! group, model-major inside a block, so that a pass is a sequence of eight-wide
//! multiply-adds and comparisons.

use std::sync::Arc;

use tollgate_core::{Choice, Meter, Problem};

/// Queries a block.
pub(crate) const LANES: usize = 8;
/// The meters that may have a table.
const TABLED: [Meter; 3] = [Meter::Quality, Meter::Cost, Meter::Tokens];
/// The query of a lane that pads its block.
pub(crate) const PADDING: u32 = u32::MAX;

/// One number a lane.
pub(crate) type Lanes = [f64; LANES];

/// Blocks of queries. Copies what it lays out and keeps the tables it came from, by
/// which it knows whether it still fits a problem.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    tables: Vec<(Meter, Arc<[f64]>)>,
    choice: Choice,
    n_models: usize,
    n_groups: usize,
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
            choice: problem.choice(),
            n_models: problem.n_models(),
            n_groups: problem.n_groups(),
            groups: Vec::new(),
            readings: Vec::new(),
            weights: Vec::new(),
            queries: Vec::new(),
            n_queries: 0,
            magnitudes: Vec::new(),
            tables,
        };
        #[expect(clippy::cast_possible_truncation, reason = "a query index; beyond 2^32 no memory")]
        let mut order: Vec<u32> = (0..problem.n_queries() as u32).collect();
        order.sort_by_key(|&query| problem.group(query as usize));
        let tables: Vec<Arc<[f64]>> = layout.tables.iter().map(|(_, t)| Arc::clone(t)).collect();
        for &query in &order {
            let at = query as usize;
            let lane = layout.push(problem.group(at), query, problem.weight(at));
            let block = layout.last_block();
            for model in 0..problem.n_models() {
                for (slot, table) in tables.iter().enumerate() {
                    block[model * tables.len() + slot][lane] =
                        table[at * problem.n_models() + model];
                }
            }
        }
        layout.magnitudes = layout.sum_magnitudes();
        layout
    }

    /// Whether this is the layout of `problem`, found by comparing tables by address.
    pub(crate) fn fits(&self, problem: &Problem) -> bool {
        let tables = used_tables(problem);
        self.choice == problem.choice()
            && self.n_models == problem.n_models()
            && self.n_groups == problem.n_groups()
            && self.n_queries == problem.n_queries()
            && self.tables.len() == tables.len()
            && self.tables.iter().zip(&tables).all(|(a, b)| a.0 == b.0 && Arc::ptr_eq(&a.1, &b.1))
            && self.lanes().all(|(block, lane, query)| {
                let query = query as usize;
                self.groups[block] == problem.group(query)
                    && self.weights[block][lane].to_bits() == problem.weight(query).to_bits()
            })
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
            ..*self
        };
        let stride = self.block_len();
        for &(block, lane) in keep {
            let (block, lane) = (block as usize, usize::from(lane));
            let weight = self.weights[block][lane] * factor;
            let to = subset.push(self.groups[block], self.queries[block][lane], weight);
            let from = &self.readings[block * stride..][..stride];
            for (into, from) in subset.last_block().iter_mut().zip(from) {
                into[to] = from[lane];
            }
        }
        subset
    }

    /// Every `stride`-th query, standing for `stride`.
    pub(crate) fn sample(&self, stride: usize) -> Self {
        let keep: Vec<(u32, u8)> =
            self.lanes().step_by(stride).map(|(block, lane, _)| at(block, lane)).collect();
        self.subset(&keep, self.n_queries as f64 / keep.len().max(1) as f64)
    }

    /// Makes room for one more query; which lane of the last block it has.
    fn push(&mut self, group: u32, query: u32, weight: f64) -> usize {
        let full = self.queries.last().is_none_or(|lanes| lanes[LANES - 1] != PADDING);
        if full || self.groups.last() != Some(&group) {
            self.groups.push(group);
            self.weights.push([0.0; LANES]);
            self.queries.push([PADDING; LANES]);
            self.readings.resize(self.readings.len() + self.block_len(), [0.0; LANES]);
        }
        let block = self.groups.len() - 1;
        let lanes = &mut self.queries[block];
        let lane = lanes.iter().position(|&q| q == PADDING).expect("the block is not full");
        lanes[lane] = query;
        self.weights[block][lane] = weight;
        self.n_queries += 1;
        lane
    }

    fn last_block(&mut self) -> &mut [Lanes] {
        let start = self.readings.len() - self.block_len();
        &mut self.readings[start..]
    }

    pub(crate) fn block_len(&self) -> usize {
        (self.n_models + 1) * self.n_tables()
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
        self.n_models
    }

    pub(crate) fn n_groups(&self) -> usize {
        self.n_groups
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

    fn sum_magnitudes(&self) -> Vec<f64> {
        let n_tables = self.n_tables();
        let mut totals = vec![0.0; self.n_totals()];
        for (block, &group) in self.groups.iter().enumerate() {
            let weights = &self.weights[block];
            let readings = &self.readings[block * self.block_len()..][..self.block_len()];
            let totals = &mut totals[group as usize * self.group_len()..][..self.group_len()];
            for model in 0..self.n_models {
                let totals = &mut totals[model * (n_tables + 1)..][..=n_tables];
                for (total, readings) in
                    totals.iter_mut().zip(&readings[model * n_tables..][..n_tables])
                {
                    *total += weights.iter().zip(readings).map(|(w, r)| w * r.abs()).sum::<f64>();
                }
                totals[n_tables] += weights.iter().sum::<f64>();
            }
        }
        totals
    }

    /// How many totals or coefficients there are: `(n_groups, n_models + 1, n_slots)`.
    pub(crate) fn n_totals(&self) -> usize {
        self.n_groups * self.group_len()
    }

    pub(crate) fn group_len(&self) -> usize {
        (self.n_models + 1) * (self.n_tables() + 1)
    }

    /// The score of declining.
    pub(crate) fn floor(&self) -> f64 {
        match self.choice {
            Choice::AtMostOne => 0.0,
            Choice::ExactlyOne => f64::NEG_INFINITY,
        }
    }
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
    TABLED
        .into_iter()
        .filter(used)
        .filter_map(|meter| Some((meter, Arc::clone(problem.table(meter)?))))
        .collect()
}
