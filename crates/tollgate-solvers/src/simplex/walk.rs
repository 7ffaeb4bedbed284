//! From vertex to vertex of the dual function, downhill.

mod basis;
mod range;

use basis::kept;
pub(super) use basis::{Basic, Saved};
use tollgate_core::SolveOptions;

use super::field::{Field, Meeting};
use super::program::Program;
use crate::dense::{Inverse, dot, scale_row};
use crate::dual::{Layout, Sides};

/// A level below this is rounding; so is one that rounding of the rows explains.
const ROUNDING: f64 = 1e-11;
const ROUNDING_OF_ROWS: f64 = 4e-15;
/// A component of a ray below this, relative, is 0.
const FLAT: f64 = 1e-14;
/// A step that lowers the dual function by less than this leaves it where it is.
const PROGRESS: f64 = 1e-15;
/// By how much a box grows where it is in the way, the first time and then, and elsewhere.
const WIDEN: [f64; 2] = [4.0, 6.0];
const WIDEN_OTHERS: f64 = 1.0;
/// The same after a guess, whose middle is now the minimum but for the sides in the way,
/// where looks cost more than another pass: for each row, so many at all candidates.
const WIDEN_A_LITTLE: [f64; 2] = [2.0, 0.7];
const LOOKS_BY_ROW: f64 = 8.0;
/// How often before it is given up.
const WIDENINGS: u32 = 16;
/// How often on one ray before it looks endless.
const ENDLESS: u32 = 3;

/// Where a walk starts.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) prices: Vec<f64>,
    /// Empty where only the prices are known.
    pub(super) basis: Vec<Saved>,
    /// Where the end is expected; `None` where anywhere.
    pub(super) sides: Option<Sides>,
    /// By ordinal; options or [`NONE`](super::field::NONE).
    pub(super) keys: Vec<u32>,
    /// See [`Request::noise`](super::gather::Request).
    pub(super) noise: f64,
    /// A field of the same program and layout, with sides of its own instead of those
    /// above; without it one is gathered.
    pub(super) field: Option<Field>,
}

/// Why a walk ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// At the minimum.
    Optimal,
    /// The dual function seems to fall forever.
    Endless,
    /// No step gets lower, or the basis is singular.
    Stalled,
    Limit,
    Cancelled,
}

/// What leaves the basis.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    Basic(usize),
    /// The key of a query.
    Key(u32),
}

/// What has been done so far, on all samples.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Effort {
    pub(super) pivots: u64,
    /// Options looked at.
    pub(super) options: f64,
}

/// The state of a walk.
#[derive(Debug)]
pub(super) struct Walk<'w> {
    program: &'w Program,
    layout: &'w Layout,
    pub(super) field: Field,
    pub(super) basis: Vec<Basic>,
    inverse: Inverse,
    pub(super) prices: Vec<f64>,
    pub(super) levels: Vec<f64>,
    /// The bounds less what the keys use.
    residual: Vec<f64>,
    pub(super) keys: Vec<u32>,
    noise: f64,
    refactor_after: u32,
    pivots_since_refactor: u32,
    /// Steps since the last that got lower.
    idle: u32,
    widenings: u32,
    /// Whether the first box was drawn around a guess of this very minimum.
    guessed: bool,
    /// Whether an endless fall is known to be impossible.
    pub(super) feasible: bool,
}

impl<'w> Walk<'w> {
    pub(super) fn new(
        program: &'w Program,
        layout: &'w Layout,
        start: Start,
        refactor_after: u32,
        effort: &mut Effort,
    ) -> Self {
        let Start { mut prices, basis, sides, mut keys, noise, field } = start;
        for (price, wall) in prices.iter_mut().zip(&program.walls) {
            *price = price.max(0.0).min(*wall);
        }
        let kept = kept(&basis);
        for saved in &basis {
            if let Saved::Share { ordinal, key, .. } = *saved {
                keys[ordinal as usize] = key;
            }
        }
        let guessed = field.is_none();
        let field = if let Some(mut field) = field {
            field.enter(program, &mut prices);
            field
        } else {
            effort.options += options_of(layout);
            Field::new(program, layout, sides, &prices, &kept, noise, &mut keys)
        };
        let mut walk = Self {
            program,
            layout,
            residual: Vec::new(),
            levels: vec![0.0; program.n_rows()],
            inverse: Inverse::identity(program.n_rows()),
            field,
            basis: Vec::new(),
            prices,
            keys,
            noise,
            refactor_after,
            pivots_since_refactor: 0,
            idle: 0,
            widenings: 0,
            guessed,
            feasible: false,
        };
        if !walk.adopt(&basis) {
            walk.hold();
        }
        walk
    }

    /// The value of the dual function at the prices, and that of the answer that goes with
    /// the basis, which is no smaller where all levels are feasible; scaled. Both without a
    /// look at the decided queries, whose sums the field knows.
    pub(super) fn worth(&self) -> [f64; 2] {
        let keys = self.field.value_of_keys();
        let levels = self.basis.iter().zip(&self.levels);
        let moved: f64 = levels.map(|(&basic, level)| self.cost_as_is(basic) * level).sum();
        [keys + dot(&self.prices, &self.residual), keys + moved]
    }

