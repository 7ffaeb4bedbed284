//! Ratings that are played for: equations (1) and (2).

use crate::exp::exp;

/// Where everybody starts, in points.
pub(super) const START: f64 = 1500.0;

/// The difference in points at which ten wins are expected for one defeat.
const SCALE: f64 = 400.0;

/// Ratings in play, and the squares of what they have moved by; both of shape
/// `(n_models,)`.
#[derive(Debug)]
pub(super) struct Play<'a> {
    pub(super) ratings: &'a mut [f64],
    pub(super) moved: &'a mut [f64],
}

impl Play<'_> {
    /// Equation (2) for the models that have a score, NaN where there is none; `powers` and
    /// `moves` are buffers of shape `(n_models,)`. Whether anything was played.
    pub(super) fn round(
        &mut self,
        scores: &[f64],
        points: f64,
        powers: &mut [f64],
        moves: &mut [f64],
    ) -> bool {
        let players = scores.iter().filter(|score| !score.is_nan()).count();
        if players < 2 {
            return false;
        }
        // Beside the highest, so that no power is above 1; only ratios count.
        let highest = self.ratings.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for (power, rating) in powers.iter_mut().zip(&*self.ratings) {
            *power = exp((rating - highest) * (std::f64::consts::LN_10 / SCALE));
        }
        let games = || scores.iter().zip(&*powers).filter(|(score, _)| !score.is_nan());
        for (model, &score) in scores.iter().enumerate() {
            // Against itself everybody draws, as expected: a term of 0.
            let won = |&(other, power): &(&f64, &f64)| {
                let result = if score > *other {
                    1.0
                } else if score < *other {
                    0.0
                } else {
                    0.5
                };
                result - powers[model] / (powers[model] + power)
            };
            moves[model] = if score.is_nan() {
                0.0
            } else {
                points / (players - 1) as f64 * games().map(|game| won(&game)).sum::<f64>()
            };
        }
        for ((rating, moved), by) in self.ratings.iter_mut().zip(&mut *self.moved).zip(&*moves) {
            *rating += by;
            *moved += by * by;
        }
        true
    }
}

/// Ratings over a history, and their means.
#[derive(Clone, Debug)]
pub(super) struct Ratings {
    now: Vec<f64>,
    /// Of the ratings after each game.
    sums: Vec<f64>,
    games: f64,
}

impl Ratings {
    pub(super) fn new(n_models: usize) -> Self {
        Self { now: vec![START; n_models], sums: vec![0.0; n_models], games: 0.0 }
    }

    /// One more prompt; `scores` of shape `(n_models,)`, NaN for a gap.
    pub(super) fn play(&mut self, scores: &[f64], points: f64) {
        let n = scores.len();
        let mut buffers = vec![0.0; 3 * n];
        let (moved, rest) = buffers.split_at_mut(n);
        let (powers, moves) = rest.split_at_mut(n);
        let mut play = Play { ratings: &mut self.now, moved };
        if play.round(scores, points, powers, moves) {
            self.sums.iter_mut().zip(&self.now).for_each(|(sum, now)| *sum += now);
            self.games += 1.0;
        }
    }

    /// The mean rating of a model; where it started before the first game.
    pub(super) fn mean(&self, model: usize) -> f64 {
        if self.games > 0.0 { self.sums[model] / self.games } else { START }
    }
}
