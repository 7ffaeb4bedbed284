//! The eigendecomposition behind the ridge, and what is solved with it. Equation numbers
//! are those of [`super`].

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use rayon::prelude::*;
use tollgate_core::{BoxError, FitError, History, Queries};

use crate::labels::shrunk;
use crate::vector::{dot_f64, inverse_norms};

/// The penalties tried, in mean eigenvalues.
const GRID: [f64; 15] = [
    1e-4, 3.162e-4, 1e-3, 3.162e-3, 1e-2, 3.162e-2, 0.1, 0.3162, 1.0, 3.162, 10.0, 31.62, 100.0,
    316.2, 1000.0,
];

/// Eigenvalues below this share of the largest are rounding errors of 0.
const RANK_TOLERANCE: f64 = 1e-12;

/// Prompts a matrix product.
const BLOCK: usize = 1024;

/// The prompts of a history, lengths divided out.
#[derive(Debug)]
pub(crate) struct Directions<'a> {
    queries: Queries<'a>,
    inverse_norms: Vec<f64>,
}

impl<'a> Directions<'a> {
    pub(crate) fn new(history: &'a History) -> Result<Self, FitError> {
        Ok(Self { queries: history.queries(), inverse_norms: inverse_norms(history)? })
    }

    /// `z_r` for some rows, row-major `(rows.len(), dim)`.
    fn centered(&self, rows: &[usize], mean: &[f64]) -> Vec<f64> {
        let mut centered = vec![0.0; rows.len() * mean.len()];
        for (&row, out) in rows.iter().zip(centered.chunks_exact_mut(mean.len())) {
            center(self.queries.query(row).embedding, self.inverse_norms[row], mean, out);
        }
        centered
    }
}

fn center(embedding: &[f32], inverse_norm: f64, mean: &[f64], out: &mut [f64]) {
    for ((out, &x), mean) in out.iter_mut().zip(embedding).zip(mean) {
        *out = f64::from(x) * inverse_norm - mean;
    }
}

/// The squared length of the part of `z` in which no prompt of the set varies.
pub(crate) fn rest(centered: &[f64], projected: &[f64]) -> f64 {
    if projected.len() == centered.len() {
        return 0.0;
    }
    (dot_f64(centered, centered) - dot_f64(projected, projected)).max(0.0)
}

/// `C = V L V'` of the prompts in a set, zero eigenvalues left out.
#[derive(Clone, Debug)]
pub(crate) struct Spectrum {
    rows: Vec<usize>,
    /// `m`.
    mean: Vec<f64>,
    /// The diagonal of `L`, descending, `> 0`.
    values: Vec<f64>,
    /// `V'`, row-major `(rank, dim)`.
    vectors: Vec<f64>,
    /// The mean of all `dim` eigenvalues; 1 where all prompts are the same.
    scale: f64,
}

impl Spectrum {
    pub(crate) fn new(directions: &Directions<'_>, rows: Vec<usize>) -> Result<Self, BoxError> {
        let dim = directions.queries.dim;
        let n = rows.len();
        let mut mean = vec![0.0; dim];
        for unit in rows.chunks(BLOCK).map(|rows| directions.centered(rows, &vec![0.0; dim])) {
            for unit in unit.chunks_exact(dim) {
                mean.iter_mut().zip(unit).for_each(|(mean, x)| *mean += x / n as f64);
            }
        }
        let small = n.min(dim);
        let mut gram = Mat::<f64>::zeros(small, small);
        // With fewer prompts than dimensions all of them are one block.
        let block = if n < dim { n } else { BLOCK };
        for rows in rows.chunks(block) {
            let centered = directions.centered(rows, &mean);
            let z = MatRef::from_row_major_slice(&centered, rows.len(), dim);
            let (left, right) = if n < dim { (z, z.transpose()) } else { (z.transpose(), z) };
            matmul(gram.as_mut(), Accum::Add, left, right, 1.0, Par::Seq);
        }
        let eigen =
            gram.self_adjoint_eigen(Side::Lower).map_err(|_evd| NotConverged { size: small })?;
        let all: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
        let largest = all.last().copied().unwrap_or(0.0).max(0.0);
        let rank = all.iter().filter(|&&value| value > RANK_TOLERANCE * largest).count();
        let values: Vec<f64> = all.iter().rev().take(rank).copied().collect();
        let mut vectors = vec![0.0; rank * dim];
        let kept = eigen.U().subcols(small - rank, rank).reverse_cols();
        if n < dim {
            // C and the matrix of z_r . z_s share their eigenvalues; the vectors of C are
            // the z_r in the proportions of the other's, divided by the root.
            let centered = directions.centered(&rows, &mean);
            let z = MatRef::from_row_major_slice(&centered, n, dim);
            let out = MatMut::from_row_major_slice_mut(&mut vectors, rank, dim);
            matmul(out, Accum::Replace, kept.transpose(), z, 1.0, Par::Seq);
            for (vector, value) in vectors.chunks_exact_mut(dim).zip(&values) {
                for x in vector {
                    *x /= value.sqrt();
                }
            }
        } else {
            MatMut::from_row_major_slice_mut(&mut vectors, rank, dim).copy_from(kept.transpose());
        }
        let scale = values.iter().sum::<f64>() / dim as f64;
        let scale = if scale > 0.0 { scale } else { 1.0 };
        Ok(Self { rows, mean, values, vectors, scale })
    }

