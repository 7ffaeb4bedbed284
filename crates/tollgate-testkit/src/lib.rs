//! Oracles that share no code with what they test, and the conformance suites of the
//! plug-in traits.

pub mod dense_lp;
pub mod enumeration;
#[cfg(feature = "conformance")]
pub mod estimator_conformance;
pub mod instances;
#[cfg(feature = "conformance")]
pub mod policy_conformance;
#[cfg(feature = "conformance")]
pub mod pool_conformance;
#[cfg(feature = "conformance")]
pub mod problems;
#[cfg(feature = "conformance")]
pub mod solver_conformance;
#[cfg(feature = "conformance")]
pub mod wild;
