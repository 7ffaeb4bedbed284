//! The laboratory: replays a recorded stream through any estimator, solver and policy,
//! beside oracles that see the future, and says how sure the difference is.
//!
//! An [`Experiment`] is a table, [`Options`] and some [`Composition`]s; running it gives
//! a [`Report`], which prints as the table, CSV or JSON. What replay does, and how it
//! differs from service, is on the page of [`replay`].

mod experiment;
mod grid;
mod metrics;
pub mod omnirouter;
mod oracle;
mod order;
mod replay;
pub mod report;
mod scenario;
pub mod simulator;
mod stats;
mod stream;
pub mod theory;
pub mod uniroute;

pub use experiment::{Cell, Choice, Entrant, Experiment, LabError, Observer, Report, Silent};
pub use grid::{GridCell, grid};
pub use metrics::{Metrics, Timings};
pub use oracle::{Oracle, OracleResult, lp_bound, realize};
pub use order::{Order, OrderNameError};
pub use replay::{Replay, replay};
pub use scenario::{BudgetLayout, Options, Scenario, Subset};
pub use stats::{Interval, PairedTest, mean_interval, paired_difference, paired_test};
pub use stream::Stream;
pub use tollgate::registry::Composition;
