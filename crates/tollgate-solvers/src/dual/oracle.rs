//! The dual function in scaled units, one pass an evaluation.
//!
//! Every row becomes `a_r <= b_r` (a `>=` row changes its sign) and is divided by what
//! it would use if its queries were spread evenly over its models; the objective is
//! divided by its own like. Prices of 1e4 beside 1e-4 so become numbers near 1.

use tollgate_core::{Meter, Problem};

use super::layout::Layout;
use super::passes;
use crate::dense::dot;

/// A row, scaled.
#[derive(Clone, Debug)]
pub(crate) struct ScaledRow {
    /// The totals that it sums.
    slots: Vec<u32>,
    /// `s_r / (unit of the row)`: from usage to scaled usage.
    pub(crate) scale: f64,
    /// From scaled prices to prices.
    pub(crate) price_unit: f64,
    /// `b_r`, scaled.
    pub(crate) bound: f64,
    /// The scaled penalty of a soft row.
    pub(crate) penalty: Option<f64>,
    /// A large price, in scaled units, is large against this.
    pub(crate) natural_price: f64,
}

/// Which part of the Lagrangian is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// The rows alone: is there any feasible answer?
    Feasibility,
    /// Objective and rows.
    Objective,
}

/// What one assignment of all queries is worth and uses, scaled: a column of the
/// master, a cut of the dual function.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// The scaled prices and the phase that produced it; `None` for "serve nobody".
    pub(crate) origin: Option<(Vec<f64>, Phase)>,
    pub(crate) value: f64,
    /// One entry a row.
    pub(crate) usage: Vec<f64>,
}

impl Column {
    /// What it leaves of `value` at these prices, in `phase`.
    pub(crate) fn score(&self, prices: &[f64], phase: Phase) -> f64 {
        let value = if phase == Phase::Objective { self.value } else { 0.0 };
        value - dot(prices, &self.usage)
    }
}

/// A box of prices.
#[derive(Clone, Debug)]
pub(crate) struct Sides {
    pub(crate) floors: Vec<f64>,
    pub(crate) ceilings: Vec<f64>,
}

impl Sides {
    /// The nearest prices inside.
    pub(crate) fn clamp(&self, prices: &[f64]) -> Vec<f64> {
        let sides = self.floors.iter().zip(&self.ceilings);
        prices.iter().zip(sides).map(|(p, (low, high))| p.max(*low).min(*high)).collect()
    }
}

/// The interval of a price that may be wrong by `error`, relative to itself or to a tenth of
/// what is natural; from 0 to `most`.
pub(crate) fn around(price: f64, error: f64, natural: f64, most: f64) -> (f64, f64) {
    let width = error * price.max(0.1 * natural);
    ((price - width).max(0.0).min(most), (price + width).min(most))
}

/// A layout restricted to the queries whose choice varies over a box of prices.
#[derive(Debug)]
struct Fold {
    sides: Sides,
    phase: Phase,
    layout: Layout,
    /// What the folded queries use.
    totals: Vec<f64>,
}

impl Fold {
    /// Whether it holds at these prices.
    fn covers(&self, prices: &[f64], phase: Phase) -> bool {
        let mut sides = self.sides.floors.iter().zip(&self.sides.ceilings).zip(prices);
        self.phase == phase && sides.all(|((low, high), p)| low <= p && p <= high)
    }
}

/// Evaluates the dual function of one problem.
#[derive(Debug)]
pub(crate) struct Oracle<'a> {
    layout: &'a Layout,
    pub(crate) rows: &'a [ScaledRow],
    /// The objective's weight of each slot, divided by [`unit`](Self::unit).
    objective: Vec<f64>,
    /// Scaled objective 1, in the unit of the objective.
    pub(crate) unit: f64,
    fold: Option<Fold>,
    /// Queries looked at.
    work: u64,
    coefficients: Vec<f64>,
    totals: Vec<f64>,
}

/// Scales the rows of `problem`; returns them with the unit of the objective.
pub(crate) fn scale(problem: &Problem, layout: &Layout) -> (Vec<ScaledRow>, f64) {
    let magnitudes = layout.magnitudes();
    let slots: Vec<Meter> = layout.slots().collect();
    let (n_slots, n_models) = (slots.len(), layout.n_models());
    let by_option = |group: usize, model: usize| (group * (n_models + 1) + model) * n_slots;
    let mut unit = 0.0;
    for (slot, meter) in slots.iter().enumerate() {
        let total: f64 = magnitudes.iter().skip(slot).step_by(n_slots).sum();
        unit += problem.objective(*meter).abs() * total / n_models as f64;
    }
    let unit = positive_or(unit, 1.0);
    let rows = problem.rows().iter().map(|row| {
        let slot = slots.iter().position(|meter| *meter == row.meter).expect("laid out");
        let groups = match row.scope.group {
            Some(group) => group as usize..(group as usize + 1).min(layout.n_groups()),
            None => 0..layout.n_groups(),
        };
        let models: Vec<usize> =
            (0..n_models).filter(|&model| row.scope.models.covers(model)).collect();
        let mut covered = Vec::new();
        let (mut usage, mut weight) = (0.0, 0.0);
        for group in groups {
            for &model in &models {
                let option = by_option(group, model);
                usage += magnitudes[option + slot] / models.len() as f64;
                weight += magnitudes[option + n_slots - 1] / models.len() as f64;
                #[expect(clippy::cast_possible_truncation, reason = "groups x models x meters")]
                covered.push((option + slot) as u32);
            }
        }
        let size = positive_or(usage, positive_or(row.capacity.abs(), 1.0));
        let price_unit = unit / size;
        ScaledRow {
            slots: covered,
            scale: row.sense.sign() / size,
            price_unit,
            bound: row.sense.sign() * row.capacity / size,
            penalty: row.penalty.map(|penalty| penalty / price_unit),
            natural_price: positive_or(weight / problem.total_weight(), 1.0),
        }
    });
    (rows.collect(), unit)
}

