//! Fills a field, query by query.

use super::super::program::{Program, index};
use super::{Field, NONE};
use crate::dual::Layout;
use crate::dual::layout::{LANES, Lanes};

/// Collects the undecided queries of a layout, each with its candidates.
#[derive(Debug)]
pub(in super::super) struct Sink<'k> {
    program: &'k Program,
    layout: &'k Layout,
    noise: f64,
    known: &'k mut [u32],
    totals: Vec<f64>,
    undecided: Vec<Undecided>,
    /// The options of each in turn.
    options: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Undecided {
    ordinal: u32,
    block: u32,
    lane: u32,
    /// Where its options begin.
    start: u32,
}

impl<'k> Sink<'k> {
    pub(in super::super) fn new(
        program: &'k Program,
        layout: &'k Layout,
        noise: f64,
        known: &'k mut [u32],
    ) -> Self {
        let totals = vec![0.0; layout.n_totals()];
        let (undecided, options) = (Vec::new(), Vec::new());
        Self { program, layout, noise, known, totals, undecided, options }
    }

    /// A query that chooses `option` all over the box.
    #[inline]
    pub(in super::super) fn decided<const T: usize>(
        &mut self,
        ordinal: u32,
        group: u32,
        option: usize,
        weight: f64,
        readings: &[[Lanes; T]],
        lane: usize,
    ) {
        self.known[ordinal as usize] = index(option);
        let totals = &mut self.totals[group as usize * self.layout.group_len()..];
        let totals = &mut totals[option * (T + 1)..][..=T];
        for (total, reading) in totals.iter_mut().zip(&readings[option]) {
            *total += weight * reading[lane];
        }
        totals[T] += weight;
    }

    /// The next undecided query; its options follow.
    #[inline]
    pub(in super::super) fn query(&mut self, ordinal: u32, block: usize, lane: usize) {
        let start = index(self.options.len());
        let (block, lane) = (index(block), index(lane));
        self.undecided.push(Undecided { ordinal, block, lane, start });
    }

    /// An option of it.
    #[inline]
    pub(in super::super) fn option(&mut self, option: u32) {
        self.options.push(option);
    }

    fn options_of(&self, at: usize) -> &[u32] {
        let end = self.undecided.get(at + 1).map_or(self.options.len(), |next| next.start as usize);
        &self.options[self.undecided[at].start as usize..end]
    }

    /// By the number of options, as they came otherwise, eight abreast.
    pub(in super::super) fn finish(self) -> Field {
        let n_options = self.program.n_options;
        let mut next = vec![0_usize; n_options + 2];
        for at in 0..self.undecided.len() {
            next[self.options_of(at).len() + 1] += 1;
        }
        for count in 0..=n_options {
            next[count + 1] += next[count];
        }
        let mut order = vec![0; self.undecided.len()];
        for at in 0..self.undecided.len() {
            let place = &mut next[self.options_of(at).len()];
            order[*place] = at;
            *place += 1;
        }
        let n_metered = self.program.metered.len();
        let n_rows = self.options.len() / LANES + n_options + 1;
        let mut field = Field {
            sides: None,
            decided: vec![0.0; self.program.n_rows()],
            worth: self.program.worth_of(&self.totals),
            n_metered,
            n_candidates: self.options.len(),
            by_ordinal: Vec::with_capacity(order.len()),
            ordinals: vec![NONE; order.len().next_multiple_of(LANES)],
            weights: vec![0.0; order.len().next_multiple_of(LANES)],
            keys: vec![NONE; order.len().next_multiple_of(LANES)],
            n_basic: vec![0; order.len().next_multiple_of(LANES)],
            starts: vec![0],
            options: Vec::with_capacity(n_rows * LANES),
            tolls: Vec::with_capacity(n_rows * LANES),
            values: Vec::with_capacity(n_rows * LANES),
            readings: Vec::with_capacity(n_rows * n_metered * LANES),
            basic: Vec::new(),
            scores: Vec::new(),
            slopes: Vec::new(),
            events: Vec::new(),
            overtaken: Vec::new(),
            stride: f64::INFINITY,
            charged: Vec::new(),
        };
        for (block, queries) in order.chunks(LANES).enumerate() {
            self.fill(&mut field, block, queries);
        }
        field.by_ordinal.sort_unstable();
        let n_padded = field.options.len();
        field.basic = vec![false; n_padded];
        field.scores = vec![0.0; n_padded];
        field.slopes = vec![0.0; n_padded];
        self.program.add_totals(&self.totals, &mut field.decided);
        field
    }

