//! Common axes of the labels, and the penalty of each. Equation numbers are those of
//! [`super`].

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par, Side};
use rayon::prelude::*;
use tollgate_core::BoxError;

use super::features::Rows;
use super::moments::{Moments, Targets};
use super::spectrum::Spectrum;
use crate::axes::product;
use crate::labels::shrunk;

/// The penalties tried, in mean eigenvalues.
const GRID: [f64; STEPS] = [
    1e-4, 3.162e-4, 1e-3, 3.162e-3, 1e-2, 3.162e-2, 0.1, 0.3162, 1.0, 3.162, 10.0, 31.62, 100.0,
    316.2, 1000.0,
];

/// How many there are.
pub(super) const STEPS: usize = 15;

/// Rows a matrix product.
const BLOCK: usize = 512;

/// What is chosen when models are fitted, and stays when more rows are added.
///
/// Columns are the scores of the models and then their costs; components likewise, so that
/// component `c` of the scores mixes scores alone.
#[derive(Clone, Debug)]
pub(super) struct Choices {
    /// `S^-1 R`: from labels to components, zero between scores and costs.
    mixing: Mat<f64>,
    /// `R' S`: from components to labels.
    unmixing: Mat<f64>,
    /// The penalties.
    pub(super) lambdas: Vec<f64>,
    /// Which of them each component has.
    steps: Vec<usize>,
    /// `(sum_r e_ri^2 + v_i) / n`, one for each column.
    pub(super) noise: Vec<f64>,
    /// Sums of `t_ic` over the components of each penalty, row-major `(columns, penalties)`.
    pub(super) shares: Vec<f64>,
}

/// What fits without the row itself say of every row of a set.
#[derive(Debug)]
pub(super) struct LeftOut {
    /// Row-major `(rows, columns)`.
    pub(super) predictions: Vec<f64>,
    /// Equation (4), row-major `(rows, penalties)`.
    pub(super) leverages: Vec<f64>,
}

/// The rows of a set, and what is to be learned from them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lesson<'a> {
    pub(super) rows: &'a Rows<'a>,
    pub(super) targets: Targets<'a>,
    pub(super) which: &'a [usize],
    pub(super) spectrum: &'a Spectrum,
    pub(super) means: &'a [f64],
}

impl Choices {
    /// Learns everything but the lines themselves; `lambda` where it is given.
    pub(super) fn learn(
        lesson: Lesson<'_>,
        moments: &Moments,
        lambda: Option<f64>,
        priors: &[f64],
    ) -> Result<(Self, LeftOut), BoxError> {
        let n_members = lesson.targets.members.len();
        let (mixing, unmixing) = mix(moments, n_members)?;
        let scale = lesson.spectrum.scale;
        let grid: Vec<f64> = lambda
            .map_or_else(|| GRID.iter().map(|step| step * scale).collect(), |lambda| vec![lambda]);
        let along = along(lesson.spectrum, moments, &mixing);
        let best = best_steps(lesson, &grid, &mixing, &along);
        let mut used = best.clone();
        used.sort_unstable();
        used.dedup();
        let step = |best: &usize| used.iter().position(|step| step == best).unwrap_or_default();
        let mut choices = Self {
            lambdas: used.iter().map(|&step| grid[step]).collect(),
            steps: best.iter().map(step).collect(),
            mixing,
            unmixing,
            noise: Vec::new(),
            shares: Vec::new(),
        };
        let left_out = choices.leave_out(lesson, &along, priors);
        Ok((choices, left_out))
    }

    /// `V' sum_r z_r u_rc / (L + lambda_c)`: the components' lines, in coordinates along
    /// the axes, `(rank, components)`.
    fn slopes(&self, spectrum: &Spectrum, along: &Mat<f64>) -> Mat<f64> {
        Mat::from_fn(along.nrows(), along.ncols(), |axis, component| {
            let lambda = self.lambdas[self.steps[component]];
            along[(axis, component)] / (spectrum.values[axis] + lambda)
        })
    }

    /// The weights of every column's line on the features, `(len, columns)`.
    pub(super) fn weights(&self, spectrum: &Spectrum, moments: &Moments) -> Mat<f64> {
        let slopes = self.slopes(spectrum, &along(spectrum, moments, &self.mixing));
        let columns = product(slopes.as_ref(), self.unmixing.as_ref());
        product(spectrum.basis().transpose(), columns.as_ref())
    }

