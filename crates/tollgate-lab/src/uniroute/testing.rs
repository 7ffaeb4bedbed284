//! What the tests of this module share.

use std::sync::Arc;

use tollgate::core::{Fit, Seed};
use tollgate::data::{Table, TableParts};

use super::{Comparison, KnownClusters, Line, PROFILE, Protocol, Recovery, Scores, Sizes};

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

/// A comparison of given Areas, by method and trial.
pub(crate) fn comparison(lines: &[(&str, Option<&'static str>, &[f64])]) -> Comparison {
    let scores = |&area: &f64| Scores {
        area,
        half_area: area / 2.0,
        neutral_cost: (area >= 0.5).then_some(0.75),
        peak: area,
        aiq: area,
        recovery: (area >= 0.5).then_some(Recovery { apgr: area, cpt50: 0.25, cpt80: 0.5 }),
    };
    let line = |&(label, family, areas): &(&str, Option<&'static str>, &[f64])| Line {
        label: label.to_owned(),
        family,
        trials: areas.iter().map(scores).collect(),
        profiles: areas.iter().map(|&area| vec![area; PROFILE]).collect(),
    };
    let trials = lines.first().map_or(0, |line| line.2.len() as u64);
    Comparison {
        stream: "test".to_owned(),
        protocol: Protocol::default(),
        seeds: (1..=trials).map(Seed).collect(),
        sizes: Sizes { seen: 2, unseen: 1, training: 6, validation: 1, test: 3, gaps: false },
        lines: lines.iter().map(line).collect(),
    }
}
