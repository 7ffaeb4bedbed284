//! The default estimator, which picks for itself, against each estimator alone and the
//! best of them, which only hindsight knows.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use tollgate::Spec;
use tollgate::registry::{self, Composition};
use tollgate_lab::paired_difference;

use super::Line;

/// What is tried alone, with the same prices and solver.
pub(super) const ESTIMATORS: [&str; 8] = [
    "knn:k=5",
    "knn:k=10",
    "knn:k=20",
    "knn:k=40",
    "knn:k=80",
    "knn:k=160",
    "ridge",
    "kernel-ridge",
];

/// Twenty neighbors, among [`ESTIMATORS`]: what one would take who knows nothing.
const PLAIN: usize = 2;

/// The mean loss to the best in hindsight that is allowed, in per cent.
const MOST: f64 = 1.0;

/// The default policy on every estimator alone.
pub(super) fn compositions() -> Result<Vec<Composition>> {
    let policy = Spec::named("tollgate");
    let compose = |name: &&str| Ok(registry::compose(&policy, Some(&name.parse()?), None)?);
    ESTIMATORS.iter().map(compose).collect()
}

/// One variant: Performance by seed, of the default estimator and of each alone.
#[derive(Debug)]
pub(super) struct Singles {
    ours: Vec<f64>,
    /// In the order of [`ESTIMATORS`].
    each: Vec<Vec<f64>>,
}

impl Singles {
    pub(super) fn new(ours: Vec<f64>, each: Vec<Vec<f64>>) -> Self {
        Self { ours, each }
    }

    fn best(&self) -> usize {
        let mean = |at: usize| mean(&self.each[at]);
        let best = (0..self.each.len()).max_by(|&a, &b| mean(a).total_cmp(&mean(b)));
        best.expect("there are estimators")
    }

    /// The same, of the estimator that is best on the other half of the seeds: what one wins
    /// by luck on the seeds that it was chosen by does not count. `None` on one seed alone.
    fn loss_to_chosen(&self) -> Option<f64> {
        let half = |at: usize| {
            let pick = |all: &[f64]| all.iter().copied().skip(at).step_by(2).collect();
            Self::new(pick(&self.ours), self.each.iter().map(|all| pick(all)).collect())
        };
        let (a, b) = (half(0), half(1));
        (self.ours.len() > 1).then(|| f64::midpoint(a.loss(b.best()), b.loss(a.best())))
    }

    /// How far the default is below an estimator, in per cent of that one's Performance;
    /// negative where it is above. The runs are the same, so this is paired by seed.
    fn loss(&self, estimator: usize) -> f64 {
        let theirs = mean(&self.each[estimator]);
        if theirs > 0.0 { 100.0 * (theirs - mean(&self.ours)) / theirs } else { 0.0 }
    }

    /// The loss with its 95 % confidence interval over seeds.
    fn show_loss(&self, estimator: usize) -> String {
        let each = &self.each[estimator];
        let interval = paired_difference(each, &self.ours).and_then(|loss| loss.half_width);
        let half_width = interval.map(|w| format!(" ± {:.1}", 100.0 * w / mean(each)));
        format!("{:+.2}{}", self.loss(estimator), half_width.unwrap_or_default())
    }

    pub(super) fn show(&self) -> String {
        let each = ESTIMATORS.iter().zip(&self.each);
        let each: Vec<String> =
            each.map(|(name, all)| format!("{name} {:.1}", mean(all))).collect();
        format!(
            "auto {:.1}, alone {}: loss to the best {} %, to k=20 {} %",
            mean(&self.ours),
            each.join(", "),
            self.show_loss(self.best()),
            self.show_loss(PLAIN),
        )
    }

