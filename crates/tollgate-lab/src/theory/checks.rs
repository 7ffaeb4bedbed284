//! The rows, held against what the theory promises and what tollgate promises.
//!
//! Each check names its source. *Proved* means by the authors named, under random order (a
//! uniform permutation of a fixed multiset, or independent draws) and the condition on `k`
//! that they state; rates are upper bounds there, and the powers found here are how far below
//! them generator A stays. *Measured* means that nobody has proved it: it is a promise of
//! this project about its own policies.

mod bars;
mod rates;

use serde::Serialize;

use super::{Row, Slope, power};

pub use bars::{costs, drift, horizon, never_below_port, orders, sound};
pub use rates::{alpha, levels, noise, ordering, shares, slopes};

/// One promise, kept or not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What is held against what.
    pub name: String,
    /// Who says so.
    pub source: &'static str,
    /// What is asked for.
    pub bar: String,
    /// What was measured.
    pub got: String,
    /// Whether it is met.
    pub met: bool,
}

impl Check {
    /// A number of at least, or at most, so much; missing where nothing was measured.
    fn against(
        name: impl Into<String>,
        source: &'static str,
        got: Option<f64>,
        bar: Bar,
        decimals: usize,
    ) -> Self {
        let shown = |x: f64| format!("{x:.decimals$}");
        let (text, met) = match (bar, got) {
            (Bar::AtLeast(least), got) => {
                (format!(">= {least}"), got.is_some_and(|got| got >= least))
            }
            (Bar::AtMost(most), got) => (format!("<= {most}"), got.is_some_and(|got| got <= most)),
            (Bar::Within(least, most), got) => {
                let inside = got.is_some_and(|got| (least..=most).contains(&got));
                (format!("in [{least}, {most}]"), inside)
            }
        };
        let got = got.map_or_else(|| "not measured".to_owned(), shown);
        Self { name: name.into(), source, bar: text, got, met }
    }
}

#[derive(Clone, Copy, Debug)]
enum Bar {
    AtLeast(f64),
    AtMost(f64),
    Within(f64, f64),
}

fn find<'a>(rows: &'a [Row], part: &str, case: &str, policy: &str) -> Option<&'a Row> {
    rows.iter().find(|row| row.part == part && row.case == case && row.policy == policy)
}

/// The power of `1 - ratio` in what a part sweeps.
pub fn slope_of(rows: &[Row], part: &str, policy: &str) -> Option<Slope> {
    let points: Vec<(f64, f64)> = rows
        .iter()
        .filter(|row| row.part == part && row.policy == policy)
        .filter_map(|row| Some((row.x, 1.0 - row.truth?.mean)))
        .collect();
    power(&points).ok()
}

#[cfg(test)]
mod tests;
