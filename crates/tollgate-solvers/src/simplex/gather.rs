//! The pass that finds the options that may be best somewhere in a box of prices.
#![expect(clippy::inline_always, reason = "a pass is compiled anew for each instruction set")]

use pulp::{Arch, Simd, WithSimd};

use super::field::{Field, NONE, Sink};
use super::program::{Program, index};
use crate::dual::Layout;
use crate::dual::layout::{LANES, Lanes, PADDING};
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
    let mut sink = Sink::new(program, layout, request.noise, keys);
    let pass = Gather { layout, request, coefficients: &coefficients, reach: &reach };
    let arch = Arch::new();
    match layout.n_tables() {
        1 => arch.dispatch(Typed::<1, 2> { pass, sink: &mut sink }),
        2 => arch.dispatch(Typed::<2, 3> { pass, sink: &mut sink }),
        _ => arch.dispatch(Typed::<3, 4> { pass, sink: &mut sink }),
    }
    sink.finish()
}

#[derive(Clone, Copy, Debug)]
struct Gather<'g> {
    layout: &'g Layout,
    request: &'g Request<'g>,
    coefficients: &'g [f64],
    reach: &'g [f64],
}

/// A pass with its numbers known to the compiler.
struct Typed<'g, 's, 'k, const T: usize, const S: usize> {
    pass: Gather<'g>,
    sink: &'s mut Sink<'k>,
}

impl<const T: usize, const S: usize> WithSimd for Typed<'_, '_, '_, T, S> {
    type Output = ();

    #[inline(always)]
    fn with_simd<I: Simd>(self, _: I) {
        self.pass.run::<T, S>(self.sink);
    }
}

impl Gather<'_> {
    #[inline(always)]
    fn run<const T: usize, const S: usize>(self, sink: &mut Sink<'_>) {
        let Self { layout, request, .. } = self;
        let noise = request.noise;
        let all = request.radius.is_none();
        let mut kept = request.kept.iter().copied().peekable();
        let mut ordinal = 0;
        let mut ceilings: Vec<Lanes> = vec![[0.0; LANES]; layout.n_models()];
        for (block, queries) in layout.queries.iter().enumerate() {
            let group = layout.groups[block];
            let slots = group as usize * layout.group_len()..;
            let slots = slots.start..slots.start + layout.group_len();
            let coefficients = self.coefficients[slots.clone()].as_chunks::<S>().0;
            let reach = self.reach[slots].as_chunks::<S>().0;
            let readings = &layout.readings[block * layout.block_len()..][..layout.block_len()];
            let readings = readings.as_chunks::<T>().0;
            // The best of the worst scores, and whose it is.
            let mut floor = [layout.floor(); LANES];
            let mut arg = [layout.n_models() as f64; LANES];
            for (model, ceiling) in ceilings.iter_mut().enumerate() {
                let (score, slack) =
                    interval(&readings[model], &coefficients[model], &reach[model], noise);
                let at = model as f64;
                for lane in 0..LANES {
                    let worst = score[lane] - slack[lane];
                    let better = worst > floor[lane];
                    floor[lane] = if better { worst } else { floor[lane] };
                    arg[lane] = if better { at } else { arg[lane] };
                    ceiling[lane] = score[lane] + slack[lane];
                }
            }
            let declining = layout.floor();
            let mut rivals = floor.map(|floor| if declining >= floor { 1.0 } else { 0.0 });
            for ceiling in &ceilings {
                for lane in 0..LANES {
                    rivals[lane] += if ceiling[lane] >= floor[lane] { 1.0 } else { 0.0 };
                }
            }
            for lane in 0..LANES {
                if queries[lane] == PADDING {
                    break;
                }
                let forced = kept.next_if_eq(&ordinal).is_some() || all;
                let weight = layout.weights[block][lane];
                // A query of no weight moves nothing.
                if !forced && (rivals[lane] < 1.5 || weight == 0.0) {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a model"
                    )]
                    sink.decided::<T>(ordinal, group, arg[lane] as usize, weight, readings, lane);
                } else {
                    sink.query(ordinal, block, lane);
                    for (model, ceiling) in ceilings.iter().enumerate() {
                        if forced || ceiling[lane] >= floor[lane] {
                            sink.option(index(model));
                        }
                    }
                    if declining == 0.0 && (forced || floor[lane] <= 0.0) {
                        sink.option(index(layout.n_models()));
                    }
                }
                ordinal += 1;
            }
        }
        debug_assert!(kept.next().is_none(), "every kept query has an ordinal");
        debug_assert!(NONE as usize >= layout.n_models(), "no model has that number");
    }
}
