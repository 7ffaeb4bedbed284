use proptest::prelude::*;

use super::*;

const NAN: f64 = f64::NAN;

/// Three prompts, two models named against their order, one gap of either kind.
fn small() -> TableParts {
    TableParts {
        name: "small".into(),
        models: vec!["b".into(), "a".into()],
        tasks: vec!["y".into(), "x".into(), "y".into()],
        quality: vec![1.0, 0.5, 0.25, 0.0, NAN, 1.0],
        cost: vec![2e-3, 1e-3, 4e-3, NAN, 6e-3, 3e-3],
        dim: 1,
        embeddings: vec![0.5, -2.0, 0.0],
    }
}

fn refusal(parts: TableParts) -> String {
    refused(Table::new(parts))
}

fn refused<T: std::fmt::Debug>(result: Result<T, DataError>) -> String {
    use std::error::Error;
    let error = result.unwrap_err();
    error.source().map_or(error.to_string(), |cause| format!("{error}: {cause}"))
}

#[test]
fn columns_are_sorted_and_half_known_options_are_gaps() {
    let table = Table::new(small()).unwrap();
    assert_eq!((table.len(), table.dim(), table.source()), (3, 1, "small"));
    assert_eq!(table.models().as_slice(), [ModelId::new("a"), ModelId::new("b")]);
    assert_eq!(table.task_names(), ["x", "y"]);
    assert_eq!(table.tasks(), [1, 0, 1]);
    assert_eq!(table.task(1), "x");
    assert_eq!(table.embeddings(), [0.5, -2.0, 0.0], "as they are: not normalized");
    insta::assert_compact_debug_snapshot!(
        table.quality(), @"[0.5, 1.0, NaN, 0.25, 1.0, NaN]");
    insta::assert_compact_debug_snapshot!(
        table.cost(), @"[0.001, 0.002, NaN, 0.004, 0.003, NaN]");
}

#[test]
fn means_are_over_labels() {
    let mut parts = small();
    // a: 0.5 and 1 for 1 and 3 mUSD; b: 1 and 0.25 for 2 and 4 mUSD.
    let means = Table::new(parts.clone()).unwrap().means();
    assert_eq!(means.quality, [0.75, 0.625]);
    assert!((means.cost[0] - 2e-3).abs() < 1e-15 && (means.cost[1] - 3e-3).abs() < 1e-15);

    for row in 0..3 {
        parts.quality[2 * row] = NAN;
    }
    let means = Table::new(parts).unwrap().means();
    assert!(means.quality[1].is_nan() && means.cost[1].is_nan(), "b has no label");
    assert_eq!(means.quality[0].to_bits(), 0.75_f64.to_bits());
}

#[test]
fn a_table_without_tasks_has_one_without_a_name() {
    let table = Table::new(TableParts { tasks: Vec::new(), ..small() }).unwrap();
    assert_eq!((table.task_names(), table.task(2)), (&[String::new()][..], ""));
}

#[test]
fn selections_keep_the_numbers_of_the_source() {
    let table = Table::new(small()).unwrap();
    let task = table.select_task("y").unwrap();
    assert_eq!((task.len(), task.source_row(1), task.task_names().len()), (2, 2, 1));
    assert_eq!(task.embeddings(), [0.5, 0.0]);

    let one = task.select_rows(&[1]).unwrap().select_models(&["a"]).unwrap();
    assert_eq!((one.quality(), one.cost(), one.source_row(0)), (&[1.0][..], &[3e-3][..], 2));
    assert!(one.require_complete(&[0]).is_ok());

    insta::assert_snapshot!(
        refused(task.require_complete(&[0, 1])),
        @"`small`, row 2, column `b`: a served row must have every score and cost");
    insta::assert_snapshot!(
        refused(table.require_complete(&[0, 1])),
        @"`small`, row 1, column `a|total_cost`: a served row must have every score and cost");
    assert!(table.require_complete(&[0, 0]).is_ok());
    assert!(table.require_complete(&[]).is_ok());
}

