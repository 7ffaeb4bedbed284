//! The basis of a walk: what is in it, what that makes of prices and levels, and how it
//! is kept for later.

use super::Walk;
use crate::dense::{Inverse, scale_row};

/// A constraint on the prices that holds with equality, and the variable behind it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) enum Basic {
    /// The price is 0; what the row has to spare.
    Spare(usize),
    /// The price is at its penalty; by how much the row is exceeded.
    Excess(usize),
    /// The price stays what it happens to be until this row is met exactly.
    Held(usize),
    /// The price is at the lower side of the box; what the row has to spare.
    Floor(usize),
    /// The price is at the upper side of the box; by how much the row is exceeded.
    Ceiling(usize),
    /// A candidate is worth as much as its query's key; its share.
    Share { query: u32, candidate: u32 },
}

impl Basic {
    /// The row whose price it keeps in its place.
    pub(super) fn row(self) -> Option<usize> {
        match self {
            Self::Spare(row)
            | Self::Excess(row)
            | Self::Held(row)
            | Self::Floor(row)
            | Self::Ceiling(row) => Some(row),
            Self::Share { .. } => None,
        }
    }
}

/// The same, for any field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) enum Saved {
    Spare(usize),
    Excess(usize),
    Held(usize),
    Share { ordinal: u32, key: u32, option: u32 },
}

