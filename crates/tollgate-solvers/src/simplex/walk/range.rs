//! The range of the prices of a walk, and the box that the field is good for.

use super::basis::{Basic, Saved, kept};
use super::{
    Effort, LOOKS_BY_ROW, ROUNDING, WIDEN, WIDEN_A_LITTLE, WIDEN_OTHERS, WIDENINGS, Walk,
    options_of,
};
use crate::dual::Sides;
use crate::simplex::field::Field;

impl Walk<'_> {
    /// Where the ray first meets the range of a price, its own or the box's.
    pub(in super::super) fn first_wall(&self, ray: &[f64]) -> (Option<Basic>, f64) {
        let mut first = (None, f64::INFINITY);
        for (row, (&rho, &price)) in ray.iter().zip(&self.prices).enumerate() {
            let step = if rho < 0.0 {
                (price - self.floor(row)) / -rho
            } else if rho > 0.0 {
                (self.ceiling(row) - price) / rho
            } else {
                continue;
            };
            if step < first.1 {
                let basic = if rho < 0.0 { self.lower(row) } else { self.upper(row) };
                first = (Some(basic), step.max(0.0));
            }
        }
        first
    }

    /// The least price of the box.
    pub(in super::super) fn floor(&self, row: usize) -> f64 {
        self.field.sides.as_ref().map_or(0.0, |sides| sides.floors[row])
    }

    /// The highest price of the box.
    pub(in super::super) fn ceiling(&self, row: usize) -> f64 {
        self.field.sides.as_ref().map_or(self.program.walls[row], |sides| sides.ceilings[row])
    }

    pub(in super::super) fn lower(&self, row: usize) -> Basic {
        if self.floor(row) > 0.0 { Basic::Floor(row) } else { Basic::Spare(row) }
    }

    pub(in super::super) fn upper(&self, row: usize) -> Basic {
        if self.ceiling(row) < self.program.walls[row] {
            Basic::Ceiling(row)
        } else {
            Basic::Excess(row)
        }
    }

    /// The rows whose prices would leave the box.
    pub(in super::super) fn in_the_way(&self) -> Vec<usize> {
        let both = self.basis.iter().zip(&self.levels);
        let blocked = both.filter_map(|(basic, level)| match *basic {
            Basic::Floor(row) | Basic::Ceiling(row) if *level > ROUNDING => Some(row),
            _ => None,
        });
        blocked.collect()
    }

    /// Puts a price exactly on the wall that it has reached.
    pub(in super::super) fn touch(&mut self, basic: Basic) {
        match basic {
            Basic::Spare(row) => self.prices[row] = 0.0,
            Basic::Excess(row) => self.prices[row] = self.program.walls[row],
            Basic::Floor(row) => self.prices[row] = self.floor(row),
            Basic::Ceiling(row) => self.prices[row] = self.ceiling(row),
            Basic::Held(_) | Basic::Share { .. } => {}
        }
    }

    /// A larger box around the prices, most of all for those in the way. False where that
    /// has been done too often.
    pub(in super::super) fn widen(&mut self, in_the_way: &[usize], effort: &mut Effort) -> bool {
        self.widenings += 1;
        if self.widenings > 2 * WIDENINGS {
            return false;
        }
        let [in_its_way, elsewhere] =
            if self.widenings == 1 && self.guessed && self.looks_are_dear() {
                WIDEN_A_LITTLE
            } else {
                [WIDEN[usize::from(self.widenings > 1)], WIDEN_OTHERS]
            };
        let mut sides = self.field.sides.take();
        if self.widenings > WIDENINGS {
            sides = None;
        }
        if let Some(Sides { floors, ceilings }) = &mut sides {
            for (row, price) in self.prices.iter().enumerate() {
                let factor = if in_the_way.contains(&row) { in_its_way } else { elsewhere };
                let width = 0.5 * (ceilings[row] - floors[row]);
                let width = factor * width.max(1e-3 * self.program.natural[row]);
                floors[row] = (price - width).max(0.0);
                ceilings[row] = (price + width).min(self.program.walls[row]);
            }
        }
        self.refield(sides, effort);
        true
    }

    /// Whether the looks of the pivots to come cost more than a pass over all options.
    fn looks_are_dear(&self) -> bool {
        let looks = LOOKS_BY_ROW * self.basis.len() as f64;
        looks * self.field.n_candidates() as f64 > options_of(self.layout)
    }

    /// The same state in another box.
    pub(in super::super) fn refield(&mut self, sides: Option<Sides>, effort: &mut Effort) {
        let saved = self.saved();
        self.field.store_keys(&mut self.keys);
        let kept = kept(&saved);
        self.field = Field::new(
            self.program,
            self.layout,
            sides,
            &self.prices,
            &kept,
            self.noise,
            &mut self.keys,
        );
        effort.options += options_of(self.layout);
        for (basic, saved) in self.basis.iter_mut().zip(saved) {
            *basic = match saved {
                Saved::Spare(row) => Basic::Spare(row),
                Saved::Excess(row) => Basic::Excess(row),
                Saved::Held(row) => Basic::Held(row),
                Saved::Share { ordinal, key, option } => {
                    let (query, candidate) = self.field.find(ordinal, option).expect("kept whole");
                    let (_, key) = self.field.find(ordinal, key).expect("kept whole");
                    self.field.force_key(query, key);
                    self.field.mark(query, candidate, true);
                    Basic::Share { query, candidate }
                }
            };
        }
        self.refactor();
    }
}
