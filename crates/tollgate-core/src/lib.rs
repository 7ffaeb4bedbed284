//! The core of tollgate: every constraint has a price, and a query goes where
//! its value is highest after the tolls.
//!
//! # The problem
//!
//! `N` queries, `M` models. A few *meters* measure each option `(j, i)`, "query
//! `j` to model `i`": quality, cost, tokens, latency and the constant one. The
//! *objective* is a weighted sum of meters; a *row* limits one meter over a *scope*:
//!
//! ```text
//! row = meter x model mask x query group x sense (<= or >=) x capacity
//!
//! max  sum_j w_j sum_i v_ij x_ij
//! s.t. every row,   sum_i x_ij <= 1 (or = 1: must serve),   x >= 0          (1)
//!
//! D(p) = sum_r s_r p_r b_r
//!      + sum_j w_j [0 or] max_i ( v_ij - sum_{r covers (j,i)} s_r p_r m^r_ij )   (2)
//! ```
//!
//! with `s_r = +1` for `<=` and `-1` for `>=`, and prices `p >= 0`. `D(p)` bounds
//! the optimum of (1) for *any* `p >= 0`: a certificate that costs one pass.
//!
//! # What is here
//!
//! * [`Problem`], [`Row`], [`dual_bound`]: the one problem, its dual function, its
//!   certificate.
//! * [`Estimator`] (with its recipe [`Fit`]), [`Solver`], [`Policy`] and
//!   [`Pricer`]: the object-safe traits that plug-ins implement.
//! * [`ModelPool`]: an estimator whose models come and go while it is read.
//! * [`PriceList`]: what tokens cost; a model that is not on it is an error.
//! * [`DeferralCurve`]: quality against cost as one price moves, exactly.
//! * [`Ledger`]: accounts that are never overspent: reserve, then settle or release.
//! * [`Decision`] and [`Explanation`]: what was decided, and why.
//!
//! The core is pure: no clock, no IO, no environment, no threads of its own, no
//! hash order. Randomness comes in as a [`Seed`].

mod budgets;
mod cost_ratios;
mod decision;
mod deferral;
mod error;
mod estimates;
mod estimator;
mod history;
mod horizon;
mod ledger;
mod model;
mod money;
mod policy;
mod pool;
mod price_list;
mod prices;
mod problem;
mod query;
mod rng;
mod rounding;
mod row;
mod solver;
mod turnover;

pub use budgets::{BudgetView, Budgets, Hold, Refill};
pub use cost_ratios::CostRatios;
pub use decision::{Decision, Explanation, Outcome};
pub use deferral::{CurvePoint, DeferralCurve};
pub use error::{
    BoxError, EstimateError, FitError, HistoryError, LedgerError, ModelsError, MoneyError,
    ParamError, PolicyError, ProblemError, SolveError,
};
pub use estimates::{EstimateTable, Estimates, EstimatesMut};
pub use estimator::{Estimator, Fit, Scratch};
pub use history::History;
pub use horizon::Horizon;
pub use ledger::{AccountState, Amounts, Ledger, Reservation, Settlement};
pub use model::{ModelId, Models};
pub use money::PicoUsd;
pub use policy::{
    Arrival, Feedback, Policy, PriceUpdate, Pricer, Progress, Ranked, Ranking, RunSetup,
    ScoreAccount, SoFar, SolveRequest,
};
pub use pool::{
    Label, ModelPool, PoolError, Prior, Prompt, check_known, check_labels, check_new_model,
    check_removal,
};
pub use price_list::{PriceList, PriceListError, TokenPrice};
pub use prices::{Coefficients, Column, Prices, dual_bound};
pub use problem::{Assignment, Choice, Feasibility, Primal, Problem, ProblemBuilder};
pub use query::{Queries, Query};
pub use rng::{Purpose, Seed, StreamRng};
pub use rounding::{Rounded, round, round_and_repair};
pub use row::{Meter, ModelMask, Row, Scope, Sense};
pub use solver::{Gap, Solution, SolveOptions, Solver, Status, WarmState};
pub use turnover::Turnover;