impl<'a> Oracle<'a> {
    pub(crate) fn new(
        problem: &Problem,
        layout: &'a Layout,
        rows: &'a [ScaledRow],
        unit: f64,
    ) -> Self {
        let objective = layout.slots().map(|meter| problem.objective(meter) / unit).collect();
        let zeros = vec![0.0; layout.n_totals()];
        Self {
            layout,
            rows,
            objective,
            unit,
            fold: None,
            work: 0,
            coefficients: zeros.clone(),
            totals: zeros,
        }
    }

    pub(crate) fn n_queries(&self) -> usize {
        self.layout.n_queries()
    }

    /// Full passes so far, rounded up.
    pub(crate) fn passes(&self) -> u64 {
        self.work.div_ceil(self.layout.n_queries().max(1) as u64)
    }

    /// Counts what another oracle, of a sample, has looked at.
    pub(crate) fn add_work(&mut self, sample: &Oracle<'_>) {
        self.work += sample.work;
    }

    /// The options with the best scores at these scaled prices.
    pub(crate) fn choices(&mut self, prices: &[f64]) -> Vec<u32> {
        let usage = Vec::new();
        let origin = Some((prices.to_vec(), Phase::Objective));
        self.replay(&Column { origin, value: 0.0, usage }, prices, &[])
    }

    /// The column with the best score at these scaled prices.
    pub(crate) fn evaluate(&mut self, prices: &[f64], phase: Phase) -> Column {
        self.collapse(prices, phase);
        let fold = self.fold.as_ref().filter(|fold| fold.covers(prices, phase));
        let layout = if let Some(fold) = fold {
            self.totals.copy_from_slice(&fold.totals);
            &fold.layout
        } else {
            self.totals.fill(0.0);
            self.layout
        };
        self.work += layout.n_queries() as u64;
        passes::best_totals(layout, &self.coefficients, &mut self.totals);
        self.column(Some((prices.to_vec(), phase)))
    }

    /// `D(p)` in the unit of the objective, summed score by score over all queries.
    pub(crate) fn bound(&mut self, prices: &[f64]) -> f64 {
        self.collapse(prices, Phase::Objective);
        self.totals.fill(0.0);
        self.work += self.layout.n_queries() as u64;
        let gains = passes::best_totals(self.layout, &self.coefficients, &mut self.totals);
        let tolls: f64 = self.rows.iter().zip(prices).map(|(row, price)| row.bound * price).sum();
        (tolls + gains) * self.unit
    }

    /// The options that made a column, one a query; `n_models` is declined. `near` are
    /// those at `center`: inside the fold only what is left of it can differ.
    pub(crate) fn replay(&mut self, column: &Column, center: &[f64], near: &[u32]) -> Vec<u32> {
        let Some((prices, phase)) = &column.origin else {
            #[expect(clippy::cast_possible_truncation, reason = "models are u32 in an answer")]
            return vec![self.layout.n_models() as u32; self.layout.n_queries()];
        };
        self.collapse(prices, *phase);
        let covers = |fold: &&Fold| fold.covers(prices, *phase) && fold.covers(center, *phase);
        let fold = self.fold.as_ref().filter(covers);
        let (layout, mut options) = match fold {
            Some(fold) if !near.is_empty() => (&fold.layout, near.to_vec()),
            _ => (self.layout, vec![0; self.layout.n_queries()]),
        };
        self.work += layout.n_queries() as u64;
        passes::choices(layout, &self.coefficients, &mut options);
        options
    }

