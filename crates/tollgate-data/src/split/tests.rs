use proptest::prelude::*;

use super::*;
use crate::testing::Folder;

#[test]
fn lines_may_come_in_any_order() {
    let folder = Folder::new();
    let text = "seed,position,index\n7,1,0\n42,0,3\n7,0,4\n7,2,2\n42,1,1\n";
    let splits = Split::read_file(folder.file("splits.csv", text), 5).unwrap();
    assert_eq!(splits.keys().copied().collect::<Vec<_>>(), [7, 42]);
    assert_eq!(splits[&7], Split { stream: vec![4, 0, 2], history: vec![1, 3] });
    assert_eq!(splits[&42], Split { stream: vec![3, 1], history: vec![0, 2, 4] });
}

#[test]
fn a_file_of_no_splits_holds_none() {
    let folder = Folder::new();
    let path = folder.file("splits.csv", "seed,position,index\n");
    assert!(Split::read_file(path, 5).unwrap().is_empty());
}

#[test]
fn refused_files() {
    let folder = Folder::new();
    let message = |text: &str| {
        let path = folder.file("splits.csv", text);
        folder.message(&Split::read_file(path, 3).unwrap_err())
    };
    let lines = |lines: &str| message(&format!("seed,position,index\n{lines}\n"));
    insta::assert_snapshot!(
        message("seed,index,position\n1,0,0\n"),
        @"`splits.csv`, line 1: the columns must be seed,position,index, got seed,index,position");
    insta::assert_snapshot!(
        lines("1,0,0\n1,-1,2"),
        @"`splits.csv`, line 3, column `position`: expected an integer >= 0, got `-1`");
    insta::assert_snapshot!(
        lines("1,0,0\n1,0,2"), @"`splits.csv`, line 3: seed 1 has position 0 twice");
    insta::assert_snapshot!(
        lines("1,0,2\n1,1,2"), @"`splits.csv`, line 3: seed 1 has row 2 twice");
    insta::assert_snapshot!(
        lines("1,0,3"), @"`splits.csv`, line 2: row 3 is beyond the table, which has 3 rows");
    insta::assert_snapshot!(
        lines("1,2,2\n1,0,0"),
        @"`splits.csv`, line 2: seed 1 has position 2 but no position 1");
    insta::assert_snapshot!(
        lines("1,0,0\n1,1,1\n1,2,2"),
        @"`splits.csv`: seed 1 streams every row and leaves no history");
    insta::assert_snapshot!(lines("1,0"), @"`splits.csv` could not be read as csv: CSV error: record 1 (line: 2, byte: 20): found record with 2 fields, but the previous record has 3 fields");
    let missing = Split::read_file(folder.path().join("none.csv"), 3).unwrap_err();
    insta::assert_snapshot!(folder.message(&missing), @"`none.csv` does not exist");
}

#[test]
fn refused_sizes() {
    let message = |n_rows, n| Split::random(n_rows, n, Seed(1)).unwrap_err().to_string();
    insta::assert_snapshot!(
        message(5, 0),
        @"`queries` must be >= 1 and less than the rows, so that a history is left, got 0");
    insta::assert_snapshot!(
        message(5, 5),
        @"`queries` must be >= 1 and less than the rows, so that a history is left, got 5");
    assert!(Split::random(0, 0, Seed(1)).is_err());
    assert!(Split::random(2, 1, Seed(1)).is_ok());
}

#[test]
fn values_are_stable() {
    let split = Split::random(1_000, 6, Seed(42)).unwrap();
    insta::assert_compact_debug_snapshot!(split.stream, @"[583, 181, 839, 354, 705, 957]");
}

proptest! {
    #[test]
    fn every_row_is_in_one_part(n_rows in 2_usize..200, share in 0.0..1.0, seed: u64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        let n_queries = 1 + (share * (n_rows - 2) as f64) as usize;
        let split = Split::random(n_rows, n_queries, Seed(seed)).unwrap();
        prop_assert_eq!(split.stream.len(), n_queries);
        prop_assert!(split.history.is_sorted());
        let mut all = [split.stream, split.history].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..n_rows).collect::<Vec<_>>());
    }

    #[test]
    fn a_written_split_reads_back(n_rows in 2_usize..60, seed: u64) {
        let split = Split::random(n_rows, n_rows / 2, Seed(seed)).unwrap();
        let lines = split.stream.iter().enumerate();
        let lines = lines.map(|(position, row)| format!("{seed},{position},{row}\n"));
        let text = format!("seed,position,index\n{}", lines.collect::<String>());
        let folder = Folder::new();
        let splits = Split::read_file(folder.file("splits.csv", text), n_rows).unwrap();
        prop_assert_eq!(splits, BTreeMap::from([(seed, split)]));
    }
}
