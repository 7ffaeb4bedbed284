//! End-to-end tests across crates: one module a subject.
//!
//! `cargo test -p tollgate-tests -- --nocapture` prints the figures beside the verdicts.
// `cfg(test)` is always on here; it tells the linter that helpers are tests too.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod determinism;
#[cfg(test)]
mod embedded;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod interchange;
#[cfg(test)]
mod invariance;
#[cfg(test)]
mod pool;
#[cfg(test)]
#[cfg(feature = "real-streams")]
mod real_streams;
#[cfg(test)]
mod same_router;
