//! Cluster routing on generators, held against the theory.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use tollgate::Spec;
use tollgate::core::Seed;
use tollgate::registry;
use tollgate_lab::mean_interval;
use tollgate_lab::theory::checks::Check;
use tollgate_lab::uniroute::theory::{
    Found, Latent, Router, Step, checks, one_cluster_is_zero_router, sweep,
};

use super::{ENOUGH, UnirouteOptions};

/// Numbers of labels.
const SIZES: [usize; 7] = [200, 400, 800, 1_600, 3_200, 6_400, 12_800];

pub(super) fn run(options: &UnirouteOptions, out: &Path) -> Result<()> {
    let seeds = options.seeds(false);
    let latent = Latent::default();
    let found = registry::estimator(
        &format!("clusters:clusters={}", 2 * latent.clusters).parse::<Spec>()?,
    )?;
    let cases = [
        ("known clusters", Router::Known, latent),
        ("clusters, found by K-means", Router::Recipe(found.as_ref()), latent),
        ("known clusters, delta = 0.1", Router::Known, Latent { delta: 0.1, ..latent }),
    ];
    let (mut text, mut all, mut judged) = (String::new(), Vec::new(), Vec::new());
    for (name, router, latent) in cases {
        let start = Instant::now();
        let steps = sweep(router, latent, &SIZES, &seeds)?;
        let shown = table(name, &steps);
        println!("{shown}\n[{name}: {:.0} s]\n", start.elapsed().as_secs_f64());
        let _ = writeln!(text, "{shown}");
        let mut found = checks(name, &steps);
        if latent.delta > 0.0 {
            // What clusters leave out does not go away: there is no power to speak of.
            found.truncate(1);
        }
        judged.extend(found);
        all.push(serde_json::json!({ "case": name, "latent": latent, "steps": steps }));
    }
    judged.push(one_cluster(&seeds)?);
    let value = serde_json::to_string_pretty(&all)?;
    std::fs::write(out.join("theory.json"), value + "\n")?;
    println!("wrote {}", out.display());
    if options.page {
        let _ = writeln!(text, "{}", super::checked(&judged));
        super::write_page("theory", text.trim_end())?;
    }
    if seeds.len() < ENOUGH {
        super::show(&judged);
        println!("not judged: that takes {ENOUGH} trials");
        return Ok(());
    }
    super::verdict(&judged)
}

fn one_cluster(seeds: &[Seed]) -> Result<Check> {
    let equal = one_cluster_is_zero_router(seeds)?;
    let same = equal.iter().filter(|same| **same).count();
    Ok(Check {
        name: "one cluster: trials that walk the points of ZeroRouter".to_owned(),
        source: "proved",
        bar: equal.len().to_string(),
        got: same.to_string(),
        met: same == equal.len(),
    })
}

fn table(name: &str, steps: &[Step]) -> String {
    let mut text = format!(
        "| {name}: labels | worst excess | its bound, mean | gap in Area |\n|---|---:|---:|---:|\n"
    );
    for step in steps {
        let mean = |of: fn(&Found) -> f64| {
            let finite = step.trials.iter().map(of).filter(|x| x.is_finite());
            let found = mean_interval(&finite.collect::<Vec<_>>());
            found.map_or_else(
                || "-".to_owned(),
                |found| format!("{:.5} ± {:.5}", found.mean, found.half_width.unwrap_or(0.0)),
            )
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            step.labels,
            mean(|found| found.excess),
            mean(|found| found.bound),
            mean(|found| found.area_gap),
        );
    }
    text
}
