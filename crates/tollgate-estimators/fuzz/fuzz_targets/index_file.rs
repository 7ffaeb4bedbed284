//! Index files of every kind: whatever the bytes, refused or true.
//!
//! The first byte chooses a valid file and whether checksums are made to fit. The rest is
//! edits of eight bytes: where, what, and how (replace a word, cut there, flip); or, where
//! the first byte is 255, the file itself.
#![no_main]

#[path = "../../examples/fuzz_index_file/checks.rs"]
mod checks;

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

use self::checks::{Original, check, originals, reseal};

static ORIGINALS: LazyLock<Vec<Original>> = LazyLock::new(originals);

static PATH: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("fuzz-{}.index", std::process::id())));

fuzz_target!(|data: &[u8]| {
    let Some((&choice, edits)) = data.split_first() else {
        return;
    };
    if choice == u8::MAX {
        // It may well have checksums that fit.
        check(edits, true, &ORIGINALS[0], &PATH);
        return;
    }
    let original = &ORIGINALS[usize::from(choice / 2) % ORIGINALS.len()];
    let mut bytes = original.bytes.clone();
    for &[a, b, c, how, w, x, y, z] in edits.as_chunks().0 {
        let at = u32::from_le_bytes([a, b, c, 0]) as usize % bytes.len().max(1);
        match how % 4 {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= w,
            _ if at / 4 * 4 + 4 <= bytes.len() => {
                bytes[at / 4 * 4..][..4].copy_from_slice(&[w, x, y, z]);
            }
            _ => {}
        }
    }
    let resealed = choice % 2 == 1;
    if resealed {
        reseal(&mut bytes);
    }
    check(&bytes, resealed, original, &PATH);
});
