use super::*;
#[test]
fn conforms() {
    tollgate_testkit::solver_conformance::check(&CuttingPlane::default());
}
#[test]
fn many() {
    tollgate_testkit::solver_conformance::small_problems(&CuttingPlane::default(), 30_000);
}
#[test]
fn many2() {
    let s = CuttingPlaneConfig::default().ceiling(1.0).smoothing(0.0).build().unwrap();
    tollgate_testkit::solver_conformance::small_problems(&s, 30_000);
}
