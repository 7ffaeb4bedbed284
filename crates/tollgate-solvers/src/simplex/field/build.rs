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
    /// The options of each in turn, `n_options` in all; the rest is room.
    options: Vec<u32>,
    n_options: usize,
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
        let n_options = 0;
        Self { program, layout, noise, known, totals, undecided, options, n_options, readings }
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
        let known_and_chosen = known.iter_mut().zip(chosen).enumerate();
        for (lane, (known, &option)) in known_and_chosen {
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

    /// Makes room for the options of another block.
    #[inline(always)]
    pub(in super::super) fn make_room<const T: usize>(&mut self) {
        let least = self.n_options + LANES * self.program.n_options;
        if self.options.len() < least {
            self.options.resize(2 * least, 0);
            self.readings.resize(2 * least * T, 0.0);
        }
    }

    /// The next undecided query, and which of its options may be best.
    #[inline(always)]
    pub(in super::super) fn undecided<const T: usize>(
        &mut self,
        (ordinal, block, lane): (usize, usize, usize),
        options: impl Iterator<Item = bool>,
        readings: &[[Lanes; T]],
    ) {
        let start = self.n_options;
        self.undecided.push(Undecided {
            ordinal: index(ordinal + lane),
            block: index(block),
            lane: index(lane),
            start: index(start),
        });
        // All are written and few advance: there is nothing to mispredict.
        let into = &mut self.options[start..][..self.program.n_options];
        let mut count = 0;
        for (option, may_be_best) in (0..).zip(options) {
            into[count] = option;
            count += usize::from(may_be_best);
        }
        self.n_options += count;
        let copies = &mut self.readings.as_chunks_mut::<T>().0[start..];
        for (copy, &option) in copies.iter_mut().zip(&into[..count]) {
            let readings = &readings[option as usize];
            for slot in 0..T {
                copy[slot] = readings[slot][lane];
            }
        }
    }

    fn options_of(&self, at: usize) -> &[u32] {
        let end = self.undecided.get(at + 1).map_or(self.n_options, |next| next.start as usize);
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
        let most = |queries: &[usize]| queries.last().map_or(0, |&at| self.options_of(at).len());
        let n_padded = LANES * order.chunks(LANES).map(most).sum::<usize>();
        let n_queries = order.len().next_multiple_of(LANES);
        let mut field = Field {
            sides: None,
            decided: vec![0.0; self.program.n_rows()],
            worth: self.program.worth_of(&totals),
            n_metered,
            n_candidates: self.n_options,
            by_ordinal: vec![(0, 0); order.len()],
            ordinals: vec![NONE; n_queries],
            weights: vec![0.0; n_queries],
            keys: vec![NONE; n_queries],
            n_basic: vec![0; n_queries],
            starts: Vec::with_capacity(n_queries / LANES + 1),
            options: vec![NONE; n_padded],
            tolls: vec![0; n_padded],
            values: vec![f64::NEG_INFINITY; n_padded],
            readings: vec![0.0; n_padded * n_metered],
            basic: vec![false; n_padded],
            scores: vec![0.0; n_padded],
            slopes: vec![0.0; n_padded],
            events: Vec::new(),
            overtaken: Vec::new(),
            stride: f64::INFINITY,
            charged: Vec::new(),
        };
        let mut row = 0;
        for (block, queries) in order.chunks(LANES).enumerate() {
            field.starts.push(index(row));
            self.fill::<T, S>(&mut field, block * LANES, row * LANES, queries);
            row += most(queries);
        }
        field.starts.push(index(row));
        self.program.add_totals(&totals, &mut field.decided);
        field
    }

    /// Writes a block of at most eight queries, from a query and a candidate on.
    #[inline(always)]
    fn fill<const T: usize, const S: usize>(
        &self,
        field: &mut Field,
        query: usize,
        first: usize,
        queries: &[usize],
    ) {
        let n_metered = field.n_metered;
        let objective: [f64; S] = std::array::from_fn(|slot| self.program.objective[slot]);
        let all_readings = self.readings.as_chunks::<T>().0;
        for (lane, &at) in queries.iter().enumerate() {
            let Undecided { ordinal, block, lane: of, start } = self.undecided[at];
            let (block, of, query) = (block as usize, of as usize, query + lane);
            field.ordinals[query] = ordinal;
            field.weights[query] = self.layout.weights[block][of];
            field.by_ordinal[at] = (ordinal, index(query));
            let known = self.known[ordinal as usize];
            let toll = self.program.first_toll(self.layout.groups[block], 0);
            let readings = &all_readings[start as usize..];
            let mut key = NONE;
            for (row, (&option, readings)) in self.options_of(at).iter().zip(readings).enumerate() {
                let candidate = first + row * LANES + lane;
                key = if known == option { index(candidate) } else { key };
                let one = if option as usize + 1 == self.program.n_options { 0.0 } else { 1.0 };
                let mut value = 0.0;
                for slot in 0..T {
                    value += objective[slot] * readings[slot];
                }
                value += objective[T] * one;
                if self.noise > 0.0 {
                    value -= self.noise * fraction(self.layout.queries[block][of], option);
                }
                field.options[candidate] = option;
                field.tolls[candidate] = toll + option * index(n_metered);
                field.values[candidate] = value;
                let place = (candidate - lane) * n_metered + lane;
                for (metered, &slot) in self.program.metered.iter().enumerate() {
                    let reading = readings.get(slot).copied().unwrap_or(one);
                    field.readings[place + metered * LANES] = reading;
                }
            }
            field.keys[query] = key;
        }
        for lane in queries.len()..LANES {
            field.keys[query + lane] = index(first + lane);
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
