//! From a mixture of assignments to a vertex of problem (1), where at most as many
//! queries are split as there are rows.
//!
//! Almost all queries choose the same in every assignment mixed. Each of the others has
//! a *key* option, and a *direction* for every other option: share that moves from the
//! key to it. Directions enter a basis of the `K` rows one by one, as in the crossover
//! of an interior point method (Megiddo, 1991): each is pushed, in the sense in which
//! the value does not fall, until it is spent, or until something basic is, whose place
//! it takes. What is basic in the end is split; there are `K` places.
//!
//! Working with directions instead of shares leaves the choice constraints out of the
//! basis (generalized upper bounds: Dantzig and Van Slyke, 1967).

use tollgate_core::{Primal, Problem};

use crate::dense::{Inverse, dot, scale_row};
use crate::dual::{Column, Layout, Oracle, ScaledRow};

/// A share or a rate below this is rounding.
const TINY: f64 = 1e-11;
/// Pushes of one direction before it is left where it is.
const PATIENCE: usize = 1000;

/// For every query the models it goes to; `n_models` stands for declined.
#[derive(Debug)]
pub(super) struct Mixture {
    n_models: u32,
    /// The one option of each query that is not split.
    whole: Vec<u32>,
    /// In order of queries.
    split: Vec<Split>,
    /// Of each row, scaled.
    usage: Vec<f64>,
}

/// A query whose shares differ.
#[derive(Debug)]
struct Split {
    query: u32,
    /// Ascending.
    options: Vec<u32>,
    shares: Vec<f64>,
}

impl Mixture {
    /// The convex combination of some columns, `(column, share)`, found near the scaled
    /// prices `center`.
    pub(super) fn new(
        oracle: &mut Oracle<'_>,
        layout: &Layout,
        columns: &[Column],
        shares: &[(usize, f64)],
        center: &[f64],
    ) -> Self {
        let n_rows = oracle.rows.len();
        let mut active: Vec<(usize, f64)> =
            shares.iter().copied().filter(|(_, share)| *share > 1e-14).collect();
        let total: f64 = active.iter().map(|(_, share)| share).sum();
        for (_, share) in &mut active {
            *share /= total;
        }
        #[expect(clippy::cast_possible_truncation, reason = "models are u32 in an answer")]
        let n_models = layout.n_models() as u32;
        let near = oracle.choices(center);
        let choices: Vec<Vec<u32>> = active
            .iter()
            .map(|(column, _)| oracle.replay(&columns[*column], center, &near))
            .collect();
        let whole = choices.first().cloned().unwrap_or_default();
        let mut differs = vec![false; whole.len()];
        for other in choices.iter().skip(1) {
            for ((differs, a), b) in differs.iter_mut().zip(&whole).zip(other) {
                *differs |= a != b;
            }
        }
        let split = (0..whole.len()).filter(|&query| differs[query]).map(|query| {
            let mut parts: Vec<(u32, f64)> =
                choices.iter().zip(&active).map(|(c, (_, share))| (c[query], *share)).collect();
            parts.sort_by_key(|(option, _)| *option);
            parts.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                kept.1 += if same { next.1 } else { 0.0 };
                same
            });
            let (options, shares) = parts.into_iter().unzip();
            #[expect(clippy::cast_possible_truncation, reason = "queries are u32 in a layout")]
            Split { query: query as u32, options, shares }
        });
        let split = split.collect();
        let mut usage = vec![0.0; n_rows];
        for (column, share) in &active {
            for (total, usage) in usage.iter_mut().zip(&columns[*column].usage) {
                *total += share * usage;
            }
        }
        Self { n_models, whole, split, usage }
    }

    /// See the module page. The value does not fall, and no row is broken that was kept.
    pub(super) fn move_to_vertex(&mut self, problem: &Problem, rows: &[ScaledRow], unit: f64) {
        if self.split.len() <= 1 {
            return;
        }
        let mut walk = Walk::new(self, problem, rows, unit);
        for query in 0..walk.queries.len() {
            for option in 0..walk.queries[query].shares.len() {
                walk.push(query, option);
            }
        }
        for (split, query) in self.split.iter_mut().zip(walk.queries) {
            split.shares = query.shares;
        }
    }

    /// The answer without the declined shares, and without the tiny ones.
    pub(super) fn into_primal(self) -> Primal {
        let mut splits = self.split.into_iter().peekable();
        let mut primal = Primal::with_capacity(self.whole.len());
        for (query, whole) in self.whole.into_iter().enumerate() {
            let Some(split) = splits.next_if(|split| split.query as usize == query) else {
                primal.push((whole != self.n_models).then_some((whole, 1.0)));
                continue;
            };
            let total: f64 = split.shares.iter().filter(|share| **share > TINY).sum();
            let parts = split.options.into_iter().zip(split.shares);
            let served = parts.filter(|(option, share)| *option != self.n_models && *share > TINY);
            primal.push(served.map(|(option, share)| (option, share / total)));
        }
        primal
    }
}

