//! Area against the labels of unseen models: chosen by the pool, and at random.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use tollgate_lab::theory::checks::Check;
use tollgate_lab::uniroute::{Kind, LabelCurve, Method, bars, label_curve};
use tollgate_lab::{Interval, PairedTest};

use super::views::{self, View};
use super::{DEFAULT, POOLS, Steps, UnirouteOptions};

/// Numbers of labels.
const SIZES: [usize; 5] = [50, 100, 150, 200, 400];

/// So many chosen labels are to be worth so many random ones.
const CHOSEN: usize = 100;
const RANDOM: usize = 150;

pub(super) fn run(options: &UnirouteOptions, data: Option<&Path>, out: &Path) -> Result<()> {
    let methods = methods(options)?;
    let (mut rows, mut checks) = (String::from(HEADER), Vec::new());
    for view in &views::views(options, data)? {
        let start = Instant::now();
        let mut text = String::new();
        for method in &methods {
            let curve = measure(options, view, method)?;
            csv(&mut rows, &view.name, &curve);
            let _ = writeln!(text, "{}", table(&view.name, &curve));
            if view.judged && method.label == DEFAULT {
                checks.push(bars::labels(&view.name, &curve, CHOSEN, RANDOM));
            }
        }
        println!("{text}[{}: {:.0} s]\n", view.name, start.elapsed().as_secs_f64());
        if options.page {
            super::write_page(&format!("labels-{}", view.name), text.trim_end())?;
        }
        std::fs::write(out.join("labels.csv"), &rows)?;
    }
    println!("wrote {}", out.display());
    if options.page && !checks.is_empty() {
        super::write_page("labels-checks", &super::checked(&checks))?;
    }
    judge(options, &checks)
}

fn judge(options: &UnirouteOptions, checks: &[Check]) -> Result<()> {
    if checks.is_empty() || !options.enough() {
        super::show(checks);
        println!("not judged: that takes {} trials, and the views of the bars", super::ENOUGH);
        return Ok(());
    }
    super::verdict(checks)
}

/// Pools among those asked for, or all.
fn methods(options: &UnirouteOptions) -> Result<Vec<Method>> {
    let all = POOLS.map(str::to_owned);
    let named = if options.methods.is_empty() { &all[..] } else { &options.methods };
    let methods: Result<Vec<_>, _> = named.iter().map(|name| Method::parse(name)).collect();
    let pools = methods?.into_iter().flatten();
    Ok(pools.filter(|method| matches!(method.kind, Kind::Pool(_))).collect())
}

fn measure(options: &UnirouteOptions, view: &View, method: &Method) -> Result<LabelCurve> {
    let (seeds, steps) = (options.seeds(view.embedded), Steps::default());
    label_curve(&view.table, &view.protocol, method, &SIZES, &seeds, &steps)
        .with_context(|| format!("{}, {}", view.name, method.label))
}

/// A line a number of labels, and what is asked of the choice.
fn table(stream: &str, curve: &LabelCurve) -> String {
    let trials = curve.chosen.first().map_or(0, Vec::len);
    let mut text = format!(
        "| {stream}, {}: labels | Area, chosen | at random | difference, thousandths |\n\
         |---|---:|---:|---:|\n",
        curve.label
    );
    for &size in &curve.sizes {
        let Some([chosen, random]) = curve.means(size) else { continue };
        let difference = thousandths(curve.difference(size, size));
        let _ = writeln!(text, "| {size} | {} | {} | {difference} |", area(chosen), area(random));
    }
    let between = thousandths(curve.difference(CHOSEN, RANDOM));
    let _ = writeln!(
        text,
        "\n{CHOSEN} chosen labels less {RANDOM} random ones: {between} thousandths, {trials} trials."
    );
    text
}

fn area(found: Interval) -> String {
    format!("{:.4} ± {:.4}", found.mean, found.half_width.unwrap_or(0.0))
}

fn thousandths(test: Option<PairedTest>) -> String {
    let Some(PairedTest { difference, .. }) = test else { return "-".to_owned() };
    let half =
        difference.half_width.map_or_else(String::new, |half| format!(" ± {:.1}", 1e3 * half));
    format!("{:+.1}{half}", 1e3 * difference.mean)
}

const HEADER: &str = "stream,method,labels,trial,chosen,random\n";

fn csv(rows: &mut String, stream: &str, curve: &LabelCurve) {
    let each = curve.sizes.iter().zip(curve.chosen.iter().zip(&curve.random));
    for (size, (chosen, random)) in each {
        for (trial, (chosen, random)) in chosen.iter().zip(random).enumerate() {
            let _ = writeln!(rows, "{stream},{},{size},{trial},{chosen},{random}", curve.label);
        }
    }
}
