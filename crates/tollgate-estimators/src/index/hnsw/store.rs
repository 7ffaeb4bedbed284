//! Rows in one flat piece of memory, each on a cache line of its own.

use std::fmt;

use bytemuck::Pod;

use super::super::file::{LINE, Part};
use super::super::pages::ask_for_large;

/// Rows of `stride` values that begin on cache lines where `stride` values fill some.
///
/// They lie in memory of their own, or in that of a file; the first change to the latter
/// makes a copy.
pub(super) struct Rows<T> {
    data: Data<T>,
    stride: usize,
    len: usize,
}

enum Data<T> {
    /// Growth moves the values, so where row 0 begins is looked for again whenever it
    /// happens.
    Own {
        values: Vec<T>,
        start: usize,
    },
    File(Part<T>),
}

/// Rows to be read: what is needed to find one, and no more.
#[derive(Debug)]
pub(super) struct View<'a, T> {
    values: &'a [T],
    stride: usize,
}

impl<T> Clone for View<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for View<'_, T> {}

impl<'a, T> View<'a, T> {
    #[inline]
    pub(super) fn row(self, row: usize) -> &'a [T] {
        let at = row * self.stride;
        &self.values[at..at + self.stride]
    }
}

impl<T: Pod> Rows<T> {
    pub(super) fn new(stride: usize) -> Self {
        Self { data: Data::Own { values: Vec::new(), start: 0 }, stride, len: 0 }
    }

    /// The `len` rows of a part of a file.
    pub(super) fn of_file(part: Part<T>, stride: usize, len: usize) -> Self {
        debug_assert_eq!(part.values().len(), len * stride);
        Self { data: Data::File(part), stride, len }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All values, row by row.
    pub(super) fn values(&self) -> &[T] {
        match &self.data {
            Data::Own { values, start } => &values[*start..],
            Data::File(part) => part.values(),
        }
    }

    /// To be asked for once, not for every row: finding out where they are takes a while.
    pub(super) fn view(&self) -> View<'_, T> {
        View { values: self.values(), stride: self.stride }
    }

    pub(super) fn row_mut(&mut self, row: usize) -> &mut [T] {
        self.reserve(0);
        let stride = self.stride;
        match &mut self.data {
            Data::Own { values, start } => &mut values[*start + row * stride..][..stride],
            Data::File(_) => unreachable!("`reserve` has copied what was in a file"),
        }
    }

    /// Makes room for `more` rows; doubles what there is, so that growth one by one costs
    /// a constant number of moves a row.
    pub(super) fn reserve(&mut self, more: usize) {
        let slack = LINE / size_of::<T>();
        let needed = slack + (self.len + more) * self.stride;
        match &self.data {
            Data::Own { values, .. } if needed <= values.capacity() || more == 0 => {}
            Data::Own { .. } => self.move_to(needed.max(2 * self.len * self.stride)),
            Data::File(_) => self.move_to(needed),
        }
    }

    /// To new memory of its own.
    fn move_to(&mut self, capacity: usize) {
        let mut values: Vec<T> = Vec::with_capacity(capacity);
        // A walk jumps from row to row.
        ask_for_large(&values);
        let start = values.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
        values.resize(start, T::zeroed());
        values.extend_from_slice(self.values());
        self.data = Data::Own { values, start };
    }

    /// Appends `count` rows, what is missing of them filled with `fill`.
    pub(super) fn push(&mut self, row: &[T], fill: T, count: usize) {
        self.reserve(count);
        self.len += count;
        let Data::Own { values, start } = &mut self.data else {
            unreachable!("`reserve` has copied what was in a file");
        };
        values.extend_from_slice(row);
        values.resize(*start + self.len * self.stride, fill);
    }
}

impl<T: Pod> Clone for Rows<T> {
    /// On cache lines of its own, which a copy of the bytes would not be.
    fn clone(&self) -> Self {
        let (stride, len) = (self.stride, self.len);
        if let Data::File(part) = &self.data {
            return Self { data: Data::File(part.clone()), stride, len };
        }
        let mut clone = Self::new(stride);
        clone.push(self.values(), T::zeroed(), len);
        clone
    }
}

impl<T> fmt::Debug for Rows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rows({} x {})", self.len, self.stride)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stay_what_they_are_and_on_their_lines() {
        let mut rows = Rows::new(32);
        for row in 0..1000_u32 {
            rows.push(&[row; 20], 7, 1);
            assert_eq!(rows.view().row(row as usize).as_ptr().align_offset(LINE), 0);
        }
        for rows in [rows.clone(), rows] {
            for row in 0..1000_u32 {
                let (values, fill) = rows.view().row(row as usize).split_at(20);
                assert_eq!(values.as_ptr().align_offset(LINE), 0);
                assert!(values.iter().all(|&value| value == row));
                assert_eq!(fill, [7; 12]);
            }
        }
    }
}
