//! How far capacities may move before the prices do.
//!
//! # Method
//! Prices stay optimal as long as some answer goes with them: rows with a price are used
//! up, rows without one are kept, and every query goes to options with the best score.
//! The split queries of a vertex can follow a capacity by shifting share between their
//! options, which tie at these prices; the shift that moves one row and no other priced
//! row solves a small linear system, and it is good until a share is used up or a row
//! without a price is.
//!
//! # Departures
//! Textbooks read the ranges off the final simplex basis (Dantzig, 1963). Here they are
//! computed from prices and answer alone, whichever solver found them; where the answer
//! has too few splits to follow a row (a degenerate vertex), the range of that row is its
//! capacity alone, although another basis might allow more.

use tollgate_core::{Choice, Primal, Problem, Solution};

/// The capacities of one row, all others as they are, for which the prices stay optimal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CapacityRange {
    /// The least such capacity known, in the unit of the row's meter; may be `-inf`.
    pub low: f64,
    /// The greatest; may be `inf`.
    pub high: f64,
}

/// One option of a split query.
struct Part {
    share: f64,
    /// `s_r m_r w_j`, one entry a row.
    usage: Vec<f64>,
}

/// One range a row, from an optimal solution's prices and answer; `None` without an answer.
///
/// A row without a price may always grow, and shrink to what is used of it.
///
/// # Panics
/// When the solution has another shape than the problem.
pub fn capacity_ranges(problem: &Problem, solution: &Solution) -> Option<Vec<CapacityRange>> {
    let primal = solution.primal.as_ref()?;
    let prices = &solution.prices;
    assert_eq!(prices.len(), problem.rows().len(), "one price a row");
    let used = problem.check(primal).used;
    let splits = splits(problem, primal);
    // Share that moves from the first part of a split query to another one.
    let moves: Vec<(usize, usize)> = splits
        .iter()
        .enumerate()
        .flat_map(|(query, parts)| (1..parts.len()).map(move |part| (query, part)))
        .collect();
    let change = |row: usize| -> Vec<f64> {
        let change = |&(query, part): &(usize, usize)| {
            splits[query][part].usage[row] - splits[query][0].usage[row]
        };
        moves.iter().map(change).collect()
    };
    let priced: Vec<usize> =
        (0..prices.len()).filter(|&row| is_priced(problem, prices, row)).collect();
    let tight: Vec<Vec<f64>> = priced.iter().map(|&row| change(row)).collect();
    let ranges = problem.rows().iter().enumerate().map(|(index, row)| {
        let sign = row.sense.sign();
        let Some(position) = priced.iter().position(|&row| row == index) else {
            return loose(sign, used[index], prices[index] > 0.0);
        };
        let Some(shift) = solve(&tight, position) else {
            return CapacityRange { low: row.capacity, high: row.capacity };
        };
        let (mut least, mut most) = (f64::NEG_INFINITY, f64::INFINITY);
        let mut limit = |level: f64, rate: f64| {
            let reach = level.max(0.0) / rate.abs();
            if rate < -RATE {
                most = most.min(reach);
            } else if rate > RATE {
                least = least.max(-reach);
            }
        };
        for (query, parts) in splits.iter().enumerate() {
            let of_query = || moves.iter().zip(&shift).filter(|((at, _), _)| *at == query);
            limit(parts[0].share, -of_query().map(|(_, rate)| rate).sum::<f64>());
            for ((_, part), rate) in of_query() {
                limit(parts[*part].share, *rate);
            }
        }
        for (other, of) in problem.rows().iter().enumerate() {
            if !priced.contains(&other) {
                let rate: f64 = change(other).iter().zip(&shift).map(|(c, s)| c * s).sum();
                let spare = of.sense.sign() * (of.capacity - used[other]);
                let exceeded = prices[other] > 0.0;
                limit(if exceeded { -spare } else { spare }, if exceeded { rate } else { -rate });
            }
        }
        let (a, b) = (row.capacity + sign * least, row.capacity + sign * most);
        CapacityRange { low: a.min(b), high: a.max(b) }
    });
    Some(ranges.collect())
}

