//! Choosing the shape of the tables and how far to look, on the rows themselves.

use rayon::prelude::*;
use tollgate_core::{EstimateError, Purpose, Queries, Scratch, Seed};

use super::hash::{Hasher, Shape, peak, penalty, small};
use super::probe::{Prober, Work, price};
use super::{LshFamily, LshRecipe};
use crate::index::{ExactScan, Index, RowSets};

/// Tables, at most.
const TABLES: usize = 16;

/// Directions that a table of any shape takes.
const STRIDE: usize = 128;

/// Rows that stand for queries while choosing, and as many to test the choice on.
const QUERIES: usize = 256;

/// Fewer rows are never hashed.
const LEAST_ROWS: usize = 4 * QUERIES;

/// Rows that stand for all rows.
const CROWD: usize = 1024;

/// Queries whose buckets are counted.
const COUNTED: usize = 32;

/// The radius that a query begins with, at least.
pub(super) const FIRST: f64 = 1e-3;

/// Squared distances are taken to be no less, so that copies have no infinite ratio.
pub(super) const LEAST: f64 = 1e-9;

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) shape: Shape,
    /// `t` of (4).
    pub(super) ratio: f64,
    /// The radius that a query begins with.
    pub(super) first: f64,
}

/// Rows that stand for queries.
#[derive(Debug)]
pub(super) struct Sample {
    rows: Vec<u32>,
    /// Their nearest neighbors but for themselves, `(similarity, row)`.
    pub(super) nearest: Vec<Vec<(f64, u32)>>,
}

impl Sample {
    /// Two samples that share no row; `None` where there are too few rows for that.
    pub(super) fn pair(scan: &ExactScan, k: usize, seed: Seed) -> Option<[Self; 2]> {
        let n = QUERIES;
        if scan.n_rows() < LEAST_ROWS || scan.n_rows() <= k {
            return None;
        }
        let mut rows: Vec<u32> = (0..small(scan.n_rows())).collect();
        seed.stream(Purpose::Fit, u64::MAX).shuffle(&mut rows);
        let sample = |rows: &[u32]| {
            let nearest = rows.par_chunks(64).flat_map_iter(|rows| exact(scan, rows, k)).collect();
            Self { rows: rows.to_vec(), nearest }
        };
        Some([sample(&rows[..n]), sample(&rows[n..2 * n])])
    }

    /// The mean over the sample of `measure(row, its exact neighbors)`.
    pub(super) fn mean(
        &self,
        measure: impl Fn(u32, &[(f64, u32)]) -> Result<[f64; 2], EstimateError> + Sync,
    ) -> Result<[f64; 2], EstimateError> {
        let each = self.rows.par_iter().zip(&self.nearest);
        let each: Vec<[f64; 2]> =
            each.map(|(&row, nearest)| measure(row, nearest)).collect::<Result<_, _>>()?;
        let mean = |at: usize| each.iter().map(|x| x[at]).sum::<f64>() / each.len() as f64;
        Ok([mean(0), mean(1)])
    }
}

/// The `k` nearest of each of some rows, without itself.
fn exact(scan: &ExactScan, rows: &[u32], k: usize) -> Vec<Vec<(f64, u32)>> {
    let embeddings: Vec<f32> =
        rows.iter().flat_map(|&row| scan.row(row as usize)).copied().collect();
    let queries = Queries::new(&embeddings, scan.dim());
    let mut scratch = Scratch::default();
    scan.nearest_block(queries, k + 1, &RowSets::all(), None, &mut scratch)
        .expect("rows of an index are queries that it takes");
    let nearest = |(at, &row): (usize, &u32)| {
        let mut nearest = scratch.child(at).child(0).scored.clone();
        nearest.retain(|neighbor| neighbor.1 != row);
        nearest.truncate(k);
        nearest
    };
    rows.iter().enumerate().map(nearest).collect()
}

/// Rows as they are hashed: what every shape is tried on.
struct Hashed {
    /// Shape `(n, TABLES * STRIDE)`.
    projected: Vec<f32>,
}

impl Hashed {
    fn new(pool: &Hasher, scan: &ExactScan, rows: &[u32]) -> Self {
        let project = |&row: &u32| {
            let mut prober = Prober::default();
            prober.begin(pool, scan.row(row as usize), scan.inverse_norm(row as usize), 0);
            prober.projected
        };
        Self { projected: rows.par_iter().flat_map_iter(project).collect() }
    }

    fn row(&self, at: usize) -> &[f32] {
        &self.projected[at * TABLES * STRIDE..][..TABLES * STRIDE]
    }

