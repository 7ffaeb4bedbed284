//! From a query to the nearest rows of each set.

use tollgate_core::Scratch;

use super::probe::{Prober, price};
use super::{Tables, choose};
use crate::index::scan::{Screened, Sought, keep_nearest};
use crate::index::{ExactScan, Index, RowSets};

/// One query on its way.
pub(super) struct Search<'a> {
    pub(super) scan: &'a ExactScan,
    pub(super) tables: &'a Tables,
    pub(super) screened: Screened<'a>,
    pub(super) k: usize,
    pub(super) sets: &'a RowSets,
    pub(super) exclude: Option<u32>,
}

impl Search<'_> {
    /// Answers how many rows were scored.
    pub(super) fn run(&self, prober: &mut Prober, scratch: &mut Scratch) -> usize {
        let n_sets = self.sets.n_sets();
        for set in 0..n_sets {
            scratch.child(set).scored.clear();
        }
        if self.k == 0 {
            return 0;
        }
        let Tables { choice, hasher, buckets } = self.tables;
        prober.radii.clear();
        prober.radii.resize(n_sets, choice.first);
        let (mut radius, mut scored) = (choice.first, 0);
        // Sets that ask for no more than `inner` have been found.
        let (mut inner, limit) = (-1.0, self.scan.n_rows() as f64);
        loop {
            let probed = prober.probe(hasher, buckets, [inner, radius].map(narrow), limit);
            if probed.is_none_or(|()| prober.fresh.len() as f64 * price::ROW > limit) {
                return scored + self.scan_rest(inner, prober, scratch);
            }
            // The largest radius that a set still asks for.
            let mut wanted = radius;
            for set in 0..n_sets {
                if prober.radii[set] <= inner {
                    continue;
                }
                let nearest = &mut scratch.child(set).scored;
                scored += self.look(set, prober, nearest);
                let asks = match nearest.get(self.k - 1) {
                    Some(last) => choice.ratio * (2.0 - 2.0 * last.0).max(choose::LEAST),
                    None => 4.0 * radius,
                };
                prober.radii[set] = asks;
                wanted = wanted.max(asks);
            }
            if wanted <= radius {
                return scored;
            }
            (inner, radius) = (radius, wanted);
        }
    }

    /// Brings the fresh rows of a set among its nearest; answers how many there are.
    fn look(&self, set: usize, prober: &mut Prober, nearest: &mut Vec<(f64, u32)>) -> usize {
        let Prober { fresh, in_set, nearest: found, .. } = prober;
        in_set.clear();
        let counts =
            |row: &u32| self.exclude != Some(*row) && self.sets.contains(set, *row as usize);
        in_set.extend(fresh.iter().copied().filter(counts));
        self.scan.nearest_among(&self.screened, self.k, in_set, found);
        nearest.extend_from_slice(found);
        keep_nearest(self.k, nearest);
        in_set.len()
    }

    /// Scans for the sets that ask for more than `inner`; answers how many rows that were.
    fn scan_rest(&self, inner: f64, prober: &Prober, scratch: &mut Scratch) -> usize {
        let wants = |set: usize| prober.radii[set] > inner;
        let Self { k, sets, exclude, .. } = *self;
        self.scan.nearest_of(&self.screened, &Sought { k, sets, wants, exclude }, scratch);
        self.scan.n_rows() * (0..self.sets.n_sets()).filter(|&set| wants(set)).count()
    }
}

/// A radius as it is compared with penalties.
#[expect(clippy::cast_possible_truncation, reason = "penalties are in f32")]
fn narrow(radius: f64) -> f32 {
    radius as f32
}
