use tollgate_testkit::solver_conformance as conformance;

use super::*;

#[test]
fn conforms() {
    conformance::check_iterative(&PrimalDual::default(), 1e-4);
}