    /// The digits of every row in every table, row-major `(n, TABLES, digits)`.
    fn symbols(&self, shape: Shape) -> Vec<u32> {
        self.projected
            .par_chunks(TABLES * STRIDE)
            .flat_map_iter(|row| {
                (0..TABLES * shape.digits).map(move |at| {
                    let (table, digit) = (at / shape.digits, at % shape.digits);
                    peak(shape.digit(row, STRIDE, table, digit)).0
                })
            })
            .collect()
    }
}

/// Equation (2) of one query for any bucket of any table.
struct Penalties {
    shape: Shape,
    /// Shape `(TABLES, digits, radix)`.
    each: Vec<f32>,
}

impl Penalties {
    fn new(shape: Shape, projected: &[f32]) -> Self {
        let mut each = Vec::with_capacity(TABLES * shape.digits * shape.radix());
        for table in 0..TABLES {
            for digit in 0..shape.digits {
                let projections = shape.digit(projected, STRIDE, table, digit);
                let (_, peak) = peak(projections);
                let all = 0..small(shape.radix());
                each.extend(all.map(|symbol| penalty(projections, peak, symbol)));
            }
        }
        Self { shape, each }
    }

    /// Those of a row in each table.
    fn of(&self, symbols: &[u32]) -> [f32; TABLES] {
        let (digits, radix) = (self.shape.digits, self.shape.radix());
        std::array::from_fn(|table| {
            let first = table * digits;
            let each = (first..first + digits).zip(&symbols[first..first + digits]);
            each.map(|(at, &symbol)| self.each[at * radix + symbol as usize]).sum()
        })
    }
}

/// Tries every shape on the sample, each with the least ratio that finds enough of the
/// neighbors, and answers the cheapest.
pub(super) fn choose(
    recipe: LshRecipe,
    scan: &ExactScan,
    mean: &[f32],
    sample: &Sample,
    seed: Seed,
) -> Option<Choice> {
    let pool = Hasher::new(Shape { tables: TABLES, digits: 1, width: STRIDE }, mean, seed);
    let queries = Hashed::new(&pool, scan, &sample.rows);
    let rows: Vec<u32> = sample.nearest.iter().flatten().map(|neighbor| neighbor.1).collect();
    let neighbors = Hashed::new(&pool, scan, &rows);
    let step = scan.n_rows().div_ceil(CROWD);
    let rows: Vec<u32> = (0..small(scan.n_rows())).step_by(step).collect();
    let crowd = Hashed::new(&pool, scan, &rows);
    let trial = Trial { recipe, n_rows: scan.n_rows(), sample, queries, neighbors, crowd };
    let tried = shapes(recipe.family, scan.n_rows()).into_iter().flat_map(|shape| trial.run(shape));
    let (price, cheapest) = tried.min_by(|a, b| a.0.total_cmp(&b.0))?;
    recipe.pays(price, scan.n_rows()).then_some(cheapest)
}

/// Shapes with neither far too few buckets nor far too many.
fn shapes(family: LshFamily, n_rows: usize) -> Vec<Shape> {
    let widths: &[usize] = match family {
        LshFamily::Hyperplanes => &[1],
        LshFamily::CrossPolytope => &[8, 16, 32, 64],
    };
    let fits = |shape: &Shape| {
        let n_buckets = shape.n_buckets();
        n_buckets <= 1 << 24 && (n_rows / 64..=4 * n_rows).contains(&n_buckets)
    };
    let shape = |&width: &usize| (1..=24).map(move |digits| Shape { tables: 0, digits, width });
    let all = widths.iter().flat_map(shape).filter(|shape| shape.per_table() <= STRIDE);
    // Above, so that the number of buckets does not overflow.
    all.filter(|shape| shape.digits * shape.radix().ilog2() as usize <= 24).filter(fits).collect()
}

fn numbers_of_tables() -> impl Iterator<Item = usize> {
    (0..).map(|log| 1 << log).take_while(|&tables| tables <= TABLES)
}

/// Whether a shape can be what was chosen for so many rows.
pub(super) fn is_tried(family: LshFamily, n_rows: usize, shape: Shape) -> bool {
    n_rows >= LEAST_ROWS
        && numbers_of_tables().any(|tables| tables == shape.tables)
        && shapes(family, n_rows).contains(&Shape { tables: 0, ..shape })
}

struct Trial<'a> {
    recipe: LshRecipe,
    n_rows: usize,
    sample: &'a Sample,
    queries: Hashed,
    neighbors: Hashed,
    crowd: Hashed,
}

