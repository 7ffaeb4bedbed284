//! The yardstick: the dot product with every row in `f32`, and the largest of them.
//!
//! No codes, no bounds, nothing canonical; the rows are taken to be of length 1. As fast as
//! that can be: sixteen sums in the widest registers there are.

use std::sync::Arc;

use pulp::{Arch, WithSimd};
use tollgate::core::{EstimateError, FitError, History, Query, Scratch};
use tollgate::estimators::{Capabilities, Index, RowSets};

/// Compares every row, plainly.
#[derive(Debug)]
pub(super) struct PlainScan {
    /// Row-major `(n_rows, dim)`.
    rows: Arc<[f32]>,
    dim: usize,
}

impl PlainScan {
    pub(super) fn new(history: &History) -> Self {
        Self { rows: history.embeddings().clone(), dim: history.dim() }
    }
}

impl Index for PlainScan {
    fn name(&self) -> &'static str {
        super::contenders::PLAIN
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { exact: false, reproducible: true, insert: false, persist: false }
    }

    fn n_rows(&self) -> usize {
        self.rows.len() / self.dim
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Index>, FitError> {
        Ok(Box::new(Self::new(history)))
    }

    /// Of all rows: the only set that is asked for here.
    fn nearest_into(
        &self,
        query: Query<'_>,
        k: usize,
        _sets: &RowSets,
        _exclude: Option<u32>,
        scratch: &mut Scratch,
    ) -> Result<(), EstimateError> {
        let out = &mut scratch.child(0).scored;
        out.clear();
        Arch::new().dispatch(Scan { rows: &self.rows, query: query.embedding, k, out });
        Ok(())
    }
}

struct Scan<'a> {
    rows: &'a [f32],
    query: &'a [f32],
    k: usize,
    out: &'a mut Vec<(f64, u32)>,
}

impl WithSimd for Scan<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) {
        let Self { rows, query, k, out } = self;
        let mut worst = f32::NEG_INFINITY;
        for (row, vector) in (0..).zip(rows.chunks_exact(query.len())) {
            let product = dot(simd, query, vector);
            if out.len() == k && product <= worst {
                continue;
            }
            out.truncate(k - 1);
            let at = out.partition_point(|kept| kept.0 >= f64::from(product));
            out.insert(at, (f64::from(product), row));
            #[expect(clippy::cast_possible_truncation, reason = "it was an f32")]
            if let Some((last, _)) = out.last() {
                worst = *last as f32;
            }
        }
    }
}

#[inline(always)]
fn dot<S: pulp::Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    const SUMS: usize = 4;
    let (a, a_tail) = S::as_simd_f32s(a);
    let (b, b_tail) = S::as_simd_f32s(b);
    let mut sums = [simd.splat_f32s(0.0); SUMS];
    let (a, a_rest) = a.as_chunks::<SUMS>();
    let (b, b_rest) = b.as_chunks::<SUMS>();
    for (x, y) in a.iter().zip(b) {
        for at in 0..SUMS {
            sums[at] = simd.mul_add_f32s(x[at], y[at], sums[at]);
        }
    }
    for (&x, &y) in a_rest.iter().zip(b_rest) {
        sums[0] = simd.mul_add_f32s(x, y, sums[0]);
    }
    let sum = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
    let tail: f32 = a_tail.iter().zip(b_tail).map(|(x, y)| x * y).sum();
    simd.reduce_sum_f32s(sum) + tail
}
