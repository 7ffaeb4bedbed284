//! Problems of arbitrary bytes: every solver comes back, and says what is so.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_testkit::wild;

fuzz_target!(|data: &[u8]| {
    if let Ok(problem) = wild::problem(data) {
        for solver in tollgate_solvers::all() {
            wild::survives(solver.as_ref(), &problem);
        }
    }
});
