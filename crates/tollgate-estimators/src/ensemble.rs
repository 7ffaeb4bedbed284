//! The mean of two pools that go wrong in different places.
//!
//! # Problem
//!
//! [`Factors`] know how the models of a history go together, and what a new one shares with none
//! of them they never learn; [`RandomSlopes`] take a model by its own labels, and need more. Which
//! of the two is nearer on a table nobody knows beforehand, and few labels of a new model cannot
//! tell.
//!
//! # Method
//!
//! Both are learned from the history, a model is known by both, and an estimate is the mean of
//! the two. Squared errors of a mean are at most the mean of the two, and less by a quarter of
//! their squared difference; shares that are learned instead of equal ones have to win back what
//! it costs to estimate them, and with a few dozen models they do not.
//!
//! Standard errors are means as well, as if both erred together, which is never less than what
//! they do. A query, and a model, cost as much as in both.
//!
//! # References
//!
//! Bates and Granger, "The combination of forecasts", 1969, doi:10.1057/jors.1969.103. Clemen,
//! "Combining forecasts: a review and annotated bibliography", 1989,
//! doi:10.1016/0169-2070(89)90012-5: equal shares are hard to beat.

use tollgate_core::{
    EstimateTable, EstimatesMut, Estimator, Fit, FitError, History, Prior, Scratch, Seed,
};

use crate::factors::{FactorLore, Factors};
use crate::pool::{Answers, Lore, Pool};
use crate::slopes::{RandomSlopes, SlopeLore};

/// The recipe of the mean of [`Factors`] and [`RandomSlopes`]; its estimators are pools.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ensemble {
    factors: Factors,
    slopes: RandomSlopes,
}

impl Ensemble {
    /// The mean of these two.
    pub fn of(factors: Factors, slopes: RandomSlopes) -> Self {
        Self { factors, slopes }
    }

    fn learn(
        &self,
        history: &History,
        seed: Seed,
        known: Option<&Lores>,
    ) -> Result<Lores, FitError> {
        let factors = self.factors.learn(history, seed, known.map(|known| &known.factors))?;
        let slopes = self.slopes.learn(history, seed, known.map(|known| &known.slopes))?;
        let choices = [factors.choice(), slopes.choice()];
        let choices: Vec<&str> = choices.into_iter().flatten().collect();
        let choice = (!choices.is_empty()).then(|| choices.join("; "));
        Ok(Lores { factors, slopes, choice })
    }

    fn pool(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(Pool<Lores>, EstimateTable), FitError> {
        Pool::fit_and_hold_out(history, seed, |part, seed, known| self.learn(part, seed, known))
    }
}

impl Fit for Ensemble {
    fn name(&self) -> String {
        if *self == Self::default() {
            return "ensemble".to_owned();
        }
        let Self { factors, slopes } = self;
        format!("ensemble({},{})", factors.name(), slopes.name())
    }

    crate::fitting::fit_through!(pool);
}

/// What both have learned of prompts.
#[derive(Debug)]
struct Lores {
    factors: FactorLore,
    slopes: SlopeLore,
    choice: Option<String>,
}

impl Lore for Lores {
    type Known = (<FactorLore as Lore>::Known, <SlopeLore as Lore>::Known);
    type Tables = (<FactorLore as Lore>::Tables, <SlopeLore as Lore>::Tables);

    fn know(&self, answers: &Answers, prior: Prior) -> Self::Known {
        (self.factors.know(answers, prior), self.slopes.know(answers, prior))
    }

    fn tabulate(&self, known: &[&Self::Known]) -> Self::Tables {
        let factors: Vec<_> = known.iter().map(|known| &known.0).collect();
        let slopes: Vec<_> = known.iter().map(|known| &known.1).collect();
        (self.factors.tabulate(&factors), self.slopes.tabulate(&slopes))
    }

    fn estimate(
        &self,
        (factors, slopes): &Self::Tables,
        direction: &[f32],
        scratch: &mut Scratch,
        out: &mut EstimatesMut<'_>,
    ) {
        self.factors.estimate(factors, direction, scratch.child(0), out);
        let mut floats = std::mem::take(&mut scratch.floats);
        floats.resize(4 * out.quality.len(), 0.0);
        self.with_slopes(slopes, direction, (scratch.child(0), &mut floats), out);
        scratch.floats = floats;
    }

