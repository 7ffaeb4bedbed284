use std::sync::Barrier;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::{Hold, ModelMask, Refill, Scope};

fn usd(cents: u64) -> Amounts {
    Amounts::cost(PicoUsd(cents * 10_000_000_000))
}

/// Two models with 3 and 2 cents, and a pool of 4.
fn layered() -> Ledger {
    let rows = vec![
        Row::at_most(Meter::Cost, Scope::model(0), 0.03),
        Row::at_most(Meter::Cost, Scope::model(1), 0.02),
        Row::at_most(Meter::Cost, Scope::all(), 0.04),
    ];
    Ledger::open(Budgets::new(rows, 2, 1).unwrap()).unwrap()
}

fn free(ledger: &Ledger) -> Vec<u64> {
    ledger.accounts().iter().map(|account| account.free() / 10_000_000_000).collect()
}

#[test]
fn a_reservation_takes_from_all_accounts_or_none() {
    let ledger = layered();
    let first = ledger.reserve(0, 0, usd(3)).unwrap();
    assert_eq!(free(&ledger), [0, 2, 1]);
    // Model 1 has 2 cents, the pool only 1: nothing is taken.
    assert!(ledger.reserve(0, 1, usd(2)).is_none());
    assert_eq!(free(&ledger), [0, 2, 1]);
    // It really cost 1 cent: 2 come back to both.
    assert_eq!(first.settle(usd(1)), Settlement::default());
    assert_eq!(free(&ledger), [2, 2, 3]);
}

#[test]
fn dropping_releases() {
    let ledger = layered();
    drop(ledger.reserve(0, 0, usd(2)));
    ledger.reserve(0, 1, usd(2)).unwrap().release();
    assert_eq!(free(&ledger), [3, 2, 4]);
}

#[test]
fn a_broken_bound_is_booked_as_overrun() {
    let ledger = layered();
    let reservation = ledger.reserve(0, 1, usd(1)).unwrap();
    // 5 cents: model 1 has 2 and the pool 4, so 3 and 1 are overrun.
    let settlement = reservation.settle(usd(5));
    assert_eq!(settlement.overrun, PicoUsd(30_000_000_000));
    let accounts = ledger.accounts();
    assert_eq!(accounts.iter().map(AccountState::free).collect::<Vec<_>>()[1..], [0, 0]);
    let overruns: Vec<_> = accounts.iter().map(|a| a.overrun / 10_000_000_000).collect();
    assert_eq!(overruns, [0, 3, 1]);
}

#[test]
fn tokens_and_queries_are_counted_beside_money() {
    let rows = vec![
        Row::at_most(Meter::Tokens, Scope::all(), 100.0),
        Row::at_most(Meter::One, Scope { models: ModelMask::All, group: Some(1) }, 1.9),
    ];
    let ledger = Ledger::open(Budgets::new(rows, 1, 2).unwrap()).unwrap();
    let amounts = Amounts { cost: PicoUsd(5), tokens: 60 };
    let held = ledger.reserve(1, 0, amounts).unwrap();
    assert!(ledger.reserve(0, 0, amounts).is_none(), "40 tokens are left");
    let few = Amounts { cost: PicoUsd(5), tokens: 10 };
    assert!(ledger.reserve(1, 0, few).is_none(), "1.9 queries are one query");
    assert!(ledger.reserve(0, 0, few).is_some(), "another group has no such limit");
    drop(held);
}

#[test]
fn what_is_left_is_told_in_the_rows_unit() {
    let ledger = layered();
    let _held = ledger.reserve(0, 0, usd(1)).unwrap();
    ledger.expect(0, 0, usd(7));
    let (mut real, mut estimated) = (vec![9.0; 9], Vec::new());
    ledger.remaining_into(&mut real, &mut estimated);
    let near = |got: &[f64], want: &[f64]| {
        assert_eq!(got.len(), want.len());
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-12), "{got:?}");
    };
    near(&real, &[0.02, 0.02, 0.03]);
    near(&estimated, &[-0.04, 0.02, -0.03]);
}

