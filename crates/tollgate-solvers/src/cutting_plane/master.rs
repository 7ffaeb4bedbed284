//! The master: which mixture of the known assignments is best, and at which prices.
//!
//! ```text
//! max  sum_k value_k share_k + sum_r (floor_r spare_r - ceiling_r excess_r)
//! s.t. sum_k usage_kr share_k + spare_r - excess_r = bound_r,   sum_k share_k = 1
//! ```
//!
//! over nonnegative shares, spares and excesses. Its duals are prices in the box
//! `[floor_r, ceiling_r]`. A side of the box is real, 0 or the penalty of a soft row, or
//! only for now: then it is *in the way* if its spare or excess is positive in the end,
//! and has to be moved. The excesses also make every start feasible, so there is no
//! phase of its own for that.
//!
//! A primal simplex with a dense inverse of order `K + 1`; the entering column is the
//! one with the best reduced cost (Dantzig), after many steps without progress the
//! first one (Bland, 1977), which cannot cycle.

use crate::dense::Inverse;
use crate::dual::{Column, Phase, ScaledRow, Sides};

/// A reduced cost below this is 0, where prices are about 1.
const REDUCED_COST: f64 = 1e-13;
/// A pivot below this is 0.
const PIVOT: f64 = 1e-10;
/// Pivots between two inversions from scratch.
const REFACTOR: u32 = 60;

/// A basic variable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Variable {
    Spare(usize),
    Excess(usize),
    Share(usize),
}

/// See the module page.
#[derive(Debug)]
pub(crate) struct Master {
    n_rows: usize,
    phase: Phase,
    bounds: Vec<f64>,
    pub(crate) sides: Sides,
    pub(crate) columns: Vec<Column>,
    basis: Vec<Variable>,
    /// Of each basic variable.
    levels: Vec<f64>,
    inverse: Inverse,
    /// Prices, and last the value of one assignment.
    duals: Vec<f64>,
    pivots_since_refactor: u32,
}

impl Master {
    /// Starts from columns, at least one.
    pub(crate) fn new(
        rows: &[ScaledRow],
        sides: Sides,
        columns: Vec<Column>,
        phase: Phase,
    ) -> Self {
        let n_rows = rows.len();
        let mut master = Self {
            n_rows,
            phase,
            bounds: rows.iter().map(|row| row.bound).collect(),
            sides,
            columns,
            basis: Vec::new(),
            levels: Vec::new(),
            inverse: Inverse::identity(n_rows + 1),
            duals: vec![0.0; n_rows + 1],
            pivots_since_refactor: 0,
        };
        master.restart();
        master
    }

    /// Back to the first column alone.
    pub(crate) fn restart(&mut self) {
        let usage = &self.columns[0].usage;
        let side = |row: usize| {
            if usage[row] <= self.bounds[row] {
                Variable::Spare(row)
            } else {
                Variable::Excess(row)
            }
        };
        self.basis = (0..self.n_rows).map(side).chain([Variable::Share(0)]).collect();
        self.refactor();
    }

