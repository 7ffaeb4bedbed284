//! What random order promises, on generator A.

use super::{Bar, Check, find, slope_of};
use crate::theory::{Invariance, Row, power};

const DEVANUR_HAYES: &str = "proved by Devanur and Hayes (2009), Agrawal, Wang and Ye (2014, \
     theorem 1): one-shot prices from a share eps of a random order lose O(eps) once k >= 6 M \
     log(N / eps) / eps^3, so N^-1/3 for k in proportion to N; the power itself is measured";
const BALSEIRO: &str = "proved by Li, Sun and Ye (2020) and Balseiro, Lu and Mirrokni (2023, \
     theorem 1): descent with steps of N^-1/2 has regret O(sqrt N) under independent draws; \
     the power itself is measured";
const LI_YE: &str = "proved by Li and Ye (2022): re-solving on what is left has regret O(log N \
     log log N) under independent, non-degenerate draws; the power itself is measured";

/// The powers of `1 - ratio` in `N`.
pub fn slopes(rows: &[Row]) -> Vec<Check> {
    let bars = [
        ("one-shot", DEVANUR_HAYES, Bar::Within(-0.5, -0.25)),
        ("descent", BALSEIRO, Bar::Within(-0.65, -0.4)),
        ("resolve", LI_YE, Bar::AtMost(-0.7)),
    ];
    let check = |(policy, source, bar)| {
        let got = slope_of(rows, "n", policy).map(|slope| slope.power);
        Check::against(format!("power of 1 - ratio in N, {policy}"), source, got, bar, 3)
    };
    bars.map(check).into()
}

/// The ratios at the largest size.
pub fn levels(rows: &[Row], n: usize) -> Vec<Check> {
    let source = "measured here: generator A, M = 5";
    let bars = [("one-shot", 0.93), ("descent", 0.985), ("resolve", 0.998)];
    let check = |(policy, bar): (&str, f64)| {
        let row = find(rows, "n", &format!("N={n}"), policy);
        let got = row.and_then(|row| row.truth).map(|ratio| ratio.mean);
        Check::against(format!("ratio at N = {n}, {policy}"), source, got, Bar::AtLeast(bar), 4)
    };
    bars.map(check).into()
}

/// Re-solving is not behind one-shot prices by more than half a per cent, at any size and
/// under random order on generator B, as far as those were measured.
pub fn ordering(rows: &[Row]) -> Vec<Check> {
    let source = "the order of the proved rates (N^-1 log N, N^-1/3); dominance on an instance \
         is measured";
    let behind = |part: &str| {
        let ours = rows.iter().filter(|row| row.part == part && row.policy == "resolve");
        let differences: Vec<f64> = ours
            .filter(|row| part != "attacks" || row.case == "random")
            .filter_map(|row| {
                let other = find(rows, part, &row.case, "one-shot")?;
                Some(row.truth?.mean - other.truth?.mean)
            })
            .collect();
        (!differences.is_empty())
            .then(|| 100.0 * differences.into_iter().fold(f64::INFINITY, f64::min))
    };
    let check = |(part, name): (&str, &str)| {
        let name = format!("points by which resolve is ahead of one-shot, at least, {name}");
        Check::against(name, source, behind(part), Bar::AtLeast(-0.5), 3)
    };
    let parts = [("n", "A"), ("attacks", "B in random order")].into_iter();
    parts.filter(|(part, _)| rows.iter().any(|row| row.part == *part)).map(check).collect()
}

