//! Centers of a history's prompts.
//!
//! # Problem
//!
//! ```text
//! min over centers c_1..c_m  sum_r min_j |u_r - c_j|^2,   u_r = x_r / |x_r|       (1)
//! ```
//!
//! # Method
//!
//! Lloyd's: every prompt goes to its nearest center, every center to the mean of its
//! prompts, a few times over, from `m` prompts drawn at random. At most 32 prompts a
//! center take part, drawn at random. A center that loses all of its prompts stays where it
//! was. The lower center among equals takes a prompt, sums run in the order of the rows,
//! so the answer depends on nothing but the seed. Distances are matrix products in `f32`.
//!
//! [`spread`] begins better and takes longer, for those to whom the clusters themselves matter:
//! the first center is a prompt drawn at random, each next one a prompt drawn with a chance
//! in proportion to its squared distance from the nearest so far (k-means++), of at most
//! 32 prompts a center. Lloyd's rounds go over all prompts where those are no more than
//! 16,384 or 32 a center; over that many drawn anew for each round where they are more, and
//! a center is then the mean of all prompts that it was ever the nearest of (mini-batches).
//! It ends when no prompt changes its center, or after 25 rounds.
//!
//! # References
//!
//! Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", 2007. Sculley,
//! "Web-scale k-means clustering", 2010, doi:10.1145/1772690.1772862: mini-batches. Lloyd, "Least squares quantization in PCM", 1982, doi:10.1109/TIT.1982.1056489.

use std::borrow::Cow;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use tollgate_core::{Purpose, Seed};

use crate::shuffled::shuffled;
use crate::vector::dot_f32;

/// Rounds of the method: later ones hardly move the centers.
const ROUNDS: usize = 6;

/// Prompts a center that take part, at most.
const SHARE: usize = 32;

/// Rounds of [`spread`], at most.
const SPREAD_ROUNDS: usize = 25;

/// Prompts of a round of [`spread`], at most, where there are fewer than [`SHARE`] a center.
const BATCH: usize = 16_384;

/// Prompts a matrix product.
const BLOCK: usize = 256;

/// `min(m, n)` centers, row-major `(m, dim)`; `directions` are `n` unit vectors, row-major.
pub(crate) fn centers(directions: &[f32], dim: usize, m: usize, seed: Seed) -> Vec<f32> {
    let n = directions.len() / dim;
    if n <= m {
        return directions.to_vec();
    }
    let mut order = shuffled(n, seed, 0);
    order.truncate(SHARE * m);
    let rows: Vec<f32> =
        order.iter().flat_map(|&row| &directions[row * dim..(row + 1) * dim]).copied().collect();
    let mut centers = rows[..m * dim].to_vec();
    for _ in 0..ROUNDS {
        let nearest = nearest(&rows, &centers, dim);
        move_to_means(&rows, &nearest, &mut centers, dim);
    }
    centers
}

/// `min(m, n)` centers as those of [`centers`], spread out from the start.
pub(crate) fn spread(directions: &[f32], dim: usize, m: usize, seed: Seed) -> Vec<f32> {
    let n = directions.len() / dim;
    if n <= m {
        return directions.to_vec();
    }
    let mut rng = seed.stream(Purpose::Fit, 0);
    let mut order: Vec<usize> = (0..n).collect();
    let mut draw = |size: usize| -> Cow<'_, [f32]> {
        if size >= n {
            return Cow::Borrowed(directions);
        }
        rng.shuffle(&mut order);
        let row = |&row: &usize| &directions[row * dim..(row + 1) * dim];
        Cow::Owned(order[..size].iter().flat_map(row).copied().collect())
    };
    let mut centers = seeds(&draw(SHARE * m), dim, m, seed);
    let batch = BATCH.max(SHARE * m);
    let mut means = Means { sums: vec![0.0; m * dim], counts: vec![0; m] };
    let mut before = Vec::new();
    for _ in 0..SPREAD_ROUNDS {
        let rows = draw(batch);
        let nearest = nearest(&rows, &centers, dim);
        if n <= batch {
            if nearest == before {
                break;
            }
            means.forget();
        }
        means.add(&rows, &nearest, dim);
        means.write(&mut centers, dim);
        before = nearest;
    }
    centers
}

