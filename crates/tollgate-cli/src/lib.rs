//! The command line of tollgate: one option parser and one implementation, shared by
//! the `tollgate` program and `cargo xtask`.

mod logging;
mod options;
mod progress;
mod run;

pub use logging::{LogFormat, LogOptions};
pub use options::{Format, ReplayOptions, parse_seeds};
pub use run::run;
