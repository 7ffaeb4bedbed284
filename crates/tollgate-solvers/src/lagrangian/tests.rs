use tollgate_testkit::solver_conformance as conformance;

use super::*;

#[test]
fn conforms() {
    conformance::check_iterative(&Lagrangian::default(), 1e-3);
}

#[test]
fn the_published_loop_keeps_its_word() {
    let published = LagrangianConfig::published().build().unwrap();
    conformance::words_of_small_problems(&published, 400);
}
