//! What the tests of this module share.

use std::sync::Arc;

use tollgate::core::Fit;
use tollgate::data::{Table, TableParts};

use super::KnownClusters;

/// Twelve prompts in two clusters, in turns, and four models at 1, 2, 4 and 8 USD: `a` and
/// `c` answer the first cluster alone, `b` and `d` the second.
pub(crate) fn table() -> Table {
    let models = ["a", "b", "c", "d"];
    let (mut quality, mut cost, mut embeddings) = (Vec::new(), Vec::new(), Vec::new());
    for prompt in 0_u8..12 {
        let first = prompt % 2 == 0;
        for model in 0..4 {
            quality.push(f64::from(u8::from((model % 2 == 0) == first)));
            cost.push(f64::from(1_u8 << model));
        }
        let near = 0.01 * f32::from(prompt);
        embeddings.extend(if first { [1.0, near] } else { [near, 1.0] });
    }
    Table::new(TableParts {
        name: "test".to_owned(),
        models: models.map(str::to_owned).to_vec(),
        tasks: Vec::new(),
        quality,
        cost,
        dim: 2,
        embeddings,
    })
    .unwrap()
}

/// The clusters of [`table`].
pub(crate) fn recipe() -> Arc<dyn Fit> {
    Arc::new(KnownClusters::new([1.0, 0.0, 0.0, 1.0], 2))
}
