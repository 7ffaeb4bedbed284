//! The nearest of some centers.

use rayon::prelude::*;

use crate::vector::{dot_each, dot_f64};

/// Prompts a task.
const BLOCK: usize = 64;

/// Centers of clusters; the lower of two equally near ones takes a prompt.
#[derive(Clone, Debug)]
pub(super) struct Centers {
    dim: usize,
    /// Row-major `(len, dim)`.
    table: Vec<f32>,
    /// `|c|^2 / 2`.
    half: Vec<f32>,
}

impl Centers {
    #[expect(clippy::cast_possible_truncation, reason = "products are f32")]
    pub(super) fn new(table: Vec<f32>, dim: usize) -> Self {
        let half = |center: &[f32]| {
            let wide: Vec<f64> = center.iter().map(|&x| f64::from(x)).collect();
            (0.5 * dot_f64(&wide, &wide)) as f32
        };
        Self { half: table.chunks_exact(dim).map(half).collect(), dim, table }
    }

    pub(super) fn len(&self) -> usize {
        self.half.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[f32], f32)> {
        self.table.chunks_exact(self.dim).zip(self.half.iter().copied())
    }

    /// The cluster of a direction, and how near its center is: `u . c - |c|^2 / 2`, of which
    /// more is nearer. `products` is of shape `(len,)`.
    pub(super) fn nearest(&self, direction: &[f32], products: &mut [f32]) -> (usize, f32) {
        dot_each(&self.table, direction, products);
        let mut best = (0, f32::NEG_INFINITY);
        for (center, (product, half)) in products.iter().zip(&self.half).enumerate() {
            if product - half > best.1 {
                best = (center, product - half);
            }
        }
        best
    }

    /// The same for many directions, row-major.
    pub(super) fn nearest_each(&self, directions: &[f32]) -> Vec<(usize, f32)> {
        let block = |rows: &[f32]| {
            let mut products = vec![0.0; self.len()];
            let nearest = |row: &[f32]| self.nearest(row, &mut products);
            rows.chunks_exact(self.dim).map(nearest).collect::<Vec<_>>()
        };
        directions.par_chunks(BLOCK * self.dim).flat_map_iter(block).collect()
    }
}