    /// Folds the queries that choose the same all over a box into constants.
    /// Evaluations inside the box then cost what is left; those outside are as before.
    /// A box inside the last one starts from what that left.
    pub(crate) fn fold(&mut self, sides: &Sides, phase: Phase) {
        let Sides { floors, ceilings } = sides;
        let middle: Vec<f64> =
            floors.iter().zip(ceilings).map(|(l, h)| f64::midpoint(*l, *h)).collect();
        self.collapse(&middle, phase);
        let mut radius = vec![0.0; self.layout.n_totals()];
        for (row, (low, high)) in self.rows.iter().zip(floors.iter().zip(ceilings)) {
            for &slot in &row.slots {
                radius[slot as usize] += 0.5 * (high - low) * row.scale.abs();
            }
        }
        let nested = self
            .fold
            .take()
            .filter(|fold| fold.covers(floors, phase) && fold.covers(ceilings, phase));
        let (from, totals) = match &nested {
            Some(fold) => (&fold.layout, &fold.totals[..]),
            None => (self.layout, &[][..]),
        };
        self.totals.fill(0.0);
        for (total, folded) in self.totals.iter_mut().zip(totals) {
            *total = *folded;
        }
        self.work += from.n_queries() as u64;
        let kept = passes::undecided(from, &self.coefficients, &radius, &mut self.totals);
        let layout = from.subset(&kept, 1.0);
        self.fold = Some(Fold { sides: sides.clone(), phase, layout, totals: self.totals.clone() });
    }

    /// Scaled prices to coefficients: `objective - sum_r price_r scale_r`.
    fn collapse(&mut self, prices: &[f64], phase: Phase) {
        let n_slots = self.objective.len();
        for coefficients in self.coefficients.chunks_exact_mut(n_slots) {
            match phase {
                Phase::Objective => coefficients.copy_from_slice(&self.objective),
                Phase::Feasibility => coefficients.fill(0.0),
            }
        }
        for (row, price) in self.rows.iter().zip(prices) {
            let toll = price * row.scale;
            if toll != 0.0 {
                for &slot in &row.slots {
                    self.coefficients[slot as usize] -= toll;
                }
            }
        }
    }

    /// The totals of the last pass, by row.
    fn column(&self, origin: Option<(Vec<f64>, Phase)>) -> Column {
        let n_slots = self.objective.len();
        let n_options = self.layout.n_models() + 1;
        let mut value = 0.0;
        for (option, totals) in self.totals.chunks_exact(n_slots).enumerate() {
            // What is declined is worth nothing, not the objective's constant.
            if option % n_options < self.layout.n_models() {
                value += dot(totals, &self.objective);
            }
        }
        let usage = self.rows.iter().map(|row| {
            let total: f64 = row.slots.iter().map(|&slot| self.totals[slot as usize]).sum();
            total * row.scale
        });
        Column { origin, value, usage: usage.collect() }
    }
}

/// `D(p)`, scaled, from the column that is best at `p`.
pub(crate) fn bound_of(oracle: &Oracle<'_>, column: &Column, prices: &[f64], phase: Phase) -> f64 {
    let tolls: f64 = oracle.rows.iter().zip(prices).map(|(row, price)| row.bound * price).sum();
    tolls + column.score(prices, phase)
}

/// `value`, or `otherwise` where it is no positive number.
fn positive_or(value: f64, otherwise: f64) -> f64 {
    if value > 0.0 && value.is_finite() { value } else { otherwise }
}

#[cfg(test)]
mod tests {
    use tollgate_core::{Seed, dual_bound};
    use tollgate_testkit::instances::{routing, split_budgets};

    use super::*;

    /// Inside the box of a fold everything is as without it, and as the core says.
    #[test]
    fn folding_changes_nothing() {
        let problem = routing(500, 6, Seed(23));
        let problem = problem.with_rows(split_budgets(&problem, 1.0)).unwrap();
        let layout = Layout::new(&problem);
        let (rows, unit) = scale(&problem, &layout);
        let mut plain = Oracle::new(&problem, &layout, &rows, unit);
        let mut folded = Oracle::new(&problem, &layout, &rows, unit);
        let sides = Sides { floors: vec![0.9; 6], ceilings: vec![1.1; 6] };
        folded.fold(&sides, Phase::Objective);
        assert!(folded.fold.as_ref().unwrap().layout.n_queries() < 250);
        let tighter = Sides { floors: vec![0.98; 6], ceilings: vec![1.1; 6] };
        folded.fold(&tighter, Phase::Objective);
        for at in 0..20 {
            let prices: Vec<f64> =
                (0..6).map(|row| 1.0 + 0.1 * f64::from((7 * at + 3 * row) % 11) / 11.0).collect();
            let a = plain.evaluate(&prices, Phase::Objective);
            let b = folded.evaluate(&prices, Phase::Objective);
            assert!((a.value - b.value).abs() < 1e-12);
            assert!(a.usage.iter().zip(&b.usage).all(|(a, b)| (a - b).abs() < 1e-12));
            let near = folded.choices(&[1.0; 6]);
            let replayed = folded.replay(&b, &[1.0; 6], &near);
            assert_eq!(replayed, plain.choices(&prices));
            let own: Vec<f64> = prices.iter().zip(&rows).map(|(p, r)| p * r.price_unit).collect();
            let bound = plain.bound(&prices);
            assert!((bound - dual_bound(&problem, &own)).abs() < 1e-12 * bound);
        }
    }
}