#[test]
fn refusals() {
    let budgets = Budgets::pooled(1e8, 1).unwrap();
    insta::assert_snapshot!(
        Ledger::open(budgets).unwrap_err(),
        @"the capacity of row 0 is beyond what an account can hold: 100000000"
    );
    let floor = Row::at_least(Meter::Cost, Scope::all(), 1.0);
    insta::assert_snapshot!(
        Budgets::new(vec![floor], 1, 1).unwrap_err(),
        @"row 0 is not a budget: budgets are `<=` rows on cost, tokens or queries"
    );
    insta::assert_snapshot!(
        Budgets::new(vec![Row::at_most(Meter::Latency, Scope::all(), 1.0)], 1, 1).unwrap_err(),
        @"row 0 is not a budget: budgets are `<=` rows on cost, tokens or queries"
    );
    insta::assert_snapshot!(
        Budgets::new(vec![Row::at_most(Meter::One, Scope::model(3), 1.0)], 2, 1).unwrap_err(),
        @"row 0 is about model 3, there are 2"
    );
    insta::assert_snapshot!(
        Budgets::new(vec![Row::at_most(Meter::One, Scope::group(1), 1.0)], 2, 1).unwrap_err(),
        @"row 0 is about query group 1, there are 1"
    );
    insta::assert_snapshot!(
        Budgets::per_model(&[1.0, -1.0]).unwrap_err(),
        @"the capacity of row 1 must be finite, and >= 0 in a budget, got -1"
    );
}

#[test]
fn refusals_of_concurrent_rows() {
    let hold = Hold::default();
    let cost = Budgets::pooled(1.0, 1).unwrap();
    insta::assert_snapshot!(
        cost.concurrent(0, hold).unwrap_err(),
        @"row 0 is on Cost: only rows on queries can be concurrent"
    );
    insta::assert_snapshot!(queries(3).concurrent(1, hold).unwrap_err(), @"there is no row 1, there are 1");
    let day = Refill { every: 10.0, carry_over: false };
    let error = queries(3).refilled(0, day).unwrap().concurrent(0, hold).unwrap_err();
    insta::assert_snapshot!(error, @"row 0 is concurrent: it can't come anew by the window");
    let error = queries(3).concurrent(0, hold).unwrap().refilled(0, day).unwrap_err();
    insta::assert_snapshot!(error, @"row 0 is concurrent: it can't come anew by the window");
    for seconds in [0.0, -1.0, f64::INFINITY] {
        assert!(queries(3).concurrent(0, Hold { seconds: Some(seconds) }).is_err(), "{seconds}");
    }
    insta::assert_snapshot!(
        queries(3).concurrent(0, Hold { seconds: Some(f64::NAN) }).unwrap_err(),
        @"row 0 must be held for finite and > 0 seconds, got NaN"
    );
}

/// What one thread does with one reservation.
#[derive(Clone, Copy, Debug)]
enum Op {
    Settle { model: usize, bound: u64, real: u64 },
    Release { model: usize, bound: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..2_usize, 0..4_u64, 0..6_u64).prop_map(|(model, bound, real)| Op::Settle {
            model,
            bound,
            real
        }),
        (0..2_usize, 0..4_u64).prop_map(|(model, bound)| Op::Release { model, bound }),
    ]
}

fn within_limits(ledger: &Ledger) -> bool {
    ledger.accounts().iter().all(|account| account.spent + account.reserved <= account.limit)
}

/// Sends `ops` through the ledger, holding up to two reservations at a time.
fn work(ledger: &Ledger, ops: &[Op]) -> bool {
    let mut held: Vec<(Reservation, Option<u64>)> = Vec::new();
    let mut ok = true;
    for &op in ops {
        if held.len() == 2 {
            finish(held.remove(0));
        }
        let (model, bound, real) = match op {
            Op::Settle { model, bound, real } => (model, bound, Some(real)),
            Op::Release { model, bound } => (model, bound, None),
        };
        held.extend(ledger.reserve(0, model, usd(bound)).map(|reservation| (reservation, real)));
        ok &= within_limits(ledger);
    }
    held.into_iter().for_each(finish);
    ok && within_limits(ledger)
}

