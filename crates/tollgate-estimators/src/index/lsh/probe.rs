//! Which buckets a query looks into, and the rows it finds there.

use super::buckets::Buckets;
use super::hash::{Hasher, Shape, peak, penalty, small, write_unit};

/// What the work of a probe is worth in rows of a scan, as measured at 384 dimensions.
pub(super) mod price {
    /// One direction to project on.
    pub(in super::super) const PROJECTION: f64 = 3.0;
    /// One bucket to look into.
    pub(in super::super) const BUCKET: f64 = 5.0;
    /// One row that is found, again or for the first time.
    pub(in super::super) const VISIT: f64 = 0.3;
    /// One row to be scored.
    pub(in super::super) const ROW: f64 = 8.0;
}

/// Reusable buffers of a query; hold no answers from one to the next.
#[derive(Debug, Default)]
pub(super) struct Prober {
    /// The query's direction, and its projections.
    pub(super) unit: Vec<f32>,
    pub(super) projected: Vec<f32>,
    /// For the table at hand, by digit: other vertices and their penalties, the least
    /// first; what choosing them adds to the bucket's number.
    choices: Vec<Vec<(f32, u32)>>,
    /// Rows found, and rows handed out; a bit each.
    found: Vec<u64>,
    done: Vec<u64>,
    /// Rows found since the last time.
    pub(super) fresh: Vec<u32>,
    /// Those of them that are in a set, and the nearest of these.
    pub(super) in_set: Vec<u32>,
    pub(super) nearest: Vec<(f64, u32)>,
    /// The radius that each set asks for.
    pub(super) radii: Vec<f64>,
}

/// How much work a probe was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    pub(super) buckets: usize,
    pub(super) visits: usize,
}

impl Work {
    pub(super) fn price(self) -> f64 {
        self.buckets as f64 * price::BUCKET + self.visits as f64 * price::VISIT
    }
}

impl Prober {
    /// Takes up a query.
    pub(super) fn begin(&mut self, hasher: &Hasher, query: &[f32], inverse_norm: f64, n: usize) {
        write_unit(query, inverse_norm, &mut self.unit);
        self.projected.resize(hasher.padded(), 0.0);
        hasher.project([self.unit.as_slice()], [&mut self.projected]);
        for bits in [&mut self.found, &mut self.done] {
            bits.clear();
            bits.resize(n.div_ceil(64), 0);
        }
    }

    /// Leaves in `fresh` the rows beyond `inner`, the radius of the call before, and within
    /// `radius`; `None` when that would be dearer than `limit`.
    pub(super) fn probe(
        &mut self,
        hasher: &Hasher,
        tables: &[Buckets],
        [inner, radius]: [f32; 2],
        limit: f64,
    ) -> Option<()> {
        let mut work = Work::default();
        for (table, buckets) in tables.iter().enumerate() {
            let home = self.choose(hasher.shape, hasher.shape.per_table(), table, radius);
            let found = &mut self.found;
            let whole = within(&self.choices, home, [0.0, radius], &mut |bucket, penalty| {
                work.buckets += 1;
                if penalty > inner {
                    let rows = buckets.rows(bucket);
                    work.visits += rows.len();
                    for &row in rows {
                        found[row as usize / 64] |= 1 << (row % 64);
                    }
                }
                work.price() <= limit
            });
            if !whole {
                return None;
            }
        }
        self.fresh.clear();
        for (at, (found, done)) in self.found.iter().zip(&mut self.done).enumerate() {
            let mut bits = found & !*done;
            while bits != 0 {
                self.fresh.push(small(at * 64) + bits.trailing_zeros());
                bits &= bits - 1;
            }
            *done = *found;
        }
        Some(())
    }

    /// How many buckets of all tables are within `radius`, for the projections in
    /// `projected`, of which each table has `stride`; `None` for more than `limit`.
    pub(super) fn count(
        &mut self,
        shape: Shape,
        stride: usize,
        radius: f32,
        limit: usize,
    ) -> Option<usize> {
        let mut count = 0;
        for table in 0..shape.tables {
            let home = self.choose(shape, stride, table, radius);
            let whole = within(&self.choices, home, [0.0, radius], &mut |_, _| {
                count += 1;
                count <= limit
            });
            if !whole {
                return None;
            }
        }
        Some(count)
    }

    /// Fills `choices`, digits with the cheapest choice first; answers the query's bucket.
    fn choose(&mut self, shape: Shape, stride: usize, table: usize, radius: f32) -> u32 {
        self.choices.resize_with(shape.digits, Vec::new);
        let (mut home, mut place) = (0, 1);
        for (digit, choices) in self.choices.iter_mut().enumerate() {
            let projections = shape.digit(&self.projected, stride, table, digit);
            let (symbol, peak) = peak(projections);
            home += symbol * place;
            choices.clear();
            let others = (0..small(shape.radix())).filter(|&other| other != symbol);
            let others = others.map(|other| (penalty(projections, peak, other), other));
            choices.extend(
                others
                    .filter(|(penalty, _)| *penalty <= radius)
                    // Modulo 2^32, as it is added.
                    .map(|(penalty, other)| {
                        (penalty, other.wrapping_sub(symbol).wrapping_mul(place))
                    }),
            );
            choices.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            place *= small(shape.radix());
        }
        let cheapest = |choices: &Vec<(f32, u32)>| choices.first().map_or(f32::INFINITY, |c| c.0);
        self.choices.sort_by(|a, b| cheapest(a).total_cmp(&cheapest(b)));
        home
    }
}

/// Visits `bucket`, whose penalty is `penalty`, and all that further choices of the digits in
/// `choices` make of it, each once, whose penalties are within `radius`; answers whether it
/// was to the end.
///
/// Penalties are added in the same order whatever the radius, so what is within one is so
/// to the last bit when another is asked for.
fn within(
    choices: &[Vec<(f32, u32)>],
    bucket: u32,
    [penalty, radius]: [f32; 2],
    visit: &mut impl FnMut(u32, f32) -> bool,
) -> bool {
    if !visit(bucket, penalty) {
        return false;
    }
    for (digit, others) in choices.iter().enumerate() {
        if others.first().is_none_or(|&(cheapest, _)| penalty + cheapest > radius) {
            // That of every later digit is no cheaper.
            return true;
        }
        for &(more, delta) in others {
            let penalty = penalty + more;
            if penalty > radius {
                break;
            }
            let other = bucket.wrapping_add(delta);
            if !within(&choices[digit + 1..], other, [penalty, radius], visit) {
                return false;
            }
        }
    }
    true
}