impl Trial<'_> {
    /// A digit's shape with 1, 2, 4, ... tables, each with what a query is expected to be
    /// worth, in rows of a scan.
    fn run(&self, shape: Shape) -> Vec<(f64, Choice)> {
        let neighbors = self.neighbors.symbols(shape);
        let crowd = self.crowd.symbols(shape);
        let per_row = TABLES * shape.digits;
        let k = self.sample.nearest[0].len();
        let farthest: Vec<f64> = self.sample.nearest.iter().map(|n| square_distance(n)).collect();
        // By query: penalties of its neighbors, and of the crowd.
        let penalties: Vec<[Vec<[f32; TABLES]>; 2]> = (0..farthest.len())
            .into_par_iter()
            .map(|query| {
                let penalties = Penalties::new(shape, self.queries.row(query));
                let of =
                    |symbols: &[u32]| symbols.chunks(per_row).map(|s| penalties.of(s)).collect();
                [of(&neighbors[query * k * per_row..(query + 1) * k * per_row]), of(&crowd)]
            })
            .collect();
        numbers_of_tables()
            .map(|tables| {
                let shape = Shape { tables, ..shape };
                let least = |row: &[f32; TABLES]| {
                    f64::from(row[..tables].iter().fold(f32::INFINITY, |least, &x| least.min(x)))
                };
                let ratios: Vec<Vec<f64>> = penalties
                    .iter()
                    .zip(&farthest)
                    .map(|([near, _], square)| near.iter().map(|row| least(row) / square).collect())
                    .collect();
                let ratio = least_ratio(&ratios, self.recipe.target_recall);
                let radii: Vec<f64> = farthest.iter().map(|square| ratio * square).collect();
                let price = self.price(shape, &radii, &penalties);
                let mut sorted = radii;
                sorted.sort_unstable_by(f64::total_cmp);
                let first = sorted[sorted.len() / 4].max(FIRST);
                (price, Choice { shape, ratio, first })
            })
            .collect()
    }

    /// What a query is worth, in rows of a scan.
    fn price(&self, shape: Shape, radii: &[f64], penalties: &[[Vec<[f32; TABLES]>; 2]]) -> f64 {
        let (mut found, mut visits, mut seen) = (0_usize, 0_usize, 0_usize);
        for ([_, crowd], &radius) in penalties.iter().zip(radii) {
            for row in crowd {
                let within = row[..shape.tables].iter().filter(|&&x| f64::from(x) <= radius);
                let times = within.count();
                visits += times;
                found += usize::from(times > 0);
                seen += 1;
            }
        }
        let share = |count: usize| count as f64 / seen as f64 * self.n_rows as f64;
        let mut buckets = 0;
        let mut prober = Prober::default();
        for (query, &radius) in radii.iter().take(COUNTED).enumerate() {
            prober.projected.clear();
            prober.projected.extend_from_slice(self.queries.row(query));
            #[expect(clippy::cast_possible_truncation, reason = "radii are in f32")]
            let Some(count) = prober.count(shape, STRIDE, radius as f32, 4 * self.n_rows) else {
                return f64::INFINITY;
            };
            buckets += count;
        }
        let buckets = buckets / COUNTED;
        #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "a count")]
        let work = Work { buckets, visits: share(visits) as usize };
        let projections = (shape.tables * shape.per_table()) as f64;
        projections * price::PROJECTION + work.price() + share(found) * price::ROW
    }
}

/// The square of the distance of the last of some neighbors.
fn square_distance(nearest: &[(f64, u32)]) -> f64 {
    nearest.last().map_or(LEAST, |last| (2.0 - 2.0 * last.0).max(LEAST))
}

/// The least ratio at which the share of neighbors found, less two standard errors of its
/// mean over the queries, is `target`; or that at which all are found. One more query that
/// finds nothing is counted in, so that a sample shows no more than its size allows.
fn least_ratio(ratios: &[Vec<f64>], target: f64) -> f64 {
    let n = ratios.len() as f64 + 1.0;
    let enough = |ratio: f64| {
        let (sum, squares) = ratios.iter().fold((0.0, 0.0), |(sum, squares), ratios| {
            let found = ratios.iter().filter(|&&other| other <= ratio).count();
            let recall = found as f64 / ratios.len() as f64;
            (sum + recall, squares + recall * recall)
        });
        let mean = sum / n;
        let variance = (squares / n - mean * mean).max(0.0);
        mean - 2.0 * (variance / n).sqrt() >= target
    };
    let mut all: Vec<f64> = ratios.iter().flatten().copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    let last = all.len() - 1;
    all[all[..last].partition_point(|&ratio| !enough(ratio))]
}
