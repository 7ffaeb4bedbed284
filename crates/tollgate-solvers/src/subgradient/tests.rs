use tollgate_testkit::solver_conformance as conformance;

use super::*;

#[test]
fn conforms() {
    conformance::check_iterative(&Subgradient::default(), 1e-3);
}
