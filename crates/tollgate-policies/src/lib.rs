//! Routing policies, each an interchangeable [`Policy`](tollgate_core::Policy).
//!
//! | policy | what it does | source |
//! |---|---|---|
//! | [`Random`] | any model, uniformly | baseline |
//! | [`Greedy`] | the best estimate, or the largest estimated remainder | baseline |
//! | [`BatchSplit`] | spends the whole rest on the best of each batch | baseline |
//! | [`DualPrice`] | value less price, with prices from a [`PriceSource`] | the one idea |
//! | [`Scripted`] | somebody else's picks, then a policy | reproduction |
//!
//! A dual-price policy is put together from a price source and a [`Guard`]:
//! [`PrefixPrices`] with the published objective and no guard is the published
//! PORT; [`Resolve`] with next best and decline is tollgate's own.
//!
//! [`BudgetSplit`] divides a total budget among models.

mod batch;
mod dual_price;
mod greedy;
mod random;
mod scripted;
mod splits;
#[cfg(test)]
mod testing;

pub use batch::{BatchSplit, BatchSplitConfig};
pub use dual_price::{
    Descent, DescentConfig, DualPrice, Geometric, GeometricConfig, Guard, Mirror, Outlook,
    PrefixObjective, PrefixPrices, PrefixPricesConfig, PriceSource, Resolve, ResolveConfig,
    Schedule, Start, Steps, Target,
};
pub use greedy::{Greedy, GreedyBy};
pub use random::Random;
pub use scripted::Scripted;
pub use splits::{BudgetSplit, SplitNameError};