    pub(crate) fn rows(&self) -> &[usize] {
        &self.rows
    }

    pub(crate) fn rank(&self) -> usize {
        self.values.len()
    }

    /// The diagonal of `L`, descending, `> 0`; of shape `(rank,)`.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    /// The mean of all `dim` eigenvalues; 1 where all prompts are the same.
    pub(crate) fn scale(&self) -> f64 {
        self.scale
    }

    /// `V' z_r` for every row of the set, row-major `(n_rows, rank)`.
    pub(crate) fn project_rows(&self, directions: &Directions<'_>) -> Vec<f64> {
        let (dim, rank) = (self.mean.len(), self.rank());
        let mut projected = vec![0.0; self.rows.len() * rank];
        let blocks = projected.par_chunks_mut(BLOCK * rank.max(1));
        self.rows.par_chunks(BLOCK).zip(blocks).for_each(|(rows, out)| {
            let centered = directions.centered(rows, &self.mean);
            let out = MatMut::from_row_major_slice_mut(out, rows.len(), rank);
            let centered = MatRef::from_row_major_slice(&centered, rows.len(), dim);
            matmul(out, Accum::Replace, centered, self.basis().transpose(), 1.0, Par::Seq);
        });
        projected
    }

    /// `z(x)`.
    pub(crate) fn center(&self, embedding: &[f32], inverse_norm: f64, out: &mut [f64]) {
        center(embedding, inverse_norm, &self.mean, out);
    }

    /// `V' z`.
    pub(crate) fn project(&self, centered: &[f64], out: &mut [f64]) {
        for (out, vector) in out.iter_mut().zip(self.vectors.chunks_exact(centered.len())) {
            *out = dot_f64(vector, centered);
        }
    }

    /// Equation (3).
    pub(crate) fn leverage(&self, projected: &[f64], rest: f64, lambda: f64) -> f64 {
        let along: f64 =
            projected.iter().zip(&self.values).map(|(z, value)| z * z / (value + lambda)).sum();
        1.0 / self.rows.len() as f64 + along + rest / lambda
    }

    /// `V' sum_r z_r (y_ri - a_i)` and the means `a_i`; the first column-major
    /// `(rank, columns.len())`.
    fn moments(&self, directions: &Directions<'_>, columns: &[Vec<f64>]) -> (Mat<f64>, Vec<f64>) {
        let n = self.rows.len();
        let dim = self.mean.len();
        let means: Vec<f64> =
            columns.iter().map(|labels| labels.iter().sum::<f64>() / n as f64).collect();
        let mut sums = Mat::<f64>::zeros(dim, columns.len());
        for (block, rows) in self.rows.chunks(BLOCK).enumerate() {
            let centered = directions.centered(rows, &self.mean);
            let z = MatRef::from_row_major_slice(&centered, rows.len(), dim);
            let y = Mat::from_fn(rows.len(), columns.len(), |row, column| {
                columns[column][block * BLOCK + row] - means[column]
            });
            matmul(sums.as_mut(), Accum::Add, z.transpose(), y.as_ref(), 1.0, Par::Seq);
        }
        let mut moments = Mat::zeros(self.rank(), columns.len());
        matmul(moments.as_mut(), Accum::Replace, self.basis(), sums.as_ref(), 1.0, Par::Seq);
        (moments, means)
    }

