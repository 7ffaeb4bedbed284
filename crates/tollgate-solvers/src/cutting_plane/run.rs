//! One solve: start, phases, answer.

use std::sync::Arc;

use tollgate_core::{Choice, Primal, Problem, Solution, SolveError, SolveOptions, Status};

use super::master::Variable;
use super::search::{End, Search};
use super::vertex::Mixture;
use super::{CuttingPlane, Known, NAME};
use crate::dense::dot;
use crate::dual::{self, Column, Layout, Oracle, Phase, ScaledRow, Sides};
use crate::warm::{WARM_ERROR, Warm};

/// The stride between nested samples, and the fewest queries worth sampling.
const SAMPLE: usize = 8;
const SAMPLED: usize = 1024;
/// How well a sample is solved: it is wrong by more than this anyway.
const SAMPLE_GAP: f64 = 1e-4;
/// The error of a sample's prices is this over the root of its size, relative.
const SAMPLE_ERROR: f64 = 2.0;
/// By how much a side in the way is moved out, and how often.
const WIDEN: f64 = 8.0;
const WIDENINGS: i32 = 20;
/// After this often the box is not drawn closer any more.
const SHRINKS: i32 = 3;

/// What all parts of a solve share.
#[derive(Debug)]
pub(super) struct Run<'r> {
    pub(super) solver: &'r CuttingPlane,
    pub(super) problem: &'r Problem,
    pub(super) options: &'r SolveOptions,
    pub(super) iterations: u64,
}

/// Where a search starts.
#[derive(Debug)]
pub(super) struct Start {
    /// Scaled prices.
    center: Vec<f64>,
    /// How wrong each may be, relative; `None` where it is a mere guess.
    errors: Vec<Option<f64>>,
    /// Columns that hold.
    columns: Vec<Column>,
}

/// How the phases ended.
#[derive(Debug)]
pub(super) struct Found {
    status: Status,
    prices: Vec<f64>,
    columns: Vec<Column>,
    /// `(column, share)`; none where a hard row is broken.
    shares: Option<Vec<(usize, f64)>>,
}