impl Walk<'_> {
    /// Takes over a basis if its vertex is where the prices are, and the keys of its
    /// queries are best there.
    pub(in super::super) fn adopt(&mut self, saved: &[Saved]) -> bool {
        if saved.len() != self.program.n_rows() {
            return false;
        }
        let known = self.prices.clone();
        self.basis.clear();
        for &saved in saved {
            let basic = match saved {
                Saved::Spare(row) => Basic::Spare(row),
                Saved::Excess(row) => Basic::Excess(row),
                Saved::Held(row) => Basic::Held(row),
                Saved::Share { ordinal, key, option } => {
                    let found = self.field.find(ordinal, option);
                    let keyed = self.field.find(ordinal, key);
                    let (Some((query, candidate)), Some((_, key))) = (found, keyed) else {
                        self.forget();
                        return false;
                    };
                    self.field.mark(query, candidate, true);
                    self.field.force_key(query, key);
                    Basic::Share { query, candidate }
                }
            };
            self.basis.push(basic);
        }
        let fits = self.refactor() && self.is_dual_feasible(&known);
        if !fits {
            self.forget();
            self.prices = known;
            self.field.rescore(self.program, &self.prices);
        }
        fits
    }

    pub(in super::super) fn is_dual_feasible(&self, known: &[f64]) -> bool {
        let program = self.program;
        let near = self.prices.iter().zip(known).zip(&program.natural);
        let near = near.into_iter().all(|((a, b), natural)| (a - b).abs() <= 1e-6 * (natural + b));
        near && self.basis.iter().all(|basic| match *basic {
            Basic::Share { query, .. } => {
                let (excess, size) = self.field.misfit(query);
                excess <= 1e-10 * (size + program.grain)
            }
            _ => true,
        })
    }

    pub(in super::super) fn forget(&mut self) {
        for basic in std::mem::take(&mut self.basis) {
            if let Basic::Share { query, candidate } = basic {
                self.field.mark(query, candidate, false);
            }
        }
    }

    /// The basis that holds all prices where they are.
    pub(in super::super) fn hold(&mut self) {
        let held = |(row, (price, wall)): (usize, (&f64, &f64))| {
            if *price <= 0.0 {
                Basic::Spare(row)
            } else if price >= wall {
                Basic::Excess(row)
            } else {
                Basic::Held(row)
            }
        };
        self.basis = self.prices.iter().zip(&self.program.walls).enumerate().map(held).collect();
        self.field.choose_keys();
        self.refactor();
    }

    /// Exchanges the key of a query and its largest basic share; where that is. The other
    /// directions of the query lose that of the new key, which is turned round.
    pub(in super::super) fn change_key(&mut self, query: u32) -> usize {
        let of_query = |basic: &Basic| match *basic {
            Basic::Share { query: q, candidate } if q == query => Some(candidate),
            _ => None,
        };
        let positions: Vec<(usize, u32)> = self
            .basis
            .iter()
            .enumerate()
            .filter_map(|(position, basic)| Some((position, of_query(basic)?)))
            .collect();
        let &(position, candidate) = positions
            .iter()
            .max_by(|a, b| self.levels[a.0].total_cmp(&self.levels[b.0]).then(b.0.cmp(&a.0)))
            .expect("only keys of basic queries leave");
        let old = self.field.key(query);
        self.field.add_difference(self.program, query, (old, candidate), &mut self.residual);
        self.field.set_key(query, candidate);
        for &(other, _) in positions.iter().filter(|(other, _)| *other != position) {
            self.inverse.add_row(position, other);
        }
        scale_row(self.inverse.row_mut(position), -1.0);
        self.basis[position] = Basic::Share { query, candidate: old };
        position
    }

    pub(in super::super) fn save(&self, basic: Basic) -> Saved {
        match basic {
            Basic::Spare(row) => Saved::Spare(row),
            Basic::Excess(row) => Saved::Excess(row),
            // The next box may be another one.
            Basic::Held(row) | Basic::Floor(row) | Basic::Ceiling(row) => Saved::Held(row),
            Basic::Share { query, candidate } => Saved::Share {
                ordinal: self.field.ordinal(query),
                key: self.field.option(self.field.key(query)),
                option: self.field.option(candidate),
            },
        }
    }

    /// The basis, for any field.
    pub(in super::super) fn saved(&self) -> Vec<Saved> {
        self.basis.iter().map(|&basic| self.save(basic)).collect()
    }

    pub(in super::super) fn column(&self, basic: Basic) -> Vec<f64> {
        let mut column = vec![0.0; self.basis.len()];
        match basic {
            Basic::Spare(row) | Basic::Held(row) | Basic::Floor(row) => column[row] = 1.0,
            Basic::Excess(row) | Basic::Ceiling(row) => column[row] = -1.0,
            Basic::Share { query, candidate } => {
                let key = self.field.key(query);
                self.field.add_difference(self.program, query, (candidate, key), &mut column);
            }
        }
        column
    }

    /// What a unit of a basic variable adds to the value of the answer: a price that is
    /// held, by a wall of the box or where it was, adds nothing.
    pub(in super::super) fn cost_as_is(&self, basic: Basic) -> f64 {
        match basic {
            Basic::Held(_) | Basic::Floor(_) | Basic::Ceiling(_) => 0.0,
            Basic::Spare(_) | Basic::Excess(_) | Basic::Share { .. } => self.cost(basic),
        }
    }

    /// What a unit of a basic variable is worth.
    pub(in super::super) fn cost(&self, basic: Basic) -> f64 {
        match basic {
            Basic::Spare(_) => 0.0,
            Basic::Excess(row) => -self.program.walls[row],
            Basic::Held(row) => self.prices[row],
            Basic::Floor(row) => self.floor(row),
            Basic::Ceiling(row) => -self.ceiling(row),
            Basic::Share { query, candidate } => self.field.worth(query, candidate),
        }
    }

    /// Everything from the basis alone, so that rounding errors do not add up. False
    /// for a singular basis.
    pub(in super::super) fn refactor(&mut self) -> bool {
        let columns: Vec<Vec<f64>> = self.basis.iter().map(|&basic| self.column(basic)).collect();
        let Some(inverse) = Inverse::of_columns(&columns) else { return false };
        self.inverse = inverse;
        let costs: Vec<f64> = self.basis.iter().map(|&basic| self.cost(basic)).collect();
        let mut prices = vec![0.0; self.basis.len()];
        self.inverse.left_multiply(&costs, &mut prices);
        for (price, wall) in prices.iter_mut().zip(&self.program.walls) {
            *price = price.max(0.0).min(*wall);
        }
        self.prices = prices;
        self.field.rescore(self.program, &self.prices);
        self.residual = self.field.residual(self.program);
        self.inverse.right_multiply(&self.residual, &mut self.levels);
        self.pivots_since_refactor = 0;
        true
    }
}

/// The ordinals of basic queries, ascending.
pub(super) fn kept(basis: &[Saved]) -> Vec<u32> {
    let ordinal = |saved: &Saved| match *saved {
        Saved::Share { ordinal, .. } => Some(ordinal),
        _ => None,
    };
    let mut kept: Vec<u32> = basis.iter().filter_map(ordinal).collect();
    kept.sort_unstable();
    kept.dedup();
    kept
}
