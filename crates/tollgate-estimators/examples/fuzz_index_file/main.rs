//! Damages index files at random and checks that each is refused, or still tells the truth.
//!
//! ```text
//! cargo run --release -p tollgate-estimators --example fuzz_index_file -- --seconds 60
//! ```
//!
//! Files of every kind of index. Bits flipped, bytes cut off, moved and repeated, numbers of
//! the header, links and floats replaced. Half of the files get checksums that fit, so that
//! what is behind them is reached; the others must be refused unless nothing has changed.
//! `--seed` takes another path. The same checks are run by cargo-fuzz, in `fuzz/`.

mod checks;

use std::path::Path;
use std::time::{Duration, Instant};

use tollgate_core::{Purpose, Seed, StreamRng};

use self::checks::{Original, Outcome, check, originals, reseal};

type AnyError = Box<dyn std::error::Error>;

/// Numbers that code is apt to get wrong.
const WORDS: [u32; 12] = [
    0,
    1,
    2,
    63,
    1 << 16,
    i32::MAX as u32,
    1 << 31,
    u32::MAX - 1,
    u32::MAX,
    f32::NAN.to_bits(),
    f32::INFINITY.to_bits(),
    f32::MAX.to_bits(),
];

#[expect(clippy::disallowed_methods, reason = "it runs for as long as it is told to")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::print_stdout, reason = "the counts are what it is run for")]
fn main() -> Result<(), AnyError> {
    let (mut seconds, mut seed) = (10, 0);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--seconds" => seconds = value.parse()?,
            [name, value] if name == "--seed" => seed = value.parse()?,
            _ => return Err("usage: fuzz_index_file [--seconds N] [--seed N]".into()),
        }
    }
    let path = std::env::temp_dir().join(format!("fuzz-{}.index", std::process::id()));
    let originals = originals();
    let end = now() + Duration::from_secs(seconds);
    let mut counts = [[0_u64; 2]; 2];
    let mut round = 0;
    while now() < end {
        let mut rng = Seed(seed).stream(Purpose::Synthesis, round);
        let (resealed, outcome) = one(&mut rng, &originals, &path);
        counts[usize::from(resealed)][usize::from(outcome == Outcome::Accepted)] += 1;
        round += 1;
    }
    std::fs::remove_file(&path)?;
    for (what, [refused, accepted]) in ["as damaged", "checksums made to fit"].iter().zip(counts) {
        println!("{what}: {} files, {refused} refused, {accepted} accepted", refused + accepted);
    }
    Ok(())
}

/// Damages a file and checks it; answers whether its checksums were made to fit.
fn one(rng: &mut StreamRng, originals: &[Original], path: &Path) -> (bool, Outcome) {
    let original = &originals[rng.below(originals.len())];
    let mut bytes = original.bytes.clone();
    // Sometimes none at all: a whole file must be accepted.
    for _ in 0..rng.below(4) {
        damage(rng, &mut bytes, originals);
    }
    let resealed = rng.below(2) == 1;
    if resealed {
        reseal(&mut bytes);
    }
    (resealed, check(&bytes, resealed, original, path))
}

fn damage(rng: &mut StreamRng, bytes: &mut Vec<u8>, originals: &[Original]) {
    if bytes.is_empty() {
        return;
    }
    let at = rng.below(bytes.len());
    let word = (at / 4 * 4).min(bytes.len().saturating_sub(4));
    match rng.below(9) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = rng.below(256).to_le_bytes()[0],
        2 => bytes.truncate(at),
        3 => bytes.resize(bytes.len() + 1 + rng.below(200), 0),
        // A number of the header.
        4 if bytes.len() > 80 => {
            let number = u64::from(any_word(rng)) << (32 * u32::from(rng.below(8) == 0));
            let at = (16 + 8 * rng.below(16)).min(bytes.len() - 8);
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        // A node, a link, a float.
        5 | 6 if bytes.len() >= 4 => {
            bytes[word..word + 4].copy_from_slice(&any_word(rng).to_le_bytes());
        }
        // A piece of this or another file, here or there.
        7 => {
            let from = &originals[rng.below(originals.len())].bytes;
            let start = rng.below(from.len());
            let piece = &from[start..(start + 1 + rng.below(300)).min(from.len())];
            let end = (at + piece.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&piece[..end - at]);
        }
        // A piece taken out.
        _ => drop(bytes.drain(at..(at + 1 + rng.below(64)).min(bytes.len()))),
    }
}

fn any_word(rng: &mut StreamRng) -> u32 {
    match rng.below(3) {
        0 => WORDS[rng.below(WORDS.len())],
        1 => u32::try_from(rng.below(400)).expect("a small number"),
        _ => u32::try_from(rng.below(1 << 31)).expect("31 bits") * 2,
    }
}
