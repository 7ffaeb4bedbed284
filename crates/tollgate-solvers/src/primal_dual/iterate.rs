//! The state of one phase: shares, prices, their means, step and weight.

use super::pass::{self, Pass};
use crate::dense::dot;
use crate::dual::Phase;
use crate::dual::layout::{LANES, Lanes};
use crate::operator::Operator;
use crate::recovery::{Halt, Recovery, Source};

/// How much of the new ratio of distances goes into the primal weight at a restart.
const MOMENTUM: f64 = 0.5;
/// A restart at the latest after this share of all steps.
const LONG: f64 = 0.36;
/// The least size of the bounds that the first primal weight is divided by.
const SMALLEST: f64 = 1e-2;
/// Tries of one step before it is taken as it is.
const TRIES: usize = 40;

/// A place to restart from.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) error: f64,
    from_mean: bool,
}

/// A point `(x, p)` and what is known of its shares.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) shares: Vec<Lanes>,
    pub(super) prices: Vec<f64>,
    value: f64,
    usage: Vec<f64>,
}

/// See the module page.
#[derive(Debug)]
pub(super) struct Iterate {
    caps: Vec<f64>,
    /// `E` of (3).
    preconditioner: Vec<f64>,
    pub(super) current: Point,
    /// Weighted with the steps since the last restart.
    mean: Point,
    total: f64,
    /// Where the next shares are written.
    spare: Vec<Lanes>,
    /// Where the last restart was.
    restart_prices: Vec<f64>,
    restart_shares: Vec<Lanes>,
    eta: f64,
    omega: f64,
    steps: u64,
    steps_at_restart: u64,
    still: bool,
    pub(super) error_at_restart: f64,
    pub(super) last_error: f64,
}

impl Iterate {
    pub(super) fn new(omega: f64, recovery: &mut Recovery<'_, '_>, start: &[f64]) -> Self {
        let operator = recovery.operator;
        let n_rows = start.len();
        // Evenly over the models: the scores then say where to go.
        let share = 1.0 / recovery.layout.n_models() as f64;
        let shares = vec![[share; LANES]; operator.table_len()];
        let mut spare = shares.clone();
        let Pass { value, usage, .. } = pass::ascend(recovery, start, 0.0, &shares, &mut spare);
        recovery.add_pass();
        let current = Point { shares, prices: start.to_vec(), value, usage };
        let preconditioner: Vec<f64> = (0..n_rows).map(|row| 1.0 / operator.breadth(row)).collect();
        // As PDLP: the size of the objective, here 1, by that of the bounds.
        let bounds = recovery.oracle.rows.iter().zip(&preconditioner);
        let size = bounds.map(|(row, e)| e * row.bound * row.bound).sum::<f64>().sqrt();
        let omega = omega / size.clamp(SMALLEST, 1.0 / SMALLEST);
        Self {
            caps: recovery.caps(),
            preconditioner,
            mean: current.clone(),
            total: 0.0,
            spare,
            restart_prices: start.to_vec(),
            restart_shares: current.shares.clone(),
            current,
            eta: 1.0,
            omega,
            steps: 0,
            steps_at_restart: 0,
            still: false,
            error_at_restart: f64::INFINITY,
            last_error: f64::INFINITY,
        }
    }

    /// Algorithm 2: steps (2) and (3), shorter until they are short enough.
    pub(super) fn step(&mut self, recovery: &mut Recovery<'_, '_>) -> Result<(), Halt> {
        self.steps += 1;
        let age = self.steps as f64 + 1.0;
        for tries in 0.. {
            recovery.spend()?;
            recovery.add_pass();
            let tau = self.eta / self.omega;
            let Point { shares, prices, .. } = &self.current;
            let pass = pass::ascend(recovery, prices, tau, shares, &mut self.spare);
            if !(pass.value.is_finite() && pass.usage.iter().all(|used| used.is_finite())) {
                return Err(Halt::Broken(pass.value));
            }
            let next = self.descend(recovery, &pass);
            let moves: Vec<f64> =
                next.iter().zip(&self.current.prices).map(|(a, b)| a - b).collect();
            let norms = moves.iter().zip(&self.preconditioner).map(|(d, e)| d * d / e);
            let distance = self.omega * pass.travel + norms.sum::<f64>() / self.omega;
            let uses: Vec<f64> =
                pass.usage.iter().zip(&self.current.usage).map(|(a, b)| a - b).collect();
            let coupling = 2.0 * dot(&moves, &uses).abs();
            let most = if coupling > 0.0 { distance / coupling } else { f64::INFINITY };
            let eta = self.eta;
            self.eta = (most * (1.0 - age.powf(-0.3))).min(eta * (1.0 + age.powf(-0.6)));
            if eta <= most || tries == TRIES {
                self.still = distance <= 0.0;
                self.take(pass, next, eta);
                return Ok(());
            }
        }
        Ok(())
    }

