//! A hint to the system: large pages for large arrays.
//!
//! A walk jumps from row to row, and every jump to another page has to be looked up. With
//! pages of 4 KiB the rows of 100,000 nodes are on more of them than a processor remembers;
//! with pages of 2 MiB it remembers them all. Where the system hands those out only to who
//! asks, this asks.
//!
//! # Safety
//!
//! `madvise` takes a raw address, and that makes it unsafe to call. `MADV_HUGEPAGE` reads
//! and writes nothing that the program can see: it says how whole pages of this process are
//! to be backed, and the bytes on them stay what they are. The range is that of a live
//! vector's buffer, cut down to whole pages that lie within it. What the system answers
//! does not matter. That no value changes is tested beside it; elsewhere than on Linux it is
//! nothing at all.

#![expect(unsafe_code, reason = "advice takes a raw address; see the safety section")]

/// Bytes of a large page; less than two of them are not worth the asking.
const LARGE: usize = 2 << 20;

/// Asks for large pages under the buffer of `values`, used or not. Pages that have been
/// touched already stay as they are for now, so ask before filling it.
pub(super) fn ask_for_large<T>(values: &Vec<T>) {
    let bytes = values.capacity() * size_of::<T>();
    #[cfg(target_os = "linux")]
    if bytes >= 2 * LARGE {
        const PAGE: usize = 4096;
        let first = values.as_ptr().cast::<libc::c_void>();
        let skipped = first.align_offset(PAGE);
        let len = (bytes - skipped) / PAGE * PAGE;
        // SAFETY: whole pages of a buffer that is borrowed, and advice changes no byte.
        let _ = unsafe {
            libc::madvise(first.wrapping_add(skipped).cast_mut(), len, libc::MADV_HUGEPAGE)
        };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = bytes;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_changed() {
        let value = |at: usize| u16::try_from(at % 60_000).unwrap();
        for n in [0, 1, 1000, 3 << 20] {
            let mut values: Vec<u16> = Vec::with_capacity(n);
            ask_for_large(&values);
            values.extend((0..n).map(value));
            ask_for_large(&values);
            assert!(values.iter().enumerate().all(|(at, &got)| got == value(at)));
        }
    }
}
