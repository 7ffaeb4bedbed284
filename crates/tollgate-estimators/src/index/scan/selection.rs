//! Which rows may be among the nearest, from bounds that go by.

/// What a row number is called in a list of neighbors.
pub(super) type Candidate = (f64, u32);

/// Keeps every row that may be among the `k` nearest, by upper bounds of their
/// similarities. A lower bound is the upper less a gap, which the caller knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Selection {
    k: usize,
    /// Upper bounds below are out: the `k`-th best lower bound so far, rounded down.
    threshold: f32,
    /// Candidates that may pile up before the threshold is raised. Grows with the
    /// number of those that stay, so that `n` equal rows do not cost `n^2`.
    full: usize,
}

/// Some rows of a set, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    /// The first row.
    pub(super) first: usize,
    /// Upper bounds of the similarities.
    pub(super) uppers: &'a [f32],
    /// Which of all rows are in the set; `None` for all of them.
    pub(super) mask: Option<&'a [bool]>,
    /// The row to be passed over.
    pub(super) exclude: Option<u32>,
}

impl Selection {
    pub(super) fn new(k: usize) -> Self {
        let threshold = if k == 0 { f32::INFINITY } else { f32::NEG_INFINITY };
        Self { k, threshold, full: Self::room(k) }
    }

    /// Upper bounds below are out.
    pub(super) fn threshold(&self) -> f32 {
        self.threshold
    }

    fn room(kept: usize) -> usize {
        (2 * kept).max(16)
    }

    /// Looks at some rows. `gap(row)` is the upper bound less the lower.
    pub(super) fn offer(
        &mut self,
        run: Run<'_>,
        gap: impl Fn(u32) -> f64,
        candidates: &mut Vec<Candidate>,
    ) {
        const STEP: usize = 32;
        for (step, uppers) in run.uppers.chunks(STEP).enumerate() {
            // Hardly any row passes: ask about many at once, without a branch each.
            if uppers.iter().filter(|&&upper| upper >= self.threshold).count() == 0 {
                continue;
            }
            for (offset, &upper) in uppers.iter().enumerate() {
                let at = run.first + step * STEP + offset;
                let row = small(at);
                if upper >= self.threshold
                    && run.mask.is_none_or(|mask| mask[at])
                    && run.exclude != Some(row)
                {
                    candidates.push((f64::from(upper), row));
                }
            }
            if candidates.len() >= self.full {
                self.compact(&gap, candidates);
            }
        }
    }

    /// As [`offer`](Self::offer), for rows that need not follow one another.
    pub(super) fn offer_rows(
        &mut self,
        rows: &[u32],
        uppers: &[f32],
        gap: impl Fn(u32) -> f64,
        candidates: &mut Vec<Candidate>,
    ) {
        for (&row, &upper) in rows.iter().zip(uppers) {
            if upper >= self.threshold {
                candidates.push((f64::from(upper), row));
            }
        }
        if candidates.len() >= self.full {
            self.compact(gap, candidates);
        }
    }

    /// Raises the threshold and drops what is below it.
    pub(super) fn compact(&mut self, gap: impl Fn(u32) -> f64, candidates: &mut Vec<Candidate>) {
        if self.k > 0 && self.k < candidates.len() {
            let lower = |candidate: &Candidate| candidate.0 - gap(candidate.1);
            let (_, kth, _) =
                candidates.select_nth_unstable_by(self.k - 1, |a, b| lower(b).total_cmp(&lower(a)));
            self.threshold = below(lower(kth));
            candidates.retain(|candidate| candidate.0 >= f64::from(self.threshold));
        }
        self.full = Self::room(candidates.len());
    }
}

/// An `f32` that is not above.
#[expect(clippy::cast_possible_truncation, reason = "a cosine, rounded and then lowered")]
fn below(x: f64) -> f32 {
    (x as f32).next_down()
}

/// A row number as neighbors carry it.
pub(super) fn small(row: usize) -> u32 {
    u32::try_from(row).expect("an index refuses more rows than that")
}
