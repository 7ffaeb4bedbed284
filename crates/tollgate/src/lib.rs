//! Budget-aware online routing of prompts to many language models.
//!
//! A provider serves many models with a fixed budget; prompts arrive one by one; a
//! history says which model did how well, at what cost, on past prompts. For each
//! prompt tollgate picks the model so that total quality is as high as the budget
//! allows: it estimates quality and cost from similar past prompts, solves for a price
//! of every constrained resource, and sends each prompt where value minus price is
//! highest.
//!
//! ```
//! use tollgate::prelude::*;
//!
//! let table = Table::embedded();
//! let history = table.history(&(0..2_000).collect::<Vec<_>>())?;
//! let router = Router::builder()
//!     .history(history)
//!     .estimator(Auto::default())
//!     .policy(presets::tollgate())
//!     .budget(Budget::pooled(0.10).horizon(2_000))
//!     .build()?;
//! let request = Request::new(table.queries().query(2_000).embedding);
//! let routed = router.route(&request)?;
//! println!("{}", router.explain(&request, &routed)?);
//! if let Some(reservation) = routed.reservation {
//!     router.settle(reservation, 0.000_04)?; // what the answer really cost, in USD
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! *Useful for*: routing under a budget that must last, comparing routing policies on
//! recorded answers, measuring how far a policy is from what hindsight allows.
//! *Not useful for*: calling models (bring a client), or making embeddings (bring
//! vectors).
//!
//! The parts are in crates of their own and re-exported here: [`core`], [`data`],
//! [`estimators`], [`policies`], [`solvers`]. [`registry`] makes them by name.

pub mod presets;
pub mod registry;
mod router;
mod spec;

pub use router::{
    Budget, BuildError, ChangeError, Missing, NewModel, Request, RouteError, Routed, Router,
    RouterBuilder, Set,
};
pub use spec::{Spec, SpecError};
pub use tollgate_core as core;
pub use tollgate_data as data;
pub use tollgate_estimators as estimators;
pub use tollgate_policies as policies;
pub use tollgate_solvers as solvers;

/// What most compositions need.
pub mod prelude {
    pub use tollgate_core::{
        Budgets, Decision, Estimator, Fit, History, Label, Meter, ModelId, ModelPool, Models,
        Outcome, PicoUsd, Policy, Prompt, Row, Scope, Seed, Solver,
    };
    pub use tollgate_data::{Split, Table};
    pub use tollgate_estimators::{
        Auto, Blend, KernelRidge, KernelRidgeConfig, Knn, KnnConfig, Ridge, RidgeConfig,
    };
    pub use tollgate_policies::{
        BatchSplit, BudgetSplit, DualPrice, Greedy, GreedyBy, Guard, PrefixPricesConfig, Random,
        ResolveConfig,
    };
    pub use tollgate_solvers::{CuttingPlane, Simplex};

    pub use crate::{Budget, NewModel, Request, Routed, Router, presets};
}