    fn grow(&self, history: &History) -> Result<Self, FitError> {
        let (factors, slopes) = (self.factors.grow(history)?, self.slopes.grow(history)?);
        Ok(Self { factors, slopes, choice: self.choice.clone() })
    }

    fn worth_labelling(&self) -> &[usize] {
        self.slopes.worth_labelling()
    }

    fn choice(&self) -> Option<&str> {
        self.choice.as_deref()
    }
}

impl Lores {
    /// Takes the mean of what is in `out` and what the slopes say, for which `floats`, of shape
    /// `(4, n_models)`, is room.
    fn with_slopes(
        &self,
        slopes: &<SlopeLore as Lore>::Tables,
        direction: &[f32],
        (scratch, floats): (&mut Scratch, &mut [f64]),
        out: &mut EstimatesMut<'_>,
    ) {
        let n_models = out.quality.len();
        let (quality, floats) = floats.split_at_mut(n_models);
        let (quality_se, floats) = floats.split_at_mut(n_models);
        let (cost, cost_se) = floats.split_at_mut(n_models);
        let mut other = EstimatesMut { quality, quality_se, cost, cost_se };
        self.slopes.estimate(slopes, direction, scratch, &mut other);
        for (mine, its) in [
            (&mut *out.quality, other.quality),
            (&mut *out.quality_se, other.quality_se),
            (&mut *out.cost, other.cost),
            (&mut *out.cost_se, other.cost_se),
        ] {
            mine.iter_mut().zip(its).for_each(|(mine, its)| *mine = f64::midpoint(*mine, *its));
        }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_core::{Models, Purpose};
    use tollgate_testkit::estimator_conformance::{self, Growth};
    use tollgate_testkit::pool_conformance::{self, Others};

    use super::*;
    use crate::factors::FactorsConfig;

    #[test]
    fn the_recipe_conforms() {
        estimator_conformance::check(&Ensemble::default());
        estimator_conformance::check_growth(&Ensemble::default(), Growth::ChoicesStay);
        pool_conformance::check(&Ensemble::default(), Others::Stay);
        insta::assert_snapshot!(Ensemble::default().name(), @"ensemble");
        let factors = FactorsConfig::default().factors(4).build().unwrap();
        let other = Ensemble::of(factors, RandomSlopes::default());
        insta::assert_snapshot!(
            other.name(),
            @"ensemble(factors(factors=4),random-slopes)"
        );
    }

    /// Four models whose scores follow two dimensions of four.
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
    fn history() -> History {
        let mut rng = Seed(3).stream(Purpose::Synthesis, 0);
        let (mut embeddings, mut quality, mut cost) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..120 {
            let x: Vec<f64> = (0..4).map(|_| rng.normal()).collect();
            for model in 0..4 {
                let along = x[model % 2] * if model < 2 { 1.0 } else { -1.0 };
                quality.push(f64::from(u8::from(rng.uniform() < 0.5 + 0.2 * along.tanh())));
                cost.push(0.01 * (model as f64 + 1.0) * (0.3 * x[0]).exp());
            }
            embeddings.extend(x.iter().map(|&x| x as f32));
        }
        let models = Models::new(["a", "b", "c", "d"]).unwrap();
        History::new(models, 4, embeddings, quality, cost).unwrap()
    }

    /// Halfway between the two, each with standard errors of its own making: those of the
    /// ensemble are set right for the mean, and so are not compared.
    #[test]
    fn estimates_are_halfway() {
        let (history, seed) = (history(), Seed(1));
        let recipes: [&dyn Fit; 3] =
            [&Factors::default(), &RandomSlopes::default(), &Ensemble::default()];
        let [factors, slopes, both] = recipes.map(|recipe| {
            let estimator = recipe.fit(&history, seed).unwrap();
            let mut table = EstimateTable::zeros(history.len(), 4);
            let mut scratch = Scratch::default();
            table.fill(|out| {
                estimator.estimate_batch(history.queries(), &mut scratch, out).unwrap();
            });
            [table.quality().to_vec(), table.cost().to_vec()]
        });
        for of in [0, 1] {
            let mut apart = 0.0_f64;
            for (at, mean) in both[of].iter().enumerate() {
                let parts = (factors[of][at], slopes[of][at]);
                assert!((mean - f64::midpoint(parts.0, parts.1)).abs() < 1e-12);
                apart = apart.max((parts.0 - parts.1).abs());
            }
            assert!(apart > 1e-3, "two that agree everywhere have no mean to speak of");
        }
    }
}