    /// The shares, `(column, share)`.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (usize, f64)> {
        self.basis.iter().zip(&self.levels).filter_map(|(variable, level)| match variable {
            Variable::Share(column) => Some((*column, *level)),
            _ => None,
        })
    }

    /// What the rows spare or exceed, where that is basic.
    pub(crate) fn deviations(&self) -> impl Iterator<Item = (Variable, f64)> {
        let all = self.basis.iter().copied().zip(self.levels.iter().copied());
        all.filter(|(variable, _)| !matches!(variable, Variable::Share(_)))
    }

    /// The value of the mixture.
    pub(crate) fn value(&self) -> f64 {
        let costs = self.basis.iter().map(|&variable| self.cost(variable));
        costs.zip(&self.levels).map(|(cost, level)| cost * level).sum()
    }

    /// The prices.
    pub(crate) fn prices(&self) -> Vec<f64> {
        self.sides.clamp(&self.duals[..self.n_rows])
    }

    /// By how much a column would improve the mixture, a unit of share.
    pub(crate) fn reduced_cost(&self, column: &Column) -> f64 {
        column.score(&self.duals[..self.n_rows], self.phase) - self.duals[self.n_rows]
    }

    /// A reduced cost below this is rounding.
    pub(crate) fn tolerance(&self) -> f64 {
        REDUCED_COST * self.duals.iter().fold(1.0, |most, dual| dual.abs().max(most))
    }

    /// Pivots until no variable improves the mixture; false where rounding keeps it from
    /// getting there.
    pub(crate) fn optimize(&mut self) -> bool {
        let patience = 20 * (self.n_rows as u64 + 10);
        let limit = 50 * patience;
        let (mut pivots, mut stalled) = (0, 0);
        self.price_basis();
        while pivots < limit {
            let Some(entering) = self.entering(stalled > patience) else { return true };
            let direction = self.direction(entering);
            let Some((leaving, step)) = self.ratio_test(&direction, stalled > patience) else {
                return true;
            };
            stalled = if step > 0.0 { 0 } else { stalled + 1 };
            self.pivot(entering, leaving, step, &direction);
            pivots += 1;
            self.price_basis();
        }
        false
    }

    /// The column of a variable in the constraints, and its cost.
    fn cost(&self, variable: Variable) -> f64 {
        match variable {
            Variable::Spare(row) => self.sides.floors[row],
            Variable::Excess(row) => -self.sides.ceilings[row],
            Variable::Share(column) if self.phase == Phase::Objective => self.columns[column].value,
            Variable::Share(_) => 0.0,
        }
    }

    fn constraint_column(&self, variable: Variable) -> Vec<f64> {
        let mut dense = vec![0.0; self.n_rows + 1];
        match variable {
            Variable::Spare(row) => dense[row] = 1.0,
            Variable::Excess(row) => dense[row] = -1.0,
            Variable::Share(column) => {
                dense[..self.n_rows].copy_from_slice(&self.columns[column].usage);
                dense[self.n_rows] = 1.0;
            }
        }
        dense
    }

    fn price_basis(&mut self) {
        let costs: Vec<f64> = self.basis.iter().map(|&variable| self.cost(variable)).collect();
        self.inverse.left_multiply(&costs, &mut self.duals);
    }

    /// The variable with the best reduced cost, or the first with any (Bland).
    fn entering(&self, first: bool) -> Option<Variable> {
        let mut best = None;
        let mut most = self.tolerance();
        let mut offer = |variable, reduced_cost: f64| {
            let candidate = reduced_cost > most && !(first && best.is_some());
            if candidate && !self.basis.contains(&variable) {
                most = reduced_cost;
                best = Some(variable);
            }
        };
        for row in 0..self.n_rows {
            offer(Variable::Spare(row), self.sides.floors[row] - self.duals[row]);
            offer(Variable::Excess(row), self.duals[row] - self.sides.ceilings[row]);
        }
        for (index, column) in self.columns.iter().enumerate() {
            offer(Variable::Share(index), self.reduced_cost(column));
        }
        best
    }

    fn direction(&self, entering: Variable) -> Vec<f64> {
        let mut direction = vec![0.0; self.n_rows + 1];
        self.inverse.right_multiply(&self.constraint_column(entering), &mut direction);
        direction
    }

    /// Which basic variable reaches 0 first: among those within rounding of the first,
    /// the one with the largest pivot (Harris, 1973), or the lowest index (Bland).
    fn ratio_test(&self, direction: &[f64], first: bool) -> Option<(usize, f64)> {
        let ratios = || {
            let all = direction.iter().zip(&self.levels).enumerate();
            all.filter(|(_, (pivot, _))| **pivot > PIVOT)
        };
        let slack = if first { 0.0 } else { 1e-13 };
        let furthest = ratios()
            .map(|(_, (pivot, level))| (level.max(0.0) + slack) / pivot)
            .fold(f64::INFINITY, f64::min);
        let near = ratios().filter(|(_, (pivot, level))| level.max(0.0) / **pivot <= furthest);
        let chosen = if first {
            near.min_by_key(|(position, _)| self.rank(self.basis[*position]))
        } else {
            near.max_by(|a, b| a.1.0.total_cmp(b.1.0).then(b.0.cmp(&a.0)))
        };
        chosen.map(|(position, (pivot, level))| (position, level.max(0.0) / pivot))
    }

    /// The order in which Bland's rule looks at variables.
    fn rank(&self, variable: Variable) -> usize {
        match variable {
            Variable::Spare(row) => 2 * row,
            Variable::Excess(row) => 2 * row + 1,
            Variable::Share(column) => 2 * self.n_rows + column,
        }
    }

    fn pivot(&mut self, entering: Variable, leaving: usize, step: f64, direction: &[f64]) {
        for (level, pivot) in self.levels.iter_mut().zip(direction) {
            *level = (*level - step * pivot).max(0.0);
        }
        self.basis[leaving] = entering;
        self.levels[leaving] = step;
        self.inverse.pivot(leaving, direction);
        self.pivots_since_refactor += 1;
        if self.pivots_since_refactor >= REFACTOR {
            self.refactor();
        }
    }

    /// Inverts the basis from scratch, so that rounding errors do not add up.
    fn refactor(&mut self) {
        let columns: Vec<Vec<f64>> =
            self.basis.iter().map(|&variable| self.constraint_column(variable)).collect();
        if let Some(inverse) = Inverse::of_columns(&columns) {
            self.inverse = inverse;
        }
        let mut bounds = self.bounds.clone();
        bounds.push(1.0);
        self.levels = vec![0.0; self.n_rows + 1];
        self.inverse.right_multiply(&bounds, &mut self.levels);
        for level in &mut self.levels {
            *level = level.max(0.0);
        }
        self.pivots_since_refactor = 0;
    }
}