/// A rate below this is rounding.
const RATE: f64 = 1e-12;

/// Whether the row has to be used up exactly: a price, and not that of its penalty.
fn is_priced(problem: &Problem, prices: &[f64], row: usize) -> bool {
    prices[row] > 0.0 && problem.rows()[row].penalty.is_none_or(|penalty| prices[row] < penalty)
}

/// The range of a row that is not used up, or (at its penalty) exceeded.
fn loose(sign: f64, used: f64, exceeded: bool) -> CapacityRange {
    if (sign > 0.0) == exceeded {
        CapacityRange { low: f64::NEG_INFINITY, high: used }
    } else {
        CapacityRange { low: used, high: f64::INFINITY }
    }
}

/// The options of every query that is split, declining among them.
fn splits(problem: &Problem, primal: &Primal) -> Vec<Vec<Part>> {
    let fractional =
        |query: &usize| primal.of(*query).iter().any(|&(_, share)| share > 0.0 && share < 1.0);
    let parts = |query: usize| {
        let (weight, group) = (problem.weight(query), problem.group(query));
        let part = |&(model, share): &(u32, f64)| {
            let usage = problem.rows().iter().map(|row| {
                if !row.scope.covers(group, model as usize) {
                    return 0.0;
                }
                weight * row.sense.sign() * problem.reading(row.meter, query, model as usize)
            });
            Part { share, usage: usage.collect() }
        };
        let mut parts: Vec<Part> = primal.of(query).iter().map(part).collect();
        let declined = 1.0 - parts.iter().map(|part| part.share).sum::<f64>();
        if problem.choice() == Choice::AtMostOne && declined > 0.0 {
            parts.push(Part { share: declined, usage: vec![0.0; problem.rows().len()] });
        }
        parts
    };
    (0..problem.n_queries()).filter(fractional).map(parts).collect()
}

/// A solution of `matrix x = e_position`, by elimination with complete pivoting; `None`
/// where there is none.
fn solve(matrix: &[Vec<f64>], position: usize) -> Option<Vec<f64>> {
    let n_columns = matrix.first().map_or(0, Vec::len);
    // Rows of very different units are brought to one.
    let mut rows: Vec<Vec<f64>> = matrix
        .iter()
        .enumerate()
        .map(|(index, row)| {
            let size = row.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
            let scale = if size > 0.0 { 1.0 / size } else { 1.0 };
            let right = if index == position { 1.0 } else { 0.0 };
            row.iter().chain([&right]).map(|value| value * scale).collect()
        })
        .collect();
    let mut pivots: Vec<usize> = Vec::new();
    for step in 0..rows.len().min(n_columns) {
        let candidates = (step..rows.len()).flat_map(|row| (0..n_columns).map(move |c| (row, c)));
        let (row, column) = candidates
            .max_by(|a, b| rows[a.0][a.1].abs().total_cmp(&rows[b.0][b.1].abs()).then(b.cmp(a)))?;
        if rows[row][column].abs() < SINGULAR {
            break;
        }
        rows.swap(step, row);
        let pivot = rows[step].clone();
        for (index, row) in rows.iter_mut().enumerate() {
            let factor = row[column] / pivot[column];
            if index != step && factor != 0.0 {
                for (value, pivot) in row.iter_mut().zip(&pivot) {
                    *value -= factor * pivot;
                }
            }
        }
        pivots.push(column);
    }
    let size = rows.iter().fold(0.0_f64, |most, row| most.max(row[n_columns].abs()));
    if rows[pivots.len()..].iter().any(|row| row[n_columns].abs() > SINGULAR * size.max(1.0)) {
        return None;
    }
    let mut solution = vec![0.0; n_columns];
    for (row, &column) in rows.iter().zip(&pivots) {
        solution[column] = row[n_columns] / row[column];
    }
    Some(solution)
}

/// A scaled pivot below this is 0.
const SINGULAR: f64 = 1e-10;

#[cfg(test)]
#[path = "ranges/tests.rs"]
mod tests;