    fn cells(&self) -> String {
        let best = self.best();
        format!(
            "{:.1} | {:.1} | `{}` | {} | {:.1} | {}",
            mean(&self.ours),
            mean(&self.each[best]),
            ESTIMATORS[best],
            self.show_loss(best),
            mean(&self.each[PLAIN]),
            self.show_loss(PLAIN),
        )
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Mean losses over variants, in per cent.
#[derive(Debug)]
struct Means {
    /// To the best of each variant.
    best: f64,
    /// To the best of each variant on the other half of its seeds.
    chosen: f64,
    /// To each estimator everywhere.
    each: Vec<f64>,
}

impl Means {
    /// `None` where nothing was tried alone.
    fn new(lines: &[Line]) -> Option<Self> {
        let singles: Vec<&Singles> =
            lines.iter().filter_map(|line| line.singles.as_ref()).collect();
        let mean = |loss: &dyn Fn(&Singles) -> f64| {
            singles.iter().map(|singles| loss(singles)).sum::<f64>() / singles.len() as f64
        };
        (!singles.is_empty()).then(|| Self {
            best: mean(&|singles| singles.loss(singles.best())),
            chosen: mean(&|singles| singles.loss_to_chosen().unwrap_or(f64::NAN)),
            each: (0..ESTIMATORS.len()).map(|at| mean(&|singles| singles.loss(at))).collect(),
        })
    }
}

/// Fails where the default estimator loses more than it may.
pub(super) fn judge(lines: &[Line]) -> Result<()> {
    let Some(Means { best, chosen, each }) = Means::new(lines) else { return Ok(()) };
    println!(
        "auto loses {best:+.2} % to the best estimator in hindsight (at most {MOST} %), \
         {chosen:+.2} % to the best on other seeds, \
         {:+.2} % to {} (at most 0), in the mean over variants",
        each[PLAIN], ESTIMATORS[PLAIN],
    );
    if !(best <= MOST && each[PLAIN] <= 0.0) {
        bail!("auto loses more than it may");
    }
    Ok(())
}

/// A section of the page; empty where nothing was tried alone.
pub(super) fn section(lines: &[Line]) -> String {
    let Some(Means { best, chosen, each }) = Means::new(lines) else { return String::new() };
    let mut section = "\
\n## One estimator for all

The same policy on `auto`, its default, and on each estimator alone: five to 160 neighbors, ridge, kernel ridge.
The best alone is the best of these eight in hindsight, chosen for each line by its own result.
A loss is how far `auto` is below, in per cent, with its 95 % confidence interval; negative where it is above.
The best of eight is best by luck as well: where the interval is wide, so is the loss of one that is as good as any of them.
Seeds cut the same rows anew, so they do not average the luck of the rows away: `--deal S` deals the embeddings of a task out anew among its prompts, and shows what is won where nothing is to be learned.

| stream | variant | auto | best alone | which | loss % | k = 20 | loss % |
|---|---|---:|---:|---|---:|---:|---:|
"
    .to_owned();
    for line in lines {
        if let Some(singles) = &line.singles {
            let _ =
                writeln!(section, "| {} | {} | {} |", line.stream, line.variant, singles.cells());
        }
    }
    let _ = write!(
        section,
        "\nMean loss to the best in hindsight: {best:+.2} %.\n\
         Mean loss to the best on the other half of a line's seeds, every second one, which \
         luck with the seeds does not favor: {chosen:+.2} %.\n\
         Mean loss to each alone, everywhere:\n\n| estimator | loss % |\n|---|---:|\n"
    );
    for (name, loss) in ESTIMATORS.iter().zip(&each) {
        let _ = writeln!(section, "| `{name}` | {loss:+.2} |");
    }
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ours: f64, each: [f64; 8]) -> Line {
        Line {
            stream: "s".to_owned(),
            variant: "v".to_owned(),
            runs: 1,
            ours,
            port: 1.0,
            reference: 1.0,
            difference: ours - 1.0,
            half_width: None,
            singles: Some(Singles::new(vec![ours], each.map(|theirs| vec![theirs]).to_vec())),
        }
    }

    /// 99 against at best 100 is 1 %; against 90 by twenty neighbors it is a tenth more.
    #[test]
    fn losses_by_hand() {
        let lines = [line(99.0, [50.0, 60.0, 90.0, 100.0, 95.0, 70.0, 99.0, 98.0])];
        let means = Means::new(&lines).unwrap();
        assert!((means.best - 1.0).abs() < 1e-12, "{means:?}");
        assert!((means.each[PLAIN] + 10.0).abs() < 1e-12, "{means:?}");
        judge(&lines).unwrap();
    }

    /// The first is best on seeds 0 and 2, the second on seed 1, both by luck: on the seeds
    /// that they were not chosen by each is as good as ours.
    #[test]
    fn luck_with_the_seeds_by_hand() {
        let each = vec![vec![12.0, 10.0, 12.0], vec![10.0, 12.0, 10.0]];
        let singles = Singles::new(vec![10.0, 10.0, 10.0], each);
        assert!(singles.loss(singles.best()) > 10.0);
        assert_eq!(singles.loss_to_chosen(), Some(0.0));
        assert_eq!(Singles::new(vec![1.0], vec![vec![1.0]]).loss_to_chosen(), None);
    }

    #[test]
    fn a_loss_beyond_the_bars_fails() {
        let too_far = line(98.9, [50.0, 60.0, 90.0, 100.0, 95.0, 70.0, 99.0, 98.0]);
        assert!(judge(&[too_far]).is_err(), "more than 1 % below the best");
        let below_plain = line(99.5, [50.0, 60.0, 100.0, 99.0, 95.0, 70.0, 99.0, 98.0]);
        assert!(judge(&[below_plain]).is_err(), "below twenty neighbors");
        let undefined = line(f64::NAN, [1.0; 8]);
        assert!(judge(&[undefined]).is_err());
        judge(&[Line { singles: None, ..line(1.0, [2.0; 8]) }]).unwrap();
    }
}
