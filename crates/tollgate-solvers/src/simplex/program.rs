//! What is minimized: the dual function of problem (1), or that of its rows alone, in
//! the scaled units of [`crate::dual`].

use tollgate_core::{Meter, Problem};

use crate::dense::dot;
use crate::dual::{Layout, Phase, ScaledRow};

/// The rows as sums of tolls, apart from any particular queries: one for a problem and
/// all of its samples.
///
/// A toll belongs to a (group, option, metered slot); what an option pays is the sum of
/// its tolls times its readings.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// Of each slot of an option; zeros where feasibility is all that is asked.
    pub(super) objective: Vec<f64>,
    /// Of each row.
    pub(super) bounds: Vec<f64>,
    /// The highest price of each row: its penalty, or infinite.
    pub(super) walls: Vec<f64>,
    /// A price far above this is suspicious.
    pub(super) natural: Vec<f64>,
    /// From usage to scaled usage, of each row.
    scales: Vec<f64>,
    /// The coefficients of a pass that each row takes part in.
    slots: Vec<Vec<u32>>,
    /// The slots of an option that some row meters.
    pub(super) metered: Vec<usize>,
    /// Rows that charge each toll: `charging[charged[toll]..charged[toll + 1]]`.
    charged: Vec<u32>,
    charging: Vec<u32>,
    n_groups: usize,
    /// Models, and declining.
    pub(super) n_options: usize,
    /// The mean value of a query, were all worth 1 together.
    pub(super) grain: f64,
}

impl Program {
    pub(super) fn new(
        problem: &Problem,
        layout: &Layout,
        rows: &[ScaledRow],
        unit: f64,
        phase: Phase,
    ) -> Self {
        let meters: Vec<Meter> = layout.slots().collect();
        let (n_slots, n_groups) = (meters.len(), layout.n_groups());
        let n_options = layout.n_models() + 1;
        let slot_of = |meter| meters.iter().position(|m| *m == meter).expect("laid out");
        let mut metered: Vec<usize> = problem.rows().iter().map(|row| slot_of(row.meter)).collect();
        metered.sort_unstable();
        metered.dedup();
        let mut slots = Vec::with_capacity(rows.len());
        let mut charges: Vec<Vec<u32>> = vec![Vec::new(); n_groups * n_options * metered.len()];
        for (at, row) in problem.rows().iter().enumerate() {
            let slot = slot_of(row.meter);
            let toll = metered.iter().position(|s| *s == slot).expect("collected above");
            let mut covered = Vec::new();
            for group in 0..n_groups {
                for model in 0..layout.n_models() {
                    if row.scope.covers(index(group), model) {
                        let option = group * n_options + model;
                        covered.push(index(option * n_slots + slot));
                        charges[option * metered.len() + toll].push(index(at));
                    }
                }
            }
            slots.push(covered);
        }
        let mut charged = vec![0];
        let mut charging = Vec::new();
        for rows in charges {
            charging.extend(rows);
            charged.push(index(charging.len()));
        }
        let objective = meters.iter().map(|&meter| match phase {
            Phase::Objective => problem.objective(meter) / unit,
            Phase::Feasibility => 0.0,
        });
        let wall = |row: &ScaledRow| match phase {
            Phase::Objective => row.penalty.unwrap_or(f64::INFINITY),
            Phase::Feasibility => f64::from(u8::from(row.penalty.is_none())),
        };
        let weight = problem.total_weight();
        Self {
            objective: objective.collect(),
            bounds: rows.iter().map(|row| row.bound).collect(),
            walls: rows.iter().map(wall).collect(),
            natural: rows.iter().map(|row| row.natural_price).collect(),
            scales: rows.iter().map(|row| row.scale).collect(),
            slots,
            metered,
            charged,
            charging,
            n_groups,
            n_options,
            grain: if weight > 0.0 { 1.0 / weight } else { 1.0 },
        }
    }

    pub(super) fn n_rows(&self) -> usize {
        self.bounds.len()
    }