/// `m` of the rows, of which there are more, by k-means++.
fn seeds(rows: &[f32], dim: usize, m: usize, seed: Seed) -> Vec<f32> {
    let n = rows.len() / dim;
    let mut rng = seed.stream(Purpose::Fit, 1);
    let mut next = rng.below(n);
    let mut distances = vec![f32::INFINITY; n];
    let mut centers = Vec::with_capacity(m * dim);
    loop {
        let center = &rows[next * dim..(next + 1) * dim];
        centers.extend_from_slice(center);
        if centers.len() == m * dim {
            return centers;
        }
        let each = distances.par_iter_mut().zip(rows.par_chunks_exact(dim));
        each.with_min_len(BLOCK).for_each(|(distance, row)| {
            // |u - c|^2 of unit vectors; rounding may take it below 0.
            *distance = distance.min((2.0 - 2.0 * dot_f32(row, center)).max(0.0));
        });
        distances[next] = 0.0;
        let total: f64 = distances.iter().map(|&d| f64::from(d)).sum();
        let mut left = rng.uniform() * total;
        // Where all that is left are copies, or where rounding eats the last bit, the last
        // row that has a distance; or any.
        next = distances.iter().rposition(|&d| d > 0.0).unwrap_or_else(|| rng.below(n));
        for (row, &distance) in distances.iter().enumerate() {
            left -= f64::from(distance);
            if left < 0.0 {
                next = row;
                break;
            }
        }
    }
}

/// The nearest center of every row.
fn nearest(rows: &[f32], centers: &[f32], dim: usize) -> Vec<usize> {
    let m = centers.len() / dim;
    let half: Vec<f32> =
        centers.chunks_exact(dim).map(|c| c.iter().map(|x| x * x).sum::<f32>() / 2.0).collect();
    let centers = MatRef::from_row_major_slice(centers, m, dim);
    let nearest_of_block = |rows: &[f32]| -> Vec<usize> {
        let n = rows.len() / dim;
        let mut products = vec![0.0_f32; n * m];
        let out = MatMut::from_row_major_slice_mut(&mut products, n, m);
        let rows = MatRef::from_row_major_slice(rows, n, dim);
        matmul(out, Accum::Replace, rows, centers.transpose(), 1.0, Par::Seq);
        products
            .chunks_exact(m)
            .map(|products| {
                // |u - c|^2 is least where u . c - |c|^2 / 2 is greatest.
                let mut best = (f32::NEG_INFINITY, 0);
                for (center, (product, half)) in products.iter().zip(&half).enumerate() {
                    if product - half > best.0 {
                        best = (product - half, center);
                    }
                }
                best.1
            })
            .collect()
    };
    rows.par_chunks(BLOCK * dim).flat_map_iter(nearest_of_block).collect()
}

fn move_to_means(rows: &[f32], nearest: &[usize], centers: &mut [f32], dim: usize) {
    let mut means = Means { sums: vec![0.0; centers.len()], counts: vec![0; centers.len() / dim] };
    means.add(rows, nearest, dim);
    means.write(centers, dim);
}

/// The prompts of each center, to be averaged.
#[derive(Debug)]
struct Means {
    /// Row-major `(m, dim)`.
    sums: Vec<f64>,
    counts: Vec<usize>,
}

impl Means {
    fn forget(&mut self) {
        self.sums.fill(0.0);
        self.counts.fill(0);
    }

