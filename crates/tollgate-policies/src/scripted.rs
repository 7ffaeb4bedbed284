//! Somebody else's picks, replayed: what it takes to reproduce a run whose random
//! draws are known but whose generator is not ours.

use std::sync::Arc;

use tollgate_core::{
    Arrival, BudgetView, Explanation, Policy, PolicyError, Pricer, Prices, Ranking, RunSetup,
};

/// Follows a list of picks for the first arrivals, then another policy.
#[derive(Clone, Debug)]
pub struct Scripted {
    picks: Arc<[Option<usize>]>,
    then: Arc<dyn Policy>,
}

impl Scripted {
    /// `picks[t]` is the model of arrival `t`, or `None` to decline it.
    pub fn new(picks: impl Into<Arc<[Option<usize>]>>, then: Arc<dyn Policy>) -> Self {
        Self { picks: picks.into(), then }
    }

    /// The scripted pick, `None` once the script is over.
    fn pick(&self, arrival: &Arrival<'_>) -> Option<&Option<usize>> {
        self.picks.get(usize::try_from(arrival.index).ok()?)
    }
}

impl Policy for Scripted {
    fn name(&self) -> String {
        format!("scripted({}, then {})", self.picks.len(), self.then.name())
    }

    fn needs_history(&self) -> bool {
        self.then.needs_history()
    }

    fn adapt(&self, setup: &RunSetup<'_>) -> Result<Option<Arc<dyn Policy>>, PolicyError> {
        let then = self.then.adapt(setup)?;
        Ok(then.map(|then| Arc::new(Self { then, ..self.clone() }) as Arc<dyn Policy>))
    }

    fn pricer(&self, setup: &RunSetup<'_>) -> Result<Option<Box<dyn Pricer>>, PolicyError> {
        if self.picks.iter().flatten().any(|&model| model >= setup.models.len()) {
            let what = "a script of models that are there";
            return Err(PolicyError::Needs { policy: self.name(), what });
        }
        self.then.pricer(setup)
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        let Some(pick) = self.pick(arrival) else {
            return self.then.rank(arrival, prices, budgets, out);
        };
        out.clear();
        if let Some(model) = pick {
            out.push(*model, 0.0);
        }
        Ok(())
    }

    fn explain(&self, arrival: &Arrival<'_>, prices: &Prices, model: usize) -> Explanation {
        match self.pick(arrival) {
            Some(_) => Explanation::leaf("scripted", 0.0),
            None => self.then.explain(arrival, prices, model),
        }
    }
}

#[cfg(test)]
mod tests;
