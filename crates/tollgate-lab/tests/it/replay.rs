//! What replay charges, loses and declines.

use std::sync::{Arc, Mutex};

use tollgate::core::{
    AccountState, Arrival, BudgetView, Feedback, Horizon, Outcome, Policy, PolicyError,
    PriceUpdate, Pricer, Prices, Progress, Ranking, RunSetup, Solution,
};
use tollgate_lab::{Metrics, Replay, Scenario, replay};

use crate::hand::{halved, near, pooled, split};

/// What a ranking says.
#[derive(Clone, Debug)]
enum Say {
    /// These models, best first.
    Try(Vec<usize>),
    Decline,
    Unaffordable,
}

/// What a policy was told: remaining, remaining by estimates.
type Told = Vec<(Vec<f64>, Vec<f64>)>;

/// Says what it was told to, and remembers what it saw.
#[derive(Clone, Debug)]
struct Planned {
    plan: Vec<Say>,
    batch: usize,
    seen: Arc<Mutex<Told>>,
    heard: Arc<Mutex<Vec<Feedback>>>,
}

fn planned(batch: usize, plan: impl Into<Vec<Say>>) -> Planned {
    Planned { plan: plan.into(), batch, seen: Arc::default(), heard: Arc::default() }
}

impl Policy for Planned {
    fn name(&self) -> String {
        "planned".to_owned()
    }

    fn pricer(&self, setup: &RunSetup<'_>) -> Result<Option<Box<dyn Pricer>>, PolicyError> {
        assert_eq!(setup.horizon, Horizon::Arrivals(3), "the lab knows how long a stream is");
        Ok(Some(Box::new(Ears(Arc::clone(&self.heard)))))
    }

    fn rank(
        &self,
        arrival: &Arrival<'_>,
        _prices: &Prices,
        budgets: &BudgetView<'_>,
        out: &mut Ranking,
    ) -> Result<(), PolicyError> {
        assert!(!arrival.must_serve, "replay lets a policy decline");
        let told = (budgets.remaining.to_vec(), budgets.remaining_estimated.to_vec());
        self.seen.lock().unwrap().push(told);
        out.clear();
        match &self.plan[usize::try_from(arrival.index).unwrap()] {
            Say::Try(models) => models.iter().for_each(|&model| out.push(model, 1.0)),
            Say::Decline => {}
            Say::Unaffordable => out.set_unaffordable(),
        }
        Ok(())
    }

    fn batch_size(&self) -> usize {
        self.batch
    }
}

#[derive(Debug)]
struct Ears(Arc<Mutex<Vec<Feedback>>>);

impl Pricer for Ears {
    fn before(&mut self, _progress: &Progress<'_>) -> Result<PriceUpdate, PolicyError> {
        Ok(PriceUpdate::Keep)
    }

    fn install(&mut self, _solution: Solution) -> Prices {
        Prices::unset()
    }

    fn announce(&mut self, _horizon: Horizon) {}

    fn observe(&mut self, feedback: &Feedback) {
        self.0.lock().unwrap().push(*feedback);
    }
}

const A: usize = 0;
const B: usize = 1;

fn run(scenario: &Scenario, policy: &Planned) -> Replay {
    let run = replay(scenario.stream(), policy, &halved(), None).unwrap();
    let Metrics { served, declined, lost, unaffordable, .. } = run.metrics;
    assert_eq!(served + declined + lost + unaffordable, 3, "every query becomes one thing");
    run
}

/// 3 USD: `b` takes 2, the second `b` does not fit the 1 that is left and is lost, though
/// `a`, its spare, would fit; `a` takes the 1.
#[test]
fn a_lost_query_is_never_retried() {
    let policy = planned(1, [Say::Try(vec![B]), Say::Try(vec![B, A]), Say::Try(vec![A])]);
    let run = run(&pooled(), &policy);
    assert_eq!(run.outcomes, [Outcome::Served(B), Outcome::Lost(B), Outcome::Served(A)]);
    let Metrics { performance, cost, served, lost, .. } = run.metrics;
    assert!(near(performance, 0.9 + 0.1) && near(cost, 3.0), "{:?}", run.metrics);
    assert_eq!((served, lost), (2, 1));
    // Estimates of 1, 1 and 0.5 are charged, lost or not.
    let [account] = run.ledger.accounts()[..] else { panic!("one account") };
    let units = |usd: u64| usd * 1_000_000_000_000;
    let expected = AccountState {
        window: 0,
        limit: units(3),
        spent: units(3),
        reserved: 0,
        overrun: 0,
        estimated: units(5) / 2,
    };
    assert_eq!(account, expected);
    let seen = policy.seen.lock().unwrap().clone();
    assert_eq!(seen, [(vec![3.0], vec![3.0]), (vec![1.0], vec![2.0]), (vec![1.0], vec![1.0])]);
}

#[test]
fn declined_and_unaffordable_are_the_policys_word() {
    let policy = planned(1, [Say::Decline, Say::Unaffordable, Say::Try(vec![A])]);
    let run = run(&pooled(), &policy);
    let expected = [Outcome::Declined, Outcome::Unaffordable, Outcome::Served(A)];
    assert_eq!(run.outcomes, expected);
    let Metrics { declined, unaffordable, served, lost, .. } = run.metrics;
    assert_eq!((declined, unaffordable, served, lost), (1, 1, 1, 0));
    assert!(near(run.metrics.cost, 1.0) && near(run.metrics.performance, 0.1));
}

/// 1.5 USD each: one `a` fits and the next is lost, `b` never fits.
#[test]
fn each_model_has_its_own_budget() {
    let policy = planned(1, [Say::Try(vec![A]), Say::Try(vec![A]), Say::Try(vec![B])]);
    let run = run(&split(), &policy);
    assert_eq!(run.outcomes, [Outcome::Served(A), Outcome::Lost(A), Outcome::Lost(B)]);
    assert_eq!(run.metrics.ppc(), Some(0.4));
    let free: Vec<u64> = run.ledger.accounts().iter().map(AccountState::free).collect();
    assert_eq!(free, [500_000_000_000, 1_500_000_000_000]);
}

/// A batch of two sees what was left when it was collected, and so does its second query.
#[test]
fn a_batch_decides_together() {
    let policy = planned(2, [Say::Try(vec![B]), Say::Try(vec![B]), Say::Try(vec![A])]);
    let run = run(&pooled(), &policy);
    assert_eq!(run.outcomes, [Outcome::Served(B), Outcome::Lost(B), Outcome::Served(A)]);
    let seen = policy.seen.lock().unwrap().clone();
    assert_eq!(seen, [(vec![3.0], vec![3.0]), (vec![3.0], vec![3.0]), (vec![1.0], vec![1.0])]);
}

#[test]
fn the_price_source_hears_of_what_was_served() {
    let policy = planned(1, [Say::Try(vec![B]), Say::Try(vec![B]), Say::Decline]);
    run(&pooled(), &policy);
    let heard = policy.heard.lock().unwrap().clone();
    assert_eq!(heard, [Feedback { arrival: 0, model: B, cost: 2.0, quality: Some(0.9) }]);
}

#[test]
fn nothing_served_costs_nothing() {
    let run = run(&pooled(), &planned(1, [Say::Decline, Say::Decline, Say::Decline]));
    assert_eq!(run.metrics.ppc(), None);
    assert_eq!(run.metrics, Metrics { declined: 3, ..Metrics::default() });
}
