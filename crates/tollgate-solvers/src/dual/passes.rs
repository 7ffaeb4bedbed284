//! Passes over a [`Layout`]: every query to the option with its best score.
//!
//! Coefficients and totals have the shape `(n_groups, n_models + 1, n_slots)`: a slot
//! a meter with a table and, last, one for the constant meter; the last model is
//! "declined" and uses nothing. Eight queries go abreast, and each pass is compiled
//! for several instruction sets; none of them fuses or reorders a sum, so all of them
//! give the same bits.
#![expect(clippy::inline_always, reason = "a pass is compiled anew for each instruction set")]

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::layout::{LANES, Lanes, Layout, PADDING, at};

/// What rounding may do to a score, relative to its parts.
pub(crate) const ROUNDING: f64 = 1e-14;

/// Adds what all best options use to `totals`, and returns the weighted sum of their
/// scores.
pub(crate) fn best_totals(layout: &Layout, coefficients: &[f64], totals: &mut [f64]) -> f64 {
    dispatch(layout, BestTotals { coefficients, totals })
}

/// Writes the best option of every query of the layout; option `n_models` is declining.
pub(crate) fn choices(layout: &Layout, coefficients: &[f64], options: &mut [u32]) {
    dispatch(layout, Choices { coefficients, options });
}

/// The queries `(block, lane)` whose best option is not the same for all coefficients
/// within `radius` of `coefficients`. Adds what the other queries use to `totals`.
pub(crate) fn undecided(
    layout: &Layout,
    coefficients: &[f64],
    radius: &[f64],
    totals: &mut [f64],
) -> Vec<(u32, u8)> {
    dispatch(layout, Undecided { coefficients, radius, totals })
}

/// A pass, generic over the number of tables `T` and of slots `S = T + 1`.
trait Pass {
    type Output;
    fn run<const T: usize, const S: usize>(self, layout: &Layout) -> Self::Output;
}

/// A pass with its numbers known to the compiler.
struct Sized<'l, P, const T: usize, const S: usize> {
    layout: &'l Layout,
    pass: P,
}

impl<P: Pass, const T: usize, const S: usize> WithSimd for Sized<'_, P, T, S> {
    type Output = P::Output;

    #[inline(always)]
    fn with_simd<I: Simd>(self, _: I) -> P::Output {
        self.pass.run::<T, S>(self.layout)
    }
}

/// Runs a pass with the widest registers that there are.
fn dispatch<P: Pass>(layout: &Layout, pass: P) -> P::Output {
    let arch = Arch::new();
    match layout.n_tables() {
        1 => arch.dispatch(Sized::<P, 1, 2> { layout, pass }),
        2 => arch.dispatch(Sized::<P, 2, 3> { layout, pass }),
        3 => arch.dispatch(Sized::<P, 3, 4> { layout, pass }),
        _ => arch.dispatch(Sized::<P, 4, 5> { layout, pass }),
    }
}

struct BestTotals<'p> {
    coefficients: &'p [f64],
    totals: &'p mut [f64],
}

impl Pass for BestTotals<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<const T: usize, const S: usize>(self, layout: &Layout) -> f64 {
        let mut gains = [0.0; LANES];
        for (block, weights) in layout.weights.iter().enumerate() {
            let (readings, group) = parts::<T>(layout, block);
            let coefficients = self.coefficients[group.clone()].as_chunks::<S>().0;
            let (best, arg) = best_of_block(layout, readings, coefficients);
            let totals = self.totals[group].as_chunks_mut::<S>().0;
            for lane in 0..LANES {
                gains[lane] += weights[lane] * best[lane];
            }
            for lane in 0..LANES {
                let option = index(arg[lane]);
                add(&readings[option], lane, weights[lane], &mut totals[option]);
            }
        }
        gains.iter().sum()
    }
}

struct Choices<'p> {
    coefficients: &'p [f64],
    options: &'p mut [u32],
}

impl Pass for Choices<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const T: usize, const S: usize>(self, layout: &Layout) {
        for (block, queries) in layout.queries.iter().enumerate() {
            let (readings, group) = parts::<T>(layout, block);
            let coefficients = self.coefficients[group].as_chunks::<S>().0;
            let (_, arg) = best_of_block(layout, readings, coefficients);
            for (&query, arg) in queries.iter().zip(arg) {
                if query != PADDING {
                    #[expect(clippy::cast_possible_truncation, reason = "models are u32")]
                    let option = index(arg) as u32;
                    self.options[query as usize] = option;
                }
            }
        }
    }
}

struct Undecided<'p> {
    coefficients: &'p [f64],
    radius: &'p [f64],
    totals: &'p mut [f64],
}