    /// Steps until nothing gets lower.
    pub(super) fn run(&mut self, options: &SolveOptions, effort: &mut Effort) -> End {
        let patience = 40 + 4 * u32::try_from(self.basis.len()).unwrap_or(u32::MAX / 8);
        loop {
            let Some((leaving, level)) = self.leaving() else {
                if self.pivots_since_refactor > 0 {
                    if !self.refactor() {
                        return End::Stalled;
                    }
                    continue;
                }
                let in_the_way = self.in_the_way();
                if in_the_way.is_empty() {
                    return End::Optimal;
                }
                if self.widenings >= ENDLESS && !self.feasible {
                    return End::Endless;
                }
                if !self.widen(&in_the_way, effort) {
                    return End::Stalled;
                }
                continue;
            };
            if options.cancelled() {
                return End::Cancelled;
            }
            if effort.pivots >= options.max_iterations {
                return End::Limit;
            }
            if self.idle > patience {
                return End::Stalled;
            }
            effort.pivots += 1;
            if let Err(end) = self.step(leaving, level, effort) {
                return end;
            }
        }
    }

    /// What is most infeasible, in units of the length of its ray: the direction in
    /// which the dual function falls most steeply. None where the levels are feasible.
    fn leaving(&mut self) -> Option<(Leaving, f64)> {
        let mut best = None;
        let mut most = 0.0;
        let sizes = &self.program.bounds;
        let mut offer = |leaving, level: f64, infeasible: f64, row: &[f64]| {
            if infeasible <= ROUNDING {
                return;
            }
            let noise: f64 =
                row.iter().zip(sizes).map(|(rho, size)| rho.abs() * (1.0 + size.abs())).sum();
            let steepness = infeasible * infeasible / dot(row, row);
            if infeasible > ROUNDING_OF_ROWS * noise && steepness > most {
                most = steepness;
                best = Some((leaving, level));
            }
        };
        let mut sum = Vec::new();
        for (position, (&basic, &level)) in self.basis.iter().zip(&self.levels).enumerate() {
            let infeasible = if let Basic::Held(_) = basic { level.abs() } else { -level };
            let row = self.inverse.row(position);
            offer(Leaving::Basic(position), level, infeasible, row);
            let Basic::Share { query, .. } = basic else { continue };
            let others =
                |other: &Basic| matches!(other, Basic::Share { query: q, .. } if *q == query);
            if self.basis[..position].iter().any(others) {
                continue;
            }
            let mut key = 1.0 - level;
            let count = self.field.n_basic(query);
            if count == 1 {
                offer(Leaving::Key(query), key, -key, row);
                continue;
            }
            sum.clear();
            sum.extend_from_slice(row);
            for other in position + 1..self.basis.len() {
                if others(&self.basis[other]) {
                    key -= self.levels[other];
                    for (sum, rho) in sum.iter_mut().zip(self.inverse.row(other)) {
                        *sum += rho;
                    }
                }
            }
            offer(Leaving::Key(query), key, -key, &sum);
        }
        best
    }

    /// One pivot: follows the ray of what leaves to what enters.
    fn step(&mut self, leaving: Leaving, level: f64, effort: &mut Effort) -> Result<(), End> {
        let position = match leaving {
            Leaving::Basic(position) => position,
            Leaving::Key(query) => self.change_key(query),
        };
        let ray = self.ray(position, if level < 0.0 { 1.0 } else { -1.0 });
        if let Basic::Share { query, candidate } = self.basis[position] {
            self.field.mark(query, candidate, false);
        }
        let fall = -dot(&ray, &self.residual);
        let (wall, end) = self.first_wall(&ray);
        effort.options += self.field.n_candidates() as f64;
        let entering = match self.field.follow(self.program, &ray, fall, end, &mut self.residual) {
            Meeting::Candidate { query, candidate, step } => {
                self.advance(&ray, step, fall);
                Basic::Share { query, candidate }
            }
            Meeting::Nothing => {
                let Some(basic) = wall else { return Err(End::Endless) };
                self.advance(&ray, end, fall);
                self.touch(basic);
                basic
            }
        };
        self.pivot(position, entering)
    }

    fn pivot(&mut self, position: usize, entering: Basic) -> Result<(), End> {
        if let Basic::Share { query, candidate } = entering {
            self.field.mark(query, candidate, true);
        }
        let column = self.column(entering);
        let mut direction = vec![0.0; self.basis.len()];
        self.inverse.right_multiply(&column, &mut direction);
        self.basis[position] = entering;
        self.pivots_since_refactor += 1;
        if direction[position] == 0.0 || self.pivots_since_refactor >= self.refactor_after {
            return if self.refactor() { Ok(()) } else { Err(End::Stalled) };
        }
        self.inverse.pivot(position, &direction);
        self.inverse.right_multiply(&self.residual, &mut self.levels);
        Ok(())
    }

    /// The direction in which the level at a position nears 0 and all other constraints
    /// stay tight.
    fn ray(&self, position: usize, sense: f64) -> Vec<f64> {
        let mut ray = self.inverse.row(position).to_vec();
        scale_row(&mut ray, sense);
        for (other, basic) in self.basis.iter().enumerate() {
            if let Some(row) = basic.row()
                && other != position
            {
                // But for rounding it is.
                ray[row] = 0.0;
            }
        }
        let longest = ray.iter().fold(0.0_f64, |most, rho| most.max(rho.abs()));
        for rho in ray.iter_mut().filter(|rho| rho.abs() <= FLAT * longest) {
            *rho = 0.0;
        }
        ray
    }

    fn advance(&mut self, ray: &[f64], step: f64, fall: f64) {
        for ((price, rho), wall) in self.prices.iter_mut().zip(ray).zip(&self.program.walls) {
            *price = (*price + step * rho).max(0.0).min(*wall);
        }
        self.field.advance(step);
        self.idle = if step * fall > PROGRESS { 0 } else { self.idle + 1 };
    }
}

/// What a full pass looks at.
pub(super) fn options_of(layout: &Layout) -> f64 {
    layout.n_queries() as f64 * (layout.n_models() + 1) as f64
}
