use tollgate_core::{Budgets, Row, Scope};

use super::*;
use crate::testing::{Left, arrival, models, rank, table};

fn adapted(policy: &Fixed, setup: &RunSetup<'_>) -> Result<Arc<dyn Policy>, PolicyError> {
    Ok(policy.adapt(setup)?.expect("it always learns which model"))
}

#[test]
fn the_named_model_affordable_or_not() {
    let left = Left::per_model(&[0.0; 3]);
    let models = models(3);
    let setup = left.setup(&models, None);
    let policy = adapted(&Fixed::model("m1"), &setup).unwrap();
    assert_eq!(policy.name(), "fixed(m1)");
    let arrival = arrival(0, &[0.75, 0.25, 0.5], &[1.0; 3]);
    assert_eq!(rank(&*policy, &arrival, &Prices::unset(), &left), (vec![(1, 0.25)], false));
}

/// Means over two prompts: scores 0.75, 0.5, 0.25; costs 4, 1, 0. Ten arrivals need 40, 10
/// and 0 USD. With 20 USD each, model 0 answers half: 0.375; model 1 all: 0.5.
#[test]
fn the_best_single_model_worked_by_hand() {
    let history = table(&[[1.0, 0.5, 0.25], [0.5, 0.5, 0.25]], &[[2.0, 1.0, 0.0], [6.0, 1.0, 0.0]]);
    let models = models(3);
    let pick = |budgets: Budgets| {
        let left = Left::of(budgets);
        let setup = RunSetup { history: Some(&history), ..left.setup(&models, Some(10)) };
        adapted(&FixedConfig::default().build(), &setup).unwrap().name()
    };
    assert_eq!(pick(Budgets::per_model(&[20.0; 3]).unwrap()), "fixed(m1)");
    assert_eq!(pick(Budgets::per_model(&[40.0; 3]).unwrap()), "fixed(m0)");
    // 1 of 10 USD is a tenth of 0.5, less than what is free.
    assert_eq!(pick(Budgets::pooled(1.0, 3).unwrap()), "fixed(m2)");
    // Four answers: 0.4 of each score.
    let answers = vec![Row::at_most(Meter::One, Scope::all(), 4.0)];
    assert_eq!(pick(Budgets::new(answers, 3, 1).unwrap()), "fixed(m0)");
    assert_eq!(pick(Budgets::per_model(&[0.0, 0.0, 5.0]).unwrap()), "fixed(m2)");
}

#[test]
fn refusals() {
    let left = Left::per_model(&[1.0; 2]);
    let models = models(2);
    let setup = left.setup(&models, Some(3));
    let refuse = |policy: &Fixed| adapted(policy, &setup).unwrap_err();
    insta::assert_snapshot!(refuse(&Fixed::model("gpt")), @"policy `fixed` names model `gpt`; there are m0, m1");
    insta::assert_snapshot!(refuse(&FixedConfig::default().build()), @"policy `fixed` needs held-out estimates of the history");
    let arrival = arrival(0, &[0.5; 2], &[1.0; 2]);
    let mut out = Ranking::default();
    let early = Fixed::model("m0").rank(&arrival, &Prices::unset(), &left.view(), &mut out);
    insta::assert_snapshot!(early.unwrap_err(), @"policy `fixed(m0)` needs to be adapted to a run before it ranks");
}

#[test]
fn conforms() {
    tollgate_testkit::policy_conformance::check(&Fixed::model("m00"));
    tollgate_testkit::policy_conformance::check(&FixedConfig::default().build());
}
