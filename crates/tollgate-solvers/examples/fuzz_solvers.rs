//! Solves random problems made of awkward numbers with every solver: none may panic, loop
//! or claim what is not so.
//!
//! ```text
//! cargo run --release -p tollgate-solvers --example fuzz_solvers -- --seconds 60
//! ```
//!
//! `--seed` takes another path. The same checks are run by cargo-fuzz, in `fuzz/`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tollgate_core::Seed;
use tollgate_testkit::wild;

type AnyError = Box<dyn std::error::Error>;

/// A problem of a dozen queries that takes longer than this is a loop: the slowest known
/// takes a second, on a busy machine five.
const LOOPS: Duration = Duration::from_secs(30);

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
    watch(solvers.iter().map(|solver| solver.name().to_owned()).collect());
    let end = now() + Duration::from_secs(seconds);
    let (mut refused, mut solved) = (0_u64, 0_u64);
    for round in 0.. {
        if now() >= end {
            break;
        }
        let Ok(problem) = wild::drawn(Seed(seed), round) else {
            refused += 1;
            continue;
        };
        for (at, solver) in (0..).zip(&solvers) {
            ROUND.store(round, Ordering::Relaxed);
            SOLVER.store(at, Ordering::Relaxed);
            wild::survives(solver.as_ref(), &problem);
        }
        solved += 1;
    }
    println!(
        "{solved} problems solved by {} solvers each, {refused} refused: no finding",
        solvers.len()
    );
    Ok(())
}

/// What is being solved.
static ROUND: AtomicU64 = AtomicU64::new(0);
static SOLVER: AtomicU64 = AtomicU64::new(0);

#[expect(clippy::print_stderr, reason = "findings are what it is run for")]
/// Ends the program when the same problem keeps the same solver busy for too long.
fn watch(names: Vec<String>) {
    let state = || (ROUND.load(Ordering::Relaxed), SOLVER.load(Ordering::Relaxed));
    std::thread::spawn(move || {
        let mut before = state();
        let mut since = now();
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let at = state();
            if at != before {
                (before, since) = (at, now());
            } else if since.elapsed() > LOOPS {
                let name = usize::try_from(at.1).ok().and_then(|at| names.get(at));
                eprintln!("round {}: {name:?} does not come back", at.0);
                std::process::exit(1);
            }
        }
    });
}