/// The options of a split query.
#[derive(Debug)]
struct Query {
    shares: Vec<f64>,
    /// Scaled usage of each option, one entry a row.
    usage: Vec<Vec<f64>>,
    /// Scaled value of each option.
    value: Vec<f64>,
    key: usize,
}

/// What may be in the basis.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Basic {
    /// What a row has to spare, at no cost.
    Spare(usize),
    /// By how much a soft row is exceeded, at its penalty.
    Excess(usize),
    /// Share moved from the key of a query to this option.
    Direction(usize, usize),
}

/// What stops a push.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Spent,
    Basic(usize),
    Key(usize),
}

/// The basis and its inverse.
#[derive(Debug)]
struct Walk<'w> {
    queries: Vec<Query>,
    rows: &'w [ScaledRow],
    basis: Vec<Basic>,
    /// What each row has to spare, or exceeds.
    levels: Vec<f64>,
    inverse: Inverse,
}

impl<'w> Walk<'w> {
    fn new(mixture: &Mixture, problem: &Problem, rows: &'w [ScaledRow], unit: f64) -> Self {
        let queries = mixture.split.iter().map(|split| {
            let query = split.query as usize;
            let (weight, group) = (problem.weight(query), problem.group(query));
            let usage = split.options.iter().map(|&model| {
                let reading = |(row, scaled): (&tollgate_core::Row, &ScaledRow)| {
                    let covers =
                        model < mixture.n_models && row.scope.covers(group, model as usize);
                    if !covers {
                        return 0.0;
                    }
                    weight * scaled.scale * problem.reading(row.meter, query, model as usize)
                };
                problem.rows().iter().zip(rows).map(reading).collect()
            });
            let value = |&model: &u32| {
                if model == mixture.n_models {
                    return 0.0;
                }
                weight * problem.value(query, model as usize) / unit
            };
            let shares = split.shares.clone();
            let key = (0..shares.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b]));
            Query {
                usage: usage.collect(),
                value: split.options.iter().map(value).collect(),
                key: key.unwrap_or(0),
                shares,
            }
        });
        let queries = queries.collect();
        let mut inverse = Inverse::identity(rows.len());
        let mut basis = Vec::with_capacity(rows.len());
        let mut levels = Vec::with_capacity(rows.len());
        for (at, (row, usage)) in rows.iter().zip(&mixture.usage).enumerate() {
            let spare = row.bound - usage;
            if spare < 0.0 && row.penalty.is_some() {
                basis.push(Basic::Excess(at));
                inverse.row_mut(at)[at] = -1.0;
                levels.push(-spare);
            } else {
                basis.push(Basic::Spare(at));
                levels.push(spare.max(0.0));
            }
        }
        Self { queries, rows, basis, levels, inverse }
    }

    /// Moves share between an option and the key until the direction is spent or basic.
    fn push(&mut self, query: usize, option: usize) {
        let entering = Basic::Direction(query, option);
        for _ in 0..PATIENCE {
            let of = &self.queries[query];
            if option == of.key || of.shares[option] <= 0.0 || self.basis.contains(&entering) {
                return;
            }
            let usage: Vec<f64> = difference(&of.usage[option], &of.usage[of.key]);
            let mut rates = vec![0.0; self.rows.len()];
            self.inverse.right_multiply(&usage, &mut rates);
            let costs: Vec<f64> = self.basis.iter().map(|basic| self.cost(*basic)).collect();
            let sense = if self.cost(entering) - dot(&costs, &rates) > 0.0 { 1.0 } else { -1.0 };
            scale_row(&mut rates, -sense);
            let Some((stop, step)) = self.stop(query, option, sense, &rates) else { return };
            self.advance(query, option, sense, &rates, step);
            match stop {
                Stop::Spent => {
                    self.queries[query].shares[option] = 0.0;
                    return;
                }
                Stop::Basic(position) => {
                    if let Basic::Direction(query, option) = self.basis[position] {
                        self.queries[query].shares[option] = 0.0;
                    }
                    scale_row(&mut rates, -sense);
                    self.basis[position] = entering;
                    self.inverse.pivot(position, &rates);
                    return;
                }
                Stop::Key(at) => {
                    if !self.change_key(at, (at == query).then_some(option)) {
                        return;
                    }
                }
            }
        }
    }

    /// What a unit of a basic, or entering, variable is worth.
    fn cost(&self, basic: Basic) -> f64 {
        match basic {
            Basic::Spare(_) => 0.0,
            Basic::Excess(row) => -self.rows[row].penalty.unwrap_or(0.0),
            Basic::Direction(query, option) => {
                let query = &self.queries[query];
                query.value[option] - query.value[query.key]
            }
        }
    }

    /// What reaches 0 first, and after how far.
    fn stop(&self, query: usize, option: usize, sense: f64, rates: &[f64]) -> Option<(Stop, f64)> {
        let mut first: Option<(Stop, f64)> = None;
        let mut offer = |stop, level: f64, rate: f64| {
            let step = level.max(0.0) / -rate;
            if rate < -TINY && first.is_none_or(|(_, least)| step < least) {
                first = Some((stop, step));
            }
        };
        offer(Stop::Spent, self.queries[query].shares[option], sense);
        for (position, (basic, rate)) in self.basis.iter().zip(rates).enumerate() {
            let level = match *basic {
                Basic::Spare(row) | Basic::Excess(row) => self.levels[row],
                Basic::Direction(query, option) => self.queries[query].shares[option],
            };
            offer(Stop::Basic(position), level, *rate);
        }
        for (at, rate) in self.key_rates(query, sense, rates) {
            let of = &self.queries[at];
            offer(Stop::Key(at), of.shares[of.key], rate);
        }
        first
    }

    /// How fast the keys change: each loses what its query's directions gain.
    fn key_rates(&self, query: usize, sense: f64, rates: &[f64]) -> Vec<(usize, f64)> {
        let mut keys = vec![(query, -sense)];
        for (basic, rate) in self.basis.iter().zip(rates) {
            if let Basic::Direction(query, _) = *basic {
                match keys.iter_mut().find(|(at, _)| *at == query) {
                    Some((_, total)) => *total -= rate,
                    None => keys.push((query, -rate)),
                }
            }
        }
        keys
    }

    fn advance(&mut self, query: usize, option: usize, sense: f64, rates: &[f64], step: f64) {
        for (at, rate) in self.key_rates(query, sense, rates) {
            let of = &mut self.queries[at];
            let key = of.key;
            of.shares[key] = (of.shares[key] + step * rate).max(0.0);
        }
        let share = &mut self.queries[query].shares[option];
        *share = (*share + step * sense).max(0.0);
        for (basic, rate) in self.basis.iter().zip(rates) {
            let level = match *basic {
                Basic::Spare(row) | Basic::Excess(row) => &mut self.levels[row],
                Basic::Direction(query, option) => &mut self.queries[query].shares[option],
            };
            *level = (*level + step * rate).max(0.0);
        }
    }

    /// The key of a query is spent: another option of it becomes the key. With a basic
    /// one, `o`, the other directions of the query lose the one of `o`, which is turned
    /// round; without, the entering option takes over. False where neither has a share.
    fn change_key(&mut self, query: usize, entering: Option<usize>) -> bool {
        let old = self.queries[query].key;
        self.queries[query].shares[old] = 0.0;
        let mut positions = Vec::new();
        for (position, basic) in self.basis.iter().enumerate() {
            if let Basic::Direction(at, option) = *basic
                && at == query
            {
                positions.push((position, option));
            }
        }
        let share = |option: usize| self.queries[query].shares[option];
        let best = positions.iter().copied().max_by(|a, b| share(a.1).total_cmp(&share(b.1)));
        match best {
            Some((position, option)) if share(option) > TINY => {
                for &(other, _) in positions.iter().filter(|(other, _)| *other != position) {
                    self.inverse.add_row(position, other);
                }
                scale_row(self.inverse.row_mut(position), -1.0);
                self.basis[position] = Basic::Direction(query, old);
                self.queries[query].key = option;
                true
            }
            None => entering.is_some_and(|option| {
                self.queries[query].key = option;
                true
            }),
            Some(_) => false,
        }
    }
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}
