//! The laboratory from the outside: hand-worked replays and oracles, scenarios, and whole
//! experiments.

mod experiment;
mod hand;
mod oracle;
mod replay;
mod scenario;