impl Run<'_> {
    /// What is known before the first pass.
    pub(super) fn start(
        &self,
        oracle: &mut Oracle<'_>,
        layout: &Arc<Layout>,
        warm: Option<&Warm>,
    ) -> Start {
        let rows = self.problem.rows();
        let known = warm.and_then(|warm| Some((warm, warm.prices_for_most(rows)?)));
        let Some((warm, prices)) = known else { return self.sampled(oracle, layout) };
        let errors = prices.iter().map(|price| price.map(|_| WARM_ERROR)).collect();
        let scaled =
            |(price, row): (Option<f64>, &ScaledRow)| price.unwrap_or(0.0) / row.price_unit;
        let center = prices.into_iter().zip(oracle.rows).map(scaled).collect();
        let columns_hold = |known: &&Known| {
            Arc::ptr_eq(&known.layout, layout)
                && known.objective == super::objective_bits(self.problem)
                && warm.has_rows(rows)
        };
        let columns = match warm.own::<Known>().filter(columns_hold) {
            Some(known) => known.columns.clone(),
            None => self.nobody(),
        };
        Start { center, errors, columns }
    }

    /// "Serve nobody", where that is allowed.
    fn nobody(&self) -> Vec<Column> {
        let usage = vec![0.0; self.problem.rows().len()];
        match self.problem.choice() {
            Choice::AtMostOne => vec![Column { origin: None, value: 0.0, usage }],
            Choice::ExactlyOne => Vec::new(),
        }
    }

    /// Prices of a sample, and the columns around them.
    fn sampled(&self, oracle: &mut Oracle<'_>, layout: &Layout) -> Start {
        let columns = self.nobody();
        if layout.n_queries() < SAMPLED || oracle.rows.is_empty() {
            let n_rows = oracle.rows.len();
            return Start { center: vec![0.0; n_rows], errors: vec![None; n_rows], columns };
        }
        let sample = layout.sample(SAMPLE);
        let mut of_sample = Oracle::new(self.problem, &sample, oracle.rows, oracle.unit);
        let start = self.sampled(&mut of_sample, &sample);
        let options = SolveOptions {
            max_iterations: self.options.max_iterations.min(50 * (oracle.rows.len() as u64 + 4)),
            ..self.options.clone()
        };
        let mut search = self.search(&mut of_sample, start);
        search.run(SAMPLE_GAP, &options, &mut 0);
        let error = SAMPLE_ERROR / (sample.n_queries() as f64).sqrt();
        let error = search.in_the_way().is_empty().then_some(error);
        let errors = vec![error; oracle.rows.len()];
        let center = search.center;
        oracle.add_work(&of_sample);
        Start { center, errors, columns }
    }

    /// A search in a box as wide as the start is wrong.
    fn search<'o, 'a>(&self, oracle: &'o mut Oracle<'a>, start: Start) -> Search<'o, 'a> {
        let Start { center, errors, columns } = start;
        let mut sides = self.widest(oracle);
        if errors.iter().any(Option::is_some) {
            for (row, (&price, error)) in center.iter().zip(&errors).enumerate() {
                let Some(error) = error else { continue };
                let ScaledRow { natural_price, penalty, .. } = &oracle.rows[row];
                let most = penalty.unwrap_or(f64::INFINITY);
                (sides.floors[row], sides.ceilings[row]) =
                    dual::around(price, *error, *natural_price, most);
            }
            oracle.fold(&sides, Phase::Objective);
        }
        Search::new(oracle, Phase::Objective, &center, sides, columns, self.solver.smoothing)
    }

    /// The widest box before it is known that every row can be kept.
    fn widest(&self, oracle: &Oracle<'_>) -> Sides {
        let ceiling = |row: &ScaledRow| {
            row.penalty.unwrap_or(f64::INFINITY).min(self.solver.ceiling * row.natural_price)
        };
        Sides {
            floors: vec![0.0; oracle.rows.len()],
            ceilings: oracle.rows.iter().map(ceiling).collect(),
        }
    }

    /// Both phases.
    pub(super) fn solve(&mut self, oracle: &mut Oracle<'_>, start: Start) -> Found {
        let mut search = self.search(oracle, start);
        let mut known_feasible = false;
        let mut widened = 0;
        loop {
            let end = search.run(self.options.gap, self.options, &mut self.iterations);
            let in_the_way = search.in_the_way();
            if in_the_way.is_empty()
                || matches!(end, End::Limit | End::Cancelled)
                || widened == WIDENINGS
            {
                let status = match end {
                    End::Met | End::Feasible if in_the_way.is_empty() => Status::Optimal,
                    End::Cancelled => Status::Cancelled,
                    _ => Status::LimitReached,
                };
                let kept = !search.breaks_a_row();
                let shares = kept.then(|| search.master.shares().collect());
                let (prices, columns) = (search.center, search.master.columns);
                return Found { status, prices, columns, shares };
            }
            let Search { oracle, master, center, .. } = search;
            let (mut sides, mut columns) = (master.sides, master.columns);
            let widest = self.widest(oracle);
            let suspicious = in_the_way.iter().any(|side| {
                matches!(side, Variable::Excess(row) if sides.ceilings[*row] >= widest.ceilings[*row])
            });
            if suspicious && !known_feasible {
                match self.feasible(oracle, columns) {
                    Ok(known) => columns = known,
                    Err((status, columns)) => {
                        return Found { status, prices: center, columns, shares: None };
                    }
                }
                known_feasible = true;
            }
            widen(&mut sides, &center, oracle, &in_the_way, widened);
            widened += 1;
            oracle.fold(&sides, Phase::Objective);
            search = Search::new(
                oracle,
                Phase::Objective,
                &center,
                sides,
                columns,
                self.solver.smoothing,
            );
            search.shrinks &= widened < SHRINKS;
        }
    }

    /// Looks for the least total violation of the hard rows. Returns the columns known
    /// then, among them a mixture that keeps every row; or why not.
    fn feasible(
        &mut self,
        oracle: &mut Oracle<'_>,
        columns: Vec<Column>,
    ) -> Result<Vec<Column>, (Status, Vec<Column>)> {
        let center = vec![0.0; oracle.rows.len()];
        let sides = Sides {
            floors: center.clone(),
            ceilings: oracle
                .rows
                .iter()
                .map(|row| f64::from(u8::from(row.penalty.is_none())))
                .collect(),
        };
        let smoothing = self.solver.smoothing;
        let mut search =
            Search::new(oracle, Phase::Feasibility, &center, sides, columns, smoothing);
        let end = search.run(1e-9, self.options, &mut self.iterations);
        let columns = search.master.columns;
        let status = match end {
            End::Feasible => return Ok(columns),
            End::Cancelled => Status::Cancelled,
            End::Met | End::Stalled | End::Limit => {
                match dual::refutation(search.oracle.rows, &search.center, search.bound) {
                    Some(refuted) => refuted,
                    None if end == End::Limit => Status::LimitReached,
                    None => return Ok(columns),
                }
            }
        };
        Err((status, columns))
    }

    /// The answer, in the problem's own units.
    pub(super) fn finish(
        &self,
        found: Found,
        oracle: &mut Oracle<'_>,
        layout: &Arc<Layout>,
    ) -> Result<Solution, SolveError> {
        let dual_bound = oracle.bound(&found.prices);
        let prices = dual::own_prices(
            self.problem,
            oracle.rows,
            (&found.prices, dual_bound),
            (NAME, self.iterations),
        )?;
        // They add up to 1, or numbers of very different size have drowned them.
        let mixed =
            found.shares.as_ref().map(|all| all.iter().map(|(_, share)| share).sum::<f64>());
        if let Some(got) = mixed.filter(|total| !(0.5..2.0).contains(total)) {
            let (what, iteration) = ("the sum of all shares", self.iterations);
            return Err(SolveError::Breakdown { solver: NAME, what, got, iteration });
        }
        let primal = found.shares.as_ref().map(|shares| {
            let mut mixture = Mixture::new(oracle, layout, &found.columns, shares, &found.prices);
            if self.solver.vertex {
                mixture.move_to_vertex(self.problem, oracle.rows, oracle.unit);
            }
            mixture.into_primal()
        });
        let primal_value = primal.as_ref().map_or(f64::NEG_INFINITY, |p| self.value_of(p));
        let known = Known {
            layout: Arc::clone(layout),
            objective: super::objective_bits(self.problem),
            columns: keep(found.columns, &found.prices, found.shares.as_deref()),
        };
        let warm = Warm::state(self.problem.rows().to_vec(), prices.clone(), known);
        Ok(Solution {
            status: found.status,
            prices,
            dual_bound,
            primal_value,
            primal,
            gap: Solution::relative_gap(dual_bound, primal_value),
            iterations: self.iterations,
            passes: oracle.passes(),
            warm: Some(warm),
        })
    }

    fn value_of(&self, primal: &Primal) -> f64 {
        self.problem.check(primal).value
    }
}

