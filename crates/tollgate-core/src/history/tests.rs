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
