//! Principal axes.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par, Side};
use tollgate_core::BoxError;

/// Along which points, one a row of `(n, dim)`, differ the most: orthonormal axes, `(axes, dim)`,
/// the foremost first; at most `most`, and no more than there are points.
pub(crate) fn principal(mut points: Mat<f64>, most: usize) -> Result<Mat<f64>, BoxError> {
    let (n, dim) = points.shape();
    for x in 0..dim {
        let mean = points.col(x).iter().sum::<f64>() / n as f64;
        points.col_mut(x).iter_mut().for_each(|value| *value -= mean);
    }
    let squares = product(points.transpose(), points.as_ref());
    let eigen = squares
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_evd| "the principal axes of the prompts did not converge")?;
    let n_axes = most.min(dim).min(n);
    Ok(Mat::from_fn(n_axes, dim, |axis, at| eigen.U()[(at, dim - 1 - axis)]))
}

/// `a b`.
pub(crate) fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = Mat::zeros(a.nrows(), b.ncols());
    matmul(out.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
    out
}
