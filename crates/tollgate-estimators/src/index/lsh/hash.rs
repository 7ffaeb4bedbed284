//! From a vector to a bucket in each table.

use std::fmt;

use pulp::{Arch, Simd, WithSimd};
use tollgate_core::{Purpose, Seed};

use crate::index::{ExactScan, Index};

/// Projections that are computed together.
const LANES: usize = 64;

/// What one is in the bytes of a direction: four standard deviations are 128.
const UNIT: f32 = 32.0;

/// Rows that are projected together, so that a direction is read once for all of them.
pub(super) const ROWS: usize = 4;

/// How a table hashes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Shape {
    /// How many tables.
    pub(super) tables: usize,
    /// Digits of a bucket's number.
    pub(super) digits: usize,
    /// Directions a digit; 1 is a hyperplane.
    pub(super) width: usize,
}

impl Shape {
    /// Values a digit can take: each direction and its opposite.
    pub(super) fn radix(self) -> usize {
        2 * self.width
    }

    /// Buckets a table.
    pub(super) fn n_buckets(self) -> usize {
        (0..self.digits).fold(1, |n, _| n * self.radix())
    }

    /// Directions a table.
    pub(super) fn per_table(self) -> usize {
        self.digits * self.width
    }

    /// The projections of one digit of a table, of which each has `stride`.
    pub(super) fn digit(
        self,
        projected: &[f32],
        stride: usize,
        table: usize,
        digit: usize,
    ) -> &[f32] {
        let first = table * stride + digit * self.width;
        &projected[first..first + self.width]
    }
}

/// Random directions, and what to take off.
#[derive(Clone)]
pub(super) struct Hasher {
    pub(super) shape: Shape,
    dim: usize,
    arch: Arch,
    n_projections: usize,
    /// Shape `(n_blocks, dim, LANES)`, so that one coordinate meets `LANES` directions.
    /// Normal up to rounding, in units of 1 / [`UNIT`]: a query waits for memory here.
    directions: Vec<i8>,
    /// The projections of the mean.
    offsets: Vec<f32>,
}

impl Hasher {
    /// The directions of a table are drawn one after the other from a stream of its own:
    /// those of a smaller shape are the first of a larger one.
    #[expect(clippy::cast_possible_truncation, reason = "cut off at 4 standard deviations")]
    pub(super) fn new(shape: Shape, mean: &[f32], seed: Seed) -> Self {
        let dim = mean.len();
        let n_projections = shape.tables * shape.per_table();
        let mut directions = vec![0; n_projections.next_multiple_of(LANES) * dim];
        for table in 0..shape.tables {
            let mut rng = seed.stream(Purpose::Fit, table as u64);
            for at in table * shape.per_table()..(table + 1) * shape.per_table() {
                let (block, lane) = (at / LANES, at % LANES);
                for l in 0..dim {
                    directions[(block * dim + l) * LANES + lane] =
                        (f64::from(UNIT) * rng.normal()).round() as i8;
                }
            }
        }
        let mut hasher =
            Self { shape, dim, arch: Arch::new(), n_projections, directions, offsets: vec![] };
        let mut offsets = vec![0.0; hasher.padded()];
        hasher.products::<1>([mean], [&mut offsets]);
        hasher.offsets = offsets;
        hasher
    }

    /// Length of the output of [`project`](Self::project).
    pub(super) fn padded(&self) -> usize {
        self.n_projections.next_multiple_of(LANES)
    }

    /// Overwrites `out` with the projections of unit vectors, less those of the mean:
    /// `out[n][(table * digits + digit) * width + i]`.
    pub(super) fn project<const N: usize>(&self, units: [&[f32]; N], mut out: [&mut [f32]; N]) {
        self.products(units, out.each_mut().map(|out| &mut **out));
        for out in out {
            out.iter_mut().zip(&self.offsets).for_each(|(y, offset)| *y -= offset);
        }
    }

