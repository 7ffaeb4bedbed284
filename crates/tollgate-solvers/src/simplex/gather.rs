//! The pass that finds the options that may be best somewhere in a box of prices.
#![expect(clippy::inline_always, reason = "a pass is compiled anew for each instruction set")]

use pulp::{Arch, Simd, WithSimd};

use super::field::{Field, NONE, Sink};
use super::program::Program;
use crate::dual::Layout;
use crate::dual::layout::{LANES, Lanes};
use crate::dual::passes::interval;

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
    let coefficients = program.coefficients(request.middle);
    let zeros = vec![0.0; program.n_rows()];
    let reach = program.reach(request.radius.unwrap_or(&zeros));
    let sink = Sink::new(program, layout, request.noise, keys);
    let pass = Gather { layout, request, coefficients: &coefficients, reach: &reach };
    let arch = Arch::new();
    match layout.n_tables() {
        1 => arch.dispatch(Typed::<1, 2> { pass, sink }),
        2 => arch.dispatch(Typed::<2, 3> { pass, sink }),
        _ => arch.dispatch(Typed::<3, 4> { pass, sink }),
    }
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
    fn with_simd<I: Simd>(self, _: I) -> Field {
        let mut sink = self.sink;
        self.pass.run::<T, S>(&mut sink);
        sink.finish::<T, S>()
    }
}

/// Options ride in the lanes as floats, so that one mask serves scores and options; this
/// large, the low bits are the option.
const RIDER: f64 = 4_503_599_627_370_496.0;

impl Gather<'_> {
    #[inline(always)]
    fn run<const T: usize, const S: usize>(self, sink: &mut Sink<'_>) {
        let Self { layout, request, .. } = self;
        let noise = request.noise;
        let all = request.radius.is_none();
        let mut kept = request.kept;
        let mut ordinal = 0;
        let declining = layout.floor();
        let mut ceilings: Vec<Lanes> = vec![[0.0; LANES]; layout.n_models()];
        for (block, &group) in layout.groups.iter().enumerate() {
            let slots = group as usize * layout.group_len()..;
            let slots = slots.start..slots.start + layout.group_len();
            let coefficients = self.coefficients[slots.clone()].as_chunks::<S>().0;
            let reach = self.reach[slots].as_chunks::<S>().0;
            let readings = &layout.readings[block * layout.block_len()..][..layout.block_len()];
            let readings = readings.as_chunks::<T>().0;
            // The best of the worst scores, and whose it is.
            let mut floor = [declining; LANES];
            let mut arg = [RIDER + layout.n_models() as f64; LANES];
            let mut at = RIDER;
            let options = readings.iter().zip(coefficients).zip(reach);
            for (ceiling, ((readings, coefficients), reach)) in ceilings.iter_mut().zip(options) {
                let (score, slack) = interval(readings, coefficients, reach, noise);
                for lane in 0..LANES {
                    let worst = score[lane] - slack[lane];
                    let better = worst > floor[lane];
                    floor[lane] = if better { worst } else { floor[lane] };
                    arg[lane] = if better { at } else { arg[lane] };
                    ceiling[lane] = score[lane] + slack[lane];
                }
                at += 1.0;
            }
            let mut rivals = floor.map(|floor| if declining >= floor { 1.0 } else { 0.0 });
            for ceiling in &ceilings {
                for lane in 0..LANES {
                    rivals[lane] += if ceiling[lane] >= floor[lane] { 1.0 } else { 0.0 };
                }
            }
            let weights = &layout.weights[block];
            let used = layout.used(block);
            let mut forced = if all { u32::MAX } else { 0 };
            while let Some((&next, rest)) = kept.split_first()
                && (next as usize) < ordinal + used
            {
                forced |= 1 << (next as usize - ordinal);
                kept = rest;
            }
            // A query of no weight moves nothing.
            let mut undecided = forced;
            for lane in 0..LANES {
                let open = u32::from(rivals[lane] > 1.5) & u32::from(weights[lane] != 0.0);
                undecided |= open << lane;
            }
            undecided &= (1 << used) - 1;
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
                sink.undecided(ordinal + lane, (block, lane), models.chain([declines]), readings);
            }
            ordinal += used;
        }
        debug_assert!(kept.is_empty(), "every kept query has an ordinal");
        debug_assert!(NONE as usize >= layout.n_models(), "no model has that number");
    }
}
