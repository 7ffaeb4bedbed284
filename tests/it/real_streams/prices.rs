//! What re-solving costs in service: passes over the history, on a recorded stream.

use std::sync::{Arc, Mutex};

use tollgate::core::{Problem, Solution, SolveError, SolveOptions, Solver, Status, WarmState};
use tollgate::data::Split;
use tollgate::policies::{Outlook, ResolveConfig};
use tollgate::presets;
use tollgate::registry::Composition;
use tollgate_lab::{Experiment, Options, Silent};
use tollgate_tests::compositions;
use tollgate_tests::recorded::{splits, table};

/// The default solver, and the passes of every warm solve.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn Solver>,
    passes: Arc<Mutex<Vec<u64>>>,
}

impl Solver for Counting {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn solve(
        &self,
        problem: &Problem,
        options: &SolveOptions,
        warm: Option<&WarmState>,
    ) -> Result<Solution, SolveError> {
        let solution = self.inner.solve(problem, options, warm)?;
        assert_eq!(solution.status, Status::Optimal);
        if warm.is_some() {
            self.passes.lock().unwrap().push(solution.passes);
        }
        Ok(solution)
    }
}

/// 7,000 arrivals, 1,200 rows of history, new prices every hundred arrivals.
#[test]
fn a_re_solve_takes_few_passes() {
    let table = table("routellm");
    let splits = Split::read_file(splits("routellm"), table.len()).unwrap();
    let passes = Arc::new(Mutex::new(Vec::new()));
    let solver = Counting { inner: presets::default_solver(), passes: Arc::clone(&passes) };
    let policy = presets::tollgate_with(
        ResolveConfig { outlook: Outlook::History, ..ResolveConfig::default() },
        Arc::new(solver),
    )
    .unwrap();
    let default = compositions(&["tollgate"]).remove(0);
    let composition = Composition { policy: Arc::new(policy), ..default };
    let options = Options { splits: Some(splits), ..Options::default() };
    Experiment::new("routellm", &table, options, vec![composition]).unwrap().run(&Silent).unwrap();
    let mut passes = passes.lock().unwrap().clone();
    passes.sort_unstable();
    let (median, most) = (passes[passes.len() / 2], passes[passes.len() - 1]);
    println!("{} warm re-solves: {median} passes in the median, {most} at most", passes.len());
    assert!(passes.len() >= 5 * 60, "only {} re-solves", passes.len());
    assert!(median <= 10, "{median} passes in the median");
}
