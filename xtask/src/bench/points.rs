//! Points to search among.
//!
//! Embeddings of prompts lie in clusters that overlap, and their variance falls off from
//! axis to axis. The two sets of duplicates are the hardest for a graph: links among equal
//! points lead nowhere else.

use std::path::Path;

use anyhow::Result;
use rayon::prelude::*;
use tollgate::core::{History, Models, Purpose, Queries, Seed, StreamRng};
use tollgate::data::Table;

/// The dimension of all-MiniLM-L6-v2, and of the recorded streams.
pub(super) const DIM: usize = 384;

/// Clusters of [`clustered`].
const CLUSTERS: usize = 200;

/// Axis `i` has standard deviation proportional to `i^-SPECTRUM`, from 1 on.
const SPECTRUM: f64 = 0.5;

const SEED: Seed = Seed(1);

/// What a set is an example of, which decides what is promised on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Clustered,
    Duplicates,
    Recorded,
}

/// Rows to search, and queries of the same kind that are not among them.
#[derive(Debug)]
pub(super) struct Points {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) history: History,
    /// Row-major `(n_queries, dim)`.
    pub(super) queries: Vec<f32>,
}

impl Points {
    fn new(
        name: String,
        kind: Kind,
        dim: usize,
        rows: Vec<f32>,
        queries: Vec<f32>,
    ) -> Result<Self> {
        let n_rows = rows.len() / dim;
        // Labels are of no interest here, and have to be there.
        let models = Models::new(["any"])?;
        let history = History::new(models, dim, rows, vec![0.5; n_rows], vec![0.01; n_rows])?;
        Ok(Self { name, kind, history, queries })
    }

    pub(super) fn queries(&self) -> Queries<'_> {
        Queries::new(&self.queries, self.history.dim())
    }
}

/// Unit vectors about 200 centers; the noise is as long as a center, so clusters overlap.
#[derive(Debug)]
pub(super) struct Clusters {
    /// Row-major `(n, DIM)`.
    pub(super) embeddings: Vec<f32>,
    /// The cluster of each.
    pub(super) labels: Vec<usize>,
}

impl Clusters {
    pub(super) fn draw(n: usize) -> Self {
        let spectrum: Vec<f64> = (1..=DIM).map(|axis| (axis as f64).powf(-SPECTRUM)).collect();
        let length = spectrum.iter().map(|x| x * x).sum::<f64>().sqrt();
        let mut rng = SEED.stream(Purpose::Synthesis, 0);
        let centers: Vec<Vec<f64>> = (0..CLUSTERS)
            .map(|_| unit(spectrum.iter().map(|scale| scale * rng.normal()).collect()))
            .collect();
        let draw = |row: usize| {
            let mut rng = SEED.stream(Purpose::Synthesis, 1 + row as u64);
            let label = rng.below(CLUSTERS);
            let around = |(center, scale): (&f64, &f64)| center + scale / length * rng.normal();
            (label, narrow(&unit(centers[label].iter().zip(&spectrum).map(around).collect())))
        };
        let rows: Vec<(usize, Vec<f32>)> = (0..n).into_par_iter().map(draw).collect();
        let labels = rows.iter().map(|(label, _)| *label).collect();
        Self { embeddings: rows.into_iter().flat_map(|(_, row)| row).collect(), labels }
    }
}

/// `n` rows of [`Clusters`].
pub(super) fn clustered(n: usize, n_queries: usize) -> Result<Points> {
    let mut rows = Clusters::draw(n + n_queries).embeddings;
    let queries = rows.split_off(n * DIM);
    Points::new(format!("clustered {n}"), Kind::Clustered, DIM, rows, queries)
}

/// Ten points, each 500 times; queries are near one of them.
pub(super) fn copies(n_queries: usize) -> Result<Points> {
    let mut rng = SEED.stream(Purpose::Synthesis, u64::MAX);
    let ten: Vec<Vec<f64>> = (0..10).map(|_| sphere(&mut rng)).collect();
    let rows = ten.iter().flat_map(|point| narrow(point).repeat(500)).collect();
    let queries = near(&ten, n_queries, 0.2, &mut rng);
    Points::new("500 copies each of 10".to_owned(), Kind::Duplicates, DIM, rows, queries)
}

/// Fifty balls of radius 0.05, a hundred points in each.
pub(super) fn balls(n_queries: usize) -> Result<Points> {
    const RADIUS: f64 = 0.05;
    let mut rng = SEED.stream(Purpose::Synthesis, u64::MAX - 1);
    let centers: Vec<Vec<f64>> = (0..50).map(|_| sphere(&mut rng)).collect();
    let rows = centers
        .iter()
        .flat_map(|center| near(std::slice::from_ref(center), 100, RADIUS, &mut rng))
        .collect();
    let queries = near(&centers, n_queries, RADIUS, &mut rng);
    Points::new("50 balls of 100".to_owned(), Kind::Duplicates, DIM, rows, queries)
}

/// The recorded streams under a folder, each with some of its rows held out as queries.
pub(super) fn recorded(data: &Path, n_queries: usize) -> Result<Vec<Points>> {
    let mut folders: Vec<_> = std::fs::read_dir(data)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    folders.sort();
    folders.retain(|folder| folder.join("embeddings.npy").exists());
    let read = |folder: &std::path::PathBuf| {
        let table = Table::load(folder)?;
        let mut order: Vec<usize> = (0..table.len()).collect();
        SEED.stream(Purpose::Split, 0).shuffle(&mut order);
        let held_out = n_queries.min(table.len() / 10);
        let gather = |rows: &[usize]| -> Vec<f32> {
            rows.iter().flat_map(|&row| table.queries().query(row).embedding).copied().collect()
        };
        let (queries, rows) = (gather(&order[..held_out]), gather(&order[held_out..]));
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{name} {}", table.len() - held_out);
        Points::new(name, Kind::Recorded, table.dim(), rows, queries)
    };
    folders.iter().map(read).collect()
}

/// A point of the unit sphere, uniformly.
fn sphere(rng: &mut StreamRng) -> Vec<f64> {
    unit((0..DIM).map(|_| rng.normal()).collect())
}

/// `n` unit vectors about as far as `radius` from one of the centers.
fn near(centers: &[Vec<f64>], n: usize, radius: f64, rng: &mut StreamRng) -> Vec<f32> {
    let scale = radius / (DIM as f64).sqrt();
    let mut out = Vec::with_capacity(n * DIM);
    for _ in 0..n {
        let center = &centers[rng.below(centers.len())];
        out.extend(narrow(&unit(center.iter().map(|x| x + scale * rng.normal()).collect())));
    }
    out
}

fn unit(mut vector: Vec<f64>) -> Vec<f64> {
    let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    for x in &mut vector {
        *x /= length;
    }
    vector
}

#[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
fn narrow(vector: &[f64]) -> Vec<f32> {
    vector.iter().map(|&x| x as f32).collect()
}
