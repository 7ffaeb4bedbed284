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
//! # References
//!
//! Lloyd, "Least squares quantization in PCM", 1982, doi:10.1109/TIT.1982.1056489.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use tollgate_core::{Purpose, Seed};

/// Rounds of the method: later ones hardly move the centers.
const ROUNDS: usize = 6;

/// Prompts a center that take part, at most.
const SHARE: usize = 32;

/// Prompts a matrix product.
const BLOCK: usize = 256;

/// `min(m, n)` centers, row-major `(m, dim)`; `directions` are `n` unit vectors, row-major.
pub(crate) fn centers(directions: &[f32], dim: usize, m: usize, seed: Seed) -> Vec<f32> {
    let n = directions.len() / dim;
    if n <= m {
        return directions.to_vec();
    }
    let mut order: Vec<usize> = (0..n).collect();
    seed.stream(Purpose::Fit, 0).shuffle(&mut order);
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

#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
fn move_to_means(rows: &[f32], nearest: &[usize], centers: &mut [f32], dim: usize) {
    let mut sums = vec![0.0_f64; centers.len()];
    let mut counts = vec![0_usize; centers.len() / dim];
    for (row, &center) in rows.chunks_exact(dim).zip(nearest) {
        counts[center] += 1;
        let sum = &mut sums[center * dim..(center + 1) * dim];
        sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let each = centers.chunks_exact_mut(dim).zip(sums.chunks_exact(dim)).zip(counts);
    for ((center, sum), count) in each.filter(|(_, count)| *count > 0) {
        center.iter_mut().zip(sum).for_each(|(x, sum)| *x = (sum / count as f64) as f32);
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
            pool.install(|| centers(&rows, 3, 40, Seed(2)))
        };
        assert_eq!(on(1), on(3));
    }
}