#[test]
fn refused_selections() {
    let table = Table::new(small()).unwrap();
    insta::assert_snapshot!(
        refused(table.select_models(&["a", "c"])), @"`small` has no model `c`; it has a, b");
    insta::assert_snapshot!(
        refused(table.select_models(&["a", "a"])),
        @"`small`: the models are refused: model `a` is named twice");
    insta::assert_snapshot!(
        refused(table.select_models(&[])),
        @"`small`: the models are refused: there are no models");
    insta::assert_snapshot!(
        refused(table.select_task("z")), @"`small` has no task `z`; it has x, y");
    insta::assert_snapshot!(refused(table.select_rows(&[0, 3])), @"`small` has no row 3; it has 3");
    insta::assert_snapshot!(refused(table.select_rows(&[])), @"`small` has no rows");
    insta::assert_snapshot!(
        refused(table.require_complete(&[9])), @"`small` has no row 9; it has 3");
}

#[test]
fn rows_make_a_history() {
    let table = Table::new(small()).unwrap();
    let history = table.history(&[2, 0]).unwrap();
    assert_eq!((history.len(), history.dim(), history.has_gaps()), (2, 1, true));
    assert_eq!(history.embeddings()[..], [0.0, 0.5]);
    assert_eq!(history.models(), table.models());

    insta::assert_snapshot!(
        refused(table.history(&[2])),
        @"the chosen rows of `small` are no history: model `b` has no label in the history");
    insta::assert_snapshot!(
        refused(table.history(&[])),
        @"the chosen rows of `small` are no history: the history is empty");
    insta::assert_snapshot!(refused(table.history(&[0, 7])), @"`small` has no row 7; it has 3");
}

#[test]
fn refused_values() {
    let score = |got| {
        let mut parts = small();
        parts.quality[3] = got;
        refusal(parts)
    };
    // Row 1 of `a` has no cost: a gap, and yet its score is looked at.
    insta::assert_snapshot!(
        score(1.5), @"`small`, row 1, column `a`: a score must be in [0, 1], got 1.5");
    insta::assert_snapshot!(
        score(-0.1), @"`small`, row 1, column `a`: a score must be in [0, 1], got -0.1");
    insta::assert_snapshot!(
        score(f64::INFINITY), @"`small`, row 1, column `a`: a score must be in [0, 1], got inf");
    let cost = |got| {
        let mut parts = small();
        parts.cost[4] = got;
        refusal(parts)
    };
    insta::assert_snapshot!(
        cost(-1e-9),
        @"`small`, row 2, column `b|total_cost`: a cost must be finite and >= 0, got -0.000000001");
    insta::assert_snapshot!(
        cost(f64::INFINITY),
        @"`small`, row 2, column `b|total_cost`: a cost must be finite and >= 0, got inf");
    let embedding = |got| refusal(TableParts { embeddings: vec![0.0, got, 1.0], ..small() });
    insta::assert_snapshot!(
        embedding(f32::NAN), @"`small`, row 1, column 0: an embedding must be finite, got NaN");
    insta::assert_snapshot!(
        embedding(f32::NEG_INFINITY),
        @"`small`, row 1, column 0: an embedding must be finite, got -inf");
}

#[test]
fn refused_parts() {
    insta::assert_snapshot!(
        refusal(TableParts { cost: vec![0.0; 5], ..small() }),
        @"cost of `small` has 5 values, expected 6");
    insta::assert_snapshot!(
        refusal(TableParts { quality: vec![0.0; 5], ..small() }),
        @"quality of `small` has 5 values, expected 4");
    insta::assert_snapshot!(
        refusal(TableParts { tasks: vec!["x".into()], ..small() }),
        @"tasks of `small` has 1 values, expected 3");
    insta::assert_snapshot!(
        refusal(TableParts { embeddings: vec![0.0; 4], ..small() }),
        @"embeddings of `small` has 4 values, expected 3");
    insta::assert_snapshot!(
        refusal(TableParts { dim: 0, embeddings: Vec::new(), ..small() }),
        @"`small` must have the shape (rows, dimension), dimension > 0, got [3, 0]");
    insta::assert_snapshot!(
        refusal(TableParts { models: vec!["a".into(), "a".into()], ..small() }),
        @"`small`: the models are refused: model `a` is named twice");
    insta::assert_snapshot!(
        refusal(TableParts { models: vec![String::new(), "a".into()], ..small() }),
        @"`small`: the models are refused: a model has an empty name");
    let empty = TableParts { name: "none".into(), dim: 1, ..TableParts::default() };
    insta::assert_snapshot!(
        refusal(empty.clone()),
        @"`none` has no models: a model is a column with a `|total_cost` twin");
    insta::assert_snapshot!(
        refusal(TableParts { models: vec!["a".into()], ..empty }), @"`none` has no rows");
}

