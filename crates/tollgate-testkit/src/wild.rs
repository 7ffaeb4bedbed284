//! Problems out of arbitrary bytes, with numbers that nobody would send on purpose.

use std::sync::Arc;

use tollgate_core::{
    Choice, Meter, ModelMask, Problem, ProblemError, Purpose, Row, Scope, Seed, Sense, Solution,
    SolveOptions, Solver, WarmState,
};

use crate::solver_conformance::keeps_its_word;

/// Numbers at the ends and in the middle; a byte picks one.
const NUMBERS: [f64; 32] = [
    0.0,
    1.0,
    0.5,
    0.2,
    0.4,
    2.0,
    3.0,
    10.0,
    1e-4,
    1e4,
    1e-9,
    1e9,
    -1.0,
    -0.5,
    1e-30,
    1e30,
    1e-300,
    1e300,
    5e-324,
    f64::MAX,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    -0.0,
    1e-16,
    1e16,
    0.1,
    0.3,
    0.7,
    100.0,
    -1e300,
    1e150,
];

/// Bytes, read one after the other; zeros when they run out.
struct Bytes<'b>(std::slice::Iter<'b, u8>);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    fn below(&mut self, end: u8) -> usize {
        usize::from(self.next() % end)
    }

    /// Mostly one of the first twelve, which are harmless; `wild` says how often not.
    fn number(&mut self, wild: bool) -> f64 {
        let byte = self.next();
        if wild && byte >= 224 {
            NUMBERS[usize::from(byte - 224)]
        } else {
            NUMBERS[usize::from(byte % 12)]
        }
    }

    fn numbers(&mut self, count: usize, wild: bool) -> Arc<[f64]> {
        (0..count).map(|_| self.number(wild)).collect()
    }
}

/// A problem of up to 12 queries, 5 models and 12 rows, if its numbers are accepted.
///
/// # Errors
/// [`ProblemError`], as the builder's.
pub fn problem(bytes: &[u8]) -> Result<Problem, ProblemError> {
    let mut bytes = Bytes(bytes.iter());
    let flags = bytes.next();
    let wild = flags & 1 == 1;
    let choice = if flags & 2 == 2 { Choice::ExactlyOne } else { Choice::AtMostOne };
    let (n_queries, n_models) = (bytes.below(13), 1 + bytes.below(5));
    let mut builder = Problem::builder(n_queries, n_models, choice);
    // Latency comes last, so that what is known by its bytes stays what it was.
    for meter in &Meter::TABLED[..3] {
        builder = builder.table(*meter, bytes.numbers(n_queries * n_models, wild));
    }
    for meter in &Meter::ALL[..4] {
        let weight = if bytes.next().is_multiple_of(2) { 0.0 } else { bytes.number(wild) };
        builder = builder.objective(*meter, weight);
    }
    if flags & 4 == 4 {
        builder = builder.weights(bytes.numbers(n_queries, wild));
    }
    if flags & 8 == 8 {
        builder = builder.groups((0..n_queries).map(|_| u32::from(bytes.next() % 4)).collect());
    }
    let n_rows = bytes.below(13);
    let mut rows: Vec<Row> = (0..n_rows).map(|_| row(&mut bytes, n_models, wild)).collect();
    if bytes.next() % 4 == 1 {
        builder = builder
            .table(Meter::Latency, bytes.numbers(n_queries * n_models, wild))
            .objective(Meter::Latency, bytes.number(wild));
        rows.iter_mut().skip(1).step_by(3).for_each(|row| row.meter = Meter::Latency);
    }
    builder.rows(rows).build()
}

/// Problem number `round` of those that a seed gives, if its numbers are accepted.
///
/// # Errors
/// [`ProblemError`], as [`problem`].
pub fn drawn(seed: Seed, round: u64) -> Result<Problem, ProblemError> {
    let mut rng = seed.stream(Purpose::Synthesis, round);
    let bytes: Vec<u8> = (0..400).map(|_| u8::try_from(rng.below(256)).unwrap_or(0)).collect();
    problem(&bytes)
}

fn row(bytes: &mut Bytes<'_>, n_models: usize, wild: bool) -> Row {
    let models = match bytes.next() % 3 {
        0 => ModelMask::All,
        1 => ModelMask::One(bytes.below(5) % n_models),
        _ => ModelMask::Some((0..n_models).map(|_| bytes.next().is_multiple_of(2)).collect()),
    };
    let group = (bytes.next().is_multiple_of(3)).then(|| u32::from(bytes.next() % 5));
    Row {
        meter: Meter::ALL[bytes.below(4)],
        scope: Scope { models, group },
        sense: if bytes.next().is_multiple_of(4) { Sense::AtLeast } else { Sense::AtMost },
        capacity: bytes.number(wild),
        penalty: (bytes.next().is_multiple_of(4)).then(|| bytes.number(wild)),
    }
}

/// Whether the numbers of a problem are of this world.
fn is_tame(problem: &Problem) -> bool {
    let tame = |value: f64| value == 0.0 || (1e-4..=1e4).contains(&value.abs());
    let readings = Meter::TABLED.into_iter().filter_map(|meter| problem.table(meter));
    readings.flat_map(|table| table.iter()).all(|value| tame(*value))
        && Meter::ALL.iter().all(|meter| tame(problem.objective(*meter)))
        && (0..problem.n_queries()).all(|query| tame(problem.weight(query)))
        && problem.rows().iter().all(|row| tame(row.capacity) && tame(row.penalty.unwrap_or(0.0)))
}

/// Solves a problem that may be anything, and once more from what that left. The solver
/// must come back, with an error or with a solution whose prices are in range and, where
/// the numbers are of this world, whose claims hold.
///
/// # Panics
/// When it does not.
pub fn survives(solver: &dyn Solver, problem: &Problem) {
    let cold = survives_from(solver, problem, None);
    if let Some(left) = cold.and_then(|solution| solution.warm) {
        survives_from(solver, problem, Some(&left));
    }
}

/// The same from a given state; what is found, where there is no error.
///
/// # Panics
/// When it does not.
pub fn survives_from(
    solver: &dyn Solver,
    problem: &Problem,
    warm: Option<&WarmState>,
) -> Option<Solution> {
    let options = SolveOptions { max_iterations: 300, ..SolveOptions::default() };
    let solution = solver.solve(problem, &options, warm).ok()?;
    let name = solver.name();
    assert_eq!(solution.prices.len(), problem.rows().len(), "{name}: one price a row");
    for (row, price) in problem.rows().iter().zip(&solution.prices) {
        let most = row.penalty.unwrap_or(f64::MAX);
        assert!(*price >= 0.0 && *price <= most, "{name}: price {price} of {row:?}");
    }
    assert!(!solution.dual_bound.is_nan(), "{name}: a bound that is no number");
    if is_tame(problem) {
        keeps_its_word(problem, &solution);
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All kinds of problems come out: accepted and refused, tame and not.
    #[test]
    fn bytes_make_problems_of_every_kind() {
        let mut kinds = [0; 3];
        let mut state = 1_u64;
        for _ in 0..3_000 {
            let bytes: Vec<u8> = (0..200)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            match problem(&bytes) {
                Err(_) => kinds[0] += 1,
                Ok(problem) if is_tame(&problem) => kinds[1] += 1,
                Ok(_) => kinds[2] += 1,
            }
        }
        assert!(kinds.iter().all(|kind| *kind > 50), "{kinds:?}");
    }
}
