//! Rows in one flat piece of memory, each on a cache line of its own.

use std::fmt;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Rows of `stride` values that begin on cache lines where `stride` values fill some.
///
/// Growth moves the rows, so their place is looked for again whenever it happens.
pub(super) struct Rows<T> {
    data: Vec<T>,
    /// Where row 0 begins.
    start: usize,
    stride: usize,
    len: usize,
}

impl<T: Copy + Default> Rows<T> {
    pub(super) fn new(stride: usize) -> Self {
        Self { data: Vec::new(), start: 0, stride, len: 0 }
    }

    #[inline]
    pub(super) fn row(&self, row: usize) -> &[T] {
        let at = self.start + row * self.stride;
        &self.data[at..at + self.stride]
    }

    pub(super) fn row_mut(&mut self, row: usize) -> &mut [T] {
        let at = self.start + row * self.stride;
        &mut self.data[at..at + self.stride]
    }

    /// Makes room for `more` rows; doubles what there is, so that growth one by one costs
    /// a constant number of moves a row.
    pub(super) fn reserve(&mut self, more: usize) {
        let slack = LINE / size_of::<T>();
        let needed = slack + (self.len + more) * self.stride;
        if needed <= self.data.capacity() {
            return;
        }
        let mut data: Vec<T> = Vec::with_capacity(needed.max(2 * self.data.len()));
        let start = data.as_ptr().align_offset(LINE).min(slack);
        data.resize(start, T::default());
        data.extend_from_slice(&self.data[self.start..]);
        (self.data, self.start) = (data, start);
    }

    /// Appends a row, what is missing of it filled with `fill`.
    pub(super) fn push(&mut self, row: &[T], fill: T) {
        self.reserve(1);
        self.data.extend_from_slice(row);
        self.len += 1;
        self.data.resize(self.start + self.len * self.stride, fill);
    }
}

impl<T: Copy + Default> Clone for Rows<T> {
    /// On cache lines of its own, which a copy of the bytes would not be.
    fn clone(&self) -> Self {
        let mut clone = Self::new(self.stride);
        clone.reserve(self.len);
        clone.data.extend_from_slice(&self.data[self.start..]);
        clone.len = self.len;
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
            rows.push(&[row; 20], 7);
            assert_eq!(rows.row(row as usize).as_ptr().align_offset(LINE), 0);
        }
        for row in 0..1000_u32 {
            let (values, fill) = rows.row(row as usize).split_at(20);
            assert!(values.iter().all(|&value| value == row));
            assert_eq!(fill, [7; 12]);
        }
    }
}
