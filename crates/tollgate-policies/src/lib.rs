//! Routing policies, each an interchangeable [`Policy`](tollgate_core::Policy).
//!
//! | policy | what it does | source |
//! |---|---|---|
//! | [`Random`] | any model, uniformly | baseline |
//! | [`RoundRobin`] | each model in its turn | baseline |
//! | [`Balance`] | the model with the most room | baseline, ECCOS |
//! | [`ShortestWait`] | the model whose answer is expected soonest | S3, as a baseline |
//! | [`Fixed`] | one model for everything: a given one, or the best | baseline |
//! | [`Greedy`] | the best estimate, the best for the money, or the largest estimated remainder | baseline |
//! | [`Threshold`] | the cheapest that is good enough; how good is learned from history | RouteLLM, ECCOS |
//! | [`ExpThreshold`] | value less a price that rises with what is spent, safe in any order | online knapsack |
//! | [`BatchSplit`] | the best of each batch for all that is left, or for what is due | baseline |
//! | [`DualPrice`] | value less price, with prices from a [`PriceSource`] | the one idea |
//! | [`Exploring`] | another policy, with a share of the traffic for the model known the least | online labels |
//! | [`Scripted`] | somebody else's picks, then a policy | reproduction |
//!
//! A dual-price policy is put together from a price source and a [`Guard`]:
//! [`PrefixPrices`] with the published objective and no guard is the published
//! PORT; [`Resolve`] with next best and decline is tollgate's own.
//!
//! [`BudgetSplit`] divides a total budget among models.

mod balance;
mod batch;
mod dual_price;
mod exp_threshold;
mod exploring;
mod fitting;
mod fixed;
mod floor;
mod greedy;
mod random;
mod round_robin;
mod scripted;
mod setup;
mod shortest_wait;
mod splits;
#[cfg(test)]
mod testing;
mod threshold;

pub use balance::Balance;
pub use batch::{BatchSplit, BatchSplitConfig};
pub use dual_price::{
    Descent, DescentConfig, DualPrice, FloorPrices, Geometric, GeometricConfig, Guard, Mirror,
    Outlook, PrefixObjective, PrefixPrices, PrefixPricesConfig, PriceSource, Resolve,
    ResolveConfig, Schedule, Start, Steps, Target,
};
pub use exp_threshold::{ExpThreshold, ExpThresholdBy, ExpThresholdConfig};
pub use exploring::{Exploring, ExploringConfig};
pub use fixed::{Fixed, FixedConfig};
pub use floor::{
    Errors, Floor, FloorBatch, FloorConfig, FloorPlan, FloorStatus, Margin, Rehearsal,
};
pub use greedy::{Greedy, GreedyBy};
pub use random::Random;
pub use round_robin::RoundRobin;
pub use scripted::Scripted;
pub use shortest_wait::ShortestWait;
pub use splits::{BudgetSplit, SplitNameError};
pub use threshold::{Threshold, ThresholdConfig};
