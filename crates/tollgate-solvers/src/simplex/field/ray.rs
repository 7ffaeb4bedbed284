//! How a ray of prices meets a field.
#![expect(clippy::inline_always, reason = "a pass is compiled anew for each instruction set")]

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use pulp::{Arch, Simd, WithSimd};

use super::super::program::{Program, index};
use super::Field;
use crate::dual::layout::{LANES, Lanes};

/// Two slopes that differ by less, relative, are the same.
const SAME_SLOPE: f64 = 1e-11;
/// A fall this small against the first one, or the rows, is rounding.
const FLAT: f64 = 1e-13;
const ROUNDING: f64 = 1e-15;
/// How far a ray is looked along at first, in last steps, and how much further then.
const LOOK_AHEAD: f64 = 4.0;
const LOOK_FURTHER: f64 = 8.0;
const CALMER: f64 = 0.25;
/// A pivot this small against the largest one of the ray is passed by.
const POOR_PIVOT: f64 = 1e-9;

/// What ends a ray in a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) enum Meeting {
    /// Here the slope would turn: this candidate of this query becomes basic.
    Candidate { query: u32, candidate: u32, step: f64 },
    /// Nothing before the given end.
    Nothing,
}

/// A query's best option changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Event {
    step: f64,
    query: u32,
    candidate: u32,
}

impl Eq for Event {}

