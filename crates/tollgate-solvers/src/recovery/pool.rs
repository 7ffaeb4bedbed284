//! Which columns are kept.

use super::{Recovery, Source, sides};
use crate::cutting_plane::master::Master;
use crate::dual::Column;
use crate::dual::layout::LANES;
use crate::operator::Operator;

/// Columns kept: so many a row and so many more.
const KEPT_A_ROW: usize = 8;
const KEPT: usize = 64;
/// Tables of shares kept.
const TABLES: usize = 4;
impl Recovery<'_, '_> {
    /// Adds a column that is not known yet. Of tables only a few are kept: a new one takes
    /// the place of one that is not mixed, or else those mixed become one.
    pub(crate) fn keep(&mut self, column: Column, source: Source) {
        let known = |other: &Column| {
            other.value.total_cmp(&column.value).is_eq() && other.usage == column.usage
        };
        let numbers = || column.usage.iter().chain([&column.value]);
        if !numbers().all(|number| number.is_finite()) || self.master.columns.iter().any(known) {
            return;
        }
        let free = if matches!(source, Source::Table(_)) { self.free_table() } else { None };
        if let Some(free) = free {
            self.master.columns[free] = column;
            self.sources[free] = source;
        } else {
            self.master.columns.push(column);
            self.sources.push(source);
        }
    }

    /// Where as many tables are kept as may be, one that another may replace. Where all of
    /// them are mixed, they become one.
    fn free_table(&mut self) -> Option<usize> {
        let is_table = |&at: &usize| matches!(self.sources[at], Source::Table(_));
        let tables: Vec<usize> = (0..self.sources.len()).filter(is_table).collect();
        if tables.len() < TABLES {
            return None;
        }
        let basic: Vec<(usize, f64)> = self.master.shares().collect();
        let mixed = |at: usize| basic.iter().any(|(basic, _)| *basic == at);
        let free = tables.iter().copied().find(|&at| !mixed(at));
        if free.is_none() {
            self.merge(&tables, &basic);
        }
        free
    }

    /// Replaces some tables, all of them mixed, by their own mixture.
    fn merge(&mut self, tables: &[usize], basic: &[(usize, f64)]) {
        let share = |at: usize| basic.iter().find(|(column, _)| *column == at).map_or(0.0, |b| b.1);
        let total: f64 = tables.iter().map(|&at| share(at)).sum();
        let even = 1.0 / tables.len() as f64;
        let mut value = 0.0;
        let mut usage = vec![0.0; self.best.len()];
        let mut merged = vec![[0.0; LANES]; self.operator.table_len()];
        for &at in tables {
            let part = if total > 0.0 { share(at) / total } else { even };
            let column = &self.master.columns[at];
            value += part * column.value;
            for (usage, more) in usage.iter_mut().zip(&column.usage) {
                *usage += part * more;
            }
            if let Source::Table(table) = &self.sources[at] {
                for (merged, shares) in
                    merged.as_flattened_mut().iter_mut().zip(table.as_flattened())
                {
                    *merged += part * shares;
                }
            }
        }
        for &at in tables.iter().rev() {
            self.master.columns.remove(at);
            self.sources.remove(at);
        }
        self.master.columns.push(Operator::column(value, usage, &self.best, self.phase));
        self.sources.push(Source::Table(merged));
        self.rebuild();
    }

    /// Where there are too many columns, drops those that are worth least at the best
    /// prices, but none that is mixed.
    pub(super) fn prune(&mut self) {
        let most = KEPT + KEPT_A_ROW * (self.best.len() + 1);
        if self.master.columns.len() <= most {
            return;
        }
        let basic: Vec<usize> = self.master.shares().map(|(column, _)| column).collect();
        let columns = std::mem::take(&mut self.master.columns);
        let sources = std::mem::take(&mut self.sources);
        let mut all: Vec<(bool, f64, Column, Source)> = columns
            .into_iter()
            .zip(sources)
            .enumerate()
            .map(|(at, (column, source))| {
                let kept = basic.contains(&at) || column.origin.is_none();
                (kept, column.score(&self.best, self.phase), column, source)
            })
            .collect();
        all.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
        all.truncate(most / 2);
        (self.master.columns, self.sources) =
            all.into_iter().map(|(_, _, column, source)| (column, source)).unzip();
        self.rebuild();
    }

    /// A new master over the columns of the old one, for the phase that is on.
    pub(super) fn rebuild(&mut self) {
        let columns = std::mem::take(&mut self.master.columns);
        let sides = sides(self.oracle, self.phase);
        self.master = Master::new(self.oracle.rows, sides, columns, self.phase);
    }
}
