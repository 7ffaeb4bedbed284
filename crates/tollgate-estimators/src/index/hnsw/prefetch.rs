//! A hint to the cache.
//!
//! # Safety
//!
//! `_mm_prefetch` takes a raw pointer, and that alone makes it unsafe to call. It reads
//! nothing that the program can see, cannot fault whatever the address, and belongs to
//! SSE, which every x86-64 processor has. The pointer here comes from a live slice and
//! stays inside it, so not even its making is in question. That it changes no answer is
//! tested beside it; where there is no such instruction it is nothing at all.

#![expect(unsafe_code, reason = "a cache hint takes a raw pointer; see the safety section")]

/// Asks for the cache lines of `data`, at most the first `LINES`.
#[inline(always)]
pub(in super::super) fn prefetch<const LINES: usize, T>(data: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let line = (64 / size_of::<T>().max(1)).max(1);
        for at in data.iter().step_by(line).take(LINES) {
            // SAFETY: a prefetch of a valid reference has no effect but on the cache.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(at).cast()) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = data;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_changed() {
        let data: Vec<u16> = (0..1000).collect();
        let before = data.clone();
        prefetch::<8, _>(&data);
        prefetch::<8, u16>(&[]);
        prefetch::<8, _>(&[(); 3]);
        prefetch::<8, _>(&[[0_u64; 100]; 2]);
        assert_eq!(data, before);
    }
}
