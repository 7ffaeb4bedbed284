use super::*;

fn models() -> Models {
    Models::new(["a", "b"]).unwrap()
}

fn history(quality: &[f64], cost: &[f64]) -> Result<History, HistoryError> {
    let embeddings = vec![1.0; quality.len() / 2];
    History::new(models(), 1, embeddings, quality.to_vec(), cost.to_vec())
}

#[test]
fn half_a_label_is_a_gap() {
    let nan = f64::NAN;
    let history = history(&[1.0, nan, 0.5, 0.5], &[0.1, 0.2, nan, 0.2]).unwrap();
    let gaps = |table: &[f64]| table.iter().map(|x| x.is_nan()).collect::<Vec<_>>();
    assert_eq!(gaps(history.quality()), [false, true, true, false]);
    assert_eq!(gaps(history.cost()), gaps(history.quality()));
    assert!(history.has_gaps());
}

#[test]
fn selecting_rows() {
    let history = history(&[1.0, 0.0, 0.5, 0.25], &[0.1, 0.2, 0.3, 0.4]).unwrap();
    let second = history.select(&[1]).unwrap();
    assert_eq!(&second.quality()[..], [0.5, 0.25]);
    assert_eq!(&second.cost()[..], [0.3, 0.4]);
    assert_eq!(second.len(), 1);
}

fn tokens(history: &History) -> Option<Vec<f64>> {
    history.input_tokens().map(|tokens| tokens.to_vec())
}

/// Tokens go where their prompts go, whatever the costs are.
#[test]
fn prompts_keep_their_tokens() {
    let bare = history(&[1.0, 0.0, 0.5, 0.25], &[0.1, 0.2, 0.3, 0.4]).unwrap();
    assert_eq!((tokens(&bare), bare.queries().query(1).input_tokens), (None, None));
    let counted = bare.with_input_tokens(vec![10.0, 0.0]).unwrap();
    assert_eq!(counted.queries().query(0).input_tokens, Some(10.0));
    let rows = counted.select(&[1, 0, 1]).unwrap();
    assert_eq!(tokens(&rows), Some(vec![0.0, 10.0, 0.0]));
    assert_eq!(tokens(&counted.with_cost(vec![1.0; 4]).unwrap()), Some(vec![10.0, 0.0]));
}

/// The tokens of old and new prompts, or none.
#[test]
fn tokens_of_some_prompts_are_none() {
    let counted = history(&[1.0, 0.0], &[0.1, 0.2]).unwrap().with_input_tokens(vec![10.0]).unwrap();
    let longer = counted.append(&[1.0], vec![1.0, 0.5], vec![0.1, 0.1]).unwrap();
    assert_eq!(tokens(&longer), None);
    let longer = longer.with_input_tokens(vec![10.0, 20.0]).unwrap();
    assert_eq!(tokens(&longer), Some(vec![10.0, 20.0]));
    assert_eq!(tokens(&counted), Some(vec![10.0]), "the shorter one keeps its own");
}

#[test]
fn other_costs() {
    let nan = f64::NAN;
    let before = history(&[1.0, 0.0, 0.5, 0.25], &[0.1, 0.2, 0.3, 0.4]).unwrap();
    let after = before.with_cost(vec![7.0, nan, 8.0, 9.0]).unwrap();
    assert_eq!((after.cost()[0], after.quality()[2]), (7.0, 0.5));
    assert!(after.cost()[1].is_nan() && after.quality()[1].is_nan());
    assert_eq!(&before.cost()[..], [0.1, 0.2, 0.3, 0.4]);
    let message = |cost: &[f64]| before.with_cost(cost.to_vec()).unwrap_err().to_string();
    insta::assert_snapshot!(message(&[1.0]), @"cost of the history has 1 values, expected 4");
    insta::assert_snapshot!(message(&[1.0, -2.0, 1.0, 1.0]), @"cost of model `b` on history prompt 0 must be finite and >= 0, got -2");
    insta::assert_snapshot!(message(&[1.0, nan, 1.0, nan]), @"model `b` has no label in the history");
}

#[test]
fn tokens_are_counts() {
    let message = |tokens: &[f64]| {
        let history = history(&[1.0; 4], &[0.1; 4]).unwrap();
        history.with_input_tokens(tokens.to_vec()).unwrap_err().to_string()
    };
    insta::assert_snapshot!(message(&[1.0]), @"input tokens of the history has 1 values, expected 2");
    insta::assert_snapshot!(message(&[1.0, -1.0]), @"tokens of history prompt 1 must be finite and >= 0, got -1");
    insta::assert_snapshot!(message(&[f64::NAN, 1.0]), @"tokens of history prompt 0 must be finite and >= 0, got NaN");
    insta::assert_snapshot!(message(&[1.0, f64::INFINITY]), @"tokens of history prompt 1 must be finite and >= 0, got inf");
}

#[test]
fn refusals() {
    let message = |quality: &[f64], cost: &[f64]| history(quality, cost).unwrap_err().to_string();
    let nan = f64::NAN;
    insta::assert_snapshot!(message(&[], &[]), @"the history is empty");
    insta::assert_snapshot!(
        message(&[1.0, 1.0], &[0.1]),
        @"cost of the history has 1 values, expected 2"
    );
    insta::assert_snapshot!(
        message(&[1.0, 1.5], &[0.1, 0.1]),
        @"score of model `b` on history prompt 0 must be in [0, 1], got 1.5"
    );
    insta::assert_snapshot!(
        message(&[1.0, 1.0, 1.0, 1.0], &[0.1, 0.1, -0.1, 0.1]),
        @"cost of model `a` on history prompt 1 must be finite and >= 0, got -0.1"
    );
    insta::assert_snapshot!(
        message(&[1.0, nan], &[0.1, nan]),
        @"model `b` has no label in the history"
    );
    let embedding = History::new(models(), 1, vec![f32::NAN], vec![1.0; 2], vec![0.1; 2]);
    insta::assert_snapshot!(
        embedding.unwrap_err(),
        @"embedding of history prompt 0 has a value that is not finite: NaN"
    );
}
