//! The laboratory from the outside: hand-worked replays and oracles, scenarios, and whole
//! experiments.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop there")]

mod experiment;
mod hand;
mod oracle;
mod replay;
mod scenario;
mod theory;
mod uniroute;
