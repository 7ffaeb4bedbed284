//! A small dense inverse that follows a basis from pivot to pivot.

/// A pivot that small makes a matrix singular.
const SINGULAR: f64 = 1e-14;

/// The inverse of a square matrix, row-major.
#[derive(Clone, Debug)]
pub(crate) struct Inverse {
    order: usize,
    values: Vec<f64>,
}

impl Inverse {
    pub(crate) fn identity(order: usize) -> Self {
        let mut values = vec![0.0; order * order];
        for at in 0..order {
            values[at * order + at] = 1.0;
        }
        Self { order, values }
    }

    /// Gauss and Jordan's elimination with row pivoting; `None` for a singular matrix.
    pub(crate) fn of_columns(columns: &[Vec<f64>]) -> Option<Self> {
        let order = columns.len();
        let mut matrix = vec![0.0; order * order];
        for (at, column) in columns.iter().enumerate() {
            for (row, value) in column.iter().enumerate() {
                matrix[row * order + at] = *value;
            }
        }
        let mut inverse = Self::identity(order);
        for at in 0..order {
            let size = |row: usize| matrix[row * order + at].abs();
            let pivot = (at..order).max_by(|&a, &b| size(a).total_cmp(&size(b)).then(b.cmp(&a)))?;
            if size(pivot).is_nan() || size(pivot) <= SINGULAR {
                return None;
            }
            for column in 0..order {
                matrix.swap(at * order + column, pivot * order + column);
                inverse.values.swap(at * order + column, pivot * order + column);
            }
            let scale = 1.0 / matrix[at * order + at];
            for values in [&mut matrix, &mut inverse.values] {
                scale_row(&mut values[at * order..(at + 1) * order], scale);
            }
            for row in (0..order).filter(|&row| row != at) {
                let factor = matrix[row * order + at];
                if factor != 0.0 {
                    subtract_row(&mut matrix, order, row, at, factor);
                    subtract_row(&mut inverse.values, order, row, at, factor);
                }
            }
        }
        Some(inverse)
    }

    /// `inverse * column`.
    pub(crate) fn right_multiply(&self, column: &[f64], out: &mut [f64]) {
        for (out, row) in out.iter_mut().zip(self.values.chunks_exact(self.order.max(1))) {
            *out = dot(row, column);
        }
    }

    /// `row * inverse`.
    pub(crate) fn left_multiply(&self, row: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (factor, values) in row.iter().zip(self.values.chunks_exact(self.order.max(1))) {
            if *factor != 0.0 {
                for (out, value) in out.iter_mut().zip(values) {
                    *out += factor * value;
                }
            }
        }
    }

    /// The column at `position` of the matrix is replaced by one whose product with
    /// the inverse is `direction`.
    pub(crate) fn pivot(&mut self, position: usize, direction: &[f64]) {
        let order = self.order;
        let scale = 1.0 / direction[position];
        scale_row(self.row_mut(position), scale);
        for (row, &factor) in direction.iter().enumerate() {
            if row != position && factor != 0.0 {
                subtract_row(&mut self.values, order, row, position, factor);
            }
        }
    }

    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.order..(row + 1) * self.order]
    }

    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f64] {
        &mut self.values[row * self.order..(row + 1) * self.order]
    }

    /// `row_into += row_from`.
    pub(crate) fn add_row(&mut self, into: usize, from: usize) {
        subtract_row(&mut self.values, self.order, into, from, -1.0);
    }
}

/// `row_into -= factor * row_from`, for two rows of a row-major matrix.
fn subtract_row(values: &mut [f64], order: usize, into: usize, from: usize, factor: f64) {
    let (low, high) = (into.min(from), into.max(from));
    let (head, tail) = values.split_at_mut(high * order);
    let (low, high) = (&mut head[low * order..(low + 1) * order], &mut tail[..order]);
    let (into, from) = if into > from { (high, low) } else { (low, high) };
    for (into, from) in into.iter_mut().zip(from.iter()) {
        *into -= factor * from;
    }
}

pub(crate) fn scale_row(row: &mut [f64], factor: f64) {
    for value in row {
        *value *= factor;
    }
}

/// The inner product, in eight sums that run abreast.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}