fn finish((reservation, real): (Reservation, Option<u64>)) {
    match real {
        Some(real) => drop(reservation.settle(usd(real))),
        None => reservation.release(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Four threads at once: no account is ever above its budget, seen from any of them,
    /// and nothing stays reserved.
    #[test]
    fn no_account_is_ever_overspent(
        plans in prop::collection::vec(prop::collection::vec(op(), 0..40), 4)
    ) {
        let ledger = layered();
        let start = Barrier::new(plans.len());
        let ok = thread::scope(|scope| {
            let threads: Vec<_> = plans
                .iter()
                .map(|ops| scope.spawn(|| { start.wait(); work(&ledger, ops) }))
                .collect();
            threads.into_iter().all(|thread| thread.join().unwrap())
        });
        prop_assert!(ok, "{:?}", ledger.accounts());
        prop_assert!(ledger.accounts().iter().all(|account| account.reserved == 0));
    }

    /// What is spent is the sum of what was settled, account by account, when no bound breaks.
    #[test]
    fn the_books_balance(ops in prop::collection::vec((0..2_usize, 0..4_u64, 0..4_u64), 0..40)) {
        let ledger = layered();
        let mut spent = [0; 3];
        for (model, bound, real) in ops {
            let real = real.min(bound);
            if let Some(reservation) = ledger.reserve(0, model, usd(bound)) {
                let _ = reservation.settle(usd(real));
                spent[model] += usd(real).cost.0;
                spent[2] += usd(real).cost.0;
            }
        }
        let accounts = ledger.accounts();
        prop_assert_eq!(accounts.iter().map(|a| a.spent).collect::<Vec<_>>(), spent);
        prop_assert!(accounts.iter().all(|a| a.overrun == 0));
    }
}

/// A day of 3 queries. One is spent and one held on the first day: the held one does not
/// take from the second, on which three more can be had; on the fourth, again three.
#[test]
fn what_a_window_leaves_lapses() {
    let day = Refill { every: 10.0, carry_over: false };
    let ledger = Ledger::open(queries(3).refilled(0, day).unwrap()).unwrap();
    let one = || ledger.reserve(0, 0, Amounts::default());
    one().unwrap().settle(Amounts::default());
    let held = one().unwrap();
    ledger.advance(9.9);
    assert_eq!(ledger.accounts()[0].free(), 1, "the day is not over");
    ledger.advance(10.0);
    assert_eq!(ledger.accounts()[0].free(), 3);
    held.settle(Amounts::default());
    ledger.advance(5.0);
    assert_eq!(ledger.accounts()[0].free(), 3, "time does not run backwards");
    for _ in 0..3 {
        one().unwrap().settle(Amounts::default());
    }
    assert!(one().is_none(), "the day's queries are used up");
    ledger.advance(39.0);
    assert_eq!(ledger.accounts()[0].free(), 3, "days without traffic leave nothing");
    let (mut left, mut estimated) = (Vec::new(), Vec::new());
    ledger.remaining_into(&mut left, &mut estimated);
    assert_eq!((left, estimated), (vec![3.0], vec![3.0]));
}

#[test]
fn what_a_window_leaves_is_carried_over() {
    let day = Refill { every: 10.0, carry_over: true };
    let ledger = Ledger::open(queries(3).refilled(0, day).unwrap()).unwrap();
    ledger.reserve(0, 0, Amounts::default()).unwrap().settle(Amounts::default());
    ledger.advance(29.0);
    assert_eq!(ledger.accounts()[0].free(), 2 + 3 + 3);
}

fn queries(n: u32) -> Budgets {
    let row = Row::at_most(Meter::One, Scope::all(), f64::from(n));
    Budgets::new(vec![row], 1, 1).unwrap()
}

/// 500 tokens a USD: half a dollar is 250 tokens, and what is a fraction of one is one.
#[test]
fn money_stands_for_tokens_by_the_price_list() {
    let row = Row::at_most(Meter::Tokens, Scope::all(), 300.0);
    let budgets = Budgets::new(vec![row], 1, 1).unwrap();
    let ledger = Ledger::open(budgets.with_tokens_per_usd([500.0].into()).unwrap()).unwrap();
    let half = ledger.amounts(0, 0.5).unwrap();
    assert_eq!(half.tokens, 250);
    assert_eq!(ledger.amounts(0, 1e-6).unwrap().tokens, 1);
    ledger.reserve(0, 0, half).unwrap().settle(half);
    assert!(ledger.reserve(0, 0, half).is_none(), "50 tokens are left");
}

/// Model 1 goes and model 2 comes while money is held for model 1: what was held settles on
/// the old account and on the pool, the new row begins empty, and the old account's place is
/// given away only when nobody speaks of it any more.
#[test]
fn accounts_outlive_their_rows_and_no_longer() {
    let before = layered();
    let held = before.reserve(0, 1, usd(2)).unwrap();
    let rows = vec![
        Row::at_most(Meter::Cost, Scope::model(0), 0.03),
        Row::at_most(Meter::Cost, Scope::model(1), 0.01),
        Row::at_most(Meter::Cost, Scope::all(), 0.04),
    ];
    let budgets = Budgets::new(rows, 2, 1).unwrap();
    let after = before.with_budgets(budgets.clone(), &[Some(0), None, Some(2)]).unwrap();
    assert_eq!(free(&after), [3, 1, 2]);
    assert!(held.is_of(&before) && !held.is_of(&after));
    drop(before);
    let slots = |ledger: &Ledger| ledger.layout.lock().accounts.len();
    let later = after.with_budgets(budgets.clone(), &[Some(0), None, Some(2)]).unwrap();
    assert_eq!(slots(&later), 5, "what is held keeps its account");
    held.settle(usd(1));
    assert_eq!(free(&after), [3, 1, 3]);
    drop(after);
    let last = later.with_budgets(budgets, &[Some(0), None, Some(2)]).unwrap();
    assert_eq!(slots(&last), 5, "places are given away");
    assert_eq!(free(&last), [3, 1, 3], "and begin anew");
}

/// Two slots of a model and 10 queries a run.
fn slots() -> Ledger {
    let rows = vec![
        Row::at_most(Meter::One, Scope::model(0), 2.0),
        Row::at_most(Meter::One, Scope::all(), 10.0),
    ];
    let budgets = Budgets::new(rows, 2, 1).unwrap().concurrent(0, Hold::default()).unwrap();
    Ledger::open(budgets).unwrap()
}

/// A slot comes back when its answer has arrived, and when it is released; a query of the run
/// does not when it has been answered.
#[test]
fn a_slot_comes_back_with_the_answer() {
    let ledger = slots();
    let one = |ledger: &Ledger| ledger.reserve(0, 0, Amounts::default());
    let (first, second) = (one(&ledger).unwrap(), one(&ledger).unwrap());
    assert!(one(&ledger).is_none(), "both slots are taken");
    assert!(ledger.reserve(0, 1, Amounts::default()).is_some(), "the other model has no such row");
    first.settle(Amounts::default());
    ledger.expect(0, 0, Amounts::default());
    let (mut left, mut estimated) = (Vec::new(), Vec::new());
    ledger.remaining_into(&mut left, &mut estimated);
    assert_eq!((left, estimated), (vec![1.0, 8.0], vec![1.0, 9.0]));
    second.release();
    let accounts = ledger.accounts();
    assert_eq!((accounts[0].spent, accounts[0].reserved, accounts[0].estimated), (0, 0, 0));
    assert_eq!((accounts[1].spent, accounts[1].reserved, accounts[1].estimated), (1, 0, 1));
}

/// A concurrent row stays one when the pool changes, and what is held comes back to it.
#[test]
fn slots_outlive_a_change_of_the_pool() {
    let models = |names: &[&str]| crate::Models::new(names).unwrap();
    let turnover = crate::Turnover::new(&models(&["b", "c"]), &models(&["a", "b", "c"]));
    let before = slots();
    let held = before.reserve(0, 0, Amounts::default()).unwrap();
    let (budgets, kept) = before.budgets().after(&turnover, Vec::new(), 0.0).unwrap();
    assert_eq!(budgets.holds(), [Some(Hold::default()), None]);
    let after = before.with_budgets(budgets, &kept).unwrap();
    let last = after.reserve(0, 1, Amounts::default()).unwrap();
    assert!(after.reserve(0, 1, Amounts::default()).is_none());
    held.settle(Amounts::default());
    last.settle(Amounts::default());
    assert_eq!((after.accounts()[0].free(), after.accounts()[1].free()), (2, 8));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Four threads take slots and give them back, by settling or releasing: no more are ever
    /// held than there are, none is spent, and in the end all are free. Beside them the money
    /// of the pool is spent as ever.
    #[test]
    fn no_more_are_in_flight_than_there_are_slots(
        plans in prop::collection::vec(prop::collection::vec(op(), 0..40), 4),
        slots in 1..4_u32,
    ) {
        let rows = vec![
            Row::at_most(Meter::One, Scope::model(0), f64::from(slots)),
            Row::at_most(Meter::One, Scope::all(), 3.0),
            Row::at_most(Meter::Cost, Scope::all(), 0.5),
        ];
        let budgets = Budgets::new(rows, 2, 1).unwrap();
        let hold = Hold { seconds: Some(1.0) };
        let budgets = budgets.concurrent(0, hold).unwrap().concurrent(1, hold).unwrap();
        let ledger = Ledger::open(budgets).unwrap();
        let start = Barrier::new(plans.len());
        let ok = thread::scope(|scope| {
            let threads: Vec<_> = plans
                .iter()
                .map(|ops| scope.spawn(|| { start.wait(); work(&ledger, ops) }))
                .collect();
            threads.into_iter().all(|thread| thread.join().unwrap())
        });
        prop_assert!(ok, "{:?}", ledger.accounts());
        let accounts = ledger.accounts();
        for account in &accounts[..2] {
            prop_assert_eq!((account.spent, account.reserved, account.overrun), (0, 0, 0));
        }
        prop_assert_eq!(accounts[2].reserved, 0);
    }
}

/// Threads reserve, settle and release by whatever handle is in force while rows come and go:
/// in the end the pool has spent what was settled.
#[test]
fn books_balance_while_rows_come_and_go() {
    let pool = || Row::at_most(Meter::Cost, Scope::all(), 1.0);
    let ledger = Ledger::open(Budgets::new(vec![pool()], 1, 1).unwrap()).unwrap();
    let current = Mutex::new(ledger);
    let done = thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|worker| {
                let current = &current;
                scope.spawn(move || {
                    let mut settled = 0;
                    for round in 0..2_000_u64 {
                        let ledger = current.lock().unwrap().clone();
                        let Some(held) = ledger.reserve(0, 0, Amounts::cost(PicoUsd(5))) else {
                            continue;
                        };
                        drop(ledger);
                        if (round + worker) % 3 == 0 {
                            held.release();
                        } else {
                            held.settle(Amounts::cost(PicoUsd(3)));
                            settled += 3;
                        }
                    }
                    settled
                })
            })
            .collect();
        for round in 0..300 {
            let own = Row::at_most(Meter::Cost, Scope::model(0), 1.0);
            let (rows, kept) = if round % 2 == 0 {
                (vec![pool(), own], vec![Some(0), None])
            } else {
                (vec![pool()], vec![Some(0)])
            };
            let budgets = Budgets::new(rows, 1, 1).unwrap();
            let next = current.lock().unwrap().with_budgets(budgets, &kept).unwrap();
            *current.lock().unwrap() = next;
        }
        workers.into_iter().map(|worker| worker.join().unwrap()).sum::<u64>()
    });
    let ledger = current.into_inner().unwrap();
    let account = ledger.accounts()[0];
    assert_eq!((account.spent, account.reserved, account.overrun), (done, 0, 0));
    let book = ledger.layout.lock();
    assert_eq!(book.vacant.len() + 1, book.accounts.len());
}