impl Ord for Event {
    /// The earliest is the greatest, as the heap wants it.
    fn cmp(&self, other: &Self) -> Ordering {
        other.step.total_cmp(&self.step).then(other.query.cmp(&self.query))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Field {
    /// Follows the dual function along `ray`, where it falls by `fall` a step at first,
    /// as far as `end` at most, and changes the keys on the way; takes off `residual`
    /// what that changes. The choice of a query with basic directions may not change
    /// (their ties would be lost), so its first change is a meeting.
    pub(in super::super) fn follow(
        &mut self,
        program: &Program,
        ray: &[f64],
        fall: f64,
        end: f64,
        residual: &mut [f64],
    ) -> Meeting {
        program.tolls(ray, SAME_SLOPE, &mut self.charged);
        self.pay();
        self.ignore_rounding();
        let length = ray.iter().fold(0.0_f64, |most, rho| most.max(rho.abs()));
        // What is left of the fall is a difference of large numbers.
        let sizes = ray.iter().zip(&program.bounds);
        let sizes: f64 = sizes.map(|(rho, bound)| rho.abs() * (1.0 + bound.abs())).sum();
        let slack = FLAT * fall + ROUNDING * sizes;
        let mut events = BinaryHeap::from(std::mem::take(&mut self.events));
        let mut fall = fall;
        let mut meeting = Meeting::Nothing;
        // Most steps are about as long as the last one: nobody looks further at first.
        // From 0 it would never get further.
        let ahead = (LOOK_AHEAD * self.stride / length).max(f64::MIN_POSITIVE);
        let mut horizon = ahead.min(end);
        loop {
            self.collect(horizon, &mut events);
            let turns = events.iter().map(|event| self.turn(event));
            let flattest = POOR_PIVOT * turns.fold(0.0, f64::max);
            while let Some(event) = events.pop() {
                let turn = self.turn(&event);
                let Event { step, query, candidate } = event;
                let blocked = self.n_basic[query as usize] > 0;
                if (turn >= fall - slack || blocked) && turn > flattest {
                    meeting = Meeting::Candidate { query, candidate, step };
                    break;
                }
                let mut least = 0.0;
                if blocked {
                    // Too flat to be basic, and a tie but for rounding: only a steeper one.
                    let key = self.keys[query as usize];
                    let rate = self.slopes[candidate as usize] - self.slopes[key as usize];
                    least = rate.max(flattest / self.weights[query as usize]);
                } else {
                    fall -= turn;
                    let key = std::mem::replace(&mut self.keys[query as usize], candidate);
                    self.add_difference(program, query, (key, candidate), residual);
                }
                if let Some((candidate, next)) = self.first_change(query as usize, horizon, least) {
                    events.push(Event { step: next.max(step), query, candidate });
                }
            }
            if meeting != Meeting::Nothing || horizon >= end {
                break;
            }
            horizon = (LOOK_FURTHER * horizon).min(end);
        }
        if let Meeting::Candidate { step, .. } = meeting {
            self.stride = (step * length).max(CALMER * self.stride.min(1e3));
        }
        events.clear();
        self.events = events.into_vec();
        meeting
    }

    /// By how much the slope of the dual function rises at an event.
    fn turn(&self, event: &Event) -> f64 {
        let key = self.keys[event.query as usize];
        let slopes = self.slopes[event.candidate as usize] - self.slopes[key as usize];
        self.weights[event.query as usize] * slopes
    }

    /// What each candidate pays at the tolls at hand, negative: the slope of its score.
    pub(super) fn pay(&mut self) {
        let arch = Arch::new();
        match self.n_metered {
            0 => self.slopes.fill(0.0),
            1 => arch.dispatch(Pay::<1>(self)),
            2 => arch.dispatch(Pay::<2>(self)),
            3 => arch.dispatch(Pay::<3>(self)),
            4 => arch.dispatch(Pay::<4>(self)),
            _ => arch.dispatch(Pay::<5>(self)),
        }
    }

    /// With several meters a slope may be what rounding left of them.
    fn ignore_rounding(&mut self) {
        if self.n_metered < 2 {
            return;
        }
        for (at, slope) in self.slopes.iter_mut().enumerate() {
            let (row, lane) = (at / LANES, at % LANES);
            let tolls = &self.charged[self.tolls[at] as usize..][..self.n_metered];
            let readings = &self.readings[row * self.n_metered * LANES + lane..];
            let parts = tolls.iter().zip(readings.iter().step_by(LANES));
            let gross: f64 = parts.map(|(toll, reading)| (toll * reading).abs()).sum();
            if slope.abs() <= SAME_SLOPE * gross {
                *slope = 0.0;
            }
        }
    }

    /// The first change of every query before `end`.
    fn collect(&mut self, end: f64, events: &mut BinaryHeap<Event>) {
        let mut found = std::mem::take(events).into_vec();
        let mut overtaken = std::mem::take(&mut self.overtaken);
        overtaken.clear();
        if end.is_finite() {
            Arch::new().dispatch(Overtaken { field: self, end, found: &mut overtaken });
        } else {
            overtaken.extend(0..index(self.keys.len()));
        }
        for &query in &overtaken {
            if let Some((candidate, step)) = self.first_change(query as usize, end, 0.0) {
                found.push(Event { step, query, candidate });
            }
        }
        self.overtaken = overtaken;
        *events = BinaryHeap::from(found);
    }

    /// The first candidate that overtakes the key of a query along the ray, faster than
    /// `flattest`.
    fn first_change(&self, query: usize, end: f64, flattest: f64) -> Option<(u32, f64)> {
        let key = self.keys[query] as usize;
        let (key_score, key_slope) = (self.scores[key], self.slopes[key]);
        let blocked = self.n_basic[query] > 0;
        let mut first = None;
        let mut least = end;
        for at in self.candidates(query) {
            let (score, slope) = (self.scores[at], self.slopes[at]);
            let rate = slope - key_slope;
            let gap = key_score - score;
            let sure = rate > flattest.max(SAME_SLOPE * (slope.abs() + key_slope.abs()));
            if sure && gap < least * rate && !(blocked && self.basic[at]) {
                least = (gap / rate).max(0.0);
                first = Some(index(at));
            }
        }
        first.map(|candidate| (candidate, least))
    }
}

/// See [`Field::pay`], with the number of metered slots known to the compiler.
struct Pay<'f, const S: usize>(&'f mut Field);

/// So many tolls are looked up in a table whose length the compiler knows.
const FEW: usize = 256;

impl<const S: usize> WithSimd for Pay<'_, S> {
    type Output = ();

