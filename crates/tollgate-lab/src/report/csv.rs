//! One line a policy and seed.

use std::io;

use crate::Report;

const HEADER: [&str; 15] = [
    "policy",
    "estimator",
    "solver",
    "stream",
    "seed",
    "queries",
    "budget",
    "split",
    "order",
    "performance",
    "cost",
    "ppc",
    "throughput",
    "rp",
    "lp_bound",
];

pub(super) fn render(report: &Report) -> Result<String, io::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for (entrant, cells) in &report.entrants {
        for cell in cells {
            let optional = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
            writer.write_record([
                entrant.policy.clone(),
                entrant.estimator.clone(),
                entrant.solver.clone(),
                report.stream.clone(),
                cell.seed.0.to_string(),
                cell.queries.to_string(),
                report.options.budget.to_string(),
                report.options.layout.to_string(),
                report.options.order.to_string(),
                cell.metrics.performance.to_string(),
                cell.metrics.cost.to_string(),
                optional(cell.metrics.ppc()),
                cell.metrics.served.to_string(),
                optional(cell.rp),
                cell.lp_bound.to_string(),
            ])?;
        }
    }
    finish(writer)
}

pub(super) fn timings(report: &Report) -> Result<String, io::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "policy",
        "estimator",
        "solver",
        "seed",
        "arrivals",
        "estimate_us_per_query",
        "route_us_per_query",
        "solve_us_per_solve",
        "solves",
        "unfinished_solves",
    ])?;
    for (entrant, cells) in report.entrants.iter().filter(|(entrant, _)| !entrant.oracle) {
        for cell in cells {
            let timings = cell.timings;
            let per = |total: f64, count: u64| format!("{:.3}", total / count.max(1) as f64);
            writer.write_record([
                entrant.policy.clone(),
                entrant.estimator.clone(),
                entrant.solver.clone(),
                cell.seed.0.to_string(),
                timings.arrivals.to_string(),
                per(timings.estimate_us, timings.arrivals),
                per(timings.route_us, timings.arrivals),
                per(timings.solve_us, timings.solves),
                timings.solves.to_string(),
                timings.unfinished_solves.to_string(),
            ])?;
        }
    }
    finish(writer)
}

fn finish(writer: csv::Writer<Vec<u8>>) -> Result<String, io::Error> {
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