    fn products<const N: usize>(&self, units: [&[f32]; N], out: [&mut [f32]; N]) {
        self.arch.dispatch(Products { dim: self.dim, directions: &self.directions, units, out });
    }

    /// The bucket of a projected vector.
    pub(super) fn bucket(&self, projected: &[f32], table: usize) -> u32 {
        (0..self.shape.digits).rev().fold(0, |bucket, digit| {
            let shape = self.shape;
            let (symbol, _) = peak(shape.digit(projected, shape.per_table(), table, digit));
            bucket * small(shape.radix()) + symbol
        })
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// The vertex nearest to some projections, and how far out it is: `2 i` for direction `i`,
/// `2 i + 1` for its opposite, the lower of two that are equal.
pub(super) fn peak(projections: &[f32]) -> (u32, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (at, y) in projections.iter().enumerate() {
        if y.abs() > best.1 {
            best = (2 * small(at) + u32::from(*y < 0.0), y.abs());
        }
    }
    best
}

/// How much worse than the nearest vertex another is: equation (2) for one digit.
pub(super) fn penalty(projections: &[f32], peak: f32, symbol: u32) -> f32 {
    let y = projections[symbol as usize / 2];
    let short = peak - if symbol.is_multiple_of(2) { y } else { -y };
    short * short
}

/// A number of buckets or directions, which are few.
pub(super) fn small(number: usize) -> u32 {
    u32::try_from(number).expect("shapes are small, and an index refuses more rows than that")
}

/// Overwrites `unit` with the direction of `x`.
#[expect(clippy::cast_possible_truncation, reason = "hashes are made in f32")]
pub(super) fn write_unit(x: &[f32], inverse_norm: f64, unit: &mut Vec<f32>) {
    unit.clear();
    unit.extend(x.iter().map(|&x| (f64::from(x) * inverse_norm) as f32));
}

/// The mean of the directions of the first `n_rows` rows.
#[expect(clippy::cast_possible_truncation, reason = "hashes are made in f32")]
pub(super) fn mean_direction(scan: &ExactScan, n_rows: usize) -> Vec<f32> {
    let mut sums = vec![0.0; scan.dim()];
    for row in 0..n_rows {
        let inverse_norm = scan.inverse_norm(row);
        for (sum, &x) in sums.iter_mut().zip(scan.row(row)) {
            *sum += f64::from(x) * inverse_norm;
        }
    }
    sums.iter().map(|sum| (sum / n_rows as f64) as f32).collect()
}

/// Every output is summed in the order of the dimensions, without fused multiplication:
/// the same bits whatever the width of a register.
struct Products<'a, const N: usize> {
    dim: usize,
    directions: &'a [i8],
    units: [&'a [f32]; N],
    out: [&'a mut [f32]; N],
}

impl<const N: usize> WithSimd for Products<'_, N> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { dim, directions, units, out } = self;
        let units = units.map(|unit| &unit[..dim]);
        for (block, directions) in directions.chunks_exact(dim * LANES).enumerate() {
            // Halves, since the sums of a block of rows are to stay in registers.
            for half in 0..2 {
                let mut sums = [[0.0_f32; LANES / 2]; N];
                for (l, lanes) in directions.as_chunks::<LANES>().0.iter().enumerate() {
                    let lanes = &lanes.as_chunks::<{ LANES / 2 }>().0[half];
                    let mut wide = [0.0; LANES / 2];
                    for lane in 0..LANES / 2 {
                        wide[lane] = f32::from(lanes[lane]);
                    }
                    for n in 0..N {
                        let x = units[n][l];
                        for lane in 0..LANES / 2 {
                            sums[n][lane] += x * wide[lane];
                        }
                    }
                }
                for n in 0..N {
                    let first = block * LANES + half * (LANES / 2);
                    for (out, sum) in out[n][first..first + LANES / 2].iter_mut().zip(&sums[n]) {
                        *out = sum * (1.0 / UNIT);
                    }
                }
            }
        }
    }
}
