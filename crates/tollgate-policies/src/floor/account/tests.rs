use super::*;

/// The history's errors: unbiased in the mean of `known` prompts, with this deviation.
fn errors(deviation: f64, known: f64) -> Errors {
    Errors { expected: 0.5, bias: 0.0, deviation, known }
}

const PLAN: Plan = Plan { target: 0.5, bias: 0.0 };
/// A history that nothing can be added to.
const ENDLESS: f64 = 1e12;

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9, "{a} and {b}");
}

/// Before the first of 100 arrivals: the floor, the bias off, and 2 deviations of the mean.
#[test]
fn at_first_it_is_the_plan_of_the_whole_window() {
    let known = Errors { bias: -0.05, ..errors(0.3, 400.0) };
    let target = Account::default().target(0.7, 2.0, &known, 100.0);
    close(target, 0.7 + 0.05 + 2.0 * 0.3 * (1.0_f64 / 100.0 + 1.0 / 400.0).sqrt());
}

/// Two of ten have scored .4 together, for a floor of .5: the eight to come make up for .6.
#[test]
fn what_was_achieved_counts() {
    let mut account = Account::default();
    account.arrive(0, &[0.5, 0.9], PLAN);
    account.arrive(1, &[0.5, 0.9], PLAN);
    account.answer(1, 0, Some(0.3));
    account.answer(0, 0, Some(0.1));
    assert!(account.is_steered());
    close(account.target(0.5, 0.0, &errors(0.3, ENDLESS), 8.0), 0.5 + 0.6 / 8.0);
    // What nobody has heard of, or a model that is not there, changes nothing.
    account.answer(7, 0, Some(0.0));
    account.arrive(2, &[0.5, 0.9], PLAN);
    account.answer(2, 5, Some(0.0));
    close(account.target(0.5, 0.0, &errors(0.3, ENDLESS), 8.0), 0.5 + 0.6 / 8.0);
}

/// Whoever resumes an account goes on as if nothing had happened, but for answers under way and
/// for what prices had to spare, which were other ones.
#[test]
fn an_account_is_handed_on() {
    let mut account = Account::default();
    account.begin(3);
    for (arrival, score) in [(3, Some(0.9)), (4, None), (5, Some(0.2))] {
        account.arrive(arrival, &[0.5, 0.5], PLAN);
        account.answer(arrival, 1, score);
    }
    let resumed = Account::resume(account.scores());
    assert_eq!(resumed.scores(), account.scores());
    assert!(resumed.is_steered());
    let target = |account: &Account| account.target(0.6, 1.0, &errors(0.3, 50.0), 8.0);
    close(target(&resumed), target(&account));
}

/// Untold answers count as expected, with the bias of the prices that chose them; their part of
/// the window stays open, and closes when the score comes after all.
#[test]
fn scores_may_come_late() {
    let mut account = Account::default();
    let plan = Plan { target: 0.9, bias: -0.1 };
    account.arrive(0, &[0.5, 0.9], plan);
    account.answer(0, 1, None);
    assert!(!account.is_steered());
    // .8 for .5: .3 to spare for nine, of which the margin takes its part.
    let target = |account: &Account, z| account.target(0.5, z, &errors(0.3, ENDLESS), 9.0);
    close(target(&account, 0.0), 0.5 - 0.3 / 9.0);
    close(target(&account, 1.0), 0.5 + (0.3 * 10.0_f64.sqrt() - 0.3) / 9.0);
    // Told twice it counts once.
    account.answer(0, 1, None);
    close(target(&account, 0.0), 0.5 - 0.3 / 9.0);
    account.answer(0, 1, Some(0.0));
    close(target(&account, 1.0), 0.5 + (0.3 * 9.0_f64.sqrt() + 0.5) / 9.0);
    account.answer(0, 1, Some(1.0));
    close(target(&account, 1.0), 0.5 + (0.3 * 9.0_f64.sqrt() + 0.5) / 9.0);
}

/// Ten scores each .2 below expectation beside a history of ten: .1 is expected of the rest.
#[test]
fn errors_that_are_told_are_one_sample_with_the_history() {
    let mut account = Account::default();
    for arrival in 0..10 {
        account.arrive(arrival, &[0.5], PLAN);
        account.answer(arrival, 0, Some(0.3));
    }
    // 2 are lacking over 90 to come, and .1 each.
    close(account.target(0.5, 0.0, &errors(0.0, 10.0), 90.0), 0.5 + 2.0 / 90.0 + 0.1);
}

/// Prices for .6 chose .5 in ten arrivals; beside a history of thirty a quarter of that is
/// expected to go on.
#[test]
fn expectations_below_the_plan_are_followed() {
    let mut account = Account::default();
    for arrival in 0..10 {
        account.arrive(arrival, &[0.5], Plan { target: 0.6, bias: 0.0 });
        account.answer(arrival, 0, None);
    }
    close(account.target(0.5, 0.0, &errors(0.0, 30.0), 90.0), 0.5 + 0.1 / 4.0);
}

#[test]
fn a_window_begins_with_nothing_achieved() {
    let mut account = Account::default();
    account.arrive(0, &[0.5], PLAN);
    account.arrive(1, &[0.5], PLAN);
    account.answer(0, 0, Some(0.0));
    account.begin(2);
    close(account.target(0.5, 0.0, &errors(0.0, ENDLESS), 10.0), 0.5);
    // An answer of the window before says something of errors, and nothing else: both were .5
    // below expectation.
    account.answer(1, 0, Some(0.0));
    close(account.target(0.5, 0.0, &errors(0.0, ENDLESS), 10.0), 0.5);
    close(account.target(0.5, 0.0, &errors(0.0, 2.0), 10.0), 0.5 + 1.0 / 4.0);
}

/// On paper alone nothing is made up for in the last moment: .99 are spread over five, not over
/// the one that is left.
#[test]
fn a_lack_on_paper_is_spread() {
    let mut account = Account::default();
    for arrival in 0..99 {
        account.arrive(arrival, &[0.5], PLAN);
        account.answer(arrival, 0, None);
    }
    close(account.target(0.51, 0.0, &errors(0.0, ENDLESS), 1.0), 0.51 + 0.99 / 5.0);
}

#[test]
fn who_never_answers_is_forgotten() {
    let mut account = Account::default();
    for arrival in 0..=WAITING as u64 {
        account.arrive(arrival, &[0.5], PLAN);
    }
    account.answer(0, 0, Some(0.0));
    assert!(!account.is_steered());
    account.answer(1, 0, Some(0.0));
    assert!(account.is_steered());
}