    /// Predicts every row by fits without it; measures the noise and where it comes from.
    fn leave_out(&mut self, lesson: Lesson<'_>, along: &Mat<f64>, priors: &[f64]) -> LeftOut {
        let n_columns = lesson.targets.len();
        let slopes = self.slopes(lesson.spectrum, along);
        let blocks: Vec<Block> = lesson
            .which
            .par_chunks(BLOCK)
            .map(|which| self.leave_out_block(Lesson { which, ..lesson }, &slopes))
            .collect();
        let mut squares = vec![0.0; n_columns];
        let mut component_squares = vec![0.0; n_columns];
        let mut left_out = LeftOut { predictions: Vec::new(), leverages: Vec::new() };
        // In the order of the blocks, whatever the order in which they were done.
        for block in blocks {
            squares.iter_mut().zip(block.squares).for_each(|(sum, x)| *sum += x);
            component_squares
                .iter_mut()
                .zip(block.component_squares)
                .for_each(|(sum, x)| *sum += x);
            left_out.predictions.extend(block.left_out.predictions);
            left_out.leverages.extend(block.left_out.leverages);
        }
        let n = lesson.which.len() as f64;
        self.noise =
            squares.iter().zip(priors).map(|(&sum, &prior)| shrunk(sum, n, prior)).collect();
        self.shares = vec![0.0; n_columns * self.lambdas.len()];
        for (column, shares) in self.shares.chunks_exact_mut(self.lambdas.len()).enumerate() {
            let part = |component: usize| {
                self.unmixing[(component, column)].powi(2) * component_squares[component]
            };
            let total: f64 = (0..n_columns).map(part).sum();
            for (component, &step) in self.steps.iter().enumerate() {
                // Where there are no errors any share will do, as long as they sum to 1.
                shares[step] += if total > 0.0 {
                    part(component) / total
                } else {
                    f64::from(u8::from(component == column))
                };
            }
        }
        left_out
    }

    fn leave_out_block(&self, lesson: Lesson<'_>, slopes: &Mat<f64>) -> Block {
        let n_columns = lesson.targets.len();
        let centered = lesson.rows.centered(lesson.which, &lesson.spectrum.mean);
        let projected = on_axes(lesson, &centered);
        let unseen = lesson.spectrum.unseen(&centered, projected.as_ref());
        let leverages = lesson.spectrum.leverages(projected.as_ref(), &self.lambdas);
        let (components, labels) = components(lesson, &self.mixing);
        let fitted = product(projected.as_ref(), slopes.as_ref());
        let errors = Mat::from_fn(lesson.which.len(), n_columns, |row, component| {
            let leverage = leverages[(row, self.steps[component])];
            (components[(row, component)] - fitted[(row, component)]) / remainder(leverage)
        });
        let errors_of_labels = product(errors.as_ref(), self.unmixing.as_ref());
        let sum_of_squares = |table: &Mat<f64>| -> Vec<f64> {
            (0..n_columns).map(|at| table.col(at).iter().map(|x| x * x).sum()).collect()
        };
        let rows = 0..lesson.which.len();
        let row_major = |table: &dyn Fn(usize, usize) -> f64, width: usize| -> Vec<f64> {
            rows.clone().flat_map(|row| (0..width).map(move |at| table(row, at))).collect()
        };
        let predicted = |row, at| labels[(row, at)] - errors_of_labels[(row, at)];
        // (4) without the row: a rank-one change of the matrix it inverts; and what no axis
        // sees, as for a query.
        let without = |row: usize, at: usize| {
            let along = leverages[(row, at)] / remainder(leverages[(row, at)]);
            along + unseen[row] / self.lambdas[at]
        };
        Block {
            squares: sum_of_squares(&errors_of_labels),
            component_squares: sum_of_squares(&errors),
            left_out: LeftOut {
                predictions: row_major(&predicted, n_columns),
                leverages: row_major(&without, self.lambdas.len()),
            },
        }
    }
}

/// What is found out from a block of rows.
struct Block {
    /// `sum_r e_ri^2`.
    squares: Vec<f64>,
    /// `sum_r e_rc^2`.
    component_squares: Vec<f64>,
    left_out: LeftOut,
}

/// `1 - h`, which is positive but for rounding.
fn remainder(leverage: f64) -> f64 {
    (1.0 - leverage).max(f64::EPSILON)
}

