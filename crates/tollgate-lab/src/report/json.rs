//! Everything a report knows.

use serde_json::{Value, json};

use super::{PUBLISHED, PUBLISHED_WITHOUT_ROBERTA};
use crate::{Cell, Report};

pub(super) fn render(report: &Report) -> Value {
    let options = &report.options;
    let results: Vec<Value> = report
        .entrants
        .iter()
        .map(|(entrant, cells)| {
            json!({
                "policy": entrant.policy,
                "estimator": entrant.estimator,
                "solver": entrant.solver,
                "oracle": entrant.oracle,
                "mean": {
                    "performance": Report::interval(cells, |c| Some(c.metrics.performance)),
                    "cost": Report::interval(cells, |c| Some(c.metrics.cost)),
                    "ppc": Report::interval(cells, |c| c.metrics.ppc()),
                    "throughput": Report::interval(cells, |c| Some(c.metrics.served as f64)),
                    "rp": Report::interval(cells, |c| c.rp),
                },
                "runs": cells.iter().map(run).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "tollgate": env!("CARGO_PKG_VERSION"),
        "stream": report.stream,
        "parameters": {
            "seeds": options.seeds,
            "queries": options.queries,
            "splits": if options.splits.is_some() { "file" } else { "seeded" },
            "budget": options.budget,
            "split": options.layout.to_string(),
            "order": options.order.to_string(),
            "models": options.subset.models,
            "model_fraction": options.subset.model_fraction,
            "task": options.subset.task,
        },
        "results": results,
        "choices": report.choices,
        "ratios": {
            "port-reference": report.headline("port-reference"),
            "tollgate": report.headline("tollgate"),
            "published": PUBLISHED,
            "published_without_roberta": PUBLISHED_WITHOUT_ROBERTA,
        },
    })
}

fn run(cell: &Cell) -> Value {
    json!({
        "seed": cell.seed,
        "queries": cell.queries,
        "performance": cell.metrics.performance,
        "cost": cell.metrics.cost,
        "ppc": cell.metrics.ppc(),
        "throughput": cell.metrics.served,
        "declined": cell.metrics.declined,
        "lost": cell.metrics.lost,
        "unaffordable": cell.metrics.unaffordable,
        "rp": cell.rp,
        "lp_bound": cell.lp_bound,
    })
}
