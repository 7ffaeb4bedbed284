//! The bytes of a file, read or mapped, and arrays that are used where they lie in them.
//!
//! # Safety
//!
//! The one call here that is unsafe maps a file into memory. What makes it so is that the
//! bytes behind a `&[u8]` must not change, and nobody can keep another program from
//! writing to a file. What is done about it:
//!
//! * [`Hnsw::open`](super::Hnsw::open) and its like say that a file must not be written to
//!   while an index lies in it, and [`Index::save_as`](super::Index::save_as) never does: it
//!   writes a new file and puts it in the place of the old one, whose bytes stay for those
//!   who have mapped it.
//! * The map is read only, so nothing here writes to it either.
//! * Every number of the file is checked when it is opened, and every array is indexed
//!   with bounds checks afterwards all the same, so bytes that change behind its back lead
//!   to a wrong answer or a panic, not to memory that belongs to somebody else. A file that
//!   is cut short while it is mapped ends the program, as it does with every map.
#![expect(unsafe_code, reason = "mapping a file; see the safety section")]

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use memmap2::Mmap;

use super::super::pages::ask_for_large;

/// How much room is made for bytes at a time: never more than that for bytes that are
/// promised and do not come.
const STEP: usize = 1 << 20;

/// So many bytes, aligned as every array needs them to be.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; super::LINE]);

/// A file's bytes; the first is on a cache line.
pub(super) struct Bytes(Source);

enum Source {
    Read { lines: Vec<Line>, len: usize },
    Mapped(Mmap),
}

impl Bytes {
    /// Reads to the end.
    pub(super) fn read(mut from: impl Read) -> io::Result<Self> {
        let (mut lines, mut len) = (Vec::new(), 0);
        loop {
            if len == size_of_val(lines.as_slice()) {
                lines.reserve(STEP / size_of::<Line>());
                // Before the new bytes are touched.
                ask_for_large(&lines);
                lines.resize(lines.len() + STEP / size_of::<Line>(), Line::zeroed());
            }
            match from.read(&mut bytemuck::cast_slice_mut(&mut lines)[len..]) {
                Ok(0) => return Ok(Self(Source::Read { lines, len })),
                Ok(more) => len += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn map(file: &File) -> io::Result<Self> {
        // SAFETY: the map is only read, and whoever opens it has been told to leave the
        // file alone; see the page.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self(Source::Mapped(map)))
    }

    pub(super) fn all(&self) -> &[u8] {
        match &self.0 {
            Source::Read { lines, len } => &bytemuck::cast_slice(lines)[..*len],
            Source::Mapped(map) => map,
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.all().len())
    }
}

/// An array of a file.
#[derive(Debug)]
pub(in super::super) struct Part<T> {
    bytes: Arc<Bytes>,
    at: Range<usize>,
    values: PhantomData<T>,
}

impl<T> Clone for Part<T> {
    fn clone(&self) -> Self {
        Self { bytes: Arc::clone(&self.bytes), at: self.at.clone(), values: PhantomData }
    }
}

impl<T: Pod> Part<T> {
    /// `None` where the bytes are not there, or no array of `T`.
    pub(super) fn new(bytes: &Arc<Bytes>, at: Range<usize>) -> Option<Self> {
        bytemuck::try_cast_slice::<u8, T>(bytes.all().get(at.clone())?).ok()?;
        Some(Self { bytes: Arc::clone(bytes), at, values: PhantomData })
    }

    pub(in super::super) fn values(&self) -> &[T] {
        bytemuck::cast_slice(&self.bytes.all()[self.at.clone()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, and is interrupted in between.
    struct Slow<'a>(&'a [u8], bool);

    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let n = to.len().min(1009).min(self.0.len());
            to[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn parts_are_arrays_of_what_was_read() {
        let numbers: Vec<u32> = (0..300_000).collect();
        let bytes = Bytes::read(Slow(bytemuck::cast_slice(&numbers), false)).unwrap();
        assert_eq!(bytes.all(), bytemuck::cast_slice::<u32, u8>(&numbers));
        let bytes = Arc::new(bytes);
        let part = Part::<u32>::new(&bytes, 400..1_200_000).unwrap();
        assert_eq!(part.values(), &numbers[100..]);
        assert_eq!(part.clone().values().as_ptr(), part.values().as_ptr());
        for at in [401..1_200_000, 400..1_200_001, 400..1_200_004, 1_200_004..1_200_004] {
            assert!(Part::<u32>::new(&bytes, at.clone()).is_none(), "{at:?}");
        }
    }
}