/// Equation (1): `S^-1 R` and `R' S`, both targets in one matrix each.
fn mix(moments: &Moments, n_members: usize) -> Result<(Mat<f64>, Mat<f64>), BoxError> {
    let n_columns = 2 * n_members;
    let mut mixing = Mat::zeros(n_columns, n_columns);
    let mut unmixing = Mat::zeros(n_columns, n_columns);
    for first in [0, n_members] {
        let deviations: Vec<f64> = (first..first + n_members)
            .map(|column| {
                let mean = moments.label_means()[column];
                let variance = moments.label_spread(column, column) / moments.n as f64;
                // Less than that is rounding.
                if variance > 1e-14 * mean * mean { variance.sqrt() } else { 0.0 }
            })
            .collect();
        let inverse = |member: usize| match deviations[member] {
            0.0 => 0.0,
            deviation => 1.0 / deviation,
        };
        let correlations = Mat::from_fn(n_members, n_members, |i, j| {
            let spread = moments.label_spread(first + i, first + j) / moments.n as f64;
            spread * inverse(i) * inverse(j)
        });
        let eigen = correlations
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_evd| "the principal axes of the labels did not converge")?;
        for i in 0..n_members {
            for c in 0..n_members {
                let axis = eigen.U()[(i, c)];
                mixing[(first + i, first + c)] = inverse(i) * axis;
                unmixing[(first + c, first + i)] = deviations[i] * axis;
            }
        }
    }
    Ok((mixing, unmixing))
}

/// `V' sum_r z_r u_rc`.
fn along(spectrum: &Spectrum, moments: &Moments, mixing: &Mat<f64>) -> Mat<f64> {
    let products = product(moments.centered_products().as_ref(), mixing.as_ref());
    product(spectrum.basis(), products.as_ref())
}

/// The coordinates of rows along all axes.
fn project(lesson: Lesson<'_>) -> Mat<f64> {
    let centered = lesson.rows.centered(lesson.which, &lesson.spectrum.mean);
    on_axes(lesson, &centered)
}

/// The same from the features less their mean, row-major.
fn on_axes(lesson: Lesson<'_>, centered: &[f64]) -> Mat<f64> {
    let len = lesson.spectrum.mean.len();
    let centered = MatRef::from_row_major_slice(centered, lesson.which.len(), len);
    product(centered, lesson.spectrum.basis().transpose())
}

/// `u_rc`, and the labels that they are mixed from.
fn components(lesson: Lesson<'_>, mixing: &Mat<f64>) -> (Mat<f64>, Mat<f64>) {
    let labels = lesson.targets.table(lesson.which);
    let centered = Mat::from_fn(labels.nrows(), labels.ncols(), |row, column| {
        labels[(row, column)] - lesson.means[column]
    });
    (product(centered.as_ref(), mixing.as_ref()), labels)
}

/// The step of the grid with the least squared errors (5), for each component.
fn best_steps(lesson: Lesson<'_>, grid: &[f64], mixing: &Mat<f64>, along: &Mat<f64>) -> Vec<usize> {
    let n_columns = lesson.targets.len();
    if grid.len() == 1 || lesson.which.len() == 1 {
        // There is nothing to choose, or no row to learn from when the only one is left out.
        return vec![grid.len() - 1; n_columns];
    }
    let values = &lesson.spectrum.values;
    let slopes = Mat::from_fn(along.nrows(), grid.len() * n_columns, |axis, at| {
        along[(axis, at % n_columns)] / (values[axis] + grid[at / n_columns])
    });
    let blocks: Vec<Vec<f64>> = lesson
        .which
        .par_chunks(BLOCK)
        .map(|which| {
            let lesson = Lesson { which, ..lesson };
            let projected = project(lesson);
            let leverages = lesson.spectrum.leverages(projected.as_ref(), grid);
            let (components, _) = components(lesson, mixing);
            let mut fitted = Mat::zeros(which.len(), slopes.ncols());
            let (projected, slopes) = (projected.as_ref(), slopes.as_ref());
            matmul(fitted.as_mut(), Accum::Replace, projected, slopes, 1.0, Par::Seq);
            (0..grid.len() * n_columns)
                .map(|at| {
                    let (step, component) = (at / n_columns, at % n_columns);
                    let error = |row: usize| {
                        let error = components[(row, component)] - fitted[(row, at)];
                        error / remainder(leverages[(row, step)])
                    };
                    (0..which.len()).map(|row| error(row).powi(2)).sum()
                })
                .collect()
        })
        .collect();
    let mut errors = vec![0.0; grid.len() * n_columns];
    for block in blocks {
        errors.iter_mut().zip(block).for_each(|(sum, x)| *sum += x);
    }
    // Among equals the strongest penalty, which promises least.
    let best = |component: usize| {
        (0..grid.len())
            .rev()
            .min_by(|&a, &b| {
                errors[a * n_columns + component].total_cmp(&errors[b * n_columns + component])
            })
            .expect("there is at least one penalty")
    };
    (0..n_columns).map(best).collect()
}
