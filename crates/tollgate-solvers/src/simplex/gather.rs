//! The pass that finds the options that may be best somewhere in a box of prices.
#![expect(clippy::inline_always, reason = "a pass is compiled anew for each instruction set")]

use pulp::{Arch, Simd, WithSimd};

use super::field::{Field, NONE, Sink};
use super::program::Program;
use crate::dual::Layout;
use crate::dual::layout::{LANES, Lanes};
use crate::dual::passes::ROUNDING;

/// What a pass is told.
#[derive(Debug)]
pub(super) struct Request<'r> {
    /// The middle of the box.
    pub(super) middle: &'r [f64],
    /// Half of its width, by row; `None` where every option counts.
    pub(super) radius: Option<&'r [f64]>,
    /// Ordinals of queries of which every option counts, ascending.
    pub(super) kept: &'r [u32],
    /// Values are lowered by up to this, a unit of weight.
    pub(super) noise: f64,
}

/// Fills a field with the queries that are undecided in the box, and `keys` with the
/// option of every other query.
pub(super) fn gather(
    layout: &Layout,
    program: &Program,
    request: &Request<'_>,
    keys: &mut [u32],
) -> Field {
    let (coefficients, reach) = coefficients(program, request);
    let sink = Sink::new(program, layout, request.noise, keys);
    let pass = Gather { layout, request, coefficients: &coefficients, reach: &reach };
    let arch = Arch::new();
    match layout.n_tables() {
        1 => arch.dispatch(Typed::<1, 2> { pass, sink }),
        2 => arch.dispatch(Typed::<2, 3> { pass, sink }),
        3 => arch.dispatch(Typed::<3, 4> { pass, sink }),
        _ => arch.dispatch(Typed::<4, 5> { pass, sink }),
    }
}

/// The coefficients in the middle of the box, and how far those elsewhere in it may be from
/// them; with the noise, and a little for what rounding may do.
fn coefficients(program: &Program, request: &Request<'_>) -> (Vec<f64>, Vec<f64>) {
    let coefficients = program.coefficients(request.middle);
    let zeros = vec![0.0; program.n_rows()];
    let mut reach = program.reach(request.radius.unwrap_or(&zeros));
    let n_slots = program.objective.len();
    for (at, (reach, coefficient)) in reach.iter_mut().zip(&coefficients).enumerate() {
        let constant = (at + 1).is_multiple_of(n_slots);
        *reach += ROUNDING * coefficient.abs() + if constant { request.noise } else { 0.0 };
    }
    (coefficients, reach)
}

#[derive(Clone, Copy, Debug)]
struct Gather<'g> {
    layout: &'g Layout,
    request: &'g Request<'g>,
    coefficients: &'g [f64],
    reach: &'g [f64],
}

/// A pass with its numbers known to the compiler.
struct Typed<'g, 'k, const T: usize, const S: usize> {
    pass: Gather<'g>,
    sink: Sink<'k>,
}

impl<const T: usize, const S: usize> WithSimd for Typed<'_, '_, T, S> {
    type Output = Field;

    #[inline(always)]
    fn with_simd<I: Simd>(self, simd: I) -> Field {
        let mut sink = self.sink;
        self.pass.run::<I, T, S>(simd, &mut sink);
        sink.finish::<T, S>()
    }
}

/// Options ride in the lanes as floats, so that one mask serves scores and options; this
/// large, the low bits are the option.
const RIDER: f64 = 4_503_599_627_370_496.0;

/// What the scores of the options of eight queries come to in a box.
#[derive(Debug)]
struct Bounds {
    /// The best of the worst scores, and whose it is.
    floor: Lanes,
    arg: Lanes,
    /// How many options may reach that; none of a query without weight.
    rivals: Lanes,
    /// The best score of each model.
    ceilings: Vec<Lanes>,
}

impl Bounds {
    #[inline(always)]
    fn of<I: Simd, const T: usize, const S: usize>(
        &mut self,
        simd: I,
        (declining, weights): (f64, &Lanes),
        readings: &[[Lanes; T]],
        coefficients: &[[f64; S]],
        reach: &[[f64; S]],
    ) {
        let (zero, one) = (simd.splat_f64s(0.0), simd.splat_f64s(1.0));
        let declined = RIDER + self.ceilings.len() as f64;
        let declining = simd.splat_f64s(declining);
        for part in 0..LANES / I::F64_LANES {
            let of = |lanes: &Lanes| I::as_simd_f64s(lanes).0[part];
            let (mut floor, mut arg) = (declining, simd.splat_f64s(declined));
            let mut at = RIDER;
            let options = readings.iter().zip(coefficients).zip(reach);
            for (ceiling, ((readings, coefficients), reach)) in
                self.ceilings.iter_mut().zip(options)
            {
                let mut score = simd.splat_f64s(coefficients[T]);
                let mut slack = simd.splat_f64s(reach[T]);
                for slot in 0..T {
                    let reading = of(&readings[slot]);
                    let part = simd.mul_f64s(simd.splat_f64s(coefficients[slot]), reading);
                    score = simd.add_f64s(score, part);
                    let part = simd.mul_f64s(simd.splat_f64s(reach[slot]), simd.abs_f64s(reading));
                    slack = simd.add_f64s(slack, part);
                }
                let worst = simd.sub_f64s(score, slack);
                let better = simd.greater_than_f64s(worst, floor);
                floor = simd.select_f64s(better, worst, floor);
                arg = simd.select_f64s(better, simd.splat_f64s(at), arg);
                I::as_mut_simd_f64s(ceiling).0[part] = simd.add_f64s(score, slack);
                at += 1.0;
            }
            let reaches =
                |score| simd.select_f64s(simd.greater_than_or_equal_f64s(score, floor), one, zero);
            let mut rivals = reaches(declining);
            for ceiling in &self.ceilings {
                rivals = simd.add_f64s(rivals, reaches(of(ceiling)));
            }
            // A query of no weight moves nothing.
            let weightless = simd.equal_f64s(of(weights), zero);
            let rivals = simd.select_f64s(weightless, zero, rivals);
            I::as_mut_simd_f64s(&mut self.floor).0[part] = floor;
            I::as_mut_simd_f64s(&mut self.arg).0[part] = arg;
            I::as_mut_simd_f64s(&mut self.rivals).0[part] = rivals;
        }
    }
}

