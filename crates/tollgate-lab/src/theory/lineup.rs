//! Who is measured: one table, by the names of the registry.

use tollgate::registry::{self, Composition};
use tollgate::{Spec, SpecError};

/// A policy by the name that the laboratory gives it.
#[derive(Clone, Debug)]
pub struct Line {
    /// The name in tables and figures.
    pub label: &'static str,
    /// The policy.
    pub composition: Composition,
}

/// A name of the table that the registry does not answer to.
#[derive(Clone, Debug)]
pub struct Absent {
    /// The name in tables.
    pub label: &'static str,
    /// Why.
    pub why: String,
}

struct Known {
    label: &'static str,
    spec: fn(usize) -> String,
}

/// The table: the name, and the composition for so many arrivals.
const KNOWN: &[Known] = &[
    Known { label: "random", spec: |_| "random".to_owned() },
    Known { label: "round-robin", spec: |_| "round-robin".to_owned() },
    Known { label: "greedy-perf", spec: |_| "greedy-perf".to_owned() },
    Known { label: "greedy-density", spec: |_| "greedy-density".to_owned() },
    Known { label: "greedy-cost", spec: |_| "greedy-cost".to_owned() },
    Known { label: "threshold", spec: |_| "threshold".to_owned() },
    Known { label: "exp-threshold", spec: |_| "exp-threshold".to_owned() },
    Known { label: "batch-split", spec: |_| "batch-split".to_owned() },
    Known { label: "batch-paced", spec: |_| "batch-paced".to_owned() },
    Known { label: "port-reference", spec: |_| "port-reference".to_owned() },
    Known { label: "port", spec: |_| "port".to_owned() },
    Known { label: "one-shot", spec: |n| one_shot((n as f64).cbrt().recip()) },
    Known { label: "geometric", spec: |_| "geometric:eps=0.02".to_owned() },
    Known { label: "descent", spec: |_| "descent".to_owned() },
    Known { label: "descent-entropic", spec: |_| "descent:mirror=entropic".to_owned() },
    Known { label: "descent-history", spec: |_| "descent:start=history".to_owned() },
    Known { label: "resolve", spec: |_| "resolve".to_owned() },
    Known { label: "history", spec: |_| "history".to_owned() },
    Known { label: "history-resolve", spec: |_| "history-resolve".to_owned() },
    Known { label: "window-resolve", spec: |_| "window-resolve".to_owned() },
    Known { label: "hybrid", spec: |_| "hybrid".to_owned() },
    Known { label: "tollgate", spec: |_| "tollgate".to_owned() },
];

/// PORT's theory with another share to learn from.
pub(super) fn one_shot(eps: f64) -> String {
    format!("port:eps={eps}")
}

/// Those of the names that the registry has, for `n` arrivals, and those that it has not.
///
/// # Panics
/// For a name that is not in the table.
pub fn lineup(labels: &[&str], n: usize) -> (Vec<Line>, Vec<Absent>) {
    let (mut lines, mut absent) = (Vec::new(), Vec::new());
    for label in labels {
        let known = KNOWN.iter().find(|known| known.label == *label);
        let Known { label, spec } = known.expect("a name of the table");
        match composed(&spec(n)) {
            Ok(composition) => lines.push(Line { label, composition }),
            Err(why) => absent.push(Absent { label, why: why.to_string() }),
        }
    }
    (lines, absent)
}

/// The names of the table.
pub fn labels() -> Vec<&'static str> {
    KNOWN.iter().map(|known| known.label).collect()
}

/// A policy as the command line would name it.
///
/// # Errors
/// [`SpecError`] for a name or a parameter that the registry refuses.
pub fn composed(spec: &str) -> Result<Composition, SpecError> {
    registry::compose(&spec.parse::<Spec>()?, None, None)
}
