//! Solves random problems made of awkward numbers with every solver: none may panic, loop
//! or claim what is not so.
//!
//! ```text
//! cargo run --release -p tollgate-solvers --example fuzz_solvers -- --seconds 60
//! ```
//!
//! `--seed` takes another path. The same checks are run by cargo-fuzz, in `fuzz/`.

use std::time::{Duration, Instant};

use tollgate_core::{Purpose, Seed};
use tollgate_testkit::wild;

type AnyError = Box<dyn std::error::Error>;

/// A problem of a dozen queries that takes longer than this is a loop.
const LOOPS: Duration = Duration::from_secs(5);

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
            _ => return Err("usage: fuzz_solvers [--seconds N] [--seed N]".into()),
        }
    }
    let solvers = tollgate_solvers::all();
    let end = now() + Duration::from_secs(seconds);
    let (mut refused, mut solved) = (0_u64, 0_u64);
    for round in 0.. {
        if now() >= end {
            break;
        }
        let mut rng = Seed(seed).stream(Purpose::Synthesis, round);
        let bytes: Vec<u8> = (0..400).map(|_| u8::try_from(rng.below(256)).unwrap_or(0)).collect();
        let Ok(problem) = wild::problem(&bytes) else {
            refused += 1;
            continue;
        };
        for solver in &solvers {
            let begun = now();
            wild::survives(solver.as_ref(), &problem);
            if begun.elapsed() > LOOPS {
                return Err(format!(
                    "{} takes {:?} in round {round}",
                    solver.name(),
                    begun.elapsed()
                )
                .into());
            }
        }
        solved += 1;
    }
    println!(
        "{solved} problems solved by {} solvers each, {refused} refused: no finding",
        solvers.len()
    );
    Ok(())
}