impl Gather<'_> {
    #[inline(always)]
    fn run<I: Simd, const T: usize, const S: usize>(self, simd: I, sink: &mut Sink<'_>) {
        let Self { layout, request, .. } = self;
        let all = request.radius.is_none();
        let mut kept = request.kept;
        let mut ordinal = 0;
        let declining = layout.floor();
        let zeros = [0.0; LANES];
        let ceilings = vec![zeros; layout.n_models()];
        let mut bounds = Bounds { floor: zeros, arg: zeros, rivals: zeros, ceilings };
        for (block, &group) in layout.groups.iter().enumerate() {
            let slots = group as usize * layout.group_len()..;
            let slots = slots.start..slots.start + layout.group_len();
            let coefficients = self.coefficients[slots.clone()].as_chunks::<S>().0;
            let reach = self.reach[slots].as_chunks::<S>().0;
            let readings = &layout.readings[block * layout.block_len()..][..layout.block_len()];
            let readings = readings.as_chunks::<T>().0;
            let weights = &layout.weights[block];
            bounds.of(simd, (declining, weights), readings, coefficients, reach);
            let Bounds { floor, arg, rivals, ceilings } = &bounds;
            let used = layout.used(block);
            let mut forced = if all { u32::MAX } else { 0 };
            while let Some((&next, rest)) = kept.split_first()
                && (next as usize) < ordinal + used
            {
                forced |= 1 << (next as usize - ordinal);
                kept = rest;
            }
            let mut undecided = forced;
            for (lane, rivals) in rivals.iter().enumerate() {
                undecided |= u32::from(*rivals > 1.5) << lane;
            }
            undecided &= (1 << used) - 1;
            if undecided != 0 {
                sink.make_room::<T>();
            }
            #[expect(clippy::cast_possible_truncation, reason = "the low bits are the option")]
            let chosen = arg.map(|arg| arg.to_bits() as u32);
            sink.decided::<T, S>((ordinal, used), group, &chosen, undecided, weights, readings);
            while undecided != 0 {
                let lane = undecided.trailing_zeros() as usize;
                undecided &= undecided - 1;
                let forced = forced >> lane & 1 == 1;
                let floor = floor[lane];
                let models = ceilings.iter().map(|ceiling| forced || ceiling[lane] >= floor);
                let declines = declining == 0.0 && (forced || floor <= 0.0);
                sink.undecided((ordinal, block, lane), models.chain([declines]), readings);
            }
            ordinal += used;
        }
        debug_assert!(kept.is_empty(), "every kept query has an ordinal");
        debug_assert!(NONE as usize >= layout.n_models(), "no model has that number");
    }
}

#[cfg(test)]
mod tests {
    use tollgate_core::Seed;
    use tollgate_testkit::instances::{routing, split_budgets};

    use super::*;
    use crate::dual::{Phase, scale};

    /// The pass as compiled for this machine and one number after the other, bit for bit,
    /// with a last block that is padded and queries that are kept.
    #[test]
    fn all_instruction_sets_agree() {
        let problem = routing(333, 5, Seed(29));
        let problem = problem.with_rows(split_budgets(&problem, 1.0)).unwrap();
        let layout = Layout::new(&problem);
        let (rows, unit) = scale(&problem, &layout);
        let program = Program::new(&problem, &layout, &rows, unit, Phase::Objective);
        let (middle, radius) = ([1.0; 5], [0.2; 5]);
        let request =
            Request { middle: &middle, radius: Some(&radius), kept: &[7, 332], noise: 0.0 };
        let mut keys = [vec![NONE; 333], vec![NONE; 333]];
        let here = gather(&layout, &program, &request, &mut keys[0]);
        let (coefficients, reach) = coefficients(&program, &request);
        let pass = Gather {
            layout: &layout,
            request: &request,
            coefficients: &coefficients,
            reach: &reach,
        };
        let sink = Sink::new(&program, &layout, 0.0, &mut keys[1]);
        let least = Typed::<2, 3> { pass, sink }.with_simd(pulp::Scalar::new());
        assert_eq!(format!("{here:?}"), format!("{least:?}"));
        assert_eq!(keys[0], keys[1]);
        let open = keys[0].iter().filter(|key| **key == NONE).count();
        assert!((20..300).contains(&open), "{open} undecided");
    }
}
