//! The numbers of prompts that models are linear in, and the prior of the coefficients.

use std::sync::Arc;

use super::gaussian::Prior;
use crate::pool::At;
use crate::regression::Features;
use crate::vector::{dot, dot_each, dot_f64};

/// What the numbers of a prompt are linear in.
#[derive(Clone, Debug)]
pub(crate) enum Raw {
    /// Its direction, of this dimension.
    Direction(usize),
    /// Other features of it.
    Features(Arc<dyn Features>),
}

impl Raw {
    fn len(&self) -> usize {
        match self {
            Self::Direction(dim) => *dim,
            Self::Features(features) => features.len(),
        }
    }
}

/// Numbers of a prompt: 1, and inner products of what they are linear in.
#[derive(Debug)]
pub(crate) struct Basis {
    raw: Raw,
    /// Row-major `(rank, raw)`.
    axes: Vec<f32>,
    /// What is added.
    intercepts: Vec<f64>,
    /// The lowest and the highest of each that a prompt of the history has.
    ranges: Vec<(f64, f64)>,
    /// The numbers of each prompt of the history, row-major `(n_rows, rank + 1)`.
    pub(crate) rows: Vec<f64>,
}

impl Basis {
    /// Of axes, intercepts, and the numbers that the history's prompts have.
    pub(crate) fn new(raw: Raw, axes: Vec<f32>, intercepts: Vec<f64>, rows: Vec<f64>) -> Self {
        let len = intercepts.len() + 1;
        let range = |number: usize| {
            let column = rows.iter().skip(number).step_by(len);
            column.fold((0.0, 0.0), |(low, high), &x| (f64::min(low, x), f64::max(high, x)))
        };
        let ranges = (1..len).map(range).collect();
        Self { raw, axes, intercepts, ranges, rows }
    }

    /// How many numbers.
    pub(crate) fn len(&self) -> usize {
        self.intercepts.len() + 1
    }

    /// How much room [`features_into`](Self::features_into) needs.
    pub(super) fn room(&self) -> usize {
        match &self.raw {
            Raw::Direction(_) => 0,
            Raw::Features(features) => features.len() + features.len().div_ceil(2),
        }
    }

    /// Overwrites `out`, of shape `(len,)`.
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    pub(super) fn features_into(&self, direction: &[f32], room: &mut [f64], out: &mut [f32]) {
        out[0] = 1.0;
        match &self.raw {
            Raw::Direction(_) => dot_each(&self.axes, direction, &mut out[1..]),
            Raw::Features(features) => {
                let (wide, room) = room.split_at_mut(features.len());
                let narrow: &mut [f32] = &mut bytemuck::cast_slice_mut(room)[..features.len()];
                features.map(direction, 1.0, wide);
                narrow.iter_mut().zip(wide).for_each(|(narrow, wide)| *narrow = *wide as f32);
                dot_each(&self.axes, narrow, &mut out[1..]);
            }
        }
        let ends = self.intercepts.iter().zip(&self.ranges);
        for (x, (add, &(low, high))) in out[1..].iter_mut().zip(ends) {
            *x = (f64::from(*x) + add).clamp(low, high) as f32;
        }
    }

    /// The numbers of some prompts, row-major with `len` columns.
    pub(crate) fn features<'a>(&self, prompts: impl Iterator<Item = At<'a>>) -> Vec<f64> {
        let mut numbers = Vec::new();
        for at in prompts {
            match at {
                At::Row(row) => numbers.extend_from_slice(self.row(row)),
                At::Direction(direction) => self.push(direction, &mut numbers),
            }
        }
        numbers
    }

    /// The numbers of a prompt that is not in the history.
    #[expect(clippy::cast_possible_truncation, reason = "axes are f32")]
    fn push(&self, direction: &[f32], numbers: &mut Vec<f64>) {
        let features = match &self.raw {
            Raw::Direction(_) => Vec::new(),
            Raw::Features(features) => {
                let mut wide = vec![0.0; features.len()];
                features.map(direction, 1.0, &mut wide);
                wide.into_iter().map(|x| x as f32).collect()
            }
        };
        let raw = if features.is_empty() { direction } else { &features };
        let ends = self.intercepts.iter().zip(&self.ranges);
        let axes = self.axes.chunks_exact(self.raw.len()).zip(ends);
        numbers.push(1.0);
        numbers.extend(
            axes.map(|(axis, (add, &(low, high)))| (dot(axis, raw) + add).clamp(low, high)),
        );
    }

    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.rows[row * self.len()..][..self.len()]
    }

    /// What a model of these coefficients is on some prompts.
    pub(crate) fn values<'a>(
        &'a self,
        features: &'a [f64],
        coefficients: &'a [f64],
    ) -> impl Iterator<Item = f64> + 'a {
        features.chunks_exact(self.len()).map(|row| dot_f64(row, coefficients))
    }
}

/// Which covariances of coefficients a standard error is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Covariances {
    /// All of them: `O(len^2)` a model.
    All,
    /// Those of each with itself: `O(len)` a model. For numbers that are not correlated.
    Diagonal,
}

impl Covariances {
    /// Pairs of `len` numbers, the first not after the second.
    pub(super) fn pairs(self, len: usize) -> impl Iterator<Item = (usize, usize)> {
        let end = move |first| if self == Self::All { len } else { first + 1 };
        (0..len).flat_map(move |a| (a..end(a)).map(move |b| (a, b)))
    }
}

/// One kind of label, scores or log costs.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) basis: Arc<Basis>,
    pub(crate) prior: Prior,
    /// `w^2`, the variance that the numbers leave of what can be told of a model.
    pub(crate) unexplained: f64,
    pub(crate) covariances: Covariances,
}
