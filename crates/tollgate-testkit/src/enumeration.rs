//! Every whole answer of a problem, one after the other: the slowest oracle there is.

use tollgate_core::{Choice, Problem};

/// What a row may be exceeded by, in units of what it has been charged and credited.
const ROUNDING: f64 = 1e-12;

/// The value of the best answer that splits no query and keeps every hard row; `None`
/// where there is none. It tries all `(models + 1)^queries`, or `models^queries` where
/// every query must be served.
pub fn best(problem: &Problem) -> Option<f64> {
    let n_rows = problem.rows().len();
    let mut search =
        Search { problem, used: vec![0.0; n_rows], moved: vec![0.0; n_rows], best: None };
    search.serve(0, 0.0);
    search.best
}

/// Where the search stands: the queries before this one are served or declined.
struct Search<'p> {
    problem: &'p Problem,
    /// Of each row, and the same without signs.
    used: Vec<f64>,
    moved: Vec<f64>,
    best: Option<f64>,
}

impl Search<'_> {
    fn serve(&mut self, query: usize, value: f64) {
        if query == self.problem.n_queries() {
            return self.judge(value);
        }
        if self.problem.choice() == Choice::AtMostOne {
            self.serve(query + 1, value);
        }
        for model in 0..self.problem.n_models() {
            let before = (self.used.clone(), self.moved.clone());
            for (at, row) in self.problem.rows().iter().enumerate() {
                if row.scope.covers(self.problem.group(query), model) {
                    let reading = self.problem.reading(row.meter, query, model);
                    let used = self.problem.weight(query) * reading;
                    self.used[at] += used;
                    self.moved[at] += used.abs();
                }
            }
            let gain = self.problem.weight(query) * self.problem.value(query, model);
            self.serve(query + 1, value + gain);
            (self.used, self.moved) = before;
        }
    }

    fn judge(&mut self, mut value: f64) {
        for ((row, used), moved) in self.problem.rows().iter().zip(&self.used).zip(&self.moved) {
            let excess = row.sense.sign() * (used - row.capacity);
            match row.penalty {
                Some(penalty) => value -= penalty * excess.max(0.0),
                None if excess > ROUNDING * (moved + row.capacity.abs()) => return,
                None => {}
            }
        }
        self.best = Some(self.best.map_or(value, |best| best.max(value)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tollgate_core::{Meter, Row, Scope};

    use super::*;

    fn best_of(choice: Choice, row: Row) -> Option<f64> {
        let problem = Problem::builder(2, 2, choice)
            .table(Meter::Quality, Arc::from([0.5, 0.9, 0.6, 0.7]))
            .table(Meter::Cost, Arc::from([1.0, 3.0, 1.0, 3.0]))
            .objective(Meter::Quality, 1.0)
            .rows([row])
            .build()
            .unwrap();
        best(&problem)
    }

    /// 3 USD serve both cheaply, 4 one of them dearly, and half a dollar nobody.
    #[test]
    fn budgets_on_paper() {
        let budget = |usd: f64| Row::at_most(Meter::Cost, Scope::all(), usd);
        assert_eq!(best_of(Choice::AtMostOne, budget(3.0)), Some(0.5 + 0.6));
        assert_eq!(best_of(Choice::AtMostOne, budget(4.0)), Some(0.9 + 0.6));
        assert_eq!(best_of(Choice::AtMostOne, budget(0.5)), Some(0.0));
        assert_eq!(best_of(Choice::ExactlyOne, budget(0.5)), None);
        // 1.5 USD too many at 0.1 a USD, where the upgrade is worth 0.2 a USD.
        let soft = best_of(Choice::ExactlyOne, budget(2.5).soft(0.1)).unwrap();
        assert!((soft - (0.9 + 0.6 - 0.15)).abs() < 1e-15, "{soft}");
    }
}
