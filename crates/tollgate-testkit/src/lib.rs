//! Oracles that share no code with what they test, and the conformance suites of the
//! plug-in traits.

pub mod dense_lp;
pub mod estimator_conformance;
pub mod instances;
pub mod policy_conformance;
pub mod problems;
pub mod solver_conformance;
