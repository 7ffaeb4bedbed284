//! Embeddings as a `NumPy` array.

use std::io::{BufReader, Read};

use npyz::{NpyFile, Order};

use crate::DataError;

/// Reads `n_rows` embeddings and their dimension from a C-ordered array of float32
/// or float64, shape `(n_rows, dim)`. Doubles are rounded to `f32`.
pub(crate) fn read_npy(
    file: &str,
    input: impl Read,
    n_rows: usize,
) -> Result<(Vec<f32>, usize), DataError> {
    let unreadable = |source: std::io::Error| DataError::Unreadable {
        file: file.into(),
        format: "npy",
        source: source.into(),
    };
    let npy = NpyFile::new(BufReader::new(input)).map_err(unreadable)?;
    let header = npy.header();
    let shape_error =
        || DataError::EmbeddingShape { file: file.into(), shape: header.shape().to_vec() };
    let &[rows, dim] = header.shape() else { return Err(shape_error()) };
    let dim = usize::try_from(dim).ok().filter(|&dim| dim > 0).ok_or_else(shape_error)?;
    if rows != n_rows as u64 {
        return Err(DataError::EmbeddingCount { file: file.into(), expected: n_rows, got: rows });
    }
    if header.order() != Order::C {
        return Err(DataError::EmbeddingOrder { file: file.into() });
    }
    let values: Vec<f32> = match npy.try_data::<f32>() {
        Ok(values) => values.collect::<Result<_, _>>().map_err(unreadable)?,
        Err(npy) => {
            let got = npy.header().dtype().descr();
            let values = npy
                .try_data::<f64>()
                .map_err(|_| DataError::EmbeddingType { file: file.into(), got })?;
            #[expect(clippy::cast_possible_truncation, reason = "rounding is documented")]
            let rounded = values.map(|value| value.map(|value| value as f32));
            rounded.collect::<Result<_, _>>().map_err(unreadable)?
        }
    };
    Ok((values, dim))
}
