//! Gaussian kernels at landmarks. Equation numbers are those of `kernel_ridge.rs`.

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use pulp::{Arch, Simd, WithSimd};
use tollgate_core::{BoxError, FitError, History, Seed};

use crate::exp::exp_each;
use crate::kmeans;
use crate::regression::Features;
use crate::vector::{directions, dot, dot_codes_by};

/// What is added to the diagonal of `K`: more than the products in `f32` are off by.
const JITTER: f64 = 1e-6;

/// Embeddings a matrix product.
const BLOCK: usize = 128;

/// `g` times the mean squared distance of two prompts.
const SHARPNESS: f64 = 1.5;

/// `p` and `W`.
#[derive(Debug)]
pub(crate) struct Kernels {
    dim: usize,
    /// `g`.
    sharpness: f64,
    /// Row-major `(m, dim)`.
    landmarks: Vec<f32>,
    /// The same in units of a step of each: a quarter of the memory to read for one query.
    codes: Vec<i8>,
    steps: Vec<f32>,
    /// `1 + |l_j|^2`.
    lengths: Vec<f64>,
    /// `W`, `(m, m)`.
    whitening: Mat<f64>,
}

impl Kernels {
    /// At the centers of a history's prompts, for a recipe of this name. Where no `g` is given
    /// it is [`SHARPNESS`] over the mean squared distance of two prompts.
    ///
    /// # Errors
    /// [`FitError`] for a prompt without a direction, or kernels that cannot be told apart.
    pub(crate) fn new(
        recipe: &str,
        (landmarks, sharpness): (usize, Option<f64>),
        history: &History,
        seed: Seed,
    ) -> Result<Self, FitError> {
        let dim = history.dim();
        let directions = directions(history)?;
        let sharpness = sharpness.unwrap_or_else(|| {
            let distance = mean_squared_distance(&directions, dim);
            // Prompts that are all the same leave nothing to tell apart.
            if distance > 1e-9 { SHARPNESS / distance } else { 1.0 }
        });
        let mut landmarks = kmeans::centers(&directions, dim, landmarks, seed);
        let (codes, steps) = snap(&mut landmarks, dim);
        let square = |l: &[f32]| l.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
        let squares: Vec<f64> = landmarks.chunks_exact(dim).map(square).collect();
        let m = squares.len();
        let landmark = |j: usize| &landmarks[j * dim..(j + 1) * dim];
        let mut row = vec![0.0; m];
        let mut kernels = Mat::zeros(m, m);
        for i in 0..m {
            for (j, exponent) in row.iter_mut().enumerate() {
                let product = dot(landmark(i), landmark(j));
                *exponent = -sharpness * (squares[i] + squares[j] - 2.0 * product).max(0.0);
            }
            exp_each(&mut row);
            row.iter().enumerate().for_each(|(j, &kernel)| kernels[(i, j)] = kernel);
        }
        let whitening = inverse_root(kernels)
            .map_err(|source| FitError::Other { recipe: recipe.to_owned(), source })?;
        let lengths = squares.iter().map(|square| 1.0 + square).collect();
        Ok(Self { dim, sharpness, landmarks, codes, steps, lengths, whitening })
    }
}

impl Kernels {
    /// The exponent of (1), from `u . l` and `1 + |l|^2`.
    fn exponent(&self, product: f64, length: f64) -> f64 {
        -self.sharpness * (length - 2.0 * product).max(0.0)
    }
}

impl Features for Kernels {
    fn dim(&self) -> usize {
        self.dim
    }

    fn len(&self) -> usize {
        self.lengths.len()
    }

    fn map(&self, embedding: &[f32], inverse_norm: f64, out: &mut [f64]) {
        Arch::new().dispatch(Exponents { kernels: self, embedding, inverse_norm, out });
        exp_each(out);
    }