    /// (3).
    fn descend(&self, recovery: &Recovery<'_, '_>, pass: &Pass) -> Vec<f64> {
        let sigma = self.eta * self.omega;
        let bounds = recovery.oracle.rows.iter().map(|row| row.bound);
        let ahead = pass.usage.iter().zip(&self.current.usage).map(|(next, now)| 2.0 * next - now);
        let slopes = bounds.zip(ahead).map(|(bound, used)| bound - used);
        let parts = self.current.prices.iter().zip(slopes).zip(&self.preconditioner);
        parts
            .zip(&self.caps)
            .map(|(((price, slope), e), cap)| (price - sigma * e * slope).max(0.0).min(*cap))
            .collect()
    }

    /// Goes to the next point and takes it into the mean.
    fn take(&mut self, pass: Pass, prices: Vec<f64>, eta: f64) {
        std::mem::swap(&mut self.current.shares, &mut self.spare);
        self.current.prices = prices;
        self.current.value = pass.value;
        self.current.usage = pass.usage;
        self.total += eta;
        let rate = eta / self.total;
        pass::average(&mut self.mean.shares, &self.current.shares, rate);
        let toward = |mean: &mut f64, now: f64| *mean += rate * (now - *mean);
        toward(&mut self.mean.value, self.current.value);
        for (mean, now) in self.mean.prices.iter_mut().zip(&self.current.prices) {
            toward(mean, *now);
        }
        for (mean, now) in self.mean.usage.iter_mut().zip(&self.current.usage) {
            toward(mean, *now);
        }
    }

    /// Whether the last step went nowhere: then this is a saddle point.
    pub(super) fn stands_still(&self) -> bool {
        self.still
    }

    /// Whether there has been no restart for a long time.
    pub(super) fn is_long(&self) -> bool {
        (self.steps - self.steps_at_restart) as f64 >= LONG * self.steps as f64
    }

    /// The better of the mean and the last point; both are offered to the recovery.
    pub(super) fn candidate(&self, recovery: &mut Recovery<'_, '_>) -> Result<Candidate, Halt> {
        let of_mean = error(&self.mean, recovery)?;
        let of_last = error(&self.current, recovery)?;
        let from_mean = of_mean <= of_last;
        let best = if from_mean { &self.mean } else { &self.current };
        let column = Operator::column(best.value, best.usage.clone(), &best.prices, recovery.phase);
        recovery.keep(column, Source::Table(best.shares.clone()));
        Ok(Candidate { error: of_mean.min(of_last), from_mean })
    }

    /// Goes on from a candidate, with a new primal weight (algorithm 4).
    pub(super) fn restart(&mut self, candidate: &Candidate, recovery: &Recovery<'_, '_>) {
        if candidate.from_mean {
            self.current.clone_from(&self.mean);
        } else {
            self.mean.clone_from(&self.current);
        }
        let moves = self.current.prices.iter().zip(&self.restart_prices).map(|(a, b)| a - b);
        let norms = moves.zip(&self.preconditioner).map(|(d, e)| d * d / e);
        let of_prices = norms.sum::<f64>().sqrt();
        let of_shares = pass::distance(recovery, &self.current.shares, &self.restart_shares);
        if of_prices > 1e-10 && of_shares > 1e-10 {
            let ratio = (of_prices / of_shares).ln();
            self.omega = (MOMENTUM * ratio + (1.0 - MOMENTUM) * self.omega.ln()).exp();
        }
        self.restart_prices.clone_from(&self.current.prices);
        self.restart_shares.clone_from(&self.current.shares);
        self.total = 0.0;
        self.steps_at_restart = self.steps;
        self.error_at_restart = candidate.error;
        self.last_error = candidate.error;
    }
}

/// The error of a point: the gap of its value to the dual function, and what its shares
/// break the hard rows by. An evaluation, whose column the recovery keeps.
fn error(point: &Point, recovery: &mut Recovery<'_, '_>) -> Result<f64, Halt> {
    let look = recovery.look(&point.prices)?;
    let mut value = if recovery.phase == Phase::Objective { point.value } else { 0.0 };
    let mut broken = 0.0;
    for (row, used) in recovery.oracle.rows.iter().zip(&point.usage) {
        let excess = (used - row.bound).max(0.0);
        match (row.penalty, recovery.phase) {
            (None, Phase::Feasibility) => value -= excess,
            (None, Phase::Objective) => broken += excess * excess,
            (Some(penalty), Phase::Objective) => value -= penalty * excess,
            (Some(_), Phase::Feasibility) => {}
        }
    }
    Ok(((look.bound - value).powi(2) + broken).sqrt())
}
