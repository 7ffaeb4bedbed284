//! Equation (2) and what goes with it, in one parallel pass.
#![expect(clippy::inline_always, reason = "a pass is compiled anew for each instruction set")]

use pulp::Arch;
use rayon::prelude::*;

use super::simplex::project;
use crate::dual::layout::{LANES, Lanes};
use crate::operator::{CHUNK, Operator, Totals, in_order};
use crate::recovery::Recovery;

/// What a pass finds.
#[derive(Debug)]
pub(super) struct Pass {
    /// What the new shares are worth, scaled.
    pub(super) value: f64,
    /// What they use of each row, scaled.
    pub(super) usage: Vec<f64>,
    /// `|x' - x|^2`.
    pub(super) travel: f64,
}

/// Writes `project(x + tau s(p))` to `next`.
pub(super) fn ascend(
    recovery: &Recovery<'_, '_>,
    prices: &[f64],
    tau: f64,
    shares: &[Lanes],
    next: &mut [Lanes],
) -> Pass {
    let operator = recovery.operator;
    let coefficients = operator.coefficients(prices, recovery.phase);
    let job = Job { recovery, operator, coefficients: &coefficients, tau: tau * operator.weight };
    let size = CHUNK * recovery.layout.n_models();
    let parts: Vec<(f64, Totals)> = if next.len() <= size {
        next.chunks_mut(size)
            .zip(shares.chunks(size))
            .map(|(to, from)| job.dispatch(0, from, to))
            .collect()
    } else {
        let chunks = next.par_chunks_mut(size).zip(shares.par_chunks(size)).enumerate();
        chunks.map(|(at, (next, shares))| job.dispatch(at * CHUNK, shares, next)).collect()
    };
    let travel: f64 = parts.iter().map(|(travel, _)| travel).sum();
    let totals = operator.gather(parts.into_iter().map(|(_, totals)| totals));
    let (value, usage) = operator.worth(&totals);
    Pass { value, usage, travel: travel / operator.weight }
}

/// What all chunks share.
struct Job<'j, 'r, 'a> {
    recovery: &'j Recovery<'r, 'a>,
    operator: &'j Operator<'a>,
    coefficients: &'j [f64],
    tau: f64,
}

impl Job<'_, '_, '_> {
    /// [`run`](Self::run) with the widest registers that there are.
    fn dispatch(&self, first: usize, shares: &[Lanes], next: &mut [Lanes]) -> (f64, Totals) {
        Arch::new().dispatch(|| self.run(first, shares, next))
    }

    /// The blocks from `first` on; returns how far they went and what they use.
    #[inline(always)]
    fn run(&self, first: usize, shares: &[Lanes], next: &mut [Lanes]) -> (f64, Totals) {
        let n_models = self.recovery.layout.n_models();
        let mut totals = self.operator.totals(first, first + next.len() / n_models - 1);
        let mut weighted = vec![[0.0; LANES]; n_models];
        let mut travel = [0.0; LANES];
        let blocks = next.chunks_exact_mut(n_models).zip(shares.chunks_exact(n_models));
        for (block, (next, shares)) in (first..).zip(blocks) {
            self.block(block, shares, next);
            let weights = &self.recovery.layout.weights[block];
            for ((weighted, next), shares) in weighted.iter_mut().zip(&*next).zip(shares) {
                for lane in 0..LANES {
                    weighted[lane] = weights[lane] * next[lane];
                    travel[lane] += weights[lane] * (next[lane] - shares[lane]).powi(2);
                }
            }
            self.operator.add_usage(
                block,
                &weighted,
                totals.of(self.recovery.layout.groups[block]),
            );
        }
        (travel.iter().sum(), totals)
    }

    #[inline(always)]
    fn block(&self, block: usize, shares: &[Lanes], next: &mut [Lanes]) {
        self.operator.scores(block, self.coefficients, next);
        for (next, shares) in next.iter_mut().zip(shares) {
            for lane in 0..LANES {
                next[lane] = shares[lane] + self.tau * next[lane];
            }
        }
        project(next, self.recovery.layout.floor() > f64::NEG_INFINITY);
    }
}

/// `mean += rate (x - mean)`, in parallel.
pub(super) fn average(mean: &mut [Lanes], shares: &[Lanes], rate: f64) {
    let add = |(mean, shares): (&mut [Lanes], &[Lanes])| {
        for (mean, shares) in mean.iter_mut().zip(shares) {
            for (mean, share) in mean.iter_mut().zip(shares) {
                *mean += rate * (share - *mean);
            }
        }
    };
    let size = 1 << 12;
    if mean.len() <= size {
        add((mean, shares));
    } else {
        mean.par_chunks_mut(size).zip(shares.par_chunks(size)).for_each(add);
    }
}

/// `|x - y|`.
pub(super) fn distance(recovery: &Recovery<'_, '_>, a: &[Lanes], b: &[Lanes]) -> f64 {
    let n_models = recovery.layout.n_models();
    let weights = &recovery.layout.weights;
    let chunk = |chunk: usize| {
        let blocks = chunk * CHUNK..((chunk + 1) * CHUNK).min(weights.len());
        let entries = blocks.start * n_models..blocks.end * n_models;
        let pairs = a[entries.clone()].iter().zip(&b[entries]).enumerate();
        let squares = pairs.map(|(at, (a, b))| {
            let weights = &weights[blocks.start + at / n_models];
            let parts = a.iter().zip(b).zip(weights);
            parts.map(|((a, b), weight)| weight * (a - b).powi(2)).sum::<f64>()
        });
        squares.sum::<f64>()
    };
    let squares: f64 = in_order(weights.len().div_ceil(CHUNK), chunk).iter().sum();
    (squares / recovery.operator.weight).sqrt()
}
