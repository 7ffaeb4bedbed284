//! What a window has achieved so far.
//!
//! # Problem
//! After some of a window's queries the mean score of the rest has to make up for what the
//! others lacked, or may use what they had to spare. Some of their scores have been told, of
//! others only the expectation is known, and answers come in any order.
//!
//! # Method
//! With `A` the sum of the scores told, `E` what is expected of the `u` answers whose score
//! nobody has told (yet), each with the bias of the prices that chose it, `r` queries to come,
//! and `N` all of them, the rest is asked to be expected to score, on average,
//!
//! ```text
//! t = alpha + [ (N - r) alpha - A - (E + u e) + m ] / r - b - e                      (1)
//! m = z s sqrt((u + r) (1 + (u + r) / n))
//! ```
//!
//! which is equation (3) of the floor's page for the part of the window that is not known, and
//! the very same before the first arrival. On a course, which knows what scores to aim for when
//! so much is needed of so many, `b` and what follows from it are the course's, and `m` is only
//! for the share of answers whose scores are not told. `b` is the bias of the prices in force, and `e` how
//! far scores that were told are from what was expected of them, bias included: their sum over
//! the history's `n` and their own number, one sample with a history where that mean is 0.
//!
//! The queries that come are not quite those that prices are solved on: at prices for a mean
//! expectation of `t` the chosen may be expected to score a little more or less. What is
//! lacking at the end of a window is dear, so this is followed from the start, as the mean of
//! one sample with the history: `sum (expectation - t) / (n + answers)` comes off the target.
//! And where most of the window is not known anyway, what little is lacking on paper is spread
//! over no fewer than a twentieth of what is open.

use std::collections::VecDeque;

use tollgate_core::ScoreAccount;

use super::course::Course;
use super::margin::Errors;

/// What is remembered of an arrival until its answer is known.
#[derive(Clone, Debug)]
struct Pending {
    arrival: u64,
    quality: Box<[f64]>,
    /// What its prices were solved for, and their bias.
    plan: Plan,
    /// Whether it has been answered, without a score so far.
    untold: bool,
}

/// What prices are for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    /// The mean expectation that was asked for.
    pub(crate) target: f64,
    /// Score less expectation of what they choose on the history.
    pub(crate) bias: f64,
}

/// Answers and scores that are waited for at the most; beyond them none is expected for the
/// oldest.
const WAITING: usize = 4_096;

/// The account of one window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// Arrivals whose score may still be told, the oldest first.
    pending: VecDeque<Pending>,
    /// Of the window, and of errors over all windows.
    scores: ScoreAccount,
    /// The sum of expectations less what prices were solved for, over all windows, and how many
    /// answers that is.
    surplus: f64,
    answers: f64,
}

/// The least share of what is open that a lack is spread over.
const SPREAD: f64 = 0.05;

impl Account {
    /// A window begins with this arrival; what was learned of errors stays.
    pub(crate) fn begin(&mut self, arrival: u64) {
        let ScoreAccount { compared, errors, .. } = self.scores;
        self.scores = ScoreAccount { since: arrival, compared, errors, ..ScoreAccount::default() };
    }

    /// Where another pool of models goes on. Answers under way are taken to score the floor.
    pub(crate) fn resume(scores: ScoreAccount) -> Self {
        Self { scores, ..Self::default() }
    }

    /// For whoever goes on from here.
    pub(crate) fn scores(&self) -> ScoreAccount {
        self.scores
    }

    /// An arrival is about to be ranked, with these expected scores, at the prices of a plan.
    pub(crate) fn arrive(&mut self, arrival: u64, quality: &[f64], plan: Plan) {
        if self.pending.len() == WAITING {
            self.pending.pop_front();
        }
        let quality = quality.into();
        self.pending.push_back(Pending { arrival, quality, plan, untold: false });
    }

    /// `model` has answered it; `score` is how well, where somebody has said so. The score may
    /// come after the answer, as a second call.
    pub(crate) fn answer(&mut self, arrival: u64, model: usize, score: Option<f64>) {
        let Ok(at) = self.pending.binary_search_by_key(&arrival, |pending| pending.arrival) else {
            return;
        };
        let pending = &mut self.pending[at];
        let Some(&expected) = pending.quality.get(model) else { return };
        if !pending.untold {
            self.surplus += expected - pending.plan.target;
            self.answers += 1.0;
        }
        let expected = expected + pending.plan.bias;
        // An answer to a query of the window before is no part of this one.
        let counts = arrival >= self.scores.since;
        let Some(score) = score else {
            if counts && !pending.untold {
                self.scores.untold += 1.0;
                self.scores.expected += expected;
            }
            pending.untold = true;
            return;
        };
        self.scores.errors += score - expected;
        self.scores.compared += 1.0;
        if counts {
            if pending.untold {
                self.scores.untold -= 1.0;
                self.scores.expected -= expected;
            }
            self.scores.told += 1.0;
            self.scores.achieved += score;
        }
        self.pending.remove(at);
    }

    /// Whether any score has been told.
    pub(crate) fn is_steered(&self) -> bool {
        self.scores.compared > 0.0
    }

    /// Equation (1): what the `rest` queries to come must be expected to score on average.
    pub(crate) fn target(&self, alpha: f64, z: f64, errors: &Errors, rest: f64) -> f64 {
        let open = self.scores.untold + rest;
        let margin = self.margin(z, errors, open);
        let lacking = self.needed(alpha, errors, rest) - rest * alpha + margin;
        alpha + lacking / rest.max(SPREAD * open) - self.off(errors)
    }

    /// As [`target`](Self::target), on a course.
    pub(crate) fn target_on(
        &self,
        course: &Course,
        (alpha, z): (f64, f64),
        errors: &Errors,
        rest: f64,
    ) -> f64 {
        // What nobody will tell is not learned on the way, and needs its margin from the start.
        // As a window begins nothing of it has been heard or not been heard.
        let share = self.scores.untold / (self.scores.told + self.scores.untold).max(1.0);
        let margin = self.margin(z, errors, self.scores.untold + share * rest);
        let off = self.off(errors) - errors.bias;
        course.aim(rest, self.needed(alpha, errors, rest) + margin) - off
    }

    /// What the `rest` queries to come have to score in all.
    fn needed(&self, alpha: f64, errors: &Errors, rest: f64) -> f64 {
        let sure =
            self.scores.achieved + self.scores.expected + self.scores.untold * self.error(errors);
        (self.scores.told + self.scores.untold + rest) * alpha - sure
    }

    /// `m` for so many answers that are not known.
    fn margin(&self, z: f64, errors: &Errors, open: f64) -> f64 {
        let known = errors.known + self.scores.compared;
        z * errors.deviation * (open * (1.0 + open / known)).sqrt()
    }

    /// `e`.
    fn error(&self, errors: &Errors) -> f64 {
        self.scores.errors / (errors.known + self.scores.compared)
    }

    /// How far scores are above what prices were solved for.
    fn off(&self, errors: &Errors) -> f64 {
        let surplus = self.surplus / (errors.known + self.answers);
        errors.bias + self.error(errors) + surplus
    }
}

#[cfg(test)]
mod tests;