    fn basis(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(&self.vectors, self.rank(), self.mean.len())
    }

    /// `V' w_i` of equation (1) for every penalty, one after the other, and column.
    fn coefficients(&self, moments: &Mat<f64>, lambdas: &[f64]) -> Mat<f64> {
        let n_columns = moments.ncols();
        Mat::from_fn(self.rank(), lambdas.len() * n_columns, |at, column| {
            moments[(at, column % n_columns)] / (self.values[at] + lambdas[column / n_columns])
        })
    }
}

/// Fitted values of some rows, and their leverages.
struct Smoothed {
    /// `f_i(x_r) - a_i`, `(rows, penalties x columns)`.
    fitted: Mat<f64>,
    /// Row-major `(rows, penalties)`.
    leverages: Vec<f64>,
}

impl Smoothed {
    fn new(
        spectrum: &Spectrum,
        directions: &Directions<'_>,
        rows: &[usize],
        coefficients: &Mat<f64>,
        lambdas: &[f64],
    ) -> Self {
        let (dim, rank) = (spectrum.mean.len(), spectrum.rank());
        let centered = directions.centered(rows, &spectrum.mean);
        let centered = MatRef::from_row_major_slice(&centered, rows.len(), dim);
        let mut projected = vec![0.0; rows.len() * rank];
        matmul(
            MatMut::from_row_major_slice_mut(&mut projected, rows.len(), rank),
            Accum::Replace,
            centered,
            spectrum.basis().transpose(),
            1.0,
            Par::Seq,
        );
        let mut fitted = Mat::zeros(rows.len(), coefficients.ncols());
        matmul(
            fitted.as_mut(),
            Accum::Replace,
            MatRef::from_row_major_slice(&projected, rows.len(), rank),
            coefficients.as_ref(),
            1.0,
            Par::Seq,
        );
        let mut leverages = Vec::with_capacity(rows.len() * lambdas.len());
        for row in 0..rows.len() {
            let projected = &projected[row * rank..(row + 1) * rank];
            leverages.extend(lambdas.iter().map(|&l| spectrum.leverage(projected, 0.0, l)));
        }
        Self { fitted, leverages }
    }
}

/// `1 - h`, which is positive but for rounding.
fn remainder(leverage: f64) -> f64 {
    (1.0 - leverage).max(f64::EPSILON)
}

/// Equation (2) for some models: one target, scores or costs.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) lambda: f64,
    /// `a_i`.
    pub(super) means: Vec<f64>,
    /// The variance in equation (5): what is multiplied by the leverage.
    pub(super) noise: Vec<f64>,
    /// `w_i`, row-major `(columns, dim)`.
    weights: Vec<f64>,
    /// `V' w_i`, `(rank, columns)`.
    coefficients: Mat<f64>,
}

impl Line {
    /// Fits one line a column of labels, `columns[i]` of shape `(n_rows of the set,)`.
    /// `prior` is `v_i` of (5), from the column's mean.
    pub(super) fn fit(
        spectrum: &Spectrum,
        directions: &Directions<'_>,
        columns: &[Vec<f64>],
        lambda: Option<f64>,
        prior: impl Fn(f64) -> f64,
    ) -> Self {
        let n = spectrum.rows.len();
        let lambdas = lambda.map_or_else(
            || GRID.iter().map(|step| step * spectrum.scale).collect(),
            |lambda| vec![lambda],
        );
        let (moments, means) = spectrum.moments(directions, columns);
        let coefficients = spectrum.coefficients(&moments, &lambdas);
        let errors = if n == 1 {
            // There is no row to learn from when the only one is left out.
            vec![0.0; lambdas.len() * columns.len()]
        } else {
            squared_errors(spectrum, directions, columns, &means, &coefficients, &lambdas)
        };
        let spread: Vec<f64> = columns
            .iter()
            .zip(&means)
            .map(|(labels, mean)| labels.iter().map(|label| (label - mean).powi(2)).sum())
            .collect();
        // (6); a model whose labels are all the same has nothing to say.
        let loss = |step: usize| -> f64 {
            let errors = &errors[step * columns.len()..][..columns.len()];
            errors.iter().zip(&spread).filter(|pair| *pair.1 > 0.0).map(|(e, s)| e / s).sum()
        };
        // Among equals the strongest penalty, which promises least.
        let best = (0..lambdas.len())
            .rev()
            .min_by(|&a, &b| loss(a).total_cmp(&loss(b)))
            .expect("there is at least one penalty");
        let noise = (0..columns.len())
            .map(|column| {
                shrunk(errors[best * columns.len() + column], n as f64, prior(means[column]))
            })
            .collect();
        let lambda = lambdas[best];
        let coefficients = spectrum.coefficients(&moments, &[lambda]);
        let dim = spectrum.mean.len();
        let mut weights = vec![0.0; columns.len() * dim];
        matmul(
            MatMut::from_row_major_slice_mut(&mut weights, columns.len(), dim),
            Accum::Replace,
            coefficients.transpose(),
            spectrum.basis(),
            1.0,
            Par::Seq,
        );
        Self { lambda, means, noise, weights, coefficients }
    }