    fn add(&mut self, rows: &[f32], nearest: &[usize], dim: usize) {
        for (row, &center) in rows.chunks_exact(dim).zip(nearest) {
            self.counts[center] += 1;
            let sum = &mut self.sums[center * dim..(center + 1) * dim];
            sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
    }

    /// Moves every center that has prompts to their mean.
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    fn write(&self, centers: &mut [f32], dim: usize) {
        let sums = self.sums.chunks_exact(dim).zip(&self.counts);
        for (center, (sum, &count)) in centers.chunks_exact_mut(dim).zip(sums) {
            if count > 0 {
                center.iter_mut().zip(sum).for_each(|(x, sum)| *x = (sum / count as f64) as f32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two tight pairs of directions and two centers: whichever prompts they start from,
    /// unless it is both of one pair, they end in the middles of the pairs.
    #[test]
    fn two_pairs_by_hand() {
        let rows = [1.0, 0.0, 0.8, 0.6, -1.0, 0.0, -0.8, -0.6];
        let mut ended_in_pairs = 0;
        for seed in 0..20 {
            let mut got = centers(&rows, 2, 2, Seed(seed));
            if got[0] < 0.0 {
                got.rotate_left(2);
            }
            ended_in_pairs += usize::from(got == [0.9, 0.3, -0.9, -0.3]);
        }
        assert!(ended_in_pairs >= 12, "{ended_in_pairs} of 20");
    }

    /// However it begins, k-means++ puts the second center into the other pair.
    #[test]
    fn two_pairs_are_told_apart_from_the_start() {
        let rows = [1.0, 0.0, 0.8, 0.6, -1.0, 0.0, -0.8, -0.6];
        let mut ended_in_pairs = 0;
        for seed in 0..20 {
            let mut got = spread(&rows, 2, 2, Seed(seed));
            if got[0] < 0.0 {
                got.rotate_left(2);
            }
            ended_in_pairs += usize::from(got == [0.9, 0.3, -0.9, -0.3]);
        }
        // A prompt of its own pair is drawn with a chance of 0.4 / 8.
        assert!(ended_in_pairs >= 17, "{ended_in_pairs} of 20");
    }

    /// Ten copies each of three directions: three centers, whatever is drawn.
    #[test]
    fn copies_do_not_get_a_second_center() {
        let rows: Vec<f32> =
            (0..30).flat_map(|row| [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]][row % 3]).collect();
        for seed in 0..20 {
            let mut got: Vec<[f32; 2]> =
                spread(&rows, 2, 3, Seed(seed)).chunks_exact(2).map(|c| [c[0], c[1]]).collect();
            got.sort_by(|a, b| a[0].total_cmp(&b[0]));
            assert_eq!(got, [[-1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]);
        }
        assert_eq!(spread(&rows, 2, 5, Seed(0)).len(), 10, "what is left over are copies");
    }

    /// More prompts than a batch: the sum (1) is no worse than a tenth above that of all rounds
    /// on all prompts.
    #[test]
    fn batches_find_clusters_too() {
        let mut rng = Seed(3).stream(Purpose::Synthesis, 0);
        let n = 3 * BATCH;
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        let rows: Vec<f32> = (0..n)
            .flat_map(|row| {
                let angle = (row % 6) as f64 + 0.1 * rng.normal();
                [angle.cos() as f32, angle.sin() as f32]
            })
            .collect();
        let centers = spread(&rows, 2, 6, Seed(0));
        let loss: f64 = rows
            .chunks_exact(2)
            .map(|u| {
                let square = |c: &[f32]| (u[0] - c[0]).powi(2) + (u[1] - c[1]).powi(2);
                f64::from(centers.chunks_exact(2).map(square).fold(f32::INFINITY, f32::min))
            })
            .sum();
        // Around the true angles it is the variance of the noise, 0.01.
        assert!(loss / (n as f64) < 0.011, "{}", loss / n as f64);
    }

    #[test]
    fn fewer_prompts_than_centers_are_centers_themselves() {
        let rows = [1.0, 0.0, 0.0, 1.0];
        assert_eq!(centers(&rows, 2, 5, Seed(0)), rows);
    }

    #[test]
    fn threads_do_not_matter() {
        let mut rng = Seed(1).stream(Purpose::Synthesis, 0);
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        let rows: Vec<f32> = (0..900 * 3).map(|_| rng.normal() as f32).collect();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| [centers(&rows, 3, 40, Seed(2)), spread(&rows, 3, 40, Seed(2))])
        };
        assert_eq!(on(1), on(3));
    }
}
