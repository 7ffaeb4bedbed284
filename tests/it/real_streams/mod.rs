//! Recorded answers of real models: what PORT did on them, and what tollgate does.

mod beats_port;
mod estimates;
mod is_port;
mod prices;