    /// Appends a block of at most eight queries.
    fn fill(&self, field: &mut Field, block: usize, queries: &[usize]) {
        let n_metered = field.n_metered;
        let first = field.options.len();
        let n_rows = queries.iter().map(|&at| self.options_of(at).len()).max().unwrap_or(0);
        let end = first + n_rows * LANES;
        field.options.resize(end, NONE);
        field.tolls.resize(end, 0);
        field.values.resize(end, f64::NEG_INFINITY);
        field.readings.resize(end * n_metered, 0.0);
        for (lane, &at) in queries.iter().enumerate() {
            let Undecided { ordinal, .. } = self.undecided[at];
            let query = block * LANES + lane;
            field.ordinals[query] = ordinal;
            field.weights[query] = self.weight(at);
            field.by_ordinal.push((ordinal, index(query)));
            for (row, &option) in self.options_of(at).iter().enumerate() {
                let candidate = first + row * LANES + lane;
                if self.known[ordinal as usize] == option {
                    field.keys[query] = index(candidate);
                }
                self.put(field, at, option, candidate);
            }
        }
        for (lane, key) in
            field.keys[block * LANES..][..LANES].iter_mut().enumerate().skip(queries.len())
        {
            *key = index(first + lane);
        }
        field.starts.push(index(end / LANES));
    }

    fn weight(&self, at: usize) -> f64 {
        let Undecided { block, lane, .. } = self.undecided[at];
        self.layout.weights[block as usize][lane as usize]
    }

    /// Writes one option of an undecided query into its place.
    fn put(&self, field: &mut Field, at: usize, option: u32, candidate: usize) {
        let Undecided { block, lane: from, .. } = self.undecided[at];
        let (block, from) = (block as usize, from as usize);
        let n_tables = self.layout.n_tables();
        let stride = self.layout.block_len();
        let readings = &self.layout.readings[block * stride..][..stride];
        let readings = &readings[option as usize * n_tables..][..n_tables];
        let declines = option as usize + 1 == self.program.n_options;
        let one = if declines { 0.0 } else { 1.0 };
        let reading = |slot: usize| if slot == n_tables { one } else { readings[slot][from] };
        let objective = self.program.objective.iter().enumerate();
        let value: f64 = objective.map(|(slot, weight)| weight * reading(slot)).sum();
        let query = self.layout.queries[block][from];
        let group = self.layout.groups[block];
        field.options[candidate] = option;
        field.tolls[candidate] = self.program.first_toll(group, option as usize);
        let noise = if self.noise > 0.0 { self.noise * fraction(query, option) } else { 0.0 };
        field.values[candidate] = value - noise;
        let (row, lane) = (candidate / LANES, candidate % LANES);
        for (metered, &slot) in self.program.metered.iter().enumerate() {
            field.readings[(row * field.n_metered + metered) * LANES + lane] = reading(slot);
        }
    }
}

/// A number in `[0, 1)` that belongs to an option: it breaks ties.
fn fraction(query: u32, option: u32) -> f64 {
    // The finalizer of splitmix64 (Steele, Lea and Flood, 2014).
    let mut bits = (u64::from(query) << 32 | u64::from(option)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^= bits >> 31;
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