    fn map_block(&self, embeddings: &[f32], inverse_norms: &[f64], out: &mut [f64]) {
        let m = self.len();
        let landmarks = MatRef::from_row_major_slice(&self.landmarks, m, self.dim);
        let mut products = vec![0.0_f32; BLOCK.min(inverse_norms.len()) * m];
        let blocks = embeddings.chunks(BLOCK * self.dim).zip(inverse_norms.chunks(BLOCK));
        for ((embeddings, inverse_norms), out) in blocks.zip(out.chunks_mut(BLOCK * m)) {
            let n = inverse_norms.len();
            let products = &mut products[..n * m];
            let target = MatMut::from_row_major_slice_mut(products, n, m);
            let embeddings = MatRef::from_row_major_slice(embeddings, n, self.dim);
            matmul(target, Accum::Replace, embeddings, landmarks.transpose(), 1.0, Par::Seq);
            let rows = out.chunks_exact_mut(m).zip(products.chunks_exact(m)).zip(inverse_norms);
            for ((out, products), inverse_norm) in rows {
                for ((out, &product), length) in out.iter_mut().zip(products).zip(&self.lengths) {
                    *out = self.exponent(f64::from(product) * inverse_norm, *length);
                }
                exp_each(out);
            }
        }
    }

    fn whitening(&self) -> Option<&Mat<f64>> {
        Some(&self.whitening)
    }
}

/// The exponents of one prompt's features, for each instruction set.
struct Exponents<'a> {
    kernels: &'a Kernels,
    embedding: &'a [f32],
    inverse_norm: f64,
    out: &'a mut [f64],
}

impl WithSimd for Exponents<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "to be compiled for each instruction set")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { kernels, embedding, inverse_norm, out } = self;
        let landmarks = kernels.codes.chunks_exact(kernels.dim).zip(&kernels.steps);
        for ((out, (codes, &step)), length) in out.iter_mut().zip(landmarks).zip(&kernels.lengths) {
            let product = f64::from(dot_codes_by(simd, embedding, codes) * step) * inverse_norm;
            *out = kernels.exponent(product, *length);
        }
    }
}

/// Moves every landmark to the nearest point that 127 steps in each direction reach, and
/// answers the numbers of steps and their lengths. A center is no better a landmark than
/// a point beside it, so nothing is lost; and what moves is the landmark, so that there is
/// no error anywhere.
#[expect(clippy::cast_possible_truncation, reason = "rounded to within 127")]
fn snap(landmarks: &mut [f32], dim: usize) -> (Vec<i8>, Vec<f32>) {
    let mut codes = Vec::with_capacity(landmarks.len());
    let step = |landmark: &mut [f32]| {
        let step = landmark.iter().fold(0.0_f32, |peak, x| peak.max(x.abs())) / 127.0;
        for x in landmark {
            // A landmark at the origin, or next to it, is one of no steps.
            let code = if step > 0.0 { (*x / step).round().clamp(-127.0, 127.0) } else { 0.0 };
            codes.push(code as i8);
            *x = code * step;
        }
        step
    };
    let steps = landmarks.chunks_exact_mut(dim).map(step).collect();
    (codes, steps)
}

/// Over all pairs of unit vectors: `2 - 2 |mean|^2`.
fn mean_squared_distance(directions: &[f32], dim: usize) -> f64 {
    let n = (directions.len() / dim) as f64;
    let mut mean = vec![0.0; dim];
    for row in directions.chunks_exact(dim) {
        mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / n);
    }
    2.0 - 2.0 * mean.iter().map(|x| x * x).sum::<f64>()
}

/// `W` with `W W' = K^-1`: the transposed inverse of the Cholesky factor.
fn inverse_root(mut kernels: Mat<f64>) -> Result<Mat<f64>, BoxError> {
    let m = kernels.nrows();
    for j in 0..m {
        kernels[(j, j)] += JITTER;
    }
    let factor = kernels
        .llt(Side::Lower)
        .map_err(|_llt| "the kernels of the landmarks are not positive definite")?;
    let mut inverse = Mat::<f64>::identity(m, m);
    solve_lower_triangular_in_place(factor.L(), inverse.as_mut(), Par::Seq);
    Ok(inverse.transpose().to_owned())
}
