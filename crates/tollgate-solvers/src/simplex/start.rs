//! Good prices, and a basis, from a part of the queries.

use tollgate_core::SolveOptions;

use super::Knobs;
use super::field::{Field, NONE};
use super::program::{Program, index};
use super::walk::{Effort, End, Saved, Start, Walk};
use crate::dual::{self, Layout, Sides};

/// The stride between nested samples, and the fewest queries worth sampling: so many, or
/// less where the sample still has a query for each row.
const SAMPLE: usize = 8;
const SAMPLED: usize = 256;
const SAMPLED_OF_FEW_ROWS: usize = 100;
/// The error of a sample's price is this over the root of the number of queries that use
/// its row, relative. Too small costs a wider box now and then, too large more options in
/// every look: from 0.15 to 0.4 the time hardly changes.
const SAMPLE_ERROR: f64 = 0.3;
/// Or this times how far it moved from the smaller sample, if that is more.
const MOVED: f64 = 0.35;
/// How often a stalled walk is begun anew, and by how much more ties are broken then.
const RESTARTS: u32 = 4;
const LOUDER: f64 = 30.0;

/// What a minimization found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) end: End,
    pub(super) prices: Vec<f64>,
    pub(super) basis: Vec<Saved>,
    /// Of each basic variable.
    pub(super) levels: Vec<f64>,
    /// By ordinal.
    pub(super) keys: Vec<u32>,
    /// The bound and the value, scaled, where no noise is in them.
    pub(super) worth: Option<[f64; 2]>,
    pub(super) field: Field,
}

/// One minimization, and the samples before it.
#[derive(Debug)]
pub(super) struct Search<'s> {
    pub(super) program: &'s Program,
    pub(super) knobs: Knobs,
    pub(super) options: &'s SolveOptions,
    pub(super) effort: Effort,
}

impl Search<'_> {
    /// Where to start when nothing is known: at the vertex of a sample, which is one of
    /// the whole as well; or at prices of 0, where all queries are free to choose.
    pub(super) fn sampled(&mut self, layout: &Layout) -> Start {
        let n_queries = layout.n_queries();
        let n_rows = self.program.n_rows();
        let start = Start {
            prices: vec![0.0; n_rows],
            basis: (0..n_rows).map(Saved::Spare).collect(),
            sides: None,
            keys: vec![NONE; n_queries],
            noise: 0.0,
            field: None,
        };
        if n_queries < SAMPLED.min(SAMPLED_OF_FEW_ROWS.max(SAMPLE * n_rows)) || n_rows == 0 {
            return start;
        }
        let sample = layout.sample(SAMPLE);
        let smaller = self.sampled(&sample);
        let before = smaller.sides.is_some().then(|| smaller.prices.clone());
        let mut found = self.minimize(&sample, smaller, false);
        for saved in &mut found.basis {
            if let Saved::Share { ordinal, .. } = saved {
                *ordinal *= index(SAMPLE);
            }
        }
        let sides = Some(self.expected(&sample, &found, before.as_deref()));
        Start { prices: found.prices, basis: found.basis, sides, ..start }
    }

    /// Where the prices of the whole are expected, from those of a sample, and of a smaller
    /// one before.
    fn expected(&self, sample: &Layout, found: &Found, before: Option<&[f64]>) -> Sides {
        let users = users(self.program, sample, &found.keys);
        let errors: Vec<f64> = users.iter().map(|n| SAMPLE_ERROR / n.sqrt()).collect();
        let mut sides = around(self.program, &found.prices, &errors);
        let Some(before) = before else { return sides };
        for (row, (now, before)) in found.prices.iter().zip(before).enumerate() {
            let moved = MOVED * (now - before).abs();
            let high = (now + moved).min(self.program.walls[row]);
            sides.floors[row] = sides.floors[row].min((now - moved).max(0.0));
            sides.ceilings[row] = sides.ceilings[row].max(high);
        }
        sides
    }

    /// Walks to the minimum.
    pub(super) fn minimize(&mut self, layout: &Layout, start: Start, feasible: bool) -> Found {
        let mut start = start;
        let mut restarts = 0;
        loop {
            let noise = start.noise;
            let mut walk =
                Walk::new(self.program, layout, start, self.knobs.refactor, &mut self.effort);
            walk.feasible = feasible;
            let end = walk.run(self.options, &mut self.effort);
            walk.field.store_keys(&mut walk.keys);
            if end == End::Stalled && restarts < RESTARTS {
                restarts += 1;
                let first = self.knobs.perturbation * self.program.grain;
                start = Start {
                    basis: Vec::new(),
                    sides: walk.field.sides,
                    prices: walk.prices,
                    keys: walk.keys,
                    noise: if noise == 0.0 { first } else { LOUDER * noise },
                    field: None,
                };
                continue;
            }
            let worth = (noise == 0.0).then(|| walk.worth());
            let basis = walk.saved();
            let Walk { prices, levels, keys, field, .. } = walk;
            return Found { end, prices, basis, levels, keys, worth, field };
        }
    }
}

/// A box of prices, so wrong at most.
pub(super) fn around(program: &Program, prices: &[f64], errors: &[f64]) -> Sides {
    let both = prices.iter().zip(errors).enumerate().map(|(row, (&price, &error))| {
        dual::around(price, error, program.natural[row], program.walls[row])
    });
    let (floors, ceilings) = both.unzip();
    Sides { floors, ceilings }
}

/// How many queries use each row, in effect: the square of the sum of their usage over the
/// sum of its squares; at least 1. The price of a row that few queries of a sample use is
/// known worse than that of one that all of them use.
fn users(program: &Program, layout: &Layout, keys: &[u32]) -> Vec<f64> {
    let n_tables = layout.n_tables();
    let mut sums = vec![0.0; program.n_rows()];
    let mut squares = sums.clone();
    let mut readings = vec![0.0; program.metered.len()];
    for (&(block, lane), &option) in layout.places().iter().zip(keys) {
        let (block, lane) = (block as usize, usize::from(lane));
        if option as usize >= layout.n_models() {
            continue;
        }
        let of_option =
            &layout.readings[block * layout.block_len()..][option as usize * n_tables..];
        for (reading, &slot) in readings.iter_mut().zip(&program.metered) {
            *reading = if slot == n_tables { 1.0 } else { of_option[slot][lane] };
        }
        let toll = program.first_toll(layout.groups[block], option as usize);
        let weight = layout.weights[block][lane];
        program.add_moments(toll, &readings, weight, (&mut sums, &mut squares));
    }
    let users = |(sum, square): (&f64, &f64)| {
        if *square > 0.0 { (sum * sum / square).max(1.0) } else { 1.0 }
    };
    sums.iter().zip(&squares).map(users).collect()
}