/// One-shot prices against the share learned from: a valley, whose right side is the share
/// itself, and whose floor moves left as `k` grows.
pub fn shares(rows: &[Row]) -> Vec<Check> {
    let source = "Agrawal, Wang and Ye (2014): the loss is at most eps for what is spent on \
         learning, plus sqrt(M log N / (eps k)) for what is not learned; the sum is least at \
         eps in proportion to (M log N / k)^(1/3). The constant is measured";
    let mut checks = Vec::new();
    let mut least = Vec::new();
    for part in ["eps, small", "eps"] {
        let points: Vec<(f64, f64)> = rows
            .iter()
            .filter(|row| row.part == part)
            .filter_map(|row| Some((row.x, 1.0 - row.truth?.mean)))
            .collect();
        let Some(&(at, floor)) = points.iter().min_by(|a, b| a.1.total_cmp(&b.1)) else {
            checks.push(Check::against(part, source, None, Bar::AtLeast(1.0), 2));
            continue;
        };
        least.push(at);
        for (side, end) in [("left", points.first()), ("right", points.last())] {
            let rise = end.map(|end| end.1 / floor);
            let name = format!("{part}: how far the {side} end is above the floor at {at}");
            checks.push(Check::against(name, source, rise, Bar::AtLeast(1.2), 2));
        }
        let right = points.iter().filter(|point| point.0 >= 0.15);
        let per_share: Vec<f64> = right.map(|(eps, loss)| loss / eps).collect();
        for (name, bar) in [("at the most", Bar::AtMost(1.5)), ("at the least", Bar::AtLeast(0.5))]
        {
            let ends = (!per_share.is_empty()).then(|| {
                let (least, most) = per_share
                    .iter()
                    .fold((f64::INFINITY, 0.0_f64), |(a, b), x| (a.min(*x), b.max(*x)));
                if name == "at the most" { most } else { least }
            });
            let name = format!("{part}: loss a unit of share from 0.15 on, {name}");
            checks.push(Check::against(name, source, ends, bar, 2));
        }
    }
    if let [small, large] = least[..] {
        let name = "the best share at a sixteenth of the arrivals, over that at all (2.5 by the \
             theory, powers of two measured)";
        checks.push(Check::against(name, source, Some(small / large), Bar::Within(1.0, 5.0), 2));
    }
    checks
}

/// What wrong estimates cost: in proportion to their error, whatever the size.
pub fn noise(rows: &[Row]) -> Vec<Check> {
    let source = "Wu and Silwal (2025), PORT: a ratio of 1 - O(eps) - O(delta); that it is a \
         bound is elementary (each of two assignments is misvalued by at most delta a query), \
         the power is measured";
    let mut checks = Vec::new();
    for policy in ["one-shot", "descent", "resolve", "tollgate"] {
        let added = |part: &str| -> Vec<(f64, f64)> {
            let ours: Vec<&Row> =
                rows.iter().filter(|row| row.part == part && row.policy == policy).collect();
            let ratio = |row: &Row| row.truth.map(|ratio| ratio.mean);
            let exact = ours.iter().find(|row| row.x == 0.0).and_then(|row| ratio(row));
            let noisy = ours.iter().filter(|row| row.x > 0.0);
            noisy.filter_map(|row| Some((row.x, exact? - ratio(row)?))).collect()
        };
        let (small, large) = (added("noise, small"), added("noise"));
        let last: Option<(f64, f64)> = small.last().zip(large.last()).map(|(a, b)| (a.1, b.1));
        let apart = last.map(|(small, large)| (small - large).abs() / large);
        let name = format!(
            "what the largest noise costs, at a quarter of the arrivals and at \
             all, {policy}: how far apart"
        );
        checks.push(Check::against(name, source, apart, Bar::AtMost(0.25), 3));
        let steepest = large.iter().map(|(delta, loss)| loss / delta).fold(f64::NAN, f64::max);
        let steepest = (!large.is_empty()).then_some(steepest);
        let name = format!("loss a unit of noise, at the most, {policy}");
        checks.push(Check::against(name, source, steepest, Bar::AtMost(2.0), 3));
        let tail: Vec<(f64, f64)> = large.iter().copied().filter(|p| p.0 >= 0.05).collect();
        let slope = power(&tail).ok().map(|slope| slope.power);
        let name = format!("power of the loss in the noise, from 0.05 on, {policy}");
        checks.push(Check::against(name, source, slope, Bar::Within(0.7, 1.4), 2));
    }
    checks
}

/// The unit of value changes nothing, unless prices are kept in a box.
pub fn alpha(port: &Invariance, reference: &Invariance) -> Vec<Check> {
    let source = "the dual without a box is homogeneous: elementary";
    let name = "share of arrivals that another alpha decides otherwise";
    vec![
        Check::against(format!("{name}, port"), source, Some(port.differs), Bar::AtMost(0.0), 4),
        Check::against(
            format!("{name}, port-reference, whose prices are in a box"),
            "the published code, whose box makes a knob of a unit: must not pass",
            Some(reference.differs),
            Bar::AtLeast(0.05),
            4,
        ),
    ]
}
