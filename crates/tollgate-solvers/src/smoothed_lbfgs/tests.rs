use tollgate_testkit::solver_conformance as conformance;

use super::*;

#[test]
fn conforms() {
    conformance::check_iterative(&SmoothedLbfgs::default(), 1e-4);
}