/// A table of up to five models, with gaps.
fn any_parts() -> impl Strategy<Value = TableParts> {
    (1_usize..6, 1_usize..8).prop_flat_map(|(n_models, n_rows)| {
        let label = || prop_oneof![4 => 0.0..=1.0, 1 => Just(NAN)];
        let table = || prop::collection::vec(label(), n_models * n_rows);
        let embeddings = prop::collection::vec(-2.0_f32..2.0, n_rows * 2);
        (table(), table(), embeddings).prop_map(move |(quality, cost, embeddings)| TableParts {
            name: "any".into(),
            models: (0..n_models).map(|model| format!("model-{model}")).collect(),
            tasks: (0..n_rows).map(|row| format!("task-{}", row % 3)).collect(),
            quality,
            cost,
            dim: 2,
            embeddings,
        })
    })
}

/// Every number of a table as its bits, so that gaps compare equal.
fn bits(table: &Table) -> Vec<u64> {
    table.quality().iter().chain(table.cost()).map(|value| value.to_bits()).collect()
}

proptest! {
    #[test]
    fn the_order_of_columns_changes_nothing(parts in any_parts(), seed: u64) {
        let mut columns: Vec<usize> = (0..parts.models.len()).collect();
        tollgate_core::Seed(seed).stream(tollgate_core::Purpose::Order, 0).shuffle(&mut columns);
        let rows: Vec<usize> = (0..parts.tasks.len()).collect();
        let width = columns.len();
        let shuffled = TableParts {
            models: columns.iter().map(|&column| parts.models[column].clone()).collect(),
            quality: pick(&parts.quality, width, &rows, &columns),
            cost: pick(&parts.cost, width, &rows, &columns),
            ..parts.clone()
        };
        let (table, other) = (Table::new(parts).unwrap(), Table::new(shuffled).unwrap());
        prop_assert_eq!(table.models(), other.models());
        prop_assert_eq!(bits(&table), bits(&other));
        prop_assert_eq!(
            refused_text(table.require_complete(&rows)),
            refused_text(other.require_complete(&rows))
        );
    }

    #[test]
    fn a_gap_is_a_gap_in_both(parts in any_parts()) {
        let half: Vec<bool> =
            parts.quality.iter().zip(&parts.cost).map(|(q, c)| q.is_nan() || c.is_nan()).collect();
        let table = Table::new(parts).unwrap();
        for (at, &gap) in half.iter().enumerate() {
            prop_assert_eq!(table.quality()[at].is_nan(), gap);
            prop_assert_eq!(table.cost()[at].is_nan(), gap);
        }
        let all: Vec<usize> = (0..table.len()).collect();
        prop_assert_eq!(table.require_complete(&all).is_ok(), !half.contains(&true));
    }

    #[test]
    fn selecting_everything_selects_the_table(parts in any_parts()) {
        let table = Table::new(parts).unwrap();
        let all: Vec<usize> = (0..table.len()).collect();
        let names: Vec<&str> = table.models().as_slice().iter().rev().map(ModelId::as_str).collect();
        let same = table.select_rows(&all).unwrap().select_models(&names).unwrap();
        prop_assert_eq!(bits(&same), bits(&table));
        prop_assert_eq!(same.tasks(), table.tasks());
        prop_assert_eq!(same.embeddings(), table.embeddings());
    }
}

fn refused_text(result: Result<(), DataError>) -> Option<String> {
    result.err().map(|error| error.to_string())
}