    /// The coefficients of a pass at these prices, `(n_groups, n_options, n_slots)`.
    pub(super) fn coefficients(&self, prices: &[f64]) -> Vec<f64> {
        let mut coefficients = self.objective.repeat(self.n_groups * self.n_options);
        for ((slots, scale), price) in self.slots.iter().zip(&self.scales).zip(prices) {
            for &slot in slots {
                coefficients[slot as usize] -= price * scale;
            }
        }
        coefficients
    }

    /// By how much those can move when each price moves by its radius.
    pub(super) fn reach(&self, radius: &[f64]) -> Vec<f64> {
        let mut reach = vec![0.0; self.objective.len() * self.n_groups * self.n_options];
        for ((slots, scale), radius) in self.slots.iter().zip(&self.scales).zip(radius) {
            for &slot in slots {
                reach[slot as usize] += radius * scale.abs();
            }
        }
        reach
    }

    pub(super) fn n_tolls(&self) -> usize {
        self.charged.len() - 1
    }

    /// The first toll of an option.
    pub(super) fn first_toll(&self, group: u32, option: usize) -> u32 {
        index((group as usize * self.n_options + option) * self.metered.len())
    }

    /// The tolls at these prices; 0 where they come to no more than `rounding`, relative.
    pub(super) fn tolls(&self, prices: &[f64], rounding: f64, tolls: &mut Vec<f64>) {
        tolls.clear();
        tolls.extend(self.charged.array_windows().map(|&[start, end]| {
            let (mut toll, mut gross) = (0.0, 0.0);
            for &row in &self.charging[start as usize..end as usize] {
                let part = prices[row as usize] * self.scales[row as usize];
                toll += part;
                gross += part.abs();
            }
            if toll.abs() <= rounding * gross { 0.0 } else { toll }
        }));
    }

    /// Adds `factor` times what an option uses, row by row. `readings` are those of the
    /// metered slots.
    pub(super) fn add_usage<'r>(
        &self,
        toll: u32,
        readings: impl Iterator<Item = &'r f64>,
        factor: f64,
        usage: &mut [f64],
    ) {
        for (toll, reading) in (toll as usize..).zip(readings) {
            let rows = self.charged[toll] as usize..self.charged[toll + 1] as usize;
            for &row in &self.charging[rows] {
                usage[row as usize] += factor * self.scales[row as usize] * reading;
            }
        }
    }

    /// Adds what an option uses to `sums`, and its square to `squares`, row by row.
    pub(super) fn add_moments(
        &self,
        toll: u32,
        readings: &[f64],
        weight: f64,
        (sums, squares): (&mut [f64], &mut [f64]),
    ) {
        for (toll, reading) in (toll as usize..).zip(readings) {
            let rows = self.charged[toll] as usize..self.charged[toll + 1] as usize;
            for &row in &self.charging[rows] {
                let usage = weight * self.scales[row as usize] * reading;
                sums[row as usize] += usage;
                squares[row as usize] += usage * usage;
            }
        }
    }

    /// What a pass totalled is worth; what is declined is worth nothing.
    pub(super) fn worth_of(&self, totals: &[f64]) -> f64 {
        let by_option = totals.chunks_exact(self.objective.len()).enumerate();
        let served = by_option.filter(|(option, _)| option % self.n_options + 1 < self.n_options);
        served.map(|(_, totals)| dot(totals, &self.objective)).sum()
    }

    /// Whether fields of `other` are fields of this: the same units, objective and walls.
    pub(super) fn shares_fields(&self, other: &Self) -> bool {
        let bits = |all: &[f64]| all.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        let same = |a: &[f64], b: &[f64]| bits(a) == bits(b);
        same(&self.objective, &other.objective)
            && same(&self.walls, &other.walls)
            && same(&self.scales, &other.scales)
            && self.slots == other.slots
    }

    /// Adds what a pass totalled, `(n_groups, n_options, n_slots)`, row by row.
    pub(super) fn add_totals(&self, totals: &[f64], usage: &mut [f64]) {
        for ((slots, scale), usage) in self.slots.iter().zip(&self.scales).zip(usage) {
            *usage += scale * slots.iter().map(|&slot| totals[slot as usize]).sum::<f64>();
        }
    }
}

/// An index that is known to fit: groups, models and queries are `u32`.
pub(super) fn index(at: usize) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "groups, models and queries are u32")]
    (at as u32)
}