/// Moves the sides that are in the way out, the further the more often it was done,
/// and the others a little, since their prices will move too.
fn widen(
    sides: &mut Sides,
    center: &[f64],
    oracle: &Oracle<'_>,
    in_the_way: &[Variable],
    times: i32,
) {
    for (row, &price) in center.iter().enumerate() {
        let natural = oracle.rows[row].natural_price;
        let width = sides.ceilings[row] - sides.floors[row];
        let blocked = in_the_way.contains(&Variable::Spare(row))
            || in_the_way.contains(&Variable::Excess(row));
        let factor = if blocked { WIDEN } else { 1.0 };
        let reach = factor * width.max(1e-6 * natural * WIDEN.powi(times));
        sides.floors[row] = sides.floors[row].min((price - reach).max(0.0));
        let most = oracle.rows[row].penalty.unwrap_or(f64::INFINITY);
        sides.ceilings[row] = sides.ceilings[row].max((price + reach).min(most));
    }
}

/// The columns worth remembering: those mixed, and the next best at the final prices,
/// four for each row.
fn keep(columns: Vec<Column>, prices: &[f64], shares: Option<&[(usize, f64)]>) -> Vec<Column> {
    let most = 4 * (prices.len() + 1);
    let basic = |index: usize| shares.is_some_and(|all| all.iter().any(|(k, _)| *k == index));
    let mut ranked: Vec<(bool, f64, usize, Column)> = columns
        .into_iter()
        .enumerate()
        .map(|(index, column)| {
            let score = column.value - dot(prices, &column.usage);
            (basic(index) || column.origin.is_none(), score, index, column)
        })
        .collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
    ranked.into_iter().take(most).map(|(.., column)| column).collect()
}