    #[inline(always)]
    fn with_simd<I: Simd>(self, _: I) {
        let charged = std::mem::take(&mut self.0.charged);
        if charged.len() <= FEW {
            let mut few = [0.0; FEW];
            few[..charged.len()].copy_from_slice(&charged);
            self.0.pay_at::<S>(|toll| few[toll % FEW]);
        } else {
            // Never out of bounds; a test would keep the lanes apart.
            self.0.pay_at::<S>(|toll| charged.get(toll).copied().unwrap_or(0.0));
        }
        self.0.charged = charged;
    }
}

impl Field {
    #[inline(always)]
    fn pay_at<const S: usize>(&mut self, charged: impl Fn(usize) -> f64) {
        let readings = self.readings.as_chunks::<LANES>().0.as_chunks::<S>().0;
        let tolls = self.tolls.as_chunks::<LANES>().0;
        let slopes = self.slopes.as_chunks_mut::<LANES>().0;
        for ((slopes, tolls), readings) in slopes.iter_mut().zip(tolls).zip(readings) {
            let mut paid = [0.0; LANES];
            for (slot, readings) in readings.iter().enumerate() {
                for lane in 0..LANES {
                    paid[lane] += charged(tolls[lane] as usize + slot) * readings[lane];
                }
            }
            *slopes = paid.map(|paid| -paid);
        }
    }
}

/// The queries whose key is not the best any more at the end of a step.
struct Overtaken<'f> {
    field: &'f Field,
    end: f64,
    found: &'f mut Vec<u32>,
}

impl WithSimd for Overtaken<'_> {
    type Output = ();

    /// The upper envelope is convex: a key that is best at the end always was.
    #[inline(always)]
    fn with_simd<I: Simd>(self, simd: I) {
        let Self { field, end, found } = self;
        let scores = field.scores.as_chunks::<LANES>().0;
        let slopes = field.slopes.as_chunks::<LANES>().0;
        let keys = field.keys.as_chunks::<LANES>().0;
        let (end, least) = (simd.splat_f64s(end), simd.splat_f64s(f64::NEG_INFINITY));
        for (block, (rows, keys)) in field.starts.array_windows::<2>().zip(keys).enumerate() {
            let (first, last) = (rows[0] as usize, rows[1] as usize);
            let both = || scores[first..last].iter().zip(&slopes[first..last]);
            // Rows of candidates ride in the lanes as floats.
            let keys: Lanes = keys.map(|key| f64::from(key / index(LANES)));
            let mut ahead = [0.0; LANES];
            for part in 0..LANES / I::F64_LANES {
                let of = |lanes: &Lanes| I::as_simd_f64s(lanes).0[part];
                let (mut best, mut of_key) = (least, least);
                let keys = of(&keys);
                let mut row = f64::from(rows[0]);
                for (scores, slopes) in both() {
                    let then = simd.add_f64s(of(scores), simd.mul_f64s(end, of(slopes)));
                    best = simd.max_f64s(then, best);
                    let is_key = simd.equal_f64s(keys, simd.splat_f64s(row));
                    of_key = simd.select_f64s(is_key, then, of_key);
                    row += 1.0;
                }
                let is_ahead = simd.greater_than_f64s(best, of_key);
                let (zero, one) = (simd.splat_f64s(0.0), simd.splat_f64s(1.0));
                I::as_mut_simd_f64s(&mut ahead).0[part] = simd.select_f64s(is_ahead, one, zero);
            }
            if ahead.iter().sum::<f64>() > 0.0 {
                let overtaken = (0..LANES).filter(|&lane| ahead[lane] > 0.0);
                found.extend(overtaken.map(|lane| index(block * LANES + lane)));
            }
        }
    }
}
