//! Fills a field, query by query.
#![expect(clippy::inline_always, reason = "part of a pass, compiled anew for each instruction set")]

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
    /// `(n_groups, n_options, n_slots)`, lane by lane.
    totals: Vec<Lanes>,
    undecided: Vec<Undecided>,
    /// The options of each in turn.
    options: Vec<u32>,
    /// What each option reads, `(n_options, n_tables)`: copied while a pass has them at hand.
    readings: Vec<f64>,
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
        let totals = vec![[0.0; LANES]; layout.n_totals()];
        let (undecided, options, readings) = (Vec::new(), Vec::new(), Vec::new());
        Self { program, layout, noise, known, totals, undecided, options, readings }
    }

    /// The queries of a block that choose the same all over the box: all but the
    /// `undecided` ones.
    #[inline(always)]
    pub(in super::super) fn decided<const T: usize, const S: usize>(
        &mut self,
        (ordinal, used): (usize, usize),
        group: u32,
        chosen: &[u32; LANES],
        undecided: u32,
        weights: &Lanes,
        readings: &[[Lanes; T]],
    ) {
        let is_undecided = |lane: usize| undecided >> lane & 1 == 1;
        let known = &mut self.known[ordinal..ordinal + used];
        for (lane, (known, &option)) in known.iter_mut().zip(chosen).enumerate() {
            *known = if is_undecided(lane) { *known } else { option };
        }
        let totals = &mut self.totals[group as usize * self.layout.group_len()..];
        let totals = totals.as_chunks_mut::<S>().0;
        for lane in 0..LANES {
            // What pads a block has no weight.
            let weight = if is_undecided(lane) { 0.0 } else { weights[lane] };
            let option = chosen[lane] as usize;
            let (totals, readings) = (&mut totals[option], &readings[option]);
            for slot in 0..T {
                totals[slot][lane] += weight * readings[slot][lane];
            }
            totals[T][lane] += weight;
        }
    }

    /// The next undecided query, and which of its options may be best.
    #[inline(always)]
    pub(in super::super) fn undecided<const T: usize>(
        &mut self,
        ordinal: usize,
        (block, lane): (usize, usize),
        options: impl Iterator<Item = bool>,
        readings: &[[Lanes; T]],
    ) {
        let start = self.options.len();
        self.undecided.push(Undecided {
            ordinal: index(ordinal),
            block: index(block),
            lane: index(lane),
            start: index(start),
        });
        // All are written and few advance: there is nothing to mispredict.
        self.options.resize(start + self.program.n_options, 0);
        let into = &mut self.options[start..];
        let mut count = 0;
        for (option, may_be_best) in (0..).zip(options) {
            into[count] = option;
            count += usize::from(may_be_best);
        }
        self.options.truncate(start + count);
        for &option in &self.options[start..] {
            self.readings.extend_from_slice(&readings[option as usize].map(|lanes| lanes[lane]));
        }
    }

    fn options_of(&self, at: usize) -> &[u32] {
        let end = self.undecided.get(at + 1).map_or(self.options.len(), |next| next.start as usize);
        &self.options[self.undecided[at].start as usize..end]
    }

    /// By the number of options, as they came otherwise, eight abreast.
    #[inline(always)]
    pub(in super::super) fn finish<const T: usize, const S: usize>(self) -> Field {
        let totals: Vec<f64> = self.totals.iter().map(|lanes| lanes.iter().sum()).collect();
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
            worth: self.program.worth_of(&totals),
            n_metered,
            n_candidates: self.options.len(),
            by_ordinal: vec![(0, 0); order.len()],
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
            self.fill::<T, S>(&mut field, block, queries);
        }
        let n_padded = field.options.len();
        field.basic = vec![false; n_padded];
        field.scores = vec![0.0; n_padded];
        field.slopes = vec![0.0; n_padded];
        self.program.add_totals(&totals, &mut field.decided);
        field
    }

    /// Appends a block of at most eight queries.
    #[inline(always)]
    fn fill<const T: usize, const S: usize>(
        &self,
        field: &mut Field,
        block: usize,
        queries: &[usize],
    ) {
        let n_metered = field.n_metered;
        let first = field.options.len();
        let n_rows = queries.iter().map(|&at| self.options_of(at).len()).max().unwrap_or(0);
        let end = first + n_rows * LANES;
        field.options.resize(end, NONE);
        field.tolls.resize(end, 0);
        field.values.resize(end, f64::NEG_INFINITY);
        field.readings.resize(end * n_metered, 0.0);
        for (lane, &at) in queries.iter().enumerate() {
            let Undecided { ordinal, block: from, lane: of, .. } = self.undecided[at];
            let (from, of) = (from as usize, of as usize);
            let query = block * LANES + lane;
            field.ordinals[query] = ordinal;
            field.weights[query] = self.layout.weights[from][of];
            field.by_ordinal[at] = (ordinal, index(query));
            let start = self.undecided[at].start as usize;
            let readings = &self.readings.as_chunks::<T>().0[start..];
            let known = self.known[ordinal as usize];
            let toll = self.program.first_toll(self.layout.groups[from], 0);
            for (row, (&option, readings)) in self.options_of(at).iter().zip(readings).enumerate() {
                let candidate = first + row * LANES + lane;
                if known == option {
                    field.keys[query] = index(candidate);
                }
                let one = if option as usize + 1 == self.program.n_options { 0.0 } else { 1.0 };
                let mut all = [one; S];
                all[..T].copy_from_slice(readings);
                let objective = self.program.objective.iter().zip(&all);
                let mut value = objective.map(|(weight, reading)| weight * reading).sum();
                if self.noise > 0.0 {
                    value -= self.noise * fraction(self.layout.queries[from][of], option);
                }
                field.options[candidate] = option;
                field.tolls[candidate] = toll + option * index(n_metered);
                field.values[candidate] = value;
                let place = (first / LANES + row) * n_metered * LANES + lane;
                for (metered, &slot) in self.program.metered.iter().enumerate() {
                    field.readings[place + metered * LANES] = all[slot];
                }
            }
        }
        for (lane, key) in
            field.keys[block * LANES..][..LANES].iter_mut().enumerate().skip(queries.len())
        {
            *key = index(first + lane);
        }
        field.starts.push(index(end / LANES));
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