impl Pass for Undecided<'_> {
    type Output = Vec<(u32, u8)>;

    #[inline(always)]
    fn run<const T: usize, const S: usize>(self, layout: &Layout) -> Vec<(u32, u8)> {
        let mut undecided = Vec::new();
        for (block, queries) in layout.queries.iter().enumerate() {
            let (readings, group) = parts::<T>(layout, block);
            let coefficients = self.coefficients[group.clone()].as_chunks::<S>().0;
            let radius = self.radius[group.clone()].as_chunks::<S>().0;
            let totals = self.totals[group].as_chunks_mut::<S>().0;
            // The option whose worst score is best, and how many can reach that.
            let (mut floor, mut arg) = unserved(layout);
            let models = || coefficients.iter().zip(radius).zip(readings).take(layout.n_models());
            for (model, ((coefficients, radius), readings)) in models().enumerate() {
                let (score, slack) = interval(readings, coefficients, radius);
                let worst = std::array::from_fn(|lane| score[lane] - slack[lane]);
                improve(&mut floor, &mut arg, &worst, model as f64);
            }
            let mut rivals = floor.map(|floor| if layout.floor() >= floor { 1.0 } else { 0.0 });
            for ((coefficients, radius), readings) in models() {
                let (score, slack) = interval(readings, coefficients, radius);
                for lane in 0..LANES {
                    let reaches = score[lane] + slack[lane] >= floor[lane];
                    rivals[lane] += if reaches { 1.0 } else { 0.0 };
                }
            }
            for lane in 0..LANES {
                if queries[lane] == PADDING {
                    break;
                }
                if rivals[lane] > 1.5 {
                    undecided.push(at(block, lane));
                } else {
                    let option = index(arg[lane]);
                    let weight = layout.weights[block][lane];
                    add(&readings[option], lane, weight, &mut totals[option]);
                }
            }
        }
        undecided
    }
}

/// The readings of a block by option, and where the coefficients of its group are.
#[inline(always)]
fn parts<const T: usize>(layout: &Layout, block: usize) -> (&[[Lanes; T]], Range<usize>) {
    let start = layout.groups[block] as usize * layout.group_len();
    let readings = &layout.readings[block * layout.block_len()..][..layout.block_len()];
    (readings.as_chunks::<T>().0, start..start + layout.group_len())
}

/// The score and the number of "declined". Option numbers ride in the lanes as floats,
/// so that one mask serves both.
#[inline(always)]
fn unserved(layout: &Layout) -> (Lanes, Lanes) {
    ([layout.floor(); LANES], [layout.n_models() as f64; LANES])
}

/// The best score of each lane, and the option that has it; ties to declining, then
/// to the lower model.
#[inline(always)]
fn best_of_block<const T: usize, const S: usize>(
    layout: &Layout,
    readings: &[[Lanes; T]],
    coefficients: &[[f64; S]],
) -> (Lanes, Lanes) {
    let (mut best, mut arg) = unserved(layout);
    let mut model = 0.0;
    for (coefficients, readings) in coefficients.iter().zip(readings).take(layout.n_models()) {
        improve(&mut best, &mut arg, &scores(readings, coefficients), model);
        model += 1.0;
    }
    (best, arg)
}

#[inline(always)]
fn improve(best: &mut Lanes, arg: &mut Lanes, score: &Lanes, option: f64) {
    for lane in 0..LANES {
        let better = score[lane] > best[lane];
        best[lane] = if better { score[lane] } else { best[lane] };
        arg[lane] = if better { option } else { arg[lane] };
    }
}

/// Equation (3) of the core for one option, eight queries abreast.
#[inline(always)]
fn scores<const T: usize, const S: usize>(readings: &[Lanes; T], coefficients: &[f64; S]) -> Lanes {
    let mut score = [coefficients[T]; LANES];
    for (readings, coefficient) in readings.iter().zip(coefficients) {
        for (score, reading) in score.iter_mut().zip(readings) {
            *score += coefficient * reading;
        }
    }
    score
}

/// The same, and by how much it can move within the radius of the coefficients, with a
/// little for what rounding may do.
#[inline(always)]
fn interval<const T: usize, const S: usize>(
    readings: &[Lanes; T],
    coefficients: &[f64; S],
    radius: &[f64; S],
) -> (Lanes, Lanes) {
    let score = scores(readings, coefficients);
    let reach = |slot: usize| radius[slot] + ROUNDING * coefficients[slot].abs();
    let mut slack = [reach(T); LANES];
    for (slot, readings) in readings.iter().enumerate() {
        for (slack, reading) in slack.iter_mut().zip(readings) {
            *slack += reach(slot) * reading.abs();
        }
    }
    (score, slack)
}

/// Adds what one query uses with one option.
#[inline(always)]
fn add<const T: usize, const S: usize>(
    readings: &[Lanes; T],
    lane: usize,
    weight: f64,
    totals: &mut [f64; S],
) {
    for (total, readings) in totals.iter_mut().zip(readings) {
        *total += weight * readings[lane];
    }
    totals[T] += weight;
}

#[inline(always)]
fn index(option: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small integer")]
    (option as usize)
}

#[cfg(test)]
mod tests {
    use tollgate_core::{Meter, Seed};
    use tollgate_testkit::instances::routing;

    use super::*;

    /// The pass as compiled for this machine and for the least one, bit for bit.
    #[test]
    fn all_instruction_sets_agree() {
        let problem = routing(333, 5, Seed(29));
        let rows = vec![tollgate_core::Row::at_most(Meter::Cost, tollgate_core::Scope::all(), 1.0)];
        let layout = Layout::new(&problem.with_rows(rows).unwrap());
        let coefficients: Vec<f64> =
            (0..6).flat_map(|model| [1.0, -300.0 - f64::from(model), 0.01]).collect();
        let run = |pass: &dyn Fn(&mut [f64]) -> f64| {
            let mut totals = vec![0.0; layout.n_totals()];
            let gains = pass(&mut totals);
            assert!(gains > 0.0);
            totals.push(gains);
            totals.iter().map(|total| total.to_bits()).collect::<Vec<_>>()
        };
        let here = run(&|totals| best_totals(&layout, &coefficients, totals));
        let coefficients = &coefficients[..];
        let least = run(&|totals| BestTotals { coefficients, totals }.run::<2, 3>(&layout));
        assert_eq!(here, least);
    }
}
