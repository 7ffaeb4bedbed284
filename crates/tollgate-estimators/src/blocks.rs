//! Batches of queries, cut into blocks and spread over the threads of the current pool.

use rayon::prelude::*;
use tollgate_core::{EstimateError, EstimatesMut, Queries, Scratch};

/// Calls `estimate` for each block of at most `size` queries, with the number of the
/// block's first query and the rows of `out` that are its own. The scratch is shared by
/// the blocks that one thread happens to take, so an answer must not depend on it.
///
/// # Errors
/// One of those that `estimate` answers with.
pub(crate) fn for_each(
    queries: Queries<'_>,
    size: usize,
    out: &mut EstimatesMut<'_>,
    estimate: impl Fn(usize, Queries<'_>, &mut Scratch, EstimatesMut<'_>) -> Result<(), EstimateError>
    + Sync,
) -> Result<(), EstimateError> {
    let n_models = out.quality.len().checked_div(queries.len()).unwrap_or(0).max(1);
    let cells = size * n_models;
    queries
        .embeddings
        .par_chunks(size * queries.dim.max(1))
        .zip(out.quality.par_chunks_mut(cells))
        .zip(out.quality_se.par_chunks_mut(cells))
        .zip(out.cost.par_chunks_mut(cells))
        .zip(out.cost_se.par_chunks_mut(cells))
        .enumerate()
        .try_for_each_init(Scratch::default, |scratch, (number, columns)| {
            let ((((embeddings, quality), quality_se), cost), cost_se) = columns;
            let out = EstimatesMut { quality, quality_se, cost, cost_se };
            let first = number * size;
            let block = queries.rows(first, first + embeddings.len() / queries.dim);
            estimate(first, block, scratch, out)
        })
}