    /// `w_i` of a column.
    pub(super) fn weights(&self, column: usize, dim: usize) -> &[f64] {
        &self.weights[column * dim..(column + 1) * dim]
    }

    /// Equation (4) for the columns of labels that the line was fitted to.
    pub(super) fn leave_one_out(
        &self,
        spectrum: &Spectrum,
        directions: &Directions<'_>,
        columns: &[Vec<f64>],
    ) -> LeftOut {
        let lambdas = [self.lambda];
        let blocks: Vec<LeftOut> = spectrum
            .rows
            .par_chunks(BLOCK)
            .enumerate()
            .map(|(block, rows)| {
                let Smoothed { fitted, leverages } =
                    Smoothed::new(spectrum, directions, rows, &self.coefficients, &lambdas);
                let mut predictions = Vec::with_capacity(rows.len() * columns.len());
                for (row, &leverage) in leverages.iter().enumerate() {
                    predictions.extend(columns.iter().enumerate().map(|(column, labels)| {
                        let label = labels[block * BLOCK + row];
                        let error = label - self.means[column] - fitted[(row, column)];
                        label - error / remainder(leverage)
                    }));
                }
                // (3) without the row: a rank-one change of the matrix it inverts.
                let leverages = leverages.iter().map(|&h| h / remainder(h)).collect();
                LeftOut { predictions, leverages }
            })
            .collect();
        let (predictions, leverages): (Vec<_>, Vec<_>) =
            blocks.into_iter().map(|block| (block.predictions, block.leverages)).unzip();
        LeftOut { predictions: predictions.concat(), leverages: leverages.concat() }
    }
}

/// What a fit without the row itself says of every row of a set.
#[derive(Debug)]
pub(super) struct LeftOut {
    /// Row-major `(rows, columns)`.
    pub(super) predictions: Vec<f64>,
    /// Equation (3), one for each row.
    pub(super) leverages: Vec<f64>,
}

/// `sum_r e_ri^2` of equation (4), row-major `(penalties, columns)`.
fn squared_errors(
    spectrum: &Spectrum,
    directions: &Directions<'_>,
    columns: &[Vec<f64>],
    means: &[f64],
    coefficients: &Mat<f64>,
    lambdas: &[f64],
) -> Vec<f64> {
    let n_columns = columns.len();
    let blocks: Vec<Vec<f64>> = spectrum
        .rows
        .par_chunks(BLOCK)
        .enumerate()
        .map(|(block, rows)| {
            let Smoothed { fitted, leverages } =
                Smoothed::new(spectrum, directions, rows, coefficients, lambdas);
            let mut sums = vec![0.0; lambdas.len() * n_columns];
            for (at, sum) in sums.iter_mut().enumerate() {
                let (step, column) = (at / n_columns, at % n_columns);
                let labels = &columns[column][block * BLOCK..][..rows.len()];
                for (row, label) in labels.iter().enumerate() {
                    let error = label - means[column] - fitted[(row, at)];
                    *sum += (error / remainder(leverages[row * lambdas.len() + step])).powi(2);
                }
            }
            sums
        })
        .collect();
    // In the order of the blocks, whatever the order in which they were done.
    blocks.into_iter().fold(vec![0.0; lambdas.len() * n_columns], |mut total, block| {
        total.iter_mut().zip(block).for_each(|(total, sum)| *total += sum);
        total
    })
}

/// An eigendecomposition that did not converge.
#[derive(Debug, thiserror::Error)]
#[error("the eigenvalues of the {size} x {size} matrix of the prompts did not converge")]
struct NotConverged {
    size: usize,
}
